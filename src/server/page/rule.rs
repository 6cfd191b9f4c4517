//! `/alerts/rule/{id}`: why did it fire, is the threshold right, who was told.

use std::collections::HashSet;

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;
use model::alert::{Attempt, Transition};
use model::{AlertState, MsRange, alert};
use rules::{GroupView, Health, RuleKind, RuleView};

use super::alert_held::Held;
use super::alert_view::{AlertView, Deliveries, since_ms};
use super::alerts::{deliveries, intents, rule_state, transitions};
use super::asked::{Asked, Asking, firing};
use super::badge::Badge;
use super::failure::{Failure, Trouble};
use super::frame::{Frame, show};
use super::graph::Graph;
use super::history_view::{AttemptRow, ROWS_MAX, TransitionRow, attempt_rows, transition_rows};
use super::link::link;
use super::rule_chart::{Course, RuleChart, bands_between};
use super::rule_says::{self, RuleSays};
use super::text::{counted, one_line, shown, span};
use super::what_if::{self, WhatIf};
use crate::chart::{Band, Unit};
use crate::dry_run::Said;

/// What the chart looks back on.
const LOOK_BACK_MS: i64 = 6 * 3_600_000;
/// Rows of all rules' history that are searched for those of this one.
const HISTORY_MAX: usize = 2_000;
const ALERTS_MAX: usize = 50;

#[derive(Template)]
#[template(path = "rule.html")]
pub(crate) struct RulePage {
    pub(crate) frame: Frame,
    pub(crate) name: String,
    pub(crate) state: Badge,
    pub(crate) place: String,
    pub(crate) error: String,
    pub(crate) expr: String,
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) explore_href: String,
    pub(crate) trouble: Option<Trouble>,
    pub(crate) chart: Option<Graph>,
    pub(crate) what_if: Option<WhatIf>,
    /// Once it is asked for.
    pub(crate) says: Option<RuleSays>,
    pub(crate) alerting: bool,
    pub(crate) alerts: Vec<AlertView>,
    pub(crate) rows: Vec<TransitionRow>,
    pub(crate) attempts: Vec<AttemptRow>,
    pub(crate) history_looked_at: usize,
}

pub(super) async fn page(
    asking: Asking,
    Path(id): Path<String>,
    Query(what_if): Query<what_if::Parameters>,
    Query(says): Query<rule_says::Parameters>,
) -> Result<Response, Failure> {
    let is_asked = !says.say.is_empty();
    show(&asking.answer(move |asked| build(asked, &id, &what_if, is_asked)).await?)
}

fn build(asked: &Asked, id: &str, what_if: &what_if::Parameters, says: bool) -> Result<RulePage, Failure> {
    let groups = asked.groups();
    let found = groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
    let Some((group, rule)) = found.into_iter().find(|(_, rule)| rule.id == id) else {
        return Err(Failure::not_found(&format!("rule {}", one_line(id, 80))));
    };
    let frame = Frame::new(asked, "/alerts", firing(&groups));
    let changes: Vec<Transition> = transitions(asked, i64::MAX, HISTORY_MAX)?
        .into_iter()
        .filter(|change| change.rule_id == id)
        .take(ROWS_MAX)
        .collect();
    let attempts = attempts(asked, rule, &changes)?;
    let mut page = RulePage::new(frame, group, rule, deliveries(asked, &Held::read(asked)?)?, asked.now_ms);
    page.rows = transition_rows(&changes, &groups, asked.now_ms);
    page.attempts = attempt_rows(&attempts, asked.now_ms);
    let bands = bands_between(&changes, asked.now_ms);
    page.show_chart(RuleChart::ask(asked, id, &course(bands, asked.now_ms))?);
    let kept = asked.alerting().and_then(|alerting| alerting.rules.rule(id));
    if let (Some(tenant), Some(kept)) = (asked.store()?, kept) {
        page.what_if = WhatIf::ask(asked, &tenant.snapshot()?, group, &kept, what_if);
    }
    if says && let Some(alerting) = asked.alerting() {
        page.says = Said::ask(alerting, id, asked.now_ms).map(RuleSays::new);
    }
    Ok(page)
}

/// Attempts to tell of this rule: those whose scope is one of its episodes, or that of an intent about it.
fn attempts(asked: &Asked, rule: &RuleView, changes: &[Transition]) -> Result<Vec<Attempt>, Failure> {
    let Some(tenant) = asked.store()? else { return Ok(Vec::new()) };
    let about = |intent: &alert::Intent| intent.instances.iter().any(|instance| instance.rule_id == rule.id);
    let scopes: HashSet<String> = intents(asked)?.into_iter().filter(about).map(|intent| intent.scope).collect();
    let fingerprints: HashSet<String> = changes
        .iter()
        .map(|change| alert::fingerprint(&rule.id, &change.labels))
        .chain(rule.instances.iter().map(|instance| instance.fingerprint()))
        .collect();
    let ours = |attempt: &Attempt| {
        let episode_of = attempt.scope.split_once('-').map_or("", |(fingerprint, _)| fingerprint);
        scopes.contains(&attempt.scope) || fingerprints.contains(episode_of)
    };
    let all = tenant.alerts()?.attempts(i64::MAX, HISTORY_MAX)?;
    Ok(all.into_iter().filter(ours).take(ROWS_MAX).collect())
}

impl RulePage {
    pub(crate) fn new(
        frame: Frame,
        group: &GroupView,
        rule: &RuleView,
        mut deliveries: Deliveries,
        now_ms: i64,
    ) -> RulePage {
        let mut instances: Vec<_> = rule.instances.iter().collect();
        instances.sort_by_key(|instance| {
            let place = match instance.state {
                AlertState::Firing => 0,
                AlertState::Pending => 1,
                AlertState::Resolved => 2,
            };
            (place, -since_ms(instance))
        });
        RulePage {
            frame,
            name: one_line(&rule.name, 200),
            state: rule_state(rule),
            place: format!("{}, group {}", one_line(&group.file, 200), one_line(&group.name, 200)),
            error: if rule.health == Health::Err { one_line(&rule.last_error, 1_000) } else { String::new() },
            expr: shown(rule.expr.trim(), 4_000),
            facts: facts(group, rule, now_ms),
            explore_href: link("/explore", &[("q", &rule.expr), ("from", "now-6h")]),
            trouble: None,
            chart: None,
            what_if: None,
            says: None,
            alerting: matches!(rule.kind, RuleKind::Alerting { .. }),
            alerts: instances
                .into_iter()
                .take(ALERTS_MAX)
                .map(|instance| AlertView::new(instance, rule, &mut deliveries, now_ms))
                .collect(),
            rows: Vec::new(),
            attempts: Vec::new(),
            history_looked_at: HISTORY_MAX,
        }
    }

    pub(crate) fn show_chart(&mut self, chart: RuleChart) {
        (self.chart, self.trouble) = (chart.graph, chart.trouble);
    }
}

/// What the page shows of the rule's course: the last hours.
pub(crate) fn course(bands: Vec<Band>, now_ms: i64) -> Course<'static> {
    let range = MsRange { start_ms: now_ms - LOOK_BACK_MS, end_ms: now_ms };
    Course { range, from: "now-6h".into(), to: String::new(), bands, of: None, found: Vec::new(), now_ms }
}

fn facts(group: &GroupView, rule: &RuleView, now_ms: i64) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut fact = |name: &str, value: String| out.push((name.to_string(), value));
    match rule.kind {
        RuleKind::Recording => fact("records", one_line(&rule.name, 200)),
        RuleKind::Alerting { for_ms, keep_firing_for_ms } => {
            fact("fires after", if for_ms == 0 { "one evaluation".into() } else { span(for_ms) });
            if keep_firing_for_ms > 0 {
                fact("keeps firing for", span(keep_firing_for_ms));
            }
        }
    }
    fact(
        "evaluated",
        match rule.last_evaluation_ms {
            Some(at_ms) => format!(
                "every {}, {} ago, took {}",
                span(group.interval_ms),
                span(now_ms - at_ms),
                Unit::Seconds.text(rule.evaluation_seconds)
            ),
            None => format!("every {}, not yet", span(group.interval_ms)),
        },
    );
    if group.missed_slots > 0 {
        fact("missed", counted(group.missed_slots, "slot since the start", "slots since the start"));
    }
    for (name, value) in [("owner", &rule.owner), ("runbook", &rule.runbook)] {
        if !value.is_empty() {
            fact(name, one_line(value, 1_000));
        }
    }
    for (name, value) in rule.labels.iter().chain(&rule.annotations) {
        fact(&one_line(name, 100), one_line(value, 1_000));
    }
    out
}
