//! A clock that was set back: nobody waits for as long as it jumped.
//!
//! What is still to be said moves along, with the ticks of its group. What was said stays where it was: to move it would repeat it
//! where the clock is put right and wrong again. When alerts fired names them and stays as well.

use model::alert::{Intent, Progress};

use super::{Key, Outbox, ends_later, handle, mark, set_handle};

/// A clock before this was never set, as of a board without a battery (2025-01-01): it tells nothing.
const SET_MIN_MS: i64 = 1_735_689_600_000;
/// Stored times further ahead of a start than this are another clock's.
const AHEAD_MS: i64 = 60_000;

impl Outbox {
    /// Moves what is waited for by `by_ms`, to the new time.
    pub(crate) fn shift(&mut self, by_ms: i64, now_ms: i64) {
        if now_ms < SET_MIN_MS {
            return;
        }
        let keys: Vec<Key> = self.intents.keys().cloned().collect();
        for key in keys {
            let Some(mut intent) = self.intents.remove(&key) else { continue };
            shift(&mut intent, by_ms);
            self.put(intent);
        }
        self.gates.values_mut().for_each(|gate| gate.shift(by_ms));
    }

    /// After a start: what was stored by a clock that has been set back since.
    pub(crate) fn follow_start(&mut self, now_ms: i64) {
        let ahead: Vec<(Key, i64)> =
            self.intents.iter().map(|(key, intent)| (key.clone(), newest_ms(intent) - now_ms)).collect();
        for (key, ahead_ms) in ahead.into_iter().filter(|(_, ahead_ms)| now_ms >= SET_MIN_MS && *ahead_ms > AHEAD_MS) {
            let Some(mut intent) = self.intents.remove(&key) else { continue };
            shift(&mut intent, -ahead_ms);
            self.put(intent);
        }
    }
}

/// The newest time in an intent that had passed when it was written, of those that move.
fn newest_ms(intent: &Intent) -> i64 {
    let first_ms = handle(intent, mark::FIRST).parse().unwrap_or(i64::MIN / 2);
    let began_ms = match intent.progress {
        Progress::Waiting { .. } => intent.created_ms,
        Progress::Sending { started_ms: at_ms, .. } | Progress::Failed { at_ms, .. } => at_ms,
        Progress::Accepted { .. } => first_ms,
    };
    began_ms.max(first_ms)
}

fn shift(intent: &mut Intent, by_ms: i64) {
    let shifted = |at_ms: i64| at_ms.saturating_add(by_ms);
    if let Ok(first_ms) = handle(intent, mark::FIRST).parse() {
        set_handle(intent, mark::FIRST, &shifted(first_ms).to_string());
    }
    for instance in intent.instances.iter_mut().filter(|instance| ends_later(instance)) {
        instance.resolved_at_ms = instance.resolved_at_ms.map(shifted);
    }
    match &mut intent.progress {
        Progress::Accepted { .. } => return,
        Progress::Waiting { next_attempt_ms: at_ms, .. }
        | Progress::Sending { started_ms: at_ms, .. }
        | Progress::Failed { at_ms, .. } => *at_ms = shifted(*at_ms),
    }
    intent.created_ms = shifted(intent.created_ms);
    intent.not_before_ms = shifted(intent.not_before_ms);
}
