//! Groups and rules as the API and the pages show them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use model::alert::RuleId;
use model::{Instance, Labels};

use super::{Inner, Member, lock};
use crate::RuleKind;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    Unknown,
    Ok,
    Err,
}

/// A group as the API and the pages show it.
#[derive(Debug, Clone)]
pub struct GroupView {
    pub file: String,
    pub name: String,
    pub interval_ms: i64,
    /// Most instances of one alerting rule, 0 for no limit.
    pub limit: usize,
    pub last_evaluation_ms: Option<i64>,
    /// How long ago its states were brought up to date, or since when they are to be; whatever becomes of the clock.
    pub unseen_for: Duration,
    pub evaluation_seconds: f64,
    pub missed_slots: u64,
    pub rules: Vec<RuleView>,
}

#[derive(Debug, Clone)]
pub struct RuleView {
    pub id: RuleId,
    pub name: String,
    pub kind: RuleKind,
    pub expr: String,
    /// Whether the expression is LogQL.
    pub is_logs: bool,
    pub labels: Vec<(String, String)>,
    pub annotations: Vec<(String, String)>,
    pub health: Health,
    pub last_error: String,
    pub last_evaluation_ms: Option<i64>,
    pub evaluation_seconds: f64,
    /// Why it cannot be judged at present, in one word of [`model::alert::reason`]; empty when it can.
    pub unknown: &'static str,
    /// Since when its selectors find no series at all.
    pub empty_since_ms: Option<i64>,
    /// Its selectors that found nothing for a day, of a rule that finds nothing at all: most likely misspelt.
    pub dead_selectors: Vec<String>,
    pub is_shadow: bool,
    pub owner: String,
    pub runbook: String,
    /// Pending, firing and recently resolved ones.
    pub instances: Vec<Instance>,
}

impl Inner {
    pub(super) fn view(&self) -> Vec<GroupView> {
        let members = lock(&self.groups).clone();
        members.iter().map(|member| member.view()).collect()
    }

    pub(super) fn present(&self, alerts: &[Instance]) -> Vec<Option<Instance>> {
        let wanted: HashSet<&RuleId> = alerts.iter().map(|alert| &alert.rule_id).collect();
        let places = alerts.iter().enumerate().map(|(at, alert)| ((&alert.rule_id, &alert.labels), at));
        let places: HashMap<(&RuleId, &Labels), usize> = places.collect();
        let mut out = vec![None; alerts.len()];
        let members = lock(&self.groups).clone();
        for member in members.iter() {
            let shown = lock(&member.shown);
            for (id, instances) in shown.instances.iter().filter(|(id, _)| wanted.contains(id)) {
                for instance in instances {
                    if let Some(at) = places.get(&(id, &instance.labels)) {
                        out[*at] = Some(instance.clone());
                    }
                }
            }
        }
        out
    }
}

impl Member {
    pub(super) fn view(&self) -> GroupView {
        let shown = lock(&self.shown);
        let group = &self.prepared.group;
        let rules = group.rules.iter().zip(&self.prepared.rules).enumerate().map(|(at, (rule, ready))| {
            let report = shown.reports.get(at);
            let last_error = report.map(|report| report.error.clone()).unwrap_or_default();
            RuleView {
                id: ready.id.clone(),
                name: rule.name.clone(),
                kind: rule.kind,
                expr: rule.expr_text.trim().to_string(),
                is_logs: rule.condition.promql().is_none(),
                labels: rule.labels.clone(),
                annotations: rule.annotations.clone(),
                health: match report {
                    None => Health::Unknown,
                    Some(_) if last_error.is_empty() => Health::Ok,
                    Some(_) => Health::Err,
                },
                last_error,
                last_evaluation_ms: shown.last_evaluation_ms,
                evaluation_seconds: report.map_or(0.0, |report| report.took.as_secs_f64()),
                unknown: report.map_or("", |report| report.unknown),
                empty_since_ms: report.and_then(|report| report.empty_since_ms),
                dead_selectors: report.map(|report| report.dead.clone()).unwrap_or_default(),
                is_shadow: rule.extension.is_shadow,
                owner: rule.extension.owner.clone(),
                runbook: rule.extension.runbook.clone(),
                instances: shown.instances.get(&ready.id).cloned().unwrap_or_default(),
            }
        });
        GroupView {
            file: group.file.clone(),
            name: group.name.clone(),
            interval_ms: group.interval_ms,
            limit: group.limit,
            last_evaluation_ms: shown.last_evaluation_ms,
            unseen_for: shown.looked.elapsed(),
            evaluation_seconds: shown.took.as_secs_f64(),
            missed_slots: shown.missed_slots,
            rules: rules.collect(),
        }
    }
}
