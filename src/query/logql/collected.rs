//! The samples of one range aggregation, from all its sources.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use model::Labels;

use super::collect::{Key, Part, Run, Sum};
use super::context::Context;
use super::twins::{FAILED, Held, NO_SAMPLE, Placed, Twins, Waiting};
use super::value::{Grid, Steps};
use super::window::Sample;
use crate::QueryError;
use crate::logs::guard::Guard;

/// What one series counts for in the budget, beside its values and labels, in bytes.
const SERIES_BYTES: u64 = 192;

/// What one label counts for, beside the text of its value, in bytes: two references, and the value's own counts.
const LABEL_BYTES: u64 = 64;

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
pub(super) struct Collected<'a> {
    pub(super) found: Vec<Found>,
    places: HashMap<Labels, usize, RandomState>,
    /// Names of labels, which all series share.
    names: HashMap<String, Arc<str>, RandomState>,
    /// Counts and bytes of lines, which need no sample each.
    is_sum: bool,
    /// Whether each series is one of the answer.
    is_answer: bool,
    grid: Grid,
    window_ns: i64,
    context: &'a Context<'a>,
    /// Added so far.
    pub(super) samples: u64,
}

impl<'a> Collected<'a> {
    pub(super) fn new(
        is_sum: bool,
        is_answer: bool,
        grid: Grid,
        window_ns: i64,
        context: &'a Context<'a>,
    ) -> Collected<'a> {
        Collected {
            found: Vec::new(),
            places: HashMap::default(),
            names: HashMap::default(),
            is_sum,
            is_answer,
            grid,
            window_ns,
            context,
            samples: 0,
        }
    }

    /// Adds what a source has to itself, and gives what may have twins to `twins`.
    pub(super) fn add(
        &mut self,
        source: usize,
        part: Part,
        twins: &mut Twins<'_>,
        guard: &mut Guard<'_>,
    ) -> Result<(), QueryError> {
        let Part { series, mut held, samples } = part;
        self.samples += samples;
        for (key, run) in series {
            // A series may have nothing but what may have twins.
            held.placed.push(match run.is_empty() {
                true => Placed::Unplaced(key),
                false => {
                    let place = self.place(key, guard)?;
                    self.put(place, run, guard)?;
                    Placed::At(place)
                }
            });
        }
        twins.add(source, held, guard)
    }

    /// Adds the records that may have had twins, of the times before `before_ns` or of all times, but for those that are one.
    pub(super) fn advance(
        &mut self,
        twins: &mut Twins<'_>,
        before_ns: Option<i64>,
        guard: &mut Guard<'_>,
    ) -> Result<(), QueryError> {
        let mut steps_of = Steps::new(self.grid, self.window_ns);
        let mut spending = guard.another();
        let mut each = 0;
        twins.advance(before_ns, guard, &mut |held: &mut Held, record: &Waiting| {
            let series = match record.series {
                NO_SAMPLE => return Ok(()),
                FAILED => return held.errors.remove(&record.at).map_or(Ok(()), Err),
                series => series as usize,
            };
            let place = match &mut held.placed[series] {
                Placed::At(place) => *place,
                unplaced @ Placed::Unplaced(_) => {
                    let Placed::Unplaced(key) = std::mem::replace(unplaced, Placed::At(0)) else { return Ok(()) };
                    let place = self.place(key, &mut spending)?;
                    *unplaced = Placed::At(place);
                    place
                }
            };
            let Waiting { time_ns, stream, value, .. } = *record;
            self.samples += 1;
            match &mut self.found[place].samples {
                Samples::Each(samples) => {
                    samples.push(Sample { time_ns, stream, value });
                    each += size_of::<Sample>() as u64;
                }
                Samples::Sums(_) => {
                    if let Some((first, last)) = steps_of.of(time_ns) {
                        self.add_sum(place, &Sum { first, last, value: value as i64, lines: 1 });
                    }
                }
            }
            Ok(())
        })?;
        guard.spend(each)
    }

    /// The series of a key.
    fn place(&mut self, key: Key, guard: &mut Guard<'_>) -> Result<usize, QueryError> {
        let bytes: u64 = key.iter().map(|(_, value)| value.len() as u64 + LABEL_BYTES).sum();
        let labels = self.labels(key);
        if let Some(place) = self.places.get(&labels) {
            return Ok(*place);
        }
        self.context.check_series(self.found.len() + 1, self.is_answer)?;
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
        Labels::from_sorted(key.into_iter().map(|(name, value)| (shared(name), value.into())))
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
