//! The times under a plot, and the lines above them.

use super::line::Plot;
use super::svg::{put, tenth};
use super::ticks::{TimeTick, time_ticks};

/// Most labels; every other one gives way on a narrow screen.
const TICKS_MAX: i64 = 8;

pub(super) struct TimeAxis(Vec<TimeTick>);

impl TimeAxis {
    pub(super) fn of(plot: &Plot) -> TimeAxis {
        TimeAxis(time_ticks(plot.start_ms, plot.end_ms, TICKS_MAX))
    }

    /// Inside the plot's own picture.
    pub(super) fn grid(&self, plot: &Plot, out: &mut String) {
        for tick in &self.0 {
            let x = percent(plot, tick.at_ms);
            put(out, format_args!("<line class=\"g\" x1=\"{x}%\" x2=\"{x}%\" y2=\"100%\"/>"));
        }
    }

    /// A picture of its own, below.
    pub(super) fn labels(&self, plot: &Plot, out: &mut String) {
        out.push_str("<svg class=\"xa\" aria-hidden=\"true\">");
        for (place, tick) in self.0.iter().enumerate() {
            let x = plot.x(tick.at_ms);
            // Those at the edges stay inside.
            let side = if x < plot.width / 20 {
                "l"
            } else if x > plot.width * 19 / 20 {
                "r"
            } else {
                ""
            };
            let class = match (side, place % 2 == 1) {
                ("", false) => String::new(),
                (side, false) => format!(" class=\"{side}\""),
                ("", true) => " class=\"o\"".into(),
                (side, true) => format!(" class=\"{side} o\""),
            };
            put(out, format_args!("<text{class} x=\"{}%\" y=\"1em\">{}</text>", percent(plot, tick.at_ms), tick.label));
        }
        out.push_str("</svg>");
    }
}

fn percent(plot: &Plot, at_ms: i64) -> f64 {
    tenth(plot.x(at_ms) as f64 * 100.0 / plot.width as f64)
}
