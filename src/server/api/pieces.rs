//! Answers in pieces: a small one is sent whole, a big one is written while it is read, so that its text never stands in memory.
//!
//! A big answer keeps its rows in memory until its reader has taken them, so there are only so many at a time, and a reader that
//! takes nothing for a while is cut off.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header;
use tokio::sync::mpsc;

use crate::error::Fault;
use crate::queries::{AnswerSlot, Queries};
use query::Budget;

/// Size of a piece, in bytes: what a socket takes at once.
const PIECE_BYTES: usize = 64 << 10;
/// Answers up to this size, in bytes, are sent whole and with their length.
const WHOLE_BYTES: usize = 1 << 20;
/// Pieces that wait for their reader.
const WAITING_MAX: usize = 2;
/// How long a reader may take nothing.
const STALL_MAX: Duration = Duration::from_secs(60);

/// An answer in order, each piece some [`PIECE_BYTES`] long.
pub(super) struct Pieces {
    bytes: Box<dyn Iterator<Item = Vec<u8>> + Send>,
    content_type: &'static str,
}

impl Pieces {
    /// JSON of a writer that appends a bit more at each call, and says whether there is more to come.
    pub(super) fn of(mut write: impl FnMut(&mut String) -> bool + Send + 'static) -> Pieces {
        let mut done = false;
        let bytes = Box::new(std::iter::from_fn(move || {
            if done {
                return None;
            }
            let mut piece = String::with_capacity(PIECE_BYTES + PIECE_BYTES / 8);
            while !done && piece.len() < PIECE_BYTES {
                done = !write(&mut piece);
            }
            Some(piece.into_bytes())
        }));
        Pieces { bytes, content_type: "application/json" }
    }

    /// Bytes of another type, as `push` writes the items.
    pub(super) fn binary<T: 'static>(
        content_type: &'static str,
        mut items: impl Iterator<Item = T> + Send + 'static,
        mut push: impl FnMut(T, &mut Vec<u8>) + Send + 'static,
    ) -> Pieces {
        let bytes = Box::new(std::iter::from_fn(move || {
            let mut piece = Vec::new();
            while piece.len() < PIECE_BYTES
                && let Some(item) = items.next()
            {
                push(item, &mut piece);
            }
            (!piece.is_empty()).then_some(piece)
        }));
        Pieces { bytes, content_type }
    }

    /// `before`, then the items as `push` writes them with commas between, then `after`.
    pub(super) fn list<T: 'static>(
        before: String,
        items: impl Iterator<Item = T> + Send + 'static,
        mut push: impl FnMut(T, &mut String) + Send + 'static,
        after: String,
    ) -> Pieces {
        let mut items = items.fuse();
        let mut before = Some(before);
        let mut is_first = true;
        Pieces::of(move |out| {
            if let Some(before) = before.take() {
                out.push_str(&before);
            }
            let Some(item) = items.next() else {
                out.push_str(&after);
                return false;
            };
            if !std::mem::take(&mut is_first) {
                out.push(',');
            }
            push(item, out);
            true
        })
    }

    #[cfg(test)]
    pub(super) fn text(self) -> String {
        String::from_utf8(self.bytes.flatten().collect()).unwrap()
    }

    /// Writes the beginning, and all of it if it is small. Blocks while there are too many big answers on their way.
    ///
    /// # Errors
    /// `Timeout` when none of those ended before the query's deadline.
    pub(super) fn begin(mut self, queries: &Queries, budget: &Budget) -> Result<Begun, Fault> {
        let mut bytes = Vec::new();
        for piece in self.bytes.by_ref() {
            if bytes.is_empty() {
                bytes = piece;
            } else {
                bytes.extend(piece);
            }
            if bytes.len() >= WHOLE_BYTES {
                let slot = queries.slot_for_a_big_answer(budget)?;
                return Ok(Begun::Big { bytes, rest: self, slot });
            }
        }
        Ok(Begun::Whole { bytes, content_type: self.content_type })
    }
}

/// An answer whose beginning is written.
pub(super) enum Begun {
    Whole { bytes: Vec<u8>, content_type: &'static str },
    Big { bytes: Vec<u8>, rest: Pieces, slot: AnswerSlot },
}

impl Begun {
    /// With status 200.
    pub(super) fn into_response(self) -> Response {
        let (content_type, body) = match self {
            Begun::Whole { bytes, content_type } => (content_type, Body::from(bytes)),
            Begun::Big { bytes, rest, slot } => (rest.content_type, sent_by_a_task(bytes, rest, slot, STALL_MAX)),
        };
        ([(header::CONTENT_TYPE, content_type)], body).into_response()
    }
}

/// A body fed by a task, which ends when it is read or when its reader stalls or leaves.
fn sent_by_a_task(begun: Vec<u8>, rest: Pieces, slot: AnswerSlot, stall_max: Duration) -> Body {
    let (sender, mut receiver) = mpsc::channel::<Option<Bytes>>(WAITING_MAX);
    tokio::spawn(async move {
        let _slot = slot;
        let pieces = std::iter::once(begun).chain(rest.bytes).map(|piece| Some(Bytes::from(piece)));
        for piece in pieces.chain([None]) {
            match tokio::time::timeout(stall_max, sender.send(piece)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => {
                    tracing::warn!(
                        seconds = stall_max.as_secs_f64(),
                        "a reader took nothing of its answer and is cut off"
                    );
                    return;
                }
            }
        }
    });
    let mut is_over = false;
    let pieces = stream::poll_fn(move |context| {
        if is_over {
            return std::task::Poll::Ready(None);
        }
        receiver.poll_recv(context).map(|received| match received {
            Some(Some(piece)) => Some(Ok(piece)),
            ended => {
                // Packing asks again after the end.
                is_over = true;
                // Without the word for it this is not the end: the connection must break, or half an answer would pass for a
                // whole one.
                ended.is_none().then(|| Err(io::Error::other("the reader took nothing for too long")))
            }
        })
    });
    Body::from_stream(pieces)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt as _;
    use query::Limits;
    use query::memory::{Pool, Share};
    use tokio::sync::Semaphore;

    use super::*;

    fn numbers(count: usize) -> Pieces {
        Pieces::list("[".into(), 0..count, |number, out| out.push_str(&format!("{number:06}")), "]".into())
    }

    #[tokio::test]
    async fn small_answers_are_whole_and_big_ones_come_in_pieces() {
        let queries = Arc::new(Queries::new(1, Limits::default(), Pool::endless()));
        for (count, bytes) in [(0, 2), (1, 8), (10, 71), (1_000_000, 7_000_001)] {
            let pieces = numbers(count);
            let begun = queries.run(None, {
                let queries = queries.clone();
                move |budget| pieces.begin(&queries, budget)
            });
            let begun = begun.await.unwrap_or_else(|fault| panic!("{}", fault.message));
            assert_eq!(matches!(begun, Begun::Big { .. }), bytes > WHOLE_BYTES, "{count}");
            let mut body = begun.into_response().into_body();
            let mut text = Vec::new();
            while let Some(frame) = body.frame().await {
                text.extend_from_slice(frame.unwrap().data_ref().unwrap());
            }
            assert!(text.len() == bytes && text.starts_with(b"[") && text.ends_with(b"]"), "{count}");
            // As compression does, which would else lose its own end.
            assert!(body.frame().await.is_none(), "{count}");
        }
    }

    #[tokio::test]
    async fn half_an_answer_is_an_error_and_frees_its_slot() {
        let slots = Arc::new(Semaphore::new(1));
        let permit = slots.clone().try_acquire_owned().unwrap();
        let slot = AnswerSlot { _permit: permit, _memory: Share::of(&Pool::endless()) };
        let mut body = sent_by_a_task(Vec::new(), numbers(1_000_000), slot, Duration::from_millis(1));
        // The task gives up since nobody reads, and only then is the slot free.
        let _free = slots.acquire().await.unwrap();
        let mut ended = None;
        while let Some(frame) = body.frame().await {
            ended = Some(frame.is_ok());
        }
        assert_eq!(ended, Some(false));
    }
}
