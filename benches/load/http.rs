//! As little client as a keep-alive POST needs, so that the server has the machine.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    pub(crate) fn open(addr: &str) -> Connection {
        let stream = TcpStream::connect(addr).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP stream takes options");
        Connection { stream: BufReader::new(stream), host: addr.into() }
    }

    /// Posts and waits for the answer; anything but a clean yes ends the run.
    pub(crate) fn post(&mut self, path: &str, body: &[u8]) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        let answer = self.ask(&head, body);
        assert!(answer.is_empty(), "something was refused: {}", String::from_utf8_lossy(&answer));
    }

    /// Asks and reads the whole answer, of any length.
    pub(crate) fn get(&mut self, path: &str) -> Vec<u8> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.ask(&head, &[])
    }

    fn ask(&mut self, head: &str, body: &[u8]) -> Vec<u8> {
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes()).expect("the server reads");
        stream.write_all(body).expect("the server reads");
        let line = self.line();
        // 204 is how some take what has no answer.
        assert!(["HTTP/1.1 200", "HTTP/1.1 204"].iter().any(|good| line.starts_with(good)), "{line}");
        let (mut length, mut is_chunked) = (0, false);
        loop {
            let line = self.line().to_ascii_lowercase();
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length is a number");
            }
            is_chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        }
        if !is_chunked {
            return self.exactly(length);
        }
        let mut answer = Vec::new();
        loop {
            let length = usize::from_str_radix(self.line().trim(), 16).expect("a chunk says its length");
            answer.extend(self.exactly(length));
            self.line();
            if length == 0 {
                return answer;
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("the server answers");
        line
    }

    fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).expect("the server answers in full");
        bytes
    }
}
