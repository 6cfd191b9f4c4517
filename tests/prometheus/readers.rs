//! Those who read samples as they are: remote read, and federation.

use prost::Message as _;

use crate::data::{self, SPAN_S};
use crate::peer::{Pair, variable};
use crate::prompb::v1;

/// `prometheus.ReadRequest` and `ReadResponse`, as far as they are needed.
mod wire {
    use crate::prompb::v1;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ReadRequest {
        #[prost(message, repeated, tag = "1")]
        pub(super) queries: Vec<Query>,
        #[prost(int32, repeated, tag = "2")]
        pub(super) accepted_response_types: Vec<i32>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Query {
        #[prost(int64, tag = "1")]
        pub(super) start_timestamp_ms: i64,
        #[prost(int64, tag = "2")]
        pub(super) end_timestamp_ms: i64,
        #[prost(message, repeated, tag = "3")]
        pub(super) matchers: Vec<LabelMatcher>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct LabelMatcher {
        #[prost(int32, tag = "1")]
        pub(super) r#type: i32,
        #[prost(string, tag = "2")]
        pub(super) name: String,
        #[prost(string, tag = "3")]
        pub(super) value: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ReadResponse {
        #[prost(message, repeated, tag = "1")]
        pub(super) results: Vec<QueryResult>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct QueryResult {
        #[prost(message, repeated, tag = "1")]
        pub(super) timeseries: Vec<v1::TimeSeries>,
    }
}

/// The type of a matcher by its number (0 is `=`), a label's name and its value.
type Asked<'a> = &'a [(i32, &'a str, &'a str)];

/// Queries for samples: from and until when, in seconds, and of which series.
fn request(queries: &[(i64, i64, Asked<'_>)]) -> Vec<u8> {
    let query = |(start_s, end_s, matchers): &(i64, i64, Asked<'_>)| wire::Query {
        start_timestamp_ms: start_s * 1000,
        end_timestamp_ms: end_s * 1000,
        matchers: matchers
            .iter()
            .map(|(r#type, name, value)| wire::LabelMatcher {
                r#type: *r#type,
                name: (*name).into(),
                value: (*value).into(),
            })
            .collect(),
    };
    let request = wire::ReadRequest { queries: queries.iter().map(query).collect(), accepted_response_types: vec![0] };
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap()
}

/// Series by their labels, values as bits: stale markers are NaNs too.
fn rows(result: &wire::QueryResult) -> Vec<String> {
    let shown = |one: &v1::TimeSeries| {
        let labels: Vec<String> = one
            .labels
            .iter()
            .map(|label| format!("{}={}", String::from_utf8_lossy(&label.name), String::from_utf8_lossy(&label.value)))
            .collect();
        let samples: Vec<(i64, u64)> =
            one.samples.iter().map(|sample| (sample.timestamp, sample.value.to_bits())).collect();
        format!("{labels:?} {samples:?}")
    };
    let mut rows: Vec<String> = result.timeseries.iter().map(shown).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn remote_read_gives_the_same_samples() {
    let now_s = i64::try_from(binnacle::clock::now_ns() / 1_000_000_000).unwrap();
    let start_s = (now_s - SPAN_S - 1_800) / 3_600 * 3_600;
    let Some(pair) = Pair::with(&data::series(variable("SEED", 1), start_s * 1000)).await else { return };
    let body = request(&[
        (start_s, start_s + SPAN_S, &[(0, "__name__", "temperature"), (1, "job", "web")]),
        (start_s + 600, start_s + 1_200, &[(2, "__name__", "requests_.*|odd"), (3, "instance", "a.*")]),
        (start_s, start_s + SPAN_S, &[(0, "__name__", "nothing")]),
        (start_s + 60, start_s, &[(0, "__name__", "level")]),
    ]);
    let [ours, theirs] = pair.read(&body).await;
    assert_eq!((ours.results.len(), theirs.results.len()), (4, 4));
    assert_eq!(ours.results.iter().map(|one| one.timeseries.len()).collect::<Vec<_>>(), [6, 16, 0, 0]);
    // Prometheus 2.42 left native histograms out of samples.
    let [ours_native, _] = pair.read(&request(&[(start_s, start_s + SPAN_S, &[(0, "__name__", "size")])])).await;
    for series in &ours_native.results[0].timeseries {
        let (first, last) = (series.histograms.first().unwrap(), series.histograms.last().unwrap());
        assert!(first.timestamp < last.timestamp && series.samples.is_empty());
        assert_eq!((first.schema, first.positive_spans.len(), first.negative_counts.len()), (1, 2, 2), "{first:?}");
        let buckets: f64 = first.positive_counts.iter().chain(&first.negative_counts).sum();
        assert_eq!(first.count_float, Some(buckets + first.zero_count_float.unwrap()), "{first:?}");
    }
    for (ours, theirs) in ours.results.iter().zip(&theirs.results) {
        assert_eq!(rows(ours), rows(theirs));
    }
}

impl Pair {
    async fn read(&self, body: &[u8]) -> [wire::ReadResponse; 2] {
        let read = |reply: crate::peer::RawReply| {
            assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
            assert_eq!(reply.headers["content-type"], "application/x-protobuf");
            assert_eq!(reply.headers["content-encoding"], "snappy");
            let plain = snap::raw::Decoder::new().decompress_vec(&reply.body).unwrap();
            wire::ReadResponse::decode(&*plain).unwrap()
        };
        let headers = [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "snappy"),
            ("x-prometheus-remote-read-version", "0.1.0"),
        ];
        self.post_body("/api/v1/read", &headers, body).await.map(read)
    }
}

#[tokio::test]
async fn federation_shows_the_same_newest_samples() {
    let now_s = i64::try_from(binnacle::clock::now_ns() / 1_000_000_000).unwrap();
    // Beyond now at its end: what is newest is in the middle.
    let series = data::series(variable("SEED", 2), (now_s - SPAN_S + 240) * 1000);
    let Some(pair) = Pair::with(&series).await else { return };
    for params in [
        &[("match[]", "{__name__=~\"requests_total|spoken|build\",job!=\"web\"}")][..],
        &[("match[]", "level"), ("match[]", "odd{instance=\"a:1\"}"), ("match[]", "level{job=\"api\"}")],
        &[("match[]", "nothing")],
        &[("match[]", "size")],
        &[],
    ] {
        let [ours, theirs] = pair.get("/federate", params).await;
        assert_eq!((ours.status, ours.text), (theirs.status, theirs.text), "{params:?}");
        assert_eq!(ours.headers["content-type"], theirs.headers["content-type"], "{params:?}");
    }
    let [ours, theirs] = pair.get("/federate", &[("match[]", "sum(level)")]).await;
    assert_eq!((ours.status, theirs.status), (400, 400));
}
