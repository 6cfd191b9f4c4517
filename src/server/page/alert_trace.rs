//! `/alerts/why/<fingerprint>`: one alert with all that helps to decide: its course against the threshold, the log records around it,
//! who was told and who was not; and to take it on or make it quiet.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use model::alert::{Instance, label_fingerprint};
use model::{Kind, MsRange, Sample, TenantId};
use rules::RuleView;

use super::alert_held::Held;
use super::alert_logs::{self, AlertLogs};
use super::alert_view::{AROUND_AFTER_MS, AlertView, Deliveries};
use super::alerts::{deliveries, transitions};
use super::asked::{Asked, Asking, firing};
use super::failure::{Failure, Trouble};
use super::form::{Form, see};
use super::frame::{Frame, show};
use super::graph::Graph;
use super::history_view::{AttemptRow, attempt_rows};
use super::link::link;
use super::pushed::with_pushed;
use super::rule_chart::{Course, RuleChart, bands_of, found_of};
use super::silences::changed;
use super::takers::{TRAIL_MAX, takers};
use super::text::{one_line, span};
use super::window::frozen;
use crate::AuthMode;
use crate::alertmanager::ended::last_episode;
use crate::alertmanager::trace::{Trace, until_ms};
use crate::error::Fault;

/// Newest changes of all rules' alerts among which those of this one are looked for.
const CHANGES_MAX: usize = 2_000;

pub(crate) struct RouteRow {
    pub(crate) receiver: String,
    pub(crate) path: String,
    pub(crate) group: String,
    pub(crate) timers: String,
    pub(crate) held: String,
}

/// What was typed to acknowledge an alert, and why that could not be done: both empty until it was tried.
#[derive(Default)]
pub(crate) struct AckAsked {
    pub(crate) by: String,
    pub(crate) comment: String,
    pub(crate) lasts: String,
    pub(crate) trouble: String,
}

/// What somebody can do about an alert that fires.
pub(crate) struct Take {
    pub(crate) ack_action: String,
    pub(crate) unack_action: String,
    /// Who has it; empty when nobody has.
    pub(crate) acked: String,
    /// A line for each who has or had it, the newest last.
    pub(crate) takers: Vec<String>,
    /// Of a silence of exactly this alert.
    pub(crate) matchers: String,
    pub(crate) asked: AckAsked,
}

#[derive(Template)]
#[template(path = "alert_trace.html")]
pub(crate) struct AlertTracePage {
    pub(crate) frame: Frame,
    pub(crate) name: String,
    pub(crate) alert: AlertView,
    pub(crate) chart: Option<Graph>,
    pub(crate) trouble: Option<Trouble>,
    /// `None` unless it fires.
    pub(crate) take: Option<Take>,
    pub(crate) silence_href: String,
    pub(crate) logs: Option<AlertLogs>,
    pub(crate) words: Vec<String>,
    pub(crate) routes: Vec<RouteRow>,
    pub(crate) attempts: Vec<AttemptRow>,
}

pub(super) async fn page(asking: Asking, Path(fingerprint): Path<String>) -> Result<Response, Failure> {
    show(&asking.answer(move |asked| build(asked, &fingerprint)).await?)
}

fn build(asked: &Asked, fingerprint: &str) -> Result<AlertTracePage, Failure> {
    let held = Held::read(asked)?;
    let groups = with_pushed(asked.groups(), &held.statuses);
    let rules = || groups.iter().flat_map(|group| &group.rules);
    let mut all = rules().flat_map(|rule| rule.instances.iter().map(move |instance| (rule, instance)));
    let is_asked = |instance: &Instance| {
        label_fingerprint(&instance.labels) == fingerprint || instance.fingerprint() == fingerprint
    };
    let changes = transitions(asked, i64::MAX, CHANGES_MAX)?;
    let over = || {
        let instance = last_episode(&changes, fingerprint)?;
        Some((rules().find(|rule| rule.id == instance.rule_id)?, instance))
    };
    let known = all.find(|(_, instance)| is_asked(instance)).map(|(rule, instance)| (rule, instance.clone()));
    let Some((rule, instance)) = known.or_else(over) else {
        return Err(unknown(asked, fingerprint)?);
    };
    let instance = &instance;
    let frame = Frame::new(asked, "/alerts", firing(&groups));
    let mut page = AlertTracePage::new(frame, rule, instance, &mut deliveries(asked, &held)?, asked.now_ms);
    let found = found_of(instance, &changes);
    let chart = RuleChart::ask(asked, &instance.rule_id, &course(instance, found, asked.now_ms))?;
    (page.chart, page.trouble) = (chart.graph, chart.trouble);
    page.logs = alert_logs::ask(asked, instance)?;
    if let Some(alerting) = asked.alerting()
        && let Some(trace) = Trace::read(&asked.state, alerting, fingerprint, asked.now_ms)?
    {
        page.show_trace(&trace, asked.now_ms);
        page.show_takers(asked, &trace)?;
    }
    Ok(page)
}

/// That this tenant has no such alert; and without tokens, who has: a link of a message may be about another tenant's, and a browser
/// cannot name a tenant.
fn unknown(asked: &Asked, fingerprint: &str) -> Result<Failure, Failure> {
    let mut words = format!(
        "No alert that tenant {} has, now or in its latest history (all of it: /alerts?tab=history), is the one with this fingerprint.",
        asked.tenant
    );
    for other in elsewhere(asked, fingerprint)? {
        words.push_str(&format!(
            " Tenant {other} has it: ask with the header X-Scope-OrgID: {other}, which a proxy can put before a browser's requests, or with a token of that tenant once tokens are asked (auth.mode = \"token\")."
        ));
    }
    Ok(Fault::new(Kind::NotFound, words).into())
}

/// Other tenants that have an alert of this fingerprint, where everybody may know: no token is asked.
fn elsewhere(asked: &Asked, fingerprint: &str) -> Result<Vec<TenantId>, Failure> {
    if asked.state.settings.auth != AuthMode::Off {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for alerting in asked.state.alertings().filter(|alerting| alerting.tenant != asked.tenant) {
        if Trace::read(&asked.state, alerting, fingerprint, asked.now_ms)?.is_some() {
            found.push(alerting.tenant.clone());
        }
    }
    found.sort();
    Ok(found)
}

/// What is drawn: an hour, or more where it began earlier, up to its end.
fn course(instance: &Instance, found: Vec<Sample>, now_ms: i64) -> Course<'_> {
    const HOUR_MS: i64 = 3_600_000;
    const LONGEST_MS: i64 = 7 * 24 * HOUR_MS;
    let end_ms = instance.resolved_at_ms.map_or(now_ms, |ended_ms| (ended_ms + AROUND_AFTER_MS).min(now_ms));
    let length_ms = ((end_ms - instance.active_at_ms) / 4 * 5).clamp(HOUR_MS, LONGEST_MS);
    // The series' records are those beside the chart, however long ago that was.
    let window = frozen(end_ms - length_ms, end_ms);
    let [(_, from), (_, to)] = window.each();
    Course {
        range: MsRange { start_ms: end_ms - length_ms, end_ms },
        from: from.into(),
        to: to.into(),
        bands: bands_of(instance, now_ms),
        of: Some(&instance.labels),
        found,
        now_ms,
    }
}

impl AlertTracePage {
    pub(crate) fn new(
        frame: Frame,
        rule: &RuleView,
        instance: &Instance,
        deliveries: &mut Deliveries,
        now_ms: i64,
    ) -> AlertTracePage {
        let mut alert = AlertView::new(instance, rule, deliveries, now_ms);
        // What it leads to is on this page already.
        let fires = !std::mem::take(&mut alert.take_href).is_empty();
        if !alert.rule_href.is_empty() {
            alert.href.clone_from(&alert.rule_href);
        }
        let fingerprint = label_fingerprint(&instance.labels);
        AlertTracePage {
            frame,
            name: one_line(instance.labels.value("alertname"), 200),
            alert,
            chart: None,
            trouble: None,
            take: fires.then(|| Take {
                ack_action: format!("/alerts/why/{fingerprint}/ack"),
                unack_action: format!("/alerts/why/{fingerprint}/unack"),
                acked: String::new(),
                takers: Vec::new(),
                matchers: matchers(&instance.labels),
                asked: AckAsked::default(),
            }),
            silence_href: silence_href(&instance.labels),
            logs: None,
            words: Vec::new(),
            routes: Vec::new(),
            attempts: Vec::new(),
        }
    }

    fn show_takers(&mut self, asked: &Asked, trace: &Trace) -> Result<(), Failure> {
        let (Some(take), Some(tenant)) = (&mut self.take, asked.store()?) else { return Ok(()) };
        let trail = tenant.alerts()?.audit(i64::MAX, TRAIL_MAX)?;
        take.takers = takers(&trail, &trace.status, asked.now_ms);
        Ok(())
    }

    pub(crate) fn show_trace(&mut self, trace: &Trace, now_ms: i64) {
        let route = |route: &notify::RouteTaken| RouteRow {
            receiver: one_line(&route.receiver, 120),
            path: one_line(&route.path, 400),
            group: one_line(&route.group_labels.to_string(), 300),
            timers: format!(
                "first after {}, then every {}, again after {}",
                span(route.group_wait_ms),
                span(route.group_interval_ms),
                span(route.repeat_interval_ms)
            ),
            held: one_line(
                &route.suppressors.iter().map(notify::Suppressor::words).collect::<Vec<_>>().join("; "),
                400,
            ),
        };
        self.words = trace.words.iter().map(|words| one_line(words, 500)).collect();
        self.routes = trace.routes.iter().map(route).collect();
        self.attempts = attempt_rows(&trace.attempts, now_ms);
        if let (Some(take), Some(ack)) = (&mut self.take, &trace.status.ack) {
            take.acked = one_line(&ack.by, 80);
        }
    }
}

fn matchers(labels: &model::Labels) -> String {
    let each = labels.iter().map(|(name, value)| model::Matcher::equal(name, value).to_string());
    each.collect::<Vec<_>>().join(", ")
}

/// The form for a silence of exactly these labels.
pub(crate) fn silence_href(labels: &model::Labels) -> String {
    link("/silences", &[("matchers", &matchers(labels))])
}

pub(super) async fn acknowledge(
    asking: Asking,
    Path(fingerprint): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    let path = format!("/alerts/why/{fingerprint}");
    let refused = asking
        .answer(move |asked| {
            let notifier = &changed(asked)?.notifier;
            let (by, comment, lasts) = (form.get("by"), form.get("comment"), form.get("lasts"));
            let done = until_ms(Some(lasts), asked.now_ms)
                .and_then(|until_ms| Ok(notifier.acknowledge(&fingerprint, by, comment, until_ms, asked.now_ms)?));
            match done {
                Ok(()) => Ok(None),
                // To be typed otherwise: the form comes back with what is in it.
                Err(fault) if fault.kind == Kind::Invalid => {
                    let mut page = build(asked, &fingerprint)?;
                    if let Some(take) = &mut page.take {
                        let [by, comment, lasts] = [by, comment, lasts].map(str::to_owned);
                        take.asked = AckAsked { by, comment, lasts, trouble: fault.message };
                    }
                    Ok(Some(page))
                }
                Err(fault) => Err(fault.into()),
            }
        })
        .await?;
    match refused {
        None => Ok(see(&path)),
        Some(page) => show(&page),
    }
}

pub(super) async fn unacknowledge(
    asking: Asking,
    Path(fingerprint): Path<String>,
    _form: Form,
) -> Result<Response, Failure> {
    let path = format!("/alerts/why/{fingerprint}");
    asking
        .answer(move |asked| {
            let done = changed(asked)?.notifier.unacknowledge(&fingerprint, "page", asked.now_ms);
            Ok(done.map_err(Fault::from)?)
        })
        .await?;
    Ok(see(&path))
}
