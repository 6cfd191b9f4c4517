//! Which streams have records in a range, how many, and how large: what label browsers, volumes and statistics ask for. Reads no bodies, and of
//! blocks that lie in the range as a whole no more than their summaries.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use model::{Labels, Matcher, NsRange, Resource};
use store::Snapshot;

use super::labels::stream_labels;
use super::narrow;
use crate::logs::SearchStats;
use crate::logs::expr::Expr;
use crate::logs::guard::{Guard, Source};
use crate::logs::row::Rows;
use crate::{Budget, QueryError};

/// What one stream counts for in the budget, in bytes.
const STREAM_BYTES: u64 = 256;

/// A stream, and what of it is in a range.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    pub labels: Labels,
    pub records: u64,
    /// Of the records before they are encoded, attributes included: a block's share by the number of records.
    pub bytes: u64,
    /// Blocks, and parts of the head, that have records of it.
    pub chunks: u64,
    /// Bytes by step, where steps were asked for: the step that a record's time falls in, counted from the range's start.
    pub steps: BTreeMap<u64, u64>,
}

/// The streams that any of the selectors takes (no selector takes all) with records in the range, in order of labels.
///
/// # Errors
/// `TooMuch` for more streams than `query.series_max`, and by the budget.
pub fn volumes(
    snapshot: Option<&Snapshot>,
    selectors: &[Vec<Matcher>],
    range: NsRange,
    step_ns: Option<i64>,
    budget: &Budget,
) -> Result<(Vec<Volume>, SearchStats), QueryError> {
    let mut found: BTreeMap<Labels, Volume> = BTreeMap::new();
    let mut guard = Guard::new(budget);
    let Some(snapshot) = snapshot.filter(|_| range.start_ns < range.end_ns) else {
        return Ok((Vec::new(), guard.stats));
    };
    let narrow = match selectors {
        [] => Expr::And(Vec::new()),
        several => Expr::Or(several.iter().map(|matchers| narrow::expr(matchers)).collect()),
    };
    let mut selected = Selected { selectors, known: HashMap::default(), held: Vec::new() };
    for source in guard.sources(snapshot.logs(), &narrow, range)? {
        // How many records of each resource there are in the range, and in which steps.
        let mut counts: Vec<(Arc<Resource>, u64, BTreeMap<u64, u64>)> = Vec::new();
        let (size, records) = size_of(&source);
        if step_ns.is_none() && known_whole(&source, range, &mut counts)? {
            guard.look()?;
        } else {
            let Some(rows) = guard.read(source)? else { continue };
            count(&mut guard, &rows, range, step_ns, &mut counts)?;
        }
        let share = |count: u64| (u128::from(size) * u128::from(count) / u128::from(records.max(1))) as u64;
        let mut seen: Vec<Labels> = Vec::new();
        for (resource, count, steps) in counts {
            let Some(labels) = selected.labels(&resource) else { continue };
            if !found.contains_key(&labels) {
                guard.spend(STREAM_BYTES)?;
                if found.len() as u64 >= budget.series_max {
                    return Err(too_many(budget));
                }
            }
            let volume = found.entry(labels.clone()).or_insert_with(|| Volume {
                labels: labels.clone(),
                records: 0,
                bytes: 0,
                chunks: 0,
                steps: BTreeMap::new(),
            });
            volume.records += count;
            volume.bytes += share(count);
            for (step, count) in steps {
                *volume.steps.entry(step).or_insert(0) += share(count);
            }
            // Several resources can be one stream.
            if !seen.contains(&labels) {
                volume.chunks += 1;
                seen.push(labels);
            }
        }
    }
    Ok((found.into_values().collect(), guard.stats))
}

/// Bytes and records.
fn size_of(source: &Source) -> (u64, u64) {
    match source {
        Source::Block(block) => (block.raw_bytes(), block.records()),
        Source::Head(part) => (part.raw_bytes, part.len() as u64),
    }
}

/// Counts a block that lies in the range as a whole by its summary, if that tells resources.
fn known_whole(
    source: &Source,
    range: NsRange,
    counts: &mut Vec<(Arc<Resource>, u64, BTreeMap<u64, u64>)>,
) -> Result<bool, QueryError> {
    let Source::Block(block) = source else { return Ok(false) };
    if !range.contains(block.min_ns()) || !range.contains(block.max_ns()) {
        return Ok(false);
    }
    let Some(summary) = block.meta()? else { return Ok(false) };
    let Some(resources) = summary.by_resource() else { return Ok(false) };
    counts.extend(resources.map(|(resource, count)| (resource.clone(), count, BTreeMap::new())));
    Ok(true)
}

fn count(
    guard: &mut Guard<'_>,
    rows: &Rows,
    range: NsRange,
    step_ns: Option<i64>,
    counts: &mut Vec<(Arc<Resource>, u64, BTreeMap<u64, u64>)>,
) -> Result<(), QueryError> {
    let mut place_of: HashMap<usize, usize, RandomState> = HashMap::default();
    for at in 0..rows.count() {
        guard.tick()?;
        let time_ns = rows.time(at)?;
        if !range.contains(time_ns) {
            continue;
        }
        let (resource, _) = rows.place(at)?;
        let place = match place_of.get(&resource) {
            Some(place) => *place,
            None => {
                counts.push((rows.resource(at)?.clone(), 0, BTreeMap::new()));
                place_of.insert(resource, counts.len() - 1);
                counts.len() - 1
            }
        };
        let (_, count, steps) = &mut counts[place];
        *count += 1;
        if let Some(step_ns) = step_ns {
            let step = time_ns.abs_diff(range.start_ns) / step_ns.unsigned_abs().max(1);
            *steps.entry(step).or_insert(0) += 1;
        }
    }
    Ok(())
}

/// As [`volumes`], the label sets alone.
///
/// # Errors
/// As [`volumes`].
pub fn streams(
    snapshot: Option<&Snapshot>,
    selectors: &[Vec<Matcher>],
    range: NsRange,
    budget: &Budget,
) -> Result<Vec<Labels>, QueryError> {
    Ok(volumes(snapshot, selectors, range, None, budget)?.0.into_iter().map(|volume| volume.labels).collect())
}

fn too_many(budget: &Budget) -> QueryError {
    QueryError::TooMuch {
        message: format!(
            "more than {} streams match (query.series_max); narrow the time range or add label matchers",
            budget.series_max
        ),
    }
}

/// The streams that were asked for, each resource looked at once.
struct Selected<'a> {
    selectors: &'a [Vec<Matcher>],
    /// By address: the resources are held as long.
    known: HashMap<*const Resource, Option<Labels>, RandomState>,
    held: Vec<Arc<Resource>>,
}

impl Selected<'_> {
    fn labels(&mut self, resource: &Arc<Resource>) -> Option<Labels> {
        if let Some(known) = self.known.get(&Arc::as_ptr(resource)) {
            return known.clone();
        }
        let labels = stream_labels(resource, |_, _| {});
        let takes = |matchers: &Vec<Matcher>| matchers.iter().all(|matcher| matcher.matches_labels(&labels));
        let taken = self.selectors.is_empty() || self.selectors.iter().any(takes);
        let labels = taken.then_some(labels);
        self.held.push(resource.clone());
        self.known.insert(Arc::as_ptr(resource), labels.clone());
        labels
    }
}
