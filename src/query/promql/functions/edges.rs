//! Ranges that know their ends: the sample before the start stands at it (`anchored`), or values at both ends lie
//! between the samples around them (`smoothed`); and instants that lie between samples.
//!
//! The windows here reach beyond the range by the lookback. Ends are chosen as Prometheus' `extendedRate` does.

use model::{CounterReset, Histogram};

use super::mixed::{self, Said, in_order, note_mix, of_histograms};
use super::window::Window;
use crate::QueryError;
use crate::promql::ast::{Edges, Node};
use crate::promql::engine::Engine;
use crate::promql::native::{self, Mixed, is_custom};
use crate::promql::value::{Column, Grid, Point};

/// What is computed over such a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edged {
    Changes,
    Delta,
    Increase,
    Rate,
    Resets,
}

const NAMES: [(&str, Edged); 5] = [
    ("changes", Edged::Changes),
    ("delta", Edged::Delta),
    ("increase", Edged::Increase),
    ("rate", Edged::Rate),
    ("resets", Edged::Resets),
];

impl Edged {
    fn over(self, edges: Edges) -> bool {
        edges != Edges::Smoothed || !matches!(self, Edged::Changes | Edged::Resets)
    }

    fn is_counter(self) -> bool {
        self != Edged::Delta
    }
}

/// What computes a function over such ranges; or the reason why nothing does.
pub(crate) fn find(name: &str, edges: Edges) -> Result<Edged, String> {
    let fitting = || NAMES.iter().filter(|(_, edged)| edged.over(edges));
    fitting().find(|(known, _)| *known == name).map(|(_, edged)| *edged).ok_or_else(|| {
        let names: Vec<&str> = fitting().map(|(name, _)| *name).collect();
        format!("{} modifier can only be used with: {} - not with {name}", edges.text(), names.join(", "))
    })
}

pub(crate) fn eval(
    engine: &mut Engine<'_>,
    edged: Edged,
    edges: Edges,
    arg: &Node,
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    let smoothed = edges == Edges::Smoothed;
    engine.points(arg, grid, false, |notes, labels, _, window| match edged {
        Edged::Changes => count(window, mixed::is_change),
        Edged::Resets => count(window, mixed::is_reset),
        _ if !window.values.is_empty() && !window.histograms.is_empty() => {
            note_mix(notes, arg, labels);
            None
        }
        _ if window.histograms.is_empty() => change(window, smoothed, edged).map(Point::Float),
        _ => of_histograms(notes, arg, labels, |said| histogram_change(window, smoothed, edged, said)),
    })
}

/// An instant between samples: on the line between its neighbours, or as the one before left it.
pub(crate) fn instants(engine: &mut Engine<'_>, node: &Node, grid: Grid) -> Result<Vec<Column>, QueryError> {
    engine.points(node, grid, true, |notes, labels, _, window| {
        let at_ms = window.end_ms;
        if window.histograms.is_empty() {
            let after = window.at_ms.partition_point(|sample_ms| *sample_ms < at_ms);
            let sample = |at: usize| Some((*window.at_ms.get(at)?, *window.values.get(at)?));
            let next = sample(after);
            if let Some((_, value)) = next.filter(|(next_ms, _)| *next_ms == at_ms) {
                return Some(Point::Float(value));
            }
            let before = sample(after.checked_sub(1)?)?;
            return Some(Point::Float(next.map_or(before.1, |next| between(before, next, at_ms))));
        }
        if !window.values.is_empty() {
            note_mix(notes, node, labels);
            return None;
        }
        let rows = window.histograms;
        let after = rows.partition_point(|(sample_ms, _)| *sample_ms < at_ms);
        if let Some((next_ms, next)) = rows.get(after)
            && *next_ms == at_ms
        {
            return Some(Point::Histogram(next.clone()));
        }
        let (before_ms, before) = rows.get(after.checked_sub(1)?)?;
        of_histograms(notes, node, labels, |said| match rows.get(after) {
            Some((next_ms, next)) => {
                let is_counter = before.reset != CounterReset::Gauge || next.reset != CounterReset::Gauge;
                between_histograms((*before_ms, before), (*next_ms, next), at_ms, is_counter, said).map(Some)
            }
            // What was said of the step to this sample says nothing of the one to here.
            None => Ok(Some(Histogram { reset: CounterReset::Unknown, ..(**before).clone() })),
        })
    })
}

/// The place of the last time at or before the start, or the first there is; never the last one unless it is alone.
fn first_at(times: impl Iterator<Item = i64>, count: usize, start_ms: i64) -> usize {
    times.take(count - 1).take_while(|at_ms| *at_ms <= start_ms).count().saturating_sub(1)
}

fn change(window: &Window<'_>, smoothed: bool, edged: Edged) -> Option<f64> {
    let (at_ms, values, is_counter) = (window.at_ms, window.values, edged.is_counter());
    let mut last = at_ms.len().checked_sub(1)?;
    let mut first = first_at(at_ms.iter().copied(), at_ms.len(), window.start_ms);
    if smoothed {
        last = at_ms[..last].partition_point(|at_ms| *at_ms < window.end_ms);
    }
    if at_ms[last] <= window.start_ms || smoothed && at_ms[first] > window.end_ms {
        return None;
    }
    let line = |from: usize, end_ms: i64| {
        // After a reset the counter rose from zero.
        let (before, after) = (values[from], values[from + 1]);
        let before = if is_counter && after < before { 0.0 } else { before };
        between((at_ms[from], before), (at_ms[from + 1], after), end_ms)
    };
    let left = if smoothed && at_ms[first] < window.start_ms { line(first, window.start_ms) } else { values[first] };
    let cut_right = smoothed && last > 0 && at_ms[last] > window.end_ms;
    let right = if cut_right { line(last - 1, window.end_ms) } else { values[last] };
    let mut change = right - left;
    if is_counter {
        // What the ends stand for is not counted twice.
        if at_ms[first] <= window.start_ms {
            first += 1;
        }
        let inside_end = if at_ms[last] >= window.end_ms { last } else { last + 1 };
        let mut before = left;
        for value in values.get(first..inside_end).unwrap_or_default().iter().chain([&right]) {
            if *value < before {
                change += before;
            }
            before = *value;
        }
    }
    Some(if edged == Edged::Rate { change / window.range_s() } else { change })
}

/// The samples of such a range where it is itself the answer: a value at each of its ends and the samples between them; none when the
/// newest lies before it. A fall is no reset here, since nothing tells a counter (Prometheus' `extendFloats`).
pub(crate) fn samples(window: &Window<'_>, smoothed: bool) -> (Vec<i64>, Vec<f64>) {
    let (at_ms, values) = (window.at_ms, window.values);
    let Some(mut last) = at_ms.len().checked_sub(1) else { return Default::default() };
    let mut first = first_at(at_ms.iter().copied(), at_ms.len(), window.start_ms);
    if smoothed {
        last = at_ms[..last].partition_point(|at_ms| *at_ms < window.end_ms);
    }
    if at_ms[last] <= window.start_ms {
        return Default::default();
    }
    let line =
        |from: usize, end_ms: i64| between((at_ms[from], values[from]), (at_ms[from + 1], values[from + 1]), end_ms);
    let left = if smoothed && at_ms[first] < window.start_ms { line(first, window.start_ms) } else { values[first] };
    let cut_right = smoothed && last > 0 && at_ms[last] > window.end_ms;
    let right = if cut_right { line(last - 1, window.end_ms) } else { values[last] };
    // The ends stand for the samples that lie at them or beyond.
    first += usize::from(at_ms[first] <= window.start_ms);
    let inside_end = if at_ms[last] >= window.end_ms { last } else { last + 1 };
    let inside = first..inside_end.max(first);
    (
        [&[window.start_ms][..], &at_ms[inside.clone()], &[window.end_ms]].concat(),
        [&[left][..], &values[inside], &[right]].concat(),
    )
}

fn between(from: (i64, f64), to: (i64, f64), at_ms: i64) -> f64 {
    from.1 + (to.1 - from.1) * (at_ms - from.0) as f64 / (to.0 - from.0) as f64
}

fn between_histograms(
    from: (i64, &Histogram),
    to: (i64, &Histogram),
    at_ms: i64,
    is_counter: bool,
    said: &mut Said,
) -> Result<Histogram, Mixed> {
    let share = (at_ms - from.0) as f64 / (to.0 - from.0) as f64;
    if is_custom(from.1.schema) != is_custom(to.1.schema) {
        return Err(Mixed);
    }
    if is_counter && native::is_reset(from.1, to.1) {
        return Ok(native::each(to.1, |value| value * share));
    }
    let (growth, remarks) = native::plus(to.1, from.1, -1.0)?;
    said.subtracted |= remarks.reconciled;
    let (value, remarks) = native::plus(&native::each(&growth, |value| value * share), from.1, 1.0)?;
    said.added |= remarks.reconciled;
    Ok(value)
}

fn histogram_change(
    window: &Window<'_>,
    smoothed: bool,
    edged: Edged,
    said: &mut Said,
) -> Result<Option<Histogram>, Mixed> {
    let (rows, is_counter) = (window.histograms, edged.is_counter());
    let mut last = rows.len() - 1;
    let first = first_at(rows.iter().map(|(at_ms, _)| *at_ms), rows.len(), window.start_ms);
    if smoothed {
        last = rows[..last].partition_point(|(at_ms, _)| *at_ms < window.end_ms);
    }
    if rows[last].0 <= window.start_ms || smoothed && rows[first].0 > window.end_ms {
        return Ok(None);
    }
    let row = |at: usize| (rows[at].0, &*rows[at].1);
    let used = &rows[first..=last];
    let custom = is_custom(used[0].1.schema);
    for (_, histogram) in used {
        if is_custom(histogram.schema) != custom {
            return Err(Mixed);
        }
        said.not_a_counter |= is_counter && histogram.reset == CounterReset::Gauge;
    }
    let cut_left = smoothed && rows[first].0 < window.start_ms;
    let left = if cut_left {
        between_histograms(row(first), row(first + 1), window.start_ms, is_counter, said)?
    } else {
        (*rows[first].1).clone()
    };
    let right = if smoothed && last > 0 && rows[last].0 > window.end_ms {
        between_histograms(row(last - 1), row(last), window.end_ms, is_counter, said)?
    } else {
        (*rows[last].1).clone()
    };
    said.not_a_gauge = !is_counter && (left.reset != CounterReset::Gauge || right.reset != CounterReset::Gauge);
    let mut change = native::Sum::of(&right);
    said.subtracted |= change.add(&left, -1.0)?.reconciled;
    if is_counter {
        let (mut before, mut next) = (&left, first + 1);
        if cut_left && native::is_reset(&rows[first].1, &rows[first + 1].1) {
            // The left end lies behind that reset already.
            (before, next) = (&*rows[first + 1].1, next + 1);
        }
        // The last one is the right end, or carries its word on resets: comparing both would count one reset twice.
        if next <= last {
            for histogram in rows[next..last].iter().map(|(_, histogram)| &**histogram).chain([&right]) {
                if native::is_reset(before, histogram) {
                    said.added |= change.add(before, 1.0)?.reconciled;
                }
                before = histogram;
            }
        }
    }
    let mut change = change.total();
    if edged == Edged::Rate {
        change = native::divide(&change, window.range_s());
    }
    change.reset = CounterReset::Gauge;
    Ok(Some(change))
}

/// Neighbours that differ, the sample at the start being the first; nothing when none lies inside.
fn count(window: &Window<'_>, differ: fn(&Point, &Point) -> bool) -> Option<Point> {
    let samples = window.at_ms.len() + window.histograms.len();
    if window.last()?.0 <= window.start_ms {
        return None;
    }
    let first = first_at(in_order(window).map(|(at_ms, _)| at_ms), samples, window.start_ms);
    mixed::neighbours(in_order(window).skip(first).map(|(_, point)| point), differ)
}
