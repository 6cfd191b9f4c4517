//! PagerDuty, Events API v2: one incident for each scope, opened and closed under the same key.
//!
//! The key is on disk before the first trigger and names the episode, so that no restart opens a second incident and no late
//! end closes a newer one. <https://developer.pagerduty.com/docs/events-api-v2-overview>

use std::time::Duration;

use model::alert::{Instance, Intent, IntentState};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::config::{PagerDutyConfig, SEVERITIES};
use crate::message::{AlertText, Message, Mood, clip, compose, one_line};
use crate::outbox::handle;

use super::{Clients, Report, Speaker, Verdict};

/// Longest summary, in characters (Events API v2).
const SUMMARY_CHARS_MAX: usize = 1_024;
/// Longest text of one detail, in characters; the body stays far below the 512 KB that are allowed.
const DETAIL_CHARS_MAX: usize = 2_000;

const DEDUP_KEY: &str = "dedup_key";
const ROUTING_KEY_HASH: &str = "routing_key_sha256";

/// Names the incident and the key it is under.
pub(super) fn prepare(config: &PagerDutyConfig, intent: &Intent, speaker: &Speaker) -> Vec<(String, String)> {
    if !handle(intent, DEDUP_KEY).is_empty() {
        return Vec::new();
    }
    vec![
        (DEDUP_KEY.into(), speaker.key(&[&intent.receiver, &intent.scope])),
        (ROUTING_KEY_HASH.into(), key_hash(config)),
    ]
}

fn key_hash(config: &PagerDutyConfig) -> String {
    model::any::hex(&Sha256::digest(config.routing_key.reveal().as_bytes()))
}

pub(super) async fn deliver(
    config: &PagerDutyConfig,
    intent: &Intent,
    speaker: &Speaker,
    clients: &Clients,
    limit: Duration,
) -> Report {
    let message = compose(intent, &speaker.external_url);
    let dedup_key = handle(intent, DEDUP_KEY);
    let old_key = handle(intent, ROUTING_KEY_HASH) != key_hash(config);
    if intent.want == IntentState::Resolved && intent.accepted.is_some() {
        if old_key {
            let words = "the incident was opened with another routing_key, and PagerDuty takes its end only with that one; \
                         put the key back or close the incident by hand";
            return Report::new(Verdict::Refused, 0, words);
        }
        return post(config, clients, limit, &resolve_event(config, dedup_key)).await;
    }
    // What ended before it was told opens an incident of lowest severity, which the next request closes.
    let mut report = post(config, clients, limit, &trigger_event(config, intent, &message, dedup_key, speaker)).await;
    if report.status == 400 {
        let minimal = minimal_event(config, &message, dedup_key);
        report = post(config, clients, limit, &minimal).await;
    }
    if report.verdict == Verdict::Accepted && message.mood == Mood::Ended {
        report = post(config, clients, limit, &resolve_event(config, dedup_key)).await;
    }
    if old_key && report.verdict == Verdict::Accepted {
        report.handle.push((ROUTING_KEY_HASH.into(), key_hash(config)));
    }
    report
}

fn resolve_event(config: &PagerDutyConfig, dedup_key: &str) -> Value {
    json!({"routing_key": config.routing_key.reveal(), "event_action": "resolve", "dedup_key": dedup_key})
}

fn trigger_event(
    config: &PagerDutyConfig,
    intent: &Intent,
    message: &Message,
    dedup_key: &str,
    speaker: &Speaker,
) -> Value {
    let alerts: Vec<&AlertText> = message.firing.iter().chain(&message.ended).collect();
    let first = alerts.first();
    let runbooks = alerts.iter().filter(|alert| alert.runbook.starts_with("http")).take(1);
    let mut links = vec![json!({"href": message.link, "text": "Alert in Binnacle"})];
    links.extend(runbooks.map(|alert| json!({"href": alert.runbook, "text": "Runbook"})));
    let started_ms = intent.instances.iter().filter_map(|instance| instance.fired_at_ms).min();
    json!({
        "routing_key": config.routing_key.reveal(),
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": config.client,
        "client_url": message.link,
        "links": links,
        "payload": {
            "summary": summary(message),
            "source": source(message, speaker),
            "severity": severity(config, message),
            "timestamp": model::time::rfc3339_ms(started_ms.unwrap_or(intent.created_ms)),
            "class": first.map_or("", |alert| alert.name.as_str()),
            "custom_details": details(intent, message),
        },
    })
}

/// The least that is an event, for when a fuller one is not taken.
fn minimal_event(config: &PagerDutyConfig, message: &Message, dedup_key: &str) -> Value {
    json!({
        "routing_key": config.routing_key.reveal(),
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "payload": {
            "summary": one_line(&message.title, 200),
            "source": "binnacle",
            "severity": severity(config, message),
        },
    })
}

fn summary(message: &Message) -> String {
    let said = message.firing.iter().chain(&message.ended).map(|alert| alert.summary.as_str()).next().unwrap_or("");
    let gap = if said.is_empty() { "" } else { ": " };
    one_line(&format!("{}{gap}{said}", message.headline()), SUMMARY_CHARS_MAX)
}

fn source(message: &Message, speaker: &Speaker) -> String {
    let place = message.firing.iter().chain(&message.ended).map(|alert| alert.place.as_str()).next().unwrap_or("");
    if place.is_empty() { speaker.host() } else { one_line(place, 255) }
}

fn severity(config: &PagerDutyConfig, message: &Message) -> &'static str {
    if message.mood == Mood::Ended {
        return "info";
    }
    let wanted = config.severity.as_deref().unwrap_or(match message.severity.as_str() {
        "page" => "error",
        "none" => "info",
        other => other,
    });
    SEVERITIES.into_iter().find(|known| *known == wanted).unwrap_or("error")
}

fn details(intent: &Intent, message: &Message) -> Value {
    let mut details = serde_json::Map::new();
    let mut put = |name: &str, text: String| {
        if !text.is_empty() {
            details.insert(name.into(), Value::String(clip(&text, DETAIL_CHARS_MAX)));
        }
    };
    put("notes", message.notes.join("\n"));
    if let [only] = intent.instances.as_slice() {
        put("value", model::any::double_text(only.value));
        put("labels", labels_text(only));
        for (name, value) in only.annotations.iter().take(20) {
            put(&clip(name, 100), value.clone());
        }
    } else {
        let line = |alert: &AlertText| format!("{} {} ({})", alert.name, alert.place, alert.when);
        put("firing", message.firing.iter().map(line).collect::<Vec<_>>().join("\n"));
        put("ended", message.ended.iter().map(line).collect::<Vec<_>>().join("\n"));
        if message.more > 0 {
            put("more", message.more.to_string());
        }
    }
    Value::Object(details)
}

fn labels_text(instance: &Instance) -> String {
    instance.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
}

async fn post(config: &PagerDutyConfig, clients: &Clients, limit: Duration, event: &Value) -> Report {
    let sent = clients.http.post(&config.url).timeout(limit).json(event).send().await;
    let response = match sent {
        Ok(response) => response,
        // Never unsure: a repeat under the same key is the same incident.
        Err(error) => {
            return Report::new(Verdict::Transient { unsure: false }, 0, &super::http_clients::plain_error(error));
        }
    };
    let status = response.status().as_u16();
    let retry_after_ms = super::http_clients::retry_after_ms(response.headers());
    let body = super::http_clients::read_some(response).await;
    let verdict = match status {
        202 => Verdict::Accepted,
        429 => Verdict::Throttled { retry_after_ms },
        408 | 500.. => Verdict::Transient { unsure: false },
        // Another success than 202 is not PagerDuty's: a proxy answered.
        200..=299 => Verdict::Transient { unsure: false },
        _ => Verdict::Refused,
    };
    let words = if body.is_empty() { format!("HTTP {status}") } else { body };
    Report::new(verdict, status, &words)
}
