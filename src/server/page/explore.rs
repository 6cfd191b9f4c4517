//! `/explore`: find a metric, plot it.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use model::labels::METRIC_NAME;
use model::time::{format_duration_ms, parse_duration_ms};
use model::{Labels, MatchOp, MsRange, Sample};
use query::QueryError;
use query::promql::{Answer, Value};
use serde::Deserialize;

use super::alert_view::value_unit;
use super::asked::{Asked, Asking, firing};
use super::assets::SUGGEST_JS_HREF;
use super::empty::Empty;
use super::failure::{Failure, Trouble};
use super::frame::{Frame, show};
use super::graph::{Drawing, Graph, POINTS_MAX, aligned, auto_step_ms};
use super::heatmap::Spread;
use super::link::link;
use super::metric_list::MetricList;
use super::overview::newest_ms;
use super::text::{Stamp, counted, grouped, one_line};
use super::window::{When, Window};
use crate::api::view::View;
use crate::chart::Unit;

/// Views beside the graph, as they stand in the address.
const TABLE: &str = "table";
const HEATMAP: &str = "heatmap";
/// Rows of an instant query's table.
const TABLE_ROWS_MAX: usize = 500;
/// Samples shown of each series of a range vector.
const SAMPLES_SHOWN: usize = 5;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Parameters {
    pub(crate) q: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) step: String,
    /// `table` for an instant query at the window's end, `heatmap` for how a histogram spreads; a graph otherwise.
    pub(crate) view: String,
    /// Filter of the list of metrics.
    pub(crate) find: String,
}

pub(crate) struct Table {
    pub(crate) sentence: String,
    pub(crate) rows: Vec<(String, String)>,
}

pub(crate) struct Tab {
    pub(crate) name: &'static str,
    pub(crate) href: String,
    pub(crate) current: bool,
}

#[derive(Template)]
#[template(path = "explore.html")]
pub(crate) struct ExplorePage {
    pub(crate) frame: Frame,
    pub(crate) q: String,
    /// The script that the query box loads when somebody types in it.
    pub(crate) suggest_href: &'static str,
    pub(crate) bad_query: bool,
    pub(crate) when: When,
    pub(crate) step_text: String,
    pub(crate) step_auto: String,
    pub(crate) view: &'static str,
    pub(crate) tabs: Vec<Tab>,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) warnings: Vec<String>,
    /// Queries that may have been meant, in words, and their addresses.
    pub(crate) ways: Vec<(String, String)>,
    pub(crate) chart: Option<Graph>,
    pub(crate) heatmap: Option<Spread>,
    pub(crate) table: Option<Table>,
    pub(crate) cost: String,
    pub(crate) metrics: Option<MetricList>,
    pub(crate) empty: Option<Empty>,
}

pub(super) async fn page(asking: Asking, Query(parameters): Query<Parameters>) -> Result<Response, Failure> {
    show(&asking.answer(move |asked| build(asked, &parameters)).await?)
}

fn build(asked: &Asked, parameters: &Parameters) -> Result<ExplorePage, Failure> {
    let frame = Frame::new(asked, "/explore", firing(&asked.groups()));
    let mut page = ExplorePage::new(frame, parameters, asked.now_ms);
    let view = View::of(&asked.state.store, &asked.tenant)?;
    if page.q.is_empty() {
        let nothing = asked.store()?.is_none_or(|tenant| newest_ms(&tenant.stats()).is_none());
        match view.snapshot().filter(|_| !nothing) {
            Some(snapshot) => page.metrics = Some(MetricList::new(snapshot, &parameters.find)?),
            None => page.empty = Some(Empty::of(&asked.state.settings)),
        }
        return Ok(page);
    }
    let metrics = asked.metrics(&view);
    if page.view == TABLE {
        let at_ms = page.when.window.end_ms;
        let answer = metrics.instant(&page.q, at_ms);
        page.show_table(answer, asked.now_ms);
        if page.table.as_ref().is_some_and(|table| table.rows.is_empty()) {
            page.offer_names(&view.label_values(METRIC_NAME, &[], MsRange::ALL)?);
        }
        return Ok(page);
    }
    let step_ms = match step_ms(&parameters.step, &page.when.window) {
        Ok(step_ms) => step_ms,
        Err(trouble) => {
            page.troubles.push(trouble);
            auto_step_ms(page.when.window.length_ms())
        }
    };
    let answer = metrics.range(&page.q, aligned(page.when.window.ms(), step_ms), step_ms);
    page.show_graph(answer, step_ms, asked.now_ms);
    if page.chart.is_none() && page.heatmap.is_none() && page.troubles.is_empty() {
        page.offer_names(&view.label_values(METRIC_NAME, &[], MsRange::ALL)?);
    }
    Ok(page)
}

/// What the bounds of the buckets of a query's first metric count, whatever is computed of them.
fn bucket_unit(q: &str) -> Unit {
    let Ok(expr) = query::promql::parse(q) else { return Unit::Number };
    let unit = |name: &str| Unit::of_metric(name.strip_suffix("_bucket").unwrap_or(name));
    metric_names(&expr).next().map_or(Unit::Number, unit)
}

/// The metrics that an expression names, from left to right.
fn metric_names(expr: &query::promql::Expr) -> impl Iterator<Item = &str> {
    let matchers = query::promql::selectors(expr).into_iter().flatten();
    matchers.filter(|of| of.name == METRIC_NAME && of.op == MatchOp::Equal).map(|of| of.value.as_str())
}

/// The name most like this one, if one is close enough to have been meant.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    // Longer ones are no typing, and would cost.
    const BYTES_MAX: usize = 128;
    if name.len() > BYTES_MAX {
        return None;
    }
    let near = known.iter().filter(|other| other.len() <= BYTES_MAX);
    let (distance, found) = near.map(|other| (model::spelling::distance(name, other), other)).min()?;
    (distance <= 1 + name.len() / 6).then_some(found)
}

fn step_ms(text: &str, window: &Window) -> Result<i64, Trouble> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(auto_step_ms(window.length_ms()));
    }
    let seconds = || text.parse::<f64>().ok().filter(|s| s.is_finite()).map(|s| (s * 1_000.0) as i64);
    let Some(step_ms) = parse_duration_ms(text).or_else(seconds).filter(|step_ms| *step_ms > 0) else {
        return Err(Trouble::new("The step is not a duration", format!("{text:?}: write 30s, 5m, or seconds")));
    };
    if window.length_ms() / step_ms > POINTS_MAX {
        return Err(Trouble::new(
            "The step is too small for this window",
            format!("more than {} points; use a longer step or a shorter window", grouped(POINTS_MAX as u64)),
        ));
    }
    Ok(step_ms)
}

impl ExplorePage {
    pub(crate) fn new(frame: Frame, parameters: &Parameters, now_ms: i64) -> ExplorePage {
        let q = parameters.q.trim().to_string();
        let view = [TABLE, HEATMAP].into_iter().find(|view| *view == parameters.view).unwrap_or_default();
        let kept = [("q", q.as_str()), ("step", parameters.step.as_str()), ("view", view)];
        let (when, trouble) = When::parse("/explore", &kept, &parameters.from, &parameters.to, now_ms);
        let tab = |name, of: &'static str| {
            let parts = [
                ("q", q.as_str()),
                ("from", &when.window.from),
                ("to", &when.window.to),
                ("step", &parameters.step),
                ("view", of),
            ];
            Tab { name, href: link("/explore", &parts), current: of == view }
        };
        ExplorePage {
            frame,
            suggest_href: &SUGGEST_JS_HREF,
            bad_query: false,
            tabs: vec![tab("Graph", ""), tab("Table", TABLE), tab("Heatmap", HEATMAP)],
            step_text: parameters.step.trim().into(),
            step_auto: format_duration_ms(auto_step_ms(when.window.length_ms())),
            view,
            troubles: trouble.into_iter().collect(),
            warnings: Vec::new(),
            ways: Vec::new(),
            chart: None,
            heatmap: None,
            table: None,
            cost: String::new(),
            metrics: None,
            empty: None,
            when,
            q,
        }
    }

    fn fail(&mut self, error: &QueryError) {
        self.bad_query = matches!(error, QueryError::Parse { .. });
        self.troubles.push(Trouble::of_query("The query cannot be answered", &self.q, error));
    }

    fn note(&mut self, answer: &Answer) {
        self.warnings = answer.warnings.iter().chain(&answer.infos).map(|text| one_line(text, 400)).collect();
        self.cost = format!(
            "read {} of {}",
            counted(answer.samples_read, "sample", "samples"),
            counted(answer.series_read, "series", "series")
        );
    }

    pub(crate) fn show_graph(&mut self, answer: Result<Answer, QueryError>, step_ms: i64, now_ms: i64) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.fail(&error),
        };
        self.note(&answer);
        let drawing = Drawing {
            range: aligned(self.when.window.ms(), step_ms),
            step_ms,
            unit: value_unit(&self.q),
            limit: None,
            bands: &[],
            from: &self.when.window.from,
            to: &self.when.window.to,
            now_ms,
        };
        let Value::Matrix(rows) = &answer.value else { return };
        // Native histograms have no line to draw.
        if self.view == HEATMAP || (rows.is_empty() && !answer.histograms.is_empty()) {
            let unit = bucket_unit(&self.q);
            self.heatmap = Spread::of(rows, &answer.histograms, &Drawing { unit, ..drawing });
            if self.heatmap.is_some() {
                return;
            }
            let nothing = rows.is_empty() && answer.histograms.is_empty();
            if !nothing {
                self.warnings.push(
                    "There are no buckets in this answer, so it has no heatmap. Ask for sum by (le) (rate(NAME_bucket[5m])), or for rate(NAME[5m]) of a native histogram."
                        .into(),
                );
                return;
            }
        }
        if rows.is_empty() {
            self.warnings.push(
                "No series matches in this window. Check names and labels in the list of metrics, or widen the window."
                    .into(),
            );
            return;
        }
        self.chart = Some(Graph::new(rows, &drawing));
    }

    /// After an answer without anything: a metric that no series has is misspelt, most likely.
    pub(crate) fn offer_names(&mut self, known: &[String]) {
        let Ok(expr) = query::promql::parse(&self.q) else { return };
        for name in metric_names(&expr) {
            if known.iter().any(|other| other == name) {
                continue;
            }
            let shown = one_line(name, 120);
            match nearest(name, known) {
                Some(nearest) => {
                    let q = self.q.replace(name, nearest);
                    let window = [("from", &*self.when.window.from), ("to", &self.when.window.to)];
                    let parts = [&[("q", &*q), ("step", &self.step_text), ("view", self.view)][..], &window].concat();
                    let words = format!("No metric is called {shown}. Ask for {}", one_line(nearest, 120));
                    self.ways.push((words, link("/explore", &parts)));
                }
                None => self.ways.push((format!("No metric is called {shown}. All of them"), "/explore".into())),
            }
        }
    }

    pub(crate) fn show_table(&mut self, answer: Result<Answer, QueryError>, now_ms: i64) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.fail(&error),
        };
        self.note(&answer);
        let unit = value_unit(&self.q);
        let at = Stamp::of_ms(self.when.window.end_ms, now_ms).text;
        let (kind, mut rows) = match answer.value {
            Value::Scalar(sample) => ("scalar", vec![("scalar".to_string(), exact(sample.value, unit))]),
            Value::String { text, .. } => ("string", vec![("string".to_string(), one_line(&text, 1_000))]),
            Value::Vector(elements) => (
                "series",
                elements.into_iter().map(|(labels, sample)| (name(&labels), exact(sample.value, unit))).collect(),
            ),
            Value::Matrix(rows) => (
                "series",
                rows.into_iter().map(|(labels, samples)| (name(&labels), last_samples(&samples, now_ms))).collect(),
            ),
        };
        let count = rows.len();
        rows.truncate(TABLE_ROWS_MAX);
        let sentence = if count > TABLE_ROWS_MAX {
            format!("The first {TABLE_ROWS_MAX} of {} series at {at}.", grouped(count as u64))
        } else if count == 0 {
            format!("Nothing at {at}.")
        } else {
            format!("{} {kind} at {at}.", grouped(count as u64))
        };
        self.table = Some(Table { sentence, rows });
    }
}

fn name(labels: &Labels) -> String {
    one_line(&labels.to_string(), 1_000)
}

/// The number in full, and as charts write it where that differs.
fn exact(value: f64, unit: Unit) -> String {
    let full = model::any::double_text(value);
    let short = unit.text(value);
    if full == short || unit == Unit::Number { full } else { format!("{full} ({short})") }
}

fn last_samples(samples: &[Sample], now_ms: i64) -> String {
    let first = samples.len().saturating_sub(SAMPLES_SHOWN);
    let shown: Vec<String> = samples[first..]
        .iter()
        .map(|sample| {
            format!("{} @ {}", model::any::double_text(sample.value), Stamp::of_ms(sample.at_ms, now_ms).text)
        })
        .collect();
    let more = if first > 0 { format!("{} older, ", grouped(first as u64)) } else { String::new() };
    format!("{more}{}", shown.join(", "))
}
