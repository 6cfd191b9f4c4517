//! Pushed alerts that come and go.

use super::*;
use crate::pushed::{PushDraft, push};

const MINUTE: i64 = 60_000;

/// An engine that tells nobody, its clock in the test's hands.
struct Told {
    alerts: Alerts,
    engine: Engine,
    script: crate::rehearsal::Script,
    _dir: tempfile::TempDir,
}

impl Told {
    fn new(config: &str) -> Told {
        let dir = tempfile::tempdir().unwrap();
        let alerts = Alerts::open(&path(&dir)).unwrap();
        let config = Config::parse(config, "notify.yml", Path::new(".")).unwrap();
        let options = NotifierOptions::new("http://here");
        let mut engine = Engine::open(alerts.clone(), "default", config, options, 0).unwrap();
        let script = engine.rehearse();
        Told { alerts, engine, script, _dir: dir }
    }

    fn push(&self, at: i64, lasts: i64) {
        let draft = PushDraft {
            labels: Labels::from_pairs([("alertname", "Door")]),
            annotations: Vec::new(),
            starts_ms: Some(at * MINUTE),
            ends_ms: Some((at + lasts) * MINUTE),
            generator_url: String::new(),
        };
        assert!(push(&self.alerts, vec![draft], MINUTE, at * MINUTE).unwrap().is_empty());
    }

    /// Whom it tells in this minute, and whether of a firing.
    async fn told(&mut self, minute: i64) -> Vec<(i64, String, bool)> {
        self.engine.turn(Orders::default(), minute * MINUTE).await;
        while self.engine.finish_begun(minute * MINUTE).await {
            self.engine.turn(Orders::default(), minute * MINUTE).await;
        }
        let told = self.script.taken().into_iter();
        told.map(|one| (minute, one.receiver, one.title.contains("FIRING"))).collect()
    }
}

#[tokio::test]
async fn the_end_of_a_pushed_alert_that_came_back_is_told_once_though_its_row_is_forgotten_before() {
    let mut world = Told::new(
        "{route: {receiver: pd, group_wait: 0s}, receivers: [{name: pd, pagerduty_configs: [{routing_key: k}]}]}",
    );
    // Four times on and off within the hour, each quarter of an hour: quiet for half an hour is over, its row goes after a quarter.
    let mut told = Vec::new();
    for minute in 0..120 {
        if minute % 15 == 0 && minute <= 45 {
            world.push(minute, 2);
        }
        told.extend(world.told(minute).await);
    }
    assert_eq!(told.last(), Some(&(77, "pd".into(), false)), "{told:?}");
    assert_eq!(told.len(), 8, "{told:?}");
    let lines = world.alerts.attempts(i64::MAX, 1_000).unwrap();
    let held = lines.iter().filter(|line| line.outcome == model::alert::Outcome::Suppressed).count();
    assert_eq!(held, 1, "said once");
}

#[tokio::test]
async fn whoever_looks_after_an_alert_goes_on_doing_so_when_it_comes_back() {
    let mut world = Told::new(
        "{route: {receiver: pd, group_wait: 0s}, receivers: [{name: pd, pagerduty_configs: [{routing_key: k}], x: {escalate: [{after: 3m, unless: acked, to: boss}]}}, {name: boss, pagerduty_configs: [{routing_key: b}]}]}",
    );
    let mut told = Vec::new();
    for minute in 0..30 {
        match minute {
            0 | 3 => world.push(minute, 2),
            // The third time it stays for longer than the escalation waits.
            6 => world.push(minute, 10),
            4 => {
                let episode = world.engine.live()[0].episode().unwrap();
                let ack = model::Ack {
                    episode,
                    by: "ann".into(),
                    comment: "on it".into(),
                    at_ms: 4 * MINUTE,
                    until_ms: None,
                };
                silences::acknowledge(&world.alerts, ack, "Door").unwrap();
            }
            _ => {}
        }
        told.extend(world.told(minute).await);
        if minute == 10 {
            let acks = world.alerts.acks().unwrap();
            let of_this = world.engine.live()[0].episode();
            assert_eq!(acks.iter().map(|ack| Some(ack.episode.clone())).collect::<Vec<_>>(), [of_this]);
        }
    }
    assert!(told.iter().all(|(_, receiver, _)| receiver == "pd"), "{told:?}");
    assert!(world.alerts.acks().unwrap().is_empty(), "it is over");
}

#[tokio::test]
async fn whoever_names_the_same_beginning_again_fires_again() {
    let mut world = Told::new(
        "{route: {receiver: pd, group_wait: 0s}, receivers: [{name: pd, pagerduty_configs: [{routing_key: k}]}]}",
    );
    let push = |world: &Told, starts: i64, ends: i64, now: i64| {
        let draft = PushDraft {
            labels: Labels::from_pairs([("alertname", "Door")]),
            annotations: Vec::new(),
            starts_ms: Some(starts * MINUTE),
            ends_ms: Some(ends * MINUTE),
            generator_url: String::new(),
        };
        assert!(push(&world.alerts, vec![draft], MINUTE, now * MINUTE).unwrap().is_empty());
    };
    let mut told = Vec::new();
    for minute in 0..80 {
        match minute {
            // Its end moves later, and its beginning earlier: no news.
            1 => push(&world, 1, 10, 1),
            2 => push(&world, -3, 12, 2),
            3 => push(&world, 1, 5, 3),
            // Its row is forgotten by then, its incident not yet.
            40 => push(&world, -3, 42, 40),
            _ => {}
        }
        told.extend(world.told(minute).await.into_iter().map(|(minute, _, fires)| (minute, fires)));
        if minute == 4 {
            let live = &world.engine.live()[0];
            assert_eq!((live.began_ms(), live.fired_at_ms), (-3 * MINUTE, Some(MINUTE)));
        }
    }
    assert_eq!(told, [(1, true), (12, false), (40, true), (42, false)]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_delays_nobody() {
    /// 2026-11-22, in minutes.
    const NOW: i64 = 29_921_760;
    let mut world = Told::new(
        "{route: {receiver: pd, group_wait: 10m}, receivers: [{name: pd, pagerduty_configs: [{routing_key: k}]}]}",
    );
    world.push(NOW, 300);
    assert!(world.told(NOW).await.is_empty());
    let mut told = Vec::new();
    for minute in (NOW - 60..NOW - 40).chain(NOW..NOW + 20) {
        told.extend(world.told(minute).await);
    }
    assert_eq!(told, [(NOW - 50, "pd".into(), true)]);
}
