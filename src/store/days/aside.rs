//! Setting day files of metrics aside (what that is: `store/aside.rs`), and telling of damage inside those that stay.

use std::path::Path;
use std::sync::Arc;

use model::meter::Counter;
use model::time::Day;

use crate::StoreError;
use crate::aside::{self, Aside};
use crate::file::corrupt;

use super::{DayFile, Days};

static SET_ASIDE: Counter =
    Counter::new("binnacle_store_set_aside_total", "Day files set aside because they could not be read.", &[]);
static DAMAGED: Counter = Counter::new(
    "binnacle_store_damaged_reads_total",
    "Pages and chunks of day files that a query could not read.",
    &[],
);

/// What a file of metrics holds, in words.
pub(super) const SAMPLES: &str = "samples";

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
        let put = aside::put(&self.dir, SAMPLES, (day, &file.path), error, || self.files.forget(&file.path))?;
        known.remove(&day);
        drop(known);
        SET_ASIDE.add(&[], 1);
        tracing::error!(day = %day, what = put.describe(), "a day file is damaged");
        self.aside.lock().push(put);
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
        self.aside.lock().iter().map(|aside| (aside.day, aside.bytes())).collect()
    }

    /// Removes the files of days before `day` that were set aside, and tells the days.
    pub(super) fn drop_aside_before(&self, day: Day) -> Result<Vec<Day>, StoreError> {
        aside::drop_before(&mut self.aside.lock(), day)
    }

    /// Forgets files that somebody has removed or taken away.
    pub(crate) fn look_aside(&self) {
        aside::look(&mut self.aside.lock());
    }
}
