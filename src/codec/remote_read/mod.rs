//! Prometheus remote read: a request for samples, and the samples (prompb/remote.proto and prompb/types.proto in Prometheus'
//! repository, both without their snappy packing). Answers are of the type `SAMPLES` alone.
//!
//! Native histograms are written with their counts as floats, as they are kept here.

use model::{CounterReset, Histogram, Labels, MatchOp, Matcher, MsRange};
use prost::Message as _;

/// What one query of a request asks for.
#[derive(Debug, Clone)]
pub struct Query {
    /// Both ends included.
    pub range: MsRange,
    pub matchers: Vec<Matcher>,
}

/// One series of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    pub labels: &'a Labels,
    /// Times and values, stale markers included, in order of time.
    pub at_ms: &'a [i64],
    pub values: &'a [f64],
    pub histograms: &'a [(i64, std::sync::Arc<Histogram>)],
}

/// A request that cannot be answered; asking it again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRequest(String);

/// `SAMPLES`, the type of answer when a request names none.
const SAMPLES: i32 = 0;

/// The queries of an unpacked `prometheus.ReadRequest`, in order.
///
/// # Errors
/// What is no such message, accepts only chunks, or has a matcher that is none.
pub fn decode(body: &[u8]) -> Result<Vec<Query>, BadRequest> {
    let request = wire::ReadRequest::decode(body).map_err(|error| BadRequest(format!("no ReadRequest: {error}")))?;
    let accepted = &request.accepted_response_types;
    if !accepted.is_empty() && !accepted.contains(&SAMPLES) {
        return Err(BadRequest("accepted_response_types has no SAMPLES, and no other type is answered here".into()));
    }
    request.queries.into_iter().map(query).collect()
}

fn query(sent: wire::Query) -> Result<Query, BadRequest> {
    let range = MsRange { start_ms: sent.start_timestamp_ms, end_ms: sent.end_timestamp_ms };
    let matcher = |sent: wire::LabelMatcher| {
        let op = match sent.r#type {
            0 => MatchOp::Equal,
            1 => MatchOp::NotEqual,
            2 => MatchOp::Regex,
            3 => MatchOp::NotRegex,
            other => return Err(BadRequest(format!("matcher of {:?}: type {other} is none of 0 to 3", sent.name))),
        };
        let name = sent.name;
        Matcher::new(name.clone(), op, sent.value).map_err(|error| BadRequest(format!("matcher of {name:?}: {error}")))
    };
    let matchers = sent.matchers.into_iter().map(matcher).collect::<Result<_, _>>()?;
    Ok(Query { range, matchers })
}

/// Appends a series to a `prometheus.QueryResult`.
pub fn push_row(row: Row<'_>, result: &mut Vec<u8>) {
    let label = |(name, value): (&str, &str)| wire::Label { name: name.into(), value: value.into() };
    let samples =
        row.at_ms.iter().zip(row.values).map(|(at_ms, value)| wire::Sample { value: *value, timestamp: *at_ms });
    let series = wire::TimeSeries {
        labels: row.labels.iter().map(label).collect(),
        samples: samples.collect(),
        histograms: row.histograms.iter().map(|(at_ms, histogram)| histogram_of(*at_ms, histogram)).collect(),
    };
    prost::encoding::message::encode(1, &series, result);
}

/// Appends a finished `prometheus.QueryResult` to a `prometheus.ReadResponse`.
pub fn push_result(result: &[u8], response: &mut Vec<u8>) {
    prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, response);
    prost::encoding::encode_varint(result.len() as u64, response);
    response.extend_from_slice(result);
}

fn histogram_of(timestamp: i64, histogram: &Histogram) -> wire::Histogram {
    let Histogram { schema, zero_threshold, zero_count, count, sum, positive, negative, custom_bounds, reset } =
        histogram;
    let (positive_spans, positive_counts) = side(positive);
    let (negative_spans, negative_counts) = side(negative);
    wire::Histogram {
        count_float: Some(*count),
        sum: *sum,
        schema: *schema,
        zero_threshold: *zero_threshold,
        zero_count_float: Some(*zero_count),
        negative_spans,
        negative_counts,
        positive_spans,
        positive_counts,
        reset_hint: match reset {
            CounterReset::Unknown => 0,
            CounterReset::Yes => 1,
            CounterReset::No => 2,
            CounterReset::Gauge => 3,
        },
        timestamp,
        custom_values: custom_bounds.to_vec(),
    }
}

/// Runs of neighbouring buckets, each with its distance to the run before (the first: to bucket 0), and all counts.
fn side(buckets: &[(i32, f64)]) -> (Vec<wire::BucketSpan>, Vec<f64>) {
    let mut spans: Vec<wire::BucketSpan> = Vec::new();
    let mut next = 0;
    for (index, _) in buckets {
        match spans.last_mut() {
            Some(span) if *index == next => span.length += 1,
            _ => spans.push(wire::BucketSpan { offset: index.wrapping_sub(next), length: 1 }),
        }
        next = index.wrapping_add(1);
    }
    (spans, buckets.iter().map(|(_, count)| *count).collect())
}

/// The messages as declared, without what is not read (hints) or never written (whole counts, exemplars).
mod wire {
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
    pub(super) struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "4")]
        pub(super) histograms: Vec<Histogram>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Label {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(super) struct Sample {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
        #[prost(int64, tag = "2")]
        pub(super) timestamp: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Histogram {
        #[prost(double, optional, tag = "2")]
        pub(super) count_float: Option<f64>,
        #[prost(double, tag = "3")]
        pub(super) sum: f64,
        #[prost(sint32, tag = "4")]
        pub(super) schema: i32,
        #[prost(double, tag = "5")]
        pub(super) zero_threshold: f64,
        #[prost(double, optional, tag = "7")]
        pub(super) zero_count_float: Option<f64>,
        #[prost(message, repeated, tag = "8")]
        pub(super) negative_spans: Vec<BucketSpan>,
        #[prost(double, repeated, tag = "10")]
        pub(super) negative_counts: Vec<f64>,
        #[prost(message, repeated, tag = "11")]
        pub(super) positive_spans: Vec<BucketSpan>,
        #[prost(double, repeated, tag = "13")]
        pub(super) positive_counts: Vec<f64>,
        #[prost(int32, tag = "14")]
        pub(super) reset_hint: i32,
        #[prost(int64, tag = "15")]
        pub(super) timestamp: i64,
        #[prost(double, repeated, tag = "16")]
        pub(super) custom_values: Vec<f64>,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(super) struct BucketSpan {
        #[prost(sint32, tag = "1")]
        pub(super) offset: i32,
        #[prost(uint32, tag = "2")]
        pub(super) length: u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_or_refused_with_a_reason() {
        let matcher = |r#type, value: &str| wire::LabelMatcher { r#type, name: "job".into(), value: value.into() };
        let request = |matchers, accepted: &[i32]| {
            let query = wire::Query { start_timestamp_ms: -5, end_timestamp_ms: 7, matchers };
            wire::ReadRequest { queries: vec![query], accepted_response_types: accepted.to_vec() }.encode_to_vec()
        };
        let read = decode(&request(vec![matcher(0, "a"), matcher(3, "b.*")], &[1, 0])).unwrap();
        assert_eq!(read[0].range, MsRange { start_ms: -5, end_ms: 7 });
        let shown: Vec<String> = read[0].matchers.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["job=\"a\"", "job!~\"b.*\""]);
        assert!(decode(&[]).unwrap().is_empty());
        for (body, reason) in [
            (request(vec![], &[1]), "SAMPLES"),
            (request(vec![matcher(2, "(")], &[]), "unclosed group"),
            (request(vec![matcher(9, "")], &[]), "type 9"),
            (vec![0xff; 3], "no ReadRequest"),
        ] {
            let error = decode(&body).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn buckets_become_runs() {
        for (buckets, spans) in [
            (vec![], vec![]),
            (vec![(0, 1.0), (1, 2.0), (4, 3.0)], vec![(0, 2), (2, 1)]),
            (vec![(-3, 1.0), (-1, 2.0)], vec![(-3, 1), (1, 1)]),
            (vec![(5, 1.0)], vec![(5, 1)]),
        ] {
            let (got, counts) = side(&buckets);
            assert_eq!(got.iter().map(|span| (span.offset, span.length)).collect::<Vec<_>>(), spans, "{buckets:?}");
            assert_eq!(counts.len(), buckets.len());
        }
    }
}
