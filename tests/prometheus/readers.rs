//! Those who read samples as they are: remote read, and federation.

use prost::Message as _;

use crate::data::{self, SPAN_S};
use crate::differences::{Order, of_answers};
use crate::peer::{Pair, Prometheus, READY_WITHIN, WRITTEN};
use crate::prom_chunks;
use crate::prompb::v1;
use crate::until::until;

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
    pub(super) struct ChunkedReadResponse {
        #[prost(message, repeated, tag = "1")]
        pub(super) chunked_series: Vec<ChunkedSeries>,
        #[prost(int64, tag = "2")]
        pub(super) query_index: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ChunkedSeries {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<v1::Label>,
        #[prost(message, repeated, tag = "2")]
        pub(super) chunks: Vec<Chunk>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Chunk {
        #[prost(int64, tag = "1")]
        pub(super) min_time_ms: i64,
        #[prost(int64, tag = "2")]
        pub(super) max_time_ms: i64,
        #[prost(int32, tag = "3")]
        pub(super) r#type: i32,
        #[prost(bytes = "vec", tag = "4")]
        pub(super) data: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct QueryResult {
        #[prost(message, repeated, tag = "1")]
        pub(super) timeseries: Vec<v1::TimeSeries>,
    }
}

const READ: [(&str, &str); 3] = [
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
    ("x-prometheus-remote-read-version", "0.1.0"),
];

/// The type of a matcher by its number (0 is `=`), a label's name and its value.
type Asked<'a> = &'a [(i32, &'a str, &'a str)];

/// Queries for samples: from and until when, in seconds, and of which series.
fn request(queries: &[(i64, i64, Asked<'_>)]) -> Vec<u8> {
    request_for(queries, &[0])
}

/// The same, with the types of answer that are accepted.
fn request_for(queries: &[(i64, i64, Asked<'_>)], accepted: &[i32]) -> Vec<u8> {
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
    let queries = queries.iter().map(query).collect();
    let request = wire::ReadRequest { queries, accepted_response_types: accepted.to_vec() };
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
    let has_any = |one: &&v1::TimeSeries| !one.samples.is_empty() || !one.histograms.is_empty();
    let mut rows: Vec<String> = result.timeseries.iter().filter(has_any).map(shown).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn remote_read_gives_the_same_samples() {
    let now_s = i64::try_from(binnacle::clock::now_ns() / 1_000_000_000).unwrap();
    let start_s = (now_s - SPAN_S - 1_800) / 3_600 * 3_600;
    let Some(pair) = Pair::with(&data::series(chance::seed(1), start_s * 1000)).await else { return };
    let body = request(&[
        (start_s, start_s + SPAN_S, &[(0, "__name__", "temperature"), (1, "job", "web")]),
        (start_s + 600, start_s + 1_200, &[(2, "__name__", "requests_.*|odd"), (3, "instance", "a.*")]),
        (start_s, start_s + SPAN_S, &[(0, "__name__", "nothing")]),
        (start_s + 60, start_s, &[(0, "__name__", "level")]),
    ]);
    let [ours, theirs] = pair.read(&body).await;
    assert_eq!((ours.results.len(), theirs.results.len()), (4, 4));
    assert_eq!(ours.results.iter().map(|one| one.timeseries.len()).collect::<Vec<_>>(), [6, 16, 0, 0]);
    // Theirs are whole counts, ours are fractions.
    let [ours_native, _] = pair.read(&request(&[(start_s, start_s + SPAN_S, &[(0, "__name__", "size")])])).await;
    for series in &ours_native.results[0].timeseries {
        // Which of them say that the series ended differs by the hour.
        let mut counted = series.histograms.iter().filter(|one| !one.sum.is_nan());
        let (first, last) = (counted.next().unwrap(), counted.next_back().unwrap());
        assert!(first.timestamp < last.timestamp && series.samples.is_empty());
        assert_eq!((first.schema, first.positive_spans.len(), first.negative_counts.len()), (1, 2, 2), "{first:?}");
        let buckets: f64 = first.positive_counts.iter().chain(&first.negative_counts).sum();
        assert_eq!(first.count_float, Some(buckets + first.zero_count_float.unwrap()), "{first:?}");
    }
    for (ours, theirs) in ours.results.iter().zip(&theirs.results) {
        assert_eq!(rows(ours), rows(theirs));
    }
}

/// A Prometheus without samples of its own asks for ours, and answers as one that holds them.
#[tokio::test]
async fn a_prometheus_that_reads_here_answers_as_one_that_was_written_to() {
    let now_s = i64::try_from(binnacle::clock::now_ns() / 1_000_000_000).unwrap();
    let start_s = (now_s - SPAN_S - 1_800) / 3_600 * 3_600;
    let series = data::series(chance::seed(3), start_s * 1000);
    let Some(pair) = Pair::with(&series).await else { return };
    let home = tempfile::tempdir().unwrap();
    let config = |_: &str| format!("remote_read: [{{url: '{}/api/v1/read', read_recent: true}}]\n", pair.ours.http);
    let reader = Prometheus::start(home.path(), config).unwrap();
    let client = pair.ours.client();
    // This one names no tenant.
    for body in data::requests(&series) {
        let request = client.post(format!("{}/api/v1/write", pair.ours.http)).body(body);
        let reply = WRITTEN.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await;
        assert!(reply.unwrap().status().is_success());
    }
    until("the reading Prometheus to be ready", READY_WITHIN, || async {
        let reply = client.get(format!("{}/-/ready", reader.http)).send().await.ok()?;
        reply.status().is_success().then_some(())
    })
    .await;
    let (start, end) = (start_s.to_string(), (start_s + SPAN_S).to_string());
    for query in [
        "requests_total",
        "temperature",
        "odd",
        "level",
        "spoken",
        "rate(bytes_total[10m])",
        "count by (__name__) ({job=\"web\",__name__!~\"size|spread|mixed\"})",
        "histogram_quantile(0.9, sum by (le) (rate(latency_bucket[5m])))",
        "nothing",
    ] {
        let params = [("query", query), ("start", &start), ("end", &end), ("step", "60")];
        let ask = async |base: &str| {
            let url = reqwest::Url::parse_with_params(&format!("{base}/api/v1/query_range"), params).unwrap();
            let text = client.get(url).send().await.unwrap().text().await.unwrap();
            serde_json::from_str::<serde_json::Value>(&text).unwrap()
        };
        let (read, held) = tokio::join!(ask(&reader.http), ask(pair.theirs()));
        assert_eq!(read["warnings"], serde_json::Value::Null, "{query}");
        assert_eq!(of_answers(&read, &held, Order::None), None, "{query}");
        assert!(query == "nothing" || !held["data"]["result"].as_array().unwrap().is_empty(), "{query}");
    }
}

/// The frames of a stream: each series' labels, and its samples within a range; native histograms by their count.
fn streamed(mut stream: &[u8], range_ms: std::ops::RangeInclusive<i64>) -> Vec<String> {
    let mut rows: Vec<(String, Vec<(i64, u64)>)> = Vec::new();
    while !stream.is_empty() {
        let length = prost::encoding::decode_varint(&mut stream).unwrap() as usize;
        // After the checksum.
        let (frame, rest) = stream[4..].split_at(length);
        stream = rest;
        let message = wire::ChunkedReadResponse::decode(frame).unwrap();
        for series in message.chunked_series {
            let text = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
            let labels: Vec<String> =
                series.labels.iter().map(|label| format!("{}={}", text(&label.name), text(&label.value))).collect();
            let key = format!("{} {labels:?}", message.query_index);
            let mut samples = Vec::new();
            for chunk in &series.chunks {
                let read = match chunk.r#type {
                    1 => prom_chunks::floats(&chunk.data),
                    3 => {
                        let counts = prom_chunks::histograms(&chunk.data).into_iter();
                        counts.map(|(at_ms, histogram)| (at_ms, histogram.count.to_bits())).collect()
                    }
                    other => panic!("chunk of type {other}"),
                };
                assert_eq!(read.first().map(|(at_ms, _)| *at_ms), Some(chunk.min_time_ms));
                samples.extend(read.into_iter().filter(|(at_ms, _)| range_ms.contains(at_ms)));
            }
            // A series may go over several frames.
            match rows.last_mut() {
                Some((last, held)) if *last == key => held.extend(samples),
                _ => rows.push((key, samples)),
            }
        }
    }
    rows.into_iter().map(|(key, samples)| format!("{key} {samples:?}")).collect()
}

#[tokio::test]
async fn streams_of_chunks_hold_the_same_samples() {
    let now_s = i64::try_from(binnacle::clock::now_ns() / 1_000_000_000).unwrap();
    let start_s = (now_s - SPAN_S - 1_800) / 3_600 * 3_600;
    let Some(pair) = Pair::with(&data::series(chance::seed(4), start_s * 1000)).await else { return };
    let (from_s, until_s) = (start_s + 300, start_s + SPAN_S - 300);
    let range_ms = from_s * 1000..=until_s * 1000;
    let asked = |name: &str| [(from_s, until_s, vec![(2, "__name__".to_owned(), name.to_owned())])];
    let ask = async |name: &str, accepted: &[i32]| {
        let [(from_s, until_s, matchers)] = &asked(name);
        let matchers: Vec<(i32, &str, &str)> = matchers.iter().map(|(t, n, v)| (*t, n.as_str(), v.as_str())).collect();
        let body = request_for(&[(*from_s, *until_s, &matchers)], accepted);
        let replies = pair.post_body("/api/v1/read", &READ, &body).await;
        for reply in &replies {
            assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
            assert_eq!(
                reply.headers["content-type"],
                "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
            );
        }
        replies
    };
    for name in ["requests_total", "temperature|odd|spoken|level", "latency_.*", "nothing"] {
        let [ours, theirs] = ask(name, &[1, 0]).await.map(|reply| streamed(&reply.body, range_ms.clone()));
        assert_eq!(ours, theirs, "{name}");
        assert!(name == "nothing" || ours.len() > 2, "{name}");
    }
    // Theirs are chunks of whole counts; ours are compared with our own samples.
    let [ours, _] = ask("size", &[7, 1]).await;
    let streamed = streamed(&ours.body, range_ms);
    let [samples, _] = pair.read(&request(&[(from_s, until_s, &[(0, "__name__", "size")])])).await;
    let counted: Vec<String> = samples.results[0]
        .timeseries
        .iter()
        .map(|series| {
            let counts = series.histograms.iter().map(|one| (one.timestamp, one.count_float.unwrap().to_bits()));
            format!("{:?}", counts.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(streamed.len(), 6);
    assert!(streamed.iter().zip(&counted).all(|(streamed, counted)| streamed.ends_with(counted)), "{streamed:?}");
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
        self.post_body("/api/v1/read", &READ, body).await.map(read)
    }
}

#[tokio::test]
async fn federation_shows_the_same_newest_samples() {
    let now_s = i64::try_from(binnacle::clock::now_ns() / 1_000_000_000).unwrap();
    // Beyond now at its end: what is newest is in the middle.
    let series = data::series(chance::seed(2), (now_s - SPAN_S + 240) * 1000);
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
