//! Loki's ruler as Grafana's alerting and Loki's own tools read it: rules over logs alone, by file.

use serde_json::json;

use crate::client;
use crate::house::{House, settings};

const RULES: &str = r#"
groups:
- name: metrics
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
- name: of logs
  interval: 1m
  type: logs
  limit: 5
  rules:
  - alert: Errors
    expr: 'sum by (service_name) (rate({service_name=~".+"} |= "error: \"x\"" [5m])) > 1'
    for: 90s
    keep_firing_for: 5m
    labels: {severity: critical}
    annotations: {summary: 'errors in {{ $labels.service_name }}'}
  - record: log:lines
    expr: sum(count_over_time({service_name=~".+"}[1m]))
"#;

const GROUP: &str = r#"name: "of logs"
interval: 1m
limit: 5
rules:
    - alert: "Errors"
      expr: "sum by (service_name) (rate({service_name=~\".+\"} |= \"error: \\\"x\\\"\" [5m])) > 1"
      for: 1m30s
      keep_firing_for: 5m
      labels:
        "severity": "critical"
      annotations:
        "summary": "errors in {{ $labels.service_name }}"
    - record: "log:lines"
      expr: "sum(count_over_time({service_name=~\".+\"}[1m]))"
"#;

#[tokio::test]
async fn rules_over_logs_are_shown_as_lokis_ruler_shows_them() {
    let house = House::open_with(settings(), |_| {}, RULES).await;
    for base in ["/loki/api/v1/rules", "/api/prom/rules"] {
        let group = house.get(&format!("{base}/rules%2Ftest.yml/of%20logs"), &[]).await;
        assert_eq!((group.status, group.header("content-type")), (200, "application/yaml"));
        assert_eq!(group.text(), GROUP);
        let lines: Vec<String> = GROUP.lines().map(|line| format!("      {line}\n")).collect();
        let expected = format!("\"rules/test.yml\":\n    - {}", &lines.concat()[6..]);
        for path in [base.to_owned(), format!("{base}/rules%2Ftest.yml")] {
            assert_eq!(house.get(&path, &[]).await.text(), expected, "{path}");
        }
        for (path, expected) in [
            (format!("{base}/other"), "no rule groups found\n"),
            (format!("{base}/rules%2Ftest.yml/metrics"), "group does not exist\n"),
        ] {
            let reply = house.get(&path, &[]).await;
            assert_eq!((reply.status, reply.text().as_str()), (404, expected), "{path}");
        }
        let reply = client::send("DELETE", &format!("http://{}{base}/x", house.http), &[], Default::default()).await;
        assert_eq!(reply.status, 405);
        assert!(reply.text().contains("rules.files"), "{}", reply.text());
    }
    let groups = House::data(&house.get("/prometheus/api/v1/rules", &[]).await);
    assert_eq!(groups["groups"].as_array().map(Vec::len), Some(1), "{groups}");
    assert_eq!(
        (&groups["groups"][0]["name"], &groups["groups"][0]["rules"][1]["name"]),
        (&json!("of logs"), &json!("log:lines"))
    );
    assert_eq!(House::data(&house.get("/prometheus/api/v1/alerts", &[]).await), json!({"alerts": []}));
    let both = House::data(&house.get("/api/v1/rules", &[]).await);
    assert_eq!(both["groups"].as_array().map(Vec::len), Some(2), "{both}");
}

#[tokio::test]
async fn without_rules_over_logs_there_are_no_groups() {
    let house = House::open(settings()).await;
    let reply = house.get("/loki/api/v1/rules", &[]).await;
    assert_eq!((reply.status, reply.text().as_str()), (404, "no rule groups found\n"));
    assert_eq!(House::data(&house.get("/prometheus/api/v1/rules", &[]).await), json!({"groups": []}));
}
