//! Which streams have records in a range, how many, and how large: what label browsers, volumes and statistics ask for. Reads no bodies, and of
//! blocks that lie in the range as a whole no more than their summaries.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use model::{Labels, Matcher, NsRange, Resource};
use store::Snapshot;

use super::averages::Averages;
use super::labels::stream_labels;
use super::narrow;
use crate::logs::SearchStats;
use crate::logs::expr::Expr;
use crate::logs::guard::{Guard, Source};
use crate::logs::row::Rows;
use crate::{Budget, QueryError};

/// What one stream counts for in the budget, in bytes, and what one resource does that was looked at.
const STREAM_BYTES: u64 = 256;
/// How much of blocks that hold several streams a query reads to tell what each of them weighs, in bytes before they are encoded. It takes a
/// tenth of a second; of further blocks streams have shares by their records, and by what a record of theirs weighed until then.
const WEIGHED_BYTES_MAX: u64 = 32 << 20;

/// A stream, and what of it is in a range.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    pub labels: Labels,
    pub records: u64,
    /// Of the records before they are encoded, attributes included. Of a block that holds several streams it is a share, by what lines and
    /// attributes weigh where a query does not take too many of these blocks, else by the number of records and what they weighed so far.
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
    measured(snapshot, selectors, range, step_ns, WEIGHED_BYTES_MAX, budget)
}

/// As [`volumes`]; `weighed_max` bytes of blocks are read for nothing but to weigh their streams.
pub(super) fn measured(
    snapshot: Option<&Snapshot>,
    selectors: &[Vec<Matcher>],
    range: NsRange,
    step_ns: Option<i64>,
    mut weighed_max: u64,
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
    let mut selected = Selected { selectors, known: HashMap::default(), held: Vec::new(), unpaid: 0 };
    let mut averages = Averages::default();
    for source in guard.sources(snapshot.logs(), &narrow, range)? {
        let size = source_bytes(&source);
        let mut counted = Counted::default();
        let is_known = step_ns.is_none() && known_whole(&source, range, &mut counted)?;
        let weighs = size <= weighed_max && !(is_known && counted.places.len() == 1);
        if weighs {
            weighed_max -= size;
        }
        if is_known && !weighs {
            guard.look()?;
            for place in &mut counted.places {
                place.weight = place.records.saturating_mul(averages.of(&selected.labels(&place.resource).0));
            }
            counted.weight = counted.places.iter().map(|place| place.weight).sum();
        } else {
            let Some(rows) = guard.read(source)? else { continue };
            let guess = |resource: &Arc<Resource>| averages.of(&selected.labels(resource).0);
            counted = count(&mut guard, &rows, range, step_ns, (!weighs).then_some(guess))?;
            if weighs {
                for place in &counted.places {
                    averages.learn(&selected.labels(&place.resource).0, place.weight, place.records);
                }
            }
        }
        let total = counted.weight.max(1);
        let share = |weight: u64| (u128::from(size) * u128::from(weight) / u128::from(total)) as u64;
        let mut seen: Vec<Labels> = Vec::new();
        for Place { resource, records, weight, steps } in counted.places {
            let (labels, true) = selected.labels(&resource) else { continue };
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
            volume.records += records;
            volume.bytes += share(weight);
            for (step, weight) in steps {
                *volume.steps.entry(step).or_insert(0) += share(weight);
            }
            // Several resources can be one stream.
            if !seen.contains(&labels) {
                volume.chunks += 1;
                seen.push(labels);
            }
        }
        // Those that no selector takes are remembered too.
        guard.spend(std::mem::take(&mut selected.unpaid) * STREAM_BYTES)?;
    }
    Ok((found.into_values().collect(), guard.stats))
}

/// Before they are encoded.
fn source_bytes(source: &Source) -> u64 {
    match source {
        Source::Block(block) => block.raw_bytes(),
        Source::Head(part) => part.raw_bytes,
    }
}

/// What of a source is in the range.
#[derive(Default)]
struct Counted {
    places: Vec<Place>,
    /// Of all its records, in the range or not.
    weight: u64,
}

/// The records of one resource.
struct Place {
    resource: Arc<Resource>,
    records: u64,
    /// Bytes, weighed or guessed.
    weight: u64,
    /// The weight by step.
    steps: BTreeMap<u64, u64>,
}

/// Counts a block that lies in the range as a whole by its summary, if that tells resources.
fn known_whole(source: &Source, range: NsRange, counted: &mut Counted) -> Result<bool, QueryError> {
    let Source::Block(block) = source else { return Ok(false) };
    if !range.contains(block.min_ns()) || !range.contains(block.max_ns()) {
        return Ok(false);
    }
    let Some(summary) = block.meta()? else { return Ok(false) };
    let Some(resources) = summary.by_resource() else { return Ok(false) };
    counted.places.extend(resources.map(|(resource, records)| Place {
        resource: resource.clone(),
        records,
        weight: 0,
        steps: BTreeMap::new(),
    }));
    Ok(true)
}

/// Weighs the records, or takes what a guess says that one of their resource weighs.
fn count(
    guard: &mut Guard<'_>,
    rows: &Rows,
    range: NsRange,
    step_ns: Option<i64>,
    mut guess: Option<impl FnMut(&Arc<Resource>) -> u64>,
) -> Result<Counted, QueryError> {
    let mut counted = Counted::default();
    let mut place_of: HashMap<usize, usize, RandomState> = HashMap::default();
    let mut guessed: HashMap<usize, u64, RandomState> = HashMap::default();
    for at in 0..rows.count() {
        guard.tick()?;
        let (resource, _) = rows.place(at)?;
        let weight = match &mut guess {
            None => rows.weight(at)?,
            Some(guess) => match guessed.get(&resource) {
                Some(weight) => *weight,
                None => *guessed.entry(resource).or_insert(guess(rows.resource(at)?)),
            },
        };
        counted.weight += weight;
        let time_ns = rows.time(at)?;
        if !range.contains(time_ns) {
            continue;
        }
        let place = match place_of.get(&resource) {
            Some(place) => *place,
            None => {
                let resource_of = rows.resource(at)?.clone();
                counted.places.push(Place { resource: resource_of, records: 0, weight: 0, steps: BTreeMap::new() });
                place_of.insert(resource, counted.places.len() - 1);
                counted.places.len() - 1
            }
        };
        let place = &mut counted.places[place];
        place.records += 1;
        place.weight += weight;
        if let Some(step_ns) = step_ns {
            let step = time_ns.abs_diff(range.start_ns) / step_ns.unsigned_abs().max(1);
            *place.steps.entry(step).or_insert(0) += weight;
        }
    }
    Ok(counted)
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
    Ok(measured(snapshot, selectors, range, None, 0, budget)?.0.into_iter().map(|volume| volume.labels).collect())
}

fn too_many(budget: &Budget) -> QueryError {
    QueryError::TooMuch {
        message: format!(
            "more than {} streams match (query.series_max); narrow the time range or add label matchers",
            budget.series_max
        ),
    }
}

/// The streams of resources, and whether they were asked for; each resource is looked at once.
struct Selected<'a> {
    selectors: &'a [Vec<Matcher>],
    /// By address: the resources are held as long.
    known: HashMap<*const Resource, (Labels, bool), RandomState>,
    held: Vec<Arc<Resource>>,
    /// How many of them the budget has not been asked for yet.
    unpaid: u64,
}

impl Selected<'_> {
    fn labels(&mut self, resource: &Arc<Resource>) -> (Labels, bool) {
        if let Some(known) = self.known.get(&Arc::as_ptr(resource)) {
            return known.clone();
        }
        let labels = stream_labels(resource, |_, _| {});
        let takes = |matchers: &Vec<Matcher>| matchers.iter().all(|matcher| matcher.matches_labels(&labels));
        let is_taken = self.selectors.is_empty() || self.selectors.iter().any(takes);
        self.held.push(resource.clone());
        self.unpaid += 1;
        self.known.insert(Arc::as_ptr(resource), (labels.clone(), is_taken));
        (labels, is_taken)
    }
}
