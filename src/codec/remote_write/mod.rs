//! Prometheus remote write requests to batches, version 1.0 (`prometheus.WriteRequest`) and 2.0 (`io.prometheus.write.v2.Request`),
//! without building an object tree.
//!
//! Formats: prometheus.io/docs/specs/prw, `prompb/*.proto` in Prometheus' repository. What can be stored of a request is stored; the
//! rest is counted with its reason. Where the specification leaves a choice, Prometheus' own receiver is followed: labels may come in
//! any order, and NaNs and stale markers stay bit for bit. Start and created timestamps are handed to the store as OTLP's are.

mod family;
pub(crate) mod histogram;
mod labels;
mod rows;
mod v1;
mod v2;

use model::{MetricBatch, MsRange, Rejected};

use crate::otlp::error;
use crate::otlp::{DecodeError, KnownSeries, MetricsSettings};
use rows::Rows;

/// Which of the two messages a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

/// What a request becomes. Float samples and native histograms stand apart, since a 2.0 sender is told the count of each that was
/// written, and the store counts refusals by batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decoded {
    /// Each sample is a point of its own; with the exemplars of series that have no histogram in this request, and all metadata.
    pub floats: MetricBatch,
    /// Only histograms, and the exemplars of their series.
    pub histograms: MetricBatch,
    /// Samples and histograms refused, and exemplars whose own labels or time are wrong; those of a refused series go with it uncounted.
    pub rejected: Rejected,
}

/// Most memory that the decoded rows of one request may take, in bytes. An empty sample is two bytes on the wire and 28 in memory, so
/// that a limit on the body alone would bound little.
pub const DECODED_BYTES_MAX: usize = 256 << 20;

/// Most entries of the table of symbols of one 2.0 request, 48 bytes each. Prometheus sends 2,000 samples a request.
pub const SYMBOLS_MAX: usize = 1 << 20;

/// Decodes the uncompressed body of a request. `accept` bounds times: older ones are refused as `TooOld`, newer ones as `TooNew`.
///
/// Pure, and CPU-bound: a megabyte takes about a millisecond when its series are known.
///
/// # Errors
/// What is no such message, with path and byte offset, or a request over [`DECODED_BYTES_MAX`] or [`SYMBOLS_MAX`]; then nothing of it
/// may be stored.
pub fn decode(
    body: &[u8],
    message: Message,
    settings: &MetricsSettings,
    known: &dyn KnownSeries,
    accept: MsRange,
) -> Result<Decoded, DecodeError> {
    let mut rows = Rows::new(settings, known, accept);
    let read = match message {
        Message::V1 => v1::read(body, &mut rows),
        Message::V2 => v2::read(body, &mut rows),
    };
    read.map_err(|error| error::finished(*error))?;
    Ok(rows.finish())
}
