//! Steps of `migrations/` that take more than one file.

use std::path::Path;

use migrations::v1;
use redb::Database;

use crate::StoreError;
use crate::error::describe;
use crate::file::{Files, guarded, redb_error};
use crate::intake::path_in;

/// Brings a tenant of version 1 to version 2: first its days, which get the names of their series, then its intake log. Broken off, it
/// begins again and leaves out the days that are done.
pub(crate) fn tenant(dir: &Path, files: &Files) -> Result<(), StoreError> {
    let intake_path = path_in(dir);
    let Some(intake) = of_version_1(&intake_path, files)? else { return Ok(()) };
    let wrap = |path: &Path, error: redb::Error| redb_error("migrating from version 1", path, error);
    let names = v1::Names::read(&intake).map_err(|error| wrap(&intake_path, error))?;
    let mut days = 0;
    for path in crate::days::paths(&dir.join("metrics"))? {
        let migrated = guarded(&path, || {
            let Some(day) = of_version_1(&path, files)? else { return Ok(0) };
            v1::day(&day, &names).map_err(|error| wrap(&path, error))?;
            Ok(1)
        });
        match migrated {
            Ok(count) => days += count,
            // It is set aside when the tenant's days are opened.
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(reason = describe(&error), "a day of version 1 is damaged and was not migrated");
            }
            Err(error) => return Err(error),
        }
    }
    drop((names, intake));
    tracing::info!(dir = %dir.display(), days, "the store was brought from version 1 to 2");
    // Its own step runs when it is opened next.
    Ok(())
}

fn of_version_1(path: &Path, files: &Files) -> Result<Option<Database>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    files.open_as_it_is(path, 1)
}
