//! Random batches for tests.

use model::{AnyValue, LogBatch, LogRecord, Resource, Scope};
use proptest::prelude::*;

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(AnyValue::Empty),
        any::<bool>().prop_map(AnyValue::Bool),
        any::<i64>().prop_map(AnyValue::Int),
        any::<u64>().prop_map(|bits| AnyValue::Double(f64::from_bits(bits))),
        "\\PC{0,40}".prop_map(AnyValue::Str),
        // What logs are made of: few templates, numbers, hex, parts of UUIDs, letters beyond ASCII beside them.
        "(user|blk_|0x|worker-|é|dead-)(0{0,2}[0-9]{1,3}|[0-9]{17,21}|[0-9a-f]{8}|4é)( took |-beef-|é|)[0-9]?"
            .prop_map(AnyValue::Str),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(AnyValue::Bytes),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(AnyValue::Array),
            attributes_of(inner).prop_map(AnyValue::Map),
        ]
    })
}

fn attributes_of(value: impl Strategy<Value = AnyValue>) -> impl Strategy<Value = model::log::Attributes> {
    // Few keys, so that they repeat within and across records.
    prop::collection::vec(("[a-d]{0,2}".prop_map(|key: String| key.into()), value), 0..5)
}

fn record() -> impl Strategy<Value = LogRecord> {
    let time = prop_oneof![any::<i64>(), 1_795_226_400_000_000_000i64..1_795_226_500_000_000_000];
    let observed = prop_oneof![Just(0i64), any::<i64>()];
    (
        (time, observed, prop_oneof![0i32..25, any::<i32>()], "[A-Z]{0,5}", value()),
        (attributes_of(value()), 0u32..3, prop_oneof![Just(0u32), any::<u32>()]),
        (any::<Option<[u8; 16]>>(), any::<Option<[u8; 8]>>(), "[a-z.]{0,6}"),
    )
        .prop_map(
            |(
                (time_ns, observed_time_ns, severity_number, severity_text, body),
                (attributes, dropped, flags),
                rest,
            )| {
                LogRecord {
                    time_ns,
                    time_is_derived: observed_time_ns % 3 == 0,
                    observed_time_ns,
                    severity_number,
                    severity_text,
                    body,
                    attributes,
                    dropped_attributes_count: dropped,
                    flags,
                    trace_id: rest.0,
                    span_id: rest.1,
                    event_name: rest.2,
                }
            },
        )
}

pub(crate) fn batch() -> impl Strategy<Value = LogBatch> {
    let resource =
        (attributes_of(value()), any::<u32>(), "[a-z]{0,9}").prop_map(|(attributes, dropped, schema_url)| Resource {
            attributes,
            dropped_attributes_count: dropped,
            schema_url,
        });
    let scope = ("[a-z]{0,9}", attributes_of(value()), any::<u32>()).prop_map(|(name, attributes, dropped)| Scope {
        version: name.clone(),
        schema_url: name.clone(),
        name,
        attributes,
        dropped_attributes_count: dropped,
    });
    let records = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), record()), 0..40);
    (prop::collection::vec(resource, 1..4), prop::collection::vec(scope, 1..4), records).prop_map(
        |(resources, scopes, records)| LogBatch {
            records: records
                .into_iter()
                .map(|(resource, scope, record)| {
                    (resource.index(resources.len()) as u32, scope.index(scopes.len()) as u32, record)
                })
                .collect(),
            resources,
            scopes,
        },
    )
}
