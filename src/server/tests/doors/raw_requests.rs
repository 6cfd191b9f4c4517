//! Requests as scripts and people write them, not as an HTTP library would.

use prost::Message as _;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client;
use crate::house::{House, now_ms, settings};
use crate::payload::gauge;

/// All that comes for the bytes, of which the last request ends the connection.
async fn answers(house: &House, sent: &str) -> String {
    let mut stream = TcpStream::connect(house.http).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_query_may_have_quotes_and_comparisons_unescaped() {
    let house = House::open(settings()).await;
    let at_ms = now_ms();
    let body = gauge("up", &[(at_ms, Some(0.25))]).encode_to_vec();
    let pushed = house.post("/v1/metrics", &[("content-type", "application/x-protobuf")], body).await;
    assert_eq!(pushed.status, 200, "{}", pushed.text());
    let request = |query: &str, headers: &str| {
        format!("GET /api/v1/query?query={query} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
    };
    let form = "query=up<\"";
    let sent = [
        request("up{job=\"api\"}>0.2", ""),
        request("up<0.2", ""),
        // The body of another request stays as it is.
        format!(
            "POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        ),
        request("\"a<b\"", "Connection: close\r\n"),
    ];
    let text = answers(&house, &sent.concat()).await;
    let statuses: Vec<&str> = text.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "200", "400", "200"], "{text}");
    assert!(text.contains("\"0.25\"]"), "{text}");
    assert!(text.contains("unterminated quoted string"), "{text}");
    assert!(text.contains("\"a<b\"]"), "{text}");
}

#[tokio::test]
async fn slashes_too_many_and_escaped_letters_are_the_same_path() {
    let house = House::open(settings()).await;
    for path in ["//api/v1/labels", "/api/v1//labels?limit=1", "/api/v1/l%61bels", "/api/v1/labels"] {
        for method in ["GET", "POST"] {
            let url = format!("http://{}{path}", house.http);
            let reply = client::send(method, &url, &[], Vec::new()).await;
            assert_eq!(
                (reply.status, reply.json()),
                (200, json!({"status": "success", "data": []})),
                "{method} {path}"
            );
        }
    }
    let body = gauge("up", &[(now_ms(), Some(1.0))]).encode_to_vec();
    let pushed = house.post("//v1/metrics", &[("content-type", "application/x-protobuf")], body).await;
    assert_eq!(pushed.status, 200, "{}", pushed.text());
    // A label's name may hold what separates elsewhere.
    assert_eq!(House::data(&house.get("/api/v1/label/a%2Fb/values", &[]).await), json!([]));
    assert_eq!(house.get("/api/v1/labels/", &[]).await.status, 404);
}

#[tokio::test]
async fn ends_of_ranges_may_be_far_away_and_timeouts_short() {
    let house = House::open(settings()).await;
    let body = gauge("up", &[(now_ms(), Some(1.0))]).encode_to_vec();
    let pushed = house.post("/v1/metrics", &[("content-type", "application/x-protobuf")], body).await;
    assert_eq!(pushed.status, 200, "{}", pushed.text());
    let ends = "start=-9223309901257974&end=9223372036854775.807";
    for (path, expected) in [
        (format!("label/__name__/values?{ends}"), json!(["up"])),
        (format!("label/__name__/values?match[]=up&{ends}"), json!(["up"])),
        (format!("labels?match[]=up&limit=1&{ends}"), json!(["__name__"])),
        (format!("query_exemplars?query=up&{ends}"), json!([])),
        ("label/U___/values".into(), json!([])),
    ] {
        assert_eq!(House::data(&house.get(&format!("/api/v1/{path}"), &[]).await), expected, "{path}");
    }
    for path in ["query?query=1&time=9223372036854775", "labels?start=NaN", "labels?end=Inf", "labels?end=1e19"] {
        assert_eq!(house.get(&format!("/api/v1/{path}"), &[]).await.status, 400, "{path}");
    }
    // In time or not, it was understood.
    let short = house.get("/api/v1/query?query=1&timeout=0.0001", &[]).await;
    assert!([200, 503].contains(&short.status), "{}", short.text());
}
