//! A listener whose connections can be cut after a request was taken and before it is answered, and that can be down for a
//! while: connections are refused then, as of a host that runs nothing.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How many answers are still to be cut off, and whether anybody listens.
#[derive(Clone)]
pub(crate) struct Cuts {
    answers: Arc<AtomicUsize>,
    down: watch::Sender<bool>,
}

impl Default for Cuts {
    fn default() -> Cuts {
        Cuts { answers: Arc::default(), down: watch::Sender::new(false) }
    }
}

impl Cuts {
    pub(crate) fn cut_next_answer(&self) {
        self.answers.fetch_add(1, Ordering::SeqCst);
    }

    /// Refuses connections from now on, and cuts the open ones at their next word; or listens again.
    pub(crate) fn set_down(&self, down: bool) {
        self.down.send_replace(down);
    }

    fn is_down(&self) -> bool {
        *self.down.borrow()
    }

    async fn until(&self, down: bool) {
        // The sender lives in self.
        drop(self.down.subscribe().wait_for(|now| *now == down).await);
    }

    fn take(&self) -> bool {
        self.answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

/// Serves until the runtime ends; returns the address.
pub(crate) async fn serve(router: Router, cuts: Cuts) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    let listener = Listener { listener: Some(listener), address, cuts };
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

struct Listener {
    /// Absent while down.
    listener: Option<TcpListener>,
    address: SocketAddr,
    cuts: Cuts,
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            if self.cuts.is_down() {
                self.listener = None;
                self.cuts.until(false).await;
            }
            let listener = match self.listener.take() {
                Some(listener) => listener,
                None => TcpListener::bind(self.address).await.expect("the port was ours a moment ago"),
            };
            tokio::select! {
                accepted = listener.accept() => {
                    self.listener = Some(listener);
                    if let Ok((stream, address)) = accepted {
                        return (Connection { stream, cuts: self.cuts.clone() }, address);
                    }
                }
                () = self.cuts.until(true) => {}
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

struct Connection {
    stream: TcpStream,
    cuts: Cuts,
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() && self.cuts.is_down() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.cuts.take() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
