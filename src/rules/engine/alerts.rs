//! What fires, for who sends it on: the alerts of groups that were evaluated since they were looked at last.

use std::collections::HashMap;

use model::Instance;
use model::alert::RuleId;

use super::{Engine, Member, lock};
use crate::RuleKind;

/// A group after its last evaluation.
#[derive(Debug, Clone)]
pub struct GroupAlerts {
    /// The group's name, made unique over all files.
    pub key: String,
    pub interval_ms: i64,
    /// Its alerting rules, but for those in shadow mode.
    pub rules: Vec<RuleId>,
    /// `None` when it was looked at since its last evaluation, or has had none since the start or the last reload.
    pub evaluated: Option<Evaluated>,
}

/// What an evaluation found.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// The evaluation's time.
    pub at_ms: i64,
    /// What waits, what fires, and what ended within the last 15 minutes.
    pub alerts: Vec<Instance>,
}

impl Engine {
    /// All groups. `seen` is the time of the evaluation that was looked at last, by key.
    pub fn alerts_after(&self, seen: &HashMap<String, i64>) -> Vec<GroupAlerts> {
        let members = lock(&self.inner.groups).clone();
        members.iter().map(|member| member.alerts_after(seen)).collect()
    }
}

impl Member {
    fn alerts_after(&self, seen: &HashMap<String, i64>) -> GroupAlerts {
        let Member { prepared, shown, .. } = self;
        let rules = prepared.group.rules.iter().zip(&prepared.rules);
        let told = rules.filter(|(rule, _)| !rule.extension.is_shadow && rule.kind != RuleKind::Recording);
        let rules: Vec<RuleId> = told.map(|(_, ready)| ready.id.clone()).collect();
        let shown = lock(shown);
        let last_ms = shown.last_evaluation_ms.filter(|last_ms| seen.get(&prepared.key) != Some(last_ms));
        let evaluated = last_ms.map(|at_ms| {
            let instances = rules.iter().filter_map(|id| shown.instances.get(id)).flatten();
            Evaluated { at_ms, alerts: instances.cloned().collect() }
        });
        GroupAlerts { key: prepared.key.clone(), interval_ms: prepared.group.interval_ms, rules, evaluated }
    }
}
