//! The store by its public doors, on real files: isolation, retention, limits, failures, versions.

#[path = "../common/mod.rs"]
mod common;
mod failures;
mod frozen;
mod frozen_alerts;
mod frozen_days;
mod limits;
mod log_counts;
mod retention;

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
