//! Entries by when their records were taken in, whatever times they have: for rules that handle each record once.
//!
//! What is new is told by intake sequence numbers. The head is asked for them; of blocks that were sealed since, those are read that
//! were not there at the last look. After a start no block is known and a day was sealed as one, and each such day's are read from its
//! newest back, until some in a row hold nothing new: blocks are written in order of intake, but for what a full head let go early.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use model::{Matcher, NsRange};
use store::{BlockRef, IndexQuery, Snapshot};

use super::ast::LogExpr;
use super::narrow;
use super::sampler::Runner;
use super::scan::Scan;
use super::select::LogEntry;
use crate::logs::guard::Source;
use crate::{Budget, QueryError};

/// Blocks of one day in a row without anything new, after which a first look goes no further back.
const OLD_IN_A_ROW: u32 = 4;
const DAY_NS: i64 = 86_400_000_000_000;

/// One entry and the intake sequence number of the request that brought it.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    pub seq: u64,
    pub entry: LogEntry,
}

/// Remembers which blocks it has seen through.
#[derive(Debug, Clone, Default)]
pub struct TakenIn {
    /// Fingerprints, with the highest number in each.
    blocks: HashMap<u64, u64, RandomState>,
    has_looked: bool,
}

impl TakenIn {
    /// Entries that the expression lets through of records taken in after `after`, in order of intake, up to `upto` (which is
    /// [`Snapshot::applied_seq`], so that no later one is handled twice).
    ///
    /// # Errors
    /// `Evaluation` for a pipeline that cannot be run; `TooMuch`, `Timeout`, `Cancelled` by the budget.
    pub fn look(
        &mut self,
        snapshot: &Snapshot,
        log: &LogExpr,
        (after, upto): (u64, u64),
        now_ns: i64,
        budget: &Budget,
    ) -> Result<Vec<Taken>, QueryError> {
        let all = NsRange { start_ns: i64::MIN, end_ns: i64::MAX };
        let mut runner = Runner::new(log, now_ns)?;
        let matchers: Vec<Matcher> = log.matchers.iter().map(|matcher| matcher.matcher.clone()).collect();
        let view = snapshot.logs();
        let (arrived, _) = view.arrived_since(after.saturating_add(1));
        // The index is asked where many blocks are in question, which is at the first look.
        let blocks = match self.has_looked {
            true => arrived,
            false => {
                let arrived: HashSet<u64, RandomState> = arrived.iter().map(fingerprint).collect();
                let query = IndexQuery::And(vec![narrow::streams(&matchers), runner.pipeline().index_query()]);
                let (mut blocks, _) = view.blocks(all, &query, || budget.check())?;
                blocks.retain(|block| arrived.contains(&fingerprint(block)));
                blocks
            }
        };
        let mut heads: Vec<Source> =
            view.head(all).filter(|part| part.seq > after && part.seq <= upto).cloned().map(Source::Head).collect();
        let mut scan = Scan::over(&mut heads, &matchers, all, budget)?;
        let mut found = Vec::new();
        let mut seen = HashMap::default();
        let (mut day, mut old) = (i64::MIN, 0);
        // From the newest back.
        for block in blocks.into_iter().rev() {
            let fingerprint = fingerprint(&block);
            if let Some(highest) = self.blocks.get(&fingerprint) {
                seen.insert(fingerprint, *highest);
                if *highest <= after {
                    continue;
                }
            }
            let of_day = block.max_ns().div_euclid(DAY_NS);
            if of_day != day {
                (day, old) = (of_day, 0);
            }
            if !self.has_looked && old >= OLD_IN_A_ROW {
                seen.insert(fingerprint, after);
                continue;
            }
            let highest = read(&mut scan, &mut runner, Source::Block(block), (after, upto), &mut found)?;
            old = if highest <= after { old + 1 } else { 0 };
            seen.insert(fingerprint, highest);
        }
        for head in heads {
            read(&mut scan, &mut runner, head, (after, upto), &mut found)?;
        }
        self.blocks = seen;
        self.has_looked = true;
        found.sort_by_key(|(key, _)| *key);
        Ok(found.into_iter().map(|((seq, _), entry)| Taken { seq, entry }).collect())
    }
}

/// Intake sequence number and place in the request.
type Place = (u64, u32);

/// Adds the entries of one source; the highest number in it.
fn read(
    scan: &mut Scan<'_>,
    runner: &mut Runner,
    source: Source,
    (after, upto): (u64, u64),
    found: &mut Vec<(Place, LogEntry)>,
) -> Result<u64, QueryError> {
    let Some(mut piece) = scan.read(source)? else { return Ok(0) };
    let (rows, names) = (piece.rows.clone(), piece.names.clone());
    let mut highest = 0;
    for at in 0..rows.count() {
        let key = rows.key(at)?;
        highest = highest.max(key.seq);
        if key.seq <= after || key.seq > upto {
            continue;
        }
        let Some(stream) = scan.stream(&mut piece, at)? else { continue };
        if !runner.may_pass(&rows, at)? {
            continue;
        }
        if let Some(entry) = runner.entry(&rows, at, &stream, &names)? {
            scan.guard.spend(entry.line.len() as u64)?;
            found.push(((key.seq, key.place), entry));
        }
    }
    Ok(highest)
}

/// Tells one block from another of the same tenant.
fn fingerprint(block: &BlockRef) -> u64 {
    let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
    for part in [block.min_ns() as u64, block.max_ns() as u64, block.records(), block.stored_bytes(), block.raw_bytes()]
    {
        hasher.update(&part.to_le_bytes());
    }
    hasher.digest()
}
