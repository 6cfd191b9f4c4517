//! Killed and started again, at bad moments.

use std::time::{Duration, Instant};

use crate::knobs::{random, seconds};
use crate::oracle::Counts;
use crate::table::Row;
use crate::world::{PROBE_RULE, World, hosts};

/// Kills of scenario 8, unless `BINNACLE_KILL_ROUNDS` says otherwise.
const ROUNDS: usize = 20;
/// Alerts that fire at a time: Slack takes an edit a second, and at the end all of them are over.
const OPEN_MAX: usize = 20;

/// Down for nothing, for a minute and for twenty in the test plan; for seconds unless a long run is asked for.
pub(crate) async fn ended_while_down() -> Row {
    let mut all = Counts::default();
    let mut lengths = Vec::new();
    for outage in [Duration::ZERO, seconds(2, 60), seconds(5, 1_200)] {
        let mut world = World::new(PROBE_RULE).await;
        world.tell_all();
        world.start().await;
        world.fire(&hosts(0..1)).await;
        world.until("everybody knows", |world| world.count().lost == 0).await;
        world.kill();
        world.end(&hosts(0..1)).await;
        tokio::time::sleep(outage).await;
        world.start().await;
        let back = Instant::now();
        let told = |world: &World| world.pagerduty.seen.see(|seen| seen.open()) == 0;
        world.until("the incident closes", told).await;
        lengths.push(format!("{} s: closed {:.1} s after the start", outage.as_secs(), back.elapsed().as_secs_f64()));
        all.add(world.settle("").await.counts);
        assert_eq!(world.posts(), 1, "the same post edited");
        world.pagerduty.seen.see(|seen| assert_eq!(seen.incidents.len(), 1, "the same key: {:?}", seen.events));
    }
    Row { counts: all, remark: format!("down for {}", lengths.join(", ")) }
}

pub(crate) async fn still_firing() -> Row {
    let rule = "
  - alert: Probe
    expr: probe > 0
    for: 3s
    keep_firing_for: 4s
    labels: {severity: critical}
";
    let mut world = World::new(rule).await;
    world.tell_all();
    world.start().await;
    world.fire(&hosts(0..1)).await;
    world.until("everybody knows", |world| world.count().lost == 0).await;
    let before = world.count();
    for _ in 0..3 {
        world.kill();
        world.start().await;
        // Evaluations over fresh data, in real seconds.
        tokio::time::sleep(Duration::from_secs(3)).await;
        world.push().await;
        let (_, alerts) = world.appliance().get("/api/v1/alerts").await;
        assert!(alerts.contains("\"firing\"") && !alerts.contains("\"pending\""), "{alerts}");
    }
    assert_eq!(world.count(), before, "a restart told somebody something");
    world.end(&hosts(0..1)).await;
    world.settle("3 restarts").await
}

pub(crate) async fn killed_at_random() -> Row {
    kill_rounds(false).await
}

pub(crate) async fn killed_at_random_with_history() -> Row {
    kill_rounds(true).await
}

async fn kill_rounds(history: bool) -> Row {
    let rounds =
        chance::from_env("BINNACLE_KILL_ROUNDS").map_or(ROUNDS, |rounds| usize::try_from(rounds).unwrap_or(ROUNDS));
    let mut random = random();
    let mut world = World::new(PROBE_RULE).await;
    world.slack.seen.change(|seen| (seen.history_scope, seen.enforce_rate) = (history, false));
    world.tell_all();
    // Short slots, so that a round is short.
    world.write_rules_every("200ms", PROBE_RULE);
    let mut open: Vec<String> = Vec::new();
    for round in 0..rounds {
        world.start().await;
        let host = hosts(round..round + 1);
        world.fire(&host).await;
        open.extend(host);
        // Of those that somebody knows of: the others may not have fired yet.
        let known: Vec<usize> = (0..open.len()).filter(|at| world.hook_knows(&open[*at])).collect();
        if !known.is_empty() && (random.below(2) == 0 || known.len() > OPEN_MAX) {
            let at = known[random.below(known.len())];
            let over = open.swap_remove(at);
            world.end(&[over]).await;
        }
        // Until the evaluation writes, and then somewhere in its messages: the moment is the test's input.
        let hook_calls = world.hook.seen.see(|seen| seen.calls.len());
        let deadline = tokio::time::Instant::now() + Duration::from_millis(2_500);
        while world.hook.seen.see(|seen| seen.calls.len()) == hook_calls && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(random.below(60_000))).await;
        world.kill();
    }
    world.start().await;
    // An alert that the kill cut off before its evaluation fires now, and everything ends.
    world.until("everybody knows", |world| world.count().lost == 0).await;
    world.end(&open).await;
    let row = world.settle("").await;
    let marked = world
        .slack
        .seen
        .see(|seen| seen.messages.iter().filter(|post| post.said[0].contains("ossible repeat")).count());
    if history {
        assert_eq!(marked, 0, "nothing is uncertain when the history can be read");
    }
    Row { remark: format!("{rounds} kills, {marked} marked repeats"), ..row }
}
