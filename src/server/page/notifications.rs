//! `/notifications`: did the page go out?

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use model::alert::{Attempt, Intent, Outcome, Progress};
use notify::{ReceiverView, TestSteps};
use serde::Deserialize;

use super::alert_view::told;
use super::alerts::{foreign_note, intents};
use super::asked::{Asked, Asking, firing};
use super::badge::Badge;
use super::failure::Failure;
use super::form::{Form, see};
use super::frame::{Frame, show};
use super::history_view::{AttemptRow, ROWS_MAX, attempt_rows, cut_page};
use super::link::link;
use super::silences::changed;
use super::text::{one_line, span};
use crate::error::Fault;

/// Undelivered messages listed.
const WAITING_MAX: usize = 50;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Parameters {
    /// Attempts before this time, in ms.
    pub(crate) before: Option<i64>,
    /// A test that was begun.
    pub(crate) test: String,
}

/// How a test goes.
pub(crate) struct TestView {
    pub(crate) state: String,
    pub(crate) attempts: Vec<AttemptRow>,
    /// To look again; empty when it is done.
    pub(crate) again_href: String,
}

pub(crate) struct Channel {
    /// Receiver to test; on the first channel of each.
    pub(crate) test: String,
    pub(crate) state: Badge,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) success: String,
    pub(crate) failure: String,
    pub(crate) error: String,
}

pub(crate) struct Waiting {
    pub(crate) receiver: String,
    pub(crate) class: &'static str,
    pub(crate) word: String,
    pub(crate) detail: String,
    pub(crate) subject: String,
    pub(crate) error: String,
}

#[derive(Template)]
#[template(path = "notifications.html")]
pub(crate) struct NotificationsPage {
    pub(crate) frame: Frame,
    pub(crate) note: String,
    pub(crate) test: Option<TestView>,
    pub(crate) channels: Vec<Channel>,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) waiting_more: String,
    pub(crate) attempts: Vec<AttemptRow>,
    pub(crate) older_href: String,
}

pub(super) async fn page(asking: Asking, Query(parameters): Query<Parameters>) -> Result<Response, Failure> {
    show(&asking.answer(move |asked| build(asked, &parameters)).await?)
}

fn build(asked: &Asked, parameters: &Parameters) -> Result<NotificationsPage, Failure> {
    let frame = Frame::new(asked, "/notifications", firing(&asked.groups()));
    let receivers = asked.alerting().map(|alerting| alerting.notifier.receivers()).unwrap_or_default();
    let mut attempts = match asked.store()?.filter(|_| asked.alerting().is_some()) {
        Some(tenant) => tenant.alerts()?.attempts(parameters.before.unwrap_or(i64::MAX), ROWS_MAX)?,
        None => Vec::new(),
    };
    let next_ms = cut_page(&mut attempts, |attempt| attempt.at_ms);
    let mut page = NotificationsPage::new(frame, &receivers, &intents(asked)?, &attempts, asked.now_ms);
    page.note = foreign_note(asked);
    if let Some(alerting) = asked.alerting().filter(|_| !parameters.test.is_empty()) {
        let steps = alerting.notifier.test_steps(&parameters.test)?;
        page.test = Some(TestView::new(&parameters.test, &steps, asked.now_ms));
    }
    if let Some(next_ms) = next_ms {
        page.older_href = link("/notifications", &[("before", &next_ms.to_string())]);
    }
    Ok(page)
}

/// Sends a test to a receiver, and shows how it goes.
pub(super) async fn test(asking: Asking, form: Form) -> Result<Response, Failure> {
    let begun = asking.answer(move |asked| {
        let begun = changed(asked)?.notifier.send_test(form.get("receiver"));
        Ok(begun.map_err(|error| Fault::new(error.kind(), error.to_string()))?)
    });
    Ok(see(&link("/notifications", &[("test", &begun.await?)])))
}

impl TestView {
    pub(crate) fn new(id: &str, steps: &TestSteps, now_ms: i64) -> TestView {
        let all_accepted = steps.attempts.iter().all(|attempt| attempt.outcome == Outcome::Accepted);
        let state = match (steps.done, all_accepted) {
            (true, true) => "Done: every channel took the alert and its end.",
            (true, false) => "Done, and not everything was taken; the answers say why.",
            (false, _) if steps.attempts.is_empty() => "On its way: no channel has answered yet.",
            (false, _) => "Under way: an end follows each firing that is taken, and what failed is tried again.",
        };
        TestView {
            state: state.into(),
            attempts: attempt_rows(&steps.attempts, now_ms),
            again_href: if steps.done { String::new() } else { link("/notifications", &[("test", id)]) },
        }
    }
}

impl NotificationsPage {
    pub(crate) fn new(
        frame: Frame,
        receivers: &[ReceiverView],
        intents: &[Intent],
        attempts: &[Attempt],
        now_ms: i64,
    ) -> NotificationsPage {
        let ago = |at_ms: Option<i64>| at_ms.map_or("never".into(), |at_ms| format!("{} ago", span(now_ms - at_ms)));
        let channels = receivers
            .iter()
            .flat_map(|receiver| receiver.channels.iter().enumerate().map(move |(at, channel)| (receiver, at, channel)))
            .map(|(receiver, at, channel)| Channel {
                test: if at == 0 { receiver.name.clone() } else { String::new() },
                state: match (channel.broken, channel.last_success_ms, channel.last_failure_ms) {
                    (true, _, _) => Badge::firing("failing, held back"),
                    (false, success, Some(failure)) if success.is_none_or(|success| success <= failure) => {
                        Badge::pending("last attempt failed")
                    }
                    (false, Some(_), _) => Badge::ok("works"),
                    (false, None, _) => Badge::no_data("not used yet"),
                },
                name: one_line(&channel.name, 120),
                kind: channel.kind,
                success: ago(channel.last_success_ms),
                failure: ago(channel.last_failure_ms),
                error: one_line(&channel.last_error, 400),
            })
            .collect();
        let mut undelivered: Vec<&Intent> =
            intents.iter().filter(|intent| !matches!(intent.progress, Progress::Accepted { .. })).collect();
        undelivered.sort_by_key(|intent| intent.created_ms);
        let more = undelivered.len().saturating_sub(WAITING_MAX);
        let waiting = undelivered
            .into_iter()
            .take(WAITING_MAX)
            .map(|intent| {
                let told = told(intent, now_ms);
                Waiting {
                    receiver: told.receiver,
                    class: told.class,
                    word: told.word,
                    detail: format!("wanted since {}", span(now_ms - intent.created_ms)),
                    subject: subject(intent),
                    error: told.detail,
                }
            })
            .collect();
        NotificationsPage {
            frame,
            note: String::new(),
            test: None,
            channels,
            waiting,
            waiting_more: if more > 0 { format!("{more} more.") } else { String::new() },
            attempts: attempt_rows(attempts, now_ms),
            older_href: String::new(),
        }
    }
}

fn subject(intent: &Intent) -> String {
    let name = intent.instances.first().map(|instance| instance.labels.value("alertname")).unwrap_or_default();
    let more = intent.instances.len().saturating_sub(1);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    one_line(&format!("{}: {name}{more}", intent.want.as_str()), 300)
}
