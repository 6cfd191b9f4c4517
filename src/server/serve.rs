//! A listener's loop: accepts, limits, and ends in good order.
//!
//! HTTP/1.1 and cleartext HTTP/2 (prior knowledge) on one port. A connection that sends nothing, or its headers drop by
//! drop, is closed; when all places are taken, one on which nothing is under way makes room, and else new ones wait.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use model::meter::Counter;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::connections::{Place, Places};
use crate::raw_target::RawTarget;

static CONNECTIONS: Counter = Counter::new("binnacle_connections_total", "Connections taken.", &[]);
static ACCEPT_FAILURES: Counter = Counter::new(
    "binnacle_accept_failures_total",
    "Connections that could not be taken, such as for lack of files.",
    &[],
);

/// How HTTP/2 with prior knowledge begins (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Largest HTTP/2 frame that is taken: most exports come in one then, and need not be put together. What a connection may have on its
/// way before it is counted, its window of 1 MiB, is more. Senders that do not look at the setting stay at 16 KiB.
const H2_FRAME_BYTES_MAX: u32 = 256 << 10;
/// After an error such as "too many open files" trying at once again would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a beginning that may still become HTTP/2 is looked at again. Senders send it in one piece, so it hardly happens.
const PREFACE_PAUSE: Duration = Duration::from_millis(20);

/// What one listener bears.
#[derive(Debug, Clone)]
pub struct ServeLimits {
    pub connections_max: usize,
    /// From the connection to its first bytes.
    pub first_bytes_max: Duration,
    /// From a request's first byte to the end of its headers, and how long an idle HTTP/1.1 connection is kept. Longer than
    /// the 60 s between two exports of an OpenTelemetry SDK, whose connections would else break at the moment of sending.
    pub headers_max: Duration,
    /// How long nothing must be under way on a connection before it makes room for a new one, when all places are taken.
    pub quiet_min: Duration,
    /// Requests at once on one HTTP/2 connection.
    pub h2_streams_max: u32,
    /// How long requests under way may take to end once we were told to stop.
    pub drain_max: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        ServeLimits {
            connections_max: 1_024,
            first_bytes_max: Duration::from_secs(10),
            headers_max: Duration::from_secs(75),
            quiet_min: Duration::from_secs(1),
            h2_streams_max: 128,
            drain_max: Duration::from_secs(20),
        }
    }
}

/// Among every request's extensions: turns true when the listener stops. Answers that have no end of their own end then.
#[derive(Debug, Clone)]
pub(crate) struct Stopping(pub(crate) watch::Receiver<bool>);

/// Serves until `stop` turns true (or its sender is gone), then lets requests under way end, for `drain_max` at most.
///
/// # Errors
/// None today: trouble with one connection is that connection's, and a failing accept is tried again.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    mut stop: watch::Receiver<bool>,
    limits: ServeLimits,
) -> io::Result<()> {
    let router = router.layer(axum::Extension(Stopping(stop.clone())));
    let builder = Arc::new(builder(&limits));
    let places = Places::new(limits.connections_max, limits.quiet_min);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stopped| *stopped) => break,
            // Ended ones are let go of as they end; how they ended concerned only their client.
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                ACCEPT_FAILURES.add(&[], 1);
                tracing::warn!(%error, "cannot take a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        CONNECTIONS.add(&[], 1);
        let place = tokio::select! {
            _ = stop.wait_for(|stopped| *stopped) => break,
            place = places.take() => place,
        };
        let connection = Connection { builder: builder.clone(), router: router.clone(), stopped: stop.clone(), place };
        connections.spawn(connection.serve(stream, limits.first_bytes_max));
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain_max, ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests did not end in time and are cut");
    }
    connections.shutdown().await;
    Ok(())
}

/// What serving one connection takes.
struct Connection {
    builder: Arc<auto::Builder<TokioExecutor>>,
    router: Router,
    stopped: watch::Receiver<bool>,
    place: Place,
}

impl Connection {
    async fn serve(mut self, stream: TcpStream, first_bytes_max: Duration) {
        let begun = tokio::select! {
            // Nothing was asked yet, so nothing is cut short.
            _ = self.stopped.wait_for(|stopped| *stopped) => return,
            () = self.place.given_up() => return,
            begun = tokio::time::timeout(first_bytes_max, has_begun(&stream)) => begun,
        };
        if !matches!(begun, Ok(true)) {
            return;
        }
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let service = self.place.watch(TowerToHyperService::new(self.router));
        let mut connection =
            pin!(self.builder.serve_connection_with_upgrades(TokioIo::new(RawTarget::new(stream)), service));
        let mut stopping = false;
        let ended = loop {
            tokio::select! {
                _ = self.stopped.wait_for(|stopped| *stopped), if !stopping => {
                    connection.as_mut().graceful_shutdown();
                    stopping = true;
                }
                () = self.place.given_up() => return,
                ended = connection.as_mut() => break ended,
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection ended early");
        }
    }
}

/// Returns once there is enough to tell HTTP/1.1 from HTTP/2, false when the peer left. hyper-util waits for these bytes
/// without a limit of its own.
async fn has_begun(stream: &TcpStream) -> bool {
    let mut begin = [0; PREFACE.len()];
    loop {
        match stream.peek(&mut begin).await {
            Ok(0) | Err(_) => return false,
            Ok(seen) if seen < begin.len() && PREFACE.starts_with(&begin[..seen]) => {
                tokio::time::sleep(PREFACE_PAUSE).await;
            }
            Ok(_) => return true,
        }
    }
}

fn builder(limits: &ServeLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.headers_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams_max)
        .max_frame_size(H2_FRAME_BYTES_MAX)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}
