//! The log search's API. Every parameter may be in the URL or in a POST form.
//!
//! | path under `/api/v1/logs` | answers |
//! |---|---|
//! | (itself) | records, a line of JSON each: `q`, `from`, `to`, `limit`, `direction` (`newest`, `oldest`), `cursor`, `progress`, `timeout` |
//! | `/histogram` | counts by time and severity: `q`, `from`, `to`, `buckets` |
//! | `/facets` | top values of several fields: `q`, `from`, `to`, `field` (repeated, or `fields` with commas between), `limit` |
//! | `/fields` | names of fields that records have: `from`, `to` |
//! | `/context` | the lines around the record of `cursor` in its stream: `before`, `after`, `by` (fields instead of the stream; repeated), `from`, `to` |
//! | `/trace` | all records of a trace, oldest first: `id`, `limit`, `cursor`, `from`, `to` |
//! | `/patterns` | what lines have in common, with counts by time and what is new: `q`, `from`, `to`, `limit`, `before` (how long before the range lines make a pattern known; the range's length by default) |
//! | `/tail` | records as they come, server-sent events: `q`, `last`, `cursor` or the header `Last-Event-ID` (see `tail.rs`) |
//!
//! `q` is the search box's language (`query::logs::parse`), or LogQL where it begins with `{`: a selector and its pipeline, whose lines
//! and labels the records then show.
//!
//! A record has what was sent of it, typed. Where the sender gave no severity number, `severity_derived` names what its text or its body
//! tell; `flags` are the eight bits of W3C's trace flags. A body is `null` where it was sent without a value, and where none was sent. An
//! attribute `event.name`, which older SDKs send, stays one and is found as one; `event_name` is the record's own field. `/export` has all
//! that was sent, as OTLP.
//!
//! `query`, `start` and `end`, as other APIs say, mean `q`, `from` and `to`.
//!
//! Times are taken as `time_param` documents; ranges are half-open. Without `from` a range is the last hour before `to` (a trace: all
//! there is), without `to` it ends now.
//!
//! A search whose time or memory ends first answers what it has, then a last line
//! `{"partial":{"reason":…,"covered":{"start":…,"end":…}}}`: every match of the covered range was sent, and the rest is had by asking
//! again with `to` (newest first) or `from` (oldest first) at its edge. So does one that met stored records that cannot be read, which its
//! reason names; the covered range is then the whole. Other answers have a key `warnings` in that case. With `progress=1` lines
//! `{"progress":{"bytes_scanned":…,"bytes_total":…,"matches":…}}` come twice a second until the records do; closing the connection
//! cancels the search. Counts, facets and patterns that end early have the same `partial` beside them: the newest records come first. A
//! failure after the first line is a line `{"error":{"message":…}}`.

mod around;
mod facets;
mod lines;
mod patterns;
mod tail;

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use http::header;
use model::any::json_string;
use model::time::rfc3339_ns;
use model::{NsRange, Severity, TenantId};
use query::logs::{self, Bucket, Direction, Partial};
use query::{Budget, Progress};

use super::params::{Params, bad};
use super::view::View;
use crate::error::Fault;
use crate::time_param::time_ns;
use crate::{State, clock};

pub(super) use around::{context, trace};
pub(super) use facets::{facets, fields};
use lines::Lines;
pub(super) use patterns::patterns;
pub(super) use tail::tail;

const ROWS_DEFAULT: usize = 100;
/// Most rows of one answer; whoever wants more goes on with the last row's cursor.
const ROWS_MAX: usize = 5_000;
const BUCKETS_DEFAULT: usize = 60;
/// Most buckets of one histogram: a screen has no more pixels to tell them apart.
const BUCKETS_MAX: usize = 1_000;
const RANGE_DEFAULT_NS: i64 = 3_600_000_000_000;

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
        let text = params.either("q", "query").unwrap_or_default();
        let search = logs::parse(text)?;
        let range = range(&params)?;
        let limit = limit(&params, ROWS_DEFAULT)?;
        let direction = match params.get("direction") {
            None | Some("backward" | "newest") => Direction::NewestFirst,
            Some("forward" | "oldest") => Direction::OldestFirst,
            Some(other) => return Err(bad("direction", &format!("{other:?} is neither newest nor oldest"))),
        };
        let cursor = params.get("cursor").map(str::to_owned);
        let progress = params.flag("progress")?.then(Arc::<Progress>::default);
        let timeout = params.timeout()?;
        let (store, watched) = (state.store.clone(), progress.clone().unwrap_or_default());
        let queries = state.queries.clone();
        let answered = async move {
            let work = move |budget: &Budget| {
                let view = View::of(&store, &tenant)?;
                let Some(snapshot) = view.snapshot() else { return Ok(Lines::default()) };
                let cursor = cursor.as_deref();
                let answer = logs::search_in_part(snapshot, &search, range, direction, limit, cursor, budget)?;
                Ok(Lines { rows: answer.rows, partial: answer.partial })
            };
            queries.run_watched(timeout, watched, work).await
        };
        match progress {
            Some(progress) => Ok(lines::with_progress(answered, progress)),
            None => Ok(lines::whole(answered.await?)),
        }
    })
    .await
}

/// How many rows are asked for.
fn limit(params: &Params, default: usize) -> Result<usize, Fault> {
    let limit = params.count("limit")?.unwrap_or(default);
    if limit == 0 || limit > ROWS_MAX {
        return Err(bad("limit", &format!("it is {limit}, one answer has 1 to {ROWS_MAX} rows; go on with cursor=")));
    }
    Ok(limit)
}

pub(super) async fn histogram(
    Shared(state): Shared<State>,
    Extension(tenant): Extension<TenantId>,
    params: Params,
) -> Response {
    super::answer("logs_histogram", async {
        let text = params.either("q", "query").unwrap_or_default().to_owned();
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
            let Some(snapshot) = view.snapshot() else { return Ok((Vec::new(), None, Vec::new())) };
            let (buckets, partial) = logs::histogram_in_part(snapshot, &search, range, width_ns, budget)?;
            Ok((buckets, partial, budget.damage.warnings()))
        });
        let (buckets, partial, warnings) = answered.await?;
        let json = histogram_json(width_ns, &buckets, partial.as_ref(), &warnings);
        Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
    })
    .await
}

fn range(params: &Params) -> Result<NsRange, Fault> {
    range_or(params, |end_ns| end_ns.saturating_sub(RANGE_DEFAULT_NS))
}

/// The range asked for; `start_ns` says where it begins when nothing is said, from its end.
pub(super) fn range_or(params: &Params, start_of: impl Fn(i64) -> i64) -> Result<NsRange, Fault> {
    let now_ns = clock::now_ns();
    let parse = |name: &str, other: &str| match params.either(name, other) {
        None => Ok(None),
        Some(text) => time_ns(text, now_ns).map(Some).ok_or_else(|| {
            bad(name, &format!("{text:?} is no time: use RFC 3339, seconds, ms, µs or ns since 1970, or now-1h"))
        }),
    };
    let end_ns = parse("to", "end")?.unwrap_or(now_ns);
    let start_ns = parse("from", "start")?.unwrap_or_else(|| start_of(end_ns));
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

/// `counts` names the severities that occur; the others are 0. `warnings` say what is not counted; without any they are left out.
fn histogram_json(width_ns: i64, buckets: &[Bucket], partial: Option<&Partial>, warnings: &[String]) -> String {
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
    lines::push_partial_member(partial, &mut out);
    push_warnings(warnings, &mut out);
    out.push('}');
    out
}

/// As a last key of an object: what could not be read.
fn push_warnings(warnings: &[String], out: &mut String) {
    if !warnings.is_empty() {
        out.push_str(",\"warnings\":");
        super::envelope::push_array(warnings, out, |warning, out| json_string(warning, out));
    }
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
            histogram_json(1_000_000_000, &[Bucket { start_ns: 0, counts }], None, &[]),
            r#"{"width_ns":1000000000,"buckets":[{"time":"1970-01-01T00:00:00.000000000Z","counts":{"info":5,"error":1}}]}"#
        );
    }
}
