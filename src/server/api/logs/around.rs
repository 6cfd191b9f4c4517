//! `/api/v1/logs/context`: the lines around a record; `/api/v1/logs/trace`: the records of a trace.

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;
use model::time::NS_PER_DAY;
use model::{Kind, NsRange, TenantId};
use query::logs;

use super::lines::{self, Lines};
use super::{ROWS_MAX, limit, range_or};
use crate::State;
use crate::api::params::{Params, bad};
use crate::api::view::View;
use crate::error::Fault;

/// Lines before and after a record.
const NEIGHBOURS_DEFAULT: usize = 10;
const NEIGHBOURS_MAX: usize = 500;
/// Fields that may stand for the stream.
const BY_MAX: usize = 10;
/// How far neighbours may be away where no range is given.
const NEIGHBOURS_WITHIN_NS: i64 = NS_PER_DAY;

pub(in crate::api) async fn context(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    crate::api::answer("logs_context", async {
        let cursor = params.get("cursor").ok_or_else(|| bad("cursor", "it is missing: give a record's cursor"))?;
        let count = |name| -> Result<usize, Fault> {
            let count = params.count(name)?.unwrap_or(NEIGHBOURS_DEFAULT);
            match count <= NEIGHBOURS_MAX {
                true => Ok(count),
                false => Err(bad(name, &format!("it is {count}, at most {NEIGHBOURS_MAX} lines are shown on a side"))),
            }
        };
        let (before, after) = (count("before")?, count("after")?);
        let by: Vec<String> = params.all("by").filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if by.len() > BY_MAX {
            return Err(bad("by", &format!("there are {} of them, at most {BY_MAX} are compared", by.len())));
        }
        let range = match (params.either("from", "start"), params.either("to", "end")) {
            (None, None) => logs::around(cursor, NEIGHBOURS_WITHIN_NS)?,
            _ => range_or(&params, |end_ns| end_ns.saturating_sub(NEIGHBOURS_WITHIN_NS))?,
        };
        let (store, cursor) = (state.store.clone(), cursor.to_owned());
        let found = state.queries.run(params.timeout()?, move |budget| {
            let view = View::of(&store, &tenant)?;
            let Some(snapshot) = view.snapshot() else { return Ok(None) };
            Ok(logs::context(snapshot, &cursor, &by, range, before, after, budget)?)
        });
        match found.await? {
            Some(context) => Ok(lines::whole(Lines { rows: context.rows, partial: context.partial })),
            None => Err(Fault::new(Kind::NotFound, "the record of this cursor is not here (any more)")),
        }
    })
    .await
}

pub(in crate::api) async fn trace(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    crate::api::answer("logs_trace", async {
        let text = params.get("id").or_else(|| params.get("trace_id")).unwrap_or_default();
        let id =
            logs::trace_id(text).ok_or_else(|| bad("id", &format!("{text:?} is not the 32 hex digits of a trace")))?;
        let range = range_or(&params, |_| NsRange::ALL.start_ns)?;
        let range = if params.either("to", "end").is_some() { range } else { NsRange { end_ns: i64::MAX, ..range } };
        let limit = limit(&params, ROWS_MAX)?;
        let cursor = params.get("cursor").map(str::to_owned);
        let store = state.store.clone();
        let found = state.queries.run(params.timeout()?, move |budget| {
            let view = View::of(&store, &tenant)?;
            let Some(snapshot) = view.snapshot() else { return Ok(Lines::default()) };
            let answer = logs::trace(snapshot, id, range, limit, cursor.as_deref(), budget)?;
            Ok(Lines { rows: answer.rows, partial: answer.partial })
        });
        Ok(lines::whole(found.await?))
    })
    .await
}
