//! Retention, told by the bytes that the files take: they are back under the limit after upkeep, and gone when the last reader lets go.

use model::TenantId;
use model::time::MS_PER_DAY;

use super::thin::long_batch;
use super::*;
use crate::{Store, Tenant};

const DAYS: usize = 4;
const HOUR_MS: i64 = 3_600_000;
/// Noon of the last day of the batches.
const LAST_NOON_MS: i64 = NOON_MS + (DAYS as i64 - 1) * MS_PER_DAY + 12 * HOUR_MS;

fn submit(tenant: &Tenant, seq: u64, count: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(tenant.submit_logs(long_batch(seq, count, DAYS))).unwrap().is_empty());
}

fn open_with(dir: &Path, settings: impl FnOnce(Options) -> Options) -> (Store, Tenant) {
    let options = Options { disk_free_min: 0, ..Options::new(dir) };
    let store = Store::open(settings(options), LAST_NOON_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    (store, tenant)
}

/// Bytes of the day files and their indexes, and of the intake log.
fn on_disk(dir: &Path) -> (u64, u64) {
    let tenant = dir.join("tenants/default");
    (retention::dir_bytes(&tenant.join("logs")), crate::file::disk_bytes(&tenant.join("intake.redb")))
}

fn day_files(dir: &Path) -> usize {
    let entries = fs::read_dir(dir.join("tenants/default/logs")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "redb")).count()
}

/// Files below a folder that are removed and still held open or mapped by this process.
fn held(dir: &Path) -> Vec<String> {
    let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let open = open.map(|path| path.to_string_lossy().into_owned());
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mapped = maps.lines().filter_map(|line| Some(line[line.find('/')?..].to_owned()));
    let dir = dir.to_str().unwrap();
    open.chain(mapped).filter(|path| path.starts_with(dir) && path.ends_with("(deleted)")).collect()
}

/// Four days, sealed and indexed; records of the last request wait in the intake log.
fn filled(dir: &Path) {
    let (store, tenant) = open_with(dir, |options| options);
    submit(&tenant, 1, 1_600);
    for after_ms in [0, HOUR_MS / 2, 2 * HOUR_MS] {
        store.maintain(LAST_NOON_MS + after_ms).unwrap();
    }
    assert_eq!(tenant.verify(false).unwrap().log_segments as usize, DAYS);
    submit(&tenant, 2, 400);
    store.close().unwrap();
}

#[test]
fn bytes_are_back_under_their_limit_with_index_and_intake_log() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let (days, log) = on_disk(dir.path());
    assert!(days > 500_000 && log > 50_000, "{days} {log}");
    let mut files = DAYS;
    // The days alone would fit; half of all; the newest day stays.
    for (bytes_max, left_max) in [(days, DAYS - 1), ((days + log) / 2, DAYS - 2), (1, 1)] {
        let (store, tenant) = open_with(dir.path(), |options| Options { bytes_max, ..options });
        let reader = tenant.snapshot().unwrap();
        let seen = blocks(reader.logs(), &IndexQuery::All).0;
        seen.iter().for_each(|block| assert!(block.read().unwrap().is_some()));
        store.maintain(LAST_NOON_MS).unwrap();
        let (days, log) = on_disk(dir.path());
        let left = day_files(dir.path());
        assert!((1..=left_max).contains(&left), "{left} days with room for {bytes_max} bytes");
        assert!(days + log <= bytes_max || left == 1, "{days} + {log} of {bytes_max} bytes");
        // What is gone is gone for who looked before, too.
        let gone = seen.iter().filter(|block| block.read().unwrap().is_none()).count();
        assert_eq!(gone > 0, left < files);
        drop((seen, reader));
        store.close().unwrap();
        assert_eq!(held(dir.path()), Vec::<String>::new());
        files = left;
    }
}

#[test]
fn what_waits_in_the_intake_log_is_written_out_before_a_day_goes_for_it() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let (days, _) = on_disk(dir.path());
    let bytes_max = days + 5 * days / 2;
    let (store, tenant) = open_with(dir.path(), |options| Options { bytes_max, ..options });
    (3..6).for_each(|seq| submit(&tenant, seq, 1_600));
    let (before, log) = on_disk(dir.path());
    assert!(before + log > bytes_max, "{before} + {log} of {bytes_max} bytes");
    store.maintain(LAST_NOON_MS).unwrap();
    let (after, log) = on_disk(dir.path());
    assert_eq!(day_files(dir.path()), DAYS, "{after} + {log} of {bytes_max} bytes");
    assert!(after + log <= bytes_max, "{after} + {log} of {bytes_max} bytes");
}

#[test]
fn days_past_their_age_give_their_bytes_back() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let before = on_disk(dir.path()).0;
    let (store, tenant) = open_with(dir.path(), |options| Options { logs_retention_ms: MS_PER_DAY, ..options });
    let reader = tenant.snapshot().unwrap();
    assert!(blocks(reader.logs(), &IndexQuery::Term(terms::word("zzyzx"))).1 > 0, "the index is in use");
    store.maintain(LAST_NOON_MS).unwrap();
    let after = on_disk(dir.path()).0;
    assert_eq!(day_files(dir.path()), 2);
    assert!(after * 3 < before * 2, "{after} bytes of {before}");
    drop(reader);
    assert_eq!(held(dir.path()), Vec::<String>::new());
    let range = |from: i64| NsRange { start_ns: (NOON_MS + from * MS_PER_DAY) * 1_000_000, end_ns: i64::MAX };
    let all = blocks(tenant.snapshot().unwrap().logs(), &IndexQuery::All).0;
    assert!(all.iter().all(|block| range(2).overlaps(block.min_ns(), block.max_ns())));
}
