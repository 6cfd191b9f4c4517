//! The index of series: what leaves memory stays findable, by any matcher, under one label set, through restarts.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use chance::Random;
use common::{NOON_MS, NoLimit, block_on};
use model::time::{Day, MS_PER_DAY};
use model::{Labels, MatchOp, Matcher, MetricBatch, MsRange, Sample, SeriesEntry, TenantId};
use redb::ReadableTable as _;
use store::{Options, Snapshot, Store, Tenant};

const HOUR_MS: i64 = 3_600_000;

fn options(dir: &std::path::Path) -> Options {
    Options { disk_free_min: 0, metrics_retention_ms: 30 * MS_PER_DAY, ..Options::new(dir) }
}

fn open(dir: &std::path::Path, now_ms: i64) -> (Store, Tenant) {
    let store = Store::open(options(dir), now_ms).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    (store, tenant)
}

/// Pushes samples of label sets, always with the labels, as a sender after a restart.
fn push(tenant: &Tenant, rows: &[(Labels, i64, f64)]) {
    let mut batch = MetricBatch::default();
    for (labels, at_ms, value) in rows {
        let key = u128::from(codec::series::hash(labels.iter()));
        batch.points.push(batch.samples.len() as u32);
        batch.samples.push((batch.series.len() as u32, Sample { at_ms: *at_ms, value: *value }));
        batch.series.push(SeriesEntry::New { key, labels: labels.clone() });
    }
    batch.derived_from = batch.samples.len() as u32;
    assert!(block_on(tenant.submit_metrics(batch)).unwrap().is_empty());
}

/// Writes the head out, and lets everything that is idle leave memory.
fn forget(store: &Store, now_ms: i64) {
    for back in [3 * HOUR_MS, 0] {
        store.maintain(now_ms - back).unwrap();
    }
    for ahead in 0..3 {
        store.maintain(now_ms + 2 * HOUR_MS + ahead).unwrap();
    }
}

fn pod(n: u64) -> Labels {
    let pairs = [
        ("__name__".to_string(), format!("metric_{}", n % 7)),
        ("pod".into(), format!("pod-{n:05}-{:04x}", n.wrapping_mul(0x9e37_79b9) % 0xffff)),
        ("zone".into(), if n.is_multiple_of(3) { "a".into() } else { String::new() }),
        ("job".into(), format!("job{}", n % 2)),
    ];
    Labels::from_pairs(pairs)
}

fn samples(snapshot: &Snapshot, matchers: &[Matcher], range: MsRange) -> BTreeMap<Labels, Vec<(i64, f64)>> {
    let found = snapshot.select(matchers, range, usize::MAX).unwrap();
    assert!(found.windows(2).all(|pair| pair[0].id < pair[1].id));
    let ids: Vec<_> = found.iter().map(|series| series.id).collect();
    let read = snapshot.read(&ids, range, &mut NoLimit).unwrap();
    let mut all = BTreeMap::new();
    for (series, samples) in found.into_iter().zip(read) {
        let samples = samples.at_ms.into_iter().zip(samples.values).collect();
        assert!(all.insert(series.labels, samples).is_none(), "a label set comes once");
    }
    all
}

#[test]
fn a_series_that_left_memory_is_found_and_comes_back_as_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (store, tenant) = open(dir.path(), NOON_MS);
    let series = pod(1);
    let mut expected = Vec::new();
    let mut at_ms = NOON_MS - 10 * MS_PER_DAY;
    let mut numbers = BTreeSet::new();
    // Within an hour, on the same day, the next day, and after a week; then once more through a restart each.
    let mut handles = Some((store, tenant));
    for restart in [false, true] {
        for pause_ms in [3 * MS_PER_DAY, HOUR_MS / 2, 3 * HOUR_MS, MS_PER_DAY, 3 * MS_PER_DAY, HOUR_MS] {
            let (store, tenant) = handles.take().unwrap();
            push(&tenant, &[(series.clone(), at_ms, expected.len() as f64), (pod(2), at_ms, 0.0)]);
            expected.push((at_ms, expected.len() as f64));
            forget(&store, at_ms);
            // A sample of an earlier day, by whatever number it has now.
            let (late_ms, late) = (expected[0].0 + 1 + expected.len() as i64, 1e3 + expected.len() as f64);
            push(&tenant, &[(series.clone(), late_ms, late)]);
            expected.push((late_ms, late));
            expected.sort_by_key(|(at_ms, _)| *at_ms);
            forget(&store, at_ms + 4 * HOUR_MS);
            let snapshot = tenant.snapshot().unwrap();
            let found = samples(&snapshot, &[Matcher::equal("job", "job1")], MsRange::ALL);
            let range = MsRange { start_ms: at_ms - HOUR_MS, end_ms: at_ms + HOUR_MS };
            let now = snapshot.select(&[Matcher::equal("job", "job1")], range, 9).unwrap();
            numbers.insert(now[0].id);
            let first_day = snapshot.cardinality(Day::of_ms(expected[0].0), 9).unwrap();
            assert_eq!(first_day.metrics, [("metric_1".into(), 1), ("metric_2".into(), 1)], "a day has it once");
            assert_eq!(found, BTreeMap::from([(series.clone(), expected.clone())]));
            assert_eq!(tenant.stats().head_samples, 0);
            if pause_ms > 2 * MS_PER_DAY {
                // The newest days do not know it: it comes back under another number.
                for days in [1, 2] {
                    let on = at_ms + days * MS_PER_DAY;
                    push(&tenant, &[(pod(2), on, 0.0)]);
                    forget(&store, on + HOUR_MS);
                }
            }
            at_ms += pause_ms + 6 * HOUR_MS;
            handles = Some(if restart {
                store.close().unwrap();
                drop((snapshot, tenant, store));
                open(dir.path(), at_ms)
            } else {
                drop(snapshot);
                (store, tenant)
            });
        }
    }
    assert!(numbers.len() >= 3, "it had one number all the time: {numbers:?}");
}

#[test]
fn days_answer_every_matcher_as_a_look_at_every_series_does() {
    let seed = chance::seed(7);
    let mut random = Random::new(seed);
    let dir = tempfile::tempdir().unwrap();
    let (store, tenant) = open(dir.path(), NOON_MS);
    let mut all: BTreeMap<Labels, BTreeSet<Day>> = BTreeMap::new();
    // Several flushes a day, so that segments are added and joined.
    for round in 0..6 {
        let day = round / 3;
        let at_ms = NOON_MS - 2 * MS_PER_DAY + day * MS_PER_DAY + round * 1_000;
        let from = random.below(2_000);
        let count = 1 + random.below(1_500);
        let rows: Vec<_> = (from..from + count).map(|n| (pod(n), at_ms, n as f64)).collect();
        for (labels, ..) in &rows {
            all.entry(labels.clone()).or_default().insert(Day::of_ms(at_ms));
        }
        push(&tenant, &rows);
        forget(&store, NOON_MS + round * 6 * HOUR_MS);
    }
    // Some of them active again.
    let active: Vec<_> = (0..200).map(|n| (pod(n * 5), NOON_MS, 1.0)).collect();
    push(&tenant, &active);
    for (labels, ..) in &active {
        all.entry(labels.clone()).or_default().insert(Day::of_ms(NOON_MS));
    }
    let snapshot = tenant.snapshot().unwrap();
    let cases = [
        ("pod", MatchOp::Equal, "pod-00100-aa98"),
        ("pod", MatchOp::Regex, "pod-0010.*"),
        ("pod", MatchOp::Regex, ".*ff.*"),
        ("pod", MatchOp::Regex, "pod-(00005|00010|01000)-.+"),
        ("pod", MatchOp::NotRegex, "pod-0[0-9].*"),
        ("zone", MatchOp::Equal, ""),
        ("zone", MatchOp::NotEqual, ""),
        ("zone", MatchOp::Regex, "a|b"),
        ("zone", MatchOp::NotEqual, "a"),
        ("__name__", MatchOp::Regex, "metric_1|metric_2|nope"),
        ("__name__", MatchOp::Regex, "metric_[45]"),
        ("absent", MatchOp::Equal, ""),
        ("absent", MatchOp::Regex, ".+"),
    ];
    let day =
        |n: i64| MsRange { start_ms: NOON_MS - n * MS_PER_DAY - HOUR_MS, end_ms: NOON_MS - n * MS_PER_DAY + HOUR_MS };
    for (range, days) in [
        (MsRange::ALL, [Day::of_ms(NOON_MS - 2 * MS_PER_DAY), Day::of_ms(NOON_MS - MS_PER_DAY), Day::of_ms(NOON_MS)]),
        (day(2), [Day::of_ms(NOON_MS - 2 * MS_PER_DAY); 3]),
        (day(1), [Day::of_ms(NOON_MS - MS_PER_DAY); 3]),
    ] {
        for (name, op, value) in cases {
            for other in [Matcher::equal("job", "job0"), Matcher::new("job", MatchOp::NotRegex, "job0").unwrap()] {
                let matchers = [Matcher::new(name, op, value).unwrap(), other];
                let matches = |labels: &Labels| matchers.iter().all(|matcher| matcher.matches_labels(labels));
                let on_days = |of: &BTreeSet<Day>| days.iter().any(|day| of.contains(day));
                let must: BTreeSet<&Labels> = all
                    .iter()
                    .filter(|(labels, of)| matches(labels) && on_days(of))
                    .map(|(labels, _)| labels)
                    .collect();
                let found = snapshot.select(&matchers, range, usize::MAX).unwrap();
                let set: BTreeSet<&Labels> = found.iter().map(|series| &series.labels).collect();
                assert_eq!(set.len(), found.len());
                assert!(set.is_superset(&must), "{matchers:?}: {} of {}", set.len(), must.len());
                // What is in the head may be offered too.
                let may =
                    |labels: &&&Labels| must.contains(**labels) || active.iter().any(|(active, ..)| active == **labels);
                assert!(set.iter().all(|labels| matches(labels) && may(&labels)), "{matchers:?} found too much");
                let names = snapshot.label_names(&matchers, range).unwrap();
                let values = snapshot.label_values("pod", &matchers, range).unwrap();
                let of = |labels: &BTreeSet<&Labels>| -> (Vec<String>, Vec<String>) {
                    let names: BTreeSet<&str> =
                        labels.iter().flat_map(|labels| labels.iter()).map(|pair| pair.0).collect();
                    let pods: BTreeSet<&str> = labels.iter().filter_map(|labels| labels.get("pod")).collect();
                    (names.into_iter().map(Into::into).collect(), pods.into_iter().map(Into::into).collect())
                };
                assert_eq!((names, values), of(&set), "{matchers:?}");
            }
        }
    }
    let yesterday = Day::of_ms(NOON_MS - MS_PER_DAY);
    let there: Vec<&Labels> = all.iter().filter(|(_, of)| of.contains(&yesterday)).map(|(labels, _)| labels).collect();
    let counted = snapshot.cardinality(yesterday, 3).unwrap();
    assert_eq!(counted.series, there.len() as u64);
    assert_eq!(counted.metrics.len(), 3);
    for (metric, series) in &counted.metrics {
        assert_eq!(*series, there.iter().filter(|labels| labels.metric_name() == metric).count() as u64);
    }
    assert_eq!((counted.labels[0].series, counted.labels.len()), (there.len() as u64, 3));
    assert!(snapshot.select(&[], MsRange::ALL, all.len() - 1).is_err());
}

#[test]
fn new_series_of_a_day_are_limited_and_the_count_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Options { series_per_day_max: 3, ..options(dir.path()) };
    let refused = |tenant: &Tenant, from: u64, count: u64| {
        let mut batch = MetricBatch::default();
        for n in from..from + count {
            batch.points.push(batch.samples.len() as u32);
            batch.samples.push((batch.series.len() as u32, Sample { at_ms: NOON_MS, value: 1.0 }));
            batch.series.push(SeriesEntry::New { key: u128::from(n), labels: pod(n) });
        }
        batch.derived_from = batch.samples.len() as u32;
        let rejected = block_on(tenant.submit_metrics(batch)).unwrap();
        assert!(rejected.is_empty() || rejected.message().contains("limits.series_per_day"), "{}", rejected.message());
        rejected.total()
    };
    let store = Store::open(settings.clone(), NOON_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    store.maintain(NOON_MS).unwrap();
    assert_eq!(refused(&tenant, 0, 2), 0);
    store.close().unwrap();
    drop((tenant, store));
    let store = Store::open(settings, NOON_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    store.maintain(NOON_MS).unwrap();
    assert_eq!((refused(&tenant, 0, 4), refused(&tenant, 0, 3)), (1, 0));
    store.maintain(NOON_MS + MS_PER_DAY).unwrap();
    assert_eq!(refused(&tenant, 3, 4), 1);
}

#[test]
fn the_log_names_its_series_though_their_days_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, tenant) = open(dir.path(), NOON_MS);
    push(&tenant, &[(pod(1), NOON_MS, 1.0), (pod(2), NOON_MS, 2.0)]);
    for ahead in [0, 3 * HOUR_MS] {
        store.maintain(NOON_MS + ahead).unwrap();
    }
    assert_eq!(tenant.stats().head_samples, 0);
    // Known by then, and in no file but that of a day about to go.
    let later = NOON_MS + 40 * MS_PER_DAY;
    push(&tenant, &[(pod(1), later, 3.0)]);
    store.maintain(later).unwrap();
    drop((tenant, store));
    let (_store, tenant) = open(dir.path(), later);
    let found = samples(&tenant.snapshot().unwrap(), &[], MsRange::ALL);
    assert_eq!(found, BTreeMap::from([(pod(1), vec![(later, 3.0)])]));
}

#[test]
fn damaged_names_are_fetched_from_the_days() {
    let dir = tempfile::tempdir().unwrap();
    let (store, tenant) = open(dir.path(), NOON_MS);
    push(&tenant, &[(pod(1), NOON_MS, 1.0)]);
    for ahead in [0, 3 * HOUR_MS] {
        store.maintain(NOON_MS + ahead).unwrap();
    }
    push(&tenant, &[(pod(1), NOON_MS + 1, 2.0), (pod(2), NOON_MS + 1, 3.0)]);
    push(&tenant, &[(pod(3), NOON_MS + 2, 4.0)]);
    drop((tenant, store));
    // The writer of the store before ends in its own time, when it sees that the store is gone.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let database = loop {
        match redb::Database::open(dir.path().join("tenants/default/intake.redb")) {
            Ok(database) => break database,
            Err(redb::DatabaseError::DatabaseAlreadyOpen) if std::time::Instant::now() < deadline => {
                std::thread::yield_now();
            }
            Err(error) => panic!("{error}"),
        }
    };
    let names = redb::TableDefinition::<(u64, u32), &[u8]>::new("names");
    let txn = database.begin_write().unwrap();
    {
        let mut table = txn.open_table(names).unwrap();
        let mut piece = table.get((2, 0)).unwrap().unwrap().value().to_vec();
        piece[6] ^= 1;
        table.insert((2, 0), piece.as_slice()).unwrap();
    }
    txn.commit().unwrap();
    drop(database);
    let (store, tenant) = open(dir.path(), NOON_MS);
    let expected =
        BTreeMap::from([(pod(1), vec![(NOON_MS, 1.0), (NOON_MS + 1, 2.0)]), (pod(3), vec![(NOON_MS + 2, 4.0)])]);
    assert_eq!(samples(&tenant.snapshot().unwrap(), &[], MsRange::ALL), expected);
    // Once written out there is nothing left to repair.
    forget(&store, NOON_MS + 6 * HOUR_MS);
    assert_eq!(samples(&tenant.snapshot().unwrap(), &[], MsRange::ALL), expected);
}
