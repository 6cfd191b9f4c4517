//! What metrics become: series, values, refusals. Written in JSON, since the encodings are proven equal in `otlp_encodings`.

mod support;

use codec::otlp::Encoding::{Json, Protobuf};
use codec::otlp::{Delta, MetricsSettings, Promote, Translation, decode_metrics};
use support::{ACCEPT, Known, metric_lines, metrics_outcome, metrics_settings};

const AT: &str = r#""timeUnixNano":"1795226400123999999""#;

/// One metric without a resource; `$AT` in the text stands for a time.
#[track_caller]
fn check(metric: &str, expected: &[&str]) {
    let body = format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#);
    let lines = metrics_outcome(body.replace("$AT", AT).as_bytes(), Json, &Known::default()).unwrap();
    let lines: Vec<&String> = lines.iter().filter(|line| !line.starts_with("MetricMeta")).collect();
    assert_eq!(lines, expected);
}

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

#[track_caller]
fn histogram_point(point: &str, expected: &str) {
    let metric = format!(r#"{{"name":"h","histogram":{{"aggregationTemporality":2,"dataPoints":[{{$AT,{point}}}]}}}}"#);
    let expected = match expected.strip_prefix("malformed: ") {
        Some(reason) => format!(r#"(Malformed, 1, "metric \"h\": {reason}")"#),
        None => {
            let series = expected.split(", ").map(|series| format!("h_{series} @1795226400123"));
            series.collect::<Vec<_>>().join(" | ")
        }
    };
    check(&metric, &[&expected]);
}

#[test]
fn histograms() {
    histogram_point(
        r#""count":"6","sum":1.5,"explicitBounds":[0.005,1,1e21],"bucketCounts":[1,"2",0,3]"#,
        r#"bucket{le="0.005"} 1.0, bucket{le="1"} 3.0, bucket{le="1000000000000000000000"} 3.0, bucket{le="+Inf"} 6.0, sum 1.5, count 6.0"#,
    );
    // No sum, a bound of +Inf, an attribute that takes the name of the bucket's label.
    histogram_point(
        r#""count":3,"explicitBounds":[1,"Infinity"],"bucketCounts":[1,1,1],"attributes":[{"key":"le","value":{"intValue":5}}]"#,
        r#"bucket{le="1"} 1.0, bucket{le="+Inf"} 3.0, count{le="5"} 3.0"#,
    );
    histogram_point(r#""count":3,"sum":"NaN""#, r#"bucket{le="+Inf"} 3.0, sum NaN, count 3.0"#);
    histogram_point(r#""count":3,"bucketCounts":[3]"#, r#"bucket{le="+Inf"} 3.0, count 3.0"#);
    check(
        r#"{"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[
          {$AT,"flags":1,"explicitBounds":[1],"bucketCounts":[],"attributes":[{"key":"le","value":{"stringValue":"x"}}]}]}}"#,
        &[
            r#"h_bucket{le="1"} stale @1795226400123 | h_bucket{le="+Inf"} stale @1795226400123 | h_sum{le="x"} stale @1795226400123 | h_count{le="x"} stale @1795226400123"#,
            "ended h_bucket by le @1795226400123",
        ],
    );
    let many = |value: &str| vec![value; 4_097].join(",");
    let bounds: Vec<String> = (0..4_097).map(|bound| bound.to_string()).collect();
    histogram_point(
        &format!(r#""count":0,"explicitBounds":[{}],"bucketCounts":[{},0]"#, bounds.join(","), many("0")),
        "malformed: the histogram has more than 4096 buckets; have the SDK export an exponential histogram instead",
    );
    for (point, reason) in [
        (
            r#""count":1,"explicitBounds":[1],"bucketCounts":[1]"#,
            "the histogram needs one bucket count more than bounds, or none of either",
        ),
        (
            r#""count":1,"explicitBounds":[1],"bucketCounts":[]"#,
            "the histogram needs one bucket count more than bounds, or none of either",
        ),
        (r#""count":1,"explicitBounds":[1,1],"bucketCounts":[1,0,0]"#, "the histogram's bounds do not increase"),
        (r#""count":1,"explicitBounds":["NaN"],"bucketCounts":[1,0]"#, "the histogram's bounds do not increase"),
        (
            r#""count":2,"explicitBounds":[1],"bucketCounts":[1,0]"#,
            "the histogram's bucket counts do not add up to its count",
        ),
        (
            r#""count":0,"explicitBounds":[1],"bucketCounts":["18446744073709551615","1"]"#,
            "the histogram's bucket counts do not add up to its count",
        ),
    ] {
        histogram_point(point, &format!("malformed: {reason}"));
    }
}

#[test]
fn summaries() {
    let summary = |point: &str| format!(r#"{{"name":"s","summary":{{"dataPoints":[{{$AT,{point}}}]}}}}"#);
    check(
        &summary(r#""count":"2","sum":"NaN","quantileValues":[{"value":1},{"quantile":0.99,"value":"Infinity"}]"#),
        &[
            r#"s{quantile="0"} 1.0 @1795226400123 | s{quantile="0.99"} inf @1795226400123 | s_sum NaN @1795226400123 | s_count 2.0 @1795226400123"#,
        ],
    );
    check(
        &summary(r#""flags":1,"quantileValues":[{"quantile":1}]"#),
        &[
            r#"s{quantile="1"} stale @1795226400123 | s_sum stale @1795226400123 | s_count stale @1795226400123"#,
            "ended s by quantile @1795226400123",
        ],
    );
    for (quantiles, reason) in [
        (r#"{"quantile":1.5}"#, "a quantile of the summary is not between 0 and 1"),
        (r#"{"quantile":"NaN"}"#, "a quantile of the summary is not between 0 and 1"),
        (r#"{"quantile":0.5},{"quantile":0.5}"#, "the summary's quantiles do not increase"),
    ] {
        let expected = format!(r#"(Malformed, 1, "metric \"s\": {reason}")"#);
        check(&summary(&format!(r#""quantileValues":[{quantiles}]"#)), &[&expected]);
    }
}

#[track_caller]
fn exponential_point(point: &str, expected: &str) {
    let metric = format!(
        r#"{{"name":"e","unit":"s","exponentialHistogram":{{"aggregationTemporality":2,"dataPoints":[{{$AT,{point}}}]}}}}"#
    );
    let expected = match expected.split_once(": ") {
        Some((reason, message)) => format!(r#"({reason}, 1, "metric \"e\": {message}")"#),
        None => format!("e_seconds {expected} @1795226400123"),
    };
    check(&metric, &[&expected]);
}

#[test]
fn exponential_histograms() {
    for (point, expected) in [
        (
            r#""scale":0,"sum":5,"count":"6","zeroCount":1,"zeroThreshold":0.25,"min":1,"max":2,
               "positive":{"offset":-1,"bucketCounts":[1,0,"2"]},"negative":{"bucketCounts":[2]}"#,
            "schema 0 zero 1 within 0.25 count 6 sum 5.0 [0:1,2:2] negative [1:2]",
        ),
        (r#""sum":0"#, "schema 0 zero 0 within 0.0 count 0 sum 0.0 [] negative []"),
        // Finer than 8: two buckets become one a step, rounding towards minus infinity.
        (
            r#""scale":9,"sum":1,"count":10,"positive":{"offset":-3,"bucketCounts":[1,2,3,4]}"#,
            "schema 8 zero 0 within 0.0 count 10 sum 1.0 [-1:1,0:5,1:4] negative []",
        ),
        (
            r#""scale":2147483647,"sum":1,"count":3,"positive":{"offset":2147483647,"bucketCounts":[1]},
               "negative":{"offset":-2147483648,"bucketCounts":[2]}"#,
            "schema 8 zero 0 within 0.0 count 3 sum 1.0 [1:1] negative [0:2]",
        ),
        (
            r#""scale":-4,"sum":1,"count":2,"positive":{"offset":63,"bucketCounts":[1]},"negative":{"offset":-68,"bucketCounts":[1]}"#,
            "schema -4 zero 0 within 0.0 count 2 sum 1.0 [64:1] negative [-67:1]",
        ),
        // The last and the first bucket that hold a double, and those beyond; empty ones do not count.
        (
            r#""scale":3,"sum":1,"count":2,"positive":{"offset":8191,"bucketCounts":[1,0]},"negative":{"offset":-8594,"bucketCounts":[0,1]}"#,
            "schema 3 zero 0 within 0.0 count 2 sum 1.0 [8192:1] negative [-8592:1]",
        ),
        (
            r#""scale":3,"sum":1,"count":1,"positive":{"offset":8192,"bucketCounts":[1]}"#,
            "Malformed: a bucket lies beyond what 64-bit floats can say",
        ),
        (
            r#""scale":3,"sum":1,"count":1,"positive":{"offset":-8594,"bucketCounts":[1]}"#,
            "Malformed: a bucket lies beyond what 64-bit floats can say",
        ),
        (
            r#""scale":-4,"sum":1,"count":1,"positive":{"offset":64,"bucketCounts":[1]}"#,
            "Malformed: a bucket lies beyond what 64-bit floats can say",
        ),
        (
            r#""scale":-4,"sum":1,"count":1,"positive":{"offset":-69,"bucketCounts":[1]}"#,
            "Malformed: a bucket lies beyond what 64-bit floats can say",
        ),
        (
            r#""scale":8,"sum":1,"count":1,"positive":{"offset":2147483647,"bucketCounts":[0,1]}"#,
            "Malformed: a bucket lies beyond what 64-bit floats can say",
        ),
        (r#""scale":-5,"sum":1"#, "Unsupported: exponential histograms of scale -5 are not stored, -4 is the coarsest"),
        (r#""count":0"#, "Malformed: the exponential histogram has no sum"),
        (
            r#""sum":1,"count":4,"zeroCount":2,"positive":{"bucketCounts":[1]}"#,
            "Malformed: the exponential histogram's bucket counts do not add up to its count",
        ),
        (
            r#""sum":1,"count":"1","positive":{"bucketCounts":["18446744073709551615",2]}"#,
            "Malformed: the exponential histogram's bucket counts do not add up to its count",
        ),
        (
            r#""sum":1,"zeroThreshold":"NaN""#,
            "Malformed: the exponential histogram's zero threshold is no number from 0 up",
        ),
        (
            r#""sum":1,"zeroThreshold":-1"#,
            "Malformed: the exponential histogram's zero threshold is no number from 0 up",
        ),
        // A point that ends its series says nothing else, not even nonsense.
        (r#""flags":1"#, "stale"),
        (r#""flags":1,"scale":-9,"count":7"#, "stale"),
    ] {
        exponential_point(point, expected);
    }
    for (buckets, expected) in [
        (16_384, "schema 8 zero 0 within 0.0 count 16384 sum 1.0 [-1023:16384] negative []"),
        (16_385, "RecordLimit: more than 16384 buckets on one side; have the SDK export at most 160 (its MaxSize)"),
    ] {
        let ones = vec!["1"; buckets].join(",");
        let positive = format!(r#""positive":{{"offset":-16777216,"bucketCounts":[{ones}]}}"#);
        exponential_point(&format!(r#""scale":22,"sum":1,"count":{buckets},{positive}"#), expected);
    }
    check(
        r#"{"name":"e","exponentialHistogram":{"aggregationTemporality":0,"dataPoints":[{$AT,"sum":1},{$AT}]}}"#,
        &[r#"(Unsupported, 2, "metric \"e\": aggregation temporality 0 says neither delta (1) nor cumulative (2)")"#],
    );
}

#[test]
fn histograms_of_both_kinds_of_points_make_one_target_info_and_one_family() {
    let body = format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"api"}}}}]}},"scopeMetrics":[{{"metrics":[
          {{"name":"e","description":"Help.","exponentialHistogram":{{"aggregationTemporality":2,"dataPoints":[
            {{{AT},"sum":0,"attributes":[{{"key":"a","value":{{"stringValue":"1"}}}}]}},
            {{"timeUnixNano":"1795226400124000000","sum":1,"zeroCount":1,"count":1,"attributes":[{{"key":"a","value":{{"stringValue":"1"}}}}]}}]}}}}]}}]}}]}}"#
    );
    let labels = r#"e{a="1",job="api",service_name="api"}"#;
    let expected = [
        format!("{labels} schema 0 zero 0 within 0.0 count 0 sum 0.0 [] negative [] @1795226400123"),
        format!("{labels} schema 0 zero 1 within 0.0 count 1 sum 1.0 [] negative [] @1795226400124"),
        r#"MetricMeta { family: "e", kind: Histogram, unit: "", help: "Help." }"#.into(),
    ];
    let mut known = Known::default();
    assert_eq!(metrics_outcome(body.as_bytes(), Json, &known).unwrap(), expected);
    let (batch, _) = support::metrics(body.as_bytes(), Json, &known).unwrap();
    assert_eq!((batch.series.len(), batch.points.len(), batch.histograms.len()), (1, 0, 2));
    known.learn(&batch);
    assert_eq!(metrics_outcome(body.as_bytes(), Json, &known).unwrap(), expected[..2]);
}

#[test]
fn empty_envelopes_are_no_errors() {
    for body in [
        "{}",
        r#"{"resourceMetrics":null}"#,
        r#"{"resourceMetrics":[]}"#,
        r#"{"resourceMetrics":[{}]}"#,
        r#"{"resourceMetrics":[{"resource":null,"scopeMetrics":[{"scope":{},"metrics":null}]}]}"#,
        r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"no.data"},{"name":"x","gauge":{}},{"name":"y","gauge":null}]}]}]}"#,
    ] {
        assert_eq!(metrics_outcome(body.as_bytes(), Json, &Known::default()), Ok(vec![]), "{body}");
    }
    assert_eq!(metrics_outcome(b"", Protobuf, &Known::default()), Ok(vec![]));
}

/// As the upstream example, with a resource: job, target_info, metadata; what is derived is not a point.
#[test]
fn a_whole_request() {
    let body = r#"{"resourceMetrics":[{
      "scopeMetrics":[{
        "scope":{"name":"my.library","version":"1.0.0","attributes":[{"key":"my.scope.attribute","value":{"stringValue":"x"}}]},
        "metrics":[
          {"name":"my.counter","unit":"1","description":"I am a Counter",
           "sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"asDouble":5,
             "startTimeUnixNano":"1795226400000000000","timeUnixNano":"1795226401000000000",
             "attributes":[{"key":"my.counter.attr","value":{"stringValue":"some value"}}]}]}},
          {"name":"my.gauge","unit":"1","description":"I am a Gauge","metadata":[{"key":"prometheus.type","value":{"stringValue":"info"}}],
           "gauge":{"dataPoints":[
             {"asDouble":10,"timeUnixNano":"1795226402000000000","exemplars":[{"traceId":"5B8EFFF798038103D269B633813FC60C","asInt":"3"}]},
             {"asDouble":11,"timeUnixNano":"5"}]}}
        ]}],
      "resource":{"entityRefs":[{"type":"service","idKeys":["service.name"]}],
        "attributes":[{"key":"service.name","value":{"stringValue":"my.service"}},{"key":"process.pid","value":{"intValue":7}}]}
    }]}"#;
    let expected = [
        r#"my_counter_total{job="my.service",my_counter_attr="some value",service_name="my.service"} 5.0 @1795226401000 since 1795226400000"#,
        r#"my_gauge_ratio{job="my.service",service_name="my.service"} 10.0 @1795226402000"#,
        r#"derived target_info{job="my.service",process_pid="7"} 1.0 @1795226401000"#,
        r#"derived target_info{job="my.service",process_pid="7"} 1.0 @1795226402000"#,
        r#"MetricMeta { family: "my_counter_total", kind: Counter, unit: "", help: "I am a Counter" }"#,
        r#"MetricMeta { family: "my_gauge_ratio", kind: Info, unit: "", help: "I am a Gauge" }"#,
        r#"(TooOld, 1, "metric \"my.gauge\": 1970-01-01T00:00:00.000Z is older than the retention")"#,
    ];
    assert_eq!(metrics_outcome(body.as_bytes(), Json, &Known::default()).unwrap(), expected);
}

#[test]
fn settings_change_labels_and_limits_refuse_points() {
    let body = r#"{"resourceMetrics":[{"resource":{"attributes":[
      {"key":"service.name","value":{"stringValue":"api"}},{"key":"cloud.region","value":{"stringValue":"eu"}}]},
      "scopeMetrics":[{"metrics":[{"name":"a.b","unit":"s","gauge":{"dataPoints":[
        {"asInt":1,"timeUnixNano":"1795226401000000000","attributes":[{"key":"http.x","value":{"boolValue":true}}]}]}}]}]}]}"#;
    let check = |settings: MetricsSettings, expected: &str| {
        let (batch, rejected) = decode_metrics(body.as_bytes(), Json, &settings, &Known::default(), ACCEPT).unwrap();
        assert_eq!(metric_lines(&batch, &rejected, &Known::default()).first().map(String::as_str), Some(expected));
    };
    let all = metrics_settings();
    check(
        MetricsSettings { promote: Promote::List(vec!["cloud.region".into()]), ..all.clone() },
        r#"a_b_seconds{cloud_region="eu",http_x="true",job="api"} 1.0 @1795226401000"#,
    );
    check(
        MetricsSettings { promote: Promote::None, translation: Translation::NoTranslation, ..all.clone() },
        r#"{"a.b","http.x"="true",job="api"} 1.0 @1795226401000"#,
    );
    check(
        MetricsSettings { labels_max: 4, ..all },
        r#"(LabelLimit, 1, "metric \"a.b\": 5 labels, the limit is 4 (limits.labels)")"#,
    );
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

#[test]
fn deltas_as_they_are_are_no_counters_and_can_be_refused() {
    let body = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[
          {{"name":"s","sum":{{"isMonotonic":true,"aggregationTemporality":1,"dataPoints":[{{{AT},"startTimeUnixNano":5,"asInt":3}}]}}}},
          {{"name":"e","exponentialHistogram":{{"aggregationTemporality":1,"dataPoints":[{{{AT},"sum":0}}]}}}}]}}]}}]}}"#
    );
    let run = |delta| {
        let settings = MetricsSettings { delta, ..metrics_settings() };
        let (batch, rejected) = decode_metrics(body.as_bytes(), Json, &settings, &Known::default(), ACCEPT).unwrap();
        let resets: Vec<_> = batch.histograms.iter().map(|(.., histogram)| histogram.reset).collect();
        (metric_lines(&batch, &rejected, &Known::default()), resets)
    };
    let (lines, resets) = run(Delta::AsIs);
    let expected = [
        "s_total 3.0 @1795226400123",
        "e schema 0 zero 0 within 0.0 count 0 sum 0.0 [] negative [] @1795226400123",
        r#"MetricMeta { family: "s_total", kind: Unknown, unit: "", help: "" }"#,
        r#"MetricMeta { family: "e", kind: Unknown, unit: "", help: "" }"#,
    ];
    assert_eq!((lines, resets), (expected.map(String::from).to_vec(), vec![model::CounterReset::Gauge]));
    let (lines, _) = run(Delta::Refuse);
    assert_eq!(
        lines,
        [
            "(Unsupported, 2, \"metric \\\"s\\\": delta temporality is refused here (metrics.delta); have the SDK export cumulative \
          (OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative)\")"
        ]
    );
}

#[test]
fn exemplars_stand_with_the_series_that_their_value_is_counted_in() {
    let exemplar = |rest: &str| format!(r#"{{"timeUnixNano":"1795226400001000000",{rest}}}"#);
    let ids = r#""traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174""#;
    let trace = r#"span_id="eee19b7ec3c1b174",trace_id="5b8efff798038103d269b633813fc60c""#;
    let sum = |exemplars: &str| {
        format!(
            r#"{{"name":"s","sum":{{"aggregationTemporality":2,"dataPoints":[{{$AT,"asInt":1,"exemplars":[{exemplars}]}}]}}}}"#
        )
    };
    let one = |exemplars: &str, expected: &str| {
        let expected = format!("exemplar of s {expected}");
        check(&sum(exemplars), &["s 1.0 @1795226400123", &expected]);
    };
    one(&exemplar(&format!(r#""asInt":"3",{ids}"#)), &format!("3.0 @1795226400001 {{{trace}}}"));
    one(r#"{"asDouble":0.5}"#, "0.5 @1795226400123 {}");
    let attributes = |pairs: &str| format!(r#""asInt":1,"filteredAttributes":[{pairs}]"#);
    one(
        &exemplar(&attributes(r#"{"key":"a.b","value":{"intValue":7}},{"key":"ü","value":{"intValue":7}}"#)),
        r#"1.0 @1795226400001 {a_b="7"}"#,
    );
    // The trace wins over an attribute of its name; too many characters cost the attributes only.
    let named = r#"{"key":"trace_id","value":{"stringValue":"mine"}}"#;
    one(&exemplar(&format!("{ids},{}", attributes(named))), &format!("1.0 @1795226400001 {{{trace}}}"));
    let long = format!(r#"{{"key":"k","value":{{"stringValue":"{}"}}}}"#, "ü".repeat(127));
    one(&exemplar(&attributes(&long)), &format!(r#"1.0 @1795226400001 {{k="{}"}}"#, "ü".repeat(127)));
    let longer = long.replacen('ü', "üü", 1);
    one(&exemplar(&format!("{ids},{}", attributes(&longer))), &format!("1.0 @1795226400001 {{{trace}}}"));
    // Ids of a wrong length or of zeros are none.
    one(r#"{"asInt":1,"traceId":"00000000000000000000000000000000","spanId":"ab"}"#, "1.0 @1795226400123 {}");
    // Without a value, or of a time that is not taken, there is none.
    check(
        &sum(r#"{},{"asInt":1,"timeUnixNano":"5"},{"asInt":1,"timeUnixNano":"18446744073709551615"}"#),
        &["s 1.0 @1795226400123"],
    );
    let gauge = r#"{"name":"g","gauge":{"dataPoints":[{$AT,"asInt":1,"exemplars":[{"asInt":3}]}]}}"#;
    check(gauge, &["g 1.0 @1795226400123"]);

    let histogram = r#"{"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[{$AT,"count":2,"explicitBounds":[1,5],"bucketCounts":[1,0,1],
      "exemplars":[{"asInt":1},{"asDouble":1.5},{"asInt":9},{"asDouble":"NaN"}]}]}}"#;
    check(
        histogram,
        &[
            r#"h_bucket{le="1"} 1.0 @1795226400123 | h_bucket{le="5"} 1.0 @1795226400123 | h_bucket{le="+Inf"} 2.0 @1795226400123 | h_count 2.0 @1795226400123"#,
            r#"exemplar of h_bucket{le="1"} 1.0 @1795226400123 {}"#,
            r#"exemplar of h_bucket{le="5"} 1.5 @1795226400123 {}"#,
            r#"exemplar of h_bucket{le="+Inf"} 9.0 @1795226400123 {}"#,
            r#"exemplar of h_bucket{le="+Inf"} NaN @1795226400123 {}"#,
        ],
    );
    let native = r#"{"name":"e","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{$AT,"sum":0,"exemplars":[{"asInt":4}]}]}}"#;
    check(
        native,
        &[
            "e schema 0 zero 0 within 0.0 count 0 sum 0.0 [] negative [] @1795226400123",
            "exemplar of e 4.0 @1795226400123 {}",
        ],
    );
}

#[test]
fn scopes_become_labels_and_target_info_keeps_its_names_when_asked_to() {
    let body = format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[
          {{"key":"service.name","value":{{"stringValue":"api"}}}},{{"key":"x","value":{{"stringValue":"1"}}}}]}},"scopeMetrics":[{{
          "scope":{{"name":"lib","version":"2","attributes":[{{"key":"a.b","value":{{"boolValue":true}}}},{{"key":"name","value":{{"stringValue":"evil"}}}}]}},
          "schemaUrl":"https://s","metrics":[{{"name":"g","gauge":{{"dataPoints":[
            {{{AT},"asInt":1,"attributes":[{{"key":"otel.scope.name","value":{{"stringValue":"point"}}}}]}}]}}}}]}}]}}]}}"#
    );
    let run = |settings: MetricsSettings| {
        let (batch, rejected) = decode_metrics(body.as_bytes(), Json, &settings, &Known::default(), ACCEPT).unwrap();
        let mut lines = metric_lines(&batch, &rejected, &Known::default());
        lines.truncate(2);
        lines
    };
    let plain = MetricsSettings { promote: Promote::None, ..metrics_settings() };
    assert_eq!(
        run(MetricsSettings { promote_scope: true, ..plain.clone() }),
        [
            r#"g{job="api",otel_scope_a_b="true",otel_scope_name="lib",otel_scope_schema_url="https://s",otel_scope_version="2"} 1.0 @1795226400123"#,
            r#"derived target_info{job="api",x="1"} 1.0 @1795226400123"#,
        ]
    );
    assert_eq!(
        run(MetricsSettings { keep_identifying: true, ..plain }),
        [
            r#"g{job="api",otel_scope_name="point"} 1.0 @1795226400123"#,
            r#"derived target_info{job="api",service_name="api",x="1"} 1.0 @1795226400123"#,
        ]
    );
}

#[test]
fn errors_name_path_and_byte() {
    for (body, expected) in [
        (
            r#"{"resourceMetrics":[{},{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"asDouble":"x"}]}}]}]}]}"#,
            "resourceMetrics[1].scopeMetrics[0].metrics[0].gauge.dataPoints[0].asDouble at byte 88: a number expected",
        ),
        (
            r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"attributes":[{"key":5}]}]}}]}]}]}"#,
            "resourceMetrics[0].scopeMetrics[0].metrics[0].gauge.dataPoints[0].attributes[0].key at byte 95: a string expected",
        ),
        (
            r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"sum":{"aggregationTemporality":"DELTA"}}]}]}]}"#,
            "resourceMetrics[0].scopeMetrics[0].metrics[0].sum.aggregationTemporality at byte 82: an integer expected",
        ),
        (r#"{"resourceMetrics":[],"resourceMetrics":[]}"#, "resourceMetrics at byte 40: given twice"),
        (r#"{} {}"#, "request at byte 3: text after the end of the document"),
        ("[]", "request at byte 0: an object expected, '[' found"),
        ("", "request at byte 0: an object expected, the text ends"),
    ] {
        assert_eq!(metrics_outcome(body.as_bytes(), Json, &Known::default()), Err(expected.into()), "{body}");
    }
    let nested = |name: &str, levels: usize| {
        let open = format!(r#"{{"{name}":{{"values":["#).repeat(levels);
        let body = format!(
            r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"k","value":{open}{}}}]}}}}]}}"#,
            "]}}".repeat(levels)
        );
        metrics_outcome(body.as_bytes(), Json, &Known::default())
    };
    assert_eq!(nested("arrayValue", 32), Ok(vec![]));
    let error = nested("arrayValue", 33).unwrap_err();
    assert!(error.ends_with("values nested deeper than 32"), "{error}");
    let error = nested("arrayValue", 100_000).unwrap_err();
    assert!(error.len() < 2_000, "{} bytes of error", error.len());
}

/// By hand, since prost writes none of these.
#[test]
fn protobuf_in_unusual_shapes() {
    fn field(number: u8, inner: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, inner.len() as u8], inner].concat()
    }
    fn request(metric: &[u8]) -> Vec<u8> {
        field(1, &field(2, &field(2, metric)))
    }
    let time = [&[0x19][..], &1_795_226_400_123_000_000u64.to_le_bytes()].concat();
    let value = |value: f64| [&[0x21][..], &value.to_le_bytes()].concat();
    let point = |v: f64| [time.clone(), value(v)].concat();
    let run = |body: Vec<u8>| metrics_outcome(&body, Protobuf, &Known::default());
    let samples = |body: Vec<u8>| -> Vec<String> {
        let lines = run(body).unwrap();
        lines.into_iter().filter(|line| !line.starts_with("MetricMeta")).collect()
    };
    let name = field(1, b"g");
    let gauge = |v| field(5, &field(1, &point(v)));

    // The gauge in two pieces, before the name: one gauge. A sum in between takes its place, and gauge takes it back.
    let pieces = [gauge(1.0), gauge(2.0), name.clone()].concat();
    assert_eq!(samples(request(&pieces)), ["g 1.0 @1795226400123", "g 2.0 @1795226400123"]);
    let oneof = [gauge(1.0), field(7, &[]), gauge(2.0), name.clone()].concat();
    assert_eq!(samples(request(&oneof)), ["g 2.0 @1795226400123"]);
    // Unknown fields of every type, a group too; a scalar twice.
    let unknown = [
        &[0xa0, 0x06, 0x80, 0x01, 0xa1, 0x06][..],
        &[0; 8],
        &[0xa3, 0x06, 0x08, 0x01, 0xa4, 0x06, 0xa5, 0x06],
        &[0; 4],
    ];
    let odd =
        [name.clone(), unknown.concat(), field(5, &field(1, &[unknown.concat(), value(1.0), point(3.0)].concat()))];
    assert_eq!(samples(request(&odd.concat())), ["g 3.0 @1795226400123"]);
    // Unpacked and packed counts and bounds.
    let count = [&[0x21][..], &3u64.to_le_bytes()].concat();
    let unpacked = |tag: u8, bits: u64| [&[tag][..], &bits.to_le_bytes()].concat();
    let loose =
        [time.clone(), count.clone(), unpacked(0x31, 1), unpacked(0x39, 1.0f64.to_bits()), unpacked(0x31, 2)].concat();
    let packed = [1u64.to_le_bytes(), 2u64.to_le_bytes()].concat();
    let packed = [time.clone(), count, field(6, &packed), field(7, &1.0f64.to_le_bytes())].concat();
    for histogram in [loose, packed] {
        let metric = [field(1, b"h"), field(9, &[field(1, &histogram), vec![0x10, 2]].concat())].concat();
        let expected = r#"h_bucket{le="1"} 1.0 @1795226400123 | h_bucket{le="+Inf"} 3.0 @1795226400123 | h_count 3.0 @1795226400123"#;
        assert_eq!(samples(request(&metric)), [expected]);
    }

    let at = "resource_metrics[0].scope_metrics[0].metrics[0]";
    for (metric, expected) in [
        (field(1, b"\xff"), format!("{at}.name at byte 8: text is not UTF-8")),
        (vec![0x08, 1], format!("{at}.name at byte 6: length-delimited bytes expected, a varint found")),
        (field(5, &[0x0a, 5]), format!("{at}.gauge at byte 10: 5 bytes announced, 0 are left")),
        (
            field(5, &field(1, &[0x18, 1])),
            format!("{at}.gauge.data_points[0].time_unix_nano at byte 10: 8 bytes expected, a varint found"),
        ),
        (
            field(5, &field(1, &[0x19, 1])),
            format!("{at}.gauge.data_points[0] at byte 12: cut off inside a value of 8 bytes"),
        ),
        (vec![0x04], format!("{at} at byte 6: field number 0 does not exist")),
        (vec![0x0c], format!("{at} at byte 6: end of a group that did not begin")),
        (vec![0x0b], format!("{at} at byte 6: group without an end")),
        (vec![0x0f], format!("{at} at byte 6: wire type 7 does not exist")),
        (vec![0x80], format!("{at} at byte 7: cut off inside a number")),
        (vec![0xff; 11], format!("{at} at byte 6: number longer than 64 bits")),
        ([0x0b].repeat(40), format!("{at} at byte 38: groups nested deeper than 32")),
    ] {
        assert_eq!(run(request(&metric)), Err(expected), "{metric:x?}");
    }
}
