//! What one request brings: the rows to store, and the account of those refused.

use crate::histogram::Histogram;
use crate::labels::Labels;
use crate::log::{LogRecord, Resource, Scope};
use crate::metric::{Exemplar, MetricMeta, Sample, SeriesId};

/// The series of a batch's samples: known to the store already, or with the labels to make it.
#[derive(Debug, Clone, PartialEq)]
pub enum SeriesEntry {
    Known(SeriesId),
    New {
        /// Fingerprint of the series as the sender wrote it (raw resource, metric and attribute bytes): under it the
        /// store remembers the id, so that the next request need not build labels. Two keys may lead to one label set.
        key: u128,
        labels: Labels,
    },
}

/// What counts up over time: which samples, since when, and whether from zero at each point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The samples of one data point that count: indexes into `samples`, the end excluded. Of `histogram_spans` into `histograms`.
    pub first: u32,
    pub end: u32,
    /// Since when they count; `None` when the sender does not know.
    pub start_ms: Option<i64>,
    pub counts: Counts,
}

/// From where a point counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// From the start that all points of a run share: OTLP's cumulative temporality, never falling within the run.
    Cumulative,
    /// From the point before: OTLP's delta temporality. The store keeps the running sum.
    Delta {
        /// Never negative: the running sum falls at a reset only.
        monotonic: bool,
    },
}

/// A data point that ends its series without naming them all (OTLP's NO_RECORDED_VALUE on a histogram or summary): every series of
/// the tenant with exactly these labels, this name, and one label more ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    pub at_ms: i64,
    pub labels: Labels,
    /// The one label more: `le` or `quantile`.
    pub by: &'static str,
}

/// Metric samples of one request, in the order sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricBatch {
    pub series: Vec<SeriesEntry>,
    /// Index into `series`, and the sample.
    pub samples: Vec<(u32, Sample)>,
    /// For each data point as OTLP counts them, the index in `samples` of its first sample: a gauge point is one sample, a
    /// histogram point several. A point is stored whole or refused whole.
    pub points: Vec<u32>,
    /// Samples from this index on were derived (`target_info`) and belong to no point.
    pub derived_from: u32,
    /// Native histograms: index into `series`, time in ms, and the histogram. Each is one data point, beside those of `points`.
    pub histograms: Vec<(u32, i64, Histogram)>,
    /// Index into `series`, and the exemplar.
    pub exemplars: Vec<(u32, Exemplar)>,
    /// Of those points that are cumulative since a start they name, or deltas; in order of `samples`.
    pub spans: Vec<Span>,
    /// The same for `histograms`.
    pub histogram_spans: Vec<Span>,
    pub ended: Vec<Ended>,
    /// Families whose metadata the sender gave; only those not known already.
    pub metadata: Vec<MetricMeta>,
}

/// Log records of one request, in the order sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogBatch {
    pub resources: Vec<Resource>,
    pub scopes: Vec<Scope>,
    /// Index into `resources`, index into `scopes`, and the record.
    pub records: Vec<(u32, u32, LogRecord)>,
}

/// Why rows were refused for good. A closed list, since it is a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A metric kind or temporality that is not stored.
    Unsupported,
    /// A point without a value, a histogram whose counts contradict each other, and the like.
    Malformed,
    /// A name or label that cannot be translated.
    BadName,
    /// A time of zero or outside what 64-bit nanoseconds can say.
    BadTime,
    /// Older than the retention.
    TooOld,
    /// Further in the future than clocks may differ.
    TooNew,
    /// Too many labels, or too long ones.
    LabelLimit,
    /// The tenant's limit of active series.
    SeriesLimit,
    /// The tenant's limit of new series a day.
    SeriesPerDayLimit,
    /// A record, attribute or nesting over its limit.
    RecordLimit,
    /// A delta that ends before what its stream has counted already, or begins before the stream did.
    OutOfOrder,
    /// The tenant's limit of delta streams.
    DeltaLimit,
    /// The tenant's limit of log streams a day.
    StreamLimit,
    /// For a day whose samples are gone and five minutes of it whose figures have the series.
    RolledUp,
}

impl Reason {
    pub const ALL: [Reason; 14] = [
        Reason::Unsupported,
        Reason::Malformed,
        Reason::BadName,
        Reason::BadTime,
        Reason::TooOld,
        Reason::TooNew,
        Reason::LabelLimit,
        Reason::SeriesLimit,
        Reason::SeriesPerDayLimit,
        Reason::RecordLimit,
        Reason::OutOfOrder,
        Reason::DeltaLimit,
        Reason::StreamLimit,
        Reason::RolledUp,
    ];

    /// The metric label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Unsupported => "unsupported",
            Reason::Malformed => "malformed",
            Reason::BadName => "bad_name",
            Reason::BadTime => "bad_time",
            Reason::TooOld => "too_old",
            Reason::TooNew => "too_new",
            Reason::LabelLimit => "label_limit",
            Reason::SeriesLimit => "series_limit",
            Reason::SeriesPerDayLimit => "series_per_day_limit",
            Reason::RecordLimit => "record_limit",
            Reason::OutOfOrder => "out_of_order",
            Reason::DeltaLimit => "delta_limit",
            Reason::StreamLimit => "stream_limit",
            Reason::RolledUp => "rolled_up",
        }
    }
}

/// The refused rows of one request: how many for which reason, and a sentence about the first of each.
///
/// Counts are OTLP's: data points for metrics (a histogram point is one, whatever number of series it becomes), records for logs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rejected {
    pub by_reason: Vec<(Reason, u64, String)>,
}

impl Rejected {
    /// Counts `rows` more; `message` is asked for only when this reason is new here.
    pub fn add(&mut self, reason: Reason, rows: u64, message: impl FnOnce() -> String) {
        match self.by_reason.iter_mut().find(|(known, _, _)| *known == reason) {
            Some((_, count, _)) => *count += rows,
            None => self.by_reason.push((reason, rows, message())),
        }
    }

    pub fn merge(&mut self, other: Rejected) {
        for (reason, rows, message) in other.by_reason {
            self.add(reason, rows, || message);
        }
    }

    pub fn total(&self) -> u64 {
        self.by_reason.iter().map(|(_, rows, _)| rows).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.by_reason.is_empty()
    }

    /// One sentence for `partial_success.error_message`; empty when nothing was refused.
    pub fn message(&self) -> String {
        let parts: Vec<String> = self
            .by_reason
            .iter()
            .map(|(reason, rows, message)| format!("{rows} {}: {message}", reason.as_str()))
            .collect();
        parts.join("; ")
    }
}
