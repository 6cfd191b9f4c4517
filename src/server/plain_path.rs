//! Paths as routes are written: an address that was put together with one slash too many (`http://host:8080/` and `/api/v1/query`), and
//! letters in percent form (`qu%65ry`), mean the plain path (RFC 3986, 6.2.2.2). Prometheus redirects the first, which makes a
//! POST a GET in most clients, and takes the second.

use std::borrow::Cow;

use axum::extract::Request;
use http::Uri;
use http::uri::PathAndQuery;

/// Comes before routing, so that tokens, faces and routes all see the same path.
pub(crate) async fn plain_path(mut request: Request) -> Request {
    if let Cow::Owned(path) = plain(request.uri().path()) {
        let target = match request.uri().query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        let mut parts = request.uri().clone().into_parts();
        // What makes no target stays what it was, and is found nowhere.
        if let Ok(target) = PathAndQuery::try_from(target) {
            parts.path_and_query = Some(target);
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
    }
    request
}

fn plain(path: &str) -> Cow<'_, str> {
    if !path.contains('%') && !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(next) = rest.chars().next() {
        let escaped = rest.strip_prefix('%').and_then(|rest| unreserved(rest.get(..2)?));
        match (next, escaped) {
            (_, Some(plain)) => {
                out.push(plain);
                rest = &rest[3..];
                continue;
            }
            ('/', _) if out.ends_with('/') => {}
            _ => out.push(next),
        }
        rest = &rest[next.len_utf8()..];
    }
    Cow::Owned(out)
}

/// The character of two hex digits, if it means the same without its percent form.
fn unreserved(hex: &str) -> Option<char> {
    let byte = u8::from_str_radix(hex, 16).ok().filter(|_| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)).then_some(char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_too_many_go_and_plain_characters_are_plain() {
        for (path, expected) in [
            ("/api/v1/query", "/api/v1/query"),
            ("//api/v1/query", "/api/v1/query"),
            ("/api//v1///query", "/api/v1/query"),
            ("/api/v1/query/", "/api/v1/query/"),
            ("/api/v1/qu%65ry", "/api/v1/query"),
            ("/%61%70%69/%7E%2d%2E%5f", "/api/~-._"),
            // What separates, and what is no character of its own, stays.
            ("/label/a%2Fb%2f/values", "/label/a%2Fb%2f/values"),
            ("/label/%25%20%22%c3%a9/values", "/label/%25%20%22%c3%a9/values"),
            // Decoded once only.
            ("/%2565", "/%2565"),
            ("/%", "/%"),
            ("/%6", "/%6"),
            ("/%+5%6é", "/%+5%6é"),
            ("/é//%65", "/é/e"),
        ] {
            assert_eq!(plain(path), expected, "{path}");
        }
    }
}
