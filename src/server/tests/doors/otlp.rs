//! OTLP/HTTP as senders use it: every encoding and packing, partial success, overload.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use prost::Message as _;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client;
use crate::house::{House, now_ms, settings};
use crate::payload::{self, gauge};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

async fn value_of(house: &House, tenant: &str, query: &str) -> Value {
    let path = format!("/api/v1/query?query={query}");
    let data = House::data(&house.get(&path, &[("x-scope-orgid", tenant)]).await);
    data["result"].clone()
}

#[tokio::test]
async fn a_point_arrives_in_every_encoding_and_packing() {
    let house = House::open(settings()).await;
    let at_ms = now_ms();
    let protobuf = gauge("queue.depth", &[(at_ms, Some(7.5))]).encode_to_vec();
    let text = json!({"resourceMetrics": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "api"}}]},
        "scopeMetrics": [{"metrics": [{"name": "queue.depth", "gauge": {"dataPoints": [{
            "timeUnixNano": (at_ms * 1_000_000).to_string(), "asDouble": 7.5,
            "attributes": [{"key": "zone", "value": {"stringValue": "a"}}],
        }]}}]}],
    }]});
    let text = text.to_string().into_bytes();
    let cases: [(&str, &str, Vec<u8>); 10] = [
        ("application/x-protobuf", "", protobuf.clone()),
        ("application/protobuf", "identity", protobuf.clone()),
        ("Application/X-Protobuf; charset=x", "GZIP", payload::gzip(&protobuf)),
        ("application/x-protobuf", "x-gzip", payload::gzip(&protobuf)),
        ("application/x-protobuf", "zstd", payload::zstd(&protobuf)),
        ("application/x-protobuf", "deflate", payload::zlib(&protobuf)),
        ("application/x-protobuf", "deflate", payload::deflate(&protobuf)),
        ("application/json", "", text.clone()),
        ("application/JSON; charset=utf-8", "gzip", payload::gzip(&text)),
        ("application/json", "zstd", payload::zstd(&text)),
    ];
    for (index, (content_type, packing, body)) in cases.into_iter().enumerate() {
        let tenant = format!("t{index}");
        let mut headers = vec![("content-type", content_type), ("x-scope-orgid", tenant.as_str())];
        if !packing.is_empty() {
            headers.push(("content-encoding", packing));
        }
        let reply = house.post("/v1/metrics", &headers, body).await;
        assert_eq!(reply.status, 200, "{content_type} {packing}: {}", reply.text());
        let essence = content_type.split(';').next().unwrap().to_ascii_lowercase();
        assert_eq!(reply.header("content-type"), essence);
        assert_eq!(reply.text(), if essence.ends_with("json") { "{}" } else { "" });
        let found = value_of(&house, &tenant, "queue_depth").await;
        let labels = json!({"__name__": "queue_depth", "job": "api", "service_name": "api", "zone": "a"});
        assert_eq!((&found[0]["metric"], &found[0]["value"][1]), (&labels, &json!("7.5")), "{content_type} {packing}");
    }
}

#[tokio::test]
async fn metrics_are_taken_where_prometheus_takes_them() {
    let house = House::open(settings()).await;
    let url = format!("http://{}/api/v1/otlp/v1/metrics", house.http);
    let body = gauge("queue.depth", &[(now_ms(), Some(7.5))]).encode_to_vec();
    assert_eq!(client::send("POST", &url, &[PROTOBUF], body).await.status, 200);
    assert_eq!(value_of(&house, "default", "queue_depth").await[0]["value"][1], "7.5");
    assert_eq!(house.get("/api/v1/otlp/v1/metrics", &[]).await.status, 405);
}

#[tokio::test]
async fn nothing_is_a_success() {
    let house = House::open(settings()).await;
    for path in ["/v1/metrics", "/v1/logs"] {
        for (content_type, body) in [("application/x-protobuf", ""), ("application/json", "{}")] {
            for packing in ["identity", "gzip", "zstd"] {
                let packed = match packing {
                    "gzip" => payload::gzip(body.as_bytes()),
                    "zstd" => payload::zstd(body.as_bytes()),
                    _ => body.into(),
                };
                let headers =
                    [("content-type", content_type), ("content-encoding", packing), ("x-scope-orgid", "none")];
                let reply = house.post(path, &headers, packed).await;
                assert_eq!((reply.status, reply.text().as_str()), (200, body), "{path} {content_type} {packing}");
            }
        }
    }
    house.assert_nothing_stored("none").await;
}

#[tokio::test]
async fn what_is_refused_for_good_is_counted_and_the_rest_is_stored() {
    let house = House::open(settings()).await;
    let at_ms = now_ms();
    let year_ms = 365 * 86_400_000;
    let points =
        [(at_ms, Some(1.0)), (at_ms - 1_000, None), (at_ms + year_ms, Some(2.0)), (at_ms - year_ms, Some(3.0))];
    let request = gauge("partly", &points).encode_to_vec();
    let reply = house.post("/v1/metrics", &[PROTOBUF], request).await;
    assert_eq!(reply.status, 200);
    let told = ExportMetricsServiceResponse::decode(reply.body).unwrap().partial_success.unwrap();
    assert_eq!(told.rejected_data_points, 3);
    for reason in ["malformed", "too_new", "too_old"] {
        assert!(told.error_message.contains(reason), "{}", told.error_message);
    }
    assert_eq!(value_of(&house, "default", "partly").await[0]["value"][1], json!("1"));

    let at_ns = at_ms * 1_000_000;
    let request = payload::logs(&[(at_ns, "kept"), (at_ns - year_ms * 1_000_000, "old")]);
    let reply = house.post("/v1/logs", &[PROTOBUF], request.encode_to_vec()).await;
    let told = ExportLogsServiceResponse::decode(reply.body).unwrap().partial_success.unwrap();
    assert_eq!(told.rejected_log_records, 1);
    let rows = house.get("/api/v1/logs?from=0", &[]).await.text();
    assert_eq!(rows.lines().count(), 1, "{rows}");
}

#[tokio::test]
async fn what_is_not_stored_here_is_refused_for_good() {
    let house = House::open(settings()).await;
    for path in ["/v1/traces", "/v1development/profiles"] {
        let reply = house.post(path, &[("content-type", "application/json")], b"{}".to_vec()).await;
        assert_eq!((reply.status, reply.header("content-type")), (404, "application/json"));
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("not stored"), "{message}");
    }
    let url = format!("http://{}/v1/logs", house.otlp);
    let reply = crate::client::send("GET", &url, &[], Vec::new()).await;
    assert_eq!((reply.status, reply.header("allow")), (405, "POST"));
}

/// A sender that stalls in its body holds what it sent, and no more: others are told to come back, then served.
#[tokio::test]
async fn a_full_house_says_when_to_come_back_and_a_broken_request_leaves_nothing() {
    let house = House::open(server::ServerSettings { in_flight_bytes_max: 1_000, ..settings() }).await;
    let mut stalled = TcpStream::connect(house.otlp).await.unwrap();
    let head = "POST /v1/metrics HTTP/1.1\r\nHost: localhost\r\nX-Scope-OrgID: broken\r\n\
                Content-Type: application/x-protobuf\r\nContent-Length: 2000\r\n\r\n";
    stalled.write_all(head.as_bytes()).await.unwrap();
    let valid = gauge("half", &[(now_ms(), Some(1.0))]).encode_to_vec();
    let padding = vec![0; 900 - valid.len()];
    stalled.write_all(&[valid, padding].concat()).await.unwrap();

    let request = gauge("whole", &[(now_ms(), Some(1.0)); 9]).encode_to_vec();
    let push = async || house.post("/v1/metrics", &[PROTOBUF], request.clone()).await;
    let busy = within(async || Some(push().await).filter(|reply| reply.status == 429)).await;
    assert_eq!(busy.header("retry-after"), "1");
    assert!(busy.text().contains("limits.in_flight_bytes"), "{}", busy.text());

    drop(stalled);
    within(async || Some(push().await).filter(|reply| reply.status == 200)).await;
    house.assert_nothing_stored("broken").await;
}

/// A sender's own limit: later it will be taken, so nothing is lost, and both transports say when.
#[tokio::test]
async fn over_its_samples_a_second_a_sender_is_told_when_to_come_back() {
    let house = House::open_over(settings(), |options| options.samples_per_second_max = 1).await;
    let points: Vec<(i64, Option<f64>)> = (0..30).map(|n| (now_ms() - n, Some(1.0))).collect();
    let request = gauge("fast", &points);
    let push = async || house.post("/v1/metrics", &[PROTOBUF], request.encode_to_vec()).await;
    assert_eq!(push().await.status, 200);
    let refused = push().await;
    assert_eq!(refused.status, 429);
    let seconds: u32 = refused.header("retry-after").parse().unwrap();
    assert!((15..=22).contains(&seconds), "{seconds}");
    assert!(refused.text().contains("limits.samples_per_second"), "{}", refused.text());

    let mut client = MetricsServiceClient::connect(format!("http://{}", house.grpc)).await.unwrap();
    let refused = client.export(request.clone()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    // Without RetryInfo a client would drop its data.
    let details = String::from_utf8_lossy(refused.details()).into_owned();
    assert!(details.contains("google.rpc.RetryInfo"), "{details}");
    assert!(refused.message().contains("limits.samples_per_second"), "{}", refused.message());
}

/// Asks until there is an answer: what is awaited is told by the other end only.
async fn within<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.expect("it happens in time")
}
