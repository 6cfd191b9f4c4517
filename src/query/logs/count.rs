//! Counting instead of listing: by time and severity, by value.

use std::collections::HashMap;

use codec::block::{Meta, ValueRef};
use codec::field;
use model::{NsRange, Resource, Severity};
use store::LogView;
use store::logs::Summary;

use super::expr::{ALL_SEVERITIES, Expr, Field, severity_only};
use super::guard::{Guard, Source};
use super::mask::Mask;
use super::row::Rows;
use super::{Bucket, SearchStats, columns, select, sources};
use crate::{Budget, QueryError};

/// Most buckets of a histogram: what Prometheus allows as points of a series.
const BUCKETS_MAX: i128 = 11_000;
/// Most distinct values counted, and their bytes: they are all in memory until the end.
const VALUES_MAX: usize = 100_000;
const VALUE_BYTES_MAX: usize = 1_024;
const MINUTE_NS: i64 = 60_000_000_000;

/// Buckets, and what was read for them.
pub(super) type Histogram = (Vec<Bucket>, SearchStats);
/// Why counting ended early, and the range it is whole for: the newest records are counted first.
pub(super) type Cut = (QueryError, NsRange);

pub(super) fn histogram(
    view: &LogView,
    expr: &Expr,
    range: NsRange,
    width_ns: i64,
    budget: &Budget,
) -> Result<(Histogram, Option<Cut>), QueryError> {
    if width_ns < 1 {
        return Err(QueryError::Evaluation { reason: format!("a histogram's buckets cannot be {width_ns} ns wide") });
    }
    if range.start_ns >= range.end_ns {
        return Ok(((Vec::new(), SearchStats::default()), None));
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
    let (mut sources, unlisted) = match guard.sources(view, expr, range) {
        Ok(sources) => (sources, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    sources.sort_by_key(|source| std::cmp::Reverse(source.max_ns()));
    let edges_ns: Vec<i64> = sources.iter().map(Source::max_ns).collect();
    let mut done = 0;
    let counted = |guard: &mut Guard<'_>, source: &Source| {
        let mut counts = Counts::new();
        if let (Some(mask), Source::Block(block)) = (by_severity, source)
            && range.contains(block.min_ns())
            && range.contains(block.max_ns())
        {
            guard.look()?;
            if block.meta()?.is_some_and(|meta| add_summary(&meta, width_ns, mask, &bucket_of, &mut counts)) {
                guard.stats.blocks_skipped += 1;
                return Ok(counts);
            }
        }
        let Some(rows) = guard.read(source.clone())? else { return Ok(counts) };
        for at in matching(expr, &rows, range, source, guard)?.iter() {
            add_count(&mut counts, bucket_of(rows.time(at)?), rows.severity(at)? as usize, 1);
        }
        Ok(counts)
    };
    let ended = sources::each(&mut guard, budget, sources, counted, |more: Counts| {
        for (bucket, severity, count) in more {
            counts[bucket][severity] += count;
        }
        done += 1;
        Ok(())
    });
    let cut = match unlisted.map_or(ended, Err) {
        Ok(()) => None,
        Err(error @ (QueryError::Timeout { .. } | QueryError::TooMuch { .. })) => {
            let edge_ns = edges_ns.get(done).map_or(range.end_ns, |edge_ns| edge_ns.saturating_add(1));
            Some((error, NsRange { start_ns: edge_ns.clamp(range.start_ns, range.end_ns), end_ns: range.end_ns }))
        }
        Err(error) => return Err(error),
    };
    let start = |at: usize| (first + at as i64).saturating_mul(width_ns);
    let buckets = counts.into_iter().enumerate().map(|(at, counts)| Bucket { start_ns: start(at), counts });
    Ok(((buckets.collect(), guard.stats), cut))
}

/// Buckets, severities and counts; a pair may come more than once.
type Counts = Vec<(usize, usize, u64)>;

fn add_count(counts: &mut Counts, bucket: usize, severity: usize, count: u64) {
    // Records of one time stand together; of so few severities the last entries have it.
    match counts.iter_mut().rev().take(Severity::ALL.len()).find(|entry| (entry.0, entry.1) == (bucket, severity)) {
        Some(entry) => entry.2 += count,
        None => counts.push((bucket, severity, count)),
    }
}

/// The records of a place that are in the range and satisfy the search.
pub(super) fn matching(
    expr: &Expr,
    rows: &Rows,
    range: NsRange,
    source: &Source,
    guard: &mut Guard<'_>,
) -> Result<Mask, QueryError> {
    guard.ticks(rows.count())?;
    let mut within = Mask::all(rows.count());
    if !range.contains(source.min_ns()) || !range.contains(source.max_ns()) {
        within.retain(|at| Ok::<_, QueryError>(range.contains(rows.time(at)?)))?;
    }
    select::select(expr, rows, &within)
}

/// Counts a block by its summary, if that is fine enough.
fn add_summary(meta: &Meta, width_ns: i64, mask: u8, bucket_of: &impl Fn(i64) -> usize, counts: &mut Counts) -> bool {
    if !meta.has_derived {
        return false;
    }
    let wanted = |severity: usize| mask >> severity & 1 != 0;
    if bucket_of(meta.min_ns) == bucket_of(meta.max_ns) {
        for (severity, count) in meta.severities.iter().enumerate().filter(|(severity, _)| wanted(*severity)) {
            add_count(counts, bucket_of(meta.min_ns), severity, *count);
        }
        return true;
    }
    let Some(minutes) = meta.minutes.as_ref().filter(|_| width_ns % MINUTE_NS == 0) else { return false };
    for entry in minutes.iter().filter(|entry| wanted(entry.severity as usize)) {
        // The block's first minute may start before its bucket's range does.
        add_count(counts, bucket_of(entry.start_ns.max(meta.min_ns)), entry.severity as usize, entry.count);
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
    let mut counts: Values = HashMap::default();
    let mut guard = Guard::new(budget);
    let sources = guard.sources(view, expr, range)?;
    // What the guard has to say while results are put together, on a guard of its own.
    let mut spending = Guard::sharing(budget, &guard.share());
    let everything = severity_only(expr) == Some(ALL_SEVERITIES);
    let counted = |guard: &mut Guard<'_>, source: &Source| {
        let mut counts: Values = HashMap::default();
        if let (true, Source::Block(block), Field::Resource(path) | Field::Any(path)) = (everything, source, &wanted)
            && range.contains(block.min_ns())
            && range.contains(block.max_ns())
        {
            guard.look()?;
            let only_resources = matches!(wanted, Field::Resource(_));
            if let Some(meta) = block.meta()?
                && (only_resources || !meta.may_have_key(path))
                && count_resources(&meta, path, only_resources, &mut counts, field)?
            {
                guard.stats.blocks_skipped += 1;
                return Ok(counts);
            }
            counts.clear();
        }
        let Some(rows) = guard.read(source.clone())? else { return Ok(counts) };
        let found = matching(expr, &rows, range, source, guard)?;
        columns::count_values(&wanted, &rows, &found, &mut |text, count| add_value(&mut counts, text, count, field))?;
        Ok(counts)
    };
    sources::each(&mut guard, budget, sources, counted, |more: Values| {
        for (value, count) in more {
            if !counts.contains_key(&value) {
                spending.spend(value.len() as u64 + 32)?;
            }
            add_value(&mut counts, &value, count, field)?;
        }
        Ok(())
    })?;
    let mut out: Vec<(String, u64)> = counts.into_iter().collect();
    out.sort_unstable_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    out.truncate(limit);
    Ok(out)
}

type Values = HashMap<String, u64, foldhash::fast::RandomState>;

fn add_value(counts: &mut Values, text: &str, count: u64, field: &str) -> Result<(), QueryError> {
    let text = &text[..text.floor_char_boundary(VALUE_BYTES_MAX)];
    if let Some(known) = counts.get_mut(text) {
        *known += count;
        return Ok(());
    }
    if counts.len() == VALUES_MAX {
        let message = format!(
            "{field} has more than {VALUES_MAX} values here, no more are counted; narrow the time range or the search"
        );
        return Err(QueryError::TooMuch { message });
    }
    counts.insert(text.to_owned(), count);
    Ok(())
}

/// Counts a block by its summary; false when that does not tell. A record without the attribute in its resource may have the value
/// elsewhere, unless `only_resources` are asked.
fn count_resources(
    meta: &Summary,
    path: &str,
    only_resources: bool,
    counts: &mut Values,
    field: &str,
) -> Result<bool, QueryError> {
    let Some(resources) = meta.by_resource() else { return Ok(false) };
    let mut text = String::new();
    for (resource, count) in resources {
        if resource_value(resource, path, &mut text) {
            add_value(counts, &text, count, field)?;
        } else if !only_resources {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Puts the first value of a resource's attribute into `text`; whether there was one.
fn resource_value(resource: &Resource, path: &str, text: &mut String) -> bool {
    let mut found = false;
    text.clear();
    let pairs = resource.attributes.iter().map(|(key, value)| (key, ValueRef::from(value)));
    field::lookup(pairs, path, &mut |value| {
        if !found {
            found = true;
            value.write_text(text);
        }
    });
    found
}
