//! What is a day of logs worth before it is settled, and after? Many streams that say little: `cargo bench -p query --bench log_settle
//! [STREAMS] [SECONDS]`, each stream a line every so many seconds (2,000 and 60 unless told), sealed as the store does by itself.
//!
//! Prints bytes on the disk, blocks and segments, processor time of settling, and the median time of a few searches on one thread.

use std::path::Path;
use std::time::{Duration, Instant};

use model::time::MS_PER_DAY;
use model::{AnyValue, LogBatch, NsRange, Resource, Scope, TenantId};
use query::Limits;
use query::logs::{self, Direction};
use store::{Options, Store, Tenant};

#[path = "lines.rs"]
mod lines;

/// The midnight at which the day begins.
const START_MS: i64 = 1_795_219_200_000;
const MINUTE_MS: i64 = 60_000;
/// Services; the streams are their hosts.
const SERVICES: usize = 20;
const RUNS: usize = 5;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse::<usize>().ok());
    let (streams, seconds) = (numbers.next().unwrap_or(2_000), numbers.next().unwrap_or(60));
    let dir = tempfile::tempdir().expect("a folder for the data");
    let store = Store::open(Options { disk_free_min: 0, ..Options::new(dir.path()) }, START_MS).expect("it opens");
    let tenant = store.tenant(&TenantId::default()).expect("a tenant opens");
    let begun = cpu();
    let records = push(&store, &tenant, streams, seconds as i64 * 1_000);
    // The last head is old, its blocks are not yet alone for long.
    store.maintain(START_MS + MS_PER_DAY + MINUTE_MS).expect("upkeep");
    store.maintain(START_MS + MS_PER_DAY + 17 * MINUTE_MS).expect("upkeep");
    println!("{records} records of {streams} streams: {:.1} cpu s to here", cpu() - begun);
    tell("before", dir.path(), &tenant, records, streams);
    let (begun, mut rounds) = (cpu(), 0);
    let mut now_ms = START_MS + MS_PER_DAY + 28 * MINUTE_MS;
    let file = dir.path().join("tenants/default/logs/2026-11-21.redb");
    let inode = |path: &Path| {
        use std::os::unix::fs::MetadataExt as _;
        path.metadata().expect("the day is there").ino()
    };
    let before = inode(&file);
    while inode(&file) == before {
        store.maintain(now_ms).expect("upkeep");
        now_ms += 5_000;
        rounds += 1;
        assert!(rounds < 10_000, "it is never settled");
    }
    println!("settled in {rounds} rounds and {:.1} cpu s", cpu() - begun);
    tell("after", dir.path(), &tenant, records, streams);
}

/// A request a minute or a line, whichever is longer, of all streams.
fn push(store: &Store, tenant: &Tenant, streams: usize, every_ms: i64) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let text = |text: String| AnyValue::Str(text);
    let resources: Vec<Resource> = (0..streams)
        .map(|stream| Resource {
            attributes: vec![
                ("service.name".into(), text(format!("service-{}", stream % SERVICES))),
                ("host.name".into(), text(format!("host-{stream}"))),
            ],
            ..Resource::default()
        })
        .collect();
    let step_ms = every_ms.max(MINUTE_MS);
    let lines = (step_ms / every_ms) as usize;
    let mut records = 0;
    for at_ms in (0..MS_PER_DAY).step_by(step_ms as usize) {
        let mut made = lines::records(at_ms as u64 + 1, streams * lines);
        for (at, record) in made.iter_mut().enumerate() {
            record.time_ns = (START_MS + at_ms + (at / streams) as i64 * every_ms) * 1_000_000 + at as i64;
            record.observed_time_ns = record.time_ns + 5_000_000;
        }
        records += made.len();
        let records = made.into_iter().enumerate().map(|(at, record)| ((at % streams) as u32, 0, record)).collect();
        let batch = LogBatch { resources: resources.clone(), scopes: vec![Scope::default()], records };
        runtime.block_on(tenant.submit_logs(batch)).expect("stored");
        store.maintain(START_MS + at_ms).expect("upkeep");
    }
    records
}

fn tell(when: &str, dir: &Path, tenant: &Tenant, records: usize, streams: usize) {
    let verified = tenant.verify(false).expect("it can be read");
    assert_eq!(verified.log_records, records as u64);
    let bytes = bytes_of(&dir.join("tenants/default/logs"));
    println!(
        "{when}: {:.1} MB, {:.2} bytes a record, {} blocks, {} segments",
        bytes as f64 / 1e6,
        bytes as f64 / records as f64,
        verified.log_blocks,
        verified.log_segments
    );
    let snapshot = tenant.snapshot().expect("it is open");
    let budget = || Limits { timeout: Duration::from_secs(600), threads: 1, ..Limits::default() }.start();
    let range = |from_ms: i64, to_ms: i64| NsRange {
        start_ns: (START_MS + from_ms) * 1_000_000,
        end_ns: (START_MS + to_ms) * 1_000_000,
    };
    let (day, hour) = (range(0, MS_PER_DAY), range(720 * MINUTE_MS, 780 * MINUTE_MS));
    let one = format!("host.name:host-{}", streams / 2);
    for (what, text, range, is_count) in [
        ("newest 100", "", day, false),
        ("newest 100 of an hour", "", hour, false),
        ("newest 100 of a stream", &*one, day, false),
        ("newest 100 of a stream within an hour", &*one, hour, false),
        ("newest 100 of a term", "error", day, false),
        ("histogram of everything", "", day, true),
        ("histogram of an hour", "", hour, true),
        ("histogram of a stream", &*one, day, true),
        ("histogram of a term", "error", day, true),
        ("absent word", "zzyzx", day, true),
    ] {
        let search = logs::parse(text).expect("it parses");
        let mut took: Vec<(Duration, u64, u64)> = (0..RUNS)
            .map(|_| {
                let started = Instant::now();
                let (found, read) = if is_count {
                    let (buckets, stats) =
                        logs::histogram(&snapshot, &search, range, 60_000_000_000, &budget()).expect("an answer");
                    (buckets.iter().flat_map(|bucket| bucket.counts).sum(), stats.blocks_scanned)
                } else {
                    let newest = Direction::NewestFirst;
                    let found =
                        logs::search(&snapshot, &search, range, newest, 100, None, &budget()).expect("an answer");
                    (found.rows.len() as u64, found.stats.blocks_scanned)
                };
                (started.elapsed(), found, read)
            })
            .collect();
        took.sort();
        let (time, found, read) = took[RUNS / 2];
        println!("  {:8.2} ms, {read:>5} blocks read, {found:>8} found: {what}", time.as_secs_f64() * 1e3);
    }
}

fn bytes_of(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries
        .map(|path| match path.is_dir() {
            true => bytes_of(&path),
            false => path.metadata().expect("a file").blocks() * 512,
        })
        .sum()
}

/// Seconds that all threads of this process were on a CPU.
fn cpu() -> f64 {
    const TICKS_A_SECOND: f64 = 100.0;
    let told = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let numbers = told.rsplit(')').next().unwrap_or_default().split_whitespace();
    numbers.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_A_SECOND
}
