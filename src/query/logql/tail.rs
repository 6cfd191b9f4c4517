//! Live tail: the entries of records that came since the last look, whatever their times.
//!
//! A look reads what came after the last request seen: parts of the head, and blocks of later seals.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use model::{Matcher, NsRange};
use store::Snapshot;

use super::ast::LogExpr;
use super::sampler::Runner;
use super::scan::{Scan, Twin};
use super::select::LogEntry;
use crate::logs::guard::Source;
use crate::{Budget, QueryError};

/// What a look found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Look {
    /// Oldest first.
    pub entries: Vec<LogEntry>,
    /// Entries beyond the limit, without their lines: who reads them was too slow.
    pub dropped: Vec<LogEntry>,
}

/// Entries of which no more than their labels is told, and then no more at all.
const DROPPED_MAX: usize = 1_000;

/// Sets of values that `distinct` remembers over the looks of a tail; with more of them it begins anew, and shows them once more.
const DISTINCT_MAX: usize = 1 << 17;

/// Where a tail stands.
pub struct Tail {
    log: LogExpr,
    /// When it began: what the template function `now` tells.
    now_ns: i64,
    /// Number of the newest request seen.
    seen: u64,
    /// Of which sets of values an entry came, for `distinct`.
    distinct: HashSet<u128, RandomState>,
}

impl Tail {
    /// Begins after what the snapshot has.
    ///
    /// # Errors
    /// `Evaluation` for a pipeline that cannot be run.
    pub fn new(log: LogExpr, snapshot: Option<&Snapshot>, now_ns: i64) -> Result<Tail, QueryError> {
        Runner::new(&log, now_ns)?;
        let seen = snapshot.map_or(0, |snapshot| snapshot.logs().newest_seq());
        Ok(Tail { log, now_ns, seen, distinct: HashSet::default() })
    }

    /// What came since the last look, at most `limit` entries.
    ///
    /// # Errors
    /// `TooMuch`, `Timeout`, `Cancelled` by the budget.
    pub fn look(&mut self, snapshot: &Snapshot, limit: usize, budget: &Budget) -> Result<Look, QueryError> {
        let view = snapshot.logs();
        let (seen, newest) = (self.seen, view.newest_seq());
        if newest <= seen {
            return Ok(Look::default());
        }
        let (blocks, parts) = view.arrived_since(seen.saturating_add(1));
        let mut sources: Vec<Source> = blocks.into_iter().map(Source::Block).collect();
        sources.extend(parts.into_iter().cloned().map(Source::Head));
        let mut runner = Runner::new(&self.log, self.now_ns)?;
        let matchers: Vec<Matcher> = self.log.matchers.iter().map(|matcher| matcher.matcher.clone()).collect();
        let mut scan = Scan::over(&mut sources, &matchers, all(), budget)?;
        let mut found = Vec::new();
        for source in sources {
            let Some(mut piece) = scan.read(source)? else { continue };
            let (rows, names) = (piece.rows.clone(), piece.names.clone());
            for at in 0..rows.count() {
                let key = rows.key(at)?;
                if key.seq <= seen {
                    continue;
                }
                let Some(stream) = scan.stream(&mut piece, at)? else { continue };
                if !runner.may_pass(&rows, at)? {
                    continue;
                }
                if !self.log.is_distinct() && !matches!(scan.twin(&rows, at, &stream)?, Twin::New) {
                    continue;
                }
                let entry = runner.entry(&rows, at, &stream, &names)?;
                let values = runner.distinct();
                if entry.is_some() || values.is_some() {
                    scan.guard.spend(entry.as_ref().map_or(0, |entry| entry.line.len() as u64))?;
                    found.push((key, values, entry));
                }
            }
        }
        self.seen = newest;
        found.sort_by_key(|(key, ..)| *key);
        if self.distinct.len() >= DISTINCT_MAX {
            self.distinct.clear();
        }
        let mut is_first = |values: Option<u128>| values.is_none_or(|values| self.distinct.insert(values));
        found.retain(|(_, values, _)| is_first(*values));
        let mut entries: Vec<LogEntry> = found.into_iter().filter_map(|(.., entry)| entry).collect();
        // The newest are what one wants to see.
        let over = entries.len().saturating_sub(limit);
        let mut dropped: Vec<LogEntry> = entries.drain(..over).collect();
        dropped.truncate(DROPPED_MAX);
        dropped.iter_mut().for_each(|entry| entry.line.clear());
        Ok(Look { entries, dropped })
    }
}

fn all() -> NsRange {
    NsRange { start_ns: i64::MIN, end_ns: i64::MAX }
}
