//! `distinct`: of entries with the same values of some labels the first in the order of the answer.
//!
//! No stage of Loki: it had one and took it out again (grafana/loki#10356), since it looked at each part of a split query alone. Here it
//! looks at the whole answer, so that what is left is the same however the records are stored and read. Records that Loki would take for one
//! (of one stream, time and line) are several here where the labels that are named tell them apart.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foldhash::fast::RandomState;

use crate::QueryError;
use crate::logs::guard::Guard;
use crate::logs::row::RowKey;

/// What the first entry of some values counts for in the budget, in bytes.
const FIRST_BYTES: u64 = 64;

/// Where an entry stands in an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) key: RowKey,
    /// The hash of its stream, which orders entries of one time.
    pub(super) stream: u64,
}

/// What an entry is to those of the same values before it.
pub(super) enum Turn {
    First,
    /// It comes before the one that was first so far.
    Before(RowKey),
    Later,
}

/// The first entries, by the hash of their values; also of those that a later stage refused.
pub(super) struct Firsts {
    newest_first: bool,
    first: HashMap<u128, Place, RandomState>,
}

impl Firsts {
    pub(super) fn new(newest_first: bool) -> Firsts {
        Firsts { newest_first, first: HashMap::default() }
    }

    pub(super) fn look(&mut self, values: u128, place: Place, guard: &mut Guard<'_>) -> Result<Turn, QueryError> {
        let newest_first = self.newest_first;
        match self.first.entry(values) {
            Entry::Vacant(entry) => {
                entry.insert(place);
                guard.spend(FIRST_BYTES)?;
                Ok(Turn::First)
            }
            Entry::Occupied(mut entry) if order(place, *entry.get(), newest_first).is_lt() => {
                Ok(Turn::Before(entry.insert(place).key))
            }
            Entry::Occupied(_) => Ok(Turn::Later),
        }
    }
}

/// As answers have it: by time, then by stream, and in a stream by intake.
fn order(one: Place, other: Place, newest_first: bool) -> Ordering {
    let turned = |order: Ordering| if newest_first { order.reverse() } else { order };
    turned(one.key.time_ns.cmp(&other.key.time_ns))
        .then(one.stream.cmp(&other.stream))
        .then(turned(one.key.cmp(&other.key)))
}
