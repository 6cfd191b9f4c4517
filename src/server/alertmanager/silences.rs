//! `/api/v2/silences` and `/api/v2/silence/<id>`.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use model::any::json_string;
use model::{Kind, MatchOp, Matcher, Silence, SilenceState, go_regex};
use notify::SilenceDraft;
use serde::Deserialize;

use super::json::{push_silence, time_ms};
use super::{Asker, answer, body, lacking, ok};
use crate::api::envelope::push_array;
use crate::error::Fault;

pub(super) async fn list(asker: Asker) -> Response {
    let result = asker.work(|asker| {
        let matchers = asker.filters()?;
        let now_ms = crate::clock::now_ms();
        let mut silences = stored(&asker, now_ms)?;
        // As in Alertmanager: a filter asks for silences that have its very matcher, whatever that would match.
        silences.retain(|silence| matchers.iter().all(|matcher| silence.matchers.contains(matcher)));
        silences.sort_by_key(|silence| order(silence, now_ms));
        let mut out = String::new();
        push_array(&silences, &mut out, |silence, out| push_silence(silence, now_ms, out));
        Ok(ok(out))
    });
    answer(result.await)
}

fn stored(asker: &Asker, now_ms: i64) -> Result<Vec<Silence>, Fault> {
    match asker.alerting() {
        Some(alerting) => Ok(alerting.notifier.board(now_ms)?.silences().to_vec()),
        None => Ok(Vec::new()),
    }
}

/// Alertmanager's order: active ones by their end, pending ones by their beginning, then the expired, the latest first.
pub(crate) fn order(silence: &Silence, now_ms: i64) -> (u8, i64) {
    match silence.state(now_ms) {
        SilenceState::Active => (0, silence.ends_ms),
        SilenceState::Pending => (1, silence.starts_ms),
        SilenceState::Expired => (2, -silence.ends_ms),
    }
}

pub(super) async fn one(asker: Asker, Path(id): Path<String>) -> Response {
    if !is_uuid(&id) {
        return bad_id(&id);
    }
    let result = asker.work(move |asker| {
        let now_ms = crate::clock::now_ms();
        let found = stored(&asker, now_ms)?.into_iter().find(|silence| silence.id == id);
        let silence = found.ok_or_else(|| Fault::new(Kind::NotFound, format!("silence {id} not found")))?;
        let mut out = String::new();
        push_silence(&silence, now_ms, &mut out);
        Ok(ok(out))
    });
    answer(result.await)
}

pub(super) async fn expire(asker: Asker, Path(id): Path<String>) -> Response {
    if let Err(fault) = asker.may_write(false) {
        return super::refuse(&fault);
    }
    if !is_uuid(&id) {
        return bad_id(&id);
    }
    let result = asker.work(move |asker| {
        match asker.changed()?.notifier.expire_silence(&id, "API", crate::clock::now_ms()) {
            // As in Alertmanager: what was wanted is so.
            Ok(()) | Err(notify::SilenceError::Expired { .. }) => Ok(ok(String::new())),
            Err(error) => Err(error.into()),
        }
    });
    answer(result.await)
}

fn is_uuid(id: &str) -> bool {
    let places = [8, 13, 18, 23];
    id.len() == 36
        && id.bytes().enumerate().all(
            |(at, byte)| {
                if places.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() }
            },
        )
}

/// go-openapi's refusal of a parameter that is not of its format.
fn bad_id(id: &str) -> Response {
    let mut text = String::from("{\"code\":601,\"message\":");
    json_string(&format!("silenceID in path must be of type uuid: {id:?}"), &mut text);
    text.push('}');
    super::respond(StatusCode::UNPROCESSABLE_ENTITY, text)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostedSilence {
    id: Option<String>,
    matchers: Option<Vec<PostedMatcher>>,
    starts_at: Option<String>,
    ends_at: Option<String>,
    created_by: Option<String>,
    comment: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
    /// Ours: when within its time it holds.
    schedule: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostedMatcher {
    name: Option<String>,
    value: Option<String>,
    is_regex: Option<bool>,
    is_equal: Option<bool>,
}

pub(super) async fn set(asker: Asker, bytes: Body) -> Response {
    if let Err(fault) = asker.may_write(true) {
        return super::refuse(&fault);
    }
    let bytes = match body(bytes).await {
        Ok(bytes) => bytes,
        Err(fault) => return super::refuse(&fault),
    };
    let posted: PostedSilence = match serde_json::from_slice(&bytes) {
        Ok(posted) => posted,
        Err(error) => return super::refuse(&Fault::invalid(format!("parsing silence body failed: {error}"))),
    };
    let draft = match go_regex::together(|| draft_of(posted)) {
        Ok(draft) => draft,
        Err(Refusal::Lacking(field)) => return lacking(&format!("silence.{field} in body is required")),
        Err(Refusal::Bad(reason)) => return super::refuse(&Fault::invalid(reason)),
    };
    let result = asker.work(move |asker| {
        let id = asker.changed()?.notifier.set_silence(draft, "", crate::clock::now_ms())?;
        let mut out = String::from("{\"silenceID\":");
        json_string(&id, &mut out);
        out.push('}');
        Ok(ok(out))
    });
    answer(result.await)
}

enum Refusal {
    Lacking(String),
    Bad(String),
}

fn draft_of(posted: PostedSilence) -> Result<SilenceDraft, Refusal> {
    fn need<T>(value: Option<T>, name: &str) -> Result<T, Refusal> {
        value.ok_or_else(|| Refusal::Lacking(name.into()))
    }
    let mut matchers = Vec::new();
    for (at, matcher) in need(posted.matchers, "matchers")?.into_iter().enumerate() {
        let op = match (need(matcher.is_regex, &format!("matchers.{at}.isRegex"))?, matcher.is_equal.unwrap_or(true)) {
            (false, true) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (true, false) => MatchOp::NotRegex,
        };
        let name = need(matcher.name, &format!("matchers.{at}.name"))?;
        let value = need(matcher.value, &format!("matchers.{at}.value"))?;
        let bad = |error: model::matcher::BadRegex| Refusal::Bad(format!("Failed to create silence: {error}"));
        matchers.push(Matcher::new(name, op, value).map_err(bad)?);
    }
    let time = |text: Option<String>, name: &str| {
        let text = need(text, name)?;
        time_ms(Some(&text), name).map_err(Refusal::Bad)
    };
    Ok(SilenceDraft {
        id: posted.id.unwrap_or_default(),
        matchers,
        starts_ms: time(posted.starts_at, "startsAt")?.unwrap_or(0),
        ends_ms: time(posted.ends_at, "endsAt")?.unwrap_or(0),
        created_by: need(posted.created_by, "createdBy")?,
        comment: need(posted.comment, "comment")?,
        annotations: posted.annotations.unwrap_or_default().into_iter().collect(),
        schedule: posted.schedule.unwrap_or_default(),
    })
}
