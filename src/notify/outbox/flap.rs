//! Flapping: an alert that comes and goes is told as one trouble that lasts, until it is quiet.
//!
//! The end of a flapping alert is held back: the episode stays in its messages as firing, with the time at which it ended beside
//! it. If it fires again meanwhile, the new episode takes its place; else it is told as over after a quiet time. How often an
//! alert fired is read back from the history after a restart.

use std::collections::{HashMap, VecDeque};

use model::alert::{AlertState, Instance, IntentState, Transition};

use super::marks::{is_told, set_told};
use super::{Key, Outbox, handle, is_same_alert, last_told_ms, mark, revise, set_handle};

/// Over how long an alert's beginnings are counted, in ms.
pub(crate) const WINDOW_MS: i64 = 3_600_000;
/// So many beginnings within it are flapping.
const FIRES: usize = 4;
/// Alerts whose beginnings are remembered; beyond it those that began longest ago are forgotten.
const ALERTS_MAX: usize = 20_000;
/// Edits of a message that tell how often by now, in ms.
const UPDATE_MS: i64 = 60_000;

/// When alerts fired within the last hour, by fingerprint.
#[derive(Debug, Default)]
pub(super) struct Flaps(HashMap<String, VecDeque<i64>>);

impl Flaps {
    fn fired(&mut self, fingerprint: &str, at_ms: i64) {
        if self.0.len() >= ALERTS_MAX && !self.0.contains_key(fingerprint) {
            self.0.retain(|_, fires| fires.back().is_some_and(|last_ms| *last_ms > at_ms - WINDOW_MS));
            if self.0.len() >= ALERTS_MAX {
                return;
            }
        }
        let fires = self.0.entry(fingerprint.to_owned()).or_default();
        if !fires.contains(&at_ms) {
            fires.push_back(at_ms);
        }
        while fires.front().is_some_and(|first_ms| *first_ms <= at_ms - WINDOW_MS) {
            fires.pop_front();
        }
    }

    /// Beginnings within the hour before the last one, if they are flapping.
    fn flapping(&self, fingerprint: &str) -> Option<usize> {
        self.0.get(fingerprint).map(VecDeque::len).filter(|fires| *fires >= FIRES)
    }

    /// How long it must be quiet to be over: twice the mean time between beginnings, at most an hour.
    fn quiet_ms(&self, fingerprint: &str) -> i64 {
        let Some(fires) = self.0.get(fingerprint) else { return 0 };
        let (Some(first_ms), Some(last_ms)) = (fires.front(), fires.back()) else { return 0 };
        let periods = i64::try_from(fires.len().saturating_sub(1)).unwrap_or(i64::MAX).max(1);
        (2 * (last_ms - first_ms) / periods).min(WINDOW_MS)
    }
}

impl Outbox {
    /// Reads back how often alerts fired, from transitions of the last hour.
    pub(crate) fn remember_fires(&mut self, transitions: &[Transition]) {
        // Oldest first, as they happened.
        for transition in transitions.iter().rev().filter(|transition| transition.to == Some(AlertState::Firing)) {
            let fingerprint = model::alert::fingerprint(&transition.rule_id, &transition.labels);
            self.flaps.fired(&fingerprint, transition.at_ms);
        }
    }

    /// Counts a beginning.
    pub(crate) fn note_fire(&mut self, instance: &Instance) {
        if let Some(fired_ms) = instance.fired_at_ms {
            self.flaps.fired(&instance.fingerprint(), fired_ms);
        }
    }

    /// `fired 6 times in an hour`, of an alert that flaps.
    pub(super) fn flapping_words(&self, instance: &Instance) -> Option<String> {
        self.flaps
            .flapping(&instance.fingerprint())
            .map(|fires| format!("flapping: fired {fires} times within an hour"))
    }

    /// A new episode of an alert whose last one a channel still has as firing, though it ended: it takes its place. Whether it did.
    pub(super) fn fires_again(&mut self, channel: &str, edits: bool, instance: &Instance, now_ms: i64) -> bool {
        let held = |other: &Instance| ends_later(other) && is_same_alert(other, instance);
        let found = self
            .of_channel(channel)
            .find(|(_, intent)| intent.want == IntentState::Firing && intent.instances.iter().any(held))
            .map(|(_, intent)| intent.clone());
        let Some(mut intent) = found else { return false };
        for at in 0..intent.instances.len() {
            let other = intent.instances[at].clone();
            if held(&other) {
                // Whoever was told of the last episode is owed the end of this one.
                let told = is_told(&intent, &other);
                set_told(&mut intent, [(&other, false), (instance, told)]);
                intent.instances[at] = instance.clone();
            }
        }
        if let Some(words) = self.flapping_words(instance) {
            set_handle(&mut intent, mark::FLAPPING, &words);
        }
        if edits {
            let due_ms = last_told_ms(&intent).map_or(now_ms, |told_ms| told_ms + UPDATE_MS);
            revise(&mut intent, IntentState::Firing, due_ms.max(now_ms), false);
        }
        self.put(intent);
        true
    }

    /// Holds back the end of a flapping alert from a message that told of it. Whether it did.
    pub(super) fn hold_end(&mut self, key: &Key, at: usize, ended: &Instance) -> bool {
        if self.flaps.flapping(&ended.fingerprint()).is_none() {
            return false;
        }
        let Some(mut intent) = self.intents.get(key).filter(|intent| intent.accepted.is_some()).cloned() else {
            return false;
        };
        let Some(instance) = intent.instances.get_mut(at) else { return false };
        instance.resolved_at_ms = ended.resolved_at_ms;
        self.put(intent);
        true
    }

    /// Ends that were held back for long enough: as they came, to be told now.
    pub(super) fn quiet_ends(&self, now_ms: i64) -> Vec<(Key, Instance)> {
        let mut over = Vec::new();
        for (key, intent) in &self.intents {
            for instance in intent.instances.iter().filter(|instance| ends_later(instance)) {
                if self.quiet_at_ms(instance).is_some_and(|at_ms| at_ms <= now_ms) {
                    over.push((key.clone(), Instance { state: AlertState::Resolved, ..instance.clone() }));
                }
            }
        }
        over
    }

    /// When the next end that is held back is to be told.
    pub(super) fn next_quiet_ms(&self) -> Option<i64> {
        let held = self.intents.values().flat_map(|intent| &intent.instances).filter(|instance| ends_later(instance));
        held.filter_map(|instance| self.quiet_at_ms(instance)).min()
    }

    fn quiet_at_ms(&self, held: &Instance) -> Option<i64> {
        Some(held.resolved_at_ms? + self.flaps.quiet_ms(&held.fingerprint()))
    }
}

/// Shown as firing though it ended.
pub(crate) fn ends_later(instance: &Instance) -> bool {
    instance.state == AlertState::Firing && instance.resolved_at_ms.is_some()
}

/// Whether a message says that its alert flaps; repeats of it would say nothing new.
pub(super) fn is_marked(intent: &model::alert::Intent) -> bool {
    !handle(intent, mark::FLAPPING).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_beginnings_within_an_hour_are_flapping() {
        let check = |fires: &[i64], expected: Option<usize>, quiet_ms: i64| {
            let mut flaps = Flaps::default();
            fires.iter().for_each(|at_ms| flaps.fired("f", *at_ms));
            assert_eq!((flaps.flapping("f"), flaps.quiet_ms("f")), (expected, quiet_ms), "{fires:?}");
        };
        let minute = 60_000;
        check(&[0, 2 * minute, 4 * minute], None, 4 * minute);
        check(&[0, 2 * minute, 4 * minute, 6 * minute], Some(4), 4 * minute);
        check(&[0, 0, 2 * minute, 4 * minute], None, 4 * minute);
        check(&[0, 30 * minute, 59 * minute, 61 * minute], None, 31 * minute);
        check(&[], None, 0);
    }
}
