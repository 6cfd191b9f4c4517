//! Slack's Web API: posts and edits, with the client's types for what is sent and Slack's own answer read in full.
//!
//! Over the room's HTTP client, so that proxies, certificates and time-outs of the configuration hold here too.
//! <https://docs.slack.dev/reference/methods/chat.postMessage>

use reqwest::RequestBuilder;
use serde::Serialize;
use serde_json::Value;
use slack_morphism::prelude::{
    SlackApiChatPostMessageRequest, SlackApiChatUpdateRequest, SlackChannelId, SlackMessageContent, SlackTs,
};

use crate::config::{HttpConfig, SlackConfig};

use super::Clients;
use super::http_clients::{plain_error, read_whole, retry_after_ms};

/// Longest answer read, in bytes: it has the whole message in it; of other questions, a page of messages or channels.
const ANSWER_BYTES_MAX: usize = 1 << 20;
const PAGE_BYTES_MAX: usize = 4 << 20;
/// Errors that somebody must put right (docs.slack.dev, chat.postMessage, "Errors").
const CONFIG_ERRORS: [&str; 25] = [
    "invalid_auth",
    "not_authed",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "missing_scope",
    "no_permission",
    "not_in_channel",
    "channel_not_found",
    "is_archived",
    "restricted_action",
    "org_login_required",
    "ekm_access_denied",
    "team_access_not_granted",
    "no_service",
    "access_denied",
    "enterprise_is_restricted",
    "two_factor_setup_required",
    "not_allowed_token_type",
    "deprecated_endpoint",
    "method_deprecated",
    "team_not_found",
    "messages_tab_disabled",
    "restricted_action_read_only_channel",
    "restricted_action_thread_only_channel",
];
/// Errors of an edit or a reply that will never work: its message is deleted, too old, not ours any more, or takes none.
const GONE_ERRORS: [&str; 6] = [
    "message_not_found",
    "cant_update_message",
    "edit_window_closed",
    "cannot_reply_to_message",
    "restricted_action_thread_locked",
    "restricted_action_non_threadable_channel",
];
/// Errors of a message's shape: the plainest form may pass.
pub(super) const PAYLOAD_ERRORS: [&str; 12] = [
    "invalid_blocks",
    "invalid_blocks_format",
    "msg_blocks_too_long",
    "msg_too_long",
    "no_text",
    "invalid_arguments",
    "too_many_attachments",
    "attachment_payload_limit_exceeded",
    "invalid_metadata_format",
    "invalid_metadata_schema",
    "metadata_too_large",
    "metadata_must_be_sent_from_app",
];

/// Errors of a question that may be answered later.
const PASSING_ERRORS: [&str; 5] =
    ["ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"];

/// Why a question has no answer.
#[derive(Debug)]
pub(super) struct Unanswered {
    /// HTTP status, 0 when there was no answer.
    pub(super) status: u16,
    pub(super) words: String,
    /// Asking again may help.
    pub(super) passes: bool,
}

/// Channel and `ts`: where a message stands.
pub(super) type Place = (String, String);

#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    Config(u16, String),
    Payload(String),
    /// The message cannot be edited any more.
    Gone(String),
    Throttled(Option<i64>, String),
    /// Whether the request may have had its effect, status, words.
    Transient(bool, u16, String),
}

/// Who speaks to the Web API, and which way.
#[derive(Clone, Copy)]
pub(super) struct Api<'a> {
    /// Without a slash at its end.
    pub(super) base: &'a str,
    pub(super) token: &'a str,
    pub(super) http: &'a HttpConfig,
    pub(super) clients: &'a Clients,
}

impl Api<'_> {
    fn post(&self, method: &str) -> Result<RequestBuilder, String> {
        Ok(self.clients.post(self.http, &format!("{}/{method}", self.base))?.bearer_auth(self.token))
    }

    /// Asks with a form, for what is no message: the answer that says `ok`, or Slack's word for why not.
    pub(super) async fn ask(&self, method: &str, form: &[(&str, &str)]) -> Result<Value, Unanswered> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let lasting = |words| Unanswered { status: 0, words, passes: false };
        let request = self.post(method).map_err(lasting)?;
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let response =
            request.send().await.map_err(|error| Unanswered { status: 0, words: plain_error(error), passes: true })?;
        let status = response.status().as_u16();
        let bytes = read_whole(response, PAGE_BYTES_MAX).await.unwrap_or_default();
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if answer["ok"] == true {
            return Ok(answer);
        }
        let words = answer["error"].as_str().map_or_else(|| format!("HTTP {status}"), str::to_owned);
        let passes = status == 429 || status >= 500 || PASSING_ERRORS.contains(&words.as_str());
        Err(Unanswered { status, words, passes })
    }
}

pub(super) struct Bot<'a> {
    pub(super) api: Api<'a>,
    pub(super) config: &'a SlackConfig,
}

impl Bot<'_> {
    /// Posts, into a thread where one is given; says where it stands, as far as Slack says it.
    pub(super) async fn post(
        &self,
        channel: &str,
        content: &SlackMessageContent,
        thread: Option<&str>,
    ) -> Result<Option<Place>, Refusal> {
        let mut request = SlackApiChatPostMessageRequest::new(SlackChannelId(channel.into()), content.clone());
        request.username.clone_from(&self.config.username);
        request.icon_emoji.clone_from(&self.config.icon_emoji);
        request.unfurl_links = Some(false);
        request.thread_ts = thread.map(|ts| SlackTs(ts.into()));
        request.reply_broadcast = thread.map(|_| true);
        let answer = self.call("chat.postMessage", &request).await?;
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        Ok(text("channel").zip(text("ts")))
    }

    pub(super) async fn update(&self, channel: &str, ts: &str, content: &SlackMessageContent) -> Result<(), Refusal> {
        let request =
            SlackApiChatUpdateRequest::new(SlackChannelId(channel.into()), content.clone(), SlackTs(ts.into()));
        self.call("chat.update", &request).await.map(|_| ())
    }

    /// An answer that says `ok`.
    async fn call(&self, method: &str, body: &impl Serialize) -> Result<Value, Refusal> {
        let request = self.api.post(method).map_err(|reason| Refusal::Config(0, reason))?;
        answer(request.json(body)).await
    }
}

async fn answer(request: RequestBuilder) -> Result<Value, Refusal> {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Err(Refusal::Transient(!error.is_connect(), 0, plain_error(error))),
    };
    let status = response.status().as_u16();
    let retry_after_ms = retry_after_ms(response.headers());
    // A broken body: Slack may have said yes.
    let Some(bytes) = read_whole(response, ANSWER_BYTES_MAX).await else {
        return Err(Refusal::Transient(status == 200, status, "the answer broke off".into()));
    };
    let body: Option<Value> = serde_json::from_slice(&bytes).ok();
    judged(status, retry_after_ms, body, &String::from_utf8_lossy(&bytes))
}

/// What Slack's answer means.
pub(super) fn judged(
    status: u16,
    retry_after_ms: Option<i64>,
    body: Option<Value>,
    text: &str,
) -> Result<Value, Refusal> {
    let code = body.as_ref().and_then(|body| body["error"].as_str()).unwrap_or_default().to_owned();
    match (status, body) {
        (200, Some(body)) if body["ok"] == true => Ok(body),
        (200, Some(body)) if body["ok"] == false => {
            let details = body["response_metadata"]["messages"].as_array().into_iter().flatten();
            let details: Vec<&str> =
                details.chain(body["errors"].as_array().into_iter().flatten()).filter_map(Value::as_str).collect();
            let words = if details.is_empty() { code.clone() } else { format!("{code}: {}", details.join("; ")) };
            Err(match code.as_str() {
                "ratelimited" | "rate_limited" => Refusal::Throttled(retry_after_ms, words),
                code if GONE_ERRORS.contains(&code) => Refusal::Gone(words),
                code if CONFIG_ERRORS.contains(&code) => Refusal::Config(200, words),
                code if PAYLOAD_ERRORS.contains(&code) => Refusal::Payload(words),
                // "It's possible some aspect of the operation succeeded before the error was raised" (docs.slack.dev).
                "fatal_error" | "internal_error" => Refusal::Transient(true, 200, words),
                _ => Refusal::Transient(false, 200, words),
            })
        }
        (200, _) => Err(Refusal::Transient(true, 200, "the answer is not Slack's (a proxy's page?)".into())),
        (429, _) => {
            let words = if code.is_empty() { "ratelimited".into() } else { code };
            Err(Refusal::Throttled(retry_after_ms, words))
        }
        // A redirect that is not followed is for somebody to look at, as a wrong address is.
        (300..=399 | 401 | 403 | 404 | 410, _) => Err(Refusal::Config(status, format!("HTTP {status} {text}"))),
        // A gateway's error may come after the message went through; 503 is said before anything is done.
        _ => Err(Refusal::Transient(status >= 500 && status != 503, status, format!("HTTP {status} {text}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged() {
        let check = |status, text: &str, expected: Refusal| {
            let found = judged(status, Some(7_000), serde_json::from_str(text).ok(), text);
            assert_eq!(found, Err(expected), "{status} {text}");
        };
        let transient = |unsure, status, words: &str| Refusal::Transient(unsure, status, words.into());
        let error = |code: &str| format!("{{\"ok\":false,\"error\":\"{code}\"}}");
        check(200, &error("channel_not_found"), Refusal::Config(200, "channel_not_found".into()));
        check(200, &error("message_not_found"), Refusal::Gone("message_not_found".into()));
        check(
            200,
            r#"{"ok":false,"error":"invalid_blocks","response_metadata":{"messages":["too long"]}}"#,
            Refusal::Payload("invalid_blocks: too long".into()),
        );
        for code in CONFIG_ERRORS {
            check(200, &error(code), Refusal::Config(200, code.into()));
        }
        for code in GONE_ERRORS {
            check(200, &error(code), Refusal::Gone(code.into()));
        }
        for code in PAYLOAD_ERRORS {
            check(200, &error(code), Refusal::Payload(code.into()));
        }
        for code in ["service_unavailable", "request_timeout", "external_channel_migrating", "team_added_to_org"] {
            check(200, &error(code), transient(false, 200, code));
        }
        check(200, &error("ratelimited"), Refusal::Throttled(Some(7_000), "ratelimited".into()));
        check(200, &error("internal_error"), transient(true, 200, "internal_error"));
        check(200, &error("new_to_us"), transient(false, 200, "new_to_us"));
        check(200, "<html>", transient(true, 200, "the answer is not Slack's (a proxy's page?)"));
        check(429, "slow down", Refusal::Throttled(Some(7_000), "ratelimited".into()));
        check(403, "no", Refusal::Config(403, "HTTP 403 no".into()));
        check(308, "", Refusal::Config(308, "HTTP 308 ".into()));
        check(502, "bad", transient(true, 502, "HTTP 502 bad"));
        check(503, "busy", transient(false, 503, "HTTP 503 busy"));
        assert!(judged(200, None, serde_json::from_str(r#"{"ok":true,"new":1}"#).ok(), "").is_ok());
    }
}
