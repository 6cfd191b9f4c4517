//! Storms: when very much begins at once, one message tells of all of it.
//!
//! A gate for each channel counts what is new to it. While it storms, new alerts share one scope; what waits unsent since the
//! storm began is drawn into it. A few root causes still go singly: they are what the storm is about.

use std::collections::{BTreeSet, VecDeque};

use model::alert::{Instance, Intent, IntentState, Progress};

use super::{Key, Manner, Outbox, handle, is_critical, mark, new_intent, revise, set_handle};

/// Over how long new groups and alerts are counted, in ms.
const WINDOW_MS: i64 = 60_000;
/// More new groups than this within the window are a storm.
const GROUPS: usize = 10;
/// More new alerts than this are one too, unless they share the messages of a few groups.
const ALERTS: usize = 30;
const FEW_GROUPS: usize = 3;
/// A storm ends when nothing new came for so long, in ms.
const QUIET_MS: i64 = 5 * 60_000;
/// Root causes that go singly within a window; more of them are a storm of their own.
const SINGLES: usize = 5;
/// What a storm's message is brought up to date after, in ms, where an edit rings no bell.
const UPDATE_MS: i64 = 30_000;
/// Arrivals remembered: enough to tell a storm.
const REMEMBERED: usize = 64;

/// Start of a storm's scope.
pub(crate) const SCOPE: &str = "storm-";
/// Alerts whose cause is likely that of many others.
const ROOTS: [&str; 4] = ["HostDown", "ManyHostsDown", "NodeDown", "InstanceDown"];
/// Our own alerts tell that others may be wrong.
const OWN_ROOTS: &str = "Binnacle";
/// A label by which a rule says that its alerts are never part of a storm.
const BYPASS_LABEL: &str = "bypass_storm";

/// What is new to one channel.
#[derive(Debug, Default)]
pub(super) struct Gate {
    recent: VecDeque<(i64, String)>,
    singles: VecDeque<i64>,
    /// When the last alert of the present storm came.
    storming_ms: Option<i64>,
}

impl Gate {
    /// A storm that was on before a restart.
    fn resumed(last_ms: i64) -> Gate {
        Gate { storming_ms: Some(last_ms), ..Gate::default() }
    }

    /// Moves its times along with a clock that was set.
    pub(super) fn shift(&mut self, by_ms: i64) {
        self.recent.iter_mut().for_each(|(at_ms, _)| *at_ms = at_ms.saturating_add(by_ms));
        self.singles.iter_mut().for_each(|at_ms| *at_ms = at_ms.saturating_add(by_ms));
        self.storming_ms = self.storming_ms.map(|at_ms| at_ms.saturating_add(by_ms));
    }

    /// Takes note of a new alert; `alone` where each has a message of its own. Whether it belongs to a storm.
    fn arrives(&mut self, group: &str, alone: bool, root: bool, now_ms: i64) -> bool {
        while self.recent.front().is_some_and(|(at_ms, _)| *at_ms <= now_ms - WINDOW_MS)
            || self.recent.len() >= REMEMBERED
        {
            self.recent.pop_front();
        }
        while self.singles.front().is_some_and(|at_ms| *at_ms <= now_ms - WINDOW_MS) {
            self.singles.pop_front();
        }
        if root && self.singles.len() < SINGLES {
            self.singles.push_back(now_ms);
            return false;
        }
        self.recent.push_back((now_ms, group.to_owned()));
        let groups = self.recent.iter().map(|(_, group)| group).collect::<BTreeSet<_>>().len();
        let many = groups > GROUPS || self.recent.len() > ALERTS && (alone || groups > FEW_GROUPS);
        if many || self.storming_ms.is_some_and(|last_ms| now_ms - last_ms < QUIET_MS) {
            self.storming_ms = Some(now_ms);
            return true;
        }
        false
    }
}

impl Outbox {
    pub(super) fn resume_storms(&mut self) {
        for (key, intent) in &self.intents {
            if is_storm(intent) && intent.want == IntentState::Firing && handle(intent, mark::STORM_OVER).is_empty() {
                let last_ms = intent.instances.iter().filter_map(|instance| instance.fired_at_ms).max();
                self.gates.insert(key.0.clone(), Gate::resumed(last_ms.unwrap_or(intent.created_ms)));
            }
        }
    }

    /// Whether an alert that is new to a channel is told in a storm's message; it is then.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn join_storm(
        &mut self,
        channel: &str,
        group: &str,
        manner: Manner,
        instance: &Instance,
        due_ms: i64,
        interval_ms: i64,
        now_ms: i64,
    ) -> bool {
        if !self.gates.entry(channel.to_owned()).or_default().arrives(group, manner.alone, is_root(instance), now_ms) {
            return false;
        }
        let mut drawn = self.draw_in(channel, now_ms);
        drawn.push(instance.clone());
        let open = self.of_channel(channel).find(|(_, intent)| {
            is_storm(intent) && intent.want == IntentState::Firing && handle(intent, mark::STORM_OVER).is_empty()
        });
        let open = open.map(|(key, _)| key.clone()).and_then(|key| self.intents.remove(&key));
        let mut intent = match open {
            None => {
                let scope = format!("{SCOPE}{now_ms}");
                let mut intent = new_intent(channel, scope, drawn, now_ms, due_ms);
                let count = intent.instances.len();
                set_handle(&mut intent, mark::STORM_TOTAL, &count.to_string());
                self.put(intent);
                return true;
            }
            Some(intent) => intent,
        };
        let total = handle(&intent, mark::STORM_TOTAL).parse::<usize>().unwrap_or(0) + drawn.len();
        set_handle(&mut intent, mark::STORM_TOTAL, &total.to_string());
        for instance in drawn {
            intent.instances.retain(|other| !super::is_same_alert(other, &instance));
            intent.instances.push(instance);
        }
        let told_ms = super::last_told_ms(&intent);
        let wait_ms = if manner.edits { UPDATE_MS } else { interval_ms.max(UPDATE_MS) };
        let due_ms = match (told_ms, &intent.progress) {
            (Some(told_ms), _) => told_ms + wait_ms,
            (None, Progress::Sending { .. }) => now_ms + wait_ms,
            (None, _) => intent.not_before_ms,
        };
        revise(&mut intent, IntentState::Firing, due_ms, false);
        let rev = intent.rev.to_string();
        set_handle(&mut intent, mark::JOINED, &rev);
        self.put(intent);
        true
    }

    /// The alerts of a channel that were not told of yet and came with the storm; their own messages are not needed any more.
    fn draw_in(&mut self, channel: &str, now_ms: i64) -> Vec<Instance> {
        let unsent = |intent: &Intent| {
            let fresh = matches!(intent.progress, Progress::Waiting { attempts: 0, .. });
            fresh
                && intent.accepted.is_none()
                && intent.want == IntentState::Firing
                && intent.created_ms > now_ms - WINDOW_MS
                && !is_storm(intent)
                && intent.fallback_for.is_none()
                && handle(intent, mark::STEP).is_empty()
                && !intent.instances.iter().any(|instance| is_root(instance) || is_test(instance))
        };
        let keys: Vec<Key> =
            self.of_channel(channel).filter(|(_, intent)| unsent(intent)).map(|(key, _)| key.clone()).collect();
        let mut drawn = Vec::new();
        for key in keys {
            drawn.extend(self.intents.get(&key).map(|intent| intent.instances.clone()).unwrap_or_default());
            self.remove(&key);
        }
        drawn
    }

    /// Storms that nothing new came to for long are over: their messages say so, and what comes next is told by itself.
    pub(super) fn calm_down(&mut self, now_ms: i64) {
        let calm: Vec<String> = self
            .gates
            .iter()
            .filter(|(_, gate)| gate.storming_ms.is_some_and(|last_ms| now_ms - last_ms >= QUIET_MS))
            .map(|(channel, _)| channel.clone())
            .collect();
        for channel in calm {
            self.gates.remove(&channel);
            let open: Vec<Intent> = self
                .of_channel(&channel)
                .filter(|(_, intent)| is_storm(intent) && intent.want == IntentState::Firing)
                .map(|(_, intent)| intent.clone())
                .collect();
            for mut intent in open {
                revise(&mut intent, IntentState::Firing, now_ms, false);
                let rev = intent.rev.to_string();
                set_handle(&mut intent, mark::STORM_OVER, &rev);
                self.put(intent);
            }
        }
    }

    /// When a storm is over at the earliest.
    pub(super) fn calm_at_ms(&self) -> Option<i64> {
        self.gates.values().filter_map(|gate| gate.storming_ms).map(|last_ms| last_ms + QUIET_MS).min()
    }
}

pub(crate) fn is_storm(intent: &Intent) -> bool {
    intent.scope.starts_with(SCOPE)
}

/// How many alerts a storm's message was ever about.
pub(crate) fn total(intent: &Intent) -> usize {
    handle(intent, mark::STORM_TOTAL).parse().unwrap_or(0).max(intent.instances.len())
}

pub(super) fn is_test(instance: &Instance) -> bool {
    !instance.labels.value("test_id").is_empty()
}

fn is_root(instance: &Instance) -> bool {
    let name = instance.labels.value("alertname");
    instance.labels.value(BYPASS_LABEL) == "true"
        || is_critical(instance) && (ROOTS.contains(&name) || name.starts_with(OWN_ROOTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_many_groups_or_many_alerts_of_several() {
        let check = |groups: usize, alerts: usize, alone: bool, expected: bool| {
            let mut gate = Gate::default();
            let storm = (0..alerts).any(|at| gate.arrives(&format!("g{}", at % groups), alone, false, 1_000));
            assert_eq!(storm, expected, "{alerts} alerts of {groups} groups, alone: {alone}");
        };
        check(10, 10, false, false);
        check(11, 11, false, true);
        check(1, 500, false, false);
        check(1, 30, true, false);
        check(1, 31, true, true);
        check(4, 30, false, false);
        check(4, 31, false, true);
    }

    #[test]
    fn a_storm_lasts_until_it_is_quiet_and_roots_pass() {
        let mut gate = Gate::default();
        assert!((0..11).any(|at| gate.arrives(&format!("g{at}"), false, false, 0)));
        assert!(!gate.arrives("root", false, true, 1_000), "a root cause goes singly");
        assert!(gate.arrives("one more", false, false, QUIET_MS - 1));
        assert!(!gate.arrives("later", false, false, 3 * QUIET_MS));
        let singles = (0..10).filter(|_| !gate.arrives("root", false, true, 4 * QUIET_MS)).count();
        assert!(singles >= SINGLES, "{singles}");
    }
}
