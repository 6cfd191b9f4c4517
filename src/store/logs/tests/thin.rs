//! Streams that are kept for less: their records go, the others stay, the space is free, and readers of before read on.

use model::{MatchOp, Matcher};

use super::*;

/// Keeps `label=value` for so many days.
fn rule(label: &str, value: &str, days: i64) -> StreamRetention {
    StreamRetention {
        matchers: vec![Matcher::new(label, MatchOp::Equal, value).unwrap()],
        keep_ms: days * 86_400_000,
        priority: 1,
    }
}

fn thin(store: &LogStore, rules: &[StreamRetention], now_ms: i64) {
    store.thin_due(rules, now_ms, |_| true);
}

/// As [`batch`], every third record a debug one, with text enough that files differ.
pub(super) fn long_batch(seq: u64, count: usize, days: usize) -> LogBatch {
    let mut batch = batch(seq, count, days);
    for (at, (_, _, record)) in batch.records.iter_mut().enumerate() {
        let noise: String = (0..40)
            .map(|n| format!("{:x} ", (seq * 7_919 + at as u64 * 104_729 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect();
        record.body = AnyValue::Str(format!("record {at} of request_{seq} {noise}"));
        record.severity_number = if at % 3 == 0 { 5 } else { 9 };
    }
    batch
}

/// The records that are left of what was sent.
fn left(batches: &[LogBatch], stays: impl Fn(u32, &LogRecord) -> bool) -> BTreeMap<String, usize> {
    let records = batches.iter().flat_map(|batch| &batch.records);
    let kept = records.filter(|(resource, _, record)| stays(*resource, record));
    kept.map(|(_, _, record)| (record.body.to_text(), 1)).collect()
}

fn bytes(store: &LogStore) -> u64 {
    store.days().iter().map(|(_, bytes)| bytes).sum()
}

#[test]
fn records_of_a_stream_whose_time_is_over_go_and_the_space_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let batches: Vec<LogBatch> = (1..=4).map(|seq| long_batch(seq, 900, 2)).collect();
    for (batch, seq) in batches.iter().zip(1..) {
        store.apply(seq, packed(batch));
        upkeep(&store, NOON_MS, true);
    }
    upkeep(&store, NOON_MS + 3_600_000, false);
    let first = Day::of_ms(NOON_MS);
    let on_first = |record: &LogRecord| Day::of_ns(record.time_ns) == first;
    let rules = [rule("service_name", "a", 3), rule("severity", "debug", 4)];
    let before = bytes(&store);
    // Nothing is over.
    thin(&store, &rules, NOON_MS + 3 * 86_400_000);
    assert_eq!(bodies(&store), once_each(&batches));
    let view = store.view();
    // Of the first day service a is.
    let at_ms = NOON_MS + 4 * 86_400_000;
    thin(&store, &rules, at_ms);
    let expected = left(&batches, |resource, record| !(resource == 0 && on_first(record)));
    assert_eq!(bodies(&store), expected);
    let after = bytes(&store);
    assert!((after as f64) < before as f64 * 0.85, "{after} bytes on the disk, {before} before");
    assert!(candidates(&store, "nothing").1 > 0, "the index was made anew");
    // Who looked before reads on.
    let mut seen = 0;
    for block in blocks(&view, &IndexQuery::All).0 {
        assert!(block.meta().unwrap().is_some());
        seen += block.read().unwrap().unwrap().count();
    }
    assert_eq!(seen, 3_600);
    drop(view);
    // A day later debug is, and the second day's service a.
    for _ in 0..2 {
        thin(&store, &rules, at_ms + 86_400_000);
    }
    let stays = |resource: u32, record: &LogRecord| !(resource == 0 || record.severity_number == 5 && on_first(record));
    assert_eq!(bodies(&store), left(&batches, stays));
    let at_last = bytes(&store);
    // Files so small have the size of redb's steps.
    assert!(at_last <= after, "{at_last} bytes on the disk, {after} and {before} before");
    drop(store);
    // The intake log may bring all of it again.
    let store = open(dir.path());
    batches.iter().zip(1..).for_each(|(batch, seq)| store.apply(seq, packed(batch)));
    assert_eq!(bodies(&store), left(&batches, stays));
    // What comes late goes, too.
    let late = long_batch(5, 30, 1);
    store.apply(5, packed(&late));
    upkeep(&store, at_ms, true);
    for _ in 0..3 {
        thin(&store, &rules, at_ms + 86_400_000);
    }
    let mut all = left(&batches, stays);
    all.extend(left(&[late], stays));
    assert_eq!(bodies(&store), all);
    let mut verified = crate::Verified::default();
    store.verify(false, &mut verified).unwrap();
    assert_eq!(verified.damage, Vec::<String>::new());
}

#[test]
fn without_room_for_a_second_file_the_day_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let batches = [long_batch(1, 100, 1)];
    store.apply(1, packed(&batches[0]));
    upkeep(&store, NOON_MS, true);
    let rules = [rule("service_name", "a", 1)];
    store.thin_due(&rules, NOON_MS + 9 * 86_400_000, |_| false);
    assert_eq!(bodies(&store), once_each(&batches));
    thin(&store, &rules, NOON_MS + 9 * 86_400_000);
    assert_eq!(bodies(&store).len(), 50);
    // All of it goes.
    thin(&store, &[rule("service_name", "b", 1)], NOON_MS + 9 * 86_400_000);
    store.state.lock().days.values_mut().for_each(|day| day.looked = None);
    thin(&store, &[rule("service_name", "b", 1)], NOON_MS + 9 * 86_400_000);
    assert_eq!(bodies(&store).len(), 0);
}
