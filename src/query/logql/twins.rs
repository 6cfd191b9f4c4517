//! Records of one stream and time in different sources: of those with the same line the first one taken in counts, as in Loki.
//!
//! Sources come in order of their oldest records. A record at whose time another source may have its stream waits until no source
//! that is still to come begins as early; then the waiting ones are gone through in order of time. Where no two are of one stream and
//! time, which is nearly everywhere, no line is looked at. So what is held at once is what sources that overlap have in common,
//! whatever the range.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use foldhash::fast::RandomState;

use super::collect::Key;
use super::scan::line_hash;
use crate::QueryError;
use crate::logs::guard::{Guard, Source};
use crate::logs::row::Rows;

/// What a waiting record counts for in the budget, in bytes: itself, and the hash of its line.
const WAITING_BYTES: u64 = (size_of::<Waiting>() + size_of::<u64>()) as u64;

/// Records that are asked for their lines together: sources are read again for them, so the more the better. About 60 bytes each.
const CONTESTED_MAX: usize = 1 << 16;

/// One in so many records contested at which the lines of all are hashed where they are read, instead of read again.
const CONTESTED_SHARE: u64 = 16;

/// Stands for the series of a record that gives no sample, and of one whose pipeline failed.
pub(super) const NO_SAMPLE: u32 = u32::MAX;
pub(super) const FAILED: u32 = u32::MAX - 1;

/// A record that may have a twin in another source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) time_ns: i64,
    /// The hash of its stream's labels.
    pub(super) stream: u64,
    pub(super) value: f64,
    /// Its place in its source.
    pub(super) at: u32,
    /// The number of its series in its source, or one of the constants above.
    pub(super) series: u32,
}

impl Waiting {
    fn order(&self) -> (i64, u64) {
        (self.time_ns, self.stream)
    }
}

/// A series of a source among those of all: not there before a sample of it counts.
pub(super) enum Placed {
    At(usize),
    Unplaced(Key),
}

/// What of one source waits.
#[derive(Default)]
pub(super) struct Held {
    pub(super) placed: Vec<Placed>,
    /// Of records whose pipeline failed, by their places.
    pub(super) errors: HashMap<u32, QueryError, RandomState>,
    /// In order of time and stream.
    pub(super) waiting: Vec<Waiting>,
    /// Hashes of their lines; empty where they were not made.
    pub(super) lines: Vec<u64>,
    /// Those before are done, but for the contested ones.
    done: usize,
    contested: usize,
}

impl Held {
    /// Puts waiting records in order and takes out those with twins among them. With `hashes`, hashes all lines.
    pub(super) fn prepare(&mut self, rows: &Rows, hashes: bool) -> Result<(), QueryError> {
        self.waiting.sort_unstable_by_key(|one| (one.order(), one.at));
        let mut kept = Vec::with_capacity(self.waiting.len());
        let mut lines: HashSet<u64, RandomState> = HashSet::default();
        for alike in self.waiting.chunk_by(|left, right| left.order() == right.order()) {
            if let ([one], false) = (alike, hashes) {
                kept.push(*one);
                continue;
            }
            lines.clear();
            for one in alike {
                let line = line_hash(rows, one.at as usize)?;
                if lines.insert(line) {
                    kept.push(*one);
                    self.lines.extend(hashes.then_some(line));
                }
            }
        }
        self.waiting = kept;
        Ok(())
    }

    fn next(&self) -> Option<&Waiting> {
        self.waiting.get(self.done)
    }
}

/// A record of whose stream and time another source has one too.
struct Contested {
    source: usize,
    line: Option<u64>,
    record: Waiting,
}

/// The waiting records of all sources.
pub(super) struct Twins<'a> {
    /// In the order that they come in.
    sources: &'a [Source],
    /// Which of them was taken in before which.
    ranks: &'a [usize],
    held: Vec<Option<Box<Held>>>,
    /// The next record of each source that has one.
    heads: BinaryHeap<Reverse<(i64, u64, usize)>>,
    /// Those of one stream and time together.
    contested: Vec<Contested>,
    counted: u64,
    contested_ever: u64,
}

impl<'a> Twins<'a> {
    pub(super) fn new(sources: &'a [Source], ranks: &'a [usize]) -> Twins<'a> {
        let held = sources.iter().map(|_| None).collect();
        Twins { sources, ranks, held, heads: BinaryHeap::new(), contested: Vec::new(), counted: 0, contested_ever: 0 }
    }

    /// Takes what waits of a source.
    pub(super) fn add(&mut self, source: usize, held: Held, guard: &mut Guard<'_>) -> Result<(), QueryError> {
        let Some(first) = held.next() else { return Ok(()) };
        guard.spend(WAITING_BYTES * held.waiting.len() as u64)?;
        self.heads.push(Reverse((first.time_ns, first.stream, source)));
        self.held[source] = Some(Box::new(held));
        Ok(())
    }

    /// Whether so many records need their lines that all should come with them.
    pub(super) fn are_many(&self) -> bool {
        self.contested_ever * CONTESTED_SHARE > self.counted
    }

    /// Shows the records that count and are older than `before_ns`: older than what is still to come. `None` ends it.
    pub(super) fn advance(
        &mut self,
        before_ns: Option<i64>,
        guard: &mut Guard<'_>,
        count: &mut dyn FnMut(&mut Held, &Waiting) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let is_due = |time_ns: i64| before_ns.is_none_or(|before_ns| time_ns < before_ns);
        while let Some(Reverse((time_ns, stream, source))) = self.heads.peek().copied().filter(|head| is_due(head.0.0))
        {
            self.heads.pop();
            let other = self.heads.peek().map(|Reverse((time_ns, stream, _))| (*time_ns, *stream));
            if other == Some((time_ns, stream)) {
                self.contest((time_ns, stream), source, guard)?;
                if self.contested.len() >= CONTESTED_MAX {
                    self.settle(guard, count)?;
                }
                continue;
            }
            let Some(mut held) = self.held[source].take() else { continue };
            let from = held.done;
            // Up to where another source goes on.
            while let Some(record) = held.next().copied()
                && other.is_none_or(|other| record.order() < other)
                && is_due(record.time_ns)
            {
                count(&mut held, &record)?;
                held.done += 1;
            }
            self.counted += (held.done - from) as u64;
            self.put_back(source, held, guard);
        }
        if before_ns.is_none() { self.settle(guard, count) } else { Ok(()) }
    }

    /// Keeps what is left of a source.
    fn put_back(&mut self, source: usize, mut held: Box<Held>, guard: &mut Guard<'_>) {
        if let Some(next) = held.next() {
            self.heads.push(Reverse((next.time_ns, next.stream, source)));
        } else {
            guard.give_back(WAITING_BYTES * held.waiting.len() as u64);
            (held.waiting, held.lines, held.done) = (Vec::new(), Vec::new(), 0);
            if held.contested == 0 {
                return;
            }
        }
        self.held[source] = Some(held);
    }

    /// Sets the records of one stream and time aside, of `first` and of all other sources that have any.
    fn contest(&mut self, order: (i64, u64), first: usize, guard: &mut Guard<'_>) -> Result<(), QueryError> {
        let from = self.contested.len();
        let mut source = first;
        loop {
            if let Some(mut held) = self.held[source].take() {
                while let Some(record) = held.next().copied().filter(|record| record.order() == order) {
                    self.contested.push(Contested { source, line: held.lines.get(held.done).copied(), record });
                    held.done += 1;
                    held.contested += 1;
                }
                self.put_back(source, held, guard);
            }
            match self.heads.peek() {
                Some(Reverse((time_ns, stream, other))) if (*time_ns, *stream) == order => source = *other,
                _ => break,
            }
            self.heads.pop();
        }
        let ranks = self.ranks;
        let group = &mut self.contested[from..];
        group.sort_unstable_by_key(|one| (ranks[one.source], one.record.at));
        self.contested_ever += group.len() as u64;
        self.counted += group.len() as u64;
        guard.spend(size_of_val(group) as u64)
    }

    /// Shows those of the contested records that no earlier one is like.
    fn settle(
        &mut self,
        guard: &mut Guard<'_>,
        count: &mut dyn FnMut(&mut Held, &Waiting) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        self.read_lines(guard)?;
        let contested = std::mem::take(&mut self.contested);
        let mut lines: HashSet<u64, RandomState> = HashSet::default();
        for alike in contested.chunk_by(|left, right| left.record.order() == right.record.order()) {
            lines.clear();
            for Contested { source, line, record } in alike {
                let Some(held) = &mut self.held[*source] else { continue };
                // A line that cannot be read any more is like no other.
                if line.is_none_or(|line| lines.insert(line)) {
                    count(held, record)?;
                }
                held.contested -= 1;
                if held.contested == 0 && held.next().is_none() {
                    self.held[*source] = None;
                }
            }
        }
        guard.give_back(size_of_val(&*contested) as u64);
        Ok(())
    }

    /// Reads the lines that were not hashed when their sources were read first.
    fn read_lines(&mut self, guard: &mut Guard<'_>) -> Result<(), QueryError> {
        let mut unread: Vec<(usize, u32, usize)> = Vec::new();
        for (place, one) in self.contested.iter().enumerate().filter(|(_, one)| one.line.is_none()) {
            unread.push((one.source, one.record.at, place));
        }
        unread.sort_unstable();
        for of_source in unread.chunk_by(|left, right| left.0 == right.0) {
            let Some(rows) = guard.read(self.sources[of_source[0].0].clone())? else { continue };
            for (_, at, place) in of_source {
                self.contested[*place].line = Some(line_hash(&rows, *at as usize)?);
            }
        }
        Ok(())
    }
}
