//! Log records of one request as the head keeps them: all texts in one buffer, all attributes in one list, rows of fixed size.
//!
//! A record costs no allocation of its own, about 130 bytes besides its texts, and is read in place. What is packed comes back exactly:
//! types, order of attributes, duplicate keys. [`Packer`] builds, [`PackedRecord`] reads, `bytes.rs` writes it down for the intake log.

mod bytes;
mod packer;
mod record;

use std::sync::Arc;

use model::{AnyValue, Key, LogBatch, Resource, Scope};

pub(crate) use packer::size_bytes;
pub use packer::{Draft, DraftValue, FLAT_BYTES, Packer};
pub use record::PackedRecord;

/// Records of one request, in the order sent.
#[derive(Debug, Default)]
pub struct PackedLogs {
    resources: Vec<Arc<Resource>>,
    scopes: Vec<Arc<Scope>>,
    keys: Vec<Key>,
    /// Distinct (number, text).
    severities: Vec<(i32, Box<str>)>,
    rows: Vec<Row>,
    /// Attributes of all records, one after the other.
    cells: Vec<Cell>,
    text: String,
    trace_ids: Vec<[u8; 16]>,
    span_ids: Vec<[u8; 8]>,
    /// Values that are neither text nor number.
    others: Vec<AnyValue>,
}

/// No entry in a list.
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone)]
struct Row {
    time_ns: i64,
    observed_time_ns: i64,
    body: Value,
    event_name: Place,
    /// Its cells end here; they start where those of the row before end.
    cells_end: u32,
    severity: u32,
    resource: u32,
    scope: u32,
    dropped_attributes_count: u32,
    flags: u32,
    trace_id: u32,
    span_id: u32,
    raw_bytes: u32,
    time_is_derived: bool,
}

#[derive(Debug, Clone)]
struct Cell {
    key: u32,
    value: Value,
}

/// A text in the buffer.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    start: u32,
    bytes: u32,
}

#[derive(Debug, Clone, Copy)]
enum Value {
    Str(Place),
    Int([u8; 8]),
    Double([u8; 8]),
    /// Index into `others`.
    Other(u32),
}

impl PackedLogs {
    /// Packs a batch; what it cannot hold (texts above 4 GiB together) is left out and counted.
    pub fn of_batch(batch: &LogBatch) -> (PackedLogs, u64) {
        let mut packer = Packer::default();
        let resources: Vec<u32> = batch.resources.iter().map(|resource| packer.resource(resource.clone())).collect();
        let scopes: Vec<u32> = batch.scopes.iter().map(|scope| packer.scope(scope.clone())).collect();
        let mut left_out = 0;
        for (resource, scope, record) in &batch.records {
            let mut draft = Draft::default();
            packer.draft_of(record, &mut draft);
            let places = (resources.get(*resource as usize), scopes.get(*scope as usize));
            let (Some(resource), Some(scope)) = places else {
                left_out += 1;
                continue;
            };
            left_out += u64::from(!packer.push(*resource, *scope, &mut draft));
        }
        (packer.finish(), left_out)
    }

    /// All of it as a batch.
    pub fn to_batch(&self) -> LogBatch {
        LogBatch {
            resources: self.resources.iter().map(|resource| Resource::clone(resource)).collect(),
            scopes: self.scopes.iter().map(|scope| Scope::clone(scope)).collect(),
            records: self
                .iter()
                .map(|record| (record.resource_at() as u32, record.scope_at() as u32, record.to_record()))
                .collect(),
        }
    }

    /// Those records that `keep` says yes to; their places are new.
    pub fn filtered(&self, keep: impl Fn(PackedRecord<'_>) -> bool) -> PackedLogs {
        let mut packer = Packer::default();
        for record in self.iter().filter(|record| keep(*record)) {
            let resource = packer.resource(Resource::clone(record.resource()));
            let scope = packer.scope(Scope::clone(record.scope()));
            let owned = record.to_record();
            let mut draft = Draft::default();
            packer.draft_of(&owned, &mut draft);
            // No more text than there was.
            packer.push(resource, scope, &mut draft);
        }
        packer.finish()
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A record by its place. `at` is below [`PackedLogs::len`].
    pub fn get(&self, at: usize) -> PackedRecord<'_> {
        PackedRecord { logs: self, row: &self.rows[at], at }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = PackedRecord<'_>> + Clone {
        self.rows.iter().enumerate().map(|(at, row)| PackedRecord { logs: self, row, at })
    }

    pub fn resources(&self) -> &[Arc<Resource>] {
        &self.resources
    }

    pub fn scopes(&self) -> &[Arc<Scope>] {
        &self.scopes
    }

    /// Distinct keys of the records' attributes.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Lets equal resources and scopes of several requests be one: each may be replaced by an equal one.
    pub fn share(&mut self, resource: impl FnMut(&mut Arc<Resource>), scope: impl FnMut(&mut Arc<Scope>)) {
        self.resources.iter_mut().for_each(resource);
        self.scopes.iter_mut().for_each(scope);
    }

    /// Memory it takes, in bytes, but for nested values.
    pub fn memory_bytes(&self) -> usize {
        size_of::<PackedLogs>()
            + self.rows.len() * size_of::<Row>()
            + self.cells.len() * size_of::<Cell>()
            + self.text.len()
            + self.trace_ids.len() * 16
            + self.span_ids.len() * 8
            + self.others.len() * size_of::<AnyValue>()
    }

    fn text_at(&self, place: Place) -> &str {
        let start = place.start as usize;
        &self.text[start..start + place.bytes as usize]
    }
}

#[cfg(test)]
mod tests;
