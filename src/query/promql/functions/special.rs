//! Calls: evaluates arguments and hands them to what computes; the functions that need more than one value at a time.

use model::Labels;

use super::window::Window;
use super::{Call, Function, absent, edges, histogram, labels, math, mixed, order, regression};
use crate::QueryError;
use crate::promql::ast::{Edges, Kind, Node};
use crate::promql::engine::{Engine, wrong};
use crate::promql::number;
use crate::promql::value::{Column, Grid, Point, Val, is_absent};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    Absent,
    AbsentOverTime,
    Clamp,
    ClampMax,
    ClampMin,
    End,
    HistogramFraction,
    HistogramQuantile,
    HistogramQuantiles,
    LabelJoin,
    LabelReplace,
    MaxOf,
    MinOf,
    Pi,
    PredictLinear,
    QuantileOverTime,
    Range,
    Round,
    Scalar,
    Smoothing,
    Sort,
    SortByLabel,
    SortByLabelDesc,
    SortDesc,
    Start,
    Step,
    Time,
    Timestamp,
    Vector,
}

pub(crate) fn call(
    engine: &mut Engine<'_>,
    node: &Node,
    function: &'static Function,
    args: &[Node],
    grid: Grid,
) -> Result<Val, QueryError> {
    let columns = match function.call {
        Call::Math(compute) => {
            let mut columns = engine.vector(&args[0], grid)?;
            map(&mut columns, |_, value| Some(compute(value)));
            columns
        }
        _ if let Some(compute) = at_the_edges(function, args)? => {
            engine.windows(&args[0], grid, false, |_, window| compute(window))?
        }
        Call::Window(compute) => floats(engine, &args[0], grid, |_, window| compute(window))?,
        Call::Either(call) => mixed::either(engine, call, &args[0], grid)?,
        Call::Any(compute) => engine.points(&args[0], grid, false, |_, _, _, window| compute(window))?,
        Call::Keep(compute) => engine.points(&args[0], grid, true, |_, _, _, window| compute(window))?,
        Call::Native(compute) => {
            let mut columns = engine.vector(&args[0], grid)?;
            columns.retain(|column| column.steps.has_histograms());
            for column in &mut columns {
                column.drop_name = true;
                column.change(|_, _| None);
                column.change_histograms(|_, histogram| Some(Point::Float(compute(&histogram))));
            }
            columns.retain(|column| !column.is_empty());
            columns
        }
        Call::Date(compute) => {
            let mut columns = match args.first() {
                Some(arg) => engine.vector(arg, grid)?,
                None => times(engine, grid)?,
            };
            map(&mut columns, |_, value| Some(compute(value as i64)));
            columns
        }
        Call::Special(special) => return special_call(engine, special, node, args, grid),
    };
    if matches!(function.name, "rate" | "increase") {
        note_counter_names(engine, &args[0], &columns);
    }
    Ok(Val::Vector(columns))
}

/// What computes the function, if its range is anchored or smoothed.
fn at_the_edges(function: &Function, args: &[Node]) -> Result<Option<edges::Compute>, QueryError> {
    match args.first().map(|arg| &arg.bare().kind) {
        Some(Kind::Range { edges, .. }) if *edges != Edges::Plain => {
            edges::find(function.name, *edges).map(Some).map_err(wrong)
        }
        _ => Ok(None),
    }
}

/// Over the floats of each window; that there were histograms among them is noted.
fn floats(
    engine: &mut Engine<'_>,
    arg: &Node,
    grid: Grid,
    mut compute: impl FnMut(usize, &Window<'_>) -> Option<f64>,
) -> Result<Vec<Column>, QueryError> {
    engine.points(arg, grid, false, |notes, labels, step, window| {
        mixed::note_ignored(notes, arg, labels, window);
        if window.values.is_empty() { None } else { compute(step, window).map(Point::Float) }
    })
}

fn special_call(
    engine: &mut Engine<'_>,
    special: Special,
    node: &Node,
    args: &[Node],
    grid: Grid,
) -> Result<Val, QueryError> {
    let columns = match special {
        Special::Pi => return engine.scalar(grid, |_| std::f64::consts::PI),
        Special::Time => return engine.scalar(grid, |step| grid.at(step) as f64 / 1e3),
        Special::Start => {
            let start_ms = engine.query.start_ms;
            return engine.scalar(grid, |_| start_ms as f64 / 1e3);
        }
        Special::End => {
            let end_ms = engine.query.end_ms();
            return engine.scalar(grid, |_| end_ms as f64 / 1e3);
        }
        Special::Step => {
            let step_ms = engine.query_step_ms();
            return engine.scalar(grid, |_| step_ms as f64 / 1e3);
        }
        Special::Range => {
            let range_ms = engine.query_range_ms();
            return engine.scalar(grid, |_| range_ms as f64 / 1e3);
        }
        Special::MinOf | Special::MaxOf => {
            let pick = if special == Special::MinOf { math::min } else { math::max };
            let (a, b) = (engine.scalars(&args[0], grid)?, engine.scalars(&args[1], grid)?);
            return engine.scalar(grid, |step| pick(a[step], b[step]));
        }
        Special::Scalar => {
            let columns = engine.vector(&args[0], grid)?;
            return engine.scalar(grid, |step| {
                let mut present = columns.iter().map(|column| column.steps[step]).filter(|value| !is_absent(*value));
                match (present.next(), present.next()) {
                    (Some(only), None) => only,
                    _ => f64::NAN,
                }
            });
        }
        Special::Vector => {
            let steps = engine.scalars(&args[0], grid)?;
            vec![Column { labels: Labels::default(), drop_name: false, steps }]
        }
        Special::Timestamp => timestamp(engine, &args[0], grid)?,
        Special::Clamp | Special::ClampMin | Special::ClampMax => clamp(engine, special, args, grid)?,
        Special::Round => {
            let nearest = args.get(1).map(|arg| engine.scalars(arg, grid)).transpose()?;
            let mut columns = engine.vector(&args[0], grid)?;
            let nearest_at = |step: usize| nearest.as_ref().map_or(1.0, |steps| steps[step]);
            map(&mut columns, |step, value| Some(math::round_to(value, nearest_at(step))));
            columns
        }
        Special::PredictLinear => {
            let ahead = engine.scalars(&args[1], grid)?;
            floats(engine, &args[0], grid, |step, window| regression::predict(window, ahead[step]))?
        }
        Special::QuantileOverTime => {
            let q = engine.scalars(&args[0], grid)?;
            note_quantiles(engine, &args[0], &q);
            let mut scratch = Vec::new();
            floats(engine, &args[1], grid, |step, window| {
                scratch.clear();
                scratch.extend_from_slice(window.values);
                Some(math::quantile(q[step], &mut scratch))
            })?
        }
        Special::Smoothing => {
            let (level, trend) = (engine.scalars(&args[1], grid)?, engine.scalars(&args[2], grid)?);
            for (factor, name) in [(&level, "smoothing"), (&trend, "trend")] {
                if let Some(bad) = factor.iter().find(|factor| !(**factor > 0.0 && **factor < 1.0)) {
                    return Err(wrong(format!("invalid {name} factor. Expected: 0 < factor < 1, got: {bad}")));
                }
            }
            floats(engine, &args[0], grid, |step, window| regression::smooth(window, level[step], trend[step]))?
        }
        Special::Absent => absent::of_vector(engine, &args[0], grid)?,
        Special::AbsentOverTime => absent::over_time(engine, &args[0], grid)?,
        Special::HistogramQuantile => histogram::quantile(engine, args, grid)?,
        Special::HistogramQuantiles => histogram::quantiles(engine, args, grid)?,
        Special::HistogramFraction => histogram::fraction(engine, args, grid)?,
        Special::LabelReplace => labels::replace(engine, args, grid)?,
        Special::LabelJoin => labels::join(engine, args, grid)?,
        Special::Sort => order::by_value(engine, node, &args[0], grid, false)?,
        Special::SortDesc => order::by_value(engine, node, &args[0], grid, true)?,
        Special::SortByLabel => order::by_label(engine, node, args, grid, false)?,
        Special::SortByLabelDesc => order::by_label(engine, node, args, grid, true)?,
    };
    Ok(Val::Vector(columns))
}

fn map(columns: &mut Vec<Column>, change: impl Fn(usize, f64) -> Option<f64>) {
    for column in columns.iter_mut() {
        column.drop_name = true;
        column.steps.drop_histograms();
        column.change(&change);
    }
    columns.retain(|column| !column.is_empty());
}

/// `vector(time())`, what the functions of dates take without an argument.
fn times(engine: &mut Engine<'_>, grid: Grid) -> Result<Vec<Column>, QueryError> {
    let mut column = engine.column(Labels::default(), false, grid.count)?;
    for (step, value) in column.steps.iter_mut().enumerate() {
        *value = grid.at(step).div_euclid(1000) as f64;
    }
    Ok(vec![column])
}

/// When the sample was taken, of a selector; when it was evaluated, of anything else.
fn timestamp(engine: &mut Engine<'_>, arg: &Node, grid: Grid) -> Result<Vec<Column>, QueryError> {
    if let Kind::Select(selector) = &arg.bare().kind {
        let mut columns = engine.instants(selector, grid, |at_ms, _| Point::Float(at_ms as f64 / 1e3))?;
        columns.iter_mut().for_each(|column| column.drop_name = true);
        return Ok(columns);
    }
    let mut columns = engine.vector(arg, grid)?;
    for column in &mut columns {
        column.drop_name = true;
        column.change(|step, _| Some(grid.at(step) as f64 / 1e3));
        column.change_histograms(|step, _| Some(Point::Float(grid.at(step) as f64 / 1e3)));
    }
    Ok(columns)
}

fn clamp(engine: &mut Engine<'_>, special: Special, args: &[Node], grid: Grid) -> Result<Vec<Column>, QueryError> {
    let first = engine.scalars(&args[1], grid)?;
    let second = args.get(2).map(|arg| engine.scalars(arg, grid)).transpose()?;
    let mut columns = engine.vector(&args[0], grid)?;
    map(&mut columns, |step, value| {
        let (least, most) = match (special, &second) {
            (Special::ClampMin, _) => return Some(math::max(first[step], value)),
            (Special::ClampMax, _) | (_, None) => return Some(math::min(first[step], value)),
            (_, Some(second)) => (first[step], second[step]),
        };
        if most < least { None } else { Some(math::max(least, math::min(most, value))) }
    });
    Ok(columns)
}

/// Warns of quantiles that no value has.
pub(crate) fn note_quantiles(engine: &mut Engine<'_>, node: &Node, quantiles: &[f64]) {
    for q in quantiles {
        if !(0.0..=1.0).contains(q) {
            engine.notes.warn(node, &format!("quantile value should be between 0 and 1, got {}", number::general(*q)));
        }
    }
}

fn note_counter_names(engine: &mut Engine<'_>, arg: &Node, columns: &[Column]) {
    if !matches!(arg.bare().kind, Kind::Range { .. }) {
        return;
    }
    let mut of_floats = columns.iter().filter(|column| !column.steps.iter().all(|value| is_absent(*value)));
    let Some(name) = of_floats.next().map(|column| column.labels.metric_name()) else { return };
    if !name.is_empty() && !["_total", "_sum", "_count", "_bucket"].iter().any(|end| name.ends_with(end)) {
        let text = format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}");
        engine.notes.info(arg, &text);
    }
}
