//! `/silences`: what is held back, by whom, until when; and making and ending it. Works without JavaScript.

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;
use model::{Matcher, Silence, SilenceState, go_regex};
use notify::SilenceDraft;
use serde::Deserialize;

use super::alerts::foreign_note;
use super::asked::{Asked, Asking, firing};
use super::badge::Badge;
use super::failure::Failure;
use super::form::{Form, see};
use super::frame::{Frame, show};
use super::link::link;
use super::text::{Stamp, counted, one_line, span};
use crate::alertmanager::silences::order;
use crate::alertmanager::trace::{Preview, until_ms};
use crate::error::Fault;
use crate::{Alerting, alerting};

/// Silences shown.
const SHOWN_MAX: usize = 200;
/// Alerts and rules named in a preview.
const PREVIEW_MAX: usize = 50;
/// A silence that ends so soon while alerts wait behind it is worth a warning, in ms.
const ENDS_SOON_MS: i64 = 30 * 60_000;
/// How long a silence lasts unless something else is said.
const LASTS: &str = "2h";

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub(crate) struct Parameters {
    /// As in Alertmanager: `alertname="X", host=~"web-.+"`.
    pub(crate) matchers: String,
    /// A duration.
    pub(crate) lasts: String,
    pub(crate) by: String,
    pub(crate) comment: String,
    /// One of Alertmanager's time intervals.
    pub(crate) schedule: String,
    /// The silence that is changed.
    pub(crate) id: String,
}

pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) state: Badge,
    pub(crate) matchers: String,
    pub(crate) by: String,
    pub(crate) comment: String,
    pub(crate) until: String,
    pub(crate) ends: Stamp,
    /// What it holds back now, or what comes when it ends.
    pub(crate) effect: String,
    pub(crate) schedule: String,
    /// Empty when it is over.
    pub(crate) expire: String,
    pub(crate) again_href: String,
}

pub(crate) struct Shown {
    pub(crate) alerts: Vec<String>,
    pub(crate) rules: Vec<String>,
    pub(crate) words: String,
}

#[derive(Template)]
#[template(path = "silences.html")]
pub(crate) struct SilencesPage {
    pub(crate) frame: Frame,
    pub(crate) note: String,
    pub(crate) asked: Parameters,
    /// What is wrong with the form.
    pub(crate) trouble: String,
    pub(crate) preview: Option<Shown>,
    pub(crate) rows: Vec<Row>,
    pub(crate) longest: String,
}

pub(super) async fn page(asking: Asking, Query(parameters): Query<Parameters>) -> Result<Response, Failure> {
    show(&asking.answer(move |asked| build(asked, parameters, String::new())).await?)
}

/// The form's `create` button.
pub(super) async fn create(asking: Asking, form: Form) -> Result<Response, Failure> {
    let parameters = Parameters {
        matchers: form.get("matchers").into(),
        lasts: form.get("lasts").into(),
        by: form.get("by").into(),
        comment: form.get("comment").into(),
        schedule: form.get("schedule").into(),
        id: form.get("id").into(),
    };
    let made = asking
        .answer(move |asked| {
            let alerting = changed(asked)?;
            let draft = draft(&parameters, asked.now_ms);
            let made = draft.and_then(|mut draft| {
                draft.annotations = annotations_of(alerting, &draft.id, asked.now_ms)?;
                alerting.notifier.set_silence(draft, "", asked.now_ms).map_err(|error| error.to_string())
            });
            match made {
                Ok(_) => Ok(None),
                Err(reason) => build(asked, parameters, reason).map(Some),
            }
        })
        .await?;
    match made {
        None => Ok(see("/silences")),
        Some(page) => show(&page),
    }
}

pub(super) async fn expire(asking: Asking, Path(id): Path<String>, _form: Form) -> Result<Response, Failure> {
    asking
        .answer(move |asked| {
            match changed(asked)?.notifier.expire_silence(&id, "page", asked.now_ms) {
                // Somebody was quicker: what was wanted is so.
                Ok(()) | Err(notify::SilenceError::Expired { .. }) => Ok(()),
                Err(error) => Err(Fault::from(error).into()),
            }
        })
        .await?;
    Ok(see("/silences"))
}

/// What is to be changed; a tenant without rules is refused.
pub(super) fn changed(asked: &Asked) -> Result<&Alerting, Failure> {
    Ok(asked.alerting().ok_or_else(|| alerting::none_for(&asked.tenant))?)
}

fn matchers(text: &str) -> Result<Vec<Matcher>, String> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let all: Vec<Vec<Matcher>> = go_regex::together(|| lines.map(notify::parse_matchers).collect::<Result<_, _>>())?;
    Ok(all.into_iter().flatten().collect())
}

fn draft(parameters: &Parameters, now_ms: i64) -> Result<SilenceDraft, String> {
    let lasts = if parameters.lasts.is_empty() { LASTS } else { &parameters.lasts };
    let ends_ms = until_ms(Some(lasts), now_ms).map_err(|fault| fault.message)?;
    Ok(SilenceDraft {
        id: parameters.id.clone(),
        matchers: matchers(&parameters.matchers)?,
        starts_ms: now_ms,
        ends_ms: ends_ms.unwrap_or(now_ms),
        created_by: parameters.by.clone(),
        comment: parameters.comment.clone(),
        annotations: Vec::new(),
        schedule: parameters.schedule.clone(),
    })
}

/// Those that a silence has already: the form does not know them, and they stay.
fn annotations_of(alerting: &Alerting, id: &str, now_ms: i64) -> Result<Vec<(String, String)>, String> {
    let board = alerting.notifier.board(now_ms).map_err(|error| error.to_string())?;
    let found = board.silences().iter().find(|silence| silence.id == id);
    Ok(found.map(|silence| silence.annotations.clone()).unwrap_or_default())
}

fn build(asked: &Asked, mut parameters: Parameters, mut trouble: String) -> Result<SilencesPage, Failure> {
    let frame = Frame::new(asked, "/silences", firing(&asked.groups()));
    let mut preview = None;
    let mut rows = Vec::new();
    if let Some(alerting) = asked.alerting() {
        let board = alerting.notifier.board(asked.now_ms)?;
        let statuses = board.statuses();
        let held = |silence: &Silence| statuses.iter().filter(|alert| alert.silenced_by.contains(&silence.id)).count();
        let mut silences = board.silences().to_vec();
        silences.sort_by_key(|silence| order(silence, asked.now_ms));
        rows.extend(silences.iter().take(SHOWN_MAX).map(|silence| row(silence, held(silence), asked.now_ms)));
        if !parameters.matchers.is_empty() {
            match matchers(&parameters.matchers) {
                Ok(matchers) => {
                    let found = Preview::read(alerting, &matchers, asked.now_ms)?;
                    preview = Some(shown(&found));
                }
                Err(reason) if trouble.is_empty() => trouble = reason,
                Err(_) => {}
            }
        }
    }
    if parameters.lasts.is_empty() {
        parameters.lasts = LASTS.into();
    }
    Ok(SilencesPage {
        frame,
        note: foreign_note(asked),
        asked: parameters,
        trouble,
        preview,
        rows,
        longest: span(asked.state.alerting.notifier.silence_max_ms()),
    })
}

fn shown(preview: &Preview) -> Shown {
    let name = |alert: &notify::AlertStatus| one_line(&alert.instance.labels.to_string(), 300);
    Shown {
        words: format!(
            "{} now, and {} could be held back.",
            counted(preview.alerts.len() as u64, "alert fires", "alerts fire"),
            counted(preview.rules.len() as u64, "rule's alerts", "rules' alerts")
        ),
        alerts: preview.alerts.iter().take(PREVIEW_MAX).map(name).collect(),
        rules: preview.rules.iter().take(PREVIEW_MAX).map(|rule| one_line(rule, 200)).collect(),
    }
}

fn row(silence: &Silence, held: usize, now_ms: i64) -> Row {
    let texts: Vec<String> = silence.matchers.iter().map(ToString::to_string).collect();
    let matchers = texts.join(", ");
    let state = silence.state(now_ms);
    let left_ms = silence.ends_ms - now_ms;
    let effect = match (state, held) {
        (SilenceState::Active, 0) => "nothing fires behind it".into(),
        (SilenceState::Active, held) if left_ms <= ENDS_SOON_MS => {
            format!("{} will be told in {}", counted(held as u64, "alert", "alerts"), span(left_ms))
        }
        (SilenceState::Active, held) => format!("holds back {}", counted(held as u64, "alert", "alerts")),
        _ => String::new(),
    };
    Row {
        id: silence.id.clone(),
        state: match state {
            SilenceState::Active if held > 0 && left_ms <= ENDS_SOON_MS => Badge::pending("ends soon"),
            SilenceState::Active => Badge::ok("active"),
            SilenceState::Pending => Badge::pending("pending"),
            SilenceState::Expired => Badge::no_data("expired"),
        },
        by: one_line(&silence.created_by, 80),
        comment: one_line(&silence.comment, 400),
        until: match state {
            SilenceState::Active => format!("{} left", span(left_ms)),
            SilenceState::Pending => format!("begins in {}", span(silence.starts_ms - now_ms)),
            SilenceState::Expired => format!("ended {} ago", span(-left_ms)),
        },
        ends: Stamp::of_ms(silence.ends_ms, now_ms),
        effect,
        schedule: one_line(&silence.schedule, 200),
        expire: if state == SilenceState::Expired { String::new() } else { format!("/silences/{}/expire", silence.id) },
        again_href: link(
            "/silences",
            &[
                ("matchers", &matchers),
                ("by", &silence.created_by),
                ("comment", &silence.comment),
                ("schedule", &silence.schedule),
            ],
        ),
        matchers: one_line(&matchers, 400),
    }
}
