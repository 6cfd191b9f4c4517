//! `/api/v1/query` and `/api/v1/query_range`.

use std::time::Instant;

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;
use model::TenantId;
use query::Budget;
use query::promql::{self, Answer, Expr};

use super::explain;
use super::params::{Params, bad, bad_query};
use super::result_json;
use super::stats::Timings;
use super::view::View;
use crate::error::Fault;
use crate::{State, clock};

/// Most steps of one range query, as in Prometheus: a screen has no more pixels.
const STEPS_MAX: i64 = 11_000;

pub(super) async fn instant(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("instant", async {
        let limit = params.limit()?;
        let at_ms = params.time_ms("time")?.unwrap_or_else(clock::now_ms);
        run(&state, tenant, &params, limit, move |view, expr, options| promql::instant(view, expr, at_ms, options))
            .await
    })
    .await
}

pub(super) async fn range(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("range", async {
        let limit = params.limit()?;
        let start_ms = params.required_time_ms("start")?;
        let end_ms = params.required_time_ms("end")?;
        if end_ms < start_ms {
            return Err(bad("end", "end timestamp must not be before start time"));
        }
        let step_ms = params.required_duration_ms("step")?;
        if step_ms <= 0 {
            return Err(bad(
                "step",
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ));
        }
        if (end_ms - start_ms) / step_ms > STEPS_MAX {
            return Err(Fault::invalid(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
            ));
        }
        run(&state, tenant, &params, limit, move |view, expr, options| {
            promql::range(view, expr, start_ms, end_ms, step_ms, options)
        })
        .await
    })
    .await
}

/// Parses the query, evaluates it in a slot, and answers with at most `limit` series.
async fn run(
    state: &State,
    tenant: TenantId,
    params: &Params,
    limit: usize,
    evaluate: impl FnOnce(&View, &Expr, &promql::Options) -> Result<Answer, query::QueryError> + Send + 'static,
) -> Result<Response, Fault> {
    let received = Instant::now();
    let timeout = params.timeout()?;
    let lookback_ms = params.lookback_ms()?.unwrap_or_else(|| state.lookback_ms());
    let text = params.query().to_owned();
    let with_stats = params.get("stats").is_some();
    let detail = explain::detail(params);
    let queries = state.queries.clone();
    let state = state.clone();
    let work = move |budget: &Budget| {
        let mut timings = Timings::queued(received.elapsed());
        let expr = promql::parse(&text).map_err(bad_query)?;
        state.asked_metrics.note(&tenant, &promql::selectors(&expr), clock::now_ms());
        let view = View::of(&state.store, &tenant)?;
        let options = promql::Options { detail, ..promql::Options::new(lookback_ms, budget.clone()) };
        timings.prepared();
        let answer = evaluate(&view, &expr, &options)?;
        timings.evaluated();
        let stats = if with_stats { timings.json(&answer) } else { String::new() };
        result_json::pieces(answer, limit, stats).begin(&state.queries, budget)
    };
    Ok(queries.run(timeout, work).await?.into_response())
}
