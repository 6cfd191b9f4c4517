//! Searches answer alike wherever the records are.

use std::collections::BTreeMap;

use model::any::hex;

use super::records::{Rest, batch};
use super::reference::{values, wanted};
use super::*;

/// Runs a search in pages, both directions, and its histogram, and compares with the reference.
fn compare(tenant: &Tenant, sent: &[Rest], text: &str, holds: &dyn Fn(&Rest) -> bool, range: NsRange) {
    let snapshot = tenant.snapshot().unwrap();
    let search = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut expected: Vec<&Rest> = sent.iter().filter(|row| range.contains(row.2.time_ns) && holds(row)).collect();
    // Sent one after the other, so the order of intake is the order of `sent`: a stable sort keeps it.
    expected.sort_by_key(|row| row.2.time_ns);
    for direction in [Direction::OldestFirst, Direction::NewestFirst] {
        let mut found = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let answer = super::search(&snapshot, &search, range, direction, 17, cursor.as_deref(), &budget()).unwrap();
            cursor = answer.rows.last().map(|row| row.cursor.clone());
            found.extend(answer.rows);
            if !answer.more {
                break;
            }
        }
        if direction == Direction::NewestFirst {
            found.reverse();
        }
        let expected: Vec<String> = expected.iter().map(|row| show(&row.2)).collect();
        let found: Vec<String> = found.iter().map(|row| show(&row.record)).collect();
        assert_eq!(found, expected, "{direction:?} {text}");
    }
    for width_ns in [60_000_000_000, 7_000_000_000_000, 90_000_000_000] {
        let span = NsRange {
            start_ns: range.start_ns.max(START_MS * 1_000_000),
            end_ns: range.end_ns.min(START_MS * 1_000_000 + 3 * DAY_NS),
        };
        let (buckets, _) = histogram(&snapshot, &search, span, width_ns, &budget()).unwrap();
        let mut counts: BTreeMap<(i64, usize), u64> = BTreeMap::new();
        for row in expected.iter().filter(|row| span.contains(row.2.time_ns)) {
            *counts.entry((row.2.time_ns.div_euclid(width_ns) * width_ns, row.2.severity() as usize)).or_default() += 1;
        }
        let mut found = BTreeMap::new();
        for bucket in buckets {
            for (severity, count) in bucket.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                found.insert((bucket.start_ns, severity), *count);
            }
        }
        assert_eq!(found, counts, "histogram {width_ns} {text}");
    }
    for field in ["service.name", "http.status", "user", "took"] {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for row in &expected {
            if let Some(first) = values(row, field).first() {
                *counts.entry(first.to_text()).or_default() += 1;
            }
        }
        let found = top_values(&snapshot, &search, range, field, 1_000, &budget()).unwrap();
        assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), counts, "values of {field} {text}");
    }
}

#[test]
fn searches_answer_alike_in_head_blocks_and_index() {
    let mut random = Random::new(chance::seed(2));
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let open = |now_ms: i64| Store::open(Options::new(dir.path()), now_ms).unwrap();
    let mut now_ms = START_MS + 2 * 86_400_000;
    let mut store = open(now_ms);
    let mut sent: Vec<Rest> = Vec::new();
    let mut skipped = 0;
    for round in 0..8 {
        let tenant = store.tenant(&TenantId::default()).unwrap();
        for _ in 0..5 {
            let batch = batch(&mut random);
            let (resources, scopes): (Vec<_>, Vec<_>) = (
                batch.resources.iter().cloned().map(Arc::new).collect(),
                batch.scopes.iter().cloned().map(Arc::new).collect(),
            );
            for (resource, scope, record) in &batch.records {
                sent.push((resources[*resource as usize].clone(), scopes[*scope as usize].clone(), record.clone()));
            }
            runtime.block_on(tenant.submit_logs(batch)).unwrap();
            if matches!(round % 4, 1 | 2) {
                // Many blocks of few records, so that the index has something to rule out.
                store.maintain(now_ms).unwrap();
                now_ms += 20 * 60_000;
                store.maintain(now_ms).unwrap();
            }
        }
        // By turns: all in the head, some in blocks, blocks indexed, opened anew, with and without the head sealed.
        match round % 4 {
            0 | 1 => {}
            2 => {
                store.maintain(now_ms).unwrap();
                now_ms += 120 * 60_000;
                store.maintain(now_ms).unwrap();
                now_ms += 120 * 60_000;
                store.maintain(now_ms).unwrap();
            }
            _ => {
                store.close().unwrap();
                drop(tenant);
                drop(store);
                store = open(now_ms);
            }
        }
        let tenant = store.tenant(&TenantId::default()).unwrap();
        for _ in 0..40 {
            let tree = wanted(&mut random, 0);
            let start_ns =
                START_MS * 1_000_000 + random.below(3) as i64 * DAY_NS + random.below(300) as i64 * 1_000_000_000;
            let range = random.pick(&[
                NsRange::ALL,
                NsRange { start_ns, end_ns: start_ns + DAY_NS },
                NsRange { start_ns, end_ns: start_ns + 60_000_000_000 },
            ]);
            compare(&tenant, &sent, &tree.text(), &|row| tree.holds(row), range);
        }
        for byte in [1 + round as u8, 20] {
            let id = hex(&[byte; 16]);
            let holds = |row: &Rest| row.2.trace_id == Some([byte; 16]);
            compare(&tenant, &sent, &format!("trace_id:{}", id.to_uppercase()), &holds, NsRange::ALL);
            compare(&tenant, &sent, &format!("trace_id:\"{id}\""), &holds, NsRange::ALL);
        }
        let needle = parse("trace_id:ffffffffffffffffffffffffffffffff").unwrap();
        let snapshot = tenant.snapshot().unwrap();
        let answer =
            super::search(&snapshot, &needle, NsRange::ALL, Direction::NewestFirst, 10, None, &budget()).unwrap();
        assert_eq!(answer.rows, []);
        skipped += answer.stats.blocks_skipped;
    }
    // Otherwise this compares scans with scans.
    assert!(skipped > 10, "the index ruled out {skipped} blocks only");
}
