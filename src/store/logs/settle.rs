//! Settling a day of logs that is over: its small blocks become full ones (`regroup.rs`), compressed harder, under an index of few segments.
//!
//! It is done in steps of at most some seconds, about one a round of upkeep, so that intake, seals and drops never wait long. The new
//! file and its index grow beside the old ones, which are read until the new ones take their place at once. What was begun is thrown away
//! when the program stops, or when the old file changes; what comes meanwhile is carried over as it is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use model::meter::Counter;
use model::time::Day;

use super::day::{DayFile, Info};
use super::day_anew::NewDay;
use super::regroup::{Pace, Regrouping};
use super::retention::dir_bytes;
use super::{DayState, LogStore, index, index_write, upkeep};
use crate::StoreError;
use crate::file::{corrupt, disk_bytes};
use crate::limits::{LOG_SETTLE_AGAIN_BLOCKS, SETTLE_AGAIN_MS, SETTLE_AGAIN_SHARE, SETTLE_QUIET_MS};

static SETTLED: Counter = Counter::new("binnacle_store_settled_log_days_total", "Days of logs settled.", &["result"]);

/// What settling remembers between two rounds.
#[derive(Default)]
pub(super) struct Settling {
    /// Blocks of each day that may be settled, and since when it has so many.
    quiet: BTreeMap<Day, (usize, i64)>,
    /// No attempt before, after a failed one.
    retry_at_ms: i64,
    work: Option<Work>,
}

impl Settling {
    pub(super) fn drop_before(&mut self, day: Day) {
        if self.work.as_ref().is_some_and(|work| work.day < day) {
            self.work = None;
        }
    }

    #[cfg(test)]
    pub(super) fn is_at_work(&self) -> bool {
        self.work.is_some()
    }
}

/// A day that is being settled.
struct Work {
    day: Day,
    file: Arc<DayFile>,
    /// How many it had at the begin.
    blocks: usize,
    regrouping: Regrouping,
    made: Option<NewDay>,
    /// The new file's index, and how many of its blocks are in it.
    index: PathBuf,
    indexed: u64,
}

impl Drop for Work {
    fn drop(&mut self) {
        // When it was put in place it is not here any more. If it stays, the next start removes it.
        drop(index::remove_dir(&self.index));
    }
}

impl LogStore {
    /// Goes on with the day that is being settled, or begins with one that is due: over, quiet, and with enough that was not grouped yet.
    /// A call takes about a second. `has_room` says whether so many bytes more fit on the disk.
    pub(crate) fn settle_due(&self, now_ms: i64, has_room: impl Fn(u64) -> bool) {
        self.settle_at(now_ms, &Pace::default(), has_room);
    }

    pub(super) fn settle_at(&self, now_ms: i64, pace: &Pace, has_room: impl Fn(u64) -> bool) {
        let indexing = self.indexing.lock();
        let mut settling = self.settling.lock();
        // Seals come first: they are what intake waits for.
        if now_ms < settling.retry_at_ms || self.state.lock().head_bytes >= upkeep::HEAD_BYTES {
            return;
        }
        let day = settling.work.as_ref().map(|work| work.day);
        if let Err(error) = self.settle_some(&mut settling, now_ms, pace, has_room) {
            settling.work = None;
            settling.retry_at_ms = now_ms.saturating_add(SETTLE_QUIET_MS);
            SETTLED.add(&["failed"], 1);
            let day = day.map_or_else(|| "a day".into(), |day| day.to_string());
            tracing::warn!(%error, day, "settling a day of logs failed; it is tried again");
        }
        drop(settling);
        drop(indexing);
    }

    fn settle_some(
        &self,
        settling: &mut Settling,
        now_ms: i64,
        pace: &Pace,
        has_room: impl Fn(u64) -> bool,
    ) -> Result<(), StoreError> {
        let mut work = match settling.work.take() {
            Some(work) => work,
            None => match self.settling_due(settling, now_ms, &has_room) {
                Some((day, file, blocks)) => self.begin(day, file, &blocks)?,
                None => return Ok(()),
            },
        };
        // Thinning may have replaced the file, and somebody else taken the disk.
        if self.late_blocks(work.day, &work.file, work.blocks).is_none() || !has_room(0) {
            SETTLED.add(&["put_off"], 1);
            return Ok(());
        }
        let mut read = 0;
        while read < pace.round_raw_bytes && !self.files.is_ending() {
            match work.grow(pace)? {
                Some(bytes) => read += bytes,
                None => return self.end(work),
            }
        }
        settling.work = Some(work);
        Ok(())
    }

    /// The oldest day to settle.
    fn settling_due(
        &self,
        settling: &mut Settling,
        now_ms: i64,
        has_room: impl Fn(u64) -> bool,
    ) -> Option<(Day, Arc<DayFile>, Arc<Vec<Info>>)> {
        let state = self.state.lock();
        let today = Day::of_ms(now_ms);
        settling.quiet.retain(|day, _| state.days.contains_key(day));
        let mut due = Vec::new();
        for (number, day) in state.days.range(..today) {
            let entry = settling.quiet.entry(*number).or_insert((day.blocks.len(), now_ms));
            if entry.0 != day.blocks.len() || entry.1 > now_ms {
                *entry = (day.blocks.len(), now_ms);
            }
            let quiet_ms = now_ms.saturating_sub(entry.1);
            if quiet_ms >= SETTLE_QUIET_MS && day.is_worth_settling(quiet_ms) {
                due.push((*number, day.file.clone(), day.blocks.clone()));
            }
        }
        drop(state);
        due.into_iter().find(|(day, file, _)| has_room(disk_bytes(file.path()) + dir_bytes(&self.index_dir(*day))))
    }

    fn begin(&self, day: Day, file: Arc<DayFile>, blocks: &[Info]) -> Result<Work, StoreError> {
        let index = self.dir.join(format!("{day}{NEW_INDEX}"));
        index::remove_dir(&index)?;
        Ok(Work {
            day,
            regrouping: Regrouping::new(file.clone(), blocks)?,
            made: Some(NewDay::create(&file)?),
            file,
            blocks: blocks.len(),
            index,
            indexed: 0,
        })
    }

    /// Puts the new file and its index in the place of the old ones, with what came to those meanwhile.
    fn end(&self, mut work: Work) -> Result<(), StoreError> {
        // From here on nothing is added to the old file.
        let writing = self.writing.lock();
        let late = self.late_blocks(work.day, &work.file, work.blocks);
        let (Some(late), Some(mut made)) = (late, work.made.take()) else { return Ok(()) };
        let settled = made.count();
        for info in &late {
            let Some((_, sealed)) = work.file.sealed(info.id)? else { return Ok(()) };
            made.add(sealed)?;
        }
        self.exchange(work.day, &work.file, made, Some(settled), Some(&work.index))?;
        drop(writing);
        SETTLED.add(&["ok"], 1);
        tracing::info!(day = %work.day, blocks = settled, before = work.blocks, "a day of logs is settled");
        Ok(())
    }
}

/// The end of the name of an index in the making, beside the day's own.
pub(super) const NEW_INDEX: &str = ".idx.new";

impl Work {
    /// A step of making the new file, then of its index: how many bytes of records before encoding it read; `None` when both are there.
    fn grow(&mut self, pace: &Pace) -> Result<Option<u64>, StoreError> {
        let Some(made) = &mut self.made else { return Ok(None) };
        if let Some(read) = self.regrouping.step(made, pace)? {
            return Ok(Some(read));
        }
        made.write_all()?;
        let made = &*made;
        let (blocks, from) = (made.blocks(), self.indexed);
        if from as usize >= blocks.len() {
            return Ok(None);
        }
        let segment = index_write::segment(&self.index, from..made.count(), blocks, |id, terms| {
            let filled = terms.fill(&made.block(id)?);
            filled.map_err(|error| corrupt(self.file.path(), error.to_string()))?;
            Ok(true)
        })?;
        self.indexed = segment.map_or(made.count(), |segment| segment.blocks.end);
        Ok(Some(blocks[from as usize..self.indexed as usize].iter().map(|info| info.raw_bytes).sum()))
    }
}

impl DayState {
    /// Whether there is enough that was not grouped yet. A day with damaged blocks stays as it is, for whoever restores it.
    fn is_worth_settling(&self, quiet_ms: i64) -> bool {
        if self.blocks.len() < 2 || !self.head.is_empty() || !self.file.damaged_blocks().is_empty() {
            return false;
        }
        let Some(settled) = self.settled else { return true };
        let late = self.blocks.get(settled as usize..).unwrap_or_default();
        let bytes = |blocks: &[Info]| blocks.iter().map(|info| info.raw_bytes).sum::<u64>();
        !late.is_empty()
            && (late.len() >= LOG_SETTLE_AGAIN_BLOCKS
                || quiet_ms >= SETTLE_AGAIN_MS
                || bytes(late).saturating_mul(SETTLE_AGAIN_SHARE) >= bytes(&self.blocks))
    }
}
