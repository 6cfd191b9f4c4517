//! Days that are quiet are written anew: the answers stay, the bytes and gaps go, and whatever fails on the way changes nothing.

mod common;

use std::path::{Path, PathBuf};

use chance::Random;
use common::disk::Disk;
use common::{Model, NOON_MS, NoLimit, block_on, mixed, read_all};
use model::time::MS_PER_DAY;
use model::{Kind, MsRange, TenantId};
use redb::{ReadableDatabase as _, TableHandle as _};
use store::limits::{FLUSHES_MAX, HEAD_IDLE_MS, SETTLE_AGAIN_MS, SETTLE_QUIET_MS};
use store::{Options, Store, Tenant};

fn options(dir: &Path) -> Options {
    Options { disk_free_min: 0, ..Options::new(dir) }
}

fn tenant(store: &Store) -> Tenant {
    store.tenant(&TenantId::default()).unwrap()
}

fn put(tenant: &Tenant, rows: &[(String, i64, f64)]) {
    assert!(block_on(tenant.submit_metrics(mixed(tenant, rows))).unwrap().is_empty());
}

/// Writes the head out by letting it idle; `now_ms` goes on.
fn flush(store: &Store, now_ms: &mut i64) {
    store.maintain(*now_ms).unwrap();
    *now_ms += HEAD_IDLE_MS;
    store.maintain(*now_ms).unwrap();
    assert_eq!(tenant(store).stats().head_samples, 0);
}

/// Lets days be quiet for long enough.
fn settle(store: &Store, now_ms: &mut i64) {
    for _ in 0..3 {
        store.maintain(*now_ms).unwrap();
        *now_ms += SETTLE_QUIET_MS;
    }
}

fn file(dir: &Path, day: &str) -> PathBuf {
    dir.join(format!("tenants/default/metrics/{day}.redb"))
}

/// The runs of a day file that nobody has open: samples, and whether it is the settled one.
fn runs(dir: &Path, day: &str) -> Vec<(u64, bool)> {
    const RUNS: redb::TableDefinition<'_, (), &[u8]> = redb::TableDefinition::new("runs");
    const PRESENT: redb::TableDefinition<'_, (), &[u8]> = redb::TableDefinition::new("present");
    let database = redb::Database::open(file(dir, day)).unwrap();
    let txn = database.begin_read().unwrap();
    assert!(txn.list_tables().unwrap().all(|table| table.name() != "chunks"));
    let row = |table: redb::TableDefinition<'_, (), &'static [u8]>| {
        txn.open_table(table).unwrap().get(()).unwrap().unwrap().value().to_vec()
    };
    let (_, runs) = codec::day::decode(&row(RUNS), &row(PRESENT)).unwrap();
    runs.iter().map(|run| (run.samples, run.settled)).collect()
}

fn rows(random: &mut Random, from_ms: i64, series: u64, count: usize) -> Vec<(String, i64, f64)> {
    let row = |_| {
        let name = "x".repeat(1 + random.below(series) as usize);
        let sign = if random.below(5) == 0 { -1.0 } else { 1.0 };
        (name, from_ms + random.below(3_600_000) as i64, sign * (1 + random.below(900)) as f64 / 4.0)
    };
    let mut rows: Vec<_> = (0..count).map(row).collect();
    rows.sort_by_key(|(_, _, value)| *value < 0.0);
    rows
}

#[test]
fn a_settled_day_answers_the_same_from_one_run_and_takes_less() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let open = tenant(&store);
    let mut random = Random::new(7);
    let mut now_ms = NOON_MS;
    let yesterday = NOON_MS - MS_PER_DAY;
    // Flushes over one another, floats and histograms, the later value of a time above the earlier one.
    for _ in 0..5 {
        put(&open, &rows(&mut random, yesterday, 12, 3_000));
        flush(&store, &mut now_ms);
    }
    let before = read_all(&open, MsRange::ALL);
    let old = open.snapshot().unwrap();
    let bytes = open.stats().disk_bytes;
    settle(&store, &mut now_ms);
    assert_eq!(read_all(&open, MsRange::ALL), before);
    assert!(open.stats().disk_bytes < bytes, "{} bytes, {bytes} before", open.stats().disk_bytes);
    for _ in 0..40 {
        let start_ms = yesterday + random.below(3_600_000) as i64;
        let range = MsRange { start_ms, end_ms: start_ms + random.below(600_000) as i64 };
        let expected: Model = before.clone().into_iter().filter(|((_, at_ms), _)| range.contains(*at_ms)).collect();
        assert_eq!(read_all(&open, range), expected);
    }
    // Nothing was flushed after this view was taken, so it sees the settled day whole.
    let ids: Vec<_> = old.select(&[], MsRange::ALL, 99).unwrap().iter().map(|series| series.id).collect();
    let samples = old.read(&ids, MsRange::ALL, &mut NoLimit).unwrap();
    assert_eq!(samples.iter().map(|one| one.at_ms.len() + one.histograms.len()).sum::<usize>(), before.len());
    // What comes late is a run of its own, at once over the settled one, and is settled in its time.
    put(&open, &[("x".into(), yesterday + 5, 1.25)]);
    let late = |open: &Tenant| read_all(open, MsRange::ALL)[&("x".to_string(), yesterday + 5)];
    assert_eq!(late(&open), 1.25f64.to_bits());
    flush(&store, &mut now_ms);
    assert_eq!(late(&open), 1.25f64.to_bits());
    settle(&store, &mut now_ms);
    store.close().unwrap();
    drop((old, open, store));
    assert_eq!(runs(dir.path(), "2026-11-20").len(), 2, "so little is not worth the whole day");
    let store = Store::open(options(dir.path()), now_ms).unwrap();
    let open = tenant(&store);
    store.maintain(now_ms).unwrap();
    store.maintain(now_ms + SETTLE_AGAIN_MS).unwrap();
    assert_eq!(late(&open), 1.25f64.to_bits());
    store.close().unwrap();
    drop((open, store));
    assert_eq!(runs(dir.path(), "2026-11-20"), [(before.len() as u64 + 1, true)]);
}

#[test]
fn a_view_older_than_a_flush_is_told_when_the_day_was_settled() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let open = tenant(&store);
    let mut now_ms = NOON_MS;
    put(&open, &[("a".into(), NOON_MS, 1.0)]);
    let old = open.snapshot().unwrap();
    put(&open, &[("a".into(), NOON_MS + 1, 2.0)]);
    flush(&store, &mut now_ms);
    let ids: Vec<_> = old.select(&[], MsRange::ALL, 9).unwrap().iter().map(|series| series.id).collect();
    assert_eq!(old.read(&ids, MsRange::ALL, &mut NoLimit).unwrap()[0].values, [1.0]);
    settle(&store, &mut now_ms);
    let refused = old.read(&ids, MsRange::ALL, &mut NoLimit).unwrap_err();
    assert_eq!(refused.kind(), Kind::Unavailable);
    assert!(refused.to_string().contains("ask again"), "{refused}");
    assert_eq!(open.snapshot().unwrap().read(&ids, MsRange::ALL, &mut NoLimit).unwrap()[0].values, [1.0, 2.0]);
}

#[test]
fn a_day_is_settled_when_quiet_when_crowded_and_at_a_close_but_not_while_it_grows() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let open = tenant(&store);
    let mut random = Random::new(3);
    let mut now_ms = NOON_MS;
    let flushes = |dir: &Path| {
        let copy = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(file(copy.path(), "x").parent().unwrap()).unwrap();
        std::fs::copy(file(dir, "2026-11-21"), file(copy.path(), "2026-11-21")).unwrap();
        runs(copy.path(), "2026-11-21").iter().filter(|(_, settled)| !settled).count()
    };
    for round in 0..FLUSHES_MAX {
        put(&open, &rows(&mut random, NOON_MS, 5, 200));
        // The next samples of the day are already there.
        flush(&store, &mut now_ms);
        put(&open, &rows(&mut random, NOON_MS, 5, 20));
        assert_eq!(flushes(dir.path()), round + 1);
    }
    store.maintain(now_ms + 1).unwrap();
    // The head does not idle.
    put(&open, &rows(&mut random, NOON_MS, 5, 20));
    store.maintain(now_ms + SETTLE_QUIET_MS - 1).unwrap();
    let before = read_all(&open, MsRange::ALL);
    assert_eq!(flushes(dir.path()), FLUSHES_MAX);
    store.maintain(now_ms + SETTLE_QUIET_MS + 1).unwrap();
    assert_eq!(flushes(dir.path()), 0);
    assert!(open.stats().head_samples > 0);
    assert_eq!(read_all(&open, MsRange::ALL), before);
    put(&open, &rows(&mut random, NOON_MS, 50, 60_000));
    let before = read_all(&open, MsRange::ALL);
    store.close().unwrap();
    drop((open, store));
    assert_eq!(flushes(dir.path()), 0);
    let store = Store::open(options(dir.path()), now_ms).unwrap();
    assert_eq!(read_all(&tenant(&store), MsRange::ALL), before);
}

#[test]
fn on_a_full_disk_the_day_stays_as_it_was_and_is_settled_when_there_is_room() {
    for blocks in [0, 1, 3, 10, 40] {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        let settings = Options { backend: Some(disk.backend()), ..options(dir.path()) };
        let store = Store::open(settings, NOON_MS).unwrap();
        let open = tenant(&store);
        let mut random = Random::new(blocks + 1);
        let mut now_ms = NOON_MS;
        for _ in 0..3 {
            put(&open, &rows(&mut random, NOON_MS, 30, 5_000));
            flush(&store, &mut now_ms);
        }
        let before = read_all(&open, MsRange::ALL);
        disk.fill_up_after(Some(blocks));
        settle(&store, &mut now_ms);
        assert_eq!(read_all(&open, MsRange::ALL), before, "{blocks} blocks left");
        let names = std::fs::read_dir(file(dir.path(), "x").parent().unwrap()).unwrap();
        assert!(names.flatten().all(|entry| entry.path().extension().is_some_and(|ending| ending == "redb")));
        disk.fill_up_after(None);
        let old = file(dir.path(), "2026-11-21");
        let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap());
        let before_inode = inode(&old);
        settle(&store, &mut now_ms);
        settle(&store, &mut now_ms);
        assert_ne!(inode(&old), before_inode, "it was written anew");
        assert_eq!(read_all(&open, MsRange::ALL), before, "{blocks} blocks left");
    }
}

#[test]
fn a_settled_day_of_usual_series_takes_about_a_byte_a_sample() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let open = tenant(&store);
    let mut random = Random::new(5);
    let mut now_ms = NOON_MS;
    let (series, points) = (100, 480);
    let mut levels: Vec<i64> = (0..series).map(|n| n * 977).collect();
    for point in 0..points {
        // The points of an export have one time, which jitters.
        let at_ms = NOON_MS - MS_PER_DAY + point * 15_000 + random.below(50) as i64;
        let mut row = |(n, level): (usize, &mut i64)| {
            *level += match n % 4 {
                0 => 0,
                1 => random.below(30) as i64,
                2 => random.below(101) as i64 - 50,
                _ => i64::from(random.below(20) == 0),
            };
            ("x".repeat(1 + n), at_ms, 10_000.0 + *level as f64 / 100.0)
        };
        let rows: Vec<_> = levels.iter_mut().enumerate().map(&mut row).collect();
        put(&open, &rows);
    }
    flush(&store, &mut now_ms);
    settle(&store, &mut now_ms);
    store.close().unwrap();
    drop((open, store));
    assert_eq!(runs(dir.path(), "2026-11-20"), [((series * points) as u64, true)]);
    let blocks = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(file(dir.path(), "2026-11-20")).unwrap());
    let bytes = blocks as f64 * 512.0;
    // The file's own pages and its index, some 64 KB, are much beside so few samples, and one page of 4 KiB is 0.09 of a byte.
    let each = (bytes - 64.0 * 1024.0) / (series * points) as f64;
    assert!(each < 0.85, "{each:.2} bytes a sample, {bytes} in all");
}
