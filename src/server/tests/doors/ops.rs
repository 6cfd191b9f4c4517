//! What those who run the appliance ask it.

use prost::Message as _;

use crate::house::{House, now_ms, settings};
use crate::payload::gauge;

#[tokio::test]
async fn health_readiness_and_metrics() {
    let house = House::open(settings()).await;
    for path in ["/health", "/healthz", "/-/healthy"] {
        let reply = house.get(path, &[]).await;
        assert_eq!((reply.status, reply.text().trim()), (200, "ok"), "{path}");
    }
    for (path, status) in [("/ready", 200), ("/-/ready", 200), ("/-/reload", 403), ("/-/quit", 403)] {
        assert_eq!(house.get(path, &[]).await.status, status, "{path}");
    }

    let body = gauge("up", &[(now_ms(), Some(1.0)), (now_ms(), None)]).encode_to_vec();
    let headers = [("content-type", "application/x-protobuf"), ("x-scope-orgid", "ops")];
    assert_eq!(house.post("/v1/metrics", &headers, body).await.status, 200);
    house.get("/api/v1/query?query=up", &[]).await;
    let reply = house.get("/metrics", &[]).await;
    assert_eq!(reply.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let text = reply.text();
    for line in [
        "# TYPE binnacle_ingest_requests_total counter",
        "binnacle_ingest_requests_total{signal=\"metrics\",transport=\"http\",code=\"200\"} ",
        "binnacle_ingest_items_total{signal=\"metrics\"} ",
        "binnacle_ingest_rejected_items_total{signal=\"metrics\",reason=\"malformed\"} ",
        "binnacle_ingest_bytes_total{signal=\"metrics\"} ",
        "binnacle_search_requests_total{kind=\"instant\",code=\"200\"} ",
        "binnacle_search_duration_seconds_bucket{kind=\"instant\",le=\"+Inf\"} ",
        "binnacle_data_disk_free_ratio 0.",
        "binnacle_store_series ",
        "binnacle_intake_queue_requests 0",
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line} is missing in:\n{text}");
    }

    // A store that takes nothing any more is alive, not ready, and says so to senders in a way that makes them wait.
    let state = house.state.clone();
    tokio::task::spawn_blocking(move || state.store.close()).await.unwrap().unwrap();
    let ready = house.get("/ready", &[]).await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().starts_with("not ready: "), "{}", ready.text());
    assert_eq!(house.get("/health", &[]).await.status, 200);
    let body = gauge("up", &[(now_ms(), Some(1.0))]).encode_to_vec();
    let refused = house.post("/v1/metrics", &headers, body).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "5"), "{}", refused.text());
}

#[tokio::test]
async fn browsers_are_told_what_a_page_may_do() {
    let house = House::open(settings()).await;
    let reply = house.get("/api/v1/labels", &[]).await;
    assert!(reply.header("content-security-policy").starts_with("default-src 'none'"));
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
}
