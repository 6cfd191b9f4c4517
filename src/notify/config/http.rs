//! `http_config`: how a channel speaks HTTP, in Alertmanager's words; one reading for `global` and for every kind of channel.
//!
//! What cannot be spoken (SOCKS proxies, secret managers) makes the channel one that tells nobody and says why: a message
//! that takes another way than the one asked for may go where it must not.

use std::path::Path;

use url::Url;

use super::fields::{Fields, scalar};
use super::oauth2::{self, OAuth2};
use super::secret::{self, Secret};
use super::tls::{self, TlsConfig};
use super::tree::{Bad, Node};

/// Headers that belong to the request itself; as in Prometheus' `http_headers`.
const RESERVED_HEADERS: [&str; 9] = [
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "transfer-encoding",
];

#[derive(Debug, Clone, Default)]
pub(crate) struct HttpConfig {
    pub(crate) authorization: Option<Authorization>,
    /// Added to every request.
    pub(crate) headers: Vec<(String, Secret)>,
    pub(crate) way: Way,
    /// What is asked for and not spoken by this release.
    pub(crate) unspoken: Option<String>,
}

/// What stands in the header `Authorization`.
#[derive(Debug, Clone)]
pub(crate) enum Authorization {
    /// Scheme and credentials: `Bearer xyz`.
    Plain {
        scheme: String,
        credentials: Secret,
    },
    Basic {
        username: String,
        password: Secret,
    },
    /// A token that is asked for first.
    OAuth2(Box<OAuth2>),
}

/// How bytes get there. Channels with the same way share a client.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Way {
    pub(crate) proxy: Proxy,
    pub(crate) tls: TlsConfig,
    /// `None`: to the same host only, since keys travel in paths and bodies too.
    pub(crate) follow_redirects: Option<bool>,
    pub(crate) http1_only: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Proxy {
    #[default]
    None,
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`.
    Environment,
    At {
        /// May hold a password.
        url: Secret,
        /// Hosts that are spoken to without it, as in `NO_PROXY`.
        except: String,
        /// Of the CONNECT request.
        headers: Vec<(String, Secret)>,
    },
}

impl HttpConfig {
    /// A channel's own, or else that of the file.
    pub(super) fn take(fields: &mut Fields<'_>, of_file: &HttpConfig, dir: &Path) -> Result<HttpConfig, Bad> {
        match fields.take("http_config") {
            Some(node) => read(node, dir),
            None => Ok(of_file.clone()),
        }
    }
}

pub(super) fn read(node: &Node, dir: &Path) -> Result<HttpConfig, Bad> {
    let mut http = Fields::of(node, "http_config")?;
    let mut unspoken = None;
    let authorization = authorization(&mut http, &mut unspoken, node.line, dir)?;
    let proxy = proxy(&mut http, &mut unspoken, dir)?;
    let tls = match http.take("tls_config") {
        Some(node) => tls::read(node, dir)?,
        None => TlsConfig::default(),
    };
    unspoken = unspoken.or_else(|| tls.unspoken.clone());
    let follow_redirects = http.flag("follow_redirects")?;
    let http1_only = http.flag("enable_http2")? == Some(false);
    let headers = headers(&mut http, "http_headers", dir)?;
    http.end(&[])?;
    Ok(HttpConfig { authorization, headers, way: Way { proxy, tls, follow_redirects, http1_only }, unspoken })
}

fn authorization(
    http: &mut Fields<'_>,
    unspoken: &mut Option<String>,
    line: usize,
    dir: &Path,
) -> Result<Option<Authorization>, Bad> {
    let mut found = Vec::new();
    if let Some((credentials, _)) = secret::take(http, "bearer_token", "bearer_token_file", dir)? {
        found.push(Authorization::Plain { scheme: "Bearer".into(), credentials });
    }
    if let Some(node) = http.take("authorization") {
        let mut fields = Fields::of(node, "authorization")?;
        let scheme = fields.text("type")?.map_or("Bearer", |(text, _)| text).to_owned();
        let credentials = secret::take(&mut fields, "credentials", "credentials_file", dir)?;
        let (credentials, _) = credentials.ok_or_else(|| Bad::new(node.line, "authorization needs credentials"))?;
        fields.end(&[])?;
        if scheme.eq_ignore_ascii_case("basic") {
            return Err(Bad::new(node.line, "for the scheme Basic give basic_auth with username and password"));
        }
        found.push(Authorization::Plain { scheme, credentials });
    }
    if let Some(node) = http.take("basic_auth") {
        let mut fields = Fields::of(node, "basic_auth")?;
        let username = secret::take(&mut fields, "username", "username_file", dir)?;
        let (username, _) = username.ok_or_else(|| Bad::new(node.line, "basic_auth needs username"))?;
        let password = secret::take(&mut fields, "password", "password_file", dir)?;
        let password = password.map_or_else(|| Secret::new(""), |(password, _)| password);
        fields.end(&[])?;
        found.push(Authorization::Basic { username: username.reveal().into(), password });
    }
    if let Some(node) = http.take("oauth2") {
        match oauth2::read(node, dir)? {
            Ok(oauth2) => found.push(Authorization::OAuth2(Box::new(oauth2))),
            Err(reason) => *unspoken = Some(reason),
        }
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(Bad::new(line, "give one of authorization, basic_auth, bearer_token and oauth2")),
    }
}

pub(super) fn proxy(http: &mut Fields<'_>, unspoken: &mut Option<String>, dir: &Path) -> Result<Proxy, Bad> {
    let url = http.text("proxy_url")?.filter(|(text, _)| !text.is_empty());
    let except = http.text("no_proxy")?.map_or("", |(text, _)| text).to_owned();
    let environment = http.flag("proxy_from_environment")?.unwrap_or(false);
    let headers = headers(http, "proxy_connect_header", dir)?;
    match url {
        Some((_, line)) if environment => Err(Bad::new(line, "give proxy_url or proxy_from_environment, not both")),
        Some((text, line)) => {
            // It may hold a password: it never stands in a message.
            let parsed =
                Url::parse(text).map_err(|error| Bad::new(line, format!("proxy_url is not a URL: {error}")))?;
            if parsed.scheme().starts_with("socks") {
                *unspoken = Some("SOCKS proxies are not spoken; give an http:// or https:// proxy_url".into());
                return Ok(Proxy::None);
            }
            if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() {
                return Err(Bad::new(line, "proxy_url must start with http:// or https://"));
            }
            Ok(Proxy::At { url: Secret::new(text), except, headers })
        }
        None if environment => Ok(Proxy::Environment),
        None => Ok(Proxy::None),
    }
}

/// `{X-Name: {values: [...], secrets: [...], files: [...]}}`, or of a proxy `{X-Name: [...]}`.
fn headers(http: &mut Fields<'_>, key: &'static str, dir: &Path) -> Result<Vec<(String, Secret)>, Bad> {
    let mut out = Vec::new();
    for entry in http.map(key)? {
        let name = http::HeaderName::from_bytes(entry.key.as_bytes())
            .map_err(|_| Bad::new(entry.line, format!("{:?} cannot be the name of a header", entry.key)))?;
        if RESERVED_HEADERS.contains(&name.as_str()) && key == "http_headers" {
            return Err(Bad::new(entry.line, format!("the header {} is written by the appliance", entry.key)));
        }
        let mut put = |text: &str, line: usize| match http::HeaderValue::from_str(text) {
            Ok(_) => {
                out.push((name.as_str().to_owned(), Secret::new(text)));
                Ok(())
            }
            Err(_) => Err(Bad::new(
                line,
                format!("a value of the header {} has characters that headers cannot have", entry.key),
            )),
        };
        if let super::tree::Value::List(items) = &entry.node.value {
            for item in items {
                put(scalar(item, key)?, item.line)?;
            }
            continue;
        }
        let mut fields = Fields::of(&entry.node, format!("the header {}", entry.key))?;
        for list in ["values", "secrets"] {
            for item in fields.list(list)? {
                put(scalar(item, list)?, item.line)?;
            }
        }
        for item in fields.list("files")? {
            let text = secret::read_file(&dir.join(scalar(item, "files")?), secret::SECRET_BYTES_MAX)
                .map_err(|reason| Bad::new(item.line, reason))?;
            put(&text, item.line)?;
        }
        fields.end(&[])?;
    }
    Ok(out)
}
