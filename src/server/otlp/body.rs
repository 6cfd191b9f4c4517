//! Reads a request's body under a size limit, each byte counted against the bytes in work as it arrives.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;
use model::Kind;

use crate::error::Fault;
use crate::in_flight::Share;

/// A body that brings nothing for so long has lost its sender.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// How much of a refused body is still read and thrown away, so that an HTTP/1.1 sender gets to see the answer
/// instead of a reset connection; and for how long.
const DISCARD_BYTES_MAX: usize = 64 << 20;
const DISCARD_MAX: Duration = Duration::from_secs(5);

/// The whole body, at most `bytes_max`. `declared` is its Content-Length, if there was one.
///
/// # Errors
/// 413 over the limit, `Busy` when too many bytes are in work, `Invalid` when it breaks off: nothing of it is used then.
pub(crate) async fn read(
    mut body: Body,
    declared: Option<u64>,
    bytes_max: usize,
    share: &mut Share,
) -> Result<Bytes, Fault> {
    let outcome = match declared {
        Some(bytes) if bytes > bytes_max as u64 => Err(too_large(bytes_max)),
        _ => read_frames(&mut body, bytes_max, share).await,
    };
    if outcome.as_ref().is_err_and(|fault| fault.kind != Kind::Invalid && fault.kind != Kind::Timeout) {
        discard(body).await;
    }
    outcome
}

async fn read_frames(body: &mut Body, bytes_max: usize, share: &mut Share) -> Result<Bytes, Fault> {
    let mut first: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(IDLE_MAX, body.frame()).await.map_err(|_| {
            Fault::new(Kind::Timeout, format!("the body stalled for {} s", IDLE_MAX.as_secs()))
                .with_status(StatusCode::REQUEST_TIMEOUT)
        })?;
        let data = match frame {
            None => break,
            Some(Err(error)) => return Err(Fault::invalid(format!("the body broke off: {error}"))),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => data,
                // Trailers say nothing to us.
                Err(_) => continue,
            },
        };
        let so_far = first.as_ref().map_or(joined.len(), Bytes::len);
        if so_far + data.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        share.grow(data.len())?;
        match first.take() {
            // Most requests are one frame, and need no copy.
            None if joined.is_empty() => first = Some(data),
            earlier => {
                if let Some(earlier) = earlier {
                    joined.extend_from_slice(&earlier);
                }
                joined.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| joined.freeze()))
}

pub(crate) fn too_large(bytes_max: usize) -> Fault {
    Fault::new(
        Kind::TooMuch,
        format!("the request is larger than {bytes_max} bytes (limits.request_bytes); send smaller batches"),
    )
    .with_status(StatusCode::PAYLOAD_TOO_LARGE)
}

async fn discard(mut body: Body) {
    let reading = async {
        let mut seen = 0;
        while seen < DISCARD_BYTES_MAX
            && let Some(Ok(frame)) = body.frame().await
        {
            seen += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // Whether it ended or time was up is the same to us: the answer goes out now.
    drop(tokio::time::timeout(DISCARD_MAX, reading).await);
}
