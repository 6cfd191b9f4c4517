//! What stands around every page: navigation, clock, footer.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::header;

use super::asked::Asked;
use super::assets::CSS_HREF;
use super::failure::Failure;
use super::text::Stamp;

pub(crate) struct Frame {
    pub(crate) css_href: &'static str,
    pub(crate) nav: Vec<NavItem>,
    pub(crate) now: Stamp,
    /// Empty for the default one.
    pub(crate) tenant: String,
    pub(crate) version: &'static str,
}

pub(crate) struct NavItem {
    pub(crate) href: &'static str,
    pub(crate) name: &'static str,
    pub(crate) current: bool,
    /// Alerts to show at this entry.
    pub(crate) firing: usize,
}

const NAV: [(&str, &str); 5] = [
    ("/", "Overview"),
    ("/explore", "Metrics"),
    ("/logs", "Logs"),
    ("/alerts", "Alerts"),
    ("/notifications", "Deliveries"),
];

impl Frame {
    /// The frame of the page at `path`, one of the navigation's.
    pub(crate) fn new(asked: &Asked, path: &str, firing: usize) -> Frame {
        Frame::plain(asked.tenant.as_str(), asked.state.settings.version, asked.now_ms, path, firing)
    }

    pub(crate) fn plain(tenant: &str, version: &'static str, now_ms: i64, path: &str, firing: usize) -> Frame {
        Frame {
            css_href: &CSS_HREF,
            nav: nav(path, firing),
            now: Stamp::of_ms(now_ms, now_ms),
            tenant: if tenant == model::TenantId::DEFAULT { String::new() } else { tenant.into() },
            version,
        }
    }
}

fn nav(path: &str, firing: usize) -> Vec<NavItem> {
    NAV.iter()
        .map(|(href, name)| NavItem {
            href,
            name,
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
