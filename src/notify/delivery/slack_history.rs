//! Finding out whether a post arrived: our messages carry the delivery's id as metadata, and the channel's history tells.
//!
//! Needs the scopes `channels:history` (or `groups:history`), and `channels:read` where the channel is configured by name and no
//! message told its id yet. Pages are read as they come: another app's metadata may be of any kind. <https://docs.slack.dev/reference/methods/conversations.history>

use std::collections::HashMap;

use slack_morphism::prelude::SlackMessageMetadata;

use super::slack_api::{Api, Unanswered};

/// Names our messages' metadata.
const EVENT_TYPE: &str = "binnacle_delivery";
const DELIVERY_ID: &str = "delivery_id";
/// Messages of the history that are looked through.
const HISTORY_LIMIT: &str = "100";
/// Channels on a page of the list, and the most pages asked for.
const CHANNELS_LIMIT: &str = "1000";
const CHANNEL_PAGES_MAX: usize = 5;

/// What a post carries, by which it is found again.
pub(super) fn metadata(delivery_id: &str) -> SlackMessageMetadata {
    let payload = HashMap::from([(DELIVERY_ID.to_owned(), delivery_id.to_owned())]);
    SlackMessageMetadata::new(EVENT_TYPE.into()).with_event_payload(payload)
}

/// Whether a message of ours stands in a channel.
pub(super) enum Found {
    /// Its `ts`.
    There(String),
    NotThere,
    /// It cannot be known, now or later.
    Unknown,
    /// It cannot be known now, for a reason that passes.
    Later(Unanswered),
}

impl From<Unanswered> for Found {
    fn from(why: Unanswered) -> Found {
        if why.passes { Found::Later(why) } else { Found::Unknown }
    }
}

pub(super) struct History<'a>(pub(super) Api<'a>);

impl History<'_> {
    /// The id of a channel: as learnt from an earlier message, as configured, or looked up by name; else the name itself.
    pub(super) async fn channel_id(&self, wanted: &str, learnt: &str) -> Result<String, Unanswered> {
        if !learnt.is_empty() {
            return Ok(learnt.to_owned());
        }
        let Some(name) = wanted.strip_prefix('#') else { return Ok(wanted.to_owned()) };
        let mut cursor = String::new();
        for _ in 0..CHANNEL_PAGES_MAX {
            let form = [
                ("types", "public_channel,private_channel"),
                ("exclude_archived", "true"),
                ("limit", CHANNELS_LIMIT),
                ("cursor", &cursor),
            ];
            let page = match self.0.ask("conversations.list", &form).await {
                Ok(page) => page,
                Err(why) if why.passes => return Err(why),
                Err(_) => break,
            };
            let found = page["channels"].as_array().into_iter().flatten().find(|channel| channel["name"] == name);
            if let Some(id) = found.and_then(|channel| channel["id"].as_str()) {
                return Ok(id.to_owned());
            }
            cursor = page["response_metadata"]["next_cursor"].as_str().unwrap_or_default().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        Ok(wanted.to_owned())
    }

    /// Looks for a delivery that was not tried before `since_ms` among the channel's latest messages.
    pub(super) async fn find(&self, channel: &str, delivery_id: &str, since_ms: i64) -> Found {
        let form = [("channel", channel), ("limit", HISTORY_LIMIT), ("include_all_metadata", "true")];
        let page = match self.0.ask("conversations.history", &form).await {
            Ok(page) => page,
            Err(why) => return why.into(),
        };
        let Some(messages) = page["messages"].as_array() else { return Found::Unknown };
        let ours = messages.iter().find(|message| message["metadata"]["event_payload"][DELIVERY_ID] == delivery_id);
        if let Some(ts) = ours.and_then(|message| message["ts"].as_str()) {
            return Found::There(ts.to_owned());
        }
        // A busy channel may have pushed it off the page, unless the page goes back to before the first attempt.
        let oldest_s = messages.last().and_then(|message| message["ts"].as_str()?.parse::<f64>().ok());
        let covers = oldest_s.is_some_and(|oldest_s| oldest_s * 1e3 < since_ms as f64);
        if page["has_more"] == true && !covers { Found::Unknown } else { Found::NotThere }
    }
}
