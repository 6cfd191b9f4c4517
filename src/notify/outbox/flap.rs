//! Flapping: an alert that comes and goes is told as one trouble that lasts, until it is quiet.
//!
//! The end of an alert that came back soon after its last one, or that begins again and again, is held back: the episode stays in
//! its messages as firing, with the time at which it ended beside it. If it fires again meanwhile, the new episode takes its
//! place; else it is told as over after a quiet time. A first end is never held back. How often an alert fired is read back from
//! the history after a restart.

use std::collections::{BTreeMap, HashMap, VecDeque};

use model::alert::{AlertState, Attempt, Instance, Intent, IntentState, Outcome, Transition};
use model::time::{format_duration_ms, rfc3339_ms};

use crate::config::BACK_WITHIN_MS;

use super::marks::{is_told, set_told};
use super::outcome::attempt_of;
use super::{Key, Outbox, handle, is_same_alert, last_told_ms, mark, new_intent, revise, set_handle};

/// Over how long an alert's beginnings are counted, in ms.
pub(crate) const WINDOW_MS: i64 = 3_600_000;
/// So many beginnings within it are flapping.
const FIRES: usize = 4;
/// Alerts whose beginnings are remembered; beyond it those that began longest ago are forgotten.
const ALERTS_MAX: usize = 20_000;
/// Edits of a message that tell how often by now, in ms.
const UPDATE_MS: i64 = 60_000;

/// When alerts fired within the last hour, by fingerprint.
#[derive(Debug)]
pub(super) struct Flaps {
    alerts: HashMap<String, Past>,
    /// Whoever begins again so soon after an end may do so once more, in ms.
    back_within_ms: i64,
}

#[derive(Debug, Default)]
struct Past {
    fires: VecDeque<i64>,
    ended_ms: Option<i64>,
    /// From an end to the last beginning.
    pause_ms: Option<i64>,
}

impl Default for Flaps {
    fn default() -> Flaps {
        Flaps { alerts: HashMap::new(), back_within_ms: BACK_WITHIN_MS }
    }
}

impl Flaps {
    fn fired(&mut self, fingerprint: &str, at_ms: i64) {
        if self.alerts.len() >= ALERTS_MAX && !self.alerts.contains_key(fingerprint) {
            self.alerts.retain(|_, past| past.fires.back().is_some_and(|last_ms| *last_ms > at_ms - WINDOW_MS));
            if self.alerts.len() >= ALERTS_MAX {
                return;
            }
        }
        let past = self.alerts.entry(fingerprint.to_owned()).or_default();
        if !past.fires.contains(&at_ms) {
            past.fires.push_back(at_ms);
            past.pause_ms = past.ended_ms.map(|ended_ms| at_ms - ended_ms);
        }
        while past.fires.front().is_some_and(|first_ms| *first_ms <= at_ms - WINDOW_MS) {
            past.fires.pop_front();
        }
    }

    fn ended(&mut self, fingerprint: &str, at_ms: i64) {
        if let Some(past) = self.alerts.get_mut(fingerprint) {
            past.ended_ms = Some(at_ms);
        }
    }

    /// Beginnings within the hour before the last one, if they are flapping.
    fn flapping(&self, fingerprint: &str) -> Option<usize> {
        self.alerts.get(fingerprint).map(|past| past.fires.len()).filter(|fires| *fires >= FIRES)
    }

    /// How long an alert had been away that was not away for long.
    fn back_after_ms(&self, fingerprint: &str) -> Option<i64> {
        self.alerts.get(fingerprint)?.pause_ms.filter(|pause_ms| *pause_ms <= self.back_within_ms)
    }

    /// Whether an end at that time may not last. What fired for an hour since its last beginning has stopped coming and going.
    fn comes_and_goes(&self, fingerprint: &str, at_ms: i64) -> bool {
        let last_ms = self.alerts.get(fingerprint).and_then(|past| past.fires.back());
        last_ms.is_some_and(|last_ms| at_ms - last_ms < WINDOW_MS)
            && (self.flapping(fingerprint).is_some() || self.back_after_ms(fingerprint).is_some())
    }

    /// How long it must be quiet to be over: twice the mean time between beginnings, an hour at most where it flaps, and where it
    /// came back once as long as that is looked at. 0 where nothing is known of it.
    fn quiet_ms(&self, fingerprint: &str) -> i64 {
        let Some(Past { fires, .. }) = self.alerts.get(fingerprint) else { return 0 };
        let longest_ms = if fires.len() >= FIRES { WINDOW_MS } else { self.back_within_ms };
        let (Some(first_ms), Some(last_ms)) = (fires.front(), fires.back()) else { return 0 };
        match i64::try_from(fires.len()).unwrap_or(i64::MAX) - 1 {
            // Its beginning before is out of sight.
            0 => longest_ms,
            periods => (2 * (last_ms - first_ms) / periods).min(longest_ms),
        }
    }
}

impl Outbox {
    /// How soon after its end an alert begins again whose next end is held back.
    pub(crate) fn set_back_within(&mut self, back_within_ms: i64) {
        self.flaps.back_within_ms = back_within_ms;
    }

    /// Reads back how often alerts fired, from transitions of the last hour.
    pub(crate) fn remember_fires(&mut self, transitions: &[Transition]) {
        // Oldest first, as they happened.
        for transition in transitions.iter().rev() {
            let fingerprint = || model::alert::fingerprint(&transition.rule_id, &transition.labels);
            if transition.to == Some(AlertState::Firing) {
                self.flaps.fired(&fingerprint(), transition.at_ms);
            } else if transition.from == Some(AlertState::Firing) {
                self.flaps.ended(&fingerprint(), transition.at_ms);
            }
        }
    }

    /// Counts a beginning.
    pub(crate) fn note_fire(&mut self, instance: &Instance) {
        if let Some(fired_ms) = instance.fired_at_ms {
            self.flaps.fired(&instance.fingerprint(), fired_ms);
        }
    }

    pub(super) fn note_end(&mut self, instance: &Instance) {
        if let Some(ended_ms) = instance.resolved_at_ms {
            self.flaps.ended(&instance.fingerprint(), ended_ms);
        }
    }

    /// `X h1 came back 1m after its end; …`, of an alert whose next end is held back but that is not yet called flapping.
    pub(super) fn back_words(&self, instance: &Instance) -> Option<String> {
        let fingerprint = instance.fingerprint();
        let pause_ms = self.flaps.back_after_ms(&fingerprint)?;
        self.flaps.flapping(&fingerprint).is_none().then(|| {
            format!(
                "{} came back {} after its end: the next one is told once it stayed away for {}",
                crate::message::name_of(instance),
                format_duration_ms(pause_ms / 1_000 * 1_000),
                format_duration_ms(self.flaps.quiet_ms(&fingerprint) / 1_000 * 1_000)
            )
        })
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
                self.replaced.extend(other.episode().zip(instance.episode()));
                // Whoever was told of the last episode is owed the end of this one.
                let told = is_told(&intent, &other);
                set_told(&mut intent, [(&other, false), (instance, told)]);
                intent.instances[at] = instance.clone();
            }
        }
        self.mark_flapping(&mut intent, instance);
        if edits {
            let due_ms = last_told_ms(&intent).map_or(now_ms, |told_ms| told_ms + UPDATE_MS);
            revise(&mut intent, IntentState::Firing, due_ms.max(now_ms), false);
        }
        self.put(intent);
        true
    }

    /// Has a message say that its alert comes and goes.
    pub(super) fn mark_flapping(&self, intent: &mut Intent, instance: &Instance) {
        if let Some(words) = self.flapping_words(instance) {
            set_handle(intent, mark::FLAPPING, &words);
        }
        set_handle(intent, mark::BACK, &self.back_words(instance).unwrap_or_default());
    }

    /// Holds back the end of an alert that comes and goes from a message that told of it. Whether it did.
    pub(super) fn hold_end(&mut self, key: &Key, at: usize, ended: &Instance, now_ms: i64) -> bool {
        let fingerprint = ended.fingerprint();
        let ended_ms = ended.resolved_at_ms.unwrap_or(now_ms);
        if !self.flaps.comes_and_goes(&fingerprint, ended_ms) {
            return false;
        }
        let Some(mut intent) = self.intents.get(key).filter(|intent| intent.accepted.is_some()).cloned() else {
            return false;
        };
        let Some(instance) = intent.instances.get_mut(at) else { return false };
        instance.resolved_at_ms = Some(ended_ms);
        let told_ms = ended_ms + self.flaps.quiet_ms(&fingerprint);
        let why = self.flapping_words(ended).unwrap_or_else(|| "it came back soon after its last end".into());
        let words = format!("its end is told at {} if it does not fire again: {why}", rfc3339_ms(told_ms));
        let of_episode = new_intent(&key.0, ended.episode().unwrap_or_default(), vec![ended.clone()], now_ms, now_ms);
        self.lines.push(attempt_of(&of_episode, 0, now_ms, now_ms, Outcome::Suppressed, 0, &words));
        self.put(intent);
        true
    }

    /// Whether a channel has an episode as firing though it ended.
    pub(crate) fn holds_end(&self, episode: &str) -> bool {
        let is_it = |instance: &Instance| ends_later(instance) && instance.episode().as_deref() == Some(episode);
        self.intents.values().any(|intent| intent.instances.iter().any(is_it))
    }

    /// Episodes whose place another one took since this was asked last, each with that one.
    pub(crate) fn take_replaced(&mut self) -> BTreeMap<String, String> {
        std::mem::take(&mut self.replaced)
    }

    /// Lines of the history about what was held back here.
    pub(crate) fn take_lines(&mut self) -> Vec<Attempt> {
        std::mem::take(&mut self.lines)
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

/// From when on a repeat says something new of an alert that a message calls flapping: that it goes on firing. `None` while it is
/// away, and of other messages any time.
pub(super) fn steady_ms(intent: &Intent) -> Option<i64> {
    if handle(intent, mark::FLAPPING).is_empty() {
        return Some(i64::MIN);
    }
    let firing = intent.instances.iter().filter(|instance| instance.state == AlertState::Firing);
    firing
        .filter(|instance| !ends_later(instance))
        .filter_map(|instance| instance.fired_at_ms)
        .max()
        .map(|fired_ms| fired_ms + WINDOW_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn four_beginnings_within_an_hour_are_flapping() {
        let check = |fires: &[i64], expected: Option<usize>, quiet: i64| {
            let mut flaps = Flaps::default();
            fires.iter().for_each(|at| flaps.fired("f", at * MINUTE));
            assert_eq!((flaps.flapping("f"), flaps.quiet_ms("f")), (expected, quiet * MINUTE), "{fires:?}");
        };
        check(&[0, 2, 4], None, 4);
        check(&[0, 2, 4, 6], Some(4), 4);
        check(&[0, 0, 2, 4], None, 4);
        check(&[0, 15, 30, 45], Some(4), 30);
        check(&[0, 30, 59, 61], None, 10);
        check(&[0, 70], None, 10);
        check(&[], None, 0);
    }

    #[test]
    fn an_end_may_not_last_after_one_that_did_not() {
        // Beginnings and ends in turn, in minutes, the last one looked at.
        let check = |turns: &[i64], back_within: i64, expected: bool| {
            let mut flaps = Flaps { back_within_ms: back_within * MINUTE, ..Flaps::default() };
            for (at, minute) in turns.iter().enumerate() {
                match at % 2 {
                    0 => flaps.fired("f", minute * MINUTE),
                    _ => flaps.ended("f", minute * MINUTE),
                }
            }
            let ended_ms = turns.last().map_or(0, |minute| minute * MINUTE);
            assert_eq!(flaps.comes_and_goes("f", ended_ms), expected, "{turns:?} {back_within}");
        };
        check(&[0, 1], 10, false);
        check(&[0, 1, 2, 3], 10, true);
        check(&[0, 1, 11, 12], 10, true);
        check(&[0, 1, 12, 13], 10, false);
        check(&[0, 1, 2, 3], 0, false);
        // One that lasted before its pause, and one that lasts now.
        check(&[0, 300, 301, 302], 10, true);
        check(&[0, 1, 2, 62], 10, false);
        // It stayed away: the next first end is told at once.
        check(&[0, 1, 2, 3, 20, 21], 10, false);
        check(&[0, 1, 15, 16, 30, 31, 45, 46], 10, true);
    }
}
