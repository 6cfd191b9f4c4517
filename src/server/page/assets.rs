//! The stylesheet and the scripts, built in. Their addresses hold a hash of their content, so browsers may keep them for ever.

use std::sync::LazyLock;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;
use sha2::{Digest, Sha256};

use crate::State;

pub(super) const CSS: &str = include_str!("../../../web/app.css");
const APP_JS: &str = include_str!("../../../web/app.js");
const CHARTS_JS: &str = include_str!("../../../web/charts.js");
const SUGGEST_JS: &str = include_str!("../../../web/suggest.js");

/// `/-/app.3f9c….css`.
pub(super) static CSS_HREF: LazyLock<String> = LazyLock::new(|| href("app", CSS, "css"));
/// Keys, copying, live tail, refreshing.
pub(super) static APP_JS_HREF: LazyLock<String> = LazyLock::new(|| href("app", APP_JS, "js"));
/// Crosshair and zoom.
pub(super) static CHARTS_JS_HREF: LazyLock<String> = LazyLock::new(|| href("charts", CHARTS_JS, "js"));
/// Suggestions while a query is typed; loaded when somebody begins to.
pub(super) static SUGGEST_JS_HREF: LazyLock<String> = LazyLock::new(|| href("suggest", SUGGEST_JS, "js"));

fn href(name: &str, content: &str, kind: &str) -> String {
    let hash = Sha256::digest(content);
    format!("/-/{name}.{}.{kind}", model::any::hex(&hash[..6]))
}

pub(super) fn router() -> Router<State> {
    Router::new()
        .route(&CSS_HREF, get(async || asset("text/css; charset=utf-8", CSS)))
        .route(&APP_JS_HREF, get(async || asset("text/javascript; charset=utf-8", APP_JS)))
        .route(&CHARTS_JS_HREF, get(async || asset("text/javascript; charset=utf-8", CHARTS_JS)))
        .route(&SUGGEST_JS_HREF, get(async || asset("text/javascript; charset=utf-8", SUGGEST_JS)))
}

fn asset(content_type: &'static str, content: &'static str) -> impl IntoResponse {
    let forever = "public, max-age=31536000, immutable";
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, forever)], content)
}
