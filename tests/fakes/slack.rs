//! Slack: the Web API's `chat.postMessage` and `chat.update`, and an incoming webhook. Enforces Slack's limits.

use std::net::SocketAddr;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::post};
use serde_json::{Value, json};

use super::Watched;
use super::http::{Cuts, serve};

/// What the fake does with a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Ok,
    Status(u16),
    /// 429 with this many seconds of `Retry-After`.
    Throttle(u64),
    /// Takes the next message and closes the connection without an answer, once.
    AcceptThenCut,
    /// 200 with `ok: false` and this error; a webhook answers 403 with it.
    Refuse(&'static str),
    /// 200 with a page, as a proxy answers.
    Html,
}

/// A message in the channel, as people see it now.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) channel: String,
    pub(crate) ts: String,
    pub(crate) thread_ts: Option<String>,
    pub(crate) body: Value,
    pub(crate) edits: usize,
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
}

#[derive(Clone)]
pub(crate) struct Slack {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Watched<Seen>,
    cuts: Cuts,
}

impl Slack {
    pub(crate) async fn start() -> Slack {
        let seen = Watched::new(Seen { mode: Mode::Ok, messages: vec![], requests: vec![], tokens: vec![] });
        let cuts = Cuts::default();
        let mut slack = Slack { address: SocketAddr::from(([127, 0, 0, 1], 0)), seen, cuts: cuts.clone() };
        let router = Router::new()
            .route("/api/{method}", post(api))
            .route("/services/{*rest}", post(webhook))
            .with_state(slack.clone());
        slack.address = serve(router, cuts).await;
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
}

async fn api(State(slack): State<Slack>, Path(method): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mode = slack.arrived(&method, Some(token));
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match mode {
        Mode::Ok | Mode::AcceptThenCut => {}
        Mode::Refuse(error) => return json_answer(&json!({"ok": false, "error": error})),
        other => return fault(other),
    }
    if let Err(error) = check(&body) {
        return json_answer(&json!({"ok": false, "error": error}));
    }
    let answer = match method.as_str() {
        "chat.postMessage" => slack.post(&body),
        "chat.update" => slack.update(&body),
        _ => json!({"ok": false, "error": "unknown_method"}),
    };
    slack.cut_if(mode);
    json_answer(&answer)
}

async fn webhook(State(slack): State<Slack>, body: Bytes) -> Response {
    let mode = slack.arrived("webhook", None);
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match mode {
        Mode::Ok | Mode::AcceptThenCut => {}
        Mode::Refuse(error) => return (StatusCode::FORBIDDEN, error).into_response(),
        other => return fault(other),
    }
    if let Err(error) = check(&body) {
        return (StatusCode::BAD_REQUEST, error).into_response();
    }
    slack.post(&body);
    slack.cut_if(mode);
    "ok".into_response()
}

impl Slack {
    fn arrived(&self, method: &str, token: Option<String>) -> Mode {
        self.seen.change(|seen| {
            seen.requests.push((method.into(), Instant::now()));
            seen.tokens.extend(token);
            seen.mode
        })
    }

    fn cut_if(&self, mode: Mode) {
        if mode == Mode::AcceptThenCut {
            self.cuts.cut_next_answer();
            self.set_mode(Mode::Ok);
        }
    }

    fn post(&self, body: &Value) -> Value {
        self.seen.change(|seen| {
            let channel = format!("C-{}", body["channel"].as_str().unwrap_or("webhook").trim_start_matches(['#', 'C', '-']));
            let ts = format!("1700000000.{:06}", seen.messages.len() + 1);
            seen.messages.push(Message {
                channel: channel.clone(),
                ts: ts.clone(),
                thread_ts: body["thread_ts"].as_str().map(str::to_owned),
                body: body.clone(),
                edits: 0,
            });
            json!({"ok": true, "channel": channel, "ts": ts, "message": {"ts": ts, "text": body["text"], "bot_id": "B0"}})
        })
    }

    fn update(&self, body: &Value) -> Value {
        self.seen.change(|seen| {
            let found = seen
                .messages
                .iter_mut()
                .find(|message| Some(message.ts.as_str()) == body["ts"].as_str() && Some(message.channel.as_str()) == body["channel"].as_str());
            let Some(message) = found else { return json!({"ok": false, "error": "message_not_found"}) };
            message.body = body.clone();
            message.edits += 1;
            json!({"ok": true, "channel": message.channel, "ts": message.ts, "text": body["text"], "message": {"text": body["text"]}})
        })
    }
}

fn fault(mode: Mode) -> Response {
    match mode {
        Mode::Throttle(seconds) => {
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())], "rate limited")
                .into_response()
        }
        Mode::Html => {
            ([(header::CONTENT_TYPE, "text/html")], "<html>Sign in to the guest network</html>").into_response()
        }
        Mode::Status(code) => (StatusCode::from_u16(code).expect("a test gives a status"), "broken").into_response(),
        Mode::Ok | Mode::AcceptThenCut | Mode::Refuse(_) => unreachable!("handled by the caller"),
    }
}

fn json_answer(answer: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], answer.to_string()).into_response()
}

/// Slack's limits (docs.slack.dev, Block Kit), and the undocumented total.
fn check(body: &Value) -> Result<(), &'static str> {
    let text = body["text"].as_str().unwrap_or_default();
    let blocks = body["blocks"].as_array().cloned().unwrap_or_default();
    if text.is_empty() {
        return Err("no_text");
    }
    let mut total = 0;
    for block in &blocks {
        let kind = block["type"].as_str().unwrap_or_default();
        let limit = match kind {
            "header" => 150,
            "section" => 3_000,
            "context" => 2_000,
            _ => return Err("invalid_blocks"),
        };
        let texts = block["text"]["text"]
            .as_str()
            .into_iter()
            .chain(block["elements"].as_array().into_iter().flatten().filter_map(|element| element["text"].as_str()));
        for text in texts {
            let chars = text.chars().count();
            total += chars;
            if chars == 0 || chars > limit {
                return Err("invalid_blocks");
            }
        }
    }
    if blocks.len() > 50 || total > 13_000 || text.chars().count() > 40_000 {
        return Err("msg_blocks_too_long");
    }
    Ok(())
}
