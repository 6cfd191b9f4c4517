//! What requests to others have in common that the configuration names one by one: targets that are scraped, and Alertmanagers.

pub(crate) mod credentials;
pub(crate) mod tls;

/// An error and what caused it, in one line; without the URL, which is told beside it.
pub(crate) fn plain_error(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        let text = next.to_string();
        if !words.ends_with(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        cause = next.source();
    }
    words
}
