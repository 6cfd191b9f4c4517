//! The intake log of one tenant (`intake.redb`): what was acknowledged and is not in the day files yet, the names of the series
//! in it, and the families.
//!
//! A series is named in the transaction that brings its first sample to the log since the head was last written out, so no sample
//! is ever without its series, and the log needs no other file. Layout and recovery: `FORMAT.md`.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use codec::intake::{Item, decode_labels, decode_metadata, decode_record, encode_metadata};
use codec::series::{Group, encode_group};
use model::meter::Counter;
use model::time::Day;
use model::{Labels, MetricMeta};
use parking_lot::Mutex;
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, TableHandle,
    WriteTransaction,
};

use crate::StoreError;
use crate::file::{Files, OpenFile, UNFINISHED, corrupt, disk_bytes, redb_error};
use crate::limits::{INTAKE_CACHE_BYTES, LOOSE_BYTES, REPLAY_BYTES_MAX, TRIM_BYTES_MAX};
use crate::series::Catalogue;

/// Number of a record's last batch and of the piece → piece.
const LOG: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("log");
/// Pieces of records that could not be read, kept for whoever can.
const SET_ASIDE: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("set_aside");
/// Number of a record's last batch and of the piece → piece of a group of series: those that the record is the first to bring.
const NAMES: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("names");
/// Series number → labels: as version 1 had them, until its records are out of the log.
const SERIES_V1: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("series");
const METADATA: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("metadata");
const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");
/// Every number up to this was given to a batch and is out of the log.
const TRIMMED: &str = "trimmed";
/// The next series number: no number is given twice, though the log forgets its names.
const NEXT_SERIES: &str = "next_series";
/// The last UTC day that began, in days since 1970, and the series number that was next then.
const DAY: &str = "day";
const DAY_SERIES: &str = "day_series";

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
    /// The records in the log: their numbers, and their bytes.
    records: Mutex<VecDeque<(u64, u64)>>,
    /// All tables are there.
    made: AtomicBool,
    /// Bytes written to the file since it was made, or since it was opened and as many as it takes then.
    written: AtomicU64,
}

/// Where numbering goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) next_seq: u64,
    pub(crate) next_series: u32,
}

/// What a file says at a start.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) next_seq: u64,
    pub(crate) next_series: u32,
    /// Nothing up to here is in the log any more.
    pub(crate) trimmed_seq: u64,
    /// The last day that began, and the series number that was next then.
    pub(crate) day: Option<(Day, u32)>,
    /// Series whose label set has another number in memory, with that.
    pub(crate) renamed: HashMap<u32, u32>,
}

impl IntakeLog {
    /// Makes the file if there is none, and loads the names of its series and families.
    pub(crate) fn open(
        dir: &Path,
        files: Arc<Files>,
        catalogue: &Catalogue,
    ) -> Result<(IntakeLog, Loaded), StoreError> {
        let log = IntakeLog {
            files,
            path: path_in(dir),
            bytes: AtomicU64::new(0),
            records: Mutex::default(),
            made: AtomicBool::new(false),
            written: AtomicU64::new(0),
        };
        let loaded = log.load(catalogue)?;
        log.written.store(disk_bytes(&log.path), Ordering::Relaxed);
        Ok((log, loaded))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the records in the log.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn database(&self) -> Result<Arc<OpenFile>, StoreError> {
        self.files.get(&self.path, INTAKE_CACHE_BYTES)
    }

    /// Reads what the catalogue does not know yet, and where numbering goes on.
    pub(crate) fn load(&self, catalogue: &Catalogue) -> Result<Loaded, StoreError> {
        let database = self.database()?;
        self.made.store(false, Ordering::Relaxed);
        self.load_from(&database, catalogue).map_err(|error| match error {
            Failed::Redb(error) => redb_error("reading an intake log", &self.path, error),
            Failed::Bad(reason) => corrupt(&self.path, reason),
        })
    }

    fn load_from(&self, database: &Database, catalogue: &Catalogue) -> Result<Loaded, Failed> {
        let txn = database.begin_read()?;
        let mut loaded = Loaded { next_seq: 1, ..Loaded::default() };
        let log = match txn.open_table(LOG) {
            Ok(log) => log,
            // A file that was made and never written.
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(loaded),
            Err(error) => return Err(error.into()),
        };
        let mut found = Vec::new();
        match txn.open_table(SERIES_V1) {
            Ok(table) => {
                for row in table.iter()? {
                    let (number, labels) = row?;
                    let number = number.value();
                    let labels = decode_labels(labels.value(), |text| text.into())
                        .map_err(|error| Failed::Bad(format!("series {number}: {error}")))?;
                    found.push((number, labels));
                }
            }
            Err(redb::TableError::TableDoesNotExist(_)) => {}
            Err(error) => return Err(error.into()),
        }
        self.load_names(&txn, &mut found)?;
        let next = found.iter().map(|(number, _)| number.saturating_add(1)).max();
        loaded.renamed = catalogue.insert(found).into_iter().collect();
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
        let counter = |name| Ok::<_, redb::Error>(counters.get(name)?.map(|value| value.value()));
        let given = u32::try_from(counter(NEXT_SERIES)?.unwrap_or(0)).unwrap_or(u32::MAX);
        loaded.next_series = given.max(next.unwrap_or(0));
        loaded.day = counter(DAY)?
            .zip(counter(DAY_SERIES)?)
            .and_then(|(day, series)| Some((Day(i32::try_from(day).ok()?), u32::try_from(series).ok()?)));
        loaded.trimmed_seq = counter(TRIMMED)?.unwrap_or(0);
        loaded.next_seq = loaded.trimmed_seq.saturating_add(1);
        let mut bytes = 0;
        let mut records: VecDeque<(u64, u64)> = VecDeque::new();
        for row in log.iter()? {
            let (key, piece) = row?;
            let (last_seq, piece) = (key.value().0, piece.value().len() as u64);
            loaded.next_seq = loaded.next_seq.max(last_seq.saturating_add(1));
            bytes += piece;
            match records.back_mut() {
                Some((known, bytes)) if *known == last_seq => *bytes += piece,
                _ => records.push_back((last_seq, piece)),
            }
        }
        self.bytes.store(bytes, Ordering::Relaxed);
        *self.records.lock() = records;
        self.made.store(true, Ordering::Relaxed);
        Ok(loaded)
    }

    /// A group that cannot be read is logged and counted: most of its series are named in a day file too.
    fn load_names(&self, txn: &redb::ReadTransaction, found: &mut Vec<(u32, Labels)>) -> Result<(), Failed> {
        let table = match txn.open_table(NAMES) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut take = |last_seq: u64, bytes: &[u8]| match Group::decode(bytes) {
            _ if bytes.is_empty() => {}
            Ok(group) => {
                found.extend(group.numbers().iter().enumerate().map(|(at, number)| (*number, group.labels(at))));
            }
            Err(error) => {
                DAMAGED.add(&[], 1);
                let reason = error.to_string();
                tracing::error!(
                    file = %self.path.display(), record = last_seq, reason,
                    "the names of a record's series are damaged"
                );
            }
        };
        let mut group: (u64, Vec<u8>) = (0, Vec::new());
        for row in table.iter()? {
            let (key, piece) = row?;
            if key.value().0 != group.0 {
                take(group.0, &group.1);
                group = (key.value().0, Vec::new());
            }
            group.1.extend_from_slice(piece.value());
        }
        take(group.0, &group.1);
        Ok(())
    }

    /// Makes one record durable, with the names of series that it is the first to bring, by number, and new families. When this fails nothing may be assumed of the file:
    /// [`Files::forget`] it and load again.
    pub(crate) fn commit(
        &self,
        last_seq: u64,
        record: &[u8],
        names: &[(u32, Labels)],
        metadata: &[MetricMeta],
    ) -> Result<(), StoreError> {
        let database = self.database()?;
        let names = if names.is_empty() { Ok(Vec::new()) } else { encode_group(names) };
        let names = names.map_err(|source| StoreError::Io { doing: "compress names of series".into(), source })?;
        let write = || -> Result<(), redb::Error> {
            let txn = database.begin_write()?;
            {
                if !names.is_empty() {
                    let mut table = txn.open_table(NAMES)?;
                    for (number, piece) in (0u32..).zip(pieces(&names)) {
                        table.insert((last_seq, number), piece)?;
                    }
                }
                // Opening a table costs, so only those that are needed; at first all, so that whoever reads finds all or none.
                if !metadata.is_empty() || !self.made.load(Ordering::Relaxed) {
                    let mut table = txn.open_table(METADATA)?;
                    for meta in metadata {
                        table.insert(meta.family.as_str(), encode_metadata(meta).as_slice())?;
                    }
                    txn.open_table(COUNTERS)?;
                }
                let mut log = txn.open_table(LOG)?;
                for (number, piece) in (0u32..).zip(pieces(record)) {
                    log.insert((last_seq, number), piece)?;
                }
            }
            txn.commit()?;
            Ok(())
        };
        write().map_err(|error| redb_error("writing an intake log", &self.path, error))?;
        self.made.store(true, Ordering::Relaxed);
        let bytes = record.len() as u64;
        self.records.lock().push_back((last_seq, bytes));
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.written.fetch_add(bytes + names.len() as u64, Ordering::Relaxed);
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

    /// Forgets records whose batches are all numbered up to `seq`, and the names that came with them, the oldest first and no more than
    /// a commit may wait for. Returns whether there are more of them. `next_series` is above every number given so far.
    pub(crate) fn trim_some(&self, seq: u64, next_series: u32) -> Result<bool, StoreError> {
        let database = self.database()?;
        let (mut count, mut bytes, mut last_seq) = (0, 0, seq);
        let more = {
            let records = self.records.lock();
            let mut old = records.iter().take_while(|(last_seq, _)| *last_seq <= seq).peekable();
            while let Some((record, size)) = old.next_if(|_| bytes < TRIM_BYTES_MAX) {
                (count, bytes, last_seq) = (count + 1, bytes + size, *record);
            }
            old.peek().is_some()
        };
        let last_seq = if more { last_seq } else { seq };
        let write = || -> Result<(), redb::Error> {
            let txn = database.begin_write()?;
            {
                let mut log = txn.open_table(LOG)?;
                log.retain_in((0, 0)..=(last_seq, u32::MAX), |_, _| false)?;
                let mut counters = txn.open_table(COUNTERS)?;
                let trimmed = counters.get(TRIMMED)?.map_or(0, |value| value.value());
                counters.insert(TRIMMED, trimmed.max(last_seq))?;
                counters.insert(NEXT_SERIES, u64::from(next_series))?;
                // Names go with the last record that may need them: until then a replay wants them all.
                if !more {
                    txn.open_table(NAMES)?.retain_in((0, 0)..=(seq, u32::MAX), |_, _| false)?;
                }
                // Records of version 1 have their names there.
                if log.is_empty()? {
                    txn.delete_table(SERIES_V1)?;
                }
            }
            txn.commit()?;
            Ok(())
        };
        write().map_err(|error| redb_error("trimming an intake log", &self.path, error))?;
        self.records.lock().drain(..count);
        self.bytes.fetch_sub(bytes.min(self.bytes()), Ordering::Relaxed);
        Ok(more)
    }

    /// Whether the file may be much larger than what it holds, and that is little.
    pub(crate) fn is_loose(&self) -> bool {
        self.bytes() <= REPLAY_BYTES_MAX && self.written.load(Ordering::Relaxed) > LOOSE_BYTES
    }

    /// Puts a fresh file with the same content in the place of the file, which never shrinks by itself. Nobody may write meanwhile.
    ///
    /// # Errors
    /// As after a failed [`IntakeLog::commit`]; the content is whole in any case.
    pub(crate) fn replace(&self) -> Result<(), StoreError> {
        let old = self.database()?;
        self.files.replace(&self.path, INTAKE_CACHE_BYTES, |fresh| {
            copy(&old, fresh).map_err(|error| redb_error("copying an intake log", &self.path, error))
        })?;
        self.written.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Writes down that a UTC day began, and which series number is next.
    pub(crate) fn begin_day(&self, day: Day, next_series: u32) -> Result<(), StoreError> {
        let database = self.database()?;
        let write = || -> Result<(), redb::Error> {
            let txn = database.begin_write()?;
            {
                txn.open_table(LOG)?;
                txn.open_table(METADATA)?;
                let mut counters = txn.open_table(COUNTERS)?;
                counters.insert(DAY, u64::try_from(day.0).unwrap_or(0))?;
                counters.insert(DAY_SERIES, u64::from(next_series))?;
            }
            txn.commit()?;
            Ok(())
        };
        write().map_err(|error| redb_error("writing an intake log", &self.path, error))
    }
}

pub(crate) const NAME: &str = "intake.redb";

/// Of a tenant's directory.
pub(crate) fn path_in(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Whether a path is an intake log's, or that of one in the making.
pub(crate) fn is_log(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.strip_suffix(UNFINISHED).unwrap_or(name) == NAME)
}

/// Every table; `meta` is in every file from the start.
const COPIED: [&str; 7] = ["log", "set_aside", "names", "series", "metadata", "counters", "meta"];

/// Copies every table in one commit.
fn copy(from: &Database, to: &Database) -> Result<(), redb::Error> {
    let (read, write) = (from.begin_read()?, to.begin_write()?);
    if read.list_tables()?.any(|table| !COPIED.contains(&table.name())) {
        return Err(redb::Error::Corrupted("an intake log has a table that is none of ours".into()));
    }
    copy_table(&read, &write, LOG)?;
    copy_table(&read, &write, SET_ASIDE)?;
    copy_table(&read, &write, NAMES)?;
    copy_table(&read, &write, SERIES_V1)?;
    copy_table(&read, &write, METADATA)?;
    copy_table(&read, &write, COUNTERS)?;
    write.commit()?;
    Ok(())
}

fn copy_table<K: redb::Key + 'static, V: redb::Value + 'static>(
    read: &ReadTransaction,
    write: &WriteTransaction,
    definition: TableDefinition<'_, K, V>,
) -> Result<(), redb::Error> {
    let from = match read.open_table(definition) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut to = write.open_table(definition)?;
    for row in from.iter()? {
        let (key, value) = row?;
        to.insert(key.value(), value.value())?;
    }
    Ok(())
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
pub(crate) fn pieces(mut record: &[u8]) -> Vec<&[u8]> {
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
