//! OTLP/HTTP: protobuf or JSON by content type, answered in the same.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::response::{IntoResponse, Response};
use codec::otlp::{Encoding, reply};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use model::{Kind, TenantId};

use super::intake::{Arrived, take_in_counted};
use super::packing::Packing;
use super::{NOT_STORED, Signal, Transport, body, count_request};
use crate::State;
use crate::error::Fault;

/// What a request's body is written in, and the content type to answer with: the one that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    encoding: Encoding,
    content_type: &'static str,
}

/// Traces and profiles.
pub(crate) async fn not_stored(request: Request) -> Response {
    refuse(&Fault::new(Kind::Unsupported, NOT_STORED), request.headers())
}

/// Any other path.
pub(crate) async fn no_such_path(request: Request) -> Response {
    let message = format!("nothing at {}; OTLP is taken at /v1/metrics and /v1/logs", request.uri().path());
    refuse(&Fault::new(Kind::NotFound, message), request.headers())
}

/// Another method than POST on a known path.
pub(crate) async fn not_post(request: Request) -> Response {
    let fault = Fault::invalid(format!("{} is not taken here, only POST", request.method()))
        .with_status(StatusCode::METHOD_NOT_ALLOWED);
    let mut response = refuse(&fault, request.headers());
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

/// A push of the signal that the route is for.
pub(crate) async fn export(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    Extension(signal): Extension<Signal>,
    request: Request,
) -> Response {
    let (parts, incoming) = request.into_parts();
    let arrived = match arrive(&state, tenant, signal, &parts.headers, incoming).await {
        Ok(arrived) => arrived,
        Err(fault) => {
            count_request(signal, Transport::Http, &fault);
            return refuse(&fault, &parts.headers);
        }
    };
    let encoding = arrived.encoding;
    match take_in_counted(&state, Transport::Http, arrived).await {
        Ok(rejected) => {
            let answer = match signal {
                Signal::Metrics => reply::encode_metrics_response(encoding, &rejected),
                Signal::Logs => reply::encode_logs_response(encoding, &rejected),
            };
            let content_type = written(&parts.headers).map_or("text/plain", |written| written.content_type);
            ([(header::CONTENT_TYPE, content_type)], Body::from(answer)).into_response()
        }
        Err(fault) => refuse(&fault, &parts.headers),
    }
}

async fn arrive(
    state: &State,
    tenant: TenantId,
    signal: Signal,
    headers: &HeaderMap,
    incoming: Body,
) -> Result<Arrived, Fault> {
    let unsupported = |message: String| Fault::invalid(message).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let written = written(headers).ok_or_else(|| {
        let said = headers.get(header::CONTENT_TYPE).map_or("none".into(), |value| format!("{value:?}"));
        unsupported(format!("Content-Type is {said}; send application/x-protobuf or application/json"))
    })?;
    let packing = packing(headers).ok_or_else(|| {
        let said: Vec<_> = headers.get_all(header::CONTENT_ENCODING).iter().collect();
        unsupported(format!("Content-Encoding {said:?} is not read here; send gzip, zstd, snappy, deflate or identity"))
    })?;
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let mut share = state.in_flight.share();
    let body = body::read(incoming, declared, state.settings.request_bytes_max, &mut share).await?;
    Ok(Arrived { tenant, signal, encoding: written.encoding, packing, body, share })
}

/// The content type as a media type: case and parameters do not matter.
fn written(headers: &HeaderMap) -> Option<Written> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (encoding, content_type) = match essence.as_str() {
        "application/x-protobuf" => (Encoding::Protobuf, "application/x-protobuf"),
        "application/protobuf" => (Encoding::Protobuf, "application/protobuf"),
        "application/json" => (Encoding::Json, "application/json"),
        _ => return None,
    };
    Some(Written { encoding, content_type })
}

fn packing(headers: &HeaderMap) -> Option<Packing> {
    let mut said = headers.get_all(header::CONTENT_ENCODING).iter();
    let packing = match said.next() {
        None => Packing::None,
        Some(name) => Packing::of_name(name.to_str().ok()?)?,
    };
    said.next().is_none().then_some(packing)
}

/// `google.rpc.Status` in the request's encoding; plain text where that is not known.
pub(crate) fn refuse(fault: &Fault, asked: &HeaderMap) -> Response {
    let (content_type, body) = match written(asked) {
        Some(written) => {
            let code = i32::from(fault.code());
            (written.content_type, reply::encode_status(written.encoding, code, &fault.message))
        }
        None => ("text/plain; charset=utf-8", format!("{}\n", fault.message).into_bytes()),
    };
    let mut response = (fault.status(), [(header::CONTENT_TYPE, content_type)], body).into_response();
    if let Some(seconds) = fault.retry_after_s() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
