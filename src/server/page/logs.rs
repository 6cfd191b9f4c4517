//! `/logs`: find the line, see what is around it.

use askama::Template;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect, Response};
use model::time::NS_PER_MS;
use model::{NsRange, Severity};
use query::QueryError;
use query::logs::{self, Bucket, Direction, SearchAnswer};
use serde::Deserialize;
use store::Snapshot;

use super::asked::{Asked, Asking, firing};
use super::empty::Empty;
use super::failure::{Failure, Trouble};
use super::frame::{Frame, show};
use super::link::link;
use super::log_row::{DETAIL_BYTES_MAX, LogRow};
use super::log_term::{narrowed, term};
use super::text::{Stamp, counted, grouped, one_line, time_of_day};
use super::window::{Window, WindowLink, frozen};
use crate::chart::{Bar, Histogram, Svg};

const ROWS_DEFAULT: usize = 50;
/// More rows than this make a page that a phone does not like; the API has no such limit.
const ROWS_MAX: usize = 200;
const BARS_WANTED: i64 = 60;
/// Services offered as filters.
const SERVICES_MAX: usize = 8;

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
}

pub(crate) struct HistogramView {
    pub(crate) sentence: String,
    pub(crate) keys: Vec<Key>,
    pub(crate) svg: Svg,
}

pub(crate) struct Key {
    pub(crate) class: &'static str,
    pub(crate) name: &'static str,
    pub(crate) count: String,
}

pub(crate) struct Facet {
    pub(crate) name: String,
    pub(crate) term: String,
    pub(crate) count: String,
}

#[derive(Template)]
#[template(path = "logs.html")]
pub(crate) struct LogsPage {
    pub(crate) frame: Frame,
    pub(crate) q: String,
    pub(crate) bad_query: bool,
    pub(crate) window: Window,
    pub(crate) limit_text: String,
    pub(crate) quick: Vec<WindowLink>,
    pub(crate) moves: Vec<WindowLink>,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) histogram: Option<HistogramView>,
    pub(crate) services: Vec<Facet>,
    /// Why there is no row; empty when there are some.
    pub(crate) nothing: String,
    /// Ways out of an empty answer: words and address.
    pub(crate) ways: Vec<(String, String)>,
    pub(crate) rows: Vec<LogRow>,
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
    let (term, keep) = match (parameters.with.as_str(), parameters.without.as_str()) {
        ("", "") => return None,
        ("", without) => (without, false),
        (with, _) => (with, true),
    };
    let q = narrowed(&parameters.q, term, keep);
    Some(link("/logs", &[("q", &q), ("from", &parameters.from), ("to", &parameters.to), ("limit", &parameters.limit)]))
}

fn build(asked: &Asked, parameters: &Parameters) -> Result<LogsPage, Failure> {
    let frame = Frame::new(asked, "/logs", firing(&asked.groups()));
    let mut page = LogsPage::new(frame, parameters, asked.now_ms);
    let Some(tenant) = asked.store()? else {
        page.empty = Some(Empty::of(&asked.state.settings));
        return Ok(page);
    };
    let newest_ns = tenant.stats().newest_log_ns;
    if newest_ns.is_none() {
        page.empty = Some(Empty::of(&asked.state.settings));
        return Ok(page);
    }
    page.ask(asked, &tenant.snapshot()?, parameters, newest_ns);
    Ok(page)
}

fn row_limit(text: &str) -> usize {
    text.trim().parse::<usize>().ok().filter(|limit| *limit > 0).unwrap_or(ROWS_DEFAULT).min(ROWS_MAX)
}

/// A round bar width that gives about [`BARS_WANTED`] bars.
fn bar_width_ms(length_ms: i64) -> i64 {
    const WIDTHS_S: [i64; 15] =
        [1, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800];
    WIDTHS_S.into_iter().map(|s| s * 1_000).find(|width_ms| *width_ms >= length_ms / BARS_WANTED).unwrap_or(604_800_000)
}

impl LogsPage {
    pub(crate) fn new(frame: Frame, parameters: &Parameters, now_ms: i64) -> LogsPage {
        let window = Window::parse(&parameters.from, &parameters.to, now_ms);
        let q = parameters.q.trim().to_string();
        let limit_text = parameters.limit.trim().to_string();
        let kept = [("q", q.as_str()), ("limit", limit_text.as_str())];
        let mut troubles = Vec::new();
        if !window.trouble.is_empty() {
            troubles
                .push(Trouble::new("The time window cannot be read; the last hour is shown", window.trouble.clone()));
        }
        let newest = link("/logs", &[("q", &q), ("limit", &limit_text), ("from", &window.from), ("to", &window.to)]);
        LogsPage {
            frame,
            bad_query: false,
            quick: window.quick("/logs", &kept),
            moves: window.moves("/logs", &kept, now_ms),
            troubles,
            histogram: None,
            services: Vec::new(),
            nothing: String::new(),
            ways: Vec::new(),
            rows: Vec::new(),
            older_href: String::new(),
            newest_href: if parameters.cursor.is_empty() { String::new() } else { newest },
            cost: String::new(),
            empty: None,
            limit_text,
            window,
            q,
        }
    }

    fn fail(&mut self, what: &str, error: &QueryError) {
        self.bad_query = matches!(error, QueryError::Parse { .. });
        self.troubles.push(Trouble::of_query(what, &self.q, error));
    }

    /// Asks for rows, histogram and services. The failure of one leaves the others.
    fn ask(&mut self, asked: &Asked, snapshot: &Snapshot, parameters: &Parameters, newest_ns: Option<i64>) {
        let search = match logs::parse(&self.q) {
            Ok(search) => search,
            Err(error) => return self.fail("The search cannot be read", &error),
        };
        let (range, limit) = (self.window.ns(), row_limit(&self.limit_text));
        let cursor = Some(parameters.cursor.as_str()).filter(|cursor| !cursor.is_empty());
        let budget = &asked.budget;
        match logs::search(snapshot, &search, range, Direction::NewestFirst, limit, cursor, budget) {
            Ok(answer) => self.show_rows(&answer, asked.now_ms),
            Err(error) => return self.fail("The search cannot be answered", &error),
        }
        let width_ms = bar_width_ms(self.window.length_ms());
        match logs::histogram(snapshot, &search, range, width_ms * NS_PER_MS, budget) {
            Ok((buckets, _)) => self.show_histogram(&buckets, width_ms, asked.now_ms),
            Err(error) => self.fail("The records cannot be counted", &error),
        }
        if self.rows.is_empty() {
            return self.explain(snapshot, range, newest_ns, asked);
        }
        match logs::top_values(snapshot, &search, range, "service.name", SERVICES_MAX, budget) {
            Ok(values) => self.show_services(values),
            Err(error) => self.fail("The services cannot be counted", &error),
        }
    }

    pub(crate) fn show_services(&mut self, values: Vec<(String, u64)>) {
        let facet = |(name, count): (String, u64)| {
            Some(Facet { term: term("service.name", &name)?, name: one_line(&name, 60), count: grouped(count) })
        };
        self.services = values.into_iter().filter_map(facet).collect();
    }

    pub(crate) fn show_rows(&mut self, answer: &SearchAnswer, now_ms: i64) {
        let mut room = DETAIL_BYTES_MAX;
        self.rows = answer.rows.iter().map(|row| LogRow::new(row, &self.window, &mut room, now_ms)).collect();
        if let Some(last) = answer.rows.last().filter(|_| answer.more) {
            // The window is frozen: were it to move on with the clock, so would what is older.
            let window = frozen(self.window.start_ms, self.window.end_ms);
            let mut parts =
                vec![("q", self.q.as_str()), ("limit", self.limit_text.as_str()), ("cursor", last.cursor.as_str())];
            parts.extend(window.each());
            self.older_href = link("/logs", &parts);
        }
        let stats = &answer.stats;
        self.cost = format!(
            "{}{}, looked at {}",
            counted(self.rows.len() as u64, "record", "records"),
            if answer.more { ", more match" } else { ", no more match" },
            counted(stats.records_scanned, "record", "records"),
        );
    }

    pub(crate) fn show_histogram(&mut self, buckets: &[Bucket], width_ms: i64, now_ms: i64) {
        const KEYS: [(&str, &str, &[Severity]); 6] = [
            ("lf", "fatal", &[Severity::Fatal]),
            ("le", "error", &[Severity::Error]),
            ("lw", "warn", &[Severity::Warn]),
            ("li", "info", &[Severity::Info]),
            ("ld", "debug", &[Severity::Debug, Severity::Trace]),
            ("lu", "other", &[Severity::Unspecified]),
        ];
        let count_of = |severity: Severity| buckets.iter().map(|bucket| bucket.counts[severity as usize]).sum::<u64>();
        let keys: Vec<Key> = KEYS
            .iter()
            .map(|(class, name, severities)| {
                (class, name, severities.iter().map(|severity| count_of(*severity)).sum::<u64>())
            })
            .filter(|(_, _, count)| *count > 0)
            .map(|(class, name, count)| Key { class, name, count: grouped(count) })
            .collect();
        let total = buckets.iter().flat_map(|bucket| bucket.counts).sum::<u64>();
        let bars = buckets.iter().map(|bucket| self.bar(bucket, width_ms)).collect();
        let sentence = format!("{} in {}", counted(total, "record", "records"), self.window.length());
        let end = |at_ms: i64| Stamp::of_ms(at_ms, now_ms).text;
        let chart = Histogram {
            label: &format!("{sentence}, by time and severity"),
            bars,
            from: end(self.window.start_ms),
            to: end(self.window.end_ms),
        };
        let peak = chart.peak();
        let svg = chart.draw();
        let bar = model::time::format_duration_ms(width_ms);
        let sentence = if total > 0 { format!("{sentence}, at most {} in {bar}", grouped(peak)) } else { sentence };
        self.histogram = Some(HistogramView { sentence, keys, svg });
    }

    fn bar(&self, bucket: &Bucket, width_ms: i64) -> Bar {
        let start_ms = bucket.start_ns.div_euclid(NS_PER_MS);
        let counts: Vec<String> = Severity::ALL
            .iter()
            .rev()
            .map(|severity| (severity, bucket.counts[*severity as usize]))
            .filter(|(_, count)| *count > 0)
            .map(|(severity, count)| format!("{} {}", grouped(count), severity.as_str()))
            .collect();
        let counts = if counts.is_empty() { "no records".into() } else { counts.join(", ") };
        let window = frozen(start_ms, start_ms + width_ms);
        let mut parts = vec![("q", self.q.as_str()), ("limit", self.limit_text.as_str())];
        parts.extend(window.each());
        Bar {
            counts: bucket.counts,
            title: format!("{}: {counts}", time_of_day(start_ms)),
            href: link("/logs", &parts),
        }
    }

    /// Says why nothing was found, and where there is something.
    fn explain(&mut self, snapshot: &Snapshot, range: NsRange, newest_ns: Option<i64>, asked: &Asked) {
        let unfiltered = if self.q.is_empty() {
            Ok(0)
        } else {
            let width_ns = (range.end_ns - range.start_ns).max(1);
            logs::parse("")
                .and_then(|all| logs::histogram(snapshot, &all, range, width_ns, &asked.budget))
                .map(|(buckets, _)| buckets.iter().flat_map(|bucket| bucket.counts).sum::<u64>())
        };
        match unfiltered {
            Ok(others) => self.show_nothing(others, newest_ns, asked.now_ms),
            Err(error) => self.fail("The records cannot be counted", &error),
        }
    }

    pub(crate) fn show_nothing(&mut self, others: u64, newest_ns: Option<i64>, now_ms: i64) {
        if others > 0 {
            self.nothing = "No record in this window matches the search.".into();
            let parts = [("from", self.window.from.as_str()), ("to", &self.window.to), ("limit", &self.limit_text)];
            self.ways.push((
                format!("Show all {} of this window", counted(others, "record", "records")),
                link("/logs", &parts),
            ));
            if self.window.length_ms() < 86_400_000 {
                self.ways.push(("Search the last 24 h".into(), link("/logs", &[("q", &self.q), ("from", "now-24h")])));
            }
            return;
        }
        self.nothing = "There is no record in this window.".into();
        if let Some(newest_ns) = newest_ns {
            let newest_ms = newest_ns.div_euclid(NS_PER_MS);
            let around = frozen(newest_ms - self.window.length_ms(), newest_ms + 1_000);
            let mut parts = vec![("q", self.q.as_str()), ("limit", self.limit_text.as_str())];
            parts.extend(around.each());
            self.ways.push((
                format!("Go to the newest record, {}", Stamp::of_ms(newest_ms, now_ms).text),
                link("/logs", &parts),
            ));
        }
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
    }

    #[test]
    fn limits_and_widths_stay_in_bounds() {
        for (text, limit) in [("", 50), ("20", 20), ("0", 50), ("x", 50), ("99999", 200)] {
            assert_eq!(row_limit(text), limit);
        }
        for (length_ms, width_ms) in
            [(300_000, 5_000), (3_600_000, 60_000), (86_400_000, 1_800_000), (31_536_000_000, 604_800_000)]
        {
            assert_eq!(bar_width_ms(length_ms), width_ms);
        }
    }
}
