//! `/logs`: find the line, see what is around it.

use askama::Template;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect, Response};
use model::time::NS_PER_MS;
use query::QueryError;
use query::logs::{self, Direction, Partial, Position, Search, SearchAnswer};
use serde::Deserialize;
use store::Snapshot;

use super::asked::{Asked, Asking, firing};
use super::empty::Empty;
use super::failure::{Failure, Trouble};
use super::frame::{Frame, show};
use super::link::link;
use super::log_facets::{self, FacetView};
use super::log_histogram::{HistogramView, bar_width_ms};
use super::log_patterns::{self, PatternsView};
use super::log_row::{DETAIL_BYTES_MAX, LogRow, Shown};
use super::log_term::narrowed;
use super::text::{Stamp, counted, one_line};
use super::window::{When, WindowLink, frozen};

const ROWS_DEFAULT: usize = 50;
/// More rows than this make a page that a phone does not like; the API has no such limit.
const ROWS_MAX: usize = 200;
/// Fields shown as columns.
const COLUMNS_MAX: usize = 8;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Parameters {
    pub(crate) q: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) limit: String,
    pub(crate) cursor: String,
    /// A term to add to the search: what a filter button sends.
    pub(crate) with: String,
    /// A term to exclude.
    pub(crate) without: String,
    /// Fields to show in every line, with commas between.
    pub(crate) cols: String,
    /// A field to add to them.
    pub(crate) col: String,
    /// `patterns` for what lines have in common; the lines otherwise.
    pub(crate) view: String,
}

/// An answer that is not whole.
pub(crate) struct PartialView {
    pub(crate) sentence: String,
    pub(crate) reason: String,
    pub(crate) rest_href: String,
}

#[derive(Template)]
#[template(path = "logs.html")]
pub(crate) struct LogsPage {
    pub(crate) frame: Frame,
    /// This view with its times as they are now.
    pub(crate) frozen_href: String,
    pub(crate) q: String,
    pub(crate) columns: Vec<String>,
    pub(crate) cols_text: String,
    pub(crate) bad_query: bool,
    pub(crate) when: When,
    pub(crate) limit_text: String,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) histogram: Option<HistogramView>,
    pub(crate) facets: Vec<FacetView>,
    pub(crate) partial: Option<PartialView>,
    pub(crate) tabs: Vec<WindowLink>,
    pub(crate) patterns: Option<PatternsView>,
    /// Why there is no row; empty when there are some.
    pub(crate) nothing: String,
    /// Ways out of an empty answer: words and address.
    pub(crate) ways: Vec<(String, String)>,
    pub(crate) rows: Vec<LogRow>,
    /// Where a live tail goes on from; empty where the list does not reach up to the present.
    pub(crate) place: String,
    /// From when on records are held, where the window begins before; empty otherwise.
    pub(crate) held_from: String,
    pub(crate) older_href: String,
    pub(crate) newest_href: String,
    pub(crate) cost: String,
    pub(crate) empty: Option<Empty>,
}

pub(super) async fn page(asking: Asking, Query(parameters): Query<Parameters>) -> Result<Response, Failure> {
    if let Some(address) = filtered(&parameters) {
        return Ok(Redirect::to(&address).into_response());
    }
    show(&asking.answer(move |asked| build(asked, &parameters)).await?)
}

/// Where a filter button leads: the search with its term in it, so that the address says what is seen.
fn filtered(parameters: &Parameters) -> Option<String> {
    let mut cols = columns(&parameters.cols);
    let q = match (parameters.with.as_str(), parameters.without.as_str()) {
        ("", "") if parameters.col.is_empty() => return None,
        ("", "") => {
            cols.push(parameters.col.clone());
            parameters.q.clone()
        }
        ("", without) => narrowed(&parameters.q, without, false),
        (with, _) => narrowed(&parameters.q, with, true),
    };
    let cols = columns(&cols.join(",")).join(",");
    let Parameters { from, to, limit, .. } = parameters;
    Some(link("/logs", &[("q", &q), ("from", from), ("to", to), ("limit", limit), ("cols", &cols)]))
}

/// Names of fields between commas, each once.
pub(super) fn columns(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if out.len() < COLUMNS_MAX && !out.iter().any(|known| known == name) {
            out.push(name.to_owned());
        }
    }
    out
}

fn build(asked: &Asked, parameters: &Parameters) -> Result<LogsPage, Failure> {
    let frame = Frame::new(asked, "/logs", firing(&asked.groups()));
    let mut page = LogsPage::new(frame, parameters, asked.now_ms);
    let Some(tenant) = asked.store()? else {
        page.empty = Some(Empty::of(&asked.state.settings));
        return Ok(page);
    };
    let stats = tenant.stats();
    let newest_ns = stats.newest_log_ns;
    if newest_ns.is_none() {
        page.empty = Some(Empty::of(&asked.state.settings));
        return Ok(page);
    }
    page.say_held_from(stats.oldest_log_ns, asked.now_ms);
    page.ask(asked, &tenant.snapshot()?, parameters, newest_ns);
    Ok(page)
}

fn row_limit(text: &str) -> usize {
    text.trim().parse::<usize>().ok().filter(|limit| *limit > 0).unwrap_or(ROWS_DEFAULT).min(ROWS_MAX)
}

impl LogsPage {
    pub(crate) fn new(frame: Frame, parameters: &Parameters, now_ms: i64) -> LogsPage {
        let q = parameters.q.trim().to_string();
        let limit_text = parameters.limit.trim().to_string();
        let columns = columns(&parameters.cols);
        let cols_text = columns.join(",");
        let kept = [("q", q.as_str()), ("limit", limit_text.as_str()), ("cols", cols_text.as_str())];
        let (when, trouble) = When::parse("/logs", &kept, &parameters.from, &parameters.to, now_ms);
        let window = &when.window;
        let newest = link("/logs", &[&kept[..], &[("from", &*window.from), ("to", &*window.to)]].concat());
        let tab = |name: &str, view: &str| WindowLink {
            name: name.into(),
            label: name.into(),
            href: link("/logs", &[&kept[..], &[("from", &*window.from), ("to", &*window.to), ("view", view)]].concat()),
            current: (parameters.view == "patterns") == (view == "patterns"),
        };
        let tabs = vec![tab("Lines", ""), tab("Patterns", "patterns")];
        let frozen_href = link(
            "/logs",
            &[&kept[..], &frozen(window.start_ms, window.end_ms).each(), &[("cursor", &*parameters.cursor)]].concat(),
        );
        LogsPage {
            frame,
            frozen_href,
            bad_query: false,
            troubles: trouble.into_iter().collect(),
            histogram: None,
            facets: Vec::new(),
            partial: None,
            tabs,
            patterns: None,
            nothing: String::new(),
            ways: Vec::new(),
            rows: Vec::new(),
            place: String::new(),
            held_from: String::new(),
            older_href: String::new(),
            newest_href: if parameters.cursor.is_empty() { String::new() } else { newest },
            cost: String::new(),
            empty: None,
            limit_text,
            columns,
            cols_text,
            when,
            q,
        }
    }

    pub(super) fn fail(&mut self, what: &str, error: &QueryError) {
        self.bad_query = matches!(error, QueryError::Parse { .. });
        self.troubles.push(Trouble::of_query(what, &self.q, error));
    }

    /// Parameters that every link to this page keeps.
    pub(super) fn kept(&self) -> [(&'static str, &str); 3] {
        [("q", &self.q), ("limit", &self.limit_text), ("cols", &self.cols_text)]
    }

    /// Asks for rows, histogram and facets. The failure of one leaves the others.
    fn ask(&mut self, asked: &Asked, snapshot: &Snapshot, parameters: &Parameters, newest_ns: Option<i64>) {
        let search = match logs::parse(&self.q) {
            Ok(search) => search,
            Err(error) => return self.fail("The search cannot be read", &error),
        };
        let (range, limit) = (self.when.window.ns(), row_limit(&self.limit_text));
        if parameters.view == "patterns" {
            return self.ask_patterns(asked, snapshot, &search, newest_ns);
        }
        let cursor = Some(parameters.cursor.as_str()).filter(|cursor| !cursor.is_empty());
        let budget = &asked.budget;
        match logs::search_in_part(snapshot, &search, range, Direction::NewestFirst, limit, cursor, budget) {
            Ok(answer) => {
                self.show_rows(&answer, asked.now_ms);
                if cursor.is_none() && self.when.window.to.is_empty() {
                    self.place = Position::end_of(snapshot).to_text();
                }
            }
            Err(error) => return self.fail("The search cannot be answered", &error),
        }
        self.count(asked, snapshot, &search);
        if self.rows.is_empty() {
            self.explain(snapshot, range, newest_ns, asked);
            self.offer_counted();
            return self.offer_names(snapshot, &search, range, asked);
        }
        match log_facets::ask(snapshot, &search, range, budget) {
            Ok(facets) => self.facets = facets,
            Err(error) => self.fail("The values of fields cannot be counted", &error),
        }
    }

    pub(crate) fn show_rows(&mut self, answer: &SearchAnswer, now_ms: i64) {
        let mut room = DETAIL_BYTES_MAX;
        let shown = Shown { window: &self.when.window, columns: &self.columns, now_ms };
        self.rows = answer.rows.iter().map(|row| LogRow::new(row, &shown, &mut room)).collect();
        if let Some(last) = answer.rows.last().filter(|_| answer.more) {
            // The window is frozen: were it to move on with the clock, so would what is older.
            let window = frozen(self.when.window.start_ms, self.when.window.end_ms);
            let parts = [&self.kept()[..], &[("cursor", &*last.cursor)], &window.each()].concat();
            self.older_href = link("/logs", &parts);
        }
        if let Some(partial) = &answer.partial {
            self.show_partial(partial, now_ms);
        }
        let stats = &answer.stats;
        let fewer = self.limit_text.parse::<usize>().is_ok_and(|wanted| wanted > ROWS_MAX) && answer.more;
        self.cost = format!(
            "{}{}{}, looked at {}",
            counted(self.rows.len() as u64, "record", "records"),
            if fewer { ", the most of one page" } else { "" },
            if answer.more { ", more match" } else { ", no more match" },
            counted(stats.records_scanned, "record", "records"),
        );
    }

    fn count(&mut self, asked: &Asked, snapshot: &Snapshot, search: &Search) {
        let width_ms = bar_width_ms(self.when.window.length_ms());
        match logs::histogram_in_part(snapshot, search, self.when.window.ns(), width_ms * NS_PER_MS, &asked.budget) {
            Ok((buckets, partial)) => {
                self.show_histogram(&buckets, width_ms, asked.now_ms);
                if let Some(partial) = &partial {
                    self.show_partial(partial, asked.now_ms);
                }
            }
            Err(error) => self.fail("The records cannot be counted", &error),
        }
    }

    fn ask_patterns(&mut self, asked: &Asked, snapshot: &Snapshot, search: &Search, newest_ns: Option<i64>) {
        let range = self.when.window.ns();
        let width_ns = bar_width_ms(self.when.window.length_ms()) * NS_PER_MS;
        self.count(asked, snapshot, search);
        match log_patterns::ask(snapshot, search, range, width_ns, &asked.budget) {
            Ok(found) if found.patterns.is_empty() => self.explain(snapshot, range, newest_ns, asked),
            Ok(found) => {
                self.patterns = Some(log_patterns::view(&found, range, width_ns, asked.now_ms));
                if let Some(partial) = &found.partial {
                    self.show_partial(partial, asked.now_ms);
                }
            }
            Err(error) => self.fail("The patterns cannot be counted", &error),
        }
    }

    fn show_partial(&mut self, partial: &Partial, now_ms: i64) {
        let ms = |ns: i64| ns.div_euclid(NS_PER_MS);
        let text = |at_ms: i64| Stamp::to_the_second(at_ms, now_ms).text;
        let (start_ms, end_ms) = (ms(partial.covered.start_ns), ms(partial.covered.end_ns));
        let whole = format!("{} to {}", text(self.when.window.start_ms), text(self.when.window.end_ms));
        let rest = frozen(self.when.window.start_ms, start_ms);
        let has_rest = (self.when.window.start_ms + 1_000..self.when.window.end_ms).contains(&start_ms);
        self.partial = Some(PartialView {
            sentence: match start_ms < end_ms {
                true => format!("Partial: covers {} to {} of {whole}.", text(start_ms), text(end_ms)),
                false => format!("Partial: the search ended before any of {whole} was done."),
            },
            reason: one_line(&partial.reason, 300),
            rest_href: match has_rest {
                true => link("/logs", &[&self.kept()[..], &rest.each()].concat()),
                false => String::new(),
            },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_buttons_lead_to_the_search_with_their_term() {
        let with =
            Parameters { q: "x".into(), from: "now-6h".into(), with: "k:\"a b\"".into(), ..Parameters::default() };
        assert_eq!(filtered(&with).as_deref(), Some("/logs?q=x%20k:%22a%20b%22&from=now-6h"));
        let without = Parameters { without: "k:v".into(), ..Parameters::default() };
        assert_eq!(filtered(&without).as_deref(), Some("/logs?q=-k:v"));
        assert_eq!(filtered(&Parameters::default()), None);
        let column = Parameters { q: "x".into(), cols: "a, b,,a".into(), col: "c.d".into(), ..Parameters::default() };
        assert_eq!(filtered(&column).as_deref(), Some("/logs?q=x&cols=a%2Cb%2Cc.d"));
    }

    #[test]
    fn limits_stay_in_bounds() {
        for (text, limit) in [("", 50), ("20", 20), ("0", 50), ("x", 50), ("99999", 200)] {
            assert_eq!(row_limit(text), limit);
        }
    }
}
