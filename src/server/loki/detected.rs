//! `/detected_fields` and `/detected_field/<name>/values`, for Logs Drilldown.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::{Path, State as Shared};
use axum::response::Response;
use model::any::json_string;
use model::{NsRange, TenantId};
use query::logql::ast::LogExpr;
use query::logql::{self, DetectedField, Expr};

use super::params::{LIMIT_DEFAULT, bounds, check_length, check_lines, count};
use super::{answer, fault, json, length_max_ns};
use crate::api::envelope::{push_array, push_strings};
use crate::api::params::Params;
use crate::api::view::View;
use crate::error::Fault;
use crate::{State, clock};

/// Fields or values that are told by default.
const FIELDS_DEFAULT: usize = 1_000;

/// Loki leaves out what is empty, and the limit with it.
const NOTHING: &str = "{}";

async fn fields(
    state: &State,
    tenant: TenantId,
    params: &Params,
    fields_max: usize,
) -> Result<BTreeMap<String, DetectedField>, Fault> {
    let asked = bounds(params, clock::now_ns())?;
    let log = log_of(params.query())?;
    let lines = count(params, "line_limit", LIMIT_DEFAULT)?;
    check_lines(lines)?;
    check_length(asked, length_max_ns(state))?;
    let store = state.store.clone();
    let work = move |budget: &query::Budget| {
        let view = View::of(&store, &tenant)?;
        let range = NsRange { start_ns: asked.start_ns, end_ns: asked.end_ns };
        logql::detected_fields(view.snapshot(), &log, range, lines, fields_max, budget).map_err(fault)
    };
    state.queries.run(None, work).await
}

/// A log query; `{}`, which is none to Loki's parser, takes all streams here.
fn log_of(text: &str) -> Result<LogExpr, Fault> {
    if text.trim().is_empty() || super::labels::selector(text).is_ok_and(|matchers| matchers.is_empty()) {
        return Ok(LogExpr { matchers: Vec::new(), stages: Vec::new() });
    }
    match super::query::parse(text)? {
        Expr::Log(log) => Ok(log),
        Expr::Metric(_) => Err(Fault::invalid("only log selector is supported")),
    }
}

/// `limit`, once called `field_limit`.
fn limit(params: &Params) -> Result<usize, Fault> {
    let name = if params.get("limit").is_some() { "limit" } else { "field_limit" };
    count(params, name, FIELDS_DEFAULT)
}

pub(super) async fn detected_fields(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    answer("loki_detected_fields", async {
        let limit = limit(&params)?;
        let found = fields(&state, tenant, &params, limit).await?;
        if found.is_empty() {
            return Ok(json(NOTHING.into()));
        }
        let mut out = String::from("{\"fields\":");
        push_array(&found, &mut out, |(name, field), out| {
            out.push_str("{\"label\":");
            json_string(name, out);
            out.push_str(&format!(",\"type\":\"{}\",\"cardinality\":{},\"parsers\":", field.kind, field.values.len()));
            match field.parsers.is_empty() {
                true => out.push_str("null"),
                false => push_strings(field.parsers.iter().copied(), out),
            }
            if !field.json_path.is_empty() {
                out.push_str(",\"jsonPath\":");
                push_strings(field.json_path.iter().map(String::as_str), out);
            }
            out.push('}');
        });
        out.push_str(&format!(",\"limit\":{limit}}}"));
        Ok(json(out))
    })
    .await
}

pub(super) async fn values(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    Path(name): Path<String>,
    params: Params,
) -> Response {
    answer("loki_detected_field_values", async {
        let limit = limit(&params)?;
        let found = fields(&state, tenant, &params, usize::MAX).await?;
        let Some(field) = found.get(&name) else { return Ok(json(NOTHING.into())) };
        let mut out = String::from("{\"values\":");
        push_strings(field.named.iter().map(String::as_str).take(limit), &mut out);
        out.push_str(&format!(",\"limit\":{limit}}}"));
        Ok(json(out))
    })
    .await
}
