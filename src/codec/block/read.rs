//! A block as it is read: each column decoded when first asked for, and then kept.

use std::sync::{Arc, OnceLock};

use model::{AnyValue, Key, LogBatch, LogRecord, Resource, Scope, Severity};

use super::attributes::Attributes;
use super::columns::{self, Bodies, Body, Ids, Severities, Streams};
use super::section::{Effort, Section, Table};
use super::strings::{Strings, StringsReader};
use super::templates::{HoleTexts, Templates};
use super::{BlockError, RECORDS_MAX, SECTION_BYTES_MAX};

/// A block whose frame and checksum were found good. Columns are decoded lazily, so any of them can still be an error.
pub struct Block {
    bytes: Vec<u8>,
    table: Table,
    times: OnceLock<Vec<i64>>,
    severities: OnceLock<Severities>,
    order: OnceLock<Vec<(u64, u32)>>,
    streams: OnceLock<Streams>,
    ids: OnceLock<Vec<Ids>>,
    observed: OnceLock<Vec<(i64, bool)>>,
    templates: OnceLock<Templates>,
    holes: OnceLock<Strings>,
    typed_bodies: OnceLock<(Vec<AnyValue>, Vec<u32>)>,
    bodies: OnceLock<Bodies>,
    attributes: OnceLock<Attributes>,
    rest: OnceLock<Vec<(u32, String)>>,
}

/// `OnceLock::get_or_init` for what can fail.
fn get_or_read<T>(cell: &OnceLock<T>, read: impl FnOnce() -> Result<T, BlockError>) -> Result<&T, BlockError> {
    if let Some(known) = cell.get() {
        return Ok(known);
    }
    let value = read()?;
    Ok(cell.get_or_init(|| value))
}

impl Block {
    /// Reads the frame and checks the checksum; nothing is decompressed.
    ///
    /// # Errors
    /// A later version, a checksum that fails, sizes that contradict each other.
    pub fn parse(bytes: Vec<u8>) -> Result<Block, BlockError> {
        let table = Table::read(&bytes)?;
        if table.records > 0 && !table.has(Section::Times) {
            return Err(BlockError::Damaged("it has records and no times"));
        }
        debug_assert!(table.records <= RECORDS_MAX);
        Ok(Block {
            bytes,
            table,
            times: OnceLock::new(),
            severities: OnceLock::new(),
            order: OnceLock::new(),
            streams: OnceLock::new(),
            ids: OnceLock::new(),
            observed: OnceLock::new(),
            templates: OnceLock::new(),
            holes: OnceLock::new(),
            typed_bodies: OnceLock::new(),
            bodies: OnceLock::new(),
            attributes: OnceLock::new(),
            rest: OnceLock::new(),
        })
    }

    /// The bytes of the same block, compressed as hard as told; its version stays.
    ///
    /// # Errors
    /// A section that does not decompress.
    pub fn compressed(&self, effort: Effort) -> Result<Vec<u8>, BlockError> {
        self.table.compressed(&self.bytes, effort)
    }

    /// Number of records.
    pub fn count(&self) -> usize {
        self.table.records
    }

    /// Event times, in the order of the records.
    pub fn times(&self) -> Result<&[i64], BlockError> {
        Ok(get_or_read(&self.times, || columns::times(self.count(), &self.load(Section::Times)?))?)
    }

    /// Intake sequence number and place in the request, of each record.
    pub fn order(&self) -> Result<&[(u64, u32)], BlockError> {
        // The times bound the count of records by the bytes at hand; every other column may be absent.
        self.times()?;
        Ok(get_or_read(&self.order, || columns::order(self.count(), &self.load(Section::Order)?))?)
    }

    fn severities(&self) -> Result<&Severities, BlockError> {
        self.times()?;
        get_or_read(&self.severities, || Severities::read(self.count(), &self.load(Section::Severities)?))
    }

    /// The severity of a record as [`LogRecord::severity`] would say. Where the sender gave none the bodies are read.
    pub fn severity(&self, record: usize) -> Result<Severity, BlockError> {
        let severities = self.severities()?;
        if let Some(sent) = severities.entries[severities.of_record[record] as usize].2 {
            return Ok(sent);
        }
        let derived = match self.bodies()?.of(record) {
            Body::Text(text) => model::severity::of_line(text),
            Body::Typed(value) => model::severity::of_body(value),
        };
        Ok(derived.unwrap_or(Severity::Unspecified))
    }

    /// Severity number and text as sent.
    pub fn severity_as_sent(&self, record: usize) -> Result<(i32, &str), BlockError> {
        let severities = self.severities()?;
        let (number, text, _) = &severities.entries[severities.of_record[record] as usize];
        Ok((*number, text))
    }

    /// Which of the block's distinct severities, as sent, a record has.
    pub fn severity_place(&self, record: usize) -> Result<usize, BlockError> {
        Ok(self.severities()?.of_record[record] as usize)
    }

    fn streams(&self) -> Result<&Streams, BlockError> {
        self.times()?;
        get_or_read(&self.streams, || {
            Streams::read(self.count(), &self.load(Section::Streams)?, &self.load(Section::Resources)?)
        })
    }

    pub fn resources(&self) -> Result<&[Arc<Resource>], BlockError> {
        Ok(&self.streams()?.resources)
    }

    pub fn scopes(&self) -> Result<&[Arc<Scope>], BlockError> {
        Ok(&self.streams()?.scopes)
    }

    /// Which of [`Block::resources`] and [`Block::scopes`] a record has.
    pub fn stream(&self, record: usize) -> Result<(usize, usize), BlockError> {
        let (resource, scope) = self.streams()?.of_record[record];
        Ok((resource as usize, scope as usize))
    }

    /// Trace id, span id and flags of each record.
    pub fn ids(&self) -> Result<&[Ids], BlockError> {
        self.times()?;
        Ok(get_or_read(&self.ids, || columns::ids(self.count(), &self.load(Section::Ids)?))?)
    }

    /// The bodies of all records. Puts every text together: who wants few of them asks [`Block::body`], and
    /// who wants to know which have something asks [`Block::templates`] first.
    pub fn bodies(&self) -> Result<&Bodies, BlockError> {
        self.times()?;
        get_or_read(&self.bodies, || match self.templates()? {
            None => {
                let layout = self.load(Section::BodyLayout)?;
                Bodies::read(self.count(), &layout, self.load(Section::BodyText)?, &self.load(Section::BodyTyped)?)
            }
            Some(templates) => {
                let holes = self.holes(templates)?;
                let mut text = String::new();
                let mut ends = Vec::with_capacity(self.times()?.len());
                for record in 0..self.count() {
                    templates.write(holes, record, &mut text);
                    // A few bytes of templates and holes can stand for very long texts.
                    if text.len() > SECTION_BYTES_MAX {
                        return Err(BlockError::Damaged("its bodies are longer than a block may"));
                    }
                    ends.push(templates.of_record(record).map(|_| text.len()));
                }
                Ok(Bodies::of_parts(text, &ends, self.typed_bodies(templates)?.0.clone()))
            }
        })
    }

    /// The templates of the text bodies; `None` for a block of version 1, which has none.
    pub fn templates(&self) -> Result<Option<&Templates>, BlockError> {
        if self.table.version == 1 {
            return Ok(None);
        }
        self.times()?;
        let read = || Templates::read(self.count(), self.load(Section::Templates)?, &self.load(Section::TemplateOf)?);
        get_or_read(&self.templates, read).map(Some)
    }

    fn holes(&self, templates: &Templates) -> Result<&Strings, BlockError> {
        get_or_read(&self.holes, || {
            let (heads, numbers) = (self.load(Section::HoleHeads)?, self.load(Section::HoleNumbers)?);
            let (indices, text) = (self.load(Section::HoleIndices)?, self.load(Section::HoleText)?);
            templates.read_holes(StringsReader::new(&heads, indices, text, &numbers, self.load(Section::HoleRaw)?)?)
        })
    }

    /// Bodies that are no text, and which of them each record has.
    fn typed_bodies(&self, templates: &Templates) -> Result<&(Vec<AnyValue>, Vec<u32>), BlockError> {
        get_or_read(&self.typed_bodies, || {
            let mut count = 0;
            let mut places = Vec::new();
            for record in 0..self.count() {
                places.push(count);
                count += u32::from(templates.of_record(record).is_none());
            }
            Ok((columns::typed_bodies(count as usize, &self.load(Section::BodyTyped)?)?, places))
        })
    }

    /// Puts a record's body into `scratch` if it is text, without touching other records' where the block's version allows; else
    /// returns the body as it is.
    pub fn body<'a>(&'a self, record: usize, scratch: &'a mut String) -> Result<Body<'a>, BlockError> {
        match self.templates()? {
            None => Ok(self.bodies()?.of(record)),
            Some(templates) if templates.of_record(record).is_none() => {
                let (typed, places) = self.typed_bodies(templates)?;
                Ok(Body::Typed(&typed[places[record] as usize]))
            }
            Some(templates) => {
                scratch.clear();
                templates.write(self.holes(templates)?, record, scratch);
                Ok(Body::Text(scratch))
            }
        }
    }

    /// The texts in a hole of a template's records. `templates` are the block's, and the template has more than `hole` holes.
    pub fn hole_texts(&self, templates: &Templates, template: usize, hole: usize) -> Result<HoleTexts<'_>, BlockError> {
        Ok(templates.hole_texts(self.holes(templates)?, template, hole))
    }

    /// Shows what stands in the holes of all records, each text at least once.
    pub fn each_hole(&self, templates: &Templates, show: &mut dyn FnMut(&str)) -> Result<(), BlockError> {
        let holes = self.holes(templates)?;
        (0..templates.column_count()).for_each(|column| holes.each(column, show));
        Ok(())
    }

    /// Whether a text may stand inside a hole of some record of a template; false is certain. With `any_case` the text is in lower
    /// case and matches in any.
    pub fn holes_may_contain(
        &self,
        templates: &Templates,
        template: usize,
        part: &str,
        any_case: bool,
    ) -> Result<bool, BlockError> {
        let holes = self.holes(templates)?;
        Ok(templates.columns_of(template).any(|column| holes.may_contain(column, part, any_case)))
    }

    pub fn attributes(&self) -> Result<&Attributes, BlockError> {
        self.times()?;
        get_or_read(&self.attributes, || {
            let (layout, typed) = (self.load(Section::AttributeLayout)?, self.load(Section::AttributeTyped)?);
            if self.table.version == 1 {
                return Attributes::read_version_1(self.count(), &layout, self.load(Section::AttributeText)?, &typed);
            }
            let (heads, numbers) = (self.load(Section::CellHeads)?, self.load(Section::CellNumbers)?);
            let (indices, text) = (self.load(Section::CellIndices)?, self.load(Section::CellText)?);
            let cells = StringsReader::new(&heads, indices, text, &numbers, self.load(Section::CellRaw)?)?;
            Attributes::read(self.count(), &layout, cells, &typed)
        })
    }

    /// The keys of its records' attributes, each once. Decodes nothing else of them.
    pub fn attribute_keys(&self) -> Result<Vec<Key>, BlockError> {
        Attributes::keys_of(&self.load(Section::AttributeLayout)?)
    }

    fn rest(&self) -> Result<&[(u32, String)], BlockError> {
        self.times()?;
        Ok(get_or_read(&self.rest, || columns::rest(self.count(), &self.load(Section::Rest)?))?)
    }

    pub fn event_name(&self, record: usize) -> Result<&str, BlockError> {
        Ok(&self.rest()?[record].1)
    }

    /// Observed time as sent, in ns; 0 when it was not.
    pub fn observed_time_ns(&self, record: usize) -> Result<i64, BlockError> {
        let times = self.times()?;
        Ok(get_or_read(&self.observed, || columns::observed(times, &self.load(Section::Observed)?))?[record].0)
    }

    pub fn dropped_attributes_count(&self, record: usize) -> Result<u32, BlockError> {
        Ok(self.rest()?[record].0)
    }

    /// A whole record, as it was encoded. `record` is below [`Block::count`].
    pub fn record(&self, record: usize) -> Result<LogRecord, BlockError> {
        let (severity_number, severity_text) = self.severity_as_sent(record)?;
        let (trace_id, span_id, flags) = self.ids()?[record];
        let times = self.times()?;
        let observed = get_or_read(&self.observed, || columns::observed(times, &self.load(Section::Observed)?))?;
        let (dropped_attributes_count, event_name) = &self.rest()?[record];
        Ok(LogRecord {
            time_ns: times[record],
            time_is_derived: observed[record].1,
            observed_time_ns: observed[record].0,
            severity_number,
            severity_text: severity_text.to_owned(),
            body: match self.body(record, &mut String::new())? {
                Body::Text(text) => AnyValue::Str(text.to_owned()),
                Body::Typed(value) => value.clone(),
            },
            attributes: self.attributes()?.of(record).map(|(key, value)| (key.clone(), value.to_value())).collect(),
            dropped_attributes_count: *dropped_attributes_count,
            flags,
            trace_id,
            span_id,
            event_name: event_name.clone(),
        })
    }

    /// All of it as the batch that it was encoded from.
    pub fn batch(&self) -> Result<LogBatch, BlockError> {
        let mut records = Vec::with_capacity(self.times()?.len());
        for at in 0..self.count() {
            let (resource, scope) = self.streams()?.of_record[at];
            records.push((resource, scope, self.record(at)?));
        }
        let streams = self.streams()?;
        Ok(LogBatch {
            resources: streams.resources.iter().map(|resource| Resource::clone(resource)).collect(),
            scopes: streams.scopes.iter().map(|scope| Scope::clone(scope)).collect(),
            records,
        })
    }

    fn load(&self, section: Section) -> Result<Vec<u8>, BlockError> {
        self.table.load(&self.bytes, section)
    }
}
