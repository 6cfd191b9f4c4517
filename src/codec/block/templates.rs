//! Text bodies as templates: what a logger says each time, with holes where it says something new.
//!
//! A hole is a whole word of ASCII letters, digits and `_` that has a digit, or hex letters beside a `-` (parts of UUIDs); it never
//! touches a letter outside ASCII. So a word of the body stands either in the template or is exactly one hole, and what a search
//! looks for can mostly be decided once a template. Holes of one template at one place are one column; those of rare templates
//! share one.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::strings::{Strings, StringsReader, StringsWriter};
use super::{BlockError, SECTION_BYTES_MAX};
use crate::wire::{Reader, put_varint};

/// Stands for a hole: no byte of UTF-8.
pub const HOLE: u8 = 0xff;
/// Most holes of a template; further words that would be one stay as they are.
const HOLES_MAX: usize = 48;
/// Records of a template from which its holes have columns of their own: a column costs some bytes.
const OWN_COLUMNS_MIN: u32 = 8;

const OTHER: u8 = 0;
const LETTER: u8 = 1;
const HEX_LETTER: u8 = 2;
const DIGIT: u8 = 3;
const BEYOND_ASCII: u8 = 4;

const CLASSES: [u8; 256] = {
    let mut classes = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' | b'A'..=b'F' => HEX_LETTER,
            b'g'..=b'z' | b'G'..=b'Z' | b'_' => LETTER,
            0x80.. => BEYOND_ASCII,
            _ => OTHER,
        };
        byte += 1;
    }
    classes
};

/// Whether a word of letters, digits and `_` can be a hole.
pub fn can_be_hole(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit()) || word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Splits a text: appends its template and its holes.
fn split<'a>(text: &'a [u8], template: &mut Vec<u8>, holes: &mut Vec<&'a [u8]>) {
    let most = holes.len() + HOLES_MAX;
    let class = |at: usize| CLASSES[usize::from(text[at])];
    let mut copied = 0;
    let mut at = 0;
    while at < text.len() {
        if !matches!(class(at), LETTER | HEX_LETTER | DIGIT) {
            at += 1;
            continue;
        }
        let start = at;
        let mut seen = 0u8;
        while at < text.len() && matches!(class(at), LETTER | HEX_LETTER | DIGIT) {
            seen |= 1 << class(at);
            at += 1;
        }
        let has_digit = seen & (1 << DIGIT) != 0;
        let beside = |byte: u8| (start > 0 && text[start - 1] == byte) || (at < text.len() && text[at] == byte);
        if !(has_digit || (seen == 1 << HEX_LETTER && beside(b'-'))) || holes.len() == most {
            continue;
        }
        let touches = (start > 0 && class(start - 1) == BEYOND_ASCII) || (at < text.len() && class(at) == BEYOND_ASCII);
        if touches {
            continue;
        }
        template.extend_from_slice(&text[copied..start]);
        template.push(HOLE);
        holes.push(&text[start..at]);
        copied = at;
    }
    template.extend_from_slice(&text[copied..]);
}

#[derive(Default)]
pub(super) struct TemplatesWriter<'a> {
    known: HashMap<Vec<u8>, u32, RandomState>,
    /// In the order found: holes, records.
    templates: Vec<(usize, u32)>,
    lengths: Vec<u8>,
    texts: Vec<u8>,
    /// Of each record its template from 1, and where its holes start.
    rows: Vec<(u32, usize)>,
    holes: Vec<&'a [u8]>,
    scratch: Vec<u8>,
}

/// Templates, template of each record, columns of holes.
pub(super) type TemplateSections = (Vec<u8>, Vec<u8>, super::strings::Streams);

impl<'a> TemplatesWriter<'a> {
    pub(super) fn text(&mut self, text: &'a str) {
        self.scratch.clear();
        let start = self.holes.len();
        split(text.as_bytes(), &mut self.scratch, &mut self.holes);
        let number = match self.known.get(&self.scratch[..]) {
            Some(number) => *number,
            None => {
                let number = self.templates.len() as u32;
                put_varint(&mut self.lengths, self.scratch.len() as u64);
                self.texts.extend_from_slice(&self.scratch);
                self.known.insert(self.scratch.clone(), number);
                self.templates.push((self.holes.len() - start, 0));
                number
            }
        };
        self.templates[number as usize].1 += 1;
        self.rows.push((number + 1, start));
    }

    /// A record whose body is no text.
    pub(super) fn other(&mut self) {
        self.rows.push((0, self.holes.len()));
    }

    pub(super) fn finish(self) -> TemplateSections {
        let mut templates = Vec::with_capacity(self.texts.len() + self.lengths.len() + 4);
        put_varint(&mut templates, self.templates.len() as u64);
        templates.extend_from_slice(&self.lengths);
        templates.extend_from_slice(&self.texts);
        let mut rows = Vec::with_capacity(self.rows.len());
        self.rows.iter().for_each(|(template, _)| put_varint(&mut rows, u64::from(*template)));
        if self.rows.iter().all(|(template, _)| *template == 0) {
            rows.clear();
        }
        let mut starts: Vec<Vec<usize>> = vec![Vec::new(); self.templates.len()];
        let mut shared: Vec<&[u8]> = Vec::new();
        for (template, start) in self.rows.iter().filter(|(template, _)| *template > 0) {
            let (holes, records) = self.templates[*template as usize - 1];
            match records >= OWN_COLUMNS_MIN {
                true => starts[*template as usize - 1].push(*start),
                false => shared.extend_from_slice(&self.holes[*start..start + holes]),
            }
        }
        let mut columns = StringsWriter::default();
        columns.texts(shared.iter().copied());
        for ((holes, _), starts) in self.templates.iter().zip(&starts).filter(|(_, starts)| !starts.is_empty()) {
            for hole in 0..*holes {
                columns.texts(starts.iter().map(|start| self.holes[start + hole]));
            }
        }
        (templates, rows, columns.finish())
    }
}

#[derive(Debug)]
struct Template {
    text: Range<usize>,
    holes: usize,
    records: u32,
    /// Its first column; the shared one for a template that has none of its own.
    column: usize,
}

/// Templates of a block's text bodies, and which each record has.
#[derive(Debug, Default)]
pub struct Templates {
    texts: Vec<u8>,
    templates: Vec<Template>,
    /// Of each record its template from 1, or 0 for a body of another type; and its place among those of the template (in the
    /// shared column: where its holes start).
    rows: Vec<(u32, u32)>,
    /// Cells of each column.
    columns: Vec<usize>,
}

impl Templates {
    pub(super) fn read(records: usize, texts: Vec<u8>, rows: &[u8]) -> Result<Templates, BlockError> {
        if rows.is_empty() {
            return Ok(Templates { rows: vec![(0, 0); records], columns: vec![0], ..Templates::default() });
        }
        let mut reader = Reader(&texts);
        let mut templates = Vec::new();
        let count = reader.count(1)?;
        let mut end = 0usize;
        for _ in 0..count {
            let start = end;
            end = usize::try_from(reader.varint()?)
                .ok()
                .and_then(|length| start.checked_add(length))
                .filter(|end| *end <= SECTION_BYTES_MAX)
                .ok_or(BlockError::Damaged("a template is too long"))?;
            templates.push(Template { text: start..end, holes: 0, records: 0, column: 0 });
        }
        if reader.0.len() != end {
            return Err(BlockError::Damaged("its templates have other lengths than declared"));
        }
        let at = texts.len() - end;
        let texts = texts[at..].to_vec();
        for template in &mut templates {
            let mut holes = 0;
            for piece in texts[template.text.clone()].split(|byte| *byte == HOLE) {
                std::str::from_utf8(piece).map_err(|_| BlockError::Damaged("a template is not UTF-8"))?;
                holes += 1;
            }
            template.holes = holes - 1;
        }
        let mut reader = Reader(rows);
        let mut rows = Vec::new();
        for _ in 0..records {
            let number = reader.varint()?;
            let Some(before) = number.checked_sub(1) else {
                rows.push((0, 0));
                continue;
            };
            let template = usize::try_from(before)
                .ok()
                .and_then(|at| templates.get_mut(at))
                .ok_or(BlockError::Damaged("a record's template is not in its list"))?;
            rows.push((number as u32, template.records));
            template.records += 1;
        }
        if !reader.is_empty() {
            return Err(BlockError::Damaged("bytes follow the end of a section"));
        }
        let mut columns = vec![0usize];
        for template in templates.iter_mut().filter(|template| template.records >= OWN_COLUMNS_MIN) {
            template.column = columns.len();
            columns.extend(std::iter::repeat_n(template.records as usize, template.holes));
        }
        for (number, place) in rows.iter_mut().filter(|(number, _)| *number > 0) {
            let template = &templates[*number as usize - 1];
            if template.records < OWN_COLUMNS_MIN {
                *place = columns[0] as u32;
                columns[0] += template.holes;
            }
        }
        Ok(Templates { texts, templates, rows, columns })
    }

    pub(super) fn read_holes(&self, mut reader: StringsReader<'_>) -> Result<Strings, BlockError> {
        for cells in &self.columns {
            reader.texts(*cells)?;
        }
        reader.finish()
    }

    /// Number of templates.
    pub fn count(&self) -> usize {
        self.templates.len()
    }

    /// The text of a template, with [`HOLE`] for each hole; between holes it is UTF-8.
    pub fn text(&self, template: usize) -> &[u8] {
        &self.texts[self.templates[template].text.clone()]
    }

    pub fn holes(&self, template: usize) -> usize {
        self.templates[template].holes
    }

    /// Records of a template.
    pub fn records(&self, template: usize) -> u32 {
        self.templates[template].records
    }

    /// The template of a record; `None` for a body that is no text.
    pub fn of_record(&self, record: usize) -> Option<usize> {
        (self.rows[record].0 as usize).checked_sub(1)
    }

    /// Where a hole of a record stands: column and cell.
    fn cell(&self, template: usize, record: usize, hole: usize) -> (usize, usize) {
        let known = &self.templates[template];
        let place = self.rows[record].1 as usize;
        if known.records >= OWN_COLUMNS_MIN { (known.column + hole, place) } else { (0, place + hole) }
    }

    /// Appends the body of a record that has a template.
    pub(super) fn write(&self, holes: &Strings, record: usize, out: &mut String) {
        let Some(template) = self.of_record(record) else { return };
        for (at, piece) in self.text(template).split(|byte| *byte == HOLE).enumerate() {
            if let Some(hole) = at.checked_sub(1) {
                let (column, cell) = self.cell(template, record, hole);
                holes.write(column, cell, out);
            }
            // Every piece was found to be UTF-8 when it was read.
            out.push_str(std::str::from_utf8(piece).unwrap_or_default());
        }
    }

    /// The columns that hold a template's holes.
    pub(super) fn columns_of(&self, template: usize) -> Range<usize> {
        let known = &self.templates[template];
        match (known.holes, known.records >= OWN_COLUMNS_MIN) {
            (0, _) => 0..0,
            (holes, true) => known.column..known.column + holes,
            (_, false) => 0..1,
        }
    }

    /// Number of columns of holes, the shared one first.
    pub(super) fn column_count(&self) -> usize {
        self.columns.len()
    }

    pub(super) fn hole<'a>(&self, holes: &'a Strings, record: usize, hole: usize) -> &'a str {
        let template = self.of_record(record).unwrap_or(0);
        let (column, cell) = self.cell(template, record, hole);
        holes.get(column, cell)
    }
}
