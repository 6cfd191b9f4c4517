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
/// browser.
fn check_origin(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let site = text("sec-fetch-site");
    let foreign_site = !site.is_empty() && site != "same-origin" && site != "none";
    let origin = text("origin");
    let host = origin.split_once("://").map_or("", |(_, host)| host);
    let foreign_origin = !origin.is_empty() && host != text(header::HOST.as_str());
    if foreign_site || foreign_origin {
        let fault = Fault::new(Kind::Forbidden, "this form was sent by a page of another site");
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
        check(&[("sec-fetch-site", "same-site")], false);
        check(&[("sec-fetch-site", "none")], true);
    }
}
