//! What the query box suggests, over a real store.

use crate::house::{House, now_ms, settings};
use crate::pages::{Point, metric, push_metrics};

/// What the query up to the caret becomes with each suggestion.
async fn check(house: &House, before: &str, after: &str, expected: &[&str]) {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("before", before).append_pair("after", after);
    let reply = house.get(&format!("/explore/suggest?{}", query.finish()), &[]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let found = reply.json();
    let keep = usize::try_from(found["keep"].as_u64().unwrap()).unwrap();
    let kept = String::from_utf16(&before.encode_utf16().take(keep).collect::<Vec<_>>()).unwrap();
    let rows = found["rows"].as_array().unwrap();
    let written: Vec<String> = rows.iter().map(|row| format!("{kept}{}", row["insert"].as_str().unwrap())).collect();
    assert_eq!(written, expected, "{before}|{after}");
}

#[tokio::test]
async fn suggestions_complete_what_was_typed() {
    let house = House::open(settings()).await;
    check(&house, "htt", "", &[]).await;
    let at_ms = now_ms();
    let api: [Point<'_>; 2] =
        [(&[("path", "/a\"b"), ("code", "200")], at_ms, 1.0), (&[("path", "/c"), ("code", "500")], at_ms, 2.0)];
    let gauge: [Point<'_>; 1] = [(&[("room", "engine")], at_ms, 80.0)];
    let metrics = vec![
        metric("http_requests", "", true, &api),
        metric("old_http", "", false, &gauge),
        metric("temp", "", false, &gauge),
    ];
    push_metrics(&house, &[("service.name", "api")], metrics).await;

    check(&house, "", "", &[]).await;
    check(&house, "sum(HTTP", ")", &["sum(http_requests_total", "sum(old_http"]).await;
    check(&house, "htpt_requests_total", "", &["http_requests_total"]).await;
    check(&house, "temp", "", &[]).await;
    check(&house, "histogram_quantile", "", &["histogram_quantile(", "histogram_quantiles("]).await;
    check(&house, "histogram_quantiles", "(0.9)", &[]).await;
    check(&house, "http_requests_total{p", "}", &["http_requests_total{path=\""]).await;
    check(&house, "http_requests_total{p", "=\"a\"}", &["http_requests_total{path"]).await;
    check(&house, "temp{ro", "", &["temp{room=\""]).await;
    check(&house, "temp{pat", "", &[]).await;
    check(&house, "sum by (co", ") (http_requests_total)", &["sum by (code"]).await;
    let paths = ["/a\\\"b\"", "/c\""].map(|path| format!("http_requests_total{{path=\"{path}"));
    check(&house, "http_requests_total{path=\"", "", &paths.each_ref().map(String::as_str)).await;
    check(&house, "x{ä=\"ö\"} + http_requests_total{code=\"5", "\"}", &[]).await;
    let quoted = ["http_requests_total{path=\"/c\",code=\"500"];
    check(&house, "http_requests_total{path=\"/c\",code=\"", "\"}", &quoted).await;
    check(
        &house,
        "http_requests_total{code=",
        "",
        &["200", "500"].map(|code| format!("http_requests_total{{code=\"{code}\"")).each_ref().map(String::as_str),
    )
    .await;
    check(
        &house,
        "rate(temp[",
        ")",
        &["1m", "5m", "10m", "30m", "1h", "6h", "1d"]
            .map(|of| format!("rate(temp[{of}]"))
            .each_ref()
            .map(String::as_str),
    )
    .await;
    check(&house, "sum(temp) b", "", &["sum(temp) bool ", "sum(temp) by "]).await;

    let found = house.get("/explore/suggest?before=http_req", &[]).await.json();
    let row = &found["rows"][0];
    assert_eq!((row["kind"].as_str(), row["note"].as_str()), (Some("counter"), Some("A <b>test</b> metric.")));
}
