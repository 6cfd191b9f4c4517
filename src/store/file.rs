//! The open redb files of a store: every one holds the version of its format, and none is touched by a program that does not
//! know it.
//!
//! At most [`FILES_OPEN_MAX`] idle files stay open, whatever the number of tenants and days; page caches are small and named by
//! whoever opens, since redb's default is 1 GiB each. A file is open once: all users share one handle.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use redb::{Builder, Database, ReadableDatabase, TableDefinition};

use crate::limits::FILES_OPEN_MAX;
use crate::{Options, StoreError};

/// In every redb file of ours: `format` → version.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT: &str = "format";

/// The files of one store.
pub(crate) struct Files {
    pub(crate) options: Arc<Options>,
    /// Least recently used first.
    open: Mutex<Vec<(PathBuf, Arc<Database>)>>,
}

impl Files {
    pub(crate) fn new(options: Arc<Options>) -> Files {
        Files { options, open: Mutex::new(Vec::new()) }
    }

    /// The redb file of a path: opened or made with a page cache of `cache_bytes`, migrated if it is older, unless it is open
    /// already. The directory must exist. Let go of the handle soon: a file in use is never closed.
    ///
    /// # Errors
    /// `NewerStore` when a later release wrote it, `Corrupt` when it cannot be read as what it should be.
    pub(crate) fn get(&self, path: &Path, cache_bytes: usize) -> Result<Arc<Database>, StoreError> {
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
        let database = Arc::new(open_file(&self.options, path, cache_bytes)?);
        open.push((path.to_owned(), database.clone()));
        Ok(database)
    }

    /// Lets go of a file: before it is removed, and after a failed commit, which poisons the handle.
    pub(crate) fn forget(&self, path: &Path) {
        self.open.lock().retain(|(known, _)| known != path);
    }

    /// Closes every file that nobody uses; the others close with their last user.
    pub(crate) fn close(&self) {
        self.open.lock().clear();
    }
}

fn open_file(options: &Options, path: &Path, cache_bytes: usize) -> Result<Database, StoreError> {
    // redb asserts on some damaged headers; a damaged file must not take the process down.
    let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| open_unguarded(options, path, cache_bytes)));
    opened.unwrap_or_else(|_| Err(corrupt(path, "redb stopped while opening it".into())))
}

fn open_unguarded(options: &Options, path: &Path, cache_bytes: usize) -> Result<Database, StoreError> {
    let open = |path: &Path| -> Result<Database, StoreError> {
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes);
        let opened = match &options.backend {
            None => builder.create(path),
            Some(backend) => backend.0(&builder, path),
        };
        let database = opened.map_err(|error| open_error(path, error))?;
        check_format(&database, path)?;
        Ok(database)
    };
    if path.exists() { open(path) } else { make_whole(path, open) }
}

/// Makes a file that is either whole or not there: under another name first, which it loses when `make` has made its content
/// durable. Without this a power cut while redb lays out a new file leaves one that nobody can open.
pub(crate) fn make_whole<T>(path: &Path, make: impl FnOnce(&Path) -> Result<T, StoreError>) -> Result<T, StoreError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
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
        redb::DatabaseError::Storage(redb::StorageError::Io(source)) => io_error("open", path, source),
        redb::DatabaseError::DatabaseAlreadyOpen => StoreError::Unavailable {
            reason: format!("{} is in use by another process; stop it or choose another data folder", path.display()),
        },
        other => corrupt(path, other.to_string()),
    }
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
fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(parent).and_then(|dir| dir.sync_all()).map_err(|error| io_error("sync", parent, error))
}
