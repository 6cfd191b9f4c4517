//! Space kept back for alert state: when the disk is full, the reserve makes room for what must still be written.
//!
//! A file of zeros beside the database, given up whole at the first write that finds no space and made again when there is
//! plenty. The database itself cannot hold the space: it gives free pages back at the end of a commit.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// Size of the reserve, in bytes: some hundred thousand changes of state.
pub(super) const BYTES: u64 = 64 << 20;
/// The reserve is made only where so much would stay free beside it, in bytes: it must not be what fills the disk.
const LEFT_BYTES: u64 = 64 << 20;

#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    pub(super) fn beside(database: &Path) -> Reserve {
        Reserve { path: database.with_extension("reserve") }
    }

    /// Makes the reserve where there is none and room for one. Whether there is one now.
    pub(super) fn keep(&self) -> io::Result<bool> {
        if std::fs::metadata(&self.path).is_ok_and(|file| file.len() >= BYTES) {
            return Ok(true);
        }
        let space = statvfs(self.path.parent().unwrap_or(Path::new(".")))?;
        if space.f_bavail.saturating_mul(space.f_frsize) < BYTES + LEFT_BYTES {
            return Ok(false);
        }
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(&self.path)?;
        if let Err(error) = fallocate(&file, FallocateFlags::empty(), 0, BYTES) {
            drop(file);
            std::fs::remove_file(&self.path)?;
            return Err(error.into());
        }
        Ok(true)
    }

    /// Gives the space up. Whether there was any.
    pub(super) fn give_up(&self) -> bool {
        std::fs::remove_file(&self.path).is_ok()
    }
}

/// Whether a write failed as there was no space.
pub(super) fn is_full(error: &redb::Error) -> bool {
    let redb::Error::Io(error) = error else { return false };
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
