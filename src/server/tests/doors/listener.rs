//! A listener under clients that are slow, silent, too many, or still busy when it must stop.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use server::{ServeLimits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

struct Listener {
    address: std::net::SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<std::io::Result<()>>,
}

async fn listen(router: Router, limits: ServeLimits) -> Listener {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    Listener { address, stop, serving: tokio::spawn(serve(listener, router, stopped, limits)) }
}

fn limits() -> ServeLimits {
    ServeLimits {
        first_bytes_max: Duration::from_millis(100),
        headers_max: Duration::from_millis(100),
        ..ServeLimits::default()
    }
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

/// What comes until the server closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    timeout(SOON, stream.read_to_end(&mut text)).await.expect("the server closes in time").unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_client_that_says_nothing_or_too_slowly_is_let_go() {
    let listener = listen(hello(), limits()).await;
    for (begin, answered) in [
        ("", false),
        // May become HTTP/2, and never does.
        ("PRI * HT", false),
        ("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", false),
        // A whole request, then an idle connection.
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", true),
    ] {
        let mut stream = TcpStream::connect(listener.address).await.unwrap();
        stream.write_all(begin.as_bytes()).await.unwrap();
        assert_eq!(rest(&mut stream).await.contains("hello"), answered, "{begin:?}");
    }
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_their_turn() {
    let listener = listen(
        hello(),
        ServeLimits { connections_max: 1, first_bytes_max: SOON, headers_max: SOON, ..ServeLimits::default() },
    )
    .await;
    let first = TcpStream::connect(listener.address).await.unwrap();
    let mut second = TcpStream::connect(listener.address).await.unwrap();
    second.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut byte = [0; 1];
    assert!(timeout(Duration::from_millis(200), second.read(&mut byte)).await.is_err(), "answered over the limit");
    drop(first);
    assert!(rest(&mut second).await.contains("hello"));
}

/// A listener with one place, which waits for nothing by itself in the time of a test.
fn one_place() -> ServeLimits {
    ServeLimits {
        connections_max: 1,
        first_bytes_max: 3 * SOON,
        headers_max: 3 * SOON,
        quiet_min: Duration::from_millis(50),
        ..ServeLimits::default()
    }
}

#[tokio::test]
async fn a_connection_with_nothing_under_way_makes_room() {
    for (held, answered) in [
        ("", false),
        ("PRI * HT", false),
        ("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", false),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", true),
    ] {
        let listener = listen(hello(), one_place()).await;
        let mut holder = TcpStream::connect(listener.address).await.unwrap();
        holder.write_all(held.as_bytes()).await.unwrap();
        let mut newcomer = TcpStream::connect(listener.address).await.unwrap();
        newcomer.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        assert!(rest(&mut newcomer).await.ends_with("hello"), "{held:?} keeps others out");
        assert_eq!(rest(&mut holder).await.contains("hello"), answered, "{held:?}");
    }
}

#[tokio::test]
async fn a_request_under_way_is_not_cut_for_a_newcomer() {
    let (go_on, may_end) = watch::channel(false);
    let slow = get(move || {
        let mut may_end = may_end.clone();
        async move {
            may_end.wait_for(|ended| *ended).await.expect("the test goes on");
            "done"
        }
    });
    let listener = listen(Router::new().route("/", slow), one_place()).await;
    let mut busy = TcpStream::connect(listener.address).await.unwrap();
    busy.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut newcomer = TcpStream::connect(listener.address).await.unwrap();
    newcomer.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut byte = [0; 1];
    assert!(timeout(Duration::from_millis(400), newcomer.read(&mut byte)).await.is_err(), "answered over the limit");
    go_on.send_replace(true);
    assert!(rest(&mut newcomer).await.ends_with("done"));
    // It had asked first, and then idled.
    assert!(rest(&mut busy).await.ends_with("done"));
}

#[tokio::test]
async fn a_request_under_way_ends_well_and_idle_connections_close() {
    let (begun, has_begun) = watch::channel(false);
    let (go_on, may_end) = oneshot::channel::<()>();
    let may_end = std::sync::Arc::new(tokio::sync::Mutex::new(Some(may_end)));
    let slow = get(move || async move {
        begun.send_replace(true);
        may_end.lock().await.take().expect("asked once").await.expect("the test goes on");
        "done"
    });
    let listener = listen(Router::new().route("/", slow), ServeLimits::default()).await;
    let mut idle = TcpStream::connect(listener.address).await.unwrap();
    let mut busy = TcpStream::connect(listener.address).await.unwrap();
    busy.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut has_begun = has_begun;
    timeout(SOON, has_begun.wait_for(|begun| *begun)).await.unwrap().unwrap();

    listener.stop.send_replace(true);
    assert_eq!(rest(&mut idle).await, "");
    go_on.send(()).unwrap();
    assert!(rest(&mut busy).await.ends_with("done"));
    timeout(SOON, listener.serving).await.expect("it ends").unwrap().unwrap();
    assert!(TcpStream::connect(listener.address).await.is_err());
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_at_the_deadline() {
    let never = get(std::future::pending::<&'static str>);
    let limits = ServeLimits { drain_max: Duration::from_millis(100), ..ServeLimits::default() };
    let listener = listen(Router::new().route("/", never), limits).await;
    let mut busy = TcpStream::connect(listener.address).await.unwrap();
    busy.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    listener.stop.send_replace(true);
    timeout(SOON, listener.serving).await.expect("it ends").unwrap().unwrap();
    assert_eq!(rest(&mut busy).await, "");
}
