//! One request to a target, its answer bounded in time and bytes.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use codec::exposition::Format;
use flate2::bufread::MultiGzDecoder;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{StatusCode, Url};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::{FallbackProtocol, Scrape, ScrapeProtocol};
use crate::outgoing::credentials::Credentials;
use crate::outgoing::{plain_error, tls};

/// Tells a target how long it may take, in seconds.
const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
/// Most redirects followed, as Go's client does.
const REDIRECTS_MAX: usize = 10;
/// How much of an answer is unpacked at a time, in bytes.
const STEP_BYTES: usize = 64 << 10;

/// How the targets of a job are asked.
pub(super) struct Client {
    http: reqwest::Client,
    credentials: Credentials,
    headers: HeaderMap,
    body_bytes_max: usize,
    fallback: Option<Format>,
}

/// What a target answered, with the share of memory that it holds.
pub(super) struct Answer {
    body: Vec<u8>,
    is_packed: bool,
    pub(super) format: Format,
    share: Share,
    body_bytes_max: usize,
}

/// A share of the memory of all answers in work.
struct Share {
    of: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Client {
    pub(super) fn new(job: &Scrape) -> Result<Client, String> {
        let redirects = if job.follow_redirects {
            reqwest::redirect::Policy::limited(REDIRECTS_MAX)
        } else {
            reqwest::redirect::Policy::none()
        };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(job.ca_file.as_deref(), job.insecure_skip_verify)?)
            .redirect(redirects)
            // Targets are named one by one; a proxy of the environment is meant for something else.
            .no_proxy()
            .user_agent(concat!("binnacle/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string())?;
        let credentials = Credentials::new(&job.basic_auth, &job.bearer_token, &job.bearer_token_file)?;
        let mut headers = HeaderMap::new();
        let accept = HeaderValue::from_str(&accept(job.protocols())).map_err(|error| error.to_string())?;
        headers.insert(header::ACCEPT, accept);
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let fallback = job.fallback_protocol.map(|protocol| match protocol {
            FallbackProtocol::Text => Format::Text,
            FallbackProtocol::OpenMetrics => Format::OpenMetrics,
            FallbackProtocol::Protobuf => Format::Protobuf,
        });
        Ok(Client { http, credentials, headers, body_bytes_max: job.body_size_limit.usize(), fallback })
    }

    /// Asks once. The answer is still packed if it came so.
    ///
    /// # Errors
    /// A sentence on why there is no usable answer.
    pub(super) async fn fetch(&self, url: &Url, timeout: Duration, bodies: &Arc<Semaphore>) -> Result<Answer, String> {
        match tokio::time::timeout(timeout, self.ask(url, timeout, bodies)).await {
            Ok(answered) => answered,
            Err(_) => Err(format!("no whole answer within {} s (timeout)", timeout.as_secs_f64())),
        }
    }

    async fn ask(&self, url: &Url, timeout: Duration, bodies: &Arc<Semaphore>) -> Result<Answer, String> {
        let request = self.http.get(url.clone()).headers(self.headers.clone());
        let request = request.header(TIMEOUT_HEADER, timeout.as_secs_f64().to_string());
        let request = self.credentials.add_to(request).await?;
        let mut response = request.send().await.map_err(plain_error)?;
        if response.status() != StatusCode::OK {
            return Err(format!("the target answered with HTTP status {}", response.status()));
        }
        let said = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type = said(header::CONTENT_TYPE);
        let format = Format::of_content_type(content_type).or(self.fallback).ok_or_else(|| {
            format!(
                "the Content-Type {content_type:?} is none of text/plain, application/openmetrics-text and \
                 application/vnd.google.protobuf; if the target means one of them, set fallback_protocol"
            )
        })?;
        let is_packed = match said(header::CONTENT_ENCODING).to_ascii_lowercase().as_str() {
            "" | "identity" => false,
            "gzip" => true,
            other => return Err(format!("the Content-Encoding {other:?} was not asked for")),
        };
        let mut answer = Answer {
            body: Vec::new(),
            is_packed,
            format,
            share: Share { of: bodies.clone(), held: None, bytes: 0 },
            body_bytes_max: self.body_bytes_max,
        };
        while let Some(chunk) = response.chunk().await.map_err(plain_error)? {
            if answer.body.len() + chunk.len() > self.body_bytes_max {
                return Err(too_large(self.body_bytes_max));
            }
            answer.share.grow(chunk.len())?;
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}

/// What is accepted, the first of these formats before the others, and at last anything; the weights are Prometheus'.
fn accept(protocols: &[ScrapeProtocol]) -> String {
    let types = protocols.iter().map(|protocol| protocol.media_type()).chain(["*/*"]);
    let weighed = types.zip((1..=6).rev()).map(|(media_type, tenths)| format!("{media_type};q=0.{tenths}"));
    weighed.collect::<Vec<_>>().join(",")
}

impl Answer {
    /// The plain body. CPU-bound.
    pub(super) fn unpacked(&mut self) -> Result<&[u8], String> {
        if self.is_packed {
            let mut decoder = MultiGzDecoder::new(self.body.as_slice());
            let mut plain = Vec::new();
            loop {
                self.share.grow(STEP_BYTES)?;
                let read = (&mut decoder).take(STEP_BYTES as u64).read_to_end(&mut plain);
                let read = read.map_err(|error| format!("the gzip answer is broken: {error}"))?;
                if plain.len() > self.body_bytes_max {
                    return Err(too_large(self.body_bytes_max));
                }
                if read < STEP_BYTES {
                    break;
                }
            }
            self.body = plain;
            self.is_packed = false;
        }
        Ok(&self.body)
    }
}

impl Share {
    /// Takes `bytes` more, rounded to KiB of what is held in all.
    fn grow(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes += bytes;
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = self.bytes.div_ceil(1 << 10).saturating_sub(held);
        if wanted == 0 {
            return Ok(());
        }
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let more = self.of.clone().try_acquire_many_owned(wanted).map_err(|_| {
            "the answers of all targets in work take too much memory; scrape fewer or smaller ones at a time".to_owned()
        })?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

fn too_large(bytes_max: usize) -> String {
    format!("the answer is larger than {bytes_max} bytes (body_size_limit)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_asked_for_in_their_order() {
        let check = |more: &str, expected: &str| {
            let job: Scrape = toml::from_str(more).unwrap();
            assert_eq!(accept(job.protocols()), expected);
        };
        let native = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        let [open, older_open] = [
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
            "application/openmetrics-text;version=0.0.1",
        ];
        let [text, older_text] = ["text/plain;version=1.0.0;escaping=allow-utf-8", "text/plain;version=0.0.4"];
        check("", &format!("{open};q=0.6,{older_open};q=0.5,{text};q=0.4,{older_text};q=0.3,*/*;q=0.2"));
        check(
            "scrape_native_histograms = true",
            &format!("{native};q=0.6,{open};q=0.5,{older_open};q=0.4,{text};q=0.3,{older_text};q=0.2,*/*;q=0.1"),
        );
        check(
            "scrape_native_histograms = true\nscrape_protocols = ['PrometheusText0.0.4', 'PrometheusProto']",
            &format!("{older_text};q=0.6,{native};q=0.5,*/*;q=0.4"),
        );
    }
}
