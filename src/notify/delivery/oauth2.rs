//! Tokens that are asked for before a request: with the client's credentials (RFC 6749, 4.4), kept until they run out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::http_clients::{plain_error, read_some};
use super::{Clients, Report, Verdict};
use crate::config::OAuth2;

/// A token is not used any more when it has so long to live: the request it is for takes a while.
const LEFT_MIN: Duration = Duration::from_secs(10);
/// What a token without a term is taken for.
const TERM: Duration = Duration::from_secs(3_600);
/// A token that is refused so long after it was given was revoked, and a new one may do.
const REVOKED_AFTER: Duration = Duration::from_secs(30);

#[derive(Clone)]
struct Token {
    text: String,
    given: Instant,
    until: Instant,
}

/// The tokens at hand: one for each `oauth2` of the configuration, which are few.
#[derive(Clone, Default)]
pub(super) struct Tokens(Arc<Mutex<Vec<(OAuth2, Token)>>>);

impl Tokens {
    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets a token that its receiver refused. Whether another one may do better.
    pub(super) fn refused(&self, of: &OAuth2) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = known.iter().position(|(other, _)| other == of) else { return false };
        let (_, token) = known.swap_remove(at);
        token.given.elapsed() >= REVOKED_AFTER
    }

    /// A token that is good for a request now, at hand or asked for within `limit`.
    pub(super) async fn of(&self, of: &OAuth2, clients: &Clients, limit: Duration) -> Result<String, Report> {
        let now = Instant::now();
        let fit = |(other, token): &&(OAuth2, Token)| other == of && token.until > now + LEFT_MIN;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().find(fit).cloned();
        if let Some((_, token)) = known {
            return Ok(token.text);
        }
        let too_late = |_| Report::new(Verdict::Transient { unsure: false }, 0, "oauth2: the token came too late");
        let token = tokio::time::timeout(limit, ask(of, clients)).await.map_err(too_late)??;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(other, _)| other != of);
        known.push((of.clone(), token.clone()));
        Ok(token.text)
    }
}

/// Asks with the credentials in a header, as the RFC wants it, and where that is refused in the body, as some servers do.
async fn ask(of: &OAuth2, clients: &Clients) -> Result<Token, Report> {
    let refused = |status: u16, words: &str| Report::new(Verdict::Refused, status, &format!("oauth2: {words}"));
    let passing = |status: u16, words: &str| {
        Report::new(Verdict::Transient { unsure: false }, status, &format!("oauth2: {words}"))
    };
    let client = clients.of(&of.way).map_err(|reason| refused(0, &reason))?;
    for in_header in [true, false] {
        let mut request = client.post(&of.token_url).header("accept", "application/json");
        if in_header {
            let coded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            request = request.basic_auth(coded(&of.client_id), Some(coded(of.client_secret.reveal())));
        }
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form(of, !in_header));
        let response = request.send().await.map_err(|error| passing(0, &plain_error(error)))?;
        let status = response.status().as_u16();
        let given = Instant::now();
        let text = read_some(response).await;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        match (status, answer["access_token"].as_str()) {
            (200..=299, Some(token)) if !token.is_empty() => {
                let seconds = answer["expires_in"].as_u64().or_else(|| answer["expires_in"].as_str()?.parse().ok());
                let term = seconds.filter(|seconds| *seconds > 0).map_or(TERM, Duration::from_secs);
                let until = given.checked_add(term).unwrap_or(given + TERM);
                return Ok(Token { text: token.to_owned(), given, until });
            }
            // Its answer may hold a secret.
            (200..=299, _) => return Err(refused(status, "the token's server gave no access_token")),
            (408 | 429 | 500.., _) => return Err(passing(status, &format!("HTTP {status} {text}"))),
            (400 | 401, _) if in_header => {}
            _ => return Err(refused(status, &format!("HTTP {status} {text}"))),
        }
    }
    Err(refused(0, "the token's server refuses the client"))
}

fn form(of: &OAuth2, with_credentials: bool) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if !of.scopes.is_empty() {
        form.append_pair("scope", &of.scopes.join(" "));
    }
    form.extend_pairs(&of.params);
    if with_credentials {
        form.append_pair("client_id", &of.client_id).append_pair("client_secret", of.client_secret.reveal());
    }
    form.finish()
}
