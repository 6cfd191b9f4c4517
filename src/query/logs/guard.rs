//! What one search reads, and its budget: asked before each block and every so many records.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use model::{NsRange, Severity};
use store::{BlockRef, HeadPart, LogView, StoreError};

use super::SearchStats;
use super::expr::{Expr, index_query, severities};
use super::heads::Heads;
use super::row::Rows;
use crate::memory::Account;
use crate::{Budget, QueryError};

/// Records judged between two looks at the clock: some tens of microseconds.
const RECORDS_BETWEEN_LOOKS: u64 = 256;

/// Where records are read from.
#[derive(Clone)]
pub(crate) enum Source {
    Block(BlockRef),
    Head(Arc<HeadPart>),
}

impl Source {
    pub(crate) fn min_ns(&self) -> i64 {
        match self {
            Source::Block(block) => block.min_ns(),
            Source::Head(part) => part.min_ns,
        }
    }

    pub(crate) fn max_ns(&self) -> i64 {
        match self {
            Source::Block(block) => block.max_ns(),
            Source::Head(part) => part.max_ns,
        }
    }

    /// Bytes that reading it takes.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Source::Block(block) => block.stored_bytes(),
            Source::Head(part) => part.raw_bytes,
        }
    }

    pub(crate) fn is_block(&self) -> bool {
        matches!(self, Source::Block(_))
    }
}

pub(crate) struct Guard<'a> {
    budget: &'a Budget,
    /// Shared by all threads of this part of the query.
    account: Arc<Account>,
    ticks: u64,
    pub(crate) stats: SearchStats,
}

impl<'a> Guard<'a> {
    pub(crate) fn new(budget: &'a Budget) -> Guard<'a> {
        Guard::sharing(budget, &Account::new(&budget.memory))
    }

    /// What the threads of this part of the query hold together.
    pub(crate) fn share(&self) -> Arc<Account> {
        self.account.clone()
    }

    /// A guard for another thread.
    pub(crate) fn sharing(budget: &'a Budget, account: &Arc<Account>) -> Guard<'a> {
        Guard { budget, account: account.clone(), ticks: 0, stats: SearchStats::default() }
    }

    /// A guard beside this one, of the same account.
    pub(crate) fn another(&self) -> Guard<'a> {
        Guard::sharing(self.budget, &self.account)
    }

    /// All places that can hold a match in the range.
    pub(crate) fn sources(&mut self, view: &LogView, expr: &Expr, range: NsRange) -> Result<Vec<Source>, QueryError> {
        let (blocks, ruled_out) = view.blocks(range, &index_query(expr), || self.look())?;
        let mask = severities(expr);
        let has_any = |block: &BlockRef| {
            Severity::ALL.iter().any(|severity| mask >> (*severity as u8) & 1 != 0 && block.has_severity(*severity))
        };
        let before = blocks.len();
        let mut out: Vec<Source> = blocks.into_iter().filter(has_any).map(Source::Block).collect();
        self.stats.blocks_skipped += ruled_out + (before - out.len()) as u64;
        let mut heads = Heads::default();
        out.extend(view.head(range).filter(|part| heads.may_match(expr, part)).cloned().map(Source::Head));
        self.budget.progress.expect(out.iter().map(Source::bytes).sum());
        Ok(out)
    }

    /// Reads a source; `None` when retention dropped it meanwhile, or it is damaged: then the budget's warnings name it.
    pub(crate) fn read(&mut self, source: Source) -> Result<Option<Rows>, QueryError> {
        self.look()?;
        self.stats.bytes_scanned += source.bytes();
        self.budget.progress.scanned(source.bytes());
        Ok(match source {
            Source::Block(block) => {
                self.stats.blocks_scanned += 1;
                match block.read() {
                    Ok(block) => block.map(Rows::of_block),
                    Err(error @ StoreError::Corrupt { .. }) => {
                        self.budget.damage.note(error.to_string());
                        None
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Source::Head(part) => Some(Rows::Head(part)),
        })
    }

    /// Counts a record, and looks at the clock now and then.
    pub(crate) fn tick(&mut self) -> Result<(), QueryError> {
        self.stats.records_scanned += 1;
        self.ticks += 1;
        if self.ticks.is_multiple_of(RECORDS_BETWEEN_LOOKS) { self.look() } else { Ok(()) }
    }

    /// Counts records that are judged together, and looks at the clock.
    pub(crate) fn ticks(&mut self, records: usize) -> Result<(), QueryError> {
        self.stats.records_scanned += records as u64;
        self.look()
    }

    pub(crate) fn look(&self) -> Result<(), QueryError> {
        if self.budget.cancelled.load(Ordering::Relaxed) {
            return Err(QueryError::Cancelled);
        }
        if Instant::now() >= self.budget.deadline {
            return Err(QueryError::Timeout { seconds: self.budget.timeout.as_secs_f64() });
        }
        Ok(())
    }

    /// So many records were found that match.
    pub(crate) fn matched(&mut self, records: usize) {
        self.budget.progress.matched(records as u64);
    }

    /// What was spent is free again.
    pub(crate) fn give_back(&mut self, bytes: u64) {
        self.account.give_back(bytes);
    }

    /// Takes memory that is held until this part of the query ends, or given back.
    pub(crate) fn spend(&mut self, bytes: u64) -> Result<(), QueryError> {
        let held = self.account.take(bytes);
        if held > self.budget.bytes_max {
            return Err(QueryError::TooMuch {
                message: format!(
                    "the search holds more than {} bytes of rows and values (query.memory_max); ask for fewer rows, or narrow the \
                     time range or the search",
                    self.budget.bytes_max
                ),
            });
        }
        self.account.reach(held)
    }
}
