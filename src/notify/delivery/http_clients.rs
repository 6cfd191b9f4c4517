//! The clients that speak HTTP: made once, with the same roots, time-outs and manners.
//!
//! Roots are built in: the appliance runs where there is no system store.

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use slack_morphism::prelude::SlackClientHyperConnector;

use crate::timing::Timing;

#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) http: reqwest::Client,
    pub(crate) slack: HttpsConnector<HttpConnector>,
}

impl Clients {
    pub(crate) fn new(timing: &Timing) -> Clients {
        let connect = Duration::from_millis(timing.connect_timeout_ms);
        let mut roots = rustls::RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring offers TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .connect_timeout(connect)
            // A redirect would carry keys to somewhere else.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("binnacle/", env!("CARGO_PKG_VERSION")))
            .build()
            .expect("TLS is given, and nothing else of a client can fail to be made");
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(connect));
        let slack = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        Clients { http, slack }
    }

    /// Slack's client against a base URL.
    pub(crate) fn slack(&self, base: &str) -> SlackClientHyperConnector<HttpsConnector<HttpConnector>> {
        SlackClientHyperConnector::with_connector(self.slack.clone()).with_slack_api_url(base)
    }
}

/// Longest answer read, in bytes; more of it would only be a page meant for people.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// An error's words without its URL, which may be a secret.
pub(super) fn plain_error(error: reqwest::Error) -> String {
    chain_words(&error.without_url())
}

/// An error and what caused it, in one line.
pub(super) fn chain_words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        if !words.ends_with(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        cause = next.source();
    }
    words
}

/// The seconds of `Retry-After`, in ms; at most an hour. Dates are not used by the providers we speak to.
pub(super) fn retry_after_ms(headers: &http::HeaderMap) -> Option<i64> {
    let seconds: i64 = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds.clamp(0, 3_600) * 1_000)
}

/// The beginning of an answer's body; empty when it cannot be read.
pub(super) async fn read_some(mut response: reqwest::Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= ANSWER_BYTES_MAX {
            body.truncate(ANSWER_BYTES_MAX);
            break;
        }
    }
    String::from_utf8_lossy(&body).trim().to_owned()
}

/// A whole answer; `None` when it is longer than `bytes_max` or breaks off.
pub(super) async fn read_whole(mut response: reqwest::Response, bytes_max: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > bytes_max {
            return None;
        }
    }
    Some(body)
}
