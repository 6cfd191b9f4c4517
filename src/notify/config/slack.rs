//! `slack_configs`: an incoming webhook, or a bot token (`chat.postMessage`), which can edit what it posted.

use std::path::Path;

use url::Url;

use super::fields::Fields;
use super::http::{self, Authorization, HttpConfig};
use super::receiver::Globals;
use super::secret::{self, Secret};
use super::tree::Bad;

/// Slack's own base URL of the Web API.
const API_BASE: &str = "https://slack.com/api";
/// The method whose URL Alertmanager users write to say that a bot token is used.
const POST_MESSAGE: &str = "/chat.postMessage";

/// Of Alertmanager's, without effect here.
pub(super) const IDLE: [&str; 12] = [
    "color",
    "short_fields",
    "fallback",
    "callback_id",
    "icon_url",
    "image_url",
    "thumb_url",
    "link_names",
    "mrkdwn_in",
    // Here a message always lives on: edited, with what follows in its thread.
    "update_message",
    "message_strategy",
    "threaded_options",
];

/// Texts, and the channel, may be templates.
#[derive(Debug, Clone)]
pub(crate) struct SlackConfig {
    pub(crate) door: SlackDoor,
    /// `#alerts` or a channel id. With a webhook it may be absent: the webhook knows its channel.
    pub(crate) channel: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) icon_emoji: Option<String>,
    /// In place of the headline.
    pub(crate) title: Option<String>,
    /// Above the headline.
    pub(crate) pretext: Option<String>,
    /// In front of the alerts.
    pub(crate) text: Option<String>,
    /// Where the title leads.
    pub(crate) title_link: Option<String>,
    /// Below the text: title and value of each.
    pub(crate) fields: Vec<(String, String)>,
    /// Links, as Alertmanager's buttons: what each says, and where it leads.
    pub(crate) buttons: Vec<(String, String)>,
    /// Below everything.
    pub(crate) footer: Option<String>,
    pub(crate) http: HttpConfig,
    /// Of one attempt; the room's own limit holds as well.
    pub(crate) timeout_ms: Option<u64>,
}

impl SlackConfig {
    /// Whether what was posted can be edited.
    pub(crate) fn can_edit(&self) -> bool {
        matches!(self.door, SlackDoor::Bot { .. })
    }
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
    let app_token = secret::take(&mut fields, "app_token", "app_token_file", dir)?.map(|(token, _)| token);
    let app_url =
        fields.text("app_url")?.map(|(text, line)| (text.to_owned(), line)).or_else(|| globals.slack_app_url.clone());
    // A channel with a token of its own does not go through the webhook of the whole file.
    let own_app = app_token.is_some();
    let own_http = fields.take("http_config").map(|node| http::read(node, dir)).transpose()?;
    let is_own_http = own_http.is_some();
    let mut http = own_http.unwrap_or_else(|| globals.http.clone());
    let token = match http.authorization.take() {
        Some(Authorization::Plain { scheme, credentials }) if scheme.eq_ignore_ascii_case("bearer") => {
            Some(credentials)
        }
        // That of the whole file is for other kinds of channels too.
        Some(_) if !is_own_http => None,
        Some(Authorization::OAuth2(_)) => {
            http.unspoken = Some("oauth2 is not spoken to Slack; give authorization: {credentials: ...}".into());
            None
        }
        Some(_) => return Err(Bad::new(line, "Slack takes the authorization type Bearer, and no other")),
        None => None,
    };
    let (http_token, token) = (token.is_some(), token.or(app_token));
    // A token of the whole file speaks where neither the channel nor the file names a webhook.
    let is_webhook = |(url, _): &(Secret, usize)| !url.reveal().ends_with(POST_MESSAGE);
    let no_webhook = own.is_none() && !globals.slack_api_url.as_ref().is_some_and(is_webhook);
    let token = token.or_else(|| globals.slack_app_token.clone().filter(|_| no_webhook));
    let of_app = app_url.filter(|_| token.is_some()).map(|(url, line)| {
        let base = url.strip_suffix(POST_MESSAGE).unwrap_or(&url).trim_end_matches('/');
        (Secret::new(format!("{base}{POST_MESSAGE}")), line)
    });
    let url = own.or(of_app).or_else(|| globals.slack_api_url.clone().filter(|_| !own_app));
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
                // The file's own authorization is not meant for it, and a webhook needs none.
                (None, Some(_)) if http_token && !is_own_http => SlackDoor::Webhook { url },
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
        username: fields.template("username")?,
        icon_emoji: fields.template("icon_emoji")?,
        title: fields.template("title")?,
        pretext: match fields.template("pretext")? {
            Some(text) => Some(text),
            None => fields.template("message_text")?,
        },
        text: fields.template("text")?,
        title_link: fields.template("title_link")?,
        fields: pairs(&mut fields, "fields", ["title", "value"], true, &["short"])?,
        buttons: pairs(&mut fields, "actions", ["text", "url"], false, &["type", "style", "name", "value", "confirm"])?,
        footer: fields.template("footer")?,
        http,
        timeout_ms: fields.timeout_ms()?,
    };
    fields.end(&IDLE)?;
    Ok(config)
}

/// Two texts of each entry of a list; entries that lack one of them are refused, or say nothing.
fn pairs(
    fields: &mut Fields<'_>,
    list: &'static str,
    [first, second]: [&'static str; 2],
    needs_both: bool,
    idle: &[&'static str],
) -> Result<Vec<(String, String)>, Bad> {
    let mut out = Vec::new();
    for item in fields.list(list)? {
        let mut fields = Fields::of(item, list)?;
        let both = fields.template(first)?.zip(fields.template(second)?);
        if both.is_none() && needs_both {
            return Err(Bad::new(item.line, format!("each of {list} needs {first} and {second}")));
        }
        out.extend(both);
        fields.end(idle)?;
    }
    Ok(out)
}

fn check_url(url: &Secret, line: usize) -> Result<(), Bad> {
    // The URL itself is a secret: it never stands in a message.
    let parsed = Url::parse(url.reveal()).map_err(|error| Bad::new(line, format!("api_url is not a URL: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() {
        return Err(Bad::new(line, "api_url must start with https:// (or http:// for a proxy nearby)"));
    }
    Ok(())
}
