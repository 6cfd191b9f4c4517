//! What the days of a tenant's logs take on the disk, and their end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::time::Day;

use super::day::DayFile;
use super::{DayState, LogStore, index};
use crate::StoreError;
use crate::file::disk_bytes;

impl LogStore {
    pub(super) fn index_dir(&self, day: Day) -> PathBuf {
        self.dir.join(format!("{day}.idx"))
    }

    /// Days that have files, oldest first, with the bytes they take on the disk.
    pub(crate) fn days(&self) -> Vec<(Day, u64)> {
        let state = self.state.lock();
        let known: Vec<(Day, Arc<DayFile>)> =
            state.days.iter().map(|(number, day)| (*number, day.file.clone())).collect();
        drop(state);
        let bytes = |number: Day, file: &DayFile| disk_bytes(file.path()) + dir_bytes(&self.index_dir(number));
        known.into_iter().filter(|(_, file)| file.path().exists()).map(|(day, file)| (day, bytes(day, &file))).collect()
    }

    /// Forgets every day before `day`: head, blocks and index; the disk space is free when this returns, or as soon as the
    /// last reader of those days ends.
    pub(crate) fn drop_before(&self, day: Day) -> Result<(), StoreError> {
        let indexing = self.indexing.lock();
        self.settling.lock().drop_before(day);
        let writing = self.writing.lock();
        let old: Vec<(Day, DayState)> = {
            let mut state = self.state.lock();
            let kept = state.days.split_off(&day);
            let old = std::mem::replace(&mut state.days, kept);
            state.head_bytes -= old.values().map(|day| day.head_bytes).sum::<u64>();
            old.into_iter().collect()
        };
        crate::aside::drop_before(&mut self.aside.lock(), day)?;
        for (number, state) in old {
            state.file.remove()?;
            index::remove_dir(&self.index_dir(number))?;
        }
        drop((writing, indexing));
        Ok(())
    }
}

/// Bytes of a day's index on the disk. What vanishes while it is counted counts nothing.
pub(super) fn dir_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.map(|path| if path.is_dir() { dir_bytes(&path) } else { disk_bytes(&path) }).sum()
}
