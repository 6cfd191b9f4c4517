//! Which blocks may have a rare term: a small filter a block, beside a segment's dictionary.
//!
//! Ids, numbers and the like are most of the distinct terms of logs, and a dictionary pays some twenty bytes for each; a filter
//! pays 1.23 and takes one absent term of 256 for present (xor filter: Graf and Lemire 2019, "Xor Filters: Faster and Smaller Than
//! Bloom and Cuckoo Filters").
//!
//! File: version u8 = 1 | xxh3-64 LE of what follows | blocks varint | per block: seed varint, bytes of a third varint | the filters'
//! bytes one after the other, three thirds each. No thirds: nothing is in it with seed 0, everything may be with seed 1.

use codec::wire::{BadBytes, Reader, put_varint};
use xxhash_rust::xxh3::xxh3_64;

const VERSION: u8 = 1;
/// Seeds tried: each fails for one set of keys in some hundred.
const SEEDS_MAX: u64 = 64;
/// The seed of a filter that could not be made.
const ALL: u64 = 1;

/// The key of a term.
pub(super) fn key(term: &str) -> u64 {
    xxh3_64(term.as_bytes())
}

/// What a key means under a seed: the places of its three cells, and what they are to add up to.
struct Cells {
    at: [usize; 3],
    print: u8,
}

fn cells(key: u64, seed: u64, third: usize) -> Cells {
    // The finalizer of splitmix64.
    let mut hash = key.wrapping_add(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    // A multiplication instead of a remainder; the upper half of the product is below `third`.
    let place = |turn: u32| ((u64::from(hash.rotate_left(turn) as u32) * third as u64) >> 32) as usize;
    Cells { at: [place(0), third + place(21), 2 * third + place(42)], print: (hash ^ (hash >> 32)) as u8 }
}

/// Filters in the making, one a block in order.
#[derive(Default)]
pub(super) struct FiltersWriter {
    heads: Vec<u8>,
    bytes: Vec<u8>,
    blocks: u64,
}

impl FiltersWriter {
    /// Adds a block with its keys, which are put in order.
    pub(super) fn add(&mut self, keys: &mut Vec<u64>) {
        keys.sort_unstable();
        keys.dedup();
        self.blocks += 1;
        if keys.is_empty() {
            put_varint(&mut self.heads, 0);
            return put_varint(&mut self.heads, 0);
        }
        let third = (keys.len() * 123 / 100 + 32) / 3 + 1;
        let made = (ALL + 1..ALL + 1 + SEEDS_MAX).find_map(|seed| Some((seed, make(keys, seed, third)?)));
        match made {
            Some((seed, table)) => {
                put_varint(&mut self.heads, seed);
                put_varint(&mut self.heads, third as u64);
                self.bytes.extend_from_slice(&table);
            }
            None => {
                put_varint(&mut self.heads, ALL);
                put_varint(&mut self.heads, 0);
            }
        }
    }

    /// The bytes of the file.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut rest = Vec::with_capacity(self.heads.len() + self.bytes.len() + 8);
        put_varint(&mut rest, self.blocks);
        rest.extend_from_slice(&self.heads);
        rest.extend_from_slice(&self.bytes);
        let mut out = vec![VERSION];
        out.extend_from_slice(&xxh3_64(&rest).to_le_bytes());
        out.extend_from_slice(&rest);
        out
    }
}

/// The table of distinct keys under a seed, if it can be had: cells that only one key has are taken away with their key until
/// none is left, and then filled in the opposite order.
fn make(keys: &[u64], seed: u64, third: usize) -> Option<Vec<u8>> {
    // Of each cell the keys that have it: how many, and all xored together, which for one is the key itself.
    let mut counts = vec![0u32; 3 * third];
    let mut sums = vec![0u64; 3 * third];
    for key in keys {
        for at in cells(*key, seed, third).at {
            counts[at] += 1;
            sums[at] ^= key;
        }
    }
    let mut alone: Vec<usize> = (0..counts.len()).filter(|at| counts[*at] == 1).collect();
    let mut order = Vec::with_capacity(keys.len());
    while let Some(at) = alone.pop() {
        if counts[at] != 1 {
            continue;
        }
        let key = sums[at];
        order.push((key, at));
        for cell in cells(key, seed, third).at {
            counts[cell] -= 1;
            sums[cell] ^= key;
            if counts[cell] == 1 {
                alone.push(cell);
            }
        }
    }
    if order.len() < keys.len() {
        return None;
    }
    let mut table = vec![0u8; 3 * third];
    for (key, own) in order.into_iter().rev() {
        let Cells { at, print } = cells(key, seed, third);
        // Its own cell is still 0.
        table[own] = at.iter().fold(print, |sum, cell| sum ^ table[*cell]);
    }
    Some(table)
}

/// Filters as they lie in their file.
pub(super) struct Filters<T> {
    bytes: T,
    /// Seed, start, third of each block.
    blocks: Vec<(u64, usize, usize)>,
}

impl<T: std::ops::Deref<Target = [u8]>> Filters<T> {
    pub(super) fn open(bytes: T) -> Result<Filters<T>, BadBytes> {
        let mut reader = Reader(&bytes);
        if reader.byte()? != VERSION {
            return Err(BadBytes("its filters are of another version"));
        }
        if reader.u64_le()? != xxh3_64(reader.0) {
            return Err(BadBytes("its filters fail their checksum"));
        }
        let count = reader.count(2)?;
        let mut blocks = Vec::with_capacity(count);
        let mut start = 0usize;
        for _ in 0..count {
            let seed = reader.varint()?;
            let third = usize::try_from(reader.varint()?).map_err(|_| BadBytes("a filter is too long"))?;
            blocks.push((seed, start, third));
            start = third
                .checked_mul(3)
                .and_then(|bytes| start.checked_add(bytes))
                .ok_or(BadBytes("a filter is too long"))?;
        }
        if reader.0.len() != start {
            return Err(BadBytes("its filters have other lengths than declared"));
        }
        let head = bytes.len() - start;
        blocks.iter_mut().for_each(|(_, start, _)| *start += head);
        Ok(Filters { bytes, blocks })
    }

    pub(super) fn count(&self) -> usize {
        self.blocks.len()
    }

    /// The blocks that may have a term of this key, as distances from the first.
    pub(super) fn blocks_with(&self, key: u64) -> impl Iterator<Item = u32> {
        (0u32..)
            .zip(&self.blocks)
            .filter(move |(_, (seed, start, third))| {
                if *third == 0 {
                    return *seed == ALL;
                }
                let table = &self.bytes[*start..start + 3 * third];
                let Cells { at, print } = cells(key, *seed, *third);
                at.iter().fold(print, |sum, cell| sum ^ table[*cell]) == 0
            })
            .map(|(block, _)| block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_know_every_key_and_few_others() {
        let of = |block: u64, at: u64| key(&format!("{block} {at}"));
        let sizes = [0u64, 1, 2, 3, 50, 1_500, 20_000];
        let mut writer = FiltersWriter::default();
        for (block, size) in (0u64..).zip(sizes) {
            // Twice: a block has a key or not.
            let mut keys: Vec<u64> = (0..2 * size).map(|at| of(block, at / 2)).collect();
            writer.add(&mut keys);
        }
        let bytes = writer.finish();
        let keys: u64 = sizes.iter().sum();
        assert!(bytes.len() as u64 <= keys * 124 / 100 + 60 * sizes.len() as u64, "{} bytes", bytes.len());
        let filters = Filters::open(&bytes[..]).unwrap();
        assert_eq!(filters.count(), sizes.len());
        for (block, size) in (0u64..).zip(sizes) {
            for at in 0..size {
                assert!(filters.blocks_with(of(block, at)).any(|found| u64::from(found) == block), "{block} {at}");
            }
        }
        let wrong: usize = (0..2_000).map(|at| filters.blocks_with(of(99, at)).count()).sum();
        assert!(wrong < 2_000 * sizes.len() / 100, "{wrong} of {}", 2_000 * sizes.len());
        for at in 0..bytes.len().min(100) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Filters::open(&damaged[..]).is_err(), "byte {at}");
            assert!(Filters::open(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
