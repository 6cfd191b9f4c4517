//! The three listeners' routers. Each request passes, in this order: its path, headers, compression, panic guard, auth,
//! handler.

use axum::extract::Request;
use axum::middleware::{Next, from_fn, map_request};
use axum::response::Response;
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use model::Kind;
use tower_http::compression::CompressionLayer;

use crate::error::Fault;
use crate::face::Face;
use crate::otlp::{LOKIS_LOGS, PROMETHEUS_METRICS, Signal, grpc, http};
use crate::plain_path::plain_path;
use crate::{State, alertmanager, api, auth, heartbeat, layers, loki, ops, page, remote_write};

/// Where another Prometheus scrapes what is stored here.
pub(crate) const FEDERATE: &str = "/federate";

/// Pages, query APIs, operations, remote write, OTLP metrics as a Prometheus takes them, and what is pushed at a Loki: port 8080.
pub fn http_router(state: State) -> Router {
    let routes = page::router()
        .merge(alertmanager::router())
        .merge(api::router())
        .merge(loki::router())
        .merge(ops::router())
        .merge(heartbeat::router())
        .route(remote_write::PATH, post(remote_write::write).fallback(remote_write::not_post))
        .route(loki::push::PATH, post(loki::push::push).fallback(loki::push::not_post))
        .route(PROMETHEUS_METRICS, post(http::export).fallback(http::not_post).layer(Extension(Signal::Metrics)))
        .route(LOKIS_LOGS, post(http::export).fallback(http::not_post).layer(Extension(Signal::Logs)))
        .route(FEDERATE, get(api::federate::federate))
        .fallback(no_such_page);
    let guarded = guarded(routes, state, Face::Page);
    plain_paths(guarded.layer(CompressionLayer::new()).layer(from_fn(layers::security_headers)))
}

async fn no_such_page(request: Request) -> Response {
    let message = format!("nothing at {}; start at /", request.uri().path());
    Face::Page.refuse(&Fault::new(Kind::NotFound, message), request.headers())
}

/// OTLP/HTTP, and remote write and what is pushed at a Loki beside it: port 4318.
pub fn otlp_http_router(state: State) -> Router {
    let routes = Router::new()
        .route("/v1/metrics", post(http::export).fallback(http::not_post).layer(Extension(Signal::Metrics)))
        .route("/v1/logs", post(http::export).fallback(http::not_post).layer(Extension(Signal::Logs)))
        .route("/v1/traces", any(http::not_stored))
        // Agents that were given one address for all they push.
        .route(remote_write::PATH, post(remote_write::write).fallback(remote_write::not_post))
        .route(loki::push::PATH, post(loki::push::push).fallback(loki::push::not_post))
        .route(LOKIS_LOGS, post(http::export).fallback(http::not_post).layer(Extension(Signal::Logs)))
        .route("/v1development/profiles", any(http::not_stored))
        .fallback(http::no_such_path);
    plain_paths(guarded(routes, state, Face::Otlp))
}

/// OTLP/gRPC: port 4317.
pub fn grpc_routes(state: State) -> Router {
    let routes = Router::new()
        .route(grpc::METRICS_EXPORT, post(grpc::export).layer(Extension(Signal::Metrics)))
        .route(grpc::LOGS_EXPORT, post(grpc::export).layer(Extension(Signal::Logs)))
        .fallback(grpc::unimplemented);
    guarded(routes, state, Face::Grpc)
}

/// Around a router, since its own layers come after its routes are looked at.
fn plain_paths(router: Router) -> Router {
    Router::new().fallback_service(router).layer(map_request(plain_path))
}

fn guarded(routes: Router<State>, state: State, door: Face) -> Router {
    let keeper = state.clone();
    routes
        .layer(from_fn(move |request: Request, next: Next| auth::guard(keeper.clone(), door, request, next)))
        .layer(from_fn(move |request: Request, next: Next| layers::catch_panic(door, request, next)))
        .with_state(state)
}
