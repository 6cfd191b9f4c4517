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
    fn prepare(&self, offset: u64, end: u64) {
        // Writes beyond `prepared` wait here until its zeros are written: they would come over what was written meanwhile.
        let _preparing = self.preparing.lock();
        let prepared = self.prepared.load(Ordering::Acquire);
        if end <= prepared {
            return;
        }
        let ahead = (end / 4).clamp(PREWRITE_BYTES_MIN, PREWRITE_BYTES_MAX);
        let far = offset > prepared.saturating_add(ahead);
        let written = if far { Ok(u64::MAX) } else { self.write_zeros(prepared, end.saturating_add(ahead)) };
        // After a failure it is not known what lies there.
        self.prepared.store(*written.as_ref().unwrap_or(&u64::MAX), Ordering::Release);
        if let Err(error) = written {
            tracing::debug!(%error, "nothing is written ahead any more");
        }
    }

    /// How far the file is written then.
    fn write_zeros(&self, from: u64, until: u64) -> io::Result<u64> {
        let until = until.min(self.file.len()?).max(from);
        self.file.write(from, &vec![0; usize::try_from(until - from).unwrap_or(0)])?;
        Ok(until)
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
        if end > self.prepared.load(Ordering::Acquire) {
            self.prepare(offset, end);
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
    use chance::Random;

    use super::*;

    /// Any writes, shrinking and growing leave what they leave in a plain file.
    #[test]
    fn what_is_written_ahead_reads_as_nothing() {
        let mut random = Random::new(chance::seed(1));
        for round in 0..40 {
            let path = tempfile::NamedTempFile::new().unwrap();
            let open = || Prewritten::new(path.reopen().unwrap()).unwrap();
            let (mut file, mut plain) = (open(), Vec::<u8>::new());
            for _ in 0..60 {
                match random.below(10) {
                    0 => {
                        let length = random.below(1_u64 << 21);
                        file.set_len(length).unwrap();
                        plain.resize(length as usize, 0);
                    }
                    1 => {
                        file.close().unwrap();
                        file = open();
                    }
                    _ if plain.len() > 4096 => {
                        // Mostly near the beginning, as a growing file is written.
                        let bound =
                            if random.one_in(8) { plain.len() as u64 } else { (1 << 16).min(plain.len() as u64) };
                        let offset = random.below(bound - 4095) as usize;
                        let data = vec![1 + random.below(255_u8); 1 + random.below(4095_usize)];
                        file.write(offset as u64, &data).unwrap();
                        plain[offset..offset + data.len()].copy_from_slice(&data);
                    }
                    _ => {}
                }
            }
            assert!(std::fs::read(path.path()).unwrap() == plain, "round {round}");
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
