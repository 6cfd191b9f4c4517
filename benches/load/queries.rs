//! What do queries cost? The metrics load with 2,880 points a series (12 h) is pushed once, the server is stopped and started
//! again, so that data comes from day files, and every query is asked over HTTP, warm, and again in this process.

use std::path::Path;
use std::time::Instant;

use model::TenantId;
use query::promql;

use crate::http::Connection;
use crate::metrics::{self, STEP_NS};
use crate::options::Options;
use crate::push::{self, push};
use crate::server::Server;
use crate::timing::{Cost, RUNS, cost, median};

pub(crate) const POINTS: u64 = 2_880;
/// Requests that CPU time is averaged over: the kernel counts it in steps of 10 ms.
const CPU_RUNS: u32 = 40;

pub(crate) struct Asked {
    pub(crate) query: &'static str,
    /// Of a range query; an instant one has none.
    step_s: Option<i64>,
    /// What was measured of VictoriaMetrics and Prometheus on this load.
    peers_ms: (u32, u32),
}

pub(crate) const ASKED: [Asked; 9] = [
    Asked { query: "sum(rate(http_server_requests_total[5m]))", step_s: Some(60), peers_ms: (52, 550) },
    Asked { query: "sum by (route) (rate(http_server_requests_total[5m]))", step_s: Some(60), peers_ms: (54, 555) },
    Asked {
        query: "histogram_quantile(0.99, sum by (le) (rate(http_server_request_duration_seconds_bucket[5m])))",
        step_s: Some(60),
        peers_ms: (68, 670),
    },
    Asked { query: "avg by (state) (system_cpu_utilization_ratio)", step_s: Some(60), peers_ms: (54, 262) },
    Asked {
        query: "max_over_time(system_cpu_utilization_ratio{cpu=\"cpu0\",state=~\"user|system|idle|wait\"}[1h])",
        step_s: Some(300),
        peers_ms: (19, 71),
    },
    Asked { query: "app_size_1_bytes{kind=\"heap\"}", step_s: Some(60), peers_ms: (9, 12) },
    Asked {
        query: "sum(rate(http_server_requests_total{code=~\"5..\"}[5m])) / sum(rate(http_server_requests_total[5m]))",
        step_s: Some(60),
        peers_ms: (76, 915),
    },
    Asked { query: "topk(10, rate(http_server_requests_total[5m]))", step_s: None, peers_ms: (10, 6) },
    Asked { query: "count({__name__=~\".+\"})", step_s: None, peers_ms: (35, 21) },
];

pub(crate) fn run(options: &Options) {
    let home = tempfile::tempdir().expect("a folder for the data");
    let points = (POINTS as f64 * options.scale) as u64;
    let server = Server::start(home.path());
    push(&server, options, push::METRICS, metrics::requests(points), |index| metrics::request(index, points));
    server.stop();
    let span = span(points);
    let server = Server::start(home.path());
    let mut connection = Connection::open(&server.http);
    println!("{:>8} {:>8} {:>8} {:>8} {:>8}  query", "wall ms", "cpu ms", "peak MB", "VM ms", "Prom ms");
    for asked in &ASKED {
        let path = asked.path(span);
        let Cost { wall_ms, cpu_ms, peak_mb, .. } = cost(&server, CPU_RUNS, || drop(connection.get(&path)));
        println!(
            "{wall_ms:>8.1} {cpu_ms:>8.1} {peak_mb:>8.1} {:>8} {:>8}  {}",
            asked.peers_ms.0, asked.peers_ms.1, asked.query
        );
    }
    drop(connection);
    server.stop();
    in_process(home.path(), span);
}

/// What is asked for of so many points a series, in seconds: the window of the first step reaches into the data, that of the last ends
/// with it.
pub(crate) fn span(points: u64) -> (i64, i64) {
    let start_s = (metrics::start_ns(points) / 1_000_000_000) as i64;
    (start_s, start_s + (points * STEP_NS / 1_000_000_000) as i64 - 15)
}

impl Asked {
    pub(crate) fn path(&self, (start_s, end_s): (i64, i64)) -> String {
        let query: String = url::form_urlencoded::byte_serialize(self.query.as_bytes()).collect();
        match self.step_s {
            Some(step_s) => format!("/api/v1/query_range?query={query}&start={start_s}&end={end_s}&step={step_s}"),
            None => format!("/api/v1/query?query={query}&time={end_s}"),
        }
    }
}

/// The engine and the store alone, on one thread and on two.
fn in_process(home: &Path, (start_s, end_s): (i64, i64)) {
    let now_ms = (binnacle::clock::now_ns() / 1_000_000) as i64;
    let store = store::Store::open(store::Options::new(home.join("data")), now_ms).expect("the store opens");
    let tenant = TenantId::new("default").expect("it is a name");
    let tenant = store.existing_tenant(&tenant).expect("it opens").expect("it was written");
    println!("\nin this process:\n{:>8} {:>8} {:>9} {:>8} {:>9}  query", "1 thread", "2", "samples", "chunks", "bytes");
    for asked in &ASKED {
        let expr = promql::parse(asked.query).expect("it parses");
        let ask = |threads: usize| {
            let begun = Instant::now();
            let snapshot = tenant.snapshot().expect("it is open");
            let limits = query::Limits { threads, ..query::Limits::default() };
            let options = promql::Options::new(300_000, limits.start());
            let answer = match asked.step_s {
                Some(step_s) => promql::range(&snapshot, &expr, start_s * 1000, end_s * 1000, step_s * 1000, &options),
                None => promql::instant(&snapshot, &expr, end_s * 1000, &options),
            };
            (begun.elapsed(), answer.expect("it is answered"))
        };
        median((0..RUNS).map(|_| ask(2).0).collect());
        let of = |threads| median((0..RUNS).map(|_| ask(threads).0).collect()).as_secs_f64() * 1e3;
        let answer = ask(1).1;
        println!(
            "{:>8.1} {:>8.1} {:>9} {:>8} {:>9}  {}",
            of(1),
            of(2),
            answer.samples_read,
            answer.stats.chunks_read,
            answer.stats.bytes_read,
            asked.query
        );
    }
}
