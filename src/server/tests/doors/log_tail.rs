//! Live tails: events as records come, resumed where they ended.

use prost::Message as _;
use serde_json::Value;

use crate::client::Stream;
use crate::house::{House, now_ms, settings};
use crate::payload;

async fn push(house: &House, bodies: &[String]) {
    let at_ns = now_ms() * 1_000_000;
    let records: Vec<(i64, &str)> = bodies.iter().map(|body| (at_ns, body.as_str())).collect();
    let body = payload::logs(&records).encode_to_vec();
    let reply = house.post("/v1/logs", &[("content-type", "application/x-protobuf")], body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// An event's name, id and data.
fn event(text: &str) -> (String, String, String) {
    let field = |name: &str| {
        let of_name = |line: &str| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned);
        text.lines().filter_map(of_name).collect::<Vec<_>>().join("\n")
    };
    (field("event"), field("id"), field("data"))
}

/// The next event that is no retry and no comment.
async fn next(tail: &mut Stream) -> (String, String, String) {
    loop {
        let text = tail.until("\n\n").await.expect("the tail goes on");
        if !text.starts_with("retry") && !text.starts_with(':') {
            return event(&text);
        }
    }
}

fn body(data: &str) -> String {
    let row: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
    row["body"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_tail_shows_what_comes_and_goes_on_where_it_ended() {
    let house = House::open(settings()).await;
    let url = |query: &str| format!("http://{}/api/v1/logs/tail{query}", house.http);
    // Before the first record of the tenant.
    let mut early = Stream::open(&url(""), &[]).await;
    let (name, begin, _) = next(&mut early).await;
    assert_eq!((early.status, &*name), (200, "ready"));
    let bodies =
        |from: usize, to: usize| (from..to).map(|n| format!("payment {n} \u{1b}[31m\r\n<b>")).collect::<Vec<_>>();
    push(&house, &bodies(0, 5)).await;
    for expected in bodies(0, 5) {
        assert_eq!(body(&next(&mut early).await.2), expected);
    }
    drop(early);

    let mut tail = Stream::open(&url("?q=payment&last=2"), &[]).await;
    for expected in bodies(3, 5) {
        let (name, id, data) = next(&mut tail).await;
        assert_eq!((&*name, &*id, body(&data)), ("", "", expected));
    }
    assert_eq!(next(&mut tail).await.0, "ready");
    push(&house, &["other".into()]).await;
    push(&house, &bodies(5, 8)).await;
    let mut place = String::new();
    for expected in bodies(5, 7) {
        let (_, id, data) = next(&mut tail).await;
        assert_eq!(body(&data), expected);
        place = id;
    }
    drop(tail);
    push(&house, &bodies(8, 10)).await;
    let mut resumed = Stream::open(&url("?q=payment&last=5"), &[("last-event-id", &place)]).await;
    for expected in bodies(7, 10) {
        assert_eq!(body(&next(&mut resumed).await.2), expected);
    }
    // The whole of it once more, in as many pieces as there are.
    let mut all = Stream::open(&url(&format!("?cursor={begin}")), &[]).await;
    let mut seen = Vec::new();
    while seen.len() < 11 {
        seen.push(body(&next(&mut all).await.2));
    }
    let mut expected = bodies(0, 10);
    expected.insert(5, "other".into());
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn tails_are_refused_in_words_and_bounded() {
    let house = House::open(settings()).await;
    for (query, says) in [("?q=(a", "never closed"), ("?cursor=x", "not the id of an event"), ("?last=5000", "1000")] {
        let reply = house.get(&format!("/api/v1/logs/tail{query}"), &[]).await;
        assert_eq!(reply.status, 400, "{query}");
        assert!(reply.text().contains(says), "{query}: {}", reply.text());
    }
    let url = format!("http://{}/api/v1/logs/tail", house.http);
    let mut open = Vec::new();
    for _ in 0..64 {
        let mut tail = Stream::open(&url, &[]).await;
        next(&mut tail).await;
        open.push(tail);
    }
    let reply = house.get("/api/v1/logs/tail", &[]).await;
    assert_eq!(reply.status, 429);
    assert!(reply.text().contains("64 live tails are open"), "{}", reply.text());
    open.truncate(3);
    let again = crate::house::until_ok(async || Stream::open(&url, &[]).await.status == 200).await;
    assert!(again);
}

#[tokio::test]
async fn the_pages_tail_sends_rows_as_the_page_shows_them() {
    let house = House::open(settings()).await;
    let mut tail =
        Stream::open(&format!("http://{}/logs/tail?q=severity:error&cols=http.route", house.http), &[]).await;
    assert_eq!(next(&mut tail).await.0, "ready");
    push(&house, &["<script>\u{202e}".into()]).await;
    let (_, id, html) = next(&mut tail).await;
    assert!(!id.is_empty());
    for part in ["<details class=\"v-error\">", "&#60;script&#62;[U+202E]", "<span class=\"col\">/pay</span>"] {
        assert!(html.contains(part), "no {part} in {html}");
    }
}
