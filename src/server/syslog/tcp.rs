//! Syslog over TCP (RFC 6587): counted octets or lines, message by message.

use std::sync::Arc;
use std::time::Duration;

use codec::syslog::Framer;
use model::TenantId;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::{BATCH_WAIT, Batch, LOST, MESSAGES, RETRY_WAIT, may_pass, message_bytes_max, store};
use crate::State;
use crate::in_flight::Share;

/// A connection that is silent for so long is closed, so that those who left without a word give back their place.
const IDLE_MAX: Duration = Duration::from_secs(3_600);
const READ_BYTES: usize = 64 << 10;
/// While requests in work are over their limit of memory.
const MEMORY_WAIT: Duration = Duration::from_millis(50);
/// After an error such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes messages until `stop` turns true; then what was received whole is stored. Beyond `connections_max` senders wait.
pub async fn serve_tcp(
    listener: TcpListener,
    state: State,
    tenant: TenantId,
    connections_max: usize,
    mut stop: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(connections_max.max(1)));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stopped| *stopped) => break,
            Some(_) = connections.join_next() => continue,
            accepted = async {
                let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
                listener.accept().await.map(|(stream, _)| (stream, slot))
            } => accepted,
        };
        match accepted {
            Ok((stream, slot)) => {
                let connection = Connection {
                    framer: Framer::new(message_bytes_max(&state)),
                    batch: Batch::default(),
                    share: state.in_flight.share(),
                    held: 0,
                    state: state.clone(),
                    tenant: tenant.clone(),
                    stop: stop.clone(),
                };
                connections.spawn(async move {
                    let _slot = slot;
                    connection.run(stream).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take a syslog connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

struct Connection {
    framer: Framer,
    batch: Batch,
    /// Memory of what was read and is not stored yet, of that which all requests share.
    share: Share,
    held: usize,
    state: State,
    tenant: TenantId,
    stop: watch::Receiver<bool>,
}

impl Connection {
    async fn run(mut self, mut stream: TcpStream) {
        let mut buffer = vec![0; READ_BYTES];
        let mut stopped = self.stop.clone();
        loop {
            let wait = if self.batch.frames.is_empty() { IDLE_MAX } else { BATCH_WAIT };
            let read = tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => break,
                read = tokio::time::timeout(wait, stream.read(&mut buffer)) => read,
            };
            match read {
                Err(_) if self.batch.frames.is_empty() => break,
                Err(_) => self.flush().await,
                Ok(Ok(bytes)) if bytes > 0 => self.take(&buffer[..bytes]).await,
                // Closed, in order or not: what came whole is kept.
                Ok(_) => break,
            }
        }
        let framer = std::mem::replace(&mut self.framer, Framer::new(0));
        if let Some(frame) = framer.finish() {
            MESSAGES.add(&["tcp"], 1);
            self.batch.push(frame);
        }
        self.flush().await;
    }

    async fn take(&mut self, bytes: &[u8]) {
        // Nothing more is read meanwhile, so the sender waits.
        while self.share.grow(bytes.len()).is_err() && !*self.stop.borrow() {
            tokio::time::sleep(MEMORY_WAIT).await;
        }
        self.held += bytes.len();
        self.framer.feed(bytes);
        while let Some(frame) = self.framer.next_frame() {
            MESSAGES.add(&["tcp"], 1);
            self.batch.push(frame);
            if self.batch.is_full() {
                self.flush().await;
            }
        }
    }

    /// Stores what waits; tries again until it is stored or the server stops.
    async fn flush(&mut self) {
        let frames = Arc::new(std::mem::take(&mut self.batch).frames);
        if !frames.is_empty() {
            loop {
                match store(&self.state, &self.tenant, frames.clone()).await {
                    Ok(()) => break,
                    Err(error) if may_pass(&error) && !*self.stop.borrow() => {
                        tracing::debug!(%error, "syslog waits for the store");
                        tokio::time::sleep(RETRY_WAIT).await;
                    }
                    Err(error) => {
                        LOST.add(&["tcp"], frames.len() as u64);
                        tracing::error!(%error, messages = frames.len(), "syslog messages lost");
                        break;
                    }
                }
            }
        }
        let left = self.framer.buffered();
        self.share.shrink(self.held.saturating_sub(left));
        self.held = self.held.min(left);
    }
}
