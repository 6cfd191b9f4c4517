//! Attributes in columns: one a key and type. A record is a shape (which columns, in which order) and its cells.
//!
//! Layout section: keys; columns (key, type, cells); shapes (columns); a shape a record. Columns of texts and of integers are
//! [`super::strings`]; the typed section has the other cells, column by column. Version 1 had lengths of text cells at the end of the
//! layout, all texts in one section, and integers among the typed cells.

mod values;

use std::collections::HashMap;
use std::sync::OnceLock;

use foldhash::fast::RandomState;
use model::log::Attributes as Pairs;
use model::{AnyValue, Key};

use super::strings::{Ints, Streams, Strings, StringsReader, StringsWriter};
use super::{BlockError, CELLS_MAX, value};
use crate::wire::{Reader, put_bytes, put_varint};

pub use values::Values;

struct ColumnWriter<'a> {
    key: usize,
    kind: u8,
    cells: usize,
    texts: Vec<&'a [u8]>,
    ints: Vec<i64>,
    data: Vec<u8>,
}

#[derive(Default)]
pub(super) struct AttributesWriter<'a> {
    keys: Vec<&'a str>,
    column_of: HashMap<(&'a str, u8), usize, RandomState>,
    key_of: HashMap<&'a str, usize, RandomState>,
    columns: Vec<ColumnWriter<'a>>,
    shapes: Vec<Vec<usize>>,
    shape_of: HashMap<Vec<usize>, usize, RandomState>,
    rows: Vec<usize>,
    scratch: Vec<usize>,
}

impl<'a> AttributesWriter<'a> {
    pub(super) fn add(&mut self, attributes: &'a Pairs) {
        self.scratch.clear();
        for (key, value) in attributes {
            let kind = value::kind(value);
            let at = match self.column_of.get(&(&**key, kind)) {
                Some(at) => *at,
                None => self.new_column(key, kind),
            };
            let column = &mut self.columns[at];
            column.cells += 1;
            match value {
                AnyValue::Str(text) => column.texts.push(text.as_bytes()),
                AnyValue::Int(value) => column.ints.push(*value),
                other => value::put_payload(&mut column.data, other),
            }
            self.scratch.push(at);
        }
        let shape = match self.shape_of.get(&self.scratch) {
            Some(shape) => *shape,
            None => {
                self.shapes.push(self.scratch.clone());
                self.shape_of.insert(self.scratch.clone(), self.shapes.len() - 1);
                self.shapes.len() - 1
            }
        };
        self.rows.push(shape);
    }

    fn new_column(&mut self, key: &'a str, kind: u8) -> usize {
        let key_at = *self.key_of.entry(key).or_insert_with(|| {
            self.keys.push(key);
            self.keys.len() - 1
        });
        let (texts, ints, data) = (Vec::new(), Vec::new(), Vec::new());
        self.columns.push(ColumnWriter { key: key_at, kind, cells: 0, texts, ints, data });
        self.column_of.insert((key, kind), self.columns.len() - 1);
        self.columns.len() - 1
    }

    /// Layout, columns, typed.
    pub(super) fn finish(self) -> (Vec<u8>, Streams, Vec<u8>) {
        let (mut layout, mut cells, mut typed) = (Vec::new(), StringsWriter::default(), Vec::new());
        if self.columns.is_empty() {
            return (layout, cells.finish(), typed);
        }
        put_varint(&mut layout, self.keys.len() as u64);
        self.keys.iter().for_each(|key| put_bytes(&mut layout, key.as_bytes()));
        put_varint(&mut layout, self.columns.len() as u64);
        for column in &self.columns {
            put_varint(&mut layout, column.key as u64);
            layout.push(column.kind);
            put_varint(&mut layout, column.cells as u64);
        }
        put_varint(&mut layout, self.shapes.len() as u64);
        for shape in &self.shapes {
            put_varint(&mut layout, shape.len() as u64);
            shape.iter().for_each(|column| put_varint(&mut layout, *column as u64));
        }
        self.rows.iter().for_each(|shape| put_varint(&mut layout, *shape as u64));
        for column in &self.columns {
            match column.kind {
                value::STR => cells.texts(column.texts.iter().copied()),
                value::INT => cells.ints(&column.ints),
                _ => typed.extend_from_slice(&column.data),
            }
        }
        (layout, cells.finish(), typed)
    }
}

/// A value where it lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueRef<'a> {
    Str(&'a str),
    Int(i64),
    Double(f64),
    /// Every other type.
    Other(&'a AnyValue),
}

impl<'a> From<&'a AnyValue> for ValueRef<'a> {
    fn from(value: &'a AnyValue) -> ValueRef<'a> {
        match value {
            AnyValue::Str(text) => ValueRef::Str(text),
            AnyValue::Int(value) => ValueRef::Int(*value),
            AnyValue::Double(value) => ValueRef::Double(*value),
            other => ValueRef::Other(other),
        }
    }
}

impl ValueRef<'_> {
    /// Appends the value as [`AnyValue::write_text`] would.
    pub fn write_text(self, out: &mut String) {
        match self {
            ValueRef::Str(text) => out.push_str(text),
            ValueRef::Int(value) => AnyValue::Int(value).write_text(out),
            ValueRef::Double(value) => AnyValue::Double(value).write_text(out),
            ValueRef::Other(value) => value.write_text(out),
        }
    }

    pub fn to_value(self) -> AnyValue {
        match self {
            ValueRef::Str(text) => AnyValue::Str(text.to_owned()),
            ValueRef::Int(value) => AnyValue::Int(value),
            ValueRef::Double(value) => AnyValue::Double(value),
            ValueRef::Other(value) => value.clone(),
        }
    }
}

#[derive(Debug)]
enum Cells {
    /// Number of the column among the columns of texts.
    Column(usize),
    /// Of version 1: where each text ends in the text section; the first starts at `start`.
    Str {
        start: usize,
        ends: Vec<usize>,
    },
    Int(Ints),
    Double(Vec<f64>),
    Other(Vec<AnyValue>),
}

impl Cells {
    /// The number that a cell's value has among those of [`Attributes::value`].
    fn code(&self, strings: &Strings, cell: usize) -> usize {
        match self {
            Cells::Column(number) => strings.code(*number, cell),
            Cells::Int(ints) => ints.code(cell),
            _ => cell,
        }
    }

    /// Numbers that [`Cells::code`] gives, at most; `cells` is how many cells there are.
    fn codes(&self, strings: &Strings, cells: usize) -> usize {
        match self {
            Cells::Column(number) => strings.codes(*number),
            Cells::Int(ints) => ints.values.len(),
            _ => cells,
        }
    }

    /// The value of a number of [`Cells::code`].
    fn value<'a>(&'a self, strings: &'a Strings, text: &'a str, code: usize) -> ValueRef<'a> {
        match self {
            Cells::Column(number) => ValueRef::Str(strings.get_code(*number, code)),
            Cells::Str { start, ends } => {
                let from = code.checked_sub(1).map_or(*start, |before| ends[before]);
                ValueRef::Str(&text[from..ends[code]])
            }
            Cells::Int(ints) => ValueRef::Int(ints.values[code]),
            Cells::Double(values) => ValueRef::Double(values[code]),
            Cells::Other(values) => ValueRef::Other(&values[code]),
        }
    }
}

#[derive(Debug)]
struct Column {
    key: usize,
    cells: Cells,
    count: usize,
}

/// Key, type and cells of a column.
type Head = (usize, u8, usize);

/// The attributes of a block's records.
#[derive(Debug, Default)]
pub struct Attributes {
    keys: Vec<Key>,
    columns: Vec<Column>,
    strings: Strings,
    /// Texts of version 1.
    text: String,
    /// Columns of each shape, in the order of the attributes.
    shapes: Vec<Vec<u32>>,
    /// The shape of each record; none at all when no record has an attribute.
    rows: Vec<u32>,
    places: OnceLock<Places>,
}

/// Which cells each record has: made when a record is asked for, which counts and searches of one key need not.
#[derive(Debug)]
struct Places {
    /// Of all records in order: column, and place in it.
    cells: Vec<(u32, u32)>,
    /// Where each record's cells end.
    ends: Vec<usize>,
}

/// The keys that begin a layout, which both versions write alike.
fn read_keys(reader: &mut Reader<'_>) -> Result<Vec<Key>, BlockError> {
    (0..reader.count(1)?).map(|_| Ok(Key::from(reader.text()?))).collect()
}

impl Attributes {
    /// The keys of a layout, whose cells are not looked at.
    pub(super) fn keys_of(layout: &[u8]) -> Result<Vec<Key>, BlockError> {
        if layout.is_empty() { Ok(Vec::new()) } else { read_keys(&mut Reader(layout)) }
    }

    /// Keys, shapes and which cells each record has, as both versions write them; and key, type and cells of each column.
    fn read_shapes(records: usize, reader: &mut Reader<'_>) -> Result<(Attributes, Vec<Head>), BlockError> {
        let keys = read_keys(reader)?;
        // Key, type, cells of each column.
        let mut heads = Vec::new();
        for _ in 0..reader.count(3)? {
            let key = index(reader, keys.len())?;
            let kind = reader.byte()?;
            let cells = index(reader, CELLS_MAX + 1)?;
            heads.push((key, kind, cells));
        }
        let mut shapes: Vec<Vec<u32>> = Vec::new();
        for _ in 0..reader.count(1)? {
            let mut shape = Vec::new();
            for _ in 0..reader.count(1)? {
                shape.push(index(reader, heads.len())? as u32);
            }
            shapes.push(shape);
        }
        let mut rows = Vec::new();
        let mut records_of = vec![0usize; shapes.len()];
        let mut all = 0usize;
        for _ in 0..records {
            let shape = index(reader, shapes.len())?;
            all = all.saturating_add(shapes[shape].len());
            if all > CELLS_MAX {
                return Err(BlockError::Damaged("it has more attributes than a block may"));
            }
            records_of[shape] += 1;
            rows.push(shape as u32);
        }
        let mut used = vec![0usize; heads.len()];
        for (shape, records) in shapes.iter().zip(records_of) {
            shape.iter().for_each(|column| used[*column as usize] += records);
        }
        if heads.iter().zip(&used).any(|((_, _, declared), used)| declared != used) {
            return Err(BlockError::Damaged("its attribute columns have other lengths than declared"));
        }
        Ok((Attributes { keys, shapes, rows, ..Attributes::default() }, heads))
    }

    pub(super) fn read(
        records: usize,
        layout: &[u8],
        mut cells: StringsReader<'_>,
        typed: &[u8],
    ) -> Result<Attributes, BlockError> {
        if layout.is_empty() {
            return Ok(Attributes::default());
        }
        let mut reader = Reader(layout);
        let (mut out, heads) = Attributes::read_shapes(records, &mut reader)?;
        let mut typed = Reader(typed);
        let mut texts = 0;
        for (key, kind, count) in heads {
            let cells = match kind {
                value::STR => {
                    cells.texts(count)?;
                    texts += 1;
                    Cells::Column(texts - 1)
                }
                value::INT => Cells::Int(cells.ints(count)?),
                other => typed_cells(other, count, &mut typed)?,
            };
            out.columns.push(Column { key, cells, count });
        }
        if !reader.is_empty() || !typed.is_empty() {
            return Err(BlockError::Damaged("bytes follow its last attribute"));
        }
        out.strings = cells.finish()?;
        Ok(out)
    }

    pub(super) fn read_version_1(
        records: usize,
        layout: &[u8],
        text: Vec<u8>,
        typed: &[u8],
    ) -> Result<Attributes, BlockError> {
        if layout.is_empty() {
            return Ok(Attributes::default());
        }
        let text = String::from_utf8(text).map_err(|_| BlockError::Damaged("an attribute is not UTF-8"))?;
        let mut reader = Reader(layout);
        let (mut out, heads) = Attributes::read_shapes(records, &mut reader)?;
        let mut text_at = 0usize;
        let mut typed = Reader(typed);
        for (key, kind, count) in heads {
            let cells = match kind {
                value::STR => {
                    let start = text_at;
                    let mut text_ends = Vec::new();
                    for _ in 0..count {
                        text_at = step(&mut reader, text_at, &text)?;
                        text_ends.push(text_at);
                    }
                    Cells::Str { start, ends: text_ends }
                }
                value::INT => Cells::Int(Ints::each((0..count).map(|_| typed.signed()).collect::<Result<_, _>>()?)),
                other => typed_cells(other, count, &mut typed)?,
            };
            out.columns.push(Column { key, cells, count });
        }
        if !reader.is_empty() || !typed.is_empty() || text_at != text.len() {
            return Err(BlockError::Damaged("bytes follow its last attribute"));
        }
        out.text = text;
        Ok(out)
    }

    /// The distinct keys of all records.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Shows every key with every value of it, each at least once; records are not told apart.
    pub fn each(&self, show: &mut dyn FnMut(&str, ValueRef<'_>)) {
        for column in &self.columns {
            let key = &self.keys[column.key];
            match &column.cells {
                Cells::Column(number) => self.strings.each(*number, &mut |text| show(key, ValueRef::Str(text))),
                Cells::Str { start, ends } => {
                    let mut from = *start;
                    for to in ends {
                        show(key, ValueRef::Str(&self.text[std::mem::replace(&mut from, *to)..*to]));
                    }
                }
                Cells::Int(ints) => {
                    let mut values = ints.values.clone();
                    values.sort_unstable();
                    values.dedup();
                    values.into_iter().for_each(|value| show(key, ValueRef::Int(value)));
                }
                Cells::Double(values) => values.iter().for_each(|value| show(key, ValueRef::Double(*value))),
                Cells::Other(values) => values.iter().for_each(|value| show(key, value.into())),
            }
        }
    }

    fn places(&self) -> &Places {
        self.places.get_or_init(|| {
            let mut used = vec![0u32; self.columns.len()];
            let (mut cells, mut ends) = (Vec::new(), Vec::with_capacity(self.rows.len()));
            for shape in &self.rows {
                for column in &self.shapes[*shape as usize] {
                    let place = &mut used[*column as usize];
                    cells.push((*column, *place));
                    *place += 1;
                }
                ends.push(cells.len());
            }
            Places { cells, ends }
        })
    }

    /// The attributes of a record, as sent. `record` is below the block's count.
    pub fn of(&self, record: usize) -> impl DoubleEndedIterator<Item = (&Key, ValueRef<'_>)> + Clone {
        let Places { cells, ends } = self.places();
        let start = record.checked_sub(1).map_or(0, |before| ends.get(before).copied().unwrap_or(0));
        let end = ends.get(record).copied().unwrap_or(0);
        cells[start..end].iter().map(|(column, place)| {
            let column = &self.columns[*column as usize];
            let code = column.cells.code(&self.strings, *place as usize);
            (&self.keys[column.key], column.cells.value(&self.strings, &self.text, code))
        })
    }
}

fn typed_cells(kind: u8, count: usize, typed: &mut Reader<'_>) -> Result<Cells, BlockError> {
    Ok(match kind {
        value::DOUBLE => {
            Cells::Double((0..count).map(|_| typed.u64_le().map(f64::from_bits)).collect::<Result<_, _>>()?)
        }
        other => Cells::Other((0..count).map(|_| value::get_payload(typed, other)).collect::<Result<_, BlockError>>()?),
    })
}

fn index(reader: &mut Reader<'_>, below: usize) -> Result<usize, BlockError> {
    usize::try_from(reader.varint()?)
        .ok()
        .filter(|index| *index < below)
        .ok_or(BlockError::Damaged("an index points past its list"))
}

/// The end of the next text, which starts at `from` and has its length next in `reader`.
pub(super) fn step(reader: &mut Reader<'_>, from: usize, text: &str) -> Result<usize, BlockError> {
    let end = usize::try_from(reader.varint()?).ok().and_then(|length| from.checked_add(length));
    end.filter(|end| text.is_char_boundary(*end))
        .ok_or(BlockError::Damaged("a text ends inside a character or past its section"))
}
