//! Each long work of upkeep of logs, and the migration of their days, under attack (`attack.rs`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use codec::wire::{put_signed, put_varint};
use model::time::MS_PER_DAY;
use model::{AnyValue, LogBatch, LogRecord, NsRange, Resource, Scope};
use redb::{ReadableDatabase as _, TableDefinition};
use store::logs::{IndexQuery, terms};
use store::{StoreError, Tenant};

use crate::attack::{Attack, Scene, frozen};
use crate::common::{NOON_MS, block_on};

const YESTERDAY_MS: i64 = NOON_MS - MS_PER_DAY;
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const STATE: TableDefinition<'_, &str, u64> = TableDefinition::new("state");
const HALF_AN_HOUR_MS: i64 = 30 * 60_000;

fn never() -> Result<(), StoreError> {
    Ok(())
}

/// Each record by what orders it, and how many of them a search by the index for an odd word finds.
fn records(tenant: &Tenant) -> (BTreeMap<(i64, u64, u32), String>, usize) {
    let snapshot = tenant.snapshot().unwrap();
    let mut out = BTreeMap::new();
    for part in snapshot.logs().head(NsRange::ALL) {
        for record in part.records() {
            let key = (record.time_ns(), part.seq, record.place() as u32);
            assert!(out.insert(key, record.to_record().body.to_text()).is_none(), "{key:?} is there twice");
        }
    }
    for block in snapshot.logs().blocks(NsRange::ALL, &IndexQuery::All, never).unwrap().0 {
        let block = block.read().unwrap().unwrap();
        for (at, (seq, place)) in block.order().unwrap().iter().enumerate() {
            let record = block.record(at).unwrap();
            let key = (record.time_ns, *seq, *place);
            assert!(out.insert(key, record.body.to_text()).is_none(), "{key:?} is there twice");
        }
    }
    let query = IndexQuery::Term(terms::word("odd_7"));
    let candidates = snapshot.logs().blocks(NsRange::ALL, &query, never).unwrap().0;
    let mut found: usize = snapshot
        .logs()
        .head(NsRange::ALL)
        .flat_map(|part| part.records())
        .filter(|record| record.to_record().body.to_text().contains("odd_7 "))
        .count();
    for block in candidates {
        let batch = block.read().unwrap().unwrap().batch().unwrap();
        found += batch.records.iter().filter(|(_, _, record)| record.body.to_text().contains("odd_7 ")).count();
    }
    (out, found)
}

/// Of yesterday, of two services by turns.
fn batch(request: i64) -> LogBatch {
    let service = |name: &str| Resource {
        attributes: vec![("service.name".into(), AnyValue::Str(name.into()))],
        ..Resource::default()
    };
    let record = |at: i64| LogRecord {
        time_ns: (YESTERDAY_MS + 1_000 * at + request) * 1_000_000,
        body: AnyValue::Str(format!("{}_{at} of request {request}", if at % 2 == 0 { "even" } else { "odd" })),
        ..LogRecord::default()
    };
    LogBatch {
        resources: vec![service("a"), service("b")],
        scopes: vec![Scope::default()],
        records: (0..40).map(|at| ((at % 2) as u32, 0, record(at))).collect(),
    }
}

/// Some seals of yesterday, closed before they are settled.
fn sealed() -> Scene {
    let mut scene = Scene::new(|options| options);
    let (store, tenant) = scene.open().unwrap();
    for request in 0..3 {
        block_on(tenant.submit_logs(batch(request))).unwrap();
        store.maintain(scene.now_ms).unwrap();
        scene.now_ms += HALF_AN_HOUR_MS;
        store.maintain(scene.now_ms).unwrap();
        assert_eq!(tenant.verify(false).unwrap().log_blocks as i64, request + 1);
    }
    drop((store, tenant));
    scene
}

fn day(scene: &Scene) -> PathBuf {
    scene.dir.path().join("tenants/default/logs/2026-11-20.redb")
}

/// What a day file notes under a name.
fn noted(scene: &Scene, table: TableDefinition<'_, &str, u64>, name: &str) -> Option<u64> {
    let txn = scene.database(&day(scene)).begin_read().unwrap();
    txn.open_table(table).unwrap().get(name).unwrap().map(|value| value.value())
}

#[test]
fn settling_a_day_of_logs() {
    let scene = sealed();
    let settled = |scene: &Scene| noted(scene, STATE, "settled") == Some(1);
    assert!(!settled(&scene.copy()));
    let (_, tenant) = scene.copy().open().unwrap();
    assert_eq!((records(&tenant).0.len(), records(&tenant).1), (120, 3));
    drop(tenant);
    // Each try makes an index, which is what takes the time.
    Attack { rounds: 2, stride: 3, answers: records, done: settled, writes_min: 10 }.run(&scene);
}

/// A day file as the first release wrote it: a block of version 1 under a summary of version 1, no resources, no checksums of rows.
fn first_release(scene: &Scene) {
    const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
    const EXTENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("extents");
    let hex = include_str!("../../../codec/block/fixtures/v1.hex").trim();
    let bytes: Vec<u8> =
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    let times = codec::block::Block::parse(bytes.clone()).unwrap().times().unwrap().to_vec();
    let (min_ns, max_ns) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
    let mut row = Vec::new();
    for number in [0, 0, bytes.len() as u64] {
        put_varint(&mut row, number);
    }
    row.push(1);
    put_varint(&mut row, times.len() as u64);
    put_varint(&mut row, 1_000);
    put_signed(&mut row, min_ns);
    put_varint(&mut row, max_ns.wrapping_sub(min_ns) as u64);
    for count in [times.len() as u64, 0, 0, 0, 0, 0, 0, 0] {
        put_varint(&mut row, count);
    }
    std::fs::create_dir_all(day(scene).parent().unwrap()).unwrap();
    let txn = scene.database(&day(scene)).begin_write().unwrap();
    txn.open_table(META).unwrap().insert("format", 1).unwrap();
    txn.open_table(STATE).unwrap().insert("covered", 1).unwrap();
    txn.open_table(BLOCKS).unwrap().insert(0, &*row).unwrap();
    txn.open_table(EXTENTS).unwrap().insert(0, &*bytes).unwrap();
    txn.commit().unwrap();
}

#[test]
fn the_migration_of_a_day_of_logs() {
    let scene = Scene::new(|options| options);
    let tenant = scene.dir.path().join("tenants/default");
    std::fs::create_dir_all(tenant.join("metrics")).unwrap();
    for name in ["intake.redb", "metrics/2026-11-20.redb"] {
        scene.disk.put(&tenant.join(name), frozen(name));
    }
    first_release(&scene);
    let (_, opened) = scene.copy().open().unwrap();
    assert!(!records(&opened).0.is_empty());
    drop(opened);
    let migrated = |scene: &Scene| noted(scene, META, "format") == Some(2);
    assert!(!migrated(&scene));
    Attack { rounds: 0, stride: 1, answers: records, done: migrated, writes_min: 10 }.run(&scene);
}
