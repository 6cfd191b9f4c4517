//! From "due" to "sending" to what came of it.
//!
//! One attempt at a time for each intent; its number and its key are settled before the network is touched.

use std::collections::HashSet;

use model::alert::{AlertState, Attempt, Instance, Intent, IntentState, Outcome, Progress};

use crate::delivery::{Report, Verdict};
use crate::health::{Health, backoff_ms};
use crate::timing::Timing;

use super::marks::{is_held, set_told};
use super::{Key, Outbox, handle, is_critical, is_untried_test, mark, set_handle, visible};

/// What an attempt carries: the state as it was when it began.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) intent: Intent,
    pub(crate) number: u32,
    pub(crate) started_ms: i64,
}

impl Outbox {
    /// The intents of a channel whose time has come: tests that somebody waits for, then critical ones, then the oldest.
    pub(crate) fn due(&self, channel: &str, now_ms: i64) -> Vec<Key> {
        let mut due: Vec<(bool, bool, i64, &Key)> = self
            .of_channel(channel)
            .filter_map(|(key, intent)| {
                let is_critical = intent.instances.iter().any(is_critical);
                let order = (!is_untried_test(intent), !is_critical, intent.not_before_ms, key);
                (due_at_ms(intent)? <= now_ms).then_some(order)
            })
            .collect();
        due.sort();
        due.into_iter().map(|(_, _, _, key)| key.clone()).collect()
    }

    /// Begins an attempt: to be written before anything is sent. `handle` is what the channel will need should we stop in between.
    pub(crate) fn begin(&mut self, key: &Key, prepared: &[(String, String)], now_ms: i64) -> Option<Sent> {
        let intent = self.intents.get_mut(key)?;
        let Progress::Waiting { attempts, .. } = intent.progress else { return None };
        for (name, value) in prepared {
            set_handle(intent, name, value);
        }
        intent.progress = Progress::Sending { attempt: attempts + 1, started_ms: now_ms };
        if handle(intent, mark::FIRST).is_empty() {
            set_handle(intent, mark::FIRST, &now_ms.to_string());
        }
        self.dirty.insert(key.clone());
        Some(Sent { intent: visible(intent), number: attempts + 1, started_ms: now_ms })
    }

    /// An attempt that was not made after all, as the store could not note it.
    pub(crate) fn unbegin(&mut self, sent: &Sent, error: &str, retry_ms: i64) {
        if let Some(intent) = self.intents.get_mut(&super::key_of(&sent.intent)) {
            intent.progress =
                Progress::Waiting { attempts: sent.number - 1, next_attempt_ms: retry_ms, last_error: error.into() };
        }
    }

    /// Takes in what came of an attempt. Returns its line for the history.
    pub(crate) fn finish(
        &mut self,
        sent: &Sent,
        report: &Report,
        health: &mut Health,
        now_ms: i64,
        chance: f64,
        timing: &Timing,
    ) -> Attempt {
        let outcome = report.verdict.outcome();
        let attempt =
            attempt_of(&sent.intent, sent.number, now_ms, sent.started_ms, outcome, report.status, &report.words);
        let key = super::key_of(&sent.intent);
        let Some(intent) = self.intents.get_mut(&key) else { return attempt };
        self.dirty.insert(key);
        for (name, value) in &report.handle {
            set_handle(intent, name, value);
        }
        let critical = intent.instances.iter().any(is_critical);
        let was_refusing = health.is_refusing();
        if !matches!(report.verdict, Verdict::Accepted) {
            // What came in meanwhile may wait for its interval; what failed may not.
            intent.not_before_ms = intent.not_before_ms.min(sent.intent.not_before_ms);
        }
        match &report.verdict {
            Verdict::Accepted if report.began => {
                health.accepted(now_ms);
                set_handle(intent, mark::UNSURE, "");
                intent.accepted = Some((sent.intent.rev, IntentState::Firing));
                set_told(intent, sent.intent.instances.iter().map(|instance| (instance, true)));
                intent.progress = Progress::Waiting { attempts: 0, next_attempt_ms: 0, last_error: String::new() };
            }
            Verdict::Accepted => {
                health.accepted(now_ms);
                set_handle(intent, mark::UNSURE, "");
                take_in(intent, &sent.intent, now_ms);
            }
            Verdict::Throttled { retry_after_ms } => {
                let until = health.throttled(now_ms, &report.words, *retry_after_ms, timing);
                wait(intent, sent.number, until, &report.words);
            }
            Verdict::Transient { unsure } => {
                if report.is_of_service() {
                    health.note(now_ms, &report.words);
                } else {
                    health.failed(now_ms, &report.words, timing);
                }
                if *unsure {
                    set_handle(intent, mark::UNSURE, "1");
                }
                wait(intent, sent.number, now_ms + backoff_ms(sent.number, critical, chance, timing), &report.words);
            }
            Verdict::Refused => {
                health.refused(now_ms, &report.words);
                intent.progress = Progress::Failed { at_ms: now_ms, error: report.words.clone() };
            }
        }
        if report.leaves_out() {
            health.note(now_ms, &report.words);
        }
        if was_refusing && !health.is_refusing() {
            // Somebody put it right over there: what was refused meanwhile waits no longer.
            self.retry_refused(Some(&attempt.receiver));
        }
        attempt
    }

    /// After a restart: attempts that had begun may have arrived or not. They are made again with the same keys.
    pub(crate) fn recover(&mut self, now_ms: i64) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        for (key, intent) in &mut self.intents {
            let Progress::Sending { attempt, started_ms } = intent.progress else { continue };
            let words = "the appliance stopped during this attempt; whether it arrived is not known";
            attempts.push(attempt_of(intent, attempt, now_ms, started_ms, Outcome::Ambiguous, 0, words));
            set_handle(intent, mark::UNSURE, "1");
            // At once, whatever its time is.
            wait(intent, attempt, 0, words);
            self.dirty.insert(key.clone());
        }
        attempts
    }
}

/// The receiver knows what was sent by now.
pub(super) fn take_in(intent: &mut Intent, sent: &Intent, now_ms: i64) {
    intent.accepted = Some((sent.rev, sent.want));
    let is_firing = |instance: &Instance| instance.state == AlertState::Firing;
    set_told(intent, sent.instances.iter().map(|instance| (instance, is_firing(instance))));
    if intent.want == IntentState::Firing {
        // Their end is told; the next message is about what still fires.
        let ended: HashSet<Option<String>> =
            sent.instances.iter().filter(|other| !is_firing(other)).map(Instance::episode).collect();
        intent.instances.retain(|instance| is_firing(instance) || !ended.contains(&instance.episode()));
    }
    intent.progress = if intent.rev == sent.rev {
        Progress::Accepted { at_ms: now_ms }
    } else {
        Progress::Waiting { attempts: 0, next_attempt_ms: 0, last_error: String::new() }
    };
}

/// When an intent's next attempt is due; `None` unless one is wanted.
pub(super) fn due_at_ms(intent: &Intent) -> Option<i64> {
    match intent.progress {
        Progress::Waiting { .. } if is_held(intent) => None,
        Progress::Waiting { next_attempt_ms, .. } => Some(intent.not_before_ms.max(next_attempt_ms)),
        _ => None,
    }
}

fn wait(intent: &mut Intent, attempts: u32, next_attempt_ms: i64, error: &str) {
    intent.progress = Progress::Waiting { attempts, next_attempt_ms, last_error: error.into() };
}

pub(super) fn attempt_of(
    intent: &Intent,
    number: u32,
    at_ms: i64,
    started_ms: i64,
    outcome: Outcome,
    status: u16,
    words: &str,
) -> Attempt {
    Attempt {
        at_ms,
        receiver: intent.receiver.clone(),
        scope: intent.scope.clone(),
        rev: intent.rev,
        want: intent.want,
        subject: crate::message::subject_of(intent),
        number,
        outcome,
        took_ms: u32::try_from(at_ms - started_ms).unwrap_or(0),
        status,
        words: words.into(),
    }
}
