//! `oauth2` of `http_config`: a token that is asked for with the client's own credentials (RFC 6749, 4.4), in Prometheus' words.

use std::path::Path;

use url::Url;

use super::fields::{Fields, scalar};
use super::http::{self, Way};
use super::secret::{self, Secret};
use super::tls::{self, TlsConfig};
use super::tree::{Bad, Node};

/// Of Prometheus' newer keys, those of the other grant: a signed assertion in place of a secret.
const OF_ASSERTIONS: [&str; 10] = [
    "client_secret_ref",
    "client_certificate_key_id",
    "client_certificate_key",
    "client_certificate_key_file",
    "client_certificate_key_ref",
    "signature_algorithm",
    "iss",
    "audience",
    "claims",
    "subject",
];

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OAuth2 {
    pub(crate) client_id: String,
    pub(crate) client_secret: Secret,
    pub(crate) token_url: String,
    pub(crate) scopes: Vec<String>,
    /// Sent beside what the grant needs.
    pub(crate) params: Vec<(String, String)>,
    /// How the token's server is reached.
    pub(crate) way: Way,
}

/// `Ok(Err(...))` is what is asked for and not spoken.
pub(super) fn read(node: &Node, dir: &Path) -> Result<Result<OAuth2, String>, Bad> {
    let mut fields = Fields::of(node, "oauth2")?;
    let (client_id, _) = fields.required_text("client_id")?;
    let client_secret = secret::take(&mut fields, "client_secret", "client_secret_file", dir)?;
    let (token_url, line) = fields.required_text("token_url")?;
    let parsed = Url::parse(token_url).map_err(|error| Bad::new(line, format!("token_url is not a URL: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() {
        return Err(Bad::new(line, "token_url must start with https:// (or http://)"));
    }
    let scopes = fields.list("scopes")?.iter().map(|item| Ok(scalar(item, "scopes")?.to_owned()));
    let scopes = scopes.collect::<Result<Vec<_>, Bad>>()?;
    let params = fields.map("endpoint_params")?.iter().map(|entry| {
        let value = scalar(&entry.node, "endpoint_params")?;
        Ok((entry.key.clone(), value.to_owned()))
    });
    let params = params.collect::<Result<Vec<_>, Bad>>()?;
    let tls = match fields.take("tls_config") {
        Some(node) => tls::read(node, dir)?,
        None => TlsConfig::default(),
    };
    let mut unspoken = tls.unspoken.clone();
    let proxy = http::proxy(&mut fields, &mut unspoken, dir)?;
    if let Some((grant, _)) = fields.text("grant_type")?
        && !matches!(grant, "" | "client_credentials")
    {
        unspoken = Some(format!("oauth2 with grant_type {grant} is not spoken; client_credentials is"));
    }
    for key in OF_ASSERTIONS {
        if fields.take(key).is_some() {
            unspoken = Some(format!("{key} of oauth2 is not spoken; give client_secret or client_secret_file"));
        }
    }
    fields.end(&[])?;
    let way = Way { proxy, tls, follow_redirects: None, http1_only: false };
    let client_secret = match (unspoken, client_secret) {
        (Some(reason), _) => return Ok(Err(reason)),
        (None, Some((secret, _))) => secret,
        // Some servers know clients by their id alone.
        (None, None) => Secret::new(""),
    };
    let (client_id, token_url) = (client_id.to_owned(), token_url.to_owned());
    Ok(Ok(OAuth2 { client_id, client_secret, token_url, scopes, params, way }))
}
