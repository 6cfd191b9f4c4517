//! Calls: evaluates arguments and hands them to what computes; the functions that need more than one value at a time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use model::Labels;

use super::window::Window;
use super::{
    Call, Function, absent, columnar, date, edges, histogram, info, integral, labels, math, mixed, order, quantiles,
    regression, rolled,
};
use crate::QueryError;
use crate::promql::ast::{Edges, Kind, Node};
use crate::promql::engine::{Engine, wrong};
use crate::promql::meter::Meter;
use crate::promql::notes::Notes;
use crate::promql::number;
use crate::promql::select::Take;
use crate::promql::value::{Column, Grid, Point, Val, is_absent};
use crate::promql::worker::Pick;

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
    Info,
    Integral,
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
    StartTimestamp,
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
        Call::Window(_) | Call::Either(_) | Call::Any(_) | Call::Keep(_) => {
            let mut columns = Vec::new();
            over_windows(engine, function, args, grid, &mut |_, column| {
                columns.push(column);
                Ok(())
            })?;
            columns
        }
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
            map(&mut columns, |_, value| Some(compute(date::seconds(value))));
            columns
        }
        Call::Special(special) => return special_call(engine, special, node, args, grid),
    };
    Ok(Val::Vector(columns))
}

/// Whether [`over_windows`] computes it.
pub(crate) fn is_over_windows(function: &Function) -> bool {
    matches!(function.call, Call::Window(_) | Call::Either(_) | Call::Any(_) | Call::Keep(_))
}

/// Functions of a range vector alone; each series' column is handed on as it is made.
pub(crate) fn over_windows(
    engine: &mut Engine<'_>,
    function: &'static Function,
    args: &[Node],
    grid: Grid,
    take: &mut Take<'_>,
) -> Result<(), QueryError> {
    let arg = &args[0];
    let mut misnamed: BTreeSet<String> = BTreeSet::new();
    let mut counters = |meter: &Meter<'_>, column: Column| {
        let name = column.labels.metric_name();
        if !is_counter_name(name) && !misnamed.contains(name) && column.steps.iter().any(|value| !is_absent(*value)) {
            misnamed.insert(name.to_owned());
        }
        take(meter, column)
    };
    let take: &mut Take<'_> = if matches!(function.name, "rate" | "increase") { &mut counters } else { take };
    if let Some((edged, of_range)) = at_the_edges(function, args)? {
        for column in edges::eval(engine, edged, of_range, arg, grid)? {
            take(&engine.meter, column)?;
        }
    } else {
        let compute = |notes: &mut Notes<'_>, labels: &Labels, _: usize, window: &Window<'_>| match function.call {
            Call::Window(compute) => {
                mixed::note_ignored(notes, arg, labels, window);
                if window.values.is_empty() { None } else { compute(window).map(Point::Float) }
            }
            Call::Either(either) => mixed::either(either, notes, arg, labels, window),
            Call::Any(compute) | Call::Keep(compute) => compute(window),
            _ => None,
        };
        let keep_name = matches!(function.call, Call::Keep(_));
        match rolled::column(function.name) {
            Some(column) if engine.is_rolled_up(arg, grid)? => rolled::eval(engine, column, arg, grid, take)?,
            _ => {
                let reads = rolled::reads(function.name);
                engine.each_point((arg, reads), grid, keep_name, (columnar::find(function.name), &compute), take)?;
            }
        }
    }
    for name in misnamed {
        let text = format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}");
        engine.notes.info(arg, &text);
    }
    Ok(())
}

/// Whether a metric of floats is called like a counter.
fn is_counter_name(name: &str) -> bool {
    name.is_empty() || ["_total", "_sum", "_count", "_bucket"].iter().any(|end| name.ends_with(end))
}

/// The steps at which any window was looked at, on whatever thread.
pub(crate) struct Asked(Vec<AtomicBool>);

impl Asked {
    pub(crate) fn new(grid: Grid) -> Asked {
        Asked((0..grid.count).map(|_| AtomicBool::new(false)).collect())
    }

    pub(crate) fn at(&self, step: usize) {
        self.0[step].store(true, Ordering::Relaxed);
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().filter(|(_, asked)| asked.load(Ordering::Relaxed)).map(|(step, _)| step)
    }
}

/// What computes the function, if its range is anchored or smoothed.
fn at_the_edges(function: &Function, args: &[Node]) -> Result<Option<(edges::Edged, Edges)>, QueryError> {
    match args.first().map(|arg| &arg.bare().kind) {
        Some(Kind::Range { edges, .. }) if *edges != Edges::Plain => {
            let edged = edges::find(function.name, *edges).map_err(wrong)?;
            Ok(Some((edged, *edges)))
        }
        _ => Ok(None),
    }
}

/// Over the floats of each window; that there were histograms among them is noted at the call's first argument, as in Prometheus,
/// whichever it is.
fn floats(
    engine: &mut Engine<'_>,
    (arg, first): (&Node, &Node),
    grid: Grid,
    compute: impl Fn(usize, &Window<'_>) -> Option<f64> + Sync,
) -> Result<Vec<Column>, QueryError> {
    engine.points(arg, grid, false, |notes, labels, step, window| {
        mixed::note_ignored(notes, first, labels, window);
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
            let end_ms = engine.end_ms;
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
        Special::StartTimestamp => start_timestamp(engine, &args[0], grid)?,
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
            floats(engine, (&args[0], &args[0]), grid, |step, window| regression::predict(window, ahead[step]))?
        }
        Special::QuantileOverTime => {
            let q = engine.scalars(&args[0], grid)?;
            let asked = Asked::new(grid);
            let columns = floats(engine, (&args[1], &args[0]), grid, |step, window| {
                asked.at(step);
                Some(math::quantile(q[step], &mut window.values.to_vec()))
            })?;
            let asked: Vec<f64> = asked.steps().map(|step| q[step]).collect();
            quantiles::note_each(engine, &args[0], &asked);
            columns
        }
        Special::Smoothing => {
            let (level, trend) = (engine.scalars(&args[1], grid)?, engine.scalars(&args[2], grid)?);
            let asked = Asked::new(grid);
            let columns = engine.points(&args[0], grid, false, |notes, labels, step, window| {
                asked.at(step);
                mixed::note_ignored(notes, &args[0], labels, window);
                regression::smooth(window, level[step], trend[step]).map(Point::Float)
            })?;
            for step in asked.steps() {
                for (factor, name, sign) in [(level[step], "smoothing", "sf"), (trend[step], "trend", "tf")] {
                    if factor <= 0.0 || factor >= 1.0 {
                        let reason =
                            format!("invalid {name} factor. Expected: 0 < {sign} < 1, got: {}", number::fixed(factor));
                        return Err(wrong(reason));
                    }
                }
            }
            columns
        }
        Special::Absent => absent::of_vector(engine, &args[0], grid)?,
        Special::AbsentOverTime => absent::over_time(engine, &args[0], grid)?,
        Special::HistogramQuantile => histogram::quantile(engine, args, grid)?,
        Special::HistogramQuantiles => histogram::quantiles(engine, args, grid)?,
        Special::HistogramFraction => histogram::fraction(engine, args, grid)?,
        Special::Info => info::eval(engine, args, grid)?,
        Special::Integral => integral::eval(engine, args, grid)?,
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
        let mut columns = Vec::new();
        engine.instants(selector, grid, Pick::Time, &mut |_, mut column| {
            column.drop_name = true;
            columns.push(column);
            Ok(())
        })?;
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

/// Empty, as in a Prometheus that keeps no start times with its samples, which is its default: here the start of a counter is a
/// sample of zero, and samples have no start of their own. The argument is evaluated for what there is to say of it.
fn start_timestamp(engine: &mut Engine<'_>, arg: &Node, grid: Grid) -> Result<Vec<Column>, QueryError> {
    engine.vector(arg, grid)?;
    Ok(Vec::new())
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
