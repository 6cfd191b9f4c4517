//! The JSON reader, and a writer for logs: proto3 JSON with OTLP's deviations (hex ids, enums as numbers).
//!
//! Our own, as no serde derive reads it rightly: 64-bit numbers come as text or number and must stay exact, `null` means absent
//! everywhere, members come in any order, and an error must name its place (opentelemetry-proto's `with-serde` loses data silently).

mod common;
pub(crate) mod logs;
pub(crate) mod metrics;
mod number;
mod scalar;
mod text;
pub(crate) mod write;
