//! Bytes to model and back: OTLP in protobuf and JSON, metric chunks, log blocks, alert rows, key order. Pure functions.

pub mod alert;
mod alert_row;
pub mod block;
pub mod chunk;
pub mod field;
pub mod histogram;
pub mod histogram_chunk;
pub mod intake;
pub mod otlp;
pub mod wire;
pub mod words;
