//! Loki's HTTP API: push, and the queries of Grafana's data source, Logs Drilldown and logcli.
//!
//! Source: Loki's HTTP API reference, and a Loki 3.7 as it was observed to answer. Refusals are plain sentences.

mod detected;
mod index;
mod labels;
mod params;
mod patterns;
pub(crate) mod push;
mod query;
mod result_json;
mod rules;
mod status;
pub(crate) mod tail;

use std::time::Instant;

use ::query::QueryError;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use http::{HeaderValue, StatusCode, header};
use model::Kind;

use crate::State;
use crate::api::{self, DURATION, REQUESTS};
use crate::error::Fault;

/// Every route under `/loki/` but push, and what Loki has elsewhere. Each may be asked with GET or with a POST form, the ruler's with GET.
pub(crate) fn router() -> Router<State> {
    let routes: [(&str, MethodRouter<State>); 17] = [
        ("query", read(query::instant)),
        ("query_range", read(query::range)),
        ("format_query", read(query::format_query)),
        ("labels", read(labels::labels)),
        // As it was once called; logcli of old still asks there.
        ("label", read(labels::labels)),
        ("label/{name}/values", read(labels::label_values)),
        ("series", read(labels::series)),
        ("index/stats", read(index::stats)),
        ("index/volume", read(index::volume)),
        ("index/volume_range", read(index::volume_range)),
        ("detected_fields", read(detected::detected_fields)),
        ("detected_field/{name}/values", read(detected::values)),
        ("detected_labels", read(labels::detected_labels)),
        ("patterns", read(patterns::patterns)),
        ("status/buildinfo", read(status::build_info)),
        ("drilldown-limits", read(status::drilldown_limits)),
        ("tail", get(tail::tail)),
    ];
    let routes = routes
        .into_iter()
        .fold(Router::new(), |router, (path, route)| router.route(&format!("/loki/api/v1/{path}"), route));
    // Grafana's alerting asks at the second address.
    let routes = ["/loki/api/v1/rules", "/api/prom/rules"].into_iter().fold(routes, |router, path| {
        router
            .route(path, rules::kept_in_files(rules::all))
            .route(&format!("{path}/{{namespace}}"), rules::kept_in_files(rules::namespace))
            .route(&format!("{path}/{{namespace}}/{{group}}"), rules::kept_in_files(rules::group))
    });
    routes
        .route("/prometheus/api/v1/rules", read(api::rules::rules_of_logs))
        .route("/prometheus/api/v1/alerts", read(api::rules::alerts_of_logs))
        .route("/loki/api/v1/delete", any(no_deletion))
        .route("/loki/{*rest}", any(no_such_path))
}

fn read<H: Handler<T, State>, T: 'static>(handler: H) -> MethodRouter<State> {
    get(handler.clone()).post(handler)
}

/// Whom Loki would let delete what a query finds is told what decides it here.
async fn no_deletion() -> Response {
    let way = "log records are not deleted by request: retention.logs says how long they are kept, and [[retention.logs_streams]] which \
               streams for less";
    refuse(&Fault::new(Kind::Unsupported, way).with_status(StatusCode::NOT_IMPLEMENTED))
}

async fn no_such_path(request: Request) -> Response {
    refuse(&Fault::new(Kind::NotFound, format!("nothing at {}", request.uri().path())))
}

/// Answers, counts and times one request; `kind` is a metric's label, so one of ours.
async fn answer(kind: &'static str, work: impl Future<Output = Result<Response, Fault>>) -> Response {
    answer_or(kind, work, refuse).await
}

async fn answer_or(
    kind: &'static str,
    work: impl Future<Output = Result<Response, Fault>>,
    refuse: impl Fn(&Fault) -> Response,
) -> Response {
    let begun = Instant::now();
    let (response, status) = match work.await {
        Ok(response) => {
            let status = response.status();
            (response, status)
        }
        // Loki's 500 to a query that means nothing is no failure of ours, and must not look like one to whoever counts them.
        Err(fault) if fault.kind == Kind::Invalid && fault.status().is_server_error() => {
            (refuse(&fault), StatusCode::BAD_REQUEST)
        }
        Err(fault) => (refuse(&fault), fault.status()),
    };
    REQUESTS.add(&[kind, status.as_str()], 1);
    DURATION.observe(&[kind], begun.elapsed());
    response
}

/// Longest range that a request may ask about, in ns.
fn length_max_ns(state: &State) -> i64 {
    params::length_max_ns(state.store.options().logs_retention_ms)
}

fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=UTF-8")], Body::from(text)).into_response()
}

/// With Loki's statuses: 400 for what is the query's fault, 500 where its evaluator only finds that later, 504 when it took too long.
fn fault(error: QueryError) -> Fault {
    let status = match error.kind() {
        Kind::Invalid if matches!(error, QueryError::Inapplicable { .. }) => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::Invalid | Kind::TooMuch => StatusCode::BAD_REQUEST,
        Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        _ => return Fault::from(error),
    };
    Fault::from(error).with_status(status)
}

/// A sentence as plain text, as Loki's clients show it.
pub(crate) fn refuse(fault: &Fault) -> Response {
    refuse_with(fault, fault.message.clone())
}

/// As Loki's push and ruler end it; its queries end without.
fn refuse_with_line(fault: &Fault) -> Response {
    refuse_with(fault, format!("{}\n", fault.message))
}

fn refuse_with(fault: &Fault, text: String) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    let mut response = (fault.status(), kind, Body::from(text)).into_response();
    if let Some(seconds) = fault.retry_after_s() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
