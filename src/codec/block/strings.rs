//! Columns of texts and integers, each in the form that suits what stands in it: one value, a list of few values, numbers, hex, or
//! the texts themselves.
//!
//! The cells of all columns share five streams, so that bytes of one nature are compressed together: heads (forms, lengths), indices
//! into lists, text, numbers (in planes: all lowest bytes of a column, then the next), and raw bytes that do not compress.

mod ints;
mod reader;
mod writer;

use std::ops::Range;
use std::sync::OnceLock;

use super::BlockError;

pub(super) use ints::Ints;
pub(super) use reader::StringsReader;
pub(super) use writer::StringsWriter;

const PLAIN: u8 = 0;
const SAME: u8 = 1;
const LIST: u8 = 2;
const NUMBER: u8 = 3;
const HEX: u8 = 4;

/// Added to a number column's width when its cells are differences to the cell before.
const DELTA: u8 = 0x10;

/// Heads, indices, text, numbers, raw.
pub(super) type Streams = [Vec<u8>; 5];

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

    /// A cell as text, where it lies as it is.
    pub(super) fn lying(&self, column: usize, cell: usize) -> Option<&str> {
        match self.columns[column].form {
            Form::Number { .. } | Form::Hex { .. } => None,
            _ => Some(self.get(column, cell)),
        }
    }

    /// As [`Strings::code`], for a column of one value or a list of them.
    pub(super) fn few(&self, column: usize, cell: usize) -> Option<u8> {
        match &self.columns[column].form {
            Form::Same(_) => Some(0),
            Form::List { indices, .. } => Some(self.indices[indices + cell]),
            _ => None,
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
