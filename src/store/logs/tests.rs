//! What is applied stays, once, through sealing, replay, failures and damage to the index.

use std::collections::BTreeMap;
use std::fs;

use codec::words::fold;
use model::{AnyValue, LogBatch, LogRecord, NsRange, Resource, Scope};

use super::*;
use crate::Options;

mod damage;
mod index;
mod settle;
mod space;
mod thin;
mod versions;

const NOON_MS: i64 = 1_795_219_200_000;
const DAY_NS: i64 = 86_400_000_000_000;

fn open(dir: &Path) -> Arc<LogStore> {
    let files = Arc::new(Files::new(Arc::new(Options::new(dir))));
    Arc::new(LogStore::open(&dir.join("logs"), &files).unwrap())
}

/// `count` records under the number `seq`, by turns on `days` days; each body is unlike all others.
fn batch(seq: u64, count: usize, days: usize) -> LogBatch {
    let record = |at: usize| LogRecord {
        time_ns: NOON_MS * 1_000_000 + (at % days) as i64 * DAY_NS + (at as i64) * 1_000_000,
        severity_number: 9,
        body: AnyValue::Str(format!("record {at} of request_{seq}")),
        ..LogRecord::default()
    };
    let service = |name: &str| Resource {
        attributes: vec![("service.name".into(), AnyValue::Str(name.into()))],
        ..Resource::default()
    };
    LogBatch {
        resources: vec![service("a"), service("b")],
        scopes: vec![Scope::default()],
        records: (0..count).map(|at| ((at % 2) as u32, 0, record(at))).collect(),
    }
}

fn packed(batch: &LogBatch) -> PackedLogs {
    PackedLogs::of_batch(batch).0
}

fn blocks(view: &LogView, query: &IndexQuery) -> (Vec<BlockRef>, u64) {
    view.blocks(NsRange::ALL, query, || Ok::<(), StoreError>(())).unwrap()
}

/// How often each body is there.
fn bodies(store: &Arc<LogStore>) -> BTreeMap<String, usize> {
    let view = store.view();
    let mut out = BTreeMap::new();
    for part in view.head(NsRange::ALL) {
        part.records().for_each(|known| *out.entry(known.to_record().body.to_text()).or_default() += 1);
    }
    for block in blocks(&view, &IndexQuery::All).0 {
        let block = block.read().unwrap().unwrap();
        for at in 0..block.count() {
            *out.entry(block.record(at).unwrap().body.to_text()).or_default() += 1;
        }
    }
    out
}

fn once_each(batches: &[LogBatch]) -> BTreeMap<String, usize> {
    batches.iter().flat_map(|batch| &batch.records).map(|(_, _, record)| (record.body.to_text(), 1)).collect()
}

/// The bodies of blocks that the index does not rule out for a word.
fn candidates(store: &Arc<LogStore>, word: &str) -> (usize, u64) {
    let (found, ruled_out) = blocks(&store.view(), &IndexQuery::Term(terms::word(&fold(word))));
    (found.len(), ruled_out)
}

fn upkeep(store: &LogStore, now_ms: i64, force: bool) {
    store.flush(now_ms, force).unwrap();
    store.index_due(now_ms);
}

#[test]
fn replay_after_any_number_of_seals_doubles_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let batches: Vec<LogBatch> = (1..=12).map(|seq| batch(seq, 30, 1 + seq as usize % 3)).collect();
    let apply = |store: &LogStore, seqs: std::ops::RangeInclusive<u64>| {
        seqs.for_each(|seq| store.apply(seq, packed(&batches[seq as usize - 1])));
    };
    let store = open(dir.path());
    apply(&store, 1..=4);
    assert_eq!(store.flush(NOON_MS, false).unwrap(), Some(0), "young and small: all is still needed");
    assert_eq!(store.flush(NOON_MS, true).unwrap(), None);
    assert_eq!(bodies(&store), once_each(&batches[..4]));
    apply(&store, 5..=7);
    assert_eq!(store.flush(NOON_MS + 1, false).unwrap(), Some(4));
    // Stops without sealing; the intake log brings all since its last trim, here from the start.
    drop(store);
    let store = open(dir.path());
    apply(&store, 1..=9);
    assert_eq!(bodies(&store), once_each(&batches[..9]));
    assert_eq!(store.flush(NOON_MS, true).unwrap(), None);
    drop(store);
    let store = open(dir.path());
    apply(&store, 3..=12);
    assert_eq!(bodies(&store), once_each(&batches));
    assert_eq!(store.stats().head_records, 90);
}

#[test]
fn a_day_that_cannot_be_written_waits_while_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let batches = [batch(1, 30, 3), batch(2, 30, 3)];
    let store = open(dir.path());
    store.apply(1, packed(&batches[0]));
    // The second day's file is in the way of itself.
    let second = dir.path().join(format!("logs/{}.redb", Day::of_ms(NOON_MS + 86_400_000)));
    fs::create_dir_all(&second).unwrap();
    assert!(store.flush(NOON_MS, true).is_err());
    store.apply(2, packed(&batches[1]));
    assert_eq!(bodies(&store), once_each(&batches));
    fs::remove_dir(&second).unwrap();
    // The first day has request 1 and not request 2.
    drop(store);
    let store = open(dir.path());
    batches.iter().zip(1..).for_each(|(batch, seq)| store.apply(seq, packed(batch)));
    assert_eq!(bodies(&store), once_each(&batches));
    assert_eq!(store.flush(NOON_MS, true).unwrap(), None);
    assert_eq!(bodies(&store), once_each(&batches));
}

#[test]
fn a_dropped_day_is_gone_for_new_and_old_readers() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.apply(1, packed(&batch(1, 30, 3)));
    store.flush(NOON_MS, true).unwrap();
    store.apply(2, packed(&batch(2, 30, 3)));
    let days = store.days();
    assert_eq!(days.len(), 3);
    assert!(days.iter().all(|(_, bytes)| *bytes > 0));
    let view = store.view();
    store.drop_before(Day(days[1].0.0)).unwrap();
    assert_eq!(store.days().len(), 2);
    assert!(!dir.path().join(format!("logs/{}.redb", days[0].0)).exists());
    let (blocks, _) = blocks(&view, &IndexQuery::All);
    let found: Vec<bool> = blocks.iter().map(|block| block.read().unwrap().is_some()).collect();
    assert_eq!(found, [false, true, true]);
    // Reading did not make the file again.
    assert!(!dir.path().join(format!("logs/{}.redb", days[0].0)).exists());
    assert_eq!(bodies(&store).len(), 40);
}

#[test]
fn a_damaged_block_is_an_error_that_names_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut sealed = seal::seal(
        &head::split(1, packed(&batch(1, 30, 1)), |_| true)
            .into_iter()
            .map(|(_, part)| Arc::new(part))
            .collect::<Vec<_>>(),
    );
    let middle = sealed[0].bytes.len() / 2;
    sealed[0].bytes[middle] ^= 1;
    fs::create_dir_all(dir.path().join("logs")).unwrap();
    let path = dir.path().join(format!("logs/{}.redb", Day::of_ms(NOON_MS)));
    DayFile::new(path.clone(), store.files.clone()).append(0, &sealed, 1).unwrap();
    drop(store);
    let store = open(dir.path());
    let block = blocks(&store.view(), &IndexQuery::All).0.remove(0);
    let error = block.read().err().expect("a changed byte is noticed");
    assert_eq!(error.kind(), model::Kind::Corrupt);
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

#[test]
fn intake_records_hold_packed_records_and_once_held_blocks() {
    let batch = batch(1, 30, 3);
    let rows: Vec<codec::block::Row<'_>> = batch
        .records
        .iter()
        .map(|(resource, scope, record)| codec::block::Row {
            resource: *resource,
            scope: *scope,
            seq: 0,
            place: 0,
            record,
        })
        .collect();
    let resources: Vec<_> = batch.resources.iter().collect();
    let scopes: Vec<_> = batch.scopes.iter().collect();
    let block = codec::block::encode(&resources, &scopes, &rows);
    for payload in [block, packed(&batch).encode()] {
        assert_eq!(LogStore::decode(&payload).unwrap().to_batch(), batch);
        assert!(LogStore::decode(&payload[..payload.len() / 2]).is_err());
    }
    for garbage in [&b""[..], &[1; 40], &[0x81; 40]] {
        assert!(LogStore::decode(garbage).is_err());
    }
}

#[test]
fn summaries_count_by_resource_and_grow_with_the_day() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let counts = |store: &Arc<LogStore>| {
        let mut out: BTreeMap<String, u64> = BTreeMap::new();
        for block in blocks(&store.view(), &IndexQuery::All).0 {
            let summary = block.meta().unwrap().unwrap();
            assert!(!summary.may_have_key("service.name") && summary.records == block.records());
            for (resource, count) in summary.by_resource().unwrap() {
                *out.entry(resource.attributes[0].1.to_text()).or_default() += count;
            }
        }
        out.into_iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    };
    for (seq, expected) in [(1, "a 15, b 15"), (2, "a 30, b 30"), (3, "a 45, b 45")] {
        store.apply(seq, packed(&batch(seq, 30, 1)));
        store.flush(NOON_MS, true).unwrap();
        assert_eq!(counts(&store), expected);
        if seq == 2 {
            drop(store);
            store = open(dir.path());
            assert_eq!(counts(&store), expected);
        }
    }
}

#[test]
fn blocks_whose_severities_were_counted_as_sent_may_have_any() {
    use redb::ReadableDatabase as _;
    const ROWS: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("blocks");
    let dir = tempfile::tempdir().unwrap();
    let told = LogBatch {
        resources: vec![Resource::default()],
        scopes: vec![Scope::default()],
        records: [("level=error a", 0), ("b", 9)]
            .map(|(body, severity_number)| {
                let body = AnyValue::Str(body.into());
                (0, 0, LogRecord { time_ns: NOON_MS * 1_000_000, severity_number, body, ..LogRecord::default() })
            })
            .to_vec(),
    };
    let store = open(dir.path());
    store.apply(1, packed(&told));
    upkeep(&store, NOON_MS, true);
    let severities = |store: &Arc<LogStore>| {
        let block = blocks(&store.view(), &IndexQuery::All).0.remove(0);
        let has = model::Severity::ALL.map(|severity| block.has_severity(severity));
        (has, block.meta().unwrap().unwrap().has_derived)
    };
    let mut known = [false; 7];
    known[model::Severity::Info as usize] = true;
    known[model::Severity::Error as usize] = true;
    assert_eq!(severities(&store), (known, true));
    drop(store);
    // As the first release wrote it: version 1 ends before the resources, and no checksum stands behind it.
    let mut paths = fs::read_dir(dir.path().join("logs")).unwrap().map(|entry| entry.unwrap().path());
    let path = paths.find(|path| path.extension().is_some_and(|extension| extension == "redb")).unwrap();
    let database = redb::Database::open(path).unwrap();
    let row = database.begin_read().unwrap().open_table(ROWS).unwrap().get(0).unwrap().unwrap().value().to_vec();
    let (place, meta) = day_rows::parse_entry(&row).unwrap();
    let mut old: Vec<u8> = Vec::new();
    [place.extent, place.offset, place.bytes].into_iter().for_each(|n| codec::wire::put_varint(&mut old, n));
    old.push(1);
    codec::wire::put_varint(&mut old, meta.records);
    codec::wire::put_varint(&mut old, meta.raw_bytes);
    codec::wire::put_signed(&mut old, meta.min_ns);
    codec::wire::put_varint(&mut old, 0);
    let mut counts = [0; 7];
    counts[model::Severity::Info as usize] = 1;
    counts[model::Severity::Unspecified as usize] = 1;
    counts.into_iter().for_each(|count| codec::wire::put_varint(&mut old, count));
    old.push(0);
    let txn = database.begin_write().unwrap();
    txn.open_table(ROWS).unwrap().insert(0, &*old).unwrap();
    txn.commit().unwrap();
    drop(database);
    assert_eq!(severities(&open(dir.path())), ([true; 7], false));
}

#[test]
fn a_day_that_cannot_be_read_is_set_aside_and_the_others_serve() {
    let dir = tempfile::tempdir().unwrap();
    let batches = [batch(1, 30, 2), batch(2, 30, 2)];
    let store = open(dir.path());
    store.apply(1, packed(&batches[0]));
    store.flush(NOON_MS, true).unwrap();
    store.index_due(NOON_MS);
    store.index_due(NOON_MS + 3_600_000);
    drop(store);
    let first = Day::of_ms(NOON_MS);
    let path = dir.path().join(format!("logs/{first}.redb"));
    fs::write(&path, vec![7; 5_000]).unwrap();
    let store = open(dir.path());
    let told = store.set_aside_files();
    assert!(told.len() == 1 && told[0].contains(&first.to_string()) && told[0].contains("set-aside"), "{told:?}");
    let on_day = |at: i32| {
        let records = batches.iter().flat_map(|batch| &batch.records);
        let bodies = records.filter(move |(_, _, record)| Day::of_ns(record.time_ns) == Day(first.0 + at));
        bodies.map(|(_, _, record)| (record.body.to_text(), 1)).collect::<BTreeMap<_, _>>()
    };
    let second_of_first: BTreeMap<_, _> =
        on_day(1).into_iter().filter(|(body, _)| body.ends_with("request_1")).collect();
    assert_eq!(bodies(&store), second_of_first);
    // The day takes new records, and its index is its own.
    store.apply(2, packed(&batches[1]));
    upkeep(&store, NOON_MS + 7_200_000, true);
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.set_aside_files().len(), 1, "still there after a start");
    assert_eq!(bodies(&store).len(), 45);
    store.drop_before(Day(first.0 + 1)).unwrap();
    assert_eq!((store.set_aside_files(), bodies(&store).len()), (Vec::new(), 30));
    assert_eq!(fs::read_dir(dir.path().join("logs/set-aside")).unwrap().count(), 0);
}
