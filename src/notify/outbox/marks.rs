//! Lists of episodes among an intent's marks: who was told of what, and what is held back.

use std::collections::{BTreeMap, HashSet};

use model::alert::{AlertState, Instance, Intent};

use super::{handle, mark, set_handle};

/// Stands in a list that is known to be empty: a row of an earlier release has no list at all.
const NONE: &str = "-";

/// The lists of one intent, read once: it may be about thousands of alerts.
pub(crate) struct Marks<'a> {
    unsure: bool,
    accepted: bool,
    /// `None` in rows of an earlier release, which tell it of all alerts together.
    told: Option<HashSet<&'a str>>,
    muted: HashSet<&'a str>,
}

impl<'a> Marks<'a> {
    pub(crate) fn of(intent: &'a Intent) -> Marks<'a> {
        let told = handle(intent, mark::TOLD);
        Marks {
            unsure: !handle(intent, mark::UNSURE).is_empty(),
            accepted: intent.accepted.is_some(),
            told: (!told.is_empty()).then(|| items(told).collect()),
            muted: items(handle(intent, mark::MUTED)).collect(),
        }
    }

    /// Whether the receiver took a message that this episode fires, or may have taken one: who may have been told is owed the end
    /// as well.
    pub(crate) fn is_told(&self, instance: &Instance) -> bool {
        self.unsure || self.told.as_ref().map_or(self.accepted, |told| has(told, instance))
    }

    /// Whether the episode is held back now, though the receiver may have been told of it before.
    pub(crate) fn is_muted(&self, instance: &Instance) -> bool {
        has(&self.muted, instance)
    }
}

fn has(list: &HashSet<&str>, instance: &Instance) -> bool {
    !list.is_empty() && instance.episode().is_some_and(|episode| list.contains(episode.as_str()))
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(' ').filter(|item| !item.is_empty() && *item != NONE)
}

/// Puts episodes into a list, or takes them out of it; what it is then.
fn changed<'a>(list: &str, changes: impl IntoIterator<Item = (&'a Instance, bool)>) -> Vec<String> {
    let episode = |(instance, there): (&Instance, bool)| Some((instance.episode()?, there));
    let changes: BTreeMap<String, bool> = changes.into_iter().filter_map(episode).collect();
    let kept = items(list).filter(|item| !changes.contains_key(*item)).map(str::to_owned);
    let new = changes.iter().filter(|(_, there)| **there).map(|(episode, _)| episode.clone());
    kept.chain(new).collect()
}

/// As [`Marks::is_told`], for one.
pub(crate) fn is_told(intent: &Intent, instance: &Instance) -> bool {
    match handle(intent, mark::TOLD) {
        _ if !handle(intent, mark::UNSURE).is_empty() => true,
        "" => intent.accepted.is_some(),
        told => is_among(told, instance),
    }
}

/// As [`Marks::is_muted`], for one.
pub(crate) fn is_muted(intent: &Intent, instance: &Instance) -> bool {
    let muted = handle(intent, mark::MUTED);
    !muted.is_empty() && is_among(muted, instance)
}

fn is_among(list: &str, instance: &Instance) -> bool {
    instance.episode().is_some_and(|episode| items(list).any(|item| item == episode))
}

pub(super) fn set_told<'a>(intent: &mut Intent, told: impl IntoIterator<Item = (&'a Instance, bool)>) {
    let told = changed(handle(intent, mark::TOLD), told).join(" ");
    set_handle(intent, mark::TOLD, if told.is_empty() { NONE } else { &told });
}

pub(super) fn set_muted<'a>(intent: &mut Intent, muted: impl IntoIterator<Item = (&'a Instance, bool)>) {
    let muted = changed(handle(intent, mark::MUTED), muted).join(" ");
    set_handle(intent, mark::MUTED, &muted);
}

/// Whether all that fires is held back and nothing else is to be said: there is no message to send.
pub(crate) fn is_held(intent: &Intent) -> bool {
    if handle(intent, mark::MUTED).is_empty() {
        return false;
    }
    let marks = Marks::of(intent);
    intent
        .instances
        .iter()
        .all(|instance| marks.is_muted(instance) && (instance.state == AlertState::Firing || !marks.is_told(instance)))
}

/// Whether somebody looks after everything that fires.
pub(crate) fn is_acked(intent: &Intent) -> bool {
    !handle(intent, mark::ACKED).is_empty()
}

/// Whether a message would only put right what was said before, and wake nobody: ends of alerts that are held back, an
/// acknowledgement.
pub(crate) fn is_quiet(sent: &Intent) -> bool {
    !handle(sent, mark::QUIET).is_empty()
}
