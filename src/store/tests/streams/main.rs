//! What counts up: deltas summed, resets that lower no value, repeated and late points, across restarts and written-out heads.

#[path = "../common/mod.rs"]
mod common;
mod deltas;
mod kept_exemplars;
mod kills;
mod targets;

use std::collections::BTreeMap;

use chance::Random;
use common::disk::Disk;
use common::{NOON_MS, NoLimit, block_on};
use model::metric::stale_marker;
use model::time::MS_PER_DAY;
use model::{
    Counts, Ended, Exemplar, Histogram, Labels, Matcher, MetricBatch, MsRange, Rejected, Sample, SeriesEntry, SeriesId,
    Span, TenantId,
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
