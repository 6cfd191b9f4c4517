//! Settling: a day whose samples have all arrived is written anew, once, as one run of long chunks in a file without gaps.
//!
//! The new file is made beside the old one and takes its name when it is durable and whole, so a crash leaves one or the other.
//! Readers of the old file end in peace: they have it open. What arrives later goes into the new file as further runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::MsRange;
use model::time::Day;
use redb::{
    Database, Key, ReadTransaction, ReadableDatabase, ReadableTable as _, TableDefinition, TableHandle, Value,
    WriteTransaction,
};

use crate::columns::Columns;
use crate::file::{corrupt, disk_bytes, io_error, redb_error, unfinished};
use crate::index::write::INDEX;
use crate::limits::{DAY_CACHE_BYTES, SETTLED_CHUNK_SAMPLES};
use crate::{ReadGuard, StoreError};

use super::aside::damaged;
use super::rows::{self, Rows};
use super::runs::{self, Cursor, NewRun, Trouble, pages_of};
use super::summary::{COUNTERS, PRESENT, Summary, put_summary};
use super::{DayFile, Days, EXEMPLARS, put_pages};

/// Tables that settling knows how to write anew. A file with another one is left as it is: nothing may be lost.
const KNOWN: [&str; 9] = ["meta", "chunks", "histograms", "runs", "pages", "present", "counters", "index", "exemplars"];

/// How much of a day settling would write anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsettled {
    /// Of what flushes wrote since it was settled last.
    pub(crate) bytes: u64,
    pub(crate) flushes: usize,
    /// Of the whole day.
    pub(crate) all_bytes: u64,
}

/// A day written anew, not yet in its place.
pub(crate) struct Settled {
    day: Day,
    file: Arc<DayFile>,
    /// Commits of the old file when it was read.
    writes: u64,
    path: PathBuf,
    summary: Summary,
}

impl Settled {
    pub(crate) fn samples(&self) -> u64 {
        self.summary.runs.iter().map(|run| run.samples).sum()
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        // Renamed, or not wanted; if it stays, the next start removes it.
        drop(std::fs::remove_file(&self.path));
    }
}

impl Days {
    /// What of a day is not settled; `None` when its file is one settled run or there is none.
    pub(crate) fn unsettled(&self, day: Day) -> Result<Option<Unsettled>, StoreError> {
        let Some(file) = self.known.read().get(&day).cloned() else { return Ok(None) };
        let summary = self.summary(day)?;
        let (mut bytes, mut flushes, mut all_bytes) = (0, 0, 0);
        if summary.rows {
            (bytes, flushes, all_bytes) = (disk_bytes(&file.path), 1, disk_bytes(&file.path));
        }
        for run in &summary.runs {
            all_bytes += run.bytes;
            if !run.settled {
                bytes += run.bytes;
                flushes += 1;
            }
        }
        Ok((flushes > 0).then_some(Unsettled { bytes, flushes, all_bytes }))
    }

    /// Writes a day anew beside its file. Takes about 60 ns a sample and the memory of one series; locks nobody out.
    /// `None` when there is nothing to settle, or when the file has what this release does not know.
    pub(crate) fn settle(&self, day: Day) -> Result<Option<Settled>, StoreError> {
        let Some(file) = self.known.read().get(&day).cloned() else { return Ok(None) };
        let writes = file.writes.load(Ordering::Acquire);
        let (before, database) = self.opened(&file)?;
        let path = unfinished(&file.path);
        let mut settled = Settled { day, file: file.clone(), writes, path, summary: Summary::default() };
        let rewrite = std::panic::AssertUnwindSafe(|| self.rewrite(&database, &file.path, day, &before, &settled.path));
        let rewritten = std::panic::catch_unwind(rewrite)
            .unwrap_or_else(|_| Err(corrupt(&file.path, "redb stopped while it was settled".into())))?;
        let Some(summary) = rewritten else { return Ok(None) };
        settled.summary = summary;
        Ok(Some(settled))
    }

    /// Puts a settled day in its place, unless its file was written to or dropped since. To be called while no flush runs.
    pub(crate) fn put_in_place(&self, settled: Settled) -> Result<bool, StoreError> {
        let known = self.known.write();
        let same = known.get(&settled.day).is_some_and(|file| Arc::ptr_eq(file, &settled.file));
        if !same || settled.file.writes.load(Ordering::Acquire) != settled.writes {
            return Ok(false);
        }
        let mut summary = settled.file.summary.lock();
        let placed = self.files.put_in_place(&settled.file.path, &settled.path);
        // After a failure either file may be there, so it is read again.
        *summary = placed.is_ok().then(|| Arc::new(settled.summary.clone()));
        placed?;
        drop(summary);
        drop(known);
        Ok(true)
    }

    fn rewrite(
        &self,
        database: &Database,
        path: &Path,
        day: Day,
        before: &Summary,
        new_path: &Path,
    ) -> Result<Option<Summary>, StoreError> {
        let failed = |error: redb::Error| redb_error("settling a day file", path, error);
        let txn = database.begin_read().map_err(|error| failed(error.into()))?;
        if let Some(other) = unknown_table(&txn).map_err(failed)? {
            tracing::warn!(path = %path.display(), table = other, "a day is not settled: it has a table of another release");
            return Ok(None);
        }
        match std::fs::remove_file(new_path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io_error("remove", new_path, error));
            }
            _ => {}
        }
        let mut made = self.files.open_apart(new_path, DAY_CACHE_BYTES)?;
        let written = |error: redb::Error| redb_error("writing a settled day file", new_path, error);
        let mut write = made.begin_write().map_err(|error| written(error.into()))?;
        write.set_quick_repair(true);
        let mut run = NewRun::default();
        let read = copy_samples(&txn, path, day, before, &failed, &mut |series, columns| {
            run.add(series, &columns.settle(), SETTLED_CHUNK_SAMPLES);
            put_pages(&write, before.covered_seq, run.full_pages()).map_err(written)
        });
        if let Err(error) = read {
            // Left open it would be committed by nobody, but hold the file.
            drop(write.abort());
            return Err(error);
        }
        let Some((pages, run, _)) = run.finish(before.covered_seq, true) else { return Ok(None) };
        let summary = Summary {
            // As the index has them.
            present: before.present.clone(),
            covered_seq: before.covered_seq,
            span_ms: before.span_ms,
            runs: vec![run],
            rows: false,
            alone: None,
        };
        let finish = || -> Result<(), redb::Error> {
            put_pages(&write, run.seq, pages)?;
            carry(&txn, &write, INDEX)?;
            carry(&txn, &write, EXEMPLARS)?;
            put_summary(&write, &summary)?;
            Ok(write.commit()?)
        };
        finish().map_err(written)?;
        made.compact().map_err(|error| match error {
            redb::CompactionError::Storage(error) => written(error.into()),
            other => StoreError::Unavailable { reason: format!("{}: {other}", new_path.display()) },
        })?;
        Ok(Some(summary))
    }
}

/// Hands out all samples of a day, series by series, in the order in which they were written. Damage ends it: what cannot be read
/// stays where it is.
pub(super) fn copy_samples(
    txn: &ReadTransaction,
    path: &Path,
    day: Day,
    before: &Summary,
    failed: &dyn Fn(redb::Error) -> StoreError,
    each: &mut dyn FnMut(u32, Columns) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let rows = Rows::open(txn).map_err(failed)?;
    let pages = pages_of(txn).map_err(failed)?;
    let mut cursors: Vec<Cursor<'_>> = match &pages {
        Some(pages) => before.runs.iter().map(|run| Cursor::new(pages, run)).collect(),
        None => Vec::new(),
    };
    for series in &before.present {
        let mut columns = Columns::default();
        let mut all = All;
        if let Some(rows) = &rows {
            let mut told = |_: &mut dyn ReadGuard, error| Err(damaged(path, series, error));
            rows.read(day, series, MsRange::ALL, u64::MAX, &mut all, &mut columns, &mut told, failed)?;
        }
        for cursor in &mut cursors {
            let mut told = |series, trouble, _: &mut dyn ReadGuard| match trouble {
                Trouble::Redb(error) => Err(failed(error)),
                Trouble::Bad(error) => Err(damaged(path, series, error)),
            };
            cursor.read(series, MsRange::ALL, &mut all, &mut columns, &mut told)?;
        }
        each(series, columns)?;
    }
    Ok(())
}

/// Copies a table as it is.
pub(super) fn carry<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    definition: TableDefinition<'_, K, V>,
) -> Result<(), redb::Error> {
    let rows = match from.open_table(definition) {
        Ok(rows) => rows,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut table = to.open_table(definition)?;
    for row in rows.iter()? {
        let (key, value) = row?;
        table.insert(key.value(), value.value())?;
    }
    Ok(())
}

fn unknown_table(txn: &ReadTransaction) -> Result<Option<String>, redb::Error> {
    let names = [rows::CHUNKS.name(), rows::HISTOGRAMS.name(), runs::RUNS.name(), runs::PAGES.name()];
    debug_assert!(
        names
            .iter()
            .chain(&[PRESENT.name(), COUNTERS.name(), INDEX.name(), EXEMPLARS.name()])
            .all(|name| KNOWN.contains(name))
    );
    Ok(txn.list_tables()?.map(|table| table.name().to_owned()).find(|name| !KNOWN.contains(&name.as_str())))
}

/// No budget: one series of one day at a time.
struct All;

impl ReadGuard for All {
    fn spend(&mut self, _samples: u64, _bytes: u64) -> Result<(), StoreError> {
        Ok(())
    }
}
