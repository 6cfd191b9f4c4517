//! `/s/{name}` and `/h/{name}`: one service or one host with all its signals over one window: what fires, its charts, its bad log records,
//! and where it runs or what runs on it.

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;
use model::alert::Instance;
use model::{AlertState, Matcher};
use query::logs::{self, Direction};
use rules::RuleView;
use serde::Deserialize;

use super::alert_held::Held;
use super::alert_logs::AlertLogs;
use super::alert_view::AlertView;
use super::alerts::{deliveries, severity_rank};
use super::asked::{Asked, Asking, Metrics, firing};
use super::badge::Badge;
use super::entity_panels::{Subject, panels};
use super::failure::{Failure, Trouble};
use super::frame::{Frame, show};
use super::link::{encode, link};
use super::log_term::term;
use super::overview::alerts_of;
use super::panel::Panel;
use super::pushed::with_pushed;
use super::text::one_line;
use super::window::When;

/// Alerts in full; the alerts page has the rest.
const ALERTS_MAX: usize = 10;
/// Names of services or hosts beside it.
const NEIGHBOURS_MAX: usize = 30;
/// Newest bad records.
const RECORDS_MAX: usize = 15;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Parameters {
    pub(crate) from: String,
    pub(crate) to: String,
}

#[derive(Template)]
#[template(path = "entity.html")]
pub(crate) struct EntityPage {
    pub(crate) frame: Frame,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) state: Badge,
    pub(crate) path: String,
    pub(crate) when: When,
    /// What the services beside it are called: `runs on`, `runs`.
    pub(crate) beside: &'static str,
    pub(crate) neighbours: Vec<(String, String)>,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) alerts: Vec<AlertView>,
    pub(crate) panels: Vec<Panel>,
    /// What it sends nothing of.
    pub(crate) nothing_of: String,
    pub(crate) logs: Option<AlertLogs>,
}

/// The page of a service or a host, for links.
pub(crate) fn href(subject: Subject, name: &str) -> String {
    let mut href = String::from(match subject {
        Subject::Service => "/s/",
        Subject::Host => "/h/",
    });
    // A name may hold a slash, a path's part may not.
    for (place, part) in name.split('/').enumerate() {
        if place > 0 {
            href.push_str("%2F");
        }
        encode(part, &mut href);
    }
    href
}

pub(super) async fn service(
    asking: Asking,
    Path(name): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Failure> {
    show(&asking.answer(move |asked| build(asked, Subject::Service, &name, &parameters)).await?)
}

pub(super) async fn host(
    asking: Asking,
    Path(name): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Failure> {
    show(&asking.answer(move |asked| build(asked, Subject::Host, &name, &parameters)).await?)
}

fn build(asked: &Asked, subject: Subject, name: &str, parameters: &Parameters) -> Result<EntityPage, Failure> {
    let held = Held::read(asked)?;
    let groups = with_pushed(asked.groups(), &held.statuses);
    let mut page = EntityPage::new(Frame::new(asked, "/", firing(&groups)), subject, name, parameters, asked.now_ms);
    if let Some((_, state)) = alerts_of(&groups, subject.label(), name, asked.now_ms) {
        page.state = state;
    }
    let mut deliveries = deliveries(asked, &held)?;
    let about =
        groups.iter().flat_map(|group| &group.rules).flat_map(|rule| rule.instances.iter().map(move |i| (i, rule)));
    let mut about: Vec<(&Instance, &RuleView)> = about
        .filter(|(instance, _)| {
            instance.labels.value(subject.label()) == name && instance.state != AlertState::Resolved
        })
        .collect();
    about.sort_by_key(|(instance, _)| {
        (instance.state != AlertState::Firing, severity_rank(instance.labels.value("severity")))
    });
    page.alerts = about
        .into_iter()
        .take(ALERTS_MAX)
        .map(|(instance, rule)| AlertView::new(instance, rule, &mut deliveries, asked.now_ms))
        .collect();
    let Some(tenant) = asked.store()? else { return Ok(page) };
    let snapshot = tenant.snapshot()?;
    let metrics = asked.metrics(&snapshot);
    page.neighbours = neighbours(&metrics, subject, name, asked.now_ms);
    let (shown, absent) = panels(&metrics, subject, name, &page.when.window, asked.now_ms);
    page.show_panels(shown, &absent);
    if let Some(own) = term(subject.field(), name) {
        let mut records = AlertLogs::of(&own, &page.when.window);
        let found = logs::parse(&format!("{own} severity:>=warn")).and_then(|search| {
            let range = page.when.window.ns();
            logs::search_in_part(&snapshot, &search, range, Direction::NewestFirst, RECORDS_MAX, None, &asked.budget)
        });
        match found {
            Ok(answer) => records.show(&answer, true, asked.now_ms),
            Err(error) => records.trouble = Some(Trouble::of_query("The records cannot be shown", &own, &error)),
        }
        page.logs = Some(records);
    }
    Ok(page)
}

/// Hosts of a service, or services of a host, by the log records and metrics that name both.
fn neighbours(metrics: &Metrics<'_>, subject: Subject, name: &str, now_ms: i64) -> Vec<(String, String)> {
    let (own, other) = (subject.label(), subject.other());
    let selector = Matcher::equal(own, name);
    let both = format!(
        "group by ({0}) (last_over_time(binnacle_log_records_total{{{selector}}}[1h])) or group by ({0}) (http_server_request_duration_seconds_count{{{selector}}})",
        other.label()
    );
    let found = metrics.vector(&both, now_ms).unwrap_or_default();
    let mut names: Vec<String> =
        found.iter().filter_map(|(labels, _)| labels.get(other.label())).map(str::to_owned).collect();
    names.sort_unstable();
    names.truncate(NEIGHBOURS_MAX);
    names.into_iter().map(|name| (one_line(&name, 80), href(other, &name))).collect()
}

impl EntityPage {
    pub(crate) fn new(frame: Frame, subject: Subject, name: &str, parameters: &Parameters, now_ms: i64) -> EntityPage {
        let path = href(subject, name);
        let (when, trouble) = When::parse(&path, &[], &parameters.from, &parameters.to, now_ms);
        EntityPage {
            frame,
            kind: match subject {
                Subject::Service => "Service",
                Subject::Host => "Host",
            },
            name: one_line(name, 200),
            state: Badge::ok("nothing firing"),
            beside: match subject {
                Subject::Service => "runs on",
                Subject::Host => "runs",
            },
            neighbours: Vec::new(),
            troubles: trouble.into_iter().collect(),
            alerts: Vec::new(),
            panels: Vec::new(),
            nothing_of: String::new(),
            logs: None,
            when,
            path,
        }
    }

    pub(crate) fn show_panels(&mut self, panels: Vec<Panel>, absent: &[&str]) {
        self.nothing_of = match (panels.is_empty(), absent.is_empty()) {
            (_, true) => String::new(),
            (true, false) => {
                "No metric that these pages know has this name in this window; widen it, or look at the logs.".into()
            }
            (false, false) => format!("Nothing in this window of: {}.", absent.join(", ")),
        };
        self.panels = panels;
    }

    /// Its records, or the search where none can be picked out by its name.
    pub(crate) fn logs_href(&self) -> String {
        self.logs.as_ref().map_or_else(|| link("/logs", &[]), |logs| logs.href.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_hold_any_name() {
        assert_eq!(href(Subject::Service, "api"), "/s/api");
        assert_eq!(href(Subject::Host, "a/b c?d"), "/h/a%2Fb%20c%3Fd");
    }
}
