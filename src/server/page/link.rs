//! Addresses of our own pages. All state of a view is in its query string, so every view is a link.

use std::fmt::Write as _;

/// `path?name=value&…`; empty values are left out, since every parameter's absence is its default.
pub(crate) fn link(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut out = String::from(path);
    let mut sign = '?';
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        out.push(sign);
        out.push_str(name);
        out.push('=');
        encode(value, &mut out);
        sign = '&';
    }
    out
}

/// Percent-encodes all but the unreserved characters of RFC 3986 (section 2.3), and those that a query may hold and that keep links readable.
pub(crate) fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b'(' | b')' | b'*' => {
                out.push(char::from(byte));
            }
            byte => write!(out, "%{byte:02X}").expect("a String takes everything"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_hold_any_text() {
        assert_eq!(link("/logs", &[("q", ""), ("to", "")]), "/logs");
        assert_eq!(
            link("/logs", &[("q", "a&b=\"c d\"+ü#"), ("from", "now-1h")]),
            "/logs?q=a%26b%3D%22c%20d%22%2B%C3%BC%23&from=now-1h"
        );
    }
}
