//! Native histograms: exponential buckets, kept whole as one sample (Prometheus' "native histogram", OTLP's exponential histogram).

/// The smallest and largest resolution. Bucket boundaries are powers of `2^(2^-schema)`.
pub const SCHEMA_MIN: i32 = -4;
/// Finer OTLP histograms are merged down to this.
pub const SCHEMA_MAX: i32 = 8;

/// The schema of histograms whose bucket boundaries are given one by one (Prometheus' "native histograms with custom buckets").
pub const SCHEMA_CUSTOM: i32 = -53;

/// What the sender said of the step from the sample before to this one (Prometheus `histogram.CounterResetHint`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CounterReset {
    /// Nothing: compare the counts.
    #[default]
    Unknown,
    Yes,
    No,
    /// The histogram is a gauge: it has no resets.
    Gauge,
}

/// One histogram at one time. Counts are absolute, as floats, so that queries can scale and subtract them.
///
/// Bucket `i` of the positive side holds observations in `(base^(i-1), base^i]` with `base = 2^(2^-schema)` (Prometheus' index: OTLP's
/// plus one); the negative side mirrors it. Both sides are sorted by index, each index once; empty buckets may be left out.
///
/// With [`SCHEMA_CUSTOM`], positive bucket `i` holds observations in `(custom_bounds[i-1], custom_bounds[i]]`, open below the first bound
/// and above the last; there is no negative side and no zero bucket.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    pub schema: i32,
    /// Observations of at most this absolute value are in `zero_count`.
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub count: f64,
    /// The stale marker here means that the series ended.
    pub sum: f64,
    pub positive: Vec<(i32, f64)>,
    pub negative: Vec<(i32, f64)>,
    /// Upper bounds of the buckets in rising order, without `+Inf`; empty unless the schema is [`SCHEMA_CUSTOM`].
    pub custom_bounds: std::sync::Arc<[f64]>,
    pub reset: CounterReset,
}

impl Histogram {
    /// The sample that ends a series of histograms.
    pub fn stale() -> Histogram {
        Histogram { sum: crate::metric::stale_marker(), ..Histogram::default() }
    }

    pub fn is_stale(&self) -> bool {
        crate::metric::is_stale(self.sum)
    }
}
