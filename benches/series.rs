//! What do many series take in the store alone? `cargo bench -p store --bench series -- active|churn|start [SCALE]`; see
//! `benches/README.md`.

use std::path::Path;
use std::time::Instant;

use model::time::{Day, MS_PER_DAY};
use model::{Labels, Matcher, MetricBatch, MsRange, Sample, SeriesEntry, TenantId};
use store::{Options, ReadGuard, Store, StoreError, Tenant};

const METRICS: u64 = 20;
const HOUR_MS: i64 = 3_600_000;
/// A noon in 2026.
const NOON_MS: i64 = 1_795_262_400_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let scale: f64 = args.get(1).map_or(1.0, |text| text.parse().expect("the second argument is a factor"));
    match args.first().map(String::as_str) {
        Some("active") => active((480.0 * scale) as i64),
        Some("churn") => churn((12.0 * scale).max(1.0) as i64),
        Some("start") => start((50.0 * scale) as i64),
        _ => println!("choose: cargo bench -p store --bench series -- active|churn|start [SCALE]"),
    }
}

/// 100,000 series of 5,000 pods, a point every 15 s.
fn active(steps: i64) {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, tenant) = open(dir.path());
    let began = Instant::now();
    for step in 0..steps {
        for group in 0..50 {
            push(&tenant, group * 100..(group + 1) * 100, "active", NOON_MS - (steps - step) * 15_000);
        }
        if step % 20 == 0 {
            store.maintain(NOON_MS - (steps - step) * 15_000).expect("it can be kept up");
        }
        if step == 0 {
            println!("100,000 series, one point each: {} MB resident", resident_mb());
        }
    }
    println!(
        "{steps} points each in {:.1} s: {} MB resident, {} at the peak",
        began.elapsed().as_secs_f64(),
        resident_mb(),
        peak_mb()
    );
    files(dir.path(), 100_000.0 * steps as f64);
}

/// A million series a day, 2,083 new pods an hour that live for it, beside 1,000 steady series.
fn churn(points: i64) {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, tenant) = open(dir.path());
    let day_ms = NOON_MS - MS_PER_DAY - 12 * HOUR_MS;
    for at in 0..288 {
        push(&tenant, 0..50, "steady", day_ms + at * 300_000);
    }
    store.maintain(NOON_MS).expect("it can be kept up");
    println!("before: {} MB resident", resident_mb());
    let range = MsRange { start_ms: day_ms, end_ms: day_ms + MS_PER_DAY - 1 };
    let steady = [Matcher::equal("__name__", "steady_metric_3")];
    let few = [
        Matcher::equal("__name__", "churn_metric_3"),
        Matcher::new("pod", model::MatchOp::Regex, "pod-5-12.*").expect("a regex"),
    ];
    query(&tenant, "steady", &steady, range);
    let began = Instant::now();
    for hour in 0..24i64 {
        for point in 0..points {
            let at_ms = day_ms + hour * HOUR_MS + point * (HOUR_MS / points);
            for group in 0..21u64 {
                let pods = group * 100..((group + 1) * 100).min(2_083);
                push(&tenant, pods.start | (hour as u64) << 32..pods.end | (hour as u64) << 32, "churn", at_ms);
            }
        }
        // As if the hours passed.
        store.maintain(NOON_MS + hour * HOUR_MS).expect("it can be kept up");
    }
    println!(
        "a million series of {points} points came and went in {:.1} s: {} MB resident, {} at the peak",
        began.elapsed().as_secs_f64(),
        resident_mb(),
        peak_mb()
    );
    query(&tenant, "steady", &steady, range);
    query(&tenant, "of one hour, by a prefix", &few, range);
    drop((tenant, store));
    let began = Instant::now();
    let (_store, tenant) = open(dir.path());
    println!("opened again after no close in {:.2} s", began.elapsed().as_secs_f64());
    query(&tenant, "steady", &steady, range);
    files(dir.path(), 24.0 * 2_083.0 * METRICS as f64 * points as f64);
}

/// A start over 1 GB: copies of one day, since a start reads of a day only what it says of itself, and a log as full as it gets.
fn start(days: i64) {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, tenant) = open(dir.path());
    for step in 0..100 {
        for group in 0..50 {
            push(&tenant, group * 100..(group + 1) * 100, "active", NOON_MS - MS_PER_DAY + step * 15_000);
        }
    }
    for ahead in [0, 3 * HOUR_MS] {
        store.maintain(NOON_MS + ahead).expect("it can be kept up");
    }
    let days_dir = dir.path().join("tenants/default/metrics");
    let written = days_dir.join(format!("{}.redb", Day::of_ms(NOON_MS - MS_PER_DAY)));
    for step in 0..60 {
        for group in 0..50 {
            push(&tenant, group * 100..(group + 1) * 100, "active", NOON_MS + step * 15_000);
        }
    }
    let wal = tenant.stats().wal_bytes;
    drop((tenant, store));
    for back in 2..days + 2 {
        let copy = days_dir.join(format!("{}.redb", Day::of_ms(NOON_MS - back * MS_PER_DAY)));
        std::fs::copy(&written, copy).expect("there is room");
    }
    let bytes: u64 = std::fs::read_dir(&days_dir)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").metadata().expect("it is there").len())
        .sum();
    let began = Instant::now();
    let (_store, tenant) = open(dir.path());
    println!(
        "{} MB in {} days, {} MB in the log: open in {:.2} s, {} samples replayed, {} MB resident",
        bytes / 1_000_000,
        days + 1,
        wal / 1_000_000,
        began.elapsed().as_secs_f64(),
        tenant.stats().head_samples,
        resident_mb()
    );
}

fn open(dir: &Path) -> (Store, Tenant) {
    let options = Options { disk_free_min: 0, metrics_retention_ms: 400 * MS_PER_DAY, ..Options::new(dir) };
    // The store before lets go of its files when its writer sees that it is gone.
    let mut tries = 0..1_000;
    loop {
        let store = Store::open(options.clone(), NOON_MS).expect("the folder can be used");
        match store.tenant(&TenantId::default()) {
            Ok(tenant) => return (store, tenant),
            Err(error) => assert!(tries.next().is_some(), "{error}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn push(tenant: &Tenant, pods: std::ops::Range<u64>, kind: &str, at_ms: i64) {
    let mut batch = MetricBatch::default();
    for pod in pods {
        for metric in 0..METRICS {
            let key = u128::from(pod) << 32 | u128::from(metric) << 8 | kind.len() as u128;
            let entry = match tenant.known_series().lookup(key) {
                Some(id) => SeriesEntry::Known(id),
                None => SeriesEntry::New { key, labels: labels(kind, pod, metric) },
            };
            batch.points.push(batch.samples.len() as u32);
            let value = (mixed(pod << 8 | metric) % 1_000 + mixed(at_ms as u64 ^ pod << 20 ^ metric) % 10) as f64;
            batch.samples.push((batch.series.len() as u32, Sample { at_ms, value }));
            batch.series.push(entry);
        }
    }
    batch.derived_from = batch.samples.len() as u32;
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let rejected = runtime.block_on(tenant.submit_metrics(batch)).expect("the store takes it");
    assert!(rejected.is_empty(), "{}", rejected.message());
}

fn labels(kind: &str, pod: u64, metric: u64) -> Labels {
    let name = format!("pod-{}-{:08x}", pod >> 32, mixed(pod) as u32);
    Labels::from_pairs([
        ("__name__", format!("{kind}_metric_{metric}")),
        ("job", ["api", "web", "ocr", "mail"][(pod % 4) as usize].into()),
        ("service_name", ["api", "web", "ocr", "mail"][(pod % 4) as usize].into()),
        ("instance", name.clone()),
        ("service_instance_id", name.clone()),
        ("pod", name),
        ("k8s_namespace_name", ["prod", "test"][(pod / 4 % 2) as usize].into()),
        ("k8s_node_name", format!("node-{}", pod % 40)),
        ("state", "used".into()),
    ])
}

/// splitmix64.
fn mixed(mut n: u64) -> u64 {
    n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

struct NoLimit;

impl ReadGuard for NoLimit {
    fn spend(&mut self, _samples: u64, _bytes: u64) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The median of eleven, selecting and reading.
fn query(tenant: &Tenant, what: &str, matchers: &[Matcher], range: MsRange) {
    let mut took = Vec::new();
    let (mut series, mut samples) = (0, 0);
    for _ in 0..11 {
        let began = Instant::now();
        let snapshot = tenant.snapshot().expect("a snapshot");
        let found = snapshot.select(matchers, range, usize::MAX).expect("it can be read");
        let selected = began.elapsed();
        let ids: Vec<_> = found.iter().map(|series| series.id).collect();
        let read = snapshot.read(&ids, range, &mut NoLimit).expect("it can be read");
        took.push((began.elapsed(), selected));
        (series, samples) = (found.len(), read.iter().map(|samples| samples.at_ms.len()).sum());
    }
    took.sort();
    println!(
        "  {what}: {series} series, {samples} samples in {:.2} ms, {:.2} of them to select; the first or worst took {:.2}",
        took[5].0.as_secs_f64() * 1e3,
        took[5].1.as_secs_f64() * 1e3,
        took[10].0.as_secs_f64() * 1e3
    );
}

fn status_mb(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("the kernel says it");
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().expect("a number") * 1024 / 1_000_000
}

fn resident_mb() -> u64 {
    status_mb("VmRSS")
}

fn peak_mb() -> u64 {
    status_mb("VmHWM")
}

fn files(dir: &Path, samples: f64) {
    use std::os::unix::fs::MetadataExt as _;
    let tenant = dir.join("tenants/default");
    let days = std::fs::read_dir(tenant.join("metrics")).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in days.chain([tenant.join("intake.redb")]) {
        let bytes = path.metadata().map_or(0, |metadata| metadata.blocks() * 512) as f64;
        println!(
            "  {:8.2} MB {:6.2} B/sample {}",
            bytes / 1e6,
            bytes / samples,
            path.file_name().unwrap_or_default().display()
        );
    }
}
