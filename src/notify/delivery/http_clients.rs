//! The clients that speak HTTP: one for each way that the configuration asks for, all with the same time-outs and manners.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{DATE, RETRY_AFTER};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{NoProxy, Proxy as HttpProxy, RequestBuilder};

use super::oauth2::Tokens;
use super::{Report, Verdict};
use crate::config::{Authorization, HttpConfig, Proxy, Way};
use crate::timing::Timing;

/// Longest answer read, in bytes; more of it would only be a page meant for people.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// Longest wait that an answer may ask for, in seconds: whoever asks for more is asked again then.
const RETRY_AFTER_MAX_S: i64 = 3_600;
/// Redirects followed for one request.
const REDIRECTS_MAX: usize = 5;

/// A cheap handle to the clients.
#[derive(Clone)]
pub(crate) struct Clients {
    connect: Duration,
    /// As many as the configuration has ways, which are few.
    made: Arc<Mutex<Vec<(Way, reqwest::Client)>>>,
    tokens: Tokens,
}

impl Clients {
    pub(crate) fn new(timing: &Timing) -> Clients {
        Clients {
            connect: Duration::from_millis(timing.connect_timeout_ms),
            made: Arc::default(),
            tokens: Tokens::default(),
        }
    }

    /// The configuration is another one: the next request makes its client again, with what files hold by then.
    pub(crate) fn forget(&self) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.tokens.forget();
    }

    /// The client for a way, or what is wrong with it.
    pub(crate) fn of(&self, way: &Way) -> Result<reqwest::Client, String> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = made.iter().find(|(known, _)| known == way) {
            return Ok(client.clone());
        }
        let client = client(way, self.connect)?;
        made.push((way.clone(), client.clone()));
        Ok(client)
    }

    /// As [`Clients::post`], with a token asked for where the configuration wants one; both end within `limit`.
    pub(super) async fn post_with_token(
        &self,
        http: &HttpConfig,
        url: &str,
        limit: Duration,
    ) -> Result<RequestBuilder, Report> {
        let request = self.post(http, url).map_err(|reason| Report::new(Verdict::Refused, 0, &reason))?;
        match &http.authorization {
            Some(Authorization::OAuth2(oauth2)) => {
                let began = Instant::now();
                let token = self.tokens.of(oauth2, self, limit / 2).await?;
                Ok(request.bearer_auth(token).timeout(limit.saturating_sub(began.elapsed())))
            }
            _ => Ok(request.timeout(limit)),
        }
    }

    /// What an answer of 401 means: that the configuration is wrong, or that a token was revoked and another one may do.
    pub(super) fn unauthorized(&self, http: &HttpConfig) -> Verdict {
        match &http.authorization {
            Some(Authorization::OAuth2(oauth2)) if self.tokens.refused(oauth2) => Verdict::Transient { unsure: false },
            _ => Verdict::Refused,
        }
    }

    /// A POST as a channel's configuration wants it, with its headers and what authorization it has at hand.
    pub(super) fn post(&self, http: &HttpConfig, url: &str) -> Result<RequestBuilder, String> {
        let mut request = self.of(&http.way)?.post(url);
        for (name, value) in &http.headers {
            request = request.header(name, value.reveal());
        }
        Ok(match &http.authorization {
            None | Some(Authorization::OAuth2(_)) => request,
            Some(Authorization::Plain { scheme, credentials }) => {
                request.header("authorization", format!("{scheme} {}", credentials.reveal()))
            }
            Some(Authorization::Basic { username, password }) => request.basic_auth(username, Some(password.reveal())),
        })
    }
}

fn client(way: &Way, connect: Duration) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(crate::tls::client(&way.tls)?)
        .connect_timeout(connect)
        .redirect(redirects(way.follow_redirects))
        .user_agent(concat!("binnacle/", env!("CARGO_PKG_VERSION")));
    if way.http1_only {
        builder = builder.http1_only();
    }
    builder = match &way.proxy {
        Proxy::None => builder.no_proxy(),
        Proxy::Environment => builder,
        Proxy::At { url, except, headers } => {
            let mut proxy = HttpProxy::all(url.reveal()).map_err(plain_error)?.no_proxy(NoProxy::from_string(except));
            if !headers.is_empty() {
                let pairs = headers.iter().map(|(name, value)| {
                    let name = http::HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
                    Ok((name, http::HeaderValue::from_str(value.reveal()).map_err(|error| error.to_string())?))
                });
                proxy = proxy.headers(pairs.collect::<Result<http::HeaderMap, String>>()?);
            }
            builder.proxy(proxy)
        }
    };
    builder.build().map_err(plain_error)
}

/// Follows where the request stays the same one: the older codes turn a POST into a GET, whose 200 would pass for a yes. Never from
/// encryption into the clear.
fn redirects(wanted: Option<bool>) -> Policy {
    if wanted == Some(false) {
        return Policy::none();
    }
    Policy::custom(move |attempt: Attempt<'_>| {
        let Some(from) = attempt.previous().last() else { return attempt.stop() };
        let to = attempt.url();
        let keeps_method = matches!(attempt.status().as_u16(), 307 | 308);
        let same_host = from.host() == to.host() && from.port_or_known_default() == to.port_or_known_default();
        let in_the_clear = from.scheme() == "https" && to.scheme() != "https";
        let is_fit = keeps_method && !in_the_clear && (same_host || wanted == Some(true));
        if is_fit && attempt.previous().len() <= REDIRECTS_MAX { attempt.follow() } else { attempt.stop() }
    })
}

/// An error's words without its URL, which may be a secret.
pub(super) fn plain_error(error: reqwest::Error) -> String {
    model::cause::words(&error.without_url())
}

/// How long `Retry-After` asks to wait, in ms; at most an hour. A date counts from that of the answer, as its server's clock may not be
/// ours.
pub(super) fn retry_after_ms(headers: &http::HeaderMap) -> Option<i64> {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok()).map(str::trim);
    retry_after_of(text(RETRY_AFTER)?, text(DATE), Timestamp::now())
}

fn retry_after_of(said: &str, answered: Option<&str>, now: Timestamp) -> Option<i64> {
    let time_of = |text: &str| DateTimeParser::new().parse_timestamp(text).ok();
    let seconds = match said.parse() {
        Ok(seconds) => seconds,
        Err(_) => time_of(said)?.as_second() - answered.and_then(time_of).unwrap_or(now).as_second(),
    };
    Some(seconds.clamp(0, RETRY_AFTER_MAX_S) * 1_000)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_asked_for_in_seconds_or_until_a_date() {
        let now = Timestamp::from_second(784_111_777).unwrap(); // 1994-11-06 08:49:37
        let check = |said: &str, answered: Option<&str>, expected: Option<i64>| {
            let found = retry_after_of(said, answered, now).map(|ms| ms / 1_000);
            assert_eq!(found, expected, "{said} {answered:?}");
        };
        check("30", None, Some(30));
        check("0", None, Some(0));
        check("-1", None, Some(0));
        check("86400", None, Some(3_600));
        check("Sun, 06 Nov 1994 08:50:37 GMT", None, Some(60));
        // By the server's clock, which is ten minutes ahead.
        check("Sun, 06 Nov 1994 09:00:37 GMT", Some("Sun, 06 Nov 1994 08:59:37 GMT"), Some(60));
        check("Sun, 06 Nov 1994 08:50:37 GMT", Some("yesterday"), Some(60));
        check("Sun, 06 Nov 1994 08:00:00 GMT", None, Some(0));
        check("Mon, 06 Nov 2094 08:00:00 GMT", None, None);
        check("Sat, 06 Nov 2094 08:00:00 GMT", None, Some(3_600));
        check("soon", None, None);
        check("", None, None);
        check("1e3", None, None);
    }
}
