//! Histograms of both kinds and summaries.

use super::check;

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
        (r#""sum":0"#, "schema 0 zero 0 within 1e-128 count 0 sum 0.0 [] negative []"),
        // Finer than 8: two buckets become one a step, rounding towards minus infinity.
        (
            r#""scale":9,"sum":1,"count":10,"positive":{"offset":-3,"bucketCounts":[1,2,3,4]}"#,
            "schema 8 zero 0 within 1e-128 count 10 sum 1.0 [-1:1,0:5,1:4] negative []",
        ),
        (
            r#""scale":2147483647,"sum":1,"count":3,"positive":{"offset":2147483647,"bucketCounts":[1]},
               "negative":{"offset":-2147483648,"bucketCounts":[2]}"#,
            "schema 8 zero 0 within 1e-128 count 3 sum 1.0 [1:1] negative [0:2]",
        ),
        (
            r#""scale":-4,"sum":1,"count":2,"positive":{"offset":63,"bucketCounts":[1]},"negative":{"offset":-68,"bucketCounts":[1]}"#,
            "schema -4 zero 0 within 1e-128 count 2 sum 1.0 [64:1] negative [-67:1]",
        ),
        // The last and the first bucket that hold a double, and those beyond; empty ones do not count.
        (
            r#""scale":3,"sum":1,"count":2,"positive":{"offset":8191,"bucketCounts":[1,0]},"negative":{"offset":-8594,"bucketCounts":[0,1]}"#,
            "schema 3 zero 0 within 1e-128 count 2 sum 1.0 [8192:1] negative [-8592:1]",
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
        (16_384, "schema 8 zero 0 within 1e-128 count 16384 sum 1.0 [-1023:16384] negative []"),
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
