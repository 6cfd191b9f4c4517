//! The intake log of one tenant (`intake.redb`): what was acknowledged and is not in the day files yet, and the names of its
//! series and families.
//!
//! A commit writes its batches and the series they make in one transaction, so no sample is ever without its series. Layout and
//! recovery: `FORMAT.md`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use codec::intake::{Item, decode_labels, decode_metadata, decode_record, encode_labels, encode_metadata};
use model::meter::Counter;
use model::{Labels, MetricMeta};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use roaring::RoaringBitmap;

use crate::StoreError;
use crate::file::{Files, corrupt, redb_error};
use crate::limits::INTAKE_CACHE_BYTES;
use crate::series::Catalogue;

/// Number of a record's last batch and of the piece → piece.
const LOG: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("log");
/// Pieces of records that could not be read, kept for whoever can.
const SET_ASIDE: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("set_aside");
const SERIES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("series");
const METADATA: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("metadata");
const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");
/// Every number up to this was given to a batch and is out of the log.
const TRIMMED: &str = "trimmed";
/// The next series number: no number is given twice, even when the newest series are removed.
const NEXT_SERIES: &str = "next_series";

/// redb keeps a value in a run of 2^k pages of 4 KiB; pieces of this size fill their run but for its header.
const PIECE_HEADER_BYTES: usize = 64;
const PAGE_BYTES: usize = 4096;
/// Largest piece: 2^8 pages.
const PIECE_PAGES_MAX: usize = 1 << 8;

static DAMAGED: Counter = Counter::new(
    "binnacle_store_damaged_records_total",
    "Records of intake logs that could not be read at a start and were set aside.",
    &[],
);

pub(crate) struct IntakeLog {
    files: Arc<Files>,
    path: PathBuf,
    bytes: AtomicU64,
}

/// Where numbering goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) next_seq: u64,
    pub(crate) next_series: u32,
}

impl IntakeLog {
    /// Makes the file if there is none, and loads the names of its series and families. Also returns the number up to which
    /// nothing is in the log any more.
    pub(crate) fn open(
        dir: &Path,
        files: Arc<Files>,
        catalogue: &Catalogue,
    ) -> Result<(IntakeLog, Numbers, u64), StoreError> {
        let log = IntakeLog { files, path: dir.join("intake.redb"), bytes: AtomicU64::new(0) };
        let (numbers, trimmed_seq) = log.load(catalogue)?;
        Ok((log, numbers, trimmed_seq))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the records in the log.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn database(&self) -> Result<Arc<Database>, StoreError> {
        self.files.get(&self.path, INTAKE_CACHE_BYTES)
    }

    /// Reads what the catalogue does not know yet, where numbering goes on, and up to where the log is trimmed.
    pub(crate) fn load(&self, catalogue: &Catalogue) -> Result<(Numbers, u64), StoreError> {
        let database = self.database()?;
        self.load_from(&database, catalogue).map_err(|error| match error {
            Failed::Redb(error) => redb_error("reading an intake log", &self.path, error),
            Failed::Bad(reason) => corrupt(&self.path, reason),
        })
    }

    fn load_from(&self, database: &Database, catalogue: &Catalogue) -> Result<(Numbers, u64), Failed> {
        let txn = database.begin_read()?;
        let mut numbers = Numbers { next_seq: 1, next_series: 0 };
        match txn.open_table(SERIES) {
            Ok(table) => {
                let mut found = Vec::new();
                for row in table.iter()? {
                    let (number, labels) = row?;
                    let number = number.value();
                    numbers.next_series = numbers.next_series.max(number.saturating_add(1));
                    let labels = decode_labels(labels.value(), |text| catalogue.share(text))
                        .map_err(|error| Failed::Bad(format!("series {number}: {error}")))?;
                    found.push((number, labels));
                }
                catalogue.insert(found);
            }
            // A file that was made and never written.
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok((numbers, 0)),
            Err(error) => return Err(error.into()),
        }
        let mut families = Vec::new();
        for row in txn.open_table(METADATA)?.iter()? {
            let (family, row) = row?;
            let family = family.value();
            families.push(
                decode_metadata(family, row.value())
                    .map_err(|error| Failed::Bad(format!("family {family}: {error}")))?,
            );
        }
        catalogue.remember_metadata(families);
        let counters = txn.open_table(COUNTERS)?;
        let counter = |name| Ok::<_, redb::Error>(counters.get(name)?.map_or(0, |value| value.value()));
        let removed = u32::try_from(counter(NEXT_SERIES)?).unwrap_or(u32::MAX);
        numbers.next_series = numbers.next_series.max(removed);
        let trimmed = counter(TRIMMED)?;
        numbers.next_seq = trimmed.saturating_add(1);
        let mut bytes = 0;
        let log = txn.open_table(LOG)?;
        for row in log.iter()? {
            let (key, piece) = row?;
            numbers.next_seq = numbers.next_seq.max(key.value().0.saturating_add(1));
            bytes += piece.value().len() as u64;
        }
        self.bytes.store(bytes, Ordering::Relaxed);
        Ok((numbers, trimmed))
    }

    /// Makes one record durable, with the series and families it brings. When this fails nothing may be assumed of the file:
    /// [`Files::forget`] it and load again.
    pub(crate) fn commit(
        &self,
        last_seq: u64,
        record: &[u8],
        series: &[(u32, Labels)],
        metadata: &[MetricMeta],
    ) -> Result<(), StoreError> {
        let database = self.database()?;
        let write = || -> Result<(), redb::Error> {
            let txn = database.begin_write()?;
            {
                let mut table = txn.open_table(SERIES)?;
                for (number, labels) in series {
                    table.insert(number, encode_labels(labels).as_slice())?;
                }
                let mut table = txn.open_table(METADATA)?;
                for meta in metadata {
                    table.insert(meta.family.as_str(), encode_metadata(meta).as_slice())?;
                }
                // Made here, so that whoever reads finds all tables or none.
                txn.open_table(COUNTERS)?;
                let mut log = txn.open_table(LOG)?;
                for (number, piece) in (0u32..).zip(pieces(record)) {
                    log.insert((last_seq, number), piece)?;
                }
            }
            txn.commit()?;
            Ok(())
        };
        write().map_err(|error| redb_error("writing an intake log", &self.path, error))?;
        self.bytes.fetch_add(record.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Hands out every batch numbered above `after`, in order. A record that cannot be read is set aside, logged and counted.
    pub(crate) fn replay(
        &self,
        after: u64,
        mut each: impl FnMut(u64, Item) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let database = self.database()?;
        let wrap = |error: redb::Error| redb_error("replaying an intake log", &self.path, error);
        let txn = database.begin_read().map_err(|error| wrap(error.into()))?;
        let table = match txn.open_table(LOG) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
            Err(error) => return Err(wrap(error.into())),
        };
        let mut damaged = Vec::new();
        let mut record: (u64, Vec<u8>) = (0, Vec::new());
        let mut take = |(last_seq, bytes): (u64, Vec<u8>),
                        each: &mut dyn FnMut(u64, Item) -> Result<(), StoreError>| {
            if bytes.is_empty() {
                return Ok(());
            }
            match decode_record(&bytes) {
                Ok((first_seq, items)) if first_seq.checked_add(items.len() as u64) == last_seq.checked_add(1) => {
                    for (seq, item) in (first_seq..).zip(items) {
                        if seq > after {
                            each(seq, item)?;
                        }
                    }
                }
                Ok(_) => damaged.push((last_seq, "its numbers contradict its key".to_string())),
                Err(error) => damaged.push((last_seq, error.to_string())),
            }
            Ok(())
        };
        for row in table.range((after.saturating_add(1), 0)..).map_err(|error| wrap(error.into()))? {
            let (key, piece) = row.map_err(|error| wrap(error.into()))?;
            let (last_seq, _) = key.value();
            if last_seq != record.0 {
                take(std::mem::replace(&mut record, (last_seq, Vec::new())), &mut each)?;
            }
            record.1.extend_from_slice(piece.value());
        }
        take(record, &mut each)?;
        drop((table, txn));
        for (last_seq, reason) in damaged {
            DAMAGED.add(&[], 1);
            tracing::error!(
                file = %self.path.display(), record = last_seq, reason,
                "a record of the intake log is damaged; it was set aside in the file's table set_aside"
            );
            self.set_aside(&database, last_seq).map_err(wrap)?;
        }
        Ok(())
    }

    fn set_aside(&self, database: &Database, last_seq: u64) -> Result<(), redb::Error> {
        let txn = database.begin_write()?;
        {
            let mut log = txn.open_table(LOG)?;
            let mut aside = txn.open_table(SET_ASIDE)?;
            for row in log.extract_from_if((last_seq, 0)..=(last_seq, u32::MAX), |_, _| true)? {
                let (key, piece) = row?;
                aside.insert(key.value(), piece.value())?;
            }
            // The number is used up even though its record is gone from the log.
            let mut counters = txn.open_table(COUNTERS)?;
            let trimmed = counters.get(TRIMMED)?.map_or(0, |value| value.value());
            if log.last()?.is_none_or(|(key, _)| key.value().0 < last_seq) && trimmed < last_seq {
                counters.insert(TRIMMED, last_seq)?;
            }
        }
        txn.commit()?;
        Ok(())
    }

    /// Forgets records whose batches are all numbered up to `seq`.
    pub(crate) fn trim(&self, seq: u64) -> Result<(), StoreError> {
        let database = self.database()?;
        let mut removed = 0;
        let mut write = || -> Result<(), redb::Error> {
            let txn = database.begin_write()?;
            {
                let mut log = txn.open_table(LOG)?;
                log.retain_in((0, 0)..=(seq, u32::MAX), |_, piece| {
                    removed += piece.len() as u64;
                    false
                })?;
                let mut counters = txn.open_table(COUNTERS)?;
                let trimmed = counters.get(TRIMMED)?.map_or(0, |value| value.value());
                counters.insert(TRIMMED, trimmed.max(seq))?;
            }
            txn.commit()?;
            Ok(())
        };
        write().map_err(|error| redb_error("trimming an intake log", &self.path, error))?;
        self.bytes.fetch_sub(removed.min(self.bytes()), Ordering::Relaxed);
        Ok(())
    }

    /// Removes series that have no samples any more.
    pub(crate) fn remove_series(&self, numbers: &RoaringBitmap, next_series: u32) -> Result<(), StoreError> {
        let database = self.database()?;
        let write = || -> Result<(), redb::Error> {
            let txn = database.begin_write()?;
            {
                let mut table = txn.open_table(SERIES)?;
                for number in numbers {
                    table.remove(number)?;
                }
                txn.open_table(COUNTERS)?.insert(NEXT_SERIES, u64::from(next_series))?;
            }
            txn.commit()?;
            Ok(())
        };
        write().map_err(|error| redb_error("removing series", &self.path, error))
    }
}

enum Failed {
    Redb(redb::Error),
    Bad(String),
}

impl<E: Into<redb::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Failed::Redb(error.into())
    }
}

/// Cuts a record into runs of 2^k pages, largest first; what is left is below a page.
fn pieces(mut record: &[u8]) -> Vec<&[u8]> {
    let mut cut = Vec::new();
    let mut pages = PIECE_PAGES_MAX;
    while pages > 0 {
        match record.split_at_checked(pages * PAGE_BYTES - PIECE_HEADER_BYTES) {
            Some((piece, rest)) => {
                cut.push(piece);
                record = rest;
            }
            None => pages /= 2,
        }
    }
    if !record.is_empty() {
        cut.push(record);
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fill_their_pages_and_make_up_the_record() {
        for length in [1, 4_031, 4_032, 4_033, 70_000, 3_000_000] {
            let record: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let cut = pieces(&record);
            assert_eq!(cut.concat(), record);
            for piece in &cut[..cut.len() - 1] {
                assert!(((piece.len() + PIECE_HEADER_BYTES) / PAGE_BYTES).is_power_of_two(), "{}", piece.len());
            }
            assert!(cut.len() <= length / (PIECE_PAGES_MAX * PAGE_BYTES) + 20);
        }
    }
}
