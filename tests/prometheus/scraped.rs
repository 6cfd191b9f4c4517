//! Prometheus as the sender: what it scrapes of itself and writes to us.

use std::time::Duration;

use serde_json::Value;

use crate::appliance::Appliance;
use crate::differences::{Order, of_answers};
use crate::peer::Prometheus;
use crate::until::until;

#[tokio::test]
async fn prometheus_writes_what_it_scrapes_and_both_agree() {
    let home = tempfile::tempdir().unwrap();
    let appliance = Appliance::start(home.path());
    let config = |address: &str| {
        format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}\n\
             scrape_configs: [{{job_name: self, static_configs: [{{targets: ['{address}']}}]}}]\n\
             remote_write: [{{url: '{}/api/v1/write', send_native_histograms: true, queue_config: {{batch_send_deadline: 200ms}}, metadata_config: {{send_interval: 1s}}}}]\n",
            appliance.http
        )
    };
    let Some(prometheus) = Prometheus::start(home.path(), config) else { return };
    until("samples of Prometheus", Duration::from_secs(60), || async {
        (!appliance.query("count_over_time(prometheus_tsdb_head_samples_appended_total[1m]) >= 4").await.is_empty())
            .then_some(())
    })
    .await;
    let exprs = [
        "up{job=\"self\"}",
        "prometheus_tsdb_head_samples_appended_total",
        "go_goroutines",
        "go_gc_duration_seconds",
        "scrape_samples_scraped",
        "prometheus_http_request_duration_seconds",
        "histogram_quantile(0.9, prometheus_http_request_duration_seconds)",
    ];
    // Both are asked for the instant of one scrape that both have.
    let stamp = "timestamp(up{job=\"self\"})";
    let at: f64 = appliance.query(stamp).await[0]["value"][1].as_str().unwrap().parse().unwrap();
    let at = format!("{at:.3}");
    let ask = async |base: &str, expr: &str| -> Value {
        let url =
            reqwest::Url::parse_with_params(&format!("{base}/api/v1/query"), [("query", expr), ("time", &at)]).unwrap();
        serde_json::from_str(&appliance.client().get(url).send().await.unwrap().text().await.unwrap()).unwrap()
    };
    for expr in exprs {
        let theirs = ask(&prometheus.http.clone(), expr).await;
        assert!(!theirs["data"]["result"].as_array().unwrap().is_empty(), "{expr}");
        until(expr, Duration::from_secs(20), || async {
            of_answers(&ask(&appliance.http, expr).await, &theirs, Order::None).is_none().then_some(())
        })
        .await;
    }
    until("metadata of Prometheus", Duration::from_secs(20), || async {
        appliance.get("/api/v1/metadata?metric=go_goroutines").await.1.contains("\"gauge\"").then_some(())
    })
    .await;
}
