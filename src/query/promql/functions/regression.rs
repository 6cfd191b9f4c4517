//! Straight lines and trends through the samples of a window.

use super::window::Window;
use crate::promql::kahan::Kahan;

/// Slope per second, by least squares.
pub(crate) fn deriv(window: &Window<'_>) -> Option<f64> {
    (window.values.len() >= 2).then(|| line(window, window.at_ms[0]).0)
}

/// The value that the line reaches `ahead_s` after the step.
pub(crate) fn predict(window: &Window<'_>, ahead_s: f64) -> Option<f64> {
    if window.values.len() < 2 {
        return None;
    }
    let (slope, intercept) = line(window, window.eval_ms);
    Some(slope * ahead_s + intercept)
}

/// Slope per second and the value at `origin_ms`. A constant series gives exactly itself; infinities give NaN.
fn line(window: &Window<'_>, origin_ms: i64) -> (f64, f64) {
    let first = window.values[0];
    if window.values.iter().all(|value| *value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let count = window.values.len() as f64;
    let (mut x_sum, mut y_sum, mut xy_sum, mut xx_sum) =
        (Kahan::default(), Kahan::default(), Kahan::default(), Kahan::default());
    for (at_ms, y) in window.at_ms.iter().zip(window.values) {
        let x = (at_ms - origin_ms) as f64 / 1e3;
        x_sum = x_sum.plus(x);
        y_sum = y_sum.plus(*y);
        xy_sum = xy_sum.plus(x * y);
        xx_sum = xx_sum.plus(x * x);
    }
    let (x_sum, y_sum) = (x_sum.total(), y_sum.total());
    let covariance = xy_sum.total() - x_sum * y_sum / count;
    let variance = xx_sum.total() - x_sum * x_sum / count;
    let slope = covariance / variance;
    (slope, y_sum / count - slope * x_sum / count)
}

/// Holt's double exponential smoothing: `smoothing` weighs the level, `trend` its slope; both in (0, 1).
pub(crate) fn smooth(window: &Window<'_>, smoothing: f64, trend: f64) -> Option<f64> {
    let [first, second, ..] = *window.values else { return None };
    let (mut before, mut level, mut slope) = (0.0, first, second - first);
    for (i, value) in window.values.iter().enumerate().skip(1) {
        if i > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + slope);
        (before, level) = (level, next);
    }
    Some(level)
}
