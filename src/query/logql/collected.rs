//! The samples of one range aggregation, from all its sources.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use model::Labels;

use super::collect::{Key, Marked, One, Part, Run, Sum};
use super::context::Context;
use super::value::Grid;
use super::window::Sample;
use crate::QueryError;
use crate::logs::guard::Guard;

/// What one series counts for in the budget, beside its values and labels, in bytes.
const SERIES_BYTES: u64 = 192;

/// What one label counts for, beside the text of its value, in bytes: two references, and the value's own counts.
const LABEL_BYTES: u64 = 64;

/// What the mark of one record counts for, in bytes: its place in a table that may have doubled just now.
const MARK_BYTES: u64 = 32;

/// The samples of the series, while they are read.
pub(super) enum Samples {
    /// What is added at the first step of a sample's windows and taken away after the last: bytes or one, and one.
    Sums(Vec<(i64, i64)>),
    Each(Vec<Sample>),
}

pub(super) struct Found {
    pub(super) labels: Labels,
    pub(super) samples: Samples,
}

/// The samples of all sources.
pub(super) struct Collected {
    pub(super) found: Vec<Found>,
    places: HashMap<Labels, usize, RandomState>,
    /// Names of labels, which all series share.
    names: HashMap<String, Arc<str>, RandomState>,
    /// Marks of records that may have twins.
    seen: HashSet<u64, RandomState>,
    /// Counts and bytes of lines, which need no sample each.
    pub(super) is_sum: bool,
    grid: Grid,
}

impl Collected {
    pub(super) fn new(is_sum: bool, grid: Grid) -> Collected {
        Collected {
            found: Vec::new(),
            places: HashMap::default(),
            names: HashMap::default(),
            seen: HashSet::default(),
            is_sum,
            grid,
        }
    }

    /// Returns how many samples were added.
    pub(super) fn add(
        &mut self,
        part: Part,
        context: &Context<'_>,
        guard: &mut Guard<'_>,
        is_answer: bool,
    ) -> Result<u64, QueryError> {
        let mut samples = part.samples;
        let mut place_of = Vec::with_capacity(part.series.len());
        for (key, run) in part.series {
            // A series may have nothing but what was seen before.
            if run.is_empty() {
                place_of.push(Err(key));
                continue;
            }
            let place = self.place(key, context, guard, is_answer)?;
            self.put(place, run, guard)?;
            place_of.push(Ok(place));
        }
        for Marked { mark, outcome } in part.marked {
            // Loki keeps the first of those of one stream, time and line.
            if !self.seen.insert(mark) {
                continue;
            }
            guard.spend(MARK_BYTES)?;
            let Some((series, One { steps: (first, last), sample })) = outcome? else { continue };
            let place = match &mut place_of[series] {
                Ok(place) => *place,
                Err(key) => {
                    let place = self.place(std::mem::take(key), context, guard, is_answer)?;
                    place_of[series] = Ok(place);
                    place
                }
            };
            match self.is_sum {
                true => self.add_sum(place, &Sum { first, last, value: sample.value as i64, lines: 1 }),
                false => self.put(place, Run::Each(vec![sample]), guard)?,
            }
            samples += 1;
        }
        Ok(samples)
    }

    /// The series of a key.
    fn place(
        &mut self,
        key: Key,
        context: &Context<'_>,
        guard: &mut Guard<'_>,
        is_answer: bool,
    ) -> Result<usize, QueryError> {
        let bytes: u64 = key.iter().map(|(_, value)| value.len() as u64 + LABEL_BYTES).sum();
        let labels = self.labels(key);
        if let Some(place) = self.places.get(&labels) {
            return Ok(*place);
        }
        context.check_series(self.found.len() + 1, is_answer)?;
        let steps = if self.is_sum { 16 * (self.grid.count as u64 + 1) } else { 0 };
        guard.spend(SERIES_BYTES + bytes + steps)?;
        let samples = match self.is_sum {
            true => Samples::Sums(vec![(0, 0); self.grid.count + 1]),
            false => Samples::Each(Vec::new()),
        };
        self.places.insert(labels.clone(), self.found.len());
        self.found.push(Found { labels, samples });
        Ok(self.found.len() - 1)
    }

    /// With those that are empty: Loki shows what a parser found so, and an empty label is another series than none.
    fn labels(&mut self, key: Key) -> Labels {
        let mut shared = |name: String| match self.names.get(&name) {
            Some(name) => name.clone(),
            None => {
                let shared: Arc<str> = name.as_str().into();
                self.names.insert(name, shared.clone());
                shared
            }
        };
        Labels::from_sorted(key.into_iter().map(|(name, value)| (shared(name), value.into())).collect())
    }

    fn add_sum(&mut self, place: usize, sum: &Sum) {
        let Samples::Sums(steps) = &mut self.found[place].samples else { return };
        let Sum { first, last, value, lines } = *sum;
        steps[first].0 += value;
        steps[first].1 += lines;
        steps[last + 1].0 -= value;
        steps[last + 1].1 -= lines;
    }

    fn put(&mut self, place: usize, run: Run, guard: &mut Guard<'_>) -> Result<(), QueryError> {
        match (&mut self.found[place].samples, run) {
            (Samples::Sums(_), Run::Sums(more)) => more.iter().for_each(|sum| self.add_sum(place, sum)),
            (Samples::Each(samples), Run::Each(more)) => {
                guard.spend((more.len() * size_of::<Sample>()) as u64)?;
                samples.extend(more);
            }
            _ => {}
        }
        Ok(())
    }
}
