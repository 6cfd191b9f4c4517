//! Limits that refuse, and name themselves.

use super::*;

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
