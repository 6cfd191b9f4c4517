//! Summaries of blocks kept in memory, a day at a time, so that counts without a search for text read no block.

use std::ops::Deref;
use std::sync::Arc;

use codec::block::{Meta, MinuteCount};
use model::Resource;
use parking_lot::Mutex;

/// Memory of the summaries kept, in bytes: some 40,000 blocks, which are some 10 GB of records. The least recently used days go first.
const BYTES_MAX: usize = 16 << 20;

/// The summaries of a day's first blocks, in order, and the day's resources by their numbers; those that cannot be read are `None`.
#[derive(Debug, Default)]
pub(crate) struct Summaries {
    pub(super) metas: Vec<Option<Meta>>,
    pub(super) resources: Vec<Option<Arc<Resource>>>,
}

impl Summaries {
    /// That of a block, if it is known.
    pub(super) fn of(self: &Arc<Self>, id: u64) -> Option<Summary> {
        let at = usize::try_from(id).ok()?;
        self.metas.get(at)?.as_ref()?;
        Some(Summary { of_day: self.clone(), at })
    }

    fn bytes(&self) -> usize {
        let of = |meta: &Meta| {
            let minutes = meta.minutes.as_ref().map_or(0, |minutes| minutes.len() * size_of::<MinuteCount>());
            let resources = meta.resources.as_ref().map_or(0, |resources| resources.len() * size_of::<(u32, u64)>());
            let keys = meta.keys.as_ref().map_or(0, |keys| keys.len() * size_of::<u32>());
            minutes + resources + keys
        };
        // A resource is a list of small texts.
        const RESOURCE_BYTES: usize = 512;
        let lists: usize = self.metas.iter().flatten().map(of).sum();
        lists + self.metas.len() * size_of::<Option<Meta>>() + self.resources.len() * RESOURCE_BYTES
    }
}

struct Kept {
    /// Of the day file.
    number: u64,
    summaries: Arc<Summaries>,
    bytes: usize,
}

/// The days most recently asked for. One day larger than all the room is not kept.
#[derive(Default)]
pub(crate) struct SummaryCache {
    /// Least recently used first.
    kept: Mutex<Vec<Kept>>,
}

impl SummaryCache {
    pub(super) fn get(&self, number: u64) -> Option<Arc<Summaries>> {
        let mut kept = self.kept.lock();
        let at = kept.iter().rposition(|entry| entry.number == number)?;
        if at + 1 < kept.len() {
            let entry = kept.remove(at);
            kept.push(entry);
        }
        kept.last().map(|entry| entry.summaries.clone())
    }

    pub(super) fn put(&self, number: u64, summaries: &Arc<Summaries>) {
        let bytes = summaries.bytes();
        let mut kept = self.kept.lock();
        kept.retain(|entry| entry.number != number);
        if bytes > BYTES_MAX {
            return;
        }
        kept.push(Kept { number, summaries: summaries.clone(), bytes });
        let mut all: usize = kept.iter().map(|entry| entry.bytes).sum();
        while all > BYTES_MAX {
            all -= kept.remove(0).bytes;
        }
    }

    pub(super) fn forget(&self, number: u64) {
        self.kept.lock().retain(|entry| entry.number != number);
    }
}

/// The summary of one block, which is known.
#[derive(Debug, Clone)]
pub struct Summary {
    of_day: Arc<Summaries>,
    at: usize,
}

impl Deref for Summary {
    type Target = Meta;

    fn deref(&self) -> &Meta {
        self.of_day.metas[self.at].as_ref().expect("a summary is made of one that is known")
    }
}

impl Summary {
    /// The block's resources with their counts of records, where they are known.
    pub fn by_resource(&self) -> Option<impl Iterator<Item = (&Arc<Resource>, u64)>> {
        let counts = self.resources.as_ref()?;
        let known = |number: u32| self.of_day.resources.get(number as usize)?.as_ref();
        if !counts.iter().all(|(number, _)| known(*number).is_some()) {
            return None;
        }
        Some(counts.iter().filter_map(move |(number, count)| Some((known(*number)?, *count))))
    }
}
