//! Records to a block, in the order given.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use model::{AnyValue, LogRecord, Resource, Scope};

use super::attributes::AttributesWriter;
use super::section::{Section, frame};
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
    let mut attributes = AttributesWriter::default();
    for row in rows {
        attributes.add(&row.record.attributes);
    }
    let (layout, text, typed) = attributes.finish();
    let (body_layout, body_text, body_typed) = bodies(rows);
    frame(
        rows.len(),
        &[
            (Section::Times, times(rows)),
            (Section::Severities, severities(rows)),
            (Section::Order, order(rows)),
            (Section::Streams, streams(rows)),
            (Section::Observed, observed(rows)),
            (Section::Ids, ids(rows)),
            (Section::BodyLayout, body_layout),
            (Section::BodyText, body_text),
            (Section::BodyTyped, body_typed),
            (Section::AttributeLayout, layout),
            (Section::AttributeText, text),
            (Section::AttributeTyped, typed),
            (Section::Rest, rest(rows)),
            (Section::Resources, around(resources, scopes)),
        ],
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

/// A byte a record whether it was sent, then its distance from the event time.
fn observed(rows: &[Row<'_>]) -> Vec<u8> {
    if rows.iter().all(|row| row.record.observed_time_ns == 0) {
        return Vec::new();
    }
    let mut out: Vec<u8> = rows.iter().map(|row| u8::from(row.record.observed_time_ns != 0)).collect();
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

/// A type byte a record, then the lengths of the texts; the texts; the other values in typed form.
fn bodies(rows: &[Row<'_>]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let mut layout: Vec<u8> = rows.iter().map(|row| value::kind(&row.record.body)).collect();
    let mut text = Vec::new();
    let mut typed = Vec::new();
    for row in rows {
        match &row.record.body {
            AnyValue::Str(body) => {
                put_varint(&mut layout, body.len() as u64);
                text.extend_from_slice(body.as_bytes());
            }
            other => value::put_payload(&mut typed, other),
        }
    }
    if layout.iter().all(|kind| *kind == value::EMPTY) {
        layout.clear();
    }
    (layout, text, typed)
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
