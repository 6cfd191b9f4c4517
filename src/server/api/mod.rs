//! The HTTP APIs of the query port: Prometheus' and the log search.

pub(crate) mod envelope;
mod histogram_json;
mod log_json;
mod logs;
mod params;
mod prometheus;
mod rules;
mod series;
pub(crate) mod view;

use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{any, get};
use model::Kind;
use model::meter::{Counter, Timing};

use crate::State;
use crate::error::Fault;

static REQUESTS: Counter =
    Counter::new("binnacle_search_requests_total", "Queries answered, by kind and HTTP status.", &["kind", "code"]);
static DURATION: Timing =
    Timing::new("binnacle_search_duration_seconds", "Queries, waiting for a slot included.", &["kind"]);

/// Longest POST form, in bytes; queries have a limit of their own far below.
pub(crate) const FORM_BYTES_MAX: usize = 1 << 20;

/// Every route under `/api/`.
pub(crate) fn router() -> Router<State> {
    Router::new()
        .route("/api/v1/query", get(prometheus::instant).post(prometheus::instant))
        .route("/api/v1/query_range", get(prometheus::range).post(prometheus::range))
        .route("/api/v1/format_query", get(prometheus::format_query).post(prometheus::format_query))
        .route("/api/v1/series", get(series::series).post(series::series))
        .route("/api/v1/labels", get(series::labels).post(series::labels))
        .route("/api/v1/label/{name}/values", get(series::label_values))
        .route("/api/v1/metadata", get(series::metadata))
        .route("/api/v1/rules", get(rules::rules))
        .route("/api/v1/alerts", get(rules::alerts))
        .route("/api/v1/status/buildinfo", get(prometheus::build_info))
        .route("/api/v1/logs", get(logs::search))
        .route("/api/v1/logs/histogram", get(logs::histogram))
        .route("/api/{*rest}", any(no_such_path))
}

async fn no_such_path(request: Request) -> Response {
    envelope::refuse(&Fault::new(Kind::NotFound, format!("nothing at {}", request.uri().path())))
}

/// Answers, counts and times one request; `kind` is a metric's label, so one of ours.
async fn answer(kind: &'static str, work: impl Future<Output = Result<Response, Fault>>) -> Response {
    let begun = Instant::now();
    let response = work.await.unwrap_or_else(|fault| envelope::refuse(&fault));
    REQUESTS.add(&[kind, response.status().as_str()], 1);
    DURATION.observe(&[kind], begun.elapsed());
    response
}
