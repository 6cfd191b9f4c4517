//! Records that are durable in the intake log and not yet in a block, of one day of one request each.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::log::Attributes;
use model::time::Day;
use model::{AnyValue, LogBatch, LogRecord, Resource, Scope};

/// One record of a request.
#[derive(Debug)]
pub struct HeadRecord {
    /// Its place among the request's records.
    pub place: u32,
    /// Index into the part's resources.
    pub resource: u32,
    /// Index into the part's scopes.
    pub scope: u32,
    pub record: LogRecord,
}

/// The records of one request that fall on one day, in the order sent. `min_ns` and `max_ns` are both included.
#[derive(Debug)]
pub struct HeadPart {
    /// Intake sequence number of the request.
    pub seq: u64,
    pub min_ns: i64,
    pub max_ns: i64,
    pub raw_bytes: u64,
    pub resources: Arc<[Arc<Resource>]>,
    pub scopes: Arc<[Arc<Scope>]>,
    pub records: Vec<HeadRecord>,
}

/// Splits a request by day. `wanted` says of a day whether its records are needed.
pub(super) fn split(seq: u64, batch: LogBatch, wanted: impl Fn(Day) -> bool) -> Vec<(Day, HeadPart)> {
    let resources: Arc<[Arc<Resource>]> = batch.resources.into_iter().map(Arc::new).collect();
    let scopes: Arc<[Arc<Scope>]> = batch.scopes.into_iter().map(Arc::new).collect();
    let mut parts: BTreeMap<Day, HeadPart> = BTreeMap::new();
    for (place, (resource, scope, record)) in batch.records.into_iter().enumerate() {
        let day = Day::of_ns(record.time_ns);
        if !wanted(day) {
            continue;
        }
        let part = parts.entry(day).or_insert_with(|| HeadPart {
            seq,
            min_ns: i64::MAX,
            max_ns: i64::MIN,
            raw_bytes: 0,
            resources: resources.clone(),
            scopes: scopes.clone(),
            records: Vec::new(),
        });
        part.min_ns = part.min_ns.min(record.time_ns);
        part.max_ns = part.max_ns.max(record.time_ns);
        part.raw_bytes += raw_bytes(&record);
        let place = u32::try_from(place).expect("a request has fewer records than bytes, and those are bounded");
        part.records.push(HeadRecord { place, resource, scope, record });
    }
    parts.into_iter().collect()
}

/// Size of a record for limits and figures: its texts and values, and a flat part for the rest.
pub(super) fn raw_bytes(record: &LogRecord) -> u64 {
    const FLAT_BYTES: usize = 32;
    let texts = record.severity_text.len() + record.event_name.len();
    (FLAT_BYTES + texts + value_bytes(&record.body) + attribute_bytes(&record.attributes)) as u64
}

fn attribute_bytes(attributes: &Attributes) -> usize {
    attributes.iter().map(|(key, value)| key.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &AnyValue) -> usize {
    match value {
        AnyValue::Empty | AnyValue::Bool(_) => 1,
        AnyValue::Int(_) | AnyValue::Double(_) => 8,
        AnyValue::Str(text) => text.len(),
        AnyValue::Bytes(bytes) => bytes.len(),
        AnyValue::Array(values) => values.iter().map(value_bytes).sum::<usize>() + 1,
        AnyValue::Map(entries) => attribute_bytes(entries) + 1,
    }
}
