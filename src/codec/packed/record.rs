//! One packed record, read in place.

use std::sync::Arc;

use model::{AnyValue, Key, LogRecord, Resource, Scope, Severity, severity};

use super::{NONE, PackedLogs, Row, Value};
use crate::block::{Body, ValueRef};

/// A handle to one record; as cheap to copy as a reference.
#[derive(Debug, Clone, Copy)]
pub struct PackedRecord<'a> {
    pub(super) logs: &'a PackedLogs,
    pub(super) row: &'a Row,
    pub(super) at: usize,
}

impl<'a> PackedRecord<'a> {
    /// Its place among the request's records.
    pub fn place(self) -> usize {
        self.at
    }

    pub fn time_ns(self) -> i64 {
        self.row.time_ns
    }

    pub fn observed_time_ns(self) -> i64 {
        self.row.observed_time_ns
    }

    /// Size for limits and figures: its texts and values, and a flat part for the rest.
    pub fn raw_bytes(self) -> u64 {
        u64::from(self.row.raw_bytes)
    }

    /// Index into [`PackedLogs::resources`].
    pub fn resource_at(self) -> usize {
        self.row.resource as usize
    }

    /// Index into [`PackedLogs::scopes`].
    pub fn scope_at(self) -> usize {
        self.row.scope as usize
    }

    pub fn resource(self) -> &'a Arc<Resource> {
        &self.logs.resources[self.resource_at()]
    }

    pub fn scope(self) -> &'a Arc<Scope> {
        &self.logs.scopes[self.scope_at()]
    }

    /// Severity number and text as sent.
    pub fn severity_as_sent(self) -> (i32, &'a str) {
        let (number, text) = &self.logs.severities[self.row.severity as usize];
        (*number, text)
    }

    /// As [`LogRecord::severity`] would say.
    pub fn severity(self) -> Severity {
        let (number, text) = self.severity_as_sent();
        let derived = || match self.body() {
            Body::Text(text) => severity::of_line(text),
            Body::Typed(value) => severity::of_body(value),
        };
        Severity::of_sent(number, text).or_else(derived).unwrap_or(Severity::Unspecified)
    }

    pub fn body(self) -> Body<'a> {
        match self.row.body {
            Value::Str(place) => Body::Text(self.logs.text_at(place)),
            Value::Other(at) => Body::Typed(&self.logs.others[at as usize]),
            // The packer keeps bodies that are numbers among the others.
            Value::Int(_) | Value::Double(_) => Body::Typed(&AnyValue::Empty),
        }
    }

    /// Attributes in the order sent.
    pub fn attributes(self) -> impl DoubleEndedIterator<Item = (&'a Key, ValueRef<'a>)> + ExactSizeIterator + Clone {
        let start = self.at.checked_sub(1).map_or(0, |before| self.logs.rows[before].cells_end as usize);
        let logs = self.logs;
        logs.cells[start..self.row.cells_end as usize]
            .iter()
            .map(move |cell| (&logs.keys[cell.key as usize], logs.value_ref(cell.value)))
    }

    pub fn dropped_attributes_count(self) -> u32 {
        self.row.dropped_attributes_count
    }

    pub fn flags(self) -> u32 {
        self.row.flags
    }

    pub fn trace_id(self) -> Option<[u8; 16]> {
        (self.row.trace_id != NONE).then(|| self.logs.trace_ids[self.row.trace_id as usize])
    }

    pub fn span_id(self) -> Option<[u8; 8]> {
        (self.row.span_id != NONE).then(|| self.logs.span_ids[self.row.span_id as usize])
    }

    pub fn event_name(self) -> &'a str {
        self.logs.text_at(self.row.event_name)
    }

    /// A record of its own.
    pub fn to_record(self) -> LogRecord {
        let (severity_number, severity_text) = self.severity_as_sent();
        LogRecord {
            time_ns: self.row.time_ns,
            time_is_derived: self.row.time_is_derived,
            observed_time_ns: self.row.observed_time_ns,
            severity_number,
            severity_text: severity_text.to_owned(),
            body: match self.body() {
                Body::Text(text) => AnyValue::Str(text.to_owned()),
                Body::Typed(value) => value.clone(),
            },
            attributes: self.attributes().map(|(key, value)| (key.clone(), value.to_value())).collect(),
            dropped_attributes_count: self.row.dropped_attributes_count,
            flags: self.row.flags,
            trace_id: self.trace_id(),
            span_id: self.span_id(),
            event_name: self.event_name().to_owned(),
        }
    }
}

impl PackedLogs {
    fn value_ref(&self, value: Value) -> ValueRef<'_> {
        match value {
            Value::Str(place) => ValueRef::Str(self.text_at(place)),
            Value::Int(bytes) => ValueRef::Int(i64::from_le_bytes(bytes)),
            Value::Double(bytes) => ValueRef::Double(f64::from_le_bytes(bytes)),
            Value::Other(at) => ValueRef::Other(&self.others[at as usize]),
        }
    }
}
