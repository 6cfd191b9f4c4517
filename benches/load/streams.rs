//! Many streams that say little: 2,000 hosts, a line a second each, of which a host's collector sends ten at a time. Then a search for a
//! term, the newest of one host, and the volume by service.

use std::time::Instant;

use binnacle::otlp_out::{self, int_attribute, text_attribute};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;

use crate::http::Connection;
use crate::logs::start_ns;
use crate::options::Options;
use crate::push::{self, Body, push};
use crate::rng::hash;
use crate::server::Server;

const HOSTS: usize = 2_000;
const SERVICES: usize = 20;
const LINES_A_REQUEST: usize = 10;
const SECOND_NS: u64 = 1_000_000_000;
/// Memory aimed at.
const GOAL_MB: f64 = 250.0;
/// Requests whose median is told, after one that is not.
const RUNS: usize = 5;

pub(crate) fn run(options: &Options) {
    let seconds = (3_600.0 * options.scale) as usize;
    let home = tempfile::tempdir().expect("a folder for the data");
    let server = Server::start(home.path());
    let pushed = push(&server, options, push::LOGS, seconds / LINES_A_REQUEST * HOSTS, request);
    pushed.print(push::LOGS);
    crate::print_cpu("", push::LOGS, pushed.items, pushed.bytes, server.cpu());
    println!("  {:.0} MB peak resident, {GOAL_MB} aimed at", server.peak_resident_bytes() as f64 / 1e6);
    let (from_ns, to_ns) = (start_ns() - SECOND_NS, start_ns() + (seconds as u64 + 1) * SECOND_NS);
    let span = format!("from={from_ns}&to={to_ns}");
    let mut connection = Connection::open(&server.http);
    server.forget_peak();
    for (what, path) in [
        ("count of a term of 5 %", format!("/api/v1/logs/histogram?q=refused&{span}&buckets=100")),
        ("newest 100 of all", format!("/api/v1/logs?q=&{span}&limit=100")),
        ("newest 100 of a stream", format!("/api/v1/logs?q=host.name:host-0777&{span}&limit=100")),
        (
            "newest 100 of a stream by LogQL",
            format!(
                "/loki/api/v1/query_range?query=%7Bhost_name%3D%22host-0777%22%7D&start={from_ns}&end={to_ns}&limit=100"
            ),
        ),
        (
            "volume by service",
            format!(
                "/loki/api/v1/index/volume?query=%7Bservice_name%3D~%22.%2B%22%7D&start={from_ns}&end={to_ns}&targetLabels=service_name"
            ),
        ),
    ] {
        connection.get(&path);
        let before = server.cpu().seconds();
        let mut took: Vec<f64> = (0..RUNS)
            .map(|_| {
                let begun = Instant::now();
                connection.get(&path);
                begun.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        let cpu_ms = (server.cpu().seconds() - before) * 1e3 / RUNS as f64;
        took.sort_by(f64::total_cmp);
        println!("  {:8.1} ms, {cpu_ms:8.1} cpu ms: {what}", took[RUNS / 2]);
    }
    println!("  {:.0} MB peak resident of the queries", server.peak_resident_bytes() as f64 / 1e6);
    drop(connection);
    server.stop();
    crate::print_disk(home.path(), push::LOGS, pushed.items);
}

/// What one host's collector sends every ten seconds.
fn request(index: usize) -> Body {
    let (host, turn) = (index % HOSTS, index / HOSTS);
    let at_s = (turn * LINES_A_REQUEST) as u64;
    let log_records = (0..LINES_A_REQUEST as u64).map(|line| record(host as u64, at_s + line)).collect();
    let resource = Some(otlp_out::resource(&[
        ("service.name", &format!("service-{:02}", host % SERVICES)),
        ("service.namespace", "load"),
        ("host.name", &format!("host-{host:04}")),
    ]));
    let scope_logs = vec![ScopeLogs { scope: Some(otlp_out::scope("load")), log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
    Body { bytes: ExportLogsServiceRequest { resource_logs }.encode_to_vec(), items: LINES_A_REQUEST }
}

fn record(host: u64, at_s: u64) -> LogRecord {
    let draw = |kind: u64| hash((host << 32 | at_s) << 4 | kind);
    let (body, severity_number, severity_text) = match draw(0) % 20 {
        0 => (format!("connection to 10.0.{}.{} refused", draw(1) % 256, draw(2) % 256), 17, "ERROR"),
        1..=9 => (format!("GET /api/orders/{} 200 in {} ms", draw(1) % 100_000, draw(2) % 900), 9, "INFO"),
        _ => (format!("worker {} took job {:016x} from the queue", draw(1) % 16, draw(2)), 9, "INFO"),
    };
    LogRecord {
        time_unix_nano: start_ns() + at_s * SECOND_NS + draw(3) % SECOND_NS,
        severity_number,
        severity_text: severity_text.into(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(body)) }),
        attributes: vec![
            text_attribute("thread.name", &format!("worker-{}", draw(4) % 16)),
            int_attribute("http.status", [200, 200, 204, 404, 500][draw(5) as usize % 5]),
        ],
        ..LogRecord::default()
    }
}
