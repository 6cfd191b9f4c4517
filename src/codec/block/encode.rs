//! Records to a block, in the order given.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use model::{AnyValue, LogRecord, Resource, Scope};

use super::BlockError;
use super::attributes::AttributesWriter;
use super::columns::Streams;
use super::section::{Effort, Section, frame};
use super::templates::{TemplateSections, TemplatesWriter};
use super::value;
use crate::wire::{put_bytes, put_signed, put_varint};

/// One record to encode, with what stands around it.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Index into the resources given beside the rows.
    pub resource: u32,
    pub scope: u32,
    /// Intake sequence number of the request that brought it, and its place in that request: orders records of one time.
    pub seq: u64,
    pub place: u32,
    pub record: &'a LogRecord,
}

/// Encodes a block. Rows should be in order of time (other orders work and take more bytes).
///
/// Within [`super::RECORDS_MAX`], [`super::SECTION_BYTES_MAX`] and [`super::CELLS_MAX`] by the caller's own limits.
pub fn encode(resources: &[&Resource], scopes: &[&Scope], rows: &[Row<'_>]) -> Vec<u8> {
    encode_with(Effort::Quick, resources, scopes, rows)
}

/// As [`encode`], compressed as hard as told.
pub fn encode_with(effort: Effort, resources: &[&Resource], scopes: &[&Scope], rows: &[Row<'_>]) -> Vec<u8> {
    let mut attributes = AttributesWriter::default();
    for row in rows {
        attributes.add(&row.record.attributes);
    }
    let (layout, cells, typed) = attributes.finish();
    let [cell_heads, cell_indices, cell_text, cell_numbers, cell_raw] = cells;
    let ((templates, template_of, holes), body_typed) = bodies(rows);
    let [hole_heads, hole_indices, hole_text, hole_numbers, hole_raw] = holes;
    frame(
        rows.len(),
        &[
            (Section::Times, times(rows)),
            (Section::Severities, severities(rows)),
            (Section::Order, order(rows)),
            (Section::Streams, streams(rows)),
            (Section::Observed, observed(rows)),
            (Section::Ids, ids(rows)),
            (Section::Templates, templates),
            (Section::TemplateOf, template_of),
            (Section::HoleHeads, hole_heads),
            (Section::HoleIndices, hole_indices),
            (Section::HoleText, hole_text),
            (Section::HoleNumbers, hole_numbers),
            (Section::HoleRaw, hole_raw),
            (Section::BodyTyped, body_typed),
            (Section::AttributeLayout, layout),
            (Section::CellHeads, cell_heads),
            (Section::CellIndices, cell_indices),
            (Section::CellText, cell_text),
            (Section::CellNumbers, cell_numbers),
            (Section::CellRaw, cell_raw),
            (Section::AttributeTyped, typed),
            (Section::Rest, rest(rows)),
            (Section::Resources, around(resources, scopes)),
        ],
        effort,
    )
}

fn times(rows: &[Row<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.len() * 4);
    let mut before = 0i64;
    for row in rows {
        put_signed(&mut out, row.record.time_ns.wrapping_sub(before));
        before = row.record.time_ns;
    }
    out
}

/// A dictionary of (number, text), then an index a record: loggers use few.
fn severities(rows: &[Row<'_>]) -> Vec<u8> {
    let mut known: HashMap<(i32, &str), u64, RandomState> = HashMap::default();
    let mut entries = Vec::new();
    let mut indices = Vec::with_capacity(rows.len());
    for row in rows {
        let record = row.record;
        let next = known.len() as u64;
        let index = *known.entry((record.severity_number, &record.severity_text)).or_insert_with(|| {
            put_signed(&mut entries, i64::from(record.severity_number));
            put_bytes(&mut entries, record.severity_text.as_bytes());
            next
        });
        put_varint(&mut indices, index);
    }
    if known.len() <= 1 && known.keys().all(|entry| *entry == (0, "")) {
        return Vec::new();
    }
    let mut out = Vec::with_capacity(entries.len() + indices.len() + 2);
    put_varint(&mut out, known.len() as u64);
    out.extend_from_slice(&entries);
    out.extend_from_slice(&indices);
    out
}

fn order(rows: &[Row<'_>]) -> Vec<u8> {
    if rows.iter().all(|row| row.seq == 0 && row.place == 0) {
        return Vec::new();
    }
    let mut out = Vec::with_capacity(rows.len() * 2);
    let mut before = 0u64;
    for row in rows {
        put_signed(&mut out, row.seq.wrapping_sub(before) as i64);
        before = row.seq;
    }
    let mut before = 0u32;
    for row in rows {
        put_signed(&mut out, i64::from(row.place) - i64::from(before));
        before = row.place;
    }
    out
}

fn streams(rows: &[Row<'_>]) -> Vec<u8> {
    if rows.iter().all(|row| row.resource == 0 && row.scope == 0) {
        return Vec::new();
    }
    let mut out = Vec::with_capacity(rows.len() * 2);
    rows.iter().for_each(|row| put_varint(&mut out, u64::from(row.resource)));
    rows.iter().for_each(|row| put_varint(&mut out, u64::from(row.scope)));
    out
}

/// A byte a record (1: an observed time was sent, 2: no event time was), then the observed times' distances from the event times.
fn observed(rows: &[Row<'_>]) -> Vec<u8> {
    if rows.iter().all(|row| row.record.observed_time_ns == 0 && !row.record.time_is_derived) {
        return Vec::new();
    }
    let bits = |record: &LogRecord| u8::from(record.observed_time_ns != 0) | u8::from(record.time_is_derived) << 1;
    let mut out: Vec<u8> = rows.iter().map(|row| bits(row.record)).collect();
    for row in rows.iter().filter(|row| row.record.observed_time_ns != 0) {
        put_signed(&mut out, row.record.observed_time_ns.wrapping_sub(row.record.time_ns));
    }
    out
}

/// A byte a record (1: trace id, 2: span id, 4: flags), then all trace ids, all span ids, all flags.
fn ids(rows: &[Row<'_>]) -> Vec<u8> {
    let mut out: Vec<u8> = rows
        .iter()
        .map(|row| {
            let record = row.record;
            u8::from(record.trace_id.is_some())
                | u8::from(record.span_id.is_some()) << 1
                | u8::from(record.flags != 0) << 2
        })
        .collect();
    if out.iter().all(|bits| *bits == 0) {
        return Vec::new();
    }
    rows.iter().filter_map(|row| row.record.trace_id).for_each(|id| out.extend_from_slice(&id));
    rows.iter().filter_map(|row| row.record.span_id).for_each(|id| out.extend_from_slice(&id));
    rows.iter().filter(|row| row.record.flags != 0).for_each(|row| put_varint(&mut out, u64::from(row.record.flags)));
    out
}

/// Texts as templates and holes; the other values in typed form, which is left out when all are empty.
fn bodies(rows: &[Row<'_>]) -> (TemplateSections, Vec<u8>) {
    let mut templates = TemplatesWriter::default();
    let mut typed = Vec::new();
    for row in rows {
        match &row.record.body {
            AnyValue::Str(body) => templates.text(body),
            other => {
                templates.other();
                value::put(&mut typed, other);
            }
        }
    }
    let mut sections = templates.finish();
    if sections.1.is_empty() {
        // No text at all, so no template either.
        sections.0.clear();
        if typed.iter().all(|kind| *kind == value::EMPTY) {
            typed.clear();
        }
    }
    (sections, typed)
}

/// Dropped attribute counts, then event names: what hardly any record has.
fn rest(rows: &[Row<'_>]) -> Vec<u8> {
    if rows.iter().all(|row| row.record.dropped_attributes_count == 0 && row.record.event_name.is_empty()) {
        return Vec::new();
    }
    let mut out = Vec::new();
    rows.iter().for_each(|row| put_varint(&mut out, u64::from(row.record.dropped_attributes_count)));
    rows.iter().for_each(|row| put_bytes(&mut out, row.record.event_name.as_bytes()));
    out
}

fn around(resources: &[&Resource], scopes: &[&Scope]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, resources.len() as u64);
    for resource in resources {
        let Resource { attributes, dropped_attributes_count, schema_url } = resource;
        value::put_attributes(&mut out, attributes);
        put_varint(&mut out, u64::from(*dropped_attributes_count));
        put_bytes(&mut out, schema_url.as_bytes());
    }
    put_varint(&mut out, scopes.len() as u64);
    for scope in scopes {
        let Scope { name, version, attributes, dropped_attributes_count, schema_url } = scope;
        put_bytes(&mut out, name.as_bytes());
        put_bytes(&mut out, version.as_bytes());
        value::put_attributes(&mut out, attributes);
        put_varint(&mut out, u64::from(*dropped_attributes_count));
        put_bytes(&mut out, schema_url.as_bytes());
    }
    out
}

/// Bytes that are equal for equal resources and scopes: records of one key are one stream.
pub fn stream_key(resource: &Resource, scope: &Scope) -> Vec<u8> {
    around(&[resource], &[scope])
}

/// Bytes that are equal for equal resources, as in a block.
pub fn encode_resource(resource: &Resource) -> Vec<u8> {
    around(&[resource], &[])
}

/// What [`encode_resource`] wrote.
pub fn decode_resource(bytes: &[u8]) -> Result<Arc<Resource>, BlockError> {
    let streams = Streams::read(0, &[], bytes)?;
    streams.resources.into_iter().next().ok_or(BlockError::Damaged("a resource is not there"))
}
