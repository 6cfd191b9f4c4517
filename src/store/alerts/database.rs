//! A small redb file that gets over a failed write, and in which no damage goes unnoticed.
//!
//! After one failed write redb refuses all further ones until the file is opened again. A disk that was full for a minute must
//! not stop alerts until somebody restarts the process, so the file is opened again before the next use.
//! Its rows have no checksums of their own, but redb's pages do: they are checked once, when the file is first opened.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{RwLock, RwLockReadGuard};
use redb::{Database, DatabaseError, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};

type Open = dyn Fn() -> Result<Database, DatabaseError> + Send + Sync;

pub(crate) struct SmallDatabase {
    open: Box<Open>,
    /// `None` while it cannot be opened. Locked for reading by every use, for writing to open it again.
    db: RwLock<Option<Database>>,
    failed: AtomicBool,
}

impl SmallDatabase {
    /// Opens the file and reads all of it against redb's checksums: some 30 ms for each 100,000 rows.
    ///
    /// # Errors
    /// `Corrupted` when some of it is not what was written, and is needed.
    pub(crate) fn new(
        open: impl Fn() -> Result<Database, DatabaseError> + Send + Sync + 'static,
    ) -> Result<SmallDatabase, redb::Error> {
        let db = caught(|| {
            let mut db = open()?;
            if !db.check_integrity()? {
                tracing::warn!("a file was damaged and is repaired: what was written last may be missing");
            }
            Ok(db)
        })?;
        Ok(SmallDatabase { open: Box::new(open), db: RwLock::new(Some(db)), failed: AtomicBool::new(false) })
    }

    pub(crate) fn read<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        self.with(|db| look(&db.begin_read()?))
    }

    /// One commit, fsynced when this returns; an error leaves everything as it was.
    pub(crate) fn write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        self.with(|db| {
            let mut txn = db.begin_write()?;
            txn.set_durability(Durability::Immediate)?;
            let out = change(&txn)?;
            txn.commit()?;
            Ok(out)
        })
    }

    /// Runs between two commits: the file stays as it is until the job is done.
    pub(crate) fn hold<T>(&self, job: impl FnOnce() -> T) -> Result<T, redb::Error> {
        self.with(|db| {
            let txn = db.begin_write()?;
            let out = job();
            txn.abort()?;
            Ok(out)
        })
    }

    fn with<T>(&self, job: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let guard = self.opened()?;
        let db = guard.as_ref().ok_or(redb::Error::PreviousIo)?;
        let result = caught(|| job(db));
        if matches!(result, Err(redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::Corrupted(_))) {
            self.failed.store(true, Ordering::Release);
        }
        result
    }

    fn opened(&self) -> Result<RwLockReadGuard<'_, Option<Database>>, redb::Error> {
        if self.failed.load(Ordering::Acquire) {
            let mut db = self.db.write();
            // Somebody else may have done it in between.
            if self.failed.load(Ordering::Acquire) {
                // Dropped first: the file is locked as long as it is open.
                close(&mut db);
                *db = Some(caught(|| Ok((self.open)()?))?);
                self.failed.store(false, Ordering::Release);
            }
        }
        Ok(self.db.read())
    }
}

impl Drop for SmallDatabase {
    fn drop(&mut self) {
        close(self.db.get_mut());
    }
}

/// redb looks through the file once more when it is closed, and asserts on some damage, here as anywhere.
fn close(db: &mut Option<Database>) {
    let db = db.take();
    if let Err(error) = caught(|| {
        drop(db);
        Ok(())
    }) {
        tracing::error!(%error, "a file was closed with damage in it");
    }
}

fn caught<T>(job: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    catch_unwind(AssertUnwindSafe(job))
        .unwrap_or_else(|_| Err(redb::Error::Corrupted("redb stopped while reading it".into())))
}
