//! Records as they arrive.

use super::records::batch;
use super::*;

#[test]
fn what_arrives_is_followed_once_each_over_seals_and_restarts() {
    let mut random = Random::new(chance::seed(3));
    let dir = tempfile::tempdir().unwrap();
    let (mut store, mut tenant, runtime) = filled(dir.path(), 3, &mut random);
    let search = parse("severity:>=info").unwrap();
    let mut position = Position::end_of(&tenant.snapshot().unwrap());
    let (mut sent, mut seen) = (Vec::new(), Vec::new());
    let mut now_ms = START_MS;
    for round in 0..30 {
        for _ in 0..random.below(4) {
            let batch = batch(&mut random);
            sent.extend(
                batch
                    .records
                    .iter()
                    .filter(|(_, _, record)| record.severity() >= Severity::Info)
                    .map(|row| show(&row.2)),
            );
            runtime.block_on(tenant.submit_logs(batch)).unwrap();
        }
        if random.below(3) == 0 {
            store.maintain(now_ms).unwrap();
            now_ms += 20 * 60_000;
            store.maintain(now_ms).unwrap();
        }
        if round % 10 == 9 {
            store.close().unwrap();
            drop(tenant);
            drop(store);
            store = Store::open(Options::new(dir.path()), now_ms).unwrap();
            tenant = store.tenant(&TenantId::default()).unwrap();
        }
        if random.below(2) == 0 {
            let limit = 1 + random.below(20);
            let position_then = Position::of_text(&position.to_text()).unwrap();
            let found = arrivals(&tenant.snapshot().unwrap(), &search, position_then, limit, &budget()).unwrap();
            assert_eq!(found.skipped, 0);
            assert!(found.rows.iter().is_sorted_by_key(|(_, at)| *at) && found.rows.len() <= limit);
            // A reader may be cut off after any row.
            let kept = if random.below(3) == 0 { random.below(found.rows.len() + 1) } else { found.rows.len() };
            seen.extend(found.rows[..kept].iter().map(|(row, _)| show(&row.record)));
            position = match kept {
                all if all == found.rows.len() => found.position,
                0 => position,
                kept => found.rows[kept - 1].1,
            };
        }
    }
    loop {
        let found = arrivals(&tenant.snapshot().unwrap(), &search, position, 7, &budget()).unwrap();
        seen.extend(found.rows.iter().map(|(row, _)| show(&row.record)));
        position = found.position;
        if !found.more {
            break;
        }
    }
    assert!(sent.len() > 50, "{}", sent.len());
    assert_eq!(seen, sent);
    // Large rows come a few at a time.
    let large = |n: i64| {
        (
            0,
            0,
            LogRecord {
                time_ns: n,
                severity_number: 9,
                body: AnyValue::Str("x".repeat(600_000)),
                ..LogRecord::default()
            },
        )
    };
    let records = (0..5).map(large).collect();
    let batch = LogBatch { resources: vec![Resource::default()], scopes: vec![Scope::default()], records };
    runtime.block_on(tenant.submit_logs(batch)).unwrap();
    for left in (0..5).rev() {
        let found = arrivals(&tenant.snapshot().unwrap(), &search, position, 7, &budget()).unwrap();
        assert_eq!((found.rows.len(), found.more, found.skipped), (1, left > 0, 0));
        position = found.position;
    }
    let ahead = Position::of_text("ffffff-0").unwrap();
    let found = arrivals(&tenant.snapshot().unwrap(), &search, ahead, 7, &budget()).unwrap();
    assert_eq!((found.rows.len(), found.position), (0, position));
    assert_eq!(Position::of_text("x-1"), None);
}

#[test]
fn a_reader_who_is_far_behind_is_told_how_many_it_missed() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, tenant, runtime) = filled(dir.path(), 1, &mut Random::new(5));
    let position = Position::end_of(&tenant.snapshot().unwrap());
    let record = |n: i64| (0, 0, LogRecord { time_ns: n, body: AnyValue::Int(n), ..LogRecord::default() });
    for part in 0..3 {
        let records = (part * 7_000..(part + 1) * 7_000).map(record).collect();
        let batch = LogBatch { resources: vec![Resource::default()], scopes: vec![Scope::default()], records };
        runtime.block_on(tenant.submit_logs(batch)).unwrap();
    }
    let snapshot = tenant.snapshot().unwrap();
    let found = arrivals(&snapshot, &parse("").unwrap(), position, 100, &budget()).unwrap();
    assert_eq!((found.skipped, found.rows.len(), found.more), (20_900, 100, false));
    assert_eq!(found.rows[0].0.record.body, AnyValue::Int(20_900));
    assert_eq!(found.position, Position::end_of(&snapshot));
}
