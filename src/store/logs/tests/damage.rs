//! Damaged blocks and rows: one block less, and somebody is told.

use redb::ReadableTable as _;

use super::*;

/// A day file's rows and extents, changed behind the store's back.
pub(super) fn change_rows(path: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = redb::Database::open(path).unwrap();
    let txn = database.begin_write().unwrap();
    change(&txn);
    txn.commit().unwrap();
}

const BLOCKS: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("blocks");
pub(super) const EXTENTS: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("extents");

/// Three blocks on one day, of one request each.
fn three_blocks(dir: &Path) -> (std::path::PathBuf, Vec<LogBatch>) {
    let store = open(dir);
    let batches: Vec<LogBatch> = (1..=3).map(|seq| batch(seq, 10, 1)).collect();
    for (batch, seq) in batches.iter().zip(1..) {
        store.apply(seq, packed(batch));
        store.flush(NOON_MS, true).unwrap();
    }
    (dir.join(format!("logs/{}.redb", Day::of_ms(NOON_MS))), batches)
}

/// What can be read, and the errors of the blocks that cannot.
fn readable(store: &Arc<LogStore>) -> (BTreeMap<String, usize>, Vec<String>) {
    let (mut out, mut errors) = (BTreeMap::new(), Vec::new());
    for block in blocks(&store.view(), &IndexQuery::All).0 {
        match block.read() {
            Ok(block) => {
                let block = block.unwrap();
                for at in 0..block.count() {
                    *out.entry(block.record(at).unwrap().body.to_text()).or_default() += 1;
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), model::Kind::Corrupt);
                errors.push(error.to_string());
            }
        }
    }
    (out, errors)
}

#[test]
fn a_block_with_any_byte_changed_is_one_block_less() {
    let dir = tempfile::tempdir().unwrap();
    let (path, batches) = three_blocks(dir.path());
    let rest = once_each(&[batches[0].clone(), batches[2].clone()]);
    let mut stored = Vec::new();
    change_rows(&path, |txn| {
        // Each seal began an extent.
        stored = txn.open_table(EXTENTS).unwrap().get(1).unwrap().unwrap().value().to_vec();
    });
    for at in (0..stored.len()).step_by(7) {
        let mut bad = stored.clone();
        bad[at] ^= 0x10;
        change_rows(&path, |txn| {
            txn.open_table(EXTENTS).unwrap().insert(1, &*bad).unwrap();
        });
        let store = open(dir.path());
        assert_eq!(store.damage(), Vec::<String>::new(), "nothing was read yet");
        let (found, errors) = readable(&store);
        assert_eq!(found, rest, "byte {at}");
        assert!(errors.len() == 1 && errors[0].contains("log block 1"), "byte {at}: {errors:?}");
        assert_eq!((store.damage().len(), store.stats().damaged_blocks), (1, 1));
    }
    for (what, extent) in [("cut", &stored[..stored.len() / 2]), ("empty", &[])] {
        change_rows(&path, |txn| {
            txn.open_table(EXTENTS).unwrap().insert(1, extent).unwrap();
        });
        assert_eq!(readable(&open(dir.path())).0, rest, "{what}");
    }
}

#[test]
fn a_row_with_any_byte_changed_or_missing_is_one_block_less() {
    let dir = tempfile::tempdir().unwrap();
    let (path, batches) = three_blocks(dir.path());
    let rest = once_each(&[batches[0].clone(), batches[2].clone()]);
    let mut row = Vec::new();
    change_rows(&path, |txn| row = txn.open_table(BLOCKS).unwrap().get(1).unwrap().unwrap().value().to_vec());
    let check = |what: &str| {
        let store = open(dir.path());
        assert_eq!(store.damage().len(), 1, "{what}: it is known from the start");
        let (found, errors) = readable(&store);
        assert_eq!(found, rest, "{what}");
        assert!(errors.len() == 1 && errors[0].contains("log block 1"), "{what}: {errors:?}");
        let counted: Vec<bool> =
            blocks(&store.view(), &IndexQuery::All).0.iter().map(|block| block.meta().unwrap().is_some()).collect();
        assert_eq!(counted, [true, false, true], "{what}");
        // It is asked of whatever range of its day.
        let minute = NsRange { start_ns: NOON_MS * 1_000_000 + DAY_NS / 4, end_ns: NOON_MS * 1_000_000 + DAY_NS / 3 };
        let near = store.view().blocks(minute, &IndexQuery::All, || Ok::<(), StoreError>(())).unwrap().0;
        assert_eq!(near.iter().map(|block| block.id()).collect::<Vec<_>>(), [1], "{what}");
    };
    for at in 0..row.len() {
        let mut bad = row.clone();
        bad[at] ^= 0x04;
        change_rows(&path, |txn| {
            txn.open_table(BLOCKS).unwrap().insert(1, &*bad).unwrap();
        });
        check(&format!("byte {at}"));
    }
    change_rows(&path, |txn| {
        txn.open_table(BLOCKS).unwrap().remove(1).unwrap();
    });
    check("missing");
    // The day goes on: new records, an index around the damage, and a search for what is nowhere still meets it.
    let store = open(dir.path());
    store.apply(4, packed(&batch(4, 10, 1)));
    upkeep(&store, NOON_MS, true);
    upkeep(&store, NOON_MS + 3_600_000, false);
    let found = blocks(&store.view(), &IndexQuery::Term(terms::word("request_4"))).0;
    assert_eq!(found.iter().map(|block| block.id()).collect::<Vec<_>>(), [1, 3]);
    let mut verified = crate::Verified::default();
    store.verify(true, &mut verified).unwrap();
    assert_eq!((verified.log_records, verified.log_segments, verified.log_blocks_outside_index), (30, 2, 1));
    assert!(verified.damage.len() == 1 && verified.damage[0].contains("log block 1"), "{:?}", verified.damage);
}

#[test]
fn a_block_that_does_not_decode_though_its_checksum_holds_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (path, batches) = three_blocks(dir.path());
    change_rows(&path, |txn| {
        let mut extents = txn.open_table(EXTENTS).unwrap();
        let mut bytes = extents.get(1).unwrap().unwrap().value().to_vec();
        // Version, checksum of the rest.
        let last = bytes.len() - 1;
        bytes[last] ^= 0xff;
        let sum = xxhash_rust::xxh3::xxh3_64(&bytes[9..]);
        bytes[1..9].copy_from_slice(&sum.to_le_bytes());
        extents.insert(1, &*bytes).unwrap();
    });
    let store = open(dir.path());
    let view = store.view();
    let look = || Ok::<(), StoreError>(());
    assert!(view.find_damage(NsRange::ALL, look).unwrap());
    assert!(!view.find_damage(NsRange::ALL, look).unwrap(), "it is known now");
    assert_eq!(readable(&store).0, once_each(&[batches[0].clone(), batches[2].clone()]));
    drop((view, store));
    // Upkeep finds it, too.
    let store = open(dir.path());
    upkeep(&store, NOON_MS, false);
    upkeep(&store, NOON_MS + 3_600_000, false);
    assert_eq!(store.stats().damaged_blocks, 1);
}

#[test]
fn a_file_with_any_byte_changed_gives_what_is_right_or_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let (path, batches) = three_blocks(dir.path());
    let whole = fs::read(&path).unwrap();
    let all = once_each(&batches);
    let mut intact = 0;
    for round in 0..400u64 {
        // An odd stride visits places of every kind of page.
        let at = (round * 7_919) as usize * 101 % whole.len();
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (round % 8);
        fs::write(&path, bytes).unwrap();
        let store = open(dir.path());
        let (found, _) = readable(&store);
        assert!(found.iter().all(|(body, count)| all.get(body) == Some(count)), "byte {at}: nothing wrong is read");
        let told = store.set_aside_files().len() + store.damage().len();
        assert!(found == all || told > 0, "byte {at}: {} of {} records and nothing is told", found.len(), all.len());
        intact += u32::from(found == all);
        drop(store);
        drop(fs::remove_dir_all(dir.path().join("logs/set-aside")));
    }
    assert!(intact > 0);
}
