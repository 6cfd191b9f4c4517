//! Range aggregations over all steps: one pass over the records, on the threads that the budget allows, each sample put where its
//! windows are.

use std::sync::atomic::{AtomicBool, Ordering};

use model::{Labels, MatchOp, Matcher, NsRange};

use super::aggregate::{Fold, Folder};
use super::ast::{Grouping, LogRange, RangeAggregation, RangeOp};
use super::collect::{Collector, Part};
use super::collected::{Collected, Found, Samples};
use super::context::Context;
use super::narrow;
use super::sampler::Sampler;
use super::scan::Scan;
use super::twins::Twins;
use super::units;
use super::value::{Grid, Series, absent};
use super::window::{self, Sample};
use crate::QueryError;
use crate::logs::SearchStats;
use crate::logs::guard::{Guard, Source};
use crate::promql::parallel::in_order;

fn too_many_samples(samples_max: u64) -> QueryError {
    QueryError::TooMuch {
        message: format!(
            "the query looks at more than {samples_max} samples (query.samples_max); narrow the time range or filter more"
        ),
    }
}

/// `is_answer` when each series counts against the limit of an answer.
pub(crate) fn evaluate(
    context: &mut Context<'_>,
    aggregation: &RangeAggregation,
    grid: Grid,
    is_answer: bool,
) -> Result<Vec<Series>, QueryError> {
    let mut all = Vec::new();
    each_series(context, aggregation, None, grid, is_answer, &mut |series| {
        let held = (series.values.len() * size_of::<f64>()) as u64;
        all.push(series);
        held
    })?;
    Ok(all)
}

/// The aggregation of what a range aggregation gives, which is never held as a whole. `is_grouped` when the samples may be grouped
/// before they are summed.
pub(crate) fn folded(
    context: &mut Context<'_>,
    fold: Fold,
    grouping: &Grouping,
    inner: &RangeAggregation,
    is_grouped: bool,
    grid: Grid,
) -> Result<Vec<Series>, QueryError> {
    let mut folder = Folder::new(fold, grouping, grid.count);
    let outer = is_grouped.then_some(grouping);
    each_series(context, inner, outer, grid, false, &mut |series| folder.add(&series))?;
    Ok(folder.finish())
}

/// `outer` is a grouping that the aggregation around this one makes anyway; `take` tells how many bytes of a series are held.
fn each_series(
    context: &mut Context<'_>,
    aggregation: &RangeAggregation,
    outer: Option<&Grouping>,
    grid: Grid,
    is_answer: bool,
    take: &mut dyn FnMut(Series) -> u64,
) -> Result<(), QueryError> {
    let range = &aggregation.range;
    let shifted = Grid { start_ns: grid.start_ns.saturating_sub(range.offset_ns), ..grid };
    let sampler = Sampler::new(aggregation, outer, grid.end_ns())?;
    let matchers: Vec<Matcher> = range.log.matchers.iter().map(|matcher| matcher.matcher.clone()).collect();
    // The samples stay on this account until their series are made.
    let (found, _guard) = read(context, &sampler, &matchers, range, shifted, is_answer)?;
    if aggregation.op == RangeOp::Absent {
        take(missing(aggregation, &found, grid));
        return Ok(());
    }
    for Found { labels, samples } in found {
        context.budget.check()?;
        let values = match samples {
            Samples::Sums(steps) => sums(aggregation.op, &steps, range.interval_ns, grid.count),
            Samples::Each(samples) => each(aggregation, samples, shifted),
        };
        context.kept.spend(take(Series { labels, values }))?;
    }
    Ok(())
}

/// The samples of all series, and the account of what they hold.
fn read<'a: 'm, 'm>(
    context: &mut Context<'a>,
    sampler: &Sampler,
    matchers: &'m [Matcher],
    range: &LogRange,
    grid: Grid,
    is_answer: bool,
) -> Result<(Vec<Found>, Guard<'m>), QueryError> {
    let budget = context.budget;
    let Some(view) = context.view else { return Ok((Vec::new(), Guard::new(budget))) };
    let window_ns = range.interval_ns;
    let reach = NsRange {
        start_ns: grid.start_ns.saturating_sub(window_ns).saturating_add(1),
        end_ns: grid.end_ns().saturating_add(1),
    };
    let narrow = [narrow::streams(matchers), sampler.pipeline().index_query()];
    let (Scan { mut guard, selection, .. }, sources) = Scan::new(view, matchers, &narrow, reach, budget)?;
    // Twins are found in order of time; which of them counts is told by the order of intake.
    let mut sources: Vec<(usize, Source)> = sources.into_iter().enumerate().collect();
    sources.sort_by_key(|(_, source)| source.min_ns());
    let (ranks, sources): (Vec<usize>, Vec<Source>) = sources.into_iter().unzip();
    let is_sum = range.unwrap.is_none();
    let has_many_twins = AtomicBool::new(false);
    let lines = sampler.pipeline().lines();
    let collector =
        Collector { selection: &selection, lines: &lines, grid, window_ns, is_sum, has_many_twins: &has_many_twins };
    let shared = guard.share();
    let mut stats = SearchStats::default();
    let mut all = Collected::new(is_sum, is_answer, grid, window_ns, context);
    let mut twins = Twins::new(&sources, &ranks);
    let mut taken = 0;
    let samples_before = context.samples;
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
            all.add(taken, part, &mut twins, &mut guard)?;
            taken += 1;
            all.advance(&mut twins, sources.get(taken).map(Source::min_ns), &mut guard)?;
            has_many_twins.store(twins.are_many(), Ordering::Relaxed);
            if samples_before + all.samples > budget.samples_max {
                return Err(too_many_samples(budget.samples_max));
            }
            Ok(())
        },
    );
    let (found, samples) = (all.found, all.samples);
    guard.stats.add(&stats);
    context.samples += samples;
    context.stats.add(&guard.stats);
    done?;
    Ok((found, guard))
}

fn sums(op: RangeOp, steps: &[(i64, i64)], window_ns: i64, count: usize) -> Vec<f64> {
    let seconds = units::seconds(window_ns);
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
