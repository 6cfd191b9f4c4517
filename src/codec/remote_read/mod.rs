//! Prometheus remote read: a request for samples, and the samples (prompb/remote.proto and prompb/types.proto in Prometheus'
//! repository, both without their snappy packing). Samples come in one message ([`push_row`], [`push_result`]) or as a stream of
//! chunks ([`push_frames`]).
//!
//! Native histograms are written with their counts as floats, as they are kept here.

mod bits;
mod chunks;
mod frames;
mod spans;
#[cfg(test)]
mod tests;
mod wire;

use model::{CounterReset, Histogram, Labels, MatchOp, Matcher, MsRange, go_regex};
use prost::Message as _;

pub use frames::push_frames;
use spans::spans;

/// What is asked for, and how it is to be answered.
#[derive(Debug, Clone)]
pub struct Request {
    pub queries: Vec<Query>,
    pub answer: AnswerType,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerType {
    Samples,
    StreamedChunks,
}

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

/// An unpacked `prometheus.ReadRequest`, its queries in order. The answer is of the first accepted type that is known here, samples where
/// none is named.
///
/// # Errors
/// What is no such message, accepts no type that is known, or has a matcher that is none.
pub fn decode(body: &[u8]) -> Result<Request, BadRequest> {
    let request = wire::ReadRequest::decode(body).map_err(|error| BadRequest(format!("no ReadRequest: {error}")))?;
    let known = |number: &i32| match number {
        0 => Some(AnswerType::Samples),
        1 => Some(AnswerType::StreamedChunks),
        _ => None,
    };
    let accepted = &request.accepted_response_types;
    let answer = match accepted.iter().find_map(known) {
        Some(answer) => answer,
        None if accepted.is_empty() => AnswerType::Samples,
        None => {
            let message =
                format!("accepted_response_types is {accepted:?}; SAMPLES (0) and STREAMED_XOR_CHUNKS (1) are known");
            return Err(BadRequest(message));
        }
    };
    let queries = go_regex::together(|| request.queries.into_iter().map(query).collect::<Result<_, _>>())?;
    Ok(Request { queries, answer })
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
    let samples =
        row.at_ms.iter().zip(row.values).map(|(at_ms, value)| wire::Sample { value: *value, timestamp: *at_ms });
    let series = wire::TimeSeries {
        labels: labels(row.labels),
        samples: samples.collect(),
        histograms: row.histograms.iter().map(|(at_ms, histogram)| histogram_of(*at_ms, histogram)).collect(),
    };
    prost::encoding::message::encode(1, &series, result);
}

fn labels(labels: &Labels) -> Vec<wire::Label> {
    labels.iter().map(|(name, value)| wire::Label { name: name.into(), value: value.into() }).collect()
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

/// The runs of a side's buckets, and all its counts.
fn side(buckets: &[(i32, f64)]) -> (Vec<wire::BucketSpan>, Vec<f64>) {
    let indexes = buckets.iter().map(|(index, _)| *index);
    (spans(indexes), buckets.iter().map(|(_, count)| *count).collect())
}
