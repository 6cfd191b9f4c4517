//! `/alerts/why/<fingerprint>`: who was told of an alert and who was not, from what is stored; and to take it on.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;

use super::asked::{Asked, Asking, firing};
use super::failure::Failure;
use super::form::{Form, see};
use super::frame::{Frame, show};
use super::history_view::{AttemptRow, attempt_rows};
use super::link::link;
use super::silences::changed;
use super::text::{one_line, span};
use crate::alertmanager::trace::{Trace, until_ms};
use crate::error::Fault;

pub(crate) struct RouteRow {
    pub(crate) receiver: String,
    pub(crate) path: String,
    pub(crate) group: String,
    pub(crate) timers: String,
    pub(crate) held: String,
}

#[derive(Template)]
#[template(path = "alert_trace.html")]
pub(crate) struct AlertTracePage {
    pub(crate) frame: Frame,
    pub(crate) name: String,
    pub(crate) labels: Vec<String>,
    pub(crate) words: Vec<String>,
    pub(crate) routes: Vec<RouteRow>,
    pub(crate) attempts: Vec<AttemptRow>,
    pub(crate) ack_action: String,
    pub(crate) unack_action: String,
    pub(crate) acked: String,
    pub(crate) silence_href: String,
}

pub(super) async fn page(asking: Asking, Path(fingerprint): Path<String>) -> Result<Response, Failure> {
    show(&asking.answer(move |asked| build(asked, &fingerprint)).await?)
}

fn build(asked: &Asked, fingerprint: &str) -> Result<AlertTracePage, Failure> {
    let found = match asked.alerting() {
        Some(alerting) => Trace::read(&asked.state, alerting, fingerprint, asked.now_ms)?,
        None => None,
    };
    let trace = found.ok_or_else(|| Failure::not_found("a firing alert with this fingerprint"))?;
    let labels = &trace.status.instance.labels;
    let routes = trace.routes.iter().map(|route| RouteRow {
        receiver: one_line(&route.receiver, 120),
        path: one_line(&route.path, 400),
        group: one_line(&route.group_labels.to_string(), 300),
        timers: format!(
            "first after {}, then every {}, again after {}",
            span(route.group_wait_ms),
            span(route.group_interval_ms),
            span(route.repeat_interval_ms)
        ),
        held: one_line(&route.suppressors.iter().map(notify::Suppressor::words).collect::<Vec<_>>().join("; "), 400),
    });
    let fingerprint = &trace.status.fingerprint;
    Ok(AlertTracePage {
        frame: Frame::new(asked, "/alerts", firing(&asked.groups())),
        name: one_line(labels.value("alertname"), 200),
        labels: labels.iter().map(|(name, value)| one_line(&format!("{name}={value}"), 200)).collect(),
        words: trace.words.iter().map(|words| one_line(words, 500)).collect(),
        routes: routes.collect(),
        attempts: attempt_rows(&trace.attempts, asked.now_ms),
        ack_action: format!("/alerts/why/{fingerprint}/ack"),
        unack_action: format!("/alerts/why/{fingerprint}/unack"),
        acked: trace.status.ack.as_ref().map(|ack| one_line(&ack.by, 80)).unwrap_or_default(),
        silence_href: silence_href(labels),
    })
}

/// The form for a silence of exactly these labels.
pub(crate) fn silence_href(labels: &model::Labels) -> String {
    let matchers: Vec<String> =
        labels.iter().map(|(name, value)| model::Matcher::equal(name, value).to_string()).collect();
    link("/silences", &[("matchers", &matchers.join(", "))])
}

pub(super) async fn acknowledge(
    asking: Asking,
    Path(fingerprint): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    let path = format!("/alerts/why/{fingerprint}");
    asking
        .answer(move |asked| {
            let notifier = &changed(asked)?.notifier;
            let until_ms = until_ms(Some(form.get("lasts")), asked.now_ms)?;
            let (by, comment) = (form.get("by"), form.get("comment"));
            let done = notifier.acknowledge(&fingerprint, by, comment, until_ms, asked.now_ms);
            Ok(done.map_err(Fault::from)?)
        })
        .await?;
    Ok(see(&path))
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
