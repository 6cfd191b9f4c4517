//! `pagerduty_configs`: the Events API v2, one incident per alert.

use std::path::Path;

use url::Url;

use super::fields::Fields;
use super::http::HttpConfig;
use super::receiver::{ChannelKind, Globals};
use super::secret::{self, Secret};
use super::tree::{Bad, Node};
use super::unsent::UnsentConfig;

const EVENTS_URL: &str = "https://events.pagerduty.com/v2/enqueue";
/// The severities of an event (Events API v2).
pub(crate) const SEVERITIES: [&str; 4] = ["critical", "error", "warning", "info"];

/// Keys of a link or an image, as the Events API has them, and their texts.
pub(crate) type Attached = Vec<(&'static str, String)>;

/// One of `details`.
#[derive(Debug, Clone)]
pub(crate) enum Detail {
    /// As it stands in the file, a text or a tree of them: its keys and texts are templates.
    Template(Node),
    /// For one message.
    Rendered(serde_json::Value),
}

/// Texts may be templates.
#[derive(Debug, Clone)]
pub(crate) struct PagerDutyConfig {
    pub(crate) routing_key: Secret,
    pub(crate) url: String,
    /// Said for every alert, whatever its own severity.
    pub(crate) severity: Option<String>,
    pub(crate) client: String,
    pub(crate) client_url: Option<String>,
    /// In place of the summary.
    pub(crate) description: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) class: Option<String>,
    pub(crate) component: Option<String>,
    pub(crate) group: Option<String>,
    /// Beside our own details.
    pub(crate) details: Vec<(String, Detail)>,
    /// Beside our own links.
    pub(crate) links: Vec<Attached>,
    pub(crate) images: Vec<Attached>,
    /// One incident for a group, as Alertmanager has it; otherwise one for each alert.
    pub(crate) by_group: bool,
    pub(crate) http: HttpConfig,
    /// Of one attempt; the room's own limit holds as well.
    pub(crate) timeout_ms: Option<u64>,
}

pub(crate) fn read(mut fields: Fields<'_>, globals: &Globals, dir: &Path) -> Result<ChannelKind, Bad> {
    let line = fields.line;
    let old = [fields.take("service_key"), fields.take("service_key_file")];
    let key = secret::take(&mut fields, "routing_key", "routing_key_file", dir)?;
    let routing_key = match key {
        Some((key, line)) if key.reveal().is_empty() => {
            return Err(Bad::new(line, "routing_key is empty: give the integration's key"));
        }
        Some((key, _)) => key,
        None if old.iter().any(Option::is_some) => return Ok(ChannelKind::Unsent(UnsentConfig::pagerduty_v1())),
        None => return Err(Bad::new(line, "a PagerDuty channel needs routing_key")),
    };
    let own = fields.text("url")?.map(|(text, line)| (text.to_owned(), line));
    let (url, url_line) = own.or_else(|| globals.pagerduty_url.clone()).unwrap_or((EVENTS_URL.into(), line));
    let parsed = Url::parse(&url).map_err(|error| Bad::new(url_line, format!("{url:?} is not a URL: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(Bad::new(url_line, format!("PagerDuty's url must start with https://, not {url:?}")));
    }
    let severity = match fields.text("severity")? {
        Some((text, line)) if !text.contains("{{") && !SEVERITIES.contains(&text) => {
            return Err(Bad::new(line, format!("severity must be one of {}, not {text:?}", SEVERITIES.join(", "))));
        }
        found => found.map(|(text, _)| text.to_owned()),
    };
    let details = fields.map("details")?.iter();
    let details = details.map(|entry| (entry.key.clone(), Detail::Template(entry.node.clone()))).collect();
    let by_group = match fields.take("x") {
        None => false,
        Some(node) => {
            let mut x = Fields::of(node, "x of pagerduty_configs")?;
            let by_group = match x.text("dedup_scope")? {
                None | Some(("alert", _)) => false,
                Some(("group", _)) => true,
                Some((other, line)) => {
                    return Err(Bad::new(line, format!("dedup_scope is alert or group, not {other:?}")));
                }
            };
            x.end(&[])?;
            by_group
        }
    };
    let config = PagerDutyConfig {
        routing_key,
        url,
        severity,
        client: fields.template("client")?.unwrap_or_else(|| "Binnacle".into()),
        client_url: fields.template("client_url")?,
        description: fields.template("description")?,
        source: fields.template("source")?,
        class: fields.template("class")?,
        component: fields.template("component")?,
        group: fields.template("group")?,
        details,
        links: attached(&mut fields, "links", &["href", "text"])?,
        images: attached(&mut fields, "images", &["src", "href", "alt"])?,
        by_group,
        http: HttpConfig::take(&mut fields, &globals.http, dir)?,
        timeout_ms: fields.timeout_ms()?,
    };
    fields.end(&[])?;
    Ok(ChannelKind::PagerDuty(Box::new(config)))
}

fn attached(fields: &mut Fields<'_>, list: &'static str, keys: &[&'static str]) -> Result<Vec<Attached>, Bad> {
    let one = |item: &Node| {
        let mut fields = Fields::of(item, list)?;
        let mut texts = Vec::new();
        for key in keys {
            texts.extend(fields.template(key)?.map(|text| (*key, text)));
        }
        fields.end(&[])?;
        Ok(texts)
    };
    fields.list(list)?.iter().map(one).collect()
}
