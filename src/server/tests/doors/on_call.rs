//! What somebody on call meets on the pages of alerts: who holds an alert back, who has it, and forms that keep what was typed.

use std::path::Path;

use model::TenantId;
use serde_json::json;
use server::AuthMode;
use store::Scope;

use crate::client::{self, Reply};
use crate::house::{House, SECOND, now_ms, settings};

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
    // What a tenant pushes says whose it is.
    let tenant = headers.iter().find(|(name, _)| *name == "x-scope-orgid").map(|(_, tenant)| ("tenant", *tenant));
    let pairs = [("alertname", name), ("host", "h1"), ("severity", severity)].into_iter().chain(tenant);
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

/// The page once it has this on it.
async fn until(house: &House, path: &str, headers: &[(&str, &str)], part: &str) -> String {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let text = house.get(path, headers).await.text();
        if text.contains(part) {
            return text;
        }
        assert!(std::time::Instant::now() < deadline, "no {part:?} in {text}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
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
async fn an_acknowledgement_that_cannot_be_made_gives_its_form_back_with_the_reason() {
    let house = house().await;
    let fingerprint = push(&house, &[], "Disk", "page").await;
    let path = format!("/alerts/why/{fingerprint}/ack");
    let check = async |by: &str, lasts: &str, reason: &str| {
        let reply = form(&house, &path, &[("by", by), ("comment", "swap <it>"), ("lasts", lasts)], &[]).await;
        assert_eq!(reply.status, 200, "{by} {lasts}: {}", reply.text());
        let lasts = format!("name=\"lasts\" value=\"{lasts}\"");
        let by = format!("name=\"by\" value=\"{by}\"");
        holds(&reply.text(), &[reason, &lasts, &by, "value=\"swap &#60;it&#62;\"", "data-kept", "Disk"]);
    };
    check("ann", "2 hours", "is no duration; write one as 2h or 1d12h").await;
    check("ann", "0s", "over already").await;
    check("", "2h", "say who acknowledges").await;
    lacks(&page(&house, &format!("/alerts/why/{fingerprint}")).await, &["data-kept", "ann has it"]);
    let silence = form(&house, "/silences", &[("matchers", "host=\"h1\""), ("lasts", "2 hours"), ("by", "ann")], &[]);
    holds(&silence.await.text(), &["is no duration", "data-kept"]);
    let gone = form(&house, "/alerts/why/0000000000000000/ack", &[("by", "ann")], &[]).await;
    assert_eq!(gone.status, 404, "{}", gone.text());
}

#[tokio::test]
async fn whoever_may_only_read_is_told_before_they_type() {
    let house = House::open(server::ServerSettings { auth: AuthMode::Token, ..settings() }).await;
    house.state.alerting.notifier.reload(notify::Config::parse(NOTIFY, "notify.yml", Path::new(".")).unwrap());
    let make = |scope| {
        let made = house.state.store.accounts().create_token("test", scope, &TenantId::default(), now_ms());
        format!("Bearer {}", made.unwrap().1)
    };
    let (read, operate) = (make(Scope::Read), make(Scope::Operate));
    let fingerprint = push(&house, &[("authorization", &operate)], "Disk", "page").await;
    let silence = [("matchers", "host=\"x\""), ("lasts", "1h"), ("by", "ann"), ("comment", "swap")];
    let made = form(&house, "/silences", &silence, &[("authorization", &operate)]).await;
    assert_eq!(made.status, 303, "{}", made.text());
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let notifier = house.state.alerting.notifier.clone();
    tokio::spawn(async move { notifier.run(stopped).await });
    until(&house, "/notifications", &[("authorization", &operate)], "team/slack[0]").await;
    for path in [format!("/alerts/why/{fingerprint}"), "/silences".into(), "/notifications".into()] {
        let of = async |token: &str| house.get(&path, &[("authorization", token)]).await.text();
        let shown = of(&read).await;
        holds(&shown, &["it takes a token of the scope operate or admin"]);
        lacks(&shown, &["method=\"post\""]);
        let shown = of(&operate).await;
        holds(&shown, &["method=\"post\""]);
        lacks(&shown, &["it takes a token"]);
    }
    let list = house.get("/alerts", &[("authorization", &read)]).await.text();
    holds(&list, &["Disk"]);
    lacks(&list, &["#take"]);
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

#[tokio::test]
async fn whoever_takes_an_alert_from_another_is_told_so() {
    let house = house().await;
    let fingerprint = push(&house, &[], "Disk", "page").await;
    let path = format!("/alerts/why/{fingerprint}");
    let take = async |by: &str, comment: &str| {
        let reply = form(&house, &format!("{path}/ack"), &[("by", by), ("comment", comment)], &[]).await;
        assert_eq!(reply.status, 303, "{}", reply.text());
    };
    lacks(&page(&house, &path).await, &["has it", "had it"]);
    take("anna", "on <it>").await;
    let first = page(&house, &path).await;
    holds(&first, &["anna has it since ", ": on &#60;it&#62;", "Acknowledging takes it from anna."]);
    lacks(&first, &["had it"]);
    take("bert", "me too").await;
    let second = page(&house, &path).await;
    holds(&second, &["anna had it from ", ": on &#60;it&#62;", "bert has it since ", "Give it back (bert has it)"]);
    lacks(&second, &["anna has it"]);
    assert_eq!(form(&house, &format!("{path}/unack"), &[], &[]).await.status, 303);
    let third = page(&house, &path).await;
    holds(&third, &["anna had it from ", "bert had it from "]);
    lacks(&third, &["has it"]);
}

#[tokio::test]
async fn a_rules_runbook_and_owner_stand_by_its_alerts() {
    let rules = "groups: [{name: g, interval: 1s, rules: [
        {alert: Linked, expr: vector(1), x: {runbook: 'https://wiki.example/full', owner: 'storage <team>'}, annotations: {runbook_url: 'https://wiki.example/other'}},
        {alert: Spoken, expr: vector(1), x: {runbook: 'page 7 of <the binder>'}},
        {alert: Evil, expr: vector(1), x: {runbook: 'javascript:alert(1)'}}]}]";
    let house = House::open_with(settings(), |_| {}, rules).await;
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let engine = house.state.alerting.rules.clone();
    tokio::spawn(async move { engine.run(stopped).await });
    let list = until(&house, "/alerts", &[], "3 firing").await;
    holds(
        &list,
        &[
            "href=\"https://wiki.example/full\"",
            "owner storage &#60;team&#62;",
            "runbook: page 7 of &#60;the binder&#62;",
        ],
    );
    lacks(&list, &["wiki.example/other", "href=\"javascript"]);
    let linked = model::alert::label_fingerprint(&model::Labels::from_pairs([("alertname", "Linked")]));
    holds(
        &page(&house, &format!("/alerts/why/{linked}")).await,
        &["href=\"https://wiki.example/full\"", "owner storage &#60;team&#62;"],
    );
    let rule = house.state.alerting.rules.view()[0].rules[0].id.clone();
    holds(&page(&house, &format!("/alerts/rule/{rule}")).await, &["<dt>owner</dt>", "<dt>runbook</dt>"]);
}

#[tokio::test]
async fn a_link_to_another_tenants_alert_says_whose_it_is() {
    let looked = async |auth: AuthMode| -> String {
        let house = House::open(server::ServerSettings { auth, ..settings() }).await;
        let token = |tenant: &str| {
            let tenant = TenantId::new(tenant).unwrap();
            let made = house.state.store.accounts().create_token("test", Scope::Admin, &tenant, now_ms()).unwrap();
            format!("Bearer {}", made.1)
        };
        let (ours, theirs) = (token("default"), token(SECOND));
        let theirs = [("x-scope-orgid", SECOND), ("authorization", theirs.as_str())];
        let fingerprint = push(&house, &theirs, "Disk", "page").await;
        let path = format!("/alerts/why/{fingerprint}");
        assert_eq!(house.get(&path, &theirs).await.status, 200);
        let ours = [("authorization", ours.as_str()), ("accept", "text/html")];
        let reply = house.get(&path, &ours).await;
        assert_eq!(reply.status, 404);
        // Nothing is said of others where nobody has it.
        lacks(&house.get("/alerts/why/0000000000000000", &ours).await.text(), &["Tenant second", "X-Scope-OrgID"]);
        reply.text()
    };
    holds(&looked(AuthMode::Off).await, &["tenant default has", "Tenant second has", "X-Scope-OrgID: second"]);
    let with_tokens = looked(AuthMode::Token).await;
    holds(&with_tokens, &["tenant default has"]);
    lacks(&with_tokens, &["Tenant second", "X-Scope-OrgID"]);
}
