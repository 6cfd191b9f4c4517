//! A unary gRPC call over HTTP/2 with prior knowledge, its message encoded beforehand.

/// One HTTP/2 connection.
pub(crate) struct Connection {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    base: String,
}

/// An empty answer message: nothing was refused.
const NOTHING: [u8; 5] = [0; 5];

impl Connection {
    pub(crate) fn open(addr: &str) -> Connection {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
        Connection { runtime, client, base: format!("http://{addr}") }
    }

    /// Calls and waits for the answer; anything but a clean success ends the run.
    pub(crate) fn call(&mut self, method: &str, message: &[u8]) {
        let mut framed = Vec::with_capacity(message.len() + 5);
        framed.push(0);
        framed.extend(u32::try_from(message.len()).expect("messages are below 4 GiB").to_be_bytes());
        framed.extend_from_slice(message);
        let call = self
            .client
            .post(format!("{}{method}", self.base))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(framed);
        self.runtime.block_on(async {
            let answer = call.send().await.expect("the server answers");
            // A refusal has its status here, a success in the trailers.
            let refused = answer.headers().get("grpc-status").is_some();
            assert!(!refused && answer.status() == 200, "{answer:?}");
            let answer = answer.bytes().await.expect("the server answers in full");
            assert!(answer[..] == NOTHING, "something was refused: {}", String::from_utf8_lossy(&answer));
        });
    }
}
