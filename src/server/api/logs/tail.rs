//! `/api/v1/logs/tail`: records as they come.

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;
use http::HeaderMap;
use model::TenantId;
use query::logs;

use crate::State;
use crate::api::log_json::push_row;
use crate::api::params::{Params, bad};
use crate::serve::Stopping;
use crate::tail::{self, Start};

/// Records of before that a tail may begin with.
const LAST_MAX: usize = 1_000;

pub(in crate::api) async fn tail(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    stopping: Option<Extension<Stopping>>,
    headers: HeaderMap,
    params: Params,
) -> Response {
    crate::api::answer("logs_tail", async {
        let search = logs::parse(params.either("q", "query").unwrap_or_default())?;
        let last = params.count("last")?.unwrap_or(0);
        if last > LAST_MAX {
            return Err(bad("last", &format!("it is {last}, at most {LAST_MAX} records of before are sent")));
        }
        let range = super::range(&params)?;
        let start = Start::of(&headers, params.get("cursor"), last, range)?;
        tail::open(&state, tenant, search, start, stopping.map(|Extension(stopping)| stopping), |row, out| {
            push_row(row, out)
        })
    })
    .await
}
