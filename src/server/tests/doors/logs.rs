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

#[tokio::test]
async fn records_are_counted_named_and_seen_in_their_place() {
    let house = House::open(settings()).await;
    let at_ns = now_ms() * 1_000_000;
    let bodies: Vec<String> = (0..40).map(|n| format!("{{\"step\":{n},\"kind\":\"k{}\"}}", n % 3)).collect();
    let records: Vec<(i64, &str)> =
        bodies.iter().enumerate().map(|(n, body)| (at_ns - 1_000_000 * (40 - n as i64), body.as_str())).collect();
    let body = payload::logs(&records).encode_to_vec();
    assert_eq!(house.post("/v1/logs", &[("content-type", "application/x-protobuf")], body).await.status, 200);

    let facets = house.get("/api/v1/logs/facets?q=step:%3E=10&field=kind&fields=service.name,no&limit=2", &[]).await;
    let expected = json!({"facets": [
        {"field": "kind", "values": [{"value": "k0", "count": 10}, {"value": "k1", "count": 10}], "others": 10, "without": 0, "distinct": 3, "overflows": false},
        {"field": "service.name", "values": [{"value": "api", "count": 30}], "others": 0, "without": 0, "distinct": 1, "overflows": false},
        {"field": "no", "values": [], "others": 0, "without": 30, "distinct": 0, "overflows": false},
    ]});
    assert_eq!(facets.json(), expected);
    let defaults = house.get("/api/v1/logs/facets", &[]).await.json();
    assert_eq!(defaults["facets"][0]["values"][0], json!({"value": "error", "count": 40}), "{defaults}");
    let fields = house.get("/api/v1/logs/fields", &[]).await.json();
    for (name, place) in [("http.route", "attributes"), ("service.name", "resource"), ("kind", "body")] {
        let seen = json!({"name": name, "in": place, "seen_in": 1});
        assert!(fields["fields"].as_array().unwrap().contains(&seen), "{seen} of {fields}");
    }

    let step =
        |row: &Value| serde_json::from_str::<Value>(row["body"].as_str().unwrap()).unwrap()["step"].as_i64().unwrap();
    let named_as_elsewhere = house.get("/api/v1/logs?query=step:20&start=now-1d&end=now", &[]).await.text();
    assert_eq!(rows(&named_as_elsewhere).len(), 1);
    let one = rows(&house.get("/api/v1/logs?q=step:20", &[]).await.text()).remove(0);
    let cursor = one["cursor"].as_str().unwrap();
    for (query, expected) in [
        ("", (10..=30).collect::<Vec<i64>>()),
        ("&before=1&after=0", vec![19, 20]),
        ("&before=0&after=2&by=kind", vec![20, 23, 26]),
    ] {
        let reply = house.get(&format!("/api/v1/logs/context?cursor={cursor}{query}"), &[]).await;
        assert_eq!(rows(&reply.text()).iter().map(step).collect::<Vec<_>>(), expected, "{query}");
    }
    let trace = house.get(&format!("/api/v1/logs/trace?id={}", "AB".repeat(16)), &[]).await;
    assert_eq!(rows(&trace.text()).iter().map(step).collect::<Vec<_>>(), (0..40).collect::<Vec<i64>>());
    for (path, status, says) in [
        ("context", 400, "it is missing"),
        ("context?cursor=zz", 422, "not one that a search returned"),
        ("context?cursor=1-1-1", 404, "not here"),
        ("context?cursor=1-1-1&before=9999", 400, "at most 500"),
        ("trace?id=12", 400, "32 hex digits"),
        ("facets?limit=0", 400, "1 to 1000"),
        ("facets?fields=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u", 400, "at most 20"),
        ("patterns?limit=0", 400, "1 to 500"),
        ("patterns?before=-1h", 400, "must not be negative"),
    ] {
        let reply = house.get(&format!("/api/v1/logs/{path}"), &[]).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert!(reply.text().contains(says), "{path}: {}", reply.text());
    }

    let patterns = house.get("/api/v1/logs/patterns?q=step:%3E=10", &[]).await.json();
    let counts = patterns["patterns"].as_array().unwrap().iter().map(|pattern| pattern["count"].as_u64().unwrap());
    assert_eq!((counts.sum::<u64>(), &patterns["sampled_every"]), (30, &json!(1)), "{patterns}");
    let first = &patterns["patterns"][0];
    assert!(first["pattern"].as_str().unwrap().contains("<_>") && first["new"] == true, "{patterns}");

    let logql = "%7Bservice_name%3D%22api%22%7D%20%7C%20json%20%7C%20step%3C3%20%7C%20line_format%20%22step%20%7B%7B.step%7D%7D%22";
    let found = rows(&house.get(&format!("/api/v1/logs?q={logql}"), &[]).await.text());
    let found: Vec<(&str, &str)> =
        found.iter().map(|row| (row["body"].as_str().unwrap(), row["attributes"]["kind"].as_str().unwrap())).collect();
    assert_eq!(found, [("step 2", "k2"), ("step 1", "k1"), ("step 0", "k0")]);
    let bad = house.get("/api/v1/logs?q=%7Ba%3D", &[]).await;
    assert!(bad.status == 400 && bad.text().contains("syntax error"), "{}", bad.text());

    // The time of a search that is over before it begins is answered in part.
    let partial = house.get("/api/v1/logs?q=step&timeout=0.001", &[]).await;
    assert!(matches!(partial.status, 200 | 503), "{}", partial.text());
    let watched = house.get("/api/v1/logs?q=step&limit=3&progress=1", &[("accept-encoding", "gzip")]).await;
    let lines = rows(&watched.text());
    assert_eq!(lines.iter().filter(|line| line["body"].is_string()).count(), 3);
    let progress = &lines[0]["progress"];
    assert!(
        progress["bytes_scanned"].as_u64() > Some(0) && progress["bytes_total"] == progress["bytes_scanned"],
        "{progress}"
    );
    let refused = house.get("/api/v1/logs?q=(&progress=1", &[]).await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn any_paging_under_intake_gives_what_one_search_gives() {
    let house = House::open(settings()).await;
    let at_ns = now_ms() * 1_000_000;
    let push = async |from: usize| {
        let bodies: Vec<String> = (from..from + 20).map(|n| format!("order {n}")).collect();
        // Times that tie, and come out of order.
        let at = |n: usize| at_ns - (n as i64 * 7_919 % 50) * 1_000_000;
        let records: Vec<(i64, &str)> = bodies.iter().zip(from..).map(|(body, n)| (at(n), body.as_str())).collect();
        let body = payload::logs(&records).encode_to_vec();
        assert_eq!(house.post("/v1/logs", &[("content-type", "application/x-protobuf")], body).await.status, 200);
    };
    for part in 0..5 {
        push(part * 20).await;
    }
    let to = at_ns + 1;
    let one = async |direction: &str| {
        let path = format!("/api/v1/logs?q=order&limit=5000&to={to}&direction={direction}");
        rows(&house.get(&path, &[]).await.text())
    };
    let mut next = 100;
    for (size, direction) in [(1, "newest"), (3, "oldest"), (7, "newest"), (50, "oldest")] {
        let before: Vec<Value> = one(direction).await;
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/v1/logs?q=order&limit={size}&to={to}&direction={direction}&cursor={cursor}");
            let page = rows(&house.get(&path, &[]).await.text());
            let Some(last) = page.last() else { break };
            cursor = last["cursor"].as_str().unwrap().to_owned();
            seen.extend(page);
            if next < 400 && seen.len() % 4 == 1 {
                push(next).await;
                next += 20;
            }
        }
        let after: Vec<Value> = one(direction).await;
        // What was there from the start is there once, in its order; what came meanwhile once at most.
        let kept: Vec<&Value> = seen.iter().filter(|row| before.contains(row)).collect();
        assert_eq!(kept, before.iter().collect::<Vec<_>>(), "{size} {direction}");
        let of_after: Vec<&Value> = after.iter().filter(|row| seen.contains(row)).collect();
        assert_eq!(of_after, seen.iter().collect::<Vec<_>>(), "{size} {direction}");
    }
    assert!(next > 200, "{next}");
}
