//! Random records, and what the reference makes of them.

use std::collections::{BTreeMap, BTreeSet};

use chance::Random;
use model::log::{STREAM_ATTRIBUTES, STREAM_LABELS};
use model::{AnyValue, Labels, LogBatch, LogRecord, Resource, Scope};

use super::{S, START_NS};

/// A record as the reference has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kept {
    pub(super) time_ns: i64,
    pub(super) stream: BTreeMap<String, String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) line: String,
}

pub(super) fn text(value: &str) -> AnyValue {
    AnyValue::Str(value.into())
}

pub(super) fn batch(random: &mut Random) -> LogBatch {
    let resource = |random: &mut Random| match random.below(4) {
        0 => Resource {
            attributes: vec![("job".into(), text(random.pick(&["a", "b"]))), ("service.name".into(), text("pushed"))],
            schema_url: STREAM_LABELS.into(),
            ..Resource::default()
        },
        1 => Resource { attributes: vec![("host.name".into(), text("h1"))], ..Resource::default() },
        _ => Resource {
            attributes: vec![
                ("service.name".into(), text(random.pick(&["api", "worker", "Api"]))),
                ("host.name".into(), text(random.pick(&["h1", "h2"]))),
            ],
            ..Resource::default()
        },
    };
    let record = |random: &mut Random| LogRecord {
        // Few distinct times and lines, so that there are twins; two days.
        time_ns: START_NS + random.below(2) as i64 * 86_400 * S + random.below(60) as i64 * S,
        severity_number: random.pick(&[0, 9, 17]),
        body: text(random.pick(&["GET /a", "GET /b", "an error", "took=5ms", ""])),
        attributes: match random.below(3) {
            0 => Vec::new(),
            1 => vec![
                ("user".into(), text(random.pick(&["ann", "bob"]))),
                ("took".into(), AnyValue::Int(random.below(9) as i64)),
            ],
            _ => vec![("took".into(), AnyValue::Double(0.25)), ("user.id".into(), AnyValue::Int(7))],
        },
        ..LogRecord::default()
    };
    LogBatch {
        resources: (0..2).map(|_| resource(random)).collect(),
        scopes: vec![Scope::default()],
        records: (0..15).map(|_| (random.below(2) as u32, 0, record(random))).collect(),
    }
}

pub(super) fn kept(batch: &LogBatch) -> Vec<Kept> {
    let level = |record: &LogRecord, line: &str| match record.severity_number {
        9 => "info",
        17 => "error",
        _ if line.contains("error") => "error",
        _ => "unknown",
    };
    let of = |(resource, _, record): &(u32, u32, LogRecord)| {
        let resource = &batch.resources[*resource as usize];
        let (mut stream, mut metadata) = (BTreeMap::new(), BTreeMap::new());
        for (key, value) in &resource.attributes {
            let is_stream = resource.schema_url == STREAM_LABELS || STREAM_ATTRIBUTES.contains(&&**key);
            let labels = if is_stream { &mut stream } else { &mut metadata };
            labels.insert(key.replace('.', "_"), value.to_text());
        }
        stream.entry("service_name".into()).or_insert_with(|| "unknown_service".into());
        for (key, value) in &record.attributes {
            metadata.insert(key.replace('.', "_"), value.to_text());
        }
        if record.severity_number != 0 {
            metadata.insert("severity_number".into(), record.severity_number.to_string());
        }
        let line = record.body.to_text();
        metadata.insert("detected_level".into(), level(record, &line).into());
        Kept { time_ns: record.time_ns, stream, metadata, line }
    };
    batch.records.iter().map(of).collect()
}

/// Where Loki puts a stream among others of one time: by the hash of its names and values, each behind it a 0xff.
pub(super) fn stream_order(one: &Kept) -> u64 {
    let texts = one.stream.iter().flat_map(|(name, value)| [name, value]);
    let bytes: Vec<u8> = texts.flat_map(|text| text.bytes().chain([0xff])).collect();
    xxhash_rust::xxh64::xxh64(&bytes, 0)
}

/// Of the same stream, time and line the first stays.
pub(super) fn without_twins(sent: &[Kept]) -> Vec<&Kept> {
    let mut seen = BTreeSet::new();
    let mut left: Vec<&Kept> = sent.iter().filter(|one| seen.insert((&one.stream, one.time_ns, &one.line))).collect();
    left.sort_by_key(|one| (one.time_ns, stream_order(one)));
    left
}

pub(super) fn map(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub(super) fn labels(map: &BTreeMap<String, String>) -> Labels {
    Labels::from_pairs(map.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}
