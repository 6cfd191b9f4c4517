//! Forms that change something: who sent them, and what is in them.

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use model::Kind;

use super::failure::Failure;
use crate::error::Fault;

/// Longest form, in bytes.
const FORM_BYTES_MAX: usize = 64 << 10;

/// The fields of a form that one of our own pages sent.
pub(crate) struct Form(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Form, Failure> {
        check_origin(request.headers())?;
        let bytes = axum::body::to_bytes(request.into_body(), FORM_BYTES_MAX).await.map_err(|error| {
            let message = format!("cannot read the form: {error}; it may have at most {FORM_BYTES_MAX} bytes");
            Fault::invalid(message)
        })?;
        Ok(Form(url::form_urlencoded::parse(&bytes).into_owned().collect()))
    }
}

impl Form {
    /// A field without the spaces around it; empty when it is not there.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
    }
}

/// Browsers say where a form comes from; one of another site must not change anything here. A client that says nothing is no
/// browser. What `Sec-Fetch-Site` says is the browser's own judgement, and holds behind proxies that put their own name for the host's;
/// browsers leave it out where a page came neither encrypted nor from this machine, and then the host must be the page's.
fn check_origin(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let site = text("sec-fetch-site");
    let origin = text("origin");
    let host = origin.split_once("://").map_or("", |(_, host)| host);
    let is_ours = match site {
        "" => {
            origin.is_empty()
                || [header::HOST.as_str(), "x-forwarded-host"]
                    .into_iter()
                    .any(|name| !host.is_empty() && host == text(name))
        }
        site => matches!(site, "same-origin" | "none"),
    };
    if !is_ours {
        let reason = "this form was sent by a page of another site; where a proxy stands before this one, it must pass the Host on";
        let fault = Fault::new(Kind::Forbidden, reason);
        return Err(fault.into());
    }
    Ok(())
}

/// After a change: to a page that shows it, so that reloading does not change again.
pub(crate) fn see(path: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_other_sites_are_refused() {
        let check = |pairs: &[(&'static str, &'static str)], expected: bool| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)));
            assert_eq!(check_origin(&headers.collect()).is_ok(), expected, "{pairs:?}");
        };
        check(&[], true);
        check(&[("host", "here:8080"), ("origin", "http://here:8080"), ("sec-fetch-site", "same-origin")], true);
        check(&[("host", "here:8080"), ("origin", "http://evil.example")], false);
        check(&[("host", "here:8080"), ("origin", "null")], false);
        check(&[("sec-fetch-site", "cross-site")], false);
        // Through proxies that call the host by their own name for it.
        let proxied = ("host", "127.0.0.1:8080");
        check(&[proxied, ("origin", "https://here.example"), ("sec-fetch-site", "same-origin")], true);
        check(&[proxied, ("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")], false);
        check(&[proxied, ("origin", "http://here.example"), ("x-forwarded-host", "here.example")], true);
        check(&[proxied, ("origin", "http://evil.example"), ("x-forwarded-host", "here.example")], false);
        check(&[("sec-fetch-site", "same-site")], false);
        check(&[("sec-fetch-site", "none")], true);
    }
}
