//! Text bodies as templates: what a logger says each time, with holes where it says something new.
//!
//! A hole is a whole word of ASCII letters, digits and `_` that has a digit, or hex letters beside a `-` (parts of UUIDs); it never
//! touches a letter outside ASCII. So a word of the body stands either in the template or is exactly one hole, and what a search
//! looks for can mostly be decided once a template. Holes of one template at one place are one column; those of rare templates
//! share one.

mod writer;

use std::ops::Range;

use super::strings::{Strings, StringsReader};
use super::{BlockError, SECTION_BYTES_MAX};
use crate::wire::Reader;

pub(super) use writer::{TemplateSections, TemplatesWriter};

/// Stands for a hole: no byte of UTF-8.
pub const HOLE: u8 = 0xff;
/// Records of a template from which its holes have columns of their own: a column costs some bytes.
const OWN_COLUMNS_MIN: u32 = 8;

/// Whether a word of letters, digits and `_` can be a hole.
pub fn can_be_hole(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit()) || word.bytes().all(|byte| byte.is_ascii_hexdigit())
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
        let mut rows = Vec::with_capacity(records.min(rows.len()));
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

    /// Where a record stands among those of its template, for [`HoleTexts`].
    pub fn place(&self, record: usize) -> usize {
        self.rows[record].1 as usize
    }

    /// The column of a hole, and what is added to a record's place to get its cell.
    fn column(&self, template: usize, hole: usize) -> (usize, usize) {
        let known = &self.templates[template];
        if known.records >= OWN_COLUMNS_MIN { (known.column + hole, 0) } else { (0, hole) }
    }

    /// Appends the body of a record that has a template.
    pub(super) fn write(&self, holes: &Strings, record: usize, out: &mut String) {
        let Some(template) = self.of_record(record) else { return };
        for (at, piece) in self.text(template).split(|byte| *byte == HOLE).enumerate() {
            if let Some(hole) = at.checked_sub(1) {
                let (column, first) = self.column(template, hole);
                holes.write(column, first + self.place(record), out);
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

    pub(super) fn hole_texts<'a>(&self, holes: &'a Strings, template: usize, hole: usize) -> HoleTexts<'a> {
        let (column, first) = self.column(template, hole);
        HoleTexts { holes, column, first }
    }
}

/// What stands in one hole of a template's records, by [`Templates::place`].
#[derive(Debug, Clone, Copy)]
pub struct HoleTexts<'a> {
    holes: &'a Strings,
    column: usize,
    first: usize,
}

impl<'a> HoleTexts<'a> {
    /// Stands for the text where few texts repeat: equal for equal ones. `None` where most differ.
    pub fn code(&self, place: usize) -> Option<u8> {
        self.holes.few(self.column, self.first + place)
    }

    /// Appends the text.
    pub fn write(&self, place: usize, out: &mut String) {
        self.holes.write(self.column, self.first + place, out);
    }

    /// The text, in `scratch` unless it lies in the block as it is.
    pub fn text<'b>(&self, place: usize, scratch: &'b mut String) -> &'b str
    where
        'a: 'b,
    {
        let cell = self.first + place;
        match self.holes.lying(self.column, cell) {
            Some(text) => text,
            None => {
                scratch.clear();
                self.write(place, scratch);
                scratch
            }
        }
    }
}
