//! What the writer remembers of streams from request to request: runs of counters, sums of deltas, live targets, counts of exemplars.
//!
//! Nothing here is durable by itself: all of it is found again in the store, and is forgotten whenever a commit failed.

use model::{Counts, MetricBatch, SeriesEntry, Span};

use crate::StoreError;
use crate::deltas::{self, Deltas, Taken};
use crate::exemplars::Counted;
use crate::history::{History, Stored};
use crate::runs::{self, Runs};
use crate::targets::Targets;

#[derive(Default)]
pub(crate) struct Streams {
    pub(crate) runs: Runs,
    pub(crate) deltas: Deltas,
    pub(crate) targets: Targets,
    pub(crate) exemplars: Counted,
}

/// Spans of a batch that are more than a point that goes on as the one before, by place in `spans` and `histogram_spans`.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) spans: Vec<Span>,
    pub(crate) histogram_spans: Vec<Span>,
}

impl Streams {
    /// A commit begins.
    pub(crate) fn begin(&mut self) {
        self.runs.begin();
        self.deltas.begin();
    }

    /// Forgets everything: what reached the disk is not known.
    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.deltas.clear();
        self.targets.clear();
        self.exemplars = Counted::default();
    }

    /// Looks up in the store, in one go, what is not known of a batch's streams; returns the spans that need a closer look.
    pub(crate) fn prepare(
        &mut self,
        batch: &MetricBatch,
        numbers: &[Option<u32>],
        delta_series_max: usize,
        history: &dyn History,
    ) -> Result<Told, StoreError> {
        let mut told = Told::default();
        let mut asked = Asked { near_ms: i64::MAX, ..Asked::default() };
        let number_of = |series: u32| numbers.get(series as usize).copied().flatten();
        for span in &batch.spans {
            let samples = batch.samples.get(span.first as usize..span.end as usize).unwrap_or_default();
            let rows = samples.iter().filter_map(|(series, sample)| Some((number_of(*series)?, sample.at_ms)));
            if !self.goes_on(span, rows, &mut asked) {
                told.spans.push(*span);
            }
        }
        for span in &batch.histogram_spans {
            let rows = batch.histograms.get(span.first as usize..span.end as usize).unwrap_or_default();
            let rows = rows.iter().filter_map(|(series, at_ms, _)| Some((number_of(*series)?, *at_ms)));
            if !self.goes_on(span, rows, &mut asked) {
                told.histogram_spans.push(*span);
            }
        }
        asked.numbers.sort_unstable();
        asked.numbers.dedup();
        let numbers: Vec<u32> = asked.numbers.iter().map(|(number, _)| *number).collect();
        if !numbers.is_empty() {
            let found = history.newest(&numbers, asked.near_ms)?;
            for ((number, counts), last) in asked.numbers.iter().zip(found) {
                match last {
                    Some(last) if *counts => self.deltas.load(*number, &last, delta_series_max),
                    Some(last) => self.runs.load(*number, &last),
                    None => {}
                }
            }
        }
        self.deltas.look_up(asked.ends.into_iter(), history)?;
        Ok(told)
    }

    /// Whether a span is of a counter that goes on; else it is noted what must be known of it.
    #[inline]
    fn goes_on(&mut self, span: &Span, mut rows: impl Iterator<Item = (u32, i64)>, asked: &mut Asked) -> bool {
        match (span.counts, span.start_ms) {
            (Counts::Cumulative, None) => return true,
            (Counts::Cumulative, Some(start_ms)) => {
                let Some((number, at_ms)) = rows.next() else { return false };
                if self.runs.goes_on(number, at_ms, start_ms) {
                    return true;
                }
                if !self.runs.knows(number) {
                    asked.ask(number, false, at_ms);
                }
            }
            (Counts::Delta { .. }, _) => {
                let mut first = true;
                for (number, at_ms) in rows {
                    if std::mem::replace(&mut first, false) {
                        asked.ends.push((number, at_ms));
                    }
                    if !self.deltas.knows(number) {
                        asked.ask(number, true, at_ms);
                    }
                }
            }
        }
        false
    }

    /// Takes the counting part of one point, whose series have their numbers.
    pub(crate) fn take(
        &mut self,
        span: &Span,
        numbers: &[u32],
        values: &[Stored],
        at_ms: i64,
        history: &dyn History,
    ) -> Result<Taken, StoreError> {
        match (span.counts, span.start_ms) {
            (Counts::Delta { monotonic }, start_ms) => {
                let point = deltas::Point { numbers, values, at_ms, start_ms, monotonic };
                Ok(self.deltas.take(&point))
            }
            (Counts::Cumulative, None) => Ok(Taken::Sums { values: values.to_vec(), zero_ms: None }),
            (Counts::Cumulative, Some(start_ms)) => {
                let zero_ms = self.runs.take(&runs::Point { numbers, values, at_ms, start_ms }, history)?;
                Ok(Taken::Sums { values: values.to_vec(), zero_ms })
            }
        }
    }
}

/// What is to be looked up for a batch.
#[derive(Default)]
struct Asked {
    /// Series, and whether it is a delta's.
    numbers: Vec<(u32, bool)>,
    near_ms: i64,
    /// First series and time of each delta.
    ends: Vec<(u32, i64)>,
}

impl Asked {
    fn ask(&mut self, number: u32, delta: bool, at_ms: i64) {
        self.numbers.push((number, delta));
        self.near_ms = self.near_ms.min(at_ms);
    }
}

/// The labels that an entry brings.
pub(crate) fn brought(entry: Option<&SeriesEntry>) -> Option<model::Labels> {
    match entry {
        Some(SeriesEntry::New { labels, .. }) => Some(labels.clone()),
        _ => None,
    }
}
