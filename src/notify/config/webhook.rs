//! `webhook_configs`: any program that takes Alertmanager's JSON, version 4.

use std::path::Path;

use url::Url;

use super::fields::Fields;
use super::secret::{self, Secret};
use super::tree::{Bad, Node};

#[derive(Debug, Clone)]
pub(crate) struct WebhookConfig {
    /// May hold a key in its path or query, so it is never shown.
    pub(crate) url: Secret,
    pub(crate) authorization: Option<Authorization>,
    /// Key of `X-Signature`, an HMAC-SHA256 of the body.
    pub(crate) signing_key: Option<Secret>,
    /// Most alerts in one request; 0 for no bound.
    pub(crate) max_alerts: usize,
    /// Of one attempt; the room's own limit holds as well.
    pub(crate) timeout_ms: Option<u64>,
}

/// What stands in the header `Authorization`.
#[derive(Debug, Clone)]
pub(crate) enum Authorization {
    /// Scheme and credentials: `Bearer xyz`.
    Plain {
        scheme: String,
        credentials: Secret,
    },
    Basic {
        username: String,
        password: Secret,
    },
}

pub(crate) fn read(mut fields: Fields<'_>, dir: &Path) -> Result<WebhookConfig, Bad> {
    let line = fields.line;
    let (url, url_line) = secret::take(&mut fields, "url", "url_file", dir)?
        .ok_or_else(|| Bad::new(line, "a webhook needs url or url_file"))?;
    // The URL is a secret: it never stands in a message.
    let parsed = Url::parse(url.reveal()).map_err(|error| Bad::new(url_line, format!("url is not a URL: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() {
        return Err(Bad::new(url_line, "a webhook's url must start with http:// or https://"));
    }
    let authorization = match fields.take("http_config") {
        Some(node) => read_http_config(node, dir)?,
        None => None,
    };
    let max_alerts = match fields.text("max_alerts")? {
        None => 0,
        Some((text, line)) => text
            .parse()
            .map_err(|_| Bad::new(line, format!("max_alerts must be a number of alerts, 0 for all, not {text:?}")))?,
    };
    let timeout_ms = match fields.duration_ms("timeout")? {
        Some((ms, _)) if ms > 0 => u64::try_from(ms).ok(),
        _ => None,
    };
    let signing_key = match fields.take("x") {
        None => None,
        Some(node) => {
            let mut x = Fields::of(node, "x of webhook_configs")?;
            let key = secret::take(&mut x, "hmac_secret", "hmac_secret_file", dir)?.map(|(key, _)| key);
            x.end(&[])?;
            key
        }
    };
    fields.end(&["payload"])?;
    Ok(WebhookConfig { url, authorization, signing_key, max_alerts, timeout_ms })
}

fn read_http_config(node: &Node, dir: &Path) -> Result<Option<Authorization>, Bad> {
    let mut http = Fields::of(node, "http_config")?;
    let mut found = None;
    if let Some(node) = http.take("authorization") {
        let mut fields = Fields::of(node, "authorization")?;
        let scheme = fields.text("type")?.map_or("Bearer", |(text, _)| text).to_owned();
        let credentials = secret::take(&mut fields, "credentials", "credentials_file", dir)?;
        let (credentials, _) = credentials.ok_or_else(|| Bad::new(node.line, "authorization needs credentials"))?;
        fields.end(&[])?;
        found = Some(Authorization::Plain { scheme, credentials });
    }
    if let Some(node) = http.take("basic_auth") {
        if found.is_some() {
            return Err(Bad::new(node.line, "give authorization or basic_auth, not both"));
        }
        let mut fields = Fields::of(node, "basic_auth")?;
        let username = secret::take(&mut fields, "username", "username_file", dir)?;
        let (username, _) = username.ok_or_else(|| Bad::new(node.line, "basic_auth needs username"))?;
        let password = secret::take(&mut fields, "password", "password_file", dir)?;
        let password = password.map_or_else(|| Secret::new(""), |(password, _)| password);
        fields.end(&[])?;
        found = Some(Authorization::Basic { username: username.reveal().into(), password });
    }
    http.end(&[
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
    Ok(found)
}
