//! The open redb files of a store: every one holds the version of its format, and none is touched by a program that does not
//! know it.
//!
//! At most [`FILES_OPEN_MAX`] idle files stay open, whatever the number of tenants and days; page caches are small and named by
//! whoever opens, since redb's default is 1 GiB each. A file is open once: all users share one handle.

use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use redb::{Builder, Database, ReadableDatabase, TableDefinition};

use crate::index::IndexCache;
use crate::limits::{DAY_CACHE_BYTES, FILES_OPEN_MAX, LARGE_CACHES_MAX, MIGRATION_CACHE_BYTES};
use crate::logs::SummaryCache;
use crate::prewrite::Prewritten;
use crate::untouched::{Closing, Untouched};
use crate::{Options, StoreError, intake};

/// In every redb file of ours: `format` → version.
pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT: &str = "format";
/// No release will come to this version: whoever says so is damaged.
const VERSIONS_MAX: u64 = 1_000;

/// An open redb file that can be closed whatever is in it: redb looks through the file once more then, and asserts on some damage.
pub(crate) struct OpenFile {
    path: PathBuf,
    /// Taken when it is closed.
    database: Option<Database>,
    closing: Closing,
    cache_bytes: usize,
}

impl OpenFile {
    fn new(path: &Path, (database, closing): (Database, Closing), cache_bytes: usize) -> OpenFile {
        OpenFile { path: path.to_owned(), database: Some(database), closing, cache_bytes }
    }

    fn has_large_cache(&self) -> bool {
        self.cache_bytes > DAY_CACHE_BYTES
    }
}

impl Deref for OpenFile {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.database.as_ref().expect("it is open until it is dropped")
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let database = self.database.take();
        self.closing.begin();
        if let Err(error) = guarded(&self.path, || {
            drop(database);
            Ok(())
        }) {
            tracing::error!(%error, "a file was closed with damage in it");
        }
    }
}

/// The files of one store.
pub(crate) struct Files {
    pub(crate) options: Arc<Options>,
    /// Least recently used first.
    open: Mutex<Vec<(PathBuf, Arc<OpenFile>)>>,
    /// Parsed parts of the day files' indexes.
    pub(crate) index_cache: IndexCache,
    pub(crate) log_summaries: SummaryCache,
    /// Whether upkeep is to give up what it has begun, as far as it can be made again: the store is about to close.
    ending: AtomicBool,
}

impl Files {
    pub(crate) fn new(options: Arc<Options>) -> Files {
        Files {
            options,
            open: Mutex::new(Vec::new()),
            index_cache: IndexCache::default(),
            log_summaries: SummaryCache::default(),
            ending: AtomicBool::new(false),
        }
    }

    pub(crate) fn end_upkeep(&self) {
        self.ending.store(true, Ordering::Release);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// The redb file of a path: opened or made with a page cache of `cache_bytes` (of the usual size, where [`LARGE_CACHES_MAX`] have a
    /// larger one), migrated if it is older, unless it is open already. The directory must exist. Let go of the handle soon: a file in
    /// use is never closed.
    ///
    /// # Errors
    /// `NewerStore` when a later release wrote it, `Corrupt` when it cannot be read as what it should be.
    pub(crate) fn get(&self, path: &Path, cache_bytes: usize) -> Result<Arc<OpenFile>, StoreError> {
        let mut open = self.open.lock();
        if let Some(at) = open.iter().position(|(known, _)| known == path) {
            let entry = open.remove(at);
            let database = entry.1.clone();
            open.push(entry);
            return Ok(database);
        }
        // Handles are cloned and closed under this lock only, so a count of one means that nobody has it.
        while open.len() >= FILES_OPEN_MAX {
            let Some(idle) = open.iter().position(|(_, database)| Arc::strong_count(database) == 1) else { break };
            open.remove(idle);
        }
        let large = open.iter().filter(|(_, database)| database.has_large_cache()).count();
        let cache_bytes = if large < LARGE_CACHES_MAX { cache_bytes } else { cache_bytes.min(DAY_CACHE_BYTES) };
        let closing = Closing::default();
        let database = open_file(&self.options, path, cache_bytes, &closing)?;
        let database = Arc::new(OpenFile::new(path, (database, closing), cache_bytes));
        open.push((path.to_owned(), database.clone()));
        Ok(database)
    }

    /// A file's handle, and its bytes as they lie there: of one and the same file, whatever takes its place meanwhile.
    pub(crate) fn with_bytes(&self, path: &Path) -> Result<(Arc<OpenFile>, File), StoreError> {
        loop {
            let database = self.get(path, DAY_CACHE_BYTES)?;
            // Another file takes the place under this lock only.
            let open = self.open.lock();
            if open.iter().any(|(known, held)| known == path && Arc::ptr_eq(held, &database)) {
                let bytes = File::open(path).map_err(|error| io_error("open", path, error))?;
                return Ok((database, bytes));
            }
        }
    }

    /// Puts a new file in the place of one: made beside it, filled, durable, and only then under its name. Nobody else may write to it
    /// meanwhile; whoever still reads the old one keeps it.
    ///
    /// # Errors
    /// Then either file may be under the name, both with the same content; the next [`Files::get`] opens what is there. Its name is
    /// certain only after [`sync_parent`].
    pub(crate) fn replace(
        &self,
        path: &Path,
        cache_bytes: usize,
        fill: impl FnOnce(&Database) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let made = make_whole(path, |unfinished| {
            let closing = Closing::default();
            let database = open_file(&self.options, unfinished, cache_bytes, &closing)?;
            fill(&database)?;
            Ok((database, closing))
        });
        let mut open = self.open.lock();
        open.retain(|(known, _)| known != path);
        open.push((path.to_owned(), Arc::new(OpenFile::new(path, made?, cache_bytes))));
        Ok(())
    }

    /// A file as it lies there, not migrated; `None` when it is of another version than this.
    pub(crate) fn open_as_it_is(&self, path: &Path, version: u64) -> Result<Option<Database>, StoreError> {
        guarded(path, || {
            let database = open_redb(&self.options, path, MIGRATION_CACHE_BYTES, &Closing::default())?;
            let found = format_of(&database).map_err(|error| redb_error("reading the format version", path, error))?;
            Ok((found == Some(version)).then_some(database))
        })
    }

    /// Lets go of a file: before it is removed, and after a failed commit, which poisons the handle.
    pub(crate) fn forget(&self, path: &Path) {
        self.open.lock().retain(|(known, _)| known != path);
    }

    /// Lets go of every file under a directory: of a tenant that could not be opened, and may be tried again.
    pub(crate) fn forget_under(&self, dir: &Path) {
        self.open.lock().retain(|(known, _)| !known.starts_with(dir));
    }

    /// Opens or makes a file that is not shared: one that is being written anew, under a name of its own.
    pub(crate) fn open_apart(&self, path: &Path, cache_bytes: usize) -> Result<Database, StoreError> {
        guarded(path, || open_existing(&self.options, path, cache_bytes, &Closing::default()))
    }

    /// Puts the closed, durable file `new` in the place of `path`. Whoever has the old one open reads on in it.
    pub(crate) fn put_in_place(&self, path: &Path, new: &Path) -> Result<(), StoreError> {
        let mut open = self.open.lock();
        std::fs::rename(new, path).map_err(|error| io_error("rename", new, error))?;
        open.retain(|(known, _)| known != path);
        drop(open);
        sync_parent(path)
    }

    /// Closes every file that nobody uses; the others close with their last user.
    pub(crate) fn close(&self) {
        self.open.lock().clear();
    }
}

/// redb asserts on some damaged headers; a damaged file must not take the process down.
pub(crate) fn guarded<T>(path: &Path, open: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(open));
    opened.unwrap_or_else(|_| Err(corrupt(path, "redb stopped while reading it".into())))
}

fn open_file(options: &Options, path: &Path, cache_bytes: usize, closing: &Closing) -> Result<Database, StoreError> {
    guarded(path, || open_unguarded(options, path, cache_bytes, closing))
}

fn open_redb(options: &Options, path: &Path, cache_bytes: usize, closing: &Closing) -> Result<Database, StoreError> {
    if options.backend.is_none() {
        refuse_empty(path)?;
    }
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    let opened = match &options.backend {
        None => {
            let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
            let file = file.map_err(|error| redb::DatabaseError::Storage(error.into()));
            file.and_then(|file| {
                if intake::is_log(path) {
                    builder.create_with_backend(Prewritten::new(file)?)
                } else {
                    builder.create_with_backend(Untouched::new(file, closing.clone())?)
                }
            })
        }
        Some(backend) => backend.0(&builder, path),
    };
    opened.map_err(|error| open_error(path, error))
}

/// A file is whole before it has its name, and redb would take an empty one for a new one.
pub(crate) fn refuse_empty(path: &Path) -> Result<(), StoreError> {
    let is_empty = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0);
    if is_empty { Err(corrupt(path, "it is empty".into())) } else { Ok(()) }
}

fn open_existing(
    options: &Options,
    path: &Path,
    cache_bytes: usize,
    closing: &Closing,
) -> Result<Database, StoreError> {
    let database = open_redb(options, path, cache_bytes, closing)?;
    check_format(&database, path)?;
    Ok(database)
}

fn open_unguarded(
    options: &Options,
    path: &Path,
    cache_bytes: usize,
    closing: &Closing,
) -> Result<Database, StoreError> {
    let open = |path: &Path| open_existing(options, path, cache_bytes, closing);
    if path.exists() || is_unfinished(path) { open(path) } else { make_whole(path, open) }
}

/// What is added to the name of a file in the making.
pub(crate) const UNFINISHED: &str = ".new";

fn is_unfinished(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(UNFINISHED.as_bytes())
}

/// The name of a file while it is made.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    PathBuf::from(unfinished)
}

/// Makes a file that is either whole or not there: under another name first, which it loses when `make` has made its content
/// durable. Without this a power cut while redb lays out a new file leaves one that nobody can open.
pub(crate) fn make_whole<T>(path: &Path, make: impl FnOnce(&Path) -> Result<T, StoreError>) -> Result<T, StoreError> {
    let unfinished = unfinished(path);
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(io_error("remove", &unfinished, error));
        }
        _ => {}
    }
    let made = make(&unfinished)?;
    std::fs::rename(&unfinished, path).map_err(|error| io_error("rename", &unfinished, error))?;
    sync_parent(path)?;
    Ok(made)
}

/// Refuses what a later release wrote, migrates what an earlier one did, and marks a new file.
fn check_format(database: &Database, path: &Path) -> Result<(), StoreError> {
    let wrap = |error: redb::Error| redb_error("reading the format version", path, error);
    let current = u64::from(migrations::CURRENT);
    let Some(found) = format_of(database).map_err(wrap)? else {
        return set_format(database, current).map_err(wrap);
    };
    if found > VERSIONS_MAX {
        return Err(corrupt(path, format!("it says to be of version {found} of the store")));
    }
    if found > current {
        return Err(StoreError::NewerStore {
            path: path.display().to_string(),
            found: u32::try_from(found).unwrap_or(u32::MAX),
            supported: migrations::CURRENT,
        });
    }
    let from = u32::try_from(found).expect("it is not above the current version");
    migrations::run(database, from).map_err(|error| corrupt(path, error.to_string()))?;
    if found < current { set_format(database, current).map_err(wrap) } else { Ok(()) }
}

fn format_of(database: &Database) -> Result<Option<u64>, redb::Error> {
    let txn = database.begin_read()?;
    match txn.open_table(META) {
        Ok(table) => Ok(table.get(FORMAT)?.map(|version| version.value())),
        Err(redb::TableError::TableDoesNotExist(_)) if txn.list_tables()?.next().is_none() => Ok(None),
        Err(redb::TableError::TableDoesNotExist(_)) => {
            Err(redb::Error::Corrupted("it has tables but says no format version".into()))
        }
        Err(other) => Err(other.into()),
    }
}

fn set_format(database: &Database, version: u64) -> Result<(), redb::Error> {
    let mut txn = database.begin_write()?;
    txn.set_quick_repair(true);
    txn.open_table(META)?.insert(FORMAT, version)?;
    txn.commit()?;
    Ok(())
}

pub(crate) fn io_error(doing: &str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io { doing: format!("{doing} {}", path.display()), source }
}

/// What a failed redb operation on a file means to the caller.
pub(crate) fn redb_error(doing: &'static str, path: &Path, error: redb::Error) -> StoreError {
    match error {
        redb::Error::Io(source) if is_no_database(&source) => corrupt(path, source.to_string()),
        redb::Error::Io(source) => io_error(doing, path, source),
        redb::Error::Corrupted(reason) => corrupt(path, reason),
        other => StoreError::Redb { doing, source: Box::new(other) },
    }
}

pub(crate) fn corrupt(path: &Path, reason: String) -> StoreError {
    StoreError::Corrupt { path: path.display().to_string(), reason }
}

fn open_error(path: &Path, error: redb::DatabaseError) -> StoreError {
    match error {
        redb::DatabaseError::Storage(redb::StorageError::Io(source)) if is_no_database(&source) => {
            corrupt(path, source.to_string())
        }
        redb::DatabaseError::Storage(redb::StorageError::Io(source)) => io_error("open", path, source),
        redb::DatabaseError::DatabaseAlreadyOpen => StoreError::Unavailable {
            reason: format!("{} is in use by another process; stop it or choose another data folder", path.display()),
        },
        other => corrupt(path, other.to_string()),
    }
}

/// What redb says of a file that is none of its own, or a part of one.
fn is_no_database(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
}

/// Bytes a file takes on the disk: its blocks, not its length. 0 when it cannot be asked.
pub(crate) fn disk_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    // POSIX counts blocks of 512 bytes whatever the file system's own size.
    std::fs::metadata(path).map_or(0, |metadata| metadata.blocks() * 512)
}

/// Makes a directory whose parent exists, and makes its name durable; nothing when it is there.
pub(crate) fn make_dir(dir: &Path) -> Result<(), StoreError> {
    match std::fs::create_dir(dir) {
        Ok(()) => sync_parent(dir),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(io_error("make", dir, error)),
    }
}

/// Makes the name of a new file or directory durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), StoreError> {
    sync_dir(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| io_error("sync", dir, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::NEWEST_DAY_CACHE_BYTES;

    #[test]
    fn few_files_have_a_large_cache_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let files = Files::new(Arc::new(Options::new(home.path())));
        let path = |number: usize| home.path().join(format!("{number}.redb"));
        let cache_of = |number, bytes| files.get(&path(number), bytes).unwrap().cache_bytes;
        for number in 0..LARGE_CACHES_MAX {
            assert_eq!(cache_of(number, NEWEST_DAY_CACHE_BYTES), NEWEST_DAY_CACHE_BYTES, "file {number}");
        }
        assert_eq!(cache_of(90, NEWEST_DAY_CACHE_BYTES), DAY_CACHE_BYTES, "there are enough");
        assert_eq!(cache_of(91, 1 << 20), 1 << 20, "a small one stays small");
        files.forget(&path(0));
        assert_eq!(cache_of(92, NEWEST_DAY_CACHE_BYTES), NEWEST_DAY_CACHE_BYTES, "one was closed");
    }
}
