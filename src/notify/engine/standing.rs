//! How channels are, by their own past and by their services'.

use std::collections::BTreeMap;

use model::alert::{Attempt, Outcome};

use crate::config::ChannelKind;
use crate::health::Health;
use crate::limits::Places;
use crate::notifier::{ChannelView, ReceiverView};
use crate::{Config, ServiceLimits, Timing};

use super::Engine;

impl Engine {
    /// Names of channels that do not work.
    pub(super) fn broken(&self) -> Vec<String> {
        let channels = self.config.channels().map(|channel| channel.name.clone());
        channels.filter(|name| self.standing(name).broken()).collect()
    }

    fn standing(&self, name: &str) -> Health {
        standing(&self.config, &self.health, &self.limits, &self.timing, name)
    }

    pub(crate) fn views(&self) -> Vec<ReceiverView> {
        let view = |receiver: &crate::config::Receiver| ReceiverView {
            name: receiver.name.clone(),
            channels: receiver
                .channels
                .iter()
                .map(|channel| {
                    let health = self.standing(&channel.name);
                    ChannelView {
                        name: channel.name.clone(),
                        kind: channel.kind.as_str(),
                        last_success_ms: health.last_success_ms,
                        last_failure_ms: health.last_failure_ms,
                        broken: health.broken() || matches!(channel.kind, ChannelKind::Unsent(_)),
                        last_error: match &channel.kind {
                            ChannelKind::Unsent(unsent) => unsent.reason.clone(),
                            _ => match self.template_problems.get(&channel.name) {
                                Some(problem) => format!("template: {problem}"),
                                None => health.last_error,
                            },
                        },
                    }
                })
                .collect(),
        };
        self.config.receivers.iter().map(view).collect()
    }
}

/// What channels came to before a restart, from attempts with the newest first. Only what people are shown: whether attempts are held
/// back is learnt anew.
pub(super) fn remembered(config: &Config, attempts: Vec<Attempt>) -> BTreeMap<String, Health> {
    let mut found: BTreeMap<String, Health> = BTreeMap::new();
    for attempt in attempts {
        if config.channel(&attempt.receiver).is_none() {
            continue;
        }
        let health = found.entry(attempt.receiver).or_default();
        match attempt.outcome {
            Outcome::Accepted => {
                health.last_success_ms.get_or_insert(attempt.at_ms);
            }
            Outcome::Throttled | Outcome::Transient | Outcome::Permanent if health.last_failure_ms.is_none() => {
                health.note(attempt.at_ms, &attempt.words);
            }
            // Not tried, or nobody knows what came of it.
            _ => {}
        }
    }
    found
}

/// How a channel is, by its own past and by its service's.
pub(super) fn standing(
    config: &Config,
    health: &BTreeMap<String, Health>,
    limits: &ServiceLimits,
    timing: &Timing,
    name: &str,
) -> Health {
    let own = health.get(name).cloned().unwrap_or_default();
    let places = config.channel(name).map(|(_, channel)| Places::of(channel, false, timing));
    match places.and_then(|places| limits.trouble(&places)) {
        Some((breaker, error)) => own.in_trouble(breaker, &error),
        None => own,
    }
}
