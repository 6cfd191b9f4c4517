//! Whole requests: resources, scopes, families, exemplars, settings, and errors that name their place.

use codec::otlp::Encoding::{Json, Protobuf};
use codec::otlp::{Delta, MetricsSettings, Promote, Translation, decode_metrics};

use super::support::{self, ACCEPT, Known, metric_lines, metrics_outcome, metrics_settings};
use super::{AT, check};

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
        format!("{labels} schema 0 zero 0 within 1e-128 count 0 sum 0.0 [] negative [] @1795226400123"),
        format!("{labels} schema 0 zero 1 within 1e-128 count 1 sum 1.0 [] negative [] @1795226400124"),
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
        "e schema 0 zero 0 within 1e-128 count 0 sum 0.0 [] negative [] @1795226400123",
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
            "e schema 0 zero 0 within 1e-128 count 0 sum 0.0 [] negative [] @1795226400123",
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
