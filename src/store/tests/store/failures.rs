//! A full disk, damaged records, files that cannot be read.

use super::*;

#[test]
fn a_full_disk_refuses_keeps_what_it_acknowledged_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let settings = Options { backend: Some(disk.backend()), ..options(dir.path()) };
    let store = Store::open(settings.clone(), NOON_MS).unwrap();
    let open = tenant(&store);
    put(&open, &[("a", NOON_MS - 1, 0.0)]).unwrap();
    let mut acknowledged = 1;
    let mut batches: Vec<(i64, bool)> = Vec::new();
    // What was acknowledged is there; of a refused batch the commit may have reached the disk all the same: whole, then.
    let check = |open: &Tenant, batches: &[(i64, bool)], acknowledged: usize| {
        let found = read_all(open, MsRange::ALL);
        let mut unasked = 0;
        for (at_ms, stored) in batches {
            let there = (0..200).filter(|n| found.contains_key(&("a".into(), at_ms + n))).count();
            assert!(there == 200 || there == 0 && !stored, "{there} of 200 samples of {at_ms}, acknowledged: {stored}");
            unasked += if *stored { 0 } else { there };
        }
        assert_eq!(found.len(), acknowledged + unasked);
    };
    for round in 0..3 {
        disk.fill_up_after(Some(20));
        let mut refused = 0;
        for step in 0..1_000 {
            let at_ms = NOON_MS + (round * 1_000 + step) * 1_000;
            let rows: Vec<_> = (0..200).map(|n| ("a".to_string(), at_ms + n, (n as f64).sin())).collect();
            let stored = block_on(open.submit_metrics(batch(&open, &rows)));
            if let Err(error) = &stored {
                assert_eq!(error.kind(), Kind::Unavailable, "{error}");
                refused += 1;
            } else {
                acknowledged += 200;
            }
            batches.push((at_ms, stored.is_ok()));
            if refused == 3 {
                break;
            }
        }
        assert_eq!(refused, 3, "the disk was never full");
        assert!(store.trouble().is_some());
        check(&open, &batches, acknowledged);
        // Nothing can be written out either, and nothing is lost by trying.
        drop(store.maintain(NOON_MS));
        drop(store.maintain(NOON_MS + 3 * HOUR_MS));
        check(&open, &batches, acknowledged);
        disk.fill_up_after(None);
        store.maintain(NOON_MS + 3 * HOUR_MS).unwrap();
        assert_eq!(store.trouble(), None);
        put(&open, &[("b", NOON_MS + round, 1.0)]).unwrap();
        acknowledged += 1;
    }
    check(&open, &batches, acknowledged);
    store.close().unwrap();
    drop((open, store));
    let store = Store::open(settings, NOON_MS).unwrap();
    check(&tenant(&store), &batches, acknowledged);
}

#[test]
fn files_of_a_later_release_are_refused_and_damaged_records_are_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let intake = dir.path().join("tenants/default/intake.redb");
    let fill = |at_ms| {
        let store = Store::open(options(dir.path()), NOON_MS).unwrap();
        put(&tenant(&store), &[("a", at_ms, 1.0)]).unwrap();
        put(&tenant(&store), &[("a", at_ms + 1, 1.0)]).unwrap();
        // No close: the log keeps its records.
    };
    fill(NOON_MS);
    let edit = |change: &dyn Fn(&redb::WriteTransaction)| {
        // The writer of the store before ends in its own time, when it sees that the store is gone.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let database = loop {
            match redb::Database::open(&intake) {
                Ok(database) => break database,
                Err(redb::DatabaseError::DatabaseAlreadyOpen) if std::time::Instant::now() < deadline => {
                    std::thread::yield_now();
                }
                Err(error) => panic!("{error}"),
            }
        };
        let txn = database.begin_write().unwrap();
        change(&txn);
        txn.commit().unwrap();
    };
    const LOG: redb::TableDefinition<'_, (u64, u32), &[u8]> = redb::TableDefinition::new("log");
    edit(&|txn| {
        let mut log = txn.open_table(LOG).unwrap();
        let mut record = log.get((1, 0)).unwrap().unwrap().value().to_vec();
        record[12] ^= 1;
        log.insert((1, 0), record.as_slice()).unwrap();
    });
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    assert_eq!(values(&tenant(&store)), [("a".into(), NOON_MS + 1, 1.0)]);
    drop(store);
    edit(&|txn| {
        let aside = redb::TableDefinition::<(u64, u32), &[u8]>::new("set_aside");
        assert!(txn.open_table(aside).unwrap().remove((1, 0)).unwrap().is_some());
        txn.open_table(redb::TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 3).unwrap();
    });
    let refused = Store::open(options(dir.path()), NOON_MS).err().unwrap();
    assert!(matches!(refused, StoreError::NewerStore { found: 3, supported: 2, .. }), "{refused}");
    // A file that is no database stops its tenant, not the others.
    std::fs::write(&intake, b"this is not a database, whatever its name says").unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    assert!(store.tenant(&TenantId::default()).is_err());
    assert!(store.trouble().unwrap().contains("default"));
    let other = store.tenant(&TenantId::new("other").unwrap()).unwrap();
    put(&other, &[("a", 1, 1.0)]).unwrap();
}

#[test]
fn a_tenant_that_cannot_be_opened_says_why_however_often_it_is_tried() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    let open = tenant(&store);
    put(&open, &[("a", NOON_MS - 1, 0.0)]).unwrap();
    store.close().unwrap();
    drop((open, store));

    // No file that can be opened, whoever asks.
    let path = dir.path().join("tenants/default/logs/2026-11-21.redb");
    std::fs::create_dir_all(&path).unwrap();
    let store = Store::open(options(dir.path()), NOON_MS).unwrap();
    for attempt in 0..3 {
        let error = store.tenant(&TenantId::default()).err().expect("it cannot be opened");
        let said = error.to_string();
        assert!(said.contains("2026-11-21.redb"), "attempt {attempt}: {said}");
    }
    std::fs::remove_dir(&path).unwrap();
    assert_eq!(read_all(&tenant(&store), MsRange::ALL).len(), 1);
}
