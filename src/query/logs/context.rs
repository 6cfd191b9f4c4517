//! What stands around a record: the lines before and after it in its stream, and the records of its trace.

use std::sync::Arc;

use model::NsRange;
use model::any::hex;
use store::Snapshot;

use super::expr::{Expr, Field, Stream, Test};
use super::guard::Guard;
use super::row::RowKey;
use super::search::row_of;
use super::{Direction, Partial, Row, Search, SearchAnswer, search_in_part};
use crate::{Budget, QueryError};

/// A record with its neighbours.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// Oldest first; the record that was asked for stands at `at`.
    pub rows: Vec<Row>,
    pub at: usize,
    /// Whether there are more on either side.
    pub more_before: bool,
    pub more_after: bool,
    pub partial: Option<Partial>,
}

/// The record of a cursor, and up to `before` and `after` records around it of the same resource and scope; with `by`, of those
/// whose fields of these names have the record's values. Neighbours lie in `range`. `None` when the record is not there (any more).
///
/// # Errors
/// `Evaluation` for a cursor that no answer gave; `Cancelled`, and by the budget while the record itself is looked for.
pub fn context(
    snapshot: &Snapshot,
    cursor: &str,
    by: &[String],
    range: NsRange,
    before: usize,
    after: usize,
    budget: &Budget,
) -> Result<Option<Context>, QueryError> {
    let Some((row, same)) = record(snapshot, cursor, by, budget)? else { return Ok(None) };
    let side = |direction, limit| -> Result<SearchAnswer, QueryError> {
        search_in_part(snapshot, &same, range, direction, limit, Some(cursor), budget)
    };
    let older = side(Direction::NewestFirst, before)?;
    let newer = side(Direction::OldestFirst, after)?;
    let mut rows = older.rows;
    rows.reverse();
    let at = rows.len();
    rows.push(row);
    rows.extend(newer.rows);
    let partial = older.partial.or(newer.partial);
    Ok(Some(Context { rows, at, more_before: older.more, more_after: newer.more, partial }))
}

/// The range that reaches `within_ns` to both sides of a cursor's record.
///
/// # Errors
/// `Evaluation` for a cursor that no answer gave.
pub fn around(cursor: &str, within_ns: i64) -> Result<NsRange, QueryError> {
    let at_ns = key_of(cursor)?.time_ns;
    Ok(NsRange { start_ns: at_ns.saturating_sub(within_ns), end_ns: at_ns.saturating_add(within_ns) })
}

/// The id that 32 hex digits are, in either case.
pub fn trace_id(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

fn key_of(cursor: &str) -> Result<RowKey, QueryError> {
    let reason = || format!("cursor {cursor:?} is not one that a search returned");
    RowKey::of_cursor(cursor).ok_or_else(|| QueryError::Evaluation { reason: reason() })
}

/// The record of a cursor, and the search for its like.
fn record(
    snapshot: &Snapshot,
    cursor: &str,
    by: &[String],
    budget: &Budget,
) -> Result<Option<(Row, Search)>, QueryError> {
    let wanted = key_of(cursor)?;
    let range = NsRange { start_ns: wanted.time_ns, end_ns: wanted.time_ns.saturating_add(1) };
    let mut guard = Guard::new(budget);
    for source in guard.sources(snapshot.logs(), &Expr::And(Vec::new()), range)? {
        let Some(rows) = guard.read(source)? else { continue };
        for at in 0..rows.count() {
            guard.tick()?;
            if rows.time(at)? != wanted.time_ns || rows.key(at)? != wanted {
                continue;
            }
            let row = row_of(&rows, at, wanted)?;
            if by.is_empty() {
                let stream = Stream { resource: row.resource.clone(), scope: row.scope.clone() };
                return Ok(Some((row, Search { expr: Expr::Stream(Arc::new(stream)) })));
            }
            let mut all = Vec::new();
            for name in by {
                let field = Field::of_name(name);
                let mut value: Option<String> = None;
                rows.values(at, &field, &mut |found| {
                    value.get_or_insert_with(|| {
                        let mut text = String::new();
                        found.write_text(&mut text);
                        text
                    });
                })?;
                all.push(match value {
                    Some(text) => Expr::Field(field, Test::Exact(text)),
                    None => Expr::Not(Box::new(Expr::Field(field, Test::Exists))),
                });
            }
            return Ok(Some((row, Search { expr: Expr::And(all) })));
        }
    }
    Ok(None)
}

/// All records of a trace over all services, oldest first, after `cursor` if one is given.
///
/// # Errors
/// As [`super::search_in_part`].
pub fn trace(
    snapshot: &Snapshot,
    id: [u8; 16],
    range: NsRange,
    limit: usize,
    cursor: Option<&str>,
    budget: &Budget,
) -> Result<SearchAnswer, QueryError> {
    let expr = Expr::Field(Field::TraceId, Test::Exact(hex(&id)));
    search_in_part(snapshot, &Search { expr }, range, Direction::OldestFirst, limit, cursor, budget)
}
