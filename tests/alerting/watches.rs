//! What time and silence bring: escalation, the dead man's switch, heartbeats, tests of receivers.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::fakes::slack;
use crate::fakes::webhook::Webhook;
use crate::table::Row;
use crate::world::{ALL, PROBE_RULE, Receivers, World, hosts};

const SLACK_AND_MAIL: Receivers = Receivers { pagerduty: false, hook: false, ..ALL };

/// The step survives a restart before its time, and is not taken for an alert that ended before.
pub(crate) async fn escalation() -> Row {
    let mut world = World::new(PROBE_RULE).await;
    world.receivers = SLACK_AND_MAIL;
    let more = format!(
        "- {{name: stepped, slack_configs: {}, x: {{escalate: [{{after: 6s, unless: acked, to: mail}}]}}}}\n",
        world.slack_config()
    );
    world.write_notify("{receiver: stepped, group_by: ['...'], group_wait: 0s, group_interval: 1s}", &more);
    world.start().await;
    world.fire(&hosts(0..1)).await;
    let began = Instant::now();
    world.until("Slack knows", |world| world.posts() == 1).await;
    world.kill();
    world.start().await;
    world.until("mail after its time", |world| world.mails() == 1).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(6), "told after {took:?}");
    world.smtp.seen.see(|seen| assert!(seen.mails[0].text.contains("nobody acknowledged"), "{}", seen.mails[0].text));
    world.end(&hosts(0..1)).await;
    // Another one ends before its step.
    let row = world.settle("").await;
    world.set("h-900-z", 1.0).await;
    world.until("Slack knows of the second", |world| world.posts() == 2).await;
    world.set("h-900-z", 0.0).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(
        world.smtp.seen.see(|seen| seen.mails.iter().all(|mail| !mail.text.contains("h-900-z"))),
        "a needless step"
    );
    Row { remark: format!("the step came after {:.1} s of 6, across a restart", took.as_secs_f64()), ..row }
}

/// Pings while all is well; a heartbeat that stays away is an alert.
pub(crate) async fn dead_man_and_heartbeat() -> Row {
    let rule = "
  - alert: HeartbeatMissing
    expr: binnacle_heartbeat_age_seconds > binnacle_heartbeat_allowed_seconds
    labels: {severity: critical}
";
    let mut world = World::new(rule).await;
    world.receivers = Receivers { slack: true, pagerduty: false, mail: false, hook: false };
    let toml = "[rules]\nbuiltin = false\n[host_metrics]\nenabled = false\ninterval = \"1s\"\n[notify]\nexternal_url = \"https://binnacle.example.org\"\n";
    world.write("binnacle.toml", toml);
    let elsewhere = Webhook::start().await;
    world.write_notify("{receiver: slack, group_by: ['...'], group_wait: 0s, group_interval: 1s}", "");
    let text = std::fs::read_to_string(world.home.path().join("notify.yml")).expect("written above");
    let x = format!(
        "x:\n  dead_man: {{url: '{}', interval: 1s}}\n  heartbeats: [{{name: backup, token: abcdefgh12345678, every: 4s, grace: 1s}}]\n",
        elsewhere.url()
    );
    world.write("notify.yml", &format!("{text}{x}"));
    world.start().await;
    elsewhere.seen.until("three pings", |seen| (seen.calls.len() >= 3).then_some(())).await;
    let beat = |world: &World, token: &str| {
        let url = format!("{}/heartbeat/{token}", world.appliance().http);
        world.appliance().client().post(url).send()
    };
    for _ in 0..8 {
        let status = beat(&world, "abcdefgh12345678").await.expect("an answer").status().as_u16();
        assert_eq!(status, 200);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(world.posts(), 0, "an alert although the heartbeat came");
    assert_eq!(beat(&world, "wrong-token").await.expect("an answer").status().as_u16(), 404);
    world.until("the missing heartbeat", |world| world.slack_says(&["[FIRING", "HeartbeatMissing"])).await;
    let again = beat(&world, "abcdefgh12345678").await.expect("an answer").status().as_u16();
    assert_eq!(again, 200);
    world.until("its end", |world| world.slack_says(&["[RESOLVED", "HeartbeatMissing"])).await;
    world.settle("pinged every second; missing after 5 s").await
}

pub(crate) async fn test_of_a_receiver() -> Row {
    let mut world = World::new(PROBE_RULE).await;
    world.tell_all();
    world.start().await;
    let run = |world: &World| {
        let program = std::env::var("BINNACLE_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_binnacle").into());
        let url = world.appliance().http.clone();
        tokio::task::spawn_blocking(move || {
            Command::new(program).args(["notify", "test", "all", "--url", &url]).output().expect("it runs")
        })
    };
    let done = run(&world).await.expect("it ends");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    for channel in ["all/slack[0]", "all/pagerduty[0]", "all/email[0]", "all/webhook[0]"] {
        let of = said.lines().filter(|line| line.starts_with(channel) && line.contains("accepted")).count();
        assert_eq!(of, 2, "{channel} in:\n{said}");
    }
    world.until("the chart in Slack", |world| world.slack.seen.see(|seen| seen.files.len() == 1)).await;
    world.smtp.seen.see(|seen| {
        let firing = seen.mails.iter().find(|mail| mail.header("subject").contains("[FIRING")).expect("a mail");
        assert!(firing.text.contains("image/png"), "the mail has no chart: {}", firing.text);
    });
    world.slack.set_mode(slack::Mode::Refuse("invalid_auth"));
    let failed = run(&world).await.expect("it ends");
    let said = String::from_utf8_lossy(&failed.stdout).into_owned();
    assert!(!failed.status.success() && said.contains("invalid_auth"), "{said}");
    world.episodes.clear();
    world.settle("a firing and an end by each channel").await
}
