//! The samples of one source of records, found by whichever thread reads it; [`super::range`] puts those of all sources together, in the
//! sources' order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::fast::RandomState;

use super::labels::Kinds;
use super::sampler::{Sampled, Sampler};
use super::scan::{Piece, Place, Selection};
use super::twins::{FAILED, Held, NO_SAMPLE, Waiting};
use super::value::{Grid, Steps};
use super::window::Sample;
use crate::QueryError;
use crate::logs::Lines;
use crate::logs::guard::{Guard, Source};

/// Label names and values in order of names.
pub(super) type Key = Vec<(String, String)>;

/// Samples of one source and one series.
pub(super) enum Run {
    /// In order of records; neighbours of the same steps are one.
    Sums(Vec<Sum>),
    Each(Vec<Sample>),
}

/// Lines that are in the windows of the same steps.
pub(super) struct Sum {
    pub(super) first: usize,
    pub(super) last: usize,
    /// Lines have whole bytes and are whole ones.
    pub(super) value: i64,
    pub(super) lines: i64,
}

impl Run {
    fn none(is_sum: bool) -> Run {
        if is_sum { Run::Sums(Vec::new()) } else { Run::Each(Vec::new()) }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Run::Sums(sums) => sums.is_empty(),
            Run::Each(samples) => samples.is_empty(),
        }
    }

    fn add(&mut self, sample: Sample, (first, last): (usize, usize)) {
        let value = sample.value;
        match self {
            Run::Each(samples) => samples.push(sample),
            Run::Sums(sums) => match sums.last_mut() {
                Some(sum) if (sum.first, sum.last) == (first, last) => {
                    sum.value += value as i64;
                    sum.lines += 1;
                }
                _ => sums.push(Sum { first, last, value: value as i64, lines: 1 }),
            },
        }
    }
}

/// What one source gives.
#[derive(Default)]
pub(super) struct Part {
    pub(super) series: Vec<(Key, Run)>,
    /// Records that may stand in another source too; their series are those above.
    pub(super) held: Held,
    /// Samples in `series`.
    pub(super) samples: u64,
}

/// What all threads of an aggregation look at.
pub(super) struct Collector<'a> {
    pub(super) selection: &'a Selection<'a>,
    pub(super) lines: &'a Lines,
    pub(super) grid: Grid,
    pub(super) window_ns: i64,
    pub(super) is_sum: bool,
    /// Whether many records have others of their stream and time.
    pub(super) has_many_twins: &'a AtomicBool,
}

/// Resource and scope of a record, and its kind among theirs.
type Kind = (Place, usize);

impl Collector<'_> {
    pub(super) fn collect(
        &self,
        guard: &mut Guard<'_>,
        sampler: &mut Sampler,
        source: Source,
    ) -> Result<Part, QueryError> {
        let mut part = Part::default();
        let Some(rows) = guard.read(source)? else { return Ok(part) };
        let mut piece = Piece::new(rows);
        let (rows, names) = (piece.rows.clone(), piece.names.clone());
        guard.ticks(rows.count())?;
        let mut series_of: HashMap<Key, usize, RandomState> = HashMap::default();
        let mut kinds_of: HashMap<Place, Kinds, RandomState> = HashMap::default();
        let mut of_kind: HashMap<Kind, usize, RandomState> = HashMap::default();
        // The last two that were looked up: neighbours are mostly alike.
        let mut last_kinds: Option<(Place, Kinds)> = None;
        let mut last_kind: Option<(Kind, usize)> = None;
        let mut steps_of = Steps::new(self.grid, self.window_ns);
        let mut key = Key::new();
        for at in self.lines.select(&rows)?.iter() {
            let Some(stream) = self.selection.stream(&mut piece, at)? else { continue };
            let time_ns = rows.time(at)?;
            let Some(steps) = steps_of.of(time_ns) else { continue };
            if !self.lines.is_sure(&rows, at)? && !sampler.may_pass(&rows, at)? {
                continue;
            }
            let place = rows.place(at)?;
            let kinds = match last_kinds.filter(|(known, _)| *known == place) {
                Some((_, kinds)) => kinds,
                None => {
                    let kinds = match kinds_of.get(&place) {
                        Some(known) => *known,
                        None => {
                            let kinds = sampler.kinds(&rows, &stream, &names)?;
                            kinds_of.insert(place, kinds);
                            kinds
                        }
                    };
                    last_kinds = Some((place, kinds));
                    kinds
                }
            };
            let kind = rows.kind(at, kinds)?.map(|kind| (place, kind));
            let known = match (kind, last_kind) {
                (Some(kind), Some((last, series))) if last == kind => Some(series),
                (Some(kind), _) => of_kind.get(&kind).copied(),
                (None, _) => None,
            };
            let outcome = match known {
                Some(series) => sampler.plain_value(&rows, at).map(|value| Some((series, value))),
                None => match sampler.sample(&rows, at, &stream, &names, &mut key) {
                    Ok(Sampled::No) => Ok(None),
                    Ok(Sampled::Value(value)) => {
                        let series = match series_of.get(&key) {
                            Some(series) => *series,
                            None => {
                                part.series.push((key.clone(), Run::none(self.is_sum)));
                                series_of.insert(key.clone(), part.series.len() - 1);
                                part.series.len() - 1
                            }
                        };
                        Ok(Some((series, value)))
                    }
                    Err(error) => Err(error),
                },
            };
            if let (Some(kind), Ok(Some((series, _)))) = (kind, &outcome) {
                last_kind = Some((kind, *series));
                of_kind.entry(kind).or_insert(*series);
            }
            if !self.selection.may_have_twin(&rows, at, stream.hash, time_ns)? {
                let Some((series, value)) = outcome? else { continue };
                part.samples += 1;
                part.series[series].1.add(Sample { time_ns, stream: stream.hash, value }, steps);
                continue;
            }
            let place = at as u32;
            let (series, value) = match outcome {
                Ok(Some((series, value))) => (series as u32, value),
                Ok(None) => (NO_SAMPLE, 0.0),
                Err(error) => {
                    part.held.errors.insert(place, error);
                    (FAILED, 0.0)
                }
            };
            part.held.waiting.push(Waiting { time_ns, stream: stream.hash, value, at: place, series });
        }
        part.held.prepare(&rows, self.has_many_twins.load(Ordering::Relaxed))?;
        Ok(part)
    }
}
