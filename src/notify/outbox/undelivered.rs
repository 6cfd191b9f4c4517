//! News that nobody took, although it was tried or because its channel does not work: what the pages warn of, and what holds the
//! dead man's switch back.

use std::collections::{BTreeMap, BTreeSet};

use model::alert::{Intent, Progress};

use super::{Outbox, handle, is_critical, is_held, is_news, mark};
use crate::health::Health;

/// News is not called undelivered before it is so late, in ms: a single failed attempt is no trouble.
const LATE_MS: i64 = 5_000;

/// An alert that should have reached somebody and did not.
#[derive(Debug, Clone, PartialEq)]
pub struct Undelivered {
    /// The alert in words: `HostDown web-1`.
    pub subject: String,
    /// The channel that was tried, and its last words.
    pub channel: String,
    pub reason: String,
    /// When it was due.
    pub since_ms: i64,
    pub critical: bool,
}

impl Outbox {
    /// Each alert once, the oldest first; of none that any channel took. `health` tells how a channel is.
    pub(crate) fn undelivered(&self, health: &dyn Fn(&str) -> Health, now_ms: i64) -> Vec<Undelivered> {
        let told: BTreeSet<String> = self
            .intents
            .values()
            .filter(|intent| intent.accepted.is_some() && !is_news(intent))
            .flat_map(|intent| intent.instances.iter().filter_map(|instance| instance.episode()))
            .collect();
        // Asked once for each channel: its places are named by hashing their keys.
        let mut known: BTreeMap<&str, Health> = BTreeMap::new();
        let mut late: Vec<(&Intent, String)> = Vec::new();
        for intent in self.intents.values() {
            if !is_news(intent) || is_held(intent) || now_ms - intent.not_before_ms < LATE_MS {
                continue;
            }
            let channel = known.entry(&intent.receiver).or_insert_with(|| health(&intent.receiver));
            let reason = failure(intent, channel);
            if !reason.is_empty() {
                late.push((intent, reason));
            }
        }
        late.sort_by_key(|(intent, _)| intent.not_before_ms);
        let mut named = BTreeSet::new();
        let mut out = Vec::new();
        for (intent, reason) in late {
            let new = intent
                .instances
                .iter()
                .filter_map(|instance| instance.episode())
                .filter(|episode| !told.contains(episode) && named.insert(episode.clone()))
                .count();
            if new > 0 {
                out.push(Undelivered {
                    subject: crate::message::subject_of(intent),
                    channel: intent.receiver.clone(),
                    reason,
                    since_ms: intent.not_before_ms,
                    critical: intent.instances.iter().any(is_critical),
                });
            }
        }
        out
    }
}

/// Why it is not told: what its last attempt came to, or those of others on its channel that it waits behind. Empty where nothing
/// failed.
fn failure(intent: &Intent, channel: &Health) -> String {
    match &intent.progress {
        Progress::Failed { error, .. } => error.clone(),
        Progress::Waiting { last_error, .. } if !last_error.is_empty() => last_error.clone(),
        // A try under way after others: the earlier ones failed.
        Progress::Sending { attempt, .. } if *attempt > 1 => "tried again just now".into(),
        _ if !handle(intent, mark::UNSURE).is_empty() => "it may have arrived, which nobody can tell".into(),
        Progress::Waiting { .. } if channel.is_failing() => {
            format!("not tried yet, as others are not taken: {}", channel.last_error)
        }
        _ => String::new(),
    }
}
