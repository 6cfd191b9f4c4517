//! Receivers and their channels: who is told, and how.
//!
//! Reading is where everything is checked: a channel that got this far has an address, its secrets, and an encrypted way.

use std::path::Path;

use super::email::{self, EmailConfig};
use super::fields::Fields;
use super::pagerduty::{self, PagerDutyConfig};
use super::secret::Secret;
use super::slack::{self, SlackConfig};
use super::tree::{Bad, Node};

/// Until when a fallback waits if it does not say, in ms.
const FALLBACK_AFTER_MS: i64 = 60_000;

#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    pub(crate) name: String,
    pub(crate) channels: Vec<Channel>,
    pub(crate) fallback: Option<Fallback>,
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
    Slack(SlackConfig),
    PagerDuty(PagerDutyConfig),
    Email(Box<EmailConfig>),
}

impl ChannelKind {
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            ChannelKind::Slack(_) => "slack",
            ChannelKind::PagerDuty(_) => "pagerduty",
            ChannelKind::Email(_) => "email",
        }
    }
}

/// What `global` gives to channels that do not say it themselves.
#[derive(Debug, Default)]
pub(crate) struct Globals {
    pub(crate) slack_api_url: Option<(Secret, usize)>,
    pub(crate) pagerduty_url: Option<(String, usize)>,
    pub(crate) smarthost: Option<(String, usize)>,
    pub(crate) from: Option<(String, usize)>,
    pub(crate) hello: Option<String>,
    pub(crate) auth_username: Option<String>,
    pub(crate) auth_password: Option<Secret>,
    pub(crate) require_tls: Option<bool>,
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
        };
        // Harmless: it is for alerts that others push without an end; rules here say themselves when an alert ended.
        fields.duration_ms("resolve_timeout")?;
        fields.end(&[
            "smtp_auth_secret",
            "smtp_auth_secret_file",
            "smtp_auth_identity",
            "smtp_tls_config",
            "smtp_force_implicit_tls",
            "slack_app_token",
            "slack_app_token_file",
            "slack_app_url",
            "http_config",
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
        ])?;
        Ok(globals)
    }
}

impl Receiver {
    pub(crate) fn read(node: &Node, globals: &Globals, dir: &Path) -> Result<Receiver, Bad> {
        let mut fields = Fields::of(node, "a receiver")?;
        let (name, _) = fields.required_text("name")?;
        let mut channels = Vec::new();
        for (key, short) in [("slack_configs", "slack"), ("pagerduty_configs", "pagerduty"), ("email_configs", "email")]
        {
            for (at, item) in fields.list(key)?.iter().enumerate() {
                let channel_name = format!("{name}/{short}[{at}]");
                let mut fields = Fields::of(item, format!("{key} of receiver {name:?}"))?;
                // Alertmanager leaves the end out for Slack and email; here whoever was told of a start is told of its end.
                let send_resolved = fields.flag("send_resolved")?.unwrap_or(true);
                let kind = match short {
                    "slack" => ChannelKind::Slack(slack::read(fields, globals, dir)?),
                    "pagerduty" => ChannelKind::PagerDuty(pagerduty::read(fields, globals, dir)?),
                    _ => ChannelKind::Email(Box::new(email::read(fields, globals, dir)?)),
                };
                channels.push(Channel { name: channel_name, kind, send_resolved });
            }
        }
        let fallback = match fields.take("x") {
            Some(node) => read_extensions(node)?,
            None => None,
        };
        fields.end(&[
            "webhook_configs",
            "opsgenie_configs",
            "victorops_configs",
            "pushover_configs",
            "wechat_configs",
            "sns_configs",
            "telegram_configs",
            "webex_configs",
            "discord_configs",
            "msteams_configs",
            "msteamsv2_configs",
            "jira_configs",
            "rocketchat_configs",
            "mattermost_configs",
            "incidentio_configs",
        ])?;
        Ok(Receiver { name: name.into(), channels, fallback })
    }
}

fn read_extensions(node: &Node) -> Result<Option<Fallback>, Bad> {
    let mut fields = Fields::of(node, "x of a receiver")?;
    let fallback = match fields.take("fallback") {
        None => None,
        Some(node) => {
            let mut fields = Fields::of(node, "x.fallback")?;
            let (to, line) = fields.required_text("to")?;
            let after_ms = fields.duration_ms("after")?.map_or(FALLBACK_AFTER_MS, |(ms, _)| ms);
            let on = fields.list("on")?;
            let mut fallback = Fallback {
                to: to.into(),
                line,
                after_ms,
                on_config: on.is_empty(),
                on_breaker_open: on.is_empty(),
                on_deadline: on.is_empty(),
            };
            for item in on {
                match super::fields::scalar(item, "on")? {
                    "config" => fallback.on_config = true,
                    "breaker_open" => fallback.on_breaker_open = true,
                    "deadline" => fallback.on_deadline = true,
                    other => {
                        let reason = format!("on knows config, breaker_open and deadline, not {other:?}");
                        return Err(Bad::new(item.line, reason));
                    }
                }
            }
            fields.end(&[])?;
            Some(fallback)
        }
    };
    fields.end(&[])?;
    Ok(fallback)
}
