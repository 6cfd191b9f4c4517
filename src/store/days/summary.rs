//! What a day file says of itself, held in memory from the first need.

use std::path::Path;

use redb::{
    Database, ReadableDatabase, ReadableTableMetadata as _, TableDefinition, TableHandle as _, WriteTransaction,
};
use roaring::RoaringBitmap;

use crate::StoreError;
use crate::file::{META, corrupt, guarded, redb_error};

use super::rows::Rows;
use super::runs::{RUNS, Run};

/// Which series have samples: one row, a serialised bitmap.
pub(super) const PRESENT: TableDefinition<'_, (), &[u8]> = TableDefinition::new("present");
pub(super) const COUNTERS: TableDefinition<'_, &str, i64> = TableDefinition::new("counters");
const COVERED: &str = "covered";
const FIRST_MS: &str = "first_ms";
const LAST_MS: &str = "last_ms";
const ALONE: &str = "alone";

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Summary {
    pub(crate) present: RoaringBitmap,
    pub(crate) covered_seq: u64,
    pub(crate) span_ms: Option<(i64, i64)>,
    /// Oldest first.
    pub(crate) runs: Vec<Run>,
    /// It has chunks from before there were runs.
    pub(crate) rows: bool,
    /// Of a rollup: the samples themselves are gone up to this intake number.
    pub(crate) alone: Option<u64>,
}

/// Reads a file's summary; the default for one that a flush made and never wrote to.
///
/// # Errors
/// `Corrupt` when it contradicts itself or its checksum.
pub(super) fn read_summary(database: &Database, path: &Path) -> Result<Summary, StoreError> {
    // redb asserts on some damaged pages; a damaged file must not take the process down.
    guarded(path, || read_unguarded(database, path))
}

fn read_unguarded(database: &Database, path: &Path) -> Result<Summary, StoreError> {
    type Read = (Vec<u8>, [Option<i64>; 4], Option<Vec<u8>>, bool);
    let read = || -> Result<Option<Read>, redb::Error> {
        let txn = database.begin_read()?;
        let table = match txn.open_table(PRESENT) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => {
                let others = txn.list_tables()?.filter(|table| table.name() != META.name()).count();
                if others > 0 {
                    return Err(redb::Error::Corrupted("it has tables but no list of series".into()));
                }
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let present = table.get(())?.map(|row| row.value().to_vec()).unwrap_or_default();
        let table = txn.open_table(COUNTERS)?;
        let counter = |name| Ok::<_, redb::Error>(table.get(name)?.map(|value| value.value()));
        let counters = [counter(COVERED)?, counter(FIRST_MS)?, counter(LAST_MS)?, counter(ALONE)?];
        if table.len()? > counters.iter().flatten().count() as u64 {
            // One of the four lost its name, and what is not there means something, too.
            return Err(redb::Error::Corrupted("it has a counter of no known name".into()));
        }
        let runs = match txn.open_table(RUNS) {
            Ok(table) => table.get(())?.map(|row| row.value().to_vec()),
            Err(redb::TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Some((present, counters, runs, Rows::open(&txn)?.is_some())))
    };
    let Some((present, [covered, first, last, alone], runs, rows)) =
        read().map_err(|error| redb_error("reading a day file", path, error))?
    else {
        return Ok(Summary::default());
    };
    let number = |counter: i64| u64::try_from(counter).map_err(|_| corrupt(path, "a counter is negative".into()));
    let covered_seq = number(covered.unwrap_or(0))?;
    let alone = alone.map(number).transpose()?;
    if alone.is_some_and(|alone| alone != covered_seq) {
        return Err(corrupt(path, "its counters contradict each other".into()));
    }
    let mut known = Vec::new();
    match runs {
        Some(runs) => {
            let (covered_again, runs) =
                codec::day::decode(&runs, &present).map_err(|error| corrupt(path, error.to_string()))?;
            let spans =
                |first_ms: i64, last_ms: i64| runs.iter().all(|run| first_ms <= run.first_ms && run.last_ms <= last_ms);
            if covered_again != covered_seq || !first.zip(last).is_some_and(|(first, last)| spans(first, last)) {
                return Err(corrupt(path, "its counters contradict its runs".into()));
            }
            known = runs;
        }
        None if !rows => return Err(corrupt(path, "it has no samples".into())),
        None => {}
    }
    let present = RoaringBitmap::deserialize_from(&present[..])
        .map_err(|error| corrupt(path, format!("its list of series cannot be read: {error}")))?;
    Ok(Summary { present, covered_seq, span_ms: first.zip(last), runs: known, rows, alone })
}

/// Writes a file's summary in the transaction of what it tells of.
pub(super) fn put_summary(txn: &WriteTransaction, summary: &Summary) -> Result<(), redb::Error> {
    let mut present = Vec::with_capacity(summary.present.serialized_size());
    summary.present.serialize_into(&mut present).expect("a Vec takes everything");
    let runs = codec::day::encode(summary.covered_seq, &summary.runs, &present);
    txn.open_table(PRESENT)?.insert((), present.as_slice())?;
    txn.open_table(RUNS)?.insert((), runs.as_slice())?;
    let mut counters = txn.open_table(COUNTERS)?;
    counters.insert(COVERED, i64::try_from(summary.covered_seq).unwrap_or(i64::MAX))?;
    if let Some(alone) = summary.alone {
        counters.insert(ALONE, i64::try_from(alone).unwrap_or(i64::MAX))?;
    }
    if let Some((first, last)) = summary.span_ms {
        counters.insert(FIRST_MS, first)?;
        counters.insert(LAST_MS, last)?;
    }
    Ok(())
}
