//! A day's file written anew beside the old one, whose name it then takes.
//!
//! The index numbers blocks, so it goes before the file changes, and comes after: made anew, or ready under a name of its own. A crash at
//! any point leaves the old file or the new one, whole, with no index or its own. Whoever reads the old file meanwhile reads on in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use codec::block::Block;
use model::time::Day;
use redb::Database;

use super::day::{CACHE_BYTES, DayFile, Info, Standing};
use super::day_tables::{append, mark_settled, stored};
use super::seal::Sealed;
use super::{LogStore, index};
use crate::StoreError;
use crate::file::{corrupt, guarded, io_error, redb_error, sync_dir, unfinished};

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
    /// Those that are written.
    blocks: Vec<Info>,
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
        Ok(NewDay { path, database, blocks: Vec::new(), pending: Vec::new(), pending_bytes: 0 })
    }

    /// Adds a block under the next number.
    pub(super) fn add(&mut self, sealed: Sealed) -> Result<(), StoreError> {
        self.pending_bytes += sealed.bytes.len();
        self.pending.push(sealed);
        if self.pending_bytes >= COPY_BYTES { self.write(0) } else { Ok(()) }
    }

    /// How many blocks were added.
    pub(super) fn count(&self) -> u64 {
        (self.blocks.len() + self.pending.len()) as u64
    }

    /// Writes what was added, so that it can be read.
    pub(super) fn write_all(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() { Ok(()) } else { self.write(0) }
    }

    /// The blocks that are written.
    pub(super) fn blocks(&self) -> &[Info] {
        &self.blocks
    }

    /// One of them.
    pub(super) fn block(&self, id: u64) -> Result<Block, StoreError> {
        let Some(database) = &self.database else {
            return Err(StoreError::Unavailable { reason: format!("{} is closed", self.path.display()) });
        };
        guarded(&self.path, || {
            let (bytes, _) = stored(database, id).map_err(|error| redb_error("read a log block", &self.path, error))?;
            Block::parse(bytes).map_err(|error| corrupt(&self.path, format!("log block {id}: {error}")))
        })
    }

    fn write(&mut self, covered: u64) -> Result<(), StoreError> {
        let Some(database) = &self.database else { return Ok(()) };
        let written = guarded(&self.path, || {
            append(database, self.blocks.len() as u64, &self.pending, covered)
                .map_err(|error| failed(&self.path, error))
        })?;
        self.blocks.extend(written);
        self.pending.clear();
        self.pending_bytes = 0;
        Ok(())
    }

    /// Makes the file durable and closes it. With `settled` so many of its blocks are marked as grouped anew.
    fn finish(mut self, covered: u64, settled: Option<u64>) -> Result<(), StoreError> {
        self.write(covered)?;
        let Some(mut database) = self.database.take() else { return Ok(()) };
        let finished = guarded(&self.path, || {
            if let Some(blocks) = settled {
                mark_settled(&database, blocks).map_err(|error| failed(&self.path, error))?;
            }
            database.compact().map_err(|error| match error {
                redb::CompactionError::Storage(error) => failed(&self.path, error.into()),
                other => StoreError::Unavailable { reason: format!("{}: {other}", self.path.display()) },
            })
        });
        drop(database);
        if finished.is_err() {
            drop(std::fs::remove_file(&self.path));
        }
        finished.map(drop)
    }
}

fn failed(path: &Path, error: redb::Error) -> StoreError {
    redb_error("write a day of logs anew", path, error)
}

impl Drop for NewDay {
    /// One that was not finished is of no use; if it stays, the next one takes its place.
    fn drop(&mut self) {
        if self.database.take().is_some() {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

impl LogStore {
    /// The blocks that came to a day since it had so many; `None` when it was dropped or its file replaced.
    pub(super) fn late_blocks(&self, number: Day, file: &Arc<DayFile>, since: usize) -> Option<Vec<Info>> {
        let state = self.state.lock();
        let day = state.days.get(&number).filter(|day| Arc::ptr_eq(&day.file, file))?;
        Some(day.blocks.get(since..).unwrap_or_default().to_vec())
    }

    /// Puts a day's new file, which has all that the old one has, in its place, and with it an index that was made for it in the
    /// directory `index`. The caller holds `indexing` and `writing`.
    ///
    /// # Errors
    /// As [`DayFile::replace`]; before that the old file stays, without its index at worst.
    pub(super) fn exchange(
        &self,
        number: Day,
        file: &DayFile,
        made: NewDay,
        settled: Option<u64>,
        index: Option<&Path>,
    ) -> Result<(), StoreError> {
        let covered_seq = self.state.lock().days.get(&number).and_then(|day| day.covered_seq);
        made.finish(covered_seq.unwrap_or(0), settled)?;
        let dir = self.index_dir(number);
        // Readers find no segment from now on, though those who have them read on.
        if let Some(day) = self.state.lock().days.get_mut(&number) {
            day.segments = Arc::default();
        }
        index::remove_dir(&dir)?;
        sync_dir(&self.dir)?;
        let replaced = file.replace()?;
        let loaded = replaced.load()?;
        let blocks = loaded.blocks.len() as u64;
        // Only a drop removes days, and that waits for `writing`.
        if let Some(day) = self.state.lock().days.get_mut(&number) {
            day.file = Arc::new(replaced);
            day.take(loaded);
        }
        let Some(index) = index else { return Ok(()) };
        match self.take_index(index, &dir, blocks) {
            Ok(segments) => {
                if let Some(day) = self.state.lock().days.get_mut(&number) {
                    day.segments = Arc::new(segments.into_iter().map(Arc::new).collect());
                }
            }
            // It is made anew by the next rounds of upkeep.
            Err(error) => tracing::warn!(%error, day = %number, "the index of a day written anew cannot be used"),
        }
        Ok(())
    }
    /// Gives the index made in one directory the name of another.
    fn take_index(&self, made: &Path, dir: &Path, blocks: u64) -> Result<Vec<index::Segment>, StoreError> {
        std::fs::rename(made, dir).map_err(|error| io_error("rename", made, error))?;
        sync_dir(&self.dir)?;
        index::open(dir, blocks)
    }
}
