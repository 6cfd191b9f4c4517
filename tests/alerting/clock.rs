//! The clock of the machine is set while alerts fire: ahead, back, and wrong at the start.
//!
//! Played with libfaketime (`tests/alerting/setup` fetches it), which sets the wall clock and leaves the monotonic one alone, as
//! a time server does. Senders on the same machine have the same clock.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::knobs::seconds;
use crate::table::Row;
use crate::world::{PROBE_RULE, World, hosts};

const RULES: &str = "
  - alert: Probe
    expr: probe > 0
    labels: {severity: critical}
    annotations: {summary: 'the probe of {{ $labels.host_name }} says {{ $value }}'}
  - alert: Slow
    expr: probe < 0
    for: 40s
    labels: {severity: critical}
";
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;

pub(crate) fn library() -> Option<PathBuf> {
    let home = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/faketime");
    let found = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .map(|machine| home.join(format!("usr/lib/{machine}/faketime/libfaketimeMT.so.1")));
    found.into_iter().find(|path| path.exists())
}

impl World {
    /// Sets the clock so far ahead of the true time.
    fn set_clock(&mut self, ahead_s: i64) {
        self.ahead_s = ahead_s;
        // In one step: the library reads it at any time.
        self.write("clock.new", &format!("{ahead_s:+}\n"));
        std::fs::rename(self.home.path().join("clock.new"), self.home.path().join("clock")).expect("the same folder");
    }

    /// Has the appliance go by a clock that can be set, from its next start on.
    fn take_clock(&mut self, library: &Path) {
        self.set_clock(0);
        let file = self.home.path().join("clock");
        for (name, value) in [
            ("LD_PRELOAD", library),
            ("FAKETIME_TIMESTAMP_FILE", file.as_path()),
            ("FAKETIME_NO_CACHE", "1".as_ref()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".as_ref()),
            ("NO_FAKE_STAT", "1".as_ref()),
        ] {
            self.env.push((name.into(), value.to_string_lossy().into_owned()));
        }
    }

    fn told(&self) -> (usize, usize, usize) {
        (self.posts(), self.pagerduty.seen.see(|seen| seen.events.len()), self.mails())
    }

    async fn states(&self) -> Vec<String> {
        let (_, body) = self.appliance().get("/api/v1/alerts").await;
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let alerts = body["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let mut states: Vec<String> = alerts
            .iter()
            .map(|alert| format!("{} {}", text(&alert["labels"]["host_name"]), text(&alert["state"])))
            .collect();
        states.sort();
        states
    }
}

pub(crate) async fn set_while_firing() -> Row {
    let Some(library) = library() else { return Row::not_played("run tests/alerting/setup for libfaketime") };
    let mut world = World::new(RULES).await;
    world.take_clock(&library);
    world.write_notify(
        "{receiver: all, group_by: [alertname, host_name], group_wait: 0s, group_interval: 1s, repeat_interval: 20h}",
        "",
    );
    world.start().await;
    world.fire(&hosts(0..1)).await;
    world.until("everybody knows", |world| world.count().lost == 0).await;
    // Over by the time the clock is put right, so that it is asked for once.
    world.silence("h-001-z", Duration::ZERO, Duration::from_secs(45)).await;
    world.fire(&hosts(1..2)).await;
    world.until_alerts("it fires silenced", |alerts| alerts.len() == 2).await;
    world.set("h-002-z", -1.0).await;
    let pending = Instant::now();
    world.live(3).await;
    let before = world.told();
    let held = ["h-000-z firing", "h-001-z firing", "h-002-z pending"];
    assert_eq!(world.states().await, held);

    // An hour ahead: `for` is not over, nobody hears of an end, and the silence is, by the clock on the wall.
    world.set_clock(HOUR_S);
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.until_live("the silence is over", |world| world.count().lost == 0).await;
    assert!(pending.elapsed() < Duration::from_secs(40), "too slow a machine to tell");
    assert_eq!(world.states().await, held, "after a jump of an hour");
    let (posts, events, mails) = world.told();
    assert_eq!((posts, events, mails), (before.0 + 1, before.1 + 1, before.2 + 1), "more than the silenced alert");
    world.until_live("what was pending fires in its time", |world| world.slack_says(&["h-002-z", "[FIRING"])).await;
    let waited = pending.elapsed();
    assert!(waited >= Duration::from_secs(38), "`for: 40s` was over after {waited:?}");

    // A day ahead: the repeats that became due come once, also when the clock is put right and wrong again.
    world.set_clock(DAY_S);
    world.live(8).await;
    let mut repeated = 0;
    for _ in 0..2 {
        world.until_live("three repeats", |world| world.mails() >= mails + 1 + 3).await;
        repeated = world.mails();
        world.set_clock(0);
        world.live(3).await;
        world.set_clock(DAY_S);
        world.live(3).await;
    }
    assert_eq!(world.mails(), repeated, "repeated twice");

    // Back to the true time, and a restart there, as after somebody looked.
    world.set_clock(0);
    world.live(seconds(4, 420).as_secs()).await;
    let before = world.told();
    world.kill();
    world.start().await;
    world.live(5).await;
    assert_eq!((world.states().await, world.told()), (firing(), before), "after the clock went back by a day");

    // A board without a battery: it starts in 1970, and learns the time later.
    world.kill();
    let now_s = i64::try_from(crate::world::now_ns() / 1_000_000_000).expect("before 2262");
    world.set_clock(60 - now_s);
    world.start().await;
    world.live(5).await;
    world.set_clock(0);
    world.live(6).await;
    assert_eq!((world.states().await, world.told()), (firing(), before), "after a start in 1970");
    world.tellings_max = 2;
    world.end(&hosts(0..2)).await;
    world.set("h-002-z", 0.0).await;
    world.until_live("the ends", |world| world.pagerduty.seen.see(|seen| seen.open()) == 0).await;
    world
        .settle(format!(
            "+1 h, +1 d, back, a start in 1970; `for: 40s` took {:.0} s across the jump",
            waited.as_secs_f64()
        ))
        .await
}

/// Killed, and started again when hours have passed: one alert ended meanwhile, one fires on.
pub(crate) async fn long_outage() -> Row {
    let Some(library) = library() else { return Row::not_played("run tests/alerting/setup for libfaketime") };
    let mut all = crate::oracle::Counts::default();
    let mut lengths = Vec::new();
    for hours in [1, 12, 30] {
        let mut world = World::new(PROBE_RULE).await;
        world.take_clock(&library);
        world.write_notify(
            "{receiver: all, group_by: [alertname, host_name], group_wait: 0s, group_interval: 1s, repeat_interval: 200h}",
            "",
        );
        world.start().await;
        world.fire(&hosts(0..2)).await;
        world.until("everybody knows", |world| world.count().lost == 0).await;
        world.kill();
        world.end(&hosts(0..1)).await;
        world.set_clock(hours * HOUR_S);
        world.start().await;
        let back = Instant::now();
        world.until_live("the incident closes", |world| world.pagerduty.seen.see(|seen| seen.open()) == 1).await;
        lengths.push(format!("{hours} h: closed {:.1} s after the start", back.elapsed().as_secs_f64()));
        world.live(3).await;
        assert_eq!(world.posts(), 2, "what fires on was told again");
        world.end(&hosts(1..2)).await;
        world.until_live("all is over", |world| world.is_all_over()).await;
        all.add(world.settle("").await.counts);
        world.pagerduty.seen.see(|seen| assert_eq!(seen.incidents.len(), 2, "the same keys: {:?}", seen.events));
    }
    Row { counts: all, remark: format!("down for {}", lengths.join(", ")) }
}

fn firing() -> Vec<String> {
    ["h-000-z firing", "h-001-z firing", "h-002-z firing"].map(str::to_owned).to_vec()
}
