//! `POST /heartbeat/<token>`: a job says that it ran. The token in the path is all it needs to know.

use axum::Router;
use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::HeaderMap;
use notify::NotifyError;

use crate::State;
use crate::error::Fault;
use crate::face::Face;

/// Where heartbeats come in; no other token is asked for there.
pub(crate) const PATH: &str = "/heartbeat/";

pub(crate) fn router() -> Router<State> {
    Router::new().route("/heartbeat/{token}", post(beat).put(beat))
}

async fn beat(Shared(state): Shared<State>, Path(token): Path<String>) -> Response {
    let noted = tokio::task::spawn_blocking(move || {
        let at_ms = crate::clock::now_ms();
        // No two have the same token, whosever they are.
        let all = std::iter::once(&state.alerting).chain(state.alerting_others.values());
        let mut answers = all.map(|of| of.notifier.heartbeat(&token, at_ms));
        let unknown = Err(NotifyError::NoHeartbeat);
        answers.find(|noted| *noted != unknown).unwrap_or(unknown)
    })
    .await;
    let fault = match noted {
        Ok(Ok(name)) => return format!("heartbeat {name} noted\n").into_response(),
        Ok(Err(error)) => Fault::new(error.kind(), error.to_string()),
        Err(_) => Fault::panicked("noting a heartbeat"),
    };
    Face::Open.refuse(&fault, &HeaderMap::new())
}
