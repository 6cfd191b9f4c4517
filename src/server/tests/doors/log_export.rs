//! What goes in as OTLP comes out of the export as OTLP: random records, from the head, from blocks and from both.

use chance::Random;
use serde_json::{Map, Value, json};

use crate::house::{House, now_ms, settings};

const JSON: (&str, &str) = ("content-type", "application/json");
const ROUNDS: usize = 12;
const HALF_AN_HOUR_MS: i64 = 30 * 60_000;
const TEXTS: [&str; 8] =
    ["api", "a b", "\u{0}\u{1b}[31m", "\u{202e}\u{feff}", "\"\\\n\t", "接続 é", "{\"a\":1}", "level=error x=1"];

fn text(random: &mut Random) -> String {
    random.pick(&TEXTS).into()
}

/// An AnyValue, perhaps none of the oneof.
fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth < 3 { 9 } else { 7 }) {
        0 => json!({}),
        1 => json!({"stringValue": if random.one_in(4) { String::new() } else { text(random) }}),
        2 => json!({"boolValue": random.one_in(2)}),
        3 => json!({"intValue": random.pick(&[0, 1, -1, i64::MIN, i64::MAX, 1 << 53]).to_string()}),
        4 => json!({"doubleValue": random.pick(&[0.5, -0.25, 1e300, 5e-324, f64::MAX])}),
        5 => json!({"doubleValue": random.pick(&["NaN", "Infinity", "-Infinity"])}),
        6 => json!({"bytesValue": random.pick(&["", "AA==", "/+7dzLs="])}),
        7 => {
            let values: Vec<Value> = (0..random.below(3)).map(|_| value(random, depth + 1)).collect();
            json!({"arrayValue": {"values": values}})
        }
        _ => json!({"kvlistValue": {"values": attributes(random, depth + 1)}}),
    }
}

/// Some with the same key, some without a value.
fn attributes(random: &mut Random, depth: usize) -> Vec<Value> {
    let one = |random: &mut Random| {
        let key = random.pick(&["k", "k", "a.b", "a", "é", "", "http.status"]);
        match value(random, depth) {
            Value::Object(empty) if empty.is_empty() => json!({"key": key}),
            value => json!({"key": key, "value": value}),
        }
    };
    (0..random.below(4)).map(|_| one(random)).collect()
}

/// Each member or not: what is at its default is not written.
fn object(random: &mut Random, members: &mut [(&str, Value)]) -> Map<String, Value> {
    let is_default = |value: &Value| matches!(value, Value::Array(list) if list.is_empty()) || *value == json!({});
    let mut out = Map::new();
    for (name, value) in members {
        if !is_default(value) && random.one_in(2) {
            out.insert((*name).into(), value.take());
        }
    }
    out
}

fn record(random: &mut Random, noon_ns: i64) -> Value {
    // Few times, so that many are the same.
    let at_ns = noon_ns - random.below(5) * 1_000_000;
    let mut members = [
        ("observedTimeUnixNano", json!((at_ns + random.below(1_000)).to_string())),
        ("severityNumber", json!(random.pick(&[1, 9, 17, 24, 99, -7]))),
        ("severityText", json!(text(random))),
        ("body", value(random, 0)),
        ("attributes", attributes(random, 0).into()),
        ("droppedAttributesCount", json!(random.pick(&[1, u32::MAX]))),
        ("flags", json!(random.pick(&[1, 257, u32::MAX]))),
        ("traceId", json!(random.pick(&["01".repeat(16), "ff".repeat(16)]))),
        ("spanId", json!("0a".repeat(8))),
        ("eventName", json!(text(random))),
    ];
    let mut record = object(random, &mut members);
    record.insert("timeUnixNano".into(), at_ns.to_string().into());
    record.into()
}

fn request(random: &mut Random, noon_ns: i64) -> Value {
    let scope = |random: &mut Random| {
        let records: Vec<Value> = (0..1 + random.below(4)).map(|_| record(random, noon_ns)).collect();
        let mut members = [
            ("name", json!(text(random))),
            ("version", json!("1.0")),
            ("attributes", attributes(random, 0).into()),
            ("droppedAttributesCount", json!(3)),
        ];
        let of = object(random, &mut members);
        let mut out = object(random, &mut [("schemaUrl", json!("https://scope")), ("scope", of.into())]);
        out.insert("logRecords".into(), records.into());
        Value::from(out)
    };
    let resource = |random: &mut Random| {
        let scopes: Vec<Value> = (0..1 + random.below(2)).map(|_| scope(random)).collect();
        let mut members = [("attributes", attributes(random, 0).into()), ("droppedAttributesCount", json!(2))];
        let of = object(random, &mut members);
        let mut out = object(random, &mut [("schemaUrl", json!("https://resource")), ("resource", of.into())]);
        out.insert("scopeLogs".into(), scopes.into());
        Value::from(out)
    };
    json!({"resourceLogs": (0..1 + random.below(3)).map(|_| resource(random)).collect::<Vec<_>>()})
}

/// Every record with its resource and scope, and their schema URLs.
fn flat(request: &Value, out: &mut Vec<[Value; 5]>) {
    for of_resource in request["resourceLogs"].as_array().unwrap() {
        for of_scope in of_resource["scopeLogs"].as_array().unwrap() {
            for record in of_scope["logRecords"].as_array().unwrap() {
                let around = [&of_resource["resource"], &of_resource["schemaUrl"]];
                let [resource, resource_url] = around.map(Value::clone);
                let [scope, scope_url] = [&of_scope["scope"], &of_scope["schemaUrl"]].map(Value::clone);
                out.push([resource, resource_url, scope, scope_url, record.clone()]);
            }
        }
    }
}

#[tokio::test]
async fn whatever_goes_in_is_exported_as_it_was_sent() {
    let mut random = Random::new(chance::seed(1));
    let house = House::open(settings()).await;
    let begun_ms = now_ms();
    let mut sent = Vec::new();
    for round in 0..ROUNDS {
        for _ in 0..10 {
            let request = request(&mut random, (begun_ms - 3_600_000) * 1_000_000);
            let reply = house.post("/v1/logs", &[JSON], request.to_string().into()).await;
            assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{request}");
            flat(&request, &mut sent);
        }
        // Some rounds end sealed, others with records in blocks and in the head.
        if round % 3 == 1 {
            for later_ms in [0, HALF_AN_HOUR_MS] {
                house.state.store.maintain(begun_ms + round as i64 * HALF_AN_HOUR_MS + later_ms).unwrap();
            }
        }
        let exported = house.get("/api/v1/logs/export?start=now-2h", &[]).await;
        assert_eq!(exported.status, 200);
        let mut found = Vec::new();
        exported.text().lines().for_each(|line| flat(&serde_json::from_str(line).unwrap(), &mut found));
        let time = |one: &[Value; 5]| one[4]["timeUnixNano"].as_str().unwrap().to_owned();
        assert!(found.is_sorted_by_key(time), "oldest first");
        let sorted = |all: &[[Value; 5]]| {
            let mut all: Vec<String> = all.iter().map(|one| Value::from(one.to_vec()).to_string()).collect();
            all.sort_unstable();
            all
        };
        let (found, sent) = (sorted(&found), sorted(&sent));
        let wrong = found.iter().zip(&sent).find(|(found, sent)| found != sent);
        assert_eq!((found.len(), wrong), (sent.len(), None), "round {round}");
    }
    let tenant = house.state.store.tenant(&model::TenantId::default()).unwrap();
    assert!(tenant.verify(false).unwrap().log_blocks > 0, "some are in blocks");
}
