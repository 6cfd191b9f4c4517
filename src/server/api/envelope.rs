//! Prometheus' envelope: `{"status":…,"data":…,"errorType":…,"error":…,"warnings":…,"infos":…}` (web/api/v1).

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use model::any::json_string;
use model::time::rfc3339_ms;

use crate::error::Fault;

/// Go's zero time, which Prometheus sends for "never".
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What is said beside the data.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) warnings: Vec<String>,
    pub(crate) infos: Vec<String>,
}

/// `data` is JSON already.
pub(crate) fn success(data: &str, notes: &Notes) -> Response {
    let mut out = String::with_capacity(data.len() + 64);
    out.push_str("{\"status\":\"success\",\"data\":");
    out.push_str(data);
    push_notes(notes, &mut out);
    out.push('}');
    json(StatusCode::OK, out)
}

/// `,"warnings":[…],"infos":[…]`, each where there are any.
pub(super) fn push_notes(notes: &Notes, out: &mut String) {
    for (name, lines) in [("warnings", &notes.warnings), ("infos", &notes.infos)] {
        if !lines.is_empty() {
            out.push_str(",\"");
            out.push_str(name);
            out.push_str("\":");
            push_strings(lines.iter().map(String::as_str), out);
        }
    }
}

pub(crate) fn refuse(fault: &Fault) -> Response {
    let mut out = String::from("{\"status\":\"error\",\"errorType\":\"");
    out.push_str(fault.prometheus_type());
    out.push_str("\",\"error\":");
    json_string(&fault.message, &mut out);
    out.push('}');
    let mut response = json(fault.status(), out);
    if let Some(seconds) = fault.retry_after_s() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn json(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], Body::from(text)).into_response()
}

/// A JSON array of strings.
pub(crate) fn push_strings<'a>(items: impl IntoIterator<Item = &'a str>, out: &mut String) {
    push_array(items, out, json_string);
}

/// A JSON array, each item written by `push`.
pub(crate) fn push_array<T>(
    items: impl IntoIterator<Item = T>,
    out: &mut String,
    mut push: impl FnMut(T, &mut String),
) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push(item, out);
    }
    out.push(']');
}

/// A JSON object of strings.
pub(crate) fn push_object<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>, out: &mut String) {
    out.push('{');
    for (index, (name, value)) in pairs.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        json_string(name, out);
        out.push(':');
        json_string(value, out);
    }
    out.push('}');
}

/// A key and a time in RFC 3339; `None` is "never".
pub(crate) fn push_time(key: &str, at_ms: Option<i64>, out: &mut String) {
    out.push_str(key);
    out.push('"');
    out.push_str(&at_ms.map_or(NEVER.into(), rfc3339_ms));
    out.push('"');
}
