//! Slack: the methods of the Web API that alerts need, and an incoming webhook. Enforces Slack's limits.
//!
//! On request (`enforce_rate`) also its pace, a message a second for each channel after a short burst, and keeps count of who
//! goes on after a 429.

mod limits;
mod methods;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::post};
use serde_json::{Value, json};

use super::Watched;
use super::http::{Cuts, serve};
pub(crate) use super::mode::Mode;
use super::mode::throttled;
use limits::check;

/// A message in the channel, as people see it now.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) channel: String,
    pub(crate) ts: String,
    pub(crate) thread_ts: Option<String>,
    pub(crate) body: Value,
    pub(crate) edits: usize,
    pub(crate) posted: Instant,
    /// What it said, from the first form to the present one.
    pub(crate) said: Vec<String>,
}

impl Message {
    /// The top-level text.
    pub(crate) fn text(&self) -> &str {
        self.body["text"].as_str().unwrap_or_default()
    }
}

#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) mode: Mode,
    pub(crate) messages: Vec<Message>,
    /// Method and time of every request, refused ones too.
    pub(crate) requests: Vec<(String, Instant)>,
    pub(crate) tokens: Vec<String>,
    /// Whether the token may read the channel's history.
    pub(crate) history_scope: bool,
    pub(crate) enforce_rate: bool,
    /// By channel: what may still come now, and as of when.
    buckets: BTreeMap<String, (f64, Instant)>,
    /// By channel: the end of the wait that a 429 asked for.
    patience: BTreeMap<String, Instant>,
    /// Requests to a channel within the wait that it had asked for.
    pub(crate) after_429: usize,
    /// So many questions (not posts, not edits) are answered with a 500 from now on.
    pub(crate) questions_failing: usize,
    /// Edits of messages that do not exist.
    pub(crate) unknown_ts: usize,
    /// Whether the token may upload files.
    pub(crate) files_scope: bool,
    /// Name and bytes of each file that was uploaded.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// Channel and thread of each file that was shared.
    pub(crate) shared: Vec<(String, String)>,
    own_address: String,
}

#[derive(Clone)]
pub(crate) struct Slack {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Watched<Seen>,
    cuts: Cuts,
}

impl Slack {
    pub(crate) async fn start() -> Slack {
        let seen = Watched::new(Seen {
            mode: Mode::Ok,
            messages: vec![],
            requests: vec![],
            tokens: vec![],
            history_scope: false,
            enforce_rate: false,
            buckets: BTreeMap::new(),
            patience: BTreeMap::new(),
            after_429: 0,
            questions_failing: 0,
            unknown_ts: 0,
            files_scope: true,
            files: vec![],
            shared: vec![],
            own_address: String::new(),
        });
        let cuts = Cuts::default();
        let mut slack = Slack { address: SocketAddr::from(([127, 0, 0, 1], 0)), seen, cuts: cuts.clone() };
        let router = Router::new()
            .route("/api/{method}", post(api))
            .route("/services/{*rest}", post(webhook))
            .route("/upload/{name}", post(upload))
            .with_state(slack.clone());
        slack.address = serve(router, cuts).await;
        slack.seen.change(|seen| seen.own_address = slack.address.to_string());
        slack
    }

    /// What a bot's `api_url` is set to.
    pub(crate) fn api_url(&self) -> String {
        format!("http://{}/api/chat.postMessage", self.address)
    }

    pub(crate) fn webhook_url(&self) -> String {
        format!("http://{}/services/T000/B000/secret", self.address)
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.seen.change(|seen| seen.mode = mode);
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.cuts.set_down(down);
    }
}

async fn api(State(slack): State<Slack>, Path(method): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mode = slack.arrived(&method, Some(token));
    let body = fields(&headers, &body);
    if let Some(answer) = slack.trouble(mode) {
        return answer;
    }
    if let Mode::Refuse(error) = mode {
        return json_answer(&json!({"ok": false, "error": error}));
    }
    let sends = matches!(method.as_str(), "chat.postMessage" | "chat.update");
    let fails = |seen: &mut Seen| {
        let fails = seen.questions_failing > 0;
        seen.questions_failing = seen.questions_failing.saturating_sub(1);
        fails
    };
    if !sends && slack.seen.change(fails) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if sends && let Some(wait) = slack.pace(body["channel"].as_str().unwrap_or_default()) {
        return throttled(wait);
    }
    if let Mode::RefuseBlocks(error) = mode
        && sends
        && body.get("blocks").is_some()
    {
        return json_answer(&json!({"ok": false, "error": error}));
    }
    if sends && let Err(error) = check(&body) {
        return json_answer(&json!({"ok": false, "error": error}));
    }
    let answer = match method.as_str() {
        "chat.postMessage" => slack.post(&body),
        "chat.update" => slack.update(&body),
        "conversations.history" => slack.history(&body),
        "conversations.list" if slack.seen.see(|seen| seen.history_scope) => {
            json!({"ok": true, "channels": [{"id": "C-alerts", "name": "alerts"}, {"id": "C-ops", "name": "ops"}]})
        }
        "auth.test" => json!({"ok": true, "url": "https://fake.slack.com/", "team": "fake", "user": "binnacle",
            "team_id": "T000", "user_id": "U000", "bot_id": "B0"}),
        "files.getUploadURLExternal" => slack.upload_url(&body),
        "files.completeUploadExternal" => slack.share(&body),
        _ => json!({"ok": false, "error": "unknown_method"}),
    };
    slack.taken(mode).await;
    json_answer(&answer)
}

/// The Web API takes JSON and forms.
fn fields(headers: &HeaderMap, body: &[u8]) -> Value {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return serde_json::from_slice(body).unwrap_or_default();
    }
    let pairs =
        url::form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())));
    Value::Object(pairs.collect())
}

async fn webhook(State(slack): State<Slack>, body: Bytes) -> Response {
    let mode = slack.arrived("webhook", None);
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(answer) = slack.trouble(mode) {
        return answer;
    }
    if let Mode::Refuse(error) = mode {
        return (StatusCode::FORBIDDEN, error).into_response();
    }
    if let Some(wait) = slack.pace("webhook") {
        return throttled(wait);
    }
    if let Mode::RefuseBlocks(error) = mode
        && body.get("blocks").is_some()
    {
        return (StatusCode::BAD_REQUEST, error).into_response();
    }
    if let Err(error) = check(&body) {
        return (StatusCode::BAD_REQUEST, error).into_response();
    }
    slack.post(&body);
    slack.taken(mode).await;
    "ok".into_response()
}

async fn upload(State(slack): State<Slack>, Path(name): Path<String>, body: Bytes) -> Response {
    slack.seen.change(|seen| seen.files.push((name, body.to_vec())));
    "OK".into_response()
}

impl Slack {
    fn arrived(&self, method: &str, token: Option<String>) -> Mode {
        self.seen.change(|seen| {
            seen.requests.push((method.into(), Instant::now()));
            seen.tokens.extend(token);
            seen.mode
        })
    }

    async fn taken(&self, mode: Mode) {
        if mode == Mode::AcceptThenCut {
            self.set_mode(Mode::Ok);
        }
        mode.taken(&self.cuts).await;
    }

    /// As [`Mode::trouble`], and keeps count of who goes on after a 429.
    fn trouble(&self, mode: Mode) -> Option<Response> {
        if let Mode::Throttle(seconds) = mode {
            // Every channel is asked for patience: the fake's mode is of the whole workspace.
            self.seen.change(|seen| {
                let until = Instant::now() + Duration::from_secs(seconds);
                if seen.patience.get("*").is_some_and(|before| Instant::now() < *before) {
                    seen.after_429 += 1;
                }
                seen.patience.insert("*".into(), until);
            });
        }
        mode.trouble(&self.cuts)
    }
}

fn json_answer(answer: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], answer.to_string()).into_response()
}
