//! What fires here at a real Alertmanager: sent on, ended there when its rule is removed, and sent again to one that was down.

use std::time::Duration;

use serde_json::Value;

use crate::appliance::Appliance;
use crate::free_address::free_address;
use crate::peers::{Peer, program};
use crate::until::until;

const PATIENCE: Duration = Duration::from_secs(60);

fn rule(name: &str) -> String {
    format!(
        "groups: [{{name: g, interval: 1s, rules: [{{alert: {name}, expr: vector(7), annotations: {{summary: 'is {{{{ $value }}}}'}}}}]}}]"
    )
}

/// Waits until the Alertmanager lists this alert, and no other; what it says of it.
async fn until_listed(client: &reqwest::Client, url: &str, name: &str) -> Value {
    until(name, PATIENCE, || async {
        let reply = client.get(format!("{url}/api/v2/alerts")).send().await.ok()?;
        let mut alerts: Vec<Value> = serde_json::from_str(&reply.text().await.ok()?).ok()?;
        alerts.pop().filter(|alert| alerts.is_empty() && alert["labels"]["alertname"] == name)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alertmanager_is_sent_what_fires() {
    if program("alertmanager", "alertmanager").is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    let address = free_address();
    write("alertmanager.yml", "route: {receiver: a}\nreceivers: [{name: a}]\n");
    let entry = format!("[[alertmanagers]]\ntargets = [\"{address}\"]\nexternal_labels = {{replica = \"a\"}}\n");
    write("binnacle.toml", &format!("[rules]\nbuiltin = false\n[host_metrics]\nenabled = false\n{entry}"));
    std::fs::create_dir(home.path().join("rules")).unwrap();
    write("rules/t.yml", &rule("First"));
    let alertmanager = Peer::alertmanager(home.path(), &address);
    let url = format!("http://{address}");
    let appliance = Appliance::start(home.path());
    let client = appliance.client().clone();

    let first = until_listed(&client, &url, "First").await;
    assert_eq!(first["labels"]["replica"], "a");
    assert_eq!(first["annotations"]["summary"], "is 7");
    assert!(first["generatorURL"].as_str().unwrap().contains("/alerts/rule/"), "{first}");

    // Another rule in its place: the end of the first is told, not left to time.
    write("rules/t.yml", &rule("Second"));
    appliance.signal(rustix::process::Signal::HUP);
    until_listed(&client, &url, "Second").await;

    // It forgets nothing of its own; this one begins anew, as after the loss of its disk.
    drop(alertmanager);
    std::fs::remove_dir_all(home.path().join("am")).unwrap();
    write("rules/t.yml", &rule("Third"));
    appliance.signal(rustix::process::Signal::HUP);
    until("the warning", PATIENCE, || async { appliance.log().contains("alerts wait").then_some(()) }).await;
    let _alertmanager = Peer::alertmanager(home.path(), &address);
    until_listed(&client, &url, "Third").await;
    appliance.terminate();
}
