//! Day files of one tenant (`metrics/2026-11-21.redb`): the samples of a UTC day, as runs of pages, one run a flush, until the
//! day is settled into one.
//!
//! A file says up to which intake number it holds everything of its day (`covered`), in the same commit as the run, so that a
//! replay after a crash adds nothing twice. Layout: `FORMAT.md`.

mod aside;
mod exemplars;
mod names;
mod read;
mod rollup;
mod rollup_read;
mod rows;
mod runs;
mod settle;
mod summary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::time::Day;
use parking_lot::{Mutex, RwLock};
use redb::{Database, WriteTransaction};
use roaring::RoaringBitmap;

use crate::columns::Columns;
use crate::exemplars::Row;
use crate::file::{Files, OpenFile, corrupt, disk_bytes, guarded, io_error, redb_error};
use crate::index::day::DayIndex;
use crate::index::write::LabelsOf;
use crate::limits::{DAY_CACHE_BYTES, NEWEST_DAY_CACHE_BYTES};
use crate::{ReadGuard, StoreError, index};

use crate::aside::Aside;
use exemplars::EXEMPLARS;
pub(crate) use read::Wanted;
pub use rollup::STEP_MS;
pub(crate) use rollup::step_of;
pub(crate) use rollup_read::OfRollup;
pub(crate) use runs::NewRun;
pub(crate) use settle::Unsettled;
pub(crate) use summary::Summary;
use summary::{put_summary, read_summary};

pub(crate) struct Days {
    files: Arc<Files>,
    dir: PathBuf,
    known: RwLock<BTreeMap<Day, Arc<DayFile>>>,
    aside: Mutex<Vec<Aside>>,
}

struct DayFile {
    path: PathBuf,
    /// Of this file and no other, for the cache of its index.
    id: u64,
    /// Read at first need.
    summary: Mutex<Option<Arc<Summary>>>,
    /// Grows with every commit, so that settling sees whether the file changed meanwhile.
    writes: AtomicU64,
}

impl DayFile {
    fn new(path: PathBuf) -> Arc<DayFile> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Arc::new(DayFile { path, id, summary: Mutex::new(None), writes: AtomicU64::new(0) })
    }
}

/// What a flush has of one day.
pub(crate) struct DayRows {
    pub(crate) run: NewRun,
    pub(crate) exemplars: Vec<Row>,
}

impl Days {
    /// Lists the files; opens none.
    pub(crate) fn open(dir: &Path, files: Arc<Files>) -> Result<Days, StoreError> {
        remove_unfinished(dir)?;
        let known = list(dir)?.into_iter().map(|(day, path)| (day, DayFile::new(path))).collect();
        Ok(Days {
            files,
            dir: dir.to_owned(),
            known: RwLock::new(known),
            aside: Mutex::new(crate::aside::list(dir, aside::SAMPLES)?),
        })
    }

    /// Days that have files, oldest first, with the bytes these take on the disk; what is set aside counts too.
    pub(crate) fn sizes(&self) -> Vec<(Day, u64)> {
        let mut sizes: BTreeMap<Day, u64> =
            self.known.read().iter().map(|(day, file)| (*day, disk_bytes(&file.path))).collect();
        for (day, bytes) in self.aside_sizes() {
            *sizes.entry(day).or_default() += bytes;
        }
        sizes.into_iter().collect()
    }

    pub(crate) fn days(&self) -> Vec<Day> {
        self.known.read().keys().copied().collect()
    }

    /// Default when the day has no file, or one that cannot be read, which is set aside.
    pub(crate) fn summary(&self, day: Day) -> Result<Arc<Summary>, StoreError> {
        let Some(file) = self.known.read().get(&day).cloned() else { return Ok(Arc::default()) };
        let summary = file.summary.lock().clone();
        if let Some(summary) = summary {
            return Ok(summary);
        }
        match self.opened(&file) {
            Ok((summary, _)) => Ok(summary),
            Err(error) => self.lose(day, &file, error).map(|()| Arc::default()),
        }
    }

    /// A file and its summary. Under one lock, so that they belong together whatever takes the file's place meanwhile.
    fn opened(&self, file: &DayFile) -> Result<(Arc<Summary>, Arc<OpenFile>), StoreError> {
        // Not under the lock: settling takes this one while it has all days to itself.
        let cache_bytes = self.cache_bytes(file);
        let mut held = file.summary.lock();
        let database = self.files.get(&file.path, cache_bytes)?;
        if let Some(summary) = &*held {
            return Ok((summary.clone(), database));
        }
        let summary = Arc::new(read_summary(&database, &file.path)?);
        *held = Some(summary.clone());
        Ok((summary, database))
    }

    /// The page cache that a day's file is opened with.
    fn cache_bytes(&self, file: &DayFile) -> usize {
        // Names of files are in the order of their days.
        let is_newest = self.known.read().last_key_value().is_none_or(|(_, newest)| newest.path <= file.path);
        if is_newest { NEWEST_DAY_CACHE_BYTES } else { DAY_CACHE_BYTES }
    }

    /// The day's index of series; `None` while it has none, or when its file is set aside.
    pub(crate) fn index(&self, day: Day) -> Result<Option<DayIndex<'_>>, StoreError> {
        let Some(file) = self.known.read().get(&day).cloned() else { return Ok(None) };
        let opened = guarded(&file.path, || {
            let database = self.files.get(&file.path, self.cache_bytes(&file))?;
            DayIndex::open(database, &file.path, file.id, &self.files.index_cache)
        });
        opened.or_else(|error| self.lose(day, &file, error).map(|()| None))
    }

    /// Uses a day's index as [`Days::index`]; one that turns out to be damaged on the way counts as none, with its file set aside.
    pub(crate) fn with_index<T>(
        &self,
        day: Day,
        mut with: impl FnMut(&DayIndex<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let Some(file) = self.known.read().get(&day).cloned() else { return Ok(None) };
        let Some(index) = self.index(day)? else { return Ok(None) };
        let done = guarded(&file.path, || with(&index).map(Some));
        done.or_else(|error| self.lose(day, &file, error).map(|()| None))
    }

    /// Puts the names that the migration from version 1 left as rows into the day's index.
    pub(crate) fn pack_names(&self, day: Day) -> Result<(), StoreError> {
        let Some(file) = self.known.read().get(&day).cloned() else { return Ok(()) };
        let packed = guarded(&file.path, || {
            let database = self.files.get(&file.path, self.cache_bytes(&file))?;
            names::pack(&database).map_err(|error| {
                self.files.forget(&file.path);
                redb_error("writing a day's index", &file.path, error)
            })
        });
        packed.or_else(|error| self.lose(day, &file, error))
    }

    /// Writes a run and exemplars of one day in one commit; from then on the file covers its day up to `covered_seq`, which must be
    /// more than before. `fresh` are the series that it does not name yet, `labels_of` their names.
    pub(crate) fn write(
        &self,
        day: Day,
        rows: DayRows,
        covered_seq: u64,
        fresh: &RoaringBitmap,
        labels_of: &LabelsOf<'_>,
    ) -> Result<(), StoreError> {
        let DayRows { run, exemplars } = rows;
        let before = self.summary(day)?;
        let run = run.finish(covered_seq, false);
        let times = exemplars.iter().map(|((_, at_ms, _), _)| (*at_ms, *at_ms));
        let spans = times.chain(run.iter().map(|(_, run, _)| (run.first_ms, run.last_ms))).chain(before.span_ms);
        let span_ms = spans.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)));
        if run.is_none() && exemplars.is_empty() {
            return Ok(());
        }
        let file =
            self.known.read().get(&day).cloned().unwrap_or_else(|| DayFile::new(self.dir.join(format!("{day}.redb"))));
        crate::file::make_dir(&self.dir)?;
        let mut summary = Summary { covered_seq, span_ms, ..(*before).clone() };
        let mut pages = Vec::new();
        if let Some((of_run, run, present)) = run {
            pages = of_run;
            summary.runs.push(run);
            summary.present |= present;
            summary.present.optimize();
        }
        file.writes.fetch_add(1, Ordering::AcqRel);
        let written = self.files.get(&file.path, self.cache_bytes(&file)).and_then(|database| {
            // redb asserts on some damaged pages.
            let index = |txn: &WriteTransaction| index::write::add(txn, fresh, labels_of);
            let write = std::panic::AssertUnwindSafe(|| {
                write_run(&database, (covered_seq, pages), &exemplars, &summary, &index)
            });
            match std::panic::catch_unwind(write) {
                Ok(written) => written.map_err(|error| redb_error("writing a day file", &file.path, error)),
                Err(_) => Err(corrupt(&file.path, "redb stopped while writing it".into())),
            }
        });
        if let Err(error) = written {
            // A failed commit poisons the handle.
            self.files.forget(&file.path);
            if let StoreError::Corrupt { .. } = error {
                // The next attempt begins a new file.
                self.set_aside(day, &file, &error)?;
            }
            return Err(error);
        }
        *file.summary.lock() = Some(Arc::new(summary));
        self.known.write().insert(day, file);
        Ok(())
    }

    /// Adds the samples of `wanted.series[n]` to `columns[n]`. Opens only the files of days in the range that are not `left_out`, and
    /// looks only at runs and chunks in it.
    pub(crate) fn read(
        &self,
        wanted: Wanted<'_>,
        left_out: &dyn Fn(Day) -> bool,
        guard: &mut dyn ReadGuard,
        columns: &mut [Columns],
    ) -> Result<(), StoreError> {
        let days: Vec<(Day, Arc<DayFile>)> = self
            .known
            .read()
            .range(Day::of_ms(wanted.range.start_ms)..=Day::of_ms(wanted.range.end_ms))
            .map(|(day, file)| (*day, file.clone()))
            .collect();
        for (day, file) in days {
            if left_out(day) {
                continue;
            }
            let (summary, database) = match self.opened(&file) {
                Ok(opened) => opened,
                Err(error @ StoreError::Corrupt { .. }) => {
                    self.set_aside(day, &file, &error)?;
                    guard.damaged(error)?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let read = read::read_day(&database, &file.path, (&summary, day), wanted, guard, columns);
            match read {
                Err(error @ StoreError::Corrupt { .. }) => guard.damaged(error)?,
                read => read?,
            }
        }
        Ok(())
    }

    /// Removes the files of days before `day`, set aside or not; their space is free at once, or when their last reader ends.
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
        dropped.extend(self.drop_aside_before(day)?);
        Ok(dropped)
    }
}

/// The day files in a directory.
fn list(dir: &Path) -> Result<Vec<(Day, PathBuf)>, StoreError> {
    let day_of = |path: PathBuf| {
        let day = path.file_name()?.to_str()?.strip_suffix(".redb").and_then(Day::parse)?;
        Some((day, path))
    };
    Ok(entries(dir)?.into_iter().filter_map(day_of).collect())
}

/// As [`list`], the paths alone.
pub(crate) fn paths(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    Ok(list(dir)?.into_iter().map(|(_, path)| path).collect())
}

/// Removes what a making that was cut short has left; what it was to replace is there.
fn remove_unfinished(dir: &Path) -> Result<(), StoreError> {
    for path in entries(dir)? {
        if path.to_str().is_some_and(|path| path.ends_with(".redb.new")) {
            std::fs::remove_file(&path).map_err(|error| io_error("remove", &path, error))?;
        }
    }
    Ok(())
}

/// Empty for a directory that is not there.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = |error| io_error("list", dir, error);
    match std::fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

type WriteIndex<'a> = dyn Fn(&WriteTransaction) -> Result<(), redb::Error> + 'a;

fn write_run(
    database: &Database,
    pages: (u64, Vec<codec::page::Packed>),
    exemplars: &[Row],
    summary: &Summary,
    index: &WriteIndex<'_>,
) -> Result<(), redb::Error> {
    let mut txn = database.begin_write()?;
    // Else a crash makes the next open read the whole file.
    txn.set_quick_repair(true);
    put_pages(&txn, pages.0, pages.1)?;
    if !exemplars.is_empty() {
        let mut table = txn.open_table(EXEMPLARS)?;
        for (key, row) in exemplars {
            table.insert(key, row.as_slice())?;
        }
    }
    index(&txn)?;
    put_summary(&txn, summary)?;
    txn.commit()?;
    Ok(())
}

fn put_pages(txn: &redb::WriteTransaction, seq: u64, pages: Vec<codec::page::Packed>) -> Result<(), redb::Error> {
    let mut table = txn.open_table(runs::PAGES)?;
    for page in pages {
        table.insert((seq, page.series, page.part), page.bytes.as_slice())?;
    }
    Ok(())
}
