//! Lines over time, with axes, gaps and a threshold.
//!
//! The plot is stretched to the page's width, the labels are not: they stand in SVGs without a view box, placed by percentages.
//! Paths are relative integers, which compress three times better than absolute ones. Of the points that fall into one pixel
//! column the first, lowest, highest and last are kept (M4), so no spike is lost however long the range.

use model::Sample;

use super::bands::{self, Band};
use super::svg::{escape, put, tenth};
use super::ticks::{Axis, value_axis};
use super::time_axis::TimeAxis;
use super::{Svg, Unit, series_class};

/// User units: two to a pixel of a 600 px wide chart.
pub(super) const WIDTH: i64 = 1_200;
pub(super) const HEIGHT: i64 = 400;
/// Units that count as one pixel column.
const COLUMN: i64 = 2;

pub(crate) struct Line<'a> {
    /// In order of time.
    pub(crate) points: &'a [Sample],
    /// Its place among the page's series, which gives colour and dash.
    pub(crate) place: usize,
}

pub(crate) struct LineChart<'a> {
    /// What it shows, for those who cannot see it.
    pub(crate) label: &'a str,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// Expected distance of points; where it is longer, the line is broken.
    pub(crate) step_ms: i64,
    pub(crate) unit: Unit,
    pub(crate) lines: Vec<Line<'a>>,
    pub(crate) threshold: Option<f64>,
    /// When alerts about it were pending or fired.
    pub(crate) bands: &'a [Band],
}

/// Where values and times go on a canvas.
pub(super) struct Plot {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    pub(super) step_ms: i64,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) width: i64,
    pub(super) height: i64,
}

impl Plot {
    pub(super) fn x(&self, at_ms: i64) -> i64 {
        let span = (self.end_ms.saturating_sub(self.start_ms)).max(1) as f64;
        (at_ms.saturating_sub(self.start_ms) as f64 / span * self.width as f64).round() as i64
    }

    pub(super) fn y(&self, value: f64) -> i64 {
        let span = self.high - self.low;
        let part = if span > 0.0 { ((value - self.low) / span).clamp(0.0, 1.0) } else { 0.5 };
        self.height - (part * self.height as f64).round() as i64
    }
}

impl LineChart<'_> {
    /// Lowest and highest value drawn; `None` when nothing finite is there.
    pub(crate) fn extent(&self) -> Option<(f64, f64)> {
        let mut extent: Option<(f64, f64)> = None;
        let values = self.lines.iter().flat_map(|line| line.points.iter().map(|point| point.value));
        for value in values.filter(|value| value.is_finite()) {
            let (low, high) = extent.unwrap_or((value, value));
            extent = Some((low.min(value), high.max(value)));
        }
        extent
    }

    fn axis(&self) -> Axis {
        let (mut low, mut high) = self.extent().unwrap_or((0.0, 1.0));
        if let Some(threshold) = self.threshold.filter(|threshold| threshold.is_finite()) {
            low = low.min(threshold);
            high = high.max(threshold);
        }
        value_axis(low, high, self.unit)
    }

    /// Where the axis starts, when that is not zero: a cropped axis must be said.
    pub(crate) fn cropped_at(&self) -> Option<f64> {
        let low = self.axis().low;
        (low > 0.0).then_some(low)
    }

    pub(crate) fn draw(&self) -> Svg {
        let axis = self.axis();
        let plot = Plot {
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            step_ms: self.step_ms,
            low: axis.low,
            high: axis.high,
            width: WIDTH,
            height: HEIGHT,
        };
        let percent_y = |value: f64| tenth(plot.y(value) as f64 * 100.0 / HEIGHT as f64);
        let mut out = String::new();
        // What the pages' script needs to tell the value under the pointer.
        put(
            &mut out,
            format_args!(
                "<div class=\"chart\" data-from=\"{}\" data-to=\"{}\" data-low=\"{}\" data-high=\"{}\" data-unit=\"{}\"><svg class=\"ya\" aria-hidden=\"true\">",
                self.start_ms,
                self.end_ms,
                axis.low,
                axis.high,
                self.unit.as_str()
            ),
        );
        for (tick, text) in axis.ticks.iter().zip(self.unit.texts(&axis.ticks)) {
            let y = percent_y(*tick);
            put(&mut out, format_args!("<text x=\"100%\" y=\"{y}%\" dy=\".32em\">{text}</text>"));
        }
        put(&mut out, format_args!("</svg><svg class=\"pl\" role=\"img\" aria-label=\"{}\">", escape(self.label)));
        for tick in &axis.ticks {
            let y = percent_y(*tick);
            put(&mut out, format_args!("<line class=\"g\" x2=\"100%\" y1=\"{y}%\" y2=\"{y}%\"/>"));
        }
        let times = TimeAxis::of(&plot);
        times.grid(&plot, &mut out);
        put(
            &mut out,
            format_args!(
                "<svg width=\"100%\" height=\"100%\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\">"
            ),
        );
        bands::draw(self.bands, &plot, &mut out);
        if let Some(threshold) = self.threshold.filter(|threshold| threshold.is_finite()) {
            let y = plot.y(threshold);
            put(&mut out, format_args!("<path class=\"thr\" d=\"M0 {y}h{WIDTH}\"/>"));
        }
        for line in &self.lines {
            put(
                &mut out,
                format_args!("<path class=\"{}\" d=\"{}\"/>", series_class(line.place), path(line.points, &plot)),
            );
        }
        out.push_str("</svg></svg>");
        times.labels(&plot, &mut out);
        // Room for what the script tells, so that nothing moves when it does.
        out.push_str("<output class=\"readout meta\"></output></div>");
        Svg::new(out)
    }
}

/// The path of one series; broken where points are missing, a dot where one stands alone.
pub(super) fn path(points: &[Sample], plot: &Plot) -> String {
    let mut out = String::new();
    let mut run: Vec<(i64, i64)> = Vec::new();
    let mut last_ms: Option<i64> = None;
    for point in points {
        let here = (plot.start_ms <= point.at_ms && point.at_ms <= plot.end_ms) && point.value.is_finite();
        let gap = last_ms.is_some_and(|last| point.at_ms.saturating_sub(last) > plot.step_ms.saturating_mul(3) / 2);
        if !here || gap {
            draw_run(&mut run, &mut out);
        }
        if here {
            run.push((plot.x(point.at_ms), plot.y(point.value)));
            last_ms = Some(point.at_ms);
        } else {
            last_ms = None;
        }
    }
    draw_run(&mut run, &mut out);
    out
}

fn draw_run(run: &mut Vec<(i64, i64)>, out: &mut String) {
    let kept = thin(run);
    run.clear();
    let Some(((mut x, mut y), rest)) = kept.split_first().map(|(first, rest)| (*first, rest)) else { return };
    put(out, format_args!("M{x} {y}"));
    if rest.is_empty() {
        out.push_str("h0");
        return;
    }
    out.push('l');
    for (place, (next_x, next_y)) in rest.iter().enumerate() {
        let (dx, dy) = (next_x - x, next_y - y);
        if place > 0 && dx >= 0 {
            out.push(' ');
        }
        put(out, format_args!("{dx}{}{dy}", if dy < 0 { "" } else { " " }));
        (x, y) = (*next_x, *next_y);
    }
}

/// First, lowest, highest and last of each pixel column, in their order (Jugel et al., "M4", VLDB 2014).
fn thin(run: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut kept = Vec::new();
    for column in run.chunk_by(|a, b| a.0.div_euclid(COLUMN) == b.0.div_euclid(COLUMN)) {
        let at = |place: usize| column[place];
        let lowest = (0..column.len()).min_by_key(|place| at(*place).1).unwrap_or(0);
        let highest = (0..column.len()).max_by_key(|place| at(*place).1).unwrap_or(0);
        let mut places = [0, lowest, highest, column.len() - 1];
        places.sort_unstable();
        let mut before = None;
        for place in places {
            if before != Some(place) {
                kept.push(at(place));
            }
            before = Some(place);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn samples(points: &[(i64, f64)]) -> Vec<Sample> {
        points.iter().map(|(at_ms, value)| Sample { at_ms: *at_ms, value: *value }).collect()
    }

    const PLOT: Plot = Plot { start_ms: 0, end_ms: 100, step_ms: 10, low: 0.0, high: 10.0, width: 100, height: 50 };

    #[test]
    fn paths_are_relative_and_broken_at_gaps() {
        for (points, expected) in [
            (vec![], ""),
            (vec![(0, 0.0), (10, 10.0), (20, 5.0)], "M0 50l10-50 10 25"),
            (vec![(0, 0.0), (30, 10.0), (40, 10.0)], "M0 50h0M30 0l10 0"),
            (vec![(0, 1.0), (10, f64::NAN), (20, 1.0)], "M0 45h0M20 45h0"),
            (vec![(-10, 1.0), (0, 1.0), (110, 1.0)], "M0 45h0"),
            (vec![(0, 99.0), (10, -99.0)], "M0 0l10 50"),
        ] {
            assert_eq!(path(&samples(&points), &PLOT), expected, "{points:?}");
        }
    }

    #[test]
    fn a_chart_is_this_text() {
        let points = samples(&[(0, 1.0), (30_000, 2.0), (60_000, 4.0)]);
        let chart = LineChart {
            label: "a \"b\" <c>",
            start_ms: 0,
            end_ms: 60_000,
            step_ms: 30_000,
            unit: Unit::Number,
            lines: vec![Line { points: &points, place: 7 }],
            threshold: Some(3.0),
            bands: &[Band { start_ms: 15_000, end_ms: 60_000, firing: true }],
        };
        assert_eq!(chart.draw().as_str(), include_str!("line.golden.svg").trim_end());
        assert_eq!(chart.cropped_at(), None);
    }

    /// Reads a path back to points, so that the property below looks at what a browser would.
    fn points_of(path: &str) -> Vec<(i64, i64)> {
        let numbers = |text: &str| -> Vec<i64> {
            text.replace('-', " -").split_whitespace().map(|n| n.parse().expect("an integer")).collect()
        };
        let mut out = Vec::new();
        for run in path.split('M').filter(|run| !run.is_empty()) {
            let (start, rest) = run.split_once(['l', 'h']).expect("a run has a command");
            let start = numbers(start);
            let (mut x, mut y) = (start[0], start[1]);
            out.push((x, y));
            for step in numbers(rest).chunks_exact(2) {
                x += step[0];
                y += step[1];
                out.push((x, y));
            }
        }
        out
    }

    #[test]
    fn no_spike_is_lost() {
        let mut state: u64 = 0x2545_f491_4f6c_dd1d;
        println!("seed {state:#x}");
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        for count in [1, 2, 7, 600, 5_000, 20_000] {
            let points: Vec<Sample> = (0..count)
                .map(|at_ms| Sample { at_ms, value: if random() < 0.01 { random() * 10.0 } else { 5.0 + random() } })
                .collect();
            let plot = Plot { end_ms: count, step_ms: 1, ..PLOT };
            let extremes = |points: &[(i64, i64)]| {
                let mut columns: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
                for (x, y) in points {
                    let column = columns.entry(x.div_euclid(COLUMN)).or_insert((*y, *y));
                    *column = (column.0.min(*y), column.1.max(*y));
                }
                columns
            };
            let all: Vec<(i64, i64)> = points.iter().map(|point| (plot.x(point.at_ms), plot.y(point.value))).collect();
            let drawn = points_of(&path(&points, &plot));
            assert_eq!(extremes(&drawn), extremes(&all), "{count} points");
            assert!(drawn.len() as i64 <= 4 * (plot.width / COLUMN + 1), "{} points drawn", drawn.len());
        }
    }
}
