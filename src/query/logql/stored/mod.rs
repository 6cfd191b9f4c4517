//! LogQL over a real store answers as a plain reference does over the records sent, wherever the records are.

mod asked;
mod lines;
mod metrics;
mod reference;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{AnyValue, Labels, LogBatch, LogRecord, NsRange, Resource, Scope, TenantId};
use store::{Options, Store, Tenant};

use self::lines::{check_distinct, check_lines};
use self::metrics::check_metrics;
use self::reference::{Kept, batch, kept, labels, text, without_twins};
use super::*;
use crate::Budget;
use chance::Random;

const START_MS: i64 = 1_795_226_400_000;
const START_NS: i64 = START_MS * 1_000_000;
const S: i64 = 1_000_000_000;

fn budget() -> Budget {
    Budget::starting_now(Duration::from_secs(60))
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
        check_distinct(&tenant, &sent, NsRange { start_ns: START_NS + 3 * S, end_ns: START_NS + 50 * S });
        check_metrics(&tenant, &all, START_NS, START_NS + 60 * S, 15 * S);
        check_metrics(&tenant, &all, START_NS + 86_400 * S + 7, START_NS + 86_400 * S + 50 * S, 4 * S);
        check_streams(&tenant, &sent, NsRange { start_ns: START_NS + 5 * S, end_ns: START_NS + 45 * S });
    }
}

/// Ten large records beside ninety small ones of another stream.
fn few_large(after_ns: i64) -> LogBatch {
    let resource =
        |name: &str| Resource { attributes: vec![("service.name".into(), text(name))], ..Resource::default() };
    let record = |resource: u32, at: i64, line: String| {
        let time_ns = START_NS + after_ns + at;
        (resource, 0, LogRecord { time_ns, body: AnyValue::Str(line), ..LogRecord::default() })
    };
    let many = (0..90).map(|at| record(0, at, "few".into()));
    let large = (0..10).map(|at| record(1, at, "x".repeat(2_000)));
    let resources = vec![resource("many"), resource("large")];
    LogBatch { resources, scopes: vec![Scope::default()], records: many.chain(large).collect() }
}

#[test]
fn streams_of_one_block_weigh_what_their_records_do() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Store::open(Options::new(dir.path()), START_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    runtime.block_on(tenant.submit_logs(few_large(0))).unwrap();
    for place in ["head", "block"] {
        for step_ns in [None, Some(S)] {
            let range = NsRange { start_ns: START_NS, end_ns: START_NS + S };
            let (found, _) = volumes(Some(&tenant.snapshot().unwrap()), &[], range, step_ns, &budget()).unwrap();
            let [large, many] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!((large.records, many.records), (10, 90), "{place}");
            assert!(
                (20_000..21_000).contains(&large.bytes) && (3_000..4_000).contains(&many.bytes),
                "{place}: {found:?}"
            );
        }
        store.maintain(START_MS).unwrap();
        store.maintain(START_MS + 60 * 60_000).unwrap();
    }
}

/// Of three blocks alike one is weighed, and tells what the others are likely to hold.
#[test]
fn streams_of_blocks_that_are_not_read_weigh_what_others_of_them_do() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Store::open(Options::new(dir.path()), START_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    for block in 0..3 {
        runtime.block_on(tenant.submit_logs(few_large(block * 60 * S))).unwrap();
        for minutes in [0, 30] {
            store.maintain(START_MS + (block * 60 + minutes) * 60_000).unwrap();
        }
    }
    let range = NsRange { start_ns: START_NS, end_ns: START_NS + 200 * S };
    let snapshot = tenant.snapshot().unwrap();
    for (step_ns, weighed_max) in [(None, 1 << 30), (None, 30_000), (Some(60 * S), 30_000), (None, 0)] {
        let (found, stats) = streams::measured(Some(&snapshot), &[], range, step_ns, weighed_max, &budget()).unwrap();
        let [large, many] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((large.records, many.records, large.chunks), (30, 270, 3));
        let all = large.bytes + many.bytes;
        // Before any was weighed all records are alike.
        let share = if weighed_max == 0 { 8..=12 } else { 80..=90 };
        assert!(share.contains(&(large.bytes * 100 / all)), "{weighed_max}: {found:?}");
        assert!(step_ns.is_some() || stats.blocks_scanned == (weighed_max / 25_000).min(3), "{stats:?}");
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
        let found = instant_of(Some(&tenant.snapshot().unwrap()), &metric, end_ns, By::Ruler, &small).unwrap().value;
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
    let Expr::Log(log) = parse(r#"{service_name=~".+"} | distinct detected_level |= "GET""#).unwrap() else {
        panic!("a log query")
    };
    let mut levels = Tail::new(log, Some(&tenant.snapshot().unwrap()), 0).unwrap();
    let mut seen = BTreeSet::new();
    for round in 0..6 {
        let first = batch(&mut random);
        let second = batch(&mut random);
        let mut expected: Vec<Kept> = kept(&first);
        expected.extend(kept(&second));
        // As a tail tells them: by time, then as they came.
        let mut in_order: Vec<&Kept> = expected.iter().collect();
        in_order.sort_by_key(|one| one.time_ns);
        in_order.retain(|one| seen.insert(one.metadata["detected_level"].clone()) && one.line.contains("GET"));
        let firsts: Vec<(i64, String)> = in_order.iter().map(|one| (one.time_ns, one.line.clone())).collect();
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
        let found = levels.look(&tenant.snapshot().unwrap(), 1_000, &budget()).unwrap().entries;
        let found: Vec<(i64, String)> = found.iter().map(|entry| (entry.time_ns, entry.line.clone())).collect();
        assert_eq!(found, firsts, "round {round}");
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
