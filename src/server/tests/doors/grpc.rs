//! OTLP/gRPC with the generated client, and with bytes that no client sends.

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use serde_json::json;
use std::time::Duration;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;

use crate::house::{House, REQUEST_BYTES_MAX, now_ms, settings};
use crate::payload::{gauge, logs};

async fn channel(house: &House) -> Channel {
    Channel::from_shared(format!("http://{}", house.grpc)).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn the_generated_client_is_understood_in_every_packing() {
    let house = House::open(settings()).await;
    let channel = channel(&house).await;
    for (index, packing) in
        [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd), Some(CompressionEncoding::Deflate)]
            .into_iter()
            .enumerate()
    {
        let mut metrics = MetricsServiceClient::new(channel.clone());
        let mut records = LogsServiceClient::new(channel.clone());
        if let Some(packing) = packing {
            metrics = metrics.send_compressed(packing).accept_compressed(packing);
            records = records.send_compressed(packing).accept_compressed(packing);
        }
        let name = format!("sent_{index}");
        let points = [(now_ms(), Some(3.0)), (now_ms(), None)];
        let told = metrics.export(gauge(&name, &points)).await.unwrap().into_inner().partial_success.unwrap();
        assert_eq!(told.rejected_data_points, 1);
        let told = records.export(logs(&[(now_ms() * 1_000_000, &name)])).await.unwrap().into_inner();
        assert_eq!(told.partial_success, None);

        let data = House::data(&house.get(&format!("/api/v1/query?query={name}"), &[]).await);
        assert_eq!(data["result"][0]["value"][1], json!("3"), "{packing:?}");
        let rows = house.get(&format!("/api/v1/logs?q={name}"), &[]).await.text();
        assert_eq!(rows.lines().count(), 1, "{packing:?}: {rows}");
    }
}

#[tokio::test]
async fn refusals_have_their_codes() {
    let house = House::open(settings()).await;
    let channel = channel(&house).await;
    let mut traces = TraceServiceClient::new(channel.clone());
    let refused = traces.export(ExportTraceServiceRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("not stored"), "{}", refused.message());

    // Final, so without RetryInfo; and the same in plain and packed, as the limit is on what comes out.
    for packing in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let mut records = LogsServiceClient::new(channel.clone());
        if let Some(packing) = packing {
            records = records.send_compressed(packing);
        }
        let refused = records.export(logs(&[(1, &"x".repeat(REQUEST_BYTES_MAX))])).await.unwrap_err();
        assert_eq!((refused.code(), refused.details()), (Code::ResourceExhausted, &[][..]), "{packing:?}");
        assert!(refused.message().contains("limits.request_bytes"), "{}", refused.message());
    }

    let mut request = tonic::Request::new(logs(&[(now_ms() * 1_000_000, "late")]));
    request.set_timeout(Duration::from_nanos(1));
    let refused = LogsServiceClient::new(channel.clone()).export(request).await.unwrap_err();
    assert!(matches!(refused.code(), Code::DeadlineExceeded | Code::Cancelled), "{refused}");

    let mut request = tonic::Request::new(logs(&[(now_ms() * 1_000_000, "x")]));
    request.metadata_mut().insert("x-scope-orgid", "../etc".parse().unwrap());
    let refused = LogsServiceClient::new(channel).export(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("tenant name"), "{}", refused.message());
}

#[tokio::test]
async fn overload_comes_with_retry_info() {
    // Two calls on one connection, and a limit that only one of them fits.
    let house = House::open(server::ServerSettings { in_flight_bytes_max: 100, ..settings() }).await;
    let client = MetricsServiceClient::new(channel(&house).await);
    let request = gauge("busy", &vec![(now_ms(), Some(1.0)); 2_000]);
    // Alone it may pass, however small the limit.
    client.clone().export(request.clone()).await.unwrap();
    for _ in 0..1_000 {
        let mut clients: Vec<_> = (0..8).map(|_| client.clone()).collect();
        let calls = clients.iter_mut().map(|client| client.export(request.clone()));
        for outcome in futures_util::future::join_all(calls).await {
            let Err(refused) = outcome else { continue };
            assert_eq!(refused.code(), Code::Unavailable, "{refused}");
            let details = String::from_utf8_lossy(refused.details()).into_owned();
            assert!(details.contains("type.googleapis.com/google.rpc.RetryInfo"), "{details}");
            return;
        }
    }
    panic!("eight calls at once never met");
}

/// Frames as bytes, over HTTP/2 with prior knowledge.
#[tokio::test]
async fn broken_frames_are_refused_and_store_nothing() {
    let house = House::open(settings()).await;
    let (grpc, orgid) = (("content-type", "application/grpc"), ("x-scope-orgid", "frames"));
    const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    for (what, path, headers, body, code, says) in [
        ("no message", EXPORT, vec![grpc], vec![], "3", "no%20message"),
        ("a short frame", EXPORT, vec![grpc], vec![0, 0, 0, 0, 9, 1], "3", "9%20bytes"),
        ("two messages", EXPORT, vec![grpc], vec![0; 10], "3", "one%20message"),
        ("a strange flag", EXPORT, vec![grpc], vec![7, 0, 0, 0, 0], "3", "flag"),
        ("packed without a packing", EXPORT, vec![grpc], vec![1, 0, 0, 0, 1, 0], "3", "grpc-encoding"),
        ("an unknown packing", EXPORT, vec![grpc, ("grpc-encoding", "br")], vec![0; 5], "12", "br"),
        ("garbage", EXPORT, vec![grpc], vec![0, 0, 0, 0, 2, 0xff, 0xff], "3", "byte"),
        ("no such method", "/a.B/C", vec![grpc], vec![0; 5], "12", "LogsService"),
    ] {
        let headers: Vec<_> = headers.into_iter().chain([orgid]).collect();
        let reply = send_h2(&house, path, &headers, body).await;
        assert_eq!((reply.status, reply.code.as_str()), (200, code), "{what}: {}", reply.message);
        assert!(reply.message.contains(says), "{what}: {}", reply.message);
    }
    let json = [("content-type", "application/json"), orgid];
    assert_eq!(send_h2(&house, EXPORT, &json, vec![0; 5]).await.status, 415);
    house.assert_nothing_stored("frames").await;
}

/// An answer to a frame.
pub(crate) struct Framed {
    pub(crate) status: u16,
    /// `grpc-status`.
    pub(crate) code: String,
    /// `grpc-message`, as it stands in the header.
    pub(crate) message: String,
    pub(crate) body: bytes::Bytes,
}

pub(crate) async fn send_h2(house: &House, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Framed {
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::TokioExecutor;
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let mut request = http::Request::post(format!("http://{}{path}", house.grpc));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(bytes::Bytes::from(body))).unwrap();
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    let header = |name: &str| {
        let value = parts.headers.get(name).or_else(|| trailers.get(name));
        value.map_or("", |value| value.to_str().unwrap()).to_owned()
    };
    let (code, message) = (header("grpc-status"), header("grpc-message"));
    Framed { status: parts.status.as_u16(), code, message, body: body.to_bytes() }
}
