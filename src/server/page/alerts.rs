//! `/alerts`: what is firing, what was, and the rules that decide it.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use model::AlertState;
use model::alert::{Instance, Intent, Transition};
use rules::{GroupView, Health, RuleKind, RuleView};
use serde::Deserialize;

use super::alert_held::Held;
use super::alert_view::{AlertView, Deliveries, rule_href, since_ms};
use super::asked::{Asked, Asking, firing, instances};
use super::badge::Badge;
use super::failure::Failure;
use super::frame::{Frame, show};
use super::history_view::{ROWS_MAX, TransitionRow, cut_page, transition_rows};
use super::link::link;
use super::noise::{self, NoiseRow};
use super::pushed::{is_pushed, with_pushed};
use super::text::{counted, one_line, span};
use crate::chart::Unit;

/// Alerts on one page; past it, a storm is looked at by its rules.
const ALERTS_MAX: usize = 100;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Parameters {
    /// `active` (the default), `pending`, `resolved`, `history`, `noise` or `rules`.
    pub(crate) tab: String,
    /// History before this time, in ms.
    pub(crate) before: Option<i64>,
}

pub(crate) enum List {
    Alerts(Vec<AlertView>),
    History(Vec<TransitionRow>),
    Noise(Vec<NoiseRow>),
    Rules(Vec<Group>),
}

pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) note: String,
    pub(crate) rules: Vec<Rule>,
}

pub(crate) struct Rule {
    pub(crate) state: Badge,
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) severity: String,
    pub(crate) expr: String,
    pub(crate) error: String,
    pub(crate) evaluated: String,
}

pub(crate) struct CountedTab {
    pub(crate) name: &'static str,
    pub(crate) href: String,
    pub(crate) current: bool,
    /// Empty where counting says nothing.
    pub(crate) count: String,
}

#[derive(Template)]
#[template(path = "alerts.html")]
pub(crate) struct AlertsPage {
    pub(crate) frame: Frame,
    pub(crate) title: String,
    pub(crate) tabs: Vec<CountedTab>,
    pub(crate) note: String,
    pub(crate) caption: &'static str,
    pub(crate) none: String,
    pub(crate) list: List,
    pub(crate) older_href: String,
}

pub(super) async fn page(asking: Asking, Query(parameters): Query<Parameters>) -> Result<Response, Failure> {
    show(&asking.answer(move |asked| build(asked, &parameters)).await?)
}

/// What the alert pages show to a tenant that has no rules of its own.
pub(crate) fn foreign_note(asked: &Asked) -> String {
    if asked.alerting().is_some() {
        return String::new();
    }
    "No rules are evaluated over this tenant's data, and nobody is told; name it in rules.tenants.".into()
}

/// What is stored about the telling of people: intents, and whether anybody could be told at all.
pub(crate) fn deliveries(asked: &Asked, held: &Held) -> Result<Deliveries, Failure> {
    let receivers = asked.alerting().map(|alerting| alerting.notifier.receivers()).unwrap_or_default();
    // A receiver without channels, as the one of a missing notify.yml, tells nobody.
    let any_receiver = receivers.iter().any(|receiver| !receiver.channels.is_empty());
    Ok(Deliveries::new(&intents(asked)?, any_receiver, asked.now_ms).with_held(held, asked.now_ms))
}

pub(crate) fn intents(asked: &Asked) -> Result<Vec<Intent>, Failure> {
    match asked.store()?.filter(|_| asked.alerting().is_some()) {
        Some(tenant) => Ok(tenant.alerts()?.intents()?),
        None => Ok(Vec::new()),
    }
}

pub(crate) fn transitions(asked: &Asked, before_ms: i64, max: usize) -> Result<Vec<Transition>, Failure> {
    match asked.store()?.filter(|_| asked.alerting().is_some()) {
        Some(tenant) => Ok(tenant.alerts()?.transitions(before_ms, max)?),
        None => Ok(Vec::new()),
    }
}

fn build(asked: &Asked, parameters: &Parameters) -> Result<AlertsPage, Failure> {
    let held = Held::read(asked)?;
    let groups = with_pushed(asked.groups(), &held.statuses);
    let frame = Frame::new(asked, "/alerts", firing(&groups));
    let before_ms = parameters.before.unwrap_or(i64::MAX);
    let mut history = match parameters.tab.as_str() {
        "history" => transitions(asked, before_ms, ROWS_MAX)?,
        "noise" => transitions(asked, i64::MAX, noise::TRANSITIONS_MAX)?,
        _ => Vec::new(),
    };
    let is_paged = parameters.tab == "history";
    let next_ms = if is_paged { cut_page(&mut history, |change| change.at_ms) } else { None };
    let mut page = AlertsPage::new(frame, parameters, &groups, deliveries(asked, &held)?, &history, asked.now_ms);
    if asked.alerting().is_none() {
        page.note = foreign_note(asked);
    }
    if let Some(next_ms) = next_ms {
        page.older_href = link("/alerts", &[("tab", "history"), ("before", &next_ms.to_string())]);
    }
    Ok(page)
}

/// Alerts of one state, the most severe and then the youngest first.
pub(crate) fn of_state(groups: &[GroupView], state: AlertState) -> Vec<(&Instance, &RuleView)> {
    let rules = groups.iter().flat_map(|group| &group.rules);
    let mut found: Vec<(&Instance, &RuleView)> = rules
        .flat_map(|rule| rule.instances.iter().map(move |instance| (instance, rule)))
        .filter(|(instance, _)| instance.state == state)
        .collect();
    found.sort_by_key(|(instance, _)| (severity_rank(instance.labels.value("severity")), -since_ms(instance)));
    found
}

/// 0 is the worst.
pub(crate) fn severity_rank(severity: &str) -> u8 {
    match severity {
        "critical" | "page" => 0,
        "error" => 1,
        "warning" => 2,
        "info" => 3,
        _ => 4,
    }
}

impl AlertsPage {
    pub(crate) fn new(
        frame: Frame,
        parameters: &Parameters,
        groups: &[GroupView],
        mut deliveries: Deliveries,
        history: &[Transition],
        now_ms: i64,
    ) -> AlertsPage {
        let tab = match parameters.tab.as_str() {
            known @ ("pending" | "resolved" | "history" | "noise" | "rules") => known,
            _ => "active",
        };
        let count = |state| instances(groups).filter(|instance| instance.state == state).count().to_string();
        let of_files = || groups.iter().filter(|group| !is_pushed(group));
        let rules = of_files().map(|group| group.rules.len()).sum::<usize>();
        let tabs = [
            ("Active", "active", count(AlertState::Firing)),
            ("Pending", "pending", count(AlertState::Pending)),
            ("Resolved", "resolved", count(AlertState::Resolved)),
            ("History", "history", String::new()),
            ("Noise", "noise", String::new()),
            ("Rules", "rules", rules.to_string()),
        ];
        let tabs = tabs.map(|(name, key, count)| CountedTab {
            name,
            href: link("/alerts", &[("tab", if key == "active" { "" } else { key })]),
            current: key == tab,
            count,
        });
        let mut more = String::new();
        let mut views = |state| {
            let found = of_state(groups, state);
            if found.len() > ALERTS_MAX {
                more = format!(
                    "The first {ALERTS_MAX} of {}; the Rules tab shows which rules they come from.",
                    found.len()
                );
            }
            let shown = found.into_iter().take(ALERTS_MAX);
            List::Alerts(
                shown.map(|(instance, rule)| AlertView::new(instance, rule, &mut deliveries, now_ms)).collect(),
            )
        };
        let (caption, list, none) = match tab {
            "pending" => ("Pending alerts", views(AlertState::Pending), "Nothing is pending.".into()),
            "resolved" => (
                "Recently resolved alerts",
                views(AlertState::Resolved),
                "Nothing has been resolved in the last 15 minutes; the history goes further back.".into(),
            ),
            "history" => (
                "Changes, newest first",
                List::History(transition_rows(history, groups, now_ms)),
                "No alert has changed its state yet.".into(),
            ),
            "noise" => (
                "Noisiest rules of the last 7 days",
                List::Noise(noise::noise(history, now_ms)),
                "Nothing fired in the last 7 days.".into(),
            ),
            "rules" => (
                "Rules",
                List::Rules(of_files().map(|group| group_row(group, now_ms)).collect()),
                "No rules are loaded.".into(),
            ),
            _ => (
                "Firing alerts",
                views(AlertState::Firing),
                format!("Nothing is firing. {} watched.", counted(rules as u64, "rule is", "rules are")),
            ),
        };
        let firing = firing(groups);
        AlertsPage {
            frame,
            title: if firing > 0 { format!("{firing} firing - Alerts") } else { "Alerts".into() },
            tabs: tabs.into(),
            note: more,
            caption,
            none,
            list,
            older_href: String::new(),
        }
    }
}

/// The worst that a rule's instances are, or how the rule itself is.
pub(crate) fn rule_state(rule: &RuleView) -> Badge {
    let count = |state| rule.instances.iter().filter(|instance| instance.state == state).count();
    let (firing, pending) = (count(AlertState::Firing), count(AlertState::Pending));
    match (firing, pending, &rule.health) {
        (1.., _, _) => Badge::firing(format!("{firing} firing")),
        (0, 1.., _) => Badge::pending(format!("{pending} pending")),
        (_, _, Health::Err) => Badge::no_data("failing"),
        (_, _, Health::Unknown) => Badge::no_data("not evaluated yet"),
        (_, _, Health::Ok) => Badge::ok("ok"),
    }
}

fn group_row(group: &GroupView, now_ms: i64) -> Group {
    let mut note = format!("every {}, {}", span(group.interval_ms), one_line(&group.file, 200));
    if group.missed_slots > 0 {
        note.push_str(&format!(", {}", counted(group.missed_slots, "slot missed", "slots missed")));
    }
    let rules = group
        .rules
        .iter()
        .map(|rule| Rule {
            state: rule_state(rule),
            name: one_line(&rule.name, 200),
            href: rule_href(&rule.id),
            severity: match rule.kind {
                RuleKind::Recording => String::new(),
                RuleKind::Alerting { .. } => {
                    let found = rule.labels.iter().find(|(name, _)| name == "severity");
                    found.map(|(_, value)| one_line(value, 40)).unwrap_or_default()
                }
            },
            expr: one_line(&rule.expr.split_whitespace().collect::<Vec<_>>().join(" "), 200),
            error: one_line(&rule.last_error, 300),
            evaluated: match rule.last_evaluation_ms {
                Some(at_ms) => format!("{} ago, {}", span(now_ms - at_ms), Unit::Seconds.text(rule.evaluation_seconds)),
                None => "never".into(),
            },
        })
        .collect();
    Group { name: one_line(&group.name, 200), note, rules }
}
