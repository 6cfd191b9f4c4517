//! What goes with a message, gathered when its attempt begins.

use model::alert::{AlertState, Instance, Intent, Transition};
use model::time::format_duration_ms;

use crate::delivery::{Context, slack_channel_of};
use crate::message::{name_of, utc};

use super::{Engine, blocking};

/// Newest changes of state among which an alert's earlier episodes are looked for.
const TRANSITIONS_MAX: usize = 2_000;
/// Alerts of a group whose earlier episodes its message tells of.
const EARLIER_MAX: usize = 3;

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

    /// How often these alerts fired before, and for how long the last time; empty when the latest history has nothing of them. That
    /// the store cannot be read is no reason to hold a message back.
    pub(super) async fn before(&self, instances: &[Instance]) -> String {
        let Some(latest_ms) = instances.iter().map(begun_ms).max() else { return String::new() };
        let alerts = self.alerts.clone();
        let read = blocking(move || alerts.transitions(latest_ms, TRANSITIONS_MAX)).await;
        let Ok(transitions) = read else { return String::new() };
        if let [only] = instances {
            return earlier(only, &transitions);
        }
        let told = instances.iter().filter_map(|instance| {
            let words = Some(earlier(instance, &transitions)).filter(|words| !words.is_empty())?;
            Some(format!("{}: {words}", name_of(instance)))
        });
        told.take(EARLIER_MAX).collect::<Vec<_>>().join("\n")
    }
}

fn begun_ms(instance: &Instance) -> i64 {
    instance.fired_at_ms.unwrap_or(instance.active_at_ms)
}

/// Of `transitions`, the newest first, those of one alert before this episode, in words.
fn earlier(instance: &Instance, transitions: &[Transition]) -> String {
    let begun_ms = begun_ms(instance);
    let of_alert = transitions.iter().filter(|change| {
        change.at_ms < begun_ms && change.rule_id == instance.rule_id && change.labels == instance.labels
    });
    let (mut fired, mut last_ms, mut ended_ms) = (0, None, None);
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
