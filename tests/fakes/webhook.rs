//! Somebody's own program that takes Alertmanager's webhooks, or stands in for an Alertmanager that takes alerts.

use std::net::SocketAddr;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::any};
use serde_json::Value;

use super::Watched;
use super::http::{Cuts, serve};
pub(crate) use super::mode::Mode;

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) headers: HeaderMap,
    pub(crate) raw: Vec<u8>,
    pub(crate) body: Value,
    pub(crate) came: Instant,
    /// Whether it was taken.
    pub(crate) taken: bool,
}

impl Call {
    /// A header's text; empty when absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) mode: Mode,
    pub(crate) calls: Vec<Call>,
}

#[derive(Clone)]
pub(crate) struct Webhook {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Watched<Seen>,
    cuts: Cuts,
}

impl Webhook {
    pub(crate) async fn start() -> Webhook {
        let cuts = Cuts::default();
        let seen = Watched::new(Seen { mode: Mode::Ok, calls: vec![] });
        let mut hook = Webhook { address: SocketAddr::from(([127, 0, 0, 1], 0)), seen, cuts: cuts.clone() };
        let router =
            Router::new().route("/hook", any(take)).route("/am/api/v2/alerts", any(take)).with_state(hook.clone());
        hook.address = serve(router, cuts).await;
        hook
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.seen.change(|seen| seen.mode = mode);
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.cuts.set_down(down);
    }
}

async fn take(State(hook): State<Webhook>, headers: HeaderMap, body: Bytes) -> Response {
    let mode = hook.seen.change(|seen| {
        let taken = matches!(seen.mode, Mode::Ok | Mode::AcceptThenCut | Mode::Slow(_));
        let read = serde_json::from_slice(&body).unwrap_or_default();
        seen.calls.push(Call { headers, raw: body.to_vec(), body: read, came: Instant::now(), taken });
        seen.mode
    });
    if let Some(answer) = mode.trouble(&hook.cuts) {
        return answer;
    }
    if let Mode::Refuse(words) | Mode::RefuseBlocks(words) = mode {
        return (StatusCode::BAD_REQUEST, words).into_response();
    }
    if mode == Mode::AcceptThenCut {
        hook.set_mode(Mode::Ok);
    }
    mode.taken(&hook.cuts).await;
    StatusCode::OK.into_response()
}
