//! Records as they were sent: `/api/v1/logs/export`, a line of OTLP JSON (one ExportLogsServiceRequest) for every so many of them, oldest
//! first. What comes out can be posted to any OTLP/HTTP receiver, ours included.
//!
//! `start` and `end` as `time_param` documents (half-open; without them the last hour), `query` a search. Read a page at a time while the
//! client reads, so neither length nor a slow reader costs memory. What goes wrong later than the first page ends the body early.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use codec::otlp::write_logs;
use futures_util::stream;
use http::header;
use model::{NsRange, TenantId};
use query::logs::{self, Direction, Search};

use super::logs::range_or;
use super::params::Params;
use super::view::View;
use crate::State;
use crate::error::Fault;

/// Records of one line: what an SDK or a Collector sends at once, some hundred KB.
const RECORDS_PER_LINE: usize = 1_000;
const RANGE_DEFAULT_NS: i64 = 3_600_000_000_000;

/// Where an export stands.
struct Export {
    state: State,
    tenant: TenantId,
    search: Arc<Search>,
    range: NsRange,
}

/// One line, and where the next one goes on.
struct Page {
    line: Bytes,
    cursor: Option<String>,
}

pub(super) async fn export(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("logs_export", async {
        let search = Arc::new(logs::parse(params.either("query", "q").unwrap_or_default())?);
        let export = Export {
            state,
            tenant,
            search,
            range: range_or(&params, |end_ns| end_ns.saturating_sub(RANGE_DEFAULT_NS))?,
        };
        // Before the status line is sent, so that a refusal has its own.
        let first = export.page(None).await?;
        let lines = stream::try_unfold((export, Some(first)), |(export, page)| async move {
            let Some(Page { line, cursor }) = page else { return Ok::<_, std::io::Error>(None) };
            if line.is_empty() {
                return Ok(None);
            }
            let next = match cursor {
                Some(cursor) => {
                    let page = export.page(Some(cursor)).await;
                    Some(page.map_err(|fault| std::io::Error::other(fault.message))?)
                }
                None => None,
            };
            Ok(Some((line, (export, next))))
        });
        Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
    })
    .await
}

impl Export {
    async fn page(&self, cursor: Option<String>) -> Result<Page, Fault> {
        let (store, tenant, search, range) =
            (self.state.store.clone(), self.tenant.clone(), self.search.clone(), self.range);
        let answered = self.state.queries.run(None, move |budget| {
            let view = View::of(&store, &tenant)?;
            let Some(snapshot) = view.snapshot() else { return Ok(Page { line: Bytes::new(), cursor: None }) };
            let direction = Direction::OldestFirst;
            let found = logs::search(snapshot, &search, range, direction, RECORDS_PER_LINE, cursor.as_deref(), budget)?;
            let cursor = found.rows.last().filter(|_| found.more).map(|row| row.cursor.clone());
            let records: Vec<_> = found.rows.into_iter().map(|row| (row.resource, row.scope, row.record)).collect();
            let mut line = String::new();
            if !records.is_empty() {
                write_logs(&records, &mut line);
                line.push('\n');
            }
            Ok(Page { line: line.into(), cursor })
        });
        answered.await
    }
}
