//! Lists of episodes among an intent's marks: who was told of what, and what is held back.

use model::alert::{AlertState, Instance, Intent};

use super::{handle, mark, set_handle};

/// Stands in a list that is known to be empty: a row of an earlier release has no list at all.
const NONE: &str = "-";

fn has(intent: &Intent, list: &str, episode: &str) -> bool {
    handle(intent, list).split(' ').any(|item| item == episode)
}

fn change(intent: &mut Intent, list: &str, episode: &str, there: bool) {
    let kept = handle(intent, list).split(' ').filter(|item| !item.is_empty() && *item != NONE && *item != episode);
    let mut items: Vec<String> = kept.map(str::to_owned).collect();
    if there {
        items.push(episode.to_owned());
    }
    if items.is_empty() {
        items.push(NONE.into());
    }
    set_handle(intent, list, &items.join(" "));
}

/// Whether the receiver took a message that this episode fires, or may have taken one.
pub(crate) fn is_told(intent: &Intent, instance: &Instance) -> bool {
    // Whoever may have been told is owed the end as well.
    if !handle(intent, mark::UNSURE).is_empty() {
        return true;
    }
    // Rows of an earlier release tell it of all alerts together.
    match handle(intent, mark::TOLD) {
        "" => intent.accepted.is_some(),
        _ => instance.episode().is_some_and(|episode| has(intent, mark::TOLD, &episode)),
    }
}

pub(super) fn set_told(intent: &mut Intent, instance: &Instance, told: bool) {
    if let Some(episode) = instance.episode() {
        change(intent, mark::TOLD, &episode, told);
    }
}

/// Whether the episode is held back now, though the receiver may have been told of it before.
pub(crate) fn is_muted(intent: &Intent, instance: &Instance) -> bool {
    instance.episode().is_some_and(|episode| has(intent, mark::MUTED, &episode))
}

pub(super) fn set_muted(intent: &mut Intent, instance: &Instance, muted: bool) {
    if let Some(episode) = instance.episode()
        && is_muted(intent, instance) != muted
    {
        change(intent, mark::MUTED, &episode, muted);
        if handle(intent, mark::MUTED) == NONE {
            set_handle(intent, mark::MUTED, "");
        }
    }
}

/// Whether all that fires is held back and nothing else is to be said: there is no message to send.
pub(crate) fn is_held(intent: &Intent) -> bool {
    !handle(intent, mark::MUTED).is_empty()
        && intent.instances.iter().all(|instance| {
            is_muted(intent, instance) && (instance.state == AlertState::Firing || !is_told(intent, instance))
        })
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
