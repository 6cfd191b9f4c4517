//! What the store's tests share: batches, a reference reading, and a disk that forgets and fills up.
#![allow(dead_code)] // Each test file uses its part.

pub(crate) mod disk;

use std::collections::BTreeMap;

use model::{Histogram, Labels, MetricBatch, MsRange, NsRange, Sample, SeriesEntry, SeriesId};
use store::logs::IndexQuery;
use store::{ReadGuard, StoreError, Tenant};

/// A noon in 2026; days around it are ordinary.
pub(crate) const NOON_MS: i64 = 1_795_262_400_000;

/// Samples by series name and time; a histogram as [`histogram`]'s value.
pub(crate) type Model = BTreeMap<(String, i64), u64>;

pub(crate) struct NoLimit;

impl ReadGuard for NoLimit {
    fn spend(&mut self, _samples: u64, _bytes: u64) -> Result<(), StoreError> {
        Ok(())
    }
}

pub(crate) fn labels(name: &str) -> Labels {
    Labels::from_pairs([
        ("__name__", "m"),
        ("name", name),
        ("parity", if name.len().is_multiple_of(2) { "even" } else { "odd" }),
    ])
}

/// The histogram that stands for a negative value.
pub(crate) fn histogram(value: f64) -> Histogram {
    let count = -value;
    let positive = vec![(-3, count), (count as i32 + 7, 2.0 * count)];
    Histogram {
        schema: 3,
        zero_threshold: 0.5,
        zero_count: 1.0,
        count,
        sum: value / 3.0,
        positive,
        ..Histogram::default()
    }
}

/// As [`batch`], with negative values as histograms.
pub(crate) fn mixed(tenant: &Tenant, rows: &[(String, i64, f64)]) -> MetricBatch {
    let mut all = batch(tenant, rows);
    let mut samples = Vec::new();
    for (series, sample) in std::mem::take(&mut all.samples) {
        if sample.value < 0.0 {
            all.histograms.push((series, sample.at_ms, histogram(sample.value)));
        } else {
            samples.push((series, sample));
        }
    }
    all.points = (0..samples.len() as u32).collect();
    all.derived_from = samples.len() as u32;
    MetricBatch { samples, ..all }
}

/// A batch of gauge points; series that the store knows by key come as known, as the decoder would send them.
pub(crate) fn batch(tenant: &Tenant, rows: &[(String, i64, f64)]) -> MetricBatch {
    let mut batch = MetricBatch::default();
    for (name, at_ms, value) in rows {
        let key = name.bytes().fold(7u128, |key, byte| key.wrapping_mul(257).wrapping_add(u128::from(byte)));
        let entry = match tenant.known_series().lookup(key) {
            Some(id) => SeriesEntry::Known(id),
            None => SeriesEntry::New { key, labels: labels(name) },
        };
        batch.points.push(batch.samples.len() as u32);
        batch.samples.push((batch.series.len() as u32, Sample { at_ms: *at_ms, value: *value }));
        batch.series.push(entry);
    }
    batch.derived_from = batch.samples.len() as u32;
    batch
}

/// Everything a tenant answers, by the snapshot's own doors.
pub(crate) fn read_all(tenant: &Tenant, range: MsRange) -> Model {
    let snapshot = tenant.snapshot().unwrap();
    let series = snapshot.select(&[], range, usize::MAX).unwrap();
    let ids: Vec<SeriesId> = series.iter().map(|series| series.id).collect();
    let mut found = Model::new();
    for (series, samples) in series.iter().zip(snapshot.read(&ids, range, &mut NoLimit).unwrap()) {
        assert!(samples.at_ms.windows(2).all(|pair| pair[0] < pair[1]), "times must grow: {:?}", samples.at_ms);
        for (at_ms, value) in samples.at_ms.iter().zip(&samples.values) {
            assert!(range.contains(*at_ms));
            let before = found.insert((series.labels.value("name").into(), *at_ms), value.to_bits());
            assert_eq!(before, None, "two series of one name");
        }
        assert!(samples.histograms.windows(2).all(|pair| pair[0].0 < pair[1].0), "times must grow");
        for (at_ms, read) in &samples.histograms {
            assert!(range.contains(*at_ms));
            assert_eq!(**read, histogram(-read.count));
            let before = found.insert((series.labels.value("name").into(), *at_ms), (-read.count).to_bits());
            assert_eq!(before, None, "a float and a histogram of one time");
        }
    }
    found
}

/// The observed times of all log records, ascending: the tests number records by them.
pub(crate) fn log_numbers(tenant: &Tenant) -> Vec<i64> {
    let snapshot = tenant.snapshot().unwrap();
    let head = snapshot.logs().head(NsRange::ALL).flat_map(|part| part.records());
    let mut found: Vec<i64> = head.map(|record| record.observed_time_ns()).collect();
    let never = || Ok::<(), StoreError>(());
    for block in snapshot.logs().blocks(NsRange::ALL, &IndexQuery::All, never).unwrap().0 {
        let batch = block.read().unwrap().unwrap().batch().unwrap();
        found.extend(batch.records.iter().map(|(_, _, record)| record.observed_time_ns));
    }
    found.sort_unstable();
    found
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
