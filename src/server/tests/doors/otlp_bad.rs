//! Bad input at the OTLP/HTTP door: a fitting status, a message that helps, and nothing stored.

use prost::Message as _;

use crate::house::{House, REQUEST_BYTES_MAX, now_ms, settings};
use crate::payload::{self, gauge};

struct Case {
    what: &'static str,
    path: &'static str,
    content_type: &'static str,
    packing: &'static str,
    body: Vec<u8>,
    status: u16,
    says: &'static str,
}

fn cases() -> Vec<Case> {
    const PB: &str = "application/x-protobuf";
    const JSON: &str = "application/json";
    let good = gauge("up", &[(now_ms(), Some(1.0))]).encode_to_vec();
    let deep_json = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"1","body":{}{{"intValue":1}}{}}}]}}]}}]}}"#,
        r#"{"arrayValue":{"values":["#.repeat(5_000),
        "]}}".repeat(5_000),
    );
    let mut deep = vec![];
    for _ in 0..5_000 {
        // AnyValue{array_value: ArrayValue{values: [deep]}}
        deep = lengthened(0x2a, &lengthened(0x0a, &deep));
    }
    let deep_protobuf = lengthened(0x0a, &lengthened(0x12, &lengthened(0x12, &lengthened(0x2a, &deep))));
    let mut bad_utf8 = good.clone();
    let at = bad_utf8.windows(2).position(|pair| pair == b"up").unwrap();
    bad_utf8[at] = 0xff;
    let case = |what, path, content_type, packing, body, status, says| Case {
        what,
        path,
        content_type,
        packing,
        body,
        status,
        says,
    };
    let large = vec![0; REQUEST_BYTES_MAX + 1];
    let mut cases = vec![
        case("no content type", "/v1/metrics", "", "", good.clone(), 415, "application/x-protobuf"),
        case("a form", "/v1/metrics", "application/x-www-form-urlencoded", "", good.clone(), 415, "application/json"),
        case("text", "/v1/logs", "text/plain", "", b"hello".to_vec(), 415, "application/json"),
        case("brotli", "/v1/metrics", PB, "br", good.clone(), 415, "gzip, zstd, snappy, deflate"),
        case("two packings", "/v1/metrics", PB, "gzip, zstd", good.clone(), 415, "Content-Encoding"),
        case("cut protobuf", "/v1/metrics", PB, "", good[..good.len() - 3].to_vec(), 400, "byte"),
        case("a wrong wire type", "/v1/metrics", PB, "", vec![0x08, 0x01], 400, "resource_metrics"),
        case("invalid UTF-8", "/v1/metrics", PB, "", bad_utf8, 400, "UTF-8"),
        case("deep protobuf", "/v1/logs", PB, "", deep_protobuf, 400, "nest"),
        case("deep JSON", "/v1/logs", JSON, "", deep_json.into_bytes(), 400, ""),
        case("JSON sent as protobuf", "/v1/metrics", PB, "", b"{\"resourceMetrics\":[]}".to_vec(), 400, ""),
        case("protobuf sent as JSON", "/v1/metrics", JSON, "", good.clone(), 400, ""),
        case("cut JSON", "/v1/logs", JSON, "", b"{\"resourceLogs\":[{".to_vec(), 400, ""),
        case("more after JSON", "/v1/logs", JSON, "", b"{} {}".to_vec(), 400, ""),
        case("a wrong JSON type", "/v1/logs", JSON, "", b"{\"resourceLogs\":7}".to_vec(), 400, "resourceLogs"),
        case("too large", "/v1/metrics", PB, "", large.clone(), 413, "limits.request_bytes"),
    ];
    type Pack = fn(&[u8]) -> Vec<u8>;
    let packers: [(&str, Pack); 3] =
        [("gzip", payload::gzip as Pack), ("zstd", payload::zstd as Pack), ("deflate", payload::zlib as Pack)];
    for (packing, pack) in packers {
        let packed = pack(&good);
        cases.push(case("a bomb", "/v1/metrics", PB, packing, pack(&vec![0; 200 << 20]), 413, "limits.request_bytes"));
        cases.push(case("one byte too many", "/v1/logs", PB, packing, pack(&large), 413, "limits.request_bytes"));
        cases.push(case("cut packing", "/v1/metrics", PB, packing, packed[..packed.len() - 5].to_vec(), 400, packing));
        cases.push(case("not packed", "/v1/metrics", PB, packing, good.clone(), 400, packing));
        cases.push(case("packed garbage", "/v1/metrics", PB, packing, pack(&[0xff; 100]), 400, "byte"));
    }
    cases
}

/// A protobuf field of a length, with its tag.
fn lengthened(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    prost::encode_length_delimiter(body.len(), &mut out).unwrap();
    out.extend_from_slice(body);
    out
}

#[tokio::test]
async fn every_bad_request_is_told_why_and_stores_nothing() {
    let house = House::open(settings()).await;
    for (index, case) in cases().into_iter().enumerate() {
        let tenant = format!("bad{index}");
        let mut headers = vec![("x-scope-orgid", tenant.as_str())];
        if !case.content_type.is_empty() {
            headers.push(("content-type", case.content_type));
        }
        if !case.packing.is_empty() {
            headers.push(("content-encoding", case.packing));
        }
        let reply = house.post(case.path, &headers, case.body).await;
        let (what, text) = (format!("{} {}", case.what, case.packing), reply.text());
        assert_eq!(reply.status, case.status, "{what}: {text}");
        assert!(text.contains(case.says), "{what}: {text}");
        assert!(!text.trim().is_empty() && text.len() < 4_096, "{what}: {text}");
        if case.status != 415 || case.content_type.starts_with("application/x-proto") {
            assert_eq!(reply.header("content-type"), case.content_type, "{what}");
        }
        if reply.header("content-type") == "application/json" {
            assert!(reply.json()["message"].as_str().is_some_and(|message| !message.is_empty()), "{what}: {text}");
        }
        house.assert_nothing_stored(&tenant).await;
    }
    // And the door still works.
    let good = gauge("up", &[(now_ms(), Some(1.0))]).encode_to_vec();
    let reply = house.post("/v1/metrics", &[("content-type", "application/x-protobuf")], good).await;
    assert_eq!(reply.status, 200);
}
