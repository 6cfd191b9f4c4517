//! What time alone brings: repeats, second tries, fallbacks, giving up, forgetting.

use model::alert::{Attempt, Intent, IntentState, Outcome, Progress};

use crate::config::{Channel, ChannelKind, Config};
use crate::health::Health;
use crate::timing::Timing;

use super::flap::steady_ms;
use super::outcome::{attempt_of, due_at_ms};
use super::{
    Key, Outbox, handle, is_acked, is_critical, is_held, is_test, led_by, mark, revise, set_handle, settings,
    tick_at_ms,
};

/// From a message's first form to the next one that nothing but time asks for, in ms.
const REFRESH_FIRST_MS: i64 = 5 * 60_000;

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
                Some((_, Step::Refresh)) => {
                    let mut intent = intent.clone();
                    revise(&mut intent, IntentState::Firing, now_ms, false);
                    self.put(intent);
                }
                Some((_, Step::Repeat)) => {
                    let mut intent = intent.clone();
                    set_handle(&mut intent, mark::FLAPPING, "");
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
                    given_up.push(attempt_of(&intent, 0, now_ms, now_ms, Outcome::Expired, 0, &error));
                    intent.progress = Progress::Failed { at_ms: now_ms, error };
                    self.put(intent);
                }
            }
        }
        self.settle_noise(config, now_ms);
        self.drop_steps();
        self.fall_back(config, health, now_ms);
        given_up
    }

    /// Whether a message is to say anew how its alerts are: as a repeat, or where it stands.
    pub(crate) fn repeats(&self, config: &Config, now_ms: i64, timing: &Timing) -> bool {
        self.intents
            .values()
            .any(|intent| matches!(step(intent, config, timing), Some((at_ms, Step::Repeat | Step::Refresh)) if at_ms <= now_ms))
    }

    /// Refused attempts are worth another try, those of one channel or of all: something changed.
    pub(crate) fn retry_refused(&mut self, channel: Option<&str>) {
        let is_of = |intent: &&Intent| channel.is_none_or(|channel| intent.receiver == channel);
        let refused: Vec<Intent> = self
            .intents
            .values()
            .filter(|intent| matches!(intent.progress, Progress::Failed { .. }))
            .filter(is_of)
            .cloned()
            .collect();
        for mut intent in refused {
            intent.progress = retry_of(&intent.progress);
            self.put(intent);
        }
    }

    /// When something is due next. `opens_at_ms` tells from when an intent's channel takes its next attempt.
    pub(crate) fn next_ms(
        &self,
        config: &Config,
        opens_at_ms: &dyn Fn(&Intent) -> i64,
        timing: &Timing,
    ) -> Option<i64> {
        self.intents
            .values()
            .filter_map(|intent| {
                let attempt = due_at_ms(intent)
                    .filter(|_| config.channel(&intent.receiver).is_some())
                    .map(|at_ms| at_ms.max(opens_at_ms(intent)));
                let step = step(intent, config, timing).map(|(at_ms, _)| at_ms);
                [attempt, step, Outbox::fallback_at_ms(intent, config)].into_iter().flatten().min()
            })
            .chain(self.next_quiet_ms())
            .chain(self.calm_at_ms())
            .min()
    }
}

enum Step {
    Repeat,
    Refresh,
    Retry,
    GiveUp,
    Forget,
}

/// What time will do to an intent next, and when.
fn step(intent: &Intent, config: &Config, timing: &Timing) -> Option<(i64, Step)> {
    let channel = config.channel(&intent.receiver).map(|(_, channel)| channel);
    let is_news = intent.want == IntentState::Firing && matches!(intent.progress, Progress::Accepted { .. });
    if is_news && !config.is_present(&intent.receiver) {
        // Only its end is still said there.
        return None;
    }
    let ended_ms = intent.instances.iter().filter_map(|instance| instance.resolved_at_ms).max();
    let expires_ms = ended_ms.unwrap_or(intent.not_before_ms) + timing.resolve_expires_ms;
    match (intent.want, &intent.progress) {
        (IntentState::Resolved, Progress::Accepted { at_ms }) => Some((at_ms + timing.done_keep_ms, Step::Forget)),
        // Nobody is reminded of what is held back, or of what somebody looks after.
        (IntentState::Firing, Progress::Accepted { .. }) if is_held(intent) || is_acked(intent) => None,
        // A reload led it elsewhere: only the end is still owed here.
        (IntentState::Firing, Progress::Accepted { .. }) if !is_meant(config, intent) => None,
        (IntentState::Firing, Progress::Accepted { at_ms }) => {
            let (channel, target) = (channel?, settings(config, intent));
            // A repeat would say nothing new of what comes and goes.
            let repeat_ms = (at_ms + target.repeat_interval_ms).max(steady_ms(intent)?);
            let repeat_ms = tick_at_ms(intent, target.group_interval_ms, repeat_ms);
            match refresh_at_ms(intent, channel, *at_ms) {
                Some(refresh_ms) if refresh_ms < repeat_ms => Some((refresh_ms, Step::Refresh)),
                _ => Some((repeat_ms, Step::Repeat)),
            }
        }
        (IntentState::Resolved, Progress::Failed { at_ms, .. }) if *at_ms >= expires_ms => {
            Some((at_ms + timing.done_keep_ms, Step::Forget))
        }
        (_, Progress::Failed { at_ms, .. }) => Some((at_ms + refused_wait_ms(intent, *at_ms, timing), Step::Retry)),
        (IntentState::Resolved, Progress::Waiting { .. })
            if intent.accepted.is_some() && channel.is_some_and(|channel| !channel.send_resolved) =>
        {
            Some((i64::MIN, Step::Forget))
        }
        // Not before a try that was made when its time was over, or whose turn came then: while nothing ran, nobody was asked.
        (IntentState::Resolved, Progress::Waiting { next_attempt_ms, .. }) => {
            (*next_attempt_ms > expires_ms).then_some((expires_ms, Step::GiveUp))
        }
        (IntentState::Firing, Progress::Waiting { .. }) | (_, Progress::Sending { .. }) => None,
    }
}

/// From a refusal to the next try: as long as it is late by then, within bounds. Who puts it right over there waits no longer than
/// it took to find out.
fn refused_wait_ms(intent: &Intent, refused_ms: i64, timing: &Timing) -> i64 {
    let critical = intent.instances.iter().any(is_critical);
    let longest_ms = if critical { timing.refused_retry_cap_critical_ms } else { timing.refused_retry_cap_ms };
    (refused_ms - intent.not_before_ms).max(timing.refused_retry_ms).min(longest_ms)
}

/// Whether its receiver is one that a route leads these alerts to, or that is told for another reason: as a stand-in, as a step of
/// an escalation, as a test.
fn is_meant(config: &Config, intent: &Intent) -> bool {
    let stands_in = intent.fallback_for.is_some() || !handle(intent, mark::STEP).is_empty() || is_test(intent);
    stands_in || led_by(config, intent).is_some()
}

/// When a message that can be edited says anew how its alerts are: after five minutes, and each time its age has doubled, so
/// that the edits of a message stay few however long it lasts.
fn refresh_at_ms(intent: &Intent, channel: &Channel, told_ms: i64) -> Option<i64> {
    let ChannelKind::Slack(slack) = &channel.kind else { return None };
    if !slack.can_edit() || super::is_news(intent) || !handle(intent, mark::FLAPPING).is_empty() {
        return None;
    }
    let began_ms = intent.instances.iter().filter_map(|instance| instance.fired_at_ms).min()?;
    Some(told_ms + (told_ms - began_ms).max(REFRESH_FIRST_MS))
}

/// A try as the first one again. The words of the refusal stay until the next answer.
fn retry_of(progress: &Progress) -> Progress {
    let last_error = match progress {
        Progress::Failed { error, .. } => error.clone(),
        _ => String::new(),
    };
    Progress::Waiting { attempts: 0, next_attempt_ms: 0, last_error }
}
