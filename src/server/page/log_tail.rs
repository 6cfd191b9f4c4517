//! `/logs/tail`: the page's live tail, rows as the page shows them.

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State as Shared};
use axum::response::Response;
use http::HeaderMap;
use model::NsRange;
use query::logs;
use serde::Deserialize;

use super::failure::Failure;
use super::log_row::{DETAIL_BYTES_MAX, LogRow, Shown};
use super::logs::columns;
use super::window::Window;
use crate::State;
use crate::error::Fault;
use crate::serve::Stopping;
use crate::tail::{self, Start};
use crate::tenant_ext::Tenant;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Parameters {
    q: String,
    cols: String,
    cursor: String,
}

#[derive(Template)]
#[template(path = "tail_row.html")]
struct TailRow {
    r: LogRow,
}

pub(super) async fn tail(
    Shared(state): Shared<State>,
    Tenant(tenant): Tenant,
    stopping: Option<Extension<Stopping>>,
    headers: HeaderMap,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Failure> {
    let search = logs::parse(&parameters.q).map_err(Fault::from)?;
    let cursor = Some(parameters.cursor.as_str()).filter(|cursor| !cursor.is_empty());
    let start = Start::of(&headers, cursor, 0, NsRange::ALL)?;
    let columns = columns(&parameters.cols);
    let response =
        tail::open(&state, tenant, search, start, stopping.map(|Extension(stopping)| stopping), move |row, out| {
            let now_ms = crate::clock::now_ms();
            let window = Window::parse("", "", now_ms);
            let mut room = DETAIL_BYTES_MAX;
            let r = LogRow::new(row, &Shown { window: &window, columns: &columns, now_ms }, &mut room);
            match (TailRow { r }).render() {
                Ok(html) => out.push_str(html.trim_end()),
                Err(error) => tracing::warn!(%error, "a row of a live tail could not be shown"),
            }
        });
    Ok(response?)
}
