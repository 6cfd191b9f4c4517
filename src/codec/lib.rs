//! Bytes to model and back: OTLP in protobuf and JSON, Prometheus remote write and expositions, metric chunks, log blocks, alert rows,
//! key order. Pure functions.

pub mod alert;
mod alert_row;
pub mod alert_silence;
pub mod block;
pub mod body;
pub mod chunk;
pub mod day;
mod decimal;
pub mod exemplar;
pub mod exposition;
pub mod field;
pub mod histogram;
pub mod histogram_chunk;
pub mod histogram_sum;
pub mod intake;
pub mod loki_push;
pub mod otlp;
pub mod packed;
pub mod page;
pub mod remote_read;
pub mod remote_write;
pub mod run;
pub mod series;
pub mod syslog;
pub mod wire;
pub mod words;
