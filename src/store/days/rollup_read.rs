//! Reading the columns of rollups; what they are: `days/rollup.rs`.

use std::collections::BTreeSet;

use model::time::Day;
use model::{Labels, MsRange};
use redb::ReadableDatabase;

use crate::columns::Columns;
use crate::file::{corrupt, guarded, redb_error};
use crate::index::day::DayIndex;
use crate::{ReadGuard, Rollup, StoreError};

use super::Days;
use super::read::{order_of, read_run};
use super::rollup::HISTOGRAMS;
use super::runs::{Run, pages_of};

/// What is wanted of one day's rollup.
#[derive(Clone, Copy)]
pub(crate) struct OfRollup<'a> {
    pub(crate) day: Day,
    pub(crate) series: &'a [u32],
    pub(crate) range: MsRange,
}

impl Days {
    /// Of rollups: adds a column of `series[n]` within the range to `columns[n]`, and the histograms that were kept. A file that cannot
    /// be read is told to the guard and set aside.
    pub(crate) fn read_column(
        &self,
        wanted: OfRollup<'_>,
        column: Rollup,
        guard: &mut dyn ReadGuard,
        columns: &mut [Columns],
    ) -> Result<(), StoreError> {
        self.read_rolled(wanted, (column, &[column.run(), HISTOGRAMS]), guard, columns)
    }

    /// Of rollups: which of the series have native histograms, by their places in `wanted.series`.
    pub(crate) fn with_histograms(
        &self,
        wanted: OfRollup<'_>,
        guard: &mut dyn ReadGuard,
    ) -> Result<Vec<usize>, StoreError> {
        let mut columns: Vec<Columns> = Vec::new();
        columns.resize_with(wanted.series.len(), Columns::default);
        self.read_rolled(wanted, (Rollup::Samples, &[HISTOGRAMS]), guard, &mut columns)?;
        Ok((0..columns.len()).filter(|place| !columns[*place].histograms.is_empty()).collect())
    }

    /// Of a rollup: the times within the range at which its figures of each label set stand.
    pub(crate) fn times_of_figures(
        &self,
        day: Day,
        series: &[&Labels],
        range: MsRange,
        guard: &mut dyn ReadGuard,
    ) -> Result<Vec<Vec<i64>>, StoreError> {
        let find = |index: &DayIndex<'_>| {
            series
                .iter()
                .map(|labels| index.find(codec::series::hash(labels.iter()), labels))
                .collect::<Result<Vec<_>, _>>()
        };
        // The same label set may stand twice among them.
        let found = self.with_index(day, find)?.unwrap_or_else(|| vec![None; series.len()]);
        let numbers: Vec<u32> = found.iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let mut columns: Vec<Columns> = Vec::new();
        columns.resize_with(numbers.len(), Columns::default);
        let wanted = OfRollup { day, series: &numbers, range };
        self.read_column(wanted, Rollup::Count, guard, &mut columns)?;
        let times: Vec<Vec<i64>> = columns.into_iter().map(|column| column.settle().at_ms).collect();
        let of_number = |number: Option<u32>| numbers.binary_search(&number?).ok().map(|at| times[at].clone());
        Ok(found.into_iter().map(|number| of_number(number).unwrap_or_default()).collect())
    }

    fn read_rolled(
        &self,
        OfRollup { day, series, range }: OfRollup<'_>,
        (column, runs): (Rollup, &[u64]),
        guard: &mut dyn ReadGuard,
        columns: &mut [Columns],
    ) -> Result<(), StoreError> {
        let Some(file) = self.known.read().get(&day).cloned() else { return Ok(()) };
        let (summary, database) = match self.opened(&file) {
            Ok(opened) => opened,
            Err(error @ StoreError::Corrupt { .. }) => {
                self.set_aside(day, &file, &error)?;
                return guard.damaged(error);
            }
            Err(error) => return Err(error),
        };
        let path = &file.path;
        let read = guarded(path, || {
            let failed = |error: redb::Error| redb_error("reading a day's rollup", path, error);
            let txn = database.begin_read().map_err(|error| failed(error.into()))?;
            let pages = pages_of(&txn).map_err(failed)?.ok_or_else(|| corrupt(path, "its pages are missing".into()))?;
            let order = order_of(series);
            let in_range = |run: &&Run| run.last_ms >= range.start_ms && run.first_ms <= range.end_ms;
            for run in summary.runs.iter().filter(|run| runs.contains(&run.seq)).filter(in_range) {
                read_run((&pages, path, run), column, (series, &order, range), guard, columns, &failed)?;
            }
            Ok(())
        });
        match read {
            Err(error @ StoreError::Corrupt { .. }) => guard.damaged(error),
            read => read,
        }
    }
}
