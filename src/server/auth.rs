//! Who asks, and for which tenant: the first thing at every door.
//!
//! With auth off the tenant is `X-Scope-OrgID` or the default one, and only loopback names are answered. With tokens the
//! tenant is the token's. Handlers find a [`TenantId`] among the request's extensions, and cannot be reached without; beside it the
//! token's [`Scope`], where tokens are asked.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use http::request::Parts;
use http::{HeaderMap, header};
use model::{Kind, TenantId};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use store::{Scope, Token};

use crate::error::Fault;
use crate::face::{self, Face};
use crate::{AuthMode, State, host};

/// How long a token is believed without asking the store again: the time until a revocation is felt.
const TOKEN_TTL: Duration = Duration::from_secs(5);
/// Most tokens remembered; more than a deployment has, few enough to be cheap to look through.
const TOKENS_MAX: usize = 1024;
/// Longest secret looked at, in bytes; ours have fewer than 100.
const SECRET_BYTES_MAX: usize = 512;

/// Tokens seen a moment ago, by the SHA-256 of their secret, so that not every request reads the disk.
///
/// Unknown secrets are not remembered: a new token works at once, and guesses cannot push good ones out.
#[derive(Default)]
pub(crate) struct KnownTokens(Mutex<HashMap<[u8; 32], (Instant, Token)>>);

impl KnownTokens {
    fn get(&self, hash: &[u8; 32], now: Instant) -> Option<Token> {
        let known = self.0.lock();
        let (since, token) = known.get(hash)?;
        (now.duration_since(*since) < TOKEN_TTL).then(|| token.clone())
    }

    fn put(&self, hash: [u8; 32], token: Token, now: Instant) {
        let mut known = self.0.lock();
        if known.len() >= TOKENS_MAX {
            known.retain(|_, (since, _)| now.duration_since(*since) < TOKEN_TTL);
        }
        if known.len() >= TOKENS_MAX {
            known.clear();
        }
        known.insert(hash, (now, token));
    }
}

/// The layer: refuses, or passes on with the tenant in the request's extensions.
pub(crate) async fn guard(state: State, door: Face, request: Request, next: Next) -> Response {
    let face = door.of_request(&request);
    let public = state.settings.status.public && matches!(request.uri().path(), "/status" | "/status.json");
    if face.is_open() || public {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    match admit(&state, face, &parts).await {
        Ok((tenant, scope)) => {
            parts.extensions.insert(tenant);
            if let Some(scope) = scope {
                parts.extensions.insert(scope);
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Err(fault) => {
            face::count_refusal(face, parts.uri.path(), &fault);
            face.refuse(&fault, &parts.headers)
        }
    }
}

async fn admit(state: &State, face: Face, request: &Parts) -> Result<(TenantId, Option<Scope>), Fault> {
    let asked = asked_tenant(&request.headers)?;
    match state.settings.auth {
        AuthMode::Off => {
            // A browser cannot speak gRPC's cleartext HTTP/2, so rebinding is no matter there.
            if state.settings.check_host && face != Face::Grpc {
                check_host(request)?;
            }
            Ok((asked.unwrap_or_default(), None))
        }
        AuthMode::Token => {
            let token = token(state, &request.headers).await?;
            let needed = face.needs(&request.method, request.uri.path());
            if !token.scope.includes(needed) {
                let enough: Vec<&str> =
                    Scope::ALL.into_iter().filter(|scope| scope.includes(needed)).map(Scope::as_str).collect();
                return Err(Fault::new(
                    Kind::Forbidden,
                    format!(
                        "token {} ({}) may not do this: it needs the scope {}",
                        token.id,
                        token.name,
                        enough.join(" or ")
                    ),
                ));
            }
            if let Some(asked) = asked.filter(|asked| *asked != token.tenant) {
                return Err(Fault::new(
                    Kind::Forbidden,
                    format!("token {} belongs to tenant {}, X-Scope-OrgID says {asked}", token.id, token.tenant),
                ));
            }
            Ok((token.tenant, Some(token.scope)))
        }
    }
}

fn check_host(request: &Parts) -> Result<(), Fault> {
    // HTTP/2 says it in the URI (`:authority`), HTTP/1.1 in the header.
    let of_header = || request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = request.uri.authority().map(|authority| authority.as_str()).or_else(of_header).unwrap_or_default();
    if host::is_loopback(host) {
        return Ok(());
    }
    Err(Fault::new(
        Kind::Forbidden,
        format!(
            "Host {host:?} is no loopback name, and auth is off: use http://localhost or http://127.0.0.1, turn tokens on (auth.mode = \"token\"), or start with --insecure-listen"
        ),
    ))
}

fn asked_tenant(headers: &HeaderMap) -> Result<Option<TenantId>, Fault> {
    let Some(value) = headers.get("x-scope-orgid") else { return Ok(None) };
    let text = value.to_str().map_err(|_| Fault::invalid("X-Scope-OrgID is not ASCII text"))?;
    Ok(Some(TenantId::new(text)?))
}

async fn token(state: &State, headers: &HeaderMap) -> Result<Token, Fault> {
    let secret = secret(headers)?;
    let hash: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    let now = Instant::now();
    if let Some(token) = state.known_tokens.get(&hash, now) {
        return Ok(token);
    }
    let store = state.store.clone();
    let found = tokio::task::spawn_blocking(move || store.accounts().token_of_secret(&secret))
        .await
        .map_err(|_| Fault::panicked("looking up a token"))??;
    let Some(token) = found else {
        return Err(Fault::new(Kind::Unauthenticated, "this token is not known here, or was revoked"));
    };
    state.known_tokens.put(hash, token.clone(), now);
    Ok(token)
}

/// `Authorization: Bearer SECRET`, or Basic with the secret as password and any user.
fn secret(headers: &HeaderMap) -> Result<String, Fault> {
    let none = || {
        Fault::new(
            Kind::Unauthenticated,
            "a token is needed: send `Authorization: Bearer bnc_…` (make one with `binnacle token create`)",
        )
    };
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(none)?;
    let (scheme, rest) = value.split_once(' ').ok_or_else(none)?;
    let rest = rest.trim();
    if rest.is_empty() || rest.len() > SECRET_BYTES_MAX {
        return Err(none());
    }
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(rest.into());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(none());
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(rest).map_err(|_| none())?;
    let pair = String::from_utf8(decoded).map_err(|_| none())?;
    match pair.split_once(':') {
        Some((_, password)) if !password.is_empty() => Ok(password.into()),
        _ => Err(none()),
    }
}
