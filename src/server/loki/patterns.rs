//! `/patterns`: templates of lines with their counts, level by level, for Logs Drilldown.

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;
use model::any::json_string;
use model::{Matcher, NsRange, Severity, TenantId};
use query::logql::Expr;
use query::logs::patterns::{Patterns, Selection, patterns as find};

use super::params::{bounds, step};
use super::{answer, fault, json};
use crate::api::envelope::push_array;
use crate::api::params::Params;
use crate::api::view::View;
use crate::error::Fault;
use crate::{State, clock};

const NS_PER_S: i64 = 1_000_000_000;
/// Narrowest step, as Loki counts patterns.
const STEP_MIN_NS: i64 = 10 * NS_PER_S;
/// Most patterns of an answer; the rarest are left out.
const PATTERNS_MAX: usize = 300;

pub(super) async fn patterns(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    answer("loki_patterns", async {
        let asked = bounds(&params, clock::now_ns())?;
        let step_ns = step(&params, asked)?.max(STEP_MIN_NS);
        let matchers = streams(params.query())?;
        if matchers.is_empty() {
            return Err(Fault::invalid("patterns need a selector of streams in query, as {service_name=\"api\"}"));
        }
        let store = state.store.clone();
        let work = move |budget: &query::Budget| {
            let view = View::of(&store, &tenant)?;
            let Some(snapshot) = view.snapshot() else { return Ok(Patterns::default()) };
            let range = NsRange { start_ns: asked.start_ns, end_ns: asked.end_ns };
            find(snapshot, Selection::Streams(&matchers), range, step_ns, budget).map_err(fault)
        };
        let found = state.queries.run(None, work).await?;
        let mut out = String::from("{\"status\":\"success\",\"data\":");
        let most = found.patterns.iter().take(PATTERNS_MAX);
        let by_level = most.flat_map(|pattern| pattern.by_severity.iter().map(|of| (&pattern.template, of)));
        push_array(by_level, &mut out, |(template, (severity, steps)), out| {
            out.push_str("{\"pattern\":");
            json_string(template, out);
            out.push_str(&format!(",\"level\":\"{}\",\"samples\":", level(*severity)));
            push_array(steps, out, |(start_ns, count), out| {
                out.push_str(&format!("[{},{count}]", start_ns.div_euclid(NS_PER_S)));
            });
            out.push('}');
        });
        out.push('}');
        Ok(json(out))
    })
    .await
}

/// The streams of a log query, whatever its pipeline; Loki's own clients ask with one.
fn streams(text: &str) -> Result<Vec<Matcher>, Fault> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    match super::query::parse(text)? {
        Expr::Log(log) => Ok(log.matchers.into_iter().map(|matcher| matcher.matcher).collect()),
        Expr::Metric(_) => Err(Fault::invalid("only label matchers are supported")),
    }
}

/// A severity in the words of `detected_level`.
fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Unspecified => "unknown",
        known => known.as_str(),
    }
}
