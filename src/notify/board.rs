//! What there is to know about alerts now: which fire, who is told of them, and what holds them back. For APIs and pages.
//!
//! Read from the store at each asking, so that an answer shows what was stored a moment ago.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::alert::{AlertState, Instance, Intent, PUSHED_RULE, label_fingerprint};
use model::{Ack, Labels, PushedAlert, Silence};
use store::{Alerts, StoreError};

use crate::Suppressor;
use crate::config::Config;
use crate::engine::instance_of;
use crate::outbox::{group_prefix, is_muted, is_told};
use crate::suppress::{Suppression, closed};

/// How long an alert of our own rules is said to fire from now on, in ms: Prometheus says four evaluations or minutes.
const ENDS_AFTER_MS: i64 = 4 * 60_000;

/// One firing alert.
#[derive(Debug, Clone)]
pub struct AlertStatus {
    pub instance: Instance,
    /// Of the labels, as Alertmanager's.
    pub fingerprint: String,
    pub generator_url: String,
    pub starts_ms: i64,
    /// When it ends unless something says otherwise.
    pub ends_ms: i64,
    pub updated_ms: i64,
    /// Receivers of its routes, in their order.
    pub receivers: Vec<String>,
    /// Ids of silences.
    pub silenced_by: Vec<String>,
    /// Fingerprints of sources.
    pub inhibited_by: Vec<String>,
    pub ack: Option<Ack>,
}

impl AlertStatus {
    pub fn is_suppressed(&self) -> bool {
        !self.silenced_by.is_empty() || !self.inhibited_by.is_empty()
    }

    /// `active` or `suppressed`.
    pub fn state(&self) -> &'static str {
        if self.is_suppressed() { "suppressed" } else { "active" }
    }
}

/// Alerts of one receiver that are told together.
#[derive(Debug, Clone)]
pub struct AlertGroup {
    pub receiver: String,
    pub labels: Labels,
    /// Places in the list of statuses.
    pub alerts: Vec<usize>,
    /// Names of time intervals that close its route now.
    pub muted_by: Vec<String>,
}

/// One way from an alert to a receiver.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteTaken {
    pub receiver: String,
    /// Matchers on the way, from the root: `{}/{severity="critical"}`.
    pub path: String,
    pub group_labels: Labels,
    pub group_wait_ms: i64,
    pub group_interval_ms: i64,
    pub repeat_interval_ms: i64,
    /// What holds it back on this way, now.
    pub suppressors: Vec<Suppressor>,
}

/// A moment's view.
pub struct Board {
    pub(crate) config: Arc<Config>,
    pub(crate) suppression: Suppression,
    pub(crate) firing: Vec<(Instance, Option<PushedAlert>)>,
    pub(crate) silences: Vec<Silence>,
    pub(crate) acks: HashMap<String, Ack>,
    external_url: String,
    now_ms: i64,
}

impl Board {
    pub(crate) fn read(
        alerts: &Alerts,
        config: Arc<Config>,
        external_url: &str,
        now_ms: i64,
    ) -> Result<Board, StoreError> {
        let silences = alerts.silences()?;
        let acks = alerts.acks()?.into_iter().map(|ack| (ack.episode.clone(), ack)).collect();
        let mut firing: Vec<(Instance, Option<PushedAlert>)> = Vec::new();
        for instance in alerts.instances()? {
            if instance.state == AlertState::Firing {
                firing.push((instance, None));
            }
        }
        for pushed in alerts.pushed_alerts()? {
            if pushed.fires(now_ms) {
                firing.push((instance_of(&pushed, now_ms), Some(pushed)));
            }
        }
        let suppression = Suppression::new(&config, &silences, firing.iter().map(|(instance, _)| instance), now_ms);
        let external_url = external_url.trim_end_matches('/').to_owned();
        Ok(Board { config, suppression, firing, silences, acks, external_url, now_ms })
    }

    /// Every silence that is kept.
    pub fn silences(&self) -> &[Silence] {
        &self.silences
    }

    /// Names of the receivers with the labels by which they are found, in the file's order.
    pub fn receivers(&self) -> impl Iterator<Item = (&str, &Labels)> {
        self.config.receivers.iter().map(|receiver| (receiver.name.as_str(), &receiver.labels))
    }

    /// Every alert that fires, by fingerprint.
    pub fn statuses(&self) -> Vec<AlertStatus> {
        let mut all: Vec<AlertStatus> =
            self.firing.iter().map(|(instance, pushed)| self.status(instance, pushed.as_ref())).collect();
        all.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
        all
    }

    fn status(&self, instance: &Instance, pushed: Option<&PushedAlert>) -> AlertStatus {
        let labels = &instance.labels;
        let ack = instance.episode().and_then(|episode| self.acks.get(&episode).cloned());
        let inhibitions = self.suppression.inhibitions_of(&self.config, labels);
        let mut inhibited_by: Vec<String> = inhibitions
            .into_iter()
            .filter_map(|why| match why {
                Suppressor::Inhibition { source, .. } => Some(source),
                _ => None,
            })
            .collect();
        inhibited_by.sort();
        inhibited_by.dedup();
        AlertStatus {
            fingerprint: label_fingerprint(labels),
            generator_url: match pushed {
                Some(pushed) => pushed.generator_url.clone(),
                None => format!("{}/alerts/rule/{}", self.external_url, instance.rule_id),
            },
            starts_ms: instance.began_ms(),
            ends_ms: pushed.map_or(self.now_ms + ENDS_AFTER_MS, |pushed| pushed.ends_ms),
            updated_ms: instance.evaluated_at_ms,
            receivers: self.config.route.targets(labels).into_iter().map(|target| target.receiver.clone()).collect(),
            silenced_by: self.suppression.silences_of(labels, self.now_ms).map(|silence| silence.id.clone()).collect(),
            inhibited_by,
            ack,
            instance: instance.clone(),
        }
    }

    /// An alert that is over: nothing holds it back, and nobody has it.
    pub fn ended(&self, instance: &Instance) -> AlertStatus {
        let ends_ms = instance.resolved_at_ms.unwrap_or(instance.evaluated_at_ms);
        let status = self.status(instance, None);
        AlertStatus { ends_ms, silenced_by: Vec::new(), inhibited_by: Vec::new(), ack: None, ..status }
    }

    /// What the scopes of messages to this alert's groups have in them, as the routes are now: for finding their attempts.
    pub fn scopes_of(&self, instance: &Instance) -> Vec<String> {
        let targets = self.config.route.targets(&instance.labels).into_iter();
        targets.map(|target| group_prefix(target, instance)).collect()
    }

    /// The groups that these alerts are told in, by receiver and labels.
    pub fn groups(&self, statuses: &[AlertStatus]) -> Vec<AlertGroup> {
        let mut groups: BTreeMap<(String, Labels, String), AlertGroup> = BTreeMap::new();
        for (at, status) in statuses.iter().enumerate() {
            for target in self.config.route.targets(&status.instance.labels) {
                let labels = target.group_labels(&status.instance.labels);
                let key = (target.receiver.clone(), labels.clone(), target.path.clone());
                let group = groups.entry(key).or_insert_with(|| AlertGroup {
                    receiver: target.receiver.clone(),
                    labels,
                    alerts: Vec::new(),
                    muted_by: match closed(&self.config, target, self.now_ms) {
                        Some(Suppressor::MuteTime { name } | Suppressor::InactiveTime { names: name }) => vec![name],
                        _ => Vec::new(),
                    },
                });
                group.alerts.push(at);
            }
        }
        let mut groups: Vec<AlertGroup> = groups.into_values().collect();
        groups.sort_by(|a, b| (&a.labels, &a.receiver).cmp(&(&b.labels, &b.receiver)));
        groups
    }

    /// The ways that these labels take, and what holds them back now.
    pub fn routes(&self, labels: &Labels) -> Vec<RouteTaken> {
        let common: Vec<Suppressor> = self
            .suppression
            .silences_of(labels, self.now_ms)
            .map(|silence| Suppressor::Silence {
                id: silence.id.clone(),
                by: silence.created_by.clone(),
                comment: silence.comment.clone(),
            })
            .chain(self.suppression.inhibitions_of(&self.config, labels))
            .collect();
        let targets = self.config.route.targets(labels).into_iter();
        targets
            .map(|target| RouteTaken {
                receiver: target.receiver.clone(),
                path: target.path.clone(),
                group_labels: target.group_labels(labels),
                group_wait_ms: target.group_wait_ms,
                group_interval_ms: target.group_interval_ms,
                repeat_interval_ms: target.repeat_interval_ms,
                suppressors: common.iter().cloned().chain(closed(&self.config, target, self.now_ms)).collect(),
            })
            .collect()
    }

    /// Whether an alert came from outside.
    pub fn is_pushed(instance: &Instance) -> bool {
        instance.rule_id == PUSHED_RULE
    }
}

/// What one channel knows of one alert.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    pub intent: &'a Intent,
    /// Whether the receiver took a message that it fires.
    pub told: bool,
    /// Whether it is held back now, though told before.
    pub held: bool,
}

/// What channels know of an alert's present episode, from what is stored about them.
pub fn known<'a>(intents: &'a [Intent], instance: &Instance) -> Vec<Known<'a>> {
    let episode = instance.episode();
    let has = |intent: &&Intent| intent.instances.iter().any(|other| other.episode() == episode);
    intents
        .iter()
        .filter(has)
        .map(|intent| Known { intent, told: is_told(intent, instance), held: is_muted(intent, instance) })
        .collect()
}
