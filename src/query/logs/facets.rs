//! The top values of several fields in one pass.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use model::NsRange;
use store::Snapshot;

use super::count::matching;
use super::damage;
use super::expr::Field;
use super::guard::Guard;
use super::{Partial, Search, columns};
use crate::{Budget, QueryError};

/// Values of one field that are counted; those that come later are counted together.
const VALUES_MAX: usize = 10_000;
const VALUE_BYTES_MAX: usize = 256;
/// Bytes that an entry of the count takes beside its text.
const ENTRY_BYTES: u64 = 48;

/// How one field's values spread over the matching records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facet {
    pub field: String,
    /// Most frequent first, of equally frequent ones in order of text.
    pub top: Vec<(String, u64)>,
    /// Records with values that are not in `top`.
    pub others: u64,
    /// Records without the field.
    pub without: u64,
    /// Distinct values counted; with [`Facet::overflows`] there are more.
    pub values: usize,
    /// More than 10,000 values: those that came late were not told apart, so `top` may miss some.
    pub overflows: bool,
}

#[derive(Default)]
struct Tally {
    counts: HashMap<String, u64, RandomState>,
    late: u64,
    without: u64,
}

/// The most frequent values of each field among matching records. Of an array, the array as a whole counts. Where the budget's time
/// or memory ends first, what was counted until then, newest records first, and the range it is whole for.
///
/// # Errors
/// `Cancelled`.
pub fn facets(
    snapshot: &Snapshot,
    search: &Search,
    range: NsRange,
    names: &[String],
    limit: usize,
    budget: &Budget,
) -> Result<(Vec<Facet>, Option<Partial>), QueryError> {
    let fields: Vec<Field> = names.iter().map(|name| Field::of_name(name)).collect();
    let (tallies, cut) = damage::around(snapshot.logs(), range, budget, || {
        let mut tallies: Vec<Tally> = names.iter().map(|_| Tally::default()).collect();
        match count(snapshot, search, range, &fields, &mut tallies, budget) {
            Ok(()) => Ok((tallies, None)),
            Err((error @ (QueryError::Timeout { .. } | QueryError::TooMuch { .. }), edge_ns)) => {
                let start_ns = edge_ns.saturating_add(1).clamp(range.start_ns, range.end_ns);
                Ok((tallies, Some((error, NsRange { start_ns, end_ns: range.end_ns }))))
            }
            Err((error, _)) => Err(error),
        }
    })?;
    let partial = damage::partial(cut, range, budget);
    let of_name = |(name, tally): (&String, Tally)| {
        let Tally { counts, late, without } = tally;
        let (values, total) = (counts.len(), counts.values().sum::<u64>() + late);
        let mut top: Vec<(String, u64)> = counts.into_iter().collect();
        top.sort_unstable_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        top.truncate(limit);
        let others = total - top.iter().map(|(_, count)| count).sum::<u64>();
        Facet { field: name.clone(), top, others, without, values, overflows: late > 0 }
    };
    Ok((names.iter().zip(tallies).map(of_name).collect(), partial))
}

/// An error comes with the time of the newest record not counted.
fn count(
    snapshot: &Snapshot,
    search: &Search,
    range: NsRange,
    fields: &[Field],
    tallies: &mut [Tally],
    budget: &Budget,
) -> Result<(), (QueryError, i64)> {
    let mut guard = Guard::new(budget);
    let mut sources = guard.sources(snapshot.logs(), &search.expr, range).map_err(|error| (error, range.end_ns))?;
    sources.sort_by_key(|source| std::cmp::Reverse(source.max_ns()));
    for source in sources {
        let edge_ns = source.max_ns();
        let mut one = || -> Result<(), QueryError> {
            let Some(rows) = guard.read(source.clone())? else { return Ok(()) };
            let found = matching(&search.expr, &rows, range, &source, &mut guard)?;
            guard.matched(found.len());
            for (field, tally) in fields.iter().zip(&mut *tallies) {
                let Tally { counts, late, without } = tally;
                *without += columns::count_values(field, &rows, &found, &mut |text, count| {
                    let text = &text[..text.floor_char_boundary(VALUE_BYTES_MAX)];
                    if let Some(known) = counts.get_mut(text) {
                        *known += count;
                    } else if counts.len() == VALUES_MAX {
                        *late += count;
                    } else {
                        guard.spend(text.len() as u64 + ENTRY_BYTES)?;
                        counts.insert(text.to_owned(), count);
                    }
                    Ok(())
                })?;
            }
            Ok(())
        };
        one().map_err(|error| (error, edge_ns))?;
    }
    Ok(())
}
