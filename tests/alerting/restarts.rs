//! Killed and started again, at bad moments.

use std::time::Duration;

use crate::table::Row;
use crate::world::{PROBE_RULE, World, hosts};

/// Kills of scenario 8, unless `BINNACLE_KILL_ROUNDS` says otherwise.
const ROUNDS: usize = 20;

pub(crate) async fn ended_while_down() -> Row {
    let mut world = World::new(PROBE_RULE).await;
    world.tell_all();
    world.start().await;
    world.fire(&hosts(0..1)).await;
    world.until("everybody knows", |world| world.count().lost == 0).await;
    world.kill();
    world.end(&hosts(0..1)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.start().await;
    let row = world.settle("down for 3 s").await;
    assert_eq!(world.posts(), 1, "the same post edited");
    row
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

/// xorshift64*: enough chance for a test, and the same from the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

async fn kill_rounds(history: bool) -> Row {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let rounds = number("BINNACLE_KILL_ROUNDS").map_or(ROUNDS, |rounds| usize::try_from(rounds).unwrap_or(ROUNDS));
    let seed = number("BINNACLE_TEST_SEED").unwrap_or_else(crate::world::now_ns);
    eprintln!("BINNACLE_TEST_SEED={seed}");
    let mut random = Random(seed | 1);
    let mut world = World::new(PROBE_RULE).await;
    world.slack.seen.change(|seen| (seen.history_scope, seen.enforce_rate) = (history, false));
    world.tell_all();
    let mut open: Vec<String> = Vec::new();
    for round in 0..rounds {
        world.start().await;
        let host = hosts(round..round + 1);
        world.fire(&host).await;
        open.extend(host);
        if open.len() > 1 && random.below(2) == 0 {
            let at = usize::try_from(random.below(open.len() as u64 - 1)).unwrap_or(0);
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
