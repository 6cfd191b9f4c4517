//! Records that are durable in the intake log and not yet in a block, of one day of one request each.

use std::collections::BTreeMap;
use std::sync::Arc;

use codec::packed::{PackedLogs, PackedRecord};
use model::time::Day;
use model::{Key, Resource, Scope};

/// Memory of a part besides its records, roughly: the part, its lists, its resource and scope.
const PART_BYTES: u64 = 1_024;

/// The records of one request that fall on one day, in the order sent. `min_ns` and `max_ns` are both included.
#[derive(Debug)]
pub struct HeadPart {
    /// Intake sequence number of the request.
    pub seq: u64,
    pub min_ns: i64,
    pub max_ns: i64,
    pub raw_bytes: u64,
    logs: Arc<PackedLogs>,
    /// Places of the records of this day; `None` for all.
    places: Option<Vec<u32>>,
}

impl HeadPart {
    /// Number of records; at least one.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.places.as_ref().map_or(self.logs.len(), Vec::len)
    }

    /// `at` is below [`HeadPart::len`].
    pub fn record(&self, at: usize) -> PackedRecord<'_> {
        self.logs.get(self.places.as_ref().map_or(at, |places| places[at] as usize))
    }

    pub fn records(&self) -> impl Iterator<Item = PackedRecord<'_>> {
        (0..self.len()).map(|at| self.record(at))
    }

    /// Resources of the request's records, on this day or another. Equal ones of all parts in one view are one.
    pub fn resources(&self) -> &[Arc<Resource>] {
        self.logs.resources()
    }

    /// Scopes of the request's records, as [`HeadPart::resources`].
    pub fn scopes(&self) -> &[Arc<Scope>] {
        self.logs.scopes()
    }

    /// Keys of the attributes of the request's records.
    pub fn keys(&self) -> &[Key] {
        self.logs.keys()
    }

    /// Memory it takes, roughly; parts of one request share theirs.
    pub(super) fn memory_bytes(&self) -> u64 {
        let whole = self.logs.memory_bytes() as u64;
        PART_BYTES + whole * self.len() as u64 / (self.logs.len() as u64).max(1)
    }
}

/// Splits a request by day. `wanted` says of a day whether its records are needed.
pub(super) fn split(seq: u64, logs: PackedLogs, wanted: impl Fn(Day) -> bool) -> Vec<(Day, HeadPart)> {
    let mut days: BTreeMap<Day, Split> = BTreeMap::new();
    let mut last: Option<(Day, Split)> = None;
    for record in logs.iter() {
        let time_ns = record.time_ns();
        let day = Day::of_ns(time_ns);
        // Neighbours are mostly of one day.
        if last.as_ref().is_none_or(|(known, _)| *known != day) {
            if let Some((known, split)) = last.take() {
                days.insert(known, split);
            }
            last = Some((day, days.remove(&day).unwrap_or_default()));
        }
        if let Some((_, split)) = &mut last {
            split.min_ns = split.min_ns.min(time_ns);
            split.max_ns = split.max_ns.max(time_ns);
            split.raw_bytes += record.raw_bytes();
            split.places.push(record.place() as u32);
        }
    }
    days.extend(last);
    let logs = Arc::new(logs);
    let part = |Split { min_ns, max_ns, raw_bytes, places }: Split| HeadPart {
        seq,
        min_ns,
        max_ns,
        raw_bytes,
        places: (places.len() < logs.len()).then_some(places),
        logs: logs.clone(),
    };
    days.into_iter().filter(|(day, _)| wanted(*day)).map(|(day, split)| (day, part(split))).collect()
}

struct Split {
    min_ns: i64,
    max_ns: i64,
    raw_bytes: u64,
    places: Vec<u32>,
}

impl Default for Split {
    fn default() -> Self {
        Split { min_ns: i64::MAX, max_ns: i64::MIN, raw_bytes: 0, places: Vec::new() }
    }
}
