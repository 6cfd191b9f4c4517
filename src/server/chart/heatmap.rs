//! How values of a histogram spread over time: a column a step, a row a bucket, darker where more fell.
//!
//! One path for each shade instead of one rectangle for each cell: an eighth of the bytes, and few nodes for the browser.

use super::line::{HEIGHT, Plot, WIDTH};
use super::svg::{escape, put, tenth};
use super::time_axis::TimeAxis;
use super::{Svg, Unit};

/// Shades; `web/app.css` has as many.
pub(crate) const SHADES: usize = 7;
/// Labels of rows.
const LABELS_MAX: usize = 8;

/// Cells of the same height, whatever the widths of their buckets: buckets grow exponentially, and so it is a logarithmic axis.
pub(crate) struct Heatmap<'a> {
    /// For those who do not see it.
    pub(crate) label: &'a str,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) unit: Unit,
    /// The upper end of each row, ascending.
    pub(crate) rows: &'a [f64],
    /// Of each step its time and what fell into each row.
    pub(crate) columns: &'a [(i64, Vec<f64>)],
}

impl Heatmap<'_> {
    fn highest(&self) -> f64 {
        self.columns
            .iter()
            .flat_map(|(_, counts)| counts)
            .copied()
            .filter(|count| count.is_finite())
            .fold(0.0, f64::max)
    }

    pub(crate) fn draw(&self) -> Svg {
        let plot = Plot {
            start_ms: self.start_ms,
            end_ms: self.end_ms.saturating_add(self.step_ms),
            step_ms: self.step_ms,
            low: 0.0,
            high: self.rows.len() as f64,
            width: WIDTH,
            height: HEIGHT,
        };
        let mut out = String::from("<div class=\"chart heat\"><svg class=\"ya\" aria-hidden=\"true\">");
        let every = self.rows.len().div_ceil(LABELS_MAX).max(1);
        for (row, upper) in self.rows.iter().enumerate().filter(|(row, _)| row % every == every - 1) {
            let y = tenth(plot.y(row as f64 + 1.0) as f64 * 100.0 / HEIGHT as f64);
            let text = if upper.is_finite() { self.unit.text(*upper) } else { "more".into() };
            put(&mut out, format_args!("<text x=\"100%\" y=\"{y}%\" dy=\".32em\">{text}</text>"));
        }
        put(&mut out, format_args!("</svg><svg class=\"pl\" role=\"img\" aria-label=\"{}\">", escape(self.label)));
        let times = TimeAxis::of(&plot);
        times.grid(&plot, &mut out);
        put(
            &mut out,
            format_args!(
                "<svg width=\"100%\" height=\"100%\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\">"
            ),
        );
        for (shade, path) in self.paths(&plot).iter().enumerate().filter(|(_, path)| !path.is_empty()) {
            put(&mut out, format_args!("<path class=\"h{}\" d=\"{path}\"/>", shade + 1));
        }
        out.push_str("</svg></svg>");
        times.labels(&plot, &mut out);
        out.push_str("</div>");
        Svg::new(out)
    }

    fn paths(&self, plot: &Plot) -> [String; SHADES] {
        let mut paths: [String; SHADES] = Default::default();
        let highest = self.highest();
        for (at_ms, counts) in self.columns {
            let x = plot.x(*at_ms);
            let wide = (plot.x(at_ms.saturating_add(self.step_ms)) - x).max(1);
            for (row, count) in counts.iter().enumerate() {
                let Some(shade) = shade(*count, highest) else { continue };
                let (top, foot) = (plot.y(row as f64 + 1.0), plot.y(row as f64));
                put(&mut paths[shade], format_args!("M{x} {top}h{wide}v{}h-{wide}z", foot - top));
            }
        }
        paths
    }
}

/// The shade of a cell, by the root of its share, so that what is rare is seen; `None` for an empty one.
fn shade(count: f64, highest: f64) -> Option<usize> {
    if !(count > 0.0 && highest > 0.0) {
        return None;
    }
    let part = (count / highest).sqrt();
    Some(((part * SHADES as f64).ceil() as usize).clamp(1, SHADES) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_drawn_by_their_shade() {
        let heatmap = Heatmap {
            label: "a <b>",
            start_ms: 0,
            end_ms: 60_000,
            step_ms: 60_000,
            unit: Unit::Seconds,
            rows: &[0.1, f64::INFINITY],
            columns: &[(0, vec![100.0, 0.0]), (60_000, vec![1.0, f64::NAN])],
        };
        let svg = heatmap.draw();
        for part in [
            "aria-label=\"a &lt;b&gt;\"",
            "<path class=\"h1\" d=\"M600 200h600v200h-600z\"/><path class=\"h7\" d=\"M0 200h600v200h-600z\"/>",
            ">100 ms</text>",
            ">more</text>",
        ] {
            assert!(svg.as_str().contains(part), "{part} in {}", svg.as_str());
        }
    }

    #[test]
    fn what_is_rare_is_seen_and_nothing_is_not() {
        for (count, highest, expected) in [
            (0.0, 5.0, None),
            (-1.0, 5.0, None),
            (f64::NAN, 5.0, None),
            (1e-9, 5.0, Some(0)),
            (5.0, 5.0, Some(6)),
            (f64::INFINITY, 5.0, Some(6)),
            (1.0, 0.0, None),
        ] {
            assert_eq!(shade(count, highest), expected, "{count} of {highest}");
        }
    }
}
