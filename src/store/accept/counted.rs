//! Samples for days whose samples are gone. One for a step of five minutes that has figures of its series may be among those that these
//! were made of, and would then count twice; nobody can tell any more, so it is refused. Steps without figures take what comes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use model::time::Day;
use model::{Labels, MetricBatch, MsRange, Reason, Rejected, SeriesEntry};

use crate::StoreError;
use crate::days::{STEP_MS, step_of};
use crate::history::History;
use crate::series::Catalogue;

/// Steps of a batch's series that have figures alone.
#[derive(Default)]
pub(super) struct Counted(HashSet<(u32, Day, i64)>);

/// The series of a batch, by their places in it, that have samples for one day, and from when to when.
#[derive(Default)]
struct OfDay {
    series: BTreeSet<u32>,
    span: Option<MsRange>,
}

impl Counted {
    /// Nearly always of nothing: live samples and what a retention without rollups has cost one look at the times at most.
    pub(super) fn of(batch: &MetricBatch, catalogue: &Catalogue, history: &dyn History) -> Result<Counted, StoreError> {
        let mut counted = Counted::default();
        let until_ms = history.samples_gone_until_ms()?;
        if until_ms == i64::MIN {
            return Ok(counted);
        }
        let mut days: BTreeMap<Day, OfDay> = BTreeMap::new();
        for (series, sample) in batch.samples.iter().filter(|(_, sample)| sample.at_ms < until_ms) {
            let of_day = days.entry(Day::of_ms(sample.at_ms)).or_default();
            of_day.series.insert(*series);
            let span = of_day.span.get_or_insert(MsRange { start_ms: sample.at_ms, end_ms: sample.at_ms });
            (span.start_ms, span.end_ms) = (span.start_ms.min(sample.at_ms), span.end_ms.max(sample.at_ms));
        }
        for (day, OfDay { series, span }) in days {
            let Some(span) = span else { continue };
            let whole_steps = MsRange {
                start_ms: step_of(span.start_ms).saturating_mul(STEP_MS).saturating_add(1),
                end_ms: step_of(span.end_ms).saturating_add(1).saturating_mul(STEP_MS),
            };
            let named: Vec<(u32, Labels)> = series
                .into_iter()
                .filter_map(|at| Some((at, labels_of(batch.series.get(at as usize)?, catalogue)?)))
                .collect();
            let labels: Vec<&Labels> = named.iter().map(|(_, labels)| labels).collect();
            for ((at, _), times) in named.iter().zip(history.times_of_figures(day, &labels, whole_steps)?) {
                counted.0.extend(times.into_iter().map(|at_ms| (*at, day, step_of(at_ms))));
            }
        }
        Ok(counted)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the step of a sample has figures of its series, which is named by its place in the batch.
    pub(super) fn holds(&self, series: u32, at_ms: i64) -> bool {
        !self.0.is_empty() && self.0.contains(&(series, Day::of_ms(at_ms), step_of(at_ms)))
    }
}

pub(super) fn refuse(rejected: &mut Rejected, at_ms: i64) {
    rejected.add(Reason::RolledUp, 1, || {
        format!(
            "the samples of {} are gone (retention.metrics_raw), and its five-minute values have this series at this time already: one more \
             sample might count twice",
            Day::of_ms(at_ms)
        )
    });
}

fn labels_of(entry: &SeriesEntry, catalogue: &Catalogue) -> Option<Labels> {
    match entry {
        SeriesEntry::New { labels, .. } => Some(labels.clone()),
        SeriesEntry::Known(id) => Some(catalogue.labels_of([u32::try_from(id.0).ok()?]).pop()?.1),
    }
}
