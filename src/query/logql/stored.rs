//! LogQL over a real store answers as a plain reference does over the records sent, wherever the records are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::log::{STREAM_ATTRIBUTES, STREAM_LABELS};
use model::{AnyValue, Labels, LogBatch, LogRecord, NsRange, Resource, Scope, TenantId};
use store::{Options, Store, Tenant};

use super::*;
use crate::Budget;
use crate::logs::Direction;
use chance::Random;

const START_MS: i64 = 1_795_226_400_000;
const START_NS: i64 = START_MS * 1_000_000;
const S: i64 = 1_000_000_000;

fn budget() -> Budget {
    Budget::starting_now(Duration::from_secs(60))
}

/// A record as the reference has it.
#[derive(Debug, Clone, PartialEq)]
struct Kept {
    time_ns: i64,
    stream: BTreeMap<String, String>,
    metadata: BTreeMap<String, String>,
    line: String,
}

fn text(value: &str) -> AnyValue {
    AnyValue::Str(value.into())
}

fn batch(random: &mut Random) -> LogBatch {
    let resource = |random: &mut Random| match random.below(4) {
        0 => Resource {
            attributes: vec![("job".into(), text(random.pick(&["a", "b"]))), ("service.name".into(), text("pushed"))],
            schema_url: STREAM_LABELS.into(),
            ..Resource::default()
        },
        1 => Resource { attributes: vec![("host.name".into(), text("h1"))], ..Resource::default() },
        _ => Resource {
            attributes: vec![
                ("service.name".into(), text(random.pick(&["api", "worker", "Api"]))),
                ("host.name".into(), text(random.pick(&["h1", "h2"]))),
            ],
            ..Resource::default()
        },
    };
    let record = |random: &mut Random| LogRecord {
        // Few distinct times and lines, so that there are twins; two days.
        time_ns: START_NS + random.below(2) as i64 * 86_400 * S + random.below(60) as i64 * S,
        severity_number: random.pick(&[0, 9, 17]),
        body: text(random.pick(&["GET /a", "GET /b", "an error", "took=5ms", ""])),
        attributes: match random.below(3) {
            0 => Vec::new(),
            1 => vec![
                ("user".into(), text(random.pick(&["ann", "bob"]))),
                ("took".into(), AnyValue::Int(random.below(9) as i64)),
            ],
            _ => vec![("took".into(), AnyValue::Double(0.25)), ("user.id".into(), AnyValue::Int(7))],
        },
        ..LogRecord::default()
    };
    LogBatch {
        resources: (0..2).map(|_| resource(random)).collect(),
        scopes: vec![Scope::default()],
        records: (0..15).map(|_| (random.below(2) as u32, 0, record(random))).collect(),
    }
}

fn kept(batch: &LogBatch) -> Vec<Kept> {
    let level = |record: &LogRecord, line: &str| match record.severity_number {
        9 => "info",
        17 => "error",
        _ if line.contains("error") => "error",
        _ => "unknown",
    };
    let of = |(resource, _, record): &(u32, u32, LogRecord)| {
        let resource = &batch.resources[*resource as usize];
        let (mut stream, mut metadata) = (BTreeMap::new(), BTreeMap::new());
        for (key, value) in &resource.attributes {
            let is_stream = resource.schema_url == STREAM_LABELS || STREAM_ATTRIBUTES.contains(&&**key);
            let labels = if is_stream { &mut stream } else { &mut metadata };
            labels.insert(key.replace('.', "_"), value.to_text());
        }
        stream.entry("service_name".into()).or_insert_with(|| "unknown_service".into());
        for (key, value) in &record.attributes {
            metadata.insert(key.replace('.', "_"), value.to_text());
        }
        if record.severity_number != 0 {
            metadata.insert("severity_number".into(), record.severity_number.to_string());
        }
        let line = record.body.to_text();
        metadata.insert("detected_level".into(), level(record, &line).into());
        Kept { time_ns: record.time_ns, stream, metadata, line }
    };
    batch.records.iter().map(of).collect()
}

/// Where Loki puts a stream among others of one time: by the hash of its names and values, each behind it a 0xff.
fn stream_order(one: &Kept) -> u64 {
    let texts = one.stream.iter().flat_map(|(name, value)| [name, value]);
    let bytes: Vec<u8> = texts.flat_map(|text| text.bytes().chain([0xff])).collect();
    xxhash_rust::xxh64::xxh64(&bytes, 0)
}

/// Of the same stream, time and line the first stays.
fn without_twins(sent: &[Kept]) -> Vec<&Kept> {
    let mut seen = BTreeSet::new();
    let mut left: Vec<&Kept> = sent.iter().filter(|one| seen.insert((&one.stream, one.time_ns, &one.line))).collect();
    left.sort_by_key(|one| (one.time_ns, stream_order(one)));
    left
}

fn map(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn labels(map: &BTreeMap<String, String>) -> Labels {
    Labels::from_pairs(map.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

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

fn check_lines(tenant: &Tenant, all: &[&Kept], range: NsRange) {
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

fn only(one: &Kept, names: &[&str]) -> Labels {
    Labels::from_pairs(names.iter().filter_map(|name| {
        let value = one.stream.get(*name).or_else(|| one.metadata.get(*name))?;
        Some((*name, value.as_str()))
    }))
}

/// Query, labels of a sample, its value, and the value of a window.
type Case = (&'static str, fn(&Kept) -> Option<(Labels, f64)>, fn(&[f64]) -> f64);

const METRICS: [Case; 11] = [
    (
        r#"sum by (service_name) (count_over_time({service_name=~".+"} [20s]))"#,
        |one| Some((only(one, &["service_name"]), 1.0)),
        |values| values.len() as f64,
    ),
    (
        r#"sum by (detected_level) (rate({service_name=~".+"} |= "GET" [10s]))"#,
        |one| one.line.contains("GET").then(|| (only(one, &["detected_level"]), 1.0)),
        |values| values.len() as f64 / 10.0,
    ),
    (
        r#"sum(bytes_over_time({service_name="api"} [20s]))"#,
        |one| (one.stream["service_name"] == "api").then(|| (Labels::default(), one.line.len() as f64)),
        |values| values.iter().sum(),
    ),
    (
        r#"sum by (job, host_name) (count_over_time({service_name=~".+"} [5s]))"#,
        |one| Some((only(one, &["job", "host_name"]), 1.0)),
        |values| values.len() as f64,
    ),
    (
        r#"max by (user) (max_over_time({service_name=~".+"} | unwrap took [30s]))"#,
        |one| Some((only(one, &["user"]), one.metadata.get("took")?.parse().unwrap())),
        |values| values.iter().copied().fold(f64::MIN, f64::max),
    ),
    (
        r#"quantile_over_time(0.5, {service_name=~".+"} | unwrap took [30s]) by (service_name)"#,
        |one| Some((only(one, &["service_name"]), one.metadata.get("took")?.parse().unwrap())),
        |values| {
            let mut sorted = values.to_vec();
            sorted.sort_by(f64::total_cmp);
            let rank = 0.5 * (sorted.len() - 1) as f64;
            let (lower, upper) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
            (lower + upper) / 2.0
        },
    ),
    // Samples of one time are in the order of their streams.
    (
        r#"first_over_time({service_name=~".+"} | unwrap took [30s]) by (detected_level)"#,
        |one| Some((only(one, &["detected_level"]), one.metadata.get("took")?.parse().unwrap())),
        |values| values[0],
    ),
    (
        r#"last_over_time({service_name=~".+"} | unwrap took [30s]) by ()"#,
        |one| Some((Labels::default(), one.metadata.get("took")?.parse().unwrap())),
        |values| values[values.len() - 1],
    ),
    (
        r#"sum by (user) (sum_over_time({service_name=~".+"} | unwrap took [30s] offset 5s))"#,
        |one| Some((only(one, &["user"]), one.metadata.get("took")?.parse().unwrap())),
        |values| values.iter().sum(),
    ),
    (
        r#"sum by (path) (count_over_time({service_name=~".+"} | regexp "GET (?P<path>.*)" [20s]))"#,
        |one| {
            let path = one.line.strip_prefix("GET ").unwrap_or_default();
            Some((Labels::from_pairs([("path", path)]), 1.0))
        },
        |values| values.len() as f64,
    ),
    (
        r#"label_replace(sum by (user) (count_over_time({service_name=~".+"} [20s])), "user", "x-$1", "user", "(a.*)") * 2"#,
        |one| {
            let labels = only(one, &["user"]);
            let renamed = labels.get("user").filter(|user| user.starts_with('a')).map(|user| format!("x-{user}"));
            Some((renamed.map_or(labels.clone(), |user| labels.with("user", &user)), 1.0))
        },
        |values| values.len() as f64 * 2.0,
    ),
];

fn check_metrics(tenant: &Tenant, all: &[&Kept], start_ns: i64, end_ns: i64, step_ns: i64) {
    let snapshot = tenant.snapshot().unwrap();
    for (query, sample, value) in METRICS {
        let Expr::Metric(metric) = parse(query).unwrap() else { panic!("{query}") };
        let window_ns = match query {
            _ if query.contains("[30s") => 30 * S,
            _ if query.contains("[20s") => 20 * S,
            _ if query.contains("[10s") => 10 * S,
            _ => 5 * S,
        };
        let offset_ns = if query.contains("offset 5s") { 5 * S } else { 0 };
        let mut expected: BTreeMap<Labels, Points> = BTreeMap::new();
        let mut at_ns = start_ns;
        while at_ns <= end_ns {
            let mut windows: BTreeMap<Labels, Vec<f64>> = BTreeMap::new();
            let end = at_ns - offset_ns;
            for one in all.iter().filter(|one| one.time_ns > end - window_ns && one.time_ns <= end) {
                if let Some((labels, value)) = sample(one) {
                    windows.entry(labels).or_default().push(value);
                }
            }
            for (labels, values) in windows {
                expected.entry(labels).or_default().push((at_ns / 1_000_000, value(&values)));
            }
            at_ns += step_ns;
        }
        let answer = range(Some(&snapshot), &metric, start_ns, end_ns, step_ns, &budget()).unwrap();
        let Value::Matrix(found) = answer.value else { panic!("{query}") };
        let expected: Vec<(Labels, Points)> = expected.into_iter().collect();
        assert_eq!(found.len(), expected.len(), "{query}: {found:?}\n{expected:?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.0, expected.0, "{query}");
            let close =
                |(left, right): (&(i64, f64), &(i64, f64))| left.0 == right.0 && (left.1 - right.1).abs() < 1e-9;
            assert!(
                found.1.len() == expected.1.len() && found.1.iter().zip(&expected.1).all(close),
                "{query} {}: {:?}\n{:?}",
                found.0,
                found.1,
                expected.1
            );
        }
        let answer = instant(&snapshot, query, end_ns, &budget()).unwrap();
        let last = |(labels, points): &(Labels, Points)| {
            let (at_ms, value) = *points.last()?;
            (at_ms == end_ns / 1_000_000).then(|| (labels.clone(), value))
        };
        if (end_ns - start_ns) % step_ns == 0 {
            let expected: Vec<(Labels, f64)> = expected.iter().filter_map(last).collect();
            assert_eq!(answer.len(), expected.len(), "{query}");
        }
    }
}

fn check_streams(tenant: &Tenant, sent: &[Kept], range: NsRange) {
    let snapshot = tenant.snapshot().unwrap();
    let (found, _) = volumes(Some(&snapshot), &[], range, Some(10 * S), &budget()).unwrap();
    let mut expected: BTreeMap<Labels, u64> = BTreeMap::new();
    for one in sent.iter().filter(|one| range.contains(one.time_ns)) {
        *expected.entry(labels(&one.stream)).or_default() += 1;
    }
    let counted: BTreeMap<Labels, u64> = found.iter().map(|one| (one.labels.clone(), one.records)).collect();
    assert_eq!(counted, expected);
    for one in &found {
        let by_step: u64 = one.steps.values().sum();
        assert!(by_step <= one.bytes && one.bytes - by_step <= one.steps.len() as u64 * one.chunks, "{one:?}");
    }
    let only = vec![model::Matcher::equal("service_name", "worker")];
    let some = streams(Some(&snapshot), &[only], range, &budget()).unwrap();
    let workers = expected.keys().filter(|labels| labels.value("service_name") == "worker").cloned();
    assert_eq!(some, workers.collect::<Vec<_>>());
}

#[test]
fn queries_answer_alike_in_head_blocks_and_index() {
    let mut random = Random::new(chance::seed(5));
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut now_ms = START_MS + 2 * 86_400_000;
    let store = Store::open(Options::new(dir.path()), now_ms).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    let mut sent: Vec<Kept> = Vec::new();
    for round in 0..6 {
        for _ in 0..4 {
            let batch = batch(&mut random);
            sent.extend(kept(&batch));
            runtime.block_on(tenant.submit_logs(batch)).unwrap();
            if round % 3 != 0 {
                store.maintain(now_ms).unwrap();
                now_ms += 20 * 60_000;
                store.maintain(now_ms).unwrap();
            }
        }
        let all = without_twins(&sent);
        check_lines(&tenant, &all, NsRange { start_ns: i64::MIN, end_ns: i64::MAX });
        check_lines(&tenant, &all, NsRange { start_ns: START_NS + 10 * S, end_ns: START_NS + 40 * S });
        check_metrics(&tenant, &all, START_NS, START_NS + 60 * S, 15 * S);
        check_metrics(&tenant, &all, START_NS + 86_400 * S + 7, START_NS + 86_400 * S + 50 * S, 4 * S);
        check_streams(&tenant, &sent, NsRange { start_ns: START_NS + 5 * S, end_ns: START_NS + 45 * S });
    }
}

#[test]
fn streams_of_one_block_weigh_what_their_records_do() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Store::open(Options::new(dir.path()), START_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    let resource =
        |name: &str| Resource { attributes: vec![("service.name".into(), text(name))], ..Resource::default() };
    let record = |resource: u32, at: i64, line: String| {
        (resource, 0, LogRecord { time_ns: START_NS + at, body: AnyValue::Str(line), ..LogRecord::default() })
    };
    let many = (0..90).map(|at| record(0, at, "few".into()));
    let large = (0..10).map(|at| record(1, at, "x".repeat(2_000)));
    let resources = vec![resource("many"), resource("large")];
    let batch = LogBatch { resources, scopes: vec![Scope::default()], records: many.chain(large).collect() };
    runtime.block_on(tenant.submit_logs(batch)).unwrap();
    for place in ["head", "block"] {
        for step_ns in [None, Some(S)] {
            let range = NsRange { start_ns: START_NS, end_ns: START_NS + S };
            let (found, _) = volumes(Some(&tenant.snapshot().unwrap()), &[], range, step_ns, &budget()).unwrap();
            let [large, many] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!((large.records, many.records), (10, 90), "{place}");
            assert!((20_000..25_000).contains(&large.bytes) && many.bytes < 10_000, "{place}: {found:?}");
        }
        store.maintain(START_MS).unwrap();
        store.maintain(START_MS + 60 * 60_000).unwrap();
    }
}

#[test]
fn records_that_may_have_twins_are_held_only_while_they_may() {
    const ROUNDS: i64 = 20;
    const RECORDS: i64 = 400;
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut now_ms = START_MS;
    let store = Store::open(Options::new(dir.path()), now_ms).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    // One stream of two hosts, whose blocks lie beside each other in time; every tenth record is the same on both.
    let host = |name: &str| Resource {
        attributes: vec![("service.name".into(), text("api")), ("host.name".into(), text(name))],
        ..Resource::default()
    };
    let record = |round: i64, host: i64, at: i64| {
        let told = if at % 10 == 0 { 0 } else { host };
        LogRecord {
            time_ns: START_NS + round * 60 * S + at * 1_000 + told,
            body: AnyValue::Str(format!("{:200}", at * 2 + told)),
            ..LogRecord::default()
        }
    };
    for round in 0..ROUNDS {
        let of_host = |host: i64| (0..RECORDS).map(move |at| (host as u32, 0, record(round, host, at)));
        let records = of_host(0).chain(of_host(1)).collect();
        let batch = LogBatch { resources: vec![host("a"), host("b")], scopes: vec![Scope::default()], records };
        runtime.block_on(tenant.submit_logs(batch)).unwrap();
        store.maintain(now_ms).unwrap();
        now_ms += 20 * 60_000;
        store.maintain(now_ms).unwrap();
    }
    let Expr::Metric(metric) = parse(r#"sum(count_over_time({service_name="api"}[1h]))"#).unwrap() else {
        panic!("a metric query")
    };
    // A few dozen bytes for each record of two rounds, and for each that is on both hosts.
    for threads in [1, 2] {
        let small = Budget { bytes_max: 320_000, threads, ..budget() };
        let end_ns = START_NS + ROUNDS * 60 * S;
        let found = instant_of(Some(&tenant.snapshot().unwrap()), &metric, end_ns, &small).unwrap().value;
        let Value::Vector(found) = found else { panic!("{found:?}") };
        assert_eq!(found[0].1, (ROUNDS * RECORDS * 19 / 10) as f64, "{threads} threads");
    }
}

#[test]
fn a_tail_tells_each_new_entry_once_wherever_it_is() {
    let mut random = Random::new(77);
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut now_ms = START_MS + 2 * 86_400_000;
    let store = Store::open(Options::new(dir.path()), now_ms).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    runtime.block_on(tenant.submit_logs(batch(&mut random))).unwrap();
    let Expr::Log(log) = parse(r#"{service_name=~".+"}"#).unwrap() else { panic!("a log query") };
    let mut tail = Tail::new(log, Some(&tenant.snapshot().unwrap()), 0).unwrap();
    for round in 0..6 {
        let first = batch(&mut random);
        let second = batch(&mut random);
        let mut expected: Vec<Kept> = kept(&first);
        expected.extend(kept(&second));
        runtime.block_on(tenant.submit_logs(first)).unwrap();
        if round % 2 == 1 {
            store.maintain(now_ms).unwrap();
            now_ms += 20 * 60_000;
            store.maintain(now_ms).unwrap();
        }
        runtime.block_on(tenant.submit_logs(second)).unwrap();
        let look = tail.look(&tenant.snapshot().unwrap(), 1_000, &budget()).unwrap();
        let found: Vec<(i64, String)> = look.entries.iter().map(|entry| (entry.time_ns, entry.line.clone())).collect();
        let expected: Vec<(i64, String)> =
            without_twins(&expected).iter().map(|one| (one.time_ns, one.line.clone())).collect();
        assert_eq!(found.len(), expected.len(), "round {round}");
        assert_eq!(found.iter().collect::<BTreeSet<_>>(), expected.iter().collect::<BTreeSet<_>>());
        assert_eq!(tail.look(&tenant.snapshot().unwrap(), 1_000, &budget()).unwrap(), Look::default());
    }
    runtime.block_on(tenant.submit_logs(batch(&mut random))).unwrap();
    let look = tail.look(&tenant.snapshot().unwrap(), 3, &budget()).unwrap();
    assert_eq!(look.entries.len(), 3);
    assert!(!look.dropped.is_empty() && look.dropped.iter().all(|entry| entry.line.is_empty()));
}

#[test]
fn errors_and_limits_are_told_in_lokis_words() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Store::open(Options::new(dir.path()), START_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    let record = |at: i64, line: &str| LogRecord {
        time_ns: START_NS - at * S,
        body: text(line),
        attributes: vec![("n".into(), AnyValue::Int(at))],
        ..LogRecord::default()
    };
    let records = (0..600).map(|at| (0, 0, record(at, if at == 3 { "no json" } else { r#"{"a":"x"}"# }))).collect();
    let batch = LogBatch { resources: vec![Resource::default()], scopes: vec![Scope::default()], records };
    runtime.block_on(tenant.submit_logs(batch)).unwrap();
    let snapshot = tenant.snapshot().unwrap();
    for (query, expected) in [
        (r#"count_over_time({service_name=~".+"}[1h])"#, Err("maximum number of series (500) reached")),
        (r#"sum(count_over_time({service_name=~".+"}[1h]))"#, Ok(600.0)),
        (r#"sum(count_over_time({service_name=~".+"} | json [1h]))"#, Ok(600.0)),
        (r#"sum by (a) (count_over_time({service_name=~".+"} | json [1h]))"#, Err("pipeline error: 'JSONParserErr'")),
        (r#"sum by (a) (count_over_time({service_name=~".+"} | json | __error__="" [1h]))"#, Ok(599.0)),
        (r#"count(count_over_time({service_name=~".+"}[10m]))"#, Ok(600.0)),
        (r#"absent_over_time({service_name="nope"}[1h])"#, Ok(1.0)),
        (r#"vector(1)+vector(1)"#, Ok(2.0)),
        (r#"1 + 1"#, Ok(2.0)),
        (r#"{service_name=~".+"}"#, Err("a log query gives lines")),
        (r#"sum("#, Err("parse error")),
    ] {
        match (instant(&snapshot, query, START_NS, &budget()), expected) {
            (Ok(found), Ok(expected)) => {
                assert_eq!(found.iter().map(|one| one.1).collect::<Vec<_>>(), [expected], "{query}")
            }
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{query}: {error}"),
            (found, expected) => panic!("{query}: {found:?}, expected {expected:?}"),
        }
    }
    let absent = instant(&snapshot, r#"absent_over_time({service_name="nope", x!="y"}[1h])"#, START_NS, &budget());
    assert_eq!(absent.unwrap()[0].0.to_string(), r#"{service_name="nope"}"#);
}
