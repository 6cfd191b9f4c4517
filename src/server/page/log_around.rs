//! `/logs/context`: the lines around a record; `/logs/trace`: the records of a trace over all services.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use model::time::{NS_PER_DAY, NS_PER_MS};
use model::{AnyValue, NsRange};
use query::logs::{self, Row};
use serde::Deserialize;

use super::asked::{Asked, Asking, firing};
use super::failure::{Failure, Trouble};
use super::frame::{Frame, show};
use super::link::link;
use super::log_row::{DETAIL_BYTES_MAX, LogRow, Shown};
use super::text::{Stamp, counted, one_line, span};
use super::window::{Window, WindowLink, frozen};

/// Lines on each side, and most of them: more make a page that a phone does not like.
const LINES_DEFAULT: usize = 10;
const LINES_MAX: usize = 100;
/// How far lines on either side may be away.
const WITHIN_NS: i64 = NS_PER_DAY;
/// Records of a trace on the page.
const TRACE_ROWS_MAX: usize = 200;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Parameters {
    pub(crate) cursor: String,
    pub(crate) before: String,
    pub(crate) after: String,
    /// A field whose value the lines share, instead of the whole stream.
    pub(crate) by: String,
    /// Of a trace, 32 hex digits.
    pub(crate) id: String,
}

#[derive(Template)]
#[template(path = "logs_around.html")]
pub(crate) struct AroundPage {
    pub(crate) frame: Frame,
    pub(crate) title: String,
    pub(crate) sentence: String,
    pub(crate) window: Window,
    pub(crate) troubles: Vec<Trouble>,
    /// Other choices of what the lines have in common.
    pub(crate) chips: Vec<WindowLink>,
    pub(crate) nothing: String,
    pub(crate) rows: Vec<LogRow>,
    pub(crate) before_href: String,
    pub(crate) after_href: String,
    pub(crate) logs_href: String,
}

pub(super) async fn context(asking: Asking, Query(parameters): Query<Parameters>) -> Result<Response, Failure> {
    show(&asking.answer(move |asked| build_context(asked, &parameters)).await?)
}

pub(super) async fn trace(asking: Asking, Query(parameters): Query<Parameters>) -> Result<Response, Failure> {
    show(&asking.answer(move |asked| build_trace(asked, &parameters)).await?)
}

impl AroundPage {
    pub(crate) fn new(frame: Frame, title: String, now_ms: i64) -> AroundPage {
        AroundPage {
            frame,
            title,
            sentence: String::new(),
            window: Window::parse("", "", now_ms),
            troubles: Vec::new(),
            chips: Vec::new(),
            nothing: String::new(),
            rows: Vec::new(),
            before_href: String::new(),
            after_href: String::new(),
            logs_href: "/logs".into(),
        }
    }

    /// The records, of which one may be what the page is about.
    pub(crate) fn show_rows(&mut self, rows: &[Row], marked: Option<usize>, now_ms: i64) {
        if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
            let (start_ms, end_ms) =
                (first.record.time_ns.div_euclid(NS_PER_MS), last.record.time_ns.div_euclid(NS_PER_MS));
            // Filters and links from here search around what is seen.
            let around = frozen(start_ms - 300_000, end_ms + 300_000);
            let [(_, from), (_, to)] = around.each();
            self.window = Window::parse(from, to, now_ms);
            self.logs_href = link("/logs", &around.each());
        }
        let mut room = DETAIL_BYTES_MAX;
        let shown = Shown { window: &self.window, columns: &[], now_ms };
        // The one that matters gets its details first.
        let mut views: Vec<Option<LogRow>> = rows.iter().map(|_| None).collect();
        for at in marked.into_iter().chain(0..rows.len()) {
            if views[at].is_none() {
                let mut view = LogRow::new(&rows[at], &shown, &mut room);
                view.marked = marked == Some(at);
                views[at] = Some(view);
            }
        }
        self.rows = views.into_iter().flatten().collect();
    }
}

fn lines(text: &str) -> usize {
    text.trim().parse().unwrap_or(LINES_DEFAULT).min(LINES_MAX)
}

fn build_context(asked: &Asked, parameters: &Parameters) -> Result<AroundPage, Failure> {
    let frame = Frame::new(asked, "/logs", firing(&asked.groups()));
    let mut page = AroundPage::new(frame, "Lines around a record".into(), asked.now_ms);
    let (before, after) = (lines(&parameters.before), lines(&parameters.after));
    let by: Vec<String> = [parameters.by.clone()].into_iter().filter(|by| !by.is_empty()).collect();
    let found = match asked.store()? {
        None => Ok(None),
        Some(tenant) => logs::around(&parameters.cursor, WITHIN_NS).and_then(|range| {
            logs::context(&tenant.snapshot()?, &parameters.cursor, &by, range, before, after, &asked.budget)
        }),
    };
    let found = match found {
        Ok(Some(found)) => found,
        Ok(None) => {
            page.nothing = "This record is not here any more: retention took it, or it is of another tenant.".into();
            return Ok(page);
        }
        Err(error) => {
            page.troubles.push(Trouble::new("The lines cannot be shown", error.to_string()));
            return Ok(page);
        }
    };
    let row = &found.rows[found.at];
    let at = Stamp::of_ns(row.record.time_ns, asked.now_ms);
    page.sentence = format!("{} before, {} after {}", found.at, found.rows.len() - found.at - 1, at.text);
    if let Some(partial) = &found.partial {
        page.troubles.push(Trouble::new("There may be more lines", one_line(&partial.reason, 300)));
    }
    let to = |by: &str, before: usize, after: usize| {
        let (before, after) = (before.min(LINES_MAX).to_string(), after.min(LINES_MAX).to_string());
        let parts = [("cursor", parameters.cursor.as_str()), ("by", by), ("before", &before), ("after", &after)];
        link("/logs/context", &parts)
    };
    page.chips = chips(row, |by| (to(by, before, after), parameters.by == by));
    if found.more_before && before < LINES_MAX {
        page.before_href = to(&parameters.by, before + 20, after);
    }
    if found.more_after && after < LINES_MAX {
        page.after_href = to(&parameters.by, before, after + 20);
    }
    page.show_rows(&found.rows, Some(found.at), asked.now_ms);
    Ok(page)
}

/// The stream, and wider choices that this record has a value for.
fn chips(row: &Row, to: impl Fn(&str) -> (String, bool)) -> Vec<WindowLink> {
    let chip = |name: String, by: &str| {
        let (href, current) = to(by);
        WindowLink { label: name.clone(), name, href, current }
    };
    let mut out = vec![chip("this logger".into(), "")];
    for field in ["resource.service.name", "resource.service.instance.id", "resource.host.name"] {
        let key = field.trim_start_matches("resource.");
        if let Some(value) = model::log::attribute(&row.resource.attributes, key).map(AnyValue::to_text) {
            out.push(chip(format!("{key} {}", one_line(&value, 40)), field));
        }
    }
    out
}

fn build_trace(asked: &Asked, parameters: &Parameters) -> Result<AroundPage, Failure> {
    let frame = Frame::new(asked, "/logs", firing(&asked.groups()));
    let mut page = AroundPage::new(frame, "Records of a trace".into(), asked.now_ms);
    let Some(id) = logs::trace_id(parameters.id.trim()) else {
        let why = format!("{:?} is not the 32 hex digits of a trace.", one_line(&parameters.id, 80));
        page.troubles.push(Trouble::new("There is no such trace", why));
        return Ok(page);
    };
    page.title = format!("Records of trace {}", model::any::hex(&id));
    let Some(tenant) = asked.store()? else {
        page.nothing = "No record of this trace is stored.".into();
        return Ok(page);
    };
    match logs::trace(&tenant.snapshot()?, id, NsRange::ALL, TRACE_ROWS_MAX, None, &asked.budget) {
        Err(error) => page.troubles.push(Trouble::new("The trace cannot be shown", error.to_string())),
        Ok(answer) => {
            if let Some(partial) = &answer.partial {
                page.troubles.push(Trouble::new("There may be more records", one_line(&partial.reason, 300)));
            }
            if let (Some(first), Some(last)) = (answer.rows.first(), answer.rows.last()) {
                let mut services: Vec<String> =
                    answer.rows.iter().filter_map(|row| row.value("resource.service.name")).collect();
                services.sort_unstable();
                services.dedup();
                let length_ms = (last.record.time_ns - first.record.time_ns).div_euclid(NS_PER_MS);
                let length = if length_ms < 10_000 { format!("{length_ms} ms") } else { span(length_ms) };
                let all = if answer.more { "the first " } else { "" };
                page.sentence = format!(
                    "{all}{} of {} over {length}",
                    counted(answer.rows.len() as u64, "record", "records"),
                    counted(services.len() as u64, "service", "services"),
                );
            } else {
                page.nothing = "No record of this trace is stored.".into();
            }
            page.show_rows(&answer.rows, None, asked.now_ms);
        }
    }
    Ok(page)
}
