use codec::histogram::BUCKETS_MAX;
use model::{Histogram, Matcher, MsRange, Reason, Sample};

use super::*;
use crate::history::Last;

/// A store without samples.
struct Empty;

impl History for Empty {
    fn last_in(&self, series: &[u32], _range: MsRange) -> Result<Vec<Option<Last>>, StoreError> {
        Ok(vec![None; series.len()])
    }

    fn select(&self, _matchers: &[Matcher], _range: MsRange) -> Result<Vec<(u32, Labels)>, StoreError> {
        Ok(Vec::new())
    }
}

fn run(
    batch: MetricBatch,
    catalogue: &Catalogue,
    fresh: &mut Fresh,
    next_series: &mut u32,
    room: &Room,
    seek: &mut dyn FnMut(&Labels) -> Option<u32>,
) -> Result<Accepted, StoreError> {
    let (streams, history) = (&mut Streams::default(), &Empty);
    accept(batch, &mut Accepting { catalogue, fresh, next_series, streams, history, room, seek, delta_series_max: 9 })
}

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
        // One is known.
        let limited = Room { active: series_max - 1, active_max: series_max, of_day: 9, of_day_max: 9 };
        let of_day = Room { active: 9, active_max: 9, of_day: series_max - 1, of_day_max: series_max };
        for (room, reason, setting) in [
            (limited, Reason::SeriesLimit, "limits.series)"),
            (of_day, Reason::SeriesPerDayLimit, "limits.series_per_day)"),
        ] {
            let (mut fresh, mut next) = (Fresh::default(), 1);
            let Accepted { rows: MetricRows { samples, .. }, rejected, .. } =
                run(batch.clone(), &catalogue, &mut fresh, &mut next, &room, &mut |_| None).unwrap();
            assert_eq!(samples.iter().map(|(number, _)| *number).collect::<Vec<_>>(), stored, "limit {series_max}");
            assert_eq!(rejected.total(), refused, "limit {series_max}");
            assert_eq!(next as usize, 1 + fresh.series.len());
            let told = |(known, _, message): &(Reason, u64, String)| *known == reason && message.contains(setting);
            assert!(rejected.by_reason.iter().all(told), "{rejected:?}");
        }
    }
    // One that is on the disk comes back with its number, and takes none of the day's.
    let room = Room { active: 2, active_max: 3, of_day: 1, of_day_max: 1 };
    let mut seek = |sought: &Labels| (*sought == labels("b")).then_some(77);
    let (mut fresh, mut next) = (Fresh::default(), 1);
    let Accepted { rows: MetricRows { samples, .. }, .. } =
        run(batch, &catalogue, &mut fresh, &mut next, &room, &mut seek).unwrap();
    assert_eq!(samples.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1, 77, 1, 1]);
    assert_eq!((fresh.series, next), (vec![(77, labels("b")), (1, labels("a"))], 2));
    let room = Room { active: 9, active_max: 9, of_day: 9, of_day_max: 9 };
    let gone = MetricBatch { series: vec![SeriesEntry::Known(model::SeriesId(9))], ..MetricBatch::default() };
    assert!(run(gone, &catalogue, &mut Fresh::default(), &mut 1, &room, &mut |_| None).is_err());

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
    let room = Room { active: 1, active_max: 2, of_day: 9, of_day_max: 9 };
    let Accepted { rows, rejected, .. } =
        run(batch, &catalogue, &mut Fresh::default(), &mut 1, &room, &mut |_| None).unwrap();
    let stored: Vec<_> = rows.histograms.iter().map(|(number, at_ms, _)| (*number, *at_ms)).collect();
    assert_eq!(stored, [(0, 1), (1, 1), (1, 3)]);
    let reasons: Vec<_> = rejected.by_reason.iter().map(|(reason, points, _)| (*reason, *points)).collect();
    assert_eq!(reasons, [(Reason::RecordLimit, 1), (Reason::SeriesLimit, 1)]);
}
