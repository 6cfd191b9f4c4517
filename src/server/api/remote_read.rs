//! `/api/v1/read`: Prometheus remote read, so that a Prometheus elsewhere can ask for what is stored here
//! (prometheus.io/docs/prometheus/latest/querying/remote_read_api). Answers are samples, or chunks as a stream where those are asked for
//! first.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::response::{IntoResponse, Response};
use codec::remote_read::{self, AnswerType, Row};
use http::{StatusCode, header};
use model::{Kind, Labels, TenantId};
use query::promql;
use query::{Budget, QueryError};

use super::pieces::{Begun, Pieces};
use super::view::View;
use crate::State;
use crate::error::Fault;
use crate::otlp::body;
use crate::remote_write::snappy;

/// Largest request, in bytes: some queries of some matchers each.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Of the stream.
const STREAMED: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
/// Largest answer of samples before it is packed, in bytes; with the samples it is made of it stands in memory as a whole.
const ANSWER_BYTES_MAX: usize = 64 << 20;

pub(super) async fn read(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    request: Request,
) -> Response {
    super::answer("remote_read", async {
        let (parts, incoming) = request.into_parts();
        let declared = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let mut share = state.in_flight.share();
        let packed = body::read(incoming, declared, REQUEST_BYTES_MAX, &mut share).await?;
        let (store, slots) = (state.store.clone(), state.queries.clone());
        let work = move |budget: &Budget| {
            let plain = snappy::unpack(&packed, REQUEST_BYTES_MAX, &mut share)?;
            let request = remote_read::decode(&plain).map_err(|error| Fault::invalid(error.to_string()))?;
            let view = View::of(&store, &tenant)?;
            match request.answer {
                AnswerType::Samples => samples(&view, &request.queries, budget).map(Answer::Samples),
                AnswerType::StreamedChunks => {
                    stream(&view, &request.queries, budget)?.begin(&slots, budget).map(Answer::Stream)
                }
            }
        };
        match state.queries.run(None, work).await? {
            Answer::Samples(packed) => {
                let headers = [(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")];
                Ok((StatusCode::OK, headers, Body::from(packed)).into_response())
            }
            Answer::Stream(begun) => Ok(begun.into_response()),
        }
    })
    .await
}

enum Answer {
    Samples(Vec<u8>),
    Stream(Begun),
}

/// The frames of all queries in order, each query's series by their labels. Samples are read before the first frame is sent, so that
/// what goes wrong is an error and no half answer.
fn stream(view: &View, queries: &[remote_read::Query], budget: &Budget) -> Result<Pieces, Fault> {
    let mut rows: Vec<(usize, Labels, store::Samples)> = Vec::new();
    for (index, query) in queries.iter().enumerate() {
        let found = promql::raw(view, &query.matchers, query.range, budget)?;
        rows.extend(found.into_iter().map(|(labels, samples)| (index, labels, samples)));
    }
    Ok(Pieces::binary(STREAMED, rows.into_iter(), |(index, labels, samples), out| {
        let store::Samples { at_ms, values, histograms } = &samples;
        remote_read::push_frames(index, Row { labels: &labels, at_ms, values, histograms }, out);
    }))
}

/// The packed `ReadResponse`.
fn samples(view: &View, queries: &[remote_read::Query], budget: &Budget) -> Result<Vec<u8>, Fault> {
    let mut response = Vec::new();
    for query in queries {
        let mut result = Vec::new();
        for (labels, samples) in promql::raw(view, &query.matchers, query.range, budget)? {
            let store::Samples { at_ms, values, histograms } = &samples;
            remote_read::push_row(Row { labels: &labels, at_ms, values, histograms }, &mut result);
            if response.len() + result.len() > ANSWER_BYTES_MAX {
                let mib = ANSWER_BYTES_MAX >> 20;
                let message = format!("the answer is larger than {mib} MiB; ask for a shorter range or fewer series");
                return Err(QueryError::TooMuch { message }.into());
            }
        }
        remote_read::push_result(&result, &mut response);
    }
    let packed = snap::raw::Encoder::new().compress_vec(&response);
    packed.map_err(|error| Fault::new(Kind::Internal, format!("packing the answer: {error}")))
}
