//! Aggregations over the series of each group, step by step.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Histogram, Labels};

use super::ast::{Aggregate, Aggregator, Node};
use super::engine::{Engine, wrong};
use super::functions::math;
use super::functions::special::note_quantiles;
use super::kahan::{Kahan, Mean};
use super::native;
use super::number;
use super::pick;
use super::value::{Column, Grid, Point, Val, is_absent};
use crate::QueryError;

/// Series that aggregate together.
pub(crate) struct Group {
    pub(crate) labels: Labels,
    pub(crate) drop_name: bool,
    pub(crate) columns: Vec<Column>,
}

pub(crate) fn eval(engine: &mut Engine<'_>, aggregate: &Aggregate, grid: Grid) -> Result<Val, QueryError> {
    let op = aggregate.op;
    let param = match (&aggregate.param, op) {
        (Some(param), Aggregator::CountValues) => Param::Label(engine.text(param, grid)?),
        (Some(param), _) => Param::Numbers(param, engine.scalars(param, grid)?.to_vec()),
        (None, _) => Param::None,
    };
    let columns = engine.vector(&aggregate.expr, grid)?;
    let groups = group(aggregate, columns);
    if let Param::Label(label) = &param {
        return Ok(Val::Vector(count_values(engine, aggregate, groups, label, grid)?));
    }
    let mut out = Vec::with_capacity(groups.len());
    if let Param::Numbers(node, numbers) = &param
        && op == Aggregator::Quantile
    {
        note_quantiles(engine, node, numbers);
    }
    for group in groups {
        engine.meter.check()?;
        match (op, &param) {
            (
                Aggregator::Topk | Aggregator::Bottomk | Aggregator::Limitk | Aggregator::LimitRatio,
                Param::Numbers(node, numbers),
            ) => pick::from_group(engine, aggregate, node, numbers, group, grid, &mut out)?,
            (Aggregator::Quantile, Param::Numbers(_, numbers)) => {
                let mut scratch = Vec::new();
                out.push(each_step(engine, aggregate, group, grid, |step, values| {
                    scratch.clear();
                    scratch.extend(values);
                    math::quantile(numbers[step], &mut scratch)
                })?);
            }
            _ => out.push(each_step(engine, aggregate, group, grid, |_, values| fold(op, values))?),
        }
    }
    out.retain(|column| !column.is_empty());
    Ok(Val::Vector(out))
}

enum Param<'a> {
    None,
    Label(String),
    Numbers(&'a Node, Vec<f64>),
}

fn group(aggregate: &Aggregate, columns: Vec<Column>) -> Vec<Group> {
    let listed = |name: &str| aggregate.grouping.iter().any(|label| label == name);
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for column in columns {
        let labels = if aggregate.without {
            column.labels.filtered(|name| name != model::labels::METRIC_NAME && !listed(name))
        } else if aggregate.grouping.is_empty() {
            Labels::default()
        } else {
            column.labels.filtered(listed)
        };
        let place = *places.entry(labels.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group { labels, drop_name: false, columns: Vec::new() });
        }
        groups[place].drop_name |= column.drop_name;
        groups[place].columns.push(column);
    }
    groups
}

/// One column from the floats of each step, where there are any; from the histograms if there are any.
fn each_step(
    engine: &mut Engine<'_>,
    aggregate: &Aggregate,
    group: Group,
    grid: Grid,
    mut compute: impl FnMut(usize, &mut dyn Iterator<Item = f64>) -> f64,
) -> Result<Column, QueryError> {
    let mut column = engine.column(group.labels, group.drop_name, grid.count)?;
    let native: Vec<&Column> = group.columns.iter().filter(|column| column.steps.has_histograms()).collect();
    for step in 0..grid.count {
        let mut values =
            group.columns.iter().map(|column| column.steps[step]).filter(|value| !is_absent(*value)).peekable();
        let has_floats = values.peek().is_some();
        let histograms: Vec<&Histogram> =
            native.iter().filter_map(|column| column.steps.histogram(step).map(Arc::as_ref)).collect();
        if !histograms.is_empty() {
            engine.meter.check()?;
            match aggregate.op {
                Aggregator::Sum | Aggregator::Avg if has_floats => {
                    engine.notes.warn(&aggregate.expr, "encountered a mix of histograms and floats for aggregation");
                    continue;
                }
                Aggregator::Sum | Aggregator::Avg => {
                    let by = if aggregate.op == Aggregator::Avg { histograms.len() as f64 } else { 1.0 };
                    let sum = native::sum(histograms.iter().copied()).map(|sum| native::each(&sum, |value| value / by));
                    column.steps.put(step, sum.map(|sum| Point::Histogram(Arc::new(sum))));
                    continue;
                }
                Aggregator::Count => {
                    column.steps[step] = (values.count() + histograms.len()) as f64;
                    continue;
                }
                Aggregator::Group => {
                    column.steps[step] = 1.0;
                    continue;
                }
                op => note_ignored(engine, &aggregate.expr, op),
            }
        }
        if has_floats {
            column.steps[step] = compute(step, &mut values);
        }
    }
    Ok(column)
}

/// Histograms have no order and no distance from each other.
pub(crate) fn note_ignored(engine: &mut Engine<'_>, node: &Node, op: Aggregator) {
    engine.notes.info(node, &format!("ignored histogram in {} aggregation", op.text()));
}

fn fold(op: Aggregator, values: &mut dyn Iterator<Item = f64>) -> f64 {
    match op {
        Aggregator::Sum => {
            let sum = values.fold(Kahan::default(), Kahan::plus);
            if sum.sum.is_infinite() { sum.sum } else { sum.total() }
        }
        Aggregator::Avg => {
            let mut mean = Mean::default();
            values.for_each(|value| mean.add(value));
            mean.value()
        }
        Aggregator::Min => values.reduce(|a, b| if b < a || a.is_nan() { b } else { a }).unwrap_or(f64::NAN),
        Aggregator::Max => values.reduce(|a, b| if b > a || a.is_nan() { b } else { a }).unwrap_or(f64::NAN),
        Aggregator::Count => values.count() as f64,
        Aggregator::Stdvar => variance(values),
        Aggregator::Stddev => variance(values).sqrt(),
        // Of what remains only `group` comes here: it tells that there is something.
        _ => 1.0,
    }
}

/// Welford's; a value that is no number, or infinite, leaves none.
fn variance(values: &mut dyn Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
    }
    squares / count
}

/// What `count_values` tells values apart by.
#[derive(PartialEq, Eq, Hash)]
enum Written {
    Float(u64),
    Histogram(String),
}

/// How often each value occurs, under the label. The label is set before series are grouped, so groups that it makes
/// alike count together.
fn count_values(
    engine: &mut Engine<'_>,
    aggregate: &Aggregate,
    groups: Vec<Group>,
    label: &str,
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    if label.is_empty() {
        return Err(wrong(format!("invalid label name {label:?}")));
    }
    let left_out = aggregate.without && aggregate.grouping.iter().any(|name| name == label);
    let mut out: Vec<Column> = Vec::new();
    let mut places: HashMap<Labels, usize> = HashMap::new();
    for group in groups {
        engine.meter.check()?;
        let mut of_value: HashMap<Written, usize> = HashMap::new();
        for column in &group.columns {
            for step in 0..grid.count {
                let Some(point) = column.steps.point(step) else { continue };
                let known = match &point {
                    // All NaN are one value.
                    Point::Float(value) if value.is_nan() => Written::Float(model::metric::NORMAL_NAN_BITS),
                    Point::Float(value) => Written::Float(value.to_bits()),
                    Point::Histogram(histogram) => Written::Histogram(native::text(histogram)),
                };
                let place = match of_value.get(&known) {
                    Some(place) => *place,
                    None => {
                        let written = match &known {
                            _ if left_out => String::new(),
                            Written::Float(bits) => number::plain(f64::from_bits(*bits)),
                            Written::Histogram(text) => text.clone(),
                        };
                        let labels = group.labels.with(label, &written);
                        let place = match places.get(&labels) {
                            Some(place) => *place,
                            None => {
                                out.push(engine.column(labels.clone(), group.drop_name, grid.count)?);
                                places.insert(labels, out.len() - 1);
                                out.len() - 1
                            }
                        };
                        of_value.insert(known, place);
                        place
                    }
                };
                let slot = &mut out[place].steps[step];
                *slot = if is_absent(*slot) { 1.0 } else { *slot + 1.0 };
            }
        }
    }
    Ok(out)
}
