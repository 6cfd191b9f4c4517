//! When a channel cannot be told, its receiver's fallback is, with the reason.

use model::alert::{AlertState, Instance, Intent, IntentState, Progress};

use crate::config::{Config, Fallback};
use crate::health::Health;

use super::{
    Key, Outbox, handle, is_held, is_news, key_of, mark, new_intent, news_rev, number, position, revise, set_handle,
};

impl Outbox {
    /// Tells fallbacks what their channels could not be told in time, and takes back what became needless unsent.
    pub(super) fn fall_back(&mut self, config: &Config, health: &dyn Fn(&str) -> Health, now_ms: i64) {
        let mut to_tell: Vec<(Intent, Fallback)> = Vec::new();
        for intent in self.intents.values() {
            let Some((receiver, _)) = config.channel(&intent.receiver) else { continue };
            let Some(fallback) = &receiver.fallback else { continue };
            if is_due(intent, fallback, &health(&intent.receiver), now_ms) {
                to_tell.push((intent.clone(), fallback.clone()));
            }
        }
        for (mut intent, fallback) in to_tell {
            let Some(receiver) = config.receiver(&fallback.to) else { continue };
            for channel in &receiver.channels {
                self.stand_in(&channel.name, &intent, &health(&intent.receiver), now_ms);
            }
            let rev = intent.rev.to_string();
            set_handle(&mut intent, mark::FELL_BACK, &rev);
            self.put(intent);
        }
        let needless: Vec<Key> =
            self.intents.iter().filter(|(_, intent)| self.is_needless(intent)).map(|(key, _)| key.clone()).collect();
        for key in needless {
            self.remove(&key);
        }
    }

    fn stand_in(&mut self, channel: &str, primary: &Intent, health: &Health, now_ms: i64) {
        let key = (channel.to_owned(), primary.scope.clone());
        match self.intents.get(&key).cloned() {
            None => {
                // Another channel's fallback may have told it there already: one mail when Slack and PagerDuty are down.
                let known = |instance: &Instance| {
                    self.of_channel(channel).any(|(_, intent)| position(intent, instance).is_some())
                };
                let news: Vec<Instance> =
                    primary.instances.iter().filter(|instance| !known(instance)).cloned().collect();
                if news.is_empty() {
                    return;
                }
                let mut intent = new_intent(channel, primary.scope.clone(), news, now_ms, now_ms);
                intent.fallback_for = Some(primary.receiver.clone());
                intent.handle.push((mark::WHY.into(), reason(primary, health)));
                self.put(intent);
            }
            Some(mut intent) => {
                let news: Vec<_> = primary
                    .instances
                    .iter()
                    .filter(|instance| instance.state == AlertState::Firing)
                    .filter(|instance| position(&intent, instance).is_none())
                    .cloned()
                    .collect();
                if !news.is_empty() {
                    intent.instances.extend(news);
                    revise(&mut intent, IntentState::Firing, now_ms, true);
                    self.put(intent);
                }
            }
        }
    }

    /// A stand-in that was never sent, while the channel it stands in for was told by now.
    fn is_needless(&self, intent: &Intent) -> bool {
        let Some(primary) = &intent.fallback_for else { return false };
        let waiting = matches!(intent.progress, Progress::Waiting { .. } | Progress::Failed { .. });
        let unsure = !handle(intent, mark::UNSURE).is_empty();
        let told = self
            .intents
            .get(&(primary.clone(), intent.scope.clone()))
            .is_some_and(|primary| primary.accepted.is_some() && !is_news(primary));
        intent.accepted.is_none() && waiting && !unsure && told
    }

    /// When the clock alone makes a fallback due, if it will.
    pub(super) fn fallback_at_ms(intent: &Intent, config: &Config) -> Option<i64> {
        let (receiver, _) = config.channel(&intent.receiver)?;
        let fallback = receiver.fallback.as_ref().filter(|fallback| fallback.on_deadline)?;
        wants_fallback(intent).then(|| intent.not_before_ms + fallback.after_ms)
    }
}

/// Whether it has news that neither its channel nor a stand-in was given. Ends and corrections are not worth waking somebody
/// else.
fn wants_fallback(intent: &Intent) -> bool {
    is_news(intent) && !is_held(intent) && number(intent, mark::FELL_BACK) < news_rev(intent)
}

fn is_due(intent: &Intent, fallback: &Fallback, health: &Health, now_ms: i64) -> bool {
    if !wants_fallback(intent) || now_ms < intent.not_before_ms {
        return false;
    }
    match intent.progress {
        Progress::Failed { .. } => fallback.on_config,
        Progress::Accepted { .. } => false,
        Progress::Waiting { .. } | Progress::Sending { .. } => {
            let late = fallback.on_deadline && now_ms >= intent.not_before_ms + fallback.after_ms;
            late || fallback.on_breaker_open && health.breaker_open()
        }
    }
}

/// `oncall/slack[0] was not reached (3 attempts): connection refused`.
fn reason(primary: &Intent, health: &Health) -> String {
    let (channel, _) = key_of(primary);
    let (attempts, error) = match &primary.progress {
        Progress::Waiting { attempts, last_error, .. } => (*attempts, last_error.as_str()),
        Progress::Sending { attempt, .. } => (*attempt, ""),
        Progress::Failed { error, .. } => return format!("{channel} refused the message: {error}"),
        Progress::Accepted { .. } => (0, ""),
    };
    let error = if error.is_empty() { health.last_error.as_str() } else { error };
    let tried = if attempts == 1 { "1 attempt".into() } else { format!("{attempts} attempts") };
    if error.is_empty() {
        format!("{channel} was not reached in time ({tried})")
    } else {
        format!("{channel} was not reached ({tried}): {error}")
    }
}
