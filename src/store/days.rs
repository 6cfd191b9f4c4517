//! Day files of one tenant (`metrics/2026-11-21.redb`): the chunks of a UTC day, by epoch, then series, then order of writing.
//!
//! A file says up to which intake number it holds everything of its day (`covered`), in the same commit as the chunks, so that a
//! replay after a crash adds nothing twice. Layout: `FORMAT.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::time::Day;
use model::{Histogram, MsRange};
use parking_lot::{Mutex, RwLock};
use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, TableDefinition};
use roaring::RoaringBitmap;

use crate::columns::Columns;
use crate::file::{Files, corrupt, disk_bytes, io_error, redb_error};
use crate::head::weight_of;
use crate::limits::DAY_CACHE_BYTES;
use crate::{ReadGuard, StoreError};

/// Epoch of the day, series, order of writing → chunk. Time first: a flush then writes neighbouring pages (measured: a seventh
/// of the cost of series first).
const CHUNKS: TableDefinition<'_, (u8, u32, u64), &[u8]> = TableDefinition::new("chunks");
/// As `chunks`, of native histograms.
const HISTOGRAMS: TableDefinition<'_, (u8, u32, u64), &[u8]> = TableDefinition::new("histograms");
/// Which series have chunks of either kind: one row, a serialised bitmap.
const PRESENT: TableDefinition<'_, (), &[u8]> = TableDefinition::new("present");
const COUNTERS: TableDefinition<'_, &str, i64> = TableDefinition::new("counters");
const COVERED: &str = "covered";
const FIRST_MS: &str = "first_ms";
const LAST_MS: &str = "last_ms";

/// Six epochs a day: 960 samples at 15 s, in two chunks.
pub(crate) const EPOCH_MS: i64 = 4 * 3_600_000;

/// Bits of a chunk's order below the intake number of its flush.
const ORDER_BITS: u32 = 16;

pub(crate) struct Days {
    files: Arc<Files>,
    dir: PathBuf,
    known: RwLock<BTreeMap<Day, Arc<DayFile>>>,
}

struct DayFile {
    path: PathBuf,
    /// Read at first need.
    summary: Mutex<Option<Arc<Summary>>>,
}

/// What a day file says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Summary {
    pub(crate) present: RoaringBitmap,
    pub(crate) covered_seq: u64,
    pub(crate) span_ms: Option<(i64, i64)>,
}

/// What a chunk holds; each kind has its table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Floats,
    Histograms,
}

/// A chunk on its way to a day file.
pub(crate) struct NewChunk {
    pub(crate) kind: Kind,
    pub(crate) epoch: u8,
    pub(crate) series: u32,
    /// Of the chunks of one kind, series, epoch and flush: which one this is.
    pub(crate) part: u16,
    pub(crate) bytes: Vec<u8>,
}

impl Days {
    /// Lists the files; opens none.
    pub(crate) fn open(dir: &Path, files: Arc<Files>) -> Result<Days, StoreError> {
        let mut known = BTreeMap::new();
        match std::fs::read_dir(dir) {
            Ok(entries) => {
                for entry in entries {
                    let entry = entry.map_err(|error| io_error("list", dir, error))?;
                    let name = entry.file_name();
                    let day = name.to_str().and_then(|name| name.strip_suffix(".redb")).and_then(Day::parse);
                    if let Some(day) = day {
                        known.insert(day, Arc::new(DayFile { path: entry.path(), summary: Mutex::new(None) }));
                    }
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error("list", dir, error)),
        }
        Ok(Days { files, dir: dir.to_owned(), known: RwLock::new(known) })
    }

    /// Days that have a file, oldest first, with the bytes it takes on the disk.
    pub(crate) fn sizes(&self) -> Vec<(Day, u64)> {
        self.known.read().iter().map(|(day, file)| (*day, disk_bytes(&file.path))).collect()
    }

    pub(crate) fn days(&self) -> Vec<Day> {
        self.known.read().keys().copied().collect()
    }

    /// Default when the day has no file.
    pub(crate) fn summary(&self, day: Day) -> Result<Arc<Summary>, StoreError> {
        let Some(file) = self.known.read().get(&day).cloned() else { return Ok(Arc::default()) };
        let mut held = file.summary.lock();
        if let Some(summary) = &*held {
            return Ok(summary.clone());
        }
        let database = self.files.get(&file.path, DAY_CACHE_BYTES)?;
        let summary = Arc::new(read_summary(&database, &file.path)?);
        *held = Some(summary.clone());
        Ok(summary)
    }

    /// Writes chunks of one day in one commit; from then on the file covers its day up to `covered_seq`. Writing the same chunks
    /// with the same number again changes nothing.
    pub(crate) fn write(
        &self,
        day: Day,
        mut chunks: Vec<NewChunk>,
        span_ms: (i64, i64),
        covered_seq: u64,
    ) -> Result<(), StoreError> {
        let before = self.summary(day)?;
        let file = self.known.read().get(&day).cloned().unwrap_or_else(|| {
            Arc::new(DayFile { path: self.dir.join(format!("{day}.redb")), summary: Mutex::new(None) })
        });
        crate::file::make_dir(&self.dir)?;
        chunks.sort_by_key(|chunk| (chunk.kind, chunk.epoch, chunk.series, chunk.part));
        let mut summary = (*before).clone();
        summary.present.extend(chunks.iter().map(|chunk| chunk.series));
        summary.covered_seq = summary.covered_seq.max(covered_seq);
        summary.span_ms = Some(match summary.span_ms {
            Some((first, last)) => (first.min(span_ms.0), last.max(span_ms.1)),
            None => span_ms,
        });
        let database = self.files.get(&file.path, DAY_CACHE_BYTES)?;
        write_chunks(&database, &chunks, &summary, covered_seq).map_err(|error| {
            // A failed commit poisons the handle.
            self.files.forget(&file.path);
            redb_error("writing a day file", &file.path, error)
        })?;
        *file.summary.lock() = Some(Arc::new(summary));
        self.known.write().insert(day, file);
        Ok(())
    }

    /// Adds the samples of `series[n]` within the range to `columns[n]`, of chunks flushed up to `flushed_seq`. Opens only the
    /// files of days in the range, and looks only at epochs in it.
    pub(crate) fn read(
        &self,
        series: &[u32],
        range: MsRange,
        flushed_seq: u64,
        guard: &mut dyn ReadGuard,
        columns: &mut [Columns],
    ) -> Result<(), StoreError> {
        let days: Vec<(Day, Arc<DayFile>)> = self
            .known
            .read()
            .range(Day::of_ms(range.start_ms)..=Day::of_ms(range.end_ms))
            .map(|(day, file)| (*day, file.clone()))
            .collect();
        for (day, file) in days {
            let database = self.files.get(&file.path, DAY_CACHE_BYTES)?;
            read_day(&database, &file.path, day, series, range, flushed_seq, guard, columns)?;
        }
        Ok(())
    }

    /// Removes the files of days before `day`; their space is free at once, or when their last reader ends.
    pub(crate) fn drop_before(&self, day: Day) -> Result<Vec<Day>, StoreError> {
        let old: Vec<(Day, PathBuf)> =
            self.known.read().range(..day).map(|(day, file)| (*day, file.path.clone())).collect();
        let mut dropped = Vec::new();
        for (day, path) in old {
            self.known.write().remove(&day);
            self.files.forget(&path);
            match std::fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error("remove", &path, error)),
            }
            dropped.push(day);
        }
        Ok(dropped)
    }
}

fn read_summary(database: &Database, path: &Path) -> Result<Summary, StoreError> {
    type Rows = (Vec<u8>, [Option<i64>; 3]);
    let read = || -> Result<Option<Rows>, redb::Error> {
        let txn = database.begin_read()?;
        let present = match txn.open_table(PRESENT) {
            Ok(table) => table,
            // Made by a flush that never committed.
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let present = present.get(())?.map(|row| row.value().to_vec()).unwrap_or_default();
        let table = txn.open_table(COUNTERS)?;
        let counter = |name| Ok::<_, redb::Error>(table.get(name)?.map(|value| value.value()));
        Ok(Some((present, [counter(COVERED)?, counter(FIRST_MS)?, counter(LAST_MS)?])))
    };
    let Some((present, [covered, first, last])) =
        read().map_err(|error| redb_error("reading a day file", path, error))?
    else {
        return Ok(Summary::default());
    };
    let present = RoaringBitmap::deserialize_from(&present[..])
        .map_err(|error| corrupt(path, format!("its list of series cannot be read: {error}")))?;
    let covered_seq = u64::try_from(covered.unwrap_or(0)).map_err(|_| corrupt(path, "a counter is negative".into()))?;
    Ok(Summary { present, covered_seq, span_ms: first.zip(last) })
}

fn write_chunks(database: &Database, chunks: &[NewChunk], summary: &Summary, seq: u64) -> Result<(), redb::Error> {
    let mut present = Vec::with_capacity(summary.present.serialized_size());
    summary.present.serialize_into(&mut present).expect("a Vec takes everything");
    let mut txn = database.begin_write()?;
    // Else a crash makes the next open read the whole file.
    txn.set_quick_repair(true);
    {
        let (floats, histograms) = chunks.split_at(chunks.partition_point(|chunk| chunk.kind == Kind::Floats));
        for (definition, chunks) in [(CHUNKS, floats), (HISTOGRAMS, histograms)] {
            if chunks.is_empty() {
                continue;
            }
            let mut table = txn.open_table(definition)?;
            for chunk in chunks {
                let order = seq << ORDER_BITS | u64::from(chunk.part);
                table.insert((chunk.epoch, chunk.series, order), chunk.bytes.as_slice())?;
            }
        }
        txn.open_table(PRESENT)?.insert((), present.as_slice())?;
        let mut counters = txn.open_table(COUNTERS)?;
        counters.insert(COVERED, i64::try_from(summary.covered_seq).unwrap_or(i64::MAX))?;
        if let Some((first, last)) = summary.span_ms {
            counters.insert(FIRST_MS, first)?;
            counters.insert(LAST_MS, last)?;
        }
    }
    txn.commit()?;
    Ok(())
}

#[allow(clippy::too_many_arguments)]
fn read_day(
    database: &Database,
    path: &Path,
    day: Day,
    series: &[u32],
    range: MsRange,
    flushed_seq: u64,
    guard: &mut dyn ReadGuard,
    columns: &mut [Columns],
) -> Result<(), StoreError> {
    let wrap = |error: redb::Error| redb_error("reading a day file", path, error);
    let txn = database.begin_read().map_err(|error| wrap(error.into()))?;
    let floats = table_of(&txn, CHUNKS).map_err(wrap)?;
    let histograms = table_of(&txn, HISTOGRAMS).map_err(wrap)?;
    let first_epoch = epoch_of(range.start_ms.max(day.start_ms()));
    let last_epoch = epoch_of(range.end_ms.min(day.start_ms() + model::time::MS_PER_DAY - 1));
    for epoch in first_epoch..=last_epoch {
        for (number, out) in series.iter().zip(columns.iter_mut()) {
            let bad = |error: codec::wire::BadBytes| corrupt(path, format!("series {number}: {error}"));
            let mut waiting = Vec::new();
            if let Some(table) = &histograms {
                for row in table.range(keys(epoch, *number)).map_err(|error| wrap(error.into()))? {
                    let (key, chunk) = row.map_err(|error| wrap(error.into()))?;
                    let seq = key.value().2 >> ORDER_BITS;
                    if seq <= flushed_seq {
                        let rows = read_histograms(chunk.value(), range, guard)?.map_err(bad)?;
                        waiting.extend(rows.into_iter().map(|(at_ms, histogram)| (seq, at_ms, histogram)));
                    }
                }
            }
            // A flush has a float or a histogram of a time, so only the order of flushes matters.
            let mut waiting = waiting.into_iter().peekable();
            if let Some(table) = &floats {
                for row in table.range(keys(epoch, *number)).map_err(|error| wrap(error.into()))? {
                    let (key, chunk) = row.map_err(|error| wrap(error.into()))?;
                    let seq = key.value().2 >> ORDER_BITS;
                    if seq <= flushed_seq {
                        while let Some((_, at_ms, histogram)) = waiting.next_if(|earlier| earlier.0 < seq) {
                            out.push(at_ms, histogram);
                        }
                        read_floats(chunk.value(), range, guard, out)?.map_err(bad)?;
                    }
                }
            }
            waiting.for_each(|(_, at_ms, histogram)| out.push(at_ms, histogram));
        }
    }
    Ok(())
}

type Chunks = ReadOnlyTable<(u8, u32, u64), &'static [u8]>;

/// `None` before its first chunk.
fn table_of(
    txn: &ReadTransaction,
    definition: TableDefinition<'_, (u8, u32, u64), &'static [u8]>,
) -> Result<Option<Chunks>, redb::Error> {
    match txn.open_table(definition) {
        Ok(table) => Ok(Some(table)),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn keys(epoch: u8, series: u32) -> std::ops::RangeInclusive<(u8, u32, u64)> {
    (epoch, series, 0)..=(epoch, series, u64::MAX)
}

/// What a chunk cannot say is the inner error, what the guard refuses the outer one.
type ReadChunk<T> = Result<Result<T, codec::wire::BadBytes>, StoreError>;

/// Appends a chunk's samples within the range.
fn read_floats(bytes: &[u8], range: MsRange, guard: &mut dyn ReadGuard, out: &mut Columns) -> ReadChunk<()> {
    let head = match codec::chunk::head(bytes) {
        Ok(head) => head,
        Err(error) => return Ok(Err(error)),
    };
    if head.last_ms < range.start_ms || head.first_ms > range.end_ms {
        return Ok(Ok(()));
    }
    guard.spend(head.samples as u64, bytes.len() as u64)?;
    let before = out.at_ms.len();
    let decoded = codec::chunk::decode(bytes, &mut out.at_ms, &mut out.values);
    cut(out, before, range);
    Ok(decoded.map(drop))
}

/// A chunk's histograms within the range.
fn read_histograms(bytes: &[u8], range: MsRange, guard: &mut dyn ReadGuard) -> ReadChunk<Vec<(i64, Arc<Histogram>)>> {
    let head = match codec::histogram_chunk::head(bytes) {
        Ok(head) => head,
        Err(error) => return Ok(Err(error)),
    };
    if head.last_ms < range.start_ms || head.first_ms > range.end_ms {
        return Ok(Ok(Vec::new()));
    }
    let weight =
        weight_of(usize::try_from(head.buckets).unwrap_or(usize::MAX)).saturating_add(head.histograms * weight_of(0));
    guard.spend(weight as u64, bytes.len() as u64)?;
    let rows = codec::histogram_chunk::decode(bytes);
    Ok(rows.map(|rows| rows.into_iter().filter(|(at_ms, _)| range.contains(*at_ms)).collect()))
}

/// Removes what lies outside the range from the floats appended after `before`, which are in order of time.
fn cut(Columns { at_ms, values, .. }: &mut Columns, before: usize, range: MsRange) {
    let end = before + at_ms[before..].partition_point(|at| *at <= range.end_ms);
    at_ms.truncate(end);
    values.truncate(end);
    let start = before + at_ms[before..].partition_point(|at| *at < range.start_ms);
    at_ms.drain(before..start);
    values.drain(before..start);
}

/// Which part of its day an instant lies in.
pub(crate) fn epoch_of(at_ms: i64) -> u8 {
    (at_ms.rem_euclid(model::time::MS_PER_DAY) / EPOCH_MS) as u8
}
