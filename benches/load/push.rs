//! Pushes a row of requests at a server over some connections, and keeps how long each took.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::server::Server;
use crate::{grpc, http};

/// What one request holds, and how many items that is.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) items: usize,
}

/// Where the requests of a load go.
#[derive(Clone, Copy)]
pub(crate) struct Signal {
    /// One item, in a word.
    pub(crate) unit: &'static str,
    pub(crate) http_path: &'static str,
    pub(crate) grpc_method: &'static str,
}

pub(crate) const METRICS: Signal = Signal {
    unit: "sample",
    http_path: "/v1/metrics",
    grpc_method: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
};
pub(crate) const LOGS: Signal = Signal {
    unit: "record",
    http_path: "/v1/logs",
    grpc_method: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

/// What was pushed.
pub(crate) struct Pushed {
    pub(crate) requests: usize,
    pub(crate) items: usize,
    pub(crate) bytes: usize,
    pub(crate) took: Duration,
    /// From the first byte sent to the acknowledgement, sorted.
    pub(crate) latencies: Vec<Duration>,
}

enum Connection {
    Http(http::Connection),
    Grpc(grpc::Connection),
}

/// Pushes requests `0..requests`, in order over all connections together; each waits for its answer before it sends the next.
pub(crate) fn push(
    server: &Server,
    options: &Options,
    signal: Signal,
    requests: usize,
    make: impl Fn(usize) -> Body + Sync,
) -> Pushed {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Pushed { requests, items: 0, bytes: 0, took: Duration::ZERO, latencies: Vec::new() });
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..options.connections {
            scope.spawn(|| {
                let mut connection = if options.grpc {
                    Connection::Grpc(grpc::Connection::open(&server.otlp_grpc))
                } else {
                    Connection::Http(http::Connection::open(&server.otlp_http))
                };
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= requests {
                        return;
                    }
                    let body = make(index);
                    let sent = Instant::now();
                    match &mut connection {
                        Connection::Http(connection) => connection.post(signal.http_path, &body.bytes),
                        Connection::Grpc(connection) => connection.call(signal.grpc_method, &body.bytes),
                    }
                    let took = sent.elapsed();
                    let mut done = done.lock().expect("no thread panicked");
                    done.latencies.push(took);
                    done.items += body.items;
                    done.bytes += body.bytes.len();
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no thread panicked");
    done.took = began.elapsed();
    done.latencies.sort();
    done
}

impl Pushed {
    /// Prints how much it was, and how long the answers took.
    pub(crate) fn print(&self, signal: Signal) {
        println!(
            "{} {}s in {} requests, {:.1} MB of OTLP, {:.1} s",
            self.items,
            signal.unit,
            self.requests,
            self.bytes as f64 / 1e6,
            self.took.as_secs_f64()
        );
        println!(
            "  {:.1} / {:.1} / {:.1} / {:.1} ms a request (p50 / p99 / p99.9 / max)",
            self.percentile_ms(0.5),
            self.percentile_ms(0.99),
            self.percentile_ms(0.999),
            self.percentile_ms(1.0)
        );
    }

    /// How long the answers to this share of the requests took at most.
    pub(crate) fn percentile_ms(&self, share: f64) -> f64 {
        let at = (self.latencies.len().saturating_sub(1) as f64 * share) as usize;
        self.latencies.get(at).map_or(0.0, |took| took.as_secs_f64() * 1e3)
    }
}
