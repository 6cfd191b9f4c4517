//! Functions over windows that may hold native histograms, floats, or both.

use std::sync::Arc;

use model::{Histogram, Labels};

use super::window::{Window, extrapolation};
use crate::QueryError;
use crate::promql::ast::Node;
use crate::promql::engine::Engine;
use crate::promql::native;
use crate::promql::notes::Notes;
use crate::promql::value::{Column, Grid, Point};

/// A function that floats and histograms have each in their own way, and a mix of both has not.
#[derive(Clone, Copy)]
pub(crate) struct Either {
    pub(crate) floats: fn(&Window<'_>) -> Option<f64>,
    pub(crate) histograms: fn(&Window<'_>) -> Option<Histogram>,
    /// Only the last two samples count.
    pub(crate) last_two: bool,
    /// Meant for gauges: what OTLP sends as native histograms are counters, so this is worth a warning.
    pub(crate) of_gauges: bool,
}

/// Floats or histograms; a mix gives a warning and no value.
pub(crate) fn either(
    engine: &mut Engine<'_>,
    either: Either,
    arg: &Node,
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    engine.points(arg, grid, false, |notes, labels, _, window| {
        let window = if either.last_two { &window.last_two()? } else { window };
        if window.histograms.is_empty() {
            return (either.floats)(window).map(Point::Float);
        }
        if !window.values.is_empty() {
            note(notes, arg, labels, "encountered a mix of histograms and floats for metric name");
            return None;
        }
        let histogram = (either.histograms)(window)?;
        if either.of_gauges {
            note(notes, arg, labels, "this native histogram metric is not a gauge:");
        }
        Some(Point::Histogram(Arc::new(histogram)))
    })
}

fn note(notes: &mut Notes<'_>, arg: &Node, labels: &Labels, text: &str) {
    notes.warn(arg, &format!("{text} {:?}", labels.metric_name()));
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

/// Samples from the oldest to the newest, of either kind.
fn in_order<'w>(window: &'w Window<'_>) -> impl Iterator<Item = Point> + 'w {
    let (mut float, mut histogram) = (0, 0);
    std::iter::from_fn(move || {
        let float_ms = window.at_ms.get(float);
        match (float_ms, window.histograms.get(histogram)) {
            (Some(at_ms), other) if other.is_none_or(|(other_ms, _)| at_ms < other_ms) => {
                float += 1;
                Some(Point::Float(window.values[float - 1]))
            }
            (_, other) => {
                histogram += 1;
                other.map(|(_, found)| Point::Histogram(found.clone()))
            }
        }
    })
}

fn neighbours(window: &Window<'_>, differ: impl Fn(&Point, &Point) -> bool) -> Option<Point> {
    let mut all = in_order(window);
    let (mut before, mut count) = (all.next()?, 0.0);
    for point in all {
        count += f64::from(u8::from(differ(&before, &point)));
        before = point;
    }
    Some(Point::Float(count))
}

pub(crate) fn changes(window: &Window<'_>) -> Option<Point> {
    neighbours(window, |before, after| match (before, after) {
        (Point::Float(a), Point::Float(b)) => a != b && !(a.is_nan() && b.is_nan()),
        (Point::Histogram(a), Point::Histogram(b)) => !native::equal(a, b),
        _ => true,
    })
}

/// A change of kind is a reset as well.
pub(crate) fn resets(window: &Window<'_>) -> Option<Point> {
    neighbours(window, |before, after| match (before, after) {
        (Point::Float(a), Point::Float(b)) => b < a,
        (Point::Histogram(a), Point::Histogram(b)) => native::is_reset(a, b),
        _ => true,
    })
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

pub(crate) fn sum(window: &Window<'_>) -> Option<Histogram> {
    native::sum(window.histograms.iter().map(|(_, histogram)| histogram.as_ref()))
}

pub(crate) fn avg(window: &Window<'_>) -> Option<Histogram> {
    let count = window.histograms.len() as f64;
    Some(native::each(&sum(window)?, |value| value / count))
}

pub(crate) fn rate(window: &Window<'_>) -> Option<Histogram> {
    extrapolated(window, true, true)
}

pub(crate) fn increase(window: &Window<'_>) -> Option<Histogram> {
    extrapolated(window, true, false)
}

pub(crate) fn delta(window: &Window<'_>) -> Option<Histogram> {
    extrapolated(window, false, false)
}

/// As of floats; how near a counter is to its birth is judged by the number of observations.
fn extrapolated(window: &Window<'_>, is_counter: bool, per_second: bool) -> Option<Histogram> {
    let [(first_ms, first), .., (last_ms, last)] = window.histograms else { return None };
    // The coarsest resolution that is met on the way, so that resets are judged alike.
    let schema = window.histograms.iter().map(|(_, histogram)| histogram.schema).min()?;
    let mut change = native::plus(&native::to_schema(last, schema), first, -1.0);
    if is_counter {
        for pair in window.histograms.windows(2) {
            if native::is_reset(&pair[0].1, &pair[1].1) {
                change = native::plus(&change, &pair[0].1, 1.0);
            }
        }
    }
    let growth = (is_counter && change.count > 0.0 && first.count >= 0.0).then(|| first.count / change.count);
    let factor = extrapolation(window, (*first_ms, *last_ms), window.histograms.len(), growth, per_second);
    Some(native::each(&change, |value| value * factor))
}

pub(crate) fn irate(window: &Window<'_>) -> Option<Histogram> {
    let [.., (before_ms, before), (last_ms, last)] = window.histograms else { return None };
    let change = if native::is_reset(before, last) { last.as_ref().clone() } else { native::plus(last, before, -1.0) };
    let seconds = (last_ms - before_ms) as f64 / 1e3;
    Some(native::each(&change, |value| value / seconds))
}

pub(crate) fn idelta(window: &Window<'_>) -> Option<Histogram> {
    let [.., (_, before), (_, last)] = window.histograms else { return None };
    Some(native::plus(last, before, -1.0))
}
