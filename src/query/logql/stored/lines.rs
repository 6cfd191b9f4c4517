//! Log queries beside the reference.

use model::NsRange;
use store::Tenant;

use super::super::{Expr, LogEntry, parse, select};
use super::budget;
use super::reference::{Kept, map, stream_order};
use crate::logs::Direction;

type Holds = fn(&Kept) -> bool;

const SELECTIONS: [(&str, Holds); 8] = [
    (r#"{service_name=~".+"}"#, |_| true),
    (r#"{service_name="api"}"#, |one| one.stream["service_name"] == "api"),
    (r#"{service_name=~"a.*|worker"} != """#, |_| false),
    (r#"{service_name="unknown_service"}"#, |one| one.stream["service_name"] == "unknown_service"),
    (r#"{job="a"}"#, |one| one.stream.get("job").is_some_and(|job| job == "a")),
    (r#"{service_name!="api", service_name=~".+"} |= "error""#, |one| {
        one.stream["service_name"] != "api" && one.line.contains("error")
    }),
    (r#"{service_name=~".+"} | user="ann" | took > 3"#, |one| {
        one.metadata.get("user").is_some_and(|user| user == "ann")
            && one.metadata["took"].parse::<f64>().is_ok_and(|took| took > 3.0)
    }),
    (r#"{service_name=~".+"} |~ "GET .b" | detected_level="info""#, |one| {
        one.line == "GET /b" && one.metadata["detected_level"] == "info"
    }),
];

/// A query with `distinct`, what it takes before, the values it looks at, and what it takes behind.
type Distinct = (&'static str, Holds, fn(&Kept) -> String, Holds);

const DISTINCT: [Distinct; 4] = [
    (r#"{service_name=~".+"} | distinct service_name"#, |_| true, |one| one.stream["service_name"].clone(), |_| true),
    (
        r#"{service_name=~".+"} |= "GET" | distinct user, job | line_format "x""#,
        |one| one.line.contains("GET"),
        |one| {
            let value =
                |of: &std::collections::BTreeMap<String, String>, name: &str| of.get(name).cloned().unwrap_or_default();
            format!("{}\n{}", value(&one.metadata, "user"), value(&one.stream, "job"))
        },
        |_| true,
    ),
    // The first of its values may be refused behind.
    (
        r#"{service_name=~".+"} | distinct detected_level |= "GET""#,
        |_| true,
        |one| one.metadata["detected_level"].clone(),
        |one| one.line.contains("GET"),
    ),
    (
        r#"{service_name=~".+"} | distinct service_name | user="ann""#,
        |_| true,
        |one| one.stream["service_name"].clone(),
        |one| one.metadata.get("user").is_some_and(|user| user == "ann"),
    ),
];

fn entries(answer: &[LogEntry]) -> Vec<Kept> {
    let kept = |entry: &LogEntry| Kept {
        time_ns: entry.time_ns,
        stream: map(&entry.stream),
        metadata: map(&entry.metadata),
        line: entry.line.clone(),
    };
    answer.iter().map(kept).collect()
}

fn order(wanted: &mut [Kept], direction: Direction) {
    match direction {
        Direction::OldestFirst => wanted.sort_by_key(|one| (one.time_ns, stream_order(one))),
        // Of one stream and time the last one sent comes first.
        Direction::NewestFirst => {
            wanted.reverse();
            wanted.sort_by_key(|one| (std::cmp::Reverse(one.time_ns), stream_order(one)));
        }
    }
}

pub(super) fn check_distinct(tenant: &Tenant, sent: &[Kept], range: NsRange) {
    let snapshot = tenant.snapshot().unwrap();
    for (query, before, values, behind) in DISTINCT {
        let Expr::Log(log) = parse(query).unwrap() else { panic!("{query}") };
        for direction in [Direction::OldestFirst, Direction::NewestFirst] {
            for limit in [1, 2, 1_000] {
                let answer = select(Some(&snapshot), &log, range, direction, limit, 0, &budget()).unwrap();
                let found = entries(&answer.entries);
                let taken = sent.iter().filter(|one| range.contains(one.time_ns) && before(one));
                let mut wanted: Vec<Kept> = taken.cloned().collect();
                order(&mut wanted, direction);
                let mut seen = std::collections::BTreeSet::new();
                wanted.retain(|one| seen.insert(values(one)) && behind(one));
                wanted.truncate(limit);
                if query.contains("line_format") {
                    wanted.iter_mut().for_each(|one| one.line = "x".into());
                }
                assert_eq!(found, wanted, "{direction:?} {limit} {query}");
            }
        }
    }
}

pub(super) fn check_lines(tenant: &Tenant, all: &[&Kept], range: NsRange) {
    let snapshot = tenant.snapshot().unwrap();
    for (query, holds) in SELECTIONS {
        let Expr::Log(log) = parse(query).unwrap() else { panic!("{query}") };
        let expected: Vec<&&Kept> = all.iter().filter(|one| range.contains(one.time_ns) && holds(one)).collect();
        for (direction, limit) in [
            (Direction::OldestFirst, 1_000),
            (Direction::NewestFirst, 1_000),
            (Direction::NewestFirst, 7),
            (Direction::OldestFirst, 7),
        ] {
            let answer = select(Some(&snapshot), &log, range, direction, limit, 0, &budget()).unwrap();
            let mut found = entries(&answer.entries);
            let mut wanted: Vec<Kept> = expected.iter().map(|one| (**one).clone()).collect();
            order(&mut wanted, direction);
            wanted.truncate(limit);
            assert_eq!(found.len(), wanted.len(), "{direction:?} {query}");
            if limit > wanted.len() {
                let order = |one: &Kept| (one.time_ns, format!("{one:?}"));
                found.sort_by_key(order);
                wanted.sort_by_key(order);
            }
            assert_eq!(found, wanted, "{direction:?} {limit} {query}");
        }
    }
}
