//! Columns of texts and integers, each in the form that suits what stands in it: one value, a list of few values, numbers, hex, or
//! the texts themselves.
//!
//! The cells of all columns share five streams, so that bytes of one nature are compressed together: heads (forms, lengths), indices
//! into lists, text, numbers (in planes: all lowest bytes of a column, then the next), and raw bytes that do not compress.

mod ints;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use foldhash::fast::RandomState;

use super::{BlockError, CELLS_MAX};
use crate::wire::{Reader, put_bytes, put_signed, put_varint, unzigzag, zigzag};

use ints::Indices;
pub(super) use ints::Ints;

const PLAIN: u8 = 0;
const SAME: u8 = 1;
const LIST: u8 = 2;
const NUMBER: u8 = 3;
const HEX: u8 = 4;

/// Added to a number column's width when its cells are differences to the cell before.
const DELTA: u8 = 0x10;
/// Most values of a list: an index is a byte.
const LIST_MAX: usize = 255;
/// A list is made when its values repeat at least so often on average.
const REPEATS_MIN: usize = 4;
/// Longest run of digits taken as a number: what fits an `i64` whatever the digits are.
const DIGITS_MAX: usize = 18;
/// Shortest hex text taken as bytes: two forms for a cell of two letters would cost more than they save.
const HEX_MIN: usize = 8;

/// Heads, indices, text, numbers, raw.
pub(super) type Streams = [Vec<u8>; 5];

#[derive(Default)]
pub(super) struct StringsWriter {
    heads: Vec<u8>,
    indices: Vec<u8>,
    text: Vec<u8>,
    numbers: Vec<u8>,
    raw: Vec<u8>,
    scratch: Vec<i64>,
}

impl StringsWriter {
    /// Adds a column of texts. The reader has to know their count.
    pub(super) fn texts<'a>(&mut self, cells: impl Iterator<Item = &'a [u8]> + Clone) {
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
    pub(super) fn ints(&mut self, cells: &[i64]) {
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

    pub(super) fn finish(self) -> Streams {
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

/// What a column's cells are made of. Places are in the streams that hold them.
#[derive(Debug)]
enum Form {
    /// Where each text ends is `ends[first..]`; the first starts at `start`.
    Plain {
        first: usize,
        start: usize,
    },
    /// Place in `shared`.
    Same(Range<usize>),
    /// The values' places in the text are `lists[first..]`; indices start at `indices`.
    List {
        first: usize,
        indices: usize,
    },
    /// The common start is in `shared`; values are `numbers[first..]`.
    Number {
        prefix: Range<usize>,
        first: usize,
    },
    Hex {
        start: usize,
        bytes: usize,
    },
}

#[derive(Debug)]
struct Column {
    form: Form,
    cells: usize,
    /// Numbers and hex as text, made when first asked for: all texts, and where each ends.
    shown: OnceLock<(String, Vec<u32>)>,
}

/// Columns of texts as they are read.
#[derive(Debug, Default)]
pub(super) struct Strings {
    columns: Vec<Column>,
    text: String,
    shared: String,
    indices: Vec<u8>,
    raw: Vec<u8>,
    ends: Vec<u32>,
    lists: Vec<Range<u32>>,
    numbers: Vec<i64>,
}

/// Reads columns one after the other, in the order written.
pub(super) struct StringsReader<'a> {
    heads: Reader<'a>,
    numbers: Reader<'a>,
    text_at: usize,
    indices_at: usize,
    raw_at: usize,
    out: Strings,
}

impl<'a> StringsReader<'a> {
    pub(super) fn new(
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
    pub(super) fn texts(&mut self, cells: usize) -> Result<(), BlockError> {
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
    pub(super) fn ints(&mut self, cells: usize) -> Result<Ints, BlockError> {
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
        self.text_at = super::attributes::step(&mut self.heads, start, &self.out.text)?;
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

    pub(super) fn finish(self) -> Result<Strings, BlockError> {
        let used = self.heads.is_empty()
            && self.numbers.is_empty()
            && self.text_at == self.out.text.len()
            && self.indices_at == self.out.indices.len()
            && self.raw_at == self.out.raw.len();
        if used { Ok(self.out) } else { Err(BlockError::Damaged("bytes follow its last column")) }
    }
}

impl Strings {
    /// Appends a cell. `column` and `cell` are inside what was read.
    pub(super) fn write(&self, column: usize, cell: usize, out: &mut String) {
        match &self.columns[column].form {
            Form::Number { prefix, first } => {
                out.push_str(&self.shared[prefix.clone()]);
                push_number(self.numbers[first + cell], out);
            }
            Form::Hex { start, bytes } => push_hex(&self.raw[start + cell * bytes..start + (cell + 1) * bytes], out),
            _ => out.push_str(self.get(column, cell)),
        }
    }

    /// A cell as text.
    pub(super) fn get(&self, column: usize, cell: usize) -> &str {
        let known = &self.columns[column];
        match &known.form {
            Form::Plain { first, start } => {
                let from = if cell == 0 { *start } else { self.ends[first + cell - 1] as usize };
                &self.text[from..self.ends[first + cell] as usize]
            }
            Form::Same(place) => &self.shared[place.clone()],
            Form::List { .. } => self.get_code(column, self.code(column, cell)),
            Form::Number { .. } | Form::Hex { .. } => {
                let (text, ends) = known.shown.get_or_init(|| self.show(column));
                let from = cell.checked_sub(1).map_or(0, |before| ends[before] as usize);
                &text[from..ends[cell] as usize]
            }
        }
    }

    /// A number that tells the value of a cell: equal cells of a column of one value or a list of them have equal ones.
    pub(super) fn code(&self, column: usize, cell: usize) -> usize {
        match &self.columns[column].form {
            Form::Same(_) => 0,
            Form::List { indices, .. } => usize::from(self.indices[indices + cell]),
            _ => cell,
        }
    }

    /// Numbers that [`Strings::code`] gives in a column, at most.
    pub(super) fn codes(&self, column: usize) -> usize {
        let known = &self.columns[column];
        match &known.form {
            Form::Same(_) => known.cells.min(1),
            Form::List { indices, .. } => {
                let used = &self.indices[*indices..indices + known.cells];
                used.iter().max().map_or(0, |most| usize::from(*most) + 1)
            }
            _ => known.cells,
        }
    }

    /// The text of a number of [`Strings::code`].
    pub(super) fn get_code(&self, column: usize, code: usize) -> &str {
        match &self.columns[column].form {
            Form::List { first, .. } => {
                let place = &self.lists[first + code];
                &self.text[place.start as usize..place.end as usize]
            }
            _ => self.get(column, code),
        }
    }

    fn show(&self, column: usize) -> (String, Vec<u32>) {
        let mut text = String::new();
        let mut ends = Vec::with_capacity(self.columns[column].cells);
        for cell in 0..self.columns[column].cells {
            self.write(column, cell, &mut text);
            ends.push(text.len() as u32);
        }
        (text, ends)
    }

    /// Shows the distinct texts of a column, or more often where that is cheaper than to know.
    pub(super) fn each(&self, column: usize, show: &mut dyn FnMut(&str)) {
        let known = &self.columns[column];
        match &known.form {
            _ if known.cells == 0 => {}
            Form::Same(place) => show(&self.shared[place.clone()]),
            Form::List { .. } => (0..self.codes(column)).for_each(|code| show(self.get_code(column, code))),
            Form::Plain { .. } => (0..known.cells).for_each(|cell| show(self.get(column, cell))),
            Form::Number { .. } | Form::Hex { .. } => {
                let mut text = String::new();
                for cell in 0..known.cells {
                    text.clear();
                    self.write(column, cell, &mut text);
                    show(&text);
                }
            }
        }
    }

    /// Whether some cell may contain a text; false is certain. With `any_case` the text is in lower case and the cells' ASCII letters
    /// count as if they were.
    pub(super) fn may_contain(&self, column: usize, part: &str, any_case: bool) -> bool {
        let contains = |text: &str| match any_case {
            true => text.to_ascii_lowercase().contains(part),
            false => text.contains(part),
        };
        let known = &self.columns[column];
        match &known.form {
            Form::Same(place) => contains(&self.shared[place.clone()]),
            Form::Number { prefix, .. } => {
                // What does not end in the common start needs a digit.
                contains(&self.shared[prefix.clone()]) || part.bytes().any(|byte| byte.is_ascii_digit())
            }
            Form::Hex { .. } => part.bytes().all(|byte| byte.is_ascii_hexdigit()),
            Form::List { .. } => {
                let mut found = false;
                self.each(column, &mut |text| found = found || contains(text));
                found
            }
            Form::Plain { first, start } => contains(&self.text[*start..self.ends[first + known.cells - 1] as usize]),
        }
    }
}

fn push_number(value: i64, out: &mut String) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push('-');
    }
    out.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
}

fn push_hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}
