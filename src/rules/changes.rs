//! What one instance's step means: for the store, for the history, and for people.

use model::alert::Transition;
use model::{AlertState, Instance};

use crate::evaluate::Run;
use crate::state;

impl Run<'_> {
    /// Takes down what one instance's step means for store, history and people.
    pub(crate) fn note(&mut self, before: Option<&Instance>, after: Option<&Instance>, is_shadow: bool) {
        let (from, to) = (before.map(|before| before.state), after.map(|after| after.state));
        if let Some(after) = after
            && before.is_none_or(|before| !same_episode_state(before, after))
        {
            self.evaluation.upserts.push(after.clone());
        }
        let Some(shown) = after.or(before) else { return };
        let note = changed(before, after);
        let is_new = before.is_some_and(is_shadow_of) && !is_shadow;
        if !is_new && note.is_empty() && (from == to || (from == Some(AlertState::Resolved) && to.is_none())) {
            return;
        }
        self.evaluation.transitions.push(Transition {
            at_ms: self.slot.at_ms,
            rule_id: shown.rule_id.clone(),
            labels: shown.labels.clone(),
            from,
            to,
            value: shown.value,
            note,
        });
        if is_shadow {
            return;
        }
        match (before, after) {
            // That it cannot be verified, or can again, is for the history; a severity that moved is for people.
            (Some(before), Some(after)) if from == to && !is_new && before.labels == after.labels => {}
            (_, Some(after)) if to == Some(AlertState::Firing) || to == Some(AlertState::Resolved) => {
                self.evaluation.notices.push(after.clone());
            }
            // Back to pending: whoever was told that it fires is told that it does not.
            (Some(before), _) if from == Some(AlertState::Firing) => {
                self.evaluation.notices.push(state::resolved(before, self.slot.at_ms));
            }
            _ => {}
        }
    }
}

fn is_shadow_of(instance: &Instance) -> bool {
    instance.evidence.context.iter().any(|(name, value)| name == "mode" && value == "shadow")
}

/// Why an instance's step stands in the history, where the states alone do not say it.
fn changed(before: Option<&Instance>, after: Option<&Instance>) -> String {
    let (Some(before), Some(after)) = (before, after) else { return String::new() };
    let reason = &after.evidence.reason;
    match (before.state, after.state) {
        (AlertState::Firing, AlertState::Pending) => "\"for\" was raised".into(),
        (AlertState::Firing, AlertState::Resolved) if !reason.is_empty() => reason.clone(),
        (AlertState::Firing, AlertState::Firing) => {
            let severity = |of: &Instance| of.labels.value("severity").to_string();
            match (before.is_unverified(), after.is_unverified()) {
                (false, true) => format!("unverified: {reason}"),
                (true, false) if before.evidence.reason != model::alert::reason::RESTART => "verified again".into(),
                _ if before.labels != after.labels => {
                    format!("severity {} to {}", severity(before), severity(after))
                }
                _ => String::new(),
            }
        }
        _ => String::new(),
    }
}

/// Whether nothing changed that must survive a restart. Value and annotations follow with the next evaluation anyway, and
/// writing them each time would be a commit each time.
fn same_episode_state(a: &Instance, b: &Instance) -> bool {
    (a.state, a.active_at_ms, a.fired_at_ms, a.keep_since_ms, a.resolved_at_ms)
        == (b.state, b.active_at_ms, b.fired_at_ms, b.keep_since_ms, b.resolved_at_ms)
        && (a.evidence.unknown_since_ms, &a.evidence.reason, a.evidence.uncounted_ms)
            == (b.evidence.unknown_since_ms, &b.evidence.reason, b.evidence.uncounted_ms)
        && (a.evidence.level, &a.evidence.levels_since_ms) == (b.evidence.level, &b.evidence.levels_since_ms)
}
