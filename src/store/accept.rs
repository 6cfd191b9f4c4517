//! What of a metric batch can be stored: series numbers for its samples, and an exact account of points over the series limit.
//!
//! Pure but for the catalogue it reads: numbers given here count only once their commit succeeded.

use std::collections::HashMap;
use std::sync::Arc;

use codec::histogram::{BUCKETS_MAX, is_storable};
use codec::intake::MetricRows;
use model::{Labels, MetricBatch, Reason, Rejected, SeriesEntry};

use crate::StoreError;
use crate::series::Catalogue;

/// Series that a commit makes, and the keys it learns.
#[derive(Default)]
pub(crate) struct Fresh {
    pub(crate) series: Vec<(u32, Labels)>,
    pub(crate) keys: Vec<(u128, u32)>,
    by_labels: HashMap<Labels, u32>,
}

/// The samples to store, and the account of the refused points.
pub(crate) type Accepted = (MetricRows, Rejected);

/// Numbers the series of a batch. Points that need a new series over `series_max` are refused whole.
///
/// # Errors
/// `Unavailable` when the batch names a series that was removed after it was decoded: the sender's retry is decoded anew.
pub(crate) fn accept(
    batch: MetricBatch,
    catalogue: &Catalogue,
    fresh: &mut Fresh,
    next_series: &mut u32,
    series_max: usize,
) -> Result<Accepted, StoreError> {
    let mut numbers: Vec<Option<u32>> = Vec::with_capacity(batch.series.len());
    for entry in &batch.series {
        numbers.push(match entry {
            SeriesEntry::Known(id) => Some(catalogue.holds(*id).ok_or_else(|| StoreError::Unavailable {
                reason: "a series of this request was just removed by retention; retry".into(),
            })?),
            SeriesEntry::New { key, labels } => {
                let known = catalogue.number_of(labels).or_else(|| fresh.by_labels.get(labels).copied());
                if let Some(number) = known {
                    fresh.keys.push((*key, number));
                }
                known
            }
        });
    }
    let mut rejected = Rejected::default();
    let samples = batch.samples.len();
    let derived_from = (batch.derived_from as usize).min(samples);
    let mut stored = Vec::with_capacity(samples);
    // The samples of each point, then each derived sample by itself.
    let starts = batch.points.iter().map(|start| (*start as usize).min(derived_from));
    let ends = starts.clone().skip(1).chain([derived_from]);
    let uncounted = 0..batch.points.first().map_or(derived_from, |start| (*start as usize).min(derived_from));
    let points = starts.zip(ends).map(|(start, end)| (start..end.max(start), true));
    let rest = uncounted.chain(derived_from..samples).map(|at| (at..at + 1, false));
    for (span, counted) in points.chain(rest) {
        let point = &batch.samples[span];
        let of_point = point.iter().map(|(at, _)| *at);
        if !number_new(of_point, &batch.series, &mut numbers, catalogue, fresh, next_series, series_max) {
            if counted {
                rejected.add(Reason::SeriesLimit, 1, || over_limit(series_max));
            }
            continue;
        }
        for (at, sample) in point {
            if let Some(Some(number)) = numbers.get(*at as usize) {
                stored.push((*number, *sample));
            }
        }
    }
    let mut histograms = Vec::with_capacity(batch.histograms.len());
    for (at, at_ms, histogram) in batch.histograms {
        if !is_storable(&histogram) {
            rejected.add(Reason::RecordLimit, 1, || {
                format!("a histogram has more than {BUCKETS_MAX} buckets on one side, or not in order of index")
            });
        } else if !number_new([at].into_iter(), &batch.series, &mut numbers, catalogue, fresh, next_series, series_max)
        {
            rejected.add(Reason::SeriesLimit, 1, || over_limit(series_max));
        } else if let Some(Some(number)) = numbers.get(at as usize) {
            histograms.push((*number, at_ms, Arc::new(histogram)));
        }
    }
    Ok((MetricRows { samples: stored, histograms }, rejected))
}

fn over_limit(series_max: usize) -> String {
    format!("the tenant has its {series_max} series (limits.series); raise it or send fewer label values")
}

/// Gives numbers to the series of one point that have none; to all of them or, when there is no room, to none.
fn number_new(
    point: impl Iterator<Item = u32>,
    series: &[SeriesEntry],
    numbers: &mut [Option<u32>],
    catalogue: &Catalogue,
    fresh: &mut Fresh,
    next_series: &mut u32,
    series_max: usize,
) -> bool {
    let mut missing: Vec<usize> =
        point.map(|at| at as usize).filter(|at| numbers.get(*at).is_some_and(Option::is_none)).collect();
    if missing.is_empty() {
        return true;
    }
    missing.dedup();
    let room = series_max.saturating_sub(catalogue.len() + fresh.series.len());
    // Two entries of one label set count twice here; that refuses a point early only at the very brim.
    let known = |at: usize| match &series[at] {
        SeriesEntry::New { labels, .. } => fresh.by_labels.contains_key(labels),
        SeriesEntry::Known(_) => true,
    };
    let needed = missing.iter().filter(|at| !known(**at)).count();
    if needed > room || needed > (u32::MAX - *next_series) as usize {
        return false;
    }
    for at in missing {
        let SeriesEntry::New { key, labels } = &series[at] else { continue };
        let number = *fresh.by_labels.entry(labels.clone()).or_insert_with(|| {
            let number = *next_series;
            *next_series += 1;
            fresh.series.push((number, labels.clone()));
            number
        });
        fresh.keys.push((*key, number));
        numbers[at] = Some(number);
    }
    true
}

#[cfg(test)]
mod tests {
    use model::{Histogram, Sample};

    use super::*;

    #[test]
    fn points_over_the_series_limit_are_refused_whole_and_counted_as_points() {
        let catalogue = Catalogue::default();
        let labels = |name: &str| Labels::from_pairs([("__name__", name)]);
        catalogue.insert([(0, labels("known"))]);
        let new = |key, name| SeriesEntry::New { key, labels: labels(name) };
        let sample = |at: u32| (at, Sample { at_ms: i64::from(at), value: 1.0 });
        let batch = MetricBatch {
            series: vec![new(1, "known"), new(2, "a"), new(3, "b"), new(4, "c"), new(5, "a"), new(6, "target_info")],
            // A known gauge; a histogram of a and b; one of b and c; c alone; a by another key; derived: c, then a.
            samples: [0, 1, 2, 2, 3, 3, 4, 5, 1].map(sample).to_vec(),
            points: vec![0, 1, 3, 5, 6],
            derived_from: 7,
            ..MetricBatch::default()
        };
        for (series_max, stored, refused) in [
            (3, vec![0, 1, 2, 1, 1], 2),
            (1, vec![0], 4),
            (4, vec![0, 1, 2, 2, 3, 3, 1, 1], 0),
            (5, vec![0, 1, 2, 2, 3, 3, 1, 4, 1], 0),
        ] {
            let (mut fresh, mut next) = (Fresh::default(), 1);
            let (MetricRows { samples, .. }, rejected) =
                accept(batch.clone(), &catalogue, &mut fresh, &mut next, series_max).unwrap();
            assert_eq!(samples.iter().map(|(number, _)| *number).collect::<Vec<_>>(), stored, "limit {series_max}");
            assert_eq!(rejected.total(), refused, "limit {series_max}");
            assert_eq!(next as usize, 1 + fresh.series.len());
        }
        let gone = MetricBatch { series: vec![SeriesEntry::Known(model::SeriesId(9))], ..MetricBatch::default() };
        assert!(accept(gone, &catalogue, &mut Fresh::default(), &mut 1, 9).is_err());

        let histogram = |buckets: usize| Histogram {
            positive: (0..buckets as i32).map(|index| (index, 1.0)).collect(),
            ..Histogram::default()
        };
        let batch = MetricBatch {
            series: vec![new(1, "known"), new(2, "a"), new(3, "b")],
            histograms: vec![
                (0, 1, histogram(0)),
                (1, 1, histogram(1)),
                (0, 2, histogram(BUCKETS_MAX + 1)),
                (2, 2, histogram(0)),
                (1, 3, histogram(BUCKETS_MAX)),
            ],
            ..MetricBatch::default()
        };
        let (rows, rejected) = accept(batch, &catalogue, &mut Fresh::default(), &mut 1, 2).unwrap();
        let stored: Vec<_> = rows.histograms.iter().map(|(number, at_ms, _)| (*number, *at_ms)).collect();
        assert_eq!(stored, [(0, 1), (1, 1), (1, 3)]);
        let reasons: Vec<_> = rejected.by_reason.iter().map(|(reason, points, _)| (*reason, *points)).collect();
        assert_eq!(reasons, [(Reason::RecordLimit, 1), (Reason::SeriesLimit, 1)]);
    }
}
