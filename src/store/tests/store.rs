//! The store by its public doors, on real files: isolation, retention, limits, failures, versions.

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::disk::Disk;
use common::{NOON_MS, NoLimit, batch, block_on, labels, mixed, read_all};
use model::time::MS_PER_DAY;
use model::{
    Kind, Labels, MatchOp, Matcher, MetricBatch, MetricKind, MetricMeta, MsRange, Sample, SeriesEntry, TenantId,
};
use redb::{ReadableDatabase as _, ReadableTable as _, TableHandle as _};
use store::{Options, ReadGuard, Store, StoreError, Tenant};

const HOUR_MS: i64 = 3_600_000;

fn options(dir: &Path) -> Options {
    Options { disk_free_min: 0, ..Options::new(dir) }
}

fn tenant(store: &Store) -> Tenant {
    store.tenant(&TenantId::default()).unwrap()
}

fn put(tenant: &Tenant, rows: &[(&str, i64, f64)]) -> Result<u64, StoreError> {
    let rows: Vec<_> = rows.iter().map(|(name, at_ms, value)| (name.to_string(), *at_ms, *value)).collect();
    block_on(tenant.submit_metrics(batch(tenant, &rows))).map(|rejected| rejected.total())
}

/// Writes the head out: it is old enough at the second look.
fn flush(store: &Store, now_ms: i64) {
    store.maintain(now_ms - 3 * HOUR_MS).unwrap();
    store.maintain(now_ms).unwrap();
}

fn values(tenant: &Tenant) -> Vec<(String, i64, f64)> {
    let found = read_all(tenant, MsRange::ALL);
    found.into_iter().map(|((name, at_ms), bits)| (name, at_ms, f64::from_bits(bits))).collect()
}

#[test]
fn a_snapshot_sees_what_was_acknowledged_before_it_and_nothing_later() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let tenant = tenant(&store);
    put(&tenant, &[("a", NOON_MS, 1.0), ("b", NOON_MS, 2.0)]).unwrap();
    let before = tenant.snapshot().unwrap();
    let read = |snapshot: &store::Snapshot| {
        let series = snapshot.select(&[Matcher::equal("name", "a")], MsRange::ALL, 10).unwrap();
        let ids: Vec<_> = series.iter().map(|series| series.id).collect();
        let samples = snapshot.read(&ids, MsRange::ALL, &mut NoLimit).unwrap().remove(0);
        samples.at_ms.into_iter().zip(samples.values).collect::<Vec<_>>()
    };
    assert_eq!(read(&before), [(NOON_MS, 1.0)]);
    put(&tenant, &[("a", NOON_MS, 7.0), ("a", NOON_MS + 1, 8.0), ("a", NOON_MS - 1, 9.0)]).unwrap();
    assert_eq!(read(&before), [(NOON_MS, 1.0)]);
    // Written out, the new samples share a chunk with the old one; the old view still reads its own head.
    flush(&store, NOON_MS);
    assert_eq!(tenant.stats().head_samples, 0);
    assert_eq!(read(&before), [(NOON_MS, 1.0)]);
    let after = [(NOON_MS - 1, 9.0), (NOON_MS, 7.0), (NOON_MS + 1, 8.0)];
    assert_eq!(read(&tenant.snapshot().unwrap()), after);
    // Late samples of a day that was written out, again in the head, win over the day file.
    put(&tenant, &[("a", NOON_MS - 1, 5.0)]).unwrap();
    assert_eq!(read(&tenant.snapshot().unwrap())[0], (NOON_MS - 1, 5.0));
    flush(&store, NOON_MS + HOUR_MS);
    assert_eq!(read(&tenant.snapshot().unwrap())[0], (NOON_MS - 1, 5.0));
}

#[test]
fn reading_is_by_range_selector_and_budget() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let tenant = tenant(&store);
    let mut rows = Vec::new();
    for step in 0..2_000 {
        rows.push(("a", NOON_MS - 2 * MS_PER_DAY + step * 60_000, step as f64));
        rows.push(("bb", NOON_MS - 2 * MS_PER_DAY + step * 60_000, -step as f64));
    }
    put(&tenant, &rows).unwrap();
    for written_out in [false, true] {
        if written_out {
            flush(&store, NOON_MS);
        }
        let snapshot = tenant.snapshot().unwrap();
        let select = |matchers: &[Matcher], range| {
            let found = snapshot.select(matchers, range, 10).unwrap();
            found.iter().map(|series| series.labels.value("name").to_string()).collect::<Vec<_>>()
        };
        assert_eq!(select(&[], MsRange::ALL), ["a", "bb"]);
        assert_eq!(select(&[Matcher::new("parity", MatchOp::Regex, "ev.*").unwrap()], MsRange::ALL), ["bb"]);
        let past = MsRange { start_ms: 0, end_ms: NOON_MS - 3 * MS_PER_DAY };
        // What is in the head may be offered; what is in day files is known to lie elsewhere.
        assert!(!written_out || select(&[], past).is_empty());
        let too_much = snapshot.select(&[], MsRange::ALL, 1).unwrap_err();
        assert_eq!(too_much.kind(), Kind::TooMuch);
        let ids: Vec<_> = snapshot.select(&[], MsRange::ALL, 10).unwrap().iter().map(|series| series.id).collect();
        // Across midnight, from and to the middle of an epoch.
        let (first, last) = (700, 800);
        let at = |step: i64| NOON_MS - 2 * MS_PER_DAY + step * 60_000;
        let range = MsRange { start_ms: at(first) - 1, end_ms: at(last) };
        let read = snapshot.read(&[ids[1], ids[0]], range, &mut NoLimit).unwrap();
        assert_eq!(read[0].values, (first..=last).map(|step| -step as f64).collect::<Vec<_>>());
        assert_eq!(read[1].at_ms, (first..=last).map(at).collect::<Vec<_>>());
        struct Small(u64);
        impl ReadGuard for Small {
            fn spend(&mut self, samples: u64, _bytes: u64) -> Result<(), StoreError> {
                self.0 = self.0.checked_sub(samples).ok_or(StoreError::TooMuch { message: "enough".into() })?;
                Ok(())
            }
        }
        assert!(snapshot.read(&ids, MsRange::ALL, &mut Small(100)).is_err());
        assert!(snapshot.read(&ids, MsRange::ALL, &mut Small(4_000)).is_ok());
    }
    let snapshot = tenant.snapshot().unwrap();
    assert_eq!(snapshot.label_names(&[], MsRange::ALL).unwrap(), ["__name__", "name", "parity"]);
    assert_eq!(snapshot.label_values("name", &[], MsRange::ALL).unwrap(), ["a", "bb"]);
}

#[test]
fn old_days_go_with_their_series_and_numbers_are_never_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Options { metrics_retention_ms: 2 * MS_PER_DAY, ..options(dir.path()) };
    let store = Store::open(settings.clone(), NOON_MS).unwrap();
    let open = tenant(&store);
    put(&open, &[("old", NOON_MS, 1.0), ("both", NOON_MS, 2.0)]).unwrap();
    flush(&store, NOON_MS);
    let held = batch(&open, &[("old".into(), NOON_MS + 5 * MS_PER_DAY, 9.0)]);
    let ids = |tenant: &Tenant| {
        let found = tenant.snapshot().unwrap().select(&[], MsRange::ALL, 10).unwrap();
        found.iter().map(|series| (series.labels.value("name").to_string(), series.id.0)).collect::<Vec<_>>()
    };
    assert_eq!(ids(&open), [("old".into(), 0), ("both".into(), 1)]);
    let day_file = |day: &str| dir.path().join("tenants/default/metrics").join(format!("{day}.redb"));
    assert!(day_file("2026-11-21").exists());
    let later = NOON_MS + 4 * MS_PER_DAY;
    put(&open, &[("both", later, 3.0)]).unwrap();
    // Idle for long, a series loses its senders' keys in one round and leaves memory in the next.
    for round in 0..2 {
        store.maintain(later + round).unwrap();
    }
    assert!(!day_file("2026-11-21").exists());
    assert_eq!(values(&open), [("both".into(), later, 3.0)]);
    assert_eq!(open.snapshot().unwrap().label_values("name", &[], MsRange::ALL).unwrap(), ["both"]);
    // A request that was decoded before the series went is refused as retryable; decoded anew, it makes a new series.
    assert_eq!(block_on(open.submit_metrics(held)).unwrap_err().kind(), Kind::Unavailable);
    store.close().unwrap();
    drop((open, store));
    let store = Store::open(settings, later).unwrap();
    let open = tenant(&store);
    put(&open, &[("old", later, 4.0)]).unwrap();
    assert_eq!(ids(&open), [("both".into(), 1), ("old".into(), 2)]);
}

#[test]
fn over_its_bytes_a_tenant_loses_its_oldest_days_and_never_its_newest() {
    let dir = tempfile::tempdir().unwrap();
    let settings = options(dir.path());
    let store = Store::open(settings.clone(), NOON_MS).unwrap();
    let open = tenant(&store);
    let days: Vec<i64> = (0..5).map(|back| NOON_MS - back * MS_PER_DAY).collect();
    put(&open, &days.iter().map(|at_ms| ("a", *at_ms, 1.0)).collect::<Vec<_>>()).unwrap();
    flush(&store, NOON_MS);
    let dir_of_days = dir.path().join("tenants/default/metrics");
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(&dir_of_days)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names().len(), 5);
    let bytes = open.stats().disk_bytes;
    store.close().unwrap();
    drop((open, store));
    // Room for about half of them.
    let store = Store::open(Options { bytes_max: bytes / 2, ..settings.clone() }, NOON_MS).unwrap();
    store.maintain(NOON_MS).unwrap();
    let left = names();
    assert!((1..4).contains(&left.len()), "{left:?} of {bytes} bytes");
    assert_eq!(left.last().unwrap(), "2026-11-21.redb");
    assert_eq!(values(&tenant(&store)).len(), left.len());
    store.close().unwrap();
    drop(store);
    let store = Store::open(Options { bytes_max: 1, ..settings }, NOON_MS).unwrap();
    store.maintain(NOON_MS).unwrap();
    assert_eq!(names(), ["2026-11-21.redb"]);
    let refused = put(&tenant(&store), &[("a", NOON_MS, 2.0)]).unwrap_err();
    assert!(refused.to_string().contains("retention.max_bytes"), "{refused}");
    assert!(store.trouble().unwrap().contains("retention.max_bytes"));
}

#[test]
fn a_full_disk_refuses_keeps_what_it_acknowledged_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let settings = Options { backend: Some(disk.backend()), ..options(dir.path()) };
    let store = Store::open(settings.clone(), NOON_MS).unwrap();
    let open = tenant(&store);
    put(&open, &[("a", NOON_MS - 1, 0.0)]).unwrap();
    let mut acknowledged = 1;
    let mut batches: Vec<(i64, bool)> = Vec::new();
    // What was acknowledged is there; of a refused batch the commit may have reached the disk all the same: whole, then.
    let check = |open: &Tenant, batches: &[(i64, bool)], acknowledged: usize| {
        let found = read_all(open, MsRange::ALL);
        let mut unasked = 0;
        for (at_ms, stored) in batches {
            let there = (0..200).filter(|n| found.contains_key(&("a".into(), at_ms + n))).count();
            assert!(there == 200 || there == 0 && !stored, "{there} of 200 samples of {at_ms}, acknowledged: {stored}");
            unasked += if *stored { 0 } else { there };
        }
        assert_eq!(found.len(), acknowledged + unasked);
    };
    for round in 0..3 {
        disk.fill_up_after(Some(20));
        let mut refused = 0;
        for step in 0..1_000 {
            let at_ms = NOON_MS + (round * 1_000 + step) * 1_000;
            let rows: Vec<_> = (0..200).map(|n| ("a".to_string(), at_ms + n, (n as f64).sin())).collect();
            let stored = block_on(open.submit_metrics(batch(&open, &rows)));
            if let Err(error) = &stored {
                assert_eq!(error.kind(), Kind::Unavailable, "{error}");
                refused += 1;
            } else {
                acknowledged += 200;
            }
            batches.push((at_ms, stored.is_ok()));
            if refused == 3 {
                break;
            }
        }
        assert_eq!(refused, 3, "the disk was never full");
        assert!(store.trouble().is_some());
        check(&open, &batches, acknowledged);
        // Nothing can be written out either, and nothing is lost by trying.
        drop(store.maintain(NOON_MS));
        drop(store.maintain(NOON_MS + 3 * HOUR_MS));
        check(&open, &batches, acknowledged);
        disk.fill_up_after(None);
        store.maintain(NOON_MS + 3 * HOUR_MS).unwrap();
        assert_eq!(store.trouble(), None);
        put(&open, &[("b", NOON_MS + round, 1.0)]).unwrap();
        acknowledged += 1;
    }
    check(&open, &batches, acknowledged);
    store.close().unwrap();
    drop((open, store));
    let store = Store::open(settings, NOON_MS).unwrap();
    check(&tenant(&store), &batches, acknowledged);
}

#[test]
fn below_the_floor_of_free_space_old_days_go_and_writes_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let open = tenant(&store);
    put(&open, &[("a", NOON_MS - 2 * MS_PER_DAY, 1.0), ("a", NOON_MS - MS_PER_DAY, 2.0), ("a", NOON_MS, 3.0)]).unwrap();
    flush(&store, NOON_MS);
    store.close().unwrap();
    drop((open, store));
    let store = Store::open(Options { disk_free_min: u64::MAX, ..options(dir.path()) }, NOON_MS).unwrap();
    let open = tenant(&store);
    let refused = put(&open, &[("a", NOON_MS, 4.0)]).unwrap_err();
    assert_eq!(refused.kind(), Kind::Unavailable);
    assert!(refused.to_string().contains("limits.disk_free_min"), "{refused}");
    assert!(store.trouble().is_some());
    assert_eq!(values(&open).len(), 3);
    store.maintain(NOON_MS).unwrap();
    assert_eq!(values(&open), [("a".into(), NOON_MS, 3.0)]);
}

#[test]
fn limits_of_series_and_tenants_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Options { tenants_max: 2, series_max: 2, ..options(dir.path()) };
    let store = Store::open(settings.clone(), NOON_MS).unwrap();
    let open = tenant(&store);
    assert_eq!(
        put(&open, &[("a", 1, 1.0), ("bb", 1, 1.0), ("ccc", 1, 1.0), ("ccc", 2, 1.0), ("a", 2, 1.0)]).unwrap(),
        2
    );
    assert_eq!(values(&open).len(), 3);
    store.tenant(&TenantId::new("second").unwrap()).unwrap();
    let refused = store.tenant(&TenantId::new("third").unwrap()).err().unwrap();
    assert_eq!(refused.kind(), Kind::TooMuch);
    assert!(refused.to_string().contains("limits.tenants"), "{refused}");
    assert!(store.existing_tenant(&TenantId::new("third").unwrap()).unwrap().is_none());
    store.close().unwrap();
    drop((open, store));
    // The limit holds for what was there before, too, and the tenants are all there.
    let store = Store::open(settings, NOON_MS).unwrap();
    assert_eq!(store.tenants().iter().map(TenantId::as_str).collect::<Vec<_>>(), ["default", "second"]);
    assert_eq!(put(&tenant(&store), &[("dddd", 1, 1.0)]).unwrap(), 1);
}

#[test]
fn metadata_and_keys_are_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let open = tenant(&store);
    let meta = |help: &str| MetricMeta {
        family: "m".into(),
        kind: MetricKind::Gauge,
        unit: "bytes".into(),
        help: help.into(),
    };
    for help in ["first", "second", "second"] {
        block_on(open.submit_metrics(MetricBatch { metadata: vec![meta(help)], ..MetricBatch::default() })).unwrap();
    }
    put(&open, &[("a", 1, 1.0)]).unwrap();
    let again = batch(&open, &[("a".into(), 2, 1.0)]);
    assert!(matches!(again.series[0], SeriesEntry::Known(_)));
    block_on(open.submit_metrics(again)).unwrap();
    store.close().unwrap();
    drop((open, store));
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let open = tenant(&store);
    assert_eq!(open.snapshot().unwrap().metadata().unwrap(), [meta("second")]);
    // Keys are learnt anew after a start; the series is the same.
    let again = batch(&open, &[("a".into(), 3, 1.0)]);
    assert!(matches!(again.series[0], SeriesEntry::New { .. }));
    block_on(open.submit_metrics(again)).unwrap();
    assert_eq!((values(&open).len(), open.stats().series), (3, 1));
}

#[test]
fn many_callers_share_commits_and_a_caller_that_goes_away_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let store = Store::open(Options { backend: Some(disk.backend()), ..options(dir.path()) }, NOON_MS).unwrap();
    let open = tenant(&store);
    put(&open, &[("a", 0, 0.0)]).unwrap();
    let syncs_before = disk.syncs();
    const CALLERS: i64 = 400;
    block_on(async {
        let requests: Vec<_> = (1..=CALLERS)
            .map(|at_ms| {
                let open = open.clone();
                Box::pin(async move {
                    let request = batch(&open, &[("a".into(), at_ms, at_ms as f64)]);
                    open.submit_metrics(request).await
                })
            })
            .collect();
        let mut waiting = Vec::new();
        for mut request in requests {
            // One poll queues it.
            let queued = std::future::poll_fn(|context| std::task::Poll::Ready(request.as_mut().poll(context))).await;
            assert!(!matches!(queued, std::task::Poll::Ready(Err(_))));
            waiting.push((request, queued.is_ready()));
        }
        for (at, (request, ready)) in waiting.into_iter().enumerate() {
            // Every other caller goes away.
            if at % 2 == 0 && !ready {
                request.await.unwrap();
            }
        }
    });
    store.close().unwrap();
    assert_eq!(values(&open).len() as i64, CALLERS + 1);
    let syncs = disk.syncs() - syncs_before;
    assert!(syncs < CALLERS as u64, "{syncs} syncs for {CALLERS} requests");
    assert_eq!(put(&open, &[("a", 1, 1.0)]).unwrap_err().kind(), Kind::Unavailable);
    assert!(store.trouble().is_some());
}

#[test]
fn files_of_a_later_release_are_refused_and_damaged_records_are_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let intake = dir.path().join("tenants/default/intake.redb");
    let fill = |at_ms| {
        let store = Store::open(options(dir.path()), NOON_MS).unwrap();
        put(&tenant(&store), &[("a", at_ms, 1.0)]).unwrap();
        put(&tenant(&store), &[("a", at_ms + 1, 1.0)]).unwrap();
        // No close: the log keeps its records.
    };
    fill(NOON_MS);
    let edit = |change: &dyn Fn(&redb::WriteTransaction)| {
        // The writer of the store before ends in its own time, when it sees that the store is gone.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let database = loop {
            match redb::Database::open(&intake) {
                Ok(database) => break database,
                Err(redb::DatabaseError::DatabaseAlreadyOpen) if std::time::Instant::now() < deadline => {
                    std::thread::yield_now();
                }
                Err(error) => panic!("{error}"),
            }
        };
        let txn = database.begin_write().unwrap();
        change(&txn);
        txn.commit().unwrap();
    };
    const LOG: redb::TableDefinition<'_, (u64, u32), &[u8]> = redb::TableDefinition::new("log");
    edit(&|txn| {
        let mut log = txn.open_table(LOG).unwrap();
        let mut record = log.get((1, 0)).unwrap().unwrap().value().to_vec();
        record[12] ^= 1;
        log.insert((1, 0), record.as_slice()).unwrap();
    });
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    assert_eq!(values(&tenant(&store)), [("a".into(), NOON_MS + 1, 1.0)]);
    drop(store);
    edit(&|txn| {
        let aside = redb::TableDefinition::<(u64, u32), &[u8]>::new("set_aside");
        assert!(txn.open_table(aside).unwrap().remove((1, 0)).unwrap().is_some());
        txn.open_table(redb::TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 3).unwrap();
    });
    let refused = Store::open(options(dir.path()), NOON_MS).err().unwrap();
    assert!(matches!(refused, StoreError::NewerStore { found: 3, supported: 2, .. }), "{refused}");
    // A file that is no database stops its tenant, not the others.
    std::fs::write(&intake, b"this is not a database, whatever its name says").unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    assert!(store.tenant(&TenantId::default()).is_err());
    assert!(store.trouble().unwrap().contains("default"));
    let other = store.tenant(&TenantId::new("other").unwrap()).unwrap();
    put(&other, &[("a", 1, 1.0)]).unwrap();
}

/// Where the frozen stores of every released version lie: one zstd file for each file of the store.
fn frozen(version: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/stores").join(version)
}

const FROZEN_FILES: [&str; 3] = ["intake.redb", "metrics/2026-11-20.redb", "metrics/2026-11-21.redb"];

fn frozen_rows() -> Vec<(&'static str, i64, f64)> {
    let written = (0..600).map(|n| ("a", NOON_MS - 600 * 120_000 + n * 120_000, (n % 50) as f64 / 4.0));
    let odd = [("odd", NOON_MS, -0.0), ("odd", NOON_MS + 1, (2f64).sqrt()), ("odd", NOON_MS + 2, f64::INFINITY)];
    written.chain(odd).collect()
}

/// In the day files and, the last one, in the log only; as `mixed` takes them.
fn frozen_histograms() -> Vec<(String, i64, f64)> {
    let mut rows: Vec<_> =
        (0..300).map(|n| ("h".into(), NOON_MS - 300 * 120_000 + n * 120_000, -1.0 - (n % 40) as f64)).collect();
    rows.push(("h".into(), NOON_MS, -0.25));
    rows
}

/// Writes `tests/stores/v2`; run by hand when a version is released, never to make a test pass:
/// `cargo test -p store --test store freeze_a_store -- --ignored`.
#[test]
#[ignore = "writes the frozen store"]
fn freeze_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let open = tenant(&store);
    put(&open, &frozen_rows()).unwrap();
    let meta = MetricMeta { family: "m".into(), kind: MetricKind::Gauge, unit: "bytes".into(), help: "Frozen.".into() };
    block_on(open.submit_metrics(MetricBatch { metadata: vec![meta], ..MetricBatch::default() })).unwrap();
    let histograms = frozen_histograms();
    block_on(open.submit_metrics(mixed(&open, &histograms[..300]))).unwrap();
    flush(&store, NOON_MS);
    put(&open, &[("only in the log", NOON_MS, 5.0), ("a", NOON_MS - 120_000, 99.0)]).unwrap();
    block_on(open.submit_metrics(mixed(&open, &histograms[300..]))).unwrap();
    let target = frozen("v2");
    std::fs::create_dir_all(target.join("metrics")).unwrap();
    for name in FROZEN_FILES {
        let bytes = std::fs::read(dir.path().join("tenants/default").join(name)).unwrap();
        std::fs::write(target.join(format!("{name}.zst")), zstd::bulk::compress(&bytes, 19).unwrap()).unwrap();
    }
}

#[test]
fn the_frozen_stores_of_every_version_open() {
    for version in ["v1", "v2"] {
        check_frozen(version);
    }
}

fn check_frozen(version: &str) {
    let dir = tempfile::tempdir().unwrap();
    let tenant_dir = dir.path().join("tenants/default");
    std::fs::create_dir_all(tenant_dir.join("metrics")).unwrap();
    for name in FROZEN_FILES {
        let bytes = std::fs::read(frozen(version).join(format!("{name}.zst"))).unwrap();
        std::fs::write(tenant_dir.join(name), zstd::bulk::decompress(&bytes, 1 << 26).unwrap()).unwrap();
    }
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let open = tenant(&store);
    let mut expected = frozen_rows();
    expected[599].2 = 99.0;
    expected.push(("only in the log", NOON_MS, 5.0));
    let expected: BTreeSet<_> = expected
        .into_iter()
        .map(|(name, at_ms, value)| (name.to_string(), at_ms, value.to_bits()))
        .chain(frozen_histograms().into_iter().map(|(name, at_ms, value)| (name, at_ms, value.to_bits())))
        .collect();
    let found = || -> BTreeSet<_> {
        read_all(&open, MsRange::ALL).into_iter().map(|((name, at_ms), bits)| (name, at_ms, bits)).collect()
    };
    assert_eq!(found(), expected);
    // Its chunks of version 1 are read until their day is settled.
    for round in 0..6 {
        store.maintain(NOON_MS + round * store::limits::SETTLE_QUIET_MS).unwrap();
    }
    assert_eq!(found(), expected);
    assert_eq!(open.snapshot().unwrap().metadata().unwrap()[0].help, "Frozen.");
    assert_eq!(labels("odd").len(), 3);
    put(&open, &[("a", NOON_MS + 60_000, 1.0)]).unwrap();
    // Once written out, nothing is left of the old layout, and nothing is lost.
    flush(&store, NOON_MS + 60_000);
    assert_eq!(values(&open).len(), expected.len() + 1, "{version}");
    store.close().unwrap();
    drop((open, store));
    for name in FROZEN_FILES {
        let database = redb::Database::open(tenant_dir.join(name)).unwrap();
        let tables: Vec<String> =
            database.begin_read().unwrap().list_tables().unwrap().map(|table| table.name().to_string()).collect();
        assert!(!tables.contains(&"series".to_string()), "{version} {name}: {tables:?}");
    }
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    assert_eq!(values(&tenant(&store)).len(), expected.len() + 1, "{version}");
}

#[test]
fn a_histogram_point_is_stored_whole_or_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(Options { series_max: 2, ..options(dir.path()) }, NOON_MS).unwrap();
    let open = tenant(&store);
    let entry = |key: u128, le: &str| SeriesEntry::New {
        key,
        labels: Labels::from_pairs([("__name__", "h_bucket"), ("le", le)]),
    };
    let sample = |series| (series, Sample { at_ms: NOON_MS, value: 1.0 });
    let request = MetricBatch {
        series: vec![entry(1, "1"), entry(2, "2"), entry(3, "+Inf")],
        samples: vec![sample(0), sample(1), sample(2)],
        points: vec![0],
        derived_from: 3,
        ..MetricBatch::default()
    };
    let rejected = block_on(open.submit_metrics(request)).unwrap();
    assert_eq!(rejected.total(), 1);
    assert_eq!(open.stats().series, 0);
}

/// Records by service and severity, as the tenant's newest samples count them.
fn log_totals(tenant: &Tenant) -> Vec<(String, f64)> {
    let snapshot = tenant.snapshot().unwrap();
    let matchers = [Matcher::equal("__name__", "binnacle_log_records_total")];
    let series = snapshot.select(&matchers, MsRange::ALL, 100).unwrap();
    let ids: Vec<_> = series.iter().map(|series| series.id).collect();
    let samples = snapshot.read(&ids, MsRange::ALL, &mut NoLimit).unwrap();
    let mut totals: Vec<(String, f64)> = series
        .iter()
        .zip(samples)
        .filter_map(|(series, samples)| {
            let name = format!("{} {}", series.labels.value("service_name"), series.labels.value("severity"));
            Some((name, *samples.values.last()?))
        })
        .collect();
    totals.sort_by(|one, other| one.0.cmp(&other.0));
    totals
}

#[test]
fn log_records_are_counted_once_over_restarts() {
    let logs = |service: &str, severities: &[i32]| {
        let record = |number: &i32| model::LogRecord {
            time_ns: NOON_MS * 1_000_000,
            severity_number: *number,
            ..model::LogRecord::default()
        };
        let service = vec![("service.name".into(), model::AnyValue::Str(service.into()))];
        model::LogBatch {
            resources: vec![model::Resource { attributes: service, ..model::Resource::default() }],
            scopes: vec![model::Scope::default()],
            records: severities.iter().map(|number| (0, 0, record(number))).collect(),
        }
    };
    let dir = tempfile::tempdir().unwrap();
    let push = |tenant: &Tenant, batch| block_on(tenant.submit_logs(batch)).unwrap();
    let report = |tenant: &Tenant, at_ms| block_on(tenant.report_log_counts(at_ms)).unwrap();
    let expected = |a_info: f64, a_error: f64, b_info: f64| {
        let all = [("a error", a_error), ("a info", a_info), ("b info", b_info)];
        all.into_iter()
            .filter(|(_, count)| *count > 0.0)
            .map(|(name, count)| (name.to_owned(), count))
            .collect::<Vec<_>>()
    };

    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let first = tenant(&store);
    report(&first, NOON_MS);
    assert_eq!(log_totals(&first), expected(0.0, 0.0, 0.0));
    push(&first, logs("a", &[9, 9, 17]));
    report(&first, NOON_MS + 1);
    push(&first, logs("b", &[9]));
    push(&first, logs("a", &[9]));
    assert_eq!(log_totals(&first), expected(2.0, 1.0, 0.0), "as of the last report");
    // Ends without another report; the intake log has all of it.
    drop((first, store));

    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let second = tenant(&store);
    push(&second, logs("b", &[9]));
    report(&second, NOON_MS + 2);
    assert_eq!(log_totals(&second), expected(3.0, 1.0, 2.0));
    report(&second, NOON_MS + 3);
    flush(&store, NOON_MS + 4);
    store.close().unwrap();
    drop((second, store));

    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let third = tenant(&store);
    push(&third, logs("a", &[17]));
    report(&third, NOON_MS + 5);
    assert_eq!(log_totals(&third), expected(3.0, 2.0, 2.0));
}
