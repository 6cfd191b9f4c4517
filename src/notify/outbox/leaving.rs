//! Channels that are not in the configuration any more, and what they still hold.
//!
//! Whoever was told that an alert fires is told its end by the configuration that told the firing, as long as that one is known:
//! it is kept until the next start. What a channel was not told is given back, to go where the routes lead now.

use model::alert::{AlertState, Attempt, Instance, Intent, IntentState, Outcome, Progress};

use crate::config::Config;

use super::marks::Marks;
use super::outcome::attempt_of;
use super::{Outbox, forget_news, handle, is_news, mark, position};

const UNTOLD: &str =
    "its receiver is no longer in notify.yml and was not told; it goes where the routes lead now, if anywhere";
const NO_END: &str = "its receiver is no longer in notify.yml: whoever it told that this fires is not told the end";

/// What channels that are gone leave behind.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// Lines of the history: nothing goes without one.
    pub(crate) lines: Vec<Attempt>,
    /// Alerts that fired and ended and that nobody was told of.
    pub(crate) untold: Vec<Instance>,
}

impl Outbox {
    /// Whether somebody is owed an end by a channel, or may be once its attempt is over.
    pub(crate) fn owes(&self, channel: &str) -> bool {
        self.of_channel(channel).any(|(_, intent)| is_owed(intent))
    }

    /// Takes from channels that are not in the configuration what they were not told, and what nobody can tell any more.
    pub(crate) fn leave(&mut self, config: &Config, now_ms: i64) -> Left {
        let mut left = Left::default();
        let gone: Vec<Intent> =
            self.intents.values().filter(|intent| !config.is_present(&intent.receiver)).cloned().collect();
        for intent in gone {
            let can_tell = config.channel(&intent.receiver).is_some();
            let is_done = intent.want == IntentState::Resolved && matches!(intent.progress, Progress::Accepted { .. });
            if is_done || matches!(intent.progress, Progress::Sending { .. }) {
                continue;
            }
            let line = |words| attempt_of(&intent, 0, now_ms, now_ms, Outcome::Expired, 0, words);
            if !is_owed(&intent) {
                left.lines.push(line(UNTOLD));
                left.untold.extend(intent.instances.iter().filter(|one| one.state == AlertState::Resolved).cloned());
                self.remove(&super::key_of(&intent));
            } else if !can_tell {
                left.lines.push(line(NO_END));
                self.remove(&super::key_of(&intent));
            } else if let Some(told) = of_told(&intent) {
                left.lines.push(line(UNTOLD));
                self.put(told);
            }
        }
        left.untold.retain(|instance| {
            let knows = |intent: &Intent| config.is_present(&intent.receiver) && position(intent, instance).is_some();
            !self.intents.values().any(knows)
        });
        left
    }
}

fn is_owed(intent: &Intent) -> bool {
    let is_told = matches!(intent.accepted, Some((_, IntentState::Firing)));
    is_told || !handle(intent, mark::UNSURE).is_empty() || matches!(intent.progress, Progress::Sending { .. })
}

/// The intent without what its receiver was not told; `None` when that is nothing.
fn of_told(intent: &Intent) -> Option<Intent> {
    intent.accepted?;
    let mut told = intent.clone();
    let marks = Marks::of(intent);
    told.instances.retain(|instance| marks.is_told(instance));
    if told.instances.len() == intent.instances.len() && !is_news(intent) {
        return None;
    }
    forget_news(&mut told);
    if told.instances.iter().all(|instance| instance.state == AlertState::Firing) {
        told.progress = Progress::Accepted { at_ms: intent.not_before_ms };
    }
    Some(told)
}
