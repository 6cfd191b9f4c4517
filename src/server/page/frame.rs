//! What stands around every page: navigation, clock, footer.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::header;

use super::asked::Asked;
use super::assets::{APP_JS_HREF, CHARTS_JS_HREF, CSS_HREF};
use super::failure::Failure;
use super::text::{Stamp, one_line, span};

pub(crate) struct Frame {
    pub(crate) css_href: &'static str,
    pub(crate) scripts: [&'static str; 2],
    pub(crate) nav: Vec<NavItem>,
    pub(crate) now: Stamp,
    /// Whether there are forms that change what people are told.
    pub(crate) may_change: bool,
    /// Empty for the default one.
    pub(crate) tenant: String,
    pub(crate) version: &'static str,
    /// What nobody could be told, in a line; empty when there is nothing.
    pub(crate) undelivered: String,
}

pub(crate) struct NavItem {
    pub(crate) href: &'static str,
    pub(crate) name: &'static str,
    pub(crate) current: bool,
    /// Otherwise it stands at the foot of a phone's page.
    pub(crate) is_first: bool,
    /// Alerts to show at this entry.
    pub(crate) firing: usize,
}

/// Address, name, and whether it stands in the bar of a phone too, where there is room for four and the way to the others.
const NAV: [(&str, &str, bool); 9] = [
    ("/", "Overview", true),
    ("/explore", "Metrics", true),
    ("/logs", "Logs", true),
    ("/alerts", "Alerts", true),
    ("/d", "Dashboards", false),
    ("/silences", "Silences", false),
    ("/notifications", "Deliveries", false),
    ("/ingest", "Intake", false),
    ("/settings", "Settings", false),
];

impl Frame {
    /// The frame of the page at `path`, one of the navigation's.
    pub(crate) fn new(asked: &Asked, path: &str, firing: usize) -> Frame {
        let frame = Frame::plain(asked.tenant.as_str(), asked.state.settings.version, asked.now_ms, path, firing);
        let undelivered = asked.alerting().map(|alerting| alerting.notifier.undelivered()).unwrap_or_default();
        let undelivered = undelivered_line(&undelivered, asked.now_ms);
        Frame { undelivered, may_change: asked.may_change, ..frame }
    }

    pub(crate) fn plain(tenant: &str, version: &'static str, now_ms: i64, path: &str, firing: usize) -> Frame {
        Frame {
            css_href: &CSS_HREF,
            scripts: [&APP_JS_HREF, &CHARTS_JS_HREF],
            nav: nav(path, firing),
            now: Stamp::of_ms(now_ms, now_ms),
            may_change: true,
            tenant: if tenant == model::TenantId::DEFAULT { String::new() } else { tenant.into() },
            version,
            undelivered: String::new(),
        }
    }
}

fn undelivered_line(undelivered: &[notify::Undelivered], now_ms: i64) -> String {
    let Some(first) = undelivered.first() else { return String::new() };
    let more = if undelivered.len() > 1 { format!(" and {} more", undelivered.len() - 1) } else { String::new() };
    let late = span(now_ms - first.since_ms);
    one_line(
        &format!("{}{more}: nobody was reached for {late}. {}: {}", first.subject, first.channel, first.reason),
        400,
    )
}

fn nav(path: &str, firing: usize) -> Vec<NavItem> {
    NAV.iter()
        .map(|(href, name, is_first)| NavItem {
            href,
            name,
            is_first: *is_first,
            current: *href == path,
            firing: if *href == "/alerts" { firing } else { 0 },
        })
        .collect()
}

/// A rendered page. Never kept by shared caches, asked for again each time.
pub(crate) fn show(page: &impl Template) -> Result<Response, Failure> {
    Ok(([(header::CACHE_CONTROL, "private, no-cache")], Html(page.render()?)).into_response())
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame,
    title: &'a str,
    reason: &'a str,
}

/// A page that needs nothing but its words: it is shown when all else fails.
pub(crate) fn error_page(title: &str, reason: &str) -> Response {
    let frame = Frame::plain(model::TenantId::DEFAULT, env!("CARGO_PKG_VERSION"), crate::clock::now_ms(), "", 0);
    match (ErrorPage { frame, title, reason }).render() {
        Ok(text) => Html(text).into_response(),
        Err(_) => reason.to_string().into_response(),
    }
}
