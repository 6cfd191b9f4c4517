//! Day files that cannot be read: moved to `metrics/set-aside/`, so that the other days serve and theirs takes new samples.
//!
//! Nothing is deleted before its retention ends: a backup may bring the day back, or a tool what is left in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::meter::Counter;
use model::time::Day;

use crate::StoreError;
use crate::file::{corrupt, disk_bytes, io_error, make_dir, sync_dir};
use crate::writer::describe;

use super::{DayFile, Days};

static SET_ASIDE: Counter =
    Counter::new("binnacle_store_set_aside_total", "Day files set aside because they could not be read.", &[]);
static DAMAGED: Counter = Counter::new(
    "binnacle_store_damaged_reads_total",
    "Pages and chunks of day files that a query could not read.",
    &[],
);

const DIRECTORY: &str = "set-aside";
/// Files of one day that are kept; one more means that the disk is failing, and the day is left as it is.
const FILES_A_DAY_MAX: u32 = 10;

/// A file that was set aside.
#[derive(Debug, Clone)]
pub(crate) struct Aside {
    pub(super) day: Day,
    pub(super) path: PathBuf,
    /// Not known of those found at a start.
    reason: Option<String>,
}

impl Aside {
    /// What is wrong and what to do, in one line.
    pub(crate) fn describe(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or("it could not be read");
        format!(
            "the samples of {} up to then are set aside in {}: {reason}; restore the day from a backup, or remove that file",
            self.day,
            self.path.display()
        )
    }
}

/// Files set aside earlier.
pub(super) fn list(metrics_dir: &Path) -> Result<Vec<Aside>, StoreError> {
    let dir = metrics_dir.join(DIRECTORY);
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("list", &dir, error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| io_error("list", &dir, error))?.path();
        let day = path.file_name().and_then(|name| name.to_str()).and_then(|name| Day::parse(name.split('.').next()?));
        found.extend(day.map(|day| Aside { day, path, reason: None }));
    }
    Ok(found)
}

/// A chunk, page or file that gave nothing: counted, and as an error that names it.
pub(super) fn damaged(path: &Path, series: u32, error: codec::wire::BadBytes) -> StoreError {
    DAMAGED.add(&[], 1);
    tracing::warn!(path = %path.display(), series, reason = %error, "samples cannot be read");
    corrupt(path, format!("series {series}: {error}"))
}

impl Days {
    /// Moves a day's file away after an error that says it cannot be read. Whoever has it open reads on in it.
    pub(super) fn set_aside(&self, day: Day, file: &Arc<DayFile>, error: &StoreError) -> Result<(), StoreError> {
        let mut known = self.known.write();
        if !known.get(&day).is_some_and(|known| Arc::ptr_eq(known, file)) {
            // Somebody else was quicker, or retention.
            return Ok(());
        }
        let dir = self.dir.join(DIRECTORY);
        make_dir(&dir)?;
        let free = (1..=FILES_A_DAY_MAX)
            .map(|number| if number == 1 { format!("{day}.redb") } else { format!("{day}.{number}.redb") })
            .map(|name| dir.join(name))
            .find(|path| !path.exists());
        let Some(target) = free else {
            let reason = format!("{FILES_A_DAY_MAX} files of {day} are in {} already; remove some", dir.display());
            return Err(StoreError::Unavailable { reason });
        };
        self.files.forget(&file.path);
        std::fs::rename(&file.path, &target).map_err(|error| io_error("rename", &file.path, error))?;
        sync_dir(&dir)?;
        sync_dir(&self.dir)?;
        known.remove(&day);
        drop(known);
        let aside = Aside { day, path: target, reason: Some(describe(error)) };
        SET_ASIDE.add(&[], 1);
        tracing::error!(day = %day, what = aside.describe(), "a day file is damaged");
        self.aside.lock().push(aside);
        Ok(())
    }

    /// Goes on without a day's file after an error of reading it, if that says that it is damaged.
    pub(super) fn lose(&self, day: Day, file: &Arc<DayFile>, error: StoreError) -> Result<(), StoreError> {
        match error {
            StoreError::Corrupt { .. } => self.set_aside(day, file, &error),
            error => Err(error),
        }
    }

    /// What is set aside, in words.
    pub(crate) fn set_aside_files(&self) -> Vec<String> {
        self.aside.lock().iter().map(Aside::describe).collect()
    }

    /// Bytes of the files set aside of each day.
    pub(super) fn aside_sizes(&self) -> Vec<(Day, u64)> {
        self.aside.lock().iter().map(|aside| (aside.day, disk_bytes(&aside.path))).collect()
    }

    /// Removes the files of days before `day` that were set aside, and tells the days.
    pub(super) fn drop_aside_before(&self, day: Day) -> Result<Vec<Day>, StoreError> {
        let mut aside = self.aside.lock();
        let mut dropped = Vec::new();
        for old in aside.iter().filter(|aside| aside.day < day) {
            match std::fs::remove_file(&old.path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io_error("remove", &old.path, error));
                }
                _ => dropped.push(old.day),
            }
        }
        aside.retain(|aside| aside.day >= day);
        Ok(dropped)
    }

    /// Forgets files that somebody has removed or taken away.
    pub(crate) fn look_aside(&self) {
        self.aside.lock().retain(|aside| aside.path.exists());
    }
}
