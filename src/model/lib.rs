//! The vocabulary of Binnacle: plain values that every other room speaks.
//!
//! Nothing here does I/O, reads a clock, or knows a wire format. Wire shapes live in `codec` (OTLP),
//! `server` (JSON) and `store` (disk); they are converted to these values once, at the edge.

pub mod alert;
pub mod any;
pub mod batch;
pub mod cause;
pub mod fault;
pub mod go_regex;
pub mod histogram;
pub mod labels;
pub mod log;
pub mod matcher;
pub mod meter;
pub mod metric;
pub mod severity;
pub mod silence;
pub mod spelling;
pub mod tenant;
pub mod time;

pub use alert::{AlertState, Instance, Intent, IntentState, Transition};
pub use any::{AnyValue, Key};
pub use batch::{Counts, Ended, LogBatch, MetricBatch, Reason, Rejected, SeriesEntry, Span};
pub use fault::Kind;
pub use histogram::{CounterReset, Histogram};
pub use labels::{Labels, LabelsBuilder};
pub use log::{LogRecord, Resource, Scope, Severity};
pub use matcher::{Candidates, MatchOp, Matcher};
pub use metric::{Exemplar, MetricKind, MetricMeta, Sample, SeriesId};
pub use silence::{Ack, AuditEntry, PushedAlert, Silence, SilenceState};
pub use tenant::TenantId;
pub use time::{MsRange, NsRange};
