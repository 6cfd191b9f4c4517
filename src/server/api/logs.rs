//! The log search: `/api/v1/logs`, a line of JSON a record, and `/api/v1/logs/histogram`.
//!
//! Times are taken as `time_param` documents; the range is half-open. Without `from` it is the last hour before `to`,
//! without `to` it ends now.

use axum::Extension;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header;
use model::time::rfc3339_ns;
use model::{NsRange, Severity, TenantId};
use query::logs::{self, Bucket, Direction, Row};
use std::fmt::Write as _;

use super::params::{Params, bad};
use super::view::View;
use crate::error::Fault;
use crate::time_param::time_ns;
use crate::{State, clock};

const ROWS_DEFAULT: usize = 100;
/// Most rows of one answer; whoever wants more goes on with the last row's cursor.
const ROWS_MAX: usize = 5_000;
const BUCKETS_DEFAULT: usize = 60;
/// Most buckets of one histogram: a screen has no more pixels to tell them apart.
const BUCKETS_MAX: usize = 1_000;
const RANGE_DEFAULT_NS: i64 = 3_600_000_000_000;
/// Size of a piece of the streamed answer, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// Widths that people read at a glance, in ns: 1 ms to 30 days.
const WIDTHS_NS: [i64; 26] = {
    const MS: i64 = 1_000_000;
    const S: i64 = 1_000 * MS;
    const M: i64 = 60 * S;
    const H: i64 = 60 * M;
    const D: i64 = 24 * H;
    [
        MS,
        5 * MS,
        10 * MS,
        50 * MS,
        100 * MS,
        500 * MS,
        S,
        2 * S,
        5 * S,
        10 * S,
        15 * S,
        30 * S,
        M,
        2 * M,
        5 * M,
        10 * M,
        15 * M,
        30 * M,
        H,
        3 * H,
        6 * H,
        12 * H,
        D,
        2 * D,
        7 * D,
        30 * D,
    ]
};

pub(super) async fn search(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("logs", async {
        let text = params.get("q").unwrap_or_default().to_owned();
        let range = range(&params)?;
        let limit = params.count("limit")?.unwrap_or(ROWS_DEFAULT);
        if limit == 0 || limit > ROWS_MAX {
            return Err(bad(
                "limit",
                &format!("it is {limit}, one answer has 1 to {ROWS_MAX} rows; go on with cursor="),
            ));
        }
        let direction = match params.get("direction") {
            None | Some("backward" | "newest") => Direction::NewestFirst,
            Some("forward" | "oldest") => Direction::OldestFirst,
            Some(other) => return Err(bad("direction", &format!("{other:?} is neither backward nor forward"))),
        };
        let cursor = params.get("cursor").map(str::to_owned);
        let store = state.store.clone();
        let answered = state.queries.run(params.timeout()?, move |budget| {
            let search = logs::parse(&text)?;
            let view = View::of(&store, &tenant)?;
            let Some(snapshot) = view.snapshot() else { return Ok(Vec::new()) };
            Ok(logs::search(snapshot, &search, range, direction, limit, cursor.as_deref(), budget)?.rows)
        });
        Ok(lines(answered.await?))
    })
    .await
}

pub(super) async fn histogram(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("logs_histogram", async {
        let text = params.get("q").unwrap_or_default().to_owned();
        let range = range(&params)?;
        let wanted = params.count("buckets")?.unwrap_or(BUCKETS_DEFAULT);
        if wanted == 0 || wanted > BUCKETS_MAX {
            return Err(bad("buckets", &format!("it is {wanted}, it may be 1 to {BUCKETS_MAX}")));
        }
        let width_ns = width_ns(range, wanted);
        let store = state.store.clone();
        let answered = state.queries.run(params.timeout()?, move |budget| {
            let search = logs::parse(&text)?;
            let view = View::of(&store, &tenant)?;
            let Some(snapshot) = view.snapshot() else { return Ok(Vec::new()) };
            Ok(logs::histogram(snapshot, &search, range, width_ns, budget)?.0)
        });
        let buckets = answered.await?;
        Ok(([(header::CONTENT_TYPE, "application/json")], histogram_json(width_ns, &buckets)).into_response())
    })
    .await
}

fn range(params: &Params) -> Result<NsRange, Fault> {
    let now_ns = clock::now_ns();
    let parse = |name: &str| match params.get(name) {
        None => Ok(None),
        Some(text) => time_ns(text, now_ns).map(Some).ok_or_else(|| {
            bad(name, &format!("{text:?} is no time: use RFC 3339, seconds, ms, µs or ns since 1970, or now-1h"))
        }),
    };
    let end_ns = parse("to")?.unwrap_or(now_ns);
    let start_ns = parse("from")?.unwrap_or_else(|| end_ns.saturating_sub(RANGE_DEFAULT_NS));
    if end_ns < start_ns {
        return Err(bad("to", "it lies before from"));
    }
    Ok(NsRange { start_ns, end_ns })
}

/// The narrowest readable width with at most `buckets` buckets; beyond the list, a multiple of its last.
fn width_ns(range: NsRange, buckets: usize) -> i64 {
    // A bucket more than the span needs, as the first and the last are cut by the alignment.
    let span = range.end_ns.saturating_sub(range.start_ns);
    let smallest = span / i64::try_from(buckets).unwrap_or(i64::MAX);
    let largest = WIDTHS_NS[WIDTHS_NS.len() - 1];
    WIDTHS_NS
        .into_iter()
        .find(|width| *width >= smallest)
        .unwrap_or_else(|| (smallest / largest + 1).saturating_mul(largest))
}

/// Rows as pieces of a stream, so that the whole answer never stands in memory as text.
fn lines(rows: Vec<Row>) -> Response {
    let mut rows = rows.into_iter();
    let pieces = std::iter::from_fn(move || {
        let mut piece = String::new();
        while piece.len() < PIECE_BYTES {
            let Some(row) = rows.next() else { break };
            super::log_json::push_row(&row, &mut piece);
            piece.push('\n');
        }
        (!piece.is_empty()).then(|| Ok::<_, std::convert::Infallible>(Bytes::from(piece)))
    });
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

/// `counts` names the severities that occur; the others are 0.
fn histogram_json(width_ns: i64, buckets: &[Bucket]) -> String {
    let mut out = format!("{{\"width_ns\":{width_ns},\"buckets\":");
    super::envelope::push_array(buckets, &mut out, |bucket, out| {
        write!(out, "{{\"time\":\"{}\",\"counts\":{{", rfc3339_ns(bucket.start_ns)).expect("a String takes everything");
        let mut first = true;
        for (severity, count) in Severity::ALL.iter().zip(bucket.counts).filter(|(_, count)| *count > 0) {
            if !first {
                out.push(',');
            }
            first = false;
            write!(out, "\"{}\":{count}", severity.as_str()).expect("a String takes everything");
        }
        out.push_str("}}");
    });
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_readable_and_give_no_more_buckets_than_asked() {
        const M: i64 = 60_000_000_000;
        for (span_ns, buckets, expected) in [
            (60 * M, 60, M),
            (61 * M, 60, 2 * M),
            (0, 60, 1_000_000),
            (24 * 60 * M, 60, 30 * M),
            (i64::MAX, 1, i64::MAX),
        ] {
            let range = NsRange { start_ns: 0, end_ns: span_ns };
            assert_eq!(width_ns(range, buckets), expected, "{span_ns}");
        }
    }

    #[test]
    fn a_histogram_names_the_severities_that_occur() {
        let mut counts = [0; Severity::ALL.len()];
        counts[3] = 5;
        counts[5] = 1;
        assert_eq!(
            histogram_json(1_000_000_000, &[Bucket { start_ns: 0, counts }]),
            r#"{"width_ns":1000000000,"buckets":[{"time":"1970-01-01T00:00:00.000000000Z","counts":{"info":5,"error":1}}]}"#
        );
    }
}
