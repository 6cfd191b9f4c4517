//! Alerts that other programs push (`POST /api/v2/alerts`), shown among those of the rules.

use notify::{AlertStatus, Board};
use rules::{GroupView, Health, RuleKind, RuleView};

/// Stands where a group has its file.
const DOOR: &str = "/api/v2/alerts";

/// Whether a group stands for what is pushed.
pub(crate) fn is_pushed(group: &GroupView) -> bool {
    group.file == DOOR
}

/// What is pushed as a group beside the others: one rule, without an expression, for each alert.
pub(crate) fn with_pushed(mut groups: Vec<GroupView>, statuses: &[AlertStatus]) -> Vec<GroupView> {
    let pushed = statuses.iter().filter(|status| Board::is_pushed(&status.instance));
    let rule = |status: &AlertStatus| RuleView {
        id: status.instance.rule_id.clone(),
        name: status.instance.labels.value("alertname").into(),
        kind: RuleKind::Alerting { for_ms: 0, keep_firing_for_ms: 0 },
        expr: String::new(),
        is_logs: false,
        labels: Vec::new(),
        annotations: Vec::new(),
        health: Health::Ok,
        last_error: String::new(),
        last_evaluation_ms: Some(status.updated_ms),
        evaluation_seconds: 0.0,
        unknown: "",
        empty_since_ms: None,
        dead_selectors: Vec::new(),
        is_shadow: false,
        owner: String::new(),
        runbook: String::new(),
        instances: vec![status.instance.clone()],
    };
    let rules: Vec<RuleView> = pushed.map(rule).collect();
    if !rules.is_empty() {
        groups.push(GroupView {
            file: DOOR.into(),
            name: "pushed by other programs".into(),
            interval_ms: 0,
            limit: 0,
            last_evaluation_ms: None,
            unseen_for: std::time::Duration::ZERO,
            evaluation_seconds: 0.0,
            missed_slots: 0,
            rules,
        });
    }
    groups
}
