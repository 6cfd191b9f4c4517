//! Slack: by bot token one message for each scope, edited as things change; by incoming webhook a message each time.
//!
//! Slack has no key that would make a post idempotent: a post that may have arrived is repeated with a note that says so.
//! Edits are idempotent. An edit rings no bell, so news also goes into the message's thread, shown in the channel.

use std::time::Duration;

use model::alert::{Intent, Progress};
use serde_json::Value;
use slack_morphism::prelude::{SlackApiPostWebhookMessageRequest, SlackMessageContent};

use crate::config::{SlackConfig, SlackDoor};
use crate::message::{Message, compose};
use crate::outbox::{handle, is_loud, mark, set_handle};

use super::context::Context;
use super::http_clients::{plain_error, read_some, retry_after_ms};
use super::slack_api::{Api, Bot, PAYLOAD_ERRORS, Place, Refusal, judged};
use super::slack_blocks::{content, minimal, preview};
use super::slack_history::{Found, History, metadata};
use super::{Clients, Report, Speaker, Verdict};

const CHANNEL: &str = "slack_channel";
const TS: &str = "slack_ts";
/// From this attempt on a message that may have arrived is repeated, marked, though it could not be looked up: Slack posts again
/// but answers no questions.
const LOOK_UPS_MAX: u32 = 6;

pub(super) async fn deliver(
    config: &SlackConfig,
    intent: &Intent,
    speaker: &Speaker,
    context: &Context,
    clients: &Clients,
    limit: Duration,
) -> Report {
    let attempt = async {
        match &config.door {
            SlackDoor::Webhook { url } => {
                webhook(config, &compose(intent, &speaker.external_url), url.reveal(), clients).await
            }
            SlackDoor::Bot { base, token } => {
                bot(config, intent, speaker, context, base, token.reveal(), clients).await
            }
        }
    };
    let limit = config.timeout_ms.map_or(limit, |ms| Duration::from_millis(ms).min(limit));
    match tokio::time::timeout(limit, attempt).await {
        Ok(report) => report,
        Err(_) => Report::new(
            Verdict::Transient { unsure: handle(intent, TS).is_empty() },
            0,
            &format!("no answer within {} ms", limit.as_millis()),
        ),
    }
}

async fn bot(
    config: &SlackConfig,
    intent: &Intent,
    speaker: &Speaker,
    context: &Context,
    base: &str,
    token: &str,
    clients: &Clients,
) -> Report {
    let delivery_id = speaker.key(&[&intent.receiver, &intent.scope]);
    let mut place = (handle(intent, CHANNEL).to_owned(), handle(intent, TS).to_owned());
    let mut intent = intent.clone();
    let mut certain = true;
    let api = Api { base, token, http: &config.http, clients };
    if !handle(&intent, mark::UNSURE).is_empty() && place.1.is_empty() {
        let wanted = config.channel.as_deref().unwrap_or_default();
        let history = History(api);
        let found = match history.channel_id(wanted, &context.slack_channel).await {
            Ok(channel) => {
                let found = history.find(&channel, &delivery_id, intent.created_ms).await;
                place.0 = channel;
                found
            }
            Err(why) => why.into(),
        };
        match found {
            Found::There(ts) => place.1 = ts,
            Found::NotThere => {}
            Found::Later(why) if attempt_of(&intent) < LOOK_UPS_MAX => {
                let words = format!("whether the last attempt arrived could not be looked up: {}", why.words);
                return Report::new(Verdict::Transient { unsure: true }, why.status, &words);
            }
            Found::Later(_) | Found::Unknown => certain = false,
        }
    }
    let repeat = !handle(&intent, mark::UNSURE).is_empty();
    if certain {
        // Looked up, or an edit, which is idempotent.
        set_handle(&mut intent, mark::UNSURE, "");
    }
    let door = Bot { api, config };
    let intent = &intent;
    let message = &compose(intent, &speaker.external_url);
    let (channel, ts) = (place.0.as_str(), place.1.as_str());
    let full = content(message, config).with_metadata(metadata(&delivery_id));
    let plain = |refusal: &str| match refusal.contains("metadata") {
        // Then what came of a post cannot be looked up; but it is told.
        true => minimal(message),
        false => minimal(message).with_metadata(metadata(&delivery_id)),
    };
    if ts.is_empty() {
        let to = config.channel.as_deref().unwrap_or_default();
        return match door.post(to, &full, None).await {
            Err(Refusal::Payload(words)) => finish(door.post(to, &plain(&words), None).await, true),
            result => finish(result, true),
        };
    }
    let edited = match door.update(channel, ts, &full).await {
        Err(Refusal::Payload(words)) => door.update(channel, ts, &plain(&words)).await,
        result => result,
    };
    if handle(intent, TS).is_empty() && matches!(edited, Ok(()) | Err(Refusal::Gone(_))) {
        // It had arrived after all, and says now what is true now, unless it cannot be edited.
        return finish(Ok(Some(place)), false);
    }
    match edited {
        // What it said is still owed.
        Err(Refusal::Gone(_)) => finish(door.post(channel, &full, None).await, true),
        Ok(()) if is_loud(intent) => {
            let again = if repeat { "(possible repeat) " } else { "" };
            let news = SlackMessageContent::new().with_text(format!("{again}{}", preview(message)));
            match door.post(channel, &news, Some(ts)).await {
                // The thread hangs on the first message, whose place is kept.
                Ok(_) => finish(Ok(None), false),
                // It takes no replies: the news needs a message of its own.
                Err(Refusal::Gone(_)) => finish(door.post(channel, &full, None).await, true),
                Err(refusal) => finish(Err(refusal), true),
            }
        }
        Ok(()) => finish(Ok(None), false),
        Err(refusal) => finish(Err(refusal), false),
    }
}

fn attempt_of(intent: &Intent) -> u32 {
    match intent.progress {
        Progress::Sending { attempt, .. } => attempt,
        _ => 0,
    }
}

/// Slack's id of the channel that an intent's message stands in; empty while there is none.
pub(crate) fn channel_of(intent: &Intent) -> String {
    handle(intent, CHANNEL).to_owned()
}

/// Channel and timestamp of a message, from what an attempt or an intent keeps of it.
pub(crate) fn place_of(kept: &[(String, String)]) -> Option<(String, String)> {
    let text = |name: &str| kept.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value);
    Some((text(CHANNEL)?.clone(), text(TS)?.clone()))
}

/// `post`: whether a repeat would be seen.
fn finish(result: Result<Option<Place>, Refusal>, post: bool) -> Report {
    match result {
        Ok(place) => {
            let words = place.as_ref().map_or("ok".into(), |(channel, ts)| format!("ok {channel} {ts}"));
            let mut report = Report::new(Verdict::Accepted, 200, &words);
            if let Some((channel, ts)) = place {
                report.handle = vec![(CHANNEL.into(), channel), (TS.into(), ts)];
            }
            report
        }
        Err(Refusal::Config(status, words)) => Report::new(Verdict::Refused, status, &words),
        Err(Refusal::Payload(words) | Refusal::Gone(words)) => Report::new(Verdict::Refused, 200, &words),
        Err(Refusal::Throttled(retry_after_ms, words)) => {
            Report::new(Verdict::Throttled { retry_after_ms }, 429, &words)
        }
        Err(Refusal::Transient(unsure, status, words)) => {
            Report::new(Verdict::Transient { unsure: unsure && post }, status, &words)
        }
    }
}

/// The client takes any 200 for a yes; Slack's own is the body `ok`, and what says neither that nor yes is a proxy's page. So the
/// request is ours, with the client's types in it.
async fn webhook(config: &SlackConfig, message: &Message, url: &str, clients: &Clients) -> Report {
    let report = post_webhook(config, content(message, config), url, clients).await;
    let shape = report.verdict == Verdict::Refused
        && matches!(report.status, 200 | 400)
        && PAYLOAD_ERRORS.iter().chain(&["invalid_payload"]).any(|e| report.words.contains(e));
    if shape { post_webhook(config, minimal(message), url, clients).await } else { report }
}

async fn post_webhook(config: &SlackConfig, content: SlackMessageContent, url: &str, clients: &Clients) -> Report {
    let mut body = match serde_json::to_value(SlackApiPostWebhookMessageRequest::new(content)) {
        Ok(body) => body,
        Err(error) => return Report::new(Verdict::Refused, 0, &error.to_string()),
    };
    // As Alertmanager sends them; webhooks of today's apps go by their own settings instead.
    for (name, value) in
        [("channel", &config.channel), ("username", &config.username), ("icon_emoji", &config.icon_emoji)]
    {
        if let (Some(value), Some(body)) = (value, body.as_object_mut()) {
            body.insert(name.into(), value.clone().into());
        }
    }
    let request = match clients.post(&config.http, url) {
        Ok(request) => request.json(&body),
        Err(reason) => return Report::new(Verdict::Refused, 0, &reason),
    };
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => {
            let unsure = !error.is_connect();
            return Report::new(Verdict::Transient { unsure }, 0, &plain_error(error));
        }
    };
    let status = response.status().as_u16();
    let retry_after_ms = retry_after_ms(response.headers());
    let answer = read_some(response).await;
    // What stands in for Slack may answer as its Web API does, or as Rocket.Chat's webhooks do.
    let said: Option<Value> = serde_json::from_str(&answer).ok().filter(|_| status == 200);
    if said.as_ref().is_some_and(|said| said["ok"].is_boolean()) {
        return finish(judged(status, retry_after_ms, said, &answer).map(|_| None), true);
    }
    let verdict = match status {
        200 if answer == "ok" || said.is_some_and(|said| said["success"] == true) => Verdict::Accepted,
        200 => Verdict::Transient { unsure: false },
        429 => Verdict::Throttled { retry_after_ms },
        408 | 500.. => Verdict::Transient { unsure: status >= 500 && status != 503 },
        _ => Verdict::Refused,
    };
    let words = match (status, &verdict) {
        (200, Verdict::Accepted) => answer,
        (200, _) => format!("the answer is not Slack's \"ok\" but: {answer}"),
        _ => format!("HTTP {status} {answer}"),
    };
    Report::new(verdict, status, &words)
}
