//! Answers in parts: by page, and by what the budget allows.

use super::records::batch;
use super::*;

#[test]
fn logql_shows_what_its_pipeline_makes_and_pages_like_any_search() {
    let mut random = Random::new(19);
    let dir = tempfile::tempdir().unwrap();
    let (store, tenant, runtime) = filled(dir.path(), 4, &mut random);
    store.maintain(START_MS).unwrap();
    store.maintain(START_MS + 3_600_000).unwrap();
    runtime.block_on(tenant.submit_logs(batch(&mut random))).unwrap();
    let snapshot = tenant.snapshot().unwrap();
    let text = "{service_name=~\".+\"} |= \"e\" | line_format \"{{__line__ | len}} {{.service_name}}\" | label_format seen=service_name";
    let text = text.replace(" | len", "");
    let search = parse(&text).unwrap();
    let whole = super::search(&snapshot, &search, NsRange::ALL, Direction::NewestFirst, 999, None, &budget()).unwrap();
    assert!(whole.rows.len() > 10, "{}", whole.rows.len());
    let (mut paged, mut cursor) = (Vec::new(), None);
    loop {
        let page =
            super::search(&snapshot, &search, NsRange::ALL, Direction::NewestFirst, 3, cursor.as_deref(), &budget());
        let page = page.unwrap();
        cursor = page.rows.last().map(|row| row.cursor.clone());
        paged.extend(page.rows);
        if !page.more {
            break;
        }
    }
    assert_eq!(paged, whole.rows);
    for row in &whole.rows {
        let service = row.value("resource.service.name").unwrap_or_default();
        assert!(row.record.body.to_text().ends_with(&service), "{row:?}");
        assert_eq!(row.value("attributes.seen").as_deref(), Some(service.as_str()));
    }
    for (text, says) in
        [("{service_name=~\".+\"", "parse error"), ("{}", "at least one"), ("{a=\"b\"} | nonsense()", "parse error")]
    {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn what_the_budget_ends_is_whole_for_a_part_and_goes_on_from_there() {
    let mut random = Random::new(17);
    let dir = tempfile::tempdir().unwrap();
    let (store, tenant, runtime) = filled(dir.path(), 4, &mut random);
    for hours in 1..6 {
        store.maintain(START_MS + hours * 3_600_000).unwrap();
        runtime.block_on(tenant.submit_logs(batch(&mut random))).unwrap();
    }
    let snapshot = tenant.snapshot().unwrap();
    let all = parse("").unwrap();
    for direction in [Direction::NewestFirst, Direction::OldestFirst] {
        let whole = super::search(&snapshot, &all, NsRange::ALL, direction, 999, None, &budget()).unwrap();
        assert!(whole.rows.len() > 90 && whole.partial.is_none());
        let mut parts = 0;
        for bytes_max in [0, 2_000, 5_000, 20_000, 60_000, 1 << 30] {
            let small = Budget { bytes_max, ..budget() };
            let found = search_in_part(&snapshot, &all, NsRange::ALL, direction, 999, None, &small).unwrap();
            let Some(Partial { reason, covered }) = found.partial else {
                assert_eq!(found.rows, whole.rows);
                continue;
            };
            parts += 1;
            assert!(reason.contains("query.memory_max"), "{reason}");
            let expected: Vec<Row> =
                whole.rows.iter().filter(|row| covered.contains(row.record.time_ns)).cloned().collect();
            assert_eq!(found.rows, expected, "{direction:?} {bytes_max}");
        }
        assert!(parts > 2, "{parts}");
    }
    let range = NsRange { start_ns: START_MS * 1_000_000 - DAY_NS, end_ns: START_MS * 1_000_000 + 3 * DAY_NS };
    let late = Budget { deadline: std::time::Instant::now(), ..budget() };
    let (buckets, partial) = histogram_in_part(&snapshot, &all, range, DAY_NS, &budget()).unwrap();
    assert!(partial.is_none() && buckets.iter().any(|bucket| bucket.counts.iter().sum::<u64>() > 0));
    let (buckets, partial) = histogram_in_part(&snapshot, &all, range, DAY_NS, &late).unwrap();
    let reason = partial.map(|partial| partial.reason).unwrap_or_default();
    assert!(reason.contains("query.timeout") && buckets.len() > 3, "{reason}");
    let found = window_patterns(&snapshot, &all, range, 0, DAY_NS, &late).unwrap();
    let small = Budget { bytes_max: 1_000, ..budget() };
    let some = window_patterns(&snapshot, &all, range, 0, DAY_NS, &small).unwrap();
    for (found, expected) in [(found.partial, "query.timeout"), (some.partial, "query.memory_max")] {
        assert!(found.is_some_and(|partial| partial.reason.contains(expected)), "{expected}");
    }
}
