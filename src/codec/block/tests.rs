//! Blocks come back exactly, and bytes that are no block are an error.

use model::any::hex;
use model::{AnyValue, LogBatch, LogRecord, Resource, Scope};
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::*;

fn rows(batch: &LogBatch) -> Vec<Row<'_>> {
    batch
        .records
        .iter()
        .enumerate()
        .map(|(at, (resource, scope, record))| Row {
            resource: *resource,
            scope: *scope,
            seq: 7 + at as u64 / 3,
            place: at as u32 % 3,
            record,
        })
        .collect()
}

fn encode_batch(batch: &LogBatch) -> Vec<u8> {
    let resources: Vec<&Resource> = batch.resources.iter().collect();
    let scopes: Vec<&Scope> = batch.scopes.iter().collect();
    encode(&resources, &scopes, &rows(batch))
}

/// Reads every column; what it returns does not matter, that it returns does.
fn read_all(bytes: Vec<u8>) -> Result<LogBatch, BlockError> {
    let block = Block::parse(bytes)?;
    block.order()?;
    block.batch()
}

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(AnyValue::Empty),
        any::<bool>().prop_map(AnyValue::Bool),
        any::<i64>().prop_map(AnyValue::Int),
        any::<u64>().prop_map(|bits| AnyValue::Double(f64::from_bits(bits))),
        "\\PC{0,40}".prop_map(AnyValue::Str),
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

fn batch() -> impl Strategy<Value = LogBatch> {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn batches_come_back_exactly(batch in batch()) {
        let bytes = encode_batch(&batch);
        let block = Block::parse(bytes.clone()).unwrap();
        let expected: Vec<(u64, u32)> = rows(&batch).iter().map(|row| (row.seq, row.place)).collect();
        prop_assert_eq!(block.order().unwrap(), &expected[..]);
        let back = block.batch().unwrap();
        // As text: NaN is not equal to itself. Doubles' bits are compared by the bytes.
        prop_assert_eq!(format!("{back:?}"), format!("{batch:?}"));
        prop_assert_eq!(encode_batch(&back), bytes);
    }

    /// With the checksum made good again: what remains is the readers' own care.
    #[test]
    fn damage_behind_a_good_checksum_never_panics(
        batch in batch(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode_batch(&batch);
        for (at, byte) in changes {
            let at = 9 + at.index(bytes.len() - 9);
            bytes[at] = byte;
        }
        let mut short = bytes.clone();
        short.truncate(9 + cut.index(bytes.len() - 9));
        for mut bytes in [bytes, short] {
            let sum = xxh3_64(&bytes[9..]);
            bytes[1..9].copy_from_slice(&sum.to_le_bytes());
            std::hint::black_box(read_all(bytes).is_ok());
        }
    }

    #[test]
    fn garbage_is_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Block::parse(bytes.clone()).is_err());
        prop_assert!(Meta::decode(&bytes[..bytes.len() / 2]).is_err() || bytes[0] == 1);
        bytes.insert(0, VERSION);
        prop_assert!(Block::parse(bytes).is_err());
    }
}

fn sample() -> LogBatch {
    let record = |at: i64, body: AnyValue| LogRecord {
        time_ns: 1_795_226_400_000_000_000 + at * 1_500_000_000,
        observed_time_ns: 1_795_226_400_000_000_007 + at * 1_500_000_000,
        severity_number: 9 + (at % 3) as i32 * 4,
        severity_text: ["INFO", "WARN", "ERROR"][at as usize % 3].into(),
        body,
        attributes: vec![
            ("http.route".into(), AnyValue::Str("/api/orders/{id}".into())),
            ("http.response.status_code".into(), AnyValue::Int(200 + at)),
            ("took".into(), AnyValue::Double(0.25 * at as f64)),
        ],
        dropped_attributes_count: (at == 2) as u32,
        flags: 1,
        trace_id: (at != 1).then_some([0x5b; 16]),
        span_id: (at != 1).then_some([at as u8 + 1; 8]),
        event_name: if at == 0 { "order.placed".into() } else { String::new() },
    };
    LogBatch {
        resources: vec![Resource {
            attributes: vec![("service.name".into(), AnyValue::Str("checkout".into()))],
            dropped_attributes_count: 0,
            schema_url: "https://opentelemetry.io/schemas/1.27.0".into(),
        }],
        scopes: vec![Scope { name: "orders".into(), version: "1.2".into(), ..Scope::default() }],
        records: vec![
            (0, 0, record(0, AnyValue::Str("order 17 placed by user 4".into()))),
            (
                0,
                0,
                record(
                    1,
                    AnyValue::Map(vec![("msg".into(), AnyValue::Str("retry".into())), ("n".into(), AnyValue::Int(3))]),
                ),
            ),
            (0, 0, record(2, AnyValue::Str("connection to 10.0.0.7:5432 refused".into()))),
        ],
    }
}

#[test]
fn every_single_changed_byte_is_noticed() {
    let bytes = encode_batch(&sample());
    for at in 0..bytes.len() {
        for change in [1u8, 0x80] {
            let mut damaged = bytes.clone();
            damaged[at] ^= change;
            assert!(Block::parse(damaged).is_err(), "byte {at}");
        }
        assert!(Block::parse(bytes[..at].to_vec()).is_err(), "cut at {at}");
    }
}

/// Blocks written by the first release must stay readable for as long as they may lie on a disk.
#[test]
fn version_1_stays_readable() {
    let fixture = include_str!("fixtures/v1.hex").trim();
    let bytes: Vec<u8> = (0..fixture.len() / 2)
        .map(|at| u8::from_str_radix(&fixture[2 * at..2 * at + 2], 16).expect("the fixture is hex"))
        .collect();
    let block = Block::parse(bytes).unwrap();
    assert_eq!(block.batch().unwrap(), sample(), "today's bytes are {}", hex(&encode_batch(&sample())));
    assert_eq!(block.order().unwrap(), [(7, 0), (7, 1), (7, 2)]);
}

#[test]
fn summaries_count_by_minute_and_severity() {
    let mut batch = sample();
    batch.records[2].2.time_ns += 60_000_000_000;
    let meta = Meta::of(900, batch.records.iter().map(|(_, _, record)| record));
    assert_eq!((meta.records, meta.min_ns, meta.max_ns), (3, 1_795_226_400_000_000_000, 1_795_226_463_000_000_000));
    assert_eq!(meta.severities, [0, 0, 0, 1, 1, 1, 0]);
    assert_eq!(meta.minutes.as_ref().unwrap().len(), 3);
    assert_eq!(Meta::decode(&meta.encode()).unwrap(), meta);
    // Spread over more minutes than are kept.
    let spread: Vec<LogRecord> =
        (0..600).map(|at| LogRecord { time_ns: at * 60_000_000_000, ..LogRecord::default() }).collect();
    let meta = Meta::of(1, spread.iter());
    assert_eq!((meta.records, &meta.minutes), (600, &None));
    assert_eq!(Meta::decode(&meta.encode()).unwrap(), meta);
}
