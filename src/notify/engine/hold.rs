//! What fires, what holds it back, and who looks after it: kept in step with the store, and laid over the outbox.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::alert::{AlertState, Attempt, Evidence, Instance, PUSHED_RULE, label_fingerprint};
use model::{Ack, PushedAlert, Silence, SilenceState};
use store::{SilenceChange, StoreError};

use super::{Engine, TEST_RULE, blocking};
use crate::message::GENERATOR_URL;
use crate::outbox::{HeldBack, Start, ends_later};
use crate::suppress::Suppression;

/// How long silences that are over are shown, in ms, as Alertmanager's `data.retention`.
const SILENCE_KEEP_MS: i64 = 5 * 86_400_000;
/// How long pushed alerts that are over are shown, in ms.
const PUSHED_KEEP_MS: i64 = 15 * 60_000;
/// Lines of the history about one episode and channel that are remembered, so that none is written twice.
const NOTED_MAX: usize = 20_000;
/// Inhibited alerts named in their source's message; the rest are counted.
const BEHIND_MAX: usize = 5;

/// The part of the engine's state that decides about suppression.
#[derive(Default)]
pub(super) struct Hold {
    /// What fires, by episode.
    live: HashMap<String, Instance>,
    silences: Vec<Silence>,
    acks: BTreeMap<String, Ack>,
    pushed: Vec<PushedAlert>,
    suppression: Suppression,
    /// Episodes that some channel is not told of, and whether an inhibition was the reason.
    waiting: HashMap<String, bool>,
    /// Channel, episode and reason of history lines that are written.
    noted: HashSet<(String, String, String)>,
    /// The store's count of changes that is known; `None` before the first reading.
    seen: Option<u64>,
    /// Whether what suppresses must be built anew.
    stale: bool,
    /// When it changes by the clock.
    next_change_ms: Option<i64>,
}

/// A pushed alert as the rest of the pipeline knows alerts.
pub(crate) fn instance_of(alert: &PushedAlert, now_ms: i64) -> Instance {
    let firing = alert.fires(now_ms);
    Instance {
        rule_id: PUSHED_RULE.into(),
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        state: if firing { AlertState::Firing } else { AlertState::Resolved },
        active_at_ms: alert.starts_ms,
        fired_at_ms: Some(alert.taken_ms),
        keep_since_ms: None,
        resolved_at_ms: (!firing).then_some(alert.ends_ms),
        evaluated_at_ms: alert.updated_ms,
        value: 1.0,
        evidence: Evidence {
            context: match alert.generator_url.as_str() {
                "" => Vec::new(),
                url => vec![(GENERATOR_URL.into(), url.into())],
            },
            ..Evidence::default()
        },
    }
}

impl Engine {
    /// Reads again what others changed in the store.
    pub(super) async fn read_hold(&mut self, now_ms: i64) -> Result<(), StoreError> {
        let changes = self.alerts.changes();
        if self.hold.seen != Some(changes) {
            let alerts = self.alerts.clone();
            let (silences, acks, pushed) =
                blocking(move || Ok((alerts.silences()?, alerts.acks()?, alerts.pushed_alerts()?))).await?;
            self.hold.silences = silences;
            let acks = acks.into_iter().map(|ack| (ack.episode.clone(), ack)).collect::<BTreeMap<_, _>>();
            if acks != self.hold.acks {
                self.hold.acks = acks;
                self.acks_changed = true;
            }
            self.hold.pushed = pushed;
            self.hold.stale = true;
            self.hold.seen = Some(changes);
        }
        if self.hold.next_change_ms.is_some_and(|at_ms| at_ms <= now_ms) {
            self.hold.stale = true;
        }
        Ok(())
    }

    /// Takes changes of state into what fires. Returns what people may have to be told of it: ends first.
    pub(super) fn note_live(&mut self, instances: impl Iterator<Item = Instance>) -> Vec<Instance> {
        let mut ended = Vec::new();
        let mut fired = Vec::new();
        for instance in instances {
            let Some(episode) = instance.episode() else { continue };
            self.hold.stale = true;
            match instance.state {
                AlertState::Pending => {}
                AlertState::Firing => {
                    self.hold.live.insert(episode, instance.clone());
                    fired.push(instance);
                }
                AlertState::Resolved => {
                    self.hold.live.remove(&episode);
                    self.hold.waiting.remove(&episode);
                    // What began and ended among the same changes is told as that.
                    if let Some(at) = fired.iter().position(|other| other.episode() == instance.episode()) {
                        let first = fired.remove(at);
                        ended.push(first);
                    }
                    ended.push(instance);
                }
            }
        }
        ended.append(&mut fired);
        ended
    }

    /// Brings pushed alerts into what fires: what is new, and what is over by now. Returns what changed.
    pub(super) fn sync_pushed(&mut self, now_ms: i64) -> Vec<Instance> {
        let pushed: HashMap<String, Instance> = self
            .hold
            .pushed
            .iter()
            .map(|alert| instance_of(alert, now_ms))
            .filter_map(|instance| Some((instance.episode()?, instance)))
            .collect();
        let mut changed = Vec::new();
        for (episode, instance) in pushed.iter().filter(|(_, instance)| instance.state == AlertState::Firing) {
            match self.hold.live.get_mut(episode) {
                None => changed.push(instance.clone()),
                // What its sender says of it now goes out with whatever is told next.
                Some(known) => known.clone_from(instance),
            }
        }
        let is_firing = |instance: &Instance| instance.state == AlertState::Firing && !ends_later(instance);
        // What the outbox still holds of alerts that ended while nothing ran is over too.
        let known = self.outbox.iter().flat_map(|(_, intent)| &intent.instances);
        let firing = self.hold.live.values().chain(known);
        // Whose end is held back has ended already.
        let gone = firing.filter(|instance| instance.rule_id == PUSHED_RULE && is_firing(instance));
        let mut over: BTreeMap<String, Instance> = BTreeMap::new();
        for instance in gone {
            let Some(episode) = instance.episode() else { continue };
            match pushed.get(&episode) {
                Some(now) if now.state == AlertState::Firing => {}
                Some(now) => {
                    over.insert(episode, now.clone());
                }
                None => {
                    let ended =
                        Instance { state: AlertState::Resolved, resolved_at_ms: Some(now_ms), ..instance.clone() };
                    over.insert(episode, ended);
                }
            }
        }
        changed.extend(over.into_values());
        changed
    }

    /// Lays what suppresses over the outbox, lets go what is free, and tells what fired or ended.
    pub(super) fn apply(&mut self, changed: &[Instance], now_ms: i64) {
        if self.hold.stale {
            self.hold.suppression =
                Suppression::new(&self.config, &self.hold.silences, self.hold.live.values(), now_ms);
            self.hold.next_change_ms = self.hold.suppression.next_change_ms(&self.config, now_ms);
            let held = self.outbox.suppress(&self.hold.suppression, &self.config, now_ms);
            for item in held {
                self.hold_back(item, now_ms);
            }
        }
        for instance in changed {
            match instance.state {
                AlertState::Firing => {
                    self.outbox.note_fire(instance);
                    self.tell_or_hold(instance, None, now_ms);
                }
                _ => self.outbox.take(instance, &self.config, now_ms, &self.timing),
            }
        }
        if self.hold.stale {
            let waiting: Vec<(String, bool)> = self.hold.waiting.drain().collect();
            for (episode, inhibited) in waiting {
                let Some(instance) = self.hold.live.get(&episode).cloned() else { continue };
                self.tell_or_hold(&instance, Some(inhibited), now_ms);
            }
            self.hold.stale = false;
        }
        if std::mem::take(&mut self.acks_changed) {
            self.outbox.acknowledge(&self.hold.acks, &[], now_ms);
        }
    }

    /// Lets the receivers of an alert know, those from whom nothing holds it back. `released` says that it was held back until
    /// now, and whether by an inhibition.
    fn tell_or_hold(&mut self, instance: &Instance, released: Option<bool>, now_ms: i64) {
        let config = self.config.clone();
        let acked = instance.episode().is_some_and(|episode| self.hold.acks.contains_key(&episode));
        for target in config.route.targets(&instance.labels) {
            let Some(receiver) = config.receiver(&target.receiver) else { continue };
            match self.hold.suppression.why(&config, &instance.labels, &receiver.name, now_ms) {
                None => {
                    let since_ms = match released {
                        None => instance.began_ms(),
                        // What inhibited it is over, and its own end may come with the next evaluation.
                        Some(true) => now_ms,
                        // It has waited.
                        Some(false) => now_ms - target.group_wait_ms,
                    };
                    let start = Start { since_ms, released: released.is_some() };
                    self.outbox.tell_since(instance, start, target, receiver, &config, now_ms, &self.timing);
                    self.acks_changed |= acked;
                }
                Some(why) => {
                    for channel in &receiver.channels {
                        let (channel, instance, why) = (channel.name.clone(), instance.clone(), why.clone());
                        self.hold_back(HeldBack { channel, instance, why }, now_ms);
                    }
                }
            }
        }
    }

    fn hold_back(&mut self, item: HeldBack, now_ms: i64) {
        let Some(episode) = item.instance.episode() else { return };
        if self.hold.live.contains_key(&episode) {
            self.hold.waiting.insert(episode.clone(), item.why.is_inhibition());
        }
        if self.hold.noted.len() >= NOTED_MAX {
            self.hold.noted.clear();
        }
        if self.hold.noted.insert((item.channel.clone(), episode, item.why.words())) {
            self.unwritten_held.push(item.attempt(now_ms));
        }
    }

    /// Starts from the store's instances again: at the start, and after a reload.
    pub(super) fn reset_live(&mut self, firing: Vec<Instance>, now_ms: i64) {
        let episodes = firing.into_iter().filter_map(|instance| Some((instance.episode()?, instance)));
        self.hold.live = episodes.collect();
        self.hold.stale = true;
        let pushed = self.hold.pushed.iter().filter(|alert| alert.fires(now_ms));
        let pushed: Vec<Instance> = pushed.map(|alert| instance_of(alert, now_ms)).collect();
        for instance in pushed {
            if let Some(episode) = instance.episode() {
                self.hold.live.insert(episode, instance);
            }
        }
    }

    /// The clock was set: silences and times are looked at again.
    pub(super) fn reconsider_hold(&mut self) {
        self.hold.stale = true;
    }

    pub(super) fn live(&self) -> Vec<Instance> {
        self.hold.live.values().cloned().collect()
    }

    /// Forgets what is over: acknowledgements, silences, pushed alerts. Who looks after an alert that comes and goes goes on doing so
    /// when it comes back.
    pub(super) async fn tidy(&mut self, now_ms: i64) -> Result<(), StoreError> {
        let replaced = self.outbox.take_replaced();
        let moved: Vec<Ack> = replaced
            .iter()
            .filter_map(|(old, new)| Some(Ack { episode: new.clone(), ..self.hold.acks.get(old)?.clone() }))
            .collect();
        if !moved.is_empty() {
            self.hold.acks.extend(moved.iter().map(|ack| (ack.episode.clone(), ack.clone())));
            self.outbox.acknowledge(&self.hold.acks, &[], now_ms);
        }
        let hold = &self.hold;
        let over: Vec<String> = hold
            .acks
            .values()
            .filter(|ack| ack.until_ms.is_some_and(|until_ms| until_ms <= now_ms))
            .map(|ack| ack.episode.clone())
            .collect();
        let is_over = |episode: &&String| !hold.live.contains_key(*episode) && !self.outbox.holds_end(episode);
        let ended = hold.acks.keys().filter(is_over).cloned();
        let forgotten = hold
            .silences
            .iter()
            .filter(|silence| silence.state(now_ms) == SilenceState::Expired)
            .filter(|silence| silence.ends_ms + SILENCE_KEEP_MS <= now_ms)
            .map(|silence| silence.id.clone());
        let mut change = SilenceChange {
            acks: moved,
            unacked: over.clone(),
            forgotten: forgotten.collect(),
            ..SilenceChange::default()
        };
        change.unacked.extend(ended);
        let pushed: Vec<String> = hold
            .pushed
            .iter()
            .filter(|alert| alert.ends_ms + PUSHED_KEEP_MS <= now_ms)
            .map(|alert| label_fingerprint(&alert.labels))
            .collect();
        if change.is_empty() && pushed.is_empty() {
            return Ok(());
        }
        for episode in &change.unacked {
            self.hold.acks.remove(episode);
        }
        if !over.is_empty() {
            self.outbox.acknowledge(&self.hold.acks, &over, now_ms);
        }
        let alerts = self.alerts.clone();
        blocking(move || {
            alerts.change_silences(&change)?;
            alerts.put_pushed(&[], &pushed)
        })
        .await
    }

    /// When something of this changes by the clock.
    pub(super) fn hold_next_ms(&self, now_ms: i64) -> i64 {
        let pushed = self.hold.pushed.iter().map(|alert| alert.ends_ms);
        let acks = self.hold.acks.values().filter_map(|ack| ack.until_ms);
        let edges = pushed.chain(acks).filter(|edge| *edge > now_ms);
        edges.chain(self.hold.next_change_ms).min().unwrap_or(i64::MAX)
    }

    /// `14 alerts: HostDisk web-1, …`: what these alerts inhibit now; empty when nothing.
    pub(super) fn behind(&self, sources: &[Instance]) -> String {
        if self.config.inhibit_rules.is_empty() || self.hold.waiting.is_empty() {
            return String::new();
        }
        let sources: HashSet<String> = sources
            .iter()
            .filter(|instance| instance.state == AlertState::Firing && instance.rule_id != TEST_RULE)
            .map(|instance| label_fingerprint(&instance.labels))
            .collect();
        let mut names = Vec::new();
        for episode in self.hold.waiting.keys() {
            let Some(instance) = self.hold.live.get(episode) else { continue };
            let inhibitions = self.hold.suppression.inhibitions_of(&self.config, &instance.labels);
            let by_these = |why: &crate::Suppressor| match why {
                crate::Suppressor::Inhibition { source, .. } => sources.contains(source),
                _ => false,
            };
            if inhibitions.iter().any(by_these) {
                names.push(crate::message::name_of(instance));
            }
        }
        names.sort();
        let more = names.len().saturating_sub(BEHIND_MAX);
        let counted = if names.len() == 1 { "1 alert".into() } else { format!("{} alerts", names.len()) };
        match (names.is_empty(), more) {
            (true, _) => String::new(),
            (false, 0) => format!("{counted}: {}", names.join(", ")),
            (false, more) => format!("{counted}: {}, and {more} more", names[..BEHIND_MAX].join(", ")),
        }
    }

    /// Writes lines of the history about what was held back.
    pub(super) async fn write_held(&mut self) -> Result<(), StoreError> {
        if self.unwritten_held.is_empty() {
            return Ok(());
        }
        let lines: Vec<Attempt> = std::mem::take(&mut self.unwritten_held);
        let (alerts, kept) = (self.alerts.clone(), lines.clone());
        let written = blocking(move || alerts.append_attempts(&lines)).await;
        if written.is_err() {
            self.unwritten_held = kept;
        }
        written
    }
}
