//! Live tails: records as they come, as server-sent events (HTML, section 9.2).
//!
//! Every record is an event without a name; its `id` is the place in the order of intake behind it, which a client sends back as
//! `Last-Event-ID` to go on without a gap and without a double, also after a restart of the server. Other events: `ready` (an `id` to begin
//! with), `skipped` (`{"skipped":n}`: so many matching records were passed over, since more than 20,000 waited for this reader), `fault`
//! (`{"error":…}`, the last one).
//!
//! Nothing is kept for a reader: when it has read what was sent, the next records are looked for behind its place. So a slow one costs
//! no memory. Intake wakes the tails; records that came before a tail's place are not read again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use model::any::json_string;
use model::{Kind, NsRange, TenantId};
use query::logs::{self, Direction, Position, Row, Search};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::State;
use crate::api::params::bad;
use crate::error::Fault;
use crate::serve::Stopping;
use crate::tail_places::{Full, TailPlace};

/// Live tails of one tenant, and of all, open at once: each asks the store again a few times a second while records arrive.
pub(crate) const FOLLOWERS_MAX: usize = 64;
pub(crate) const ALL_FOLLOWERS_MAX: usize = 128;
/// Records of one look; a reader far behind takes several.
const ROWS_MAX: usize = 500;
/// Between two looks while records keep coming.
const PACE: Duration = Duration::from_millis(250);
/// After which a comment shows that the connection lives.
const PING: Duration = Duration::from_secs(15);
/// Between two looks for a tenant that has sent nothing yet.
const NO_TENANT_YET: Duration = Duration::from_secs(1);
/// After which the client is to come back, so that a revoked token ends its tail.
const OPEN_MAX: Duration = Duration::from_secs(3_600);
/// What a client waits before it comes back, in ms.
const RETRY_MS: u64 = 2_000;

/// Where a tail begins.
pub(crate) struct Start {
    position: Option<Position>,
    /// The newest matching records of the range that come first, where it begins at the present.
    last: usize,
    range: NsRange,
}

impl Start {
    /// The header wins: a browser sends it when it comes back to the address that it was given.
    pub(crate) fn of(headers: &HeaderMap, cursor: Option<&str>, last: usize, range: NsRange) -> Result<Start, Fault> {
        let header = headers.get("last-event-id").and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
        let parse = |text| {
            Position::of_text(text)
                .ok_or_else(|| bad("cursor", &format!("{text:?} is not the id of an event of a tail")))
        };
        Ok(Start { position: header.or(cursor).map(parse).transpose()?, last, range })
    }
}

struct Tail<Show> {
    state: State,
    tenant: TenantId,
    search: Arc<Search>,
    start: Start,
    arrivals: Option<watch::Receiver<()>>,
    stopping: Option<watch::Receiver<bool>>,
    show: Show,
    ready: VecDeque<String>,
    /// There is more behind the place already.
    more: bool,
    looked: Option<Instant>,
    opened: Instant,
    ended: bool,
    _place: TailPlace,
}

/// Answers with the stream; `show` writes a record's data.
///
/// # Errors
/// `Busy` when too many tails are open.
pub(crate) fn open(
    state: &State,
    tenant: TenantId,
    search: Search,
    start: Start,
    stopping: Option<Stopping>,
    show: impl Fn(&Row, &mut String) + Send + 'static,
) -> Result<Response, Fault> {
    let place = state.followers.take(&tenant).map_err(|full| {
        let why = match full {
            Full::Tenant => format!("{FOLLOWERS_MAX} live tails are open, the most that a tenant may have; close one"),
            Full::All(own) => format!(
                "{own} live tails of this tenant are open, and other tenants have most of the {ALL_FOLLOWERS_MAX} that are served; try again later"
            ),
        };
        Fault::new(Kind::Busy, why)
    })?;
    let tail = Tail {
        state: state.clone(),
        tenant,
        search: Arc::new(search),
        start,
        arrivals: None,
        stopping: stopping.map(|Stopping(receiver)| receiver),
        show,
        ready: VecDeque::from([format!("retry: {RETRY_MS}\n\n")]),
        more: false,
        looked: None,
        opened: Instant::now(),
        ended: false,
        _place: place,
    };
    let events = stream::unfold(tail, async |mut tail| {
        let event = tail.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(event)), tail))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // A proxy that collects an answer before it sends it on would show nothing.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(events)).into_response())
}

impl<Show: Fn(&Row, &mut String)> Tail<Show> {
    /// The next piece of the stream, or its end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended || self.opened.elapsed() >= OPEN_MAX || !self.wait().await {
                return None;
            }
            if let Err(fault) = self.look().await {
                let mut event = String::from("event: fault\ndata: {\"error\":");
                json_string(&fault.message, &mut event);
                event.push_str("}\n\n");
                self.ready.push_back(event);
                self.ended = true;
            }
        }
    }

    /// Until there may be something new; false when the server stops.
    async fn wait(&mut self) -> bool {
        let pace = self.looked.map(|looked| looked + PACE);
        let work = async {
            if let Some(at) = pace {
                tokio::time::sleep_until(at).await;
            }
            if self.more || self.looked.is_none() {
                return true;
            }
            match &mut self.arrivals {
                None => {
                    tokio::time::sleep(NO_TENANT_YET).await;
                    true
                }
                Some(arrivals) => match tokio::time::timeout(PING, arrivals.changed()).await {
                    Ok(Ok(())) => true,
                    // The tenant was closed, and may be opened again.
                    Ok(Err(_)) => {
                        self.arrivals = None;
                        tokio::time::sleep(NO_TENANT_YET).await;
                        true
                    }
                    Err(_) => {
                        self.ready.push_back(":\n\n".into());
                        true
                    }
                },
            }
        };
        match &mut self.stopping {
            None => work.await,
            Some(stopping) => {
                let mut stopping = stopping.clone();
                tokio::select! {
                    _ = stopping.wait_for(|stopped| *stopped) => false,
                    went = work => went,
                }
            }
        }
    }

    /// Looks behind the place, and makes events of what is there.
    async fn look(&mut self) -> Result<(), Fault> {
        self.looked = Some(Instant::now());
        let (store, tenant, search) = (self.state.store.clone(), self.tenant.clone(), self.search.clone());
        let subscribe = self.arrivals.is_none();
        let arrivals = self.arrivals.clone();
        let Start { position, last, range } = self.start;
        let looked = self.state.queries.run(None, move |budget| {
            let Some(tenant) = store.existing_tenant(&tenant)? else { return Ok(None) };
            let mut arrivals = if subscribe { Some(tenant.log_arrivals()) } else { arrivals };
            // What comes from here on wakes again.
            if let Some(arrivals) = &mut arrivals {
                arrivals.borrow_and_update();
            }
            let snapshot = tenant.snapshot()?;
            let Some(position) = position else {
                let end = Position::end_of(&snapshot);
                let answer = match last {
                    0 => None,
                    last => Some(logs::search_in_part(
                        &snapshot,
                        &search,
                        range,
                        Direction::NewestFirst,
                        last,
                        None,
                        budget,
                    )?),
                };
                return Ok(Some((arrivals, Look::First(answer.map(|answer| answer.rows).unwrap_or_default(), end))));
            };
            let found = logs::arrivals(&snapshot, &search, position, ROWS_MAX, budget)?;
            Ok(Some((arrivals, Look::Next(found))))
        });
        let Some((arrivals, look)) = looked.await? else {
            // The first record of a tenant that is still to come is news.
            if self.start.position.is_none() {
                self.start.position = Some(Position::START);
                self.ready.push_back(ready_event(Position::START));
            }
            return Ok(());
        };
        self.arrivals = arrivals;
        match look {
            Look::First(mut rows, end) => {
                rows.reverse();
                for row in rows {
                    self.push(&row, None);
                }
                self.start.position = Some(end);
                self.ready.push_back(ready_event(end));
            }
            Look::Next(found) => {
                if found.skipped > 0 {
                    self.ready.push_back(format!("event: skipped\ndata: {{\"skipped\":{}}}\n\n", found.skipped));
                }
                for (row, position) in &found.rows {
                    self.push(row, Some(*position));
                }
                self.start.position = Some(found.position);
                self.more = found.more;
            }
        }
        Ok(())
    }

    fn push(&mut self, row: &Row, position: Option<Position>) {
        let mut data = String::new();
        (self.show)(row, &mut data);
        let mut event = String::with_capacity(data.len() + 40);
        if let Some(position) = position {
            writeln!(event, "id: {}", position.to_text()).expect("a String takes everything");
        }
        for line in data.split(['\n', '\r']) {
            writeln!(event, "data: {line}").expect("a String takes everything");
        }
        event.push('\n');
        self.ready.push_back(event);
    }
}

enum Look {
    First(Vec<Row>, Position),
    Next(logs::Arrivals),
}

fn ready_event(position: Position) -> String {
    format!("event: ready\nid: {}\ndata: {{}}\n\n", position.to_text())
}
