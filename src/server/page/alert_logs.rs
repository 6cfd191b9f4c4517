//! The log records around an alert: of the service or host that its labels name, the bad ones before all others.

use model::NsRange;
use model::alert::Instance;
use query::QueryError;
use query::logs::{self, Direction, SearchAnswer};
use store::Snapshot;

use super::alert_view::{AROUND_AFTER_MS, AROUND_BEFORE_MS, logs_query};
use super::asked::Asked;
use super::failure::{Failure, Trouble};
use super::link::link;
use super::log_row::{DETAIL_BYTES_MAX, LogRow, Shown};
use super::text::counted;
use super::window::{Window, frozen};

/// Records shown; the link beside them leads to all.
const ROWS_MAX: usize = 12;
/// What is looked for first.
const BAD: &str = "severity:>=warn";

pub(crate) struct AlertLogs {
    pub(crate) sentence: String,
    pub(crate) href: String,
    pub(crate) window: Window,
    pub(crate) rows: Vec<LogRow>,
    pub(crate) trouble: Option<Trouble>,
}

/// `None` when the alert names nothing that logs have.
///
/// # Errors
/// The store's. What is wrong with the search is shown in the records' place.
pub(crate) fn ask(asked: &Asked, instance: &Instance) -> Result<Option<AlertLogs>, Failure> {
    let (query, is_its_own) = match own_query(instance) {
        Some(query) => (query.to_owned(), true),
        None => (logs_query(&instance.labels), false),
    };
    let Some(tenant) = asked.store()?.filter(|_| !query.is_empty()) else { return Ok(None) };
    let mut out = AlertLogs::new(&query, instance, asked.now_ms);
    match newest(&tenant.snapshot()?, &query, is_its_own, out.window.ns(), asked) {
        Ok((answer, bad)) => out.show(&answer, bad, asked.now_ms),
        Err(error) => out.trouble = Some(Trouble::of_query("The records cannot be shown", &query, &error)),
    }
    Ok(Some(out))
}

/// What a log rule looked for, in LogQL.
fn own_query(instance: &Instance) -> Option<&str> {
    let context = &instance.evidence.context;
    context.iter().find(|(name, text)| name == "logs_query" && !text.is_empty()).map(|(_, text)| text.as_str())
}

/// The newest records, and whether only bad ones were asked for.
fn newest(
    snapshot: &Snapshot,
    query: &str,
    is_its_own: bool,
    range: NsRange,
    asked: &Asked,
) -> Result<(SearchAnswer, bool), QueryError> {
    let search = |text: &str| {
        let search = logs::parse(text)?;
        logs::search_in_part(snapshot, &search, range, Direction::NewestFirst, ROWS_MAX, None, &asked.budget)
    };
    if !is_its_own {
        let answer = search(&format!("{query} {BAD}"))?;
        if !answer.rows.is_empty() {
            return Ok((answer, true));
        }
    }
    Ok((search(query)?, false))
}

impl AlertLogs {
    /// Without its records.
    pub(crate) fn new(query: &str, instance: &Instance, now_ms: i64) -> AlertLogs {
        let end_ms = instance.resolved_at_ms.unwrap_or(now_ms).min(now_ms) + AROUND_AFTER_MS;
        let around = frozen(instance.active_at_ms - AROUND_BEFORE_MS, end_ms);
        let [(_, from), (_, to)] = around.each();
        AlertLogs::of(query, &Window::parse(from, to, now_ms))
    }

    /// Of a search and a window, without its records.
    pub(crate) fn of(query: &str, window: &Window) -> AlertLogs {
        AlertLogs {
            sentence: String::new(),
            href: link("/logs", &[("q", query), ("from", &window.from), ("to", &window.to)]),
            window: window.clone(),
            rows: Vec::new(),
            trouble: None,
        }
    }

    pub(crate) fn show(&mut self, answer: &SearchAnswer, bad: bool, now_ms: i64) {
        let mut room = DETAIL_BYTES_MAX / 2;
        let shown = Shown { window: &self.window, columns: &[], now_ms };
        self.rows = answer.rows.iter().map(|row| LogRow::new(row, &shown, &mut room)).collect();
        let what = if bad { "warning or worse" } else { "any severity" };
        let count = counted(self.rows.len() as u64, "record", "records");
        self.sentence = match (self.rows.is_empty(), answer.more) {
            (true, _) => format!("No record, {what}."),
            (false, true) => format!("The newest {count}, {what}."),
            (false, false) => format!("{count}, {what}."),
        };
    }
}
