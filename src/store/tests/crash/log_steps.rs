//! The life of log records step by step: taken in, sealed, thinned out, indexed, dropped. The power goes at each write in turn, or the disk is full from
//! there on; each time what was acknowledged is there once, and a second run goes on as if nothing had been.

use std::collections::BTreeSet;
use std::path::Path;

use chance::Random;
use model::time::MS_PER_DAY;
use model::{AnyValue, LogBatch, LogRecord, MatchOp, Matcher, NsRange, Resource, Scope, TenantId};
use store::logs::IndexQuery;
use store::logs::terms;
use store::{Options, Store, StoreError, StreamRetention, Tenant};

use crate::common::disk::Disk;
use crate::common::{NOON_MS, block_on};

const HOUR_MS: i64 = 3_600_000;
const RETENTION_DAYS: i64 = 2;

fn open(dir: &Path, disk: &Disk) -> Store {
    let options = Options {
        logs_retention_ms: RETENTION_DAYS * MS_PER_DAY,
        logs_streams: vec![StreamRetention {
            matchers: vec![Matcher::new("service_name", MatchOp::Equal, "c").unwrap()],
            keep_ms: MS_PER_DAY,
            priority: 0,
        }],
        backend: Some(disk.backend()),
        disk_free_min: 0,
        ..Options::new(dir)
    };
    Store::open(options, NOON_MS).unwrap()
}

/// Records that bear the numbers `first..first + 12`, on three days and in three streams.
fn batch(first: i64) -> LogBatch {
    let service = |name: &str| Resource {
        attributes: vec![("service.name".into(), AnyValue::Str(name.into()))],
        ..Resource::default()
    };
    let record = |number: i64| LogRecord {
        time_ns: (NOON_MS - number % 3 * MS_PER_DAY + number) * 1_000_000,
        observed_time_ns: number,
        body: AnyValue::Str(format!("job_{number} ended after {number} ms")),
        ..LogRecord::default()
    };
    LogBatch {
        resources: vec![service("a"), service("b"), service("c")],
        scopes: vec![Scope::default()],
        records: (first..first + 12).map(|number| ((number / 3 % 3) as u32, 0, record(number))).collect(),
    }
}

/// Of service c, which is kept for a day.
fn is_short(number: i64) -> bool {
    number / 3 % 3 == 2
}

/// And two days old.
fn is_over(number: i64) -> bool {
    is_short(number) && number % 3 == 2
}

/// What was said of the records, by their numbers.
#[derive(Default)]
struct Said {
    acknowledged: BTreeSet<i64>,
    /// Of requests whose answer was an error.
    unsure: Vec<Vec<i64>>,
}

impl Said {
    fn submit(&mut self, store: &Store, first: i64) -> bool {
        let numbers: Vec<i64> = (first..first + 12).collect();
        let stored =
            store.tenant(&TenantId::default()).is_ok_and(|tenant| block_on(tenant.submit_logs(batch(first))).is_ok());
        if stored {
            self.acknowledged.extend(numbers);
        } else {
            self.unsure.push(numbers);
        }
        stored
    }

    /// Every acknowledged record once, but for those of days that retention may have dropped; of an unsure request all or none.
    fn check(&mut self, store: &Store, may_be_dropped: bool, when: &str) {
        let Some(tenant) = store.existing_tenant(&TenantId::default()).unwrap() else {
            assert!(self.acknowledged.is_empty(), "{when}");
            return;
        };
        let found = numbers(&tenant);
        let once: BTreeSet<i64> = found.iter().copied().collect();
        assert_eq!(once.len(), found.len(), "{when}: a record is there twice");
        let is_kept = |number: &i64| !is_over(*number) && (!may_be_dropped || number % 3 == 0 && !is_short(*number));
        for numbers in std::mem::take(&mut self.unsure) {
            let kept: Vec<i64> = numbers.into_iter().filter(is_kept).collect();
            let there = kept.iter().filter(|number| once.contains(number)).count();
            assert!(there == 0 || there == kept.len(), "{when}: {there} records of one request");
            if there > 0 {
                self.acknowledged.extend(kept);
            }
        }
        let missing: Vec<i64> =
            self.acknowledged.iter().filter(|number| is_kept(number) && !once.contains(number)).copied().collect();
        assert_eq!(missing, Vec::<i64>::new(), "{when}: acknowledged, and not there");
        // A search by the index finds what a look at everything does.
        for number in once.iter().filter(|number| **number % 5 == 0) {
            assert!(is_found(&tenant, *number), "{when}: the index hides {number}");
        }
    }
}

fn never() -> Result<(), StoreError> {
    Ok(())
}

fn numbers(tenant: &Tenant) -> Vec<i64> {
    let snapshot = tenant.snapshot().unwrap();
    let head = snapshot.logs().head(NsRange::ALL).flat_map(|part| part.records());
    let mut found: Vec<i64> = head.map(|record| record.observed_time_ns()).collect();
    for block in snapshot.logs().blocks(NsRange::ALL, &IndexQuery::All, never).unwrap().0 {
        let batch = block.read().unwrap().unwrap().batch().unwrap();
        found.extend(batch.records.iter().map(|(_, _, record)| record.observed_time_ns));
    }
    found
}

fn is_found(tenant: &Tenant, number: i64) -> bool {
    let snapshot = tenant.snapshot().unwrap();
    let query = IndexQuery::Term(terms::word(&format!("job_{number}")));
    let blocks = snapshot.logs().blocks(NsRange::ALL, &query, never).unwrap().0;
    let in_blocks = blocks.iter().any(|block| {
        let batch = block.read().unwrap().unwrap().batch().unwrap();
        batch.records.iter().any(|(_, _, record)| record.observed_time_ns == number)
    });
    let mut head = snapshot.logs().head(NsRange::ALL).flat_map(|part| part.records());
    in_blocks || head.any(|record| record.observed_time_ns() == number)
}

/// Two requests are taken in and sealed, two more are, the first are indexed, and the oldest days go. Whether every step came to its end.
fn live(store: &Store, said: &mut Said, first: i64) -> bool {
    let mut whole = true;
    for (request, after_ms) in [(0, 0), (1, HOUR_MS), (2, 2 * HOUR_MS), (3, 4 * HOUR_MS)] {
        whole &= said.submit(store, first + 12 * request);
        // Seen young, then old.
        whole &= store.maintain(NOON_MS + after_ms).is_ok();
        whole &= store.maintain(NOON_MS + after_ms + HOUR_MS / 2).is_ok();
    }
    whole
}

/// The two older days end.
fn end_days(store: &Store) -> bool {
    store.maintain(NOON_MS + RETENTION_DAYS * MS_PER_DAY).is_ok()
}

/// Writes tried of all, evenly spread, from another place for each `SEED`; `CUTS=100000` tries each.
fn places(all: u64) -> impl Iterator<Item = u64> {
    let (seed, cuts) = (chance::from_env("SEED").unwrap_or(0), chance::from_env("CUTS").unwrap_or(12));
    println!("SEED={seed} CUTS={cuts} of {all}");
    let step = (all / cuts).max(1);
    (seed % step..all).step_by(step as usize)
}

/// Writes of a life whose days end.
fn writes_of_a_life() -> u64 {
    const PLENTY: u64 = 1 << 40;
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let store = open(dir.path(), &disk);
    disk.cut_after(PLENTY);
    assert!(live(&store, &mut Said::default(), 0) && end_days(&store));
    PLENTY - disk.operations_left().unwrap()
}

#[test]
fn the_power_may_go_at_any_write() {
    let all = writes_of_a_life();
    assert!(all > 100, "{all} writes in all");
    for operations in places(all) {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = Disk::default();
        let when = format!("the power went after {operations} operations");
        let mut said = Said::default();
        let store = open(dir.path(), &disk);
        disk.cut_after(operations);
        let lived = live(&store, &mut said, 0);
        // Files are removed by the system itself, whatever became of the power.
        if lived {
            end_days(&store);
        }
        let after = disk.after_power_cut(&mut Random::new(operations + 1));
        drop(store);
        disk = after;
        let store = open(dir.path(), &disk);
        said.check(&store, lived, &when);
        said.submit(&store, 1_200);
        store.maintain(NOON_MS + 5 * HOUR_MS).unwrap();
        store.maintain(NOON_MS + 6 * HOUR_MS).unwrap();
        let tenant = store.tenant(&TenantId::default()).unwrap();
        assert!(!numbers(&tenant).into_iter().any(is_over), "{when}: what is over is there");
        drop(tenant);
        store.close().unwrap();
        drop(store);
        let store = open(dir.path(), &disk);
        said.check(&store, lived, &when);
        assert!(end_days(&store));
        said.check(&store, true, &when);
    }
}

#[test]
fn the_disk_may_be_full_at_any_write() {
    for blocks in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89] {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        let when = format!("the disk had room for {blocks} blocks");
        let mut said = Said::default();
        let store = open(dir.path(), &disk);
        // A tenant is there, with its files.
        assert!(said.submit(&store, 2_400), "{when}");
        disk.fill_up_after(Some(blocks));
        let lived = live(&store, &mut said, 0);
        assert!(!lived || blocks > 20, "{when}, and nothing failed");
        said.check(&store, false, &when);
        disk.fill_up_after(None);
        store.maintain(NOON_MS + 5 * HOUR_MS).unwrap();
        assert_eq!(store.trouble(), None, "{when}");
        assert!(said.submit(&store, 1_200), "{when}");
        store.maintain(NOON_MS + 6 * HOUR_MS).unwrap();
        said.check(&store, false, &when);
        store.close().unwrap();
        drop(store);
        let store = open(dir.path(), &disk);
        said.check(&store, false, &when);
        assert!(end_days(&store));
        said.check(&store, true, &when);
    }
}

#[test]
fn an_index_torn_at_any_place_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let mut said = Said::default();
    let store = open(dir.path(), &disk);
    assert!(live(&store, &mut said, 0));
    store.close().unwrap();
    drop(store);
    let index = dir.path().join("tenants/default/logs/2026-11-21.idx");
    let segment = || std::fs::read_dir(&index).unwrap().next().unwrap().unwrap().path();
    let files = || -> Vec<_> {
        let mut files: Vec<_> = std::fs::read_dir(segment())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        files
    };
    let count = files().len();
    assert!(count >= 4, "{:?}", files());
    for nth in 0..count {
        for damage in ["gone", "empty", "cut", "a byte less", "zeros", "not named yet"] {
            let Some(path) = files().into_iter().nth(nth) else { continue };
            let bytes = std::fs::read(&path).unwrap();
            match damage {
                "gone" => std::fs::remove_file(&path).unwrap(),
                "empty" => std::fs::write(&path, b"").unwrap(),
                "cut" => std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
                "a byte less" => std::fs::write(&path, &bytes[..bytes.len().saturating_sub(1)]).unwrap(),
                "zeros" => std::fs::write(&path, vec![0; bytes.len()]).unwrap(),
                // As a crash between the last file and the name leaves it.
                _ => std::fs::rename(segment(), index.join("unfinished")).unwrap(),
            }
            let when = format!("{} {damage}", path.display());
            let store = open(dir.path(), &disk);
            said.check(&store, false, &when);
            // Upkeep sees blocks outside the index, and an hour later they are old.
            store.maintain(NOON_MS + 6 * HOUR_MS).unwrap();
            store.maintain(NOON_MS + 8 * HOUR_MS).unwrap();
            said.check(&store, false, &when);
            let tenant = store.tenant(&TenantId::default()).unwrap();
            let verified = tenant.verify(false).unwrap();
            // Files that tantivy keeps beside a segment's own tell nothing of the records.
            assert!(verified.damage.is_empty() || damage != "not named yet", "{when}: {:?}", verified.damage);
            if !verified.damage.is_empty() {
                assert!(tenant.verify(true).unwrap().damage.is_empty(), "{when}");
            }
            drop(tenant);
            store.close().unwrap();
        }
    }
}

#[test]
fn an_index_that_cannot_be_written_hides_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let mut said = Said::default();
    let store = open(dir.path(), &disk);
    assert!(said.submit(&store, 0));
    // A file where the directory should be.
    let index = dir.path().join("tenants/default/logs/2026-11-21.idx");
    std::fs::create_dir_all(index.parent().unwrap()).unwrap();
    std::fs::write(&index, b"in the way").unwrap();
    assert!(live(&store, &mut said, 12), "intake and seals go on");
    said.check(&store, false, "in the way");
    std::fs::remove_file(&index).unwrap();
    store.maintain(NOON_MS + 8 * HOUR_MS).unwrap();
    said.check(&store, false, "out of the way");
    let verified = store.tenant(&TenantId::default()).unwrap().verify(false).unwrap();
    assert!(
        verified.log_segments >= 3 && verified.log_blocks_outside_index == 0 && verified.damage.is_empty(),
        "{verified:?}"
    );
}
