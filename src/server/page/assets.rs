//! The stylesheet and the script, built in. Their addresses hold a hash of their content, so browsers may keep them for ever.

use std::sync::LazyLock;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;
use sha2::{Digest, Sha256};

use crate::State;

pub(super) const CSS: &str = include_str!("../../../web/app.css");

/// `/-/app.3f9c….css`.
pub(super) static CSS_HREF: LazyLock<String> = LazyLock::new(|| {
    let hash = Sha256::digest(CSS);
    format!("/-/app.{}.css", model::any::hex(&hash[..6]))
});

const JS: &str = include_str!("../../../web/logs.js");

/// `/-/logs.3f9c….js`.
pub(super) static JS_HREF: LazyLock<String> = LazyLock::new(|| {
    let hash = Sha256::digest(JS);
    format!("/-/logs.{}.js", model::any::hex(&hash[..6]))
});

pub(super) fn router() -> Router<State> {
    Router::new().route(&CSS_HREF, get(css)).route(&JS_HREF, get(js))
}

async fn js() -> impl IntoResponse {
    (
        [
            (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ],
        JS,
    )
}

async fn css() -> impl IntoResponse {
    (
        [
            (header::CONTENT_TYPE, "text/css; charset=utf-8"),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ],
        CSS,
    )
}
