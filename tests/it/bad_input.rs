//! Bad input at every door of the running binary: the right status, a message that helps, nothing stored, nobody dead.

use std::io::Write as _;

use serde_json::Value;

use crate::appliance::Appliance;
use crate::otlp;

struct Case<'a> {
    name: &'a str,
    path: &'a str,
    content_type: &'a str,
    encoding: Option<&'a str>,
    body: Vec<u8>,
    status: u16,
    /// Stands in the answer.
    says: &'a str,
}

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

#[tokio::test]
async fn otlp_over_http() {
    let home = tempfile::tempdir().unwrap();
    let appliance = Appliance::start(home.path());
    let good = otlp::gauge("bad", "bad.input", &[(binnacle::clock::now_ns(), 1.0)]);
    let truncated = good[..good.len() - 3].to_vec();
    let deep = format!("{}{}", "{\"arrayValue\":{\"values\":[".repeat(5_000), "]}}".repeat(5_000));
    let deep_log = format!("{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"body\":{deep}}}]}}]}}]}}");
    let bomb = vec![0u8; 65 << 20];
    let case = |name, path, content_type, encoding, body, status, says| Case {
        name,
        path,
        content_type,
        encoding,
        body,
        status,
        says,
    };
    let cases = [
        case("truncated protobuf", "/v1/metrics", PROTOBUF, None, truncated, 400, ""),
        case("garbage", "/v1/logs", PROTOBUF, None, vec![0xff; 100], 400, ""),
        case("no JSON", "/v1/metrics", JSON, None, b"{\"resourceMetrics\":[".to_vec(), 400, "message"),
        case("trailing data", "/v1/metrics", JSON, None, b"{} x".to_vec(), 400, "message"),
        case("wrong type", "/v1/logs", JSON, None, b"{\"resourceLogs\":7}".to_vec(), 400, "resourceLogs"),
        case("deep nesting", "/v1/logs", JSON, None, deep_log.into_bytes(), 400, "message"),
        case("gzip bomb", "/v1/logs", PROTOBUF, Some("gzip"), gzip(&bomb), 413, "limits.request_bytes"),
        case(
            "zstd bomb",
            "/v1/logs",
            PROTOBUF,
            Some("zstd"),
            zstd::encode_all(&bomb[..], 1).unwrap(),
            413,
            "limits.request_bytes",
        ),
        case("torn gzip", "/v1/metrics", PROTOBUF, Some("gzip"), gzip(&good)[..20].to_vec(), 400, "gzip"),
        case("no gzip", "/v1/metrics", PROTOBUF, Some("gzip"), good.clone(), 400, "gzip"),
        case("unknown encoding", "/v1/metrics", PROTOBUF, Some("br"), good.clone(), 415, "br"),
        case("unknown type", "/v1/metrics", "text/csv", None, good.clone(), 415, "application/x-protobuf"),
        case("traces", "/v1/traces", PROTOBUF, None, Vec::new(), 404, "traces"),
        case("unknown path", "/v2/metrics", PROTOBUF, None, Vec::new(), 404, ""),
    ];
    for case in cases {
        let mut request = appliance
            .client()
            .post(format!("{}{}", appliance.otlp_http, case.path))
            .header("content-type", case.content_type)
            .body(case.body);
        if let Some(encoding) = case.encoding {
            request = request.header("content-encoding", encoding);
        }
        let reply = request.send().await.unwrap();
        let (status, body) = (reply.status().as_u16(), reply.bytes().await.unwrap());
        let body = String::from_utf8_lossy(&body);
        assert_eq!(status, case.status, "{}: {body}", case.name);
        assert!(body.contains(case.says), "{}: {body:?} lacks {:?}", case.name, case.says);
    }
    assert_eq!(appliance.query("bad_input").await, Vec::<Value>::new());
    assert!(appliance.logs("").await.is_empty());
    assert_eq!(appliance.push("/v1/metrics", good).await.unwrap(), 200);
    assert_eq!(appliance.query("bad_input").await.len(), 1);
    assert!(!appliance.log().contains("panicked"), "{}", appliance.log());
}

#[tokio::test]
async fn invalid_utf_8_and_huge_labels_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let appliance = Appliance::start(home.path());
    let at_ns = binnacle::clock::now_ns();
    let mut wrong = otlp::gauge("bad", "bad.XXXX", &[(at_ns, 1.0)]);
    let at = wrong.windows(4).position(|window| window == b"XXXX").unwrap();
    wrong[at..at + 4].copy_from_slice(&[0xff, 0xfe, 0xff, 0xfe]);
    assert_eq!(appliance.push("/v1/metrics", wrong).await.unwrap(), 400);

    let huge = otlp::gauge(&"x".repeat(20_000), "bad.huge", &[(at_ns, 1.0)]);
    let url = format!("{}/v1/metrics", appliance.otlp_http);
    let reply = appliance.client().post(url).header("content-type", PROTOBUF).body(huge).send().await.unwrap();
    assert_eq!(reply.status().as_u16(), 200);
    let body = String::from_utf8_lossy(&reply.bytes().await.unwrap()).into_owned();
    assert!(body.contains("limits.label_value_bytes"), "{body:?}");
    assert!(appliance.query("bad_huge").await.is_empty());
}

#[tokio::test]
async fn queries() {
    let home = tempfile::tempdir().unwrap();
    let appliance = Appliance::start(home.path());
    let nested = format!("/api/v1/query?query={}1{}", "(".repeat(5_000), ")".repeat(5_000));
    let long = format!("/api/v1/query?query={}", "a".repeat(40_000));
    for (path, status, says) in [
        ("/api/v1/query?query=sum(", 400, "parse error"),
        ("/api/v1/query?query=rate(up)", 400, "expected type range vector"),
        ("/api/v1/query", 400, "query"),
        ("/api/v1/query?query=up&time=yesterday", 400, "time"),
        ("/api/v1/query_range?query=up&start=0&end=1", 400, "step"),
        ("/api/v1/query_range?query=up&start=0&end=1e9&step=1", 400, "11,000"),
        ("/api/v1/query_range?query=up&start=5&end=1&step=1", 400, "end"),
        ("/api/v1/series", 400, "match[]"),
        ("/api/v1/series?match[]={}", 400, "match[]"),
        ("/api/v1/nothing", 404, ""),
        ("/api/v1/logs?q=(open", 400, "parenthesis"),
        ("/api/v1/logs?from=nonsense", 400, "from"),
        (nested.as_str(), 400, "nest"),
        (long.as_str(), 400, "long"),
    ] {
        let (found, body) = appliance.get(path).await;
        let short: String = path.chars().take(60).collect();
        assert_eq!(found, status, "{short}: {body}");
        assert!(body.contains(says), "{short}: {body:?} lacks {says:?}");
    }
    assert_eq!(appliance.query("1 + 1").await.len(), 2);
    assert!(!appliance.log().contains("panicked"), "{}", appliance.log());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
