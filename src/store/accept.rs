//! What of a metric batch can be stored: series numbers for its samples, and an exact account of points over the series limit.
//!
//! Pure but for the catalogue it reads: numbers given here count only once their commit succeeded.

use std::collections::HashMap;
use std::sync::Arc;

use codec::histogram::{BUCKETS_MAX, is_storable};
use codec::intake::MetricRows;
use model::meter::Counter;
use model::metric::stale_marker;
use model::{
    Counts, Ended, Exemplar, Histogram, Labels, Matcher, MetricBatch, MsRange, Reason, Rejected, Sample, SeriesEntry,
    Span,
};
use roaring::RoaringBitmap;

use crate::StoreError;
use crate::deltas::{Taken, zero_like};
use crate::history::{History, Stored};
use crate::limits::{ENDED_LATELY_MS, ENDED_SAMPLES_MAX};
use crate::series::Catalogue;
use crate::streams::{Streams, brought};

/// The series that the decoder derives from a resource.
const TARGET_INFO: &str = "target_info";

static NOT_ENDED: Counter = Counter::new(
    "binnacle_store_series_not_ended_total",
    "Series that a histogram's or summary's last point should have ended, over the limit of one request.",
    &[],
);

/// Series that a commit makes or brings back into memory, and the keys it learns.
#[derive(Default)]
pub(crate) struct Fresh {
    pub(crate) series: Vec<(u32, Labels)>,
    pub(crate) keys: Vec<(u128, u32)>,
    by_labels: HashMap<Labels, u32>,
    /// Of the series, those that got a new number.
    made: usize,
}

impl Fresh {
    fn add(&mut self, number: u32, labels: &Labels) {
        self.series.push((number, labels.clone()));
        self.by_labels.insert(labels.clone(), number);
    }
}

/// How many more series there may be, and the settings that say so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Active series besides those known.
    pub(crate) active: usize,
    pub(crate) active_max: usize,
    /// New ones on this day.
    pub(crate) of_day: usize,
    pub(crate) of_day_max: usize,
}

/// Which limit refuses a new series.
#[derive(Clone, Copy)]
enum Over {
    Active,
    Day,
    Numbers,
}

impl Over {
    fn refuse(self, room: &Room, rejected: &mut Rejected) {
        let reason = match self {
            Over::Day => Reason::SeriesPerDayLimit,
            Over::Active | Over::Numbers => Reason::SeriesLimit,
        };
        rejected.add(reason, 1, || match self {
            Over::Active => format!(
                "the tenant has its {} active series (limits.series); raise it or send fewer label values",
                room.active_max
            ),
            Over::Day => format!(
                "the tenant has its {} new series of this day (limits.series_per_day); raise it or send fewer label values",
                room.of_day_max
            ),
            Over::Numbers => "the tenant has used up its 2^32 series; make a new tenant".into(),
        });
    }
}

/// What of a batch is stored, and the account of the refused points.
#[derive(Default)]
pub(crate) struct Accepted {
    pub(crate) rows: MetricRows,
    pub(crate) exemplars: Vec<(u32, Exemplar)>,
    pub(crate) rejected: Rejected,
}

/// What a batch meets.
pub(crate) struct Accepting<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) fresh: &'a mut Fresh,
    pub(crate) next_series: &'a mut u32,
    pub(crate) streams: &'a mut Streams,
    pub(crate) history: &'a dyn History,
    pub(crate) room: &'a Room,
    /// Tells the number of a label set that is not in memory but on the disk.
    pub(crate) seek: &'a mut dyn FnMut(&Labels) -> Option<u32>,
    pub(crate) delta_series_max: usize,
}

/// Numbers the series of a batch. Points that need a new series for which there is no room are refused whole; deltas are summed up.
///
/// # Errors
/// `Unavailable` when the batch names a series that was removed after it was decoded: the sender's retry is decoded anew. What the store
/// cannot read. Then nothing of the batch may be stored.
pub(crate) fn accept(batch: MetricBatch, cx: &mut Accepting<'_>) -> Result<Accepted, StoreError> {
    let accepted = accept_batch(batch, cx);
    if accepted.is_err() {
        // Some of its points may have been taken into sums.
        cx.streams.clear();
    }
    accepted
}

fn accept_batch(batch: MetricBatch, cx: &mut Accepting<'_>) -> Result<Accepted, StoreError> {
    let mut numbers: Vec<Option<u32>> = Vec::with_capacity(batch.series.len());
    if let Some(gone) = cx.catalogue.first_gone(&batch.series) {
        // Or the next try would be decoded to the same.
        cx.catalogue.forget_keys(&u32::try_from(gone.0).into_iter().collect());
        return Err(StoreError::Unavailable { reason: "a series of this request just left memory; retry".into() });
    }
    for entry in &batch.series {
        numbers.push(match entry {
            SeriesEntry::Known(id) => u32::try_from(id.0).ok(),
            SeriesEntry::New { key, labels } => {
                let known = cx.number_of(labels);
                if let Some(number) = known {
                    cx.fresh.keys.push((*key, number));
                }
                known
            }
        });
    }
    let told = cx.streams.prepare(&batch, &numbers, cx.delta_series_max, cx.history)?;
    let mut spans = told.spans.into_iter().peekable();
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
    for (place, counted) in points.chain(rest) {
        let span = spans.next_if(|span| place.contains(&(span.first as usize)));
        let point = &batch.samples[place.clone()];
        let of_point = || point.iter().map(|(at, _)| *at);
        let counting = span.map(|span| {
            let end = (span.end as usize).clamp(span.first as usize, place.end);
            (span, &batch.samples[span.first as usize..end])
        });
        if let Some((span, counting)) = counting
            && let Some(refusal) = cx.no_room(&span, counting.iter().map(|(at, _)| *at), &numbers)
        {
            rejected.add(refusal.0, 1, || refusal.1);
            continue;
        }
        if let Err(over) = number_new(of_point(), &batch.series, &mut numbers, cx) {
            if counted {
                over.refuse(cx.room, &mut rejected);
            }
            continue;
        }
        let number_of = |at: u32| numbers.get(at as usize).copied().flatten();
        let Some((span, counting)) = counting else {
            stored.extend(point.iter().filter_map(|(at, sample)| Some((number_of(*at)?, *sample))));
            if !counted && place.start >= derived_from {
                let (at, sample) = point[0];
                let Some(number) = number_of(at) else { continue };
                end_other_targets(number, sample, batch.series.get(at as usize), cx, &mut stored)?;
            }
            continue;
        };
        let of_counting: Vec<u32> = counting.iter().filter_map(|(at, _)| number_of(*at)).collect();
        let values: Vec<Stored> = counting.iter().map(|(_, sample)| Stored::Float(sample.value)).collect();
        let (Some((_, first)), true) = (counting.first(), of_counting.len() == values.len()) else { continue };
        let at_ms = first.at_ms;
        match cx.streams.take(&span, &of_counting, &values, at_ms, cx.history)? {
            Taken::Repeated => {}
            Taken::Refused(reason, message) => rejected.add(reason, 1, || message),
            Taken::Sums { values, zero_ms } => {
                if let Some(at_ms) = zero_ms {
                    stored.extend(of_counting.iter().map(|number| (*number, Sample { at_ms, value: 0.0 })));
                }
                let before = &batch.samples[place.start..span.first as usize];
                stored.extend(before.iter().filter_map(|(at, sample)| Some((number_of(*at)?, *sample))));
                stored.extend(of_counting.into_iter().zip(values).filter_map(|(number, value)| match value {
                    Stored::Float(value) => Some((number, Sample { at_ms, value })),
                    _ => None,
                }));
            }
        }
    }
    let histograms =
        accept_histograms(batch.histograms, &batch.series, &mut numbers, told.histogram_spans, cx, &mut rejected)?;
    for ended in &batch.ended {
        end_series(ended, cx, samples, &mut stored)?;
    }
    let rows = MetricRows { samples: stored, histograms };
    let exemplars = with_samples(batch.exemplars, &numbers, &rows);
    Ok(Accepted { rows, exemplars, rejected })
}

/// Exemplars of series that get a sample here: those of a repeated delta came with it, and those of a refused point go with it.
fn with_samples(sent: Vec<(u32, Exemplar)>, numbers: &[Option<u32>], rows: &MetricRows) -> Vec<(u32, Exemplar)> {
    if sent.is_empty() {
        return Vec::new();
    }
    let floats = rows.samples.iter().map(|(number, _)| *number);
    let stored: RoaringBitmap = floats.chain(rows.histograms.iter().map(|(number, ..)| *number)).collect();
    let numbered = |(at, row)| Some((numbers.get(at as usize).copied().flatten()?, row));
    sent.into_iter().filter_map(numbered).filter(|(number, _)| stored.contains(*number)).collect()
}

type HistogramRows = Vec<(u32, i64, Arc<Histogram>)>;

fn accept_histograms(
    sent: Vec<(u32, i64, Histogram)>,
    series: &[SeriesEntry],
    numbers: &mut [Option<u32>],
    spans: Vec<Span>,
    cx: &mut Accepting<'_>,
    rejected: &mut Rejected,
) -> Result<HistogramRows, StoreError> {
    let mut stored = Vec::with_capacity(sent.len());
    let mut spans = spans.into_iter().peekable();
    for (place, (at, at_ms, histogram)) in (0u32..).zip(sent) {
        let span = spans.next_if(|span| span.first == place);
        if !is_storable(&histogram) {
            rejected.add(Reason::RecordLimit, 1, || {
                format!(
                    "a histogram has more than {BUCKETS_MAX} buckets on one side, buckets out of order, or custom bounds that do \
                     not rise or do not fit them"
                )
            });
            continue;
        }
        if let Some(refusal) = span.and_then(|span| cx.no_room(&span, [at].into_iter(), numbers)) {
            rejected.add(refusal.0, 1, || refusal.1);
            continue;
        }
        if let Err(over) = number_new([at].into_iter(), series, numbers, cx) {
            over.refuse(cx.room, rejected);
            continue;
        }
        let Some(number) = numbers.get(at as usize).copied().flatten() else { continue };
        let histogram = Arc::new(histogram);
        let Some(span) = span else {
            stored.push((number, at_ms, histogram));
            continue;
        };
        let values = [Stored::Histogram(histogram)];
        match cx.streams.take(&span, &[number], &values, at_ms, cx.history)? {
            Taken::Repeated => {}
            Taken::Refused(reason, message) => rejected.add(reason, 1, || message),
            Taken::Sums { values, zero_ms } => {
                for value in values {
                    let Stored::Histogram(histogram) = value else { continue };
                    if let Some(zero_ms) = zero_ms {
                        stored.push((number, zero_ms, Arc::new(zero_like(&histogram))));
                    }
                    stored.push((number, at_ms, histogram));
                }
            }
        }
    }
    Ok(stored)
}

impl Accepting<'_> {
    /// The number of a label set: in memory, of this commit, or on the disk.
    fn number_of(&mut self, labels: &Labels) -> Option<u32> {
        let known = self.catalogue.number_of(labels).or_else(|| self.fresh.by_labels.get(labels).copied());
        known.or_else(|| (self.seek)(labels).inspect(|number| self.fresh.add(*number, labels)))
    }

    /// The number under which a series that the store has gets another sample.
    fn revive(&mut self, number: u32, labels: &Labels) -> u32 {
        let known = self.number_of(labels);
        known.unwrap_or_else(|| {
            self.fresh.add(number, labels);
            number
        })
    }

    /// Why a delta cannot be taken, if there is no room for its sums: asked before its series are made.
    fn no_room(
        &mut self,
        span: &Span,
        of_point: impl Iterator<Item = u32>,
        numbers: &[Option<u32>],
    ) -> Option<(Reason, String)> {
        if span.counts == Counts::Cumulative {
            return None;
        }
        let unknown = of_point.filter(|at| {
            let number = numbers.get(*at as usize).copied().flatten();
            number.is_none_or(|number| !self.streams.deltas.knows(number))
        });
        let unknown = unknown.count();
        self.streams.deltas.no_room(unknown, self.delta_series_max)
    }
}

/// Ends the `target_info` that was live for the same job and instance.
fn end_other_targets(
    number: u32,
    sample: Sample,
    entry: Option<&SeriesEntry>,
    cx: &mut Accepting<'_>,
    stored: &mut Vec<(u32, Sample)>,
) -> Result<(), StoreError> {
    let catalogue = cx.catalogue;
    let labels = || {
        let known = || catalogue.labels_of([number]).pop().map(|(_, labels)| labels);
        brought(entry).or_else(known).filter(|labels| labels.metric_name() == TARGET_INFO)
    };
    let ended = cx.streams.targets.take(number, sample.at_ms, &labels, cx.history)?;
    let marker = Sample { at_ms: sample.at_ms, value: stale_marker() };
    for (number, labels) in ended {
        let number = match labels {
            Some(labels) => cx.revive(number, &labels),
            None => number,
        };
        // One that left memory meanwhile is long over.
        let made_here = || cx.fresh.series.iter().any(|(fresh, _)| *fresh == number);
        if cx.catalogue.holds(number) || made_here() {
            stored.push((number, marker));
        }
    }
    Ok(())
}

/// Ends all series of a point that did not name them: those that had samples lately, and those that this commit makes.
fn end_series(
    ended: &Ended,
    cx: &mut Accepting<'_>,
    sent: usize,
    stored: &mut Vec<(u32, Sample)>,
) -> Result<(), StoreError> {
    let fits = |labels: &Labels| {
        labels.len() == ended.labels.len() + 1
            && labels.get(ended.by).is_some()
            && ended.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
    };
    let matchers: Vec<Matcher> = ended.labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
    let range = MsRange { start_ms: ended.at_ms.saturating_sub(ENDED_LATELY_MS), end_ms: ended.at_ms };
    let mut found = cx.history.select(&matchers, range)?;
    found.extend(cx.fresh.series.iter().cloned());
    let marker = Sample { at_ms: ended.at_ms, value: stale_marker() };
    for (number, labels) in found.iter().filter(|(_, labels)| fits(labels)) {
        if stored.len() >= sent.saturating_add(ENDED_SAMPLES_MAX) {
            NOT_ENDED.add(&[], 1);
            continue;
        }
        stored.push((cx.revive(*number, labels), marker));
    }
    Ok(())
}

/// Gives numbers to the series of one point that have none; to all of them or, when there is no room, to none.
fn number_new(
    point: impl Iterator<Item = u32>,
    series: &[SeriesEntry],
    numbers: &mut [Option<u32>],
    Accepting { fresh, next_series, room, .. }: &mut Accepting<'_>,
) -> Result<(), Over> {
    let mut missing: Vec<usize> =
        point.map(|at| at as usize).filter(|at| numbers.get(*at).is_some_and(Option::is_none)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    missing.dedup();
    // Two entries of one label set count twice here; that refuses a point early only at the very brim.
    let known = |at: usize| match &series[at] {
        SeriesEntry::New { labels, .. } => fresh.by_labels.contains_key(labels),
        SeriesEntry::Known(_) => true,
    };
    let needed = missing.iter().filter(|at| !known(**at)).count();
    let numbers_left = (u32::MAX - **next_series) as usize;
    let limits = [
        (room.active.saturating_sub(fresh.series.len()), Over::Active),
        (room.of_day.saturating_sub(fresh.made), Over::Day),
        (numbers_left, Over::Numbers),
    ];
    for (left, over) in limits {
        if needed > left {
            return Err(over);
        }
    }
    for at in missing {
        let SeriesEntry::New { key, labels } = &series[at] else { continue };
        let number = fresh.by_labels.get(labels).copied().unwrap_or_else(|| {
            let number = **next_series;
            **next_series += 1;
            fresh.made += 1;
            fresh.add(number, labels);
            number
        });
        fresh.keys.push((*key, number));
        numbers[at] = Some(number);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use model::{Histogram, Sample};

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
        accept(
            batch,
            &mut Accepting { catalogue, fresh, next_series, streams, history, room, seek, delta_series_max: 9 },
        )
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
}
