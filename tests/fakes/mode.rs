//! What a fake HTTP service does with requests.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::http::Cuts;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Ok,
    Status(u16),
    /// 429 with this many seconds of `Retry-After`.
    Throttle(u64),
    /// Takes the next request and closes the connection without an answer, once.
    AcceptThenCut,
    /// Closes every connection without taking anything.
    Reset,
    /// Takes each request, and answers after this many ms.
    Slow(u64),
    /// Refuses for good with these words, as each service does it.
    Refuse(&'static str),
    /// Of Slack: as `Refuse`, of messages with blocks alone: the plainest form passes.
    RefuseBlocks(&'static str),
    /// 200 with a page, as a proxy answers.
    Html,
}

impl Mode {
    /// The answer where nothing is taken, whatever the request is and the service; `None` where it looks at the request.
    pub(crate) fn trouble(self, cuts: &Cuts) -> Option<Response> {
        Some(match self {
            Mode::Status(code) => {
                (StatusCode::from_u16(code).expect("a test gives a status"), "broken").into_response()
            }
            Mode::Throttle(seconds) => throttled(seconds),
            Mode::Html => {
                ([(header::CONTENT_TYPE, "text/html")], "<html>Sign in to the guest network</html>").into_response()
            }
            Mode::Reset => {
                cuts.cut_next_answer();
                StatusCode::OK.into_response()
            }
            Mode::Ok | Mode::AcceptThenCut | Mode::Slow(_) | Mode::Refuse(_) | Mode::RefuseBlocks(_) => return None,
        })
    }

    /// What follows once a request is taken, before its answer.
    pub(crate) async fn taken(self, cuts: &Cuts) {
        match self {
            Mode::AcceptThenCut => cuts.cut_next_answer(),
            Mode::Slow(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            _ => {}
        }
    }
}

pub(crate) fn throttled(seconds: u64) -> Response {
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())], "rate limited").into_response()
}
