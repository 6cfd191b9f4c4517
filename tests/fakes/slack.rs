//! Slack: the methods of the Web API that alerts need, and an incoming webhook. Enforces Slack's limits.
//!
//! On request (`enforce_rate`) also its pace, a message a second for each channel after a short burst, and keeps count of who
//! goes on after a 429.

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

/// Messages to one channel that may come at once before the pace counts.
const BURST: f64 = 4.0;

/// What the fake does with a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Ok,
    Status(u16),
    /// 429 with this many seconds of `Retry-After`.
    Throttle(u64),
    /// Takes the next message and closes the connection without an answer, once.
    AcceptThenCut,
    /// Closes every connection without taking anything.
    Reset,
    /// Takes each message, and answers after this many ms.
    Slow(u64),
    /// 200 with `ok: false` and this error; a webhook answers 403 with it.
    Refuse(&'static str),
    /// As `Refuse`, of messages with blocks alone: the plainest form passes.
    RefuseBlocks(&'static str),
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
    match mode {
        Mode::Ok | Mode::AcceptThenCut | Mode::Slow(_) | Mode::RefuseBlocks(_) => {}
        Mode::Refuse(error) => return json_answer(&json!({"ok": false, "error": error})),
        other => return slack.fault(other),
    }
    let sends = matches!(method.as_str(), "chat.postMessage" | "chat.update");
    let fails = |seen: &mut Seen| {
        let fails = seen.questions_failing > 0;
        seen.questions_failing = seen.questions_failing.saturating_sub(1);
        fails
    };
    if !sends && slack.seen.change(fails) {
        return slack.fault(Mode::Status(500));
    }
    if sends && let Some(wait) = slack.pace(body["channel"].as_str().unwrap_or_default()) {
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, wait.to_string())], "").into_response();
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
    slack.cut_if(mode);
    if let Mode::Slow(ms) = mode {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
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
    match mode {
        Mode::Ok | Mode::AcceptThenCut | Mode::Slow(_) | Mode::RefuseBlocks(_) => {}
        Mode::Refuse(error) => return (StatusCode::FORBIDDEN, error).into_response(),
        other => return slack.fault(other),
    }
    if let Some(wait) = slack.pace("webhook") {
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, wait.to_string())], "").into_response();
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
    slack.cut_if(mode);
    if let Mode::Slow(ms) = mode {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
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

    /// Seconds to wait, when a channel gets more than its pace.
    fn pace(&self, channel: &str) -> Option<u64> {
        self.seen.change(|seen| {
            let now = Instant::now();
            if let Some(until) = seen.patience.get(channel) {
                if now < *until {
                    seen.after_429 += 1;
                } else {
                    seen.patience.remove(channel);
                }
            }
            if !seen.enforce_rate {
                return None;
            }
            let (left, as_of) = seen.buckets.get(channel).copied().unwrap_or((BURST, now));
            let left = (left + (now - as_of).as_secs_f64()).min(BURST);
            if left < 1.0 {
                seen.buckets.insert(channel.into(), (left, now));
                seen.patience.insert(channel.into(), now + Duration::from_secs(1));
                return Some(1);
            }
            seen.buckets.insert(channel.into(), (left - 1.0, now));
            None
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
                posted: Instant::now(),
                said: vec![body.to_string()],
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
            let Some(message) = found else {
                seen.unknown_ts += 1;
                return json!({"ok": false, "error": "message_not_found"});
            };
            message.body = body.clone();
            message.edits += 1;
            message.said.push(body.to_string());
            json!({"ok": true, "channel": message.channel, "ts": message.ts, "text": body["text"], "message": {"text": body["text"]}})
        })
    }

    /// Newest first, as Slack gives them.
    fn history(&self, body: &Value) -> Value {
        self.seen.change(|seen| {
            if !seen.history_scope {
                return json!({"ok": false, "error": "missing_scope", "needed": "channels:history"});
            }
            let channel = format!("C-{}", body["channel"].as_str().unwrap_or_default().trim_start_matches(['#', 'C', '-']));
            let messages: Vec<Value> = seen
                .messages
                .iter()
                .rev()
                .filter(|message| message.channel == channel && message.thread_ts.is_none())
                .take(100)
                .map(|message| json!({"type": "message", "ts": message.ts, "text": message.text(), "metadata": message.body["metadata"]}))
                .collect();
            json!({"ok": true, "messages": messages, "has_more": false})
        })
    }

    fn upload_url(&self, body: &Value) -> Value {
        if !self.seen.see(|seen| seen.files_scope) {
            return json!({"ok": false, "error": "missing_scope", "needed": "files:write"});
        }
        let name = body["filename"].as_str().unwrap_or("file").to_owned();
        let id = self.seen.see(|seen| format!("F{:03}", seen.files.len() + 1));
        json!({"ok": true, "file_id": id, "upload_url": format!("http://{}/upload/{name}", self.seen.see(|seen| seen.own_address.clone()))})
    }

    /// A file that was uploaded, into a channel that is named by its id.
    fn share(&self, body: &Value) -> Value {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let files: Vec<Value> = serde_json::from_str(&text("files")).unwrap_or_default();
        self.seen.change(|seen| {
            let known = |file: &Value| file["id"].as_str() == Some(format!("F{:03}", seen.files.len()).as_str());
            if files.is_empty() || !files.iter().all(known) {
                return json!({"ok": false, "error": "file_not_found"});
            }
            if !text("channel_id").starts_with('C') {
                return json!({"ok": false, "error": "channel_not_found"});
            }
            seen.shared.push((text("channel_id"), text("thread_ts")));
            json!({"ok": true, "files": files})
        })
    }

    fn fault(&self, mode: Mode) -> Response {
        match mode {
            Mode::Throttle(seconds) => {
                // Every channel is asked for patience: the fake's mode is of the whole workspace.
                self.seen.change(|seen| {
                    let until = Instant::now() + Duration::from_secs(seconds);
                    if seen.patience.get("*").is_some_and(|before| Instant::now() < *before) {
                        seen.after_429 += 1;
                    }
                    seen.patience.insert("*".into(), until);
                });
                (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())], "rate limited")
                    .into_response()
            }
            Mode::Html => {
                ([(header::CONTENT_TYPE, "text/html")], "<html>Sign in to the guest network</html>").into_response()
            }
            Mode::Status(code) => {
                (StatusCode::from_u16(code).expect("a test gives a status"), "broken").into_response()
            }
            Mode::Reset => {
                self.cuts.cut_next_answer();
                StatusCode::OK.into_response()
            }
            Mode::Ok | Mode::AcceptThenCut | Mode::Refuse(_) | Mode::RefuseBlocks(_) | Mode::Slow(_) => {
                unreachable!("handled by the caller")
            }
        }
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
            "image" | "divider" | "actions" => 0,
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
