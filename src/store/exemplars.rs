//! Exemplars of one tenant: bounded by series and by day when they come in, kept in the head beside its samples, written to the
//! `exemplars` table of their day's file. Layout: `FORMAT.md`.

use std::collections::{BTreeMap, HashMap};

use codec::exemplar::{encode_row, row_hash};
use model::meter::Counter;
use model::time::Day;
use model::{Exemplar, MsRange};
use parking_lot::RwLock;

use crate::StoreError;
use crate::limits::{EXEMPLAR_DAYS_COUNTED, EXEMPLARS_HEAD_MAX, EXEMPLARS_SERIES_MAX};

static LEFT_OUT: Counter = Counter::new(
    "binnacle_store_exemplars_left_out_total",
    "Exemplars that were not stored though their samples were, by the limit they met.",
    &["limit"],
);

/// Series, time in ms, and the hash of the row: the same exemplar again is the same row.
pub(crate) type Key = (u32, i64, u64);

/// An exemplar as a row of a day file.
pub(crate) type Row = (Key, Vec<u8>);

pub(crate) fn row(series: u32, exemplar: &Exemplar) -> Row {
    let bytes = encode_row(exemplar);
    ((series, exemplar.at_ms, row_hash(&bytes)), bytes)
}

/// How many exemplars each day has, of the days that had some lately.
#[derive(Default)]
pub(crate) struct Counted {
    days: HashMap<Day, OfDay>,
}

/// Exemplars of one day, by series.
#[derive(Default)]
pub(crate) struct OfDay {
    pub(crate) total: usize,
    pub(crate) by_series: HashMap<u32, u32>,
}

impl OfDay {
    pub(crate) fn add(&mut self, series: u32) {
        self.total += 1;
        *self.by_series.entry(series).or_default() += 1;
    }
}

impl Counted {
    /// Whether there is room for one more; counts it then. `stored` tells what a day has that is not counted here yet.
    pub(crate) fn take(
        &mut self,
        series: u32,
        exemplar: &Exemplar,
        day_max: usize,
        in_head: usize,
        stored: impl FnOnce(Day) -> Result<OfDay, StoreError>,
    ) -> bool {
        if day_max == 0 {
            LEFT_OUT.add(&["limits.exemplars_per_day"], 1);
            return false;
        }
        if in_head >= EXEMPLARS_HEAD_MAX {
            LEFT_OUT.add(&["head"], 1);
            return false;
        }
        let day = Day::of_ms(exemplar.at_ms);
        if !self.days.contains_key(&day) {
            if self.days.len() >= EXEMPLAR_DAYS_COUNTED {
                self.days.clear();
            }
            match stored(day) {
                Ok(of_day) => drop(self.days.insert(day, of_day)),
                Err(error) => {
                    // The samples are worth more than what illustrates them.
                    LEFT_OUT.add(&["unreadable_day"], 1);
                    tracing::warn!(%day, %error, "cannot count the exemplars of a day; new ones are left out");
                    return false;
                }
            }
        }
        let Some(of_day) = self.days.get_mut(&day) else { return false };
        if of_day.total >= day_max {
            LEFT_OUT.add(&["limits.exemplars_per_day"], 1);
            return false;
        }
        if of_day.by_series.get(&series).is_some_and(|count| *count as usize >= EXEMPLARS_SERIES_MAX) {
            LEFT_OUT.add(&["series"], 1);
            return false;
        }
        of_day.add(series);
        true
    }
}

/// The exemplars of a head, each with the number of its batch.
#[derive(Default)]
pub(crate) struct HeadExemplars {
    rows: RwLock<BTreeMap<Key, (u64, Exemplar)>>,
}

impl HeadExemplars {
    /// Adds those of one batch; returns how many were new.
    pub(crate) fn apply(&self, seq: u64, exemplars: Vec<(u32, Exemplar)>) -> usize {
        let mut rows = self.rows.write();
        let before = rows.len();
        for (series, exemplar) in exemplars {
            rows.entry(row(series, &exemplar).0).or_insert((seq, exemplar));
        }
        rows.len() - before
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.read().len()
    }

    /// Of one series within the range, of batches up to `seq`, in order of time.
    pub(crate) fn read(&self, series: u32, seq: u64, range: MsRange, out: &mut Vec<(Key, Exemplar)>) {
        let rows = self.rows.read();
        let within = rows.range((series, range.start_ms, 0)..=(series, range.end_ms, u64::MAX));
        out.extend(within.filter(|(_, (of_batch, _))| *of_batch <= seq).map(|(key, (_, row))| (*key, row.clone())));
    }

    /// Counts those of one day.
    pub(crate) fn count(&self, day: Day, into: &mut OfDay) {
        for (series, at_ms, _) in self.rows.read().keys() {
            if Day::of_ms(*at_ms) == day {
                into.add(*series);
            }
        }
    }

    /// All as rows of their days.
    pub(crate) fn by_day(&self) -> BTreeMap<Day, Vec<Row>> {
        let mut days: BTreeMap<Day, Vec<Row>> = BTreeMap::new();
        for (key, (_, exemplar)) in self.rows.read().iter() {
            days.entry(Day::of_ms(key.1)).or_default().push((*key, encode_row(exemplar)));
        }
        days
    }
}
