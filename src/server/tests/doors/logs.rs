//! The log search API: lines of JSON, paging, the histogram.

use prost::Message as _;
use serde_json::{Value, json};

use crate::house::{House, now_ms, settings};
use crate::payload;

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn records_come_back_typed_and_page_by_page() {
    let house = House::open(settings()).await;
    let at_ns = now_ms() * 1_000_000;
    let bodies: Vec<String> = (0..10).map(|n| format!("payment {n} refused")).collect();
    let records: Vec<(i64, &str)> =
        bodies.iter().enumerate().map(|(n, body)| (at_ns - 1_000_000 * (n as i64 + 1) + 7, body.as_str())).collect();
    let body = payload::logs(&records).encode_to_vec();
    let pushed = house.post("/v1/logs", &[("content-type", "application/x-protobuf")], body).await;
    assert_eq!(pushed.status, 200, "{}", pushed.text());

    let reply = house.get("/api/v1/logs?q=payment&limit=4", &[]).await;
    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    let mut row = rows(&reply.text()).remove(0);
    let cursor = row["cursor"].take();
    assert!(cursor.as_str().is_some_and(|cursor| !cursor.is_empty()), "{cursor}");
    let expected = json!({
        "time": model::time::rfc3339_ns(at_ns - 999_993),
        "severity_text": "ERROR", "severity_number": 17, "body": "payment 0 refused",
        "trace_id": "ab".repeat(16), "span_id": "", "event_name": "",
        "resource": {"attributes": {"service.name": "api"}},
        "scope": {"name": "", "version": "", "attributes": {}},
        "attributes": {"http.route": "/pay"}, "cursor": null,
    });
    assert_eq!(row, expected);

    for (direction, expected) in [("backward", bodies.clone()), ("forward", bodies.iter().rev().cloned().collect())] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/v1/logs?q=payment&limit=4&direction={direction}&cursor={cursor}");
            let reply = house.get(&path, &[]).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            let page = rows(&reply.text());
            let Some(last) = page.last() else { break };
            cursor = url::form_urlencoded::byte_serialize(last["cursor"].as_str().unwrap().as_bytes()).collect();
            seen.extend(page.iter().map(|row| row["body"].as_str().unwrap().to_owned()));
        }
        assert_eq!(seen, expected, "{direction}");
    }

    for (query, found) in [
        ("service.name:api", 10),
        ("service.name:other", 0),
        ("severity:%3E%3Derror", 10),
        ("http.route:%22/pay%22", 10),
        ("%22payment+3%22", 1),
    ] {
        let text = house.get(&format!("/api/v1/logs?q={query}"), &[]).await.text();
        assert_eq!(text.lines().count(), found, "{query}: {text}");
    }

    let path = format!("/api/v1/logs/histogram?q=payment&from={}&to={}&buckets=20", at_ns - 20_000_000, at_ns);
    let histogram = house.get(&path, &[]).await.json();
    assert_eq!(histogram["width_ns"], json!(1_000_000));
    let buckets = histogram["buckets"].as_array().unwrap();
    assert!((20..=21).contains(&buckets.len()), "{histogram}");
    let errors: u64 = buckets.iter().filter_map(|bucket| bucket["counts"]["error"].as_u64()).sum();
    assert_eq!(errors, 10, "{histogram}");
}
