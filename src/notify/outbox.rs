//! What every channel should know, and how far it is: pure steps over the intents of one tenant.
//!
//! An intent is a desired state: newer revisions replace unsent older ones, so the outbox is bounded by what is firing.
//! Whoever accepted a firing is owed its end; what fired and ended before anyone took it is still told, once.

use std::collections::{BTreeMap, BTreeSet};

use model::alert::{AlertState, Instance, Intent, IntentState, Progress};
use sha2::{Digest, Sha256};

use crate::config::{ChannelKind, Config, Target};
use crate::timing::Timing;

mod fallback;
mod outcome;
mod sweep;

pub(crate) use outcome::Sent;

/// Receiver's channel and scope.
pub(crate) type Key = (String, String);

/// Open alerts of a channel that have a scope each; what fires beyond shares the scopes of groups, then one.
const OPEN_SCOPES_MAX: usize = 500;

/// Entries of an intent's handle that are ours, not a channel's.
pub(crate) mod mark {
    /// The latest revision that brings something new to look at: an alert more, or a repeat.
    pub(crate) const LOUD: &str = "loud_rev";
    /// An attempt may have arrived though nobody said so.
    pub(crate) const UNSURE: &str = "unsure";
    /// The latest revision whose news a fallback was given.
    pub(crate) const FELL_BACK: &str = "fell_back_rev";
    /// Why the fallback is told.
    pub(crate) const WHY: &str = "why";
}

/// The intents of a tenant, and which of them the store does not know yet.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    intents: BTreeMap<Key, Intent>,
    dirty: BTreeSet<Key>,
    gone: BTreeSet<Key>,
}

impl Outbox {
    pub(crate) fn load(intents: Vec<Intent>) -> Outbox {
        let intents = intents.into_iter().map(|intent| (key_of(&intent), intent)).collect();
        Outbox { intents, ..Outbox::default() }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Intent> {
        self.intents.get(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Intent)> {
        self.intents.iter()
    }

    /// Intents to write and keys to remove, not yet written as they are.
    pub(crate) fn unwritten(&self) -> (Vec<Intent>, Vec<Key>) {
        let changed = self.dirty.iter().filter_map(|key| self.intents.get(key)).cloned().collect();
        (changed, self.gone.iter().cloned().collect())
    }

    pub(crate) fn written(&mut self) {
        self.dirty.clear();
        self.gone.clear();
    }

    pub(crate) fn written_one(&mut self, key: &Key) {
        self.dirty.remove(key);
    }

    fn remove(&mut self, key: &Key) {
        if self.intents.remove(key).is_some() {
            self.dirty.remove(key);
            self.gone.insert(key.clone());
        }
    }

    fn put(&mut self, intent: Intent) {
        let key = key_of(&intent);
        self.gone.remove(&key);
        self.dirty.insert(key.clone());
        self.intents.insert(key, intent);
    }

    /// Puts an episode's present value and annotations where it is known, without telling anyone. Whether it was known.
    pub(crate) fn refresh(&mut self, instance: &Instance) -> bool {
        let mut known = false;
        for (key, intent) in &mut self.intents {
            let Some(at) = position(intent, instance) else { continue };
            known = true;
            if intent.instances[at].state == AlertState::Firing && intent.instances[at] != *instance {
                intent.instances[at] = instance.clone();
                self.dirty.insert(key.clone());
            }
        }
        known
    }

    /// Takes a firing or an end into what channels should know. The same notice twice changes nothing.
    pub(crate) fn take(&mut self, instance: &Instance, config: &Config, now_ms: i64, timing: &Timing) {
        match instance.state {
            AlertState::Pending => {}
            AlertState::Firing => {
                for target in config.route.targets(&instance.labels) {
                    self.tell(instance, target, config, now_ms, timing);
                }
            }
            AlertState::Resolved => self.end(instance, config, now_ms),
        }
    }

    /// Lets the channels of one target know of a firing alert.
    pub(crate) fn tell(&mut self, instance: &Instance, target: &Target, config: &Config, now_ms: i64, timing: &Timing) {
        let Some(receiver) = config.receiver(&target.receiver) else { return };
        for channel in &receiver.channels {
            let alone = matches!(channel.kind, ChannelKind::PagerDuty(_));
            self.join(&channel.name, alone, instance, target, now_ms, timing);
        }
    }

    fn join(&mut self, channel: &str, alone: bool, instance: &Instance, target: &Target, now_ms: i64, timing: &Timing) {
        let Some(episode) = instance.episode() else { return };
        let of_channel =
            || self.intents.range((channel.to_owned(), String::new())..).take_while(|(k, _)| k.0 == channel);
        if of_channel().any(|(_, intent)| position(intent, instance).is_some()) {
            return;
        }
        let open = of_channel().filter(|(_, intent)| is_open(intent)).count();
        let prefix = match (alone && open < OPEN_SCOPES_MAX, open < 2 * OPEN_SCOPES_MAX) {
            (true, _) => None,
            (false, true) => Some(group_prefix(target, instance)),
            (false, false) => Some("overflow-".into()),
        };
        let found = prefix.as_ref().and_then(|prefix| {
            of_channel()
                .find(|(key, intent)| key.1.starts_with(prefix.as_str()) && is_open(intent))
                .map(|(key, _)| key.clone())
        });
        let fired_ms = instance.fired_at_ms.unwrap_or(now_ms);
        let critical = is_critical(instance);
        let wait_ms =
            if critical { target.group_wait_ms.min(timing.critical_wait_max_ms) } else { target.group_wait_ms };
        let due_ms = fired_ms + wait_ms;
        match found.and_then(|key| self.intents.get(&key).cloned()) {
            Some(mut intent) => {
                // An earlier episode of the same alert: its end went untold, and the news is that it fires again.
                intent.instances.retain(|other| !is_same_alert(other, instance));
                intent.instances.push(instance.clone());
                let told = intent.accepted.is_some() || matches!(intent.progress, Progress::Sending { .. });
                let due_ms = match (told, critical) {
                    (true, false) => last_told_ms(&intent).unwrap_or(now_ms) + target.group_interval_ms,
                    _ => due_ms,
                };
                revise(&mut intent, IntentState::Firing, due_ms, true);
                self.put(intent);
            }
            None => {
                let scope = match prefix {
                    None => episode,
                    Some(prefix) => format!("{prefix}{fired_ms}"),
                };
                self.put(new_intent(channel, scope, vec![instance.clone()], now_ms, due_ms));
            }
        }
    }

    /// An episode ended: everyone who was told, or is about to be, should know.
    fn end(&mut self, instance: &Instance, config: &Config, now_ms: i64) {
        let keys: Vec<Key> = self
            .intents
            .iter()
            .filter(|(_, intent)| {
                position(intent, instance).is_some_and(|at| intent.instances[at].state == AlertState::Firing)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            let Some(mut intent) = self.intents.get(&key).cloned() else { continue };
            if let Some(at) = position(&intent, instance) {
                intent.instances[at] = instance.clone();
            }
            let over = intent.instances.iter().all(|other| other.state != AlertState::Firing);
            let channel = config.channel(&key.0).map(|(_, channel)| channel);
            if !over && channel.is_some_and(|channel| !channel.send_resolved) && intent.accepted.is_some() {
                // Its end is nobody's business; the others of the group stay told.
                intent.instances.retain(|other| other.state == AlertState::Firing);
                self.put(intent);
                continue;
            }
            let due_ms = match (over, intent.accepted) {
                (true, Some(_)) => now_ms,
                (_, None) => intent.not_before_ms,
                (false, Some(_)) => {
                    let interval_ms = settings(config, &intent).group_interval_ms;
                    last_told_ms(&intent).unwrap_or(now_ms) + interval_ms
                }
            };
            let want = if over { IntentState::Resolved } else { IntentState::Firing };
            revise(&mut intent, want, due_ms, false);
            self.put(intent);
        }
    }
}

pub(crate) fn key_of(intent: &Intent) -> Key {
    (intent.receiver.clone(), intent.scope.clone())
}

pub(crate) fn is_critical(instance: &Instance) -> bool {
    instance.labels.value("severity") == "critical"
}

/// An entry of an intent's handle; empty when there is none.
pub(crate) fn handle<'a>(intent: &'a Intent, name: &str) -> &'a str {
    intent.handle.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
}

pub(crate) fn set_handle(intent: &mut Intent, name: &str, value: &str) {
    intent.handle.retain(|(key, _)| key != name);
    if !value.is_empty() {
        intent.handle.push((name.into(), value.into()));
    }
}

/// Whether the next message brings something that its readers have not seen: not only an end, or a correction.
pub(crate) fn is_loud(intent: &Intent) -> bool {
    let told = intent.accepted.map_or(0, |(rev, _)| rev);
    number(intent, mark::LOUD) > told
}

/// A revision among the marks; 0 when there is none.
fn number(intent: &Intent, name: &str) -> u64 {
    handle(intent, name).parse().unwrap_or(0)
}

fn new_intent(channel: &str, scope: String, instances: Vec<Instance>, now_ms: i64, due_ms: i64) -> Intent {
    let ended = instances.iter().all(|instance| instance.state != AlertState::Firing);
    Intent {
        receiver: channel.into(),
        scope,
        rev: 1,
        want: if ended { IntentState::Resolved } else { IntentState::Firing },
        instances,
        created_ms: now_ms,
        not_before_ms: due_ms,
        progress: Progress::Waiting { attempts: 0, next_attempt_ms: 0, last_error: String::new() },
        accepted: None,
        handle: vec![(mark::LOUD.into(), "1".into())],
        fallback_for: None,
    }
}

/// Wants something new of a channel. What already waits keeps its turn and its count of attempts; only earlier is possible.
fn revise(intent: &mut Intent, want: IntentState, due_ms: i64, loud: bool) {
    let pending = matches!(intent.progress, Progress::Waiting { .. } | Progress::Failed { .. });
    intent.not_before_ms = if pending { intent.not_before_ms.min(due_ms) } else { due_ms };
    intent.rev += 1;
    intent.want = want;
    if loud {
        let rev = intent.rev.to_string();
        set_handle(intent, mark::LOUD, &rev);
    }
    if let Progress::Accepted { .. } = intent.progress {
        intent.progress = Progress::Waiting { attempts: 0, next_attempt_ms: 0, last_error: String::new() };
    }
}

/// Where an intent has this very episode of an alert.
fn position(intent: &Intent, instance: &Instance) -> Option<usize> {
    let fired_ms = instance.fired_at_ms?;
    intent.instances.iter().position(|other| other.fired_at_ms == Some(fired_ms) && is_same_alert(other, instance))
}

fn is_same_alert(a: &Instance, b: &Instance) -> bool {
    a.rule_id == b.rule_id && a.labels == b.labels
}

/// Whether a new alert of the group belongs here: its end was not told and is not being told.
fn is_open(intent: &Intent) -> bool {
    match intent.want {
        IntentState::Firing => true,
        IntentState::Resolved => matches!(intent.progress, Progress::Waiting { .. }),
    }
}

fn last_told_ms(intent: &Intent) -> Option<i64> {
    match intent.progress {
        Progress::Accepted { at_ms } => Some(at_ms),
        _ => None,
    }
}

/// Start of a group's scope: its labels, not its route, so that a reload does not tell everything again.
fn group_prefix(target: &Target, instance: &Instance) -> String {
    let mut hash = Sha256::new();
    for (name, value) in target.group_labels(&instance.labels).iter() {
        for text in [name, value] {
            hash.update(text.as_bytes());
            hash.update([0xff]);
        }
    }
    format!("group-{}-", &model::any::hex(&hash.finalize())[..16])
}

/// Intervals of an intent: of the route that leads its alerts to its receiver, else of the root.
fn settings<'a>(config: &'a Config, intent: &Intent) -> &'a Target {
    let receiver = config.channel(&intent.receiver).map(|(receiver, _)| receiver.name.as_str());
    intent
        .instances
        .iter()
        .flat_map(|instance| config.route.targets(&instance.labels))
        .find(|target| Some(target.receiver.as_str()) == receiver)
        .unwrap_or(&config.route.target)
}

#[cfg(test)]
mod tests;
