//! Prometheus remote write in: versions 1.0 and 2.0 by content type, through the same intake as OTLP.
//!
//! Source of the answers: prometheus.io/docs/specs/prw. 204 says that all was stored. 400 says that what is named in the body can never
//! be stored and the rest was; 429 and 503 that nothing is known to be stored, and the same request may work later. Storing a sample
//! twice changes nothing, so a request that is sent again is safe.

mod headers;
mod intake;
pub(crate) mod snappy;

use std::time::Instant;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use model::{Kind, TenantId};

use crate::State;
use crate::error::Fault;
use crate::otlp::{Signal, Transport, body, count_request, count_success};
use codec::remote_write::Message;
use intake::{Outcome, take_in};

/// Where it is taken, on the listener for queries and on that for OTLP/HTTP.
pub(crate) const PATH: &str = "/api/v1/write";

/// How many of each kind were stored, which 2.0 senders are told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Written {
    samples: u64,
    histograms: u64,
    exemplars: u64,
}

pub(crate) async fn write(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    request: Request,
) -> Response {
    let begun = Instant::now();
    let (parts, incoming) = request.into_parts();
    let message = match headers::message(&parts.headers) {
        Ok(message) => message,
        Err(fault) => return refuse_counted(&fault, None),
    };
    let told = (message == Message::V2).then_some(Written::default());
    let declared = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let mut share = state.in_flight.share();
    let outcome = match body::read(incoming, declared, state.settings.request_bytes_max, &mut share).await {
        Ok(packed) => take_in(&state, tenant, message, packed, share).await,
        Err(fault) => Err(fault),
    };
    match outcome {
        Ok(Outcome { written, refused }) if refused.is_empty() => {
            count_success(Signal::Metrics, Transport::RemoteWrite, begun.elapsed());
            with_written(StatusCode::NO_CONTENT.into_response(), told.map(|_| written))
        }
        Ok(Outcome { written, refused }) => {
            let message = format!(
                "{} of this request can never be stored, the others were: {}",
                refused.total(),
                refused.message()
            );
            refuse_counted(&Fault::invalid(message), told.map(|_| written))
        }
        // A sender gives up on any 4xx but 429, and a body that stalled may come faster next time.
        Err(fault) if fault.kind == Kind::Timeout => {
            refuse_counted(&Fault::new(Kind::Unavailable, fault.message), told)
        }
        Err(fault) => refuse_counted(&fault, told),
    }
}

/// Another method than POST.
pub(crate) async fn not_post(request: Request) -> Response {
    let fault = Fault::invalid(format!("{} is not taken here, only POST", request.method()))
        .with_status(StatusCode::METHOD_NOT_ALLOWED);
    let mut response = refuse(&fault);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

/// A sentence as plain text: senders log it as it is.
pub(crate) fn refuse(fault: &Fault) -> Response {
    let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    let mut response = (fault.status(), text, Body::from(format!("{}\n", fault.message))).into_response();
    if let Some(seconds) = fault.retry_after_s() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn refuse_counted(fault: &Fault, told: Option<Written>) -> Response {
    count_request(Signal::Metrics, Transport::RemoteWrite, fault);
    with_written(refuse(fault), told)
}

fn with_written(mut response: Response, told: Option<Written>) -> Response {
    if let Some(Written { samples, histograms, exemplars }) = told {
        for (name, count) in [
            ("x-prometheus-remote-write-samples-written", samples),
            ("x-prometheus-remote-write-histograms-written", histograms),
            ("x-prometheus-remote-write-exemplars-written", exemplars),
        ] {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(count));
        }
    }
    response
}
