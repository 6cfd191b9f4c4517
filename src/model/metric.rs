//! Metric samples and what is known of a metric family.

/// A series of one tenant: dense, given in order of first sight, never used again for another label set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub u64);

/// One value of one series. NaN payloads are kept bit-exact; see [`is_stale`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    pub at_ms: i64,
    pub value: f64,
}

/// The bits of the value that ends a series (Prometheus `model/value.StaleNaN`).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;
/// The bits of an ordinary NaN (Prometheus `model/value.NormalNaN`).
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// Whether a value is the stale marker. Never compare with `==`: it is a NaN.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// The stale marker.
pub fn stale_marker() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// One observation that stands for many: what a sender attached to a sample, mostly to lead to a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    pub at_ms: i64,
    pub value: f64,
    /// `trace_id` and `span_id` in hex where they were sent, and the sender's own.
    pub labels: crate::Labels,
}

/// Type of a metric family, as Prometheus' metadata names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricKind {
    Unknown,
    Gauge,
    Counter,
    Histogram,
    /// A histogram whose counts go up and down.
    GaugeHistogram,
    Summary,
    Info,
    StateSet,
}

impl MetricKind {
    /// The word in Prometheus' metadata API.
    pub fn as_str(self) -> &'static str {
        match self {
            MetricKind::Unknown => "unknown",
            MetricKind::Gauge => "gauge",
            MetricKind::Counter => "counter",
            MetricKind::Histogram => "histogram",
            MetricKind::GaugeHistogram => "gaugehistogram",
            MetricKind::Summary => "summary",
            MetricKind::Info => "info",
            MetricKind::StateSet => "stateset",
        }
    }
}

/// What is known of a metric family beyond its samples.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MetricMeta {
    /// The family's name after translation, without `_bucket`, `_sum`, `_count`.
    pub family: String,
    pub kind: MetricKind,
    /// The unit word after translation (`seconds`, `bytes`), empty when unknown.
    pub unit: String,
    pub help: String,
}
