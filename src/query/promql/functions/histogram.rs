//! Classic histograms: series of cumulative counts, one for each upper bound in the label `le`. Native ones that come
//! along are computed beside them.

use std::collections::HashMap;

use model::labels::METRIC_NAME;
use model::{Histogram, Labels};

use super::native;
use super::special::note_quantiles;
use crate::QueryError;
use crate::promql::ast::Node;
use crate::promql::engine::{Engine, wrong};
use crate::promql::number;
use crate::promql::value::{Column, Grid, Point, is_absent};

/// The label that holds a bucket's upper bound, inclusive.
const BOUND: &str = "le";
/// Relative difference between neighbouring counts that is noise of floating point and not a decrease.
const SMALL_DELTA: f64 = 1e-12;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    bound: f64,
    count: f64,
}

/// Buckets of one histogram: its labels, and its columns by bound.
struct Group {
    labels: Labels,
    name: String,
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
        let name = column.labels.metric_name().to_owned();
        let written = column.labels.value(BOUND);
        let Some(bound) = parse_bound(written) else {
            let text = format!(
                "bucket label \"le\" is missing or has a malformed value of {written:?} for metric name {name:?}"
            );
            engine.notes.warn(arg, &text);
            continue;
        };
        let labels = column.labels.filtered(|label| label != BOUND && label != METRIC_NAME);
        let place = *places.entry(labels.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group { labels, name, buckets: Vec::new() });
        }
        groups[place].buckets.push((bound, column));
    }
    for group in &mut groups {
        group.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    for native in &mut natives {
        let labels = native.labels.filtered(|label| label != BOUND && label != METRIC_NAME);
        let Some(group) = places.get(&labels).map(|place| &mut groups[*place]) else { continue };
        if group.name == native.labels.metric_name() {
            part(engine, arg, group, native);
        }
    }
    Ok(Histograms { groups, natives })
}

/// Steps that have one histogram in both forms have none: which to believe is not for us to say.
fn part(engine: &mut Engine<'_>, arg: &Node, group: &mut Group, native: &mut Column) {
    for step in 0..native.steps.len() {
        if native.steps.has(step) && group.buckets.iter().any(|(_, counts)| counts.steps.has(step)) {
            native.steps.put(step, None);
            group.buckets.iter_mut().for_each(|(_, counts)| counts.steps.put(step, None));
            let text =
                format!("vector contains a mix of classic and native histograms for metric name {:?}", group.name);
            engine.notes.warn(arg, &text);
        }
    }
}

/// One value of each native histogram.
fn of_natives(
    engine: &mut Engine<'_>,
    natives: &[Column],
    compute: impl Fn(usize, &Histogram) -> f64,
) -> Result<Vec<Column>, QueryError> {
    let mut columns = Vec::with_capacity(natives.len());
    for native in natives {
        engine.meter.check()?;
        let count = native.steps.len();
        let mut column = engine.column(native.labels.clone(), true, count)?;
        for step in 0..count {
            if let Some(histogram) = native.steps.histogram(step) {
                column.steps[step] = compute(step, histogram);
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
    note_quantiles(engine, &args[0], &q);
    let Histograms { groups, natives } = histograms(engine, &args[1], grid)?;
    let mut columns = per_step(engine, &groups, grid, |engine, group, step, buckets| {
        noted_quantile(engine, &args[1], group, q[step], buckets)
    })?;
    columns.extend(of_natives(engine, &natives, |step, histogram| native::quantile(q[step], histogram))?);
    Ok(columns)
}

/// `histogram_quantiles(v, "label", φ, …)`: each quantile under its own value of the label.
pub(crate) fn quantiles(engine: &mut Engine<'_>, args: &[Node], grid: Grid) -> Result<Vec<Column>, QueryError> {
    let label = engine.text(&args[1], grid)?;
    if label.is_empty() {
        return Err(wrong(format!("invalid label name in histogram_quantiles(): {label:?}")));
    }
    let Histograms { groups, natives } = histograms(engine, &args[0], grid)?;
    let mut columns = Vec::new();
    for arg in &args[2..] {
        let q = engine.scalars(arg, grid)?;
        note_quantiles(engine, arg, &q);
        let mut of_one = per_step(engine, &groups, grid, |engine, group, step, buckets| {
            noted_quantile(engine, &args[0], group, q[step], buckets)
        })?;
        of_one.extend(of_natives(engine, &natives, |step, histogram| native::quantile(q[step], histogram))?);
        for column in &mut of_one {
            // The label tells one quantile for all steps.
            column.labels = column.labels.with(&label, &number::plain(q[0]));
        }
        columns.append(&mut of_one);
    }
    super::labels::merge_same(columns)
}

pub(crate) fn fraction(engine: &mut Engine<'_>, args: &[Node], grid: Grid) -> Result<Vec<Column>, QueryError> {
    let (lower, upper) = (engine.scalars(&args[0], grid)?, engine.scalars(&args[1], grid)?);
    let Histograms { groups, natives } = histograms(engine, &args[2], grid)?;
    let mut columns =
        per_step(engine, &groups, grid, |_, _, step, buckets| bucket_fraction(lower[step], upper[step], buckets))?;
    columns.extend(of_natives(engine, &natives, |step, found| native::fraction(lower[step], upper[step], found))?);
    Ok(columns)
}

fn noted_quantile(engine: &mut Engine<'_>, arg: &Node, group: &Group, q: f64, buckets: &mut [Bucket]) -> f64 {
    let (value, repaired) = bucket_quantile(q, buckets);
    if repaired {
        let text = format!(
            "input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) for metric name {:?}",
            group.name
        );
        engine.notes.info(arg, &text);
    }
    value
}

/// The φ-quantile, linear inside its bucket (Prometheus' `BucketQuantile`); and whether counts had to be repaired.
fn bucket_quantile(q: f64, buckets: &mut [Bucket]) -> (f64, bool) {
    if q.is_nan() {
        return (f64::NAN, false);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, false);
    }
    if q > 1.0 {
        return (f64::INFINITY, false);
    }
    // Without the bucket of everything the number of observations is unknown.
    if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
        return (f64::NAN, false);
    }
    let repaired = make_monotonic(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last < 1 || observations == 0.0 || observations.is_nan() {
        return (f64::NAN, repaired);
    }
    let mut rank = q * observations;
    let found = buckets[..last].partition_point(|bucket| bucket.count < rank);
    if found == last {
        return (buckets[last - 1].bound, repaired);
    }
    if found == 0 && buckets[0].bound <= 0.0 {
        return (buckets[0].bound, repaired);
    }
    let Bucket { bound: end, mut count } = buckets[found];
    let mut start = 0.0;
    if found > 0 {
        start = buckets[found - 1].bound;
        count -= buckets[found - 1].count;
        rank -= buckets[found - 1].count;
    }
    (start + (end - start) * (rank / count), repaired)
}

/// Cumulative counts never fall: what falls by noise is evened silently, what falls by more is reported.
fn make_monotonic(buckets: &mut [Bucket]) -> bool {
    let mut repaired = false;
    let Some(mut before) = buckets.first().map(|bucket| bucket.count) else { return false };
    for bucket in &mut buckets[1..] {
        if bucket.count == before {
            continue;
        }
        if almost_equal(before, bucket.count) {
            bucket.count = before;
        } else if bucket.count < before {
            bucket.count = before;
            repaired = true;
        } else {
            before = bucket.count;
        }
    }
    repaired
}

fn almost_equal(a: f64, b: f64) -> bool {
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DELTA
}

/// The share of observations between two values (Prometheus' `BucketFraction`).
fn bucket_fraction(lower: f64, upper: f64, buckets: &mut [Bucket]) -> f64 {
    let Some(last) = buckets.last().filter(|last| last.bound == f64::INFINITY) else { return f64::NAN };
    let total = last.count;
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    make_monotonic(buckets);
    (rank_of(upper, buckets) - rank_of(lower, buckets)) / total
}

/// How many observations are at or below `value`, linear inside buckets of two finite bounds.
fn rank_of(value: f64, buckets: &[Bucket]) -> f64 {
    let mut below = 0.0;
    let mut start = f64::NEG_INFINITY;
    for (i, bucket) in buckets.iter().enumerate() {
        if i == 0 && bucket.bound > 0.0 {
            start = 0.0;
        }
        if value <= start {
            return below;
        }
        if value < bucket.bound {
            let inside = (value - start) / (bucket.bound - start);
            // In an endless bucket nothing tells where the observations are.
            return if inside.is_finite() { below + (bucket.count - below) * inside } else { below };
        }
        below = bucket.count;
        start = bucket.bound;
    }
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(counts: &[(f64, f64)]) -> Vec<Bucket> {
        counts.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect()
    }

    #[test]
    fn quantiles_of_buckets() {
        let inf = f64::INFINITY;
        for (q, counts, expected, repaired) in [
            (0.5, vec![(1.0, 10.0), (2.0, 20.0), (inf, 20.0)], 1.0, false),
            (0.75, vec![(1.0, 10.0), (2.0, 20.0), (inf, 20.0)], 1.5, false),
            (0.99, vec![(1.0, 10.0), (2.0, 20.0), (inf, 40.0)], 2.0, false),
            (0.1, vec![(-1.0, 10.0), (2.0, 20.0), (inf, 20.0)], -1.0, false),
            (0.5, vec![(1.0, 10.0), (2.0, 5.0), (inf, 20.0)], 1.0, true),
            (2.0, vec![(1.0, 10.0), (inf, 20.0)], inf, false),
        ] {
            assert_eq!(bucket_quantile(q, &mut buckets(&counts)), (expected, repaired), "{q} {counts:?}");
        }
        for counts in [vec![(1.0, 10.0)], vec![(inf, 10.0)], vec![(1.0, 0.0), (inf, 0.0)]] {
            assert!(bucket_quantile(0.5, &mut buckets(&counts)).0.is_nan(), "{counts:?}");
        }
    }
}
