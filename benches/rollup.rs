//! What do 90 days take once they are settled and rolled up, and what does a chart over them cost? 100 series, half of them counters,
//! a point a minute; run with `cargo bench -p query --bench rollup [DAYS]`.
//!
//! Times of upkeep are those of this thread on a CPU, so that other work on the machine does not count.

use std::path::Path;
use std::time::{Duration, Instant};

use model::time::MS_PER_DAY;
use model::{Labels, MetricBatch, Sample, SeriesEntry, TenantId};
use query::promql;
use store::limits::{HEAD_IDLE_MS, SETTLE_QUIET_MS};
use store::{Options, Store, Tenant};

const SERIES: u32 = 100;
const STEP_MS: i64 = 60_000;
const POINTS_A_DAY: i64 = MS_PER_DAY / STEP_MS;
/// A midnight; the data ends there.
const END_MS: i64 = 1_795_219_200_000;
/// Points of every series in one request.
const POINTS_AT_ONCE: i64 = 120;
const RUNS: usize = 11;

fn main() {
    let days = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(90);
    let dir = tempfile::tempdir().expect("a folder for the data");
    let samples = (days * POINTS_A_DAY * i64::from(SERIES)) as f64;
    let raw_forever = 1_000 * MS_PER_DAY;
    let open = |downsample_after_ms: Option<i64>, raw_retention_ms: i64| {
        let options = Options {
            disk_free_min: 0,
            metrics_retention_ms: raw_forever,
            downsample_after_ms,
            raw_retention_ms,
            ..Options::new(dir.path())
        };
        Store::open(options, END_MS).expect("the store opens")
    };
    let mut now_ms = END_MS;
    let store = open(None, raw_forever);
    let tenant = store.tenant(&TenantId::default()).expect("a tenant opens");
    push(&tenant, days);
    let flushed = maintain(&store, &mut now_ms, 2);
    assert_eq!(tenant.stats().head_samples, 0, "the head is written");
    println!("{SERIES} series, {days} days: {samples} samples, written out at {:.0} ns a sample", flushed / samples);
    let settled = maintain(&store, &mut now_ms, days + 2);
    print_bytes("settled", dir.path(), samples);
    println!("  {:.0} ns a sample to settle", settled / samples);
    ask(&tenant, days, "samples");
    drop((tenant, store));

    let store = open(Some(0), raw_forever);
    let tenant = store.tenant(&TenantId::default()).expect("a tenant opens");
    let rolled = maintain(&store, &mut now_ms, days + 2);
    print_bytes("rolled up beside the samples", dir.path(), samples);
    println!("  {:.0} ns a sample to roll up", rolled / samples);
    ask(&tenant, days, "rollups");
    drop((tenant, store));

    let store = open(Some(0), 0);
    let tenant = store.tenant(&TenantId::default()).expect("a tenant opens");
    maintain(&store, &mut now_ms, 2);
    print_bytes("rollups alone", dir.path(), samples);
    ask(&tenant, days, "rollups");
}

/// So many rounds of upkeep, each after a quiet while; nanoseconds of them.
fn maintain(store: &Store, now_ms: &mut i64, rounds: i64) -> f64 {
    let begun_ns = thread_ns();
    for _ in 0..rounds {
        store.maintain(*now_ms).expect("it can be kept up");
        *now_ms += SETTLE_QUIET_MS.max(HEAD_IDLE_MS);
    }
    thread_ns() - begun_ns
}

/// Time that this thread was on a CPU.
fn thread_ns() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    told.split_whitespace().next().and_then(|ns| ns.parse().ok()).expect("a number")
}

fn print_bytes(what: &str, dir: &Path, samples: f64) {
    use std::os::unix::fs::MetadataExt as _;
    let of = |name: &str| {
        let entries = std::fs::read_dir(dir.join("tenants/default").join(name)).into_iter().flatten().flatten();
        let files = entries.filter_map(|entry| entry.metadata().ok()).filter(|metadata| metadata.is_file());
        files.map(|metadata| metadata.blocks() * 512).sum::<u64>() as f64
    };
    let (raw, rolled) = (of("metrics"), of("metrics/5m"));
    println!(
        "{what}: {:.1} MB of samples, {:.1} MB of rollups: {:.2} B a sample",
        raw / 1e6,
        rolled / 1e6,
        (raw + rolled) / samples
    );
}

/// A chart over all days, a point every six hours.
fn ask(tenant: &Tenant, days: i64, from: &str) {
    for text in ["sum(rate(requests_total[6h]))", "avg_over_time(load_ratio[6h])", "max by (zone) (load_ratio)"] {
        let expr = promql::parse(text).expect("it parses");
        let ask = || {
            let begun = Instant::now();
            let snapshot = tenant.snapshot().expect("it is open");
            let options = promql::Options::new(300_000, query::Limits::default().start());
            let start_ms = END_MS - (days - 1) * MS_PER_DAY;
            let answer = promql::range(&snapshot, &expr, start_ms, END_MS, 6 * 3_600_000, &options);
            (begun.elapsed(), answer.expect("it is answered").samples_read)
        };
        let (_, read) = ask();
        let mut took: Vec<Duration> = (0..RUNS).map(|_| ask().0).collect();
        took.sort();
        println!("  {:7.1} ms, {read:>9} samples of {from}: {text}", took[RUNS / 2].as_secs_f64() * 1e3);
    }
}

fn push(tenant: &Tenant, days: i64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let begin_ms = END_MS - days * MS_PER_DAY;
    for first in (0..days * POINTS_A_DAY).step_by(POINTS_AT_ONCE as usize) {
        let mut batch = MetricBatch::default();
        for series in 0..SERIES {
            let key = u128::from(series) + 1;
            batch.series.push(match tenant.known_series().lookup(key) {
                Some(id) => SeriesEntry::Known(id),
                None => SeriesEntry::New { key, labels: labels(series) },
            });
        }
        for point in first..first + POINTS_AT_ONCE {
            for series in 0..SERIES {
                batch.points.push(batch.samples.len() as u32);
                // Within the steps: a step holds its end, the last point is that of midnight.
                let at_ms = begin_ms + (point + 1) * STEP_MS;
                batch.samples.push((series, Sample { at_ms, value: value(series, point) }));
            }
        }
        batch.derived_from = batch.samples.len() as u32;
        let rejected = runtime.block_on(tenant.submit_metrics(batch)).expect("the store takes it");
        assert!(rejected.is_empty(), "{}", rejected.message());
    }
}

fn labels(series: u32) -> Labels {
    let name = if series.is_multiple_of(2) { "requests_total" } else { "load_ratio" };
    let pairs = [("__name__", name.to_owned()), ("i", series.to_string()), ("zone", format!("z{}", series % 3))];
    Labels::from_pairs(pairs)
}

fn value(series: u32, point: i64) -> f64 {
    let mut noise = (u64::from(series) << 40 | point as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    noise = (noise ^ (noise >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
    if series.is_multiple_of(2) {
        (point * i64::from(50 + series)) as f64 + (noise % 40) as f64
    } else {
        (0.5 + 0.4 * (point as f64 / 230.0 + f64::from(series)).sin()) * 1e3 + (noise % 20) as f64
    }
    .round()
        / if series.is_multiple_of(2) { 1.0 } else { 1e3 }
}
