//! Many alerts at once, and one that cannot make up its mind.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::knobs::seconds;
use crate::table::Row;
use crate::world::{ALL, PROBE_RULE, Receivers, World, hosts};

pub(crate) async fn many_instances() -> Row {
    let mut world = World::new(PROBE_RULE).await;
    world.write_notify("{receiver: all, group_by: [alertname], group_wait: 2s, group_interval: 2s}", "");
    world.start().await;
    // Nobody reads 200 names in one message: the oracle follows one of them, the counts are looked at here.
    all_fire(&mut world).await;
    world
        .until("a post and an incident", |world| {
            world.posts() >= 1 && world.mails() >= 1 && world.pagerduty.seen.see(|seen| !seen.incidents.is_empty())
        })
        .await;
    // What would come one by one comes now.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (posts, mails, incidents) = messages(&world);
    assert!(world.slack_says(&["200"]), "no count in the post");
    assert!(posts <= 2 && mails <= 2 && incidents <= 2, "{posts} posts, {mails} mails, {incidents} incidents");
    all_end(&mut world).await;
    world.episodes.clear();
    world.settle(format!("{posts} posts, {mails} mails, {incidents} incidents for 200 alerts")).await
}

pub(crate) async fn many_alerts() -> Row {
    let mut rules = String::from(
        "
  - alert: HostDown
    expr: probe{host_name=\"h-000-z\"} > 0
    labels: {severity: critical}
",
    );
    for host in hosts(1..200) {
        let name = host.replace('-', "");
        writeln!(
            rules,
            "  - {{alert: Fails{name}, expr: 'probe{{host_name=\"{host}\"}} > 0', labels: {{severity: warning}}}}"
        )
        .expect("a string takes it");
    }
    let mut world = World::new(&rules).await;
    world.write_notify("{receiver: all, group_by: [alertname, host_name], group_wait: 2s, group_interval: 2s}", "");
    world.start().await;
    let began = Instant::now();
    all_fire(&mut world).await;
    world.until("the root alone", |world| world.slack_says(&["HostDown", "h-000-z"])).await;
    let root = began.elapsed();
    world.until("the storm", |world| world.slack_says(&["storm"]) || world.slack_says(&["Storm"])).await;
    tokio::time::sleep(Duration::from_secs(20).saturating_sub(began.elapsed())).await;
    let (posts, mails, incidents) = messages(&world);
    assert!(posts <= 5, "{posts} posts");
    all_end(&mut world).await;
    let root = root.as_secs_f64();
    world
        .settle(format!("root after {root:.1} s; {posts} posts, {mails} mails, {incidents} incidents for 200 alerts"))
        .await
}

/// 200 hosts; the oracle follows the first.
async fn all_fire(world: &mut World) {
    for host in hosts(1..200) {
        world.set_quietly(&host, 1.0);
    }
    world.fire(&hosts(0..1)).await;
}

async fn all_end(world: &mut World) {
    for host in hosts(1..200) {
        world.set_quietly(&host, 0.0);
    }
    world.end(&hosts(0..1)).await;
    world.until("all of them ended", |world| world.is_all_over()).await;
}

/// Posts, mails and incidents.
fn messages(world: &World) -> (usize, usize, usize) {
    (world.posts(), world.mails(), world.pagerduty.seen.see(|seen| seen.incidents.len()))
}

/// Two seconds on and two off for 48 s; a minute on and one off for an hour, when a long run is asked for. The first end is told as it
/// comes, and all that follows is one trouble.
pub(crate) async fn flapping() -> Row {
    let mut world = World::new(PROBE_RULE).await;
    world.receivers = Receivers { hook: false, ..ALL };
    world.write_notify(
        "{receiver: slack, group_by: ['...'], group_wait: 0s, group_interval: 1s, routes: [{receiver: pagerduty, continue: true}, {receiver: slack}]}",
        "",
    );
    world.start().await;
    let host = hosts(0..1);
    let (half, changes) = (seconds(2, 60), seconds(12, 30).as_secs());
    for _ in 0..changes {
        for value in [1.0, 0.0] {
            world.set(&host[0], value).await;
            world.live(half.as_secs()).await;
        }
    }
    assert!(world.slack_says(&["lapping"]), "nobody says that it flaps");
    world.until_live("it closes after a quiet time", |world| world.is_all_over()).await;
    let incidents = world.pagerduty.seen.see(|seen| seen.incidents.values().map(|one| one.opened).sum::<usize>());
    let posts = world.posts();
    assert_eq!((posts, incidents), (2, 2));
    world.settle(format!("{changes} times on and off: {posts} posts, {incidents} incidents")).await
}

/// The same with a rule that goes on firing through the pauses: an incident and a post for all of it, as nobody can be asked to open
/// again what was closed.
pub(crate) async fn flapping_kept() -> Row {
    let (half, changes) = (seconds(2, 60), seconds(6, 30).as_secs());
    let rule = format!("{}    keep_firing_for: {}s\n", PROBE_RULE.trim_end_matches(' '), 3 * half.as_secs());
    let mut world = World::new(&rule).await;
    world.receivers = Receivers { hook: false, mail: false, ..ALL };
    world.write_notify(
        "{receiver: slack, group_by: ['...'], group_wait: 0s, group_interval: 1s, routes: [{receiver: pagerduty, continue: true}, {receiver: slack}]}",
        "",
    );
    world.start().await;
    let host = hosts(0..1);
    world.fire(&host).await;
    for _ in 0..changes {
        world.live(half.as_secs()).await;
        world.set(&host[0], 0.0).await;
        world.live(half.as_secs()).await;
        world.set(&host[0], 1.0).await;
    }
    world.end(&host).await;
    world.until_live("it closes after a quiet time", |world| world.is_all_over()).await;
    let incidents = world.pagerduty.seen.see(|seen| seen.incidents.values().map(|one| one.opened).sum::<usize>());
    assert_eq!((world.posts(), incidents), (1, 1));
    world.settle(format!("{changes} times on and off: 1 post, 1 incident")).await
}

/// A value that swings by a hundredth around a threshold: with levels one episode, without one for each swing.
pub(crate) async fn noisy_value() -> Row {
    let rules = "
  - alert: Probe
    expr: probe
    annotations: {summary: 'the probe of {{ $labels.host_name }} says {{ $value }}'}
    x: {levels: [{severity: warning, above: 0.70, clear: 0.65}, {severity: critical, above: 0.90, clear: 0.85}]}
  - alert: Plain
    expr: probe > 0.9
    labels: {severity: none}
";
    let mut world = World::new(rules).await;
    let route = "{receiver: all, group_by: [alertname, host_name], group_wait: 0s, group_interval: 1s, routes: [{receiver: nobody, matchers: [alertname=Plain]}]}";
    world.write_notify(route, "- {name: nobody}");
    world.start().await;
    let host = hosts(0..1);
    world.fire(&host).await;
    world.until("everybody knows", |world| world.count().lost == 0).await;
    for step in 0..15 {
        for value in [0.9 + 0.009, 0.9 - 0.009] {
            world.set_quietly(&host[0], value);
            world.live(1 + step % 2).await;
        }
    }
    // Each episode of the plain rule has another beginning.
    let found = world.appliance().query("changes(ALERTS_FOR_STATE{alertname=\"Plain\"}[10m]) + 1").await;
    let plain: f64 = found[0]["value"][1].as_str().and_then(|text| text.parse().ok()).expect("a number");
    assert!(plain > 5.0, "the value does not swing: {plain} episodes");
    world.end(&host).await;
    let row = world.settle(format!("1 episode; a plain threshold had {plain:.0}")).await;
    assert_eq!(world.pagerduty.seen.see(|seen| seen.incidents.len()), 1);
    row
}
