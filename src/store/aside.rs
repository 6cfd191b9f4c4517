//! Day files that cannot be read: moved to a directory `set-aside` beside the days, so that the other days serve and theirs takes new data.
//!
//! Nothing is deleted before its retention ends: a backup may bring the day back, or a tool what is left in it.

use std::path::{Path, PathBuf};

use model::time::Day;

use crate::StoreError;
use crate::error::describe;
use crate::file::{disk_bytes, io_error, make_dir, sync_dir};

pub(crate) const DIRECTORY: &str = "set-aside";
/// Files of one day that are kept, and of alert state; one more means that the disk is failing, and the file is left as it is.
const FILES_OF_A_NAME_MAX: u32 = 10;

/// A file that was set aside.
#[derive(Debug, Clone)]
pub(crate) struct Aside {
    /// `samples` or `log records`.
    what: &'static str,
    pub(crate) day: Day,
    path: PathBuf,
    /// Not known of those found at a start.
    reason: Option<String>,
}

impl Aside {
    /// What is wrong and what to do, in one line.
    pub(crate) fn describe(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or("it could not be read");
        format!(
            "the {} of {} up to then are set aside in {}: {reason}; restore the day from a backup, or remove that file",
            self.what,
            self.day,
            self.path.display()
        )
    }

    pub(crate) fn bytes(&self) -> u64 {
        disk_bytes(&self.path)
    }
}

/// Files set aside earlier below the directory of the days.
pub(crate) fn list(days_dir: &Path, what: &'static str) -> Result<Vec<Aside>, StoreError> {
    let mut found = Vec::new();
    for path in put_away_before(days_dir)? {
        let day = path.file_name().and_then(|name| name.to_str()).and_then(|name| Day::parse(name.split('.').next()?));
        found.extend(day.map(|day| Aside { what, day, path, reason: None }));
    }
    Ok(found)
}

/// Whatever was put away of a directory.
pub(crate) fn put_away_before(from_dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let dir = from_dir.join(DIRECTORY);
    let failed = |error| io_error("list", &dir, error);
    match std::fs::read_dir(&dir) {
        Ok(entries) => entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

/// Moves a day's file away after the error that says it cannot be read; `forget` closes the store's own handle of it before.
pub(crate) fn put(
    days_dir: &Path,
    what: &'static str,
    (day, from): (Day, &Path),
    error: &StoreError,
    forget: impl FnOnce(),
) -> Result<Aside, StoreError> {
    let path = put_away(days_dir, from, forget)?;
    Ok(Aside { what, day, path, reason: Some(describe(error)) })
}

/// Moves a file to the directory beside it, under a name of its own there; `forget` closes the store's own handle of it before.
pub(crate) fn put_away(from_dir: &Path, from: &Path, forget: impl FnOnce()) -> Result<PathBuf, StoreError> {
    let dir = from_dir.join(DIRECTORY);
    make_dir(&dir)?;
    let stem = from.file_stem().unwrap_or_default().to_string_lossy();
    let free = (1..=FILES_OF_A_NAME_MAX)
        .map(|number| if number == 1 { format!("{stem}.redb") } else { format!("{stem}.{number}.redb") })
        .map(|name| dir.join(name))
        .find(|path| !path.exists());
    let Some(path) = free else {
        let reason = format!("{FILES_OF_A_NAME_MAX} files of {stem} are in {} already; remove some", dir.display());
        return Err(StoreError::Unavailable { reason });
    };
    forget();
    std::fs::rename(from, &path).map_err(|error| io_error("rename", from, error))?;
    sync_dir(&dir)?;
    sync_dir(from_dir)?;
    Ok(path)
}

/// Removes the files of days before `day`, and tells the days.
pub(crate) fn drop_before(aside: &mut Vec<Aside>, day: Day) -> Result<Vec<Day>, StoreError> {
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
pub(crate) fn look(aside: &mut Vec<Aside>) {
    aside.retain(|aside| aside.path.exists());
}
