//! The outbox as a pure thing: what is wanted of whom, and when, without a store or a network.

mod clock;
mod fallback;
mod flapping;
mod groups;
mod held;
mod many;
mod refused;
mod rerouted;
mod storms;
mod undelivered;

use std::path::Path;

use model::Labels;

use super::*;
use crate::delivery::{Report, Verdict};
use crate::health::Health;

const MINUTE: i64 = 60_000;

struct Bench {
    outbox: Outbox,
    config: Config,
    health: Health,
    timing: Timing,
}

impl Bench {
    fn new(route: &str) -> Bench {
        let slack = "slack_configs: [{api_url: 'http://x/services/y'}]";
        let pagerduty = "pagerduty_configs: [{routing_key: k, url: 'http://x/'}]";
        let text = format!(
            "route: {route}\nreceivers:\n- {{name: slack, {slack}}}\n- {{name: quiet, slack_configs: [{{api_url: 'http://x/y', send_resolved: false}}]}}\n- {{name: pd, {pagerduty}}}\n- {{name: stand-in, {slack}}}\n- {{name: guarded, {slack}, x: {{fallback: {{to: stand-in}}}}}}\n"
        );
        Bench {
            outbox: Outbox::default(),
            config: Config::parse(&text, "notify.yml", Path::new(".")).unwrap(),
            health: Health::default(),
            timing: Timing::default(),
        }
    }

    fn take(&mut self, instance: &Instance, now_ms: i64) {
        self.outbox.take(instance, &self.config, now_ms, &self.timing);
    }

    fn sweep(&mut self, now_ms: i64) -> usize {
        let health = self.health.clone();
        self.outbox.sweep(&self.config, &|_| health.clone(), now_ms, &self.timing).len()
    }

    fn due(&self, channel: &str, now_ms: i64) -> Vec<Key> {
        self.outbox.due(channel, now_ms)
    }

    /// Makes the attempt that is due, with this end.
    fn attempt(&mut self, channel: &str, now_ms: i64, verdict: Verdict) -> Sent {
        let key = self.due(channel, now_ms).first().cloned().unwrap_or_else(|| panic!("nothing is due on {channel}"));
        let sent = self.outbox.begin(&key, &[], now_ms).expect("due");
        self.end_attempt(&sent, now_ms, verdict);
        sent
    }

    fn end_attempt(&mut self, sent: &Sent, now_ms: i64, verdict: Verdict) {
        let report = Report { verdict, status: 0, words: "words".into(), handle: Vec::new(), began: false };
        self.outbox.finish(sent, &report, &mut self.health, now_ms, 0.5, &self.timing);
    }

    fn next(&self) -> Option<i64> {
        self.outbox.next_ms(&self.config, &|_| i64::MIN, &self.timing)
    }

    fn only(&self) -> &Intent {
        let mut all = self.outbox.iter();
        let (_, intent) = all.next().expect("an intent");
        assert!(all.next().is_none(), "{:#?}", self.outbox);
        intent
    }
}

fn firing(host: &str, severity: &str, at_ms: i64) -> Instance {
    crate::fixtures::firing(Labels::from_pairs([("alertname", "X"), ("host", host), ("severity", severity)]), at_ms)
}

fn ended(instance: &Instance, at_ms: i64) -> Instance {
    Instance { state: AlertState::Resolved, resolved_at_ms: Some(at_ms), ..instance.clone() }
}

#[test]
fn a_group_waits_for_company_and_critical_waits_less() {
    for (severity, wait_ms) in [("warning", 30_000), ("critical", 10_000)] {
        let mut bench = Bench::new("{receiver: slack}");
        bench.take(&firing("a", severity, 0), 0);
        assert_eq!(bench.next(), Some(wait_ms), "{severity}");
        assert!(bench.due("slack/slack[0]", wait_ms - 1).is_empty());
        assert_eq!(bench.due("slack/slack[0]", wait_ms).len(), 1);
    }
    // A critical one hurries the group it joins.
    let mut bench = Bench::new("{receiver: slack}");
    bench.take(&firing("a", "warning", 0), 0);
    bench.take(&firing("b", "critical", 1_000), 1_000);
    assert_eq!((bench.next(), bench.only().instances.len()), (Some(11_000), 2));
    // What fired long ago, before a restart, has waited.
    let mut bench = Bench::new("{receiver: slack}");
    bench.take(&firing("a", "warning", -MINUTE), 0);
    assert_eq!(bench.due("slack/slack[0]", 0).len(), 1);
}

#[test]
fn a_told_group_is_told_more_at_its_interval_and_of_critical_at_once() {
    for (severity, due_ms) in [("warning", 31_000 + 5 * MINUTE), ("critical", 60_000 + 10_000)] {
        let mut bench = Bench::new("{receiver: slack}");
        bench.take(&firing("a", "warning", 0), 0);
        bench.attempt("slack/slack[0]", 31_000, Verdict::Accepted);
        assert_eq!(bench.next(), Some(31_000 + 4 * 60 * MINUTE), "the repeat");
        bench.take(&firing("b", severity, 60_000), 60_000);
        assert_eq!(bench.next(), Some(due_ms), "{severity}");
        assert!(is_loud(bench.only()));
    }
}

#[test]
fn a_message_says_why_it_comes_in_alertmanagers_words() {
    let mut bench = Bench::new("{receiver: slack, group_wait: 0s, group_interval: 1m, repeat_interval: 1h}");
    let reason = |sent: Sent| crate::reason::of(&sent.intent);
    let (a, b) = (firing("a", "warning", 0), firing("b", "warning", MINUTE));
    bench.take(&a, 0);
    assert_eq!(reason(bench.attempt("slack/slack[0]", 0, Verdict::Accepted)), "first notification");
    bench.take(&b, MINUTE);
    assert_eq!(reason(bench.attempt("slack/slack[0]", 2 * MINUTE, Verdict::Accepted)), "new alerts added");
    bench.take(&ended(&a, 3 * MINUTE), 3 * MINUTE);
    assert_eq!(reason(bench.attempt("slack/slack[0]", 4 * MINUTE, Verdict::Accepted)), "some alerts resolved");
    bench.sweep(64 * MINUTE);
    assert_eq!(reason(bench.attempt("slack/slack[0]", 64 * MINUTE, Verdict::Accepted)), "repeat interval elapsed");
    bench.take(&ended(&b, 65 * MINUTE), 65 * MINUTE);
    assert_eq!(reason(bench.attempt("slack/slack[0]", 65 * MINUTE, Verdict::Accepted)), "all alerts resolved");
}

#[test]
fn the_same_notice_twice_changes_nothing() {
    let mut bench = Bench::new("{receiver: slack, routes: [{receiver: pd, continue: true}, {receiver: slack}]}");
    let alert = firing("a", "warning", 0);
    for _ in 0..2 {
        bench.take(&alert, 0);
        assert!(bench.outbox.iter().all(|(_, intent)| intent.rev == 1));
    }
    for _ in 0..2 {
        bench.take(&ended(&alert, 1), 1);
        assert!(bench.outbox.iter().all(|(_, intent)| intent.rev == 2));
    }
    assert_eq!(bench.outbox.iter().count(), 2);
}

#[test]
fn an_end_is_due_at_once_and_a_part_of_it_later() {
    let mut bench = Bench::new("{receiver: slack, group_wait: 0s}");
    let (a, b) = (firing("a", "warning", 0), firing("b", "warning", 0));
    bench.take(&a, 0);
    bench.take(&b, 0);
    bench.attempt("slack/slack[0]", 0, Verdict::Accepted);
    bench.take(&ended(&a, 1_000), 1_000);
    assert_eq!((bench.only().want, bench.next()), (IntentState::Firing, Some(5 * MINUTE)));
    assert!(!is_loud(bench.only()));
    bench.take(&ended(&b, 2_000), 2_000);
    assert_eq!((bench.only().want, bench.next()), (IntentState::Resolved, Some(2_000)));
    bench.attempt("slack/slack[0]", 2_000, Verdict::Accepted);
    // The next one is another episode of the group, with a message of its own.
    bench.take(&firing("a", "warning", 3_000), 3_000);
    assert_eq!(bench.outbox.iter().count(), 2);
    bench.sweep(2_000 + bench.timing.done_keep_ms);
    assert_eq!(bench.only().want, IntentState::Firing);
}

#[test]
fn news_during_an_attempt_is_another_attempt() {
    let mut bench = Bench::new("{receiver: slack, group_wait: 0s}");
    let alert = firing("a", "warning", 0);
    bench.take(&alert, 0);
    let key = bench.due("slack/slack[0]", 0)[0].clone();
    let sent = bench.outbox.begin(&key, &[], 0).unwrap();
    assert!(bench.outbox.begin(&key, &[], 0).is_none(), "one at a time");
    bench.take(&ended(&alert, 10), 10);
    bench.end_attempt(&sent, 20, Verdict::Accepted);
    assert_eq!(bench.only().accepted, Some((1, IntentState::Firing)));
    let sent = bench.attempt("slack/slack[0]", 20, Verdict::Accepted);
    assert_eq!((sent.intent.rev, sent.intent.want), (2, IntentState::Resolved));
}

#[test]
fn a_failed_attempt_does_not_wait_for_what_joined_meanwhile() {
    let mut bench = Bench::new("{receiver: slack, group_wait: 0s}");
    bench.take(&firing("a", "warning", 0), 0);
    let key = bench.due("slack/slack[0]", 0)[0].clone();
    let sent = bench.outbox.begin(&key, &[], 0).unwrap();
    bench.take(&firing("b", "warning", 10), 10);
    bench.end_attempt(&sent, 20, Verdict::Transient { unsure: false });
    assert_eq!(bench.next(), Some(20 + 500));
}

#[test]
fn whoever_wants_no_ends_gets_none_once_told() {
    let mut bench = Bench::new("{receiver: quiet, group_wait: 0s}");
    let alert = firing("a", "warning", 0);
    bench.take(&alert, 0);
    bench.attempt("quiet/slack[0]", 0, Verdict::Accepted);
    bench.take(&ended(&alert, 1), 1);
    bench.sweep(1);
    assert_eq!(bench.outbox.iter().count(), 0);
    // Untold, it is news all the same.
    bench.take(&alert, 0);
    bench.take(&ended(&alert, 1), 1);
    bench.sweep(1);
    assert_eq!(bench.due("quiet/slack[0]", 1).len(), 1);
}

#[test]
fn what_fires_long_has_a_bounded_number_of_scopes() {
    let mut bench = Bench::new("{receiver: pd, group_by: ['...'], group_wait: 0s}");
    let alerts: Vec<Instance> = (0..1_500).map(|n| firing(&n.to_string(), "critical", n)).collect();
    // One after the other, or it were a storm.
    for (at_ms, alert) in (0..).step_by(100_000).zip(&alerts) {
        bench.take(alert, at_ms);
    }
    assert!(bench.outbox.iter().count() <= 2 * OPEN_SCOPES_MAX + 1);
    for alert in &alerts {
        bench.take(&ended(alert, 3_000), 3_000);
    }
    assert!(bench.outbox.iter().all(|(_, intent)| intent.want == IntentState::Resolved));
}

#[test]
fn a_storm_is_one_message_beside_its_root() {
    let mut bench = Bench::new("{receiver: pd, group_by: ['...'], group_wait: 10s}");
    let mut alerts: Vec<Instance> = (0..200).map(|n| firing(&format!("h{n}"), "warning", 1_000)).collect();
    let mut root = firing("root", "critical", 1_000);
    root.labels = root.labels.with("alertname", "HostDown");
    alerts.insert(7, root);
    for alert in &alerts {
        bench.take(alert, 1_000);
    }
    let scopes: Vec<(usize, bool)> =
        bench.outbox.iter().map(|(_, intent)| (intent.instances.len(), is_storm(intent))).collect();
    assert_eq!(scopes.iter().filter(|(_, storm)| *storm).collect::<Vec<_>>(), [&(200, true)], "{scopes:?}");
    assert_eq!(scopes.len(), 2, "{scopes:?}");
    for alert in &alerts {
        bench.take(&ended(alert, 3_000), 3_000);
    }
    assert!(bench.outbox.iter().all(|(_, intent)| intent.want == IntentState::Resolved));
}

#[test]
fn a_restart_makes_begun_attempts_again() {
    let mut bench = Bench::new("{receiver: slack, group_wait: 0s}");
    bench.take(&firing("a", "warning", 0), 0);
    let key = bench.due("slack/slack[0]", 0)[0].clone();
    bench.outbox.begin(&key, &[], 0).unwrap();
    let (intents, _) = bench.outbox.unwritten();
    let mut outbox = Outbox::load(intents);
    let attempts = outbox.recover(50);
    assert_eq!((attempts.len(), attempts[0].outcome, attempts[0].number), (1, model::alert::Outcome::Ambiguous, 1));
    let sent = outbox.begin(&key, &[], 50).unwrap();
    assert_eq!((sent.number, handle(&sent.intent, mark::UNSURE)), (2, "1"));
}

#[test]
fn groups_keep_to_their_ticks() {
    let mut bench = Bench::new("{receiver: slack, group_wait: 10s, group_interval: 1m, repeat_interval: 150s}");
    bench.take(&firing("a", "warning", 0), 0);
    bench.attempt("slack/slack[0]", 10_000, Verdict::Accepted);
    // 160 s after the first message is between two ticks: the repeat waits for the next one.
    assert_eq!(bench.next(), Some(190_000));
    bench.take(&firing("b", "warning", 75_000), 75_000);
    assert_eq!(bench.next(), Some(130_000), "the tick after it, not an interval after it");
    bench.attempt("slack/slack[0]", 130_000, Verdict::Accepted);
    // More severe than all that was told: not at the tick but at once, as a critical one.
    bench.take(&firing("c", "page", 140_000), 140_000);
    assert_eq!(bench.next(), Some(150_000));
}

#[test]
fn whoever_looks_after_it_is_not_reminded_until_that_is_over() {
    let mut bench = Bench::new("{receiver: slack, group_wait: 0s}");
    let alert = firing("a", "warning", 0);
    bench.take(&alert, 0);
    bench.attempt("slack/slack[0]", 0, Verdict::Accepted);
    let episode = alert.episode().unwrap();
    let ack =
        model::Ack { episode: episode.clone(), by: "ann".into(), comment: "on it".into(), at_ms: 1, until_ms: Some(9) };
    let acks = BTreeMap::from([(episode.clone(), ack)]);
    bench.outbox.acknowledge(&acks, &[], 1);
    assert!(is_acked(bench.only()));
    let sent = bench.attempt("slack/slack[0]", 1, Verdict::Accepted);
    assert!(is_quiet(&sent.intent) && handle(&sent.intent, mark::ACK) == "ann: on it");
    assert_eq!(bench.next(), None, "no repeat");
    bench.outbox.acknowledge(&acks, &[], 2);
    assert_eq!(bench.next(), None, "said once");
    bench.outbox.acknowledge(&BTreeMap::new(), &[episode], 9);
    assert_eq!((bench.next(), is_loud(bench.only()), is_acked(bench.only())), (Some(9), true, false));
}
