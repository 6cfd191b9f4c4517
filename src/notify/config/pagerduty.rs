//! `pagerduty_configs`: the Events API v2, one incident per alert.

use std::path::Path;

use url::Url;

use super::fields::{Fields, plain};
use super::receiver::Globals;
use super::secret::{self, Secret};
use super::tree::Bad;

const EVENTS_URL: &str = "https://events.pagerduty.com/v2/enqueue";
/// The severities of an event (Events API v2).
pub(crate) const SEVERITIES: [&str; 4] = ["critical", "error", "warning", "info"];

#[derive(Debug, Clone)]
pub(crate) struct PagerDutyConfig {
    pub(crate) routing_key: Secret,
    pub(crate) url: String,
    /// Said for every alert, whatever its own severity.
    pub(crate) severity: Option<String>,
    pub(crate) client: String,
}

pub(crate) fn read(mut fields: Fields<'_>, globals: &Globals, dir: &Path) -> Result<PagerDutyConfig, Bad> {
    let line = fields.line;
    for old in ["service_key", "service_key_file"] {
        if let Some(node) = fields.take(old) {
            return Err(Bad::new(
                node.line,
                format!(
                    "{old} belongs to the Events API v1, which PagerDuty retires; make an Events API v2 integration and give its routing_key"
                ),
            ));
        }
    }
    let key = secret::take(&mut fields, "routing_key", "routing_key_file", dir)?;
    let (routing_key, _) = key.ok_or_else(|| Bad::new(line, "a PagerDuty channel needs routing_key"))?;
    let own = fields.text("url")?.map(|(text, line)| (text.to_owned(), line));
    let (url, url_line) = own.or_else(|| globals.pagerduty_url.clone()).unwrap_or((EVENTS_URL.into(), line));
    let parsed = Url::parse(&url).map_err(|error| Bad::new(url_line, format!("{url:?} is not a URL: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(Bad::new(url_line, format!("PagerDuty's url must start with https://, not {url:?}")));
    }
    let severity = match fields.text("severity")? {
        None => None,
        Some((text, line)) => {
            let text = plain(text, "severity", line)?;
            if !SEVERITIES.contains(&text.as_str()) {
                return Err(Bad::new(line, format!("severity must be one of {}, not {text:?}", SEVERITIES.join(", "))));
            }
            Some(text)
        }
    };
    let client = fields.plain_text("client")?.unwrap_or_else(|| "Binnacle".into());
    fields.end(&[
        "client_url",
        "description",
        "details",
        "images",
        "links",
        "source",
        "component",
        "group",
        "class",
        "http_config",
        "timeout",
    ])?;
    Ok(PagerDutyConfig { routing_key, url, severity, client })
}
