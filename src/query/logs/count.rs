//! Counting instead of listing: by time and severity, by value.

use std::collections::HashMap;

use codec::block::Meta;
use model::{NsRange, Severity};
use store::LogView;

use super::expr::{Expr, Field, severity_only};
use super::guard::{Guard, Source};
use super::row::Rows;
use super::{Bucket, SearchStats, judge};
use crate::{Budget, QueryError};

/// Most buckets of a histogram: what Prometheus allows as points of a series.
const BUCKETS_MAX: i128 = 11_000;
/// Most distinct values counted, and their bytes: they are all in memory until the end.
const VALUES_MAX: usize = 100_000;
const VALUE_BYTES_MAX: usize = 1_024;
const MINUTE_NS: i64 = 60_000_000_000;

pub(super) fn histogram(
    view: &LogView,
    expr: &Expr,
    range: NsRange,
    width_ns: i64,
    budget: &Budget,
) -> Result<(Vec<Bucket>, SearchStats), QueryError> {
    if width_ns < 1 {
        return Err(QueryError::Evaluation { reason: format!("a histogram's buckets cannot be {width_ns} ns wide") });
    }
    if range.start_ns >= range.end_ns {
        return Ok((Vec::new(), SearchStats::default()));
    }
    let first = range.start_ns.div_euclid(width_ns);
    let count = i128::from((range.end_ns - 1).div_euclid(width_ns)) - i128::from(first) + 1;
    if count > BUCKETS_MAX {
        return Err(QueryError::TooMuch {
            message: format!(
                "the histogram would have {count} buckets, at most {BUCKETS_MAX} are made; use a larger step"
            ),
        });
    }
    let mut counts = vec![[0u64; Severity::ALL.len()]; count as usize];
    // Only times inside the range come here, so the index is inside the buckets.
    let bucket_of = |at_ns: i64| (at_ns.div_euclid(width_ns) - first) as usize;
    let by_severity = severity_only(expr);
    let mut guard = Guard::new(budget);
    for source in guard.sources(view, expr, range)? {
        if let (Some(mask), Source::Block(block)) = (by_severity, &source)
            && range.contains(block.min_ns())
            && range.contains(block.max_ns())
        {
            guard.look()?;
            let Some(meta) = block.meta()? else { continue };
            if add_summary(&meta, width_ns, mask, &bucket_of, &mut counts) {
                guard.stats.blocks_skipped += 1;
                continue;
            }
        }
        let Some(rows) = guard.read(source)? else { continue };
        for at in 0..rows.count() {
            guard.tick()?;
            let time_ns = rows.time(at)?;
            if range.contains(time_ns) && judge::matches(expr, &rows, at)? {
                counts[bucket_of(time_ns)][rows.severity(at)? as usize] += 1;
            }
        }
    }
    let start = |at: usize| (first + at as i64).saturating_mul(width_ns);
    let buckets = counts.into_iter().enumerate().map(|(at, counts)| Bucket { start_ns: start(at), counts });
    Ok((buckets.collect(), guard.stats))
}

/// Counts a block by its summary, if that is fine enough.
fn add_summary(
    meta: &Meta,
    width_ns: i64,
    mask: u8,
    bucket_of: &impl Fn(i64) -> usize,
    counts: &mut [[u64; Severity::ALL.len()]],
) -> bool {
    let wanted = |severity: usize| mask >> severity & 1 != 0;
    if bucket_of(meta.min_ns) == bucket_of(meta.max_ns) {
        for (severity, count) in meta.severities.iter().enumerate().filter(|(severity, _)| wanted(*severity)) {
            counts[bucket_of(meta.min_ns)][severity] += count;
        }
        return true;
    }
    let Some(minutes) = meta.minutes.as_ref().filter(|_| width_ns % MINUTE_NS == 0) else { return false };
    for entry in minutes.iter().filter(|entry| wanted(entry.severity as usize)) {
        // The block's first minute may start before its bucket's range does.
        counts[bucket_of(entry.start_ns.max(meta.min_ns))][entry.severity as usize] += entry.count;
    }
    true
}

pub(super) fn top_values(
    view: &LogView,
    expr: &Expr,
    range: NsRange,
    field: &str,
    limit: usize,
    budget: &Budget,
) -> Result<Vec<(String, u64)>, QueryError> {
    let wanted = Field::of_name(field);
    let mut counts: HashMap<String, u64, foldhash::fast::RandomState> = HashMap::default();
    let mut guard = Guard::new(budget);
    let mut text = String::new();
    for source in guard.sources(view, expr, range)? {
        let Some(rows) = guard.read(source)? else { continue };
        for at in 0..rows.count() {
            guard.tick()?;
            if !range.contains(rows.time(at)?) || !judge::matches(expr, &rows, at)? {
                continue;
            }
            if !first_value(&rows, at, &wanted, &mut text)? {
                continue;
            }
            text.truncate(text.floor_char_boundary(VALUE_BYTES_MAX));
            if let Some(count) = counts.get_mut(&text) {
                *count += 1;
                continue;
            }
            if counts.len() == VALUES_MAX {
                let message = format!(
                    "{field} has more than {VALUES_MAX} values here, no more are counted; narrow the time range or the search"
                );
                return Err(QueryError::TooMuch { message });
            }
            guard.spend(text.len() as u64 + 32)?;
            counts.insert(text.clone(), 1);
        }
    }
    let mut out: Vec<(String, u64)> = counts.into_iter().collect();
    out.sort_unstable_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    out.truncate(limit);
    Ok(out)
}

/// Puts the first value of a field into `text`; whether there was one.
fn first_value(rows: &Rows, at: usize, field: &Field, text: &mut String) -> Result<bool, QueryError> {
    let mut found = false;
    text.clear();
    rows.values(at, field, &mut |value| {
        if !found {
            found = true;
            value.write_text(text);
        }
    })?;
    Ok(found)
}
