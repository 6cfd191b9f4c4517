//! A chart of a page of several: its title, its drawing, or what is wrong with it alone.

use super::asked::Metrics;
use super::failure::Trouble;
use super::graph::{Drawing, Graph, aligned, auto_step_ms};
use super::heatmap::Spread;
use super::link::link;
use super::window::Window;
use crate::chart::Unit;

/// Shortest window of a rate: two samples of the usual minute, and some to spare.
const RATE_MS_MIN: i64 = 300_000;

pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) graph: Option<Graph>,
    pub(crate) spread: Option<Spread>,
    pub(crate) trouble: Option<Trouble>,
    pub(crate) explore_href: String,
}

/// What a panel is to show.
pub(crate) struct Question<'a> {
    pub(crate) title: &'a str,
    pub(crate) unit: Unit,
    /// Above which it is worth a look.
    pub(crate) limit: Option<f64>,
    pub(crate) heatmap: bool,
    pub(crate) query: &'a str,
}

/// The window of `rate` that suits a chart over this one: `5m`.
pub(crate) fn rate_window(window: &Window) -> String {
    model::time::format_duration_ms(RATE_MS_MIN.max(4 * auto_step_ms(window.length_ms())))
}

impl Panel {
    /// Asks and draws; `None` when there is nothing in this window. What is wrong is shown in the panel's place.
    pub(crate) fn ask(metrics: &Metrics<'_>, question: &Question<'_>, window: &Window, now_ms: i64) -> Option<Panel> {
        let step_ms = auto_step_ms(window.length_ms());
        let drawing = Drawing {
            range: aligned(window.ms(), step_ms),
            step_ms,
            unit: question.unit,
            limit: question.limit.map(|limit| (">", limit)),
            bands: &[],
            from: &window.from,
            to: &window.to,
            now_ms,
        };
        let view = if question.heatmap { "heatmap" } else { "" };
        let parts = [("q", question.query), ("from", &window.from), ("to", &window.to), ("view", view)];
        let mut panel = Panel {
            title: super::text::one_line(question.title, 120),
            graph: None,
            spread: None,
            trouble: None,
            explore_href: link("/explore", &parts),
        };
        match metrics.range(question.query, drawing.range, step_ms) {
            Ok(answer) => {
                let query::promql::Value::Matrix(rows) = &answer.value else { return None };
                if question.heatmap {
                    panel.spread = Some(Spread::of(rows, &answer.histograms, &drawing)?);
                } else if rows.is_empty() {
                    return None;
                } else {
                    panel.graph = Some(Graph::new(rows, &drawing));
                }
            }
            Err(error) => panel.trouble = Some(Trouble::new("This cannot be drawn", error.to_string())),
        }
        Some(panel)
    }
}
