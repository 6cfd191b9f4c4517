//! `webhook_configs`: any program that takes Alertmanager's JSON, version 4.

use std::path::Path;

use url::Url;

use super::fields::Fields;
use super::http::HttpConfig;
use super::receiver::Globals;
use super::secret::{self, Secret};
use super::tree::{Bad, Node};

#[derive(Debug, Clone)]
pub(crate) struct WebhookConfig {
    /// May hold a key in its path or query, so it is never shown. May be a template.
    pub(crate) url: Secret,
    /// In place of Alertmanager's JSON.
    pub(crate) payload: Option<Payload>,
    pub(crate) http: HttpConfig,
    /// Key of `X-Signature`, an HMAC-SHA256 of the body.
    pub(crate) signing_key: Option<Secret>,
    /// Most alerts in one request; 0 for no bound.
    pub(crate) max_alerts: usize,
    /// Of one attempt; the room's own limit holds as well.
    pub(crate) timeout_ms: Option<u64>,
}

/// A body of the user's own making.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    /// As it stands in the file: its keys and texts are templates.
    Template(Node),
    /// The JSON for one message.
    Rendered(String),
}

pub(crate) fn read(mut fields: Fields<'_>, globals: &Globals, dir: &Path) -> Result<WebhookConfig, Bad> {
    let line = fields.line;
    let (url, url_line) = secret::take(&mut fields, "url", "url_file", dir)?
        .ok_or_else(|| Bad::new(line, "a webhook needs url or url_file"))?;
    // What a template gives is known when there is a message.
    if !url.reveal().contains("{{") {
        check_url(url.reveal()).map_err(|reason| Bad::new(url_line, reason))?;
    }
    let http = HttpConfig::take(&mut fields, &globals.http, dir)?;
    let max_alerts = match fields.text("max_alerts")? {
        None => 0,
        Some((text, line)) => text
            .parse()
            .map_err(|_| Bad::new(line, format!("max_alerts must be a number of alerts, 0 for all, not {text:?}")))?,
    };
    let timeout_ms = fields.timeout_ms()?;
    let signing_key = match fields.take("x") {
        None => None,
        Some(node) => {
            let mut x = Fields::of(node, "x of webhook_configs")?;
            let key = secret::take(&mut x, "hmac_secret", "hmac_secret_file", dir)?.map(|(key, _)| key);
            x.end(&[])?;
            key
        }
    };
    let payload = fields.take("payload").cloned().map(Payload::Template);
    fields.end(&[])?;
    Ok(WebhookConfig { url, payload, http, signing_key, max_alerts, timeout_ms })
}

/// Whether a request can be sent there. The URL is a secret: it never stands in a message.
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    let parsed = Url::parse(url).map_err(|error| format!("url is not a URL: {error}"))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() {
        return Err("a webhook's url must start with http:// or https://".into());
    }
    Ok(())
}
