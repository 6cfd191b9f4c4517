//! A day's file written anew beside the old one, whose name it then takes.

use std::path::PathBuf;

use redb::Database;

use super::day::{CACHE_BYTES, DayFile, Standing, append};
use super::seal::Sealed;
use crate::StoreError;
use crate::file::{guarded, io_error, redb_error, unfinished};

/// Bytes of blocks copied to a new file in one commit.
const COPY_BYTES: usize = 8 << 20;

impl DayFile {
    /// Lets the new file that was made beside this one take its name, and gives the handle of it. Readers of this one read on.
    ///
    /// # Errors
    /// Then either file may have the name, and nothing more is written to it before the next start.
    pub(super) fn replace(&self) -> Result<DayFile, StoreError> {
        let mut standing = self.standing.write();
        let Some(old) = self.opened(&standing)? else {
            return Err(StoreError::Unavailable { reason: format!("{} was removed", self.path.display()) });
        };
        *standing = Standing::Replaced(old);
        self.files.put_in_place(&self.path, &unfinished(&self.path))?;
        Ok(DayFile::new(self.path.clone(), self.files.clone()))
    }
}

/// A file of the same day in the making, beside the old one.
pub(super) struct NewDay {
    path: PathBuf,
    /// Taken when it is finished.
    database: Option<Database>,
    blocks: u64,
    pending: Vec<Sealed>,
    pending_bytes: usize,
}

impl NewDay {
    pub(super) fn create(of: &DayFile) -> Result<NewDay, StoreError> {
        let path = unfinished(&of.path);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io_error("remove", &path, error)),
            _ => {}
        }
        let database = Some(of.files.open_apart(&path, CACHE_BYTES)?);
        Ok(NewDay { path, database, blocks: 0, pending: Vec::new(), pending_bytes: 0 })
    }

    /// Adds a block under the next number.
    pub(super) fn add(&mut self, sealed: Sealed) -> Result<(), StoreError> {
        self.pending_bytes += sealed.bytes.len();
        self.pending.push(sealed);
        if self.pending_bytes >= COPY_BYTES { self.write(0) } else { Ok(()) }
    }

    fn write(&mut self, covered: u64) -> Result<(), StoreError> {
        let Some(database) = &self.database else { return Ok(()) };
        let written = guarded(&self.path, || {
            append(database, self.blocks, &self.pending, covered)
                .map_err(|error| redb_error("write a day of logs anew", &self.path, error))
        })?;
        self.blocks += written.len() as u64;
        self.pending.clear();
        self.pending_bytes = 0;
        Ok(())
    }

    /// Makes the file durable and closes it.
    pub(super) fn finish(mut self, covered: u64) -> Result<(), StoreError> {
        self.write(covered)?;
        let Some(mut database) = self.database.take() else { return Ok(()) };
        guarded(&self.path, || {
            database.compact().map_err(|error| match error {
                redb::CompactionError::Storage(error) => {
                    redb_error("write a day of logs anew", &self.path, error.into())
                }
                other => StoreError::Unavailable { reason: format!("{}: {other}", self.path.display()) },
            })
        })?;
        Ok(())
    }
}

impl Drop for NewDay {
    /// One that was not finished is of no use; if it stays, the next one takes its place.
    fn drop(&mut self) {
        if self.database.take().is_some() {
            drop(std::fs::remove_file(&self.path));
        }
    }
}
