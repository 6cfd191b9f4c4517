//! `slack_configs`: an incoming webhook, or a bot token (`chat.postMessage`), which can edit what it posted.

use std::path::Path;

use url::Url;

use super::fields::Fields;
use super::receiver::Globals;
use super::secret::{self, Secret};
use super::tree::Bad;

/// Slack's own base URL of the Web API.
const API_BASE: &str = "https://slack.com/api";
/// The method whose URL Alertmanager users write to say that a bot token is used.
const POST_MESSAGE: &str = "/chat.postMessage";

#[derive(Debug, Clone)]
pub(crate) struct SlackConfig {
    pub(crate) door: SlackDoor,
    /// `#alerts` or a channel id. With a webhook it may be absent: the webhook knows its channel.
    pub(crate) channel: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) icon_emoji: Option<String>,
    /// In place of the headline.
    pub(crate) title: Option<String>,
    /// In front of the alerts.
    pub(crate) text: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum SlackDoor {
    Webhook {
        url: Secret,
    },
    /// `base` has no slash at its end: methods are appended with one.
    Bot {
        base: String,
        token: Secret,
    },
}

pub(crate) fn read(mut fields: Fields<'_>, globals: &Globals, dir: &Path) -> Result<SlackConfig, Bad> {
    let line = fields.line;
    let own = secret::take(&mut fields, "api_url", "api_url_file", dir)?;
    let token = read_http_config(&mut fields, dir)?;
    let url = own.or_else(|| globals.slack_api_url.clone());
    let door = match (url, token) {
        (Some((url, url_line)), token) => {
            check_url(&url, url_line)?;
            match (url.reveal().strip_suffix(POST_MESSAGE).map(str::to_owned), token) {
                (Some(base), Some(token)) => SlackDoor::Bot { base, token },
                (Some(_), None) => {
                    return Err(Bad::new(
                        url_line,
                        "chat.postMessage needs a bot token: add http_config: {authorization: {type: Bearer, credentials_file: ...}}",
                    ));
                }
                (None, None) => SlackDoor::Webhook { url },
                (None, Some(_)) => {
                    return Err(Bad::new(
                        url_line,
                        "a webhook takes no credentials; for a bot token let api_url end in /api/chat.postMessage",
                    ));
                }
            }
        }
        (None, Some(token)) => SlackDoor::Bot { base: API_BASE.into(), token },
        (None, None) => return Err(Bad::new(line, "a Slack channel needs api_url, here or as global slack_api_url")),
    };
    let channel = fields.text("channel")?.map(|(text, _)| text.to_owned()).filter(|text| !text.is_empty());
    if channel.is_none() && matches!(door, SlackDoor::Bot { .. }) {
        return Err(Bad::new(line, "a bot token needs a channel to post to"));
    }
    let config = SlackConfig {
        door,
        channel,
        username: fields.plain_text("username")?,
        icon_emoji: fields.plain_text("icon_emoji")?,
        title: fields.plain_text("title")?,
        text: fields.plain_text("text")?,
    };
    fields.end(&[
        "app_token",
        "app_token_file",
        "app_url",
        "color",
        "title_link",
        "pretext",
        "message_text",
        "fields",
        "short_fields",
        "footer",
        "fallback",
        "callback_id",
        "icon_url",
        "image_url",
        "thumb_url",
        "link_names",
        "mrkdwn_in",
        "actions",
        "update_message",
        "timeout",
    ])?;
    Ok(config)
}

fn read_http_config(fields: &mut Fields<'_>, dir: &Path) -> Result<Option<Secret>, Bad> {
    let Some(node) = fields.take("http_config") else { return Ok(None) };
    let mut http = Fields::of(node, "http_config")?;
    let token = match http.take("authorization") {
        None => None,
        Some(node) => {
            let mut fields = Fields::of(node, "authorization")?;
            if let Some((kind, line)) = fields.text("type")?
                && !kind.eq_ignore_ascii_case("bearer")
            {
                return Err(Bad::new(line, format!("Slack takes the authorization type Bearer, not {kind:?}")));
            }
            let token = secret::take(&mut fields, "credentials", "credentials_file", dir)?;
            let (token, _) = token.ok_or_else(|| Bad::new(node.line, "authorization needs credentials"))?;
            fields.end(&[])?;
            Some(token)
        }
    };
    http.end(&[
        "basic_auth",
        "bearer_token",
        "bearer_token_file",
        "oauth2",
        "proxy_url",
        "no_proxy",
        "proxy_from_environment",
        "proxy_connect_header",
        "tls_config",
        "follow_redirects",
        "enable_http2",
        "http_headers",
    ])?;
    Ok(token)
}

fn check_url(url: &Secret, line: usize) -> Result<(), Bad> {
    // The URL itself is a secret: it never stands in a message.
    let parsed = Url::parse(url.reveal()).map_err(|error| Bad::new(line, format!("api_url is not a URL: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() {
        return Err(Bad::new(line, "api_url must start with https:// (or http:// for a proxy nearby)"));
    }
    Ok(())
}
