//! One attempt at one channel: from an intent to the provider's answer.
//!
//! Nothing here retries but once, in the plainest form, when the provider refuses a message's shape; when to try again is
//! decided from the verdict. Every attempt ends within the time-out.

use std::time::Duration;

use model::alert::{Intent, Outcome};
use sha2::{Digest, Sha256};

use crate::config::{Channel, ChannelKind};
use crate::message::{clip, one_line};
use crate::timing::Timing;

mod context;
mod email;
mod http_clients;
mod oauth2;
mod pagerduty;
mod slack;
mod slack_api;
mod slack_blocks;
mod slack_files;
mod slack_history;
mod slack_links;
mod webhook;

pub(crate) use context::Context;
pub(crate) use email::plain_text;
pub(crate) use http_clients::Clients;
pub(crate) use slack::{channel_of as slack_channel_of, place_of as slack_place};
pub(crate) use slack_blocks::escape as slack_escape;
pub(crate) use slack_files::{NoPicture, Thread};

/// Longest provider's answer kept, in characters.
const WORDS_CHARS_MAX: usize = 300;

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    pub(crate) verdict: Verdict,
    /// HTTP or SMTP code, 0 when there was no answer.
    pub(crate) status: u16,
    /// The provider's words, cut to a bound; never a secret.
    pub(crate) words: String,
    /// What the channel needs to speak of the same thing again.
    pub(crate) handle: Vec<(String, String)>,
    /// What is over was only told to have begun: its end must follow in an attempt of its own.
    pub(crate) began: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    Accepted,
    Throttled {
        retry_after_ms: Option<i64>,
    },
    /// May work later. `unsure`: it may have arrived, and a repeat would be seen.
    Transient {
        unsure: bool,
    },
    /// Will not work until somebody changes something.
    Refused,
}

impl Verdict {
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Verdict::Accepted => Outcome::Accepted,
            Verdict::Throttled { .. } => Outcome::Throttled,
            Verdict::Transient { .. } => Outcome::Transient,
            Verdict::Refused => Outcome::Permanent,
        }
    }
}

impl Report {
    fn new(verdict: Verdict, status: u16, words: &str) -> Report {
        Report { verdict, status, words: one_line(words, WORDS_CHARS_MAX), handle: Vec::new(), began: false }
    }

    /// Whether it is the service that fails, for whoever asks: it gave no answer, or the one that says so.
    pub(crate) fn is_of_service(&self) -> bool {
        matches!(self.verdict, Verdict::Transient { .. }) && (self.status == 0 || self.status >= 500)
    }

    /// Whether it was taken, but not for everybody: its words are about the others.
    pub(crate) fn leaves_out(&self) -> bool {
        self.verdict == Verdict::Accepted && self.status >= 400
    }

    /// What an attempt comes to that was not made.
    pub(crate) fn rehearsed() -> Report {
        Report::new(Verdict::Accepted, 0, "rehearsed")
    }
}

/// Who speaks, and under which address its pages are.
#[derive(Debug, Clone)]
pub(crate) struct Speaker {
    pub(crate) tenant: String,
    pub(crate) external_url: String,
}

impl Speaker {
    /// Host of the appliance's address, for message ids.
    fn host(&self) -> String {
        let host = url::Url::parse(&self.external_url).ok().and_then(|url| url.host_str().map(str::to_owned));
        host.unwrap_or_else(|| "binnacle.invalid".into())
    }

    /// 40 hex digits that name something of ours wherever it is spoken of again.
    fn key(&self, parts: &[&str]) -> String {
        let mut hash = Sha256::new();
        for part in [self.external_url.as_str(), self.tenant.as_str()].iter().chain(parts) {
            hash.update(part.as_bytes());
            hash.update(b"|");
        }
        clip(&model::any::hex(&hash.finalize()), 41)[..40].to_owned()
    }
}

/// What must be on disk before the first byte is sent, so that a restart speaks of the same thing.
pub(crate) fn prepare(channel: &Channel, intent: &Intent, speaker: &Speaker) -> Vec<(String, String)> {
    match &channel.kind {
        ChannelKind::PagerDuty(config) => pagerduty::prepare(config, intent, speaker),
        ChannelKind::Slack(_) | ChannelKind::Email(_) | ChannelKind::Webhook(_) | ChannelKind::Unsent(_) => Vec::new(),
    }
}

/// Makes one attempt. Never fails otherwise than in its report.
pub(crate) async fn deliver(
    channel: &Channel,
    intent: &Intent,
    speaker: &Speaker,
    context: &Context,
    clients: &Clients,
    timing: &Timing,
) -> Report {
    let limit = Duration::from_millis(timing.attempt_timeout_ms);
    match &channel.kind {
        ChannelKind::Slack(config) => slack::deliver(config, intent, speaker, context, clients, limit).await,
        ChannelKind::PagerDuty(config) => {
            pagerduty::deliver(config, channel.send_resolved, intent, speaker, clients, limit).await
        }
        ChannelKind::Email(config) => email::deliver(config, intent, speaker, context, timing).await,
        ChannelKind::Webhook(config) => webhook::deliver(config, intent, speaker, context, clients, limit).await,
        ChannelKind::Unsent(unsent) => Report::new(Verdict::Refused, 0, &unsent.reason),
    }
}
