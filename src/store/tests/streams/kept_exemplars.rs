//! Exemplars: durable, found by series and range, bounded.

use super::*;

#[test]
fn exemplars_are_durable_and_found_by_series_and_range() {
    let mut house = House::new(|_| {});
    let days = 2 * MS_PER_DAY;
    house
        .put(with_exemplars(&["a", "b"], 10, &[(0, exemplar(5, "x")), (1, exemplar(6, "y")), (0, exemplar(1, "w"))]))
        .unwrap();
    house
        .put(with_exemplars(&["a"], 20, &[(0, exemplar(5, "x")), (0, exemplar(5, "z")), (0, exemplar(-days, "old"))]))
        .unwrap();
    let check = |house: &House| {
        let old = format!("old@{}", -days);
        let a = exemplars(house, "a", MsRange::ALL);
        // Those of one time stand in no order that means anything.
        assert!(a == format!("{old} w@1 x@5 z@5") || a == format!("{old} w@1 z@5 x@5"), "{a}");
        assert_eq!(exemplars(house, "b", MsRange::ALL), "y@6");
        assert_eq!(exemplars(house, "a", MsRange { start_ms: NOON_MS, end_ms: NOON_MS + 4 }), "w@1");
        assert_eq!(exemplars(house, "a", MsRange { start_ms: NOON_MS + 1, end_ms: NOON_MS }), "");
    };
    check(&house);
    house.restart();
    check(&house);
    house.write_out();
    check(&house);
    // Again, after they were written out: still once.
    house.put(with_exemplars(&["a"], 10, &[(0, exemplar(5, "x")), (0, exemplar(1, "w"))])).unwrap();
    check(&house);
    house.restart();
    house.write_out();
    house.restart();
    check(&house);
    // They go with their day.
    house.now_ms = NOON_MS + 89 * MS_PER_DAY;
    house.store.as_ref().unwrap().maintain(house.now_ms).unwrap();
    assert!(exemplars(&house, "a", MsRange::ALL).starts_with("w@1"));
}

#[test]
fn exemplars_are_bounded_by_day_and_series() {
    let mut house = House::new(|options| options.exemplars_per_day_max = 3);
    let many = |from: i64, count: i64| -> Vec<(u32, Exemplar)> {
        (from..from + count).map(|at_ms| (0, exemplar(at_ms, &at_ms.to_string()))).collect()
    };
    let rejected = house.put(with_exemplars(&["a"], 10, &many(0, 2))).unwrap();
    assert!(rejected.is_empty());
    house.write_out();
    house.restart();
    // Two of the day are in its file; the points are stored all the same.
    house.put(with_exemplars(&["a"], 20, &many(5, 5))).unwrap();
    house.put(with_exemplars(&["a"], 30, &[(0, exemplar(MS_PER_DAY, "next day"))])).unwrap();
    assert_eq!(exemplars(&house, "a", MsRange::ALL), format!("0@0 1@1 5@5 next day@{MS_PER_DAY}"));
    assert_eq!(house.read()["a"].len(), 3);
    let house = House::new(|options| options.exemplars_per_day_max = 0);
    house.put(with_exemplars(&["a"], 10, &many(0, 2))).unwrap();
    assert_eq!(exemplars(&house, "a", MsRange::ALL), "");
    let house = House::new(|_| {});
    house.put(with_exemplars(&["a", "b"], 10, &many(0, 1_200))).unwrap();
    assert_eq!(exemplars(&house, "a", MsRange::ALL).split(' ').count(), 1_000);
}

#[test]
fn exemplars_stay_when_the_samples_of_their_day_go() {
    let mut house = House::new(|options| {
        options.downsample_after_ms = Some(MS_PER_DAY);
        options.raw_retention_ms = 2 * MS_PER_DAY;
    });
    house.put(with_exemplars(&["a"], 10, &[(0, exemplar(5, "x"))])).unwrap();
    house.write_out();
    house.now_ms = NOON_MS + 4 * MS_PER_DAY;
    for _ in 0..6 {
        house.now_ms += 11 * 60_000;
        house.store.as_ref().unwrap().maintain(house.now_ms).unwrap();
    }
    assert!(!house.dir.path().join("tenants/default/metrics/2026-11-21.redb").exists());
    assert_eq!(exemplars(&house, "a", MsRange::ALL), "x@5");
    // One that comes later, for five minutes that have none, has a day file of its own.
    house.put(with_exemplars(&["a"], 300_020, &[(0, exemplar(7, "y"))])).unwrap();
    house.write_out();
    assert_eq!(exemplars(&house, "a", MsRange::ALL), "x@5 y@7");
}
