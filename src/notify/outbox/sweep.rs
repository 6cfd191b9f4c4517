//! What time alone brings: repeats, second tries, fallbacks, giving up, forgetting.

use model::alert::{Attempt, Intent, IntentState, Outcome, Progress};

use crate::config::Config;
use crate::health::Health;
use crate::timing::Timing;

use super::outcome::{attempt_of, due_at_ms};
use super::{Key, Outbox, revise, settings};

impl Outbox {
    /// Does what is due by now. Returns lines for the history, of ends that were given up.
    pub(crate) fn sweep(
        &mut self,
        config: &Config,
        health: &dyn Fn(&str) -> Health,
        now_ms: i64,
        timing: &Timing,
    ) -> Vec<Attempt> {
        let mut given_up = Vec::new();
        let keys: Vec<Key> = self.intents.keys().cloned().collect();
        for key in keys {
            let Some(intent) = self.intents.get(&key) else { continue };
            match step(intent, config, timing) {
                Some((at_ms, _)) if at_ms > now_ms => {}
                None => {}
                Some((_, Step::Forget)) => self.remove(&key),
                Some((_, Step::Repeat)) => {
                    let mut intent = intent.clone();
                    revise(&mut intent, IntentState::Firing, now_ms, true);
                    self.put(intent);
                }
                Some((_, Step::Retry)) => {
                    let mut intent = intent.clone();
                    intent.progress = retry_of(&intent.progress);
                    self.put(intent);
                }
                Some((_, Step::GiveUp)) => {
                    let mut intent = intent.clone();
                    let error = "nobody took the end of this alert for too long; given up".to_owned();
                    given_up.push(attempt_of(&intent, 0, now_ms, now_ms, Outcome::Permanent, 0, &error));
                    intent.progress = Progress::Failed { at_ms: now_ms, error };
                    self.put(intent);
                }
            }
        }
        self.fall_back(config, health, now_ms);
        given_up
    }

    /// Whether a repeat is due.
    pub(crate) fn repeats(&self, config: &Config, now_ms: i64, timing: &Timing) -> bool {
        self.intents
            .values()
            .any(|intent| matches!(step(intent, config, timing), Some((at_ms, Step::Repeat)) if at_ms <= now_ms))
    }

    /// Refused attempts are worth another try: the configuration changed.
    pub(crate) fn retry_refused(&mut self) {
        let refused: Vec<Intent> = self
            .intents
            .values()
            .filter(|intent| matches!(intent.progress, Progress::Failed { .. }))
            .cloned()
            .collect();
        for mut intent in refused {
            intent.progress = retry_of(&intent.progress);
            self.put(intent);
        }
    }

    /// When something is due next. `opens_at_ms` tells from when a channel takes attempts.
    pub(crate) fn next_ms(&self, config: &Config, opens_at_ms: &dyn Fn(&str) -> i64, timing: &Timing) -> Option<i64> {
        self.intents
            .values()
            .filter_map(|intent| {
                let attempt = due_at_ms(intent)
                    .filter(|_| config.channel(&intent.receiver).is_some())
                    .map(|at_ms| at_ms.max(opens_at_ms(&intent.receiver)));
                let step = step(intent, config, timing).map(|(at_ms, _)| at_ms);
                [attempt, step, Outbox::fallback_at_ms(intent, config)].into_iter().flatten().min()
            })
            .min()
    }
}

enum Step {
    Repeat,
    Retry,
    GiveUp,
    Forget,
}

/// What time will do to an intent next, and when.
fn step(intent: &Intent, config: &Config, timing: &Timing) -> Option<(i64, Step)> {
    let channel = config.channel(&intent.receiver).map(|(_, channel)| channel);
    let ended_ms = intent.instances.iter().filter_map(|instance| instance.resolved_at_ms).max();
    let expires_ms = ended_ms.unwrap_or(intent.not_before_ms) + timing.resolve_expires_ms;
    match (intent.want, &intent.progress) {
        (IntentState::Resolved, Progress::Accepted { at_ms }) => Some((at_ms + timing.done_keep_ms, Step::Forget)),
        (IntentState::Firing, Progress::Accepted { at_ms }) => {
            channel.map(|_| (at_ms + settings(config, intent).repeat_interval_ms, Step::Repeat))
        }
        (IntentState::Resolved, Progress::Failed { at_ms, .. }) if *at_ms >= expires_ms => {
            Some((at_ms + timing.done_keep_ms, Step::Forget))
        }
        (_, Progress::Failed { at_ms, .. }) => Some((at_ms + timing.config_retry_ms, Step::Retry)),
        (IntentState::Resolved, Progress::Waiting { .. })
            if intent.accepted.is_some() && channel.is_some_and(|channel| !channel.send_resolved) =>
        {
            Some((i64::MIN, Step::Forget))
        }
        (IntentState::Resolved, Progress::Waiting { .. }) => Some((expires_ms, Step::GiveUp)),
        (IntentState::Firing, Progress::Waiting { .. }) | (_, Progress::Sending { .. }) => None,
    }
}

/// A try as the first one again. The words of the refusal stay until the next answer.
fn retry_of(progress: &Progress) -> Progress {
    let last_error = match progress {
        Progress::Failed { error, .. } => error.clone(),
        _ => String::new(),
    };
    Progress::Waiting { attempts: 0, next_attempt_ms: 0, last_error }
}
