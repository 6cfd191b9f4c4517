//! Texts and integers to columns, each in the form that takes the least.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{DELTA, HEX, LIST, NUMBER, PLAIN, SAME, Streams};
use crate::wire::{put_bytes, put_signed, put_varint, zigzag};

/// Most values of a list: an index is a byte.
const LIST_MAX: usize = 255;
/// A list is made when its values repeat at least so often on average.
const REPEATS_MIN: usize = 4;
/// Longest run of digits taken as a number: what fits an `i64` whatever the digits are.
const DIGITS_MAX: usize = 18;
/// Shortest hex text taken as bytes: two forms for a cell of two letters would cost more than they save.
const HEX_MIN: usize = 8;

#[derive(Default)]
pub(in crate::block) struct StringsWriter {
    heads: Vec<u8>,
    indices: Vec<u8>,
    text: Vec<u8>,
    numbers: Vec<u8>,
    raw: Vec<u8>,
    scratch: Vec<i64>,
}

impl StringsWriter {
    /// Adds a column of texts. The reader has to know their count.
    pub(in crate::block) fn texts<'a>(&mut self, cells: impl Iterator<Item = &'a [u8]> + Clone) {
        let Some(first) = cells.clone().next() else { return };
        let count = cells.clone().count();
        if cells.clone().all(|cell| cell == first) {
            self.heads.push(SAME);
            return put_bytes(&mut self.heads, first);
        }
        if let Some(list) = list_of(cells.clone(), count) {
            self.heads.push(LIST);
            put_varint(&mut self.heads, list.values.len() as u64);
            for value in &list.values {
                put_varint(&mut self.heads, value.len() as u64);
                self.text.extend_from_slice(value);
            }
            return self.indices.extend_from_slice(&list.indices);
        }
        if let Some(prefix) = self.numbers_of(first, cells.clone()) {
            self.heads.push(NUMBER);
            put_bytes(&mut self.heads, prefix);
            return self.put_numbers();
        }
        if is_hex(first) && cells.clone().all(|cell| cell.len() == first.len() && is_hex(cell)) {
            self.heads.push(HEX);
            put_varint(&mut self.heads, first.len() as u64 / 2);
            for pair in cells.flat_map(|cell| cell.chunks_exact(2)) {
                self.raw.push(nibble(pair[0]) << 4 | nibble(pair[1]));
            }
            return;
        }
        self.heads.push(PLAIN);
        for cell in cells {
            put_varint(&mut self.heads, cell.len() as u64);
            self.text.extend_from_slice(cell);
        }
    }

    /// Adds a column of integers. The reader has to know their count.
    pub(in crate::block) fn ints(&mut self, cells: &[i64]) {
        let Some(first) = cells.first() else { return };
        if cells.iter().all(|cell| cell == first) {
            self.heads.push(SAME);
            return put_signed(&mut self.heads, *first);
        }
        if let Some(list) = list_of(cells.iter().copied(), cells.len()) {
            self.heads.push(LIST);
            put_varint(&mut self.heads, list.values.len() as u64);
            list.values.iter().for_each(|value| put_signed(&mut self.heads, *value));
            return self.indices.extend_from_slice(&list.indices);
        }
        self.heads.push(NUMBER);
        self.scratch.clear();
        self.scratch.extend_from_slice(cells);
        self.put_numbers();
    }

    /// The common start of cells that go on as a number in its shortest notation; the numbers are in `scratch` then.
    fn numbers_of<'a>(&mut self, first: &'a [u8], cells: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
        let digits = first.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        // Zeros in front belong to what all have in common.
        let zeros = first[first.len() - digits..].iter().take_while(|byte| **byte == b'0').count();
        let prefix = &first[..first.len() - digits + zeros.min(digits.saturating_sub(1))];
        self.scratch.clear();
        for cell in cells {
            let number = cell.strip_prefix(prefix)?;
            if number.is_empty() || number.len() > DIGITS_MAX || (number[0] == b'0' && number.len() > 1) {
                return None;
            }
            let mut value = 0i64;
            for byte in number {
                if !byte.is_ascii_digit() {
                    return None;
                }
                value = value * 10 + i64::from(byte - b'0');
            }
            self.scratch.push(value);
        }
        Some(prefix)
    }

    /// Writes what is in `scratch`, which is not empty.
    fn put_numbers(&mut self) {
        let least = self.scratch.iter().copied().min().unwrap_or(0);
        let first = self.scratch[0];
        let width = |most: u64| (u64::BITS - most.leading_zeros()).div_ceil(8).max(1) as u8;
        let plain = width(self.scratch.iter().map(|value| value.wrapping_sub(least) as u64).fold(0, u64::max));
        let step = |pair: &[i64]| zigzag(pair[1].wrapping_sub(pair[0]));
        let delta = width(self.scratch.windows(2).map(step).fold(0, u64::max));
        let (form, base, width) = if delta < plain { (DELTA, first, delta) } else { (0, least, plain) };
        self.heads.push(form | width);
        put_signed(&mut self.heads, base);
        for plane in 0..width {
            let mut before = base;
            for value in &self.scratch {
                let stored = match form {
                    DELTA => zigzag(value.wrapping_sub(std::mem::replace(&mut before, *value))),
                    _ => value.wrapping_sub(base) as u64,
                };
                self.numbers.push((stored >> (8 * plane)) as u8);
            }
        }
    }

    pub(in crate::block) fn finish(self) -> Streams {
        [self.heads, self.indices, self.text, self.numbers, self.raw]
    }
}

struct List<T> {
    values: Vec<T>,
    indices: Vec<u8>,
}

/// The distinct cells and which of them each is; `None` when they do not repeat enough.
fn list_of<T: Copy + Eq + std::hash::Hash>(cells: impl Iterator<Item = T>, count: usize) -> Option<List<T>> {
    let most = LIST_MAX.min(count / REPEATS_MIN);
    if most < 2 {
        return None;
    }
    let mut known: HashMap<T, u8, RandomState> = HashMap::default();
    let mut list = List { values: Vec::new(), indices: Vec::with_capacity(count) };
    for cell in cells {
        let index = match known.get(&cell) {
            Some(index) => *index,
            None if known.len() == most => return None,
            None => {
                let index = known.len() as u8;
                known.insert(cell, index);
                list.values.push(cell);
                index
            }
        };
        list.indices.push(index);
    }
    Some(list)
}

fn is_hex(cell: &[u8]) -> bool {
    cell.len() >= HEX_MIN
        && cell.len().is_multiple_of(2)
        && cell.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn nibble(digit: u8) -> u8 {
    if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 }
}
