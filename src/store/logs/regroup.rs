//! The records of a day that is over, grouped anew: small blocks of one stream become full ones, and small streams lie beside their likes.
//!
//! Full blocks of one stream are compressed anew, one at a time. The others are taken in windows of time; the streams of a window are
//! dealt out to several passes over its blocks, so that few of its records are in memory at once.

use std::collections::HashMap;
use std::sync::Arc;

use codec::block::{self, Block, BlockError, Effort};
use codec::packed::{Draft, Packer};
use foldhash::fast::RandomState;
use xxhash_rust::xxh3::xxh3_64;

use super::day::{DayFile, Info};
use super::day_anew::NewDay;
use super::seal::{BLOCK_RAW_BYTES, Sealed, Streams};
use crate::StoreError;
use crate::file::corrupt;
use crate::limits::{
    LOG_SETTLE_PASS_RAW_BYTES, LOG_SETTLE_ROUND_RAW_BYTES, LOG_SETTLE_WINDOW_NS, LOG_SETTLE_WINDOW_RAW_BYTES,
    LOG_SETTLE_WINDOW_RAW_BYTES_MIN,
};

/// Blocks that are at least so full stay as they are.
const FULL_RAW_BYTES: u64 = BLOCK_RAW_BYTES / 4 * 3;

/// How much is taken at once: the limits of `limits.rs`, but for tests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) round_raw_bytes: u64,
    pub(super) pass_raw_bytes: u64,
    pub(super) window_raw_bytes: u64,
    pub(super) window_raw_bytes_min: u64,
    pub(super) window_ns: i64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            round_raw_bytes: LOG_SETTLE_ROUND_RAW_BYTES,
            pass_raw_bytes: LOG_SETTLE_PASS_RAW_BYTES,
            window_raw_bytes: LOG_SETTLE_WINDOW_RAW_BYTES,
            window_raw_bytes_min: LOG_SETTLE_WINDOW_RAW_BYTES_MIN,
            window_ns: LOG_SETTLE_WINDOW_NS,
        }
    }
}

/// What is still to do of a day, a step at a time.
pub(super) struct Regrouping {
    file: Arc<DayFile>,
    /// Full blocks of one stream, in order of time; those that are done are gone.
    full: std::vec::IntoIter<Info>,
    /// The others, by time; those of windows that are done are gone.
    rest: Vec<Info>,
    pass: u64,
}

impl Regrouping {
    pub(super) fn new(file: Arc<DayFile>, blocks: &[Info]) -> Result<Regrouping, StoreError> {
        let mut sorted = blocks.to_vec();
        sorted.sort_by_key(|info| info.min_ns);
        let (mut full, mut rest) = (Vec::new(), Vec::new());
        for info in sorted {
            let is_full = info.raw_bytes >= FULL_RAW_BYTES && is_of_one_resource(&file, &info)?;
            if is_full { full.push(info) } else { rest.push(info) }
        }
        Ok(Regrouping { file, full: full.into_iter(), rest, pass: 0 })
    }

    /// Groups some more; how many bytes of records before encoding it read, or `None` when nothing is left.
    ///
    /// # Errors
    /// `Corrupt` for a block that cannot be read, which is remembered; `Unavailable` when the day was dropped.
    pub(super) fn step(&mut self, made: &mut NewDay, pace: &Pace) -> Result<Option<u64>, StoreError> {
        if let Some(info) = self.full.next() {
            let (block, sealed) = self.file.sealed(info.id)?.ok_or_else(dropped)?;
            let bytes = block.compressed(Effort::Thorough).map_err(|error| damaged(&self.file, &info, &error))?;
            made.add(Sealed { bytes, ..sealed })?;
            return Ok(Some(info.raw_bytes));
        }
        let window = window(&self.rest, pace);
        let blocks = &self.rest[..window];
        if blocks.is_empty() {
            return Ok(None);
        }
        let read = blocks.iter().map(|info| info.raw_bytes).sum::<u64>();
        let passes = read.div_ceil(pace.pass_raw_bytes).max(1);
        group(&self.file, blocks, (self.pass, passes), pace, made)?;
        self.pass += 1;
        if self.pass == passes {
            self.pass = 0;
            self.rest.drain(..window);
        }
        Ok(Some(read))
    }
}

fn dropped() -> StoreError {
    StoreError::Unavailable { reason: "the day was dropped meanwhile".into() }
}

fn damaged(file: &DayFile, info: &Info, error: &BlockError) -> StoreError {
    file.note_damage(info.id, error.to_string());
    corrupt(file.path(), format!("log block {}: {error}", info.id))
}

fn is_of_one_resource(file: &DayFile, info: &Info) -> Result<bool, StoreError> {
    let summary = file.meta(info.id)?;
    Ok(summary.is_some_and(|summary| summary.resources.as_ref().is_some_and(|resources| resources.len() == 1)))
}

/// How many of these blocks, which are in order of time, are taken together.
fn window(blocks: &[Info], pace: &Pace) -> usize {
    let Some(first) = blocks.first() else { return 0 };
    let end_ns = first.min_ns.saturating_add(pace.window_ns);
    let mut bytes = 0;
    let inside = |info: &&Info| {
        let fits = bytes < pace.window_raw_bytes && (info.min_ns < end_ns || bytes < pace.window_raw_bytes_min);
        bytes += info.raw_bytes;
        fits
    };
    blocks.iter().take_while(inside).count()
}

/// One pass over a window: the records of its share of the streams become blocks.
fn group(file: &DayFile, blocks: &[Info], share: (u64, u64), pace: &Pace, made: &mut NewDay) -> Result<(), StoreError> {
    let mut gathered = Gathered::default();
    for info in blocks {
        let block = file.block(info.id)?.ok_or_else(dropped)?;
        let taken = gathered.take(&block, share).map_err(|error| damaged(file, info, &error))?;
        gathered.raw_bytes += info.raw_bytes * taken as u64 / (block.count() as u64).max(1);
        // One stream may have more than its share.
        if gathered.raw_bytes >= 2 * pace.pass_raw_bytes {
            std::mem::take(&mut gathered).write(made)?;
        }
    }
    gathered.write(made)
}

/// Records of many blocks, packed, with what orders them.
#[derive(Default)]
struct Gathered {
    packer: Packer,
    /// Number of the request and place in it, of each.
    order: Vec<(u64, u32)>,
    /// The packer's numbers of the resource and scope of each stream.
    streams: HashMap<Vec<u8>, (u32, u32), RandomState>,
    raw_bytes: u64,
}

impl Gathered {
    /// Takes those records of a block whose streams are dealt to this pass; how many.
    fn take(&mut self, block: &Block, (pass, passes): (u64, u64)) -> Result<usize, BlockError> {
        let (resources, scopes, order) = (block.resources()?, block.scopes()?, block.order()?);
        // By the block's numbers of resource and scope; `None` for a stream of another pass.
        let mut dealt: HashMap<(usize, usize), Option<(u32, u32)>, RandomState> = HashMap::default();
        let before = self.order.len();
        for (at, place) in order.iter().enumerate() {
            let (resource, scope) = block.stream(at)?;
            let stream = *dealt.entry((resource, scope)).or_insert_with(|| {
                let key = block::stream_key(&resources[resource], &scopes[scope]);
                if xxh3_64(&key) % passes != pass {
                    return None;
                }
                let packer = &mut self.packer;
                let mut number =
                    || (packer.resource((*resources[resource]).clone()), packer.scope((*scopes[scope]).clone()));
                Some(*self.streams.entry(key).or_insert_with(&mut number))
            });
            let Some((resource, scope)) = stream else { continue };
            let record = block.record(at)?;
            let mut draft = Draft::default();
            self.packer.draft_of(&record, &mut draft);
            if !self.packer.push(resource, scope, &mut draft) {
                return Err(BlockError::Damaged("its texts are longer than those of a block can be"));
            }
            self.order.push(*place);
        }
        Ok(self.order.len() - before)
    }

    fn write(self, made: &mut NewDay) -> Result<(), StoreError> {
        let logs = self.packer.finish();
        let mut streams = Streams::default();
        streams.add(logs.iter().zip(&self.order).map(|(record, (seq, place))| (record, *seq, *place)));
        for sealed in streams.settled() {
            made.add(sealed)?;
        }
        Ok(())
    }
}
