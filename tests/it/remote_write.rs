//! Remote write end to end: a request over the network to the real binary, and Prometheus itself as the sender where it is installed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use prost::Message as _;
use serde_json::Value;

use crate::appliance::Appliance;
use crate::until::until;

#[path = "../../src/codec/tests/support/prompb.rs"]
mod prompb;

use prompb::{BucketSpan, v2};

#[tokio::test]
async fn what_is_written_survives_a_kill_and_answers_queries() {
    let home = tempfile::tempdir().unwrap();
    let mut appliance = Appliance::start(home.path());
    let at_ms = i64::try_from(binnacle::clock::now_ns() / 1_000_000).unwrap();
    let mut request = v2::Request::default();
    request.sample(&[("__name__", "written_total"), ("job", "agent")], at_ms, 41.5);
    let labels_refs = request.refs(&[("__name__", "sizes"), ("job", "agent")]);
    request.timeseries.push(v2::TimeSeries {
        labels_refs,
        histograms: vec![prompb::Histogram {
            count_int: Some(3),
            sum: 6.0,
            positive_spans: vec![BucketSpan { offset: 1, length: 2 }],
            positive_deltas: vec![1, 1],
            timestamp: at_ms,
            ..Default::default()
        }],
        ..Default::default()
    });
    let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap();
    let reply = appliance
        .client()
        .post(format!("{}/api/v1/write", appliance.http))
        .header("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-write-version", "2.0.0")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status().as_u16(), 204);
    assert_eq!(reply.headers()["x-prometheus-remote-write-histograms-written"], "1");
    appliance.signal(rustix::process::Signal::KILL);
    drop(appliance);
    appliance = Appliance::start(home.path());
    for (expr, expected) in [("written_total{job=\"agent\"}", "41.5"), ("histogram_avg(sizes)", "2")] {
        assert_eq!(appliance.query(expr).await[0]["value"][1], expected, "{expr}");
    }
}

/// A Prometheus that scrapes itself and writes all of it to us.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn prometheus_writes_what_it_scrapes_and_both_agree() {
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/prometheus/usr/bin/prometheus");
    if !binary.exists() {
        println!("skipped: no {}; tests/prometheus/setup puts it there", binary.display());
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let appliance = Appliance::start(home.path());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = home.path().join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}\n\
         scrape_configs: [{{job_name: self, static_configs: [{{targets: ['{free}']}}]}}]\n\
         remote_write: [{{url: '{}/api/v1/write', queue_config: {{batch_send_deadline: 200ms}}, metadata_config: {{send_interval: 1s}}}}]\n",
        appliance.http
    );
    std::fs::write(&config, text).unwrap();
    let log = std::fs::File::create(home.path().join("prometheus.log")).unwrap();
    let child = Command::new(&binary)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", home.path().join("tsdb").display()))
        .arg(format!("--web.listen-address={free}"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let _prometheus = Prometheus(child);
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
        "prometheus_http_request_duration_seconds_bucket",
    ];
    // Both are asked for the instant of one scrape that both have.
    let stamp = "timestamp(up{job=\"self\"})";
    let at: f64 = appliance.query(stamp).await[0]["value"][1].as_str().unwrap().parse().unwrap();
    let at = format!("{at:.3}");
    let ask = async |base: &str, expr: &str| -> Vec<String> {
        let url =
            reqwest::Url::parse_with_params(&format!("{base}/api/v1/query"), [("query", expr), ("time", &at)]).unwrap();
        let body: Value =
            serde_json::from_str(&appliance.client().get(url).send().await.unwrap().text().await.unwrap()).unwrap();
        let mut rows: Vec<String> =
            body["data"]["result"].as_array().unwrap().iter().map(ToString::to_string).collect();
        rows.sort();
        rows
    };
    for expr in exprs {
        let theirs = ask(&format!("http://{free}"), expr).await;
        assert!(!theirs.is_empty(), "{expr}");
        until(expr, Duration::from_secs(20), || async { (ask(&appliance.http, expr).await == theirs).then_some(()) })
            .await;
    }
    until("metadata of Prometheus", Duration::from_secs(20), || async {
        appliance.get("/api/v1/metadata?metric=go_goroutines").await.1.contains("\"gauge\"").then_some(())
    })
    .await;
}
