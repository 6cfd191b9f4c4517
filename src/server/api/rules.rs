//! `/api/v1/rules` and `/api/v1/alerts`, in Prometheus' shapes (web/api/v1, RuleDiscovery).

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;
use model::any::{hex, json_string};
use model::{AlertState, Instance, Matcher, TenantId};
use rules::{GroupView, Health, RuleKind, RuleView};
use sha2::{Digest as _, Sha256};

use super::envelope::{self, Notes, push_array, push_object, push_time};
use super::params::{Params, bad};
use super::series::selectors;
use crate::State;
use crate::error::Fault;
use crate::number::{push_exponent, push_finite};

pub(super) async fn rules(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    listed(groups_of(&state, &tenant), &params).await
}

/// Rules over logs alone, at the address where Loki's ruler shows its own.
pub(crate) async fn rules_of_logs(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    listed(groups_of_logs(&state, &tenant), &params).await
}

async fn listed(groups: Vec<GroupView>, params: &Params) -> Response {
    super::answer("rules", async {
        let filter = Filter::read(params)?;
        let page = Paging::read(params)?;
        let from = match &page.from {
            None => 0,
            Some(token) => groups.iter().position(|group| token_of(group) == *token).ok_or_else(|| {
                bad("group_next_token", &format!("invalid group_next_token '{token}'. were rule groups changed?"))
            })?,
        };
        let mut shown = groups[from..].iter().filter(|group| filter.keeps_group(group)).filter_map(|group| {
            let rules: Vec<&RuleView> = group.rules.iter().filter(|rule| filter.keeps_rule(rule)).collect();
            // A filter that leaves nothing of a group leaves the group out, as in Prometheus.
            (!rules.is_empty()).then_some((group, rules))
        });
        let mut out = String::from("{\"groups\":");
        push_array(shown.by_ref().take(page.groups), &mut out, |(group, rules), out| {
            push_group(group, &rules, filter.exclude_alerts, out);
        });
        if let Some((next, _)) = shown.next() {
            out.push_str(",\"groupNextToken\":");
            json_string(&token_of(next), &mut out);
        }
        out.push('}');
        Ok(envelope::success(&out, &Notes::default()))
    })
    .await
}

pub(super) async fn alerts(Shared(state): Shared<State>, Extension(tenant): Extension<TenantId>) -> Response {
    active_of(groups_of(&state, &tenant)).await
}

/// Alerts of rules over logs alone.
pub(crate) async fn alerts_of_logs(Shared(state): Shared<State>, Extension(tenant): Extension<TenantId>) -> Response {
    active_of(groups_of_logs(&state, &tenant)).await
}

async fn active_of(groups: Vec<GroupView>) -> Response {
    super::answer("alerts", async {
        let active = groups.iter().flat_map(|group| &group.rules).flat_map(active);
        let mut out = String::from("{\"alerts\":");
        push_array(active, &mut out, push_alert);
        out.push('}');
        Ok(envelope::success(&out, &Notes::default()))
    })
    .await
}

/// A tenant's rules; tenants that `rules.tenants` does not name have none.
fn groups_of(state: &State, tenant: &TenantId) -> Vec<GroupView> {
    state.alerting_of(tenant).map(|alerting| alerting.rules.view()).unwrap_or_default()
}

/// As [`groups_of`], the rules over logs; a group without any is left out.
pub(crate) fn groups_of_logs(state: &State, tenant: &TenantId) -> Vec<GroupView> {
    let mut groups = groups_of(state, tenant);
    groups.iter_mut().for_each(|group| group.rules.retain(|rule| rule.is_logs));
    groups.retain(|group| !group.rules.is_empty());
    groups
}

/// Which page of the groups is wanted.
struct Paging {
    groups: usize,
    /// The token of the group to begin with.
    from: Option<String>,
}

impl Paging {
    fn read(params: &Params) -> Result<Paging, Fault> {
        let from = params.get("group_next_token").map(str::to_owned);
        let groups = match params.get("group_limit") {
            None if from.is_some() => {
                let reason = "group_limit needs to be present in order to paginate over the groups";
                return Err(bad("group_next_token", reason));
            }
            None => usize::MAX,
            Some(text) => match text.parse::<i32>() {
                Err(_) => return Err(bad("group_limit", &format!("group_limit needs to be a valid number: {text:?}"))),
                Ok(limit) => usize::try_from(limit)
                    .ok()
                    .filter(|limit| *limit > 0)
                    .ok_or_else(|| bad("group_limit", "group_limit needs to be greater than 0"))?,
            },
        };
        Ok(Paging { groups, from })
    }
}

/// As Prometheus makes it: the SHA-256 of file and name, in hex.
fn token_of(group: &GroupView) -> String {
    hex(&Sha256::digest(format!("{};{}", group.file, group.name)))
}

struct Filter {
    recording: Option<bool>,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    /// Matchers for the rules' own labels; one of the lists must accept.
    labels: Vec<Vec<Matcher>>,
    exclude_alerts: bool,
}

impl Filter {
    fn read(params: &Params) -> Result<Filter, Fault> {
        let list = |name| params.all(name).map(str::to_owned).collect();
        Ok(Filter {
            labels: selectors(params.all("match[]")).map_err(Fault::invalid)?,
            recording: match params.get("type").map(str::to_ascii_lowercase).as_deref() {
                None => None,
                Some("alert") => Some(false),
                Some("record") => Some(true),
                Some(other) => return Err(bad("type", &format!("not supported value {other:?}"))),
            },
            names: list("rule_name[]"),
            groups: list("rule_group[]"),
            files: list("file[]"),
            exclude_alerts: params.flag("exclude_alerts")?,
        })
    }

    fn keeps_group(&self, group: &GroupView) -> bool {
        (self.groups.is_empty() || self.groups.contains(&group.name))
            && (self.files.is_empty() || self.files.contains(&group.file))
    }

    fn keeps_rule(&self, rule: &RuleView) -> bool {
        self.recording.is_none_or(|recording| recording == (rule.kind == RuleKind::Recording))
            && (self.names.is_empty() || self.names.contains(&rule.name))
            && (self.labels.is_empty() || self.labels.iter().any(|matchers| has_labels(rule, matchers)))
    }
}

/// A label whose value is a template has no value yet, so nothing but its absence matches it, as in Prometheus.
fn has_labels(rule: &RuleView, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| {
        let value = rule.labels.iter().find(|(name, _)| *name == matcher.name).map_or("", |(_, value)| &**value);
        matcher.matches(if value.contains("{{") { "" } else { value })
    })
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
    out.push_str(&format!(",\"limit\":{},\"evaluationTime\":", group.limit));
    push_finite(group.evaluation_seconds, out);
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
    push_finite(rule.evaluation_seconds, out);
    push_time(",\"lastEvaluation\":", rule.last_evaluation_ms, out);
    push_beyond(rule, out);
    out.push_str(",\"type\":\"");
    out.push_str(if rule.kind == RuleKind::Recording { "recording" } else { "alerting" });
    out.push_str("\"}");
}

/// What Prometheus does not know of a rule, each only where there is something to say.
fn push_beyond(rule: &RuleView, out: &mut String) {
    let mut text = |key: &str, value: &str| {
        if !value.is_empty() {
            out.push_str(key);
            json_string(value, out);
        }
    };
    text(",\"reason\":", rule.unknown);
    text(",\"mode\":", if rule.is_shadow { "shadow" } else { "" });
    text(",\"owner\":", &rule.owner);
    text(",\"runbook\":", &rule.runbook);
    if let Some(since_ms) = rule.empty_since_ms {
        push_time(",\"emptySince\":", Some(since_ms), out);
    }
    if !rule.dead_selectors.is_empty() {
        out.push_str(",\"deadSelectors\":");
        push_array(&rule.dead_selectors, out, |selector, out| json_string(selector, out));
    }
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
    if let Some(since) = alert.evidence.unknown_since_ms {
        push_time(",\"unverifiedSince\":", Some(since), out);
    }
    if !alert.evidence.reason.is_empty() {
        out.push_str(",\"reason\":");
        json_string(&alert.evidence.reason, out);
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

fn push_ms_as_seconds(ms: i64, out: &mut String) {
    push_finite(ms as f64 / 1000.0, out);
}
