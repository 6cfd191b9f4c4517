//! What is asked for, as people type it: `curl -g 'host/api/v1/query?query=up{job="x"}>0'`.
//!
//! RFC 9112 wants `"`, `<` and `>` escaped in a request's target, and hyper ends the connection over them with a bare 400; Go's servers,
//! Prometheus among them, take them. So they are escaped here, between the socket and hyper, in the first line of each HTTP/1 request
//! and nowhere else: the requests of a connection are followed by their `Content-Length`. What that does not tell the end of (chunks, an
//! upgrade, HTTP/2) and all behind it passes as it is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Of each line so much is looked at, in bytes: enough for the name and value of the headers that count.
const LINE_BYTES_MAX: usize = 64;

/// A connection whose requests' first lines are escaped.
pub(crate) struct RawTarget<S> {
    inner: S,
    follower: Follower,
    /// What was read and is not handed on yet: from the first byte that was escaped.
    pending: Vec<u8>,
}

impl<S> RawTarget<S> {
    pub(crate) fn new(inner: S) -> RawTarget<S> {
        RawTarget { inner, follower: Follower::default(), pending: Vec::new() }
    }
}

/// Where in a connection's requests its next byte stands.
#[derive(Default)]
struct Follower {
    place: Place,
    /// The beginning of the line under way.
    line: Vec<u8>,
    /// Of the request under way.
    body_bytes: Option<u64>,
    is_unclear: bool,
}

#[derive(Default, PartialEq, Eq)]
enum Place {
    #[default]
    Target,
    Headers,
    /// So many bytes of it are to come.
    Body(u64),
    Beyond,
}

impl Follower {
    /// Follows the bytes up to the first that must be escaped, or all of them; how many these are.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self.place {
                Place::Beyond => return bytes.len(),
                Place::Body(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    at += here;
                    let left = left - here as u64;
                    self.place = if left == 0 { Place::Target } else { Place::Body(left) };
                }
                Place::Target | Place::Headers => {
                    let end = rest.iter().position(|byte| *byte == b'\n');
                    let line = &rest[..end.unwrap_or(rest.len())];
                    if self.place == Place::Target
                        && let Some(raw) = line.iter().position(|byte| escaped(*byte).is_some())
                    {
                        self.look_at(&line[..raw]);
                        return at + raw;
                    }
                    self.look_at(line);
                    at += line.len();
                    if end.is_some() {
                        at += 1;
                        self.end_line();
                    }
                }
            }
        }
        at
    }

    fn look_at(&mut self, line: &[u8]) {
        let room = LINE_BYTES_MAX - self.line.len();
        self.line.extend_from_slice(&line[..room.min(line.len())]);
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = line.trim_ascii();
        match self.place {
            // Empty lines before a request are passed over, as hyper does.
            Place::Target if line.is_empty() => {}
            Place::Target => {
                // The beginning of HTTP/2, and what makes a tunnel.
                let is_other = line.starts_with(b"PRI ") || line.starts_with(b"CONNECT ");
                self.place = if is_other { Place::Beyond } else { Place::Headers };
                (self.body_bytes, self.is_unclear) = (None, false);
            }
            _ if line.is_empty() => {
                self.place = match self.body_bytes {
                    _ if self.is_unclear => Place::Beyond,
                    Some(left) if left > 0 => Place::Body(left),
                    _ => Place::Target,
                };
            }
            _ => self.end_header(line),
        }
    }

    fn end_header(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.eq_ignore_ascii_case(b"transfer-encoding") || name.eq_ignore_ascii_case(b"upgrade") {
            self.is_unclear = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value.trim_ascii()).ok().and_then(|text| text.parse().ok());
            self.is_unclear |= length.is_none() || self.body_bytes.is_some();
            self.body_bytes = length;
        }
    }

    /// The bytes with what must be escaped escaped.
    fn escape(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 64);
        let mut rest = bytes;
        loop {
            let (plain, raw) = rest.split_at(self.follow(rest));
            out.extend_from_slice(plain);
            let Some((byte, behind)) = raw.split_first() else { return out };
            let escape = escaped(*byte).unwrap_or_default();
            self.look_at(escape);
            out.extend_from_slice(escape);
            rest = behind;
        }
    }
}

fn escaped(byte: u8) -> Option<&'static [u8]> {
    match byte {
        b'"' => Some(b"%22"),
        b'<' => Some(b"%3C"),
        b'>' => Some(b"%3E"),
        _ => None,
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RawTarget<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = &mut *self;
        let before = buf.filled().len();
        if me.pending.is_empty() {
            ready!(Pin::new(&mut me.inner).poll_read(cx, buf))?;
            let read = &buf.filled()[before..];
            // Nearly always all of it.
            let plain = me.follower.follow(read);
            if plain < read.len() {
                me.pending = me.follower.escape(&read[plain..]);
                buf.set_filled(before + plain);
            }
        }
        let here = me.pending.len().min(buf.remaining());
        buf.put_slice(&me.pending[..here]);
        me.pending.drain(..here);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RawTarget<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// What comes out, however the bytes are cut into reads.
    #[track_caller]
    fn check(sent: &str, expected: &str) {
        for cut in [1, 2, 7, sent.len().max(1)] {
            let mut follower = Follower::default();
            let found: Vec<u8> = sent.as_bytes().chunks(cut).flat_map(|part| follower.escape(part)).collect();
            assert_eq!(String::from_utf8(found).unwrap(), expected, "in pieces of {cut}");
        }
    }

    #[test]
    fn the_first_line_of_each_request_is_escaped_and_nothing_else() {
        let unchanged = |text: &str| check(text, text);
        unchanged("");
        unchanged("GET /api/v1/query?query=up HTTP/1.1\r\nX: \"<>\"\r\n\r\n");
        check(
            "GET /a?query=up{j=\"x\"}>0 HTTP/1.1\r\nX: \"\r\n\r\nGET /b?<\" HTTP/1.1\r\n\r\n",
            "GET /a?query=up{j=%22x%22}%3E0 HTTP/1.1\r\nX: \"\r\n\r\nGET /b?%3C%22 HTTP/1.1\r\n\r\n",
        );
        // Line feeds alone end lines too, and empty lines may come before a request.
        check("\r\n\nGET /?\" HTTP/1.1\n\nGET /?> HTTP/1.1\n\n", "\r\n\nGET /?%22 HTTP/1.1\n\nGET /?%3E HTTP/1.1\n\n");
        // A body of a known length is passed over, whatever it holds.
        check(
            "POST /?\" HTTP/1.1\r\ncontent-LENGTH :9\r\nContent-Length: 5 \r\n\r\n\"\n\n<>GET /?< HTTP/1.1\r\n\r\n",
            "POST /?%22 HTTP/1.1\r\ncontent-LENGTH :9\r\nContent-Length: 5 \r\n\r\n\"\n\n<>GET /?%3C HTTP/1.1\r\n\r\n",
        );
        check(
            "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET /?< HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET /?%3C HTTP/1.1\r\n\r\n",
        );
        // A longer line than is looked at.
        let long = format!("X-Long: {}content-length: 7\r\n", "x".repeat(LINE_BYTES_MAX));
        check(
            &format!("GET / HTTP/1.1\r\n{long}\r\nGET /?\" HTTP/1.1\r\n"),
            &format!("GET / HTTP/1.1\r\n{long}\r\nGET /?%22 HTTP/1.1\r\n"),
        );
        for header in [
            "Transfer-Encoding: chunked",
            "Upgrade: websocket",
            "Content-Length: x",
            "Content-Length: 1\r\nContent-Length: 1",
        ] {
            unchanged(&format!("GET / HTTP/1.1\r\n{header}\r\n\r\n\"\n<\n>\n\n\"\n"));
        }
        unchanged("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\"\n<\n>\n\n\"\n");
        unchanged("CONNECT x HTTP/1.1\r\n\r\n\"\n<\n>\n\n\"\n");
    }

    #[tokio::test]
    async fn small_reads_get_all_of_it_in_order() {
        let mut raw = RawTarget::new(&b"GET /?\"\"<> HTTP/1.1\r\n\r\nGET /?> HTTP/1.1\r\n\r\n"[..]);
        let (mut all, mut part) = (Vec::new(), [0; 3]);
        loop {
            let read = raw.read(&mut part).await.unwrap();
            if read == 0 {
                break;
            }
            all.extend_from_slice(&part[..read]);
        }
        let expected = "GET /?%22%22%3C%3E HTTP/1.1\r\n\r\nGET /?%3E HTTP/1.1\r\n\r\n";
        assert_eq!(String::from_utf8(all).unwrap(), expected);
    }
}
