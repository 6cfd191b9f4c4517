//! Log search: words, phrases, `field:value`, `-not`, AND/OR, over a snapshot.
//!
//! The index and the blocks' summaries only narrow what is read; every record is judged by itself. So records answer alike
//! whether they are in the head, in a block outside the index, or indexed.

mod columns;
mod context;
mod count;
pub(crate) mod damage;
pub(crate) mod expr;
mod facets;
mod few_bodies;
mod fields;
mod follow;
pub(crate) mod guard;
mod heads;
mod judge;
mod lines;
mod logql;
mod mask;
mod needle;
mod parse;
mod pattern;
pub mod patterns;
pub(crate) mod row;
mod row_values;
mod search;
mod select;
mod sources;
mod text_regex;
mod window_patterns;

use std::sync::Arc;

use codec::block::BlockError;
use model::go_regex;
use model::{LogRecord, NsRange, Resource, Scope, Severity};
use store::Snapshot;

pub use context::{Context, around, context, trace, trace_id};
pub use facets::{Facet, facets};
pub use fields::{SeenField, fields, unknown_fields};
pub use follow::{Arrivals, Position, arrivals};
pub use window_patterns::{WindowPattern, WindowPatterns, window_patterns};

use crate::{Budget, QueryError};
use expr::Expr;
pub(crate) use expr::body_terms;
pub(crate) use lines::{LineTest, Lines};
use logql::Logql;
pub(crate) use text_regex::TextRegex;

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

impl SearchStats {
    pub(crate) fn add(&mut self, other: &SearchStats) {
        self.records_scanned += other.records_scanned;
        self.bytes_scanned += other.bytes_scanned;
        self.blocks_scanned += other.blocks_scanned;
        self.blocks_skipped += other.blocks_skipped;
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct SearchAnswer {
    pub rows: Vec<Row>,
    /// Whether more rows matched than `limit`.
    pub more: bool,
    pub stats: SearchStats,
    /// Set when the budget ended before the search did, or stored records could not be read.
    pub partial: Option<Partial>,
}

/// What an answer is whole for, that is not whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Partial {
    /// The limit that was hit, and the way round it; the places that are damaged.
    pub reason: String,
    /// All matching records of this range that can be read were found; nothing is said of the rest.
    pub covered: NsRange,
}

/// Counts of one span of time, by severity.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    pub start_ns: i64,
    /// In the order of `Severity::ALL`.
    pub counts: [u64; Severity::ALL.len()],
}

/// Parses a search; the empty text finds everything. Bounded in length (16 KiB), in depth (64) and in the memory of its patterns.
///
/// Words match whole words of the body in any case, `"phrases"` exactly; `field:value` compares the whole value in any case or as
/// a number, `field:"value"` exactly; see `parse.rs` for the grammar.
///
/// A text that begins with `{` is LogQL: a selector and its pipeline, whose errors are in Loki's words.
pub fn parse(text: &str) -> Result<Search, QueryError> {
    if text.trim_start().starts_with('{') {
        return Ok(Search { expr: Expr::Logql(Box::new(Logql::parse(text)?)) });
    }
    Ok(Search { expr: go_regex::together(|| parse::parse(text))? })
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
    damage::around(snapshot.logs(), range, budget, || {
        let (answer, cut) = search::run(snapshot.logs(), &search.expr, range, direction, limit, cursor, budget)?;
        match cut {
            Some((error, _)) => Err(error),
            None => Ok(answer),
        }
    })
}

/// As [`search`]; where the budget's time or memory ends first, the rows found until then, with the range that they are all of.
///
/// # Errors
/// `Evaluation` for a cursor that no answer gave, and `Cancelled`.
pub fn search_in_part(
    snapshot: &Snapshot,
    search: &Search,
    range: NsRange,
    direction: Direction,
    limit: usize,
    cursor: Option<&str>,
    budget: &Budget,
) -> Result<SearchAnswer, QueryError> {
    let (mut answer, cut) = damage::around(snapshot.logs(), range, budget, || {
        search::run(snapshot.logs(), &search.expr, range, direction, limit, cursor, budget)
    })?;
    answer.partial = damage::partial(cut, range, budget);
    Ok(answer)
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
    damage::around(snapshot.logs(), range, budget, || {
        match count::histogram(snapshot.logs(), &search.expr, range, width_ns, budget)? {
            (_, Some((error, _))) => Err(error),
            (counted, None) => Ok(counted),
        }
    })
}

/// As [`histogram`]; where the budget's time or memory ends first, what was counted until then, newest records first, and the range that
/// the counts are whole for.
///
/// # Errors
/// As [`histogram`], but for `Timeout` and what the budget's memory refuses.
pub fn histogram_in_part(
    snapshot: &Snapshot,
    search: &Search,
    range: NsRange,
    width_ns: i64,
    budget: &Budget,
) -> Result<(Vec<Bucket>, Option<Partial>), QueryError> {
    damage::around(snapshot.logs(), range, budget, || {
        let ((buckets, _), cut) = count::histogram(snapshot.logs(), &search.expr, range, width_ns, budget)?;
        Ok((buckets, cut.map(|(error, covered)| Partial { reason: error.to_string(), covered })))
    })
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
    damage::around(snapshot.logs(), range, budget, || {
        count::top_values(snapshot.logs(), &search.expr, range, field, limit, budget)
    })
}

impl From<BlockError> for QueryError {
    fn from(error: BlockError) -> QueryError {
        // The block passed its checksum, so the place is known only by its time; the store names the file for all else.
        QueryError::Store(store::StoreError::Corrupt { path: "a day of logs".into(), reason: error.to_string() })
    }
}

#[cfg(test)]
mod tests;
