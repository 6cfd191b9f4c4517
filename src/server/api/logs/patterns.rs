//! `/api/v1/logs/patterns`: what lines have in common, how often each came, and what is new.

use std::fmt::Write as _;

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use http::header;
use model::TenantId;
use model::any::json_string;
use model::time::rfc3339_ns;
use query::logs::{self, WindowPattern, WindowPatterns};

use super::{push_warnings, range, width_ns};
use crate::State;
use crate::api::envelope::push_array;
use crate::api::params::{Params, bad};
use crate::api::view::View;

const PATTERNS_DEFAULT: usize = 50;
const PATTERNS_MAX: usize = 500;
/// Steps that a pattern's counts are told for, about.
const STEPS: usize = 60;

pub(in crate::api) async fn patterns(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    crate::api::answer("logs_patterns", async {
        let search = logs::parse(params.either("q", "query").unwrap_or_default())?;
        let range = range(&params)?;
        let limit = params.count("limit")?.unwrap_or(PATTERNS_DEFAULT);
        if limit == 0 || limit > PATTERNS_MAX {
            return Err(bad("limit", &format!("it is {limit}, it may be 1 to {PATTERNS_MAX}")));
        }
        let before_ns = match params.duration_ms("before")? {
            None => range.end_ns.saturating_sub(range.start_ns),
            Some(ms) if ms >= 0 => ms.saturating_mul(model::time::NS_PER_MS),
            Some(_) => return Err(bad("before", "it must not be negative")),
        };
        let step_ns = width_ns(range, STEPS);
        let store = state.store.clone();
        let found = state.queries.run(params.timeout()?, move |budget| {
            let view = View::of(&store, &tenant)?;
            let Some(snapshot) = view.snapshot() else { return Ok((WindowPatterns::default(), Vec::new())) };
            let found = logs::window_patterns(snapshot, &search, range, before_ns, step_ns, budget)?;
            Ok((found, budget.damage.warnings()))
        });
        let (found, warnings) = found.await?;
        let json = json(&found, &warnings, step_ns, limit);
        Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
    })
    .await
}

fn json(found: &WindowPatterns, warnings: &[String], step_ns: i64, limit: usize) -> String {
    let (every, other) = (found.sampled_every, found.other);
    let mut out = format!("{{\"step_ns\":{step_ns},\"sampled_every\":{every},\"other\":{other},\"patterns\":");
    push_array(found.patterns.iter().take(limit), &mut out, |pattern: &WindowPattern, out| {
        out.push_str("{\"pattern\":");
        json_string(&pattern.template, out);
        let (first, last) = (rfc3339_ns(pattern.first_ns), rfc3339_ns(pattern.last_ns));
        let (count, before, new) = (pattern.count, pattern.before, pattern.is_new());
        write!(
            out,
            ",\"count\":{count},\"before\":{before},\"new\":{new},\"first_seen\":\"{first}\",\"last_seen\":\"{last}\",\"steps\":"
        )
        .expect("a String takes everything");
        push_array(&pattern.steps, out, |(start_ns, count), out| {
            write!(out, "[\"{}\",{count}]", rfc3339_ns(*start_ns)).expect("a String takes everything");
        });
        out.push('}');
    });
    super::lines::push_partial_member(found.partial.as_ref(), &mut out);
    push_warnings(warnings, &mut out);
    out.push('}');
    out
}
