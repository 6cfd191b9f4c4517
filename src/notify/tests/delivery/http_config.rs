//! What `http_config` asks for, seen from the other side of the wire.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use model::alert::Outcome;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::world::{World, firing};

/// An HTTP server of few words, which keeps what was asked of it.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `answer`: status line and headers for a request's first line, and a body where there is one.
    pub(crate) async fn start(tls: Option<TlsAcceptor>, answer: fn(&str, SocketAddr) -> String) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server { address: listener.local_addr().unwrap(), requests: Arc::default() };
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, tls) = (own.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => server.talk(stream, answer).await,
                        Some(tls) => {
                            // A client that trusts us not goes away.
                            if let Ok(stream) = tls.accept(stream).await {
                                server.talk(stream, answer).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    async fn talk(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: fn(&str, SocketAddr) -> String) {
        let mut text = String::new();
        let mut chunk = [0; 4096];
        let whole = |text: &str| {
            let (head, body) = text.split_once("\r\n\r\n")?;
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            (body.len() >= length.unwrap_or(0)).then_some(())
        };
        while whole(&text).is_none() {
            match stream.read(&mut chunk).await {
                Ok(read) if read > 0 => text.push_str(&String::from_utf8_lossy(&chunk[..read])),
                _ => return,
            }
        }
        let head = answer(text.lines().next().unwrap_or_default(), self.address);
        self.requests.lock().unwrap().push(text);
        let (head, body) = head.split_once("\r\n\r\n").unwrap_or((&head, ""));
        let answer = format!("{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_ok() {
            // The client closes first, or is gone.
            stream.shutdown().await.unwrap_or_default();
        }
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

pub(crate) fn ok(_: &str, _: SocketAddr) -> String {
    "HTTP/1.1 200 OK".into()
}

/// What came of one message to a webhook with these settings: outcome and words.
pub(crate) async fn told(url: &str, http_config: &str) -> (Outcome, String) {
    let mut world = World::new().await;
    let receiver = format!("- {{name: own, webhook_configs: [{{url: '{url}', http_config: {{{http_config}}}}}]}}");
    world.start(world.config("{receiver: own, group_wait: 0s}", &receiver));
    world.commit(&[firing("HostDown", "web-1", "critical")]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while world.attempts().is_empty() {
        assert!(std::time::Instant::now() < deadline, "{url} {http_config}: no attempt");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let first = world.attempts().remove(0);
    world.kill().await;
    (first.outcome, first.words)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_and_headers_are_sent() {
    let server = Server::start(None, ok).await;
    let url = format!("http://{}/hook", server.address);
    for (http_config, expected) in [
        ("basic_auth: {username: me, password: pw}", "authorization: Basic bWU6cHc="),
        ("bearer_token: abc", "authorization: Bearer abc"),
        ("authorization: {type: Token, credentials: abc}", "authorization: Token abc"),
        ("http_headers: {X-Team: {values: [a], secrets: [b]}}", "x-team: a\r\nx-team: b"),
    ] {
        assert_eq!(told(&url, http_config).await.0, Outcome::Accepted, "{http_config}");
        let seen = server.seen().pop().unwrap();
        assert!(seen.contains(expected), "{http_config}: {seen}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_is_gone_through_and_around() {
    let (server, proxy) = (Server::start(None, ok).await, Server::start(None, ok).await);
    let through = format!("proxy_url: 'http://me:pw@{}'", proxy.address);
    assert_eq!(told("http://hooks.invalid/x", &through).await.0, Outcome::Accepted);
    let seen = proxy.seen().pop().unwrap();
    assert!(seen.starts_with("POST http://hooks.invalid/x HTTP/1.1"), "{seen}");
    assert!(seen.contains("proxy-authorization: Basic bWU6cHc="), "{seen}");
    let around = format!("{through}, no_proxy: '127.0.0.1'");
    assert_eq!(told(&format!("http://{}/x", server.address), &around).await.0, Outcome::Accepted);
    assert_eq!((server.seen().len(), proxy.seen().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_checked_as_asked() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["hooks.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(tokio_rustls::rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let server = Server::start(Some(TlsAcceptor::from(Arc::new(config))), ok).await;
    let url = format!("https://{}/hook", server.address);
    let ca = format!("ca: \"{}\"", cert.pem().replace("\r\n", "\n").replace('\n', "\\n"));
    for (tls, outcome) in [
        (String::new(), Outcome::Transient),
        (ca.clone(), Outcome::Transient),
        (format!("{ca}, server_name: other.example"), Outcome::Transient),
        (format!("{ca}, server_name: hooks.example"), Outcome::Accepted),
        (format!("{ca}, server_name: hooks.example, max_version: TLS12"), Outcome::Accepted),
        ("insecure_skip_verify: true".to_owned(), Outcome::Accepted),
    ] {
        let (found, words) = told(&url, &format!("tls_config: {{{tls}}}")).await;
        assert_eq!(found, outcome, "{tls}: {words}");
    }
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_carry_nothing_to_strangers_and_lose_nothing() {
    fn answer(line: &str, own: SocketAddr) -> String {
        let to = match line.split(' ').nth(1).unwrap_or_default() {
            "/same" => "308 Permanent Redirect\r\nlocation: /end".to_owned(),
            "/get" => "302 Found\r\nlocation: /end".to_owned(),
            "/stranger" => format!("307 Temporary Redirect\r\nlocation: http://localhost:{}/end", own.port()),
            _ => "200 OK".to_owned(),
        };
        format!("HTTP/1.1 {to}")
    }
    let server = Server::start(None, answer).await;
    for (path, http_config, outcome) in [
        ("/same", "", Outcome::Accepted),
        ("/same", "follow_redirects: false", Outcome::Permanent),
        ("/get", "follow_redirects: true", Outcome::Permanent),
        ("/stranger", "", Outcome::Permanent),
        ("/stranger", "follow_redirects: true", Outcome::Accepted),
    ] {
        let before = server.seen().len();
        let (found, words) = told(&format!("http://{}{path}", server.address), http_config).await;
        assert_eq!(found, outcome, "{path} {http_config}: {words}");
        for request in &server.seen()[before..] {
            assert!(request.starts_with("POST ") && request.contains("\"version\":\"4\""), "{request}");
        }
    }
}

/// With the credentials in a header, or in the body for a server that wants them there; asked for once, until it runs out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_asked_for_first() {
    fn answer(line: &str, _: SocketAddr) -> String {
        let status = match line.split(' ').nth(1).unwrap_or_default() {
            "/token" | "/body" => "200 OK\r\n\r\n{\"access_token\": \"t0k\", \"expires_in\": 3600}",
            "/denied" => "403 Forbidden\r\n\r\n{\"error\": \"unauthorized_client\"}",
            "/busy" => "503 Service Unavailable",
            "/empty" => "200 OK\r\n\r\n{}",
            "/hook401" => "401 Unauthorized",
            _ => "200 OK",
        };
        format!("HTTP/1.1 {status}")
    }
    fn body_only(line: &str, own: SocketAddr) -> String {
        // The first try is refused, whoever asks.
        static ASKED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        match ASKED.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => "HTTP/1.1 401 Unauthorized".into(),
            _ => answer(line, own),
        }
    }
    let (hook, tokens, picky) =
        (Server::start(None, answer).await, Server::start(None, answer).await, Server::start(None, body_only).await);
    let oauth2 = |server: &Server, path: &str| {
        format!(
            "oauth2: {{client_id: 'me/1', client_secret: 's c', scopes: [a, b], endpoint_params: {{audience: x}}, token_url: 'http://{}{path}'}}",
            server.address
        )
    };
    let url = format!("http://{}/hook", hook.address);
    assert_eq!(told(&url, &oauth2(&tokens, "/token")).await.0, Outcome::Accepted);
    assert!(hook.seen().pop().unwrap().contains("authorization: Bearer t0k"));
    let asked = tokens.seen().pop().unwrap();
    // `me%2F1:s+c`
    for part in ["authorization: Basic bWUlMkYxOnMrYw==", "grant_type=client_credentials&scope=a+b&audience=x"] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    assert_eq!(told(&url, &oauth2(&picky, "/body")).await.0, Outcome::Accepted);
    let asked = picky.seen().pop().unwrap();
    assert!(asked.contains("client_id=me%2F1&client_secret=s+c") && !asked.contains("authorization"), "{asked}");
    for (path, to, outcome, words) in [
        ("/denied", "/hook", Outcome::Permanent, "oauth2: HTTP 403"),
        ("/busy", "/hook", Outcome::Transient, "oauth2: HTTP 503"),
        ("/empty", "/hook", Outcome::Permanent, "gave no access_token"),
        // A token that is new and refused is no good.
        ("/token", "/hook401", Outcome::Permanent, "HTTP 401"),
    ] {
        let (found, said) = told(&format!("http://{}{to}", hook.address), &oauth2(&tokens, path)).await;
        assert!(found == outcome && said.contains(words), "{path} {to}: {found:?} {said}");
    }
}
