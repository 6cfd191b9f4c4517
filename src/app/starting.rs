//! Answers while the store is being opened: alive, and not ready yet.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A peer that says nothing for this long is hung up on.
const PATIENCE: Duration = Duration::from_secs(2);

const NOT_READY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\n\
Content-Length: 43\r\nConnection: close\r\n\r\nnot ready: the store is still being opened\n";
const ALIVE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";

pub(super) struct Starting(JoinHandle<()>);

impl Starting {
    /// Stops accepting; the listener's queue goes on to whoever serves next.
    pub(super) async fn end(self) {
        self.0.abort();
        // Aborted is what it should be; a panic would have been its own failure to answer, and nothing else.
        if let Err(error) = self.0.await
            && error.is_panic()
        {
            tracing::error!(%error, "answering while starting");
        }
    }
}

/// Answers on a second handle of the listener, one connection after the other.
pub(super) fn answer_not_ready(listener: &TcpListener) -> std::io::Result<Starting> {
    use std::os::fd::{AsFd as _, OwnedFd};
    let handle: OwnedFd = listener.as_fd().try_clone_to_owned()?;
    let handle = TcpListener::from_std(std::net::TcpListener::from(handle))?;
    Ok(Starting(tokio::spawn(async move {
        loop {
            match handle.accept().await {
                Ok((stream, _)) => {
                    let answered = tokio::time::timeout(PATIENCE, answer(stream)).await;
                    if let Ok(Err(error)) = answered {
                        tracing::debug!(%error, "answering while starting");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting while starting");
                    tokio::time::sleep(PATIENCE).await;
                }
            }
        }
    })))
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = [0u8; 1024];
    let mut length = 0;
    while length < request.len() {
        let read = stream.read(&mut request[length..]).await?;
        length += read;
        if read == 0 || request[..length].contains(&b'\n') {
            break;
        }
    }
    let alive = request.starts_with(b"GET /health ") || request.starts_with(b"GET /healthz ");
    stream.write_all(if alive { ALIVE } else { NOT_READY }).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_fixed_answers_count_their_bytes() {
        for answer in [super::NOT_READY, super::ALIVE] {
            let text = std::str::from_utf8(answer).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
            assert_eq!(length.parse::<usize>().unwrap(), body.len());
        }
    }
}
