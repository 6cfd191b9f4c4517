//! A plain HTTP client.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) async fn send(method: &str, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Reply { status: parts.status.as_u16(), headers: parts.headers, body }
}

/// The answer to a GET, read while it comes.
pub(crate) struct Stream {
    pub(crate) status: u16,
    body: Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>,
    pending: String,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Stream {
    pub(crate) async fn open(url: &str, headers: &[(&str, &str)]) -> Stream {
        let mut request = Request::builder().uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::new())).unwrap();
        let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
        let status = response.status().as_u16();
        Stream { status, body: Box::pin(response.into_body().map_err(BoxError::from)), pending: String::new() }
    }

    /// All up to the next `end`; `None` when the answer ends before.
    pub(crate) async fn until(&mut self, end: &str) -> Option<String> {
        const WITHIN: Duration = Duration::from_secs(30);
        loop {
            if let Some(at) = self.pending.find(end) {
                let rest = self.pending.split_off(at + end.len());
                return Some(std::mem::replace(&mut self.pending, rest));
            }
            let frame = tokio::time::timeout(WITHIN, self.body.frame()).await.expect("something comes in time")?;
            let Ok(data) = frame.unwrap().into_data() else { continue };
            self.pending.push_str(std::str::from_utf8(&data).unwrap());
        }
    }
}
