//! `/api/v1/rules/replay`: what rules would have done over stored data.
//!
//! POST the text of a rule file, as the body itself or as the form field `rules`. `since` says how far back (14d by default),
//! or `start` and `end`.

use axum::Extension;
use axum::extract::{FromRequest as _, Request, State as Shared};
use axum::response::Response;
use http::header;
use model::TenantId;
use model::any::json_string;
use query::Budget;
use rules::replay::{Episode, Replay, Span, replay as replayed};

use super::envelope::{self, Notes, push_array, push_object, push_time};
use super::params::{Params, bad};
use super::view::View;
use crate::error::Fault;
use crate::number::push_finite;
use crate::{State, clock};

/// How far back is looked where nothing is said.
const SINCE_MS: i64 = 14 * 86_400_000;
/// Interval of groups that name none.
const INTERVAL_MS: i64 = 30_000;
/// Episodes of a rule in the answer, unless `episodes` asks for another number.
const EPISODES_SHOWN: usize = 100;

pub(super) async fn replay(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    request: Request,
) -> Response {
    super::answer("replay", async {
        let (text, params) = match asked(request).await {
            Ok(asked) => asked,
            Err(refused) => return Ok(refused),
        };
        if text.trim().is_empty() {
            return Err(bad("rules", "POST the text of a rule file"));
        }
        let groups =
            rules::file::parse(&text, "posted", INTERVAL_MS).map_err(|error| bad("rules", &error.to_string()))?;
        let to_ms = params.time_ms("end")?.unwrap_or_else(clock::now_ms);
        let rules = groups.iter().flat_map(|group| &group.rules);
        let own_ms = rules.filter_map(|rule| rule.extension.backtest_ms).max();
        let since_ms = params.duration_ms("since")?.or(own_ms).unwrap_or(SINCE_MS);
        let from_ms = params.time_ms("start")?.unwrap_or(to_ms.saturating_sub(since_ms));
        if from_ms >= to_ms {
            return Err(bad("start", "must be before the end"));
        }
        let shown = params.count("episodes")?.unwrap_or(EPISODES_SHOWN);
        let timeout = params.timeout()?;
        let (store, lookback_ms) = (state.store.clone(), state.lookback_ms());
        let work = move |budget: &Budget| {
            let view = View::of(&store, &tenant)?;
            let span = Span { from_ms, to_ms, lookback_ms, budget: budget.clone() };
            Ok(replayed(&view, view.snapshot(), &groups, &span))
        };
        let found = state.queries.run(timeout, work).await?;
        let mut out = String::from("{");
        push_time("\"start\":", Some(from_ms), &mut out);
        push_time(",\"end\":", Some(to_ms), &mut out);
        out.push_str(",\"rules\":");
        push_array(&found, &mut out, |replay, out| push_replay(replay, shown, out));
        out.push('}');
        Ok(envelope::success(&out, &Notes::default()))
    })
    .await
}

/// The rules' text and the parameters; or the answer to a request that cannot be read.
async fn asked(request: Request) -> Result<(String, Params), Response> {
    let is_form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded"));
    // curl --data-binary says "form" of whatever it sends, so a body that begins like YAML is taken as such.
    let (parts, body) = request.into_parts();
    let most = rules::file::FILE_BYTES_MAX;
    let body = axum::body::to_bytes(body, most).await.map_err(|error| {
        envelope::refuse(&Fault::invalid(format!("cannot read the rules: {error}; they may have at most {most} bytes")))
    })?;
    let is_yaml = body.contains(&b'\n') || !is_form;
    let text = String::from_utf8_lossy(&body).into_owned();
    let body = if is_yaml { axum::body::Body::empty() } else { axum::body::Body::from(body) };
    let params = Params::from_request(Request::from_parts(parts, body), &()).await?;
    let text = if is_yaml { text } else { params.get("rules").unwrap_or_default().to_string() };
    Ok((text, params))
}

fn push_replay(replay: &Replay, shown: usize, out: &mut String) {
    out.push_str("{\"group\":");
    json_string(&replay.group, out);
    out.push_str(",\"rule\":");
    json_string(&replay.rule, out);
    let Replay { series, fired, flapped, .. } = replay;
    out.push_str(&format!(",\"series\":{series},\"fired\":{fired},\"flapped\":{flapped},\"step\":"));
    push_finite(replay.step_ms as f64 / 1e3, out);
    if replay.first_ms.is_some() {
        push_time(",\"first\":", replay.first_ms, out);
        push_time(",\"last\":", replay.last_ms, out);
    }
    out.push_str(",\"firingSeconds\":");
    push_finite(replay.firing_ms as f64 / 1e3, out);
    out.push_str(",\"longestSeconds\":");
    push_finite(replay.longest_ms as f64 / 1e3, out);
    out.push_str(",\"pagesPerWeek\":");
    push_finite(replay.pages_per_week, out);
    if !replay.error.is_empty() {
        out.push_str(",\"error\":");
        json_string(&replay.error, out);
    }
    out.push_str(",\"episodes\":");
    push_array(replay.episodes.iter().take(shown), out, push_episode);
    out.push('}');
}

fn push_episode(episode: &Episode, out: &mut String) {
    out.push_str("{\"labels\":");
    push_object(episode.labels.iter(), out);
    push_time(",\"fired\":", Some(episode.fired_ms), out);
    if episode.ended_ms.is_some() {
        push_time(",\"ended\":", episode.ended_ms, out);
    }
    out.push('}');
}
