//! The HTTP APIs of the query port: Prometheus' and the log search.

mod cardinality;
mod dry_run;
pub(crate) mod envelope;
mod exemplars;
mod explain;
pub(crate) mod federate;
mod histogram_json;
mod log_export;
pub(crate) mod log_json;
mod logs;
mod notation;
mod notify;
pub(crate) mod params;
mod pieces;
mod query;
mod remote_read;
mod replay;
mod result_json;
pub(crate) mod rules;
mod series;
mod stats;
mod status;
mod targets;
mod tsdb;
pub(crate) mod view;

use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use http::{Method, StatusCode};
use model::Kind;
use model::meter::{Counter, Timing};

use crate::State;
use crate::error::Fault;

pub(crate) static REQUESTS: Counter =
    Counter::new("binnacle_search_requests_total", "Queries answered, by kind and HTTP status.", &["kind", "code"]);
pub(crate) static DURATION: Timing =
    Timing::new("binnacle_search_duration_seconds", "Queries, waiting for a slot included.", &["kind"]);

/// Longest POST form, in bytes; queries have a limit of their own far below.
pub(crate) const FORM_BYTES_MAX: usize = 1 << 20;

/// Every route under `/api/`.
///
/// Each may be asked with GET or with a POST form. There are no CORS headers, so pages of other origins cannot read answers:
/// without tokens any page in a browser on this host could, and Grafana asks through its own server.
pub(crate) fn router() -> Router<State> {
    let routes: [(&str, MethodRouter<State>); _] = [
        ("query", read(query::instant)),
        ("query_range", read(query::range)),
        ("query_exemplars", read(exemplars::query_exemplars)),
        ("read", post(remote_read::read).options(nothing)),
        ("format_query", read(notation::format_query)),
        ("parse_query", read(notation::parse_query)),
        ("series", read(series::series)),
        ("labels", read(series::labels)),
        ("label/{name}/values", read(series::label_values)),
        ("metadata", read(series::metadata)),
        ("cardinality", read(cardinality::cardinality)),
        ("rules", read(rules::rules)),
        ("rules/replay", post(replay::replay).options(nothing)),
        ("rules/dryrun", read(dry_run::dry_run)),
        ("alerts", read(rules::alerts)),
        ("targets", read(targets::targets)),
        ("targets/metadata", read(targets::metadata)),
        ("scrape_pools", read(targets::scrape_pools)),
        ("alertmanagers", read(targets::alertmanagers)),
        ("status/buildinfo", read(status::build_info)),
        ("status/runtimeinfo", read(status::runtime_info)),
        ("status/flags", read(status::flags)),
        ("status/config", read(status::config)),
        ("status/tsdb", read(tsdb::tsdb)),
        ("status/walreplay", read(status::wal_replay)),
        ("features", read(status::features)),
        ("notifications", read(status::notifications)),
        ("admin/tsdb/delete_series", write(status::admin_disabled)),
        ("admin/tsdb/clean_tombstones", write(status::admin_disabled)),
        ("admin/tsdb/snapshot", write(status::admin_disabled)),
        ("notify/test", write(notify::begin_test)),
        ("notify/test/steps", read(notify::test_steps)),
        ("logs", read(logs::search)),
        ("logs/histogram", read(logs::histogram)),
        ("logs/export", read(log_export::export)),
        ("logs/facets", read(logs::facets)),
        ("logs/fields", read(logs::fields)),
        ("logs/context", read(logs::context)),
        ("logs/trace", read(logs::trace)),
        ("logs/tail", read(logs::tail)),
        ("logs/patterns", read(logs::patterns)),
    ];
    let routes =
        routes.into_iter().fold(Router::new(), |router, (path, route)| router.route(&format!("/api/v1/{path}"), route));
    routes.route("/api/{*rest}", any(no_such_path)).method_not_allowed_fallback(no_such_method)
}

fn read<H: Handler<T, State>, T: 'static>(handler: H) -> MethodRouter<State> {
    get(handler.clone()).post(handler).options(nothing)
}

fn write<H: Handler<T, State>, T: 'static>(handler: H) -> MethodRouter<State> {
    post(handler.clone()).put(handler).options(nothing)
}

async fn nothing() -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn no_such_path(request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    envelope::refuse(&Fault::new(Kind::NotFound, format!("nothing at {}", request.uri().path())))
}

/// Grafana asks again with GET when a POST is answered by 405.
async fn no_such_method(request: Request) -> Response {
    let fault = Fault::invalid(format!("{} is not allowed at {}", request.method(), request.uri().path()));
    envelope::refuse(&fault.with_status(StatusCode::METHOD_NOT_ALLOWED))
}

/// Answers, counts and times one request; `kind` is a metric's label, so one of ours.
async fn answer(kind: &'static str, work: impl Future<Output = Result<Response, Fault>>) -> Response {
    let begun = Instant::now();
    let response = work.await.unwrap_or_else(|fault| envelope::refuse(&fault));
    REQUESTS.add(&[kind, response.status().as_str()], 1);
    DURATION.observe(&[kind], begun.elapsed());
    response
}
