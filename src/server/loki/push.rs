//! `/loki/api/v1/push`: what Promtail, Alloy, Fluent Bit and their like send, through the same intake as OTLP.
//!
//! 204 says that all was stored. 400 says that what is named can never be stored and the rest was; 429 and 503 that nothing is known to be
//! stored, and the same request may work later.

use std::time::Instant;

use axum::Extension;
use axum::extract::{Request, State as Shared};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use codec::loki_push::{Decoded, Written, decode};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use model::{Kind, Rejected, TenantId};

use crate::error::Fault;
use crate::in_flight::Share;
use crate::otlp::intake::accepted;
use crate::otlp::packing::Packing;
use crate::otlp::{Signal, Transport, body, count_bytes, count_request, count_rows, count_success};
use crate::remote_write::snappy;
use crate::{State, clock};

/// Where it is taken, on the listener for queries and on that for OTLP/HTTP.
pub(crate) const PATH: &str = "/loki/api/v1/push";

/// Loki's words for a request without a stream.
const NO_STREAMS: &str = "error at least one valid stream is required for ingestion";

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packed {
    Snappy,
    As(Packing),
}

pub(crate) async fn push(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    request: Request,
) -> Response {
    let begun = Instant::now();
    let (parts, incoming) = request.into_parts();
    let (written, packed) = match form(&parts.headers) {
        Ok(form) => form,
        Err(fault) => return refuse_counted(&fault),
    };
    let declared = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let mut share = state.in_flight.share();
    let outcome = match body::read(incoming, declared, state.settings.request_bytes_max, &mut share).await {
        Ok(bytes) => take_in(&state, tenant, written, packed, bytes, share).await,
        Err(fault) => Err(fault),
    };
    match outcome {
        Ok(refused) if refused.is_empty() => {
            count_success(Signal::Logs, Transport::LokiPush, begun.elapsed());
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(refused) => refuse_counted(&Fault::invalid(told(&refused))),
        // Agents give up on any 4xx but 429, and a body that stalled may come faster next time.
        Err(fault) if fault.kind == Kind::Timeout => refuse_counted(&Fault::new(Kind::Unavailable, fault.message)),
        Err(fault) => refuse_counted(&fault),
    }
}

/// Another method than POST.
pub(crate) async fn not_post(request: Request) -> Response {
    let fault = Fault::invalid(format!("{} is not taken here, only POST", request.method()))
        .with_status(StatusCode::METHOD_NOT_ALLOWED);
    let mut response = super::refuse_with_line(&fault);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

/// The content type must be said, as for remote write: with auth off nothing else tells an agent from a page in a browser.
fn form(headers: &HeaderMap) -> Result<(Written, Packed), Fault> {
    let unsupported = |message: String| Fault::invalid(message).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let written = match essence.as_str() {
        "application/json" => Written::Json,
        "application/x-protobuf" | "application/protobuf" => Written::Protobuf,
        _ => {
            return Err(unsupported(format!(
                "Content-Type is {said:?}; send application/x-protobuf (snappy) or application/json"
            )));
        }
    };
    let mut said = headers.get_all(header::CONTENT_ENCODING).iter();
    let first = said.next().map_or(Some(""), |value| value.to_str().ok());
    let packed = match (first.map(str::trim), written) {
        _ if said.next().is_some() => None,
        (None, _) => None,
        // Protobuf is packed whether the header says so or not.
        (Some(name), Written::Protobuf) if name.is_empty() || name.eq_ignore_ascii_case("snappy") => {
            Some(Packed::Snappy)
        }
        (Some(name), _) => Packing::of_name(name).map(Packed::As),
    };
    let packed = packed.ok_or_else(|| {
        let said: Vec<_> = headers.get_all(header::CONTENT_ENCODING).iter().collect();
        unsupported(format!(
            "Content-Encoding {said:?} not supported; send gzip, deflate or zstd, or snappy for protobuf"
        ))
    })?;
    Ok((written, packed))
}

/// Stores a request and waits until it survives a power cut.
///
/// # Errors
/// Then nothing of it is known to be stored, and it may be sent again as it is.
async fn take_in(
    state: &State,
    id: TenantId,
    written: Written,
    packed: Packed,
    bytes: Bytes,
    mut share: Share,
) -> Result<Rejected, Fault> {
    let (store, settings) = (state.store.clone(), state.settings.clone());
    let received_ns = clock::now_ns();
    // Unpacking, decoding and the first use of a tenant are CPU and disk.
    let ((tenant, batch, mut rejected), _share) = tokio::task::spawn_blocking(move || {
        let plain: Bytes = match packed {
            Packed::Snappy => snappy::unpack(&bytes, settings.request_bytes_max, &mut share)?.into(),
            Packed::As(packing) => packing.unpack(bytes, settings.request_bytes_max, &mut share)?,
        };
        count_bytes(Signal::Logs, plain.len());
        let now_ms = received_ns / model::time::NS_PER_MS;
        let accept = accepted(now_ms, store.options().logs_retention_ms, settings.future_max);
        let Decoded { batch, rejected, streams } = decode(&plain, written, &settings.logs, received_ns, accept)?;
        if streams == 0 {
            return Err(Fault::invalid(NO_STREAMS).with_status(StatusCode::UNPROCESSABLE_ENTITY));
        }
        // A request of which nothing is stored makes no tenant.
        let tenant = if batch.records.is_empty() { None } else { Some(store.tenant(&id)?) };
        Ok::<_, Fault>(((tenant, batch, rejected), share))
    })
    .await
    .map_err(|_| Fault::panicked("decoding a request"))??;
    let rows = batch.records.len() as u64;
    let mut stored = 0;
    if let Some(tenant) = tenant {
        let by_store = tenant.submit_logs(batch).await?;
        stored = rows.saturating_sub(by_store.total());
        rejected.merge(by_store);
    }
    rejected.by_reason.retain(|(_, rows, _)| *rows > 0);
    count_rows(Signal::Logs, stored, &rejected);
    Ok(rejected)
}

/// A line a reason, Loki's sentence first.
fn told(refused: &Rejected) -> String {
    let lines: Vec<String> = refused
        .by_reason
        .iter()
        .map(|(_, rows, message)| match rows {
            1 => message.clone(),
            rows => format!("{message} (total ignored: {rows})"),
        })
        .collect();
    lines.join("\n")
}

fn refuse_counted(fault: &Fault) -> Response {
    count_request(Signal::Logs, Transport::LokiPush, fault);
    super::refuse_with_line(fault)
}
