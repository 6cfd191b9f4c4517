//! News that nobody took although it was tried: what the pages warn of, and what holds the dead man's switch back.

use std::collections::BTreeSet;

use model::alert::{Intent, Progress};

use super::{Outbox, handle, is_critical, is_loud, mark};

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
    /// Each alert once, the oldest first; of none that any channel took.
    pub(crate) fn undelivered(&self, now_ms: i64) -> Vec<Undelivered> {
        let told: BTreeSet<String> = self
            .intents
            .values()
            .filter(|intent| intent.accepted.is_some() && !is_loud(intent))
            .flat_map(|intent| intent.instances.iter().filter_map(|instance| instance.episode()))
            .collect();
        let mut late: Vec<&Intent> = self
            .intents
            .values()
            .filter(|intent| is_loud(intent) && now_ms - intent.not_before_ms >= LATE_MS)
            .filter(|intent| !failure(intent).is_empty())
            .collect();
        late.sort_by_key(|intent| intent.not_before_ms);
        let mut named = BTreeSet::new();
        let mut out = Vec::new();
        for intent in late {
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
                    reason: failure(intent).to_owned(),
                    since_ms: intent.not_before_ms,
                    critical: intent.instances.iter().any(is_critical),
                });
            }
        }
        out
    }
}

/// Why the last attempt came to nothing; empty when none failed.
fn failure(intent: &Intent) -> &str {
    match &intent.progress {
        Progress::Failed { error, .. } => error,
        Progress::Waiting { last_error, .. } if !last_error.is_empty() => last_error,
        // A try under way after others: the earlier ones failed.
        Progress::Sending { attempt, .. } if *attempt > 1 => "tried again just now",
        _ if !handle(intent, mark::UNSURE).is_empty() => "it may have arrived, which nobody can tell",
        _ => "",
    }
}
