//! The index narrows, is made in pauses, and is made anew when it is damaged.

use super::*;

#[test]
fn the_index_narrows_and_is_made_anew_when_damaged() {
    const HOUR_MS: i64 = 3_600_000;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let batches: Vec<LogBatch> = (1..=6).map(|seq| batch(seq, 10, 1)).collect();
    for (batch, seq) in batches.iter().zip(1..) {
        store.apply(seq, packed(batch));
        upkeep(&store, NOON_MS, true);
    }
    assert_eq!(candidates(&store, "request_3"), (6, 0), "outside the index all are candidates");
    assert!(store.stats().index_lag_ms == 0);
    upkeep(&store, NOON_MS + HOUR_MS, false);
    assert_eq!(candidates(&store, "REQUEST_3"), (1, 5));
    assert_eq!(candidates(&store, "nothing"), (0, 6));
    assert_eq!(blocks(&store.view(), &IndexQuery::Prefix("request".into())).0.len(), 6);
    let service = IndexQuery::Term(terms::value("service.name", "A"));
    assert_eq!(blocks(&store.view(), &service).0.len(), 6);
    drop(store);
    let index = dir.path().join(format!("logs/{}.idx", Day::of_ms(NOON_MS)));
    let damages: [(&str, &dyn Fn()); 4] = [
        ("segment gone", &|| fs::remove_dir_all(index.join("0-5")).unwrap()),
        ("half made", &|| fs::rename(index.join("0-5"), index.join("unfinished")).unwrap()),
        ("of other blocks", &|| fs::rename(index.join("0-5"), index.join("0-9")).unwrap()),
        ("files cut", &|| {
            for entry in fs::read_dir(index.join("0-5")).unwrap() {
                let path = entry.unwrap().path();
                let length = fs::metadata(&path).unwrap().len();
                fs::File::options().write(true).open(&path).unwrap().set_len(length / 2).unwrap();
            }
        }),
    ];
    for (what, damage) in damages {
        damage();
        let store = open(dir.path());
        assert_eq!(bodies(&store), once_each(&batches), "{what}");
        assert_eq!(candidates(&store, "request_3"), (6, 0), "{what}");
        upkeep(&store, NOON_MS, false);
        upkeep(&store, NOON_MS + HOUR_MS, false);
        assert_eq!(candidates(&store, "request_3"), (1, 5), "{what}");
    }
}

#[test]
fn a_pause_in_which_enough_is_outside_the_index_is_used_to_index_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut seq = 0;
    // Seals of some 2 MB in bodies.
    let mut seal = |store: &LogStore| {
        seq += 1;
        let mut batch = batch(seq, 64, 1);
        batch.records.iter_mut().for_each(|(.., record)| record.body = AnyValue::Str("word ".repeat(7_000)));
        store.apply(seq, packed(&batch));
        store.flush(NOON_MS, true).unwrap();
    };
    let check = |store: &LogStore, after_ms: i64, segments: usize| {
        store.index_due(NOON_MS + after_ms);
        let state = store.state.lock();
        assert_eq!(state.days.values().map(|day| day.segments.len()).sum::<usize>(), segments, "after {after_ms} ms");
    };
    seal(&store);
    check(&store, 0, 0);
    check(&store, 60_000, 0);
    seal(&store);
    check(&store, 70_000, 0);
    check(&store, 89_999, 0);
    seal(&store);
    check(&store, 90_000, 0);
    check(&store, 109_999, 0);
    check(&store, 110_000, 1);
    seal(&store);
    seal(&store);
    check(&store, 120_000, 1);
    drop(store);
    // What was there before a start is not being added to.
    check(&open(dir.path()), 120_000, 2);
}

#[test]
fn a_store_that_is_about_to_close_makes_no_segment_and_the_next_start_does() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.apply(1, packed(&batch(1, 64, 1)));
    store.flush(NOON_MS, true).unwrap();
    let segments = |store: &LogStore| {
        store.index_due(NOON_MS);
        store.index_due(NOON_MS + 3_600_000);
        store.state.lock().days.values().map(|day| day.segments.len()).sum::<usize>()
    };
    store.files.end_upkeep();
    assert_eq!(segments(&store), 0);
    assert_eq!(bodies(&store).len(), 64, "what is not indexed is found all the same");
    drop(store);
    assert_eq!(segments(&open(dir.path())), 1);
}

#[test]
fn starts_and_parts_of_words_narrow_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for (seq, body) in ["user-ab12cd left", "Connection refused", "blk_77 moved"].into_iter().enumerate() {
        let mut batch = batch(1, 1, 1);
        batch.records[0].2.body = AnyValue::Str(body.into());
        batch.records[0].2.attributes = vec![("id".into(), AnyValue::Str(format!("x{seq}yz")))];
        store.apply(seq as u64 + 1, packed(&batch));
        store.flush(NOON_MS, true).unwrap();
    }
    store.index_due(NOON_MS);
    store.index_due(NOON_MS + 3_600_000);
    let long = "b".repeat(300);
    let check = |query: IndexQuery, expected: &[u64]| {
        let found: Vec<u64> = blocks(&store.view(), &query).0.iter().map(|block| block.id()).collect();
        assert_eq!(found, expected, "{query:?}");
    };
    check(IndexQuery::Prefix("conn".into()), &[1]);
    check(IndexQuery::Prefix("ab".into()), &[0]);
    check(IndexQuery::Prefix("ab1".into()), &[0]);
    check(IndexQuery::Prefix("blk_".into()), &[2]);
    check(IndexQuery::Prefix(terms::value("id", "x")), &[0, 1, 2]);
    check(IndexQuery::Contains("ove".into()), &[2]);
    check(IndexQuery::Contains("cd".into()), &[0]);
    check(IndexQuery::Contains("lk".into()), &[2]);
    check(IndexQuery::Contains("yz".into()), &[]);
    check(IndexQuery::Contains(long), &[]);
    check(IndexQuery::And(vec![IndexQuery::Contains("e".into()), IndexQuery::Prefix("left".into())]), &[0]);
    check(IndexQuery::Term(terms::word("ab12cd")), &[0]);
    check(IndexQuery::Term(terms::value("id", "X1YZ")), &[1]);
}

#[test]
fn verify_tells_damage_and_makes_the_index_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for seq in 1..=3 {
        store.apply(seq, packed(&batch(seq, 10, 1)));
        store.flush(NOON_MS, true).unwrap();
    }
    let verified = |store: &Arc<LogStore>, rebuild: bool| {
        let mut found = crate::Verified::default();
        store.verify(rebuild, &mut found).unwrap();
        (found.log_records, found.log_segments, found.log_blocks_outside_index, found.damage)
    };
    assert_eq!(verified(&store, false), (30, 0, 3, vec![]));
    assert_eq!(verified(&store, true), (30, 1, 0, vec![]));
    assert_eq!(candidates(&store, "request_3"), (1, 2));
    let index = dir.path().join(format!("logs/{}.idx/0-2", Day::of_ms(NOON_MS)));
    let dictionary = fs::read_dir(&index)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "term"))
        .unwrap();
    let mut bytes = fs::read(&dictionary).unwrap();
    bytes[3] ^= 1;
    fs::write(&dictionary, bytes).unwrap();
    let (_, _, outside, damage) = verified(&store, false);
    assert!(outside == 3 && damage.len() == 1 && damage[0].contains("--rebuild-index"), "{outside} {damage:?}");
    assert_eq!(verified(&store, true), (30, 1, 0, vec![]));
    // Filters are checked when they are opened.
    let mut filters = fs::read(index.join("filters")).unwrap();
    *filters.last_mut().unwrap() ^= 1;
    fs::write(index.join("filters"), filters).unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!(verified(&store, false), (30, 0, 3, vec![]));
    assert_eq!(candidates(&store, "request_3"), (3, 0));
}

#[test]
fn a_segment_with_a_flipped_bit_hides_nothing_from_the_first_query_on() {
    const WORDS: [&str; 8] = ["harbour", "pilot", "mooring", "ballast", "rudder", "compass", "anchor", "lantern"];
    const HOUR_MS: i64 = 3_600_000;
    let seed = chance::seed(1);
    let mut random = chance::Random::new(seed);
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for (seq, word) in (1..).zip(WORDS) {
        let mut batch = batch(seq, 10, 1);
        batch.records.iter_mut().for_each(|(.., record)| record.body = AnyValue::Str(format!("{word} of {seq}")));
        store.apply(seq, packed(&batch));
        upkeep(&store, NOON_MS, true);
    }
    upkeep(&store, NOON_MS + HOUR_MS, false);
    drop(store);
    let segment = dir.path().join(format!("logs/{}.idx/0-7", Day::of_ms(NOON_MS)));
    let mut whole: Vec<(std::path::PathBuf, Vec<u8>)> = fs::read_dir(&segment)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    // Named by chance, but of the same sizes each time.
    whole.sort_by_key(|(_, bytes)| bytes.len());
    let mut noticed = 0;
    for _ in 0..120 {
        drop(fs::remove_dir_all(&segment));
        fs::create_dir(&segment).unwrap();
        let flipped = random.below(whole.len() as u64) as usize;
        for (at, (path, bytes)) in whole.iter().enumerate() {
            let mut bytes = bytes.clone();
            if at == flipped && !bytes.is_empty() {
                let place = random.below(bytes.len() as u64) as usize;
                bytes[place] ^= 1 << random.below(8);
            }
            fs::write(path, bytes).unwrap();
        }
        let store = open(dir.path());
        let found = || WORDS.iter().filter(|word| candidates(&store, word).0 > 0).count();
        let file = whole[flipped].0.display();
        assert_eq!(found(), WORDS.len(), "seed {seed}: the index hides a block after a bit of {file} fell over");
        let is_noticed = store
            .state
            .lock()
            .days
            .values()
            .flat_map(|day| &*day.segments)
            .any(|segment| segment.damaged.load(std::sync::atomic::Ordering::Relaxed));
        noticed += usize::from(is_noticed);
        store.index_due(NOON_MS);
        assert_eq!(found(), WORDS.len(), "seed {seed}: it does so after it was made anew");
    }
    // The others were noticed when they were opened.
    assert!(noticed > 0, "no query noticed a bit that fell over");
}
