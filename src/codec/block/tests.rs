//! Blocks come back exactly, and bytes that are no block are an error.

use model::any::hex;
use model::{AnyValue, LogBatch, LogRecord, Resource, Scope};
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::samples::batch;
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
    block.bodies()?;
    let mut scratch = String::new();
    if let Some(templates) = block.templates()? {
        block.each_hole(templates, &mut |_| ())?;
        for template in 0..templates.count() {
            block.holes_may_contain(templates, template, "a1", true)?;
        }
        for record in 0..block.count() {
            block.body(record, &mut scratch)?;
            let Some(template) = templates.of_record(record) else { continue };
            let mut put_together = Vec::new();
            for (at, piece) in templates.text(template).split(|byte| *byte == HOLE).enumerate() {
                if let Some(hole) = at.checked_sub(1) {
                    let texts = block.hole_texts(templates, template, hole)?;
                    put_together.extend_from_slice(texts.text(templates.place(record), &mut String::new()).as_bytes());
                }
                put_together.extend_from_slice(piece);
            }
            assert_eq!(put_together, scratch.as_bytes());
        }
    }
    for key in block.attributes()?.keys() {
        let Some(found) = block.attributes()?.values_of(key) else { continue };
        for (record, number) in found.of_record.iter().enumerate() {
            let last = block.attributes()?.of(record).rev().find(|(known, _)| *known == key);
            let value = number.checked_sub(1).map(|at| found.values[at as usize]);
            assert!(last.map(|(_, value)| value.to_value().to_text()) == value.map(|value| value.to_value().to_text()));
        }
    }
    block.batch()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn batches_come_back_exactly(batch in batch()) {
        let bytes = encode_batch(&batch);
        let block = Block::parse(bytes.clone()).unwrap();
        let expected: Vec<(u64, u32)> = rows(&batch).iter().map(|row| (row.seq, row.place)).collect();
        prop_assert_eq!(block.order().unwrap(), &expected[..]);
        for (at, (_, _, record)) in batch.records.iter().enumerate() {
            let mut scratch = String::new();
            let alone = match block.body(at, &mut scratch).unwrap() {
                Body::Text(text) => AnyValue::Str(text.to_owned()),
                Body::Typed(value) => value.clone(),
            };
            let together = match block.bodies().unwrap().of(at) {
                Body::Text(text) => AnyValue::Str(text.to_owned()),
                Body::Typed(value) => value.clone(),
            };
            prop_assert_eq!(format!("{alone:?} {together:?}"), format!("{0:?} {0:?}", record.body));
        }
        let back = block.batch().unwrap();
        // As text: NaN is not equal to itself. Doubles' bits are compared by the bytes.
        prop_assert_eq!(format!("{back:?}"), format!("{batch:?}"));
        prop_assert_eq!(encode_batch(&back), bytes);
        for (at, (_, _, record)) in batch.records.iter().enumerate() {
            prop_assert_eq!(block.severity(at).unwrap(), record.severity());
        }
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
        prop_assert!(Meta::decode(&bytes[..bytes.len() / 2]).is_err() || bytes[0] == 1 || bytes[0] == 2);
        bytes.insert(0, VERSION);
        prop_assert!(Block::parse(bytes).is_err());
    }
}

fn sample() -> LogBatch {
    let record = |at: i64, body: AnyValue| LogRecord {
        time_ns: 1_795_226_400_000_000_000 + at * 1_500_000_000,
        time_is_derived: false,
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

/// Blocks written by earlier releases must stay readable for as long as they may lie on a disk.
#[test]
fn every_version_stays_readable() {
    for (version, fixture) in [(1, include_str!("fixtures/v1.hex")), (2, include_str!("fixtures/v2.hex"))] {
        let fixture = fixture.trim();
        let bytes: Vec<u8> = (0..fixture.len() / 2)
            .map(|at| u8::from_str_radix(&fixture[2 * at..2 * at + 2], 16).expect("the fixture is hex"))
            .collect();
        let expected = if version == 1 { sample() } else { many() };
        let today = hex(&encode_batch(&expected));
        let block = Block::parse(bytes.clone()).unwrap_or_else(|error| panic!("{error}; today's bytes are {today}"));
        assert_eq!(block.batch().unwrap(), expected, "today's bytes are {today}");
        assert_eq!(block.order().unwrap()[..3], [(7, 0), (7, 1), (7, 2)]);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x11;
            assert!(Block::parse(damaged).is_err(), "version {version} byte {at}");
            // With its checksum made good the readers see it.
            let mut damaged = bytes.clone();
            damaged[at.max(9)] ^= 0x11;
            let sum = xxh3_64(&damaged[9..]);
            damaged[1..9].copy_from_slice(&sum.to_le_bytes());
            std::hint::black_box(read_all(damaged).is_ok());
        }
    }
}

/// Enough records that columns take all their forms.
fn many() -> LogBatch {
    let mut batch = sample();
    for at in 0..24i64 {
        let (resource, scope, mut record) = batch.records[(at % 3) as usize].clone();
        record.time_ns += at * 1_000_000_000;
        record.body = AnyValue::Str(match at % 4 {
            0 | 1 => {
                format!("order {} of user-{} took 0.{at} s, id b9000564-fe1a-beef-{:04x}", at * 977, at % 2, at * 2_731)
            }
            2 => format!("connection {at} é{at} closed"),
            _ => format!("retry in {} ms", 100_000 + at),
        });
        record.attributes = vec![
            ("request.id".into(), AnyValue::Str(format!("{:016x}", at.wrapping_mul(0x1234_5678_9abc)))),
            ("thread".into(), AnyValue::Str(format!("worker-{}", at % 3))),
            ("note".into(), AnyValue::Str(["-", "é", "a b"][at as usize % 3].repeat(at as usize + 1))),
            ("status".into(), AnyValue::Int([200, 404][at as usize % 2])),
            ("took".into(), AnyValue::Int(-at * at * at)),
        ];
        batch.records.push((resource, scope, record));
    }
    batch
}

#[test]
fn templates_have_a_hole_for_each_new_word() {
    let check = |text: &str, expected: &str| {
        let record = LogRecord { body: AnyValue::Str(text.into()), ..LogRecord::default() };
        let batch = LogBatch {
            resources: vec![Resource::default()],
            scopes: vec![Scope::default()],
            records: vec![(0, 0, record)],
        };
        let block = Block::parse(encode_batch(&batch)).unwrap();
        let templates = block.templates().unwrap().unwrap();
        let shown = templates.text(0).iter().map(|byte| if *byte == HOLE { b'#' } else { *byte }).collect();
        assert_eq!(String::from_utf8(shown).unwrap(), expected, "{text}");
        let text_of = |hole: usize| {
            let texts = block.hole_texts(templates, 0, hole).unwrap();
            texts.text(templates.place(0), &mut String::new()).to_owned()
        };
        let holes: Vec<String> = (0..templates.holes(0)).map(text_of).collect();
        assert!(holes.iter().all(|hole| can_be_hole(hole)), "{holes:?}");
        let mut holes = holes.into_iter();
        let filled: String = expected.split('#').enumerate().fold(String::new(), |mut out, (at, piece)| {
            if at > 0 {
                out.push_str(&holes.next().unwrap());
            }
            out.push_str(piece);
            out
        });
        assert_eq!(filled, text);
    };
    check("Failed password for root from 10.0.0.1 port 22 ssh2", "Failed password for root from #.#.#.# port # #");
    check("block blk_-17 of blk_17", "block blk_-# of #");
    check("é5 5é 5 ü", "é5 5é # ü");
    check("id b9000564-fe1a-beef-cafe beef", "id #-#-#-# beef");
    check("", "");
    check("17", "#");
    check(&"1 ".repeat(50), &("# ".repeat(48) + "1 1 "));
}

#[test]
fn summaries_count_by_minute_and_severity() {
    let mut batch = sample();
    batch.records[2].2.time_ns += 60_000_000_000;
    let mut meta = Meta::of(900, batch.records.iter().map(|(_, _, record)| record));
    assert_eq!((meta.records, meta.min_ns, meta.max_ns), (3, 1_795_226_400_000_000_000, 1_795_226_463_000_000_000));
    assert_eq!(meta.severities, [0, 0, 0, 1, 1, 1, 0]);
    assert_eq!(meta.minutes.as_ref().unwrap().len(), 3);
    assert_eq!(Meta::decode(&meta.encode()).unwrap(), meta);
    // Version 1 ended here.
    let mut before = meta.encode();
    before.truncate(before.len() - 2);
    before[0] = 1;
    assert_eq!(Meta::decode(&before).unwrap(), meta);
    meta.resources = Some(vec![(0, 2), (70_000, 1)]);
    let mut keys: Vec<u32> = ["http.route", "user"].map(Meta::key_hash).into();
    keys.sort_unstable();
    meta.keys = Some(keys);
    let known = ["http.route", "http.route.x", "user.id", "user"].map(|path| meta.may_have_key(path));
    assert_eq!((known, meta.may_have_key("http"), meta.may_have_key("users")), ([true; 4], false, false));
    assert_eq!(Meta::decode(&meta.encode()).unwrap(), meta);
    // Spread over more minutes than are kept.
    let spread: Vec<LogRecord> =
        (0..600).map(|at| LogRecord { time_ns: at * 60_000_000_000, ..LogRecord::default() }).collect();
    let meta = Meta::of(1, spread.iter());
    assert_eq!((meta.records, &meta.minutes), (600, &None));
    assert_eq!(Meta::decode(&meta.encode()).unwrap(), meta);
}
