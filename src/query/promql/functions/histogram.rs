//! Classic histograms: series of cumulative counts, one for each upper bound in the label `le`. Native ones that come
//! along are computed beside them.

use std::collections::HashMap;

use model::{Histogram, Labels};

use super::classic::{Bucket, bucket_fraction, bucket_quantile};
use super::native::{self, Nan};
use super::quantiles;
use crate::QueryError;
use crate::promql::ast::Node;
use crate::promql::engine::{Engine, wrong};
use crate::promql::notes::{Fall, Notes};
use crate::promql::number;
use crate::promql::value::{Column, Grid, Point, is_absent};

/// The label that holds a bucket's upper bound, inclusive.
const BOUND: &str = "le";

/// Buckets of one histogram: its labels, the name among them, and its columns by bound.
struct Group {
    labels: Labels,
    buckets: Vec<(f64, Column)>,
}

/// Classic and native histograms of a vector.
struct Histograms {
    groups: Vec<Group>,
    natives: Vec<Column>,
}

fn histograms(engine: &mut Engine<'_>, arg: &Node, grid: Grid) -> Result<Histograms, QueryError> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let (mut groups, mut natives): (Vec<Group>, Vec<Column>) = (Vec::new(), Vec::new());
    for mut column in engine.vector(arg, grid)? {
        if column.steps.has_histograms() {
            let mut native = engine.column(column.labels.clone(), column.drop_name, grid.count)?;
            let only = |point| matches!(point, Some(Point::Histogram(_))).then_some(point).flatten();
            (0..grid.count).for_each(|step| native.steps.put(step, only(column.steps.point(step))));
            natives.push(native);
            column.steps.drop_histograms();
            if column.is_empty() {
                continue;
            }
        }
        let written = column.labels.value(BOUND);
        let Some(bound) = parse_bound(written) else {
            let text = format!(
                "bucket label \"le\" is missing or has a malformed value of {written:?}{}",
                of_metric(column.labels.metric_name())
            );
            engine.notes.warn(arg, &text);
            continue;
        };
        let labels = column.labels.filtered(|label| label != BOUND);
        let place = *places.entry(labels.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group { labels, buckets: Vec::new() });
        }
        groups[place].buckets.push((bound, column));
    }
    for group in &mut groups {
        group.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    for native in &mut natives {
        if let Some(place) = places.get(&native.labels) {
            part(engine, arg, &mut groups[*place], native);
        }
    }
    Ok(Histograms { groups, natives })
}

/// What annotations say of where they come from, if it has a name.
fn of_metric(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" for metric name {name:?}") }
}

/// Steps that have one histogram in both forms have none: which to believe is not for us to say.
fn part(engine: &mut Engine<'_>, arg: &Node, group: &mut Group, native: &mut Column) {
    for step in 0..native.steps.len() {
        if native.steps.has(step) && group.buckets.iter().any(|(_, counts)| counts.steps.has(step)) {
            native.steps.put(step, None);
            group.buckets.iter_mut().for_each(|(_, counts)| counts.steps.put(step, None));
            let name = of_metric(group.labels.metric_name());
            engine.notes.warn(arg, &format!("vector contains a mix of classic and native histograms{name}"));
        }
    }
}

/// One value of each native histogram.
fn of_natives(
    engine: &mut Engine<'_>,
    natives: &[Column],
    mut compute: impl FnMut(&mut Notes<'_>, &Labels, usize, &Histogram) -> f64,
) -> Result<Vec<Column>, QueryError> {
    let mut columns = Vec::with_capacity(natives.len());
    for native in natives {
        engine.meter.check()?;
        let count = native.steps.len();
        let mut column = engine.column(native.labels.clone(), true, count)?;
        for step in 0..count {
            if let Some(histogram) = native.steps.histogram(step) {
                column.steps[step] = compute(&mut engine.notes, &native.labels, step, histogram);
            }
        }
        if !column.is_empty() {
            columns.push(column);
        }
    }
    Ok(columns)
}

fn parse_bound(written: &str) -> Option<f64> {
    match written {
        "+Inf" | "Inf" | "inf" | "+inf" => Some(f64::INFINITY),
        "-Inf" | "-inf" => Some(f64::NEG_INFINITY),
        _ => written.parse().ok().filter(|bound: &f64| !bound.is_nan()),
    }
}

/// One value a step and histogram; `compute(step, buckets)` is called where any bucket has a count.
fn per_step(
    engine: &mut Engine<'_>,
    groups: &[Group],
    grid: Grid,
    mut compute: impl FnMut(&mut Engine<'_>, &Group, usize, &mut Vec<Bucket>) -> f64,
) -> Result<Vec<Column>, QueryError> {
    let mut columns = Vec::with_capacity(groups.len());
    let mut buckets = Vec::new();
    for group in groups {
        engine.meter.check()?;
        let mut column = engine.column(group.labels.clone(), true, grid.count)?;
        for step in 0..grid.count {
            buckets.clear();
            for (bound, counts) in &group.buckets {
                let count = counts.steps[step];
                if is_absent(count) {
                    continue;
                }
                // The same bound twice (`0.1` and `0.10`) is one bucket.
                match buckets.last_mut() {
                    Some(Bucket { bound: last, count: total }) if last == bound => *total += count,
                    _ => buckets.push(Bucket { bound: *bound, count }),
                }
            }
            if !buckets.is_empty() {
                column.steps[step] = compute(engine, group, step, &mut buckets);
            }
        }
        if !column.is_empty() {
            columns.push(column);
        }
    }
    Ok(columns)
}

pub(crate) fn quantile(engine: &mut Engine<'_>, args: &[Node], grid: Grid) -> Result<Vec<Column>, QueryError> {
    let q = engine.scalars(&args[0], grid)?;
    quantiles::note_each(engine, &args[0], &q);
    let found = histograms(engine, &args[1], grid)?;
    quantile_of(engine, &found, &args[1], &q, grid)
}

/// `histogram_quantiles(v, "label", φ, …)`: each quantile under its own value of the label.
pub(crate) fn quantiles(engine: &mut Engine<'_>, args: &[Node], grid: Grid) -> Result<Vec<Column>, QueryError> {
    let label = engine.text(&args[1], grid)?;
    if label.is_empty() {
        return Err(wrong(format!("invalid label name in histogram_quantiles(): {label:?}")));
    }
    let mut all = Vec::with_capacity(args.len() - 2);
    for arg in &args[2..] {
        let q = engine.scalars(arg, grid)?;
        quantiles::note_each(engine, arg, &q);
        all.push(q);
    }
    let found = histograms(engine, &args[0], grid)?;
    let mut columns = Vec::new();
    for q in all {
        let of_one = quantile_of(engine, &found, &args[0], &q, grid)?;
        for column in of_one {
            spread(engine, &label, &q, column, &mut columns)?;
        }
    }
    super::labels::merge_same(columns)
}

/// One column for each value that the quantile takes over the steps, since the label tells it.
fn spread(
    engine: &mut Engine<'_>,
    label: &str,
    q: &[f64],
    column: Column,
    out: &mut Vec<Column>,
) -> Result<(), QueryError> {
    let mut places: HashMap<u64, usize> = HashMap::new();
    for (step, q) in q.iter().enumerate() {
        if is_absent(column.steps[step]) {
            continue;
        }
        let place = match places.get(&q.to_bits()) {
            Some(place) => *place,
            None => {
                let labels = column.labels.with(label, &open_metrics(*q));
                out.push(engine.column(labels, true, column.steps.len())?);
                places.insert(q.to_bits(), out.len() - 1);
                out.len() - 1
            }
        };
        out[place].steps[step] = column.steps[step];
    }
    Ok(())
}

/// As OpenMetrics writes a quantile: `0.99`, `1.0`, `1e+06`.
fn open_metrics(value: f64) -> String {
    let text = if value.is_nan() { "NaN".into() } else { number::compact(value) };
    if value.is_finite() && !text.contains(['.', 'e']) { text + ".0" } else { text }
}

/// A quantile of each histogram; `node` is what made them.
fn quantile_of(
    engine: &mut Engine<'_>,
    found: &Histograms,
    node: &Node,
    q: &[f64],
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    let mut columns = per_step(engine, &found.groups, grid, |engine, group, step, buckets| {
        let (value, repaired) = bucket_quantile(q[step], buckets);
        if let Some(repaired) = repaired {
            let fall = Fall { first_ms: grid.at(step), last_ms: grid.at(step), ..repaired };
            let text = format!(
                "input to histogram_quantile needed to be fixed for monotonicity (see \
                 https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){}",
                of_metric(group.labels.metric_name())
            );
            engine.notes.fall(node, &text, fall);
        }
        value
    })?;
    columns.extend(of_natives(engine, &found.natives, |notes, labels, step, histogram| {
        let (value, nan) = native::quantile(q[step], histogram);
        if let Some(nan) = nan {
            let result = if nan == Nan::Result { "result is NaN" } else { "result is skewed higher" };
            let name = of_metric(labels.metric_name());
            notes.info(node, &format!("input to histogram_quantile has NaN observations, {result}{name}"));
        }
        value
    })?);
    Ok(columns)
}

pub(crate) fn fraction(engine: &mut Engine<'_>, args: &[Node], grid: Grid) -> Result<Vec<Column>, QueryError> {
    let (lower, upper) = (engine.scalars(&args[0], grid)?, engine.scalars(&args[1], grid)?);
    let Histograms { groups, natives } = histograms(engine, &args[2], grid)?;
    let mut columns =
        per_step(engine, &groups, grid, |_, _, step, buckets| bucket_fraction(lower[step], upper[step], buckets))?;
    columns.extend(of_natives(engine, &natives, |notes, labels, step, histogram| {
        let (value, has_nan) = native::fraction(lower[step], upper[step], histogram);
        if has_nan {
            let text = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
            notes.info(&args[2], &format!("{text}{}", of_metric(labels.metric_name())));
        }
        value
    })?);
    Ok(columns)
}
