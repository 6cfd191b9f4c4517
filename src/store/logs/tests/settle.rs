//! A day that is over becomes fewer and fuller blocks: every record stays, with what tells it from the others, whatever happens meanwhile.

use redb::ReadableTable as _;

use super::super::regroup::Pace;
use super::*;
use crate::limits::{SETTLE_AGAIN_MS, SETTLE_QUIET_MS};

/// Steps so small that a few hundred records take many.
const SMALL: Pace = Pace {
    round_raw_bytes: 1,
    pass_raw_bytes: 20_000,
    window_raw_bytes: 60_000,
    window_raw_bytes_min: 10_000,
    window_ns: 200_000_000,
};
/// When the days of the batches are over.
const LATER_MS: i64 = NOON_MS + 5 * 86_400_000;

/// As [`batch`], of so many streams.
fn streams(seq: u64, count: usize, streams: usize) -> LogBatch {
    let mut batch = batch(seq, count, 2);
    let text = |name: &str, number: usize| (name.into(), AnyValue::Str(format!("{name}-{number}")));
    batch.resources = (0..streams)
        .map(|number| Resource {
            attributes: vec![text("service.name", number % 3), text("host.name", number)],
            ..Resource::default()
        })
        .collect();
    batch.scopes.push(Scope { name: "other".into(), ..Scope::default() });
    for (at, (resource, scope, record)) in batch.records.iter_mut().enumerate() {
        // Many of the first, few of the last.
        *resource = (at * at % (1 + at % streams)) as u32;
        *scope = (at % 7 / 6) as u32;
        record.attributes = vec![("n".into(), AnyValue::Int(at as i64)), ("seq".into(), AnyValue::Double(seq as f64))];
        record.severity_number = [0, 5, 9, 17][at % 4];
        record.trace_id = at.is_multiple_of(3).then_some([at as u8; 16]);
    }
    batch
}

/// All records with what surrounds them, by what orders them.
fn everything(view: &LogView) -> BTreeMap<(i64, u64, u32), String> {
    let mut out = BTreeMap::new();
    for found in blocks(view, &IndexQuery::All).0 {
        let block = found.read().unwrap().unwrap();
        let order = block.order().unwrap().to_vec();
        let mut before = (i64::MIN, 0, 0);
        for (at, (seq, place)) in order.into_iter().enumerate() {
            let (resource, scope) = block.stream(at).unwrap();
            let record = block.record(at).unwrap();
            let key = (record.time_ns, seq, place);
            assert!(before < key, "a block is in order");
            before = key;
            let around = (&block.resources().unwrap()[resource], &block.scopes().unwrap()[scope]);
            assert!(out.insert(key, format!("{around:?} {record:?}")).is_none(), "{key:?} is there twice");
        }
        let meta = found.meta().unwrap().unwrap();
        assert_eq!((meta.records, found.records()), (block.count() as u64, block.count() as u64));
        assert_eq!(meta.by_resource().unwrap().map(|(_, count)| count).sum::<u64>(), meta.records);
    }
    out
}

/// Calls until nothing changes.
fn settle(store: &LogStore, now_ms: i64, pace: &Pace) -> usize {
    store.settle_at(now_ms, pace, |_| true);
    let mut rounds = 0;
    loop {
        rounds += 1;
        store.settle_at(now_ms + SETTLE_QUIET_MS + rounds as i64 * 60_000, pace, |_| true);
        let under_way = store.settling.lock().is_at_work();
        if !under_way && store.state.lock().days.values().all(|day| day.settled.is_some()) {
            return rounds;
        }
        assert!(rounds < 1_000, "it comes to no end");
    }
}

fn open_settled(store: &LogStore) -> Vec<(usize, Option<u64>, usize)> {
    let state = store.state.lock();
    state.days.values().map(|day| (day.blocks.len(), day.settled, day.segments.len())).collect()
}

/// Files and directories in the making.
fn unfinished(dir: &Path) -> usize {
    let entries = fs::read_dir(dir.join("logs")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".new")).count()
}

#[test]
fn records_come_back_each_with_its_place_from_fewer_blocks() {
    for (pace, rounds_min) in [(Pace::default(), 2), (SMALL, 8)] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        for seq in 1..=12 {
            store.apply(seq, packed(&streams(seq, 120, 40)));
            upkeep(&store, NOON_MS, true);
        }
        let before = everything(&store.view());
        let view = store.view();
        let counts = open_settled(&store);
        let newest = store.view().newest_seq();
        let rounds = settle(&store, LATER_MS, &pace);
        assert!(rounds >= rounds_min, "{rounds} rounds");
        assert!(everything(&store.view()) == before, "{pace:?}");
        assert!(everything(&view) == before, "who looked before reads on");
        assert_eq!(store.view().newest_seq(), newest);
        let settled = open_settled(&store);
        for ((blocks, ..), (fewer, mark, segments)) in counts.iter().zip(&settled) {
            assert!(fewer < blocks, "{settled:?} of {counts:?}");
            assert_eq!((*mark, *segments), (Some(*fewer as u64), 1));
        }
        assert_eq!(unfinished(dir.path()), 0);
        let (found, ruled_out) = candidates(&store, "request_3");
        assert!(found > 0 && (ruled_out > 0 || settled.iter().all(|(blocks, ..)| *blocks == 1)), "{found} {ruled_out}");
        // Once.
        let files = |store: &LogStore| -> Vec<_> {
            store.state.lock().days.values().map(|day| Arc::as_ptr(&day.file)).collect()
        };
        let after = files(&store);
        settle(&store, LATER_MS + SETTLE_AGAIN_MS, &pace);
        assert_eq!(files(&store), after);
        drop((store, view));
        let store = open(dir.path());
        assert_eq!(open_settled(&store), settled, "a start finds it settled, with its index");
        // The intake log may bring all of it again.
        for seq in 1..=12 {
            store.apply(seq, packed(&streams(seq, 120, 40)));
        }
        assert_eq!(store.stats().head_records, 0);
        assert!(everything(&store.view()) == before);
    }
}

#[test]
fn what_comes_later_stays_and_is_taken_in_when_it_is_enough_or_old() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let arrive = |seq: u64, count: usize| {
        store.apply(seq, packed(&streams(seq, count, 20)));
        upkeep(&store, NOON_MS, true);
    };
    (1..=6).for_each(|seq| arrive(seq, 200));
    // Late records come while it is at work.
    store.settle_at(LATER_MS, &SMALL, |_| true);
    for _ in 0..4 {
        store.settle_at(LATER_MS + SETTLE_QUIET_MS, &SMALL, |_| true);
    }
    assert!(store.settling.lock().is_at_work() && unfinished(dir.path()) > 0);
    arrive(7, 20);
    let before = everything(&store.view());
    settle(&store, LATER_MS + SETTLE_QUIET_MS, &SMALL);
    assert!(everything(&store.view()) == before);
    let late = |store: &LogStore| -> Vec<u64> {
        open_settled(store).iter().map(|(blocks, settled, _)| *blocks as u64 - settled.unwrap()).collect()
    };
    assert!(late(&store)[0] > 0, "they lie behind those that are grouped: {:?}", late(&store));
    // Too few to begin again at once.
    let mut at_ms = LATER_MS + 3 * SETTLE_QUIET_MS;
    settle(&store, at_ms, &SMALL);
    assert!(late(&store)[0] > 0);
    at_ms += SETTLE_AGAIN_MS;
    for _ in 0..200 {
        store.settle_at(at_ms, &SMALL, |_| true);
    }
    assert_eq!(late(&store), [0, 0]);
    // Many.
    arrive(8, 400);
    at_ms += SETTLE_QUIET_MS;
    store.settle_at(at_ms, &SMALL, |_| true);
    let before = everything(&store.view());
    for _ in 0..200 {
        store.settle_at(at_ms + SETTLE_QUIET_MS, &SMALL, |_| true);
    }
    assert_eq!(late(&store), [0, 0]);
    assert!(everything(&store.view()) == before);
}

#[test]
fn days_that_are_not_over_or_quiet_or_have_no_room_wait() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for seq in 1..=3 {
        store.apply(seq, packed(&streams(seq, 100, 5)));
        upkeep(&store, NOON_MS, true);
    }
    let is_settled = || open_settled(&store).iter().map(|(_, settled, _)| settled.is_some()).collect::<Vec<_>>();
    let rounds = |at_ms: i64, has_room: bool| {
        for round in 0..4 {
            store.settle_at(at_ms + round, &Pace::default(), |_| has_room);
        }
    };
    rounds(NOON_MS, true);
    // The first day is not over, the second lies ahead.
    rounds(NOON_MS + SETTLE_QUIET_MS, true);
    assert_eq!(is_settled(), [false, false]);
    let tomorrow_ms = NOON_MS + 86_400_000;
    rounds(tomorrow_ms, false);
    rounds(tomorrow_ms + SETTLE_QUIET_MS, false);
    assert_eq!((is_settled(), unfinished(dir.path())), (vec![false, false], 0), "no room");
    rounds(tomorrow_ms + SETTLE_QUIET_MS + 10, true);
    assert_eq!(is_settled(), [true, false]);
    // A head that is not sealed.
    store.apply(4, packed(&streams(4, 100, 5)));
    rounds(LATER_MS, true);
    rounds(LATER_MS + SETTLE_QUIET_MS, true);
    assert_eq!(is_settled(), [true, false]);
}

#[test]
fn a_damaged_day_stays_as_it_is_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for seq in 1..=4 {
        store.apply(seq, packed(&batch(seq, 100, 1)));
        upkeep(&store, NOON_MS, true);
    }
    drop(store);
    let path = dir.path().join(format!("logs/{}.redb", Day::of_ms(NOON_MS)));
    damage::change_rows(&path, |txn| {
        let mut extents = txn.open_table(damage::EXTENTS).unwrap();
        let mut bytes = extents.get(2).unwrap().unwrap().value().to_vec();
        bytes[300] ^= 1;
        extents.insert(2, &*bytes).unwrap();
    });
    let store = open(dir.path());
    for round in 0..9 {
        store.settle_at(LATER_MS + round * SETTLE_QUIET_MS, &SMALL, |_| true);
    }
    assert_eq!(open_settled(&store), [(4, None, 0)]);
    assert_eq!((store.damage().len(), unfinished(dir.path())), (1, 0));
    assert!(store.damage()[0].contains("block 2"), "{:?}", store.damage());
    let found = blocks(&store.view(), &IndexQuery::All).0;
    assert_eq!(found.iter().filter(|block| block.read().is_ok()).count(), 3);
}

#[test]
fn what_is_under_way_is_thrown_away_when_the_day_goes_or_the_program_stops() {
    let dir = tempfile::tempdir().unwrap();
    let begin = |store: &LogStore| {
        for round in 0..4 {
            store.settle_at(LATER_MS + SETTLE_QUIET_MS * (round > 0) as i64, &SMALL, |_| true);
        }
        assert!(store.settling.lock().is_at_work() && unfinished(dir.path()) > 0);
    };
    let store = open(dir.path());
    for seq in 1..=6 {
        store.apply(seq, packed(&streams(seq, 200, 20)));
        upkeep(&store, NOON_MS, true);
    }
    let before = everything(&store.view());
    begin(&store);
    drop(store);
    assert_eq!(unfinished(dir.path()), 0);
    // As a crash leaves it.
    let day = Day::of_ms(NOON_MS);
    fs::create_dir_all(dir.path().join(format!("logs/{day}.idx.new/0-3"))).unwrap();
    fs::write(dir.path().join(format!("logs/{day}.redb.new")), b"half").unwrap();
    let store = open(dir.path());
    assert_eq!(unfinished(dir.path()), 0);
    assert!(everything(&store.view()) == before);
    begin(&store);
    store.drop_before(Day(day.0 + 1)).unwrap();
    assert_eq!(unfinished(dir.path()), 0);
    settle(&store, LATER_MS + SETTLE_QUIET_MS, &SMALL);
    let left: BTreeMap<_, _> = before.into_iter().filter(|((time_ns, ..), _)| Day::of_ns(*time_ns) > day).collect();
    assert!(everything(&store.view()) == left && !left.is_empty());
}
