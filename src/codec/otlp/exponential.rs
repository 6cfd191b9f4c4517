//! Exponential histogram points as native histograms, and which of them contradict themselves.
//!
//! Sources: opentelemetry-proto metrics.proto, the OpenTelemetry data model ("ExponentialHistogram") and its Prometheus
//! compatibility page (scales, the index that is one higher, points without a sum).

use model::Reason;
use model::histogram::{Histogram, SCHEMA_MAX, SCHEMA_MIN};
use model::metric::{NORMAL_NAN_BITS, is_stale};

use super::label::Refusal;
use crate::histogram::BUCKETS_MAX;

/// The zero bucket's width where the sender says none (the compatibility page).
const ZERO_THRESHOLD: f64 = 1e-128;

/// An exponential histogram's point, as sent. Kept by the readers from point to point for its buffers.
#[derive(Debug, Default)]
pub(crate) struct Exponential {
    pub(crate) count: u64,
    pub(crate) sum: Option<f64>,
    pub(crate) scale: i32,
    pub(crate) zero_count: u64,
    pub(crate) zero_threshold: f64,
    pub(crate) positive: Side,
    pub(crate) negative: Side,
}

/// One side's buckets: counts from the bucket `offset` up.
#[derive(Debug, Default)]
pub(crate) struct Side {
    pub(crate) offset: i32,
    /// The readers stop adding after [`BUCKETS_MAX`] + 1.
    pub(crate) counts: Vec<u64>,
}

impl Side {
    pub(crate) fn clear(&mut self) {
        self.offset = 0;
        self.counts.clear();
    }
}

impl Exponential {
    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.sum = None;
        self.scale = 0;
        self.zero_count = 0;
        self.zero_threshold = 0.0;
        self.positive.clear();
        self.negative.clear();
    }

    /// The histogram that is stored. A point that ends its series says nothing else, whatever it carries.
    pub(crate) fn histogram(&self, ends: bool) -> Result<Histogram, Refusal> {
        if ends {
            return Ok(Histogram::stale());
        }
        if self.scale < SCHEMA_MIN {
            return Err((
                Reason::Unsupported,
                format!("exponential histograms of scale {} are not stored, {SCHEMA_MIN} is the coarsest", self.scale),
            ));
        }
        let malformed = |reason: &str| (Reason::Malformed, reason.to_owned());
        let Some(sum) = self.sum else {
            return Err(malformed("the exponential histogram has no sum"));
        };
        if self.positive.counts.len().max(self.negative.counts.len()) > BUCKETS_MAX {
            return Err((
                Reason::RecordLimit,
                format!("more than {BUCKETS_MAX} buckets on one side; have the SDK export at most 160 (its MaxSize)"),
            ));
        }
        if !(self.zero_threshold >= 0.0 && self.zero_threshold.is_finite()) {
            return Err(malformed("the exponential histogram's zero threshold is no number from 0 up"));
        }
        let in_buckets = self.positive.counts.iter().chain(&self.negative.counts);
        let total: u128 = in_buckets.chain([&self.zero_count]).map(|count| u128::from(*count)).sum();
        if total != u128::from(self.count) {
            return Err(malformed("the exponential histogram's bucket counts do not add up to its count"));
        }
        let schema = self.scale.min(SCHEMA_MAX);
        // Each step down in scale halves an index, towards minus infinity; below 2^-63 steps all are 0 or -1.
        let steps = self.scale.saturating_sub(schema).min(63) as u32;
        let side = |sent: &Side| {
            merged(sent, schema, steps).ok_or_else(|| malformed("a bucket lies beyond what 64-bit floats can say"))
        };
        Ok(Histogram {
            schema,
            // A width of zero is one that was not said: the field has no presence.
            zero_threshold: if self.zero_threshold > 0.0 { self.zero_threshold } else { ZERO_THRESHOLD },
            zero_count: self.zero_count as f64,
            count: self.count as f64,
            // Only we may write the stale marker.
            sum: if is_stale(sum) { f64::from_bits(NORMAL_NAN_BITS) } else { sum },
            positive: side(&self.positive)?,
            negative: side(&self.negative)?,
            ..Histogram::default()
        })
    }
}

/// The buckets with something in them, `2^steps` neighbours as one. `None` when one holds no number that a double can be.
fn merged(sent: &Side, schema: i32, steps: u32) -> Option<Vec<(i32, f64)>> {
    let mut out: Vec<(i32, u64)> = Vec::new();
    for (place, count) in (0i64..).zip(&sent.counts) {
        if *count == 0 {
            continue;
        }
        // Prometheus' bucket is named by its upper bound, OTLP's by its lower one.
        let index = ((i64::from(sent.offset) + place) >> steps) + 1;
        if !holds_doubles(index, schema) {
            return None;
        }
        let index = i32::try_from(index).ok()?;
        match out.last_mut() {
            // Cannot overflow: the sum of all was checked.
            Some((last, sum)) if *last == index => *sum += count,
            _ => out.push((index, *count)),
        }
    }
    Some(out.into_iter().map(|(index, count)| (index, count as f64)).collect())
}

/// Whether any double lies in bucket `index`: above `base^(index-1)`, at most `base^index`, with `base = 2^(2^-schema)`.
fn holds_doubles(index: i64, schema: i32) -> bool {
    // The largest double is below 2^1024, the smallest positive one is 2^-1074.
    let scaled = |exponent: i64| if schema >= 0 { exponent << schema } else { exponent >> -schema };
    let above_smallest = if schema >= 0 { index >= scaled(-1074) } else { index << -schema >= -1074 };
    index - 1 < scaled(1024) && above_smallest
}
