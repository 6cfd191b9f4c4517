//! `/api/v2/alerts` and `/api/v2/alerts/groups`.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::response::Response;
use model::{Labels, MatchOp, Matcher, TenantId};
use notify::{AlertStatus, Board, PushDraft};
use serde::Deserialize;

use super::json::{push_alert, push_receiver, time_ms};
use super::{Asker, answer, body, lacking, ok, passes};
use crate::api::envelope::{push_array, push_object};
use crate::error::Fault;

/// Says whose an alert is, where that is not the default tenant.
const TENANT_LABEL: &str = "tenant";

/// Which alerts are asked for.
struct Filter {
    matchers: Vec<Matcher>,
    receiver: Option<Matcher>,
    /// Over the receivers' labels.
    receiver_matchers: Vec<Matcher>,
    active: bool,
    silenced: bool,
    inhibited: bool,
}

impl Filter {
    fn read(asker: &Asker) -> Result<Filter, Fault> {
        let receiver = asker.get("receiver").filter(|text| !text.is_empty()).map(|text| {
            let parsed = Matcher::new("receiver", MatchOp::Regex, text);
            parsed.map_err(|error| Fault::invalid(format!("failed to parse receiver param: {error}")))
        });
        // Nothing is unprocessed here: the state of an alert is known as soon as the alert is.
        asker.flag("unprocessed", true)?;
        Ok(Filter {
            matchers: asker.filters()?,
            receiver: receiver.transpose()?,
            receiver_matchers: asker.receiver_matchers()?,
            active: asker.flag("active", true)?,
            silenced: asker.flag("silenced", true)?,
            inhibited: asker.flag("inhibited", true)?,
        })
    }

    fn takes(&self, alert: &AlertStatus) -> bool {
        (self.active || alert.is_suppressed())
            && (self.silenced || alert.silenced_by.is_empty())
            && (self.inhibited || alert.inhibited_by.is_empty())
            && passes(&self.matchers, |name| alert.instance.labels.get(name))
    }

    fn takes_receiver(&self, name: &str) -> bool {
        self.receiver.as_ref().is_none_or(|matcher| matcher.matches(name))
    }

    /// Whether a receiver is among those that the matchers find.
    fn finds_receiver(&self, name: &str, board: &Board) -> bool {
        self.receiver_matchers.is_empty()
            || board
                .receivers()
                .any(|(known, labels)| known == name && passes(&self.receiver_matchers, |label| labels.get(label)))
    }
}

pub(super) async fn list(asker: Asker) -> Response {
    let result = asker.work(|asker| {
        let filter = Filter::read(&asker)?;
        let mut out = String::new();
        let Some(alerting) = asker.alerting() else { return Ok(ok("[]".into())) };
        let board = alerting.notifier.board(crate::clock::now_ms())?;
        let statuses = board.statuses();
        let shown = statuses.iter().filter(|alert| {
            filter.takes(alert)
                && alert.receivers.iter().any(|receiver| filter.takes_receiver(receiver))
                && alert.receivers.iter().any(|receiver| filter.finds_receiver(receiver, &board))
        });
        push_array(shown, &mut out, |alert, out| push_alert(alert, &alert.receivers, &[], out));
        Ok(ok(out))
    });
    answer(result.await)
}

pub(super) async fn groups(asker: Asker) -> Response {
    let result = asker.work(|asker| {
        let filter = Filter::read(&asker)?;
        let muted = asker.flag("muted", true)?;
        let mut out = String::new();
        let Some(alerting) = asker.alerting() else { return Ok(ok("[]".into())) };
        let board = alerting.notifier.board(crate::clock::now_ms())?;
        let statuses = board.statuses();
        let mut groups = board.groups(&statuses);
        groups.retain_mut(|group| {
            group.alerts.retain(|at| filter.takes(&statuses[*at]));
            filter.takes_receiver(&group.receiver)
                && filter.finds_receiver(&group.receiver, &board)
                && !group.alerts.is_empty()
                && (muted || group.muted_by.is_empty())
        });
        // As in Alertmanager: here an alert names the receivers of the groups that are shown, in order.
        let mut receivers: Vec<Vec<String>> = vec![Vec::new(); statuses.len()];
        for group in &groups {
            group.alerts.iter().for_each(|at| receivers[*at].push(group.receiver.clone()));
        }
        receivers.iter_mut().for_each(|names| names.sort());
        push_array(&groups, &mut out, |group, out| {
            out.push_str("{\"alerts\":");
            push_array(&group.alerts, out, |at, out| push_alert(&statuses[*at], &receivers[*at], &group.muted_by, out));
            out.push_str(",\"labels\":");
            push_object(group.labels.iter(), out);
            out.push_str(",\"receiver\":");
            push_receiver(&group.receiver, out);
            out.push('}');
        });
        Ok(ok(out))
    });
    answer(result.await)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostedAlert {
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    starts_at: Option<String>,
    ends_at: Option<String>,
    #[serde(rename = "generatorURL")]
    generator_url: Option<String>,
}

pub(super) async fn push(asker: Asker, bytes: Body) -> Response {
    if let Err(fault) = asker.may_write(true) {
        return super::refuse(&fault);
    }
    let bytes = match body(bytes).await {
        Ok(bytes) => bytes,
        Err(fault) => return super::refuse(&fault),
    };
    let posted: Vec<PostedAlert> = match serde_json::from_slice(&bytes) {
        Ok(posted) => posted,
        Err(error) => return super::refuse(&Fault::invalid(format!("parsing alerts body failed: {error}"))),
    };
    if let Some(at) = posted.iter().position(|alert| alert.labels.is_none()) {
        return lacking(&format!("alerts.{at}.labels in body is required"));
    }
    answer(asker.work(move |asker| take(&asker, posted)).await)
}

fn take(asker: &Asker, posted: Vec<PostedAlert>) -> Result<Response, Fault> {
    let mut refused = Vec::new();
    let mut drafts = Vec::with_capacity(posted.len());
    for alert in posted {
        let times = time_ms(alert.starts_at.as_deref(), "startsAt")
            .and_then(|starts_ms| Ok((starts_ms, time_ms(alert.ends_at.as_deref(), "endsAt")?)));
        match times {
            Ok((starts_ms, ends_ms)) => drafts.push(PushDraft {
                labels: theirs(&asker.tenant, alert.labels.unwrap_or_default()),
                annotations: alert.annotations.unwrap_or_default().into_iter().collect(),
                starts_ms,
                ends_ms,
                generator_url: alert.generator_url.unwrap_or_default(),
            }),
            Err(reason) => refused.push(reason),
        }
    }
    refused.extend(asker.changed()?.notifier.push_alerts(drafts, crate::clock::now_ms())?);
    if refused.is_empty() {
        return Ok(ok(String::new()));
    }
    Err(Fault::invalid(refused.join("; ")))
}

/// The labels of an alert that a tenant pushes. Routes go by the label `tenant`, as rules have it: nobody writes another one's name there.
fn theirs(tenant: &TenantId, mut labels: BTreeMap<String, String>) -> Labels {
    if *tenant != TenantId::default() {
        labels.insert(TENANT_LABEL.into(), tenant.to_string());
    }
    Labels::from_pairs(labels)
}
