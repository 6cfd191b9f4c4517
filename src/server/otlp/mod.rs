//! OTLP in, over HTTP and gRPC: two ways to carry the same request, one way through the house.
//!
//! Stored + rejected = sent, for every request that is answered with success; every other answer means nothing was stored.

pub(crate) mod body;
pub(crate) mod grpc;
pub(crate) mod http;
mod intake;
pub(crate) mod packing;

use model::meter::{Counter, Timing};
use std::time::Duration;

use crate::error::Fault;

static REQUESTS: Counter = Counter::new(
    "binnacle_ingest_requests_total",
    "OTLP requests answered, by HTTP status or gRPC code.",
    &["signal", "transport", "code"],
);
static ITEMS: Counter =
    Counter::new("binnacle_ingest_items_total", "Metric data points and log records stored.", &["signal"]);
static REJECTED: Counter = Counter::new(
    "binnacle_ingest_rejected_items_total",
    "Metric data points and log records refused for good, as told in partial_success.",
    &["signal", "reason"],
);
static BYTES: Counter =
    Counter::new("binnacle_ingest_bytes_total", "Bytes of OTLP requests after decompression.", &["signal"]);
static DURATION: Timing =
    Timing::new("binnacle_ingest_duration_seconds", "From the request's last byte to its answer.", &["signal"]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Metrics,
    Logs,
}

impl Signal {
    fn as_str(self) -> &'static str {
        match self {
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }

    /// The signal of an OTLP/HTTP path or a gRPC method.
    pub(crate) fn of_path(path: &str) -> Option<Signal> {
        match path {
            "/v1/metrics" | grpc::METRICS_EXPORT => Some(Signal::Metrics),
            "/v1/logs" | grpc::LOGS_EXPORT => Some(Signal::Logs),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Http,
    Grpc,
}

/// What is said of signals that are not stored here: final, so that SDKs do not try again for ever.
pub(crate) const NOT_STORED: &str =
    "traces and profiles are not stored here, only metrics and logs; send them elsewhere or turn their exporter off";

pub(crate) fn count_request(signal: Signal, transport: Transport, fault: &Fault) {
    let code = match transport {
        Transport::Http => fault.status().as_str().to_owned(),
        Transport::Grpc => grpc::code_name(fault.code()).to_owned(),
    };
    REQUESTS.add(&[signal.as_str(), transport_name(transport), &code], 1);
}

fn count_success(signal: Signal, transport: Transport, took: Duration) {
    let code = match transport {
        Transport::Http => "200",
        Transport::Grpc => "OK",
    };
    REQUESTS.add(&[signal.as_str(), transport_name(transport), code], 1);
    DURATION.observe(&[signal.as_str()], took);
}

fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Http => "http",
        Transport::Grpc => "grpc",
    }
}
