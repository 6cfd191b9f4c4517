//! Native histograms by scraping: a real HTTP server that speaks protobuf to whoever asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::Value;

#[path = "../../src/codec/tests/support/client_model.rs"]
mod client_model;

use crate::appliance::Appliance;
use crate::fakes::http::{Cuts, serve};
use crate::until::until;
use client_model::{HISTOGRAM, Histogram, Metric, delimited, exemplar, family};

const WITHIN: Duration = Duration::from_secs(30);

/// What a client library shows: protobuf where it is accepted, text otherwise.
fn page(request: &Request, observed: u64) -> Response {
    let accept = request.headers().get("accept").map_or("", |value| value.to_str().unwrap());
    if !accept.starts_with("application/vnd.google.protobuf;") {
        let text =
            "# TYPE took histogram\ntook_bucket{le=\"1\"} 2\ntook_bucket{le=\"+Inf\"} 8\ntook_sum 21.5\ntook_count 8\n";
        return ([("content-type", "text/plain; version=0.0.4")], text).into_response();
    }
    let mut told = client_model::histogram();
    told.sample_count += observed;
    // The newest are all in the last bucket.
    told.positive_delta[2] += observed as i64;
    let now_s = i64::try_from(binnacle::clock::now_ns() / 1_000_000_000).unwrap();
    let histogram = Histogram { exemplars: vec![exemplar("slow", 7.5, Some(now_s - 1))], ..told };
    let body =
        delimited(&[family("took", HISTOGRAM, vec![Metric { histogram: Some(histogram), ..Metric::default() }])]);
    ([("content-type", client_model::CONTENT_TYPE)], Body::from(body)).into_response()
}

#[tokio::test]
async fn histograms_come_with_the_buckets_that_are_configured() {
    let observed = Arc::new(AtomicU64::new(0));
    let seen = observed.clone();
    let answer = move |request: Request| {
        let reply = page(&request, seen.load(Ordering::SeqCst));
        async move { reply }
    };
    let ends = Arc::new(AtomicU64::new(0));
    let ending = ends.clone();
    let mortal = move |request: Request| {
        let is_gone = ending.load(Ordering::SeqCst) > 0;
        async move { if is_gone { axum::http::StatusCode::BAD_GATEWAY.into_response() } else { page(&request, 0) } }
    };
    let address =
        serve(Router::new().route("/metrics", get(answer)).route("/mortal", get(mortal)), Cuts::default()).await;
    let job = |name: &str, more: &str| {
        format!("[[scrape]]\njob = \"{name}\"\ntargets = [\"{address}\"]\ninterval = \"250ms\"\n{more}\n")
    };
    let home = tempfile::tempdir().unwrap();
    let jobs = [
        job("plain", ""),
        job("native", "scrape_native_histograms = true"),
        job("both", "scrape_native_histograms = true\nalways_scrape_classic_histograms = true"),
        job("coarse", "scrape_native_histograms = true\nnative_histogram_bucket_limit = 2"),
        job("texts", "scrape_native_histograms = true\nscrape_protocols = [\"PrometheusText0.0.4\"]"),
        job("mortal", "scrape_native_histograms = true\npath = \"/mortal\""),
    ];
    std::fs::write(home.path().join("binnacle.toml"), jobs.join("\n")).unwrap();
    let appliance = Appliance::start(home.path());
    let value = async |expr: &str| {
        let rows = appliance.query(expr).await;
        rows.first().and_then(|row| row["value"][1].as_str().map(str::to_owned))
    };
    let shows = async |expr: &str, expected: Option<&str>| {
        until(expr, WITHIN, || async { (value(expr).await.as_deref() == expected).then_some(()) }).await;
    };
    shows("took_bucket{job=\"plain\",le=\"1.0\"}", Some("2")).await;
    for job in ["native", "both", "mortal"] {
        shows(&format!("histogram_count(took{{job=\"{job}\"}})"), Some("8")).await;
        shows(&format!("histogram_quantile(1, took{{job=\"{job}\"}})"), Some("8")).await;
    }
    shows("count(histogram_count(took{job=\"coarse\"}))", Some("1")).await;
    shows("took_bucket{job=\"texts\",le=\"1.0\"}", Some("2")).await;
    shows("took_bucket{job=\"both\",le=\"2.0\"}", Some("4")).await;
    assert_eq!(value("count({__name__=~\"took_.*\",job=\"native\"})").await, None);
    assert_eq!(value("count(took{job=\"plain\"})").await, None);
    // One sample, however many buckets it has.
    shows("scrape_samples_scraped{job=\"native\"}", Some("1")).await;
    shows("scrape_samples_scraped{job=\"both\"}", Some("6")).await;

    observed.store(5, Ordering::SeqCst);
    shows("histogram_count(took{job=\"native\"})", Some("13")).await;
    assert!(value("histogram_count(increase(took{job=\"native\"}[1m])) > 0").await.is_some());
    let told = appliance.get("/api/v1/query_exemplars?query=took{job=\"native\"}&start=0&end=4000000000").await.1;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["data"][0]["exemplars"][0]["labels"]["trace_id"], "slow", "{told}");
    let metadata: Value = serde_json::from_str(&appliance.get("/api/v1/metadata?metric=took").await.1).unwrap();
    assert_eq!(metadata["data"]["took"][0]["type"], "histogram", "{metadata}");

    ends.store(1, Ordering::SeqCst);
    shows("up{job=\"mortal\"}", Some("0")).await;
    shows("count(took{job=\"mortal\"})", None).await;
    appliance.terminate();
}
