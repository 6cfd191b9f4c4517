//! The protobuf format.

use codec::exposition::Buckets;
use prost::Message as _;

use super::client_model::{
    COUNTER, Counter, GAUGE, GAUGE_HISTOGRAM, HISTOGRAM, Histogram, Metric, MetricFamily, Quantile, SUMMARY, Summary,
    Timestamp, UNTYPED, Value, delimited, exemplar, family, histogram, labels,
};
use super::{Format, told_with};

#[track_caller]
fn check(families: &[MetricFamily], buckets: Buckets, expected: &[&str]) {
    assert_eq!(told_with(&delimited(families), Format::Protobuf, buckets), expected);
}

fn metric() -> Metric {
    Metric::default()
}

fn of(histogram: Histogram) -> Vec<Metric> {
    vec![Metric { histogram: Some(histogram), ..metric() }]
}

#[test]
fn simple_kinds_are_samples() {
    let created = Some(Timestamp { seconds: 5, nanos: 7_000_000 });
    let counter = Counter { value: 3.0, exemplar: Some(exemplar("x", 0.5, Some(9))), created_timestamp: created };
    let families = [
        family("a_total", COUNTER, vec![Metric { counter: Some(counter), ..metric() }]),
        MetricFamily {
            unit: "celsius".into(),
            ..family(
                "t_celsius",
                GAUGE,
                vec![Metric {
                    label: labels(&[("room", "a \"b\"\\\n"), ("dotted.name", "ü")]),
                    gauge: Some(Value { value: f64::from_bits(0x7ff0_0000_0000_0002) }),
                    timestamp_ms: 1_234,
                    ..metric()
                }],
            )
        },
        family("dotted.u", UNTYPED, vec![metric()]),
        family("nobody", GAUGE, vec![]),
    ];
    check(
        &families,
        Buckets::Classic,
        &[
            "HELP a_total \"Of a_total.\"",
            "TYPE a_total counter",
            r#"a_total 3 since 5007 # {trace_id="x"} 0.5 @9250"#,
            "HELP t_celsius \"Of t_celsius.\"",
            "UNIT t_celsius \"celsius\"",
            "TYPE t_celsius gauge",
            // A stale marker of the target's is no such thing.
            r#"t_celsius{"dotted.name"="ü",room="a \"b\"\\\n"} NaN @1234"#,
            "HELP dotted.u \"Of dotted.u.\"",
            "TYPE dotted.u unknown",
            r#"{"dotted.u"} 0"#,
        ],
    );
}

#[test]
fn summaries_and_classic_histograms_are_several_samples() {
    let summary = Summary {
        sample_count: 4,
        sample_sum: 2.5,
        quantile: vec![Quantile { quantile: 0.5, value: 1.0 }, Quantile { quantile: 1.0, value: 2.0 }],
        created_timestamp: None,
    };
    let classic = Histogram { positive_span: Vec::new(), zero_threshold: 0.0, zero_count: 0, ..histogram() };
    let families = [
        family("s", SUMMARY, vec![Metric { label: labels(&[("a", "b")]), summary: Some(summary), ..metric() }]),
        family("h", HISTOGRAM, of(classic)),
    ];
    let expected = [
        "HELP s \"Of s.\"",
        "TYPE s summary",
        r#"s_count{a="b"} 4"#,
        r#"s_sum{a="b"} 2.5"#,
        r#"s{a="b",quantile="0.5"} 1"#,
        r#"s{a="b",quantile="1.0"} 2"#,
        "HELP h \"Of h.\"",
        "TYPE h histogram",
        "h_count 8",
        "h_sum 21.5",
        r#"h_bucket{le="1.0"} 2"#,
        r#"h_bucket{le="2.0"} 4 # {trace_id="classic"} 1.5 @100250"#,
        r#"h_bucket{le="+Inf"} 8"#,
    ];
    for buckets in [Buckets::Classic, Buckets::Native, Buckets::Both] {
        check(&families, buckets, &expected);
    }
}

#[test]
fn histograms_have_the_buckets_that_are_wanted() {
    let created_timestamp = Some(Timestamp { seconds: 50, nanos: 0 });
    let families = [family("h", HISTOGRAM, of(Histogram { created_timestamp, ..histogram() }))];
    let native = "h native count 8 sum 21.5 zero 1/0.001 schema 0 [(0, 1.0), (1, 2.0), (3, 4.0)] [] Unknown since 50000 \
                  # {trace_id=\"classic\"} 1.5 @100250";
    let classic = [
        "h_count 8 since 50000",
        "h_sum 21.5 since 50000",
        r#"h_bucket{le="1.0"} 2 since 50000"#,
        r#"h_bucket{le="2.0"} 4 since 50000 # {trace_id="classic"} 1.5 @100250"#,
        r#"h_bucket{le="+Inf"} 8 since 50000"#,
    ];
    let head = ["HELP h \"Of h.\"", "TYPE h histogram"];
    check(&families, Buckets::Classic, &[&head[..], &classic].concat());
    check(&families, Buckets::Native, &[&head[..], &[native]].concat());
    check(&families, Buckets::Both, &[&head[..], &[native], &classic].concat());

    // Exemplars of its own stand over those of buckets, and only those with a time are told.
    let exemplars = vec![exemplar("own", 7.0, Some(1)), exemplar("timeless", 1.0, None)];
    let fractions = Histogram {
        sample_count: 0,
        sample_count_float: 2.5,
        zero_count: 0,
        positive_delta: Vec::new(),
        positive_count: vec![0.5, 1.0, 1.0],
        bucket: Vec::new(),
        exemplars,
        ..histogram()
    };
    check(
        &[family("g", GAUGE_HISTOGRAM, of(fractions))],
        Buckets::Both,
        &[
            "HELP g \"Of g.\"",
            "TYPE g gaugehistogram",
            "g native count 2.5 sum 21.5 zero 0/0.001 schema 0 [(0, 0.5), (1, 1.0), (3, 1.0)] [] Gauge \
             # {trace_id=\"own\"} 7 @1250",
        ],
    );
}

#[test]
fn what_is_no_exposition_is_refused() {
    let refused = |body: &[u8], reason: &str| {
        let told = told_with(body, Format::Protobuf, Buckets::Both);
        assert_eq!(told.last().map(String::as_str), Some(reason), "{told:?}");
    };
    let good = delimited(&[family("a", GAUGE, vec![metric()])]);
    refused(&good[..good.len() - 1], "family[0] at byte 1: 14 bytes announced, 13 are left");
    refused(b"\x01", "family[0] at byte 1: 1 bytes announced, 0 are left");
    refused(&delimited(&[family("", GAUGE, vec![metric()])]), "family[0].name at byte 1: the family has no name");
    refused(
        &delimited(&[family("a", 9, vec![metric()])]),
        "family[0].type at byte 1: the type 9 of \"a\" does not exist",
    );
    let unit = MetricFamily { unit: "s".into(), ..family("as", GAUGE, vec![metric()]) };
    refused(&delimited(&[unit]), "family[0].unit at byte 1: the unit \"s\" is no suffix of the metric \"as\"");
    let nameless = Metric { label: labels(&[("", "x")]), ..metric() };
    refused(
        &delimited(&[family("a", GAUGE, vec![nameless])]),
        "family[0].metric.label at byte 15: a label's name is empty",
    );
    let miscounted = Histogram { sample_count: 3, ..histogram() };
    refused(
        &delimited(&[family("h", HISTOGRAM, of(miscounted))]),
        "family[0].metric.histogram at byte 17: 8 observations in a histogram's buckets, but its count is 3",
    );
    // Each of its samples would repeat a long label.
    let long = "x".repeat(1 << 20);
    let many = Summary { quantile: vec![Quantile::default(); 20], ..Summary::default() };
    let repeated = Metric { label: labels(&[("a", &long)]), summary: Some(many), ..metric() };
    let told = told_with(&delimited(&[family("s", SUMMARY, vec![repeated])]), Format::Protobuf, Buckets::Both);
    assert!(told.last().unwrap().contains("take more than 16777216 bytes"));
    // A family alone is no list of them.
    assert!(told_with(&family("a", GAUGE, vec![metric()]).encode_to_vec(), Format::Protobuf, Buckets::Both).len() == 1);
}

#[test]
fn no_byte_makes_it_panic() {
    let exemplars = vec![exemplar("own", 7.0, Some(1))];
    let whole = delimited(&[
        family("h", HISTOGRAM, of(Histogram { exemplars, ..histogram() })),
        family("s", SUMMARY, vec![Metric { summary: Some(Summary::default()), ..metric() }]),
    ]);
    for place in 0..whole.len() {
        told_with(&whole[..place], Format::Protobuf, Buckets::Both);
        for byte in [0, 1, 0x7f, 0x80, 0xff, whole[place] ^ 8] {
            let mut body = whole.clone();
            body[place] = byte;
            told_with(&body, Format::Protobuf, Buckets::Both);
        }
    }
}
