//! A block as it is read: each column decoded when first asked for, and then kept.

use std::cell::OnceCell;
use std::sync::Arc;

use model::{LogBatch, LogRecord, Resource, Scope, Severity};

use super::attributes::{Attributes, ValueRef};
use super::columns::{self, Bodies, Body, Ids, Severities, Streams};
use super::section::{Section, Table};
use super::{BlockError, RECORDS_MAX};

/// A block whose frame and checksum were found good. Columns are decoded lazily, so any of them can still be an error.
pub struct Block {
    bytes: Vec<u8>,
    table: Table,
    times: OnceCell<Vec<i64>>,
    severities: OnceCell<Severities>,
    order: OnceCell<Vec<(u64, u32)>>,
    streams: OnceCell<Streams>,
    ids: OnceCell<Vec<Ids>>,
    observed: OnceCell<Vec<i64>>,
    bodies: OnceCell<Bodies>,
    attributes: OnceCell<Attributes>,
    rest: OnceCell<Vec<(u32, String)>>,
}

/// `OnceCell::get_or_init` for what can fail.
fn get_or_read<T>(cell: &OnceCell<T>, read: impl FnOnce() -> Result<T, BlockError>) -> Result<&T, BlockError> {
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
            times: OnceCell::new(),
            severities: OnceCell::new(),
            order: OnceCell::new(),
            streams: OnceCell::new(),
            ids: OnceCell::new(),
            observed: OnceCell::new(),
            bodies: OnceCell::new(),
            attributes: OnceCell::new(),
            rest: OnceCell::new(),
        })
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

    /// The severity of a record as [`LogRecord::severity`] would say.
    pub fn severity(&self, record: usize) -> Result<Severity, BlockError> {
        let severities = self.severities()?;
        Ok(severities.entries[severities.of_record[record] as usize].2)
    }

    /// Severity number and text as sent.
    pub fn severity_as_sent(&self, record: usize) -> Result<(i32, &str), BlockError> {
        let severities = self.severities()?;
        let (number, text, _) = &severities.entries[severities.of_record[record] as usize];
        Ok((*number, text))
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

    pub fn bodies(&self) -> Result<&Bodies, BlockError> {
        self.times()?;
        get_or_read(&self.bodies, || {
            let layout = self.load(Section::BodyLayout)?;
            Bodies::read(self.count(), &layout, self.load(Section::BodyText)?, &self.load(Section::BodyTyped)?)
        })
    }

    pub fn attributes(&self) -> Result<&Attributes, BlockError> {
        self.times()?;
        get_or_read(&self.attributes, || {
            let layout = self.load(Section::AttributeLayout)?;
            let text = self.load(Section::AttributeText)?;
            Attributes::read(self.count(), &layout, text, &self.load(Section::AttributeTyped)?)
        })
    }

    fn rest(&self) -> Result<&[(u32, String)], BlockError> {
        self.times()?;
        Ok(get_or_read(&self.rest, || columns::rest(self.count(), &self.load(Section::Rest)?))?)
    }

    pub fn event_name(&self, record: usize) -> Result<&str, BlockError> {
        Ok(&self.rest()?[record].1)
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
            observed_time_ns: observed[record],
            severity_number,
            severity_text: severity_text.to_owned(),
            body: match self.bodies()?.of(record) {
                Body::Text(text) => ValueRef::Str(text).to_value(),
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
