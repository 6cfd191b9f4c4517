//! Gauges and sums: their values, times, starts and deltas.

use codec::otlp::Encoding::{Json, Protobuf};

use super::support::{self, Known};
use super::{AT, check};

#[track_caller]
fn gauge_point(point: &str, expected: &str) {
    check(&format!(r#"{{"name":"g","gauge":{{"dataPoints":[{point}]}}}}"#), &[expected]);
}

#[test]
fn numbers() {
    for (value, expected) in [
        (r#""asDouble":-0.0"#, "-0.0"),
        (r#""asDouble":"NaN""#, "NaN"),
        (r#""asDouble":"-Infinity""#, "-inf"),
        (r#""asDouble":"1.25""#, "1.25"),
        (r#""asDouble":5"#, "5.0"),
        (r#""asInt":"9007199254740993""#, "9007199254740992.0"),
        (r#""asInt":-9223372036854775808"#, "-9.223372036854776e18"),
        (r#""asInt":"5","asDouble":null"#, "5.0"),
        (r#""asInt":1e2"#, "100.0"),
        (r#""asDouble":1,"asInt":2"#, "2.0"),
        (r#""asDouble":1,"flags":1"#, "stale"),
        (r#""flags":"1""#, "stale"),
        (r#""asDouble":1,"flags":2"#, "1.0"),
    ] {
        gauge_point(&format!("{{$AT,{value}}}"), &format!("g {expected} @1795226400123"));
    }
    gauge_point("{$AT}", r#"(Malformed, 1, "metric \"g\": the point has no value")"#);
    gauge_point(r#"{$AT,"as_double":5}"#, r#"(Malformed, 1, "metric \"g\": the point has no value")"#);
}

#[test]
fn a_senders_nan_is_never_the_stale_marker() {
    let mut body = vec![];
    prost::Message::encode(
        &{
            use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
            use opentelemetry_proto::tonic::metrics::v1::*;
            let nan = |bits| NumberDataPoint {
                time_unix_nano: 1_795_226_400_123_000_000,
                value: Some(number_data_point::Value::AsDouble(f64::from_bits(bits))),
                ..Default::default()
            };
            let data_points = vec![nan(model::metric::STALE_NAN_BITS), nan(0x7ff8_0000_0000_abcd)];
            let data = Some(metric::Data::Gauge(Gauge { data_points }));
            let metrics = vec![Metric { name: "g".into(), data, ..Default::default() }];
            let scope_metrics = vec![ScopeMetrics { metrics, ..Default::default() }];
            ExportMetricsServiceRequest {
                resource_metrics: vec![ResourceMetrics { scope_metrics, ..Default::default() }],
            }
        },
        &mut body,
    )
    .unwrap();
    let (batch, _) = support::metrics(&body, Protobuf, &Known::default()).unwrap();
    let bits: Vec<u64> = batch.samples.iter().map(|(_, sample)| sample.value.to_bits()).collect();
    assert_eq!(bits, [model::metric::NORMAL_NAN_BITS, 0x7ff8_0000_0000_abcd]);
}

#[test]
fn times() {
    for (time, expected) in [
        ("0", r#"(BadTime, 1, "metric \"g\": the point has no time")"#),
        ("null", r#"(BadTime, 1, "metric \"g\": the point has no time")"#),
        (
            "9223372036854775808",
            r#"(BadTime, 1, "metric \"g\": time of 9223372036854775808 ns is past the year 2262")"#,
        ),
        ("1577836799999999999", r#"(TooOld, 1, "metric \"g\": 2019-12-31T23:59:59.999Z is older than the retention")"#),
        ("1577836800000000000", "g 1.0 @1577836800000"),
        ("1.9e18", "g 1.0 @1900000000000"),
        (
            "1900000000001000000",
            r#"(TooNew, 1, "metric \"g\": 2030-03-17T17:46:40.001Z is too far in the future; check the sender's clock")"#,
        ),
    ] {
        gauge_point(&format!(r#"{{"asInt":1,"timeUnixNano":{time}}}"#), expected);
    }
}

#[test]
fn sums() {
    let sum = |rest: &str| format!(r#"{{"name":"a.b","unit":"s","sum":{{"dataPoints":[{{$AT,"asInt":1}}],{rest}}}}}"#);
    check(&sum(r#""aggregationTemporality":2,"isMonotonic":true"#), &["a_b_seconds_total 1.0 @1795226400123"]);
    check(&sum(r#""aggregationTemporality":"2""#), &["a_b_seconds 1.0 @1795226400123"]);
    let named = r#""aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE""#;
    check(&sum(named), &["a_b_seconds 1.0 @1795226400123"]);
    check(&sum(r#""aggregationTemporality":1"#), &["a_b_seconds 1.0 @1795226400123 delta since ?"]);
    for unknown in ["0", "9"] {
        let expected = format!(
            "(Unsupported, 1, \"metric \\\"a.b\\\": aggregation temporality {unknown} says neither delta (1) nor cumulative (2)\")"
        );
        check(&sum(&format!(r#""aggregationTemporality":{unknown}"#)), &[&expected]);
    }
}

/// A start is told unless it is none, or the point's own time.
#[test]
fn starts_and_deltas() {
    let start = |ns: &str| format!(r#"$AT,"startTimeUnixNano":"{ns}""#);
    let sum = |rest: &str, point: &str| format!(r#"{{"name":"s","sum":{{{rest},"dataPoints":[{{{point}}}]}}}}"#);
    let counter = r#""isMonotonic":true,"aggregationTemporality":2"#;
    let delta = r#""isMonotonic":true,"aggregationTemporality":1"#;
    let level = r#""aggregationTemporality":1"#;
    for (kind, ns, expected) in [
        (counter, "1795226399999999999", " since 1795226399999"),
        (counter, "0", ""),
        (counter, "1795226400123999999", ""),
        (counter, "1795226400124000000", ""),
        (counter, "1795226400123999998", " since 1795226400123"),
        (delta, "1795226399999999999", " delta since 1795226399999"),
        (delta, "0", " delta since ?"),
    ] {
        let name = "s_total 5.0 @1795226400123";
        check(&sum(kind, &(start(ns) + r#","asInt":5"#)), &[&format!("{name}{expected}")]);
    }
    // A level's start says nothing of a reset.
    let gauge = r#""aggregationTemporality":2"#;
    check(&sum(gauge, &(start("1") + r#","asInt":5"#)), &["s 5.0 @1795226400123"]);
    check(&sum(level, r#"$AT,"asInt":-5"#), &["s -5.0 @1795226400123 delta since ?"]);
    for (kind, value, expected) in [
        (delta, r#""asInt":-1"#, r#"(Malformed, 1, "metric \"s\": a delta of a monotonic sum is negative")"#),
        (
            level,
            r#""asDouble":"NaN""#,
            r#"(Malformed, 1, "metric \"s\": a delta that is no finite number cannot be summed up")"#,
        ),
        (delta, r#""flags":1"#, "s_total stale @1795226400123"),
    ] {
        check(&sum(kind, &format!("$AT,{value}")), &[expected]);
    }
    check(
        r#"{"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[{$AT,"startTimeUnixNano":5000000,"count":1,"sum":2}]}}"#,
        &[
            r#"h_bucket{le="+Inf"} 1.0 @1795226400123 | h_sum 2.0 @1795226400123 | h_count 1.0 @1795226400123 delta since 5"#,
        ],
    );
    // Of a summary only sum and count run up.
    let summary = r#"{"name":"q","summary":{"dataPoints":[{$AT,"startTimeUnixNano":5000000,"quantileValues":[{"quantile":1,"value":3}]}]}}"#;
    let body = format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{summary}]}}]}}]}}"#).replace("$AT", AT);
    let (batch, _) = support::metrics(body.as_bytes(), Json, &Known::default()).unwrap();
    let span = model::Span { first: 1, end: 3, start_ms: Some(5), counts: model::Counts::Cumulative };
    assert_eq!(batch.spans, [span]);
}
