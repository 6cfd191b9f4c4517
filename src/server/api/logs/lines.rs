//! Records as lines of JSON, streamed, so that an answer never stands in memory as text; and the lines between them.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use model::any::json_string;
use model::time::rfc3339_ns;
use query::Progress;
use query::logs::{Partial, Row};

use crate::api::log_json::push_row;
use crate::error::Fault;

/// Size of a piece of the streamed answer, in bytes.
const PIECE_BYTES: usize = 64 << 10;
/// Between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// What an answer has.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) rows: Vec<Row>,
    pub(super) partial: Option<Partial>,
}

/// An answer that is there.
pub(super) fn whole(lines: Lines) -> Response {
    let pieces = stream::iter(pieces(lines).map(Ok::<_, Infallible>));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pieces)).into_response()
}

fn pieces(lines: Lines) -> impl Iterator<Item = Bytes> {
    let Lines { rows, mut partial } = lines;
    let mut rows = rows.into_iter();
    std::iter::from_fn(move || {
        let mut piece = String::new();
        while piece.len() < PIECE_BYTES {
            let Some(row) = rows.next() else {
                if let Some(partial) = partial.take() {
                    push_partial(&partial, &mut piece);
                    piece.push('\n');
                }
                break;
            };
            push_row(&row, &mut piece);
            piece.push('\n');
        }
        (!piece.is_empty()).then(|| Bytes::from(piece))
    })
}

/// `{"partial":{"reason":…,"covered":{"start":…,"end":…}}}`.
pub(super) fn push_partial(partial: &Partial, out: &mut String) {
    out.push_str("{\"partial\":");
    push_partial_value(partial, out);
    out.push('}');
}

/// As a member after others of an object: nothing for an answer that is whole.
pub(super) fn push_partial_member(partial: Option<&Partial>, out: &mut String) {
    if let Some(partial) = partial {
        out.push_str(",\"partial\":");
        push_partial_value(partial, out);
    }
}

fn push_partial_value(partial: &Partial, out: &mut String) {
    out.push_str("{\"reason\":");
    json_string(&partial.reason, out);
    let (start, end) = (rfc3339_ns(partial.covered.start_ns), rfc3339_ns(partial.covered.end_ns));
    write!(out, ",\"covered\":{{\"start\":\"{start}\",\"end\":\"{end}\"}}}}").expect("a String takes everything");
}

type Answered = Pin<Box<dyn Future<Output = Result<Lines, Fault>> + Send>>;

enum Stage {
    Waiting(Answered),
    Sending(Box<dyn Iterator<Item = Bytes> + Send>),
    Done,
}

/// An answer that is waited for, with lines of progress meanwhile. The search goes on while the body is read, and is cancelled when
/// the body is dropped.
pub(super) fn with_progress(
    answered: impl Future<Output = Result<Lines, Fault>> + Send + 'static,
    progress: Arc<Progress>,
) -> Response {
    let begin = Stage::Waiting(Box::pin(answered));
    let pieces = stream::unfold((begin, progress), async |(stage, progress)| match stage {
        Stage::Waiting(mut answered) => {
            let waited = tokio::time::timeout(PROGRESS_EVERY, &mut answered).await;
            let mut line = String::new();
            let next = match waited {
                Err(_) => Stage::Waiting(answered),
                Ok(Ok(lines)) => Stage::Sending(Box::new(pieces(lines))),
                Ok(Err(fault)) => {
                    line.push_str("{\"error\":{\"message\":");
                    json_string(&fault.message, &mut line);
                    line.push_str("}}\n");
                    Stage::Done
                }
            };
            if line.is_empty() {
                push_progress(&progress, &mut line);
            }
            Some((Ok::<_, Infallible>(Bytes::from(line)), (next, progress)))
        }
        Stage::Sending(mut pieces) => pieces.next().map(|piece| (Ok(piece), (Stage::Sending(pieces), progress))),
        Stage::Done => None,
    });
    let mut response = ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pieces)).into_response();
    // Packed, the lines would wait for one another.
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
    response
}

fn push_progress(progress: &Progress, out: &mut String) {
    // What was read may be more than what was expected: a second pass, or blocks that came meanwhile.
    let scanned = progress.bytes_scanned();
    let total = progress.bytes_total().max(scanned);
    let matches = progress.matches();
    writeln!(out, "{{\"progress\":{{\"bytes_scanned\":{scanned},\"bytes_total\":{total},\"matches\":{matches}}}}}")
        .expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use model::NsRange;

    use super::*;

    /// The pieces of a body; the answer is given after the second of them.
    async fn lines(answer: Result<Lines, Fault>) -> Vec<String> {
        let (give, given) = tokio::sync::oneshot::channel();
        let answered = async { given.await.expect("the test gives it") };
        let mut pieces = with_progress(answered, Arc::default()).into_body().into_data_stream();
        let mut found = Vec::new();
        let mut waiting = Some((give, answer));
        while let Some(piece) = pieces.next().await {
            found.push(String::from_utf8(piece.unwrap().to_vec()).unwrap());
            if found.len() == 2 {
                let (give, answer) = waiting.take().expect("it is given once");
                give.send(answer).unwrap_or_else(|_| panic!("the stream waits for it"));
            }
        }
        found
    }

    #[tokio::test]
    async fn progress_comes_first_and_failures_are_lines() {
        let line = "{\"progress\":{\"bytes_scanned\":0,\"bytes_total\":0,\"matches\":0}}\n";
        let covered = NsRange { start_ns: 0, end_ns: 1 };
        let partial = Some(Partial { reason: "x".into(), covered });
        let last = "{\"partial\":{\"reason\":\"x\",\"covered\":{\"start\":\"1970-01-01T00:00:00.000000000Z\",\"end\":\"1970-01-01T00:00:00.000000001Z\"}}}\n";
        assert_eq!(lines(Ok(Lines { rows: Vec::new(), partial })).await, [line, line, line, last]);
        let failed = Err(Fault::invalid("no \"such\" thing"));
        assert_eq!(lines(failed).await, [line, line, "{\"error\":{\"message\":\"no \\\"such\\\" thing\"}}\n"]);
    }
}
