//! Alertmanager's API v2, for amtool, karma, Grafana, and for other Prometheus servers that push their alerts here.
//!
//! The shapes are those of `api/v2/openapi.yaml`; a refusal is a JSON text, or go-openapi's `{code, message}` where a field is
//! missing, as in Alertmanager.

mod alerts;
pub(crate) mod ended;
mod json;
pub(crate) mod silences;
pub(crate) mod status;
pub(crate) mod trace;

use axum::Router;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use model::TenantId;
use model::any::json_string;
use model::go_regex;

use crate::error::Fault;
use crate::{Alerting, State, alerting};

/// Longest body of a POST, in bytes: a Prometheus server sends 64 alerts at once.
const BODY_BYTES_MAX: usize = 8 << 20;

/// Every route of the API.
pub(crate) fn router() -> Router<State> {
    Router::new()
        .route("/api/v2/status", get(status::status))
        .route("/api/v2/receivers", get(status::receivers))
        .route("/api/v2/alerts", get(alerts::list).post(alerts::push))
        .route("/api/v2/alerts/groups", get(alerts::groups))
        .route("/api/v2/silences", get(silences::list).post(silences::set))
        .route("/api/v2/silence/{id}", get(silences::one).delete(silences::expire))
        .route("/api/v1/alerts/{fingerprint}/trace", get(trace::trace))
        .route("/api/v1/alerts/{fingerprint}/ack", post(trace::acknowledge).delete(trace::unacknowledge))
        .route("/api/v1/audit", get(trace::audit))
        .route("/api/v1/silences/preview", get(trace::preview))
}

/// A request and what it may see: rules and messages belong to a tenant.
struct Asker {
    state: State,
    tenant: TenantId,
    query: Vec<(String, String)>,
    headers: HeaderMap,
}

impl FromRequestParts<State> for Asker {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Asker, Self::Rejection> {
        let tenant = parts.extensions.get::<TenantId>().cloned().unwrap_or_default();
        let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned();
        Ok(Asker { tenant, state: state.clone(), query: query.collect(), headers: parts.headers.clone() })
    }
}

impl Asker {
    /// What there is to read; `None` for a tenant without rules.
    fn alerting(&self) -> Option<&Alerting> {
        self.state.alerting_of(&self.tenant)
    }

    /// What is to be changed.
    fn changed(&self) -> Result<&Alerting, Fault> {
        self.alerting().ok_or_else(|| alerting::none_for(&self.tenant))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A flag that is `otherwise` when absent.
    fn flag(&self, name: &str, otherwise: bool) -> Result<bool, Fault> {
        match self.get(name) {
            None | Some("") => Ok(otherwise),
            Some("true" | "1" | "t" | "True" | "TRUE") => Ok(true),
            Some("false" | "0" | "f" | "False" | "FALSE") => Ok(false),
            Some(other) => Err(Fault::invalid(format!("{name} in query must be of type boolean: {other:?}"))),
        }
    }

    /// Matchers of every `filter`.
    fn filters(&self) -> Result<Vec<model::Matcher>, Fault> {
        self.matchers("filter", "bad matcher format")
    }

    /// Matchers over receivers' labels, of every `receiver_matchers` (Alertmanager 0.33).
    fn receiver_matchers(&self) -> Result<Vec<model::Matcher>, Fault> {
        self.matchers("receiver_matchers", "failed to parse receiver_matchers param")
    }

    fn matchers(&self, of: &str, complaint: &str) -> Result<Vec<model::Matcher>, Fault> {
        let texts = self.query.iter().filter(|(name, text)| name == of && !text.trim().is_empty());
        let read = |(_, text): &(String, String)| {
            let found = notify::parse_matchers(text);
            found.map_err(|reason| Fault::invalid(format!("{complaint}: {text}: {reason}")))
        };
        let all: Vec<Vec<_>> = go_regex::together(|| texts.map(read).collect::<Result<_, _>>())?;
        Ok(all.into_iter().flatten().collect())
    }

    /// Works where it may block.
    async fn work<T: Send + 'static>(
        self,
        job: impl FnOnce(Asker) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        match tokio::task::spawn_blocking(move || job(self)).await {
            Ok(result) => result,
            Err(_) => Err(Fault::panicked("answering about alerts")),
        }
    }

    /// Refuses what would change something for a tenant without alerts, or comes from a page of another origin: a browser
    /// sends such requests with this content type only after asking, and is not let.
    fn may_write(&self, wants_json: bool) -> Result<(), Fault> {
        self.changed()?;
        let content = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if wants_json && !content.to_ascii_lowercase().starts_with("application/json") {
            let fault = Fault::invalid("unsupported media type, only [application/json] are allowed");
            return Err(fault.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        Ok(())
    }
}

/// How a matcher of a filter sees labels (`matchFilterLabels`): an empty value asks for absence, or for presence.
fn passes<'a>(matchers: &[model::Matcher], value: impl Fn(&str) -> Option<&'a str>) -> bool {
    matchers.iter().all(|matcher| matcher.matches(value(&matcher.name).unwrap_or_default()))
}

fn ok(body: String) -> Response {
    respond(StatusCode::OK, body)
}

fn respond(status: StatusCode, body: String) -> Response {
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], Body::from(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn answer(result: Result<Response, Fault>) -> Response {
    result.unwrap_or_else(|fault| refuse(&fault))
}

/// A refusal as Alertmanager writes them: a JSON text.
fn refuse(fault: &Fault) -> Response {
    let mut body = String::new();
    json_string(&fault.message, &mut body);
    body.push('\n');
    let mut response = respond(fault.status(), body);
    if let Some(seconds) = fault.retry_after_s() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// go-openapi's refusal of a body that lacks something.
fn lacking(message: &str) -> Response {
    let mut body = String::from("{\"code\":602,\"message\":");
    json_string(message, &mut body);
    body.push('}');
    respond(StatusCode::UNPROCESSABLE_ENTITY, body)
}

/// The body of a POST.
async fn body(bytes: Body) -> Result<Vec<u8>, Fault> {
    let read = axum::body::to_bytes(bytes, BODY_BYTES_MAX).await;
    read.map(Vec::from).map_err(|error| {
        let reason = format!("cannot read the body: {error}; it may have at most {BODY_BYTES_MAX} bytes");
        Fault::invalid(reason).with_status(StatusCode::PAYLOAD_TOO_LARGE)
    })
}

impl From<notify::SilenceError> for Fault {
    fn from(error: notify::SilenceError) -> Fault {
        Fault::new(error.kind(), error.to_string())
    }
}
