//! OTLP/gRPC: the unary calls `Export` of metrics and logs.
//!
//! gRPC's framing is read here and not by a generated service, so that a message's bytes are counted while they arrive,
//! unpacked under the same limit as over HTTP, and decoded by the same decoder (gRPC over HTTP/2, PROTOCOL-HTTP2.md).

use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use codec::otlp::{Encoding, reply};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use model::{Kind, TenantId};
use prost::Message as _;
use tonic::Code;

use super::intake::{Arrived, take_in_counted};
use super::packing::Packing;
use super::{NOT_STORED, Signal, Transport, body, count_request};
use crate::State;
use crate::error::Fault;

pub(crate) const METRICS_EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
pub(crate) const LOGS_EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// What stands before each message: a flag whether it is packed, and its length.
const PREFIX_BYTES: usize = 5;
const ACCEPTED_PACKINGS: HeaderValue = HeaderValue::from_static("identity,gzip,zstd,snappy,deflate");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Any other method.
pub(crate) async fn unimplemented(request: Request) -> Response {
    let path = request.uri().path();
    let message = if path.contains("Trace") || path.contains("Profiles") {
        NOT_STORED.into()
    } else {
        format!("no method {path} here; there are {METRICS_EXPORT} and {LOGS_EXPORT}")
    };
    refuse(&Fault::new(Kind::Unsupported, message))
}

/// The call `Export` of the signal that the route is for.
pub(crate) async fn export(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    Extension(signal): Extension<Signal>,
    request: Request,
) -> Response {
    let (parts, incoming) = request.into_parts();
    if !is_grpc(&parts.headers) {
        let what = "Content-Type must be application/grpc here; OTLP/HTTP has a port of its own\n";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, what).into_response();
    }
    let work = async {
        match arrive(&state, tenant, signal, &parts.headers, incoming).await {
            Ok(arrived) => take_in_counted(&state, Transport::Grpc, arrived).await,
            Err(fault) => {
                count_request(signal, Transport::Grpc, &fault);
                Err(fault)
            }
        }
    };
    let outcome = match deadline(&parts.headers) {
        None => work.await,
        Some(after) => tokio::time::timeout(after, work).await.unwrap_or_else(|_| {
            let fault = Fault::new(Kind::Timeout, format!("not stored within the caller's {} ms", after.as_millis()));
            count_request(signal, Transport::Grpc, &fault);
            Err(fault)
        }),
    };
    match outcome {
        Ok(rejected) => answer(&match signal {
            Signal::Metrics => reply::encode_metrics_response(Encoding::Protobuf, &rejected),
            Signal::Logs => reply::encode_logs_response(Encoding::Protobuf, &rejected),
        }),
        Err(fault) => refuse(&fault),
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/grpc" || essence == "application/grpc+proto"
}

async fn arrive(
    state: &State,
    tenant: TenantId,
    signal: Signal,
    headers: &HeaderMap,
    incoming: Body,
) -> Result<Arrived, Fault> {
    let said = headers.get(GRPC_ENCODING).map_or(Some(""), |value| value.to_str().ok());
    let packing = said.and_then(Packing::of_name).ok_or_else(|| {
        Fault::new(Kind::Unsupported, format!("grpc-encoding {:?} is not read here", said.unwrap_or("not ASCII")))
    })?;
    let bytes_max = state.settings.request_bytes_max;
    let mut share = state.in_flight.share();
    let message = body::read(incoming, None, bytes_max.saturating_add(PREFIX_BYTES), &mut share).await?;
    let (is_packed, body) = unframe(message, bytes_max)?;
    if is_packed && packing == Packing::None {
        return Err(Fault::invalid("the message is marked as packed, but there is no grpc-encoding"));
    }
    let packing = if is_packed { packing } else { Packing::None };
    Ok(Arrived { tenant, signal, encoding: Encoding::Protobuf, packing, body, share })
}

/// The one message of a unary call, and whether it is packed.
fn unframe(mut framed: Bytes, bytes_max: usize) -> Result<(bool, Bytes), Fault> {
    if framed.len() < PREFIX_BYTES {
        return Err(Fault::invalid("the call brought no message"));
    }
    let prefix = framed.split_to(PREFIX_BYTES);
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
    if length > bytes_max {
        return Err(body::too_large(bytes_max));
    }
    if framed.len() != length {
        return Err(Fault::invalid(format!(
            "the call should bring one message of {length} bytes, it brought {}",
            framed.len()
        )));
    }
    match prefix[0] {
        0 => Ok((false, framed)),
        1 => Ok((true, framed)),
        flag => Err(Fault::invalid(format!("the message's flag is {flag}, it may be 0 or 1"))),
    }
}

/// `grpc-timeout`: at most eight digits and a unit. One that cannot be read is no deadline, as in other servers.
fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// A success: the message, then the status in the trailers.
fn answer(message: &[u8]) -> Response {
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("answers are a few KiB"));
    framed.put_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert(tonic::Status::GRPC_STATUS, HeaderValue::from_static("0"));
    let frames = [Ok::<_, std::convert::Infallible>(Frame::data(framed.freeze())), Ok(Frame::trailers(trailers))];
    let mut response = Response::new(Body::new(StreamBody::new(futures_util::stream::iter(frames))));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_ACCEPT_ENCODING, ACCEPTED_PACKINGS);
    response
}

/// A refusal: the status in the headers, with `RetryInfo` where the same call may work later.
pub(crate) fn refuse(fault: &Fault) -> Response {
    let details = fault.retry_after_s().map_or(Bytes::new(), |seconds| retry_details(fault, seconds));
    let mut response = tonic::Status::with_details(fault.code(), &fault.message, details).into_http::<Body>();
    response.headers_mut().insert(GRPC_ACCEPT_ENCODING, ACCEPTED_PACKINGS);
    response
}

/// The parts of google/rpc/{status,error_details}.proto that say when to come back.
mod rpc {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Status {
        #[prost(int32, tag = "1")]
        pub(super) code: i32,
        #[prost(string, tag = "2")]
        pub(super) message: String,
        #[prost(message, repeated, tag = "3")]
        pub(super) details: Vec<Any>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Any {
        #[prost(string, tag = "1")]
        pub(super) type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) value: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        pub(super) retry_delay: Option<Duration>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Duration {
        #[prost(int64, tag = "1")]
        pub(super) seconds: i64,
    }
}

fn retry_details(fault: &Fault, seconds: u32) -> Bytes {
    let info = rpc::RetryInfo { retry_delay: Some(rpc::Duration { seconds: i64::from(seconds) }) };
    let any = rpc::Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value: info.encode_to_vec() };
    let status = rpc::Status { code: i32::from(fault.code()), message: fault.message.clone(), details: vec![any] };
    status.encode_to_vec().into()
}

/// The name in gRPC's own spelling, as alert rules select it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
