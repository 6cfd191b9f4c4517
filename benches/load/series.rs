//! Many series: 100,000 active at once, and a day on which a million come and go. What they take in memory, and whether others'
//! queries notice.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use binnacle::otlp_out::{self, gauge, point};
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use prost::Message as _;

use crate::http::Connection;
use crate::rng::unit;
use crate::server::Server;

const CONNECTIONS: usize = 2;
const METRICS: u64 = 20;
const DAY_NS: u64 = 86_400_000_000_000;
const HOUR_NS: u64 = DAY_NS / 24;

/// 100,000 series of 5,000 pods, a point every 15 s, `scale` times two hours.
pub(crate) fn active(scale: f64) {
    const PODS: u64 = 5_000;
    const STEP_NS: u64 = 15_000_000_000;
    let steps = (480.0 * scale) as u64;
    let home = tempfile::tempdir().expect("a folder for the data");
    let server = Server::start(home.path());
    let began_ns = binnacle::clock::now_ns() / STEP_NS * STEP_NS - steps * STEP_NS;
    let before = server.resident_bytes();
    let pods_each = 100;
    let requests = (PODS / pods_each * steps) as usize;
    let began = Instant::now();
    push(&server, requests, |index| {
        let (step, group) = (index as u64 / (PODS / pods_each), index as u64 % (PODS / pods_each));
        let pods = group * pods_each..(group + 1) * pods_each;
        pods.map(|pod| pod_metrics("active", pod, began_ns + step * STEP_NS, step)).collect()
    });
    println!(
        "{} series, {steps} points each, {:.1} s: {:.0} MB resident before, {:.0} after, {:.0} at the peak",
        PODS * METRICS,
        began.elapsed().as_secs_f64(),
        mb(before),
        mb(server.resident_bytes()),
        mb(server.peak_resident_bytes()),
    );
    server.kill();
    disk(home.path(), (PODS * METRICS * steps) as f64);
}

/// A million series, 41,660 new ones an hour, `scale` times 12 points each; 1,000 series live all day.
pub(crate) fn churn(scale: f64) {
    const PODS_AN_HOUR: u64 = 2_083;
    const STEADY: u64 = 50;
    let points = ((12.0 * scale) as u64).max(1);
    let home = tempfile::tempdir().expect("a folder for the data");
    let mut server = Server::start(home.path());
    // All of yesterday.
    let day_ns = (binnacle::clock::now_ns() / DAY_NS - 1) * DAY_NS;
    let steady_points = 24 * 12;
    push(&server, steady_points, |index| {
        let at_ns = day_ns + index as u64 * (HOUR_NS / 12);
        (0..STEADY).map(|pod| pod_metrics("steady", pod, at_ns, index as u64)).collect()
    });
    let start_s = day_ns / 1_000_000_000;
    let query = format!(
        "/api/v1/query_range?query=sum%20by%20(job)%20(steady_metric_3)&start={start_s}&end={}&step=300",
        start_s + 86_399
    );
    println!(
        "before the churn: {:.0} MB resident, {} series a query of steady ones",
        mb(server.resident_bytes()),
        STEADY
    );
    report_queries(&server, &query);
    let pods_each = 100;
    let groups = PODS_AN_HOUR.div_ceil(pods_each);
    let requests = (24 * points * groups) as usize;
    let began = Instant::now();
    push(&server, requests, |index| {
        let index = index as u64;
        let (group, step, hour) = (index % groups, index / groups % points, index / groups / points);
        let pods = group * pods_each..((group + 1) * pods_each).min(PODS_AN_HOUR);
        let at_ns = day_ns + hour * HOUR_NS + step * (HOUR_NS / points);
        pods.map(|pod| pod_metrics("churn", hour << 32 | pod, at_ns, step)).collect()
    });
    println!(
        "{} series came and went in {:.1} s, {points} points each: {:.0} MB resident, {:.0} at the peak",
        24 * PODS_AN_HOUR * METRICS,
        began.elapsed().as_secs_f64(),
        mb(server.resident_bytes()),
        mb(server.peak_resident_bytes()),
    );
    report_queries(&server, &query);
    let one = format!(
        "/api/v1/query_range?query=count(churn_metric_3%7Bpod%3D~%22pod-5-.*%22%7D)&start={start_s}&end={}&step=300",
        start_s + 86_399
    );
    println!("of one hour's pods by a prefix:");
    report_queries(&server, &one);
    server.kill();
    let began = Instant::now();
    server = Server::start(home.path());
    println!("  {:.2} s from a start after kill -9 to ready", began.elapsed().as_secs_f64());
    report_queries(&server, &query);
    println!("  {:.0} MB resident after that start", mb(server.resident_bytes()));
    server.kill();
    disk(home.path(), (24 * PODS_AN_HOUR * METRICS * points) as f64);
}

fn pod_metrics(kind: &str, pod: u64, at_ns: u64, step: u64) -> ResourceMetrics {
    let metrics = (0..METRICS).map(|number| {
        let value = (1e3 * unit(pod << 8 ^ number) + 10.0 * unit(pod << 24 ^ number << 12 ^ step)).round();
        gauge(&format!("{kind}.metric.{number}"), "", "", vec![point(at_ns, 0, value, &[("state", "used")])])
    });
    let name = format!("pod-{}-{:08x}", pod >> 32, (unit(pod) * f64::from(u32::MAX)) as u32);
    let from = otlp_out::resource(&[
        ("service.name", ["api", "web", "ocr", "mail"][(pod % 4) as usize]),
        ("service.instance.id", &name),
        ("pod", &name),
        ("k8s.namespace.name", ["prod", "test"][(pod / 4 % 2) as usize]),
        ("k8s.node.name", &format!("node-{}", pod % 40)),
    ]);
    otlp_out::resource_metrics(from, "load", metrics.collect())
}

fn push(server: &Server, requests: usize, make: impl Fn(usize) -> Vec<ResourceMetrics> + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut connection = Connection::open(&server.otlp_http);
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= requests {
                        return;
                    }
                    connection.post("/v1/metrics", &otlp_out::request(make(index)).encode_to_vec());
                }
            });
        }
    });
}

/// The median and the worst of eleven.
fn report_queries(server: &Server, path: &str) {
    let mut took: Vec<Duration> = (0..11).map(|_| get(&server.http, path)).collect();
    took.sort();
    println!("  a query takes {:.1} ms (median of 11), {:.1} at most", millis(took[5]), millis(took[10]));
}

fn get(addr: &str, path: &str) -> Duration {
    let began = Instant::now();
    let mut stream = TcpStream::connect(addr).expect("the server listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers in UTF-8");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"values\""), "{answer}");
    began.elapsed()
}

fn disk(home: &std::path::Path, samples: f64) {
    use std::os::unix::fs::MetadataExt as _;
    let tenant = home.join("data/tenants/default");
    let days = std::fs::read_dir(tenant.join("metrics")).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in days.chain([tenant.join("intake.redb")]) {
        let Ok(metadata) = path.metadata() else { continue };
        let bytes = metadata.blocks() * 512;
        println!("  {:8.2} MB {:6.2} B/sample {}", mb(bytes), bytes as f64 / samples, path.display());
    }
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
