//! Functions over one window of one series: plain arithmetic, no labels, no steps.
//!
//! A window never holds a stale marker. `None` means that the series has no value at this step.

use std::sync::Arc;

use model::Histogram;

use super::math;
use crate::promql::kahan::{Kahan, Mean};
use crate::promql::looks::stretch;
use crate::promql::value::Point;

/// Samples of a series in `(start_ms, end_ms]`, seen from a step at `eval_ms`.
pub(crate) struct Window<'a> {
    pub(crate) at_ms: &'a [i64],
    pub(crate) values: &'a [f64],
    pub(crate) histograms: &'a [(i64, Arc<Histogram>)],
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// The step's own time, whatever `@` and `offset` say of the window.
    pub(crate) eval_ms: i64,
}

impl Window<'_> {
    /// The newest sample, float or histogram.
    pub(crate) fn last(&self) -> Option<(i64, Point)> {
        let float = self.at_ms.last().copied().zip(self.values.last().copied());
        match (float, self.histograms.last()) {
            (Some((at_ms, value)), other) if other.is_none_or(|(other_ms, _)| *other_ms < at_ms) => {
                Some((at_ms, Point::Float(value)))
            }
            (_, other) => other.map(|(at_ms, histogram)| (*at_ms, Point::Histogram(histogram.clone()))),
        }
    }

    /// The oldest sample.
    pub(crate) fn first(&self) -> Option<(i64, Point)> {
        let float = self.at_ms.first().copied().zip(self.values.first().copied());
        match (float, self.histograms.first()) {
            (Some((at_ms, value)), other) if other.is_none_or(|(other_ms, _)| *other_ms > at_ms) => {
                Some((at_ms, Point::Float(value)))
            }
            (_, other) => other.map(|(at_ms, histogram)| (*at_ms, Point::Histogram(histogram.clone()))),
        }
    }

    /// Only the newest two samples; `None` if there are fewer.
    pub(crate) fn last_two(&self) -> Option<Window<'_>> {
        let (mut floats, mut histograms) = (self.values.len(), self.histograms.len());
        if floats + histograms < 2 {
            return None;
        }
        for _ in 0..2 {
            let float_ms = floats.checked_sub(1).map(|at| self.at_ms[at]);
            let histogram_ms = histograms.checked_sub(1).map(|at| self.histograms[at].0);
            if float_ms > histogram_ms {
                floats -= 1;
            } else {
                histograms -= 1;
            }
        }
        Some(Window {
            at_ms: &self.at_ms[floats..],
            values: &self.values[floats..],
            histograms: &self.histograms[histograms..],
            ..*self
        })
    }

    pub(crate) fn range_s(&self) -> f64 {
        (self.end_ms - self.start_ms) as f64 / 1e3
    }
}

pub(crate) fn rate(window: &Window<'_>) -> Option<f64> {
    extrapolated(window, true, true)
}

pub(crate) fn increase(window: &Window<'_>) -> Option<f64> {
    extrapolated(window, true, false)
}

pub(crate) fn delta(window: &Window<'_>) -> Option<f64> {
    extrapolated(window, false, false)
}

/// The change between first and last sample, stretched to the window's ends where samples reach near enough to them
/// (Prometheus' `extrapolatedRate`): by at most half an interval otherwise, and for counters never below zero.
fn extrapolated(window: &Window<'_>, is_counter: bool, per_second: bool) -> Option<f64> {
    let count = window.values.len();
    if count < 2 {
        return None;
    }
    let (first, last) = (window.values[0], window.values[count - 1]);
    let (first_ms, last_ms) = (window.at_ms[0], window.at_ms[count - 1]);
    let mut change = last - first;
    if is_counter {
        for pair in window.values.windows(2) {
            if pair[1] < pair[0] {
                change += pair[0];
            }
        }
    }
    let growth = (is_counter && change > 0.0 && first >= 0.0).then(|| first / change);
    Some(change * extrapolation(window, (first_ms, last_ms), count, growth, per_second))
}

/// The factor that stretches a change over `count` samples. A counter that grew is never stretched beyond its zero:
/// `from_zero` is its first value as a share of its growth.
pub(crate) fn extrapolation(
    window: &Window<'_>,
    (first_ms, last_ms): (i64, i64),
    count: usize,
    from_zero: Option<f64>,
    per_second: bool,
) -> f64 {
    let stretch = stretch(window.start_ms, window.end_ms, first_ms, last_ms, count);
    let mut factor = stretch.factor;
    let to_zero_s = from_zero.map(|share| stretch.sampled_s * share);
    if let Some(to_zero_s) = to_zero_s.filter(|to_zero_s| *to_zero_s < stretch.to_start_s) {
        factor = (stretch.sampled_s + to_zero_s + stretch.to_end_s) / stretch.sampled_s;
    }
    if per_second {
        factor /= window.range_s();
    }
    factor
}

pub(crate) fn irate(window: &Window<'_>) -> Option<f64> {
    let [before, last] = *window.values.last_chunk()?;
    let [before_ms, last_ms] = *window.at_ms.last_chunk()?;
    // After a reset the counter began at zero.
    let change = if last < before { last } else { last - before };
    Some(change / ((last_ms - before_ms) as f64 / 1e3))
}

pub(crate) fn idelta(window: &Window<'_>) -> Option<f64> {
    let [before, last] = *window.values.last_chunk()?;
    Some(last - before)
}

fn some(window: &Window<'_>, compute: impl FnOnce(&[f64]) -> f64) -> Option<f64> {
    (!window.values.is_empty()).then(|| compute(window.values))
}

pub(crate) fn sum(window: &Window<'_>) -> Option<f64> {
    some(window, |values| {
        let sum = values.iter().fold(Kahan::default(), |sum, value| sum.plus(*value));
        if sum.sum.is_infinite() { sum.sum } else { sum.total() }
    })
}

pub(crate) fn avg(window: &Window<'_>) -> Option<f64> {
    some(window, |values| {
        let mut mean = Mean::default();
        for value in values {
            mean.add(*value);
        }
        mean.value()
    })
}

pub(crate) fn min(window: &Window<'_>) -> Option<f64> {
    window.values.iter().copied().reduce(|least, value| if value < least || least.is_nan() { value } else { least })
}

pub(crate) fn max(window: &Window<'_>) -> Option<f64> {
    window.values.iter().copied().reduce(|most, value| if value > most || most.is_nan() { value } else { most })
}

/// Mean square deviation (Welford), both sums compensated.
pub(crate) fn stdvar(window: &Window<'_>) -> Option<f64> {
    some(window, |values| {
        let (mut count, mut mean, mut squares) = (0.0, Kahan::default(), Kahan::default());
        for value in values {
            count += 1.0;
            let delta = value - mean.total();
            mean = mean.plus(delta / count);
            squares = squares.plus(delta * (value - mean.total()));
        }
        squares.total() / count
    })
}

pub(crate) fn stddev(window: &Window<'_>) -> Option<f64> {
    stdvar(window).map(f64::sqrt)
}

/// The median of the distances from the median.
pub(crate) fn mad(window: &Window<'_>) -> Option<f64> {
    some(window, |values| {
        if values.iter().any(|value| value.is_nan()) {
            return f64::NAN;
        }
        let mut values = values.to_vec();
        let median = math::quantile(0.5, &mut values);
        for value in &mut values {
            *value = (*value - median).abs();
        }
        math::quantile(0.5, &mut values)
    })
}

/// Seconds of the last sample for which `better(value, best)` holds against all before it.
fn ts_of(window: &Window<'_>, better: impl Fn(f64, f64) -> bool) -> Option<f64> {
    let (mut best, mut best_ms) = (*window.values.first()?, window.at_ms[0]);
    for (value, at_ms) in window.values.iter().zip(window.at_ms) {
        if better(*value, best) || best.is_nan() {
            (best, best_ms) = (*value, *at_ms);
        }
    }
    Some(best_ms as f64 / 1e3)
}

pub(crate) fn ts_of_max(window: &Window<'_>) -> Option<f64> {
    ts_of(window, |value, best| value >= best)
}

pub(crate) fn ts_of_min(window: &Window<'_>) -> Option<f64> {
    ts_of(window, |value, best| value <= best)
}
