//! What cannot be used when files are read again: it stays as it was, and whoever looks is told.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::appliance::Appliance;
use crate::until::until;

const WITHIN: Duration = Duration::from_secs(30);
const RULES: &str = "groups:\n- name: g\n  rules: [{alert: Up, expr: vector(1)}]\n";
const NOTIFY: &str =
    "route: {receiver: hook}\nreceivers: [{name: hook, webhook_configs: [{url: 'http://127.0.0.1:9/'}]}]\n";

/// Reads again, and waits until this is (or is not) said of it.
async fn reload(appliance: &Appliance, says: &[&str]) {
    appliance.signal(Signal::HUP);
    until(&format!("{says:?}"), WITHIN, || async {
        let (status, ready) = appliance.get("/ready").await;
        assert_eq!(status, 200, "{ready}");
        let (_, info) = appliance.get("/api/v1/status/runtimeinfo").await;
        let info: Value = serde_json::from_str(&info).unwrap();
        // Nobody listens where alerts are told to, which is said too.
        let of_alerts = |line: &str| line.contains("reached nobody") || line.contains("take nothing");
        let of_files = |line: &&str| line.starts_with("warning: ") && !of_alerts(line);
        let warnings: Vec<&str> = ready.lines().filter(of_files).collect();
        let all_said = warnings.len() == says.len() && says.iter().all(|word| ready.contains(word));
        (all_said && info["data"]["reloadConfigSuccess"] == says.is_empty()).then_some(())
    })
    .await;
    let (_, metrics) = appliance.get("/metrics").await;
    let value = format!("\nbinnacle_config_last_reload_successful {}\n", u8::from(says.is_empty()));
    assert!(metrics.contains(&value), "{value}: {metrics}");
    let (_, overview) = appliance.get("/").await;
    for word in says {
        assert!(overview.contains(word), "{word} is not on the overview");
    }
}

fn write(home: &Path, name: &str, text: &str) {
    std::fs::write(home.join(name), text).unwrap();
}

#[tokio::test]
async fn files_that_break_are_said_and_keep_what_they_were() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    write(home, "binnacle.toml", "[rules]\nfiles = [\"r*.yml\"]\n");
    write(home, "r1.yml", RULES);
    write(home, "notify.yml", NOTIFY);
    let appliance = Appliance::start(home);
    reload(&appliance, &[]).await;

    write(home, "r1.yml", "groups: [{name: g, rules: [{alert: Up}]}]\n");
    write(home, "r2.yml", "groups: 7\n");
    reload(&appliance, &["r1.yml:1", "r2.yml:1"]).await;
    let (_, ready) = appliance.get("/ready").await;
    assert!(ready.contains("its last good version stays") && ready.contains("none of its rules run"), "{ready}");
    let (_, rules) = appliance.get("/api/v1/rules?rule_name[]=Up").await;
    assert!(rules.contains("vector(1)"), "{rules}");

    write(home, "r1.yml", RULES);
    std::fs::remove_file(home.join("r2.yml")).unwrap();
    write(home, "notify.yml", "route: {receiver: nobody}\n");
    reload(&appliance, &["notify.yml:1"]).await;
    std::fs::remove_file(home.join("notify.yml")).unwrap();
    reload(&appliance, &["it is gone"]).await;
    let (_, status) = appliance.get("/api/v2/receivers").await;
    assert!(status.contains("hook"), "{status}");
    write(home, "notify.yml", NOTIFY);
    write(home, "binnacle.toml", "[rules]\nfiles = [\"r*.yml\"]\n[[scrape]]\njob = 1\n");
    reload(&appliance, &["binnacle.toml:4"]).await;
    write(home, "binnacle.toml", "[rules]\nfiles = [\"r*.yml\"]\n");
    reload(&appliance, &[]).await;
    appliance.terminate();

    // A start with a broken rule file watches over all else, and says it as well.
    write(home, "r1.yml", "groups: [{name: g, rules: [{alert: Up}]}]\n");
    let again = Appliance::start(home);
    let (_, ready) = again.get("/ready").await;
    assert!(ready.contains("r1.yml:1") && ready.contains("none of its rules run"), "{ready}");
    again.terminate();
}

#[tokio::test]
async fn alerts_that_reach_nobody_are_said_to_whoever_asks() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    write(home, "binnacle.toml", "[rules]\nfiles = [\"r*.yml\"]\nbuiltin = false\n");
    write(home, "r1.yml", "groups: [{name: g, interval: 1s, rules: [{alert: Up, expr: vector(1)}]}]\n");
    write(home, "notify.yml", &NOTIFY.replace("hook}", "hook, group_wait: 0s}"));
    let appliance = Appliance::start(home);
    until("both", WITHIN, || async {
        let (status, ready) = appliance.get("/ready").await;
        assert_eq!(status, 200, "{ready}");
        let said = ["messages about alerts reached nobody: 1;", "take nothing: hook/webhook[0];"];
        said.iter().all(|words| ready.contains(words)).then_some(())
    })
    .await;
    write(home, "notify.yml", "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n");
    appliance.signal(Signal::HUP);
    until("neither", WITHIN, || async { (appliance.get("/ready").await.1 == "ready\n").then_some(()) }).await;
}
