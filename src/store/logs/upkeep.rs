//! Upkeep of a tenant's logs: head to blocks, blocks to index.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::meter::Counter;
use model::time::Day;

use super::follow::Seal;
use super::{DayState, LogStore, index_write, seal};
use crate::StoreError;
use crate::limits::INDEX_CHECK_ROUND_BYTES;

/// Memory of the head of one day at which it is sealed: about 100,000 records. With less, a hundred streams at once fill no blocks.
pub(super) const HEAD_BYTES: u64 = 32 << 20;
/// Age at which a day's head is sealed however small, in ms: bounds replay, and a quiet stream's blocks are a few a day.
const HEAD_AGE_MS: i64 = 15 * 60_000;
/// Age of the oldest block outside the index at which a segment is made however small, in ms.
const INDEX_AGE_MS: i64 = 60 * 60_000;
/// A day that got no block for this long is indexed as it is, in ms, once this much of it is outside the index, in bytes before
/// encoding: a search reads those blocks one by one, 30 µs each, and a pause is when nobody waits for the processor.
const INDEX_QUIET_MS: i64 = 20_000;
const INDEX_QUIET_BYTES: u64 = 4 << 20;

static BLOCKS: Counter = Counter::new("binnacle_log_blocks_sealed_total", "Log blocks written.", &[]);
static SEAL_FAILURES: Counter =
    Counter::new("binnacle_log_seal_failures_total", "Failed attempts to write log blocks; they are repeated.", &[]);
static INDEX_FAILURES: Counter = Counter::new(
    "binnacle_index_commit_failures_total",
    "Failed attempts to write a segment of the log index; searches read the blocks instead until one succeeds.",
    &[],
);

impl LogStore {
    /// Seals what is full or old (everything with `force`) and makes it durable outside the intake log.
    ///
    /// Returns the `seq` up to which (included) nothing here needs the intake log any more; `None` when that holds for all
    /// that was applied. May run beside `apply` and reads; never beside itself.
    pub(crate) fn flush(&self, now_ms: i64, force: bool) -> Result<Option<u64>, StoreError> {
        let writing = self.writing.lock();
        {
            let mut state = self.state.lock();
            state.now_ms = now_ms;
            for day in state.days.values_mut() {
                day.head_since_ms = if day.head.is_empty() { None } else { day.head_since_ms.or(Some(now_ms)) };
            }
        }
        self.seal(|day| force || day.head_bytes >= HEAD_BYTES || is_old(day.head_since_ms, HEAD_AGE_MS, now_ms))?;
        drop(writing);
        let state = self.state.lock();
        // Heads are in order of sequence numbers.
        let oldest = state.days.values().filter_map(|day| day.head.first()).map(|part| part.seq).min();
        Ok(oldest.map(|seq| seq.saturating_sub(1)))
    }

    /// Indexes the days that have enough blocks outside the index, or old ones. Takes seconds for tens of MB; intake, seals and
    /// reads go on meanwhile.
    pub(crate) fn index_due(&self, now_ms: i64) {
        let indexing = self.indexing.lock();
        self.check_segments();
        let to_index: Vec<Day> = {
            let mut state = self.state.lock();
            let mut due = Vec::new();
            for (number, day) in &mut state.days {
                let unindexed = day.unindexed();
                day.unindexed_since_ms = unindexed.as_ref().map(|_| day.unindexed_since_ms.unwrap_or(now_ms));
                let damaged = day.segments.iter().any(|segment| segment.damaged.load(Ordering::Relaxed));
                if day.grown.0 != day.blocks.len() {
                    day.grown = (day.blocks.len(), now_ms);
                }
                let bytes = unindexed.map_or(0, |(_, bytes)| bytes);
                let full = bytes >= index_write::SEGMENT_RAW_BYTES;
                let quiet = bytes >= INDEX_QUIET_BYTES && is_old(Some(day.grown.1), INDEX_QUIET_MS, now_ms);
                if damaged || full || quiet || is_old(day.unindexed_since_ms, INDEX_AGE_MS, now_ms) {
                    due.push(*number);
                }
            }
            due
        };
        for day in to_index {
            let indexed = self.index(day);
            if self.files.is_ending() {
                break;
            }
            // The index is derived: without it searches are slower, and intake goes on.
            if let Err(error) = indexed {
                INDEX_FAILURES.add(&[], 1);
                tracing::warn!(%error, %day, "cannot index logs");
            }
        }
        drop(indexing);
    }

    /// Reads segments that a start found against their checksums, the newest first, some in each round: a bit that fell over in one would
    /// hide records from every search. The caller holds `indexing`.
    fn check_segments(&self) {
        let unchecked: Vec<_> = {
            let state = self.state.lock();
            let segments = state.days.values().rev().flat_map(|day| day.segments.iter());
            segments.filter(|segment| !segment.is_checked()).cloned().collect()
        };
        let mut bytes = 0;
        for segment in unchecked {
            if bytes >= INDEX_CHECK_ROUND_BYTES {
                break;
            }
            bytes += segment.check_once();
        }
    }

    /// Writes the heads of the days chosen; the first failure is returned when all were tried. The caller holds `writing`.
    pub(super) fn seal(&self, due: impl Fn(&DayState) -> bool) -> Result<(), StoreError> {
        let (chosen, applied_seq) = {
            let state = self.state.lock();
            let chosen: Vec<_> = state
                .days
                .iter()
                .filter(|(_, day)| !day.head.is_empty() && due(day))
                .map(|(number, day)| (*number, day.file.clone(), day.head.clone(), day.blocks.len() as u64))
                .collect();
            (chosen, state.applied_seq)
        };
        if !chosen.is_empty() {
            crate::file::make_dir(&self.dir)?;
        }
        let mut result = Ok(());
        for (number, file, head, first) in chosen {
            let sealed = seal::seal(&head);
            let infos = match file.append(first, &sealed, applied_seq) {
                Ok(infos) => infos,
                // The other days go on; this one stays in the head, and so in the intake log.
                Err(error) => {
                    SEAL_FAILURES.add(&[], 1);
                    result = result.and(Err(error));
                    continue;
                }
            };
            BLOCKS.add(&[], infos.len() as u64);
            let mut state = self.state.lock();
            // Only a drop removes days, and that waits for `writing`.
            let day = state.days.get_mut(&number).expect("a day stays while it is written");
            Arc::make_mut(&mut day.blocks).extend(infos);
            Seal::note(Arc::make_mut(&mut day.seals), first, applied_seq);
            let bytes: u64 = head.iter().map(|part| part.memory_bytes()).sum();
            let count = head.len();
            drop(head);
            // What was applied meanwhile stands behind.
            Arc::make_mut(&mut day.head).drain(..count);
            day.head_bytes -= bytes;
            day.head_since_ms = None;
            day.covered_seq = Some(applied_seq);
            state.head_bytes -= bytes;
            state.shared.forget_unused();
        }
        result
    }

    /// Indexes a day's blocks that no good segment covers. The caller holds `indexing`.
    pub(super) fn index(&self, number: Day) -> Result<(), StoreError> {
        let dir = self.index_dir(number);
        loop {
            let (file, blocks, run) = {
                let mut state = self.state.lock();
                let Some(day) = state.days.get_mut(&number) else { return Ok(()) };
                if let Some(at) = day.segments.iter().position(|segment| segment.damaged.load(Ordering::Relaxed)) {
                    Arc::make_mut(&mut day.segments).remove(at).remove()?;
                }
                let Some((run, _)) = day.unindexed() else {
                    day.unindexed_since_ms = None;
                    return Ok(());
                };
                (day.file.clone(), day.blocks.clone(), run)
            };
            let mut gone = false;
            let segment = index_write::segment(&dir, run, &blocks, |id, terms| match file.block(id) {
                // A segment takes seconds, and a stop must not. The next start makes it again.
                _ if self.files.is_ending() => Err(StoreError::Unavailable { reason: "the store is closing".into() }),
                Ok(None) => {
                    gone = true;
                    Ok(false)
                }
                Ok(Some(block)) => {
                    Ok(terms.fill(&block).inspect_err(|error| file.note_damage(id, error.to_string())).is_ok())
                }
                // It is known as damaged now, and the next run goes around it.
                Err(StoreError::Corrupt { .. }) => Ok(false),
                Err(error) => Err(error),
            })?;
            if gone {
                return Ok(());
            }
            let Some(segment) = segment else { continue };
            let mut state = self.state.lock();
            let Some(day) = state.days.get_mut(&number) else { return Ok(()) };
            let at = day.segments.partition_point(|known| known.blocks.start < segment.blocks.start);
            Arc::make_mut(&mut day.segments).insert(at, Arc::new(segment));
        }
    }
}

fn is_old(since_ms: Option<i64>, age_ms: i64, now_ms: i64) -> bool {
    since_ms.is_some_and(|since_ms| now_ms.saturating_sub(since_ms) >= age_ms)
}
