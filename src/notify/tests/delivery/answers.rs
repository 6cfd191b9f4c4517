//! Answers that are none, and ways that lead nowhere: what each counts as.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use model::alert::{Attempt, Outcome};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::http_config::{Server, ok, told};
use crate::world::{ROUTING_KEY, World, firing};

/// Answers everything with this status, and then with a byte now and then, for ever.
async fn endless(status: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _some = stream.read(&mut request).await;
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: 1000000\r\n\r\n");
                let mut sent = stream.write_all(head.as_bytes()).await;
                while sent.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    sent = stream.write_all(b" ").await;
                }
            });
        }
    });
    address
}

/// The first attempt at a receiver with these channels, which may take half a second.
async fn first_attempt(channels: &str) -> Attempt {
    let mut world = World::new().await;
    world.timing.attempt_timeout_ms = 500;
    world.start(world.config("{receiver: own, group_wait: 0s}", &format!("- {{name: own, {channels}}}")));
    world.commit(&[firing("HostDown", "web-1", "critical")]);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while world.attempts().is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "{channels}: no attempt");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let first = world.attempts().remove(0);
    world.kill().await;
    first
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_never_ends_is_left_at_the_time_out() {
    let (good, accepted, bad) =
        (endless("200 OK").await, endless("202 Accepted").await, endless("503 Service Unavailable").await);
    let webhook = |at| format!("webhook_configs: [{{url: 'http://{at}/'}}]");
    let pagerduty = |at| format!("pagerduty_configs: [{{routing_key: '{ROUTING_KEY}', url: 'http://{at}/'}}]");
    let slack = |path: &str| format!("slack_configs: [{{api_url: 'http://{good}{path}', channel: '#a'");
    for (channels, outcome) in [
        // The status says it all.
        (webhook(good), Outcome::Accepted),
        (webhook(bad), Outcome::Transient),
        (pagerduty(accepted), Outcome::Accepted),
        (pagerduty(bad), Outcome::Transient),
        // Slack says it in the body.
        (format!("{}}}]", slack("/hook")), Outcome::Transient),
        (
            format!("{}, http_config: {{authorization: {{credentials: t}}}}}}]", slack("/chat.postMessage")),
            Outcome::Transient,
        ),
    ] {
        let attempt = first_attempt(&channels).await;
        assert_eq!(attempt.outcome, outcome, "{channels}: {attempt:?}");
        assert!(attempt.took_ms < 5_000, "{channels}: {attempt:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ways_that_lead_nowhere_are_tried_again_and_say_why() {
    fn refuses(_: &str, _: SocketAddr) -> String {
        "HTTP/1.1 407 Proxy Authentication Required".into()
    }
    fn fails(_: &str, _: SocketAddr) -> String {
        "HTTP/1.1 502 Bad Gateway".into()
    }
    fn busy(_: &str, _: SocketAddr) -> String {
        "HTTP/1.1 429 Too Many Requests".into()
    }
    let mut params = CertificateParams::new(vec!["hooks.example".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    let key = KeyPair::generate().unwrap();
    let old = params.self_signed(&key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(tokio_rustls::rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![old.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let expired = Server::start(Some(TlsAcceptor::from(Arc::new(config))), ok).await;
    let ca = format!("ca: \"{}\"", old.pem().replace("\r\n", "\n").replace('\n', "\\n"));
    let (refusing, failing, throttling) =
        (Server::start(None, refuses).await, Server::start(None, fails).await, Server::start(None, busy).await);
    let through = |proxy: &Server| format!("proxy_url: 'http://{}'", proxy.address);
    for (url, http_config, outcome, words) in [
        (
            format!("https://{}/", expired.address),
            format!("tls_config: {{{ca}, server_name: hooks.example}}"),
            Outcome::Transient,
            "expired",
        ),
        ("http://nowhere.invalid/".into(), String::new(), Outcome::Transient, "dns error"),
        ("http://hooks.invalid/".into(), through(&refusing), Outcome::Permanent, "HTTP 407"),
        ("http://hooks.invalid/".into(), through(&failing), Outcome::Transient, "HTTP 502"),
        ("https://hooks.invalid/".into(), through(&refusing), Outcome::Transient, "proxy"),
        (format!("http://{}/", throttling.address), String::new(), Outcome::Throttled, "HTTP 429"),
    ] {
        let (found, said) = told(&url, &http_config).await;
        assert!(found == outcome && said.contains(words), "{url} {http_config}: {found:?} {said}");
    }
}

/// Answers with the status that the address ends in.
fn as_asked(request: &str, _: SocketAddr) -> String {
    let status = request.split(' ').nth(1).and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    format!("HTTP/1.1 {status} Said\r\n\r\n{{\"message\": \"said\"}}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_means_what_it_means_to_each_service() {
    use Outcome::{Accepted, Permanent, Throttled, Transient};
    let server = Server::start(None, as_asked).await;
    let at = server.address;
    let webhook = |status: u16| format!("webhook_configs: [{{url: 'http://{at}/{status}'}}]");
    let slack = |status: u16| format!("slack_configs: [{{api_url: 'http://{at}/services/{status}'}}]");
    let pagerduty =
        |status: u16| format!("pagerduty_configs: [{{routing_key: '{ROUTING_KEY}', url: 'http://{at}/{status}'}}]");
    // Alertmanager gives up what is no 5xx (and PagerDuty's 429); here what is refused is told elsewhere, and asked again later.
    for (channels, expected, requests) in [
        (webhook(200), Accepted, 1),
        (webhook(204), Accepted, 1),
        (webhook(404), Permanent, 1),
        (webhook(410), Permanent, 1),
        (webhook(413), Permanent, 1),
        (webhook(408), Transient, 1),
        (webhook(429), Throttled, 1),
        (webhook(500), Transient, 1),
        (webhook(599), Transient, 1),
        // It took it, for all that one can tell, but says neither yes nor no.
        (slack(200), Transient, 1),
        (slack(403), Permanent, 1),
        (slack(404), Permanent, 1),
        (slack(410), Permanent, 1),
        (slack(429), Throttled, 1),
        (slack(502), Transient, 1),
        (pagerduty(202), Accepted, 1),
        (pagerduty(200), Transient, 1),
        // Once more in the plainest form.
        (pagerduty(400), Permanent, 2),
        (pagerduty(413), Permanent, 2),
        (pagerduty(403), Permanent, 1),
        (pagerduty(404), Permanent, 1),
        (pagerduty(429), Throttled, 1),
        (pagerduty(503), Transient, 1),
    ] {
        let before = server.seen().len();
        let attempt = first_attempt(&channels).await;
        assert_eq!(attempt.outcome, expected, "{channels}: {attempt:?}");
        assert!(server.seen().len() - before >= requests, "{channels}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_in_for_slack_may_say_yes_in_its_own_words() {
    fn text(_: &str, _: SocketAddr) -> String {
        "HTTP/1.1 200 OK\r\n\r\nok".into()
    }
    fn web_api(_: &str, _: SocketAddr) -> String {
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"ok\": true}".into()
    }
    fn rocket_chat(_: &str, _: SocketAddr) -> String {
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"success\":true}".into()
    }
    fn no(_: &str, _: SocketAddr) -> String {
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"ok\":false,\"error\":\"is_archived\"}".into()
    }
    fn neither(_: &str, _: SocketAddr) -> String {
        "HTTP/1.1 200 OK\r\n\r\n{\"success\":false}".into()
    }
    for (answer, expected, words) in [
        (text as fn(&str, SocketAddr) -> String, Outcome::Accepted, "ok"),
        (web_api, Outcome::Accepted, "ok"),
        (rocket_chat, Outcome::Accepted, "success"),
        (no, Outcome::Permanent, "is_archived"),
        (neither, Outcome::Transient, "not Slack's \"ok\""),
    ] {
        let server = Server::start(None, answer).await;
        let attempt = first_attempt(&format!("slack_configs: [{{api_url: 'http://{}/hook'}}]", server.address)).await;
        assert!(attempt.outcome == expected && attempt.words.contains(words), "{attempt:?}");
    }
}
