//! PagerDuty's Events API v2: checks every event and keeps incidents as PagerDuty does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::post};
use serde_json::{Value, json};

use super::Watched;
use super::http::{Cuts, serve};
pub(crate) use super::mode::Mode;

/// An open incident for a key; a resolve closes it, a later trigger opens the next.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Incident {
    pub(crate) opened: usize,
    pub(crate) triggers: usize,
    pub(crate) open: bool,
    /// When the first trigger came.
    pub(crate) first: Option<Instant>,
    pub(crate) severity: String,
    pub(crate) summary: String,
}

#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) mode: Mode,
    /// By routing key and dedup key.
    pub(crate) incidents: BTreeMap<(String, String), Incident>,
    pub(crate) events: Vec<Value>,
    /// Why events were refused.
    pub(crate) complaints: Vec<String>,
}

impl Seen {
    pub(crate) fn open(&self) -> usize {
        self.incidents.values().filter(|incident| incident.open).count()
    }
}

#[derive(Clone)]
pub(crate) struct PagerDuty {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Watched<Seen>,
    cuts: Cuts,
}

impl PagerDuty {
    pub(crate) async fn start() -> PagerDuty {
        let seen = Seen { mode: Mode::Ok, incidents: BTreeMap::new(), events: vec![], complaints: vec![] };
        let cuts = Cuts::default();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut pagerduty = PagerDuty { address, seen: Watched::new(seen), cuts: cuts.clone() };
        let router = Router::new().route("/v2/enqueue", post(enqueue)).with_state(pagerduty.clone());
        pagerduty.address = serve(router, cuts).await;
        pagerduty
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v2/enqueue", self.address)
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.cuts.set_down(down);
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.seen.change(|seen| seen.mode = mode);
    }
}

async fn enqueue(State(pagerduty): State<PagerDuty>, body: Bytes) -> Response {
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mode = pagerduty.seen.change(|seen| {
        seen.events.push(event.clone());
        seen.mode
    });
    if let Some(answer) = mode.trouble(&pagerduty.cuts) {
        return answer;
    }
    if let Mode::Refuse(words) = mode {
        let answer = json!({"status": "invalid event", "message": words, "errors": [words]});
        return (StatusCode::BAD_REQUEST, answer.to_string()).into_response();
    }
    if let Err(reason) = check(&event, body.len()) {
        pagerduty.seen.change(|seen| seen.complaints.push(reason.clone()));
        let answer = json!({"status": "invalid event", "message": "Event object is invalid", "errors": [reason]});
        return (StatusCode::BAD_REQUEST, answer.to_string()).into_response();
    }
    let key = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    pagerduty.seen.change(|seen| {
        let incident = seen.incidents.entry((key("routing_key"), key("dedup_key"))).or_default();
        if event["event_action"] == "trigger" {
            incident.opened += usize::from(!incident.open);
            incident.triggers += 1;
            incident.first.get_or_insert_with(Instant::now);
            incident.open = true;
            incident.severity = event["payload"]["severity"].as_str().unwrap_or_default().into();
            incident.summary = event["payload"]["summary"].as_str().unwrap_or_default().into();
        } else {
            incident.open = false;
        }
    });
    if mode == Mode::AcceptThenCut {
        pagerduty.set_mode(Mode::Ok);
    }
    mode.taken(&pagerduty.cuts).await;
    let answer = json!({"status": "success", "message": "Event processed", "dedup_key": key("dedup_key")});
    (StatusCode::ACCEPTED, answer.to_string()).into_response()
}

fn check(event: &Value, bytes: usize) -> Result<(), String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if bytes > 512 << 10 {
        return Err("event too large".into());
    }
    if text(&event["routing_key"]).len() != 32 {
        return Err("Length of 'routing_key' is incorrect (should be 32 characters)".into());
    }
    let dedup_key = text(&event["dedup_key"]);
    if dedup_key.is_empty() || dedup_key.len() > 255 {
        return Err("'dedup_key' is missing or too long".into());
    }
    match event["event_action"].as_str() {
        Some("resolve") => return Ok(()),
        Some("trigger") => {}
        _ => return Err("'event_action' is invalid".into()),
    }
    for link in event["links"].as_array().into_iter().flatten() {
        if !text(&link["href"]).starts_with("http") {
            return Err("'links.href' is not a URL".into());
        }
    }
    for image in event["images"].as_array().into_iter().flatten() {
        if !text(&image["src"]).starts_with("https://") {
            return Err("'images.src' must be an HTTPS URL".into());
        }
    }
    let payload = &event["payload"];
    let summary = text(&payload["summary"]).chars().count();
    if summary == 0 || summary > 1_024 {
        return Err("'payload.summary' is missing or too long".into());
    }
    if text(&payload["source"]).is_empty() {
        return Err("'payload.source' is missing or blank".into());
    }
    if !["critical", "error", "warning", "info"].contains(&text(&payload["severity"]).as_str()) {
        return Err("'payload.severity' is invalid".into());
    }
    Ok(())
}
