//! A line without axes, for a table's cell. The last value stands beside it as text.

use model::Sample;

use super::Svg;
use super::line::{Plot, path};

const WIDTH: i64 = 160;
const HEIGHT: i64 = 40;

/// The course of one series over `start_ms..=end_ms`, from zero (or its lowest value) to `high_least` or its highest, if that is more.
pub(crate) fn sparkline(points: &[Sample], start_ms: i64, end_ms: i64, step_ms: i64, high_least: f64) -> Svg {
    let finite = points.iter().map(|point| point.value).filter(|value| value.is_finite());
    let low = finite.clone().fold(0.0, f64::min);
    let high = finite.fold(high_least, f64::max);
    let plot = Plot { start_ms, end_ms, step_ms, low, high, width: WIDTH, height: HEIGHT };
    Svg::new(format!(
        "<svg class=\"spark\" viewBox=\"0 -1 {WIDTH} {}\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><path d=\"{}\"/></svg>",
        HEIGHT + 2,
        path(points, &plot)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_short_path() {
        let points = [(0, 0.0), (10, 1.0), (20, 0.5)].map(|(at_ms, value)| Sample { at_ms, value });
        assert_eq!(
            sparkline(&points, 0, 20, 10, 0.0).as_str(),
            "<svg class=\"spark\" viewBox=\"0 -1 160 42\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><path d=\"M0 40l80-40 80 20\"/></svg>"
        );
    }
}
