//! What counts up: deltas summed, resets that lower no value, repeated and late points, across restarts and written-out heads.

mod common;

use std::collections::BTreeMap;

use chance::Random;
use common::disk::Disk;
use common::{NOON_MS, NoLimit, block_on};
use model::metric::stale_marker;
use model::time::MS_PER_DAY;
use model::{
    Counts, Ended, Exemplar, Histogram, Labels, Matcher, MetricBatch, MsRange, Reason, Rejected, Sample, SeriesEntry,
    SeriesId, Span, TenantId,
};
use store::{Options, Store, StoreError, Tenant};

const HOUR_MS: i64 = 3_600_000;

struct House {
    dir: tempfile::TempDir,
    options: Options,
    store: Option<Store>,
    now_ms: i64,
}

impl House {
    fn new(change: impl FnOnce(&mut Options)) -> House {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options { disk_free_min: 0, ..Options::new(dir.path()) };
        change(&mut options);
        let store = Some(Store::open(options.clone(), NOON_MS).unwrap());
        House { dir, options, store, now_ms: NOON_MS }
    }

    fn tenant(&self) -> Tenant {
        self.store.as_ref().unwrap().tenant(&TenantId::default()).unwrap()
    }

    /// What little there is stays in the intake log and is replayed.
    fn restart(&mut self) {
        let store = self.store.take().unwrap();
        store.close().unwrap();
        drop(store);
        self.store = Some(Store::open(self.options.clone(), self.now_ms).unwrap());
    }

    /// Writes the head out: it is old enough at the second look.
    fn write_out(&mut self) {
        let store = self.store.as_ref().unwrap();
        store.maintain(self.now_ms).unwrap();
        self.now_ms += 3 * HOUR_MS;
        store.maintain(self.now_ms).unwrap();
        assert_eq!(self.tenant().stats().head_samples, 0);
    }

    fn put(&self, batch: MetricBatch) -> Result<Rejected, StoreError> {
        block_on(self.tenant().submit_metrics(batch))
    }

    /// All samples of all series, by the series' label `name`.
    fn read(&self) -> BTreeMap<String, Vec<(i64, f64)>> {
        let snapshot = self.tenant().snapshot().unwrap();
        let series = snapshot.select(&[], MsRange::ALL, usize::MAX).unwrap();
        let ids: Vec<SeriesId> = series.iter().map(|series| series.id).collect();
        let samples = snapshot.read(&ids, MsRange::ALL, &mut NoLimit).unwrap();
        let rows = series.iter().zip(samples).map(|(series, samples)| {
            let floats = samples.at_ms.iter().copied().zip(samples.values.iter().copied());
            let whole = samples.histograms.iter().map(|(at_ms, histogram)| (*at_ms, histogram.count));
            let mut rows: Vec<(i64, f64)> =
                floats.chain(whole).map(|(at_ms, value)| (at_ms - NOON_MS, value)).collect();
            rows.sort_by_key(|row| row.0);
            (series.labels.value("name").to_string(), rows)
        });
        rows.collect()
    }
}

fn labels(name: &str) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("name", name)])
}

/// One point of several series, sent as by a decoder that knows none of them.
fn point(batch: &mut MetricBatch, rows: &[(&str, f64)], at_ms: i64, start_ms: Option<i64>, counts: Counts) {
    let first = batch.samples.len() as u32;
    batch.points.push(first);
    for (name, value) in rows {
        let key = name.bytes().fold(11u128, |key, byte| key * 257 + u128::from(byte));
        batch.samples.push((batch.series.len() as u32, Sample { at_ms: NOON_MS + at_ms, value: *value }));
        batch.series.push(SeriesEntry::New { key, labels: labels(name) });
    }
    let end = batch.samples.len() as u32;
    batch.derived_from = end;
    if start_ms.is_some() || counts != Counts::Cumulative {
        batch.spans.push(Span { first, end, start_ms: start_ms.map(|start_ms| NOON_MS + start_ms), counts });
    }
}

/// A native histogram of `count` observations in one bucket.
fn whole_point(batch: &mut MetricBatch, name: &str, count: f64, at_ms: i64, start_ms: Option<i64>, counts: Counts) {
    let first = batch.histograms.len() as u32;
    let histogram = Histogram { count, sum: count, positive: vec![(3, count)], ..Histogram::default() };
    batch.histograms.push((batch.series.len() as u32, NOON_MS + at_ms, histogram));
    batch.series.push(SeriesEntry::New { key: 7, labels: labels(name) });
    let start_ms = start_ms.map(|start_ms| NOON_MS + start_ms);
    batch.histogram_spans.push(Span { first, end: first + 1, start_ms, counts });
}

const DELTA: Counts = Counts::Delta { monotonic: true };

/// Runs steps: `d 10-20 5` a delta, `l 10-20 5` one of a level, `c 10-20 5` a cumulative value, `?-20` without a start, `restart`,
/// `flush`, `together` for the next steps up to `apart` in one request. Expects the samples as `20=5`, and the reasons of refusals.
#[track_caller]
fn check(steps: &str, expected: &str) {
    for whole in [false, true] {
        // A level is never a histogram.
        if whole && steps.contains('l') && steps.split_whitespace().any(|word| word == "l") {
            continue;
        }
        let mut house = House::new(|_| {});
        let mut batch = MetricBatch::default();
        let mut together = false;
        let mut refused = Vec::new();
        for step in steps.split(';') {
            let words: Vec<&str> = step.split_whitespace().collect();
            match words[..] {
                ["restart"] => house.restart(),
                ["flush"] => house.write_out(),
                ["together"] => together = true,
                ["apart"] => together = false,
                [kind, span, value] => {
                    let counts = match kind {
                        "d" => DELTA,
                        "l" => Counts::Delta { monotonic: false },
                        _ => Counts::Cumulative,
                    };
                    let (start, end) = span.split_once('-').unwrap();
                    let (start, end, value) = (start.parse().ok(), end.parse().unwrap(), value.parse().unwrap());
                    if whole {
                        whole_point(&mut batch, "s", value, end, start, counts);
                    } else {
                        point(&mut batch, &[("s", value)], end, start, counts);
                    }
                }
                _ => panic!("{step:?}"),
            }
            if !together {
                let rejected = house.put(std::mem::take(&mut batch)).unwrap();
                refused
                    .extend(rejected.by_reason.iter().map(|(reason, rows, _)| format!("{} {rows}", reason.as_str())));
            }
        }
        let found = |house: &House| {
            let samples = house.read().remove("s").unwrap_or_default();
            let samples = samples.iter().map(|(at_ms, value)| format!("{at_ms}={value}"));
            samples.chain(refused.iter().cloned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found(&house), expected, "{steps}, native histograms: {whole}");
        house.restart();
        assert_eq!(found(&house), expected, "{steps}, after a restart");
    }
}

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

/// Random streams with every kind of trouble, against the sum of what was accepted: `increase` over all samples, resets counted as
/// PromQL counts them, is exactly what was sent and not refused.
#[test]
fn nothing_is_lost_or_counted_twice_over_kills_and_retries() {
    let first = chance::seed(1);
    for seed in first..first + 12 {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let mut house = House::new(|_| {});
        let mut clock = [0i64; 3];
        let mut sent = [0.0; 3];
        let mut held: Vec<(usize, i64, i64, f64)> = Vec::new();
        for _ in 0..60 {
            let mut batch = MetricBatch::default();
            for _ in 0..=random.below(4) {
                let (stream, start, end, value) = match held.len() {
                    // A request that comes again.
                    length if length > 0 && random.below(4) == 0 => held[random.below(length as u64) as usize],
                    _ => {
                        let stream = random.below(3) as usize;
                        let gap = if random.below(3) == 0 { random.below(500) as i64 } else { 0 };
                        let start = clock[stream] + gap;
                        let end = start + 2 + random.below(60_000) as i64;
                        clock[stream] = end;
                        let value = random.below(20) as f64;
                        sent[stream] += value;
                        held.push((stream, start, end, value));
                        (stream, start, end, value)
                    }
                };
                point(&mut batch, &[(["x", "y", "z"][stream], value)], end, Some(start), DELTA);
            }
            let rejected = house.put(batch).unwrap();
            assert!(rejected.is_empty(), "{rejected:?}");
            match random.below(12) {
                0 => house.restart(),
                1 => house.write_out(),
                _ => {}
            }
        }
        let read = house.read();
        for (name, sent) in ["x", "y", "z"].iter().zip(sent) {
            let mut before = 0.0;
            let mut increase = 0.0;
            for (_, value) in read.get(*name).unwrap_or(&vec![]) {
                increase += if *value < before { *value } else { *value - before };
                before = *value;
            }
            assert_eq!(increase, sent, "stream {name}");
        }
    }
}

/// A sender that retries until it hears an answer, over a disk whose power goes at random points: every delta is counted once, every
/// exemplar is there once.
#[test]
fn deltas_and_exemplars_survive_power_cuts_once() {
    let first = chance::seed(1);
    for seed in first..first + 8 {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let mut disk = Disk::default();
        let mut now_ms = NOON_MS;
        let (mut clock, mut sent, mut requests) = (0, 0.0, 0);
        let mut unanswered: Option<MetricBatch> = None;
        for round in 0..14 {
            let backend = Some(disk.backend());
            let options = Options { backend, disk_free_min: 0, ..Options::new(dir.path()) };
            let store = Store::open(options, now_ms).unwrap();
            if round < 13 {
                disk.cut_after(20 + random.below(150));
            }
            for _ in 0..10 {
                let batch = unanswered.take().unwrap_or_else(|| {
                    let gap = if random.below(3) == 0 { 5 + random.below(500) as i64 } else { 0 };
                    let (start, value) = (clock + gap, random.below(9) as f64);
                    clock = start + 2 + random.below(3_000_000) as i64;
                    sent += value;
                    requests += 1;
                    let mut batch = MetricBatch::default();
                    point(&mut batch, &[("x", value)], clock, Some(start), DELTA);
                    whole_point(&mut batch, "whole", value, clock, Some(start), DELTA);
                    let exemplar = exemplar(clock - 1, &requests.to_string());
                    MetricBatch { exemplars: vec![(0, exemplar)], ..batch }
                });
                let stored = store
                    .tenant(&TenantId::default())
                    .and_then(|tenant| block_on(tenant.submit_metrics(batch.clone())));
                match stored {
                    Ok(rejected) => assert!(rejected.is_empty(), "{rejected:?}"),
                    Err(_) => {
                        unanswered = Some(batch);
                        break;
                    }
                }
                if random.below(6) == 0 {
                    drop(store.maintain(now_ms));
                    now_ms += 3 * HOUR_MS;
                    drop(store.maintain(now_ms));
                }
            }
            if round == 13 {
                let house = House {
                    dir: tempfile::tempdir().unwrap(),
                    options: Options::new(dir.path()),
                    store: Some(store),
                    now_ms,
                };
                for (name, samples) in house.read() {
                    let (mut before, mut increase) = (0.0, 0.0);
                    for (_, value) in samples {
                        increase += if value < before { value } else { value - before };
                        before = value;
                    }
                    assert_eq!(increase, sent, "{name}");
                }
                let mut found: Vec<u64> = exemplars(&house, "x", MsRange::ALL)
                    .split(' ')
                    .map(|word| word.split_once('@').unwrap().0.parse().unwrap())
                    .collect();
                found.sort_unstable();
                assert_eq!(found, (1..=requests).collect::<Vec<u64>>());
                break;
            }
            let after = disk.after_power_cut(&mut random);
            drop(store);
            disk = after;
        }
    }
}

#[test]
fn a_histogram_that_ends_without_its_bounds_ends_all_its_series() {
    let house = House::new(|_| {});
    let bucket = |le: &str, host: &str| {
        Labels::from_pairs([("__name__", "h_bucket"), ("host", host), ("le", le), ("name", &format!("{host}{le}"))])
    };
    let put = |series: &[Labels], at_ms: i64, ended: Vec<Ended>| {
        let mut batch = MetricBatch { ended, ..MetricBatch::default() };
        for labels in series {
            batch.points.push(batch.samples.len() as u32);
            batch.samples.push((batch.series.len() as u32, Sample { at_ms: NOON_MS + at_ms, value: 1.0 }));
            batch.series.push(SeriesEntry::New { key: at_ms as u128, labels: labels.clone() });
        }
        batch.derived_from = batch.samples.len() as u32;
        assert!(house.put(batch).unwrap().is_empty());
    };
    // Names differ by `name`, so that the test can tell them apart; those of one point share it otherwise.
    let of_point = |le: &str| Labels::from_pairs([("__name__", "h_bucket"), ("host", "a"), ("le", le)]);
    put(&[of_point("1"), of_point("5"), bucket("1", "b")], 0, vec![]);
    let base = Labels::from_pairs([("__name__", "h_bucket"), ("host", "a")]);
    put(&[of_point("9")], 10, vec![Ended { at_ms: NOON_MS + 10, labels: base, by: "le" }]);
    let snapshot = house.tenant().snapshot().unwrap();
    let series = snapshot.select(&[], MsRange::ALL, 10).unwrap();
    let ids: Vec<SeriesId> = series.iter().map(|series| series.id).collect();
    let samples = snapshot.read(&ids, MsRange::ALL, &mut NoLimit).unwrap();
    let mut found: Vec<String> = Vec::new();
    for (series, samples) in series.iter().zip(samples) {
        let values: Vec<String> = samples
            .values
            .iter()
            .map(|value| if value.to_bits() == stale_marker().to_bits() { "end".into() } else { value.to_string() })
            .collect();
        found.push(format!("{}{} {}", series.labels.value("host"), series.labels.value("le"), values.join(",")));
    }
    found.sort();
    // Of a series that comes in the same request the end counts: it was told of the whole point.
    assert_eq!(found, ["a1 1,end", "a5 1,end", "a9 end", "b1 1"]);
}

#[test]
fn one_target_has_one_live_target_info() {
    let mut house = House::new(|_| {});
    let target = |version: &str, instance: &str| {
        let name = format!("{instance}{version}");
        Labels::from_pairs([
            ("__name__", "target_info"),
            ("job", "j"),
            ("instance", instance),
            ("version", version),
            ("name", &name),
        ])
    };
    let put = |house: &House, rows: &[(Labels, i64)]| {
        let mut batch = MetricBatch::default();
        for (labels, at_ms) in rows {
            let key = labels
                .to_string()
                .bytes()
                .fold(3u128, |key, byte| key.wrapping_mul(257).wrapping_add(u128::from(byte)));
            batch.samples.push((batch.series.len() as u32, Sample { at_ms: NOON_MS + at_ms, value: 1.0 }));
            batch.series.push(SeriesEntry::New { key, labels: labels.clone() });
        }
        assert!(house.put(batch).unwrap().is_empty());
    };
    let text = |house: &House| {
        let rows = house.read().into_iter().map(|(name, samples)| {
            let samples = samples
                .iter()
                .map(|(at_ms, value)| if value.is_nan() { format!("{at_ms}=end") } else { format!("{at_ms}={value}") });
            format!("{name}: {}", samples.collect::<Vec<_>>().join(" "))
        });
        rows.collect::<Vec<_>>()
    };
    put(&house, &[(target("1", "a"), 0), (target("1", "b"), 0)]);
    put(&house, &[(target("2", "a"), 10)]);
    put(&house, &[(target("2", "a"), 20)]);
    assert_eq!(text(&house), ["a1: 0=1 10=end", "a2: 10=1 20=1", "b1: 0=1"]);
    // Two claim the target in one request: the later one has it.
    put(&house, &[(target("1", "b"), 30), (target("2", "b"), 30)]);
    // What is known after a restart is in the store.
    house.restart();
    put(&house, &[(target("3", "a"), 40), (target("1", "b"), 40)]);
    // Too long ago to be live.
    house.write_out();
    house.restart();
    put(&house, &[(target("4", "a"), 400_000)]);
    assert_eq!(
        text(&house),
        [
            "a1: 0=1 10=end",
            "a2: 10=1 20=1 40=end",
            "a3: 40=1",
            "a4: 400000=1",
            "b1: 0=1 30=end 40=1",
            "b2: 30=1 40=end"
        ]
    );
}

fn exemplar(at_ms: i64, trace: &str) -> Exemplar {
    Exemplar { at_ms: NOON_MS + at_ms, value: 0.5, labels: Labels::from_pairs([("trace_id", trace)]) }
}

/// A sample of each of the series, and exemplars of them by place.
fn with_exemplars(series: &[&str], at_ms: i64, exemplars: &[(u32, Exemplar)]) -> MetricBatch {
    let mut batch = MetricBatch::default();
    for name in series {
        point(&mut batch, &[(name, 1.0)], at_ms, None, Counts::Cumulative);
    }
    MetricBatch { exemplars: exemplars.to_vec(), ..batch }
}

fn exemplars(house: &House, name: &str, range: MsRange) -> String {
    let snapshot = house.tenant().snapshot().unwrap();
    let series = snapshot.select(&[Matcher::equal("name", name)], MsRange::ALL, 10).unwrap();
    let ids: Vec<SeriesId> = series.iter().map(|series| series.id).collect();
    let found = snapshot.exemplars(&ids, range).unwrap();
    let found = found.iter().flatten().map(|row| format!("{}@{}", row.labels.value("trace_id"), row.at_ms - NOON_MS));
    found.collect::<Vec<_>>().join(" ")
}

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
fn samples_a_second_are_limited_and_the_answer_says_when_to_come_again() {
    let house = House::new(|options| options.samples_per_second_max = 1);
    let rows: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let names: Vec<&str> = rows.iter().map(String::as_str).collect();
    assert!(house.put(with_exemplars(&names, 10, &[])).unwrap().is_empty());
    let refused = house.put(with_exemplars(&names, 20, &[])).unwrap_err();
    assert_eq!(refused.kind(), model::Kind::Busy);
    assert!(refused.to_string().contains("limits.samples_per_second"), "{refused}");
    let StoreError::TooFast { retry_after, .. } = refused else { panic!("{refused}") };
    assert!((5..=10).contains(&retry_after.as_secs()), "{retry_after:?}");
    drop(house.dir);
}
