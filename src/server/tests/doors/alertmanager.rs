//! Alertmanager's API v2: requests as amtool, karma and Prometheus make them.

use std::path::Path;

use model::AlertState;
use model::alert::{Attempt, Outcome, Transition};
use serde_json::{Value, json};
use store::Evaluation;

use crate::client::{self, Reply};
use crate::house::{House, SECOND, now_ms, settings};

const NOTIFY: &str = "
route:
  receiver: team
  group_by: [alertname]
  routes:
  - {matchers: ['severity=critical'], receiver: pager, continue: true}
  - {matchers: ['severity=critical'], receiver: team}
inhibit_rules:
- {source_matchers: ['severity=critical'], target_matchers: ['severity=warning'], equal: [host]}
receivers:
- {name: team, slack_configs: [{api_url: 'http://127.0.0.1:1/services/s3cret'}]}
- {name: pager, labels: {owner: ops}}
";

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

async fn house() -> House {
    let house = House::open(settings()).await;
    house.state.alerting.notifier.reload(notify::Config::parse(NOTIFY, "notify.yml", Path::new(".")).unwrap());
    house
}

async fn send(house: &House, method: &str, path: &str, body: Value) -> Reply {
    client::send(method, &format!("http://{}/api/v2/{path}", house.http), &JSON, body.to_string().into_bytes()).await
}

async fn get(house: &House, path: &str) -> Value {
    let reply = house.get(&format!("/api/v2/{path}"), &[]).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

fn at(ms: i64) -> String {
    model::time::rfc3339_ms(ms)
}

fn alert(name: &str, severity: &str, host: &str) -> Value {
    json!({"labels": {"alertname": name, "severity": severity, "host": host, "empty": ""}, "annotations": {"summary": "x"},
        "generatorURL": "http://prometheus:9090/graph"})
}

fn silence(host: &str) -> Value {
    json!({"matchers": [{"name": "host", "value": host, "isRegex": false, "isEqual": true}],
        "startsAt": at(now_ms()), "endsAt": at(now_ms() + 3_600_000), "createdBy": "ann", "comment": "swap"})
}

fn names(list: &Value) -> Vec<String> {
    let mut names: Vec<String> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn pushed_alerts_are_listed_with_their_status() {
    let house = house().await;
    let posted = json!([alert("Down", "critical", "a"), alert("Disk", "warning", "a"), alert("Other", "warning", "b")]);
    let reply = send(&house, "POST", "alerts", posted).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, ""));
    let reply = send(&house, "POST", "silences", silence("b")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let id = reply.json()["silenceID"].as_str().unwrap().to_owned();

    let all = get(&house, "alerts").await;
    assert_eq!(names(&all), ["Disk", "Down", "Other"]);
    let of = |name: &str| all.as_array().unwrap().iter().find(|alert| alert["labels"]["alertname"] == name).unwrap();
    let down = of("Down");
    assert_eq!(down["labels"], json!({"alertname": "Down", "severity": "critical", "host": "a"}));
    assert_eq!(down["receivers"], json!([{"name": "pager"}, {"name": "team"}]));
    assert_eq!(down["status"], json!({"inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active"}));
    assert_eq!(down["generatorURL"], "http://prometheus:9090/graph");
    assert_eq!(of("Disk")["status"]["inhibitedBy"], json!([down["fingerprint"]]));
    assert_eq!(
        of("Other")["status"],
        json!({"inhibitedBy": [], "mutedBy": [], "silencedBy": [id], "state": "suppressed"})
    );

    for (query, expected) in [
        ("filter=alertname%3D%22Down%22", vec!["Down"]),
        ("filter=severity%3Dwarning&filter=host!%3Db", vec!["Disk"]),
        ("filter=%7Balertname%3D~%22D.%2B%22%2Cseverity%3D%22warning%22%7D", vec!["Disk"]),
        ("silenced=false", vec!["Disk", "Down"]),
        ("inhibited=false&silenced=false", vec!["Down"]),
        ("active=false", vec!["Disk", "Other"]),
        ("receiver=pag.*", vec!["Down"]),
        ("receiver_matchers=owner%3Dops", vec!["Down"]),
        ("receiver_matchers=owner%3Dops&receiver=team", vec!["Down"]),
        ("receiver_matchers=name%3Dteam&receiver_matchers=owner%3D%22%22", vec!["Disk", "Down", "Other"]),
        ("receiver_matchers=owner%3Dothers", vec![]),
        ("silenced=false&inhibited=false&active=true&unprocessed=true", vec!["Down"]),
    ] {
        assert_eq!(names(&get(&house, &format!("alerts?{query}")).await), expected, "{query}");
    }
    let groups = get(&house, "alerts/groups").await;
    let shapes: Vec<(Value, Value, usize)> = groups
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            (group["labels"].clone(), group["receiver"]["name"].clone(), group["alerts"].as_array().unwrap().len())
        })
        .collect();
    let label = |name: &str| json!({ "alertname": name });
    assert_eq!(
        shapes,
        [
            (label("Disk"), json!("team"), 1),
            (label("Down"), json!("pager"), 1),
            (label("Down"), json!("team"), 1),
            (label("Other"), json!("team"), 1)
        ]
    );
    // An end takes it off the list.
    let mut over = alert("Down", "critical", "a");
    over["startsAt"] = json!(at(now_ms() - 5_000));
    over["endsAt"] = json!(at(now_ms() - 1));
    assert_eq!(send(&house, "POST", "alerts", json!([over])).await.status, 200);
    assert_eq!(names(&get(&house, "alerts?inhibited=false").await), ["Disk", "Other"]);
}

#[tokio::test]
async fn silences_live_as_amtool_makes_them() {
    let house = house().await;
    let mut noted = silence("a");
    noted["annotations"] = json!({"ticket": "OPS-7", "a\"b": ""});
    let id = send(&house, "POST", "silences", noted).await.json()["silenceID"].as_str().unwrap().to_owned();
    let one = get(&house, &format!("silence/{id}")).await;
    assert_eq!(
        (&one["status"]["state"], &one["createdBy"], &one["comment"]),
        (&json!("active"), &json!("ann"), &json!("swap"))
    );
    assert_eq!(one["matchers"], json!([{"isEqual": true, "isRegex": false, "name": "host", "value": "a"}]));
    assert_eq!(one["annotations"], json!({"ticket": "OPS-7", "a\"b": ""}));
    // Its end alone may move; amtool sends back what it got.
    let mut longer = one.clone();
    longer["endsAt"] = json!(at(now_ms() + 7_200_000));
    assert_eq!(send(&house, "POST", "silences", longer).await.json()["silenceID"], json!(id));
    assert_eq!(get(&house, &format!("silence/{id}")).await["annotations"]["ticket"], "OPS-7");
    let mut other = one.clone();
    other["matchers"][0]["value"] = json!("b");
    let new = send(&house, "POST", "silences", other).await.json()["silenceID"].as_str().unwrap().to_owned();
    assert_ne!(new, id);
    let list = get(&house, "silences").await;
    let states: Vec<&str> =
        list.as_array().unwrap().iter().map(|one| one["status"]["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["active", "expired"]);
    assert_eq!(get(&house, "silences?filter=host%3Da").await.as_array().unwrap().len(), 1);
    let reply = send(&house, "DELETE", &format!("silence/{new}"), Value::Null).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, ""));
    assert_eq!(get(&house, &format!("silence/{new}")).await["status"]["state"], "expired");
    assert_eq!(
        send(&house, "DELETE", &format!("silence/{new}"), Value::Null).await.status,
        200,
        "it is over, as was wanted"
    );
    let nobody = "00000000-0000-4000-8000-000000000000";
    assert_eq!(send(&house, "DELETE", &format!("silence/{nobody}"), Value::Null).await.status, 404);
    assert_eq!(house.get(&format!("/api/v2/silence/{nobody}"), &[]).await.status, 404);
    assert_eq!(house.get("/api/v2/silence/nope", &[]).await.status, 422);
}

#[tokio::test]
async fn bad_requests_are_told_why() {
    let house = house().await;
    let mut cases = Vec::new();
    let mut with = |path: &'static str, change: &dyn Fn(&mut Value), status: u16, part: &'static str| {
        let mut body = silence("a");
        change(&mut body);
        cases.push((path, body, status, part));
    };
    with("silences", &|body| body["endsAt"] = json!("2020-01-01T00:00:00Z"), 400, "start time must be before end time");
    with("silences", &|body| body["matchers"] = json!([]), 400, "matchers required");
    with("silences", &|body| body["matchers"][0]["value"] = json!(""), 400, "must not match the empty string");
    with("silences", &|body| body["matchers"][0]["isRegex"] = Value::Null, 422, "isRegex in body is required");
    with("silences", &|body| body["comment"] = Value::Null, 422, "silence.comment in body is required");
    with("silences", &|body| body["startsAt"] = json!("yesterday"), 400, "RFC 3339");
    with("silences", &|body| body["id"] = json!("00000000-0000-4000-8000-000000000000"), 404, "not found");
    with("silences", &|body| body["endsAt"] = json!(at(now_ms() + 40 * 86_400_000)), 400, "notify.silence_max");
    with("silences", &|body| *body = json!([1]), 400, "parsing silence body failed");
    with("alerts", &|body| *body = json!([{"annotations": {}}]), 422, "alerts.0.labels in body is required");
    with("alerts", &|body| *body = json!([{"labels": {"a": ""}}]), 400, "at least one label pair required");
    with("alerts", &|body| *body = json!({}), 400, "parsing alerts body failed");
    for (path, body, status, part) in cases {
        let reply = send(&house, "POST", path, body.clone()).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        assert!(reply.text().contains(part), "{body}: {}", reply.text());
    }
    for (path, part) in [
        ("alerts?filter=%3D", "bad matcher format"),
        ("alerts?receiver=(", "failed to parse receiver param"),
        ("receivers?receiver_matchers=a!!!", "failed to parse receiver_matchers param"),
        ("alerts?silenced=maybe", "boolean"),
        ("silences?filter=a", "bad matcher format"),
    ] {
        let reply = house.get(&format!("/api/v2/{path}"), &[]).await;
        assert_eq!(
            (reply.status, reply.json().as_str().unwrap().contains(part)),
            (400, true),
            "{path}: {}",
            reply.text()
        );
    }
    // A form of another origin's page cannot make a silence.
    let url = format!("http://{}/api/v2/silences", house.http);
    let reply =
        client::send("POST", &url, &[("content-type", "text/plain")], silence("a").to_string().into_bytes()).await;
    assert_eq!(reply.status, 415);
    // Another tenant has neither alerts nor a word to say.
    let reply =
        client::send("POST", &url, &[JSON[0], ("x-scope-orgid", "other")], silence("a").to_string().into_bytes()).await;
    assert_eq!(reply.status, 403);
    assert_eq!(get(&house, "silences").await, json!([]));
}

#[tokio::test]
async fn status_tells_the_configuration_without_its_secrets() {
    let house = house().await;
    let status = get(&house, "status").await;
    let original = status["config"]["original"].as_str().unwrap();
    assert!(
        original.contains("group_by") && original.contains("<secret>") && !original.contains("s3cret"),
        "{original}"
    );
    assert_eq!(status["cluster"], json!({"peers": [], "status": "disabled"}));
    assert!(status["versionInfo"]["version"].is_string() && status["uptime"].is_string());
    let team = json!({"labels": {"name": "team"}, "name": "team"});
    let pager = json!({"labels": {"name": "pager", "owner": "ops"}, "name": "pager"});
    assert_eq!(get(&house, "receivers").await, json!([team, pager]));
    assert_eq!(get(&house, "receivers?receiver_matchers=owner%3D~%22o.%2B%22").await, json!([pager]));
}

async fn form(house: &House, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Reply {
    let body = fields.iter().map(|(name, value)| {
        let value: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
        format!("{name}={value}")
    });
    let body = body.collect::<Vec<_>>().join("&").into_bytes();
    let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
    all.extend_from_slice(headers);
    client::send("POST", &format!("http://{}{path}", house.http), &all, body).await
}

async fn page(house: &House, path: &str) -> String {
    let reply = house.get(path, &[]).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.text()
}

#[tokio::test]
async fn silences_are_made_and_ended_on_their_page() {
    let house = house().await;
    send(&house, "POST", "alerts", json!([alert("Disk", "warning", "a")])).await;
    let preview = page(&house, "/silences?matchers=host%3D%22a%22&lasts=1h").await;
    assert!(preview.contains("1 alert fires now") && preview.contains("Disk"), "{preview}");
    assert!(preview.contains("Down"), "the rule whose alerts could match: {preview}");
    let fields = [("matchers", "host=\"a\""), ("lasts", "1h"), ("by", "ann"), ("comment", "<b>swap</b>")];
    let foreign = form(&house, "/silences", &fields, &[("origin", "http://evil.example")]).await;
    assert_eq!(foreign.status, 403, "{}", foreign.text());
    let bad =
        form(&house, "/silences", &[("matchers", "host=\"a\""), ("lasts", "60d"), ("by", "a"), ("comment", "b")], &[])
            .await;
    assert!(bad.status == 200 && bad.text().contains("notify.silence_max"), "{}", bad.text());
    let made = form(&house, "/silences", &fields, &[]).await;
    assert_eq!((made.status, made.header("location")), (303, "/silences"));
    let shown = page(&house, "/silences").await;
    assert!(shown.contains("holds back 1 alert") && shown.contains("&#60;b&#62;swap"), "{shown}");
    let silences = get(&house, "silences").await;
    let id = silences[0]["id"].as_str().unwrap();
    assert_eq!(form(&house, &format!("/silences/{id}/expire"), &[], &[]).await.status, 303);
    assert_eq!(get(&house, &format!("silence/{id}")).await["status"]["state"], "expired");
}

#[tokio::test]
async fn why_somebody_was_not_told_is_answered_and_an_alert_is_taken_on() {
    let house = house().await;
    send(&house, "POST", "alerts", json!([alert("Disk", "warning", "a")])).await;
    send(&house, "POST", "silences", silence("a")).await;
    let fingerprint = get(&house, "alerts").await[0]["fingerprint"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/alerts/{fingerprint}");
    let trace = House::data(&house.get(&format!("{path}/trace"), &[]).await);
    assert_eq!(trace["state"], "suppressed");
    assert_eq!((&trace["routes"][0]["receiver"], &trace["routes"][0]["path"]), (&json!("team"), &json!("{}")));
    assert!(trace["words"][0].as_str().unwrap().contains("team is not told: silence"), "{trace}");
    let ack = |body: Value| {
        let url = format!("http://{}{path}/ack", house.http);
        async move { client::send("POST", &url, &JSON, body.to_string().into_bytes()).await }
    };
    assert_eq!(ack(json!({"by": ""})).await.status, 400);
    assert_eq!(ack(json!({"by": "ann", "for": "soon"})).await.status, 400);
    let done = ack(json!({"by": "ann", "comment": "on it", "for": "2h"})).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let why = page(&house, &format!("/alerts/why/{fingerprint}")).await;
    assert!(why.contains("ann looks after it") && why.contains("not told: silence"), "{why}");
    assert_eq!(form(&house, &format!("/alerts/why/{fingerprint}/unack"), &[], &[]).await.status, 303);
    assert!(!page(&house, &format!("/alerts/why/{fingerprint}")).await.contains("looks after it since"));
    let taken = form(&house, &format!("/alerts/why/{fingerprint}/ack"), &[("by", "bob"), ("lasts", "")], &[]).await;
    assert_eq!(taken.status, 303, "{}", taken.text());
    let trail = House::data(&house.get("/api/v1/audit", &[]).await);
    let actions: Vec<&str> = trail.as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["alert acknowledged", "acknowledgement taken back", "alert acknowledged", "silence created"]);
    let preview = House::data(&house.get("/api/v1/silences/preview?filter=severity%3Dcritical", &[]).await);
    assert_eq!(preview, json!({"alerts": [], "rules": ["Down"]}));
    assert_eq!(house.get("/api/v1/alerts/0000000000000000/trace", &[]).await.status, 404);
}

#[tokio::test]
async fn why_is_answered_of_an_alert_that_is_over() {
    let house = house().await;
    let view = house.state.alerting.rules.view();
    let rule = view.iter().flat_map(|group| &group.rules).find(|rule| rule.name == "Down").unwrap();
    let labels = model::Labels::from_pairs([("alertname", "Down"), ("job", "api"), ("severity", "critical")]);
    let change = |at_ms: i64, from, to| Transition {
        at_ms,
        rule_id: rule.id.clone(),
        labels: labels.clone(),
        from: Some(from),
        to: Some(to),
        value: 0.0,
        note: String::new(),
    };
    let begun_ms = now_ms() - 3 * 3_600_000;
    let transitions = vec![
        change(begun_ms, AlertState::Pending, AlertState::Firing),
        change(begun_ms + 60_000, AlertState::Firing, AlertState::Resolved),
    ];
    let held = Attempt {
        at_ms: begun_ms + 5,
        receiver: "team/slack[0]".into(),
        scope: format!("{}-{begun_ms}", model::alert::fingerprint(&rule.id, &labels)),
        rev: 1,
        want: model::IntentState::Firing,
        subject: "Down api".into(),
        number: 0,
        outcome: Outcome::Suppressed,
        took_ms: 0,
        status: 0,
        words: "silence s1 by ann: disk swap".into(),
    };
    let tenant = house.state.store.existing_tenant(&model::TenantId::default()).unwrap().unwrap();
    let alerts = tenant.alerts().unwrap();
    let evaluation = Evaluation { group: "tests".into(), at_ms: begun_ms, transitions, ..Evaluation::default() };
    alerts.commit_evaluation(&evaluation).unwrap();
    alerts.append_attempts(&[held]).unwrap();
    let fingerprint = model::alert::label_fingerprint(&labels);
    let trace = House::data(&house.get(&format!("/api/v1/alerts/{fingerprint}/trace"), &[]).await);
    assert_eq!((&trace["state"], &trace["attempts"][0]["outcome"]), (&json!("ended"), &json!("suppressed")), "{trace}");
    assert_eq!(trace["words"][1], "team/slack[0] was not told: silence s1 by ann: disk swap");
    let history = page(&house, "/alerts?tab=history").await;
    assert!(history.contains(&format!("/alerts/why/{fingerprint}")), "{history}");
    let why = page(&house, &format!("/alerts/why/{fingerprint}")).await;
    assert!(why.contains("was not told: silence s1") && why.contains("it fired from"), "{why}");
}

#[tokio::test]
async fn each_tenant_has_its_own_alerts_and_silences() {
    let house = house().await;
    let told = notify::Config::parse(NOTIFY, "notify.yml", Path::new(".")).unwrap();
    for tenant in [SECOND, "none"] {
        let none = house.get("/api/v2/alerts", &[("x-scope-orgid", tenant)]).await;
        assert_eq!((none.status, none.text()), (200, "[]".into()), "{tenant}");
    }
    house.second.notifier.reload(told);
    let send_as = async |tenant: &str, method: &str, path: &str, body: Value| {
        let headers = [("content-type", "application/json"), ("x-scope-orgid", tenant)];
        client::send(method, &format!("http://{}/api/v2/{path}", house.http), &headers, body.to_string().into_bytes())
            .await
    };
    assert_eq!(send_as(SECOND, "POST", "alerts", json!([alert("Theirs", "critical", "h")])).await.status, 200);
    let silenced = send_as(SECOND, "POST", "silences", silence("h")).await;
    assert_eq!(silenced.status, 200, "{}", silenced.text());
    assert_eq!(send(&house, "POST", "alerts", json!([alert("Ours", "warning", "h")])).await.status, 200);
    let theirs = send_as(SECOND, "GET", "alerts", Value::Null).await.json();
    assert_eq!(names(&theirs), ["Theirs"]);
    assert_eq!(theirs[0]["status"]["silencedBy"].as_array().unwrap().len(), 1, "{theirs}");
    assert_eq!(names(&get(&house, "alerts").await), ["Ours"]);
    assert_eq!(get(&house, "silences").await, json!([]));
    assert_eq!(send_as(SECOND, "GET", "receivers", Value::Null).await.json().as_array().unwrap().len(), 2);
    let id = silenced.json()["silenceID"].as_str().unwrap().to_owned();
    assert_eq!(send(&house, "DELETE", &format!("silence/{id}"), Value::Null).await.status, 404, "another tenant's");
    assert_eq!(send_as(SECOND, "DELETE", &format!("silence/{id}"), Value::Null).await.status, 200);

    let rules = async |tenant: &str| {
        let reply = house.get("/api/v1/rules", &[("x-scope-orgid", tenant)]).await;
        House::data(&reply)["groups"].as_array().unwrap().len()
    };
    assert_eq!((rules(SECOND).await, rules("none").await), (1, 0));
    for (path, body) in [("alerts", json!([alert("A", "critical", "h")])), ("silences", silence("h"))] {
        let refused = send_as("none", "POST", path, body).await;
        assert_eq!(refused.status, 403);
        assert!(refused.text().contains("rules.tenants"), "{}", refused.text());
    }
    let page = house.get("/alerts", &[("x-scope-orgid", "none")]).await;
    assert!(page.text().contains("rules.tenants"), "{}", page.text());
}
