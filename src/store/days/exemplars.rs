//! Exemplars in day files, and in those of days that are rolled up.

use std::path::{Path, PathBuf};

use model::time::Day;
use model::{Exemplar, MsRange};
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable as _, TableDefinition};

use crate::StoreError;
use crate::exemplars::{Key, OfDay};
use crate::file::{corrupt, guarded, redb_error};
use crate::limits::DAY_CACHE_BYTES;

use super::Days;

/// Series, time in ms, hash of the row → exemplar; no table before the first.
pub(super) const EXEMPLARS: TableDefinition<'_, Key, &[u8]> = TableDefinition::new("exemplars");

impl Days {
    /// Appends the exemplars of `series[n]` within the range to `out[n]`, each series' in order of time; not those of days that are
    /// `left_out`.
    ///
    /// # Errors
    /// `Corrupt` when some of them cannot be read.
    pub(crate) fn exemplars(
        &self,
        series: &[u32],
        range: MsRange,
        left_out: &dyn Fn(Day) -> bool,
        out: &mut [Vec<(Key, Exemplar)>],
    ) -> Result<(), StoreError> {
        let days = Day::of_ms(range.start_ms)..=Day::of_ms(range.end_ms);
        let known: Vec<(Day, PathBuf)> =
            self.known.read().range(days).map(|(day, file)| (*day, file.path.clone())).collect();
        for (_, path) in known.iter().filter(|(day, _)| !left_out(*day)) {
            guarded(path, || self.exemplars_of(path, series, range, out))?;
        }
        Ok(())
    }

    fn exemplars_of(
        &self,
        path: &Path,
        series: &[u32],
        range: MsRange,
        out: &mut [Vec<(Key, Exemplar)>],
    ) -> Result<(), StoreError> {
        let database = self.files.get(path, DAY_CACHE_BYTES)?;
        let wrap = |error: redb::Error| redb_error("reading exemplars", path, error);
        let Some(table) = exemplar_table(&database).map_err(wrap)? else { return Ok(()) };
        for (number, out) in series.iter().zip(out.iter_mut()) {
            let keys = (*number, range.start_ms, 0)..=(*number, range.end_ms, u64::MAX);
            for row in table.range(keys).map_err(|error| wrap(error.into()))? {
                let (key, row) = row.map_err(|error| wrap(error.into()))?;
                let exemplar = codec::exemplar::decode_row(key.value().1, row.value())
                    .map_err(|error| corrupt(path, format!("exemplar of series {number}: {error}")))?;
                out.push((key.value(), exemplar));
            }
        }
        Ok(())
    }

    /// How many exemplars the day's file has.
    pub(crate) fn count_exemplars(&self, day: Day, into: &mut OfDay) -> Result<(), StoreError> {
        let Some(path) = self.known.read().get(&day).map(|file| file.path.clone()) else { return Ok(()) };
        guarded(&path, || {
            let database = self.files.get(&path, DAY_CACHE_BYTES)?;
            let wrap = |error: redb::Error| redb_error("counting exemplars", &path, error);
            let Some(table) = exemplar_table(&database).map_err(wrap)? else { return Ok(()) };
            for row in table.iter().map_err(|error| wrap(error.into()))? {
                into.add(row.map_err(|error| wrap(error.into()))?.0.value().0);
            }
            Ok(())
        })
    }
}

/// `None` before the day's first exemplar.
fn exemplar_table(database: &Database) -> Result<Option<ReadOnlyTable<Key, &'static [u8]>>, redb::Error> {
    match database.begin_read()?.open_table(EXEMPLARS) {
        Ok(table) => Ok(Some(table)),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
