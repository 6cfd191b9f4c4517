//! Templates of lines: what lines have in common, with how often each came and when.
//!
//! After Drain (He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017): lines with the same number of
//! words, the same separators and the same first word are compared word by word; what differs becomes `<_>`, as Loki writes it.

mod templates;

use std::collections::HashMap;

use foldhash::fast::RandomState;
use model::{Matcher, NsRange, Severity};
use store::Snapshot;

use self::templates::Templates;
use super::expr::Expr;
use super::guard::{Guard, Source};
use super::row::Rows;
use super::{Partial, Search, judge};
use crate::logql::{labels, narrow};
use crate::{Budget, QueryError};

/// Lines looked at; of more records only every nth is.
const LINES_MAX: u64 = 200_000;
/// Steps a template's counts are told for.
const STEPS_MAX: i64 = 11_000;
/// What stands for a word that differs.
pub const PLACEHOLDER: &str = "<_>";

/// Whose lines.
#[derive(Debug, Clone, Copy)]
pub enum Selection<'a> {
    Search(&'a Search),
    /// Matchers on the stream labels that Loki makes.
    Streams(&'a [Matcher]),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// Text with [`PLACEHOLDER`] where lines differ.
    pub template: String,
    /// Lines; estimated where only every nth was looked at.
    pub count: u64,
    pub first_ns: i64,
    pub last_ns: i64,
    /// Start of each step that has lines, in ns, and their count; oldest first.
    pub steps: Vec<(i64, u64)>,
    /// The same of the lines of each severity; the lowest first.
    pub by_severity: Vec<(Severity, Vec<(i64, u64)>)>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patterns {
    /// Most frequent first.
    pub patterns: Vec<Pattern>,
    /// Lines of templates too rare to be kept.
    pub other: u64,
    /// Every how many lines one was looked at.
    pub sampled_every: u64,
    /// Set when the budget ended before the lines did.
    pub partial: Option<Partial>,
}

/// The templates of the lines in a range, counted in steps aligned to multiples of `step_ns`. The newest blocks are read first; where the
/// budget's time or memory ends before them, what was found until then.
///
/// # Errors
/// `Evaluation` for a step below 1; `TooMuch` for more than 11,000 steps; `Cancelled`.
pub fn patterns(
    snapshot: &Snapshot,
    selection: Selection<'_>,
    range: NsRange,
    step_ns: i64,
    budget: &Budget,
) -> Result<Patterns, QueryError> {
    if step_ns < 1 {
        return Err(QueryError::Evaluation { reason: format!("steps cannot be {step_ns} ns wide") });
    }
    if range.start_ns >= range.end_ns {
        return Ok(Patterns { sampled_every: 1, ..Patterns::default() });
    }
    let steps = i128::from(range.end_ns) / i128::from(step_ns) - i128::from(range.start_ns) / i128::from(step_ns);
    if steps > i128::from(STEPS_MAX) {
        return Err(QueryError::TooMuch {
            message: format!("patterns would be counted in {steps} steps, at most {STEPS_MAX} are; use a larger step"),
        });
    }
    let all;
    let expr = match selection {
        Selection::Search(search) => &search.expr,
        Selection::Streams(matchers) => {
            all = narrow::expr(matchers);
            &all
        }
    };
    let mut guard = Guard::new(budget);
    let covering = |error: QueryError, start_ns: i64| match error {
        QueryError::Timeout { .. } | QueryError::TooMuch { .. } => {
            let covered = NsRange { start_ns: start_ns.clamp(range.start_ns, range.end_ns), end_ns: range.end_ns };
            Ok(Some(Partial { reason: error.to_string(), covered }))
        }
        error => Err(error),
    };
    let mut sources = match guard.sources(snapshot.logs(), expr, range) {
        Ok(sources) => sources,
        Err(error) => {
            return Ok(Patterns { sampled_every: 1, partial: covering(error, range.end_ns)?, ..Patterns::default() });
        }
    };
    sources.sort_by_key(|source| std::cmp::Reverse(source.max_ns()));
    let records = |source: &Source| match source {
        Source::Block(block) => block.records(),
        Source::Head(part) => part.len() as u64,
    };
    let every = (sources.iter().map(records).sum::<u64>() / LINES_MAX).max(1);
    let mut found = Templates::new(step_ns, every);
    let mut nth = 0u64;
    for source in sources {
        let edge_ns = source.max_ns();
        if let Err(error) = add(&mut found, &mut guard, source, (selection, expr), range, &mut nth) {
            let partial = covering(error, edge_ns.saturating_add(1))?;
            return Ok(Patterns { partial, ..found.finish() });
        }
    }
    Ok(found.finish())
}

/// Adds the lines of a source; `nth` counts the records of all of them.
fn add(
    found: &mut Templates,
    guard: &mut Guard<'_>,
    source: Source,
    (selection, expr): (Selection<'_>, &Expr),
    range: NsRange,
    nth: &mut u64,
) -> Result<(), QueryError> {
    let Some(rows) = guard.read(source)? else { return Ok(()) };
    let mut selected: HashMap<(usize, usize), bool, RandomState> = HashMap::default();
    for at in 0..rows.count() {
        guard.tick()?;
        let time_ns = rows.time(at)?;
        if !range.contains(time_ns) {
            continue;
        }
        *nth += 1;
        if !nth.is_multiple_of(found.every()) {
            continue;
        }
        let wanted = match selection {
            Selection::Search(_) => judge::matches(expr, &rows, at)?,
            Selection::Streams(matchers) => is_selected(&rows, at, matchers, &mut selected)?,
        };
        if wanted {
            guard.spend(found.add(&rows.line(at)?, time_ns, rows.severity(at)?))?;
        }
    }
    Ok(())
}

fn is_selected(
    rows: &Rows,
    at: usize,
    matchers: &[Matcher],
    known: &mut HashMap<(usize, usize), bool, RandomState>,
) -> Result<bool, QueryError> {
    let place = rows.place(at)?;
    if let Some(selected) = known.get(&place) {
        return Ok(*selected);
    }
    let labels = labels::stream_labels(rows.resource(at)?, |_, _| {});
    let selected = matchers.iter().all(|matcher| matcher.matches_labels(&labels));
    known.insert(place, selected);
    Ok(selected)
}
