//! Records in order of time: newest or oldest first, page by page.

use std::collections::BTreeMap;

use codec::block::BlockError;
use model::{LogRecord, NsRange};
use store::LogView;

use super::expr::Expr;
use super::guard::{Guard, Source};
use super::mask::Mask;
use super::row::{RowKey, Rows};
use super::{Direction, Row, SearchAnswer, select};
use crate::{Budget, QueryError};

/// A record found that may be pushed out by better ones.
enum Found {
    /// In the place that is being read; taken out when that is done, so that one block at a time stays in memory.
    Here(usize),
    Taken(Box<Row>, u64),
}

struct Finder<'a> {
    expr: &'a Expr,
    range: NsRange,
    newest: bool,
    after: Option<RowKey>,
    /// One more than asked for tells whether there are more.
    wanted: usize,
    found: BTreeMap<RowKey, Found>,
    guard: Guard<'a>,
}

/// The answer; and where the budget ended it, why, and the range it is whole for.
pub(super) fn run(
    view: &LogView,
    expr: &Expr,
    mut range: NsRange,
    direction: Direction,
    limit: usize,
    cursor: Option<&str>,
    budget: &Budget,
) -> Result<(SearchAnswer, Option<(QueryError, NsRange)>), QueryError> {
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
    let wanted = limit.saturating_add(1);
    let found = BTreeMap::new();
    let mut finder = Finder { expr, range, newest, after, wanted, found, guard: Guard::new(budget) };
    let cut = match finder.all(view) {
        Ok(()) => None,
        Err((error @ (QueryError::Timeout { .. } | QueryError::TooMuch { .. }), covered)) => Some((error, covered)),
        Err((error, _)) => return Err(error),
    };
    if let Some((_, covered)) = &cut {
        // What was found beyond is not all that is there, and whoever goes on from the last row must not miss the rest.
        finder.found.retain(|key, found| covered.contains(key.time_ns) && matches!(found, Found::Taken(..)));
    }
    let Finder { found, guard, .. } = finder;
    let more = found.len() > limit;
    let ordered: Box<dyn Iterator<Item = _>> =
        if newest { Box::new(found.into_values().rev()) } else { Box::new(found.into_values()) };
    let row = |found| match found {
        Found::Taken(row, _) => Some(*row),
        Found::Here(_) => None,
    };
    let rows = ordered.take(limit).filter_map(row).collect();
    Ok((SearchAnswer { rows, more, stats: guard.stats, partial: None }, cut))
}

impl Finder<'_> {
    /// Reads what is needed. An error comes with the range that was read whole until then.
    fn all(&mut self, view: &LogView) -> Result<(), (QueryError, NsRange)> {
        let nothing = NsRange { start_ns: self.range.start_ns, end_ns: self.range.start_ns };
        let mut sources = self.guard.sources(view, self.expr, self.range).map_err(|error| (error, nothing))?;
        match self.newest {
            true => sources.sort_by_key(|source| std::cmp::Reverse(source.max_ns())),
            false => sources.sort_by_key(Source::min_ns),
        }
        let mut rest = sources.into_iter();
        while let Some(source) = rest.next() {
            let edge_ns = if self.newest { source.max_ns() } else { source.min_ns() };
            if let Some(worst) = self.worst()
                && (if self.newest { edge_ns < worst.time_ns } else { edge_ns > worst.time_ns })
            {
                self.guard.stats.blocks_skipped += rest.chain([source]).filter(Source::is_block).count() as u64;
                return Ok(());
            }
            self.one(source).map_err(|error| (error, self.covered(edge_ns)))?;
        }
        Ok(())
    }

    /// The range that is done when the next place to read begins at `edge_ns`.
    fn covered(&self, edge_ns: i64) -> NsRange {
        let NsRange { start_ns, end_ns } = self.range;
        match self.newest {
            true => NsRange { start_ns: edge_ns.saturating_add(1).clamp(start_ns, end_ns), end_ns },
            false => NsRange { start_ns, end_ns: edge_ns.clamp(start_ns, end_ns) },
        }
    }

    /// The found record that goes first when a better one comes; `None` while there is room.
    fn worst(&self) -> Option<RowKey> {
        let end = if self.newest { self.found.first_key_value() } else { self.found.last_key_value() };
        end.map(|(key, _)| *key).filter(|_| self.found.len() >= self.wanted)
    }

    /// Whether there is no room for what stands there.
    fn is_too_late(&self, key: RowKey) -> bool {
        self.worst().is_some_and(|worst| if self.newest { key < worst } else { key > worst })
    }

    /// Whether it stands where the page before ended, or before that.
    fn is_before(&self, key: RowKey) -> bool {
        self.after.is_some_and(|after| if self.newest { key >= after } else { key <= after })
    }

    /// The records that are in the range and, by their time, not too late. The order of intake is not looked at: it is a column of its
    /// own, and matters only among records of one time.
    fn within(&mut self, rows: &Rows) -> Result<Mask, QueryError> {
        let mut range = self.range;
        if let Some(worst) = self.worst() {
            match self.newest {
                true => range.start_ns = range.start_ns.max(worst.time_ns),
                false => range.end_ns = range.end_ns.min(worst.time_ns.saturating_add(1)),
            }
        }
        let mut within = Mask::none(rows.count());
        for at in 0..rows.count() {
            self.guard.tick()?;
            if range.contains(rows.time(at)?) {
                within.insert(at);
            }
        }
        Ok(within)
    }

    fn one(&mut self, source: Source) -> Result<(), QueryError> {
        let Some(rows) = self.guard.read(source)? else { return Ok(()) };
        let mut here = Vec::new();
        let within = self.within(&rows)?;
        let matching = select::select(self.expr, &rows, &within)?;
        let places: Box<dyn Iterator<Item = usize>> =
            if self.newest { Box::new(matching.iter().rev()) } else { Box::new(matching.iter()) };
        for at in places {
            let key = rows.key(at)?;
            if self.is_before(key) {
                continue;
            }
            if self.is_too_late(key) {
                match &rows {
                    // Blocks are in order of time: the best come first, and the first that is too late ends it.
                    Rows::Block { .. } => break,
                    Rows::Head(_) => continue,
                }
            }
            self.guard.matched(1);
            self.found.insert(key, Found::Here(at));
            here.push(key);
            if self.found.len() > self.wanted {
                let out = if self.newest { self.found.pop_first() } else { self.found.pop_last() };
                if let Some((_, Found::Taken(_, bytes))) = out {
                    self.guard.give_back(bytes);
                }
            }
        }
        for key in here {
            let Some(found) = self.found.get_mut(&key) else { continue };
            if let Found::Here(at) = *found {
                let row = shaped(self.expr, &rows, at, row_of(&rows, at, key)?)?;
                let bytes = row_bytes(&row.record);
                *found = Found::Taken(Box::new(row), bytes);
                self.guard.spend(bytes)?;
            }
        }
        Ok(())
    }
}

pub(super) fn row_of(rows: &Rows, at: usize, key: RowKey) -> Result<Row, BlockError> {
    let (resource, scope) = (rows.resource(at)?.clone(), rows.scope(at)?.clone());
    Ok(Row { record: rows.record(at)?, resource, scope, cursor: key.to_cursor() })
}

/// The row as the search shows it.
pub(super) fn shaped(expr: &Expr, rows: &Rows, at: usize, mut row: Row) -> Result<Row, QueryError> {
    if let Expr::Logql(logql) = expr {
        logql.shape(rows, at, &mut row.record)?;
    }
    Ok(row)
}

/// Memory that a row takes, about.
pub(super) fn row_bytes(record: &LogRecord) -> u64 {
    let attributes: usize = record.attributes.iter().map(|(key, value)| key.len() + value.to_text().len()).sum();
    (size_of::<Row>() + record.body.to_text().len() + attributes) as u64
}
