//! What of the rules' alerts is to be sent now. Pure: the times are those of evaluations.
//!
//! As in Prometheus (`rules/alerting.go`, `needsSending`; `rules/manager.go`, `SendAlerts`): an alert that fires or has ended is sent
//! when it changes, and again at evaluations more than a minute after the last time, an end for 15 minutes. A firing is given an end in
//! the future, so that who hears nothing more ends it. What Prometheus leaves to that end is told here: an alert whose rule was
//! removed, whose labels moved, or that waits again since its `for` was raised, has ended.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::alert::RuleId;
use model::{AlertState, Instance, Labels};
use rules::engine::{Evaluated, GroupAlerts};

/// Between two sendings of an alert that goes on (Prometheus' `--rules.alert.resend-delay`).
const RESEND_MS: i64 = 60_000;
/// A firing ends so many evaluations or resend delays after its last one, if nobody hears of it again.
const LIVES: i64 = 4;
/// How long an end is told again (Prometheus' `resolvedRetention`; states of rules are kept as long).
const ENDED_MS: i64 = 15 * 60_000;

/// An alert as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alert {
    pub(super) labels: Labels,
    pub(super) annotations: Vec<(String, String)>,
    pub(super) starts_ms: i64,
    pub(super) ends_ms: i64,
    pub(super) generator_url: String,
}

/// What was sent last of an alert.
struct Sent {
    alert: Arc<Alert>,
    at_ms: i64,
    has_ended: bool,
}

/// What was sent of one tenant's alerts: of those that fire, and that ended within 15 minutes. Forgotten with the process: what is
/// stored of them then is sent once more.
pub(super) struct Due {
    /// Links begin with it; without a slash at the end.
    external_url: String,
    seen: HashMap<String, i64>,
    sent: HashMap<RuleId, HashMap<Labels, Sent>>,
}

impl Due {
    pub(super) fn new(external_url: String) -> Due {
        Due { external_url, seen: HashMap::new(), sent: HashMap::new() }
    }

    /// Times of the evaluations that were looked at, by group.
    pub(super) fn seen(&self) -> &HashMap<String, i64> {
        &self.seen
    }

    /// What is to be sent after these evaluations; rules that are in none of the groups were removed by `now_ms`.
    pub(super) fn step(&mut self, groups: &[GroupAlerts], now_ms: i64) -> Vec<Arc<Alert>> {
        let mut out = Vec::new();
        for group in groups {
            if let Some(evaluated) = &group.evaluated {
                self.seen.insert(group.key.clone(), evaluated.at_ms);
                self.evaluated(group, evaluated, &mut out);
            }
        }
        let keys: HashSet<&String> = groups.iter().map(|group| &group.key).collect();
        self.seen.retain(|key, _| keys.contains(key));
        let rules: HashSet<&RuleId> = groups.iter().flat_map(|group| &group.rules).collect();
        for (_, sent) in self.sent.iter_mut().filter(|(id, _)| !rules.contains(id)) {
            end_others(sent, &HashSet::new(), now_ms, &mut out);
        }
        self.sent.retain(|_, sent| !sent.is_empty());
        out
    }

    fn evaluated(&mut self, group: &GroupAlerts, evaluated: &Evaluated, out: &mut Vec<Arc<Alert>>) {
        let at_ms = evaluated.at_ms;
        let lives_ms = LIVES * group.interval_ms.max(RESEND_MS);
        let mut present: HashMap<&RuleId, HashSet<&Labels>> =
            group.rules.iter().map(|id| (id, HashSet::new())).collect();
        for instance in &evaluated.alerts {
            if instance.state == AlertState::Pending {
                // It begins anew: its last end, once it was sent, is not sent again.
                if let Some(sent) = self.sent.get_mut(&instance.rule_id) {
                    sent.retain(|labels, last| !last.has_ended || *labels != instance.labels);
                }
                continue;
            }
            present.entry(&instance.rule_id).or_default().insert(&instance.labels);
            let sent = self.sent.entry(instance.rule_id.clone()).or_default();
            let next = of_instance(instance, at_ms + lives_ms, &self.external_url);
            let has_ended = instance.state == AlertState::Resolved;
            let is_due = sent.get(&instance.labels).is_none_or(|last| {
                (last.has_ended, last.alert.starts_ms) != (has_ended, next.starts_ms) || last.is_long_ago(at_ms)
            });
            if is_due {
                let alert = Arc::new(next);
                out.push(alert.clone());
                sent.insert(instance.labels.clone(), Sent { alert, at_ms, has_ended });
            }
        }
        for (id, present) in present {
            if let Some(sent) = self.sent.get_mut(id) {
                end_others(sent, &present, at_ms, out);
            }
        }
    }
}

impl Sent {
    fn is_long_ago(&self, at_ms: i64) -> bool {
        self.at_ms + RESEND_MS < at_ms
    }
}

fn of_instance(instance: &Instance, until_ms: i64, external_url: &str) -> Alert {
    let ends_ms = match instance.state {
        AlertState::Resolved => instance.resolved_at_ms.unwrap_or(instance.evaluated_at_ms),
        _ => until_ms,
    };
    Alert {
        labels: instance.labels.clone(),
        annotations: instance.annotations.clone(),
        starts_ms: instance.fired_at_ms.unwrap_or(instance.active_at_ms),
        ends_ms,
        generator_url: format!("{external_url}/alerts/rule/{}", instance.rule_id),
    }
}

/// Ends what was sent of a rule and is not there any more, tells it again for a while, and then forgets it.
fn end_others(sent: &mut HashMap<Labels, Sent>, present: &HashSet<&Labels>, at_ms: i64, out: &mut Vec<Arc<Alert>>) {
    sent.retain(|labels, last| {
        if present.contains(labels) {
            return true;
        }
        if last.has_ended && at_ms - last.alert.ends_ms > ENDED_MS {
            return false;
        }
        if !last.has_ended {
            let alert = Arc::new(Alert { ends_ms: at_ms, ..(*last.alert).clone() });
            *last = Sent { alert, at_ms, has_ended: true };
            out.push(last.alert.clone());
        } else if last.is_long_ago(at_ms) {
            last.at_ms = at_ms;
            out.push(last.alert.clone());
        }
        true
    });
}

#[cfg(test)]
mod tests {
    use model::alert::Evidence;

    use super::AlertState::{Firing, Pending, Resolved};
    use super::*;

    const BEGIN: i64 = 1_795_226_400_000;
    const INTERVAL_S: i64 = 30;

    /// One rule, evaluated every 30 s.
    struct World {
        due: Due,
        at_s: i64,
    }

    impl World {
        fn new() -> World {
            World { due: Due::new("http://b".into()), at_s: 0 }
        }

        /// Evaluates; what is sent then, as `host` with `+` and how long it is said to live or `-` and when it ended, in s.
        #[track_caller]
        fn check(&mut self, alerts: &[(&str, AlertState, i64)], expected: &[&str]) {
            self.check_rules(&["r"], alerts, expected);
        }

        #[track_caller]
        fn check_rules(&mut self, rules: &[&str], alerts: &[(&str, AlertState, i64)], expected: &[&str]) {
            let at_ms = BEGIN + self.at_s * 1_000;
            let instances = alerts.iter().map(|(host, state, since_s)| Instance {
                rule_id: "r".into(),
                labels: Labels::from_pairs([("alertname", "A"), ("host", host)]),
                annotations: Vec::new(),
                state: *state,
                active_at_ms: BEGIN,
                fired_at_ms: Some(if *state == AlertState::Firing { BEGIN + since_s * 1_000 } else { BEGIN }),
                keep_since_ms: None,
                resolved_at_ms: (*state == AlertState::Resolved).then_some(BEGIN + since_s * 1_000),
                evaluated_at_ms: at_ms,
                value: 1.0,
                evidence: Evidence::default(),
            });
            let evaluated = Some(Evaluated { at_ms, alerts: instances.collect() });
            let rules = rules.iter().map(|id| (*id).to_owned()).collect();
            let group = GroupAlerts { key: "g".into(), interval_ms: INTERVAL_S * 1_000, rules, evaluated };
            let mut sent: Vec<String> = self
                .due
                .step(&[group], at_ms)
                .iter()
                .map(|alert| {
                    let host = alert.labels.value("host");
                    match alert.ends_ms > at_ms {
                        true => format!("{host} +{}", (alert.ends_ms - at_ms) / 1_000),
                        false => format!("{host} -{}", (alert.ends_ms - BEGIN) / 1_000),
                    }
                })
                .collect();
            sent.sort();
            assert_eq!(sent, expected, "at {} s", self.at_s);
            self.at_s += INTERVAL_S;
        }
    }

    #[test]
    fn a_firing_is_sent_at_once_and_every_minute_and_a_half() {
        let mut world = World::new();
        for step in 0..12 {
            let (alerts, mut expected) = (&[("a", Firing, 0), ("b", Firing, 150)], Vec::new());
            // Not after exactly a minute, as in Prometheus; and nobody waits for another.
            if step % 3 == 0 {
                expected.push("a +240");
            }
            if step >= 5 && (step - 5) % 3 == 0 {
                expected.push("b +240");
            }
            world.check(&alerts[..if step < 5 { 1 } else { 2 }], &expected);
        }
    }

    #[test]
    fn an_end_is_sent_for_a_quarter_of_an_hour() {
        let mut world = World::new();
        world.check(&[("a", Firing, 0)], &["a +240"]);
        let mut told = 0;
        // States of rules are kept so long.
        for step in 0..30 {
            let expected: &[&str] = if step % 3 == 0 { &["a -30"] } else { &[] };
            told += expected.len();
            world.check(&[("a", Resolved, 30)], expected);
        }
        assert_eq!(told, 10);
        world.at_s += INTERVAL_S;
        world.check(&[], &[]);
        assert!(world.due.sent.is_empty(), "forgotten");
        // Begins anew.
        world.check(&[("a", Firing, 960)], &["a +240"]);
    }

    #[test]
    fn what_fires_again_is_sent_at_once() {
        let mut world = World::new();
        world.check(&[("a", Firing, 0)], &["a +240"]);
        world.check(&[("a", Resolved, 30)], &["a -30"]);
        world.check(&[("a", Firing, 60)], &["a +240"]);
    }

    #[test]
    fn the_end_of_what_waits_again_is_not_sent_again() {
        let mut world = World::new();
        world.check(&[("a", Firing, 0)], &["a +240"]);
        world.check(&[("a", Resolved, 30)], &["a -30"]);
        for _ in 0..4 {
            world.check(&[("a", Pending, 0)], &[]);
        }
        // It did not come to fire: nothing of the end before is left to say.
        for _ in 0..4 {
            world.check(&[], &[]);
        }
        // Its `for` was raised while it fired: that it does not is said, once.
        world.check(&[("a", Firing, 300)], &["a +240"]);
        world.check(&[("a", Pending, 0)], &["a -330"]);
        for _ in 0..4 {
            world.check(&[("a", Pending, 0)], &[]);
        }
    }

    #[test]
    fn a_start_sends_what_is_stored() {
        let mut world = World::new();
        world.at_s = 300;
        world.check(&[("a", Resolved, 30), ("b", Firing, 0)], &["a -30", "b +240"]);
    }

    #[test]
    fn what_is_gone_has_ended() {
        // Its labels moved, or its `for` was raised.
        let mut world = World::new();
        world.check(&[("a", Firing, 0), ("b", Firing, 0)], &["a +240", "b +240"]);
        world.check(&[("b", Firing, 0)], &["a -30"]);
        // Its rule was removed; the end is told again, and for how long.
        world.check_rules(&["other"], &[], &["b -60"]);
        let mut told = Vec::new();
        for _ in 0..40 {
            let now_ms = BEGIN + world.at_s * 1_000;
            told.extend(world.due.step(&[], now_ms).into_iter().map(|alert| alert.labels.value("host").to_owned()));
            world.at_s += INTERVAL_S;
        }
        assert_eq!(told.iter().filter(|host| *host == "b").count(), 10);
        assert!(world.due.sent.is_empty() && world.due.seen.is_empty());
    }

    #[test]
    fn a_group_that_was_seen_or_waits_for_its_first_evaluation_says_nothing() {
        let mut world = World::new();
        world.check(&[("a", Firing, 0)], &["a +240"]);
        assert_eq!(world.due.seen()["g"], BEGIN);
        let group = GroupAlerts { key: "g".into(), interval_ms: 30_000, rules: vec!["r".into()], evaluated: None };
        assert!(world.due.step(&[group], BEGIN + 600_000).is_empty());
    }
}
