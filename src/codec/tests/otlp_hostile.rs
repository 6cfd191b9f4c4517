//! Requests made to cost time or memory: each is read or refused within bounds that have nothing to do with what it claims.
//!
//! Memory is what the process has at most, so this is one test in a program of its own.

mod support;

use std::time::{Duration, Instant};

use codec::otlp::Encoding::{self, Json, Protobuf};
use model::Reason;
use support::{Known, metrics};

/// Far above what any of these takes even unoptimised on a busy machine; quadratic work would take hours.
const PATIENCE: Duration = Duration::from_secs(120);

fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) << 10
}

/// A protobuf field of length-delimited bytes.
fn field(number: u8, inner: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encoding::encode_varint(inner.len() as u64, &mut out);
    out.extend(inner);
    out
}

fn request(resource: &[u8], metric: &[u8]) -> Vec<u8> {
    field(1, &[field(1, resource), field(2, &field(2, metric))].concat())
}

fn attribute(key: &str, value: &str) -> Vec<u8> {
    [field(1, key.as_bytes()), field(2, &field(1, value.as_bytes()))].concat()
}

fn point(attributes: &[Vec<u8>]) -> Vec<u8> {
    let head = [&[0x19][..], &1_795_226_400_123_000_000u64.to_le_bytes(), &[0x21], &1f64.to_le_bytes()].concat();
    let attributes: Vec<u8> = attributes.iter().flat_map(|attribute| field(7, attribute)).collect();
    [head, attributes].concat()
}

fn gauge(points: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let points: Vec<u8> = points.flat_map(|point| field(1, &point)).collect();
    [field(1, b"g"), field(5, &points)].concat()
}

/// Reads within `memory_max` bytes more than before besides the body; returns what was stored, refused, and the error.
#[track_caller]
fn check(name: &str, body: &[u8], encoding: Encoding, memory_max: u64, expected: &str) {
    let (before, begun) = (peak_bytes(), Instant::now());
    let outcome = match metrics(body, encoding, &Known::default()) {
        Ok((batch, rejected)) => {
            let by: Vec<String> =
                rejected.by_reason.iter().map(|(reason, rows, _)| format!("{rows} {}", reason.as_str())).collect();
            format!("{} stored, {} series; {}", batch.points.len(), batch.series.len(), by.join(", "))
        }
        Err(error) => error.reason,
    };
    let (took, grew) = (begun.elapsed(), peak_bytes().saturating_sub(before));
    println!("{name}: {} bytes, {took:?}, {} MiB", body.len(), grew >> 20);
    assert_eq!(outcome, expected, "{name}");
    assert!(took < PATIENCE, "{name} took {took:?}");
    assert!(grew < memory_max, "{name} took {grew} bytes");
}

#[test]
fn hostile_requests_stay_within_bounds() {
    const MIB: u64 = 1 << 20;
    let many: Vec<Vec<u8>> = (0..10_000).map(|n| attribute(&format!("key{n}"), "value")).collect();
    let limit = Reason::LabelLimit.as_str();
    let wide = request(&[], &gauge([point(&many)].into_iter()));
    check("10,000 attributes", &wide, Protobuf, 64 * MIB, &format!("0 stored, 0 series; 1 {limit}"));
    let long = request(&[], &gauge([point(&[attribute("k", &"x".repeat(1 << 20))])].into_iter()));
    check("1 MiB of a value", &long, Protobuf, 64 * MIB, &format!("0 stored, 0 series; 1 {limit}"));
    let resource: Vec<u8> = (0..10_000).flat_map(|n| field(1, &attribute(&format!("k{n}"), "v"))).collect();
    let wide = request(&resource, &gauge((0..1_000).map(|_| point(&[]))));
    check("10,000 attributes of a resource", &wide, Protobuf, 64 * MIB, &format!("0 stored, 0 series; 1000 {limit}"));

    let points = request(&[], &gauge((0..100_000).map(|_| point(&[attribute("k", "v")]))));
    check("100,000 points of one series", &points, Protobuf, 64 * MIB, "100000 stored, 1 series; ");
    let points = request(&[], &gauge((0..1_000_000).map(|_| point(&[]))));
    check("a million points", &points, Protobuf, 192 * MIB, "1000000 stored, 1 series; ");
    let empty = request(&[], &[field(1, b"g"), field(5, &[0x0a, 0].repeat(2_000_000))].concat());
    check("two million empty points", &empty, Protobuf, 64 * MIB, "0 stored, 0 series; 2000000 malformed");

    // Ten labels of the resource, and one of the point: without a bound this would be twice as many labels.
    let resource: Vec<u8> = (0..10).flat_map(|n| field(1, &attribute(&format!("k{n}"), "v"))).collect();
    let series = request(&resource, &gauge((0..700_000).map(|n| point(&[attribute("n", &n.to_string())]))));
    let fit = (4 << 20) / 12;
    let refused = 700_000 - fit;
    check("new series", &series, Protobuf, 1024 * MIB, &format!("{fit} stored, {fit} series; {refused} record_limit"));

    let empty = [0x3a, 0].repeat(5_000_000);
    let attributes = request(&[], &gauge([[point(&[]), empty.clone()].concat()].into_iter()));
    check("empty attributes", &attributes, Protobuf, 64 * MIB, "more than 65536 entries in one list");
    let exemplar = [
        vec![0x2a],
        {
            let mut n = vec![];
            prost::encoding::encode_varint(empty.len() as u64, &mut n);
            n
        },
        empty,
    ]
    .concat();
    let exemplar = request(&[], &gauge([[point(&[]), exemplar].concat()].into_iter()));
    check("empty attributes of an exemplar", &exemplar, Protobuf, 64 * MIB, "more than 65536 entries in one list");
    let exemplars = request(&[], &gauge([[point(&[]), [0x2a, 0].repeat(1_000_000)].concat()].into_iter()));
    check("a million exemplars", &exemplars, Protobuf, 64 * MIB, "1 stored, 1 series; ");

    let array = format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"k","value":{{"arrayValue":{{"values":[{}]}}}}}}]}}}}]}}"#,
        vec!["{}"; 3_000_000].join(",")
    );
    check("an array of nothing", array.as_bytes(), Json, 64 * MIB, "more than 65536 entries in one list");

    let at = &1_795_226_400_123_000_000u64.to_le_bytes();
    let bounds: Vec<u8> = (0..1_000_000).flat_map(|n| f64::from(n).to_le_bytes()).collect();
    let counts = vec![0; 8 * 1_000_001];
    let histogram = [[&[0x19][..], at].concat(), field(7, &bounds), field(6, &counts)].concat();
    let histogram = request(&[], &[field(1, b"h"), field(9, &[field(1, &histogram), vec![0x10, 2]].concat())].concat());
    check("a million buckets", &histogram, Protobuf, 64 * MIB, "0 stored, 0 series; 1 malformed");
}
