//! The intake log of one tenant (`intake.redb`): what was acknowledged and is not in the day files yet, the names of the series
//! in it, and the families.
//!
//! A series is named in the transaction that brings its first sample to the log since the head was last written out, so no sample
//! is ever without its series, and the log needs no other file. Layout and recovery: `FORMAT.md`.

mod load;
mod replace;
mod replay;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use codec::intake::encode_metadata;
use codec::series::encode_group;
use model::meter::Counter;
use model::time::Day;
use model::{Labels, MetricMeta};
use parking_lot::Mutex;
use redb::{ReadableTable, ReadableTableMetadata, TableDefinition};

use crate::StoreError;
use crate::file::{Files, OpenFile, UNFINISHED, disk_bytes, guarded, redb_error};
use crate::limits::{INTAKE_CACHE_BYTES, TRIM_BYTES_MAX};
use crate::pieces::pieces;
use crate::series::Catalogue;

use load::Loaded;

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

/// Damaged records that are told one by one; further ones are only counted and logged.
const DAMAGE_TOLD_MAX: usize = 20;

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
    /// What was lost at this start, in words.
    damage: Mutex<Vec<String>>,
}

/// Where numbering goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) next_seq: u64,
    pub(crate) next_series: u32,
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
            damage: Mutex::default(),
        };
        let loaded = log.load(catalogue)?;
        log.written.store(disk_bytes(&log.path), Ordering::Relaxed);
        Ok((log, loaded))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What of the log could not be read since the program started, each in one line that names the file.
    pub(crate) fn damage(&self) -> Vec<String> {
        self.damage.lock().clone()
    }

    pub(crate) fn note_damage(&self, what: &str) {
        let mut damage = self.damage.lock();
        if damage.len() < DAMAGE_TOLD_MAX {
            damage.push(format!("{}: {what}", self.path.display()));
        }
    }

    /// Bytes of the records in the log.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Runs what reads or writes the file: redb asserts on some damage, and neither a writer nor a start may end by that.
    fn guarded<T>(&self, doing: &'static str, job: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StoreError> {
        guarded(&self.path, || job().map_err(|error| redb_error(doing, &self.path, error)))
    }

    fn database(&self) -> Result<Arc<OpenFile>, StoreError> {
        self.files.get(&self.path, INTAKE_CACHE_BYTES)
    }

    /// Makes one record durable, with the names of series that it is the first to bring, by number, and new families. When this fails
    /// nothing may be assumed of the file: [`Files::forget`] it and load again.
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
        self.guarded("writing an intake log", write)?;
        self.made.store(true, Ordering::Relaxed);
        let bytes = record.len() as u64;
        self.records.lock().push_back((last_seq, bytes));
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.written.fetch_add(bytes + names.len() as u64, Ordering::Relaxed);
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
        self.guarded("trimming an intake log", write)?;
        self.records.lock().drain(..count);
        self.bytes.fetch_sub(bytes.min(self.bytes()), Ordering::Relaxed);
        Ok(more)
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
        self.guarded("writing an intake log", write)
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
