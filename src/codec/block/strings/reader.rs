//! Columns from the streams that hold them.

use std::ops::Range;
use std::sync::OnceLock;

use super::ints::{Indices, Ints};
use super::{BlockError, Column, DELTA, Form, HEX, LIST, NUMBER, PLAIN, SAME, Strings};
use crate::block::CELLS_MAX;
use crate::wire::{Reader, unzigzag};

/// Reads columns one after the other, in the order written.
pub(in crate::block) struct StringsReader<'a> {
    heads: Reader<'a>,
    numbers: Reader<'a>,
    text_at: usize,
    indices_at: usize,
    raw_at: usize,
    out: Strings,
}

impl<'a> StringsReader<'a> {
    pub(in crate::block) fn new(
        heads: &'a [u8],
        indices: Vec<u8>,
        text: Vec<u8>,
        numbers: &'a [u8],
        raw: Vec<u8>,
    ) -> Result<StringsReader<'a>, BlockError> {
        let text = String::from_utf8(text).map_err(|_| BlockError::Damaged("a column's text is not UTF-8"))?;
        Ok(StringsReader {
            heads: Reader(heads),
            numbers: Reader(numbers),
            text_at: 0,
            indices_at: 0,
            raw_at: 0,
            out: Strings { text, indices, raw, ..Strings::default() },
        })
    }

    /// The next column, of `cells` texts; its number counts from 0.
    pub(in crate::block) fn texts(&mut self, cells: usize) -> Result<(), BlockError> {
        if cells > CELLS_MAX {
            return Err(BlockError::Damaged("a column has more cells than a block may"));
        }
        let form = if cells == 0 { Form::Same(0..0) } else { self.text_form(cells)? };
        self.out.columns.push(Column { form, cells, shown: OnceLock::new() });
        Ok(())
    }

    fn text_form(&mut self, cells: usize) -> Result<Form, BlockError> {
        Ok(match self.heads.byte()? {
            PLAIN => {
                let (first, start) = (self.out.ends.len(), self.text_at);
                for _ in 0..cells {
                    let end = self.next_text()?.end;
                    self.out.ends.push(end);
                }
                Form::Plain { first, start }
            }
            SAME => Form::Same(self.shared()?),
            LIST => {
                let first = self.out.lists.len();
                let count = self.heads.count(1)?;
                for _ in 0..count {
                    let place = self.next_text()?;
                    self.out.lists.push(place);
                }
                Form::List { first, indices: self.next_indices(cells, count)? }
            }
            NUMBER => {
                let prefix = self.shared()?;
                Form::Number { prefix, first: self.next_numbers(cells)? }
            }
            HEX => {
                let bytes = usize::try_from(self.heads.varint()?).unwrap_or(usize::MAX);
                let start = self.raw_at;
                let end = cells.checked_mul(bytes).and_then(|all| all.checked_add(start));
                self.raw_at = end
                    .filter(|end| *end <= self.out.raw.len() && bytes > 0)
                    .ok_or(BlockError::Damaged("a column goes past its bytes"))?;
                Form::Hex { start, bytes }
            }
            _ => return Err(BlockError::Damaged("a column has an unknown form")),
        })
    }

    /// The next column, of `cells` integers.
    pub(in crate::block) fn ints(&mut self, cells: usize) -> Result<Ints, BlockError> {
        if cells == 0 {
            return Ok(Ints::each(Vec::new()));
        }
        if cells > CELLS_MAX {
            return Err(BlockError::Damaged("a column has more cells than a block may"));
        }
        Ok(match self.heads.byte()? {
            SAME => Ints { values: vec![self.heads.signed()?], indices: Indices::Same },
            LIST => {
                let count = self.heads.count(1)?;
                let values = (0..count).map(|_| self.heads.signed()).collect::<Result<Vec<i64>, _>>()?;
                let start = self.next_indices(cells, count)?;
                Ints { values, indices: Indices::List(self.out.indices[start..start + cells].to_vec()) }
            }
            NUMBER => {
                let first = self.next_numbers(cells)?;
                Ints::each(self.out.numbers.split_off(first))
            }
            _ => return Err(BlockError::Damaged("a column has an unknown form")),
        })
    }

    fn shared(&mut self) -> Result<Range<usize>, BlockError> {
        let start = self.out.shared.len();
        self.out.shared.push_str(self.heads.text()?);
        Ok(start..self.out.shared.len())
    }

    fn next_text(&mut self) -> Result<Range<u32>, BlockError> {
        let start = self.text_at;
        self.text_at = crate::block::attributes::step(&mut self.heads, start, &self.out.text)?;
        // A section is at most `SECTION_BYTES_MAX` long.
        Ok(start as u32..self.text_at as u32)
    }

    fn next_indices(&mut self, cells: usize, values: usize) -> Result<usize, BlockError> {
        let start = self.indices_at;
        let indices = self.out.indices.get(start..start + cells);
        if !indices.is_some_and(|indices| indices.iter().all(|index| usize::from(*index) < values)) {
            return Err(BlockError::Damaged("a column points past its list"));
        }
        self.indices_at += cells;
        Ok(start)
    }

    fn next_numbers(&mut self, cells: usize) -> Result<usize, BlockError> {
        let head = self.heads.byte()?;
        let base = self.heads.signed()?;
        let (form, width) = (head & DELTA, usize::from(head & !DELTA));
        if !(1..=8).contains(&width) {
            return Err(BlockError::Damaged("a column's numbers have an unknown width"));
        }
        let bytes = self.numbers.take(cells.saturating_mul(width))?;
        let first = self.out.numbers.len();
        let mut before = base;
        for cell in 0..cells {
            let stored =
                (0..width).fold(0u64, |sum, plane| sum | u64::from(bytes[plane * cells + cell]) << (8 * plane));
            let value = match form {
                DELTA => before.wrapping_add(unzigzag(stored)),
                _ => base.wrapping_add(stored as i64),
            };
            before = value;
            self.out.numbers.push(value);
        }
        Ok(first)
    }

    pub(in crate::block) fn finish(self) -> Result<Strings, BlockError> {
        let used = self.heads.is_empty()
            && self.numbers.is_empty()
            && self.text_at == self.out.text.len()
            && self.indices_at == self.out.indices.len()
            && self.raw_at == self.out.raw.len();
        if used { Ok(self.out) } else { Err(BlockError::Damaged("bytes follow its last column")) }
    }
}
