//! Native histograms of requests: spans and deltas to absolute counts, and what is refused.

use codec::remote_write::Message;
use model::histogram::SCHEMA_CUSTOM;
use model::metric::stale_marker;
use model::{CounterReset, Histogram};
use prost::Message as _;

use super::prompb::{self, BucketSpan, v1, v2};
use super::{AT, run};

pub(super) fn spans(pairs: &[(i32, u32)]) -> Vec<BucketSpan> {
    pairs.iter().map(|(offset, length)| BucketSpan { offset: *offset, length: *length }).collect()
}

#[track_caller]
fn check_histogram(sent: prompb::Histogram, expected: Result<Histogram, &str>) {
    let sent = prompb::Histogram { timestamp: AT, ..sent };
    let mut request = v2::Request::default();
    let labels_refs = request.refs(&[("__name__", "h")]);
    request.timeseries.push(v2::TimeSeries { labels_refs, histograms: vec![sent.clone()], ..Default::default() });
    let first = v1::WriteRequest {
        timeseries: vec![v1::TimeSeries {
            labels: v1::labels(&[("__name__", "h")]),
            histograms: vec![sent],
            ..Default::default()
        }],
        ..Default::default()
    };
    for (body, message) in [(first.encode_to_vec(), Message::V1), (request.encode_to_vec(), Message::V2)] {
        let decoded = run(&body, message);
        assert!(decoded.floats.samples.is_empty() && decoded.floats.series.is_empty());
        let got = decoded.histograms.histograms.first();
        match &expected {
            Ok(expected) if expected.is_stale() => assert!(got.is_some_and(|(_, _, got)| got.is_stale())),
            Ok(expected) => assert_eq!(got, Some(&(0, AT, expected.clone())), "{:?}", decoded.rejected),
            Err(why) => {
                assert_eq!(got, None);
                assert!(decoded.rejected.message().contains(why), "{}", decoded.rejected.message());
            }
        }
    }
}

#[test]
fn histograms_become_absolute_counts() {
    let integer = prompb::Histogram {
        count_int: Some(27),
        sum: 18.4,
        schema: 1,
        zero_threshold: 0.001,
        zero_count_int: Some(1),
        negative_spans: spans(&[(0, 2)]),
        negative_deltas: vec![1, 1],
        positive_spans: spans(&[(-2, 3), (2, 2)]),
        positive_deltas: vec![1, 2, 1, 3, 1],
        reset_hint: 1,
        ..Default::default()
    };
    let expected = Histogram {
        schema: 1,
        zero_threshold: 0.001,
        zero_count: 1.0,
        count: 27.0,
        sum: 18.4,
        positive: vec![(-2, 1.0), (-1, 3.0), (0, 4.0), (3, 7.0), (4, 8.0)],
        negative: vec![(0, 1.0), (1, 2.0)],
        reset: CounterReset::Yes,
        ..Histogram::default()
    };
    check_histogram(integer.clone(), Ok(expected));
    let with = |change: fn(&mut prompb::Histogram)| {
        let mut changed = integer.clone();
        change(&mut changed);
        changed
    };
    check_histogram(
        with(|h| h.count_int = Some(28)),
        Err("27 observations in a histogram's buckets, but its count is 28"),
    );
    check_histogram(with(|h| h.positive_deltas[1] = -2), Err("positive buckets: a count is negative (-1)"));
    check_histogram(with(|h| h.positive_deltas.truncate(4)), Err("positive buckets: the spans say 5, 4 were sent"));
    check_histogram(with(|h| h.positive_spans[1].offset = -1), Err("span 1 has the negative offset -1"));
    check_histogram(with(|h| h.positive_spans[0].length = u32::MAX), Err("the spans say 4294967297, 5 were sent"));
    check_histogram(with(|h| h.positive_spans[0].offset = i32::MAX), Err("an index is too large"));
    check_histogram(with(|h| h.schema = -5), Err("schema -5 is not known"));
    check_histogram(with(|h| h.schema = 53), Err("schema 53 is not known"));
    check_histogram(with(|h| h.custom_values = vec![1.0]), Err("custom bounds, but an exponential schema"));
    check_histogram(with(|h| h.zero_threshold = -1.0), Err("zero threshold is negative"));
    check_histogram(with(|h| h.sum = stale_marker()), Ok(Histogram::stale()));
}

#[test]
fn float_custom_and_fine_histograms() {
    let float = prompb::Histogram {
        count_float: Some(3.5),
        sum: 1.0,
        zero_count_float: Some(0.5),
        positive_spans: spans(&[(1, 3)]),
        positive_counts: vec![1.5, 0.0, 1.5],
        reset_hint: 3,
        ..Default::default()
    };
    let expected = Histogram {
        zero_count: 0.5,
        count: 3.5,
        sum: 1.0,
        positive: vec![(1, 1.5), (3, 1.5)],
        reset: CounterReset::Gauge,
        ..Histogram::default()
    };
    check_histogram(float.clone(), Ok(expected));
    check_histogram(prompb::Histogram { positive_counts: vec![1.0, -1.0, 2.0], ..float }, Err("a count is negative"));

    let custom = prompb::Histogram {
        count_int: Some(30),
        sum: 1.0,
        schema: SCHEMA_CUSTOM,
        positive_spans: spans(&[(0, 7)]),
        positive_deltas: vec![2, 1, 2, 3, -1, -2, -5],
        custom_values: vec![0.1, 0.5, 1.0, 2.5, 5.0, 10.0],
        reset_hint: 2,
        ..Default::default()
    };
    let expected = Histogram {
        schema: SCHEMA_CUSTOM,
        count: 30.0,
        sum: 1.0,
        positive: vec![(0, 2.0), (1, 3.0), (2, 5.0), (3, 8.0), (4, 7.0), (5, 5.0)],
        custom_bounds: vec![0.1, 0.5, 1.0, 2.5, 5.0, 10.0].into(),
        reset: CounterReset::No,
        ..Histogram::default()
    };
    check_histogram(custom.clone(), Ok(expected));
    let with = |change: fn(&mut prompb::Histogram)| {
        let mut changed = custom.clone();
        change(&mut changed);
        changed
    };
    check_histogram(with(|h| h.custom_values[1] = 0.1), Err("custom bounds do not rise"));
    check_histogram(with(|h| h.custom_values[5] = f64::INFINITY), Err("custom bounds do not rise"));
    check_histogram(with(|h| h.custom_values.truncate(4)), Err("a bucket beyond its custom bounds"));
    check_histogram(with(|h| h.zero_count_int = Some(1)), Err("negative buckets or a zero bucket"));

    // Two steps finer than what is kept: four neighbours become one.
    let fine = prompb::Histogram {
        count_int: Some(10),
        sum: 1.0,
        schema: 10,
        positive_spans: spans(&[(0, 6)]),
        positive_deltas: vec![1, 0, 0, 0, 0, 4],
        ..Default::default()
    };
    let expected = Histogram {
        schema: 8,
        count: 10.0,
        sum: 1.0,
        positive: vec![(0, 1.0), (1, 4.0), (2, 5.0)],
        ..Histogram::default()
    };
    check_histogram(fine, Ok(expected));
}
