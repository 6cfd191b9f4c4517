//! What somebody on call meets on the pages of alerts: who holds an alert back, who has it, and forms that keep what was typed.

use std::path::Path;

use serde_json::json;

use crate::client::{self, Reply};
use crate::house::{House, now_ms, settings};

const NOTIFY: &str = "
route:
  receiver: team
  routes:
  - {matchers: ['severity=page'], receiver: team}
  - {matchers: ['severity=info'], receiver: quiet, mute_time_intervals: [always]}
inhibit_rules:
- {source_matchers: ['severity=critical'], target_matchers: ['severity=warning'], equal: [host]}
time_intervals: [{name: always, time_intervals: [{years: ['2020:2100']}]}]
receivers:
- {name: team, slack_configs: [{api_url: 'http://127.0.0.1:1/services/s3cret'}]}
- {name: quiet, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}
";

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn house() -> House {
    let house = House::open(settings()).await;
    house.state.alerting.notifier.reload(notify::Config::parse(NOTIFY, "notify.yml", Path::new(".")).unwrap());
    house
}

/// Pushes an alert and returns its fingerprint.
async fn push(house: &House, headers: &[(&str, &str)], name: &str, severity: &str) -> String {
    let labels = json!({"alertname": name, "severity": severity, "host": "h1"});
    let ends = model::time::rfc3339_ms(now_ms() + 600_000);
    let body = json!([{"labels": labels, "endsAt": ends}]).to_string();
    let headers = [headers, &[JSON]].concat();
    let url = format!("http://{}/api/v2/alerts", house.http);
    assert_eq!(client::send("POST", &url, &headers, body.into_bytes()).await.status, 200);
    let pairs = [("alertname", name), ("host", "h1"), ("severity", severity)];
    model::alert::label_fingerprint(&model::Labels::from_pairs(pairs))
}

async fn form(house: &House, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Reply {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    client::send("POST", &format!("http://{}{path}", house.http), &[headers, &[FORM]].concat(), body.into_bytes()).await
}

async fn page(house: &House, path: &str) -> String {
    let reply = house.get(path, &[]).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.text()
}

#[track_caller]
fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[track_caller]
fn lacks(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(!text.contains(part), "{part:?} in {text}");
    }
}

#[tokio::test]
async fn what_holds_an_alert_back_says_who_why_and_until_when() {
    let house = house().await;
    let fields = [("matchers", "alertname=\"Disk\""), ("lasts", "1h"), ("by", "ann"), ("comment", "swap <it>")];
    assert_eq!(form(&house, "/silences", &fields, &[]).await.status, 303);
    let silences = house.get("/api/v2/silences", &[]).await.json();
    let id = silences[0]["id"].as_str().unwrap();
    let until = &silences[0]["endsAt"].as_str().unwrap()[11..16];
    let disk = push(&house, &[], "Disk", "page").await;
    push(&house, &[], "Slow", "warning").await;
    let source = push(&house, &[], "Down", "critical").await;
    push(&house, &[], "Note", "info").await;
    let list = page(&house, "/alerts").await;
    holds(
        &list,
        &[
            &format!("href=\"/silences#{id}\""),
            "silenced by ann until ",
            &format!("{until}:"),
            ": swap &#60;it&#62;",
            &format!("href=\"/alerts/why/{source}\">not told, since Down fires"),
            "quiet is not told now, by the time interval always",
        ],
    );
    lacks(&list, &[&format!("silenced by {id}")]);
    holds(&page(&house, &format!("/alerts/why/{disk}")).await, &[&format!("href=\"/silences#{id}\"")]);
    holds(&page(&house, "/silences").await, &[&format!("id=\"{id}\"")]);
}
