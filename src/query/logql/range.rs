//! Range aggregations over all steps: one pass over the records, on the threads that the budget allows, each sample put where its
//! windows are.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use model::{Labels, MatchOp, Matcher, NsRange};

use super::ast::{Grouping, RangeAggregation, RangeOp};
use super::collect::{Collector, Key, Marked, Part, Run, Sum};
use super::context::Context;
use super::narrow;
use super::sampler::{Sampler, whole};
use super::scan::{Scan, Seen, Twin};
use super::value::{Grid, Series, absent};
use super::window::{self, Sample};
use crate::QueryError;
use crate::logs::SearchStats;
use crate::logs::guard::Guard;
use crate::promql::parallel::in_order;

/// What one series counts for in the budget, beside its values and labels, in bytes.
const SERIES_BYTES: u64 = 128;

/// The samples of the series, while they are read.
enum Samples {
    /// What is added at the first step of a sample's windows and taken away after the last: bytes or one, and one.
    Sums(Vec<(i64, i64)>),
    Each(Vec<Sample>),
}

struct Found {
    labels: Labels,
    samples: Samples,
}

/// The samples of all sources.
struct Collected {
    found: Vec<Found>,
    places: HashMap<Key, usize, RandomState>,
    is_sum: bool,
    grid: Grid,
}

impl Collected {
    /// Returns how many samples were added.
    fn add(
        &mut self,
        part: Part,
        context: &Context<'_>,
        guard: &mut Guard<'_>,
        seen: &mut Seen,
        is_answer: bool,
    ) -> Result<u64, QueryError> {
        let mut samples = part.samples;
        let mut place_of = Vec::with_capacity(part.series.len());
        for (key, run) in part.series {
            // A series may have nothing but what was seen before.
            let place = match run.is_empty() {
                true => None,
                false => Some(self.place(&key, context, guard, is_answer)?),
            };
            if let Some(place) = place {
                self.put(place, run, guard)?;
            }
            place_of.push((key, place));
        }
        for Marked { mark, at, outcome } in part.marked {
            if !matches!(seen.look(mark, at, guard)?, Twin::New) {
                continue;
            }
            let Some((series, run)) = outcome? else { continue };
            let (key, place) = &mut place_of[series];
            let place = match place {
                Some(place) => *place,
                None => *place.insert(self.place(key, context, guard, is_answer)?),
            };
            self.put(place, run, guard)?;
            samples += 1;
        }
        Ok(samples)
    }

    /// The series of a key.
    fn place(
        &mut self,
        key: &Key,
        context: &Context<'_>,
        guard: &mut Guard<'_>,
        is_answer: bool,
    ) -> Result<usize, QueryError> {
        if let Some(place) = self.places.get(key) {
            return Ok(*place);
        }
        context.check_series(self.found.len() + 1, is_answer)?;
        let bytes: usize = key.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        let steps = if self.is_sum { 16 * (self.grid.count as u64 + 1) } else { 0 };
        guard.spend(SERIES_BYTES + bytes as u64 + steps)?;
        let labels = whole(key.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let samples = match self.is_sum {
            true => Samples::Sums(vec![(0, 0); self.grid.count + 1]),
            false => Samples::Each(Vec::new()),
        };
        self.found.push(Found { labels, samples });
        self.places.insert(key.clone(), self.found.len() - 1);
        Ok(self.found.len() - 1)
    }

    fn put(&mut self, place: usize, run: Run, guard: &mut Guard<'_>) -> Result<(), QueryError> {
        match (&mut self.found[place].samples, run) {
            (Samples::Sums(steps), Run::Sums(more)) => {
                for Sum { first, last, value, lines } in more {
                    steps[first].0 += value;
                    steps[first].1 += lines;
                    steps[last + 1].0 -= value;
                    steps[last + 1].1 -= lines;
                }
            }
            (Samples::Each(samples), Run::Each(more)) => {
                guard.spend((more.len() * size_of::<Sample>()) as u64)?;
                samples.extend(more);
            }
            _ => {}
        }
        Ok(())
    }
}

fn too_many_samples(samples_max: u64) -> QueryError {
    QueryError::TooMuch {
        message: format!(
            "the query looks at more than {samples_max} samples (query.samples_max); narrow the time range or filter more"
        ),
    }
}

/// `outer` is a grouping that the aggregation around this one makes anyway; `is_answer` when each series is one of the answer.
pub(crate) fn evaluate(
    context: &mut Context<'_>,
    aggregation: &RangeAggregation,
    outer: Option<&Grouping>,
    grid: Grid,
    is_answer: bool,
) -> Result<Vec<Series>, QueryError> {
    let range = &aggregation.range;
    let (window_ns, offset_ns) = (range.interval_ns, range.offset_ns);
    let shifted = Grid { start_ns: grid.start_ns.saturating_sub(offset_ns), ..grid };
    let reach = NsRange {
        start_ns: shifted.start_ns.saturating_sub(window_ns).saturating_add(1),
        end_ns: shifted.end_ns().saturating_add(1),
    };
    let sampler = Sampler::new(aggregation, outer, grid.end_ns())?;
    let mut all = Collected { found: Vec::new(), places: HashMap::default(), is_sum: range.unwrap.is_none(), grid };
    if let Some(view) = context.view {
        let matchers: Vec<Matcher> = range.log.matchers.iter().map(|matcher| matcher.matcher.clone()).collect();
        let narrow = [narrow::streams(&matchers), sampler.pipeline().index_query()];
        let (Scan { mut guard, selection, mut seen }, sources) =
            Scan::new(view, &matchers, &narrow, reach, context.budget)?;
        let collector = Collector {
            selection: &selection,
            lines: &sampler.pipeline().lines(),
            grid: shifted,
            window_ns,
            is_sum: all.is_sum,
        };
        let (budget, shared) = (context.budget, guard.share());
        let mut stats = SearchStats::default();
        let done = in_order(
            budget.threads,
            sources.len(),
            || (Guard::sharing(budget, &shared), sampler.another()),
            |(guard, sampler), at| {
                let part = collector.collect(guard, sampler, sources[at].clone())?;
                Ok((part, std::mem::take(&mut guard.stats)))
            },
            |(part, of_part): (Part, SearchStats)| {
                stats.add(&of_part);
                context.samples += all.add(part, context, &mut guard, &mut seen, is_answer)?;
                if context.samples > budget.samples_max {
                    return Err(too_many_samples(budget.samples_max));
                }
                Ok(())
            },
        );
        guard.stats.add(&stats);
        context.stats.add(&guard.stats);
        done?;
    }
    let found = all.found;
    if aggregation.op == RangeOp::Absent {
        return Ok(vec![missing(aggregation, &found, grid)]);
    }
    let mut out = Vec::with_capacity(found.len());
    for Found { labels, samples } in found {
        context.budget.check()?;
        let values = match samples {
            Samples::Sums(steps) => sums(aggregation.op, &steps, window_ns, grid.count),
            Samples::Each(samples) => each(aggregation, samples, shifted),
        };
        out.push(Series { labels, values });
    }
    Ok(out)
}

fn sums(op: RangeOp, steps: &[(i64, i64)], window_ns: i64, count: usize) -> Vec<f64> {
    let seconds = window_ns as f64 / 1e9;
    let (mut sum, mut lines) = (0i64, 0i64);
    let value = |(value, line): &(i64, i64)| {
        sum += value;
        lines += line;
        match op {
            _ if lines == 0 => absent(),
            RangeOp::Rate => lines as f64 / seconds,
            RangeOp::Bytes => sum as f64,
            RangeOp::BytesRate => sum as f64 / seconds,
            _ => lines as f64,
        }
    };
    steps.iter().take(count).map(value).collect()
}

fn each(aggregation: &RangeAggregation, mut samples: Vec<Sample>, grid: Grid) -> Vec<f64> {
    samples.sort_by_key(|sample| (sample.time_ns, sample.stream));
    let window_ns = aggregation.range.interval_ns;
    let (mut from, mut to) = (0, 0);
    let mut out = Vec::with_capacity(grid.count);
    for step in 0..grid.count {
        let at_ns = grid.at(step);
        while to < samples.len() && samples[to].time_ns <= at_ns {
            to += 1;
        }
        while from < to && samples[from].time_ns <= at_ns.saturating_sub(window_ns) {
            from += 1;
        }
        out.push(match &samples[from..to] {
            [] => absent(),
            window => window::value(aggregation.op, aggregation.quantile, window_ns, window),
        });
    }
    out
}

/// `absent_over_time`: 1 where no series has a sample, with the labels that the matchers fix.
fn missing(aggregation: &RangeAggregation, found: &[Found], grid: Grid) -> Series {
    let mut there = vec![false; grid.count];
    let shifted = Grid { start_ns: grid.start_ns.saturating_sub(aggregation.range.offset_ns), ..grid };
    for one in found {
        match &one.samples {
            Samples::Sums(steps) => {
                let mut lines = 0;
                for (there, (_, line)) in there.iter_mut().zip(steps) {
                    lines += line;
                    *there |= lines > 0;
                }
            }
            Samples::Each(samples) => {
                for sample in samples {
                    if let Some((first, last)) = shifted.steps_of(sample.time_ns, aggregation.range.interval_ns) {
                        there[first..=last].fill(true);
                    }
                }
            }
        }
    }
    let mut labels = Labels::default();
    let mut gone: Vec<&str> = Vec::new();
    for matcher in &aggregation.range.log.matchers {
        if matcher.op == MatchOp::Equal && labels.get(&matcher.name).is_none() {
            labels = labels.with(&matcher.name, &matcher.text);
        } else {
            gone.push(&matcher.name);
        }
    }
    let labels = gone.into_iter().fold(labels, |labels, name| labels.with(name, ""));
    let values = there.into_iter().map(|there| if there { absent() } else { 1.0 }).collect();
    Series { labels, values }
}
