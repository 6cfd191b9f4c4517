//! The samples of series: of heads, of day files, and of days that are rolled up.

use std::collections::BTreeMap;

use model::time::{Day, MS_PER_DAY};
use model::{MsRange, SeriesId};
use roaring::RoaringBitmap;

use super::{Kept, ReadGuard, Rollup, Samples, Snapshot};
use crate::StoreError;
use crate::columns::Columns;
use crate::days::{OfRollup, Wanted};
use crate::head::SAMPLE_BYTES;

impl Snapshot {
    /// Samples of these series within the range (both ends included), in the order of `ids`. Of days whose samples are gone, those
    /// that their rollup kept.
    pub fn read(
        &self,
        ids: &[SeriesId],
        range: MsRange,
        guard: &mut dyn ReadGuard,
    ) -> Result<Vec<Samples>, StoreError> {
        self.read_rollup(ids, range, (Rollup::Samples, false), guard)
    }

    /// Whether any day in the range would be read from its rollup: one whose samples are gone, or, if a rollup is `wanted`, one that has
    /// all of its day.
    pub fn is_rolled_up(&self, range: MsRange, wanted: bool) -> Result<bool, StoreError> {
        Ok(!self.rolled_up(range, wanted)?.is_empty())
    }

    /// From the first to the last of the days that touch the range and whose samples are gone.
    pub fn without_samples(&self, range: MsRange) -> Result<Option<MsRange>, StoreError> {
        let gone = self.rolled_up(range, false)?;
        let ends = gone.first_key_value().zip(gone.last_key_value());
        Ok(ends
            .map(|((first, _), (last, _))| MsRange { start_ms: of_day(*first).start_ms, end_ms: of_day(*last).end_ms }))
    }

    /// With those days, whether their samples are there as well.
    fn rolled_up(&self, range: MsRange, wanted: bool) -> Result<BTreeMap<Day, Kept>, StoreError> {
        let mut found = BTreeMap::new();
        for day in self.tenant.rollups.days() {
            if Day::of_ms(range.start_ms) <= day && day <= Day::of_ms(range.end_ms) {
                if self.tenant.rollups.summary(day)?.alone.is_some() {
                    found.insert(day, Kept::RolledUp);
                } else if wanted && self.tenant.rollup_covers(day)? {
                    found.insert(day, Kept::Whole);
                }
            }
        }
        Ok(found)
    }

    /// As [`Snapshot::read`], one column of days that are rolled up: of those whose samples are gone, and, if it is `wanted`, of
    /// those whose rollup has all that the day has of these series. Other days give their samples, and so do native histograms, of which
    /// a rollup has no figures, where they are there.
    pub fn read_rollup(
        &self,
        ids: &[SeriesId],
        range: MsRange,
        (column, wanted): (Rollup, bool),
        guard: &mut dyn ReadGuard,
    ) -> Result<Vec<Samples>, StoreError> {
        let (numbers, ends) = self.numbers_of(ids);
        let (mut columns, mut figures) = (empty(numbers.len()), empty(numbers.len()));
        if range.start_ms <= range.end_ms {
            let mut rolled_up = self.rolled_up(range, wanted)?;
            if rolled_up.values().any(|kept| *kept == Kept::Whole) {
                let series: RoaringBitmap = numbers.iter().copied().collect();
                // A sample that came again would stand in the place of its step's figures, or count beside them.
                rolled_up.retain(|day, kept| *kept == Kept::RolledUp || !self.in_heads(&series, of_day(*day)));
            }
            let left_out = |day: Day| rolled_up.get(&day) == Some(&Kept::Whole);
            self.read_days((&numbers, range), column, &left_out, guard, &mut columns)?;
            for (day, kept) in rolled_up {
                let wanted = OfRollup { day, series: &numbers, range };
                // What comes later for a day whose samples are gone counts beside its figures, even at the time that they stand at.
                let into = if kept == Kept::RolledUp && are_figures(column) { &mut figures } else { &mut columns };
                self.read_rolled_day(wanted, kept, column, guard, into)?;
            }
        }
        let (mut columns, mut figures) = (columns.into_iter(), figures.into_iter());
        let mut samples = Vec::with_capacity(ids.len());
        let mut start = 0;
        for end in ends {
            let numbers = &numbers[start..end];
            start = end;
            // A day has a label set under one number, so what its numbers have in the day files lies on different days.
            let mut all = columns.by_ref().take(numbers.len()).reduce(Columns::chain).unwrap_or_default();
            let of_days = all.values.len();
            if range.start_ms <= range.end_ms {
                for head in self.view.heads() {
                    for number in numbers {
                        let weight = head.read(*number, self.view.applied_seq, range, &mut all) as u64;
                        if weight > 0 {
                            guard.spend(weight, weight * SAMPLE_BYTES as u64)?;
                        }
                    }
                }
            }
            if column == Rollup::Count {
                all.count_from(of_days);
            }
            samples.push(figures.by_ref().take(numbers.len()).fold(all, Columns::chain).settle());
        }
        Ok(samples)
    }

    /// Whether a head may have samples of any of these series in the range.
    fn in_heads(&self, series: &RoaringBitmap, range: MsRange) -> bool {
        self.view.heads().any(|head| !head.known_among(series, range).is_empty())
    }

    /// Samples of the day files, as the column has them: for the column of counts each is 1.
    fn read_days(
        &self,
        (series, range): (&[u32], MsRange),
        column: Rollup,
        left_out: &dyn Fn(Day) -> bool,
        guard: &mut dyn ReadGuard,
        columns: &mut [Columns],
    ) -> Result<(), StoreError> {
        let wanted = Wanted { series, range, column, flushed_seq: self.view.flushed_seq };
        self.tenant.days.read(wanted, left_out, guard, columns)?;
        if column == Rollup::Count {
            columns.iter_mut().for_each(Columns::count);
        }
        Ok(())
    }

    fn read_rolled_day(
        &self,
        wanted: OfRollup<'_>,
        kept: Kept,
        column: Rollup,
        guard: &mut dyn ReadGuard,
        columns: &mut [Columns],
    ) -> Result<(), StoreError> {
        let OfRollup { day, series, range } = wanted;
        let rollups = &self.tenant.rollups;
        let whole = if kept == Kept::Whole && are_figures(column) {
            rollups.with_histograms(wanted, guard)?
        } else {
            Vec::new()
        };
        if whole.is_empty() {
            return rollups.read_column(wanted, column, guard, columns);
        }
        let of_day = of_day(day);
        let range_of_day =
            MsRange { start_ms: range.start_ms.max(of_day.start_ms), end_ms: range.end_ms.min(of_day.end_ms) };
        let (of_samples, of_figures): (Vec<usize>, Vec<usize>) =
            (0..series.len()).partition(|place| whole.binary_search(place).is_ok());
        let numbers = |places: &[usize]| -> Vec<u32> { places.iter().map(|place| series[*place]).collect() };
        let (mut samples, mut figures) = (empty(of_samples.len()), empty(of_figures.len()));
        self.read_days((&numbers(&of_samples), range_of_day), column, &|_| false, guard, &mut samples)?;
        let wanted = OfRollup { series: &numbers(&of_figures), ..wanted };
        rollups.read_column(wanted, column, guard, &mut figures)?;
        for (place, part) in of_samples.into_iter().zip(samples).chain(of_figures.into_iter().zip(figures)) {
            columns[place] = std::mem::take(&mut columns[place]).chain(part);
        }
        Ok(())
    }
}

/// Whether a column has a step's figures in the place of its samples.
fn are_figures(column: Rollup) -> bool {
    !matches!(column, Rollup::Samples | Rollup::Marks)
}

fn empty(count: usize) -> Vec<Columns> {
    std::iter::repeat_with(Columns::default).take(count).collect()
}

fn of_day(day: Day) -> MsRange {
    MsRange { start_ms: day.start_ms(), end_ms: day.start_ms().saturating_add(MS_PER_DAY - 1) }
}
