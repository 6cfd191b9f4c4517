//! Syslog over UDP (RFC 5426): a datagram a message.
//!
//! One task receives into a bounded queue, one stores: a commit of the store must not leave datagrams to the kernel's small buffer.

use std::sync::Arc;

use codec::syslog::Frame;
use model::TenantId;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

use super::{BATCH_WAIT, Batch, LOST, MESSAGES, RETRY_WAIT, may_pass, store};
use crate::State;

/// Largest datagram that UDP carries.
const DATAGRAM_BYTES: usize = 65_535;
/// Messages that wait for the store; further ones are lost and counted. 8 MB at the usual 1 KB.
const QUEUE_MESSAGES: usize = 8_192;
/// Attempts to store a batch: half a minute, while the queue holds what comes.
const ATTEMPTS: usize = 60;

/// Takes messages until `stop` turns true; then what was received is stored.
pub async fn serve_udp(socket: UdpSocket, state: State, tenant: TenantId, mut stop: watch::Receiver<bool>) {
    let (queue, waiting) = mpsc::channel(QUEUE_MESSAGES);
    let storing = tokio::spawn(store_all(waiting, state, tenant, stop.clone()));
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        let received = tokio::select! {
            _ = stop.wait_for(|stopped| *stopped) => break,
            received = socket.recv_from(&mut buffer) => received,
        };
        match received {
            Ok((bytes, _)) => {
                MESSAGES.add(&["udp"], 1);
                let frame = Frame { bytes: buffer[..bytes].to_vec(), cut_bytes: 0 };
                if queue.try_send(frame).is_err() {
                    LOST.add(&["udp"], 1);
                }
            }
            // Such as an ICMP answer to nobody; the socket itself stays good.
            Err(error) => tracing::debug!(%error, "receiving syslog"),
        }
    }
    drop(queue);
    if let Err(error) = storing.await {
        tracing::error!(%error, "storing syslog ended early");
    }
}

async fn store_all(mut waiting: mpsc::Receiver<Frame>, state: State, tenant: TenantId, stop: watch::Receiver<bool>) {
    while let Some(first) = waiting.recv().await {
        let mut batch = Batch::default();
        batch.push(first);
        let until = tokio::time::Instant::now() + BATCH_WAIT;
        while !batch.is_full() {
            match tokio::time::timeout_at(until, waiting.recv()).await {
                Ok(Some(frame)) => batch.push(frame),
                Ok(None) | Err(_) => break,
            }
        }
        let frames = Arc::new(batch.frames);
        let mut attempts = 0;
        while let Err(error) = store(&state, &tenant, frames.clone()).await {
            attempts += 1;
            if !may_pass(&error) || attempts >= ATTEMPTS || *stop.borrow() {
                LOST.add(&["udp"], frames.len() as u64);
                tracing::error!(%error, messages = frames.len(), "syslog messages lost");
                break;
            }
            tokio::time::sleep(RETRY_WAIT).await;
        }
    }
}
