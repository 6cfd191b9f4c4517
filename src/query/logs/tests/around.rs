//! Records around a record, fields and their values.

use super::*;

#[test]
fn the_lines_around_a_record_are_of_its_stream() {
    let mut random = Random::new(11);
    let dir = tempfile::tempdir().unwrap();
    let (store, tenant, _runtime) = filled(dir.path(), 6, &mut random);
    for sealed in [false, true] {
        if sealed {
            store.maintain(START_MS).unwrap();
            store.maintain(START_MS + 3_600_000).unwrap();
        }
        let snapshot = tenant.snapshot().unwrap();
        let all = parse("").unwrap();
        let rows =
            super::search(&snapshot, &all, NsRange::ALL, Direction::OldestFirst, 999, None, &budget()).unwrap().rows;
        for (at, row) in rows.iter().enumerate().step_by(7) {
            let of_stream: Vec<&Row> =
                rows.iter().filter(|other| other.resource == row.resource && other.scope == row.scope).collect();
            let place = of_stream.iter().position(|other| other.cursor == row.cursor).unwrap();
            let found = context(&snapshot, &row.cursor, &[], NsRange::ALL, 2, 3, &budget()).unwrap().unwrap();
            let expected: Vec<&Row> = of_stream[place.saturating_sub(2)..(place + 4).min(of_stream.len())].to_vec();
            assert_eq!(found.rows.iter().collect::<Vec<_>>(), expected, "{at} {sealed}");
            assert_eq!(found.rows[found.at], *row);
            assert_eq!((found.more_before, found.more_after), (place > 2, place + 4 < of_stream.len()));
            let by = ["resource.service.name".to_owned(), "no such".to_owned()];
            let wide = context(&snapshot, &row.cursor, &by, NsRange::ALL, 999, 999, &budget()).unwrap().unwrap();
            assert!(wide.rows.len() >= of_stream.len() && wide.rows[wide.at] == *row);
        }
        assert_eq!(context(&snapshot, "1-1-1", &[], NsRange::ALL, 2, 3, &budget()).unwrap(), None);
        let id = rows.iter().find_map(|row| row.record.trace_id).unwrap();
        let found = trace(&snapshot, id, NsRange::ALL, 999, None, &budget()).unwrap();
        let expected: Vec<Row> = rows.iter().filter(|row| row.record.trace_id == Some(id)).cloned().collect();
        assert_eq!(found.rows, expected);
    }
}

#[test]
fn facets_and_fields_agree_with_one_field_at_a_time() {
    let mut random = Random::new(13);
    let dir = tempfile::tempdir().unwrap();
    let (_store, tenant, _runtime) = filled(dir.path(), 6, &mut random);
    let snapshot = tenant.snapshot().unwrap();
    let search = parse("severity:>=info").unwrap();
    let names: Vec<String> = ["service.name", "user", "severity", "nothing"].map(str::to_owned).to_vec();
    let (found, partial) = facets(&snapshot, &search, NsRange::ALL, &names, 3, &budget()).unwrap();
    assert_eq!(partial, None);
    for facet in found {
        let mut all = top_values(&snapshot, &search, NsRange::ALL, &facet.field, 999, &budget()).unwrap();
        assert_eq!(facet.values, all.len());
        let others: u64 = all.iter().skip(3).map(|(_, count)| count).sum();
        all.truncate(3);
        assert_eq!((facet.top, facet.others, facet.overflows), (all, others, false), "{}", facet.field);
    }
    let (seen, whole) = fields(&snapshot, NsRange::ALL, &budget()).unwrap();
    assert!(whole);
    let has = |place: &str, name: &str| seen.iter().any(|field| field.place == place && field.name == name);
    for (place, name) in [
        ("resource", "service.name"),
        ("attributes", "http.status"),
        ("scope", "took"),
        ("body", "ctx.id"),
        ("body", "msg"),
    ] {
        assert!(has(place, name), "{place}.{name} of {seen:?}");
    }
    for (text, expected) in [
        ("servce.name:api http.status:5 -usr:x", "servce.name~service.name usr~user"),
        ("ctx.id.y:1 a_field_that_nobody_has:*", "a_field_that_nobody_has~"),
        ("status:500 resource.nothing:1 word", "status~http.status"),
    ] {
        let unknown = unknown_fields(&parse(text).unwrap(), &seen);
        let unknown: Vec<String> =
            unknown.into_iter().map(|(name, near)| format!("{name}~{}", near.unwrap_or_default())).collect();
        assert_eq!(unknown.join(" "), expected, "{text}");
    }
    let late = Budget { deadline: std::time::Instant::now(), ..budget() };
    let (_, partial) = facets(&snapshot, &search, NsRange::ALL, &names, 3, &late).unwrap();
    assert!(partial.is_some_and(|partial| partial.reason.contains("query.timeout")));
}
