//! What requests to others have in common that the configuration names one by one: targets that are scraped, and Alertmanagers.

pub(crate) mod credentials;
pub(crate) mod tls;

/// An error and what caused it, in one line; without the URL, which is told beside it.
pub(crate) fn plain_error(error: reqwest::Error) -> String {
    model::cause::words(&error.without_url())
}
