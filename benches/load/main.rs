//! What do intake and queries cost, end to end? See `benches/README.md`.

mod backlog;
mod grpc;
mod http;
mod log_queries;
mod logs;
mod metrics;
mod options;
mod peers;
mod push;
mod queries;
mod rng;
mod series;
mod server;
mod start;
mod streams;
mod timing;

use options::Options;
use push::{Body, Signal, push};
use server::{Cpu, Server};

fn main() {
    // The gRPC client asks for a TLS provider even where it needs none.
    rustls::crypto::ring::default_provider().install_default().expect("nobody installed a TLS provider before");
    let options = Options::of_command_line();
    match options.load.as_str() {
        "metrics" => {
            let points = options.points;
            let requests = metrics::requests((points as f64 * options.scale) as u64);
            run(&options, push::METRICS, requests, |index| metrics::request(index, points));
        }
        "logs" => {
            run(&options, push::LOGS, logs::requests(options.scale), logs::request);
        }
        "backlog" => backlog::run(&options),
        "100k" => series::active(options.scale),
        "churn" => series::churn(options.scale),
        "streams" => streams::run(&options),
        "peers" => peers::run(&options),
        "start" => start::run(&options),
        "query" => queries::run(&options),
        "logquery" => log_queries::run(&options),
        // `cargo bench` without a choice runs every bench; a load takes minutes and is asked for by name.
        _ => println!(
            "choose a load: cargo bench --bench load -- metrics|logs|streams|backlog|100k|churn|start|query|peers|logquery [SCALE] [--grpc] [--points N] [--connections N]"
        ),
    }
}

/// Pushes at a server of its own and prints what that came to; returns the items, and the processor time of the server's whole life.
fn run(options: &Options, signal: Signal, requests: usize, make: impl Fn(usize) -> Body + Sync) -> (usize, Cpu) {
    let home = tempfile::tempdir().expect("a folder for the data");
    let server = Server::start(home.path());
    let pushed = push(&server, options, signal, requests, make);
    pushed.print(signal);
    let during = server.cpu();
    let peak = server.peak_resident_bytes();
    let whole = server.stop();
    print_cpu("", signal, pushed.items, pushed.bytes, whole);
    println!("  {:.0} {}s/cpu-s without the stop", pushed.items as f64 / during.seconds(), signal.unit);
    println!("  {:.0} MB peak resident", peak as f64 / 1e6);
    print_disk(home.path(), signal, pushed.items);
    (pushed.items, whole)
}

fn print_cpu(of: &str, signal: Signal, items: usize, bytes: usize, cpu: Cpu) {
    println!(
        "  {of}{:.0} {}s/cpu-s ({:.1} MB OTLP/cpu-s; {:.2} s user, {:.2} s system)",
        items as f64 / cpu.seconds(),
        signal.unit,
        bytes as f64 / 1e6 / cpu.seconds(),
        cpu.user_s,
        cpu.system_s
    );
}

/// What lies on the disk after the stop, file by file of the ten largest.
pub(crate) fn print_disk(home: &std::path::Path, signal: Signal, items: usize) {
    let mut files = server::files(&home.join("data"));
    let all: u64 = files.iter().map(|(_, bytes)| bytes).sum();
    println!("  {:.2} bytes a {} on disk ({:.1} MB):", all as f64 / items as f64, signal.unit, all as f64 / 1e6);
    files.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    for (path, bytes) in files.iter().take(10) {
        println!("    {:6.2} {:8.2} MB {path}", *bytes as f64 / items as f64, *bytes as f64 / 1e6);
    }
}
