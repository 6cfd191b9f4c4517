//! What of a metric batch can be stored: series numbers for its samples, and an exact account of points over the series limit.
//!
//! Pure but for the catalogue it reads: numbers given here count only once their commit succeeded.

mod counted;
mod ended;
mod histograms;
mod room;

use codec::intake::MetricRows;
use model::{Counts, Exemplar, Labels, MetricBatch, Reason, Rejected, Sample, SeriesEntry, Span};
use roaring::RoaringBitmap;

use crate::StoreError;
use crate::deltas::Taken;
use crate::history::{History, Stored};
use crate::series::Catalogue;
use crate::streams::Streams;

use counted::Counted;
use ended::{end_other_targets, end_series};
use histograms::accept_histograms;
use room::number_new;
pub(crate) use room::{Fresh, Room};

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

fn accept_batch(mut batch: MetricBatch, cx: &mut Accepting<'_>) -> Result<Accepted, StoreError> {
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
    let counted = Counted::of(&batch, cx.catalogue, cx.history)?;
    let told = cx.streams.prepare(&batch, &numbers, cx.delta_series_max, cx.history)?;
    let mut rejected = Rejected::default();
    let samples = batch.samples.len();
    let derived = batch.samples.split_off((batch.derived_from as usize).min(samples));
    let number_of = |numbers: &[Option<u32>], at: u32| numbers.get(at as usize).copied().flatten();
    let is_plain = told.spans.is_empty()
        && counted.is_empty()
        && numbers.iter().all(Option::is_some)
        && batch.points.first().is_none_or(|start| *start == 0);
    let mut stored = if is_plain {
        // The common request: all its samples need is their series' numbers.
        let mut stored = std::mem::take(&mut batch.samples);
        stored.retain_mut(|(at, _)| {
            number_of(&numbers, *at).is_some_and(|number| {
                *at = number;
                true
            })
        });
        stored
    } else {
        accept_points(&batch, (told.spans, &counted), &mut numbers, cx, &mut rejected)?
    };
    for (at, sample) in derived {
        if counted.holds(at, sample.at_ms) {
            continue;
        }
        if number_new([at].into_iter(), &batch.series, &mut numbers, cx).is_err() {
            continue;
        }
        let Some(number) = number_of(&numbers, at) else { continue };
        stored.push((number, sample));
        end_other_targets(number, sample, batch.series.get(at as usize), cx, &mut stored)?;
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

/// Numbers the samples of points one by one: some are refused, or change what is stored.
fn accept_points(
    batch: &MetricBatch,
    (spans, counted): (Vec<Span>, &Counted),
    numbers: &mut [Option<u32>],
    cx: &mut Accepting<'_>,
    rejected: &mut Rejected,
) -> Result<Vec<(u32, Sample)>, StoreError> {
    let mut spans = spans.into_iter().peekable();
    let samples = batch.samples.len();
    let mut stored = Vec::with_capacity(samples);
    // The samples of each point, then each that belongs to none by itself.
    let starts = batch.points.iter().map(|start| (*start as usize).min(samples));
    let ends = starts.clone().skip(1).chain([samples]);
    let uncounted = 0..batch.points.first().map_or(samples, |start| (*start as usize).min(samples));
    let points = starts.zip(ends).map(|(start, end)| (start..end.max(start), true));
    let rest = uncounted.map(|at| (at..at + 1, false));
    for (place, is_point) in points.chain(rest) {
        let span = spans.next_if(|span| place.contains(&(span.first as usize)));
        let point = &batch.samples[place.clone()];
        let of_point = || point.iter().map(|(at, _)| *at);
        if let Some((_, sample)) = point.iter().find(|(at, sample)| counted.holds(*at, sample.at_ms)) {
            if is_point {
                counted::refuse(rejected, sample.at_ms);
            }
            continue;
        }
        let counting = span.map(|span| {
            let end = (span.end as usize).clamp(span.first as usize, place.end);
            (span, &batch.samples[span.first as usize..end])
        });
        if let Some((span, counting)) = counting
            && let Some(refusal) = cx.no_room(&span, counting.iter().map(|(at, _)| *at), numbers)
        {
            rejected.add(refusal.0, 1, || refusal.1);
            continue;
        }
        if let Err(over) = number_new(of_point(), &batch.series, numbers, cx) {
            if is_point {
                over.refuse(cx.room, rejected);
            }
            continue;
        }
        let number_of = |at: u32| numbers.get(at as usize).copied().flatten();
        let Some((span, counting)) = counting else {
            stored.extend(point.iter().filter_map(|(at, sample)| Some((number_of(*at)?, *sample))));
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
    Ok(stored)
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

#[cfg(test)]
mod tests;
