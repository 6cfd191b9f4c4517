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
        body: match random.below(8) {
            0 => value(random, 0),
            6 => AnyValue::Str(format!(
                "{{\"user\":{},\"ctx\":{{\"id\":{}}},\"msg\":\"{}\"}}",
                random.pick(&["500", "\"api\"", "\"500\"", "true", "\"Straße\"", "[500,7]"]),
                random.pick(&["500", "\"API\"", "0.25", "null"]),
                random.pick(&["error", "user=1", "connection"]),
            )),
            7 => AnyValue::Str(format!(
                "ts=1 user={} {} ctx.id={}, took=\"{}\"",
                random.pick(&["500", "api", "\"500 ms\"", "user_42"]),
                random.pick(&WORDS),
                random.pick(&["500", "API"]),
                random.pick(&["500", "api"]),
            )),
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
    /// Two parts of a run without space.
    Between(&'static str, &'static str),
    /// A pattern in a field, or in the body.
    Matches(&'static str, &'static str),
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
    match random.below(if depth > 2 { 10 } else { 14 }) {
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
        8 => {
            Wanted::Between(random.pick(&["conn", "user", "/api", "i"]), random.pick(&["42", "orders", "tion", "bul"]))
        }
        9 => {
            Wanted::Matches(random.pick(&["body", "user", "ctx.id"]), random.pick(&["^a", "[0-9]{3}", "err|tion", "ß"]))
        }
        10 | 11 => Wanted::Both(Box::new(wanted(random, depth + 1)), Box::new(wanted(random, depth + 1))),
        12 => Wanted::Either(Box::new(wanted(random, depth + 1)), Box::new(wanted(random, depth + 1))),
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
            Wanted::Between(first, last) => format!("{first}*{last}"),
            Wanted::Matches(path, pattern) => format!("{path}:/{pattern}/"),
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
            Wanted::Between(first, last) => body_texts(&row.2.body).iter().any(|text| has_between(text, first, last)),
            Wanted::Matches(path, pattern) => {
                let pattern = regex::Regex::new(pattern).unwrap();
                match *path {
                    "body" => body_texts(&row.2.body).iter().any(|text| pattern.is_match(text)),
                    path => values(row, path).iter().any(|value| pattern.is_match(&value.to_text())),
                }
            }
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

fn has_between(text: &str, first: &str, last: &str) -> bool {
    let text = lower(text);
    let in_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.split(char::is_whitespace).any(|run| {
        run.match_indices(first).any(|(start, _)| {
            let rest = &run[start + first.len()..];
            let starts = !in_word(run[..start].chars().next_back()) || !in_word(first.chars().next());
            starts && rest.match_indices(last).any(|(at, _)| !in_word(rest[at + last.len()..].chars().next()))
        })
    })
}

fn values(row: &Rest, path: &str) -> Vec<AnyValue> {
    let (resource, scope, record) = row;
    let text = |text: &str| if text.is_empty() { Vec::new() } else { vec![AnyValue::Str(text.into())] };
    match path {
        "event_name" => text(&record.event_name),
        "severity_text" => text(&record.severity_text),
        "scope.name" => text(&scope.name),
        "body.n" if matches!(record.body, AnyValue::Str(_)) => in_text(&record.body, "n"),
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
            .chain([in_body(&record.body, path)])
            .find(|found| !found.is_empty())
            .unwrap_or_default(),
    }
}

fn in_body(body: &AnyValue, path: &str) -> Vec<AnyValue> {
    match body {
        AnyValue::Map(entries) => at_path(entries, path),
        AnyValue::Array(values) => values.iter().flat_map(|value| in_elements(value, path)).collect(),
        other => in_text(other, path),
    }
}

fn in_elements(value: &AnyValue, path: &str) -> Vec<AnyValue> {
    if let AnyValue::Str(_) = value { Vec::new() } else { in_body(value, path) }
}

fn in_text(body: &AnyValue, path: &str) -> Vec<AnyValue> {
    let mut found = Vec::new();
    if let AnyValue::Str(text) = body {
        codec::body::visit(text, &mut |at, value| {
            if at == path {
                found.push(value.to_value());
            }
        });
    }
    found
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
        ("status:>=high", 1, 10, "compares numbers"),
        ("severty:>=warn", 1, 11, "did you mean severity?"),
        ("ü /(a/ x", 1, 3, "unclosed group"),
        ("a:/x{9999}{9999}/", 1, 3, "memory"),
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
    for text in [
        "",
        "  ",
        "and or not",
        "-",
        "12:30:05",
        "http://x.y/z",
        "::1",
        "a-b",
        "-(a b) OR c",
        "\"weird key\":v",
        "*",
        "/api/orders",
        "/",
        "//",
        "/a/b/",
        "a*b",
        "k:a*b",
        "/a b/i",
        "k:/a\\/b/",
    ] {
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

#[test]
fn searches_find_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(Options::new(dir.path()), START_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    let bodies = [
        r#"{"status":500,"http":{"route":"/pay","ms":12.5},"msg":"card \"visa\" refused"}"#,
        "level=warn status=500 http.route=/pay msg=\"card refused\"",
        "GET /api/v1/orders 503 connection-refused",
        "Payment refused: id 9007199254740993",
        r#"{"status":"5e2","id":9007199254740993}"#,
    ];
    let at_ns = START_MS * 1_000_000;
    let record = |(n, body): (usize, &&str)| LogRecord {
        time_ns: at_ns + n as i64,
        body: AnyValue::Str((*body).into()),
        ..LogRecord::default()
    };
    let records = bodies.iter().enumerate().map(record).map(|record| (0, 0, record)).collect();
    let batch = LogBatch { resources: vec![Resource::default()], scopes: vec![Scope::default()], records };
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(tenant.submit_logs(batch)).unwrap();
    let check = |stage: &str| {
        let snapshot = tenant.snapshot().unwrap();
        for (text, expected) in [
            ("status:500", "01"),
            ("status:>=500", "01"),
            ("status:*", "014"),
            ("status:5e2", "01"),
            ("status:\"5e2\"", "4"),
            ("body.http.route:/pay", "01"),
            ("http.route:\"/pay\"", "01"),
            ("http.ms:>12", "0"),
            ("http.ms:12.5", "0"),
            ("msg:\"card \\\"visa\\\" refused\"", "0"),
            ("msg:card*refused", "01"),
            ("level:WARN", "1"),
            ("id:9007199254740993", "4"),
            ("id:9007199254740992", ""),
            ("resource.status:500", ""),
            ("attributes.status:500", ""),
            ("conn*refused", "2"),
            ("/v[0-9]+\\/orders/", "2"),
            ("/PAYMENT/i", "3"),
            ("/PAYMENT/", ""),
            ("msg:/vis[ab]/", "0"),
            ("-status:* refused", "23"),
            ("NOT /./", ""),
            ("{service_name=\"unknown_service\"} | json | status=\"500\"", "0"),
            (" {service_name=~\".+\"} |= \"refused\" != \"card\"", "23"),
            ("{service_name=\"api\"}", ""),
        ] {
            let search = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let answer =
                super::search(&snapshot, &search, NsRange::ALL, Direction::OldestFirst, 9, None, &budget()).unwrap();
            let found: String = answer.rows.iter().map(|row| (row.record.time_ns - at_ns).to_string()).collect();
            assert_eq!(found, expected, "{text} {stage}");
        }
    };
    check("in the head");
    for hours in [0, 1, 3, 6] {
        store.maintain(START_MS + hours * 3_600_000).unwrap();
    }
    check("in a block that is indexed");
}

/// A store and a tenant of it, with a batch of random records for each number.
fn filled(dir: &std::path::Path, batches: usize, random: &mut Random) -> (Store, Tenant, tokio::runtime::Runtime) {
    let store = Store::open(Options::new(dir), START_MS).unwrap();
    let tenant = store.tenant(&TenantId::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in 0..batches {
        runtime.block_on(tenant.submit_logs(batch(random))).unwrap();
    }
    (store, tenant, runtime)
}

#[test]
fn what_arrives_is_followed_once_each_over_seals_and_restarts() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(3_u64);
    println!("SEED={seed}");
    let mut random = Random(seed | 1);
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
    let (_store, tenant, runtime) = filled(dir.path(), 1, &mut Random(5));
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

#[test]
fn the_lines_around_a_record_are_of_its_stream() {
    let mut random = Random(11);
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
    let mut random = Random(13);
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

#[test]
fn logql_shows_what_its_pipeline_makes_and_pages_like_any_search() {
    let mut random = Random(19);
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
    let mut random = Random(17);
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
