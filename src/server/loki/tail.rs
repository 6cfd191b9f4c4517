//! `/tail`: new entries over a WebSocket, as Grafana's live mode and `logcli --tail` take them.

use std::time::Duration;

use axum::Extension;
use axum::extract::State as Shared;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use model::any::json_string;
use model::{Kind, NsRange, TenantId};
use query::logql::ast::LogExpr;
use query::logql::{self, Expr, LogEntry, Look, Tail};
use query::logs::Direction;
use tokio::sync::watch;

use super::params::{bounds, count, limit};
use super::query::{categorize, parse};
use super::{answer, fault, result_json};
use crate::api::envelope::{push_array, push_object};
use crate::api::params::Params;
use crate::api::view::View;
use crate::error::Fault;
use crate::tail_places::{Full, TailPlace};
use crate::{State, clock};

/// Between two looks while records keep coming.
const PAUSE: Duration = Duration::from_millis(250);
/// Between two looks for a tenant that has sent nothing yet.
const NO_TENANT_YET: Duration = Duration::from_secs(1);
/// Longest `delay_for`, in seconds.
const DELAY_MAX_S: usize = 5;
/// Entries of one message; a reader who gets more at once reads none of them.
const ENTRIES_MAX: usize = 1_000;
/// A reader that takes no message for so long is gone.
const SEND_MAX: Duration = Duration::from_secs(30);
/// Tails at once, as Loki's `max_concurrent_tail_requests`.
pub(crate) const TAILS_MAX: usize = 10;
/// Of all tenants together.
pub(crate) const ALL_TAILS_MAX: usize = 40;

struct Asked {
    log: LogExpr,
    tenant: TenantId,
    start_ns: i64,
    limit: usize,
    pause: Duration,
    categorize: bool,
}

pub(super) async fn tail(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    params: Params,
) -> Response {
    answer("loki_tail", async {
        let Expr::Log(log) = parse(params.query())? else {
            return Err(Fault::invalid("only log queries can be tailed"));
        };
        let delay_s = match params.get("delay_for") {
            None | Some("0") => 0,
            Some(_) => count(&params, "delay_for", 0)?,
        };
        if delay_s > DELAY_MAX_S {
            return Err(Fault::invalid(format!("delay_for can't be greater than {DELAY_MAX_S}")));
        }
        let asked = Asked {
            log,
            tenant,
            start_ns: bounds(&params, clock::now_ns())?.start_ns,
            limit: limit(&params)?,
            pause: PAUSE.max(Duration::from_secs(delay_s as u64)),
            categorize: categorize(&headers),
        };
        let upgrade = upgrade.map_err(|why| Fault::invalid(format!("this is a WebSocket: {why}")))?;
        let place = state.tails.take(&asked.tenant).map_err(|full| {
            let limit = if let Full::All(own) = full { own } else { TAILS_MAX };
            let why = format!("max concurrent tail requests limit exceeded, count > limit ({} > {limit})", limit + 1);
            Fault::new(Kind::Busy, why)
        })?;
        Ok(upgrade.on_upgrade(move |socket| run(state, asked, socket, place)).into_response())
    })
    .await
}

/// Until the reader leaves or a look fails.
async fn run(state: State, asked: Asked, mut socket: WebSocket, _place: TailPlace) {
    if let Err(fault) = follow(&state, asked, &mut socket).await {
        let reason = fault.message[..fault.message.floor_char_boundary(120)].to_owned();
        let close = CloseFrame { code: close_code::ERROR, reason: reason.into() };
        // The reader may be gone already; then there is nobody to tell.
        drop(socket.send(Message::Close(Some(close))).await);
    }
}

async fn follow(state: &State, asked: Asked, socket: &mut WebSocket) -> Result<(), Fault> {
    let Asked { log, tenant, start_ns, limit, pause, categorize } = asked;
    let (store, id, first) = (state.store.clone(), tenant.clone(), log.clone());
    let begin = move |budget: &query::Budget| {
        let arrivals = store.existing_tenant(&id)?.map(|tenant| tenant.log_arrivals());
        let view = View::of(&store, &id)?;
        let tail = Tail::new(first.clone(), view.snapshot(), clock::now_ns()).map_err(fault)?;
        let range = NsRange { start_ns, end_ns: i64::MAX };
        let before = logql::select(view.snapshot(), &first, range, Direction::NewestFirst, limit, 0, budget);
        let mut entries = before.map_err(fault)?.entries;
        entries.reverse();
        Ok((tail, arrivals, entries))
    };
    let (mut tail, mut arrivals, entries) = state.queries.run(None, begin).await?;
    if !send(socket, &Look { entries, dropped: Vec::new() }, categorize).await {
        return Ok(());
    }
    loop {
        tokio::select! {
            () = news(pause, &mut arrivals) => {}
            heard = socket.recv() => match heard {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                // Pings are answered beneath.
                Some(Ok(_)) => continue,
            },
        }
        let (store, id) = (state.store.clone(), tenant.clone());
        let look = move |budget: &query::Budget| {
            let Some(tenant) = store.existing_tenant(&id)? else { return Ok((tail, None, Look::default())) };
            let mut arrivals = arrivals.unwrap_or_else(|| tenant.log_arrivals());
            // What comes from here on wakes again.
            arrivals.borrow_and_update();
            let found = tail.look(&tenant.snapshot()?, ENTRIES_MAX, budget).map_err(fault)?;
            Ok((tail, Some(arrivals), found))
        };
        let found;
        (tail, arrivals, found) = state.queries.run(None, look).await?;
        if !send(socket, &found, categorize).await {
            return Ok(());
        }
    }
}

/// Until records may have come, and no sooner than `pause`. May be dropped and begun again.
async fn news(pause: Duration, arrivals: &mut Option<watch::Receiver<()>>) {
    tokio::time::sleep(pause).await;
    let has_come = match arrivals {
        Some(arrivals) => arrivals.changed().await.is_ok(),
        None => false,
    };
    if !has_come {
        // Not there yet, or closed and perhaps opened again.
        *arrivals = None;
        tokio::time::sleep(NO_TENANT_YET).await;
    }
}

/// Whether the reader took it.
async fn send(socket: &mut WebSocket, look: &Look, categorize: bool) -> bool {
    if look.entries.is_empty() && look.dropped.is_empty() {
        return true;
    }
    let text = message(look, categorize);
    matches!(tokio::time::timeout(SEND_MAX, socket.send(Message::Text(text.into()))).await, Ok(Ok(())))
}

fn message(look: &Look, categorize: bool) -> String {
    let mut out = String::from("{\"streams\":");
    result_json::push_streams(&look.entries, Direction::OldestFirst, categorize, &mut out);
    if !look.dropped.is_empty() {
        out.push_str(",\"dropped_entries\":");
        push_array(&look.dropped, &mut out, |entry: &LogEntry, out| {
            out.push_str("{\"timestamp\":");
            json_string(&entry.time_ns.to_string(), out);
            out.push_str(",\"labels\":");
            push_object(entry.all().iter(), out);
            out.push('}');
        });
    }
    if categorize {
        out.push_str(",\"encodingFlags\":[\"categorize-labels\"]");
    }
    out.push('}');
    out
}
