//! `/api/v1/rules` and `/api/v1/alerts`, in Prometheus' shapes (web/api/v1, RuleDiscovery).

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;
use model::any::json_string;
use model::time::rfc3339_ms;
use model::{AlertState, Instance, TenantId};
use rules::{GroupView, Health, RuleKind, RuleView};

use super::envelope::{self, Notes, push_array, push_object};
use super::params::{Params, bad};
use crate::State;
use crate::error::Fault;
use crate::number::push_exponent;

/// Go's zero time, which Prometheus sends for "never".
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) async fn rules(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("rules", async {
        let filter = Filter::read(&params)?;
        let groups = groups_of(&state, &tenant);
        let mut out = String::from("{\"groups\":");
        let shown = groups.iter().filter(|group| filter.keeps_group(group)).filter_map(|group| {
            let rules: Vec<&RuleView> = group.rules.iter().filter(|rule| filter.keeps_rule(rule)).collect();
            // A filter that leaves nothing of a group leaves the group out, as in Prometheus.
            (!rules.is_empty() || filter.is_none()).then_some((group, rules))
        });
        push_array(shown, &mut out, |(group, rules), out| push_group(group, &rules, filter.exclude_alerts, out));
        out.push('}');
        Ok(envelope::success(&out, &Notes::default()))
    })
    .await
}

pub(super) async fn alerts(Shared(state): Shared<State>, Extension(tenant): Extension<TenantId>) -> Response {
    super::answer("alerts", async {
        let groups = groups_of(&state, &tenant);
        let active = groups.iter().flat_map(|group| &group.rules).flat_map(active);
        let mut out = String::from("{\"alerts\":");
        push_array(active, &mut out, push_alert);
        out.push('}');
        Ok(envelope::success(&out, &Notes::default()))
    })
    .await
}

/// Rules belong to one tenant; others have none.
fn groups_of(state: &State, tenant: &TenantId) -> Vec<GroupView> {
    if *tenant == state.alerts_tenant { state.rules.view() } else { Vec::new() }
}

#[derive(Default)]
struct Filter {
    recording: Option<bool>,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    exclude_alerts: bool,
}

impl Filter {
    fn read(params: &Params) -> Result<Filter, Fault> {
        let list = |name| params.all(name).map(str::to_owned).collect();
        Ok(Filter {
            recording: match params.get("type") {
                None => None,
                Some("alert") => Some(false),
                Some("record") => Some(true),
                Some(other) => return Err(bad("type", &format!("not supported value {other:?}"))),
            },
            names: list("rule_name[]"),
            groups: list("rule_group[]"),
            files: list("file[]"),
            exclude_alerts: match params.get("exclude_alerts") {
                None | Some("false" | "0") => false,
                Some("true" | "1") => true,
                Some(other) => return Err(bad("exclude_alerts", &format!("{other:?} is neither true nor false"))),
            },
        })
    }

    fn is_none(&self) -> bool {
        self.recording.is_none() && self.names.is_empty()
    }

    fn keeps_group(&self, group: &GroupView) -> bool {
        (self.groups.is_empty() || self.groups.contains(&group.name))
            && (self.files.is_empty() || self.files.contains(&group.file))
    }

    fn keeps_rule(&self, rule: &RuleView) -> bool {
        self.recording.is_none_or(|recording| recording == (rule.kind == RuleKind::Recording))
            && (self.names.is_empty() || self.names.contains(&rule.name))
    }
}

fn push_group(group: &GroupView, rules: &[&RuleView], exclude_alerts: bool, out: &mut String) {
    out.push_str("{\"name\":");
    json_string(&group.name, out);
    out.push_str(",\"file\":");
    json_string(&group.file, out);
    out.push_str(",\"rules\":");
    push_array(rules, out, |rule, out| push_rule(rule, exclude_alerts, out));
    out.push_str(",\"interval\":");
    push_ms_as_seconds(group.interval_ms, out);
    out.push_str(",\"limit\":0,\"evaluationTime\":");
    out.push_str(&finite(group.evaluation_seconds));
    push_time(",\"lastEvaluation\":", group.last_evaluation_ms, out);
    out.push('}');
}

fn push_rule(rule: &RuleView, exclude_alerts: bool, out: &mut String) {
    let pairs = |pairs: &[(String, String)], out: &mut String| {
        push_object(pairs.iter().map(|(name, value)| (&**name, &**value)), out);
    };
    out.push('{');
    if let RuleKind::Alerting { for_ms, keep_firing_for_ms } = rule.kind {
        out.push_str("\"state\":\"");
        out.push_str(state_of(rule));
        out.push_str("\",\"duration\":");
        push_ms_as_seconds(for_ms, out);
        out.push_str(",\"keepFiringFor\":");
        push_ms_as_seconds(keep_firing_for_ms, out);
        out.push_str(",\"annotations\":");
        pairs(&rule.annotations, out);
        out.push_str(",\"alerts\":");
        let shown = active(rule).filter(|_| !exclude_alerts);
        push_array(shown, out, push_alert);
        out.push(',');
    }
    out.push_str("\"name\":");
    json_string(&rule.name, out);
    out.push_str(",\"query\":");
    json_string(&rule.expr, out);
    out.push_str(",\"labels\":");
    pairs(&rule.labels, out);
    out.push_str(",\"health\":\"");
    out.push_str(match rule.health {
        Health::Unknown => "unknown",
        Health::Ok => "ok",
        Health::Err => "err",
    });
    out.push('"');
    if !rule.last_error.is_empty() {
        out.push_str(",\"lastError\":");
        json_string(&rule.last_error, out);
    }
    out.push_str(",\"evaluationTime\":");
    out.push_str(&finite(rule.evaluation_seconds));
    push_time(",\"lastEvaluation\":", rule.last_evaluation_ms, out);
    out.push_str(",\"type\":\"");
    out.push_str(if rule.kind == RuleKind::Recording { "recording" } else { "alerting" });
    out.push_str("\"}");
}

fn push_alert(alert: &Instance, out: &mut String) {
    out.push_str("{\"labels\":");
    push_object(alert.labels.iter(), out);
    out.push_str(",\"annotations\":");
    push_object(alert.annotations.iter().map(|(name, value)| (&**name, &**value)), out);
    out.push_str(",\"state\":\"");
    out.push_str(alert.state.as_str());
    out.push('"');
    push_time(",\"activeAt\":", Some(alert.active_at_ms), out);
    if let Some(since) = alert.keep_since_ms {
        push_time(",\"keepFiringSince\":", Some(since), out);
    }
    out.push_str(",\"value\":\"");
    push_exponent(alert.value, out);
    out.push_str("\"}");
}

/// Resolved alerts are not active, in Prometheus' API.
fn active(rule: &RuleView) -> impl Iterator<Item = &Instance> {
    rule.instances.iter().filter(|alert| alert.state != AlertState::Resolved)
}

/// The worst state among the rule's alerts.
fn state_of(rule: &RuleView) -> &'static str {
    let has = |state| rule.instances.iter().any(|alert| alert.state == state);
    if has(AlertState::Firing) {
        "firing"
    } else if has(AlertState::Pending) {
        "pending"
    } else if rule.health == Health::Unknown {
        "unknown"
    } else {
        "inactive"
    }
}

fn push_time(key: &str, at_ms: Option<i64>, out: &mut String) {
    out.push_str(key);
    out.push('"');
    out.push_str(&at_ms.map_or(NEVER.into(), rfc3339_ms));
    out.push('"');
}

fn push_ms_as_seconds(ms: i64, out: &mut String) {
    out.push_str(&finite(ms as f64 / 1000.0));
}

/// JSON has no word for NaN; a duration never is one but by a mistake.
fn finite(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { "0".into() }
}
