//! A file whose next pages have been written before they are needed, with zeros.
//!
//! What is written to pages that the file system has not given to the file yet must wait at its fsync for the file system's own
//! journal. Over pages that are there it need not: half the system time of a small commit and half of its waits (measured on ext4).
//! So the pages behind the last one written are written ahead, many at a time. Space that was only reserved would not do: its first
//! write goes to the journal as well.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};

use crate::limits::{PREWRITE_BYTES_MAX, PREWRITE_BYTES_MIN};

/// redb's own file, and how far it is written.
#[derive(Debug)]
pub(crate) struct Prewritten {
    file: FileBackend,
    /// Up to here all was written, or may have been before the file was opened; nothing beyond was. `u64::MAX` when that is not known
    /// any more, and nothing is written ahead.
    prepared: AtomicU64,
    /// Held by whoever moves `prepared`.
    preparing: Mutex<()>,
}

impl Prewritten {
    pub(crate) fn new(file: File) -> Result<Prewritten, DatabaseError> {
        let length = file.metadata().map_err(redb::StorageError::from)?.len();
        Ok(Prewritten { file: FileBackend::new(file)?, prepared: AtomicU64::new(length), preparing: Mutex::new(()) })
    }

    /// Writes zeros up to some way beyond `end`. Nothing is lost when it fails: what is to be written tells by itself.
    fn prepare(&self, offset: u64, end: u64) -> io::Result<()> {
        let _preparing = self.preparing.lock();
        let prepared = self.prepared.load(Ordering::Acquire);
        if end <= prepared {
            return Ok(());
        }
        // Until all of it has succeeded, it is not known what lies there.
        self.prepared.store(u64::MAX, Ordering::Release);
        let ahead = (end / 4).clamp(PREWRITE_BYTES_MIN, PREWRITE_BYTES_MAX);
        if offset > prepared.saturating_add(ahead) {
            return Ok(());
        }
        let until = end.saturating_add(ahead).min(self.file.len()?);
        let zeros = vec![0; usize::try_from(until.saturating_sub(prepared)).unwrap_or(0)];
        self.file.write(prepared, &zeros)?;
        self.prepared.store(until.max(prepared), Ordering::Release);
        Ok(())
    }
}

impl StorageBackend for Prewritten {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let _preparing = self.preparing.lock();
        self.file.set_len(len)?;
        let prepared = self.prepared.load(Ordering::Acquire);
        if prepared != u64::MAX {
            self.prepared.store(prepared.min(len), Ordering::Release);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let end = offset.saturating_add(data.len() as u64);
        if end > self.prepared.load(Ordering::Acquire)
            && let Err(error) = self.prepare(offset, end)
        {
            tracing::debug!(%error, "nothing is written ahead any more");
        }
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any writes, shrinking and growing leave what they leave in a plain file.
    #[test]
    fn what_is_written_ahead_reads_as_nothing() {
        for seed in 0..40u64 {
            let mut state = seed * 2 + 1;
            let mut below = |bound: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % bound
            };
            let path = tempfile::NamedTempFile::new().unwrap();
            let open = || Prewritten::new(path.reopen().unwrap()).unwrap();
            let (mut file, mut plain) = (open(), Vec::<u8>::new());
            for _ in 0..60 {
                match below(10) {
                    0 => {
                        let length = below(1 << 21);
                        file.set_len(length).unwrap();
                        plain.resize(length as usize, 0);
                    }
                    1 => {
                        file.close().unwrap();
                        file = open();
                    }
                    _ if plain.len() > 4096 => {
                        // Mostly near the beginning, as a growing file is written.
                        let bound = if below(8) == 0 { plain.len() as u64 } else { (1 << 16).min(plain.len() as u64) };
                        let offset = below(bound - 4095) as usize;
                        let data = vec![1 + below(255) as u8; 1 + below(4095) as usize];
                        file.write(offset as u64, &data).unwrap();
                        plain[offset..offset + data.len()].copy_from_slice(&data);
                    }
                    _ => {}
                }
            }
            assert!(std::fs::read(path.path()).unwrap() == plain, "seed {seed}");
        }
    }

    #[test]
    fn pages_are_there_before_they_are_needed() {
        use std::os::unix::fs::MetadataExt as _;
        let path = tempfile::NamedTempFile::new().unwrap();
        let file = Prewritten::new(path.reopen().unwrap()).unwrap();
        let taken = || std::fs::metadata(path.path()).unwrap().blocks() * 512;
        file.set_len(1 << 30).unwrap();
        file.write(0, &[7; 4096]).unwrap();
        file.sync_data().unwrap();
        let before = taken();
        assert!((PREWRITE_BYTES_MIN..1 << 20).contains(&before), "{before} bytes");
        file.write(4096, &[7; 4096]).unwrap();
        file.sync_data().unwrap();
        assert_eq!(taken(), before);
    }
}
