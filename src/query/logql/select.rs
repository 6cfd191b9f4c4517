//! Log queries: the first entries that a pipeline lets through, in order of time.

use std::collections::BTreeMap;

use model::{Labels, Matcher, NsRange};
use store::{LogView, Snapshot};

use super::ast::LogExpr;
use super::distinct::{Firsts, Place, Turn};
use super::narrow;
use super::sampler::Runner;
use super::scan::{Scan, Twin};
use crate::logs::guard::Source;
use crate::logs::row::RowKey;
use crate::logs::{Direction, SearchStats, damage};
use crate::{Budget, QueryError};

/// Entries kept beyond those asked for.
const SPARE: usize = 16;
/// What one entry counts for in the budget beside its texts, in bytes.
const ENTRY_BYTES: u64 = 256;

/// One line of an answer, as the pipeline left it.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry {
    pub time_ns: i64,
    pub line: String,
    /// Labels of its stream that still are.
    pub stream: Labels,
    /// Structured metadata that still is.
    pub metadata: Labels,
    /// What the pipeline made.
    pub parsed: Labels,
}

impl LogEntry {
    /// All its labels; a name stands in one of the three sets only.
    pub fn all(&self) -> Labels {
        let sets = [&self.stream, &self.metadata, &self.parsed];
        let pairs: BTreeMap<_, _> = sets.iter().flat_map(|set| set.pairs().iter().cloned()).collect();
        Labels::from_sorted(pairs)
    }

    fn bytes(&self) -> u64 {
        let sets = [&self.stream, &self.metadata, &self.parsed];
        let texts: usize =
            sets.iter().flat_map(|set| set.iter()).map(|(name, value)| name.len() + value.len() + 64).sum();
        ENTRY_BYTES + (self.line.len() + texts) as u64
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogAnswer {
    /// In the order asked for.
    pub entries: Vec<LogEntry>,
    pub stats: SearchStats,
}

/// The first `limit` entries in the range, newest or oldest first; entries of one time in order of their streams' hashes, as Loki has
/// them, and of one stream in order of intake. With an interval, the first
/// in each: every entry lies at least so far from the one before. Without a snapshot there is no data.
///
/// # Errors
/// `TooMuch`, `Timeout`, `Cancelled` by the budget.
pub fn select(
    snapshot: Option<&Snapshot>,
    log: &LogExpr,
    range: NsRange,
    direction: Direction,
    limit: usize,
    interval_ns: i64,
    budget: &Budget,
) -> Result<LogAnswer, QueryError> {
    let Some(snapshot) = snapshot else { return Ok(LogAnswer::default()) };
    damage::around(snapshot.logs(), range, budget, || {
        select_in(snapshot.logs(), log, range, direction, limit, interval_ns, budget)
    })
}

fn select_in(
    view: &LogView,
    log: &LogExpr,
    range: NsRange,
    direction: Direction,
    limit: usize,
    interval_ns: i64,
    budget: &Budget,
) -> Result<LogAnswer, QueryError> {
    let newest = direction == Direction::NewestFirst;
    let mut runner = Runner::new(log, range.end_ns)?;
    let matchers: Vec<Matcher> = log.matchers.iter().map(|matcher| matcher.matcher.clone()).collect();
    let narrow = [narrow::streams(&matchers), runner.pipeline().index_query()];
    let (mut scan, mut sources) = Scan::new(view, &matchers, &narrow, range, budget)?;
    match newest {
        true => sources.sort_by_key(|source| std::cmp::Reverse(source.max_ns())),
        false => sources.sort_by_key(Source::min_ns),
    }
    // Which entries an interval leaves is known when all are. Some more than asked for, since a twin that came first takes away one that
    // was found before.
    // The same where an entry may go that others went for.
    let needs_all = interval_ns > 0 || runner.pipeline().refuses_distinct();
    let wanted = if needs_all { usize::MAX } else { limit.saturating_add(SPARE) };
    let (is_distinct, mut firsts) = (log.is_distinct(), Firsts::new(newest));
    let lines = runner.pipeline().lines();
    let mut found: BTreeMap<RowKey, (u64, LogEntry)> = BTreeMap::new();
    let mut rest = sources.into_iter();
    while let Some(source) = rest.next() {
        let worst = |found: &BTreeMap<RowKey, (u64, LogEntry)>| {
            let key = if newest { found.first_key_value() } else { found.last_key_value() };
            key.map(|(key, _)| *key).filter(|_| found.len() >= wanted)
        };
        if let Some(worst) = worst(&found)
            && (if newest { source.max_ns() < worst.time_ns } else { source.min_ns() > worst.time_ns })
        {
            scan.guard.stats.blocks_skipped += rest.chain([source]).filter(Source::is_block).count() as u64;
            break;
        }
        scan.expect(match newest {
            true => NsRange { end_ns: source.max_ns().saturating_add(1), ..NsRange::ALL },
            false => NsRange { start_ns: source.min_ns(), ..NsRange::ALL },
        });
        let is_block = source.is_block();
        let Some(mut piece) = scan.read(source)? else { continue };
        let (rows, names) = (piece.rows.clone(), piece.names.clone());
        let passing = lines.select(&rows)?;
        let places: Box<dyn Iterator<Item = usize>> =
            if newest { Box::new(passing.iter().rev()) } else { Box::new(passing.iter()) };
        for at in places {
            // Blocks are in order of time: the best come first, and the first that is too late ends it.
            let Some(stream) = scan.stream(&mut piece, at)? else { continue };
            let key = rows.key(at)?;
            // One of the same time may be a twin that came first.
            let is_late =
                |worst: RowKey| if newest { key.time_ns < worst.time_ns } else { key.time_ns > worst.time_ns };
            if worst(&found).is_some_and(is_late) {
                if is_block {
                    break;
                }
                continue;
            }
            if !lines.is_sure(&rows, at)? && !runner.may_pass(&rows, at)? {
                continue;
            }
            if !is_distinct {
                match scan.twin(&rows, at, &stream)? {
                    Twin::New => {}
                    Twin::Known => continue,
                    Twin::Replaces(other) => drop(found.remove(&other)),
                }
            }
            let entry = runner.entry(&rows, at, &stream, &names)?;
            if let Some(values) = runner.distinct() {
                match firsts.look(values, Place { key, stream: stream.hash }, &mut scan.guard)? {
                    Turn::First => {}
                    Turn::Before(other) => drop(found.remove(&other)),
                    Turn::Later => continue,
                }
            }
            let Some(entry) = entry else { continue };
            scan.guard.spend(entry.bytes())?;
            found.insert(key, (stream.hash, entry));
            while found.len() > wanted {
                let over = found.len() - wanted;
                let edge = if newest { found.iter().nth(over) } else { found.iter().rev().nth(over) };
                let (Some((edge, _)), Some(worst)) = (edge, worst(&found)) else { break };
                if edge.time_ns == worst.time_ns {
                    break;
                }
                if let Some((_, entry)) = found.remove(&worst) {
                    scan.guard.give_back(entry.bytes());
                }
            }
        }
    }
    let mut entries: Vec<(u64, LogEntry)> = found.into_values().collect();
    if newest {
        entries.reverse();
    }
    entries.sort_by(|(left_stream, left), (right_stream, right)| {
        let order = left.time_ns.cmp(&right.time_ns);
        (if newest { order.reverse() } else { order }).then(left_stream.cmp(right_stream))
    });
    let mut entries: Vec<LogEntry> = entries.into_iter().map(|(_, entry)| entry).collect();
    if interval_ns > 0 {
        let mut before: Option<i64> = None;
        entries.retain(|entry| {
            let is_far = before.is_none_or(|before| entry.time_ns.abs_diff(before) >= interval_ns.unsigned_abs());
            if is_far {
                before = Some(entry.time_ns);
            }
            is_far
        });
    }
    entries.truncate(limit);
    Ok(LogAnswer { entries, stats: scan.guard.stats })
}
