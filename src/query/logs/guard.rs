//! What one search reads, and its budget: asked before each block and every so many records.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use model::{NsRange, Severity};
use store::{BlockRef, HeadPart, LogView};

use super::SearchStats;
use super::expr::{Expr, index_query, severities};
use super::row::Rows;
use crate::{Budget, QueryError};

/// Records judged between two looks at the clock: some tens of microseconds.
const RECORDS_BETWEEN_LOOKS: u64 = 256;

/// Where records are read from.
pub(super) enum Source {
    Block(BlockRef),
    Head(Arc<HeadPart>),
}

impl Source {
    pub(super) fn min_ns(&self) -> i64 {
        match self {
            Source::Block(block) => block.min_ns(),
            Source::Head(part) => part.min_ns,
        }
    }

    pub(super) fn max_ns(&self) -> i64 {
        match self {
            Source::Block(block) => block.max_ns(),
            Source::Head(part) => part.max_ns,
        }
    }

    pub(super) fn is_block(&self) -> bool {
        matches!(self, Source::Block(_))
    }
}

pub(super) struct Guard<'a> {
    budget: &'a Budget,
    spent_bytes: u64,
    ticks: u64,
    pub(super) stats: SearchStats,
}

impl<'a> Guard<'a> {
    pub(super) fn new(budget: &'a Budget) -> Guard<'a> {
        Guard { budget, spent_bytes: 0, ticks: 0, stats: SearchStats::default() }
    }

    /// All places that can hold a match in the range.
    pub(super) fn sources(&mut self, view: &LogView, expr: &Expr, range: NsRange) -> Result<Vec<Source>, QueryError> {
        let (blocks, ruled_out) = view.blocks(range, &index_query(expr), || self.look())?;
        let mask = severities(expr);
        let has_any = |block: &BlockRef| {
            Severity::ALL.iter().any(|severity| mask >> (*severity as u8) & 1 != 0 && block.has_severity(*severity))
        };
        let before = blocks.len();
        let mut out: Vec<Source> = blocks.into_iter().filter(has_any).map(Source::Block).collect();
        self.stats.blocks_skipped += ruled_out + (before - out.len()) as u64;
        out.extend(view.head(range).cloned().map(Source::Head));
        Ok(out)
    }

    /// Reads a source; `None` when retention dropped it meanwhile.
    pub(super) fn read(&mut self, source: Source) -> Result<Option<Rows>, QueryError> {
        self.look()?;
        Ok(match source {
            Source::Block(block) => {
                self.spend(block.stored_bytes())?;
                self.stats.blocks_scanned += 1;
                self.stats.bytes_scanned += block.stored_bytes();
                block.read()?.map(Rows::of_block)
            }
            Source::Head(part) => {
                self.stats.bytes_scanned += part.raw_bytes;
                Some(Rows::Head(part))
            }
        })
    }

    /// Counts a record, and looks at the clock now and then.
    pub(super) fn tick(&mut self) -> Result<(), QueryError> {
        self.stats.records_scanned += 1;
        self.ticks += 1;
        if self.ticks.is_multiple_of(RECORDS_BETWEEN_LOOKS) { self.look() } else { Ok(()) }
    }

    pub(super) fn look(&self) -> Result<(), QueryError> {
        if self.budget.cancelled.load(Ordering::Relaxed) {
            return Err(QueryError::Cancelled);
        }
        if Instant::now() >= self.budget.deadline {
            return Err(QueryError::Timeout { seconds: self.budget.timeout.as_secs_f64() });
        }
        Ok(())
    }

    pub(super) fn spend(&mut self, bytes: u64) -> Result<(), QueryError> {
        self.spent_bytes += bytes;
        if self.spent_bytes > self.budget.bytes_max {
            return Err(QueryError::TooMuch {
                message: format!(
                    "the search reads more than {} bytes of log blocks and rows (query.memory_max); narrow the time range or \
                     add a word that few records have",
                    self.budget.bytes_max
                ),
            });
        }
        Ok(())
    }
}
