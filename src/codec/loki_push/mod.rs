//! Loki push requests to batches: `logproto.PushRequest` in protobuf, and its JSON form.
//!
//! Formats: pkg/push/push.proto and "Ingest logs" of Loki's HTTP API. A stream's labels become a resource of their own, marked by
//! [`STREAM_LABELS`], so that the Loki API gives them back as they came; structured metadata becomes attributes of the record. What can
//! be stored of a request is stored; the rest is counted with its reason, in Loki's words.

mod json;
mod labels;
mod protobuf;
mod rows;

use model::{LogBatch, MsRange, Rejected};

use crate::otlp::error;
use crate::otlp::{DecodeError, LogsSettings};
use rows::Rows;

#[cfg(doc)]
use model::log::STREAM_LABELS;

/// How the body of a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// `logproto.PushRequest`, after snappy.
    Protobuf,
    /// `{"streams":[{"stream":{…},"values":[["<ns>","line",{…}]]}]}`.
    Json,
}

/// What a request holds.
#[derive(Debug, Default)]
pub struct Decoded {
    pub batch: LogBatch,
    pub rejected: Rejected,
    /// How many streams it has, with entries or without.
    pub streams: usize,
}

/// Decodes the uncompressed body of a request. `accept` bounds the entries' times: older ones are refused as `TooOld`, newer ones as
/// `TooNew`. Empty streams are no error; an entry without a time gets `received_ns`.
///
/// Pure, and CPU-bound.
///
/// # Errors
/// What is no such message, with path and byte offset; then nothing of it may be stored.
pub fn decode(
    body: &[u8],
    written: Written,
    settings: &LogsSettings,
    received_ns: i64,
    accept: MsRange,
) -> Result<Decoded, DecodeError> {
    let mut rows = Rows::new(settings, received_ns, accept);
    let streams = match written {
        Written::Protobuf => protobuf::read(body, &mut rows).map_err(|error| error::finished(*error))?,
        Written::Json => json::read(body, &mut rows)?,
    };
    let (batch, rejected) = rows.finish();
    Ok(Decoded { batch, rejected, streams })
}

#[cfg(test)]
mod tests;
