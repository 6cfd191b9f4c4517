//! `/query` and `/query_range`.

use std::time::Instant;

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use model::{NsRange, TenantId};
use query::logql::{self, By, Expr};

use super::params::{Bounds, aligned, at, bounds, check_length, check_lines, direction, interval, limit, step};
use super::result_json::{self, Cost};
use super::{answer, fault, json, length_max_ns};
use crate::api::params::Params;
use crate::api::view::View;
use crate::error::Fault;
use crate::{State, clock};

const NS_PER_MS: i64 = 1_000_000;

/// Whether the client wants entries' labels apart, as Grafana does.
pub(super) fn categorize(headers: &HeaderMap) -> bool {
    let said = headers.get("x-loki-response-encoding-flags").and_then(|value| value.to_str().ok()).unwrap_or_default();
    said.split(',').any(|flag| flag.trim() == "categorize-labels")
}

pub(super) async fn instant(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    answer("loki_instant", async {
        let received = Instant::now();
        let at_ns = at(&params, clock::now_ns())?;
        let text = params.query().to_owned();
        // Loki reads them though it has no use for them here.
        limit(&params)?;
        direction(&params)?;
        let store = state.store.clone();
        let work = move |budget: &query::Budget| {
            let (queued, begun) = (received.elapsed(), Instant::now());
            let Expr::Metric(metric) = parse(&text)? else {
                return Err(Fault::invalid(
                    "log queries are not supported as an instant query type, please change your query to a range query type",
                ));
            };
            let view = View::of(&store, &tenant)?;
            let found = logql::instant_of(view.snapshot(), &metric, at_ns, By::Api, budget).map_err(fault)?;
            let warnings = budget.damage.warnings();
            let cost = Cost { stats: found.stats, took: begun.elapsed(), queued, entries: 0, warnings };
            Ok(result_json::metric(&found.value, at_ns.div_euclid(NS_PER_MS), &cost))
        };
        Ok(json(state.queries.run(None, work).await?))
    })
    .await
}

pub(super) async fn range(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    headers: HeaderMap,
    params: Params,
) -> Response {
    answer("loki_range", async {
        let received = Instant::now();
        let asked = bounds(&params, clock::now_ns())?;
        let step_ns = step(&params, asked)?;
        let direction = direction(&params)?;
        let interval_ns = interval(&params)?;
        let text = params.query().to_owned();
        let limit = limit(&params)?;
        let categorize = categorize(&headers);
        let (store, length_max_ns) = (state.store.clone(), length_max_ns(&state));
        let work = move |budget: &query::Budget| {
            let (queued, begun) = (received.elapsed(), Instant::now());
            let expr = parse(&text)?;
            if let Expr::Log(_) = expr {
                check_lines(limit)?;
            }
            check_length(asked, length_max_ns)?;
            let view = View::of(&store, &tenant)?;
            match expr {
                Expr::Log(log) => {
                    let range = NsRange { start_ns: asked.start_ns, end_ns: asked.end_ns };
                    let found = logql::select(view.snapshot(), &log, range, direction, limit, interval_ns, budget)
                        .map_err(fault)?;
                    let entries = found.entries.len();
                    let warnings = budget.damage.warnings();
                    let cost = Cost { stats: found.stats, took: begun.elapsed(), queued, entries, warnings };
                    Ok(result_json::streams(&found.entries, direction, categorize, &cost))
                }
                Expr::Metric(metric) => {
                    let Bounds { start_ns, end_ns } = aligned(asked, step_ns);
                    let found = logql::range(view.snapshot(), &metric, start_ns, end_ns, step_ns, By::Api, budget)
                        .map_err(fault)?;
                    let cost = Cost {
                        stats: found.stats,
                        took: begun.elapsed(),
                        queued,
                        entries: 0,
                        warnings: budget.damage.warnings(),
                    };
                    Ok(result_json::metric(&found.value, 0, &cost))
                }
            }
        };
        Ok(json(state.queries.run(None, work).await?))
    })
    .await
}

/// A query laid out over lines; what is none is refused in JSON, as by Loki.
pub(super) async fn format_query(params: Params) -> Response {
    answer("loki_format", async {
        let (status, name, key, text) = match logql::parse_form(params.query()) {
            Ok(expr) => (StatusCode::OK, "success", "data", expr.pretty()),
            Err(error) => (StatusCode::BAD_REQUEST, "invalid-query", "error", error.to_string()),
        };
        let mut out = format!("{{\"status\":\"{name}\",\"{key}\":");
        model::any::json_string(&text, &mut out);
        out.push('}');
        Ok((status, json(out)).into_response())
    })
    .await
}

pub(super) fn parse(text: &str) -> Result<Expr, Fault> {
    logql::parse(text).map_err(|error| Fault::invalid(error.to_string()))
}
