//! Native histograms from a sender's request to a snapshot, in the head, after a start, and from day files.

mod common;

use std::path::Path;
use std::sync::Arc;

use codec::otlp::{Encoding, MetricsSettings, Promote, Translation, decode_metrics};
use common::{NOON_MS, NoLimit, block_on, histogram, mixed, read_all};
use model::time::MS_PER_DAY;
use model::{Histogram, Matcher, MsRange, TenantId};
use store::{Options, ReadGuard, Samples, Store, StoreError, Tenant};

fn open(dir: &Path, options: impl FnOnce(Options) -> Options) -> (Store, Tenant) {
    let options = options(Options { disk_free_min: 0, ..Options::new(dir) });
    // The writer of a store that was not closed ends in its own time, when it sees that the store is gone.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let store = Store::open(options.clone(), NOON_MS).unwrap();
        match store.tenant(&TenantId::default()) {
            Ok(tenant) => return (store, tenant),
            Err(StoreError::Unavailable { .. }) if std::time::Instant::now() < deadline => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Writes the head out: it is old enough at the second look.
fn flush(store: &Store, now_ms: i64) {
    store.maintain(now_ms - 3 * 3_600_000).unwrap();
    store.maintain(now_ms).unwrap();
    assert_eq!(store.tenant(&TenantId::default()).unwrap().stats().head_samples, 0);
}

fn put(tenant: &Tenant, rows: &[(&str, i64, f64)]) -> u64 {
    let rows: Vec<_> = rows.iter().map(|(name, at_ms, value)| (name.to_string(), *at_ms, *value)).collect();
    block_on(tenant.submit_metrics(mixed(tenant, &rows))).unwrap().total()
}

fn read(tenant: &Tenant, matcher: Matcher, range: MsRange) -> Vec<(String, Samples)> {
    let snapshot = tenant.snapshot().unwrap();
    let series = snapshot.select(&[matcher], range, 10).unwrap();
    let ids: Vec<_> = series.iter().map(|series| series.id).collect();
    let samples = snapshot.read(&ids, range, &mut NoLimit).unwrap();
    series.iter().map(|series| series.labels.to_string()).zip(samples).collect()
}

#[test]
fn what_a_sender_pushes_is_read_from_the_head_after_a_start_and_from_day_files() {
    let point = |at_ms: i64, rest: &str| {
        format!(
            r#"{{"timeUnixNano":"{at_ms}000000","attributes":[{{"key":"code","value":{{"stringValue":"200"}}}}],{rest}}}"#
        )
    };
    let points = [
        point(
            NOON_MS,
            r#""scale":2,"sum":12.5,"count":"4","zeroCount":1,"positive":{"offset":3,"bucketCounts":[1,0,2]}"#,
        ),
        point(
            NOON_MS + 1_000,
            r#""scale":2,"sum":20,"count":"9","zeroCount":1,"zeroThreshold":0.125,"positive":{"offset":3,"bucketCounts":[1,0,2]},"negative":{"offset":-2,"bucketCounts":["5"]}"#,
        ),
        point(NOON_MS + 2_000, r#""flags":1"#),
    ];
    let body = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"rpc.duration","unit":"s","exponentialHistogram":
            {{"aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE","dataPoints":[{}]}}}}]}}]}}]}}"#,
        points.join(",")
    );
    let settings = MetricsSettings {
        promote: Promote::All,
        ignore: vec![],
        translation: Translation::UnderscoreEscapingWithSuffixes,
        delta: codec::otlp::Delta::Cumulative,
        promote_scope: false,
        keep_identifying: false,
        labels_max: 10,
        label_name_bytes_max: 100,
        label_value_bytes_max: 100,
    };
    let first = Histogram {
        schema: 2,
        zero_threshold: 1e-128,
        zero_count: 1.0,
        count: 4.0,
        sum: 12.5,
        positive: vec![(4, 1.0), (6, 2.0)],
        ..Histogram::default()
    };
    let second = Histogram { zero_threshold: 0.125, count: 9.0, sum: 20.0, negative: vec![(-1, 5.0)], ..first.clone() };
    let check = |tenant: &Tenant| {
        let all = read(tenant, Matcher::equal("__name__", "rpc_duration_seconds"), MsRange::ALL);
        let (labels, samples) = &all[0];
        assert_eq!((all.len(), labels.as_str()), (1, r#"rpc_duration_seconds{code="200"}"#));
        assert_eq!((samples.at_ms.len(), samples.values.len()), (0, 0));
        let expected = [(NOON_MS, Arc::new(first.clone())), (NOON_MS + 1_000, Arc::new(second.clone()))];
        assert_eq!(samples.histograms[..2], expected);
        assert!(samples.histograms[2].0 == NOON_MS + 2_000 && samples.histograms[2].1.is_stale());
        let range = MsRange { start_ms: NOON_MS + 1, end_ms: NOON_MS + 1_999 };
        let some = read(tenant, Matcher::equal("code", "200"), range);
        assert_eq!(some[0].1.histograms, expected[1..]);
    };

    let dir = tempfile::tempdir().unwrap();
    let (store, tenant) = open(dir.path(), |options| options);
    let request = || {
        let (batch, rejected) =
            decode_metrics(body.as_bytes(), Encoding::Json, &settings, tenant.known_series(), MsRange::ALL).unwrap();
        assert!(rejected.is_empty(), "{rejected:?}");
        batch
    };
    assert!(block_on(tenant.submit_metrics(request())).unwrap().is_empty());
    check(&tenant);
    // A sender that did not hear the answer sends it again.
    assert!(block_on(tenant.submit_metrics(request())).unwrap().is_empty());
    check(&tenant);
    assert_eq!((tenant.stats().head_samples, tenant.stats().series), (3, 1));
    assert_eq!(tenant.stats().newest_sample_ms, Some(NOON_MS + 2_000));
    // Without a close: from the intake log.
    drop((store, tenant));
    let (store, tenant) = open(dir.path(), |options| options);
    check(&tenant);
    flush(&store, NOON_MS);
    check(&tenant);
    store.close().unwrap();
    drop((store, tenant));
    let (_store, tenant) = open(dir.path(), |options| options);
    check(&tenant);
    assert_eq!(tenant.stats().newest_sample_ms, Some(NOON_MS + 2_000));
}

#[test]
fn of_a_float_and_a_histogram_of_one_time_the_later_write_counts_wherever_they_lie() {
    let dir = tempfile::tempdir().unwrap();
    let (store, tenant) = open(dir.path(), |options| options);
    let values = |tenant: &Tenant| -> Vec<f64> {
        read_all(tenant, MsRange::ALL).values().map(|bits| f64::from_bits(*bits)).collect()
    };
    let mut now_ms = NOON_MS;
    let at = |n: i64| NOON_MS + n;
    // Negative values are histograms, so the third flush has floats where the second has histograms, and the other way round.
    for (round, write_out) in [(1.0, false), (2.0, true), (-3.0, true), (4.0, true), (-5.0, false)] {
        put(&tenant, &[("a", at(0), round), ("a", at(1), -round), ("b", at(2), round)]);
        assert_eq!(values(&tenant), [round, -round, round]);
        let before = tenant.snapshot().unwrap();
        put(&tenant, &[("a", at(0), -round), ("a", at(1), round), ("b", at(2), -round)]);
        assert_eq!(values(&tenant), [-round, round, -round]);
        if write_out {
            now_ms += 4 * 3_600_000;
            flush(&store, now_ms);
            assert_eq!(values(&tenant), [-round, round, -round]);
        }
        // The view from before still has its own.
        let ids: Vec<_> = before.select(&[], MsRange::ALL, 10).unwrap().iter().map(|series| series.id).collect();
        let old = before.read(&ids, MsRange::ALL, &mut NoLimit).unwrap();
        let (float_ms, histogram_ms) = if round > 0.0 { (at(0), at(1)) } else { (at(1), at(0)) };
        assert_eq!((&old[0].at_ms, &old[0].values), (&vec![float_ms], &vec![round.abs()]));
        assert_eq!(old[0].histograms, [(histogram_ms, Arc::new(histogram(-round.abs())))]);
        let floats_of_b = if round > 0.0 { 1 } else { 0 };
        assert_eq!((old[1].values.len(), old[1].histograms.len()), (floats_of_b, 1 - floats_of_b));
    }
    drop((store, tenant));
    let (_store, tenant) = open(dir.path(), |options| options);
    assert_eq!(values(&tenant), [5.0, -5.0, 5.0]);
}

#[test]
fn days_epochs_budget_and_retention_hold_for_histograms() {
    let dir = tempfile::tempdir().unwrap();
    let retention_ms = 2 * MS_PER_DAY;
    let (store, tenant) = open(dir.path(), |options| Options { metrics_retention_ms: retention_ms, ..options });
    let at = |step: i64| NOON_MS - MS_PER_DAY + step * 60_000;
    let rows: Vec<_> = (0..1_440).map(|step| ("only histograms", at(step), -1.0 - step as f64)).collect();
    put(&tenant, &rows);
    put(&tenant, &[("float", at(0), 1.0)]);
    struct Spent(u64);
    impl ReadGuard for Spent {
        fn spend(&mut self, samples: u64, _bytes: u64) -> Result<(), StoreError> {
            self.0 = self.0.checked_sub(samples).ok_or(StoreError::TooMuch { message: "enough".into() })?;
            Ok(())
        }
    }
    for written_out in [false, true] {
        if written_out {
            flush(&store, NOON_MS);
        }
        // Across midnight, from and to the middle of an epoch and of a chunk.
        let range = MsRange { start_ms: at(700) - 1, end_ms: at(800) };
        let found = read_all(&tenant, range);
        let expected = (700..=800).map(|step| (("only histograms".into(), at(step)), (-1.0 - step as f64).to_bits()));
        assert_eq!(found, expected.collect());
        let snapshot = tenant.snapshot().unwrap();
        let ids: Vec<_> = snapshot.select(&[], MsRange::ALL, 10).unwrap().iter().map(|series| series.id).collect();
        assert_eq!(ids.len(), 2);
        // A histogram costs more than a float.
        assert!(snapshot.read(&ids, MsRange::ALL, &mut Spent(2 * 1_441)).is_err());
        assert!(snapshot.read(&ids, MsRange::ALL, &mut Spent(20 * 1_441)).is_ok());
    }
    store.maintain(NOON_MS + 2 * MS_PER_DAY).unwrap();
    let left = read_all(&tenant, MsRange::ALL);
    assert!(left.len() == 720 && left.keys().all(|(_, at_ms)| *at_ms >= at(720)), "{} are left", left.len());
    assert_eq!(tenant.stats().series, 1);
    store.maintain(NOON_MS + 4 * MS_PER_DAY).unwrap();
    assert_eq!((read_all(&tenant, MsRange::ALL).len(), tenant.stats().series), (0, 0));
}

#[test]
fn a_histogram_over_the_series_limit_is_refused_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, tenant) = open(dir.path(), |options| Options { series_max: 1, ..options });
    assert_eq!(
        put(&tenant, &[("a", NOON_MS, -1.0), ("b", NOON_MS, -1.0), ("b", NOON_MS, -2.0), ("a", NOON_MS + 1, -2.0)]),
        2
    );
    assert_eq!(read_all(&tenant, MsRange::ALL).len(), 2);
}
