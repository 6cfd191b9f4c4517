//! Rules over the data of more than one tenant: whose alert it is, who is told, and who sees it.

use std::time::Duration;

use serde_json::Value;

use crate::appliance::Appliance;
use crate::fakes::webhook::Webhook;
use crate::otlp;
use crate::until::until;

const TENANT: (&str, &str) = ("x-scope-orgid", "vessel-7");
const FIRES_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_tenant_that_is_named_has_its_own_alerts() {
    let (hook, whole, elsewhere, nowhere) =
        (Webhook::start().await, Webhook::start().await, Webhook::start().await, Webhook::start().await);
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    write(
        "binnacle.toml",
        "[rules]\nbuiltin = false\ntenants = [\"vessel-7\"]\n[host_metrics]\nenabled = false\ninterval = \"1s\"\n",
    );
    std::fs::create_dir(home.path().join("rules")).unwrap();
    write(
        "rules/test.yml",
        "groups: [{name: g, interval: 1s, rules: [{alert: Hot, expr: engine_heat > 90}, {alert: Missing, expr: binnacle_heartbeat_age_seconds > binnacle_heartbeat_allowed_seconds}]}]",
    );
    // Theirs go elsewhere, by the label that says whose they are.
    let to = format!("webhook_configs: [{{url: '{}'}}]", hook.url());
    let beat = "{name: sync, tenant: vessel-7, token: abcdefgh12345678, every: 1s}";
    let x = format!(
        "x:\n  heartbeats: [{beat}]\n  dead_man: [{{url: '{}', interval: 1s}}, {{url: '{}', interval: 1s, tenant: vessel-7}}, {{url: '{}', interval: 1s, tenant: vessel-8}}]\n",
        whole.url(),
        elsewhere.url(),
        nowhere.url()
    );
    write(
        "notify.yml",
        &format!(
            "route: {{receiver: nobody, group_by: [alertname], group_wait: 0s, group_interval: 1s, routes: [{{receiver: vessel, matchers: [tenant=vessel-7]}}]}}\nreceivers: [{{name: nobody}}, {{name: vessel, {to}}}]\n{x}"
        ),
    );
    let appliance = Appliance::start(home.path());
    let push = async |tenant: &str, value: f64| {
        let request = appliance.client().post(format!("{}/v1/metrics", appliance.otlp_http));
        let request = request.header("content-type", "application/x-protobuf").header(TENANT.0, tenant);
        let body = otlp::gauge("engine", "engine.heat", &[(binnacle::clock::now_ns(), value)]);
        assert_eq!(request.body(body).send().await.unwrap().status(), 200);
    };
    let get = async |tenant: &str, path: &str| -> Value {
        let request = appliance.client().get(format!("{}{path}", appliance.http)).header(TENANT.0, tenant);
        request.send().await.unwrap().json().await.unwrap()
    };
    push("default", 20.0).await;
    until("the alert at the webhook", FIRES_WITHIN, || async {
        push(TENANT.1, 95.0).await;
        hook.seen.see(|seen| (!seen.calls.is_empty()).then_some(()))
    })
    .await;
    hook.seen.see(|seen| {
        let alert = &seen.calls[0].body["alerts"][0]["labels"];
        assert_eq!((&alert["alertname"], &alert["tenant"]), (&"Hot".into(), &TENANT.1.into()), "{alert}");
    });
    for (path, list) in [("/api/v1/alerts", "/data/alerts"), ("/api/v2/alerts", "")] {
        let (theirs, ours) = (get(TENANT.1, path).await, get("default", path).await);
        let theirs = theirs.pointer(list).unwrap().as_array().unwrap().clone();
        assert_eq!((theirs.len(), &theirs[0]["labels"]["tenant"]), (1, &TENANT.1.into()), "{path}: {theirs:?}");
        assert_eq!(ours.pointer(list).unwrap(), &Value::Array(vec![]), "{path}");
    }
    let rules = get(TENANT.1, "/api/v1/rules").await;
    assert_eq!(rules["data"]["groups"][0]["rules"][0]["state"], "firing", "{rules}");
    let rules = get("default", "/api/v1/rules").await;
    assert_eq!(rules["data"]["groups"][0]["rules"][0]["state"], "inactive", "{rules}");
    // Its own heartbeat, that stays away: among its own series, and its own alert.
    until("the missing heartbeat at the webhook", FIRES_WITHIN, || async {
        hook.seen.see(|seen| {
            let alerts = seen.calls.iter().flat_map(|call| call.body["alerts"].as_array().into_iter().flatten());
            let mut missing = alerts.filter(|alert| alert["labels"]["alertname"] == "Missing");
            missing
                .any(|alert| alert["labels"]["heartbeat"] == "sync" && alert["labels"]["tenant"] == TENANT.1)
                .then_some(())
        })
    })
    .await;
    let ages = get("default", "/api/v1/query?query=binnacle_heartbeat_age_seconds").await;
    assert_eq!(ages["data"]["result"], Value::Array(vec![]), "{ages}");
    let url = format!("{}/heartbeat/abcdefgh12345678", appliance.http);
    assert_eq!(appliance.client().post(url).send().await.unwrap().status(), 200);
    for (which, pinged) in [("of all tenants", &whole), ("of one tenant", &elsewhere)] {
        until(&format!("the ping {which}"), FIRES_WITHIN, || async {
            pinged.seen.see(|seen| (!seen.calls.is_empty()).then_some(()))
        })
        .await;
    }
    nowhere.seen.see(|seen| assert!(seen.calls.is_empty(), "pinged for a tenant without rules"));
    // What it writes of its alerts is among its own series.
    let of = async |tenant: &str| {
        let found = get(tenant, "/api/v1/query?query=ALERTS%7Balertname%3D%22Hot%22%7D").await;
        found["data"]["result"].as_array().unwrap().len()
    };
    assert_eq!((of(TENANT.1).await, of("default").await), (1, 0));
    // Named no more: what was told to fire is told to be over.
    appliance.terminate();
    let ends = |seen: &crate::fakes::webhook::Seen| {
        let alerts = seen.calls.iter().flat_map(|call| call.body["alerts"].as_array().into_iter().flatten());
        alerts.filter(|alert| alert["labels"]["alertname"] == "Hot" && alert["status"] == "resolved").count()
    };
    hook.seen.see(|seen| assert_eq!(ends(seen), 0));
    write("binnacle.toml", "[rules]\nbuiltin = false\n[host_metrics]\nenabled = false\ninterval = \"1s\"\n");
    let appliance = Appliance::start(home.path());
    until("its end at the webhook", FIRES_WITHIN, || async { hook.seen.see(|seen| (ends(seen) == 1).then_some(())) })
        .await;
    appliance.terminate();
}
