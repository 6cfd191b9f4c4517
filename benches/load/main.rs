//! What does intake cost, end to end? See `benches/README.md`.

mod http;
mod logs;
mod metrics;
mod rng;
mod server;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Connections that push at once.
const CONNECTIONS: usize = 2;

/// What one request holds, and how many items that is.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) items: usize,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let scale =
        args.get(1).map_or(1.0, |text| text.parse().expect("the second argument is a factor of the load's size"));
    match args.first().map(String::as_str) {
        Some("metrics") => run("/v1/metrics", "samples", metrics::requests(scale), metrics::request),
        Some("logs") => run("/v1/logs", "records", logs::requests(scale), logs::request),
        // `cargo bench` without a choice runs every bench; a load takes minutes and is asked for by name.
        _ => println!("choose a load: cargo bench --bench load -- metrics|logs [SCALE]"),
    }
}

fn run(path: &str, unit: &str, requests: usize, make: fn(usize) -> Body) {
    let home = tempfile::tempdir().expect("a folder for the data");
    let server = server::Server::start(home.path());
    let next = AtomicUsize::new(0);
    let latencies = Mutex::new(Vec::new());
    let items = AtomicUsize::new(0);
    let bytes = AtomicUsize::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut connection = http::Connection::open(&server.otlp_http);
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= requests {
                        return;
                    }
                    let body = make(index);
                    let sent = Instant::now();
                    connection.post(path, &body.bytes);
                    latencies.lock().expect("no thread panicked").push(sent.elapsed());
                    items.fetch_add(body.items, Ordering::Relaxed);
                    bytes.fetch_add(body.bytes.len(), Ordering::Relaxed);
                }
            });
        }
    });
    let took = began.elapsed();
    let (items, bytes) = (items.into_inner(), bytes.into_inner());
    let during = server.cpu_seconds();
    let peak = server.peak_resident_bytes();
    let (cpu_seconds, disk_bytes) = server.stop(home.path());
    let mut latencies = latencies.into_inner().expect("no thread panicked");
    latencies.sort();
    let percentile = |share: f64| millis(latencies[((latencies.len() - 1) as f64 * share) as usize]);
    println!(
        "{items} {unit} in {requests} requests, {:.1} MB of OTLP, {:.1} s",
        bytes as f64 / 1e6,
        took.as_secs_f64()
    );
    println!(
        "  {:.0} {unit}/cpu-s ({:.1} MB OTLP/cpu-s); {:.0} without the stop",
        items as f64 / cpu_seconds,
        bytes as f64 / 1e6 / cpu_seconds,
        items as f64 / during
    );
    println!(
        "  {:.2} bytes a {} on disk ({:.1} MB)",
        disk_bytes as f64 / items as f64,
        unit.trim_end_matches('s'),
        disk_bytes as f64 / 1e6
    );
    println!("  {:.0} MB peak resident", peak as f64 / 1e6);
    println!(
        "  {:.1} / {:.1} / {:.1} ms a request (p50 / p99 / max)",
        percentile(0.5),
        percentile(0.99),
        percentile(1.0)
    );
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
