//! Functions over windows that may hold native histograms, floats, or both.

use std::sync::Arc;

use model::{CounterReset, Histogram, Labels};

use super::window::{Window, extrapolation};
use crate::promql::ast::Node;
use crate::promql::native::{self, Mixed, Remarks, Sum, is_custom};
use crate::promql::notes::Notes;
use crate::promql::value::Point;

/// A function that floats and histograms have each in their own way, and a mix of both has not.
#[derive(Clone, Copy)]
pub(crate) struct Either {
    pub(crate) floats: fn(&Window<'_>) -> Option<f64>,
    pub(crate) histograms: OfHistograms,
    /// Only the last two samples count.
    pub(crate) last_two: bool,
}

pub(crate) type OfHistograms = fn(&Window<'_>, &mut Said) -> Result<Option<Histogram>, Mixed>;

/// What a function has to say of the histograms it saw; also if it finds that they have no value together, so what Prometheus
/// then keeps to itself is to be taken back.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Said {
    pub(crate) not_a_counter: bool,
    pub(crate) not_a_gauge: bool,
    /// Custom bounds were brought together while adding, subtracting, or aggregating.
    pub(crate) added: bool,
    pub(crate) subtracted: bool,
    aggregated: bool,
    /// Certain resets were summed with certain absences of one.
    collision: bool,
}

/// Floats or histograms; a mix gives a warning and no value.
pub(crate) fn either(
    either: Either,
    notes: &mut Notes<'_>,
    arg: &Node,
    labels: &Labels,
    window: &Window<'_>,
) -> Option<Point> {
    let window = if either.last_two { &window.last_two()? } else { window };
    if window.histograms.is_empty() {
        return (either.floats)(window).map(Point::Float);
    }
    if !window.values.is_empty() {
        note_mix(notes, arg, labels);
        return None;
    }
    of_histograms(notes, arg, labels, |said| (either.histograms)(window, said))
}

/// The histogram that `compute` makes, and what it had to say.
pub(crate) fn of_histograms(
    notes: &mut Notes<'_>,
    arg: &Node,
    labels: &Labels,
    compute: impl FnOnce(&mut Said) -> Result<Option<Histogram>, Mixed>,
) -> Option<Point> {
    let name = labels.metric_name();
    let mut said = Said::default();
    let computed = compute(&mut said);
    for (said, kind) in [(said.not_a_counter, "counter"), (said.not_a_gauge, "gauge")] {
        if said {
            notes.warn(arg, &format!("this native histogram metric is not a {kind}: {name:?}"));
        }
    }
    for (said, what) in [(said.added, "addition"), (said.subtracted, "subtraction"), (said.aggregated, "aggregation")] {
        if said {
            notes.info(arg, &format!("mismatched custom buckets were reconciled during {what}"));
        }
    }
    if said.collision {
        notes.warn(arg, "conflicting counter resets during histogram aggregation");
    }
    let Ok(histogram) = computed else {
        notes.warn(arg, &native_mix(name));
        return None;
    };
    histogram.map(|histogram| Point::Histogram(Arc::new(histogram)))
}

/// Why histograms of exponential and of custom buckets have no value together.
pub(crate) fn native_mix(name: &str) -> String {
    let text = "vector contains a mix of histograms with exponential and custom buckets schemas for metric name";
    format!("{text} {name:?}")
}

pub(crate) fn note_mix(notes: &mut Notes<'_>, arg: &Node, labels: &Labels) {
    let name = labels.metric_name();
    notes.warn(arg, &format!("encountered a mix of histograms and floats for metric name {name:?}"));
}

/// Says that a function of floats saw histograms among them.
pub(crate) fn note_ignored(notes: &mut Notes<'_>, arg: &Node, labels: &Labels, window: &Window<'_>) {
    if !window.values.is_empty() && !window.histograms.is_empty() {
        let name = labels.metric_name();
        let text =
            format!("ignored histograms in a range containing both floats and histograms for metric name {name:?}");
        notes.info(arg, &text);
    }
}

/// Samples from the oldest to the newest, of either kind, with their times in ms.
pub(crate) fn in_order<'w>(window: &'w Window<'_>) -> impl Iterator<Item = (i64, Point)> + 'w {
    let (mut float, mut histogram) = (0, 0);
    std::iter::from_fn(move || {
        let float_ms = window.at_ms.get(float);
        match (float_ms, window.histograms.get(histogram)) {
            (Some(at_ms), other) if other.is_none_or(|(other_ms, _)| at_ms < other_ms) => {
                float += 1;
                Some((*at_ms, Point::Float(window.values[float - 1])))
            }
            (_, other) => {
                histogram += 1;
                other.map(|(at_ms, found)| (*at_ms, Point::Histogram(found.clone())))
            }
        }
    })
}

/// How often neighbours differ.
pub(crate) fn neighbours(mut all: impl Iterator<Item = Point>, differ: fn(&Point, &Point) -> bool) -> Option<Point> {
    let (mut before, mut count) = (all.next()?, 0.0);
    for point in all {
        count += f64::from(u8::from(differ(&before, &point)));
        before = point;
    }
    Some(Point::Float(count))
}

pub(crate) fn changes(window: &Window<'_>) -> Option<Point> {
    neighbours(in_order(window).map(|(_, point)| point), is_change)
}

pub(crate) fn resets(window: &Window<'_>) -> Option<Point> {
    neighbours(in_order(window).map(|(_, point)| point), is_reset)
}

pub(crate) fn is_change(before: &Point, after: &Point) -> bool {
    match (before, after) {
        (Point::Float(a), Point::Float(b)) => a != b && !(a.is_nan() && b.is_nan()),
        (Point::Histogram(a), Point::Histogram(b)) => !native::equal(a, b),
        _ => true,
    }
}

/// A change of kind is a reset as well.
pub(crate) fn is_reset(before: &Point, after: &Point) -> bool {
    match (before, after) {
        (Point::Float(a), Point::Float(b)) => b < a,
        (Point::Histogram(a), Point::Histogram(b)) => native::is_reset(a, b),
        _ => true,
    }
}

pub(crate) fn count(window: &Window<'_>) -> Option<Point> {
    Some(Point::Float((window.values.len() + window.histograms.len()) as f64))
}

pub(crate) fn present(_: &Window<'_>) -> Option<Point> {
    Some(Point::Float(1.0))
}

pub(crate) fn first(window: &Window<'_>) -> Option<Point> {
    window.first().map(|(_, point)| point)
}

pub(crate) fn last(window: &Window<'_>) -> Option<Point> {
    window.last().map(|(_, point)| point)
}

pub(crate) fn ts_of_first(window: &Window<'_>) -> Option<Point> {
    window.first().map(|(at_ms, _)| Point::Float(at_ms as f64 / 1e3))
}

pub(crate) fn ts_of_last(window: &Window<'_>) -> Option<Point> {
    window.last().map(|(at_ms, _)| Point::Float(at_ms as f64 / 1e3))
}

pub(crate) fn sum(window: &Window<'_>, said: &mut Said) -> Result<Option<Histogram>, Mixed> {
    aggregated(native::total(window.histograms.iter().map(|(_, histogram)| &**histogram))?, said)
}

pub(crate) fn avg(window: &Window<'_>, said: &mut Said) -> Result<Option<Histogram>, Mixed> {
    aggregated(native::mean(window.histograms.iter().map(|(_, histogram)| &**histogram))?, said)
}

fn aggregated(found: Option<(Histogram, Remarks)>, said: &mut Said) -> Result<Option<Histogram>, Mixed> {
    let Some((histogram, Remarks { collision, reconciled })) = found else { return Ok(None) };
    (said.collision, said.aggregated) = (collision, reconciled);
    Ok(Some(histogram))
}

pub(crate) fn rate(window: &Window<'_>, said: &mut Said) -> Result<Option<Histogram>, Mixed> {
    extrapolated(window, true, true, said)
}

pub(crate) fn increase(window: &Window<'_>, said: &mut Said) -> Result<Option<Histogram>, Mixed> {
    extrapolated(window, true, false, said)
}

pub(crate) fn delta(window: &Window<'_>, said: &mut Said) -> Result<Option<Histogram>, Mixed> {
    extrapolated(window, false, false, said)
}

fn is_gauge(histogram: &Histogram) -> bool {
    histogram.reset == CounterReset::Gauge
}

/// As of floats; how near a counter is to its birth is judged by the number of observations.
fn extrapolated(
    window: &Window<'_>,
    is_counter: bool,
    per_second: bool,
    said: &mut Said,
) -> Result<Option<Histogram>, Mixed> {
    let [(first_ms, first), between @ .., (last_ms, last)] = window.histograms else { return Ok(None) };
    let second = between.first().map_or(last, |(_, second)| second);
    said.not_a_counter = is_counter && (is_gauge(first) || is_gauge(last));
    // Before a reset only the count is looked at, so the shape need not fit.
    let nothing;
    let start: &Histogram = if is_counter && native::is_reset(first, second) {
        let custom_bounds = second.custom_bounds.clone();
        nothing = Histogram { schema: second.schema, custom_bounds, ..Histogram::default() };
        &nothing
    } else {
        first
    };
    let custom = is_custom(start.schema);
    // The coarsest resolution that is met on the way, so that resets are judged alike.
    let mut schema = start.schema.min(last.schema);
    if is_custom(last.schema) != custom {
        return Err(Mixed);
    }
    for (_, histogram) in between.iter().filter(|_| is_counter) {
        if is_custom(histogram.schema) != custom {
            *said = Said::default();
            return Err(Mixed);
        }
        said.not_a_counter |= is_gauge(histogram);
        schema = schema.min(histogram.schema);
    }
    let mut change = Sum::of(last);
    change.coarsen(schema);
    said.subtracted = change.add(start, -1.0)?.reconciled;
    if is_counter {
        let mut before = start;
        for (_, histogram) in &window.histograms[1..] {
            if native::is_reset(before, histogram) {
                said.added |= change.add(before, 1.0)?.reconciled;
            }
            before = histogram;
        }
    } else {
        said.not_a_gauge = !is_gauge(first) || !is_gauge(last);
    }
    let growth = change.total();
    let from_zero = (is_counter && growth.count > 0.0 && first.count >= 0.0).then(|| first.count / growth.count);
    let factor = extrapolation(window, (*first_ms, *last_ms), window.histograms.len(), from_zero, per_second);
    let mut change = native::each(&growth, |value| value * factor);
    change.reset = CounterReset::Gauge;
    Ok(Some(change))
}

pub(crate) fn irate(window: &Window<'_>, said: &mut Said) -> Result<Option<Histogram>, Mixed> {
    let [.., (before_ms, before), (last_ms, last)] = window.histograms else { return Ok(None) };
    said.not_a_counter = is_gauge(before) || is_gauge(last);
    let change = if native::is_reset(before, last) { (**last).clone() } else { difference(before, last, said)? };
    let seconds = (last_ms - before_ms) as f64 / 1e3;
    let mut change = native::divide(&change, seconds);
    change.reset = CounterReset::Gauge;
    Ok(Some(change))
}

pub(crate) fn idelta(window: &Window<'_>, said: &mut Said) -> Result<Option<Histogram>, Mixed> {
    let [.., (_, before), (_, last)] = window.histograms else { return Ok(None) };
    said.not_a_gauge = !is_gauge(before) || !is_gauge(last);
    let mut change = difference(before, last, said)?;
    change.reset = CounterReset::Gauge;
    Ok(Some(change))
}

fn difference(before: &Histogram, last: &Histogram, said: &mut Said) -> Result<Histogram, Mixed> {
    let (difference, remarks) = native::plus(last, before, -1.0)?;
    said.subtracted = remarks.reconciled;
    Ok(difference)
}
