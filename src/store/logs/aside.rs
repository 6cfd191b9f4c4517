//! Day files of logs that cannot be read: moved to `logs/set-aside/`, so that the other days serve and theirs takes new records.
//!
//! As with metrics nothing is deleted before its retention ends: a backup may bring the day back, or a tool what is left in it.

use std::path::{Path, PathBuf};

use model::meter::Counter;
use model::time::Day;

use super::index;
use crate::StoreError;
use crate::file::{Files, io_error, make_dir, sync_dir};
use crate::writer::describe;

static SET_ASIDE: Counter = Counter::new(
    "binnacle_log_days_set_aside_total",
    "Day files of logs set aside because they could not be read.",
    &[],
);

pub(super) const DIRECTORY: &str = "set-aside";
/// Files of one day that are kept; one more means that the disk is failing, and the day is left as it is.
const FILES_A_DAY_MAX: u32 = 10;

/// A file that was set aside.
#[derive(Debug, Clone)]
pub(super) struct Aside {
    day: Day,
    path: PathBuf,
    /// Not known of those found at a start.
    reason: Option<String>,
}

impl Aside {
    /// What is wrong and what to do, in one line.
    pub(super) fn describe(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or("it could not be read");
        format!(
            "the log records of {} up to then are set aside in {}: {reason}; restore the day from a backup, or remove that file",
            self.day,
            self.path.display()
        )
    }
}

/// Files set aside earlier.
pub(super) fn list(logs_dir: &Path) -> Result<Vec<Aside>, StoreError> {
    let dir = logs_dir.join(DIRECTORY);
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

/// Moves a day's file away after an error that says it cannot be read, and removes its index.
///
/// # Errors
/// The one given, when it says something else; when the file cannot be moved.
pub(super) fn set_aside(logs_dir: &Path, day: Day, files: &Files, error: StoreError) -> Result<Aside, StoreError> {
    if !matches!(error, StoreError::Corrupt { .. }) {
        return Err(error);
    }
    let from = logs_dir.join(format!("{day}.redb"));
    let dir = logs_dir.join(DIRECTORY);
    make_dir(&dir)?;
    let free = (1..=FILES_A_DAY_MAX)
        .map(|number| if number == 1 { format!("{day}.redb") } else { format!("{day}.{number}.redb") })
        .map(|name| dir.join(name))
        .find(|path| !path.exists());
    let Some(target) = free else {
        let reason = format!("{FILES_A_DAY_MAX} files of {day} are in {} already; remove some", dir.display());
        return Err(StoreError::Unavailable { reason });
    };
    files.log_summaries.forget(&from);
    files.forget(&from);
    std::fs::rename(&from, &target).map_err(|error| io_error("rename", &from, error))?;
    sync_dir(&dir)?;
    sync_dir(logs_dir)?;
    // Blocks are numbered from 0 again: nothing of the old index may stay.
    index::remove_dir(&logs_dir.join(format!("{day}.idx")))?;
    let aside = Aside { day, path: target, reason: Some(describe(&error)) };
    SET_ASIDE.add(&[], 1);
    tracing::error!(day = %day, what = aside.describe(), "a day file of logs is damaged");
    Ok(aside)
}

/// Removes the files of days before `day`.
pub(super) fn drop_before(aside: &mut Vec<Aside>, day: Day) -> Result<(), StoreError> {
    for old in aside.iter().filter(|aside| aside.day < day) {
        match std::fs::remove_file(&old.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io_error("remove", &old.path, error));
            }
            _ => {}
        }
    }
    aside.retain(|aside| aside.day >= day);
    Ok(())
}

/// What is set aside, in words; without what somebody has taken away since.
pub(super) fn describe_all(aside: &mut Vec<Aside>) -> Vec<String> {
    aside.retain(|aside| aside.path.exists());
    aside.iter().map(Aside::describe).collect()
}
