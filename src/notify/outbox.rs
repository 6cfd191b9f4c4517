//! What every channel should know, and how far it is: pure steps over the intents of one tenant.
//!
//! An intent is a desired state: newer revisions replace unsent older ones, so the outbox is bounded by what is firing.
//! Whoever accepted a firing is owed its end; what fired and ended before anyone took it is still told, once.

use std::collections::{BTreeMap, BTreeSet};

use model::alert::{AlertState, Attempt, Instance, Intent, IntentState, Progress};

use crate::config::{ChannelKind, Config, Receiver, Target};
use crate::engine::TEST_RULE;
use crate::timing::Timing;

mod clock;
mod escalate;
mod fallback;
mod flap;
mod join;
mod leaving;
mod marks;
mod outcome;
mod storm;
mod suppressed;
mod sweep;
mod undelivered;

pub(crate) use flap::{WINDOW_MS as FLAP_WINDOW_MS, ends_later};
pub(crate) use marks::{Marks, is_acked, is_held, is_muted, is_quiet, is_told};
pub(crate) use outcome::Sent;
pub(crate) use storm::{is_storm, total as storm_total};
pub(crate) use suppressed::{HeldBack, visible};
pub use undelivered::Undelivered;

pub(crate) use join::group_prefix;

use join::Manner;

/// Receiver's channel and scope.
pub(crate) type Key = (String, String);

/// Open alerts of a channel that have a scope each; what fires beyond shares the scopes of groups, then one.
const OPEN_SCOPES_MAX: usize = 500;

/// Entries of an intent's handle that are ours, not a channel's.
pub(crate) mod mark {
    /// The latest revision that brings something new to look at: an alert more, or a repeat.
    pub(crate) const LOUD: &str = "loud_rev";
    /// The latest revision with which an alert joined a storm that was told of: news, but where a message is edited no bell rings
    /// for each.
    pub(crate) const JOINED: &str = "joined_rev";
    /// An attempt may have arrived though nobody said so.
    pub(crate) const UNSURE: &str = "unsure";
    /// The latest revision whose news a fallback was given.
    pub(crate) const FELL_BACK: &str = "fell_back_rev";
    /// Why the fallback is told.
    pub(crate) const WHY: &str = "why";
    /// When the group's first message began, in ms: its later ones keep to the ticks of `group_interval` from there.
    pub(crate) const FIRST: &str = "first_ms";
    /// Episodes that the receiver took as firing and not yet as ended.
    pub(crate) const TOLD: &str = "told";
    /// Episodes that are held back now, though told.
    pub(crate) const MUTED: &str = "muted";
    /// `inhibition` when that is what holds them.
    pub(crate) const MUTED_BY: &str = "muted_by";
    /// Who looks after it and what they said; for messages.
    pub(crate) const ACK: &str = "ack";
    /// Whether everything that fires is looked after.
    pub(crate) const ACKED: &str = "acked";
    /// In what is sent alone: it brings no news, so nobody is to be woken by it.
    pub(crate) const QUIET: &str = "quiet";
    /// In what is sent alone: which alerts its alerts inhibit.
    pub(crate) const BEHIND: &str = "behind";
    /// Earlier episodes of its alert in words, as its first message told of them.
    pub(crate) const BEFORE: &str = "before";
    /// That its alert came back soon after its end, in words.
    pub(crate) const BACK: &str = "back";
    /// A step of an escalation.
    pub(crate) const STEP: &str = "step";
    /// How often its alert comes and goes.
    pub(crate) const FLAPPING: &str = "flapping";
    /// How many alerts a storm was ever about.
    pub(crate) const STORM_TOTAL: &str = "storm_total";
    /// The revision that says that the storm is over.
    pub(crate) const STORM_OVER: &str = "storm_over";
}

/// From when an alert's waits count, and whether something held it back until now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) since_ms: i64,
    pub(crate) released: bool,
}

/// The intents of a tenant, and which of them the store does not know yet.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    intents: BTreeMap<Key, Intent>,
    dirty: BTreeSet<Key>,
    gone: BTreeSet<Key>,
    /// By channel.
    gates: BTreeMap<String, storm::Gate>,
    flaps: flap::Flaps,
    /// Episodes that took another one's place, by that one.
    replaced: BTreeMap<String, String>,
    /// Lines of the history that nobody wrote yet.
    lines: Vec<Attempt>,
}

impl Outbox {
    pub(crate) fn load(intents: Vec<Intent>) -> Outbox {
        let intents = intents.into_iter().map(|intent| (key_of(&intent), intent)).collect();
        let mut outbox = Outbox { intents, ..Outbox::default() };
        outbox.resume_storms();
        outbox
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Intent> {
        self.intents.get(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Intent)> {
        self.intents.iter()
    }

    fn of_channel(&self, channel: &str) -> impl Iterator<Item = (&Key, &Intent)> {
        let channel = channel.to_owned();
        self.intents.range((channel.clone(), String::new())..).take_while(move |(key, _)| key.0 == channel)
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

    /// Puts an episode's present value and annotations where it is known, without telling anyone. Whether every channel that routes
    /// lead it to knows of it: a reload may have moved it.
    pub(crate) fn refresh(&mut self, instance: &Instance, config: &Config) -> bool {
        let mut knowing = BTreeSet::new();
        for (key, intent) in &mut self.intents {
            let Some(at) = position(intent, instance) else { continue };
            knowing.insert(key.0.as_str());
            if intent.instances[at].state == AlertState::Firing && intent.instances[at] != *instance {
                intent.instances[at] = instance.clone();
                self.dirty.insert(key.clone());
            }
        }
        let targets = config.route.targets(&instance.labels).into_iter();
        let mut channels = targets.filter_map(|target| config.receiver(&target.receiver)).flat_map(|one| &one.channels);
        channels.all(|channel| knowing.contains(channel.name.as_str()))
    }

    /// Puts what is known of an intent's alerts by now, in their order, where they still fire in the same episode.
    pub(crate) fn bring_up_to_date(&mut self, key: &Key, present: &[Option<Instance>]) {
        let Some(intent) = self.intents.get_mut(key) else { return };
        for (known, now) in intent.instances.iter_mut().zip(present) {
            let Some(now) = now else { continue };
            let is_same =
                now.fired_at_ms == known.fired_at_ms && now.rule_id == known.rule_id && now.labels == known.labels;
            let fires = known.state == AlertState::Firing && now.state == AlertState::Firing;
            if is_same && fires && now != known {
                *known = now.clone();
                self.dirty.insert(key.clone());
            }
        }
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

    /// The route's settings that an intent's messages go by.
    pub(crate) fn target_of<'a>(&self, config: &'a Config, intent: &Intent) -> &'a Target {
        settings(config, intent)
    }

    /// Lets the channels of one target know of a firing alert.
    pub(crate) fn tell(&mut self, instance: &Instance, target: &Target, config: &Config, now_ms: i64, timing: &Timing) {
        let Some(receiver) = config.receiver(&target.receiver) else { return };
        let start = Start { since_ms: instance.fired_at_ms.unwrap_or(now_ms), released: false };
        self.tell_since(instance, start, target, receiver, config, now_ms, timing);
    }

    /// As [`Outbox::tell`], with another start.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn tell_since(
        &mut self,
        instance: &Instance,
        start: Start,
        target: &Target,
        receiver: &Receiver,
        config: &Config,
        now_ms: i64,
        timing: &Timing,
    ) {
        self.note_fire(instance);
        for channel in &receiver.channels {
            let manner = Manner {
                alone: matches!(&channel.kind, ChannelKind::PagerDuty(pagerduty) if !pagerduty.by_group),
                edits: matches!(&channel.kind, ChannelKind::Slack(slack) if slack.can_edit()),
            };
            self.join(&channel.name, manner, instance, start, target, now_ms, timing);
        }
        self.plan_steps(receiver, instance, target, config, now_ms);
    }

    /// Tells of the ends of flapping alerts that stayed away, and that storms are over.
    pub(crate) fn settle_noise(&mut self, config: &Config, now_ms: i64) {
        for (key, instance) in self.quiet_ends(now_ms) {
            self.end_in(&key, &instance, config, now_ms);
        }
        self.calm_down(now_ms);
    }

    /// An episode ended: everyone who was told, or is about to be, should know.
    fn end(&mut self, instance: &Instance, config: &Config, now_ms: i64) {
        self.note_end(instance);
        let keys: Vec<Key> = self
            .intents
            .iter()
            .filter(|(_, intent)| {
                position(intent, instance).is_some_and(|at| intent.instances[at].state == AlertState::Firing)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            let at = self.intents.get(&key).and_then(|intent| position(intent, instance));
            if !at.is_some_and(|at| self.hold_end(&key, at, instance, now_ms)) {
                self.end_in(&key, instance, config, now_ms);
            }
        }
    }

    fn end_in(&mut self, key: &Key, instance: &Instance, config: &Config, now_ms: i64) {
        // Taken out and put back: a group may have thousands of alerts.
        let Some(at) = self.intents.get(key).and_then(|intent| position(intent, instance)) else { return };
        let Some(mut intent) = self.intents.remove(key) else { return };
        if marks::is_muted(&intent, instance)
            && !marks::is_told(&intent, instance)
            && !matches!(intent.progress, Progress::Sending { .. })
        {
            // It began and ended while it was held back: nobody is to hear of it.
            intent.instances.remove(at);
            if intent.instances.is_empty() {
                self.dirty.remove(key);
                self.gone.insert(key.clone());
            } else {
                self.put(intent);
            }
            return;
        }
        intent.instances[at] = instance.clone();
        let over = intent.instances.iter().all(|other| other.state != AlertState::Firing);
        let channel = config.channel(&key.0).map(|(_, channel)| channel);
        if !over && channel.is_some_and(|channel| !channel.send_resolved) && intent.accepted.is_some() {
            // Its end is nobody's business; the others of the group stay told.
            intent.instances.retain(|other| other.state == AlertState::Firing);
            self.put(intent);
            return;
        }
        let due_ms = match (over, intent.accepted) {
            (true, Some(_)) => now_ms,
            (_, None) => intent.not_before_ms,
            (false, Some(_)) => next_tick_ms(&intent, settings(config, &intent).group_interval_ms, now_ms),
        };
        let want = if over { IntentState::Resolved } else { IntentState::Firing };
        revise(&mut intent, want, due_ms, false);
        self.put(intent);
    }
}

pub(crate) fn key_of(intent: &Intent) -> Key {
    (intent.receiver.clone(), intent.scope.clone())
}

pub(crate) fn is_critical(instance: &Instance) -> bool {
    instance.labels.value("severity") == "critical"
}

pub(crate) fn is_test(intent: &Intent) -> bool {
    intent.instances.iter().all(|instance| instance.rule_id == TEST_RULE)
}

/// A test message of which nothing is known yet, and for which somebody waits: it is tried although its channel is held back.
pub(crate) fn is_untried_test(intent: &Intent) -> bool {
    is_test(intent) && matches!(intent.progress, Progress::Waiting { attempts: 0, .. })
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

/// Whether the next message brings something that a bell is to ring for: not only an end, a correction, or more of a storm.
pub(crate) fn is_loud(intent: &Intent) -> bool {
    number(intent, mark::LOUD) > told_rev(intent)
}

/// Whether the next message brings something that its readers have not seen: what they must not miss.
pub(crate) fn is_news(intent: &Intent) -> bool {
    news_rev(intent) > told_rev(intent)
}

/// The latest revision that brings news.
fn news_rev(intent: &Intent) -> u64 {
    number(intent, mark::LOUD).max(number(intent, mark::JOINED))
}

/// The latest revision that the receiver took; 0 when there is none.
fn told_rev(intent: &Intent) -> u64 {
    intent.accepted.map_or(0, |(rev, _)| rev)
}

/// What waited as news is none any more.
fn forget_news(intent: &mut Intent) {
    let rev = told_rev(intent).to_string();
    set_handle(intent, mark::LOUD, &rev);
    set_handle(intent, mark::JOINED, "");
}

/// A revision among the marks; 0 when there is none.
fn number(intent: &Intent, name: &str) -> u64 {
    handle(intent, name).parse().unwrap_or(0)
}

pub(crate) fn new_intent(channel: &str, scope: String, instances: Vec<Instance>, now_ms: i64, due_ms: i64) -> Intent {
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
    // The severity of a rule with levels moves within an episode.
    let moved = || a.evidence.level.is_some() && a.fingerprint() == b.fingerprint();
    a.rule_id == b.rule_id && (a.labels == b.labels || moved())
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

/// The group's first tick after a time: Alertmanager's groups flush once, and then every `group_interval` from there.
fn next_tick_ms(intent: &Intent, interval_ms: i64, after_ms: i64) -> i64 {
    tick_at_ms(intent, interval_ms, after_ms + 1)
}

/// The group's first tick at or after a time.
pub(super) fn tick_at_ms(intent: &Intent, interval_ms: i64, at_ms: i64) -> i64 {
    let told_ms = match intent.progress {
        Progress::Accepted { at_ms } => at_ms,
        _ => intent.not_before_ms,
    };
    let first_ms = handle(intent, mark::FIRST).parse().unwrap_or(told_ms);
    let interval_ms = interval_ms.max(1);
    let ticks = (at_ms - first_ms).max(0).div_euclid(interval_ms);
    let tick_ms = first_ms + ticks * interval_ms;
    if tick_ms < at_ms { tick_ms + interval_ms } else { tick_ms }
}

/// Intervals of an intent: of the route that leads its alerts to its receiver, else of the root.
fn settings<'a>(config: &'a Config, intent: &Intent) -> &'a Target {
    led_by(config, intent).unwrap_or(&config.route.target)
}

/// The route that leads an intent's alerts to its receiver.
fn led_by<'a>(config: &'a Config, intent: &Intent) -> Option<&'a Target> {
    let (receiver, _) = config.channel(&intent.receiver)?;
    let mut targets = intent.instances.iter().flat_map(|instance| config.route.targets(&instance.labels));
    targets.find(|target| target.receiver == receiver.name)
}

#[cfg(test)]
mod tests;
