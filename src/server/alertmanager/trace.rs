//! Ours beside Alertmanager's: why somebody was told of an alert, or was not; acknowledgements; the audit trail; what a silence
//! would hold back.

use axum::body::Body;
use axum::extract::Path;
use axum::response::Response;
use model::Kind;
use model::alert::{Attempt, Intent, Progress};
use model::any::json_string;
use model::time::{format_duration_ms, rfc3339_ms};
use notify::{AlertStatus, RouteTaken, known};
use serde::Deserialize;

use super::{Asker, body};
use crate::api::envelope::{self, Notes, push_array, push_object, push_strings, push_time};
use crate::error::Fault;
use crate::{Alerting, State};

/// Attempts of the history that are looked through for one alert's.
pub(super) const ATTEMPTS_SEARCHED: usize = 5_000;
/// Attempts shown of one alert.
pub(super) const ATTEMPTS_SHOWN: usize = 100;
/// Lines of the trail in one answer.
const AUDIT_MAX: usize = 1_000;

/// Everything stored about the telling of one alert.
pub(crate) struct Trace {
    pub(crate) status: AlertStatus,
    pub(crate) routes: Vec<RouteTaken>,
    pub(crate) intents: Vec<Intent>,
    /// Newest first.
    pub(crate) attempts: Vec<Attempt>,
    /// One sentence for each receiver.
    pub(crate) words: Vec<String>,
    /// Whether the alert has ended, and this is told from the history.
    pub(crate) is_over: bool,
}

impl Trace {
    /// Of the firing alert with this fingerprint, of its labels or of the instance; of its last episode where none fires.
    pub(crate) fn read(
        state: &State,
        alerting: &Alerting,
        fingerprint: &str,
        now_ms: i64,
    ) -> Result<Option<Trace>, Fault> {
        let board = alerting.notifier.board(now_ms)?;
        let mut statuses = board.statuses().into_iter();
        let found =
            statuses.find(|status| status.fingerprint == fingerprint || status.instance.fingerprint() == fingerprint);
        let Some(tenant) = state.store.existing_tenant(&alerting.tenant)? else { return Ok(None) };
        let alerts = tenant.alerts()?;
        let Some(status) = found else { return Ok(Trace::read_ended(&alerts, &board, fingerprint)?) };
        let episode = status.instance.episode().unwrap_or_default();
        let mut intents = alerts.intents()?;
        intents.retain(|intent| {
            intent.instances.iter().any(|instance| instance.episode().is_some_and(|other| other == episode))
        });
        let mut attempts = alerts.attempts(i64::MAX, ATTEMPTS_SEARCHED)?;
        attempts.retain(|attempt| {
            let of_intent = |intent: &Intent| intent.receiver == attempt.receiver && intent.scope == attempt.scope;
            attempt.scope == episode || intents.iter().any(of_intent)
        });
        attempts.truncate(ATTEMPTS_SHOWN);
        let routes = board.routes(&status.instance.labels);
        let words = sentences(&status, &routes, &intents, now_ms);
        Ok(Some(Trace { status, routes, intents, attempts, words, is_over: false }))
    }
}

/// Why each receiver was told or was not, in words.
fn sentences(status: &AlertStatus, routes: &[RouteTaken], intents: &[Intent], now_ms: i64) -> Vec<String> {
    let mut words = Vec::new();
    let known = known(intents, &status.instance);
    for route in routes {
        let of_route =
            |receiver: &str| receiver.strip_prefix(route.receiver.as_str()).is_some_and(|rest| rest.starts_with('/'));
        let here: Vec<_> = known.iter().filter(|known| of_route(&known.intent.receiver)).collect();
        for why in &route.suppressors {
            words.push(format!("{} is not told: {}", route.receiver, why.words()));
        }
        if here.is_empty() && route.suppressors.is_empty() {
            words.push(format!("{} has nobody to tell, or is about to be told", route.receiver));
        }
    }
    for known in &known {
        let channel = &known.intent.receiver;
        let for_whom =
            known.intent.fallback_for.as_ref().map(|first| format!(" in place of {first}")).unwrap_or_default();
        let so_far = if known.told { "knows that it fires" } else { "was not told yet" };
        let next = match &known.intent.progress {
            Progress::Waiting { .. } if known.held => "held back now".to_owned(),
            Progress::Waiting { attempts, next_attempt_ms, last_error } => {
                let due_ms = (*next_attempt_ms).max(known.intent.not_before_ms) - now_ms;
                let when = if due_ms > 0 {
                    format!("in {}", format_duration_ms(due_ms / 1_000 * 1_000))
                } else {
                    "now".into()
                };
                match attempts {
                    0 => format!("next message {when}"),
                    _ => format!("{attempts} attempts failed, the next is {when}: {last_error}"),
                }
            }
            Progress::Sending { .. } => "a message is on its way".into(),
            Progress::Accepted { at_ms } => format!("last told {}", rfc3339_ms(*at_ms)),
            Progress::Failed { error, .. } => format!("refused: {error}"),
        };
        words.push(format!("{channel}{for_whom} {so_far}; {next}"));
    }
    if let Some(ack) = &status.ack {
        words.push(format!("{} looks after it since {}: {}", ack.by, rfc3339_ms(ack.at_ms), ack.comment));
    }
    words
}

pub(super) async fn trace(asker: Asker, Path(fingerprint): Path<String>) -> Response {
    let result = asker.work(move |asker| {
        let found = match asker.alerting() {
            Some(alerting) => Trace::read(&asker.state, alerting, &fingerprint, crate::clock::now_ms())?,
            None => None,
        };
        let trace = found.ok_or_else(|| {
            Fault::new(Kind::NotFound, format!("no alert that fires or fired lately has the fingerprint {fingerprint}"))
        })?;
        let mut out = String::new();
        push_trace(&trace, &mut out);
        Ok(envelope::success(&out, &Notes::default()))
    });
    result.await.unwrap_or_else(|fault| envelope::refuse(&fault))
}

fn push_trace(trace: &Trace, out: &mut String) {
    let text = |key: &str, value: &str, out: &mut String| {
        out.push_str(key);
        json_string(value, out);
    };
    text("{\"fingerprint\":", &trace.status.fingerprint, out);
    out.push_str(",\"labels\":");
    push_object(trace.status.instance.labels.iter(), out);
    text(",\"state\":", if trace.is_over { "ended" } else { trace.status.state() }, out);
    out.push_str(",\"words\":");
    push_strings(trace.words.iter().map(String::as_str), out);
    out.push_str(",\"routes\":");
    push_array(&trace.routes, out, |route, out| {
        text("{\"receiver\":", &route.receiver, out);
        text(",\"path\":", &route.path, out);
        out.push_str(",\"groupLabels\":");
        push_object(route.group_labels.iter(), out);
        for (key, ms) in [
            (",\"groupWait\":", route.group_wait_ms),
            (",\"groupInterval\":", route.group_interval_ms),
            (",\"repeatInterval\":", route.repeat_interval_ms),
        ] {
            text(key, &format_duration_ms(ms), out);
        }
        let words: Vec<String> = route.suppressors.iter().map(notify::Suppressor::words).collect();
        out.push_str(",\"suppressedBy\":");
        push_strings(words.iter().map(String::as_str), out);
        out.push('}');
    });
    out.push_str(",\"channels\":");
    push_array(known(&trace.intents, &trace.status.instance), out, |known, out| {
        text("{\"channel\":", &known.intent.receiver, out);
        text(",\"scope\":", &known.intent.scope, out);
        out.push_str(&format!(",\"told\":{},\"held\":{}", known.told, known.held));
        push_time(",\"notBefore\":", Some(known.intent.not_before_ms), out);
        out.push('}');
    });
    out.push_str(",\"attempts\":");
    push_array(&trace.attempts, out, |attempt, out| {
        push_time("{\"at\":", Some(attempt.at_ms), out);
        text(",\"channel\":", &attempt.receiver, out);
        text(",\"want\":", attempt.want.as_str(), out);
        text(",\"outcome\":", attempt.outcome.as_str(), out);
        out.push_str(&format!(
            ",\"number\":{},\"status\":{},\"tookMs\":{}",
            attempt.number, attempt.status, attempt.took_ms
        ));
        text(",\"words\":", &attempt.words, out);
        out.push('}');
    });
    out.push('}');
}

#[derive(Deserialize)]
struct PostedAck {
    by: String,
    #[serde(default)]
    comment: String,
    /// How long it holds, as `2h`; until the alert ends when absent.
    #[serde(rename = "for")]
    lasts: Option<String>,
}

pub(super) async fn acknowledge(asker: Asker, Path(fingerprint): Path<String>, bytes: Body) -> Response {
    let result = async {
        asker.may_write(true)?;
        let bytes = body(bytes).await?;
        let posted: PostedAck = serde_json::from_slice(&bytes).map_err(|error| {
            Fault::invalid(format!("an acknowledgement is {{\"by\":…,\"comment\":…,\"for\":\"2h\"}}: {error}"))
        })?;
        asker
            .work(move |asker| {
                let now_ms = crate::clock::now_ms();
                let until_ms = until_ms(posted.lasts.as_deref(), now_ms)?;
                asker.changed()?.notifier.acknowledge(&fingerprint, &posted.by, &posted.comment, until_ms, now_ms)?;
                Ok(envelope::success("{}", &Notes::default()))
            })
            .await
    };
    result.await.unwrap_or_else(|fault| envelope::refuse(&fault))
}

/// When what lasts for a duration is over; `None` for no duration.
pub(crate) fn until_ms(lasts: Option<&str>, now_ms: i64) -> Result<Option<i64>, Fault> {
    let Some(text) = lasts.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let ms = model::time::parse_duration_ms(text)
        .ok_or_else(|| Fault::invalid(format!("{text:?} is no duration; write one as 2h or 1d12h")))?;
    Ok(Some(now_ms.saturating_add(ms)))
}

pub(super) async fn unacknowledge(asker: Asker, Path(fingerprint): Path<String>) -> Response {
    let result = async {
        asker.may_write(false)?;
        asker
            .work(move |asker| {
                asker.changed()?.notifier.unacknowledge(&fingerprint, "API", crate::clock::now_ms())?;
                Ok(envelope::success("{}", &Notes::default()))
            })
            .await
    };
    result.await.unwrap_or_else(|fault| envelope::refuse(&fault))
}

pub(super) async fn audit(asker: Asker) -> Response {
    let result = asker.work(|asker| {
        let store = asker.state.store.existing_tenant(&asker.tenant)?;
        let lines = match store.filter(|_| asker.alerting().is_some()) {
            Some(tenant) => tenant.alerts()?.audit(i64::MAX, AUDIT_MAX)?,
            None => Vec::new(),
        };
        let mut out = String::new();
        push_array(&lines, &mut out, |line, out| {
            push_time("{\"at\":", Some(line.at_ms), out);
            for (key, value) in
                [("who", &line.who), ("action", &line.action), ("subject", &line.subject), ("note", &line.note)]
            {
                out.push_str(&format!(",\"{key}\":"));
                json_string(value, out);
            }
            out.push('}');
        });
        Ok(envelope::success(&out, &Notes::default()))
    });
    result.await.unwrap_or_else(|fault| envelope::refuse(&fault))
}

/// What a silence with these matchers would hold back now.
pub(crate) struct Preview {
    /// Firing alerts.
    pub(crate) alerts: Vec<AlertStatus>,
    /// Names of alerting rules whose own labels match, whether they fire or not.
    pub(crate) rules: Vec<String>,
}

impl Preview {
    pub(crate) fn read(alerting: &Alerting, matchers: &[model::Matcher], now_ms: i64) -> Result<Preview, Fault> {
        let mut alerts = alerting.notifier.board(now_ms)?.statuses();
        alerts.retain(|alert| matchers.iter().all(|matcher| matcher.matches_labels(&alert.instance.labels)));
        let groups = alerting.rules.view();
        let alerting = groups.iter().flat_map(|group| &group.rules);
        let mut rules: Vec<String> = alerting
            .filter(|rule| matches!(rule.kind, rules::RuleKind::Alerting { .. }))
            .filter(|rule| {
                // A label that the rule does not set itself comes from its data and may be anything.
                matchers.iter().all(|matcher| {
                    let own =
                        rule.labels.iter().find(|(name, _)| *name == matcher.name).map(|(_, value)| value.as_str());
                    let own = if matcher.name == "alertname" { Some(rule.name.as_str()) } else { own };
                    own.is_none_or(|value| value.contains("{{") || matcher.matches(value))
                })
            })
            .map(|rule| rule.name.clone())
            .collect();
        rules.sort();
        rules.dedup();
        Ok(Preview { alerts, rules })
    }
}

pub(super) async fn preview(asker: Asker) -> Response {
    let result = asker.work(|asker| {
        let matchers = asker.filters()?;
        if matchers.is_empty() {
            return Err(Fault::invalid("give the silence's matchers as filter parameters"));
        }
        let mut out = String::from("{\"alerts\":[");
        if let Some(alerting) = asker.alerting() {
            let preview = Preview::read(alerting, &matchers, crate::clock::now_ms())?;
            for (at, alert) in preview.alerts.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                super::json::push_alert(alert, &alert.receivers, &[], &mut out);
            }
            out.push_str("],\"rules\":");
            push_strings(preview.rules.iter().map(String::as_str), &mut out);
        } else {
            out.push_str("],\"rules\":[]");
        }
        out.push('}');
        Ok(envelope::success(&out, &Notes::default()))
    });
    result.await.unwrap_or_else(|fault| envelope::refuse(&fault))
}
