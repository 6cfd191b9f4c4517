//! Sums of deltas, resets, two writers of one series, and the limit of delta series.

use model::Reason;

use super::*;

#[test]
fn deltas_are_summed_up() {
    check("d 0-10 5", "10=5");
    check("d 0-10 5; d 10-20 3; d 20-30 0; d 30-40 2", "10=5 20=8 30=8 40=10");
    check("together; d 0-10 5; d 10-20 3; apart; d 20-30 1", "10=5 20=8 30=9");
    // Without a start there is nothing to align: they add up.
    check("d ?-10 5; d ?-20 3; d ?-25 1", "10=5 20=8 25=9");
    // The state is the last sample, wherever it is.
    check("d 0-10 5; restart; d 10-20 3; flush; d 20-30 1; flush; restart; d 30-40 1", "10=5 20=8 30=9 40=10");
    check("d ?-10 5; flush; restart; d ?-20 3", "10=5 20=8");
    check("l 0-10 5; l 10-20 -3; restart; l 20-30 -4", "10=5 20=2 30=-2");
}

#[test]
fn a_gap_or_an_overlap_begins_a_new_sum() {
    // It fell, so that the reset shows.
    check("d 0-10 5; d 15-20 3; d 20-30 1", "10=5 20=3 30=4");
    // It would not: a zero where the new sum begins.
    check("d 0-10 5; d 15-20 7; d 20-30 1", "10=5 15=0 20=7 30=8");
    check("d 0-10 5; flush; restart; d 15-20 7", "10=5 15=0 20=7");
    check("d 0-10 5; d 5-20 7", "10=5 11=0 20=7");
    // A level has no resets: it begins anew and that is all.
    check("l 0-10 5; l 15-20 7", "10=5 20=7");
    // No millisecond is left for a zero, so the sum goes on.
    check("d 0-10 5; d 5-11 7", "10=5 11=12");
    // After hours of silence, from the day before, the store still knows.
    check(&format!("d 0-10 5; flush; restart; d 10-{} 3", 5 * HOUR_MS), &format!("10=5 {}=8", 5 * HOUR_MS));
}

#[test]
fn what_was_counted_is_not_counted_again() {
    check("d 0-10 5; d 0-10 5; d 10-20 3", "10=5 20=8");
    check("d 0-10 5; restart; d 0-10 5; d 10-20 3", "10=5 20=8");
    check("together; d 0-10 5; d 0-10 5; d 10-20 3; apart; d 0-10 5", "10=5 20=8");
    // One that comes again after others is known by its sample, in the head or in a day file.
    check("d 0-10 5; d 10-20 3; d 0-10 5; d 20-30 1", "10=5 20=8 30=9");
    check("d 0-10 5; d 10-20 3; flush; restart; d 0-10 5; d 20-30 1", "10=5 20=8 30=9");
    // One that never came before is late, and said to be.
    check("d 0-10 5; d 12-20 3; d 10-12 9; d 20-30 1", "10=5 20=3 30=4 out_of_order 1");
    check("d 10-20 5; d 20-30 2; d 5-40 9", "20=5 30=7 out_of_order 1");
}

#[test]
fn resets_that_lower_no_value_get_a_zero() {
    // The first point is stored as it is, whatever its start.
    check("c 0-10 5; c 0-20 6", "10=5 20=6");
    check("c 0-10 5; c 12-20 6", "10=5 12=0 20=6");
    check("c 0-10 5; c 12-20 5; c 12-30 5", "10=5 12=0 20=5 30=5");
    // A fall shows by itself, and from zero nothing can fall.
    check("c 0-10 5; c 12-20 4", "10=5 20=4");
    check("c 0-10 0; c 12-20 4", "10=0 20=4");
    check("c 0-10 5; flush; restart; c 12-20 6", "10=5 12=0 20=6");
    check("c 0-10 5; restart; c 0-20 6", "10=5 20=6");
    check("together; c 0-10 5; apart; c 12-20 6", "10=5 12=0 20=6");
    // Without a start nothing is known.
    check("c ?-10 5; c ?-20 6", "10=5 20=6");
    check("c 0-10 5; c ?-20 6; c 0-30 7", "10=5 20=6 30=7");
    // Out of order: the newer run came first and begins where it says.
    check("c 12-20 6; c 0-10 5", "10=5 12=0 20=6");
    check("c 12-20 6; c 0-10 5; c 0-5 1", "5=1 10=5 12=0 20=6");
    check("c 0-10 5; c 0-60 8; c 22-30 7", "10=5 22=0 30=7 60=8");
    check("c 0-10 5; c 0-60 8; c 0-30 7", "10=5 30=7 60=8");
}

#[test]
fn two_writers_of_one_series_are_noticed_and_keep_their_samples() {
    let overlaps = || {
        let all = model::meter::gather();
        let family = all.iter().find(|family| family.name == "binnacle_store_overlapping_writers_total");
        family.map_or(0.0, |family| family.series[0].2)
    };
    let before = overlaps();
    check("c 1-10 5; c 2-20 50; c 1-30 6; c 2-40 51; c 1-50 7", "10=5 20=50 30=6 40=51 50=7");
    // Floats and native histograms; each time that a start comes back.
    assert_eq!(overlaps() - before, 2.0 * 3.0);
}

#[test]
fn all_series_of_a_histogram_begin_anew_together() {
    let house = House::new(|_| {});
    let put = |rows: &[(&str, f64)], start_ms, at_ms, counts| {
        let mut batch = MetricBatch::default();
        point(&mut batch, rows, at_ms, Some(start_ms), counts);
        assert!(house.put(batch).unwrap().is_empty());
    };
    put(&[("a1", 1.0), ("aInf", 3.0), ("asum", 9.0)], 0, 10, DELTA);
    put(&[("a1", 1.0), ("aInf", 1.0), ("asum", 0.5)], 10, 20, DELTA);
    // Another bound: its bucket has counted nothing yet, so that none goes on.
    put(&[("a1", 1.0), ("a5", 5.0), ("aInf", 6.0), ("asum", 1.0)], 20, 30, DELTA);
    put(&[("b1", 1.0), ("bInf", 3.0)], 0, 10, Counts::Cumulative);
    // One bucket does not show the reset: all get a zero.
    put(&[("b1", 1.0), ("bInf", 2.0)], 15, 20, Counts::Cumulative);
    let read = house.read();
    assert_eq!(read["a1"], [(10, 1.0), (20, 2.0), (21, 0.0), (30, 1.0)]);
    assert_eq!(read["a5"], [(21, 0.0), (30, 5.0)]);
    assert_eq!(read["aInf"], [(10, 3.0), (20, 4.0), (21, 0.0), (30, 6.0)]);
    assert_eq!(read["asum"], [(10, 9.0), (20, 9.5), (21, 0.0), (30, 1.0)]);
    assert_eq!(read["b1"], [(10, 1.0), (15, 0.0), (20, 1.0)]);
    assert_eq!(read["bInf"], [(10, 3.0), (15, 0.0), (20, 2.0)]);
}

#[test]
fn over_the_limit_of_delta_series_points_are_refused_and_idle_streams_make_room() {
    let mut house = House::new(|options| options.delta_series_max = 2);
    let put = |house: &House, name: &str, start_ms, at_ms| {
        let mut batch = MetricBatch::default();
        point(&mut batch, &[(name, 1.0)], at_ms, Some(start_ms), DELTA);
        let rejected = house.put(batch).unwrap();
        rejected.by_reason.first().map(|(reason, rows, message)| (*reason, *rows, message.clone()))
    };
    assert_eq!(put(&house, "a", 0, 10), None);
    assert_eq!(put(&house, "b", 0, 10), None);
    let (reason, rows, message) = put(&house, "c", 0, 10).unwrap();
    assert_eq!((reason, rows), (Reason::DeltaLimit, 1));
    assert!(message.contains("limits.delta_series"), "{message}");
    assert_eq!(put(&house, "a", 10, 20), None);
    house.restart();
    assert_eq!(put(&house, "a", 20, 2 * HOUR_MS), None);
    // b has been silent for an hour: the store remembers it.
    assert_eq!(put(&house, "b", 10, 2 * HOUR_MS), None);
    assert_eq!(put(&house, "a", 2 * HOUR_MS, 5 * HOUR_MS), None);
    assert_eq!(put(&house, "c", 0, 5 * HOUR_MS), None);
    assert_eq!(put(&house, "b", 2 * HOUR_MS, 5 * HOUR_MS), Some((Reason::DeltaLimit, 1, message)));
    let read = house.read();
    assert_eq!(read["a"].last(), Some(&(5 * HOUR_MS, 4.0)));
    assert_eq!((read["b"].last(), read["c"].last()), (Some(&(2 * HOUR_MS, 2.0)), Some(&(5 * HOUR_MS, 1.0))));
    assert_eq!(read.len(), 3);
}
