//! Log search: words, phrases, `field:value`, `-not`, AND/OR, over a snapshot.
//!
//! The index and the blocks' summaries only narrow what is read; every record is judged by itself. So records answer alike
//! whether they are in the head, in a block outside the index, or indexed.

mod count;
mod expr;
mod guard;
mod judge;
mod parse;
mod row;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use codec::block::BlockError;
use model::{LogRecord, NsRange, Resource, Scope, Severity};
use store::{LogView, Snapshot};

use crate::{Budget, QueryError};
use expr::Expr;
use guard::{Guard, Source};
use row::{RowKey, Rows};

/// A parsed search.
#[derive(Debug, Clone)]
pub struct Search {
    expr: Expr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    NewestFirst,
    OldestFirst,
}

/// One record of an answer, with what stands around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub record: LogRecord,
    pub resource: Arc<Resource>,
    pub scope: Arc<Scope>,
    /// Where this row stands in the order: opaque text; paging continues after it, stably while records arrive.
    pub cursor: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct SearchStats {
    pub records_scanned: u64,
    /// Bytes of blocks read from the disk, and of the head's records.
    pub bytes_scanned: u64,
    pub blocks_scanned: u64,
    /// Blocks of the time range that the index, their severities or the limit spared.
    pub blocks_skipped: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SearchAnswer {
    pub rows: Vec<Row>,
    /// Whether more rows matched than `limit`.
    pub more: bool,
    pub stats: SearchStats,
}

/// Counts of one span of time, by severity.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    pub start_ns: i64,
    /// In the order of `Severity::ALL`.
    pub counts: [u64; Severity::ALL.len()],
}

/// Parses a search; the empty text finds everything. Bounded in length (16 KiB) and depth (64).
///
/// Words match whole words of the body in any case, `"phrases"` exactly; `field:value` compares the whole value in any case or as
/// a number, `field:"value"` exactly; see `parse.rs` for the grammar.
pub fn parse(text: &str) -> Result<Search, QueryError> {
    Ok(Search { expr: parse::parse(text)? })
}

/// The first `limit` matching records in order of time, after `cursor` if one is given. Records of one time are in order of
/// intake, so that the order is total and a cursor stays good while records arrive and blocks are sealed.
///
/// # Errors
/// `Evaluation` for a cursor that no answer gave; `TooMuch`, `Timeout`, `Cancelled` by the budget.
pub fn search(
    snapshot: &Snapshot,
    search: &Search,
    range: NsRange,
    direction: Direction,
    limit: usize,
    cursor: Option<&str>,
    budget: &Budget,
) -> Result<SearchAnswer, QueryError> {
    search_view(snapshot.logs(), search, range, direction, limit, cursor, budget)
}

fn search_view(
    view: &LogView,
    search: &Search,
    mut range: NsRange,
    direction: Direction,
    limit: usize,
    cursor: Option<&str>,
    budget: &Budget,
) -> Result<SearchAnswer, QueryError> {
    let after = cursor
        .map(|text| {
            let reason = || format!("cursor {text:?} is not one that a search returned");
            RowKey::of_cursor(text).ok_or_else(|| QueryError::Evaluation { reason: reason() })
        })
        .transpose()?;
    let newest = direction == Direction::NewestFirst;
    if let Some(after) = after {
        match newest {
            true => range.end_ns = range.end_ns.min(after.time_ns.saturating_add(1)),
            false => range.start_ns = range.start_ns.max(after.time_ns),
        }
    }
    let mut guard = Guard::new(budget);
    let mut sources = guard.sources(view, &search.expr, range)?;
    match newest {
        true => sources.sort_by_key(|source| std::cmp::Reverse(source.max_ns())),
        false => sources.sort_by_key(Source::min_ns),
    }
    // One more than asked for tells whether there are more. What is found stays in its place until it is known to stay.
    let wanted = limit.saturating_add(1);
    let mut found: BTreeMap<RowKey, (Rc<Rows>, usize)> = BTreeMap::new();
    let mut rest = sources.into_iter();
    while let Some(source) = rest.next() {
        let worst = |found: &BTreeMap<RowKey, _>| {
            let key = if newest { found.first_key_value() } else { found.last_key_value() };
            key.map(|(key, _)| *key).filter(|_| found.len() >= wanted)
        };
        if let Some(worst) = worst(&found)
            && (if newest { source.max_ns() < worst.time_ns } else { source.min_ns() > worst.time_ns })
        {
            guard.stats.blocks_skipped += rest.chain([source]).filter(Source::is_block).count() as u64;
            break;
        }
        let Some(rows) = guard.read(source)? else { continue };
        let rows = Rc::new(rows);
        for at in 0..rows.count() {
            guard.tick()?;
            // Blocks are in order of time: the best come first, and the first that is too late ends it.
            let at = if newest { rows.count() - 1 - at } else { at };
            if !range.contains(rows.time(at)?) {
                continue;
            }
            let key = rows.key(at)?;
            if after.is_some_and(|after| if newest { key >= after } else { key <= after }) {
                continue;
            }
            if worst(&found).is_some_and(|worst| if newest { key < worst } else { key > worst }) {
                match &*rows {
                    Rows::Block { .. } => break,
                    Rows::Head(_) => continue,
                }
            }
            if judge::matches(&search.expr, &rows, at)? {
                found.insert(key, (rows.clone(), at));
                if found.len() > wanted {
                    if newest {
                        found.pop_first()
                    } else {
                        found.pop_last()
                    };
                }
            }
        }
    }
    let more = found.len() > limit;
    let ordered: Box<dyn Iterator<Item = _>> =
        if newest { Box::new(found.into_iter().rev()) } else { Box::new(found.into_iter()) };
    let mut answer = Vec::new();
    for (key, (rows, at)) in ordered.take(limit) {
        let record = rows.record(at)?;
        guard.spend(row_bytes(&record))?;
        let (resource, scope) = (rows.resource(at)?.clone(), rows.scope(at)?.clone());
        answer.push(Row { record, resource, scope, cursor: key.to_cursor() });
    }
    Ok(SearchAnswer { rows: answer, more, stats: guard.stats })
}

fn row_bytes(record: &LogRecord) -> u64 {
    let attributes: usize = record.attributes.iter().map(|(key, value)| key.len() + value.to_text().len()).sum();
    (size_of::<Row>() + record.body.to_text().len() + attributes) as u64
}

/// Matching records counted by time and severity: buckets of `width_ns` aligned to its multiples, oldest first, empty ones included.
///
/// Without a filter, or with one on severity names only, most counts come from the blocks' summaries; whole minutes are best.
///
/// # Errors
/// `Evaluation` for a width below 1 or a range without end; `TooMuch` for more than 11,000 buckets, and by the budget.
pub fn histogram(
    snapshot: &Snapshot,
    search: &Search,
    range: NsRange,
    width_ns: i64,
    budget: &Budget,
) -> Result<(Vec<Bucket>, SearchStats), QueryError> {
    count::histogram(snapshot.logs(), &search.expr, range, width_ns, budget)
}

/// The most frequent values of a field (`service.name`, `resource.host.name`, …) among matching records, most frequent first;
/// of equally frequent ones in order of text. Of an array, the array as a whole counts.
///
/// # Errors
/// `TooMuch` when the field has more than 100,000 values, and by the budget.
pub fn top_values(
    snapshot: &Snapshot,
    search: &Search,
    range: NsRange,
    field: &str,
    limit: usize,
    budget: &Budget,
) -> Result<Vec<(String, u64)>, QueryError> {
    count::top_values(snapshot.logs(), &search.expr, range, field, limit, budget)
}

impl From<BlockError> for QueryError {
    fn from(error: BlockError) -> QueryError {
        // The block passed its checksum, so the place is known only by its time; the store names the file for all else.
        QueryError::Store(store::StoreError::Corrupt { path: "a day of logs".into(), reason: error.to_string() })
    }
}

#[cfg(test)]
mod tests;
