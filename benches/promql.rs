//! What does the engine cost over day files, without HTTP? Series and queries as in `benches/load/queries.rs`, fewer metrics.

use std::time::{Duration, Instant};

use model::{Labels, MetricBatch, Sample, SeriesEntry, TenantId};
use query::promql;
use store::{Store, Tenant};

const HOSTS: u64 = 50;
const POINTS: i64 = 2_880;
const POINTS_AT_ONCE: i64 = 48;
const STEP_MS: i64 = 15_000;
/// A noon; the data ends with its day.
const START_MS: i64 = 1_795_262_400_000;
const RUNS: usize = 5;

/// Of range queries the step in seconds.
const ASKED: [(&str, Option<i64>); 8] = [
    ("sum(rate(http_server_requests_total[5m]))", Some(60)),
    ("sum by (route) (rate(http_server_requests_total[5m]))", Some(60)),
    ("histogram_quantile(0.99, sum by (le) (rate(http_server_request_duration_seconds_bucket[5m])))", Some(60)),
    ("avg by (state) (system_cpu_utilization_ratio)", Some(60)),
    ("max_over_time(system_cpu_utilization_ratio{cpu=\"cpu0\",state=~\"s0|s1|s2|s3\"}[1h])", Some(300)),
    ("system_cpu_utilization_ratio{cpu=\"cpu1\",state=\"s1\"}", Some(60)),
    ("sum(rate(http_server_requests_total{code=~\"5..\"}[5m])) / sum(rate(http_server_requests_total[5m]))", Some(60)),
    ("topk(10, rate(http_server_requests_total[5m]))", None),
];

fn main() {
    let dir = tempfile::tempdir().expect("a folder for the data");
    let end_ms = START_MS + POINTS * STEP_MS;
    let options = || store::Options { disk_free_min: 0, ..store::Options::new(dir.path()) };
    let store = Store::open(options(), end_ms).expect("the store opens");
    push(&store.tenant(&TenantId::default()).expect("a tenant opens"));
    store.maintain(end_ms).expect("the head is written");
    drop(store);
    // What the head held at the end is written when it is old enough, at the second look.
    let store = Store::open(options(), end_ms).expect("the store opens again");
    let later_ms = end_ms + 6 * 3_600_000;
    for now_ms in [end_ms, later_ms] {
        store.maintain(now_ms).expect("the head is written");
    }
    let tenant = store.tenant(&TenantId::default()).expect("a tenant opens");
    println!("{} samples in the head", tenant.stats().head_samples);
    println!("{:>9} {:>9} {:>9} {:>8} {:>9}  query", "1 thread", "2", "samples", "chunks", "peak MB");
    for (text, step_s) in ASKED {
        let expr = promql::parse(text).expect("it parses");
        let ask = |threads: usize| {
            let begun = Instant::now();
            let snapshot = tenant.snapshot().expect("it is open");
            let limits = query::Limits { threads, ..query::Limits::default() };
            let options = promql::Options::new(300_000, limits.start());
            let last_ms = end_ms - STEP_MS;
            let answer = match step_s {
                Some(step_s) => promql::range(&snapshot, &expr, START_MS, last_ms, step_s * 1000, &options),
                None => promql::instant(&snapshot, &expr, last_ms, &options),
            };
            (begun.elapsed(), answer.expect("it is answered"))
        };
        let answer = ask(1).1;
        let of = |threads| median((0..RUNS).map(|_| ask(threads).0).collect()).as_secs_f64() * 1e3;
        println!(
            "{:>6.1} ms {:>6.1} ms {:>9} {:>8} {:>9.1}  {text}",
            of(1),
            of(2),
            answer.samples_read,
            answer.stats.chunks_read,
            answer.stats.bytes_peak as f64 / 1e6
        );
    }
}

fn push(tenant: &Tenant) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let all: Vec<(Labels, u64)> = (0..HOSTS).flat_map(series).collect();
    for first in (0..POINTS).step_by(POINTS_AT_ONCE as usize) {
        let mut batch = MetricBatch::default();
        let entry = |(number, (labels, _)): (usize, &(Labels, u64))| {
            let key = number as u128 + 1;
            match tenant.known_series().lookup(key) {
                Some(id) => SeriesEntry::Known(id),
                None => SeriesEntry::New { key, labels: labels.clone() },
            }
        };
        batch.series = all.iter().enumerate().map(entry).collect();
        for point in first..first + POINTS_AT_ONCE {
            for (number, (_, slope)) in (0..).zip(&all) {
                batch.points.push(batch.samples.len() as u32);
                let at_ms = START_MS + point * STEP_MS;
                batch.samples.push((number, Sample { at_ms, value: value(u64::from(number), *slope, point as u64) }));
            }
        }
        batch.derived_from = batch.samples.len() as u32;
        let rejected = runtime.block_on(tenant.submit_metrics(batch)).expect("it is stored");
        assert_eq!(rejected.total(), 0);
    }
}

/// Labels, and what a counter rises by in a step; 0 is a gauge.
fn series(host: u64) -> Vec<(Labels, u64)> {
    let of = |name: &str, pairs: &[(&str, String)]| {
        let common = [("__name__", name.to_owned()), ("host_name", format!("host-{host:02}")), ("job", "api".into())];
        Labels::from_pairs(common.into_iter().chain(pairs.iter().cloned()))
    };
    let mut all = Vec::new();
    for number in 0..40 {
        let code = ["200", "204", "404", "500"][number as usize / 10];
        let pairs = [("route", format!("/api/v1/route{}", number % 10)), ("code", code.into())];
        all.push((of("http_server_requests_total", &pairs), 20 + number));
    }
    for number in 0..48 {
        let pairs = [("route", format!("/api/v1/route{}", number / 12)), ("le", (number % 12).to_string())];
        all.push((of("http_server_request_duration_seconds_bucket", &pairs), 3 + number));
    }
    for number in 0..32 {
        let pairs = [("cpu", format!("cpu{}", number / 8)), ("state", format!("s{}", number % 8))];
        all.push((of("system_cpu_utilization_ratio", &pairs), 0));
    }
    all
}

fn value(series: u64, slope: u64, point: u64) -> f64 {
    let mut noise = (series << 32 | point).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    noise = (noise ^ (noise >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
    if slope > 0 {
        (slope * point + noise % slope / 2) as f64
    } else {
        (3_000 + (point * 7 + series) % 4_000 + noise % 50) as f64 / 1e4
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
