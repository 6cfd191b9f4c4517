//! What shows alerts of an Alertmanager, with the requests as its code writes them and the answers field by field as it reads them:
//! karma (internal/alertmanager, internal/mapper/v017, its page by way of the proxy) and Grafana's Alertmanager data source
//! (public/app/features/alerting/unified/api, pkg/services/ngalert/api/lotex_am.go).

use std::path::Path;

use serde_json::{Value, json};

use crate::client::{self, Reply};
use crate::house::{House, now_ms, settings};

const NOTIFY: &str = "
global: {slack_api_url: 'http://127.0.0.1:1/services/s3cret'}
route:
  receiver: team
  group_by: [alertname]
  routes: [{matchers: ['severity=critical'], receiver: pager, continue: true}]
inhibit_rules:
- {source_matchers: ['severity=critical'], target_matchers: ['severity=warning'], equal: [host]}
receivers: [{name: team, slack_configs: [{channel: '#a'}]}, {name: pager}]
";

/// go-openapi's client and karma's proxy.
const KARMA: [(&str, &str); 3] =
    [("accept", "application/json"), ("accept-encoding", "gzip"), ("user-agent", "karma/0.121")];
/// Grafana's alerting proxy.
const GRAFANA: [(&str, &str); 3] =
    [("accept-encoding", "gzip"), ("user-agent", "Grafana/12.3.0"), ("x-grafana-org-id", "1")];
const JSON: (&str, &str) = ("content-type", "application/json");

async fn house() -> House {
    let house = House::open(settings()).await;
    house.state.alerting.notifier.reload(notify::Config::parse(NOTIFY, "notify.yml", Path::new(".")).unwrap());
    let alert =
        |name: &str, severity: &str| json!({"labels": {"alertname": name, "severity": severity, "host": "a\"b"}});
    let alerts = json!([alert("Down", "critical"), alert("Slow", "warning")]);
    assert_eq!(send(&house, "POST", "/api/v2/alerts", &KARMA, alerts).await.status, 200);
    house
}

async fn send(house: &House, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Reply {
    // Short answers, which nobody has to unpack.
    let headers = headers.iter().copied().filter(|(name, _)| *name != "accept-encoding").chain([JSON]);
    let headers: Vec<(&str, &str)> = headers.collect();
    client::send(method, &format!("http://{}{path}", house.http), &headers, body.to_string().into_bytes()).await
}

/// The answer to a GET, unpacked where it was packed.
async fn get(house: &House, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    use std::io::Read as _;
    let reply = house.get(path, headers).await;
    let mut text = String::new();
    match reply.header("content-encoding") {
        "gzip" => drop(flate2::read::GzDecoder::new(&reply.body[..]).read_to_string(&mut text).unwrap()),
        _ => text = reply.text(),
    }
    if reply.status == 200 && path.starts_with("/api/v2/") {
        assert!(reply.header("content-type").starts_with("application/json"), "{path}");
    }
    (reply.status, text)
}

async fn json_of(house: &House, path: &str, headers: &[(&str, &str)]) -> Value {
    let (status, text) = get(house, path, headers).await;
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
}

/// A time as `strfmt.DateTime` takes it.
#[track_caller]
fn is_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    text.parse::<jiff::Timestamp>().unwrap_or_else(|error| panic!("{text}: {error}"));
}

#[track_caller]
fn is_map_of_texts(value: &Value) {
    assert!(value.as_object().is_some_and(|map| map.values().all(Value::is_string)), "{value}");
}

#[track_caller]
fn is_list_of_texts(value: &Value) {
    assert!(value.as_array().is_some_and(|list| list.iter().all(Value::is_string)), "{value}");
}

/// Both read these without asking whether they are there.
#[track_caller]
fn is_alert(alert: &Value) {
    assert!(alert["fingerprint"].is_string(), "{alert}");
    ["startsAt", "endsAt", "updatedAt"].iter().for_each(|name| is_time(&alert[*name]));
    ["labels", "annotations"].iter().for_each(|name| is_map_of_texts(&alert[*name]));
    ["inhibitedBy", "silencedBy"].iter().for_each(|name| is_list_of_texts(&alert["status"][*name]));
    let state = alert["status"]["state"].as_str().unwrap();
    assert!(["active", "suppressed", "unprocessed"].contains(&state), "{alert}");
    assert!(alert["receivers"].as_array().unwrap().iter().all(|receiver| receiver["name"].is_string()), "{alert}");
}

#[track_caller]
fn is_silence(silence: &Value) {
    assert!(["id", "createdBy", "comment"].iter().all(|name| silence[*name].is_string()), "{silence}");
    ["startsAt", "endsAt", "updatedAt"].iter().for_each(|name| is_time(&silence[*name]));
    assert!(["active", "pending", "expired"].contains(&silence["status"]["state"].as_str().unwrap()), "{silence}");
    for matcher in silence["matchers"].as_array().unwrap() {
        assert!(matcher["name"].is_string() && matcher["value"].is_string(), "{matcher}");
        assert!(matcher["isRegex"].is_boolean() && matcher["isEqual"].is_boolean(), "{matcher}");
    }
}

/// As `Date.toISOString` writes it.
fn at(ms: i64) -> String {
    let text = model::time::rfc3339_ms(ms);
    assert!(text.ends_with('Z'), "{text}");
    text
}

#[tokio::test]
async fn karma_reads_alerts_and_silences_them() {
    let house = house().await;
    // It asks the metrics for the version first, and takes the newest way of speaking from 0.22 on.
    let (status, metrics) = get(&house, "/metrics", &KARMA).await;
    let line = metrics.lines().find(|line| line.starts_with("alertmanager_build_info{")).unwrap();
    let version = line.split("version=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
    assert!(status == 200 && parts[..] >= [0, 22, 0][..], "{version}");
    let of_status = json_of(&house, "/api/v2/status", &KARMA).await;
    assert_eq!(of_status["versionInfo"]["version"], version);
    assert_eq!((&of_status["cluster"]["peers"], of_status["cluster"]["status"].is_string()), (&json!([]), true));

    assert_eq!(json_of(&house, "/api/v2/silences", &KARMA).await, json!([]));
    let groups = json_of(&house, "/api/v2/alerts/groups", &KARMA).await;
    let groups = groups.as_array().unwrap();
    assert_eq!(groups.len(), 2, "{groups:?}");
    for group in groups {
        assert!(group["receiver"]["name"].is_string(), "{group}");
        is_map_of_texts(&group["labels"]);
        group["alerts"].as_array().unwrap().iter().for_each(is_alert);
    }
    // Its form: every label of the group, several values as a regular expression.
    let now = now_ms();
    let mut form = json!({
        "matchers": [
            {"name": "alertname", "value": "(Down|Slow)", "isRegex": true, "isEqual": true},
            {"name": "host", "value": "a\"b", "isRegex": false, "isEqual": true},
            {"name": "host", "value": "nothing", "isRegex": false, "isEqual": false},
        ],
        "startsAt": at(now), "endsAt": at(now + 900_000), "createdBy": "karma", "comment": "ACK! This alert was acknowledged",
    });
    let reply = send(&house, "POST", "/api/v2/silences", &KARMA, form.clone()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let id = reply.json()["silenceID"].as_str().unwrap().to_owned();
    let silences = json_of(&house, "/api/v2/silences", &KARMA).await;
    silences.as_array().unwrap().iter().for_each(is_silence);
    let groups = json_of(&house, "/api/v2/alerts/groups", &KARMA).await;
    let alerts = groups.as_array().unwrap().iter().flat_map(|group| group["alerts"].as_array().unwrap());
    for alert in alerts {
        assert_eq!((&alert["status"]["state"], &alert["status"]["silencedBy"]), (&json!("suppressed"), &json!([id])));
    }
    // Edited there, it is posted with its id; ended there, it is deleted.
    form["id"] = json!(id);
    form["endsAt"] = json!(at(now + 1_800_000));
    let reply = send(&house, "POST", "/api/v2/silences", &KARMA, form.clone()).await;
    assert_eq!((reply.status, &reply.json()["silenceID"]), (200, &json!(id)), "{}", reply.text());
    let reply = send(&house, "DELETE", &format!("/api/v2/silence/{id}"), &KARMA, Value::Null).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    // A page of another origin is not let: the karma server asks in its place (`proxy: true`).
    let asks = [("origin", "http://karma:8080"), ("access-control-request-method", "POST")];
    let url = format!("http://{}/api/v2/silences", house.http);
    let reply = client::send("OPTIONS", &url, &asks, Vec::new()).await;
    assert_eq!(reply.header("access-control-allow-origin"), "", "{}", reply.status);
}

#[tokio::test]
async fn grafanas_alertmanager_data_source_works() {
    let house = house().await;
    // "Save & test" takes an answer there for a Mimir that was set up as the wrong kind.
    assert_eq!(get(&house, "/alertmanager/api/v2/status", &GRAFANA).await.0, 404);
    let of_status = json_of(&house, "/api/v2/status", &GRAFANA).await;
    let build = json_of(&house, "/api/v1/status/buildinfo", &GRAFANA).await;
    assert_ne!(build["data"]["application"], "Grafana Mimir");
    // It reads the configuration out of the status, to show routes and receivers.
    let original = of_status["config"]["original"].as_str().unwrap();
    assert!(!original.contains("s3cret") && original.contains("continue: true"), "{original}");
    is_time(&of_status["uptime"]);
    assert!(of_status["versionInfo"].as_object().unwrap().values().all(Value::is_string), "{of_status}");

    // `urlUtil.toUrlParams` writes a true flag as its bare name.
    for (query, expected) in [
        ("", 2),
        ("?silenced&active&inhibited", 2),
        ("?silenced&active&inhibited=false", 1),
        ("?silenced=true&active=true&inhibited=true&filter=alertname%3D%22Down%22", 1),
        ("?filter=host%3D%22a%5C%22b%22&filter=alertname%3D~%22Do.*%22", 1),
    ] {
        let alerts = json_of(&house, &format!("/api/v2/alerts{query}"), &GRAFANA).await;
        let alerts = alerts.as_array().unwrap();
        alerts.iter().for_each(is_alert);
        assert_eq!(alerts.len(), expected, "{query}: {alerts:?}");
    }
    for query in ["", "?silenced=true&active=true&inhibited=true"] {
        assert_eq!(
            json_of(&house, &format!("/api/v2/alerts/groups{query}"), &GRAFANA).await.as_array().unwrap().len(),
            2
        );
    }
    // As its server marshals a new silence: without an id, or with an empty one.
    let now = now_ms();
    let mut form = json!({
        "comment": "swap", "createdBy": "ann", "id": "",
        "startsAt": at(now), "endsAt": at(now + 7_200_000),
        "matchers": [{"isEqual": true, "isRegex": false, "name": "alertname", "value": "Down"}],
    });
    let reply = send(&house, "POST", "/api/v2/silences", &GRAFANA, form.clone()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let id = reply.json()["silenceID"].as_str().unwrap().to_owned();
    is_silence(&json_of(&house, &format!("/api/v2/silence/{id}"), &GRAFANA).await);
    form["id"] = json!(id);
    form["comment"] = json!("swap again");
    let reply = send(&house, "POST", "/api/v2/silences", &GRAFANA, form).await;
    let id = reply.json()["silenceID"].as_str().unwrap().to_owned();
    let active = json_of(&house, "/api/v2/silences?filter=alertname%3D%22Down%22", &GRAFANA).await;
    let active: Vec<&Value> =
        active.as_array().unwrap().iter().filter(|silence| silence["status"]["state"] == "active").collect();
    assert_eq!((active.len(), &active[0]["comment"]), (1, &json!("swap again")));
    assert_eq!(send(&house, "DELETE", &format!("/api/v2/silence/{id}"), &GRAFANA, Value::Null).await.status, 200);
}
