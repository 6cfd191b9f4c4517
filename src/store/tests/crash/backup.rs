//! A copy of a store in use holds what was acknowledged before it began, is whole or refused, and goes on taking data.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use model::time::Day;
use model::{LogBatch, LogRecord, MsRange, Severity, TenantId};
use store::{Options, Scope, Store, StoreError, Tenant};

use crate::common::{NOON_MS, batch, block_on, log_numbers, read_all};

fn open(dir: &Path, now_ms: i64) -> Store {
    Store::open(Options { disk_free_min: 0, ..Options::new(dir) }, now_ms).unwrap()
}

/// Ends threads even when what they wait for fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A sample and a record of this number.
fn put(tenant: &Tenant, number: i64) {
    let rows = [(format!("s{}", number % 7), NOON_MS + number, number as f64)];
    // Upkeep by a clock that goes fast lets series leave memory between looking one up and naming it: a sender tries again.
    let rejected = loop {
        match block_on(tenant.submit_metrics(batch(tenant, &rows))) {
            Err(StoreError::Unavailable { reason }) if reason.ends_with("retry") => {}
            answer => break answer.unwrap(),
        }
    };
    assert!(rejected.is_empty());
    put_log(tenant, number);
}

fn put_log(tenant: &Tenant, number: i64) {
    let record = LogRecord {
        time_ns: (NOON_MS + number) * 1_000_000,
        observed_time_ns: number,
        severity_number: Severity::Info as i32,
        ..LogRecord::default()
    };
    let records = LogBatch {
        records: vec![(0, 0, record)],
        resources: vec![Default::default()],
        scopes: vec![Default::default()],
    };
    assert!(block_on(tenant.submit_logs(records)).unwrap().is_empty());
}

fn numbers(store: &Store, name: &str) -> (Vec<i64>, Vec<i64>) {
    let tenant = store.existing_tenant(&TenantId::new(name).unwrap()).unwrap().expect("it was copied");
    let mut samples: Vec<i64> = read_all(&tenant, MsRange::ALL).keys().map(|(_, at_ms)| at_ms - NOON_MS).collect();
    samples.sort_unstable();
    (samples, log_numbers(&tenant))
}

#[test]
fn a_copy_of_a_store_in_use_has_all_that_was_acknowledged_and_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let store = open(&at("data"), NOON_MS);
    let tenant = store.tenant(&TenantId::default()).unwrap();
    store.accounts().create_token("grafana", Scope::Read, &TenantId::default(), NOON_MS).unwrap();
    tenant.alerts().unwrap();
    put(&store.tenant(&TenantId::new("other").unwrap()).unwrap(), 1);
    let (acknowledged, stop) = (AtomicI64::new(0), AtomicBool::new(false));
    let before = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 1.. {
                put(&tenant, number);
                acknowledged.store(number, Ordering::Release);
                if stop.load(Ordering::Acquire) {
                    return;
                }
            }
        });
        scope.spawn(|| {
            // Writes out and seals all the while, within the retention.
            for round in 1_i64.. {
                store.maintain(NOON_MS + round.min(1_000) * 600_000).unwrap();
                if stop.load(Ordering::Acquire) {
                    return;
                }
            }
        });
        let ending = Stop(&stop);
        while acknowledged.load(Ordering::Acquire) < 50 {
            assert!(!writer.is_finished(), "the writer failed");
            std::thread::yield_now();
        }
        let before = acknowledged.load(Ordering::Acquire);
        let copied = store.backup(&at("copy"), None, NOON_MS).unwrap();
        drop(ending);
        assert_eq!(copied.tenants, ["default", "other"]);
        before
    });
    let sent = acknowledged.load(Ordering::Acquire);
    store.close().unwrap();

    assert_eq!(store::restore(&at("copy"), &at("again"), None).unwrap().tenants, ["default", "other"]);
    let mut expected: Vec<i64> = (1..=before).collect();
    for round in 0..3 {
        let again = open(&at("again"), NOON_MS);
        let (samples, records) = numbers(&again, "default");
        for found in [&samples, &records] {
            assert!(found.is_sorted_by(|a, b| a < b), "something is there twice: {found:?}");
            assert!(expected.iter().all(|number| found.binary_search(number).is_ok()), "{found:?} of {expected:?}");
            assert!(found.iter().all(|number| *number <= sent || *number > 1_000_000), "{found:?}");
        }
        assert_eq!(again.accounts().tokens().unwrap().len(), 1);
        let tenant = again.tenant(&TenantId::default()).unwrap();
        assert_eq!(tenant.verify(false).unwrap().damage, [""; 0]);
        // Dropped as a crash would: what comes in now must not take numbers that day files have already.
        put(&tenant, 1_000_001 + round);
        expected.push(1_000_001 + round);
    }
}

#[test]
fn numbers_go_on_above_day_files_of_logs_that_are_newer_than_the_intake_log() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let store = open(&at("data"), NOON_MS);
    let tenant = store.tenant(&TenantId::default()).unwrap();
    put_log(&tenant, 1);
    store.backup(&at("early"), None, NOON_MS).unwrap();
    (2..40).for_each(|number| put_log(&tenant, number));
    store.maintain(NOON_MS).unwrap();
    store.maintain(NOON_MS + 7_200_000).unwrap();
    store.backup(&at("late"), None, NOON_MS).unwrap();
    let (_, sealed) = numbers(&store, "default");
    assert_eq!(sealed, (1..40).collect::<Vec<i64>>());
    store::restore(&at("late"), &at("mixed"), None).unwrap();
    let day = format!("tenants/default/logs/{}.redb", Day::of_ms(NOON_MS));
    assert!(at("mixed").join(day).exists(), "the records were sealed");
    std::fs::copy(at("early").join("tenants/default/intake.redb"), at("mixed").join("tenants/default/intake.redb"))
        .unwrap();
    put_log(&open(&at("mixed"), NOON_MS).tenant(&TenantId::default()).unwrap(), 1_000_001);
    let (_, found) = numbers(&open(&at("mixed"), NOON_MS), "default");
    assert_eq!(found, (1..40).chain([1_000_001]).collect::<Vec<i64>>());
}

#[test]
fn one_tenant_moves_and_what_is_not_whole_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let id = |name: &str| TenantId::new(name).unwrap();
    let store = open(&at("data"), NOON_MS);
    put(&store.tenant(&id("a")).unwrap(), 1);
    put(&store.tenant(&id("b")).unwrap(), 2);
    assert_eq!(store.backup(&at("a"), Some(&id("a")), NOON_MS).unwrap().tenants, ["a"]);
    assert!(!at("a").join("node.redb").exists(), "tokens are of the whole node");
    let refused = |result: Result<store::Copied, StoreError>, says: &str| {
        let error = result.expect_err(says).to_string();
        assert!(error.contains(says), "{error}");
    };
    refused(store.backup(&at("a"), None, NOON_MS), "is not empty");
    refused(store.backup(&at("c"), Some(&id("c")), NOON_MS), "tenant c does not exist");
    store.close().unwrap();
    drop(store);

    refused(store::restore(&at("a"), &at("data"), None), "is not empty");
    refused(store::restore(&at("a"), &at("data"), Some((&id("a"), &id("b")))), "is there already");
    refused(store::restore(&at("a"), &at("data"), Some((&id("x"), &id("x")))), "tenant x does not exist");
    refused(store::restore(home.path(), &at("new"), None), "there is no MANIFEST");
    store::restore(&at("a"), &at("data"), Some((&id("a"), &id("moved")))).unwrap();
    let store = open(&at("data"), NOON_MS);
    assert_eq!(numbers(&store, "moved"), (vec![1], vec![1]));
    assert_eq!(numbers(&store, "b"), (vec![2], vec![2]));

    assert!(matches!(store::erase(&at("data"), &id("moved")), Err(StoreError::InUse { .. })));
    let token = |tenant| store.accounts().create_token("t", Scope::Read, &id(tenant), NOON_MS).unwrap();
    token("moved");
    token("b");
    store.close().unwrap();
    drop(store);
    store::erase(&at("data"), &id("moved")).unwrap();
    let gone = store::erase(&at("data"), &id("moved"));
    assert!(matches!(gone, Err(StoreError::NoTenant { .. })), "{gone:?}");
    let store = open(&at("data"), NOON_MS);
    assert_eq!(store.tenants().iter().map(TenantId::as_str).collect::<Vec<_>>(), ["a", "b"]);
    let tokens = store.accounts().tokens().unwrap();
    assert_eq!(tokens.iter().map(|token| token.tenant.as_str()).collect::<Vec<_>>(), ["b"]);

    let file = at("a").join("tenants/a/intake.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    refused(store::restore(&at("a"), &at("new"), None), "it is not what the list of the copy says");
    assert!(!at("new").join("tenants").exists(), "nothing of a damaged copy is put anywhere");
}
