//! The face a door shows: how it words a refusal, and what it asks of a token.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, header};
use store::Scope;

use crate::api::envelope;
use crate::doors::FEDERATE;
use crate::error::Fault;
use crate::heartbeat;
use crate::loki;
use crate::otlp::{self, Signal, Transport};
use crate::page::error_page;
use crate::remote_write;

/// Where the API changes what people are told, by any method but GET and HEAD.
const CHANGED_UNDER: [&str; 4] = ["/api/v2/", "/api/v1/alerts/", "/api/v1/notify/", "/api/v1/admin/"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    /// Pages: a sentence for a person.
    Page,
    /// `/health`, `/healthz`, `/ready`, heartbeats and assets, which need no token.
    Open,
    /// `/api/`: Prometheus' envelope.
    Api,
    /// OTLP/HTTP: `google.rpc.Status` in the request's encoding.
    Otlp,
    Grpc,
    /// Prometheus remote write: a sentence as plain text, for a sender's log.
    RemoteWrite,
    /// `/loki/`, and `/api/prom/` as it was once called: a sentence as plain text, as Loki's clients show it.
    Loki,
    /// Loki push: the same, for a sender's log.
    LokiPush,
}

impl Face {
    /// The listener's own face; on the one for people it depends on the path.
    pub(crate) fn of_request(self, request: &Request) -> Face {
        match (self, request.uri().path()) {
            (Face::Page | Face::Otlp, remote_write::PATH) => Face::RemoteWrite,
            (Face::Page | Face::Otlp, loki::push::PATH) => Face::LokiPush,
            (Face::Page, otlp::PROMETHEUS_METRICS | otlp::LOKIS_LOGS) => Face::Otlp,
            (Face::Page, path) if path.starts_with("/loki/") => Face::Loki,
            (Face::Page, "/health" | "/healthz" | "/ready") => Face::Open,
            (Face::Page, path) if path.starts_with("/-/") || path.starts_with(heartbeat::PATH) => Face::Open,
            (Face::Page, path) if path.starts_with("/api/prom/") => Face::Loki,
            (Face::Page, path) if path.starts_with("/api/") || path.starts_with("/prometheus/") || path == FEDERATE => {
                Face::Api
            }
            (face, _) => face,
        }
    }

    pub(crate) fn is_open(self) -> bool {
        self == Face::Open
    }

    fn is_ingest(self) -> bool {
        matches!(self, Face::Otlp | Face::Grpc | Face::RemoteWrite | Face::LokiPush)
    }

    /// What a request asks of its token. Queries may come as POST, so it is the path that tells what changes something.
    pub(crate) fn needs(self, method: &Method, path: &str) -> Scope {
        let is_change = !method.is_safe()
            && match self {
                // Only forms that change something are posted.
                Face::Page => true,
                Face::Api => CHANGED_UNDER.iter().any(|prefix| path.starts_with(prefix)),
                _ => false,
            };
        match (self.is_ingest(), is_change) {
            (true, _) => Scope::Ingest,
            (false, true) => Scope::Operate,
            (false, false) => Scope::Read,
        }
    }

    pub(crate) fn refuse(self, fault: &Fault, asked: &HeaderMap) -> Response {
        let mut response = match self {
            Face::Grpc => return otlp::grpc::refuse(fault),
            Face::Otlp => otlp::http::refuse(fault, asked),
            Face::Api => envelope::refuse(fault),
            Face::RemoteWrite => remote_write::refuse(fault),
            Face::Loki | Face::LokiPush => loki::refuse(fault),
            Face::Page if wants_html(asked) => {
                let title = fault.status().canonical_reason().unwrap_or("Error");
                (fault.status(), error_page(title, &fault.message)).into_response()
            }
            Face::Page | Face::Open => {
                let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
                (fault.status(), text, Body::from(format!("{}\n", fault.message))).into_response()
            }
        };
        if fault.kind == model::Kind::Unauthenticated {
            // Basic makes a browser ask; to programs a Bearer token is what we document.
            let how = if self == Face::Page { "Basic realm=\"binnacle\", charset=\"UTF-8\"" } else { "Bearer" };
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(how));
        }
        if let Some(seconds) = fault.retry_after_s() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Whether a browser asks, and not a script.
fn wants_html(asked: &HeaderMap) -> bool {
    asked.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|text| text.contains("text/html"))
}

/// Refusals before a handler count as requests too, or a sender with a wrong token would be invisible.
pub(crate) fn count_refusal(face: Face, path: &str, fault: &Fault) {
    let transport = match face {
        Face::Otlp => Transport::Http,
        Face::Grpc => Transport::Grpc,
        Face::RemoteWrite => return otlp::count_request(Signal::Metrics, Transport::RemoteWrite, fault),
        Face::LokiPush => return otlp::count_request(Signal::Logs, Transport::LokiPush, fault),
        _ => return,
    };
    if let Some(signal) = Signal::of_path(path) {
        otlp::count_request(signal, transport, fault);
    }
}
