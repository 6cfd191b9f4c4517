//! Parsed parts of the indexes of all day files, bounded by their bytes.

use std::collections::HashMap;
use std::sync::Arc;

use codec::series::{Group, ValueBlock};
use parking_lot::Mutex;

use super::find::Finder;
use crate::limits::INDEX_CACHE_BYTES;

/// Which part: of an open day file (each has its own number), a segment, the rest as in its key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PartKey {
    pub(crate) file: u64,
    pub(crate) segment: u32,
    pub(crate) part: Part,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    Values(Box<str>, Box<str>),
    Group(u32),
    Finder,
}

#[derive(Clone)]
pub(crate) enum Parsed {
    Values(Arc<ValueBlock>),
    Group(Arc<Group>),
    Finder(Arc<Finder>),
}

impl Parsed {
    fn bytes(&self) -> usize {
        let held = match self {
            Parsed::Values(block) => block.bytes(),
            Parsed::Group(group) => group.bytes(),
            Parsed::Finder(finder) => finder.bytes(),
        };
        // The key and the tables' own places.
        held + 160
    }
}

/// Two generations: what is asked for moves to the young one, and when that is half of all the old one goes.
#[derive(Default)]
pub(crate) struct IndexCache(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<PartKey, Parsed>,
    young_bytes: usize,
    old: HashMap<PartKey, Parsed>,
}

impl IndexCache {
    pub(crate) fn get(&self, key: &PartKey) -> Option<Parsed> {
        let mut held = self.0.lock();
        if let Some(known) = held.young.get(key) {
            return Some(known.clone());
        }
        let (key, known) = held.old.remove_entry(key)?;
        held.put(key, known.clone());
        Some(known)
    }

    pub(crate) fn put(&self, key: PartKey, part: &Parsed) {
        self.0.lock().put(key, part.clone());
    }
}

impl Generations {
    fn put(&mut self, key: PartKey, part: Parsed) {
        let bytes = part.bytes();
        if bytes > INDEX_CACHE_BYTES / 2 {
            return;
        }
        if self.young_bytes + bytes > INDEX_CACHE_BYTES / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        self.young.insert(key, part);
    }
}
