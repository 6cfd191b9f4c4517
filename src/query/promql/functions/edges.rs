//! Rates and counts over `anchored` and `smoothed` ranges, which know the values at their very ends: the sample before
//! the start stands at it (`anchored`), or lines between the samples around both ends are drawn (`smoothed`).
//!
//! The windows here reach beyond the range by the lookback. Ends are chosen as Prometheus' `extendedRate` does.

use super::window::Window;
use crate::promql::ast::Edges;

pub(crate) type Compute = fn(&Window<'_>) -> Option<f64>;

const ANCHORED: [(&str, Compute); 5] = [
    ("changes", |window| count(window, |before, after| before != after && !(before.is_nan() && after.is_nan()))),
    ("delta", |window| change(window, false, false)),
    ("increase", |window| change(window, false, true)),
    ("rate", |window| change(window, false, true).map(|increase| increase / window.range_s())),
    ("resets", |window| count(window, |before, after| after < before)),
];

const SMOOTHED: [(&str, Compute); 3] = [
    ("delta", |window| change(window, true, false)),
    ("increase", |window| change(window, true, true)),
    ("rate", |window| change(window, true, true).map(|increase| increase / window.range_s())),
];

/// What computes a function over such ranges; or the reason why nothing does.
pub(crate) fn find(name: &str, edges: Edges) -> Result<Compute, String> {
    let table: &[(&str, Compute)] = if edges == Edges::Smoothed { &SMOOTHED } else { &ANCHORED };
    table.iter().find(|(known, _)| *known == name).map(|(_, compute)| *compute).ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|(known, _)| *known).collect();
        format!("{} modifier can only be used with: {} - not with {name}", edges.text(), names.join(", "))
    })
}

/// The last sample at or before the start, or the first one there is; never the last one unless it is alone.
fn first_at(window: &Window<'_>) -> usize {
    let last = window.at_ms.len() - 1;
    window.at_ms[..last].partition_point(|at_ms| *at_ms <= window.start_ms).saturating_sub(1)
}

fn change(window: &Window<'_>, smoothed: bool, is_counter: bool) -> Option<f64> {
    let (at_ms, values) = (window.at_ms, window.values);
    let mut last = at_ms.len().checked_sub(1)?;
    let mut first = first_at(window);
    if smoothed {
        last = at_ms[..last].partition_point(|at_ms| *at_ms < window.end_ms);
    }
    if at_ms[last] <= window.start_ms {
        return None;
    }
    let mut left = values[first];
    if smoothed && at_ms[first] < window.start_ms {
        // After a reset at the left end the counter rose from zero.
        let before = if is_counter && values[first + 1] < left { 0.0 } else { left };
        left = between((at_ms[first], before), (at_ms[first + 1], values[first + 1]), window.start_ms);
    }
    let mut right = values[last];
    if smoothed && last > 0 && at_ms[last] > window.end_ms {
        // A reset after the right end is undone: the counter goes on from where it was.
        let before = values[last - 1];
        let after = if is_counter && right < before { right + before } else { right };
        right = between((at_ms[last - 1], before), (at_ms[last], after), window.end_ms);
    }
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
    Some(change)
}

fn between(from: (i64, f64), to: (i64, f64), at_ms: i64) -> f64 {
    from.1 + (to.1 - from.1) * (at_ms - from.0) as f64 / (to.0 - from.0) as f64
}

/// Neighbours for which `differ` holds, the value at the start being the first.
fn count(window: &Window<'_>, differ: impl Fn(f64, f64) -> bool) -> Option<f64> {
    if window.values.is_empty() {
        return None;
    }
    let pairs = window.values[first_at(window)..].windows(2);
    Some(pairs.filter(|pair| differ(pair[0], pair[1])).count() as f64)
}
