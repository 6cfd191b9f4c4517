//! Records in, packed records out.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use model::{AnyValue, Key, LogRecord, Resource, Scope};

use super::{Cell, NONE, PackedLogs, Place, Row, Value};

/// Flat part of a record's size ([`PackedRecord::raw_bytes`](super::PackedRecord::raw_bytes)).
pub const FLAT_BYTES: usize = 32;

/// A record on its way in: its texts still lie where they were read.
#[derive(Debug, Default)]
pub struct Draft<'a> {
    pub time_ns: i64,
    pub time_is_derived: bool,
    pub observed_time_ns: i64,
    pub severity_number: i32,
    pub severity_text: Cow<'a, str>,
    pub body: DraftValue<'a>,
    /// Keys as [`Packer::key`] numbers them.
    pub attributes: Vec<(u32, DraftValue<'a>)>,
    pub dropped_attributes_count: u32,
    pub flags: u32,
    pub trace_id: Option<[u8; 16]>,
    pub span_id: Option<[u8; 8]>,
    pub event_name: Cow<'a, str>,
}

impl Draft<'_> {
    /// For the next record; the list of attributes keeps its memory.
    pub fn clear(&mut self) {
        let mut attributes = std::mem::take(&mut self.attributes);
        attributes.clear();
        *self = Draft { attributes, ..Draft::default() };
    }
}

#[derive(Debug, Default)]
pub enum DraftValue<'a> {
    #[default]
    Empty,
    Int(i64),
    Double(f64),
    Str(&'a str),
    /// Any value, also one of the types above.
    Owned(AnyValue),
}

impl DraftValue<'_> {
    /// Bytes of texts, keys and numbers, without what holds them together.
    pub fn size_bytes(&self) -> usize {
        match self {
            DraftValue::Empty => 1,
            DraftValue::Int(_) | DraftValue::Double(_) => 8,
            DraftValue::Str(text) => text.len(),
            DraftValue::Owned(value) => size_bytes(value),
        }
    }

    pub fn into_value(self) -> AnyValue {
        match self {
            DraftValue::Empty => AnyValue::Empty,
            DraftValue::Int(value) => AnyValue::Int(value),
            DraftValue::Double(value) => AnyValue::Double(value),
            DraftValue::Str(text) => AnyValue::Str(text.to_owned()),
            DraftValue::Owned(value) => value,
        }
    }
}

impl<'a> From<&'a AnyValue> for DraftValue<'a> {
    fn from(value: &'a AnyValue) -> DraftValue<'a> {
        match value {
            AnyValue::Empty => DraftValue::Empty,
            AnyValue::Int(value) => DraftValue::Int(*value),
            AnyValue::Double(value) => DraftValue::Double(*value),
            AnyValue::Str(text) => DraftValue::Str(text),
            other => DraftValue::Owned(other.clone()),
        }
    }
}

/// Bytes of texts, keys and numbers of a value, without what holds them together.
pub(crate) fn size_bytes(value: &AnyValue) -> usize {
    match value {
        AnyValue::Empty | AnyValue::Bool(_) => 1,
        AnyValue::Int(_) | AnyValue::Double(_) => 8,
        AnyValue::Str(text) => text.len(),
        AnyValue::Bytes(bytes) => bytes.len(),
        AnyValue::Array(values) => values.iter().map(|value| 1 + size_bytes(value)).sum(),
        AnyValue::Map(entries) => entries.iter().map(|(key, value)| 1 + key.len() + size_bytes(value)).sum(),
    }
}

/// Builds [`PackedLogs`]. Seeded per process, so that no sender can aim at its buckets.
#[derive(Debug, Default)]
pub struct Packer {
    logs: PackedLogs,
    key_of: HashMap<Key, u32, RandomState>,
    severity_of: HashMap<(i32, Box<str>), u32, RandomState>,
    /// Keys of the last record by their place: most records have the same keys in the same order.
    expected: Vec<u32>,
    last_severity: u32,
}

impl Packer {
    /// With room for so many bytes of text; what stays unused is given back in the end.
    pub fn for_text(bytes: usize) -> Packer {
        let mut packer = Packer::default();
        packer.logs.text.reserve(bytes);
        packer
    }

    /// The number of a resource; the same for an equal one that was named just before.
    pub fn resource(&mut self, resource: Resource) -> u32 {
        if self.logs.resources.last().is_none_or(|last| **last != resource) {
            self.logs.resources.push(Arc::new(resource));
        }
        self.logs.resources.len() as u32 - 1
    }

    /// The number of a scope, as [`Packer::resource`].
    pub fn scope(&mut self, scope: Scope) -> u32 {
        if self.logs.scopes.last().is_none_or(|last| **last != scope) {
            self.logs.scopes.push(Arc::new(scope));
        }
        self.logs.scopes.len() as u32 - 1
    }

    /// Adds a resource even if it is equal to the last: numbers are places.
    pub(super) fn add_resource(&mut self, resource: Resource) {
        self.logs.resources.push(Arc::new(resource));
    }

    pub(super) fn add_scope(&mut self, scope: Scope) {
        self.logs.scopes.push(Arc::new(scope));
    }

    /// Whether there are a resource and a scope of these numbers.
    pub(super) fn holds(&self, resource: u32, scope: u32) -> bool {
        (resource as usize) < self.logs.resources.len() && (scope as usize) < self.logs.scopes.len()
    }

    /// The number of the key that stood at this place of the record before, if it is this one.
    #[inline]
    pub fn expected_key(&self, key: &[u8], place: usize) -> Option<u32> {
        let expected = *self.expected.get(place)?;
        (self.logs.keys[expected as usize].as_bytes() == key).then_some(expected)
    }

    /// The number of an attribute's key, which stands at this place of its record.
    pub fn key(&mut self, text: &str, place: usize) -> u32 {
        match self.expected_key(text.as_bytes(), place) {
            Some(expected) => expected,
            None => self.other_key(text, place),
        }
    }

    fn other_key(&mut self, text: &str, place: usize) -> u32 {
        let number = match self.key_of.get(text) {
            Some(number) => *number,
            None => {
                let key: Key = text.into();
                let number = self.logs.keys.len() as u32;
                self.logs.keys.push(key.clone());
                self.key_of.insert(key, number);
                number
            }
        };
        if place < self.expected.len() {
            self.expected[place] = number;
        } else if place == self.expected.len() {
            self.expected.push(number);
        }
        number
    }

    pub fn key_text(&self, number: u32) -> &str {
        &self.logs.keys[number as usize]
    }

    pub fn len(&self) -> usize {
        self.logs.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills a draft from a record.
    pub fn draft_of<'a>(&mut self, record: &'a LogRecord, draft: &mut Draft<'a>) {
        draft.time_ns = record.time_ns;
        draft.time_is_derived = record.time_is_derived;
        draft.observed_time_ns = record.observed_time_ns;
        draft.severity_number = record.severity_number;
        draft.severity_text = Cow::Borrowed(&record.severity_text);
        draft.body = (&record.body).into();
        draft.attributes.clear();
        for (place, (key, value)) in record.attributes.iter().enumerate() {
            draft.attributes.push((self.key(key, place), value.into()));
        }
        draft.dropped_attributes_count = record.dropped_attributes_count;
        draft.flags = record.flags;
        draft.trace_id = record.trace_id;
        draft.span_id = record.span_id;
        draft.event_name = Cow::Borrowed(&record.event_name);
    }

    /// Adds a record and takes the draft's values. `false` when its texts find no room any more; then nothing was added.
    pub fn push(&mut self, resource: u32, scope: u32, draft: &mut Draft<'_>) -> bool {
        let value_bytes = |value: &DraftValue<'_>| value.size_bytes();
        let keys: usize = draft.attributes.iter().map(|(key, _)| self.key_text(*key).len()).sum();
        let values: usize = draft.attributes.iter().map(|(_, value)| value_bytes(value)).sum();
        let raw_bytes =
            FLAT_BYTES + draft.severity_text.len() + draft.event_name.len() + value_bytes(&draft.body) + keys + values;
        let room = (NONE as usize).saturating_sub(self.logs.text.len().max(self.logs.cells.len()));
        if raw_bytes >= room || self.logs.rows.len() >= NONE as usize {
            return false;
        }
        let severity = self.severity(draft.severity_number, &draft.severity_text);
        let body = match std::mem::take(&mut draft.body) {
            DraftValue::Str(text) => Value::Str(self.text(text)),
            DraftValue::Owned(AnyValue::Str(text)) => Value::Str(self.text(&text)),
            // Also numbers: a body's reader shows them by reference.
            value => self.other(value.into_value()),
        };
        for (key, value) in draft.attributes.drain(..) {
            let value = self.value(value);
            self.logs.cells.push(Cell { key, value });
        }
        let event_name = self.text(&draft.event_name);
        let logs = &mut self.logs;
        let trace_id = draft.trace_id.map_or(NONE, |id| {
            logs.trace_ids.push(id);
            logs.trace_ids.len() as u32 - 1
        });
        let span_id = draft.span_id.map_or(NONE, |id| {
            logs.span_ids.push(id);
            logs.span_ids.len() as u32 - 1
        });
        logs.rows.push(Row {
            time_ns: draft.time_ns,
            observed_time_ns: draft.observed_time_ns,
            body,
            event_name,
            cells_end: logs.cells.len() as u32,
            severity,
            resource,
            scope,
            dropped_attributes_count: draft.dropped_attributes_count,
            flags: draft.flags,
            trace_id,
            span_id,
            raw_bytes: raw_bytes as u32,
            time_is_derived: draft.time_is_derived,
        });
        true
    }

    pub fn finish(self) -> PackedLogs {
        let mut logs = self.logs;
        // Keys of refused records alone would stay in memory as long as the rest.
        if logs.keys.len() > logs.cells.len() {
            drop_unused_keys(&mut logs);
        }
        logs.rows.shrink_to_fit();
        logs.cells.shrink_to_fit();
        logs.text.shrink_to_fit();
        logs.trace_ids.shrink_to_fit();
        logs.span_ids.shrink_to_fit();
        logs
    }

    fn severity(&mut self, number: i32, text: &str) -> u32 {
        if let Some((known, known_text)) = self.logs.severities.get(self.last_severity as usize)
            && *known == number
            && **known_text == *text
        {
            return self.last_severity;
        }
        let next = self.logs.severities.len() as u32;
        self.last_severity = *self.severity_of.entry((number, text.into())).or_insert_with(|| {
            self.logs.severities.push((number, text.into()));
            next
        });
        self.last_severity
    }

    fn value(&mut self, value: DraftValue<'_>) -> Value {
        match value {
            DraftValue::Str(text) => Value::Str(self.text(text)),
            DraftValue::Int(value) => Value::Int(value.to_le_bytes()),
            DraftValue::Double(value) => Value::Double(value.to_le_bytes()),
            DraftValue::Empty => self.other(AnyValue::Empty),
            DraftValue::Owned(AnyValue::Str(text)) => Value::Str(self.text(&text)),
            DraftValue::Owned(AnyValue::Int(value)) => Value::Int(value.to_le_bytes()),
            DraftValue::Owned(AnyValue::Double(value)) => Value::Double(value.to_le_bytes()),
            DraftValue::Owned(value) => self.other(value),
        }
    }

    fn other(&mut self, value: AnyValue) -> Value {
        self.logs.others.push(value);
        Value::Other(self.logs.others.len() as u32 - 1)
    }

    fn text(&mut self, text: &str) -> Place {
        let start = self.logs.text.len() as u32;
        self.logs.text.push_str(text);
        Place { start, bytes: text.len() as u32 }
    }
}

fn drop_unused_keys(logs: &mut PackedLogs) {
    let mut moved = vec![NONE; logs.keys.len()];
    let mut kept = Vec::new();
    for cell in &mut logs.cells {
        let to = &mut moved[cell.key as usize];
        if *to == NONE {
            *to = kept.len() as u32;
            kept.push(logs.keys[cell.key as usize].clone());
        }
        cell.key = *to;
    }
    logs.keys = kept;
}
