//! What goes with a message, gathered when its attempt begins.

use model::alert::{AlertState, Instance, Intent};
use model::time::format_duration_ms;

use crate::delivery::{Context, slack_channel_of};
use crate::message::utc;

use super::{Engine, blocking};

/// Newest changes of state among which an alert's earlier episodes are looked for.
const TRANSITIONS_MAX: usize = 2_000;

impl Engine {
    pub(super) fn context(&self, intent: &Intent) -> Context {
        let receiver = self.config.channel(&intent.receiver).map(|(receiver, _)| receiver.name.clone());
        let target = self.outbox.target_of(&self.config, intent);
        let learnt = self.outbox.iter().filter(|(key, _)| key.0 == intent.receiver);
        Context {
            receiver: receiver.unwrap_or_default(),
            pictures: self.charts.pictures(),
            group_labels: intent
                .instances
                .first()
                .map(|instance| target.group_labels(&instance.labels))
                .unwrap_or_default(),
            slack_channel: learnt
                .map(|(_, other)| slack_channel_of(other))
                .find(|id| !id.is_empty())
                .unwrap_or_default(),
        }
    }

    /// How often an alert fired before, and for how long the last time; empty when the latest history has nothing of it. That the
    /// store cannot be read is no reason to hold a message back.
    pub(super) async fn before(&self, instance: &Instance) -> String {
        let (alerts, fired_ms) = (self.alerts.clone(), instance.fired_at_ms.unwrap_or(instance.active_at_ms));
        let read = blocking(move || alerts.transitions(fired_ms, TRANSITIONS_MAX)).await;
        let Ok(transitions) = read else { return String::new() };
        let of_alert =
            transitions.iter().filter(|change| change.rule_id == instance.rule_id && change.labels == instance.labels);
        let (mut fired, mut last_ms, mut ended_ms) = (0, None, None);
        // Newest first.
        for change in of_alert {
            if change.to == Some(AlertState::Firing) {
                fired += 1;
                last_ms.get_or_insert(change.at_ms);
            } else if change.from == Some(AlertState::Firing) && last_ms.is_none() {
                ended_ms.get_or_insert(change.at_ms);
            }
        }
        let Some(last_ms) = last_ms else { return String::new() };
        let lasted = ended_ms.map_or(String::new(), |ended_ms: i64| {
            format!(" for {}", format_duration_ms((ended_ms - last_ms).max(0) / 1_000 * 1_000))
        });
        let times = if fired == 1 { "once".into() } else { format!("{fired} times") };
        format!("Fired {times} before, last at {}{lasted}", utc(last_ms))
    }
}
