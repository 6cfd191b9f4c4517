//! What must hold of every query, whatever it says: it is written as it is read, and however it is asked, its answers agree.

mod grammar;

use std::time::{Duration, Instant};

use chance::Random;
use model::{AnyValue, LogBatch, LogRecord, NsRange, Resource, Scope, TenantId};
use store::{Options, Snapshot, Store};

use super::*;
use crate::logs::Direction;
use crate::{Budget, QueryError};

const START_MS: i64 = 1_795_226_400_000;
const START_NS: i64 = START_MS * 1_000_000;
const S: i64 = 1_000_000_000;
/// The records lie within so many seconds, and queries look around them.
const SPAN_S: i64 = 60;
/// A query over these few records that takes longer is stuck.
const QUERY_MAX: Duration = Duration::from_secs(5);

fn text(value: &str) -> AnyValue {
    AnyValue::Str(value.into())
}

fn records(random: &mut Random, count: i64) -> LogBatch {
    let resource = |name: &str, host: &str| Resource {
        attributes: vec![("service.name".into(), text(name)), ("host.name".into(), text(host))],
        ..Resource::default()
    };
    let record = |random: &mut Random| {
        let (op, n, ms) = (random.pick(&["get", "put", "err"]), random.below(4), random.below(900));
        let line = match random.below(9) {
            0 | 1 => format!(r#"{{"op":"{op}","ms":{ms},"n":{n},"a":{{"b":[{n},"x"]}},"user":"ann"}}"#),
            2 | 3 => format!(r#"op={op} ms={ms} took={ms}ms size={n}KB msg="a \"b\" é""#),
            4 => format!(r#"{{"_entry":"op={op} n={n}","user":"bob"}}"#),
            5 => format!("GET /a/{n} from 10.0.0.{n} in {ms}ms"),
            6 => format!("\u{1b}[31merr\u{1b}[0m {n}"),
            7 => format!(r#"{{"op":"{op}""#),
            _ => String::new(),
        };
        let attributes = match random.below(3) {
            0 => Vec::new(),
            1 => vec![("user".into(), text("ann")), ("ms".into(), AnyValue::Int(ms))],
            _ => vec![("addr".into(), text("10.0.0.7")), ("took".into(), text("1m5s")), ("size".into(), text("3kB"))],
        };
        LogRecord {
            // Some of one time.
            time_ns: START_NS + random.below(SPAN_S * 4) * (S / 4),
            severity_number: random.pick(&[0, 9, 17]),
            body: text(&line),
            attributes,
            ..LogRecord::default()
        }
    };
    LogBatch {
        resources: vec![resource("api", "h1"), resource("api", "h2"), resource("worker", "h1")],
        scopes: vec![Scope::default()],
        records: (0..count).map(|_| (random.below(3_u32), 0, record(random))).collect(),
    }
}

/// Half of the records in blocks, half not yet.
fn with_records(random: &mut Random, run: impl FnOnce(&mut Random, &Snapshot)) {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let now_ms = START_MS + 3_600_000;
    let store = Store::open(Options::new(dir.path()), now_ms).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    runtime.block_on(tenant.submit_logs(records(random, 60))).unwrap();
    store.maintain(now_ms).unwrap();
    store.maintain(now_ms + 3_600_000).unwrap();
    runtime.block_on(tenant.submit_logs(records(random, 60))).unwrap();
    let snapshot = tenant.snapshot().unwrap();
    run(random, &snapshot);
}

fn budget() -> Budget {
    Budget::starting_now(Duration::from_secs(60))
}

/// Also what fails is part of an answer, so that both ways of asking must fail alike.
fn told<T>(found: Result<T, QueryError>) -> Result<T, String> {
    found.map_err(|error| error.to_string())
}

/// By name, with values as texts, so that they compare even when they are no number.
type Rows = Vec<(String, Vec<(i64, String)>)>;

fn rows(value: Value, at_ms: i64) -> Rows {
    let row = |labels: model::Labels, points: Vec<(i64, f64)>| {
        (labels.to_string(), points.into_iter().map(|(at_ms, value)| (at_ms, digits(value))).collect())
    };
    let mut rows: Rows = match value {
        Value::Scalar(value) => vec![row(model::Labels::default(), vec![(at_ms, value)])],
        Value::Vector(samples) => {
            samples.into_iter().map(|(labels, value)| row(labels, vec![(at_ms, value)])).collect()
        }
        Value::Matrix(all) => all.into_iter().map(|(labels, points)| row(labels, points)).collect(),
    };
    rows.sort();
    rows
}

/// What is added up in another order differs in the last of its digits.
fn digits(value: f64) -> String {
    format!("{:.9e}", if value == 0.0 { 0.0 } else { value })
}

#[test]
fn what_is_written_is_read_as_the_same() {
    let seed = chance::seed(4_404);
    let mut random = Random::new(seed);
    let mut taken = 0;
    let cases = chance::from_env("CASES").unwrap_or(4_000);
    for case in 0..cases {
        let query = grammar::query(&mut random);
        let Ok(expr) = parse(&query) else { continue };
        taken += 1;
        for (how, written) in [("canonical", expr.to_string()), ("pretty", expr.pretty())] {
            let again =
                parse(&written).unwrap_or_else(|error| panic!("case {case}: {query}\n{how} {written}\n{error}"));
            // No number equals itself that is none.
            assert_eq!(format!("{again:?}"), format!("{expr:?}"), "case {case}: {query}\n{how} {written}");
        }
    }
    assert!(taken * 2 > cases, "{taken} of {cases} were taken");
}

/// Splits, limits and directions only choose from the same entries.
#[test]
fn log_queries_agree_however_they_are_asked() {
    let mut random = Random::new(chance::seed(4_405));
    with_records(&mut random, |random, snapshot| {
        let (mut seen, cases) = (0, chance::from_env("CASES").unwrap_or(250));
        for _ in 0..cases {
            let query = grammar::log(random);
            let Ok(Expr::Log(log)) = parse(&query) else { continue };
            let begun = Instant::now();
            let ask = |start_ns: i64, end_ns: i64, direction: Direction, limit: usize| {
                let range = NsRange { start_ns, end_ns };
                told(select(Some(snapshot), &log, range, direction, limit, 0, &budget())).map(|answer| answer.entries)
            };
            let (start_ns, end_ns) = (START_NS, START_NS + SPAN_S * S);
            let forward = ask(start_ns, end_ns, Direction::OldestFirst, 1_000);
            let Ok(forward) = forward else { continue };
            seen += forward.len();
            let backward = ask(start_ns, end_ns, Direction::NewestFirst, 1_000).unwrap();
            let sorted = |entries: &[LogEntry]| {
                let mut all: Vec<String> = entries.iter().map(|entry| format!("{entry:?}")).collect();
                all.sort();
                all
            };
            assert_eq!(sorted(&forward), sorted(&backward), "{query}");
            for limit in [1, 7] {
                let first = ask(start_ns, end_ns, Direction::OldestFirst, limit).unwrap();
                assert_eq!(first, forward[..limit.min(forward.len())], "{query} limit {limit}");
                let last = ask(start_ns, end_ns, Direction::NewestFirst, limit).unwrap();
                assert_eq!(last, backward[..limit.min(backward.len())], "{query} limit {limit}");
            }
            let middle_ns = start_ns + random.below(SPAN_S * 4) * (S / 4);
            let mut joined = ask(start_ns, middle_ns, Direction::OldestFirst, 1_000).unwrap();
            joined.extend(ask(middle_ns, end_ns, Direction::OldestFirst, 1_000).unwrap());
            assert_eq!(joined, forward, "{query} split at {middle_ns}");
            assert!(begun.elapsed() < QUERY_MAX, "{query} took {:?}", begun.elapsed());
        }
        assert!(seen as u64 > cases, "{seen} entries in all");
    });
}

/// Over steps, at one instant, and over the steps in two parts.
#[test]
fn metric_queries_agree_however_they_are_asked() {
    let mut random = Random::new(chance::seed(4_406));
    with_records(&mut random, |random, snapshot| {
        let (mut seen, cases) = (0, chance::from_env("CASES").unwrap_or(250));
        for _ in 0..cases {
            let query = grammar::metric(random, 3);
            let Ok(Expr::Metric(metric)) = parse(&query) else { continue };
            let begun = Instant::now();
            let step_ns = random.pick(&[S, 5 * S, 13 * S]);
            let start_ns = START_NS + random.below(20_i64) * S;
            let steps: i64 = 1 + random.below(6_i64);
            let by = random.pick(&[By::Ruler, By::Api]);
            let over = |start_ns: i64, steps: i64| {
                let end_ns = start_ns + (steps - 1) * step_ns;
                told(range(Some(snapshot), &metric, start_ns, end_ns, step_ns, by, &budget()))
                    .map(|answer| rows(answer.value, start_ns / 1_000_000))
            };
            let Ok(whole) = over(start_ns, steps) else { continue };
            seen += whole.len();
            // Each step by itself, then at an instant.
            for step in 0..steps {
                let at_ns = start_ns + step * step_ns;
                let at_ms = at_ns / 1_000_000;
                let mut expected: Rows = whole
                    .iter()
                    .map(|(name, points)| {
                        (name.clone(), points.iter().filter(|(at, _)| *at == at_ms).cloned().collect())
                    })
                    .filter(|(_, points): &(String, Vec<_>)| !points.is_empty())
                    .collect();
                // Those alike are in no order that could be told.
                expected.iter_mut().for_each(|(_, points)| points.sort());
                expected.sort();
                assert_eq!(over(at_ns, 1).map(merged).as_ref(), Ok(&expected), "{query} {by:?} step {step}");
                let instant = told(instant_of(Some(snapshot), &metric, at_ns, by, &budget()));
                let instant = instant.map(|answer| rows(answer.value, at_ms));
                assert_eq!(merged(instant.unwrap()), expected, "{query} {by:?} instant {step}");
            }
            assert!(begun.elapsed() < QUERY_MAX * 2, "{query} took {:?}", begun.elapsed());
        }
        assert!(seen as u64 > cases, "{seen} series in all");
    });
}

/// Series of one name are one over steps, and several at an instant; their points are in order.
fn merged(rows: Rows) -> Rows {
    let mut out: Rows = Vec::new();
    for (name, points) in rows {
        match out.last_mut().filter(|(last, _)| *last == name) {
            Some((_, all)) => all.extend(points),
            None => out.push((name, points)),
        }
    }
    out.iter_mut().for_each(|(_, points)| points.sort());
    out
}
