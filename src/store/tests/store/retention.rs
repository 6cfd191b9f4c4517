//! Days that go: by age, by the tenant's bytes, and when the disk has too little left.

use super::*;

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
