//! Around every door: a panic becomes an answer, and browsers are told what a page may do.

use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, header};

use crate::error::Fault;
use crate::face::Face;

/// Scripts, styles and forms from here only, nothing inline, no framing.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Answers 500 where a handler panics; the connection and its other requests go on.
pub(crate) async fn catch_panic(door: Face, request: Request, next: Next) -> Response {
    let face = door.of_request(&request);
    let headers = request.headers().clone();
    // Nothing of the request is looked at again, and shared state is behind locks that survive a panic.
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => face.refuse(&Fault::panicked("answering a request"), &headers),
    }
}

/// What a handler set itself stays.
pub(crate) async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
