//! Taking out of a day the records of streams whose time is over (`retention.logs_streams`): the day's file is written anew beside the old
//! one without them and takes its name, so the space is free at once. Blocks of which all stay are copied as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use codec::block::{self, Block, BlockError, Meta, Row};
use model::meter::Counter;
use model::time::Day;
use model::{LogRecord, Resource, Scope};

use super::LogStore;
use super::day::{DayFile, Info};
use super::day_anew::NewDay;
use super::seal::Sealed;
use super::stream_retention::{Judge, StreamRetention, ended};
use super::summaries::Summaries;
use crate::StoreError;
use crate::file::corrupt;

static EXPIRED: Counter = Counter::new(
    "binnacle_store_expired_log_records_total",
    "Log records dropped since the time of their stream was over (retention.logs_streams).",
    &[],
);
static FAILURES: Counter = Counter::new(
    "binnacle_store_thinning_failures_total",
    "Failed attempts to take the records of such streams out of a day; they are repeated.",
    &[],
);

/// What a day was looked through for: the rules that had ended it, and its blocks then.
pub(super) type Looked = (u64, usize);

/// What becomes of a block.
enum Fate {
    Stays,
    Goes,
    /// Some of its records may go.
    Read,
}

impl LogStore {
    /// Takes the records whose time is over out of the oldest day that has some; the other days have their turn in later rounds. A rule of
    /// many days' blocks costs a look at their summaries, once. `has_room` says whether so many bytes more fit on the disk.
    pub(crate) fn thin_due(&self, rules: &[StreamRetention], now_ms: i64, has_room: impl Fn(u64) -> bool) {
        if rules.is_empty() {
            return;
        }
        let indexing = self.indexing.lock();
        let due: Vec<(Day, Looked)> = {
            let state = self.state.lock();
            let looked = state.days.iter().map(|(day, known)| (*day, (ended(rules, *day, now_ms), known.blocks.len())));
            looked.filter(|(day, looked)| looked.0 != 0 && state.days[day].looked != Some(*looked)).collect()
        };
        for (day, looked) in due {
            let mut judge = Judge::new(rules, day, now_ms);
            match self.thin(day, &mut judge, &has_room) {
                Ok(changed) => {
                    if let Some(known) = self.state.lock().days.get_mut(&day) {
                        known.looked = Some((looked.0, known.blocks.len()));
                    }
                    if changed {
                        break;
                    }
                }
                Err(error) => {
                    FAILURES.add(&[], 1);
                    tracing::warn!(%error, %day, "cannot take the records of ended streams out of a day");
                    break;
                }
            }
        }
        drop(indexing);
    }

    /// Whether the day was changed. The caller holds `indexing`.
    fn thin(&self, number: Day, judge: &mut Judge<'_>, has_room: impl Fn(u64) -> bool) -> Result<bool, StoreError> {
        let (file, blocks, settled) = {
            let state = self.state.lock();
            let Some(day) = state.days.get(&number) else { return Ok(false) };
            (day.file.clone(), day.blocks.clone(), day.settled)
        };
        if !self.has_expired(&file, &blocks, judge)? {
            return Ok(false);
        }
        let bytes: u64 = blocks.iter().map(|info| info.stored_bytes).sum();
        if !has_room(bytes) {
            let reason = format!("{number} has records to drop, which takes {bytes} bytes of the disk for a while");
            return Err(StoreError::Unavailable { reason });
        }
        let mut made = NewDay::create(&file)?;
        let mut gone = 0;
        // What stays of a settled day is settled.
        let (grouped, others) = blocks.split_at(settled.map_or(0, |count| blocks.len().min(count as usize)));
        let summaries = summaries_of(&file, &blocks)?;
        for info in grouped {
            gone += copy(&file, info, &summaries, judge, &mut made)?;
        }
        let settled = settled.map(|_| made.count());
        for info in others {
            gone += copy(&file, info, &summaries, judge, &mut made)?;
        }
        // From here on nothing is added to the old file.
        let writing = self.writing.lock();
        let Some(late) = self.late_blocks(number, &file, blocks.len()) else { return Ok(false) };
        let summaries = summaries_of(&file, &late)?;
        for info in &late {
            gone += copy(&file, info, &summaries, judge, &mut made)?;
        }
        self.exchange(number, &file, made, settled, None)?;
        drop(writing);
        EXPIRED.add(&[], gone);
        tracing::info!(day = %number, records = gone, "dropped the records of streams whose time is over");
        self.index(number)?;
        Ok(true)
    }

    fn has_expired(&self, file: &DayFile, blocks: &[Info], judge: &mut Judge<'_>) -> Result<bool, StoreError> {
        if !file.damaged_blocks().is_empty() {
            // What is left of a damaged day stays as it is, for whoever restores it.
            return Ok(false);
        }
        let summaries = summaries_of(file, blocks)?;
        for info in blocks {
            let some = match fate(&summaries, info, judge) {
                Fate::Stays => false,
                Fate::Goes => true,
                Fate::Read => match file.block(info.id)? {
                    None => return Ok(false),
                    Some(block) => {
                        let mut expired = false;
                        for at in 0..block.count() {
                            expired =
                                expired || is_expired(&block, at, judge).map_err(|error| bad(file, info, &error))?;
                        }
                        expired
                    }
                },
            };
            if some {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn bad(file: &DayFile, info: &Info, error: &BlockError) -> StoreError {
    file.note_damage(info.id, error.to_string());
    corrupt(file.path(), format!("log block {}: {error}", info.id))
}

/// The summaries of all these blocks, which are in order of their numbers: asked for one by one, those of a day too large to be kept in
/// memory would be read again for each.
fn summaries_of(file: &DayFile, blocks: &[Info]) -> Result<Arc<Summaries>, StoreError> {
    let Some(last) = blocks.last() else { return Ok(Arc::default()) };
    Ok(file.summaries(usize::try_from(last.id).unwrap_or(usize::MAX))?.unwrap_or_default())
}

/// As far as the summary tells.
fn fate(summaries: &Arc<Summaries>, info: &Info, judge: &mut Judge<'_>) -> Fate {
    let Some(summary) = summaries.of(info.id) else { return Fate::Read };
    let Some(resources) = summary.by_resource() else { return Fate::Read };
    let (mut none, mut all) = (true, true);
    for (resource, _) in resources {
        let expired = judge.expired(resource) & info.severities;
        none = none && expired == 0;
        all = all && expired == info.severities;
    }
    match (none, all) {
        (true, _) => Fate::Stays,
        (_, true) => Fate::Goes,
        _ => Fate::Read,
    }
}

fn is_expired(block: &Block, at: usize, judge: &mut Judge<'_>) -> Result<bool, BlockError> {
    let expired = judge.expired(&block.resources()?[block.stream(at)?.0]);
    Ok(expired != 0 && expired >> (block.severity(at)? as u8) & 1 != 0)
}

/// Copies what stays of a block; how many records do not.
fn copy(
    file: &DayFile,
    info: &Info,
    summaries: &Arc<Summaries>,
    judge: &mut Judge<'_>,
    made: &mut NewDay,
) -> Result<u64, StoreError> {
    let fate = fate(summaries, info, judge);
    if matches!(fate, Fate::Goes) {
        return Ok(info.records);
    }
    let Some((block, sealed)) = file.sealed(info.id)? else {
        return Err(StoreError::Unavailable { reason: "the day was dropped meanwhile".into() });
    };
    if matches!(fate, Fate::Stays) {
        made.add(sealed)?;
        return Ok(0);
    }
    let part = without_expired(&block, info.raw_bytes, judge).map_err(|error| bad(file, info, &error))?;
    let kept = part.as_ref().map_or(0, |part| part.meta.records);
    match part {
        Some(part) if kept < info.records => made.add(part)?,
        Some(_) => made.add(sealed)?,
        None => {}
    }
    Ok(info.records - kept)
}

/// The records that stay, as a block of their own; `None` when there are none.
fn without_expired(block: &Block, raw_bytes: u64, judge: &mut Judge<'_>) -> Result<Option<Sealed>, BlockError> {
    let (resources, scopes, order) = (block.resources()?, block.scopes()?, block.order()?);
    let (mut used_resources, mut used_scopes) = (Used::default(), Used::default());
    let mut kept: Vec<(u32, u32, usize, LogRecord)> = Vec::new();
    for at in 0..block.count() {
        if is_expired(block, at, judge)? {
            continue;
        }
        let (resource, scope) = block.stream(at)?;
        kept.push((used_resources.place(resource), used_scopes.place(scope), at, block.record(at)?));
    }
    if kept.is_empty() {
        return Ok(None);
    }
    let rows: Vec<Row<'_>> = kept
        .iter()
        .map(|(resource, scope, at, record)| {
            let (seq, place) = order[*at];
            Row { resource: *resource, scope: *scope, seq, place, record }
        })
        .collect();
    let share = u128::from(raw_bytes) * kept.len() as u128 / block.count() as u128;
    let meta = Meta::of(share as u64, kept.iter().map(|(.., record)| record));
    let resources: Vec<&Resource> = used_resources.order.iter().map(|at| &*resources[*at]).collect();
    let scopes: Vec<&Scope> = used_scopes.order.iter().map(|at| &*scopes[*at]).collect();
    Ok(Some(Sealed { bytes: block::encode(&resources, &scopes, &rows), meta }))
}

/// Entries of a list that are used, in the order of their first use.
#[derive(Default)]
struct Used {
    places: BTreeMap<usize, u32>,
    order: Vec<usize>,
}

impl Used {
    fn place(&mut self, of: usize) -> u32 {
        let next = self.order.len() as u32;
        *self.places.entry(of).or_insert_with(|| {
            self.order.push(of);
            next
        })
    }
}
