//! OTLP in, over HTTP and gRPC: two ways to carry the same request, one way through the house.
//!
//! Stored + rejected = sent, for every request that is answered with success; every other answer means nothing was stored.

pub(crate) mod body;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod intake;
pub(crate) mod packing;

use model::Rejected;
use model::meter::{Counter, Timing};
use std::time::Duration;

use crate::error::Fault;

static REQUESTS: Counter = Counter::new(
    "binnacle_ingest_requests_total",
    "OTLP, remote write and Loki push requests answered, by HTTP status or gRPC code.",
    &["signal", "transport", "code"],
);
static ITEMS: Counter =
    Counter::new("binnacle_ingest_items_total", "Metric data points and log records stored.", &["signal"]);
static REJECTED: Counter = Counter::new(
    "binnacle_ingest_rejected_items_total",
    "Metric data points and log records refused for good, as their sender is told.",
    &["signal", "reason"],
);
static BYTES: Counter = Counter::new(
    "binnacle_ingest_bytes_total",
    "Bytes of OTLP, remote write and Loki push requests after decompression.",
    &["signal"],
);
static DURATION: Timing =
    Timing::new("binnacle_ingest_duration_seconds", "From the request's last byte to its answer.", &["signal"]);

/// Where Prometheus takes OTLP metrics, on the port of its API.
pub(crate) const PROMETHEUS_METRICS: &str = "/api/v1/otlp/v1/metrics";
/// Where senders that are set up for a Loki push OTLP; taken on the listener for queries too, as Loki has one for all.
pub(crate) const LOKIS_LOGS: &str = "/otlp/v1/logs";

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
            "/v1/metrics" | PROMETHEUS_METRICS | grpc::METRICS_EXPORT => Some(Signal::Metrics),
            "/v1/logs" | LOKIS_LOGS | grpc::LOGS_EXPORT => Some(Signal::Logs),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Http,
    Grpc,
    /// Prometheus remote write.
    RemoteWrite,
    LokiPush,
}

/// What is said of signals that are not stored here: final, so that SDKs do not try again for ever.
pub(crate) const NOT_STORED: &str =
    "traces and profiles are not stored here, only metrics and logs; send them elsewhere or turn their exporter off";

pub(crate) fn count_request(signal: Signal, transport: Transport, fault: &Fault) {
    let code = match transport {
        Transport::Http | Transport::RemoteWrite | Transport::LokiPush => fault.status().as_str().to_owned(),
        Transport::Grpc => grpc::code_name(fault.code()).to_owned(),
    };
    REQUESTS.add(&[signal.as_str(), transport_name(transport), &code], 1);
}

pub(crate) fn count_success(signal: Signal, transport: Transport, took: Duration) {
    let code = match transport {
        Transport::Http => "200",
        Transport::Grpc => "OK",
        Transport::RemoteWrite | Transport::LokiPush => "204",
    };
    REQUESTS.add(&[signal.as_str(), transport_name(transport), code], 1);
    DURATION.observe(&[signal.as_str()], took);
}

fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Http => "http",
        Transport::Grpc => "grpc",
        Transport::RemoteWrite => "remote_write",
        Transport::LokiPush => "loki_push",
    }
}

/// Counts rows that were stored, and those that were refused for good.
pub(crate) fn count_rows(signal: Signal, stored: u64, rejected: &Rejected) {
    ITEMS.add(&[signal.as_str()], stored);
    for (reason, rows, _) in rejected.by_reason.iter().filter(|(_, rows, _)| *rows > 0) {
        REJECTED.add(&[signal.as_str(), reason.as_str()], *rows);
    }
}

/// Counts what a scrape brought as rows like those of senders: stored ones, and those refused for good.
pub fn count_scraped(stored: u64, rejected: &Rejected) {
    count_rows(Signal::Metrics, stored, rejected);
}

pub(crate) fn count_bytes(signal: Signal, plain: usize) {
    BYTES.add(&[signal.as_str()], plain as u64);
}
