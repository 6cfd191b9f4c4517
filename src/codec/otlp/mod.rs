//! OTLP requests to batches, without building prost's object tree.
//!
//! Two readers (protobuf, JSON) drive the same row builders, so that a request means the same in either encoding.

pub(crate) mod error;
mod exemplar;
mod exponential;
pub(crate) mod fingerprint;
mod json;
mod keys;
pub(crate) mod label;
mod layout;
mod limits;
mod name;
mod part;
mod point;
mod protobuf;
mod record;
pub mod reply;
pub(crate) mod series;
mod target;
mod temporality;
mod unit;
pub(crate) mod wire;

use std::sync::Arc;

use model::{MetricBatch, MsRange, Rejected, SeriesId};

pub use error::DecodeError;
pub use fingerprint::metadata_hash;
pub use json::write::write_logs;
pub use label::check_limits;
pub use layout::Layout;
pub use record::{LogRows, TRUNCATED_BYTES};
pub use series::outside;

use crate::packed::PackedLogs;
use record::Records;
use series::Rows;

/// How the body of a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Protobuf,
    Json,
}

/// Which resource attributes become labels of every series (`metrics.promote_resource_attributes`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promote {
    All,
    None,
    List(Vec<String>),
}

/// How metric and label names are translated (Prometheus `otlp.translation_strategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Translation {
    UnderscoreEscapingWithSuffixes,
    UnderscoreEscapingWithoutSuffixes,
    NoUtf8EscapingWithSuffixes,
    NoTranslation,
}

/// What becomes of delta temporality (`metrics.delta`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delta {
    /// The store sums it up: counters and histograms as every query expects them.
    Cumulative,
    /// Each delta is stored as it is, as a gauge: for `sum_over_time`, not for `rate`.
    AsIs,
    Refuse,
}

/// What a metrics request becomes. `DECISIONS.md` beside this file says what of OTLP is done how, and why.
#[derive(Debug, Clone)]
pub struct MetricsSettings {
    pub promote: Promote,
    /// Never promoted, even with `All`: exact keys, or with `*` as prefix (`process.*`) or suffix (`*.uid`).
    pub ignore: Vec<String>,
    pub translation: Translation,
    pub delta: Delta,
    /// Scope name, version, schema URL and attributes become `otel_scope_*` labels (Prometheus `otlp.promote_scope_metadata`).
    pub promote_scope: bool,
    /// `target_info` keeps `service.name`, `service.namespace` and `service.instance.id` beside `job` and `instance`.
    pub keep_identifying: bool,
    pub labels_max: usize,
    pub label_name_bytes_max: usize,
    pub label_value_bytes_max: usize,
}

/// Bounds of one log record; over them the record is refused (or, for the body, cut with a mark).
#[derive(Debug, Clone)]
pub struct LogsSettings {
    /// Records of one request; further ones are refused. A record without fields is two bytes on the wire and hundreds in memory,
    /// so that a limit on bytes alone would bound nothing.
    pub records_max: usize,
    pub body_bytes_max: usize,
    pub attributes_max: usize,
    pub attribute_bytes_max: usize,
    /// Texts and values of a record together.
    pub record_bytes_max: usize,
}

/// What the store already knows, so that the common request builds no labels at all.
pub trait KnownSeries {
    /// The series that a sender's fingerprint led to before.
    fn lookup(&self, key: u128) -> Option<SeriesId>;
    /// Whether this exact metadata (hash of family, kind, unit, help) was stored already.
    fn knows_metadata(&self, hash: u64) -> bool;

    /// What was learned under a key, if it was kept.
    fn layout(&self, _key: u128) -> Option<Arc<Layout>> {
        None
    }

    /// Offers a layout to be kept for as long as the store knows [its series](Layout::series), in the place of the one that the key has.
    fn learn_layout(&self, _key: u128, _layout: Arc<Layout>) {}
}

/// Decodes an ExportMetricsServiceRequest. `accept` bounds the points' times: older ones are refused as `TooOld`, newer ones as `TooNew`.
///
/// Pure, and CPU-bound: some megabytes take milliseconds.
///
/// # Errors
/// What cannot be read, with its path and byte offset; then nothing of the request may be stored. Points that can be read but not
/// stored are counted in [`Rejected`] instead.
pub fn decode_metrics(
    body: &[u8],
    encoding: Encoding,
    settings: &MetricsSettings,
    known: &dyn KnownSeries,
    accept: MsRange,
) -> Result<(MetricBatch, Rejected), DecodeError> {
    let mut rows = Rows::new(settings, known, accept);
    let read = match encoding {
        Encoding::Protobuf => protobuf::metrics::read(body, &mut rows),
        Encoding::Json => json::metrics::read(body, &mut rows),
    };
    read.map_err(|error| error::finished(*error))?;
    Ok(rows.finish())
}

/// Decodes an ExportLogsServiceRequest. `received_ns` stands in where a record has no time of its own; `accept` bounds its time.
///
/// # Errors
/// As [`decode_metrics`].
pub fn decode_logs(
    body: &[u8],
    encoding: Encoding,
    settings: &LogsSettings,
    received_ns: i64,
    accept: MsRange,
) -> Result<(PackedLogs, Rejected), DecodeError> {
    let mut records = Records::new(settings, received_ns, accept, body.len());
    let read = match encoding {
        Encoding::Protobuf => protobuf::logs::read(body, &mut records),
        Encoding::Json => json::logs::read(body, &mut records),
    };
    read.map_err(|error| error::finished(*error))?;
    Ok(records.finish())
}
