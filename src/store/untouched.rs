//! A file that stays as it is, bit for bit, until something is really written to it.
//!
//! redb marks a file as in use when it opens it, and at the end writes down which of its pages are free and takes the mark
//! away: six fsyncs for a file that was only read. A chart over 90 days opens more day files than may stay open, so it would wait
//! for the disk some hundred times, and wear it. The mark is needed before the first page that changes, so it is written then.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};

/// Bytes at the beginning of a file that are redb's header, at least. A write beyond them is one of pages.
const HEADER_BYTES_MAX: usize = 4_096;

/// Told to a file before redb closes it, so that nothing is written to one that nobody wrote to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Closing(Arc<AtomicBool>);

impl Closing {
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// redb's own file, and what is to be written to it before anything else.
#[derive(Debug)]
pub(crate) struct Untouched {
    file: FileBackend,
    closing: Closing,
    /// Whether writes go to the file: from the first one on that is not redb's mark.
    touched: AtomicBool,
    /// redb's mark, while nothing else was written.
    mark: Mutex<Option<Vec<u8>>>,
}

impl Untouched {
    pub(crate) fn new(file: File, closing: Closing) -> Result<Untouched, DatabaseError> {
        // In an empty file there is nothing to keep.
        let is_new = file.metadata().map_err(redb::StorageError::from)?.len() == 0;
        let file = FileBackend::new(file)?;
        Ok(Untouched { file, closing, touched: AtomicBool::new(is_new), mark: Mutex::default() })
    }

    /// Writes the mark and makes it durable, before the first change; nothing later.
    fn touch(&self) -> io::Result<()> {
        if self.touched.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.closing.0.load(Ordering::Acquire) {
            return Err(io::Error::other("the file is closed as it was"));
        }
        let mark = self.mark.lock();
        if let Some(mark) = mark.as_ref().filter(|_| !self.touched.load(Ordering::Acquire)) {
            self.file.write(0, mark)?;
            self.file.sync_data()?;
        }
        self.touched.store(true, Ordering::Release);
        Ok(())
    }
}

impl StorageBackend for Untouched {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)?;
        if offset < HEADER_BYTES_MAX as u64
            && !self.touched.load(Ordering::Acquire)
            && let Some(mark) = self.mark.lock().as_ref()
        {
            let covered = mark.get(offset as usize..).unwrap_or_default();
            let length = covered.len().min(out.len());
            out[..length].copy_from_slice(&covered[..length]);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.touch()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        // What was not written need not be durable.
        if self.touched.load(Ordering::Acquire) { self.file.sync_data() } else { Ok(()) }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if !self.touched.load(Ordering::Acquire) && offset == 0 && data.len() <= HEADER_BYTES_MAX {
            let mut mark = self.mark.lock();
            if mark.is_none() && !self.touched.load(Ordering::Acquire) {
                *mark = Some(data.to_vec());
                return Ok(());
            }
        }
        self.touch()?;
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
    use std::path::Path;

    use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition};

    use super::*;

    const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("t");

    fn open(path: &Path) -> (Database, Closing) {
        let closing = Closing::default();
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        let backend = Untouched::new(file, closing.clone()).unwrap();
        (Builder::new().create_with_backend(backend).unwrap(), closing)
    }

    fn close((database, closing): (Database, Closing)) {
        closing.begin();
        drop(database);
    }

    fn put(database: &Database, key: u64) {
        let mut txn = database.begin_write().unwrap();
        txn.set_quick_repair(true);
        txn.open_table(TABLE).unwrap().insert(key, [7; 3_000].as_slice()).unwrap();
        txn.commit().unwrap();
    }

    fn keys(database: &Database) -> Vec<u64> {
        let txn = database.begin_read().unwrap();
        let table = txn.open_table(TABLE).unwrap();
        table.iter().unwrap().map(|entry| entry.unwrap().0.value()).collect()
    }

    #[test]
    fn reading_leaves_every_bit_and_writing_lasts() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("t.redb");
        let mut expected = Vec::new();
        for round in 0..6 {
            let opened = open(&path);
            put(&opened.0, round);
            expected.push(round);
            assert_eq!(keys(&opened.0), expected);
            close(opened);

            let before = std::fs::read(&path).unwrap();
            for _ in 0..3 {
                let opened = open(&path);
                assert_eq!(keys(&opened.0), expected);
                close(opened);
                assert!(std::fs::read(&path).unwrap() == before, "round {round}: it was only read");
            }
        }
    }

    /// A process that dies leaves a marked file when it wrote, which the next one takes up.
    #[test]
    fn the_mark_is_there_before_the_first_change() {
        let home = tempfile::tempdir().unwrap();
        let (path, copy) = (home.path().join("t.redb"), home.path().join("copy.redb"));
        let opened = open(&path);
        put(&opened.0, 1);
        close(opened);

        let opened = open(&path);
        let header = |path: &Path| std::fs::read(path).unwrap()[..320].to_vec();
        let unmarked = header(&path);
        put(&opened.0, 2);
        assert_ne!(header(&path), unmarked);
        std::fs::copy(&path, &copy).unwrap();
        let taken_up = open(&copy);
        assert_eq!(keys(&taken_up.0), [1, 2]);
        close(taken_up);
        close(opened);
    }

    #[test]
    fn a_file_that_was_left_marked_is_read_and_written() {
        let home = tempfile::tempdir().unwrap();
        let (path, copy) = (home.path().join("t.redb"), home.path().join("copy.redb"));
        let opened = open(&path);
        put(&opened.0, 1);
        std::fs::copy(&path, &copy).unwrap();
        close(opened);
        for round in 2..5 {
            let read_only = open(&copy);
            assert_eq!(keys(&read_only.0).len(), round as usize - 1);
            close(read_only);
            let opened = open(&copy);
            put(&opened.0, round);
            close(opened);
        }
    }
}
