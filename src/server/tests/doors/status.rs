//! What the server says of itself, of its targets and of its series.

use std::sync::Arc;
use std::time::Duration;

use model::{Labels, MetricKind, MetricMeta, TenantId};
use prost::Message as _;
use serde_json::{Value, json};
use server::targets::{Target, TargetHealth};

use crate::client;
use crate::house::{House, now_ms, settings};
use crate::payload::gauge;

async fn house() -> House {
    let house = House::open(settings()).await;
    let now_ms = now_ms();
    for (name, zone_points) in [("up", 1), ("queue_depth", 2)] {
        let points: Vec<(i64, Option<f64>)> = (0..zone_points).map(|n| (now_ms - n, Some(1.0))).collect();
        let body = gauge(name, &points).encode_to_vec();
        let pushed = house.post("/v1/metrics", &[("content-type", "application/x-protobuf")], body).await;
        assert_eq!(pushed.status, 200, "{}", pushed.text());
    }
    house
}

async fn data(house: &House, path: &str) -> Value {
    House::data(&house.get(&format!("/api/v1/{path}"), &[]).await)
}

#[tokio::test]
async fn the_server_tells_what_it_is() {
    let house = house().await;
    let info = data(&house, "status/buildinfo").await;
    assert_eq!((&info["application"], &info["applicationVersion"]), (&json!("Binnacle"), &json!("0.0.0-test")));
    let runtime = data(&house, "status/runtimeinfo").await;
    assert_eq!(
        (&runtime["startTime"], &runtime["reloadConfigSuccess"]),
        (&json!("1970-01-01T00:00:00.000Z"), &json!(true))
    );
    assert!(runtime["goroutineCount"].as_u64().is_some_and(|tasks| tasks > 0), "{runtime}");
    assert!(runtime["storageRetention"].as_str().is_some_and(|text| text.starts_with("90d or ")), "{runtime}");
    let flags = data(&house, "status/flags").await;
    assert_eq!((&flags["query.timeout"], &flags["query.lookback-delta"]), (&json!("20s"), &json!("5m")));
    let config = data(&house, "status/config").await;
    assert!(config["yaml"].as_str().unwrap().contains("scrape_configs: []\nstorage:"), "{config}");
    assert_eq!(data(&house, "status/walreplay").await, json!({"min": 0, "max": 0, "current": 0}));
    let features = data(&house, "features").await;
    for (category, name, is_on) in [
        ("promql", "smoothed", true),
        ("promql_functions", "ts_of_last_over_time", true),
        ("promql_operators", "limitk", true),
        ("promql_operators", "</", true),
        ("otlp_receiver", "delta_conversion", true),
        ("otlp_receiver", "native_delta_ingestion", false),
        ("api", "admin", false),
    ] {
        assert_eq!(features[category][name], json!(is_on), "{category} {name}");
    }
    assert_eq!(features["promql_functions"]["limitk"], Value::Null);
    assert_eq!(data(&house, "notifications").await, json!([]));
    assert_eq!(data(&house, "alertmanagers").await, json!({"activeAlertmanagers": [], "droppedAlertmanagers": []}));
}

#[tokio::test]
async fn methods_are_answered_as_http_has_them() {
    let house = house().await;
    for (method, path, status, says) in [
        ("OPTIONS", "query", 204, ""),
        ("OPTIONS", "nothing/there", 204, ""),
        ("HEAD", "labels", 200, ""),
        ("DELETE", "query", 405, "DELETE is not allowed at /api/v1/query"),
        ("POST", "admin/tsdb/delete_series", 403, "admin APIs disabled"),
        ("PUT", "admin/tsdb/snapshot", 403, "admin APIs disabled"),
        ("GET", "admin/tsdb/snapshot", 405, "not allowed"),
    ] {
        let reply = client::send(method, &format!("http://{}/api/v1/{path}", house.http), &[], Vec::new()).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        assert!(reply.text().contains(says), "{method} {path}: {}", reply.text());
        assert_eq!(reply.header("access-control-allow-origin"), "", "{method} {path}");
    }
}

#[tokio::test]
async fn targets_are_shown_to_their_tenant() {
    let house = house().await;
    let nothing = json!({"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}});
    assert_eq!(data(&house, "targets").await, nothing);
    let meta = |family: &str| MetricMeta {
        family: family.into(),
        kind: MetricKind::Counter,
        unit: String::new(),
        help: "of it".into(),
    };
    house.state.targets.put(Target {
        tenant: TenantId::default(),
        pool: "node".into(),
        url: "http://127.0.0.1:9100/metrics".into(),
        labels: Labels::from_pairs([("job", "node"), ("instance", "127.0.0.1:9100")]),
        discovered_labels: Labels::from_pairs([("__address__", "127.0.0.1:9100"), ("job", "node")]),
        interval: Duration::from_secs(15),
        timeout: Duration::from_secs(10),
        health: TargetHealth::Down,
        last_error: "connection refused".into(),
        last_scrape_ms: Some(1_795_226_400_000),
        last_scrape_duration: Duration::from_millis(1_500),
        metadata: Arc::from([meta("a_total"), meta("b_total")]),
    });
    let target = json!({
        "discoveredLabels": {"__address__": "127.0.0.1:9100", "job": "node"},
        "labels": {"job": "node", "instance": "127.0.0.1:9100"},
        "scrapePool": "node",
        "scrapeUrl": "http://127.0.0.1:9100/metrics",
        "globalUrl": "http://127.0.0.1:9100/metrics",
        "lastError": "connection refused",
        "lastScrape": "2026-11-21T02:00:00.000Z",
        "lastScrapeDuration": 1.5,
        "health": "down",
        "scrapeInterval": "15s",
        "scrapeTimeout": "10s",
    });
    let told = |family: Option<&str>| {
        let mut row = json!({"target": {"job": "node", "instance": "127.0.0.1:9100"}, "type": "counter", "help": "of it", "unit": ""});
        if let Some(family) = family {
            row["metric"] = json!(family);
        }
        row
    };
    for (path, expected) in [
        ("targets?state=active&scrapePool=node", json!([target])),
        ("targets?state=any", json!([target])),
        ("targets?state=dropped", json!([])),
        ("targets?scrapePool=other", json!([])),
    ] {
        assert_eq!(data(&house, path).await["activeTargets"], expected, "{path}");
    }
    for (path, expected) in [
        ("targets/metadata", json!([told(Some("a_total")), told(Some("b_total"))])),
        ("targets/metadata?limit=1", json!([told(Some("a_total"))])),
        ("targets/metadata?metric=b_total", json!([told(None)])),
        ("targets/metadata?match_target=%7Bjob%3D%22x%22%7D", json!([])),
        ("scrape_pools", json!({"scrapePools": ["node"]})),
    ] {
        assert_eq!(data(&house, path).await, expected, "{path}");
    }
    let other = House::data(&house.get("/api/v1/targets", &[("x-scope-orgid", "other")]).await);
    assert_eq!(other, nothing);
    assert!(data(&house, "status/config").await["yaml"].as_str().unwrap().contains("- job_name: \"node\""));
}

#[tokio::test]
async fn series_are_counted_by_metric_and_label() {
    let house = house().await;
    let status = data(&house, "status/tsdb?limit=2").await;
    assert_eq!((&status["headStats"]["numSeries"], &status["headStats"]["numLabelPairs"]), (&json!(2), &json!(5)));
    assert_eq!(
        status["seriesCountByMetricName"],
        json!([{"name": "queue_depth", "value": 1}, {"name": "up", "value": 1}])
    );
    assert_eq!(
        status["labelValueCountByLabelName"],
        json!([{"name": "__name__", "value": 2}, {"name": "job", "value": 1}])
    );
    assert_eq!(status["memoryInBytesByLabelName"][0], json!({"name": "__name__", "value": 13}));
    assert_eq!(
        status["seriesCountByLabelValuePair"],
        json!([{"name": "job=api", "value": 2}, {"name": "service_name=api", "value": 2}])
    );
}

#[tokio::test]
async fn where_nothing_comes_any_more_the_last_day_is_counted() {
    let house = House::open(settings()).await;
    let body = gauge("old", &[(now_ms() - 3 * 86_400_000, Some(1.0))]).encode_to_vec();
    house.post("/v1/metrics", &[("content-type", "application/x-protobuf")], body).await;
    let status = data(&house, "status/tsdb").await;
    assert_eq!(status["headStats"]["numSeries"], 1);
    assert_eq!(status["seriesCountByMetricName"], json!([{"name": "old", "value": 1}]));
}

#[tokio::test]
async fn what_nobody_asks_for_is_told() {
    let house = house().await;
    let never = async || {
        let told = data(&house, "cardinality?never_queried=true&label=zone").await;
        assert_eq!(
            (&told["series"], &told["series_yesterday"], &told["metric_names"]),
            (&json!(2), &json!(0), &json!(2))
        );
        assert_eq!(told["values"], json!([{"name": "a", "series": 2, "series_yesterday": 0, "growth": 2}]));
        let names =
            told["metrics"].as_array().unwrap().iter().map(|metric| metric["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    // A rule asks for `up`; reading labels or an expression's tree asks for nothing.
    for path in ["series?match[]=queue_depth", "parse_query?query=queue_depth"] {
        data(&house, path).await;
    }
    assert_eq!(never().await, ["queue_depth"]);
    data(&house, "query?query=sum(queue_depth)").await;
    assert_eq!(never().await, [""; 0]);
}

#[tokio::test]
async fn stats_are_told_when_asked_for() {
    let house = house().await;
    let with = data(&house, "query?query=up&stats=true").await;
    for name in
        ["evalTotalTime", "resultSortTime", "queryPreparationTime", "innerEvalTime", "execQueueTime", "execTotalTime"]
    {
        assert!(with["stats"]["timings"][name].is_number(), "{name}: {with}");
    }
    assert_eq!(with["stats"]["samples"]["totalQueryableSamples"], json!(1));
    assert_eq!(data(&house, "query?query=up").await.get("stats"), None);
}

#[tokio::test]
async fn samples_of_each_step_and_the_cost_of_each_node_are_told_when_asked_for() {
    let house = house().await;
    let with = data(&house, "query_range?query=up&start=1000&end=1060&step=30&stats=all").await;
    let samples = &with["stats"]["samples"];
    let per_step = samples["totalQueryableSamplesPerStep"].as_array().expect("an array").clone();
    assert_eq!(per_step.len(), 3, "{samples}");
    assert_eq!(per_step[0][0], json!(1000), "{samples}");
    assert!(samples["peakSamples"].is_number(), "{samples}");
    let asked = house.get("/api/v1/query?query=sum(up)&explain=1", &[]).await.json();
    let explain = &asked["explain"];
    assert_eq!((&explain["expr"], &explain["kind"]), (&json!("sum(up)"), &json!("aggregation")), "{asked}");
    let below = &explain["children"][0];
    assert_eq!((&below["expr"], &below["kind"], &below["series"]), (&json!("up"), &json!("selector"), &json!(1)));
    assert!(explain["ms"].is_number() && explain["samples"] == below["samples"], "{asked}");
    assert_eq!(house.get("/api/v1/query?query=sum(up)&explain=0", &[]).await.json().get("explain"), None);
}
