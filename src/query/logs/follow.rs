//! Records in the order they came: what a live tail shows next.

use std::collections::BTreeMap;

use store::Snapshot;

use super::guard::{Guard, Source};
use super::row::RowKey;
use super::search::{row_bytes, row_of, shaped};
use super::{Row, Search, judge};
use crate::{Budget, QueryError};

/// Matching records that may wait for a reader; of more of them only the newest are shown, and the others are counted.
const WAITING_MAX: u64 = 20_000;

/// Bytes of rows of one look, about; one row may have more.
const LOOK_BYTES_MAX: u64 = 1 << 20;

/// Where a reader is in the order of intake: what came up to here was seen. Good over restarts, like the records themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    seq: u64,
    /// In the request; the largest place means the whole of it.
    place: u32,
}

impl Position {
    /// Before everything.
    pub const START: Position = Position { seq: 0, place: 0 };

    /// After all that a snapshot shows.
    pub fn end_of(snapshot: &Snapshot) -> Position {
        Position { seq: snapshot.logs().newest_seq(), place: u32::MAX }
    }

    /// Opaque to callers: two numbers in hex.
    pub fn to_text(self) -> String {
        format!("{:x}-{:x}", self.seq, self.place)
    }

    /// `None` for a text that [`Position::to_text`] did not write.
    pub fn of_text(text: &str) -> Option<Position> {
        let (seq, place) = text.split_once('-')?;
        Some(Position { seq: u64::from_str_radix(seq, 16).ok()?, place: u32::from_str_radix(place, 16).ok()? })
    }
}

/// What came since a position.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrivals {
    /// In the order they came, each with the position after it.
    pub rows: Vec<(Row, Position)>,
    /// Matching records that came before these and are not shown, since too many waited.
    pub skipped: u64,
    /// Where to go on.
    pub position: Position,
    /// Whether more are there already.
    pub more: bool,
}

/// The first matching records that came after `after`: `limit` of them, or about 1 MiB. Of more than 20,000 that wait, the newest `limit` only, and the count of
/// the others. A position ahead of the snapshot (of a store that was replaced) goes on at the snapshot's end.
///
/// # Errors
/// By the budget.
pub fn arrivals(
    snapshot: &Snapshot,
    search: &Search,
    after: Position,
    limit: usize,
    budget: &Budget,
) -> Result<Arrivals, QueryError> {
    let end = Position::end_of(snapshot);
    let (mut found, total) = pass(snapshot, search, after, limit, false, budget)?;
    let mut skipped = 0;
    if total > WAITING_MAX {
        found = pass(snapshot, search, after, limit, true, budget)?.0;
        skipped = total - found.len() as u64;
    }
    let more = skipped == 0 && total > found.len() as u64;
    let rows: Vec<(Row, Position)> = found.into_iter().map(|(position, row)| (row, position)).collect();
    let last = rows.last().map(|(_, position)| *position).filter(|_| more);
    Ok(Arrivals { rows, skipped, position: last.unwrap_or(end), more })
}

/// The first or the last `limit` of what came, and how much did.
fn pass(
    snapshot: &Snapshot,
    search: &Search,
    after: Position,
    limit: usize,
    newest: bool,
    budget: &Budget,
) -> Result<(BTreeMap<Position, Row>, u64), QueryError> {
    let mut guard = Guard::new(budget);
    let (blocks, parts) = snapshot.logs().arrived_since(after.seq);
    let sources = blocks.into_iter().map(Source::Block).chain(parts.into_iter().cloned().map(Source::Head));
    let mut found: BTreeMap<Position, Row> = BTreeMap::new();
    let (mut total, mut bytes) = (0, 0);
    for source in sources {
        let Some(rows) = guard.read(source)? else { continue };
        for at in 0..rows.count() {
            guard.tick()?;
            let RowKey { time_ns, seq, place } = rows.key(at)?;
            let position = Position { seq, place };
            if position <= after || !judge::matches(&search.expr, &rows, at)? {
                continue;
            }
            total += 1;
            let edge = |found: &BTreeMap<Position, Row>| {
                let edge = if newest { found.first_key_value() } else { found.last_key_value() };
                edge.map(|(edge, _)| *edge)
            };
            let is_full = found.len() == limit || (bytes > LOOK_BYTES_MAX && !found.is_empty());
            if is_full && edge(&found).is_some_and(|edge| (position > edge) != newest) {
                continue;
            }
            let row = row_of(&rows, at, RowKey { time_ns, seq, place })?;
            let row = shaped(&search.expr, &rows, at, row)?;
            bytes += row_bytes(&row.record);
            found.insert(position, row);
            while found.len() > limit || (bytes > LOOK_BYTES_MAX && found.len() > 1) {
                let Some(out) = edge(&found).and_then(|edge| found.remove(&edge)) else { break };
                bytes -= row_bytes(&out.record);
            }
        }
    }
    Ok((found, total))
}
