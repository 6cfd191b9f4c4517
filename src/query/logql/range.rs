//! Range aggregations over all steps: one pass over the records, each sample put where its windows are.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use model::{Labels, MatchOp, Matcher, NsRange};

use super::ast::{Grouping, RangeAggregation, RangeOp};
use super::context::Context;
use super::narrow;
use super::sampler::{Sampled, Sampler, whole};
use super::scan::{Scan, Twin};
use super::value::{Grid, Series, absent};
use super::window::{self, Sample};
use crate::QueryError;
use crate::logs::{Mask, with_texts};

/// What one series counts for in the budget, beside its values and labels, in bytes.
const SERIES_BYTES: u64 = 128;

/// Label names and values in order of names.
type Key = Vec<(String, String)>;

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
    let mut sampler = Sampler::new(aggregation, outer, grid.end_ns())?;
    let is_sum = range.unwrap.is_none();
    let mut places: HashMap<Key, usize, RandomState> = HashMap::default();
    let mut found: Vec<Found> = Vec::new();
    if let Some(view) = context.view {
        let matchers: Vec<Matcher> = range.log.matchers.iter().map(|matcher| matcher.matcher.clone()).collect();
        let narrow = [narrow::streams(&matchers), sampler.pipeline().index_query()];
        let (mut scan, sources) = Scan::new(view, &matchers, &narrow, reach, context.budget)?;
        let samples_max = context.budget.samples_max;
        let texts = sampler.pipeline().line_texts();
        let mut key = Key::new();
        for source in sources {
            let Some(mut piece) = scan.read(source)? else { continue };
            // Where labels depend on the stream alone, each stream's series is looked for once.
            let mut plain: HashMap<u64, usize, RandomState> = HashMap::default();
            let rows = piece.rows.clone();
            let names = piece.names.clone();
            for at in with_texts(&texts, &rows, &Mask::all(rows.count()))?.iter() {
                let Some(stream) = scan.stream(&mut piece, at)? else { continue };
                let time_ns = rows.time(at)?;
                let Some((first, last)) = shifted.steps_of(time_ns, window_ns) else { continue };
                if !sampler.may_pass(&rows, at)? || !matches!(scan.twin(&rows, at, &stream)?, Twin::New) {
                    continue;
                }
                let is_plain = sampler.is_plain(&stream);
                let known = if is_plain { plain.get(&stream.hash).copied() } else { None };
                let (value, place) = match known {
                    Some(place) => (sampler.plain_value(&rows, at)?, Some(place)),
                    None => match sampler.sample(&rows, at, &stream, &names, &mut key)? {
                        Sampled::No => continue,
                        Sampled::Value(value) => (value, None),
                    },
                };
                let place = match place {
                    Some(place) => place,
                    None => match places.get(key.as_slice()) {
                        Some(place) => *place,
                        None => {
                            context.check_series(found.len() + 1, is_answer)?;
                            let bytes: usize = key.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
                            let steps = if is_sum { 16 * (grid.count as u64 + 1) } else { 0 };
                            scan.guard.spend(SERIES_BYTES + bytes as u64 + steps)?;
                            let labels = whole(key.iter().map(|(name, value)| (name.as_str(), value.as_str())));
                            let samples = match is_sum {
                                true => Samples::Sums(vec![(0, 0); grid.count + 1]),
                                false => Samples::Each(Vec::new()),
                            };
                            found.push(Found { labels, samples });
                            places.insert(key.clone(), found.len() - 1);
                            found.len() - 1
                        }
                    },
                };
                if is_plain {
                    plain.insert(stream.hash, place);
                }
                context.samples += 1;
                if context.samples > samples_max {
                    return Err(QueryError::TooMuch {
                        message: format!(
                            "the query looks at more than {samples_max} samples (query.samples_max); narrow the time range or \
                             filter more"
                        ),
                    });
                }
                match &mut found[place].samples {
                    Samples::Sums(steps) => {
                        // Lines have whole bytes and are whole ones.
                        let value = value as i64;
                        steps[first].0 += value;
                        steps[first].1 += 1;
                        steps[last + 1].0 -= value;
                        steps[last + 1].1 -= 1;
                    }
                    Samples::Each(samples) => {
                        scan.guard.spend(size_of::<Sample>() as u64)?;
                        samples.push(Sample { time_ns, stream: stream.hash, value });
                    }
                }
            }
        }
        context.add_stats(&scan.guard.stats);
    }
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
