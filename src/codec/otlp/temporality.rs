//! How the kinds of metrics count: cumulative, delta, or not at all; and what of them is not taken.

use model::{Counts, Reason};

use super::Delta;
use super::label::Refusal;
use super::part::Part;

/// AggregationTemporality.
const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

/// Which data a metric carries, and what of its kind decides about names and refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    Gauge,
    Sum { monotonic: bool, temporality: i32 },
    Histogram { temporality: i32 },
    ExponentialHistogram { temporality: i32 },
    Summary,
}

impl Data {
    fn temporality(self) -> Option<i32> {
        match self {
            Data::Gauge | Data::Summary => None,
            Data::Sum { temporality, .. }
            | Data::Histogram { temporality }
            | Data::ExponentialHistogram { temporality } => Some(temporality),
        }
    }

    pub(crate) fn is_delta(self) -> bool {
        self.temporality() == Some(DELTA)
    }

    /// How its points count; `None` for what is stored just as it is sent.
    pub(crate) fn counts(self, delta: Delta) -> Option<Counts> {
        let monotonic = !matches!(self, Data::Sum { monotonic: false, .. });
        match self {
            Data::Gauge => None,
            _ if self.is_delta() => (delta == Delta::Cumulative).then_some(Counts::Delta { monotonic }),
            _ => monotonic.then_some(Counts::Cumulative),
        }
    }

    /// Why no point of it can be stored, if so.
    pub(crate) fn unsupported(self, delta: Delta) -> Option<Refusal> {
        let message = match self.temporality()? {
            CUMULATIVE => return None,
            DELTA if delta != Delta::Refuse => return None,
            DELTA => "delta temporality is refused here (metrics.delta); have the SDK export cumulative \
                      (OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative)"
                .into(),
            temporality => format!("aggregation temporality {temporality} says neither delta (1) nor cumulative (2)"),
        };
        Some((Reason::Unsupported, message))
    }
}

/// Whether a delta can be summed up: one that cannot would spoil the running sum for good.
#[inline]
pub(crate) fn sums_up(counts: Option<Counts>, parts: &[(Part, f64)]) -> Result<(), &'static str> {
    let (Some(Counts::Delta { monotonic }), [(Part::Plain, value)]) = (counts, parts) else { return Ok(()) };
    if !value.is_finite() {
        return Err("a delta that is no finite number cannot be summed up");
    }
    if monotonic && *value < 0.0 {
        return Err("a delta of a monotonic sum is negative");
    }
    Ok(())
}
