//! Prometheus remote write over real HTTP: both versions, statuses and headers, tokens and tenants, and bodies that are none.

use model::TenantId;
use prost::Message as _;
use serde_json::json;
use server::AuthMode;
use store::Scope;

use crate::client::{self, Reply};
use crate::house::{House, REQUEST_BYTES_MAX, now_ms, settings};

#[path = "../../../codec/tests/support/prompb.rs"]
mod prompb;

use prompb::{BucketSpan, v1, v2};

const V1: &str = "application/x-protobuf";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

fn pack(plain: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(plain).unwrap()
}

impl House {
    async fn write(&self, content_type: &str, plain: &[u8], more: &[(&str, &str)]) -> Reply {
        let own = [("content-type", content_type), ("content-encoding", "snappy")];
        let url = format!("http://{}/api/v1/write", self.http);
        client::send("POST", &url, &[&own[..], more].concat(), pack(plain)).await
    }

    /// `value` of an instant query's only row, or null.
    async fn value(&self, expr: &str, more: &[(&str, &str)]) -> serde_json::Value {
        let expr: String = url::form_urlencoded::byte_serialize(expr.as_bytes()).collect();
        let data = House::data(&self.get(&format!("/api/v1/query?query={expr}"), more).await);
        data["result"][0]["value"][1].clone()
    }
}

fn written(reply: &Reply) -> [&str; 3] {
    ["samples", "histograms", "exemplars"]
        .map(|what| reply.header(&format!("x-prometheus-remote-write-{what}-written")))
}

fn up(name: &str, at_ms: i64, value: f64) -> Vec<u8> {
    let mut request = v2::Request::default();
    request.sample(&[("__name__", name), ("job", "a")], at_ms, value);
    request.encode_to_vec()
}

#[tokio::test]
async fn both_versions_are_stored_and_told() {
    let house = House::open(settings()).await;
    let now = now_ms();
    let first = v1::WriteRequest {
        timeseries: vec![v1::TimeSeries {
            labels: v1::labels(&[("__name__", "one"), ("job", "a")]),
            samples: vec![
                v1::Sample { value: 1.5, timestamp: now - 10 },
                v1::Sample { value: 2.5, timestamp: now - 5 },
            ],
            ..Default::default()
        }],
        metadata: vec![v1::MetricMetadata {
            r#type: 2,
            metric_family_name: "one".into(),
            help: "The first.".into(),
            unit: "things".into(),
        }],
    };
    let reply = house.write(V1, &first.encode_to_vec(), &[]).await;
    assert_eq!((reply.status, reply.text().as_str()), (204, ""));
    assert_eq!(written(&reply), ["", "", ""], "1.0 tells no counts");
    assert_eq!(house.value("one", &[]).await, "2.5");
    let meta = House::data(&house.get("/api/v1/metadata?metric=one", &[]).await);
    assert_eq!(meta, json!({"one": [{"type": "gauge", "help": "The first.", "unit": "things"}]}));

    let mut second = v2::Request::default();
    let trace = second.refs(&[("trace_id", "abc")]);
    second.sample(&[("__name__", "two_total"), ("job", "a")], now, 7.0).exemplars =
        vec![v2::Exemplar { labels_refs: trace, value: 0.5, timestamp: now }];
    second.sample(&[("__name__", "three"), ("job", "a")], now, 8.0);
    let labels_refs = second.refs(&[("__name__", "h")]);
    let histogram = prompb::Histogram {
        count_int: Some(3),
        sum: 4.5,
        positive_spans: vec![BucketSpan { offset: 1, length: 2 }],
        positive_deltas: vec![1, 1],
        timestamp: now,
        ..Default::default()
    };
    second.timeseries.push(v2::TimeSeries { labels_refs, histograms: vec![histogram], ..Default::default() });
    let body = second.encode_to_vec();
    for _ in 0..2 {
        let reply = house.write(V2, &body, &[("x-prometheus-remote-write-version", "2.0.0")]).await;
        assert_eq!((reply.status, reply.text().as_str()), (204, ""));
        assert_eq!(written(&reply), ["2", "1", "1"]);
    }
    assert_eq!(house.value("two_total", &[]).await, "7");
    assert_eq!(house.value("histogram_sum(h)", &[]).await, "4.5");
    // Agents that know one address for all they push.
    let headers = [("content-type", V2), ("content-encoding", "snappy")];
    assert_eq!(house.post("/api/v1/write", &headers, pack(&up("four", now, 4.0))).await.status, 204);
    assert_eq!(house.value("four", &[]).await, "4");
    // A stale marker ends the series.
    let stale = f64::from_bits(model::metric::STALE_NAN_BITS);
    assert_eq!(house.write(V2, &up("four", now + 1, stale), &[]).await.status, 204);
    assert_eq!(house.value(&format!("four @ {}", (now + 1) as f64 / 1e3), &[]).await, serde_json::Value::Null);
    let counted = house.get("/metrics", &[]).await.text();
    for line in [
        "binnacle_ingest_requests_total{signal=\"metrics\",transport=\"remote_write\",code=\"204\"}",
        "binnacle_ingest_items_total{signal=\"metrics\"}",
    ] {
        assert!(counted.contains(line), "{line} in {counted}");
    }
}

#[tokio::test]
async fn what_can_never_be_stored_is_named_and_the_rest_stays() {
    let house = House::open(settings()).await;
    let now = now_ms();
    let mut request = v2::Request::default();
    request.sample(&[("job", "nameless")], now, 1.0);
    request.sample(&[("__name__", "good")], now, 2.0);
    request.sample(&[("__name__", "future")], now + 3_600_000, 3.0);
    let reply = house.write(V2, &request.encode_to_vec(), &[]).await;
    let text = reply.text();
    assert_eq!(reply.status, 400, "{text}");
    assert!(text.contains("2 of this request can never be stored"), "{text}");
    assert!(text.contains("nameless") && text.contains("too_new"), "{text}");
    assert_eq!(written(&reply), ["1", "0", "0"]);
    assert_eq!(house.value("good", &[]).await, "2");
    assert_eq!(house.value("future", &[]).await, serde_json::Value::Null);
}

#[tokio::test]
async fn bodies_and_headers_that_are_not_ours_are_refused() {
    let house = House::open(settings()).await;
    let good = up("a", now_ms(), 1.0);
    let send = async |content_type: &str, encoding: &str, body: Vec<u8>| {
        let headers = [("content-type", content_type), ("content-encoding", encoding), ("x-scope-orgid", "nobody")];
        let url = format!("http://{}/api/v1/write", house.http);
        let reply = client::send("POST", &url, &headers, body).await;
        (reply.status, reply.text())
    };
    for (content_type, encoding, body, status, part) in [
        ("application/json", "snappy", pack(&good), 415, "application/x-protobuf"),
        ("", "snappy", pack(&good), 415, "Content-Type"),
        ("application/x-protobuf;proto=x.Request", "snappy", pack(&good), 415, "io.prometheus.write.v2.Request"),
        (V2, "gzip", pack(&good), 415, "snappy"),
        (V2, "snappy", good.clone(), 400, "snappy"),
        (V2, "snappy", pack(&good[..good.len() - 1]), 400, "bytes announced"),
        (V2, "snappy", Vec::new(), 400, "snappy"),
        (V2, "snappy", pack(&vec![0; REQUEST_BYTES_MAX + 1]), 413, "limits.request_bytes"),
        (V2, "snappy", vec![0; REQUEST_BYTES_MAX + 1], 413, "limits.request_bytes"),
    ] {
        let (got, text) = send(content_type, encoding, body).await;
        assert_eq!(got, status, "{content_type} {encoding}: {text}");
        assert!(text.contains(part), "{part:?} in {text:?}");
    }
    // The wrong message for the right bytes: nothing is in it, and nothing is stored.
    assert_eq!(send(V1, "snappy", pack(&good)).await.0, 204);
    let reply = house.get("/api/v1/write", &[]).await;
    assert_eq!((reply.status, reply.header("allow")), (405, "POST"));
    house.assert_nothing_stored("nobody").await;
}

#[tokio::test]
async fn tokens_and_tenants_are_those_of_other_senders() {
    let house = House::open(server::ServerSettings { auth: AuthMode::Token, ..settings() }).await;
    let mine = TenantId::new("mine").unwrap();
    let make = |scope| house.state.store.accounts().create_token("test", scope, &mine, now_ms()).unwrap().1;
    let (ingest, read) = (format!("Bearer {}", make(Scope::Ingest)), format!("Bearer {}", make(Scope::Read)));
    let body = up("a", now_ms(), 1.0);
    assert_eq!(house.write(V2, &body, &[]).await.status, 401);
    let refused = house.write(V2, &body, &[("authorization", &read)]).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("ingest"), "{}", refused.text());
    assert_eq!(house.write(V2, &body, &[("authorization", &ingest)]).await.status, 204);
    assert_eq!(house.value("a", &[("authorization", &read)]).await, "1");
}
