//! The numbers of a day's resources while blocks are added, and what a block's summary says by them.

use std::collections::{BTreeMap, HashMap};

use codec::block::{self, Block, Meta};
use foldhash::fast::RandomState;
use redb::{ReadableTable, TableDefinition};

use super::day_rows::{resource_bytes, write_resource};

/// Number of a resource, from 0 without gaps → its row.
pub(super) const RESOURCES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("resources");

/// Resources of a day that summaries may name; a day of more has summaries without.
const DAY_RESOURCES_MAX: usize = 10_000;

pub(super) struct Resources {
    numbers: HashMap<Vec<u8>, u32, RandomState>,
    /// Those below are in the file.
    written: u32,
    next: u32,
}

impl Resources {
    pub(super) fn read(txn: &redb::WriteTransaction) -> Result<Resources, redb::Error> {
        let mut numbers = HashMap::default();
        let mut next = 0;
        for entry in txn.open_table(RESOURCES)?.iter()? {
            let (number, row) = entry?;
            next = number.value().saturating_add(1);
            // A damaged one is written again under another number.
            if let Some(bytes) = resource_bytes(row.value()) {
                numbers.insert(bytes.to_vec(), number.value());
            }
        }
        Ok(Resources { numbers, written: next, next })
    }

    /// Puts into a block's summary what is known only from the block and the day. What cannot be told is left out.
    pub(super) fn complete(&mut self, meta: &mut Meta, bytes: &[u8]) {
        if let Ok(block) = Block::parse(bytes.to_vec()) {
            meta.resources = self.count(&block);
            meta.keys = keys_of(&block);
        }
    }

    /// Records of each resource of a block; `None` when those are too many.
    fn count(&mut self, block: &Block) -> Option<Vec<(u32, u64)>> {
        let resources = block.resources().ok()?;
        // Equal resources stand in a block once for each of their scopes.
        let mut number_of = Vec::with_capacity(resources.len());
        for resource in resources {
            let bytes = block::encode_resource(resource);
            number_of.push(match self.numbers.get(&bytes) {
                Some(number) => *number,
                None if self.next as usize >= DAY_RESOURCES_MAX => return None,
                None => {
                    let number = self.next;
                    self.next += 1;
                    *self.numbers.entry(bytes).or_insert(number)
                }
            });
        }
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        for record in 0..block.count() {
            *counts.entry(number_of[block.stream(record).ok()?.0]).or_default() += 1;
        }
        (counts.len() <= block::RESOURCES_MAX).then(|| counts.into_iter().collect())
    }

    pub(super) fn write(self, txn: &redb::WriteTransaction) -> Result<(), redb::Error> {
        let mut table = txn.open_table(RESOURCES)?;
        for (bytes, number) in self.numbers.iter().filter(|(_, number)| **number >= self.written) {
            table.insert(*number, &*write_resource(bytes))?;
        }
        Ok(())
    }
}

fn keys_of(block: &Block) -> Option<Vec<u32>> {
    let attributes = block.attribute_keys().ok()?;
    let scopes = block.scopes().ok()?.iter().flat_map(|scope| scope.attributes.iter().map(|(key, _)| key));
    let mut keys: Vec<u32> = attributes.iter().chain(scopes).map(|key| Meta::key_hash(key)).collect();
    keys.sort_unstable();
    keys.dedup();
    (keys.len() <= block::KEYS_MAX).then_some(keys)
}
