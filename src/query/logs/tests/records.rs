//! Random records: few words, keys and times, so that much of it is alike.

use model::AnyValue;
use model::log::Attributes;

use super::*;

pub(super) const WORDS: [&str; 18] = [
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
pub(super) const KEYS: [&str; 6] = ["http.status", "user", "ctx", "tags", "service.name", "took"];

pub(super) type Rest = (Arc<Resource>, Arc<Scope>, LogRecord);

pub(super) fn text(random: &mut Random) -> String {
    let count = 1 + random.below(5);
    let mut out = String::new();
    for _ in 0..count {
        out.push_str(random.pick(&WORDS));
        out.push_str(random.pick(&[" ", " ", ": ", ",", "="]));
    }
    out
}

pub(super) fn value(random: &mut Random, depth: usize) -> AnyValue {
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

pub(super) fn attributes(random: &mut Random, keys: &[&str]) -> Attributes {
    (0..random.below(4)).map(|_| ((random.pick(keys)).into(), value(random, 0))).collect()
}

pub(super) fn batch(random: &mut Random) -> LogBatch {
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
