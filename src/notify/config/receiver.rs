//! Receivers and their channels: who is told, and how.
//!
//! Reading is where everything is checked: a channel that got this far has an address, its secrets, and an encrypted way.

use std::path::Path;

use super::email::{self, EmailConfig};
use super::extensions::{self, OfReceiver, Step};
use model::Labels;

use super::fields::{Fields, scalar};
use super::http::{self, HttpConfig};
use super::pagerduty::{self, PagerDutyConfig};
use super::secret::Secret;
use super::slack::{self, SlackConfig};
use super::tls::{self, TlsConfig};
use super::tree::{Bad, Node, Value};
use super::unsent::{UNSENT, UnsentConfig};
use super::webhook::{self, WebhookConfig};

#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    pub(crate) name: String,
    /// By which the API finds it: `name`, and those of the file.
    pub(crate) labels: Labels,
    pub(crate) channels: Vec<Channel>,
    pub(crate) fallback: Option<Fallback>,
    /// Who else is told, and when; of the receiver that an alert is routed to.
    pub(crate) escalate: Vec<Step>,
}

/// Who is told when a receiver's channel cannot be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fallback {
    pub(crate) to: String,
    /// The line of `to`, for complaints about the name.
    pub(crate) line: usize,
    pub(crate) after_ms: i64,
    pub(crate) on_config: bool,
    pub(crate) on_breaker_open: bool,
    pub(crate) on_deadline: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Channel {
    /// `oncall/slack[0]`: receiver, kind, and place among its kind.
    pub(crate) name: String,
    pub(crate) kind: ChannelKind,
    pub(crate) send_resolved: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum ChannelKind {
    Slack(Box<SlackConfig>),
    PagerDuty(Box<PagerDutyConfig>),
    Email(Box<EmailConfig>),
    Webhook(Box<WebhookConfig>),
    /// What Alertmanager speaks and we do not.
    Unsent(UnsentConfig),
}

impl ChannelKind {
    /// What its configuration asks for and this release cannot do.
    fn unspoken(&self) -> Option<&str> {
        match self {
            ChannelKind::Slack(slack) => slack.http.unspoken.as_deref(),
            ChannelKind::PagerDuty(pagerduty) => pagerduty.http.unspoken.as_deref(),
            ChannelKind::Webhook(webhook) => webhook.http.unspoken.as_deref(),
            ChannelKind::Email(email) => email.tls.unspoken.as_deref(),
            ChannelKind::Unsent(_) => None,
        }
    }

    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            ChannelKind::Slack(_) => "slack",
            ChannelKind::PagerDuty(_) => "pagerduty",
            ChannelKind::Email(_) => "email",
            ChannelKind::Webhook(_) => "webhook",
            ChannelKind::Unsent(unsent) => unsent.kind,
        }
    }
}

/// Keys of `global` without effect here. Those of kinds that are not spoken are left out: their channels say so.
pub(super) const GLOBAL_IDLE: [&str; 4] =
    ["smtp_auth_secret", "smtp_auth_secret_file", "smtp_auth_identity", "receiver_templates"];

/// What `global` gives to channels that do not say it themselves.
#[derive(Debug, Default)]
pub(crate) struct Globals {
    pub(crate) slack_api_url: Option<(Secret, usize)>,
    pub(crate) slack_app_token: Option<Secret>,
    pub(crate) slack_app_url: Option<(String, usize)>,
    pub(crate) pagerduty_url: Option<(String, usize)>,
    pub(crate) smarthost: Option<(String, usize)>,
    pub(crate) from: Option<(String, usize)>,
    pub(crate) hello: Option<String>,
    pub(crate) auth_username: Option<String>,
    pub(crate) auth_password: Option<Secret>,
    pub(crate) require_tls: Option<bool>,
    pub(crate) smtp_tls: Option<TlsConfig>,
    pub(crate) http: HttpConfig,
    pub(crate) implicit_tls: Option<bool>,
    /// For pushed alerts that name no end.
    pub(crate) resolve_timeout_ms: Option<i64>,
}

impl Globals {
    pub(crate) fn read(node: &Node, dir: &Path) -> Result<Globals, Bad> {
        let mut fields = Fields::of(node, "global")?;
        let owned = |found: Option<(&str, usize)>| found.map(|(text, line)| (text.to_owned(), line));
        let globals = Globals {
            slack_api_url: super::secret::take(&mut fields, "slack_api_url", "slack_api_url_file", dir)?,
            pagerduty_url: owned(fields.text("pagerduty_url")?),
            smarthost: owned(fields.text("smtp_smarthost")?),
            from: owned(fields.text("smtp_from")?),
            hello: fields.text("smtp_hello")?.map(|(text, _)| text.to_owned()),
            auth_username: fields.text("smtp_auth_username")?.map(|(text, _)| text.to_owned()),
            auth_password: super::secret::take(&mut fields, "smtp_auth_password", "smtp_auth_password_file", dir)?
                .map(|(secret, _)| secret),
            require_tls: fields.flag("smtp_require_tls")?,
            slack_app_token: super::secret::take(&mut fields, "slack_app_token", "slack_app_token_file", dir)?
                .map(|(secret, _)| secret),
            slack_app_url: owned(fields.text("slack_app_url")?),
            smtp_tls: fields.take("smtp_tls_config").map(|node| tls::read(node, dir)).transpose()?,
            http: fields.take("http_config").map(|node| http::read(node, dir)).transpose()?.unwrap_or_default(),
            implicit_tls: fields.flag("smtp_force_implicit_tls")?,
            resolve_timeout_ms: fields.duration_ms("resolve_timeout")?.map(|(ms, _)| ms),
        };
        let of_others = [
            "opsgenie_api_key",
            "opsgenie_api_key_file",
            "opsgenie_api_url",
            "victorops_api_key",
            "victorops_api_key_file",
            "victorops_api_url",
            "wechat_api_url",
            "wechat_api_secret",
            "wechat_api_secret_file",
            "wechat_api_corp_id",
            "telegram_api_url",
            "telegram_bot_token",
            "telegram_bot_token_file",
            "webex_api_url",
            "jira_api_url",
            "rocketchat_api_url",
            "rocketchat_token",
            "rocketchat_token_file",
            "rocketchat_token_id",
            "rocketchat_token_id_file",
            "mattermost_webhook_url",
            "mattermost_webhook_url_file",
            "jsm_api_key",
            "jsm_api_key_file",
            "jsm_api_url",
            "jsmops_api_url",
            "signl4_team_secret",
            "signl4_team_secret_file",
            "hipchat_api_url",
            "hipchat_auth_token",
        ];
        fields.end(&[&GLOBAL_IDLE[..], &of_others].concat())?;
        Ok(globals)
    }
}

impl Receiver {
    /// Without channels.
    pub(super) fn silent(name: &str) -> Receiver {
        Receiver {
            name: name.into(),
            labels: Labels::from_pairs([("name", name)]),
            channels: Vec::new(),
            fallback: None,
            escalate: Vec::new(),
        }
    }

    pub(crate) fn read(node: &Node, globals: &Globals, dir: &Path) -> Result<Receiver, Bad> {
        let mut fields = Fields::of(node, "a receiver")?;
        let (name, _) = fields.required_text("name")?;
        let mut channels = Vec::new();
        for (key, short) in [
            ("slack_configs", "slack"),
            ("pagerduty_configs", "pagerduty"),
            ("email_configs", "email"),
            ("webhook_configs", "webhook"),
        ] {
            for (at, item) in fields.list(key)?.iter().enumerate() {
                let channel_name = format!("{name}/{short}[{at}]");
                let mut fields = Fields::of(item, format!("{key} of receiver {name:?}"))?;
                // Alertmanager leaves the end out for Slack and email; here whoever was told of a start is told of its end.
                let send_resolved = fields.flag("send_resolved")?.unwrap_or(true);
                let kind = match short {
                    "slack" => ChannelKind::Slack(Box::new(slack::read(fields, globals, dir)?)),
                    "pagerduty" => pagerduty::read(fields, globals, dir)?,
                    "webhook" => ChannelKind::Webhook(Box::new(webhook::read(fields, globals, dir)?)),
                    _ => ChannelKind::Email(Box::new(email::read(fields, globals, dir)?)),
                };
                let kind = match kind.unspoken() {
                    Some(reason) => ChannelKind::Unsent(UnsentConfig::unspoken(short, reason)),
                    None => kind,
                };
                channels.push(Channel { name: channel_name, kind, send_resolved });
            }
        }
        for (key, short) in UNSENT {
            for (at, item) in fields.list(key)?.iter().enumerate() {
                if matches!(item.value, Value::Null) {
                    return Err(Bad::new(
                        item.line,
                        format!("{key} of receiver {name:?} has an entry with nothing in it"),
                    ));
                }
                let kind = ChannelKind::Unsent(UnsentConfig::of_kind(short));
                channels.push(Channel { name: format!("{name}/{short}[{at}]"), kind, send_resolved: true });
            }
        }
        let OfReceiver { fallback, escalate } = match fields.take("x") {
            Some(node) => extensions::of_receiver(node)?,
            None => OfReceiver::default(),
        };
        let silent = Receiver::silent(name);
        let mut labels = silent.labels.clone();
        for entry in fields.map("labels")? {
            let value = scalar(&entry.node, "a label of a receiver")?;
            if entry.key == "name" && value != name {
                return Err(Bad::new(entry.line, "the label name of a receiver is its name"));
            }
            labels = labels.with(&entry.key, value);
        }
        fields.end(&[])?;
        Ok(Receiver { labels, channels, fallback, escalate, ..silent })
    }
}
