//! Aggregations over the series of each group, step by step.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use model::{Histogram, Labels};

use super::ast::{Aggregate, Aggregator, Node};
use super::engine::{Engine, wrong};
use super::fold;
use super::format::quoted_bytes;
use super::functions::math;
use super::functions::mixed::native_mix;
use super::functions::quantiles;
use super::lexer::Span;
use super::native::{self, Mixed, Remarks};
use super::number;
use super::pick;
use super::value::{Column, Grid, Point, Val, is_absent};
use super::worker::Pick;
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
        (Some(param), Aggregator::CountValues) => Param::Label(label_of(engine, param, grid)?),
        (Some(param), _) => Param::Numbers(param, engine.scalars(param, grid)?.to_vec()),
        (None, _) => Param::None,
    };
    if fold::folds(op) {
        return Ok(Val::Vector(folded(engine, aggregate, grid)?));
    }
    let columns = engine.vector(&aggregate.expr, grid)?;
    let groups = group(aggregate, columns);
    if let Param::Label(label) = &param {
        return Ok(Val::Vector(count_values(engine, aggregate, groups, label, grid)?));
    }
    let mut out = Vec::with_capacity(groups.len());
    if let Param::Numbers(node, numbers) = &param {
        if op == Aggregator::Quantile {
            quantiles::note_extremes(engine, node, numbers);
        } else if !pick::check(engine, op, node, numbers)? {
            return Ok(Val::Vector(out));
        }
    }
    for group in groups {
        engine.meter.check()?;
        match (op, &param) {
            (
                Aggregator::Topk | Aggregator::Bottomk | Aggregator::Limitk | Aggregator::LimitRatio,
                Param::Numbers(_, numbers),
            ) => pick::from_group(engine, aggregate, numbers, group, grid, &mut out)?,
            (Aggregator::Quantile, Param::Numbers(_, numbers)) => {
                let mut scratch = Vec::new();
                out.push(each_step(engine, aggregate, group, grid, |step, values| {
                    scratch.clear();
                    scratch.extend(values);
                    math::quantile(numbers[step], &mut scratch)
                })?);
            }
            _ => return Err(wrong(format!("{} has no parameter", op.text()))),
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

/// The labels that name the group of a series.
fn group_labels(aggregate: &Aggregate, labels: &Labels) -> Labels {
    let listed = |name: &str| aggregate.grouping.iter().any(|label| label == name);
    if aggregate.without {
        labels.filtered(|name| name != model::labels::METRIC_NAME && !listed(name))
    } else if aggregate.grouping.is_empty() {
        Labels::default()
    } else {
        labels.filtered(listed)
    }
}

fn group(aggregate: &Aggregate, columns: Vec<Column>) -> Vec<Group> {
    let mut places: HashMap<Labels, usize, RandomState> = HashMap::default();
    let mut groups: Vec<Group> = Vec::new();
    for column in columns {
        let labels = group_labels(aggregate, &column.labels);
        let place = *places.entry(labels.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group { labels, drop_name: false, columns: Vec::new() });
        }
        groups[place].drop_name |= column.drop_name;
        groups[place].columns.push(column);
    }
    groups
}

/// Series are added to their groups as they come, so that they never are in memory together.
fn folded(engine: &mut Engine<'_>, aggregate: &Aggregate, grid: Grid) -> Result<Vec<Column>, QueryError> {
    let mut places: HashMap<Labels, usize, RandomState> = HashMap::default();
    let mut groups: Vec<fold::Group> = Vec::new();
    let counts = matches!(aggregate.op, Aggregator::Count | Aggregator::Group);
    let pick = if counts { Pick::Presence } else { Pick::Value };
    engine.each_column(&aggregate.expr, grid, pick, &mut |meter, column| {
        let labels = group_labels(aggregate, &column.labels);
        let place = match places.get(&labels) {
            Some(place) => *place,
            None => {
                let floats = fold::States::new(aggregate.op, grid.count, meter)?;
                groups.push(fold::Group { labels: labels.clone(), drop_name: false, floats, native: Vec::new() });
                places.insert(labels, groups.len() - 1);
                groups.len() - 1
            }
        };
        let group = &mut groups[place];
        group.drop_name |= column.drop_name;
        group.floats.add(&column.steps);
        if column.steps.has_histograms() {
            group.native.push(column);
        }
        Ok(())
    })?;
    let mut out = Vec::with_capacity(groups.len());
    for fold::Group { labels, drop_name, floats, native } in groups {
        engine.meter.check()?;
        let mut column = engine.column(labels, drop_name, grid.count)?;
        for step in 0..grid.count {
            let float = floats.value(step);
            if native.iter().any(|column| column.steps.histogram(step).is_some()) {
                engine.meter.check()?;
                let point = with_histograms(engine, aggregate, float, &native, step);
                column.steps.put(step, point);
            } else if let Some(float) = float {
                column.steps[step] = float;
            }
        }
        if !column.is_empty() {
            out.push(column);
        }
    }
    Ok(out)
}

fn at_step(native: &[Column], step: usize) -> Vec<&Histogram> {
    native.iter().filter_map(|column| column.steps.histogram(step).map(Arc::as_ref)).collect()
}

/// What a step has where there are histograms, beside what its floats alone give.
fn with_histograms(
    engine: &mut Engine<'_>,
    aggregate: &Aggregate,
    float: Option<f64>,
    native: &[Column],
    step: usize,
) -> Option<Point> {
    let histograms = at_step(native, step);
    match aggregate.op {
        Aggregator::Sum | Aggregator::Avg if float.is_some() => {
            engine.notes.warn_at(aggregate.expr.span, "encountered a mix of histograms and floats for aggregation");
            None
        }
        Aggregator::Sum | Aggregator::Avg => {
            let whole = of_histograms(engine, aggregate, native, &histograms, step);
            whole.map(|whole| Point::Histogram(Arc::new(whole)))
        }
        Aggregator::Count => Some(Point::Float(float.unwrap_or(0.0) + histograms.len() as f64)),
        Aggregator::Group => Some(Point::Float(1.0)),
        op => {
            note_ignored(engine, aggregate.expr.span, op);
            float.map(Point::Float)
        }
    }
}

/// One column from the floats of each step, where there are any.
fn each_step(
    engine: &mut Engine<'_>,
    aggregate: &Aggregate,
    group: Group,
    grid: Grid,
    mut compute: impl FnMut(usize, &mut dyn Iterator<Item = f64>) -> f64,
) -> Result<Column, QueryError> {
    let mut column = engine.column(group.labels, group.drop_name, grid.count)?;
    for step in 0..grid.count {
        if group.columns.iter().any(|column| column.steps.histogram(step).is_some()) {
            engine.meter.check()?;
            note_ignored(engine, aggregate.expr.span, aggregate.op);
        }
        let mut values =
            group.columns.iter().map(|column| column.steps[step]).filter(|value| !is_absent(*value)).peekable();
        if values.peek().is_some() {
            column.steps[step] = compute(step, &mut values);
        }
    }
    Ok(column)
}

/// The sum or mean of a step's histograms, and what there is to say of it.
fn of_histograms(
    engine: &mut Engine<'_>,
    aggregate: &Aggregate,
    columns: &[Column],
    histograms: &[&Histogram],
    step: usize,
) -> Option<Histogram> {
    let all = histograms.iter().copied();
    let found = if aggregate.op == Aggregator::Avg { native::mean(all) } else { native::total(all) };
    let place = aggregate.expr.span;
    match found {
        Ok(found) => {
            let (whole, Remarks { collision, reconciled }) = found?;
            if collision {
                engine.notes.warn_at(place, "conflicting counter resets during histogram aggregation");
            }
            if reconciled {
                engine.notes.info_at(place, "mismatched custom buckets were reconciled during aggregation");
            }
            Some(whole)
        }
        Err(Mixed) => {
            // The first one that does not go with those before it is the one to name.
            let custom = native::is_custom(histograms[0].schema);
            let is_other = |column: &&Column| {
                column.steps.histogram(step).is_some_and(|found| native::is_custom(found.schema) != custom)
            };
            let name = columns.iter().find(is_other).map_or("", |column| column.labels.metric_name());
            engine.notes.warn_at(place, &native_mix(name));
            None
        }
    }
}

/// Histograms have no order and no distance from each other.
pub(crate) fn note_ignored(engine: &mut Engine<'_>, place: Span, op: Aggregator) {
    engine.notes.info_at(place, &format!("ignored histogram in {} aggregation", op.text()));
}

/// What `count_values` tells values apart by.
#[derive(PartialEq, Eq, Hash)]
enum Written {
    Float(u64),
    Histogram(String),
}

/// The label that `count_values` sets.
fn label_of(engine: &mut Engine<'_>, param: &Node, grid: Grid) -> Result<String, QueryError> {
    let label = engine.text(param, grid)?;
    let bytes = param.not_utf8().unwrap_or(label.as_bytes());
    if label.is_empty() || param.not_utf8().is_some() {
        return Err(wrong(format!("invalid label name {}", quoted_bytes(bytes))));
    }
    Ok(label)
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
