//! What a rule would say, over the API and on its page.

use std::path::Path;

use prost::Message as _;
use serde_json::Value;

use crate::house::{House, now_ms, settings};
use crate::payload::gauge;

const NOTIFY: &str = "
route: {receiver: team}
receivers: [{name: team, slack_configs: [{api_url: 'http://127.0.0.1:1/s3cret', title: '{{ .CommonLabels.zone }}: {{ .CommonAnnotations.summary }}', text: '{{ .Nope }}'}]}]
";

const RULES: &str = "
groups:
- name: tests
  rules:
  - record: load:max
    expr: max(load)
  - {alert: High, expr: load > 5, for: 10m, labels: {severity: critical}, annotations: {summary: 'load is {{ $value }}'}}
  - {alert: Lost, expr: nothing > 5}
";

async fn ids(house: &House) -> Vec<String> {
    let groups = house.state.alerting.rules.view();
    groups.iter().flat_map(|group| &group.rules).map(|rule| rule.id.clone()).collect()
}

async fn load(house: &House, value: f64) {
    let body = gauge("load", &[(now_ms() - 1_000, Some(value))]).encode_to_vec();
    let sent = house.post("/v1/metrics", &[("content-type", "application/x-protobuf")], body).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
}

async fn said(house: &House, id: &str) -> Value {
    House::data(&house.get(&format!("/api/v1/rules/dryrun?id={id}"), &[]).await)
}

#[tokio::test]
async fn a_dry_run_renders_the_newest_values_whether_the_condition_holds_or_not() {
    let house = House::open_with(settings(), |_| {}, RULES).await;
    house.state.alerting.notifier.reload(notify::Config::parse(NOTIFY, "notify.yml", Path::new(".")).unwrap());
    let [recording, high, lost] = &ids(&house).await[..] else { panic!("three rules") };
    load(&house, 3.0).await;
    let quiet = said(&house, high).await;
    assert_eq!(quiet["holds"], false, "{quiet}");
    assert_eq!(quiet["alerts"][0]["annotations"]["summary"], "load is 3");
    assert_eq!(quiet["messages"][0]["title"], "[FIRING critical] High api");
    assert_eq!(quiet["messages"][0]["templates"]["title"], "a: load is 3");
    let problem = quiet["messages"][0]["problems"][0].as_str().unwrap();
    assert!(problem.contains("text of team/slack[0]") && problem.contains("Nope"), "{problem}");
    load(&house, 7.5).await;
    let holds = said(&house, high).await;
    assert_eq!((&holds["holds"], &holds["alerts"][0]["value"]), (&Value::from(true), &Value::from("7.5")), "{holds}");
    assert!(house.state.alerting.rules.view()[0].rules[1].instances.is_empty(), "no state changes");
    let nothing = said(&house, lost).await;
    assert_eq!((nothing["alerts"].as_array().unwrap().len(), nothing["messages"].as_array().unwrap().len()), (0, 0));
    for (path, status, part) in [
        ("rules/dryrun", 400, "give a rule's id"),
        ("rules/dryrun?id=none", 404, "no rule has this id"),
        (&*format!("rules/dryrun?id={recording}"), 400, "a recording rule tells nobody"),
    ] {
        let reply = house.get(&format!("/api/v1/{path}"), &[]).await;
        assert_eq!(reply.status, status, "{path}");
        assert!(reply.text().contains(part), "{path}: {}", reply.text());
    }
    let page = house.get(&format!("/alerts/rule/{high}?say=1"), &[]).await.text();
    for part in ["Its condition holds now", "team/slack[0]", "a: load is 7.5", "Nope"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("s3cret"));
}
