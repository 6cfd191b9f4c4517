//! Range aggregations: samples from a log expression over a window.

use super::{LabelFilter, LogExpr};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RangeOp {
    Count,
    Rate,
    RateCounter,
    Bytes,
    BytesRate,
    Avg,
    Sum,
    Min,
    Max,
    Stdvar,
    Stddev,
    Quantile,
    First,
    Last,
    Absent,
}

impl RangeOp {
    pub const ALL: [RangeOp; 15] = [
        RangeOp::Count,
        RangeOp::Rate,
        RangeOp::RateCounter,
        RangeOp::Bytes,
        RangeOp::BytesRate,
        RangeOp::Avg,
        RangeOp::Sum,
        RangeOp::Min,
        RangeOp::Max,
        RangeOp::Stdvar,
        RangeOp::Stddev,
        RangeOp::Quantile,
        RangeOp::First,
        RangeOp::Last,
        RangeOp::Absent,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            RangeOp::Count => "count_over_time",
            RangeOp::Rate => "rate",
            RangeOp::RateCounter => "rate_counter",
            RangeOp::Bytes => "bytes_over_time",
            RangeOp::BytesRate => "bytes_rate",
            RangeOp::Avg => "avg_over_time",
            RangeOp::Sum => "sum_over_time",
            RangeOp::Min => "min_over_time",
            RangeOp::Max => "max_over_time",
            RangeOp::Stdvar => "stdvar_over_time",
            RangeOp::Stddev => "stddev_over_time",
            RangeOp::Quantile => "quantile_over_time",
            RangeOp::First => "first_over_time",
            RangeOp::Last => "last_over_time",
            RangeOp::Absent => "absent_over_time",
        }
    }
}

/// `rate({app="api"} | json [5m])`
#[derive(Debug, Clone, PartialEq)]
pub struct RangeAggregation {
    pub op: RangeOp,
    /// The quantile of [`RangeOp::Quantile`]; `None` for all others. Never negative.
    pub quantile: Option<f64>,
    pub range: LogRange,
    /// Only where Loki allows one: avg, min, max, stddev, stdvar, quantile, first and last.
    pub grouping: Option<Grouping>,
}

/// A log expression with the window that is looked back over from each step.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRange {
    pub log: LogExpr,
    /// Whence the samples' values come; `None`: from the line itself.
    pub unwrap: Option<Unwrap>,
    /// Whole milliseconds; can be 0.
    pub interval_ns: i64,
    /// Back in time; negative when forward.
    pub offset_ns: i64,
}

/// `| unwrap duration(latency) | __error__=""`
#[derive(Debug, Clone, PartialEq)]
pub struct Unwrap {
    pub label: String,
    pub conversion: Conversion,
    /// All must hold after the value was converted; they can see the conversion's error.
    pub filters: Vec<LabelFilter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conversion {
    /// The text is a number.
    Float,
    /// `bytes()`: `12KiB`
    Bytes,
    /// `duration()`: `1.5s`, in seconds.
    Duration,
    /// `duration_seconds()`: the same.
    DurationSeconds,
}

impl Conversion {
    /// The function's name; empty for a plain number.
    pub fn as_str(self) -> &'static str {
        match self {
            Conversion::Float => "",
            Conversion::Bytes => "bytes",
            Conversion::Duration => "duration",
            Conversion::DurationSeconds => "duration_seconds",
        }
    }
}

/// `by (a, b)` or `without (a)`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grouping {
    pub without: bool,
    pub labels: Vec<String>,
}

impl Grouping {
    /// `by ()`: everything is one series without labels.
    pub fn is_single(&self) -> bool {
        !self.without && self.labels.is_empty()
    }
}
