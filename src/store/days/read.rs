//! Reading the samples of some series from one day file.

use std::path::Path;

use model::MsRange;
use model::time::Day;
use redb::{Database, ReadableDatabase};

use crate::columns::Columns;
use crate::file::{corrupt, guarded, redb_error};
use crate::{ReadGuard, Rollup, StoreError};

use super::Summary;
use super::aside::damaged;
use super::rows::Rows;
use super::runs::{Cursor, Pages, Run, Trouble, pages_of};

/// What is wanted of day files.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) series: &'a [u32],
    pub(crate) range: MsRange,
    pub(crate) column: Rollup,
    /// Runs of later flushes are left out.
    pub(crate) flushed_seq: u64,
}

/// Adds the samples of `series[n]` to `columns[n]` in the order in which they were written. A page or chunk that cannot be read is
/// told to the guard, which decides whether the rest is read without it.
pub(super) fn read_day(
    database: &Database,
    path: &Path,
    (summary, day): (&Summary, Day),
    wanted: Wanted<'_>,
    guard: &mut dyn ReadGuard,
    columns: &mut [Columns],
) -> Result<(), StoreError> {
    // redb asserts on some damaged pages; a damaged file must not take the query's thread down.
    guarded(path, || read_unguarded(database, path, (summary, day), wanted, guard, columns))
}

fn read_unguarded(
    database: &Database,
    path: &Path,
    (summary, day): (&Summary, Day),
    wanted: Wanted<'_>,
    guard: &mut dyn ReadGuard,
    columns: &mut [Columns],
) -> Result<(), StoreError> {
    let Wanted { series, range, column, flushed_seq } = wanted;
    let failed = |error: redb::Error| redb_error("reading a day file", path, error);
    let txn = database.begin_read().map_err(|error| failed(error.into()))?;
    if let Some(rows) = Rows::open(&txn).map_err(failed)? {
        for (number, out) in series.iter().zip(columns.iter_mut()) {
            let mut told = |guard: &mut dyn ReadGuard, error| guard.damaged(damaged(path, *number, error));
            rows.read(day, *number, range, flushed_seq, guard, out, &mut told, &failed)?;
        }
    }
    let Some(pages) = pages_of(&txn).map_err(failed)? else {
        // A run is never without pages.
        return if summary.runs.is_empty() { Ok(()) } else { Err(corrupt(path, "its pages are missing".into())) };
    };
    let order = order_of(series);
    for run in &summary.runs {
        if run.last_ms < range.start_ms || run.first_ms > range.end_ms {
            continue;
        }
        if run.seq > flushed_seq {
            if run.settled {
                let reason = format!("{} was rewritten while the query ran; ask again", path.display());
                return Err(StoreError::Unavailable { reason });
            }
            // Its samples are in the heads that the view holds.
            continue;
        }
        read_run((&pages, path, run), column, (series, &order, range), guard, columns, &failed)?;
    }
    Ok(())
}

/// Places of series by their number, as a run has them.
pub(super) fn order_of(series: &[u32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..series.len()).collect();
    order.sort_unstable_by_key(|place| series[*place]);
    order
}

/// Adds what one run has of the series in the range.
pub(super) fn read_run(
    (pages, path, run): (&Pages, &Path, &Run),
    column: Rollup,
    (series, order, range): (&[u32], &[usize], MsRange),
    guard: &mut dyn ReadGuard,
    columns: &mut [Columns],
    failed: &dyn Fn(redb::Error) -> StoreError,
) -> Result<(), StoreError> {
    let mut cursor = Cursor::new(pages, run).of(column);
    let mut told = |number: u32, trouble: Trouble, guard: &mut dyn ReadGuard| match trouble {
        Trouble::Redb(error) => Err(failed(error)),
        Trouble::Bad(error) => guard.damaged(damaged(path, number, error)),
    };
    for place in order {
        cursor.read(series[*place], range, guard, &mut columns[*place], &mut told)?;
    }
    Ok(())
}
