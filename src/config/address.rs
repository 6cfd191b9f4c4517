//! Where others are: `host:port` beside the scheme that they are spoken to with.

use serde::Deserialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// What is wrong with a `host:port` of `targets`, if anything.
pub(super) fn wrong_target(target: &str) -> Option<String> {
    let odd = |c: char| c.is_whitespace() || matches!(c, '/' | '@' | '?' | '#' | '\\');
    (target.is_empty() || target.contains(odd))
        .then(|| format!("targets: {target:?} is no host:port; scheme and path are keys of their own"))
}
