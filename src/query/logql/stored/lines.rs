//! Log queries beside the reference.

use model::NsRange;
use store::Tenant;

use super::super::{Expr, parse, select};
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
            let mut found: Vec<Kept> = answer
                .entries
                .iter()
                .map(|entry| Kept {
                    time_ns: entry.time_ns,
                    stream: map(&entry.stream),
                    metadata: map(&entry.metadata),
                    line: entry.line.clone(),
                })
                .collect();
            let mut wanted: Vec<Kept> = expected.iter().map(|one| (**one).clone()).collect();
            match direction {
                Direction::OldestFirst => wanted.sort_by_key(|one| (one.time_ns, stream_order(one))),
                // Of one stream and time the last one sent comes first.
                Direction::NewestFirst => {
                    wanted.reverse();
                    wanted.sort_by_key(|one| (std::cmp::Reverse(one.time_ns), stream_order(one)));
                }
            }
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
