//! PagerDuty, Events API v2: one incident for each scope, opened and closed under the same key.
//!
//! The key is on disk before the first trigger and names the episode, so that no restart opens a second incident and no late
//! end closes a newer one. <https://developer.pagerduty.com/docs/events-api-v2-overview>

use std::time::Duration;

use model::alert::{Instance, Intent, IntentState};
use serde_json::{Value, json};

use crate::config::{Attached, Detail, PagerDutyConfig, SEVERITIES};
use crate::message::{AlertText, LOG_LINES_MAX, Message, Mood, clip, compose, one_line};
use crate::outbox::{handle, is_quiet, mark, set_handle};

use super::{Clients, Report, Speaker, Verdict};

/// Longest summary, in characters (Events API v2).
const SUMMARY_CHARS_MAX: usize = 1_024;
/// Longest event, in bytes: 512 KB are taken.
const EVENT_BYTES_MAX: usize = 500_000;
/// Longest text of one detail, in characters; the body stays far below the 512 KB that are allowed.
const DETAIL_CHARS_MAX: usize = 2_000;
/// Most links, and most images, that the configuration adds, and the longest text of one, in characters.
const ATTACHED_MAX: usize = 20;
const ATTACHED_CHARS_MAX: usize = 2_000;
/// Labels by which alerts of one event differ: how many of each are told, and how long they may be, in characters.
const OWN_LABELS_MAX: usize = 4;
const OWN_LABEL_CHARS_MAX: usize = 40;
/// Most details that the configuration adds.
const DETAILS_MAX: usize = 50;

const DEDUP_KEY: &str = "dedup_key";
/// The key that the incident was opened with, as long as it is open: PagerDuty takes its end only with that one, whatever
/// notify.yml says by then.
const ROUTING_KEY: &str = "routing_key";

/// Names the incident and the key it is under.
pub(super) fn prepare(config: &PagerDutyConfig, intent: &Intent, speaker: &Speaker) -> Vec<(String, String)> {
    let mut handles = Vec::new();
    if handle(intent, DEDUP_KEY).is_empty() {
        handles.push((DEDUP_KEY.into(), speaker.key(&[&intent.receiver, &intent.scope])));
    }
    // An attempt whose outcome is unknown may have opened it.
    let opened = intent.accepted.is_some() || !handle(intent, mark::UNSURE).is_empty();
    if !opened || handle(intent, ROUTING_KEY).is_empty() {
        handles.push((ROUTING_KEY.into(), config.routing_key.reveal().into()));
    }
    handles
}

pub(super) async fn deliver(
    config: &PagerDutyConfig,
    send_resolved: bool,
    intent: &Intent,
    speaker: &Speaker,
    clients: &Clients,
    limit: Duration,
) -> Report {
    // A repeat under the same key is the same incident: nothing to warn of.
    let mut certain = intent.clone();
    set_handle(&mut certain, mark::UNSURE, "");
    let message = compose(&certain, &speaker.external_url);
    let (dedup_key, routing_key) = (handle(intent, DEDUP_KEY), handle(intent, ROUTING_KEY));
    let ended = json!({"routing_key": routing_key, "event_action": "resolve", "dedup_key": dedup_key});
    let mut report = if intent.want == IntentState::Resolved && (intent.accepted.is_some() || is_quiet(intent)) {
        post(config, clients, limit, &ended).await
    } else if is_quiet(intent) && !handle(intent, mark::ACKED).is_empty() && intent.accepted.is_some() {
        // Somebody looks after all of it: no news but that. One of several would stop the incident's escalation for the others.
        let acknowledged = json!({"routing_key": routing_key, "event_action": "acknowledge", "dedup_key": dedup_key});
        post(config, clients, limit, &acknowledged).await
    } else {
        // What ended before it was told opens an incident of lowest severity, which the next attempt closes: a trigger that
        // is repeated after the end would open another one.
        let event = trigger_event(config, intent, &message, dedup_key, routing_key, speaker);
        let too_long = event.to_string().len() > EVENT_BYTES_MAX;
        let minimal = || minimal_event(config, &message, dedup_key, routing_key);
        let mut report = post(config, clients, limit, &if too_long { minimal() } else { event }).await;
        if matches!(report.status, 400 | 413) && !too_long {
            report = post(config, clients, limit, &minimal()).await;
        }
        if report.verdict == Verdict::Accepted && message.mood == Mood::Ended {
            if send_resolved {
                report.began = true;
            } else {
                report = post(config, clients, limit, &ended).await;
            }
        }
        report
    };
    if report.verdict == Verdict::Accepted && intent.want == IntentState::Resolved && !report.began {
        // The incident is closed: the secret has no business in the store any more.
        report.handle.push((ROUTING_KEY.into(), String::new()));
    }
    report
}

/// A text of the configuration in place of ours, cut.
fn own(text: Option<&String>, chars_max: usize) -> Option<String> {
    text.map(|text| one_line(text, chars_max)).filter(|text| !text.is_empty())
}

/// Links or images of the configuration whose address begins as it must.
fn attached<'a>(all: &'a [Attached], address: &'a str, begins: &'a str) -> impl Iterator<Item = Value> + 'a {
    let is_fit = move |one: &&Attached| one.iter().any(|(key, text)| *key == address && text.starts_with(begins));
    let object = |one: &Attached| {
        let pairs = one.iter().filter(|(_, text)| !text.is_empty());
        Value::Object(pairs.map(|(key, text)| ((*key).to_owned(), one_line(text, ATTACHED_CHARS_MAX).into())).collect())
    };
    all.iter().filter(is_fit).take(ATTACHED_MAX).map(object)
}

fn trigger_event(
    config: &PagerDutyConfig,
    intent: &Intent,
    message: &Message,
    dedup_key: &str,
    routing_key: &str,
    speaker: &Speaker,
) -> Value {
    let alerts: Vec<&AlertText> = message.firing.iter().chain(&message.ended).collect();
    let first = alerts.first();
    let runbooks = alerts.iter().filter(|alert| alert.runbook.starts_with("http")).take(1);
    let mut links = vec![json!({"href": message.link, "text": "Alert in Binnacle"})];
    links.extend(runbooks.map(|alert| json!({"href": alert.runbook, "text": "Runbook"})));
    links.extend(attached(&config.links, "href", "http"));
    let class =
        own(config.class.as_ref(), 255).unwrap_or_else(|| first.map_or("", |alert| alert.name.as_str()).to_owned());
    let label = |name: &str| {
        let values = intent.instances.iter().map(|instance| instance.labels.value(name));
        values.into_iter().find(|value| !value.is_empty()).map(|value| one_line(value, 255))
    };
    let started_ms = intent.instances.iter().map(Instance::began_ms).min();
    json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": config.client,
        "client_url": config.client_url.as_deref().unwrap_or(&message.link),
        "links": links,
        // What is no https address would make PagerDuty refuse the whole event.
        "images": attached(&config.images, "src", "https://").collect::<Vec<_>>(),
        "payload": {
            "summary": own(config.description.as_ref(), SUMMARY_CHARS_MAX).unwrap_or_else(|| summary(message)),
            "source": own(config.source.as_ref(), 255).unwrap_or_else(|| source(message, speaker)),
            "severity": severity(config, message),
            "timestamp": model::time::rfc3339_ms(started_ms.unwrap_or(intent.created_ms)),
            "class": class,
            "component": own(config.component.as_ref(), 255)
                .or_else(|| label("container_name"))
                .or_else(|| label("service_name"))
                .unwrap_or_default(),
            "group": own(config.group.as_ref(), 255)
                .or_else(|| label("job"))
                .or_else(|| label("service_namespace"))
                .unwrap_or_default(),
            "custom_details": details(config, intent, message),
        },
    })
}

/// The least that is an event, for when a fuller one is not taken.
fn minimal_event(config: &PagerDutyConfig, message: &Message, dedup_key: &str, routing_key: &str) -> Value {
    json!({
        "routing_key": routing_key,
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

fn details(config: &PagerDutyConfig, intent: &Intent, message: &Message) -> Value {
    let mut details = serde_json::Map::new();
    for (name, detail) in config.details.iter().take(DETAILS_MAX) {
        if let Detail::Rendered(value) = detail {
            details.insert(clip(name, 100), clipped(value));
        }
    }
    let mut put = |name: &str, text: String| {
        if !text.is_empty() {
            details.insert(name.into(), Value::String(clip(&text, DETAIL_CHARS_MAX)));
        }
    };
    put("notes", message.notes.join("\n"));
    if let [only] = intent.instances.as_slice() {
        put("value", model::any::double_text(only.value));
        put("labels", labels_text(only));
        for alert in message.firing.iter().chain(&message.ended) {
            put("owner", alert.owner.clone());
            put("runbook", alert.runbook.clone());
            put("log_lines", alert.log_lines.join("\n"));
        }
        for (name, value) in only.annotations.iter().take(20) {
            put(&clip(name, 100), value.clone());
        }
    } else {
        let all = || message.firing.iter().chain(&message.ended);
        let is_common = |label: &&(String, String)| all().all(|alert| alert.labels.contains(label));
        let common: Vec<&(String, String)> =
            all().next().map_or(Vec::new(), |first| first.labels.iter().filter(is_common).collect());
        let line = |alert: &AlertText| {
            let own = alert.labels.iter().filter(|label| !common.contains(label)).take(OWN_LABELS_MAX);
            let own: String =
                own.map(|(name, value)| format!(" {name}={}", clip(value, OWN_LABEL_CHARS_MAX))).collect();
            format!("{} {}{own}: {} ({})", alert.name, alert.place, alert.value, alert.when)
        };
        put("labels", common.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n"));
        let lines: Vec<&str> =
            message.firing.iter().flat_map(|alert| &alert.log_lines).take(LOG_LINES_MAX).map(String::as_str).collect();
        put("log_lines", lines.join("\n"));
        put("firing", message.firing.iter().map(line).collect::<Vec<_>>().join("\n"));
        put("ended", message.ended.iter().map(line).collect::<Vec<_>>().join("\n"));
        if message.more > 0 {
            put("more", message.more.to_string());
        }
    }
    Value::Object(details)
}

/// A detail whose texts are not too long.
fn clipped(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(clip(text, DETAIL_CHARS_MAX)),
        Value::Array(items) => items.iter().map(clipped).collect(),
        Value::Object(entries) => entries.iter().map(|(name, value)| (name.clone(), clipped(value))).collect(),
        plain => plain.clone(),
    }
}

fn labels_text(instance: &Instance) -> String {
    instance.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
}

async fn post(config: &PagerDutyConfig, clients: &Clients, limit: Duration, event: &Value) -> Report {
    let limit = config.timeout_ms.map_or(limit, |ms| Duration::from_millis(ms).min(limit));
    let request = match clients.post_with_token(&config.http, &config.url, limit).await {
        Ok(request) => request.json(event),
        Err(report) => return report,
    };
    let response = match request.send().await {
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
        401 => clients.unauthorized(&config.http),
        429 => Verdict::Throttled { retry_after_ms },
        408 | 500.. => Verdict::Transient { unsure: false },
        // Another success than 202 is not PagerDuty's: a proxy answered.
        200..=299 => Verdict::Transient { unsure: false },
        _ => Verdict::Refused,
    };
    let words = if body.is_empty() { format!("HTTP {status}") } else { body };
    Report::new(verdict, status, &words)
}
