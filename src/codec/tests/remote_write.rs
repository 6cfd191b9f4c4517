//! Remote write requests to batches: what each rule makes of a series, both versions alike, and bytes that are no request.

#[path = "remote_write/histograms.rs"]
mod histograms;
#[path = "support/prompb.rs"]
mod prompb;

use std::collections::HashMap;

use codec::otlp::{Delta, KnownSeries, MetricsSettings, Promote, Translation};
use codec::remote_write::{Decoded, Message, decode};
use model::metric::{STALE_NAN_BITS, stale_marker};
use model::{MetricBatch, MsRange, SeriesEntry, SeriesId, Span};
use prompb::{v1, v2};
use proptest::prelude::*;
use prost::Message as _;

const AT: i64 = 1_795_226_400_000;

fn settings() -> MetricsSettings {
    MetricsSettings {
        promote: Promote::All,
        ignore: Vec::new(),
        translation: Translation::UnderscoreEscapingWithSuffixes,
        delta: Delta::Cumulative,
        promote_scope: false,
        keep_identifying: false,
        labels_max: 5,
        label_name_bytes_max: 20,
        label_value_bytes_max: 30,
    }
}

#[derive(Default)]
struct Known(HashMap<u128, u64>);

impl Known {
    fn learn(&mut self, batch: &MetricBatch) {
        for entry in &batch.series {
            if let SeriesEntry::New { key, .. } = entry {
                let id = self.0.len() as u64;
                self.0.entry(*key).or_insert(id);
            }
        }
    }
}

impl KnownSeries for Known {
    fn lookup(&self, key: u128) -> Option<SeriesId> {
        self.0.get(&key).map(|id| SeriesId(*id))
    }

    fn knows_metadata(&self, _: u64) -> bool {
        false
    }
}

fn run(body: &[u8], message: Message) -> Decoded {
    let accept = MsRange { start_ms: AT - 1_000, end_ms: AT + 1_000 };
    decode(body, message, &settings(), &Known::default(), accept).unwrap()
}

fn series_text(entry: &SeriesEntry) -> String {
    match entry {
        SeriesEntry::New { labels, .. } => labels.to_string(),
        SeriesEntry::Known(id) => format!("#{}", id.0),
    }
}

/// `series value@offset` of each sample, then refusals.
fn told(decoded: &Decoded) -> Vec<String> {
    let Decoded { floats, histograms, rejected } = decoded;
    let samples = floats.samples.iter().map(|(at, sample)| {
        format!("{} {}@{}", series_text(&floats.series[*at as usize]), sample.value, sample.at_ms - AT)
    });
    let histograms = histograms.histograms.iter().map(|(at, at_ms, histogram)| {
        format!("{} H{}@{}", series_text(&histograms.series[*at as usize]), histogram.count, at_ms - AT)
    });
    let refused = rejected.by_reason.iter().map(|(reason, rows, why)| format!("{rows} {}: {why}", reason.as_str()));
    samples.chain(histograms).chain(refused).collect()
}

/// One sample of a series with these labels, in either version.
#[track_caller]
fn check_labels(pairs: &[(&[u8], &[u8])], expected: &str) {
    let labels = pairs.iter().map(|(name, value)| v1::Label { name: name.to_vec(), value: value.to_vec() }).collect();
    let samples = vec![v1::Sample { value: 1.0, timestamp: AT }];
    let first = v1::WriteRequest {
        timeseries: vec![v1::TimeSeries { labels, samples, ..v1::TimeSeries::default() }],
        ..v1::WriteRequest::default()
    };
    let mut second = v2::Request { symbols: vec![Vec::new()], ..v2::Request::default() };
    let mut labels_refs = Vec::new();
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        second.symbols.push(text.to_vec());
        labels_refs.push(second.symbols.len() as u32 - 1);
    }
    let samples = vec![v2::Sample { value: 1.0, timestamp: AT, start_timestamp: AT - 5 }];
    second.timeseries.push(v2::TimeSeries { labels_refs, samples, ..v2::TimeSeries::default() });
    assert_eq!(told(&run(&first.encode_to_vec(), Message::V1)), [expected], "1.0");
    assert_eq!(told(&run(&second.encode_to_vec(), Message::V2)), [expected], "2.0");
}

#[test]
fn labels_make_a_series_or_are_refused_by_name() {
    let text = |pairs: &[(&'static str, &'static str)]| -> Vec<(&'static [u8], &'static [u8])> {
        pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect()
    };
    check_labels(&text(&[("__name__", "up"), ("job", "a")]), r#"up{job="a"} 1@0"#);
    check_labels(&text(&[("job", "a"), ("__name__", "up"), ("A", "b")]), r#"up{A="b",job="a"} 1@0"#);
    check_labels(&text(&[("__name__", "up"), ("job", "")]), "up 1@0");
    check_labels(&text(&[("__name__", "http.status code"), ("a.b", "ü")]), r#"{"http.status code","a.b"="ü"} 1@0"#);
    check_labels(&text(&[("job", "a")]), r#"1 bad_name: series {job="a"} has no metric name (__name__)"#);
    check_labels(&text(&[("__name__", "")]), "1 bad_name: series {} has no metric name (__name__)");
    check_labels(&[], "1 bad_name: series {} has no metric name (__name__)");
    check_labels(
        &text(&[("__name__", "up"), ("job", "a"), ("job", "a")]),
        r#"1 bad_name: label "job" stands twice in one series"#,
    );
    check_labels(
        &text(&[("__name__", "up"), ("", "a")]),
        r#"1 bad_name: a label has an empty name (its value is "a")"#,
    );
    check_labels(
        &[(b"__name__", b"up"), (b"a", b"x\xff")],
        "1 bad_name: the value \"x\u{fffd}\" of label \"a\" is not UTF-8",
    );
    check_labels(&[(b"__name__", b"up"), (b"\xff", b"x")], "1 bad_name: the label name \"\u{fffd}\" is not UTF-8");
    check_labels(
        &text(&[("__name__", "up"), ("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1")]),
        "1 label_limit: 6 labels, the limit is 5 (limits.labels)",
    );
    check_labels(
        &text(&[("__name__", "up"), ("a23456789012345678901", "1")]),
        r#"1 label_limit: name of label "a23456789012345678901" has 21 bytes, the limit is 20 (limits.label_name_bytes)"#,
    );
}

#[test]
fn the_good_part_of_a_request_stays_and_values_stay_bit_for_bit() {
    let mut request = v2::Request::default();
    let odd_nan = f64::from_bits(0x7ff8_dead_beef_0001);
    for (name, at, value) in [
        ("a", AT, stale_marker()),
        ("a", AT - 999, odd_nan),
        ("old", AT - 1_001, 1.0),
        ("new", AT + 1_001, 1.0),
        ("b", AT + 1_000, -5.5),
    ] {
        request.sample(&[("__name__", name)], at, value);
    }
    request.timeseries[1].samples.push(v2::Sample { value: 7.0, timestamp: AT - 500, start_timestamp: 0 });
    let decoded = run(&request.encode_to_vec(), Message::V2);
    let bits: Vec<u64> = decoded.floats.samples.iter().map(|(_, sample)| sample.value.to_bits()).collect();
    assert_eq!(bits, [STALE_NAN_BITS, odd_nan.to_bits(), 7f64.to_bits(), (-5.5f64).to_bits()]);
    assert_eq!(decoded.floats.points, [0, 1, 2, 3]);
    assert_eq!(decoded.floats.derived_from, 4);
    let told = told(&decoded);
    assert!(told[4].starts_with("1 too_old: "), "{told:?}");
    assert!(told[5].starts_with("1 too_new: "), "{told:?}");
    // One series in two messages is made once.
    let made: Vec<String> = decoded.floats.series.iter().map(series_text).collect();
    assert_eq!(made, ["a", "old", "new", "b"]);
}

#[test]
fn starts_that_senders_name_are_told_to_the_store() {
    let mut request = v2::Request::default();
    request.sample(&[("__name__", "a")], AT, 1.0).samples[0].start_timestamp = AT - 9;
    request.sample(&[("__name__", "b")], AT, 1.0).created_timestamp = AT - 8;
    request.sample(&[("__name__", "c")], AT, 1.0).samples[0].start_timestamp = AT;
    request.sample(&[("__name__", "d")], AT, stale_marker()).created_timestamp = AT - 7;
    let labels_refs = request.refs(&[("__name__", "h")]);
    let histogram =
        |reset_hint| prompb::Histogram { count_int: Some(0), timestamp: AT, reset_hint, ..Default::default() };
    let histograms = vec![histogram(3), histogram(0)];
    request.timeseries.push(v2::TimeSeries {
        labels_refs,
        histograms,
        created_timestamp: AT - 6,
        ..Default::default()
    });
    let decoded = run(&request.encode_to_vec(), Message::V2);
    let told = |spans: &[Span]| -> Vec<(u32, i64)> {
        spans.iter().map(|span| (span.first, span.start_ms.unwrap() - AT)).collect()
    };
    assert_eq!(told(&decoded.floats.spans), [(0, -9), (1, -8)]);
    assert_eq!(told(&decoded.histograms.histogram_spans), [(1, -6)]);
}

#[test]
fn references_to_nothing_refuse_their_series_alone() {
    let mut request = v2::Request::default();
    request.sample(&[("__name__", "good")], AT, 1.0);
    for refs in [vec![1, 99], vec![1], vec![u32::MAX, 2]] {
        request.sample(&[("__name__", "good")], AT, 2.0).labels_refs = refs;
    }
    let told = told(&run(&request.encode_to_vec(), Message::V2));
    assert_eq!(told, ["good 1@0", "3 malformed: a label refers to symbol 99 of 3"]);
}

#[test]
fn known_series_are_found_by_their_bytes_and_only_then() {
    let pairs = [("__name__", "up"), ("job", "a")];
    let first = v1::WriteRequest {
        timeseries: vec![v1::TimeSeries {
            labels: v1::labels(&pairs),
            samples: vec![v1::Sample { value: 1.0, timestamp: AT }],
            ..v1::TimeSeries::default()
        }],
        ..v1::WriteRequest::default()
    };
    let mut second = v2::Request::default();
    second.symbol("so that references differ");
    second.sample(&pairs, AT, 2.0);
    let mut known = Known::default();
    for (body, message) in [(first.encode_to_vec(), Message::V1), (second.encode_to_vec(), Message::V2)] {
        let decoded = decode(&body, message, &settings(), &known, MsRange::ALL).unwrap();
        assert!(matches!(decoded.floats.series[0], SeriesEntry::New { .. }));
        known.learn(&decoded.floats);
        let again = decode(&body, message, &settings(), &known, MsRange::ALL).unwrap();
        assert!(matches!(again.floats.series[0], SeriesEntry::Known(_)), "{message:?}");
    }
    let mut moved = v2::Request::default();
    moved.symbol("another");
    moved.symbol("table");
    moved.sample(&pairs, AT, 2.0);
    moved.sample(&[("__name__", "up"), ("job", "b")], AT, 3.0);
    let decoded = decode(&moved.encode_to_vec(), Message::V2, &settings(), &known, MsRange::ALL).unwrap();
    assert_eq!(told(&decoded), ["#1 2@0", r#"up{job="b"} 3@0"#]);
}

#[test]
fn exemplars_and_metadata_are_told() {
    let mut request = v2::Request::default();
    let help = request.symbol("Requests.");
    let unit = request.symbol("seconds");
    let trace = request.refs(&[("trace_id", "abc")]);
    let series = request.sample(&[("__name__", "lat_bucket"), ("le", "1")], AT, 1.0);
    series.metadata = Some(v2::Metadata { r#type: 3, help_ref: help, unit_ref: unit });
    series.exemplars = vec![
        v2::Exemplar { labels_refs: trace, value: 0.5, timestamp: AT - 1 },
        v2::Exemplar { labels_refs: vec![], value: 0.25, timestamp: AT },
        v2::Exemplar { labels_refs: vec![77, 78], value: 0.25, timestamp: AT },
    ];
    let series = request.sample(&[("__name__", "lat_sum")], AT, 1.0);
    series.metadata = Some(v2::Metadata { r#type: 3, help_ref: help, unit_ref: unit });
    request.sample(&[("__name__", "g")], AT, 1.0).metadata =
        Some(v2::Metadata { r#type: 4, help_ref: 0, unit_ref: 99 });
    request.sample(&[("__name__", "none")], AT, 1.0).metadata = Some(v2::Metadata::default());
    let decoded = run(&request.encode_to_vec(), Message::V2);
    let exemplars: Vec<String> =
        decoded.floats.exemplars.iter().map(|(at, one)| format!("{at} {} {}", one.labels, one.value)).collect();
    assert_eq!(exemplars, [r#"0 {trace_id="abc"} 0.5"#, "0 {} 0.25"]);
    assert_eq!(decoded.rejected.total(), 1);
    let families = |batch: &MetricBatch| -> Vec<String> {
        let one = |meta: &model::MetricMeta| {
            format!("{} {} {:?} {:?}", meta.family, meta.kind.as_str(), meta.unit, meta.help)
        };
        batch.metadata.iter().map(one).collect()
    };
    assert_eq!(families(&decoded.floats), [r#"lat histogram "seconds" "Requests.""#, r#"g gaugehistogram "" """#]);

    let meta = |kind, name: &str, help: &str| v1::MetricMetadata {
        r#type: kind,
        metric_family_name: name.into(),
        help: help.into(),
        unit: String::new(),
    };
    let first = v1::WriteRequest {
        metadata: vec![
            meta(1, "c_total", "Count."),
            meta(0, "", "lost"),
            meta(99, "u", &"long ".repeat(9)),
            meta(1, "c_total", "Count."),
        ],
        ..Default::default()
    };
    assert_eq!(
        families(&run(&first.encode_to_vec(), Message::V1).floats),
        [r#"c_total counter "" "Count.""#, r#"u unknown "" "long long long long long long ""#]
    );
}

#[test]
fn what_is_no_request_is_refused_with_its_place() {
    let read = |body: &[u8], message| decode(body, message, &settings(), &Known::default(), MsRange::ALL).unwrap_err();
    let text = read(&[0x0a, 0x07, 0x0a, 0x03, 0x0a, 0x7f, 0x00, 0x12, 0x00], Message::V1).to_string();
    assert_eq!(text, "timeseries[0].labels[0] at byte 6: 127 bytes announced, 1 are left");
    let text = read(&[0x2a, 0x02, 0x12, 0x05], Message::V2).to_string();
    assert!(text.starts_with("timeseries[0] at byte "), "{text}");
    // Many empty samples: two bytes on the wire each.
    let mut bomb = v1::TimeSeries { labels: v1::labels(&[("__name__", "a")]), ..Default::default() }.encode_to_vec();
    bomb.extend([0x12, 0x00].repeat(8 << 20));
    let mut body = vec![0x0a];
    prost::encoding::encode_varint(bomb.len() as u64, &mut body);
    body.extend(bomb);
    let text = read(&body, Message::V1).to_string();
    assert!(text.contains("send smaller batches"), "{text}");
    let symbols = [0x22, 0x00].repeat((1 << 20) + 1);
    let text = read(&symbols, Message::V2).to_string();
    assert!(text.contains("more than 1048576 symbols"), "{text}");
}

fn any_request() -> impl Strategy<Value = Vec<(String, Vec<(i64, u64)>)>> {
    let samples = prop::collection::vec((AT - 2_000..AT + 2_000, any::<u64>()), 0..4);
    prop::collection::vec(("[a-e]{1,2}", samples), 0..12)
}

proptest! {
    #[test]
    fn both_versions_mean_the_same(series in any_request()) {
        let mut first = v1::WriteRequest::default();
        let mut second = v2::Request::default();
        let mut expected = Vec::new();
        for (name, samples) in &series {
            let pairs = [("__name__", name.as_str()), ("n", "x")];
            let sent = samples.iter().map(|(at, bits)| v1::Sample { value: f64::from_bits(*bits), timestamp: *at }).collect();
            first.timeseries.push(v1::TimeSeries { labels: v1::labels(&pairs), samples: sent, ..Default::default() });
            let labels_refs = second.refs(&pairs);
            let sent = samples
                .iter()
                .map(|(at, bits)| v2::Sample { value: f64::from_bits(*bits), timestamp: *at, start_timestamp: 1 })
                .collect();
            second.timeseries.push(v2::TimeSeries { labels_refs, samples: sent, ..Default::default() });
            let inside = samples.iter().filter(|(at, _)| (AT - 1_000..=AT + 1_000).contains(at));
            expected.extend(inside.map(|(at, bits)| (name.clone(), *at, *bits)));
        }
        for (body, message) in [(first.encode_to_vec(), Message::V1), (second.encode_to_vec(), Message::V2)] {
            let decoded = run(&body, message);
            let got: Vec<_> = decoded.floats.samples.iter().map(|(at, sample)| {
                let SeriesEntry::New { labels, .. } = &decoded.floats.series[*at as usize] else { panic!("nothing is known") };
                (labels.metric_name().to_owned(), sample.at_ms, sample.value.to_bits())
            }).collect();
            prop_assert_eq!(&got, &expected);
            let sent: usize = series.iter().map(|(_, samples)| samples.len()).sum();
            prop_assert_eq!(got.len() as u64 + decoded.rejected.total(), sent as u64);
        }
    }

    #[test]
    fn damaged_requests_never_panic(series in any_request(), cut in any::<prop::sample::Index>(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)) {
        let mut second = v2::Request::default();
        for (name, samples) in &series {
            let labels_refs = second.refs(&[("__name__", name.as_str())]);
            let histograms = samples.iter().map(|(at, bits)| prompb::Histogram {
                count_int: Some(*bits & 7),
                positive_spans: histograms::spans(&[(0, 2)]),
                positive_deltas: vec![(*bits & 3) as i64, -1],
                timestamp: *at,
                ..Default::default()
            }).collect();
            second.timeseries.push(v2::TimeSeries { labels_refs, histograms, ..Default::default() });
        }
        let mut body = second.encode_to_vec();
        body.truncate(cut.index(body.len() + 1));
        for (at, with) in flips {
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] ^= with;
            }
        }
        for message in [Message::V1, Message::V2] {
            drop(decode(&body, message, &settings(), &Known::default(), MsRange::ALL));
        }
    }
}
