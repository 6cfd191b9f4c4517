//! Setting day files of logs aside; what that is: `store/aside.rs`.

use std::path::Path;

use model::meter::Counter;
use model::time::Day;

use super::index;
use crate::StoreError;
use crate::aside::{self, Aside};
use crate::file::Files;

static SET_ASIDE: Counter = Counter::new(
    "binnacle_log_days_set_aside_total",
    "Day files of logs set aside because they could not be read.",
    &[],
);

/// What a file of logs holds, in words.
const RECORDS: &str = "log records";

/// Files set aside earlier.
pub(super) fn list(logs_dir: &Path) -> Result<Vec<Aside>, StoreError> {
    aside::list(logs_dir, RECORDS)
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
    let put = aside::put(logs_dir, RECORDS, (day, &from), &error, || {
        files.forget(&from);
    })?;
    // Blocks are numbered from 0 again: nothing of the old index may stay.
    index::remove_dir(&logs_dir.join(format!("{day}.idx")))?;
    SET_ASIDE.add(&[], 1);
    tracing::error!(day = %day, what = put.describe(), "a day file of logs is damaged");
    Ok(put)
}
