//! Loki push as agents send it: Promtail and Alloy (protobuf in snappy), Fluent Bit (JSON, gzip), curl.

use std::io::Write as _;

use model::TenantId;
use serde_json::{Value, json};
use server::AuthMode;
use store::Scope;

use crate::client::{self, Reply};
use crate::house::{House, now_ms, settings};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    varint(&mut out, bytes.len() as u64);
    out.extend_from_slice(bytes);
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Time in ns, line, structured metadata.
type Entry<'a> = (i64, &'a str, &'a [(&'a str, &'a str)]);

/// A `logproto.PushRequest` of one stream, packed.
fn packed(labels: &str, entries: &[Entry<'_>]) -> Vec<u8> {
    let mut stream = field(1, labels.as_bytes());
    for (at_ns, line, metadata) in entries {
        let mut time = vec![0x08];
        varint(&mut time, (at_ns / 1_000_000_000) as u64);
        time.push(0x10);
        varint(&mut time, (at_ns % 1_000_000_000) as u64);
        let mut entry = [field(1, &time), field(2, line.as_bytes())].concat();
        for (name, value) in *metadata {
            entry.extend(field(3, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat()));
        }
        stream.extend(field(2, &entry));
    }
    snap::raw::Encoder::new().compress_vec(&field(1, &stream)).unwrap()
}

fn now_ns() -> i64 {
    now_ms() * 1_000_000
}

impl House {
    async fn push(&self, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
        client::send("POST", &format!("http://{}/loki/api/v1/push", self.http), headers, body).await
    }

    /// Every record as the native search tells it, oldest first.
    async fn records(&self, headers: &[(&str, &str)]) -> Vec<Value> {
        let reply = self.get("/api/v1/logs?from=now-10m&to=now%2B10m&direction=forward", headers).await;
        reply.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[tokio::test]
async fn agents_push_in_every_form() {
    let house = House::open(settings()).await;
    let now = now_ns();
    let body = packed(
        r#"{service_name="api", job="varlogs", filename="/var/log/x.log"}"#,
        &[(now, "GET /a", &[("trace_id", "abc")]), (now + 1, "GET /b", &[])],
    );
    let reply = house.push(&[("content-type", PROTOBUF), ("user-agent", "promtail/3.0")], body).await;
    assert_eq!((reply.status, reply.text().as_str()), (204, ""));
    let body = json!({"streams": [{"stream": {"job": "fluent"}, "values": [[(now + 2).to_string(), "{\"k\":1}"]]}]});
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(body.to_string().as_bytes()).unwrap();
    let headers = [("content-type", JSON), ("content-encoding", "gzip")];
    assert_eq!(house.push(&headers, gzip.finish().unwrap()).await.status, 204);
    // Through the port for OTLP/HTTP too.
    let body = json!({"streams": [{"stream": {"job": "curl"}, "values": [[(now + 3).to_string(), "x"]]}]});
    let reply = house.post("/loki/api/v1/push", &[("content-type", JSON)], body.to_string().into()).await;
    assert_eq!(reply.status, 204, "{}", reply.text());

    let found: Vec<Value> = house
        .records(&[])
        .await
        .iter()
        .map(|row| {
            json!([
                row["body"],
                row["resource"]["attributes"]["service.name"],
                row["resource"]["attributes"]["job"],
                row["attributes"]
            ])
        })
        .collect();
    assert_eq!(
        found,
        [
            json!(["GET /a", "api", "varlogs", {"trace_id": "abc"}]),
            json!(["GET /b", "api", "varlogs", {}]),
            json!(["{\"k\":1}", null, "fluent", {}]),
            json!(["x", null, "curl", {}]),
        ]
    );
}

#[tokio::test]
async fn refusals_are_sentences_and_the_rest_is_stored() {
    let house = House::open(settings()).await;
    let now = now_ns();
    let good = packed(r#"{a="b"}"#, &[(now, "kept", &[]), (1_000_000_000, "old", &[])]);
    let reply = house.push(&[("content-type", PROTOBUF)], good).await;
    assert_eq!(reply.status, 400);
    assert!(
        reply.text().starts_with(r#"entry for stream '{a="b"}' has timestamp too old: 1970-01-01"#),
        "{}",
        reply.text()
    );
    assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(house.records(&[]).await.len(), 1);
    for (headers, body, status, expected) in [
        (vec![("content-type", PROTOBUF)], packed("{", &[(now, "x", &[])]), 400, "couldn't parse labels: 1:2"),
        (vec![("content-type", PROTOBUF)], vec![0], 422, "at least one valid stream is required"),
        (vec![("content-type", JSON)], br#"{"streams":[]}"#.to_vec(), 422, "at least one valid stream is required"),
        (vec![("content-type", PROTOBUF)], b"{}".to_vec(), 400, "snappy"),
        (vec![("content-type", JSON)], b"{".to_vec(), 400, "EOF"),
        (vec![("content-type", JSON), ("content-encoding", "br")], b"{}".to_vec(), 415, "not supported"),
        (vec![("content-type", "text/plain")], b"{}".to_vec(), 415, "application/x-protobuf"),
        (vec![], b"{}".to_vec(), 415, "application/x-protobuf"),
        (vec![("content-type", JSON)], vec![b' '; 300 << 10], 413, "limits.request_bytes"),
    ] {
        let reply = house.push(&headers, body).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(reply.text().contains(expected), "{}", reply.text());
    }
    let reply = house.get("/loki/api/v1/push", &[]).await;
    assert_eq!((reply.status, reply.header("allow")), (405, "POST"));
    assert_eq!(house.records(&[]).await.len(), 1);
}

#[tokio::test]
async fn a_stream_without_labels_is_of_an_unknown_service() {
    let house = House::open(settings()).await;
    let reply = house.push(&[("content-type", PROTOBUF)], packed("{}", &[(now_ns(), "x", &[])])).await;
    assert_eq!(reply.status, 204, "{}", reply.text());
    let reply = house.get("/loki/api/v1/series", &[]).await;
    assert_eq!(reply.json()["data"], json!([{"service_name": "unknown_service"}]), "{}", reply.text());
}

#[tokio::test]
async fn tenants_and_tokens_hold_for_pushes() {
    let house = House::open(settings()).await;
    let body = || packed(r#"{a="b"}"#, &[(now_ns(), "x", &[])]);
    let headers = [("content-type", PROTOBUF), ("x-scope-orgid", "other")];
    assert_eq!(house.push(&headers, body()).await.status, 204);
    assert_eq!(house.records(&[("x-scope-orgid", "other")]).await.len(), 1);
    assert_eq!(house.records(&[]).await.len(), 0);

    let house = House::open(server::ServerSettings { auth: AuthMode::Token, ..settings() }).await;
    let accounts = house.state.store.accounts();
    let now = now_ms();
    let reader = accounts.create_token("reader", Scope::Read, &TenantId::default(), now).unwrap().1;
    let sender = accounts.create_token("sender", Scope::Ingest, &TenantId::default(), now).unwrap().1;
    for (secret, status) in [(reader, 403), (sender, 204), ("nonsense".into(), 401)] {
        let bearer = format!("Bearer {secret}");
        let headers = [("content-type", PROTOBUF), ("authorization", bearer.as_str())];
        let reply = house.push(&headers, body()).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
}

#[tokio::test]
async fn otlp_is_taken_where_a_loki_takes_it() {
    let house = House::open(settings()).await;
    let record = |n: i64| {
        json!({"resourceLogs": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "api"}}]},
            "scopeLogs": [{"logRecords": [{"timeUnixNano": (now_ns() - n).to_string(), "body": {"stringValue": "hi"}}]}],
        }]})
    };
    for (n, address) in [house.http, house.otlp].into_iter().enumerate() {
        let url = format!("http://{address}/otlp/v1/logs");
        let body = record(n as i64).to_string();
        let reply = client::send("POST", &url, &[("content-type", JSON)], body.into()).await;
        assert_eq!((reply.status, reply.json()), (200, json!({})), "{url}");
        let refused = client::send("POST", &url, &[("content-type", JSON)], b"{".to_vec()).await;
        assert_eq!((refused.status, &refused.json()["code"]), (400, &json!(3)), "{url}");
    }
    let reply =
        house.get("/loki/api/v1/query?query=sum(count_over_time(%7Bservice_name%3D%22api%22%7D%5B1m%5D))", &[]).await;
    assert_eq!(reply.json()["data"]["result"][0]["value"][1], "2", "{}", reply.text());
}
