//! The places of a listener: as many connections as it may have, and which of them gives its place up for a new one.
//!
//! When all places are taken, a connection on which nothing is under way (it idles between two requests, or its headers come
//! drop by drop) makes room, the longest such first. So clients that only hold connections cannot keep others out, and those
//! that really ask lose nothing: a request whose headers are complete is never cut for a newcomer.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use http_body::{Frame, SizeHint};
use hyper::service::Service;
use model::meter::Counter;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

static GIVEN_UP: Counter = Counter::new(
    "binnacle_connections_given_up_total",
    "Connections without a request under way that were closed because all places were taken and another client waited.",
    &[],
);

/// How long a newcomer waits for a place before one more connection is asked to give up its own. What was asked closes within
/// microseconds, unless the processor is busy.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The places of one listener.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    /// A connection that has had nothing under way for less than this keeps its place: its request may be in the wire.
    quiet_min: Duration,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    places: HashMap<u64, Arc<Doing>>,
    next: u64,
}

/// What a connection is doing.
#[derive(Debug)]
struct Doing {
    state: Mutex<State>,
    give_up: Notify,
}

#[derive(Debug)]
struct State {
    under_way: usize,
    /// Since when nothing is under way, while nothing is.
    quiet_since: Instant,
    giving_up: bool,
}

/// A connection's place, free again when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    id: u64,
    doing: Arc<Doing>,
    _free: OwnedSemaphorePermit,
}

impl Places {
    pub(crate) fn new(count: usize, quiet_min: Duration) -> Arc<Self> {
        Arc::new(Places { free: Arc::new(Semaphore::new(count.max(1))), quiet_min, taken: Mutex::default() })
    }

    /// A place, once there is one.
    pub(crate) async fn take(self: &Arc<Self>) -> Place {
        let free = loop {
            let acquire = self.free.clone().acquire_owned();
            if let Ok(free) = tokio::time::timeout(Duration::ZERO, acquire).await {
                break free;
            }
            self.ask_one_to_give_up();
            if let Ok(free) = tokio::time::timeout(ASK_AGAIN, self.free.clone().acquire_owned()).await {
                break free;
            }
        }
        .expect("the semaphore is never closed");
        let doing = Arc::new(Doing {
            state: Mutex::new(State { under_way: 0, quiet_since: Instant::now(), giving_up: false }),
            give_up: Notify::new(),
        });
        let mut taken = self.taken.lock();
        let id = taken.next;
        taken.next += 1;
        taken.places.insert(id, doing.clone());
        drop(taken);
        Place { places: self.clone(), id, doing, _free: free }
    }

    fn ask_one_to_give_up(&self) {
        let taken = self.taken.lock();
        let longest = taken
            .places
            .values()
            .filter_map(|doing| {
                let state = doing.state.lock();
                let quiet = !state.giving_up && state.under_way == 0 && state.quiet_since.elapsed() >= self.quiet_min;
                quiet.then_some((state.quiet_since, doing))
            })
            .min_by_key(|(since, _)| *since);
        if let Some((_, doing)) = longest {
            doing.state.lock().giving_up = true;
            doing.give_up.notify_one();
            GIVEN_UP.add(&[], 1);
        }
    }
}

impl Place {
    /// Returns when this connection is to make room. A request that began in the meantime is waited for.
    pub(crate) async fn given_up(&self) {
        loop {
            self.doing.give_up.notified().await;
            if self.doing.state.lock().under_way == 0 {
                return;
            }
        }
    }

    /// `service`, whose requests are known to be under way until the last byte of the answer was given to the connection.
    pub(crate) fn watch<S>(&self, service: S) -> Watched<S> {
        Watched { service, doing: self.doing.clone() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.lock().places.remove(&self.id);
    }
}

/// A service of one connection that keeps count of what is under way.
#[derive(Debug, Clone)]
pub(crate) struct Watched<S> {
    service: S,
    doing: Arc<Doing>,
}

impl<S, Request> Service<Request> for Watched<S>
where
    S: Service<Request, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Answer>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn call(&self, request: Request) -> Self::Future {
        let under_way = UnderWay::begin(self.doing.clone());
        let answer = self.service.call(request);
        Box::pin(async move { Ok(answer.await?.map(|body| Answer { body, _under_way: under_way })) })
    }
}

/// One request, until it is dropped.
#[derive(Debug)]
struct UnderWay(Arc<Doing>);

impl UnderWay {
    fn begin(doing: Arc<Doing>) -> Self {
        doing.state.lock().under_way += 1;
        UnderWay(doing)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.under_way -= 1;
        if state.under_way == 0 {
            state.quiet_since = Instant::now();
            if state.giving_up {
                self.0.give_up.notify_one();
            }
        }
    }
}

/// An answer's body, with which its request ends.
#[derive(Debug)]
pub(crate) struct Answer {
    body: Body,
    _under_way: UnderWay,
}

impl http_body::Body for Answer {
    type Data = <Body as http_body::Body>::Data;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
