//! A firing alert joins what a channel should know: a message of its own, or that of its group.

use model::alert::{AlertState, Instance, IntentState, Progress};
use sha2::{Digest, Sha256};

use crate::config::Target;
use crate::timing::Timing;

use super::{
    OPEN_SCOPES_MAX, Outbox, Start, is_critical, is_open, is_same_alert, new_intent, next_tick_ms, position, revise,
    storm,
};

impl Outbox {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn join(
        &mut self,
        channel: &str,
        manner: Manner,
        instance: &Instance,
        start: Start,
        target: &Target,
        now_ms: i64,
        timing: &Timing,
    ) {
        let Manner { alone, edits } = manner;
        let Some(episode) = instance.episode() else { return };
        let known = self.of_channel(channel).find_map(|(_, intent)| Some((position(intent, instance)?, intent)));
        if let Some((at, intent)) = known {
            if intent.instances[at].labels != instance.labels && intent.instances[at].state == AlertState::Firing {
                let mut intent = intent.clone();
                let worse = is_worse(instance, &intent.instances[at]);
                intent.instances[at] = instance.clone();
                let hurried_ms = now_ms + target.group_wait_ms.min(timing.critical_wait_max_ms);
                let due_ms = if worse { hurried_ms } else { next_tick_ms(&intent, target.group_interval_ms, now_ms) };
                revise(&mut intent, IntentState::Firing, due_ms, worse);
                self.put(intent);
            }
            return;
        }
        if self.fires_again(channel, edits, instance, now_ms) {
            return;
        }
        let fired_ms = instance.fired_at_ms.unwrap_or(now_ms);
        let critical = is_critical(instance);
        let wait_ms =
            if critical { target.group_wait_ms.min(timing.critical_wait_max_ms) } else { target.group_wait_ms };
        let due_ms = start.since_ms + wait_ms;
        let group = group_prefix(target, instance);
        let interval_ms = target.group_interval_ms;
        if !storm::is_test(instance) && self.join_storm(channel, &group, manner, instance, due_ms, interval_ms, now_ms)
        {
            return;
        }
        let open = self.of_channel(channel).filter(|(_, intent)| is_open(intent)).count();
        let prefix = match (alone && open < OPEN_SCOPES_MAX, open < 2 * OPEN_SCOPES_MAX) {
            (true, _) => None,
            (false, true) => Some(group),
            (false, false) => Some("overflow-".into()),
        };
        let found = prefix.as_ref().and_then(|prefix| {
            self.of_channel(channel)
                .find(|(key, intent)| key.1.starts_with(prefix.as_str()) && is_open(intent))
                .map(|(key, _)| key.clone())
        });
        // Taken out and put back: a group may have thousands of alerts.
        match found.and_then(|key| self.intents.remove(&key)) {
            Some(mut intent) => {
                // An earlier episode of the same alert: its end went untold, and the news is that it fires again.
                intent.instances.retain(|other| !is_same_alert(other, instance));
                intent.instances.push(instance.clone());
                let told = intent.accepted.is_some() || matches!(intent.progress, Progress::Sending { .. });
                let worse =
                    intent.instances.iter().all(|other| is_same_alert(other, instance) || is_worse(instance, other));
                let hurried_ms = start.since_ms + target.group_wait_ms.min(timing.critical_wait_max_ms);
                let due_ms = match (told, critical || worse) {
                    // What was held back has waited, whatever the group's ticks are.
                    _ if start.released => due_ms,
                    (true, false) => next_tick_ms(&intent, target.group_interval_ms, now_ms),
                    (true, true) => hurried_ms,
                    (false, _) => due_ms,
                };
                revise(&mut intent, IntentState::Firing, due_ms, true);
                self.put(intent);
            }
            None => {
                let scope = match prefix {
                    None => episode,
                    Some(prefix) => format!("{prefix}{fired_ms}"),
                };
                let mut intent = new_intent(channel, scope, vec![instance.clone()], now_ms, due_ms);
                self.mark_flapping(&mut intent, instance);
                self.put(intent);
            }
        }
    }
}

/// How a channel takes what changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// A scope for each alert.
    pub(super) alone: bool,
    /// Bringing a message up to date disturbs nobody.
    pub(super) edits: bool,
}

/// Whether an alert's severity is above another's.
pub(super) fn is_worse(a: &Instance, b: &Instance) -> bool {
    crate::message::rank(a.labels.value("severity")) < crate::message::rank(b.labels.value("severity"))
}

/// Start of a group's scope: its labels, not its route, so that a reload does not tell everything again.
pub(crate) fn group_prefix(target: &Target, instance: &Instance) -> String {
    let mut hash = Sha256::new();
    for (name, value) in target.group_labels(&instance.labels).iter() {
        for text in [name, value] {
            hash.update(text.as_bytes());
            hash.update([0xff]);
        }
    }
    format!("group-{}-", &model::any::hex(&hash.finalize())[..16])
}
