//! Searches over a real store answer as a plain reference does over the records sent, wherever the records are.

use std::collections::BTreeMap;
use std::time::Duration;

use model::any::hex;
use model::log::Attributes;
use model::{AnyValue, LogBatch, LogRecord, NsRange, Resource, Scope, Severity, TenantId};
use store::{Options, Store, Tenant};

use super::expr::Compare;
use super::*;

const START_MS: i64 = 1_795_226_400_000;
const DAY_NS: i64 = 86_400_000_000_000;

/// xorshift64*: enough to vary tests, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

const WORDS: [&str; 18] = [
    "error",
    "Error",
    "errors",
    "connection",
    "CONNECTION",
    "refused",
    "timeout",
    "10.0.0.7:5432",
    "user_42",
    "Straße",
    "İstanbul",
    "GET",
    "/api/orders",
    "order-17",
    "say \"hi\"",
    "a\nb",
    "接続",
    "x",
];
const KEYS: [&str; 6] = ["http.status", "user", "ctx", "tags", "service.name", "took"];

type Rest = (Arc<Resource>, Arc<Scope>, LogRecord);

fn text(random: &mut Random) -> String {
    let count = 1 + random.below(5);
    let mut out = String::new();
    for _ in 0..count {
        out.push_str(random.pick(&WORDS));
        out.push_str(random.pick(&[" ", " ", ": ", ",", "="]));
    }
    out
}

fn value(random: &mut Random, depth: usize) -> AnyValue {
    match random.below(if depth > 1 { 7 } else { 9 }) {
        0 | 1 => AnyValue::Str(random.pick(&WORDS).to_string()),
        2 => AnyValue::Int(random.pick(&[200, 404, 500, 503, -5])),
        3 => AnyValue::Double(random.pick(&[500.0, 0.25, 1e9])),
        4 => AnyValue::Str(random.pick(&["500", "5e2", "api", "API", "500 ms", ""]).to_string()),
        5 => AnyValue::Bool(true),
        6 => AnyValue::Empty,
        7 => AnyValue::Array((0..random.below(3)).map(|_| value(random, depth + 1)).collect()),
        _ => AnyValue::Map(vec![
            ("id".into(), value(random, depth + 1)),
            ("deep".into(), AnyValue::Map(vec![("x".into(), value(random, depth + 1))])),
        ]),
    }
}

fn attributes(random: &mut Random, keys: &[&str]) -> Attributes {
    (0..random.below(4)).map(|_| ((random.pick(keys)).into(), value(random, 0))).collect()
}

fn batch(random: &mut Random) -> LogBatch {
    let resource = |random: &mut Random| Resource {
        attributes: vec![
            ("service.name".into(), AnyValue::Str(random.pick(&["api", "worker", "Payment-API"]).to_string())),
            ("user".into(), value(random, 0)),
        ],
        ..Resource::default()
    };
    let scope = |random: &mut Random| Scope {
        name: random.pick(&["", "orders"]).to_string(),
        attributes: attributes(random, &KEYS),
        ..Scope::default()
    };
    let record = |random: &mut Random| LogRecord {
        // Few distinct times, so that many records tie; three days.
        time_ns: START_MS * 1_000_000 + random.below(3) as i64 * DAY_NS + random.below(40) as i64 * 7_000_000_000,
        observed_time_ns: random.below(2) as i64,
        severity_number: random.pick(&[0, 0, 5, 9, 9, 10, 13, 17, 21, 99]),
        severity_text: random.pick(&["", "INFO", "warning", "Odd"]).to_string(),
        body: match random.below(6) {
            0 => value(random, 0),
            1 => AnyValue::Map(vec![("msg".into(), AnyValue::Str(text(random))), ("n".into(), value(random, 0))]),
            _ => AnyValue::Str(text(random)),
        },
        attributes: attributes(random, &KEYS),
        trace_id: (random.below(3) == 0).then(|| [1 + random.below(20) as u8; 16]),
        span_id: (random.below(3) == 0).then(|| [1 + random.below(20) as u8; 8]),
        event_name: random.pick(&["", "", "order.placed"]).to_string(),
        ..LogRecord::default()
    };
    LogBatch {
        resources: (0..2).map(|_| resource(random)).collect(),
        scopes: (0..2).map(|_| scope(random)).collect(),
        records: (0..12).map(|_| (random.below(2) as u32, random.below(2) as u32, record(random))).collect(),
    }
}

/// A search as a tree, with its text and its meaning, written without regard to how searches are run.
enum Wanted {
    Word(&'static str, bool, bool),
    Phrase(String),
    Same(&'static str, String, bool, bool),
    Exactly(&'static str, String),
    Number(&'static str, Compare, f64),
    Exists(&'static str),
    Severity(Compare, Severity),
    Not(Box<Wanted>),
    Both(Box<Wanted>, Box<Wanted>),
    Either(Box<Wanted>, Box<Wanted>),
}

const PATHS: [&str; 14] = [
    "http.status",
    "user",
    "ctx",
    "ctx.id",
    "ctx.deep.x",
    "tags",
    "tags.id",
    "service.name",
    "resource.service.name",
    "attributes.user",
    "scope.name",
    "body.n",
    "event_name",
    "severity_text",
];

fn wanted(random: &mut Random, depth: usize) -> Wanted {
    const COMPARE: [Compare; 5] =
        [Compare::Less, Compare::LessOrEqual, Compare::Equal, Compare::GreaterOrEqual, Compare::Greater];
    let words =
        ["error", "REFUSED", "conn", "10.0.0.7", "user_42", "straße", "orders", "order-1", "7:5432", "接続", "i", "x"];
    let values = ["api", "payment-api", "500", "5E2", "/api/orders", "istanbul", "true", "say", "order.placed", "-5"];
    match random.below(if depth > 2 { 8 } else { 12 }) {
        0 | 1 => Wanted::Word(random.pick(&words), random.below(3) == 0, random.below(3) == 0),
        2 => {
            let of_text = text(random);
            let from = of_text.floor_char_boundary(random.below(6));
            Wanted::Phrase(of_text[from..of_text.ceil_char_boundary(from + 1 + random.below(14))].to_owned())
        }
        3 => Wanted::Same(
            random.pick(&PATHS),
            random.pick(&values).to_string(),
            random.below(4) == 0,
            random.below(4) == 0,
        ),
        4 => Wanted::Exactly(random.pick(&PATHS), value(random, 0).to_text()),
        5 => Wanted::Number(random.pick(&PATHS), random.pick(&COMPARE), random.pick(&[500.0, 0.25, 404.0])),
        6 => Wanted::Exists(random.pick(&PATHS)),
        7 => Wanted::Severity(random.pick(&COMPARE), random.pick(&Severity::ALL)),
        8 | 9 => Wanted::Both(Box::new(wanted(random, depth + 1)), Box::new(wanted(random, depth + 1))),
        10 => Wanted::Either(Box::new(wanted(random, depth + 1)), Box::new(wanted(random, depth + 1))),
        _ => Wanted::Not(Box::new(wanted(random, depth + 1))),
    }
}

fn stars(text: &str, start: bool, end: bool) -> String {
    format!("{}{text}{}", if start { "*" } else { "" }, if end { "*" } else { "" })
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn sign(compare: Compare) -> &'static str {
    match compare {
        Compare::Less => "<",
        Compare::LessOrEqual => "<=",
        Compare::Equal => "=",
        Compare::GreaterOrEqual => ">=",
        Compare::Greater => ">",
    }
}

impl Wanted {
    fn text(&self) -> String {
        match self {
            Wanted::Word(word, start, end) => stars(word, *start, *end),
            Wanted::Phrase(text) => quote(text),
            Wanted::Same(path, text, start, end) => format!("{path}:{}", stars(text, *start, *end)),
            Wanted::Exactly(path, text) => format!("{path}:{}", quote(text)),
            Wanted::Number(path, compare, number) => format!("{path}:{}{number}", sign(*compare)),
            Wanted::Exists(path) => format!("{path}:*"),
            Wanted::Severity(compare, severity) => format!("severity:{}{}", sign(*compare), severity.as_str()),
            Wanted::Not(inner) => format!("NOT ({})", inner.text()),
            Wanted::Both(left, right) => format!("({}) ({})", left.text(), right.text()),
            Wanted::Either(left, right) => format!("(({}) OR {})", left.text(), right.text()),
        }
    }

    fn holds(&self, row: &Rest) -> bool {
        let numeric = |value: &AnyValue| match value {
            AnyValue::Int(value) => Some(*value as f64),
            AnyValue::Double(value) => Some(*value),
            AnyValue::Str(text) if text.starts_with(|c: char| c.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        match self {
            Wanted::Word(word, start, end) => {
                body_texts(&row.2.body).iter().any(|text| has_word(text, word, *start, *end))
            }
            Wanted::Phrase(phrase) => body_texts(&row.2.body).iter().any(|text| text.contains(phrase)),
            Wanted::Same(path, wanted, start, end) => values(row, path).iter().any(|value| {
                let (text, wanted) = (lower(&value.to_text()), lower(wanted));
                match (start, end, wanted.parse::<f64>()) {
                    (false, false, Ok(wanted)) => numeric(value) == Some(wanted),
                    (false, false, _) => text == wanted,
                    (false, true, _) => text.starts_with(&wanted),
                    (true, false, _) => text.ends_with(&wanted),
                    (true, true, _) => text.contains(&wanted),
                }
            }),
            Wanted::Exactly(path, wanted) => values(row, path).iter().any(|value| value.to_text() == *wanted),
            Wanted::Number(path, compare, wanted) => values(row, path)
                .iter()
                .any(|value| numeric(value).is_some_and(|number| compare.holds(&number, wanted))),
            Wanted::Exists(path) => !values(row, path).is_empty(),
            Wanted::Severity(compare, wanted) => compare.holds(&row.2.severity(), wanted),
            Wanted::Not(inner) => !inner.holds(row),
            Wanted::Both(left, right) => left.holds(row) && right.holds(row),
            Wanted::Either(left, right) => left.holds(row) || right.holds(row),
        }
    }
}

fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn body_texts(body: &AnyValue) -> Vec<String> {
    fn strings(value: &AnyValue, out: &mut Vec<String>) {
        match value {
            AnyValue::Str(text) => out.push(text.clone()),
            AnyValue::Array(values) => values.iter().for_each(|value| strings(value, out)),
            AnyValue::Map(entries) => entries.iter().for_each(|(_, value)| strings(value, out)),
            _ => {}
        }
    }
    let mut out = vec![body.to_text()];
    strings(body, &mut out);
    out
}

/// Character by character.
fn has_word(text: &str, word: &str, open_start: bool, open_end: bool) -> bool {
    let text: Vec<char> = lower(text).chars().collect();
    let word: Vec<char> = lower(word).chars().collect();
    let in_word = |at: usize| text.get(at).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let cuts = |at: usize| at > 0 && in_word(at - 1) && in_word(at);
    (0..text.len())
        .any(|at| text[at..].starts_with(&word) && (open_start || !cuts(at)) && (open_end || !cuts(at + word.len())))
}

fn values(row: &Rest, path: &str) -> Vec<AnyValue> {
    let (resource, scope, record) = row;
    let text = |text: &str| if text.is_empty() { Vec::new() } else { vec![AnyValue::Str(text.into())] };
    match path {
        "event_name" => text(&record.event_name),
        "severity_text" => text(&record.severity_text),
        "scope.name" => text(&scope.name),
        "body.n" => match &record.body {
            AnyValue::Map(entries) => at_path(entries, "n"),
            AnyValue::Array(values) => values
                .iter()
                .flat_map(|value| match value {
                    AnyValue::Map(entries) => at_path(entries, "n"),
                    _ => Vec::new(),
                })
                .collect(),
            _ => Vec::new(),
        },
        "resource.service.name" => at_path(&resource.attributes, "service.name"),
        "attributes.user" => at_path(&record.attributes, "user"),
        _ => [&record.attributes, &scope.attributes, &resource.attributes]
            .into_iter()
            .map(|attributes| at_path(attributes, path))
            .find(|found| !found.is_empty())
            .unwrap_or_default(),
    }
}

fn at_path(attributes: &Attributes, path: &str) -> Vec<AnyValue> {
    fn all(prefix: &str, value: &AnyValue, out: &mut Vec<(String, AnyValue)>) {
        out.push((prefix.to_owned(), value.clone()));
        match value {
            AnyValue::Array(values) => values.iter().for_each(|value| all(prefix, value, out)),
            AnyValue::Map(entries) => {
                entries.iter().for_each(|(key, value)| all(&format!("{prefix}.{key}"), value, out))
            }
            _ => {}
        }
    }
    let last: BTreeMap<&str, &AnyValue> = attributes.iter().map(|(key, value)| (&**key, value)).collect();
    let mut found = Vec::new();
    last.iter().for_each(|(key, value)| all(key, value, &mut found));
    found.into_iter().filter(|(at, _)| at == path).map(|(_, value)| value).collect()
}

fn budget() -> Budget {
    Budget::starting_now(Duration::from_secs(60))
}

fn show(record: &LogRecord) -> String {
    format!("{record:?}")
}

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
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for row in &expected {
        if let Some(first) = values(row, "service.name").first() {
            *counts.entry(first.to_text()).or_default() += 1;
        }
    }
    let found = top_values(&snapshot, &search, range, "service.name", 1_000, &budget()).unwrap();
    assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), counts, "values {text}");
}

#[test]
fn searches_answer_alike_in_head_blocks_and_index() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(2_u64);
    println!("SEED={seed}");
    let mut random = Random(seed | 1);
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

#[test]
fn bad_searches_say_where() {
    for (text, line, column, reason) in [
        ("a (b", 1, 3, "never closed"),
        ("a)", 1, 2, "closes nothing"),
        ("a\n\"b", 2, 1, "never closed"),
        ("x AND", 1, 6, "missing"),
        ("OR x", 1, 1, "on its left"),
        ("ü a*b", 1, 3, "start or the end"),
        ("status:>=high", 1, 10, "compares numbers"),
        ("severity:>loud", 1, 11, "no severity is called"),
        ("service.name:", 1, 1, "needs a value"),
        ("time:>yesterday", 1, 7, "is no time"),
        ("a ()", 1, 4, "missing"),
    ] {
        match parse(text) {
            Err(QueryError::Parse { line: at_line, column: at_column, reason: given, start, end }) => {
                assert!(given.contains(reason), "{text}: {given}");
                assert_eq!((at_line, at_column), (line, column), "{text}: {given}");
                assert!(start <= end && text.is_char_boundary(start) && end <= text.len() + 1, "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(parse(&"(".repeat(65)).unwrap_err().to_string().contains("nests deeper"));
    assert!(parse(&"-".repeat(16_000)).unwrap_err().to_string().contains("nests deeper"));
    assert!(parse(&"a ".repeat(9_000)).unwrap_err().to_string().contains("16384"));
}

#[test]
fn words_that_look_like_operators_or_fields_are_words() {
    for text in
        ["", "  ", "and or not", "-", "12:30:05", "http://x.y/z", "::1", "a-b", "-(a b) OR c", "\"weird key\":v", "*"]
    {
        assert!(parse(text).is_ok(), "{text}");
    }
}

#[test]
fn budgets_end_a_search_and_say_which() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(Options::new(dir.path()), START_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tenant.submit_logs(batch(&mut Random(7)))).unwrap();
    let snapshot = tenant.snapshot().unwrap();
    let run = |budget: &Budget| {
        let all = parse("").unwrap();
        super::search(&snapshot, &all, NsRange::ALL, Direction::NewestFirst, 5, None, budget)
    };
    let late = Budget { deadline: std::time::Instant::now(), ..budget() };
    assert!(matches!(run(&late), Err(QueryError::Timeout { seconds: 60.0 })));
    let cancelled = budget();
    cancelled.cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(run(&cancelled), Err(QueryError::Cancelled)));
    let small = Budget { bytes_max: 10, ..budget() };
    assert!(run(&small).unwrap_err().to_string().contains("query.memory_max"));
    assert_eq!(run(&budget()).unwrap().rows.len(), 5);
    let bad =
        super::search(&snapshot, &parse("").unwrap(), NsRange::ALL, Direction::NewestFirst, 5, Some("x"), &budget());
    assert!(matches!(bad, Err(QueryError::Evaluation { .. })));
    let wide = histogram(&snapshot, &parse("").unwrap(), NsRange::ALL, 1, &budget());
    assert!(wide.unwrap_err().to_string().contains("11000"));
}
