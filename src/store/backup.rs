//! A copy of the store while it is in use, and back from such a copy into a data folder.
//!
//! Each redb file is copied between two of its commits, so the copy is what a power cut would have left of it, which every opening gets
//! over. A tenant's intake log is copied first: what was in it and goes to a day file meanwhile is then in both copies, and replay knows
//! it by its number. So everything acknowledged before the copy began is in it. Indexes of logs are left out: upkeep makes them anew.
//!
//! The format of a copy is in `FORMAT.md`.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use model::TenantId;
use xxhash_rust::xxh3::Xxh3Default;

use crate::file::{disk_bytes, io_error, sync_dir};
use crate::limits::{BACKUP_FILES_MAX, COPY_BYTES};
use crate::manifest::{Entry, MANIFEST, Manifest};
use crate::queue::closed;
use crate::root::{TENANTS, disk_space, tenants_dir};
use crate::{ACCOUNTS_FILE, Accounts, Store, StoreError, Tenant};

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    pub tenants: Vec<String>,
    pub files: u64,
    pub bytes: u64,
}

/// The files of a tenant, by their place below its directory; the intake log first. Those in the making, and indexes, are left out.
fn files_of(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        let here = dir.join(&below);
        let entries = match std::fs::read_dir(&here) {
            Ok(entries) => entries,
            // Removed meanwhile, as retention does.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io_error("list", &here, error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| io_error("list", &here, error))?;
            let path = below.join(entry.file_name());
            let kind = path.extension().and_then(|extension| extension.to_str());
            match entry.file_type() {
                Ok(of) if of.is_dir() && kind != Some("idx") && kind != Some("new") => open.push(path),
                Ok(of) if of.is_file() && kind == Some("redb") => found.push(path),
                _ => {}
            }
        }
        if found.len() > BACKUP_FILES_MAX {
            let message = format!("{} has more than {BACKUP_FILES_MAX} files", dir.display());
            return Err(StoreError::TooMuch { message });
        }
    }
    found.sort_by_key(|path| (path.as_os_str() != crate::intake::NAME, path.clone()));
    Ok(found)
}

impl Store {
    /// Copies the store, or one tenant of it, into a folder that is empty or is not there yet. Takes in and answers meanwhile: each
    /// file is held against writing while it is copied itself, and flushes and retention wait as long.
    ///
    /// # Errors
    /// `TooMuch` when the folder has something in it or its disk too little room, `NoTenant`; the copy's or the store's disk. What is
    /// copied by then stays there, without the list that makes it a copy.
    pub fn backup(&self, into: &Path, only: Option<&TenantId>, now_ms: i64) -> Result<Copied, StoreError> {
        let tenants: Vec<Tenant> = match only {
            Some(id) => match self.existing_tenant(id)? {
                Some(tenant) => vec![tenant],
                None => return Err(StoreError::NoTenant { tenant: id.to_string() }),
            },
            None => self.open_tenants(),
        };
        make_empty(into)?;
        let mut sizes = 0;
        for tenant in &tenants {
            sizes += files_of(&tenant.0.dir)?.iter().map(|below| disk_bytes(&tenant.0.dir.join(below))).sum::<u64>();
        }
        check_room(into, sizes)?;
        let mut manifest = Manifest::new(now_ms);
        if only.is_none() {
            let path = PathBuf::from(ACCOUNTS_FILE);
            let source = self.options().dir.join(&path);
            manifest.entries.push(self.accounts().while_unchanged(|| copy(&source, into, path))?);
        }
        for tenant in &tenants {
            let below = Path::new(TENANTS).join(tenant.id().as_str());
            for file in files_of(&tenant.0.dir)? {
                if self.is_closed() {
                    return Err(closed());
                }
                manifest.entries.extend(tenant.copy_file(&file, into, below.join(&file))?);
            }
        }
        manifest.write(into)?;
        Ok(manifest.copied())
    }
}

impl Tenant {
    /// One of its files between two commits; `None` when it is gone by now.
    fn copy_file(&self, file: &Path, into: &Path, name: PathBuf) -> Result<Option<Entry>, StoreError> {
        let path = self.0.dir.join(file);
        if file == Path::new(crate::alerts::ALERTS_FILE) {
            return self.alerts()?.while_unchanged(|| copy(&path, into, name)).map(Some);
        }
        // Nothing is dropped while this is held, so what is there now is there to the end.
        let upkeep = self.0.upkeep.lock();
        let entry = if !path.exists() {
            None
        } else if file.parent().is_some_and(|folder| folder.ends_with(crate::aside::DIRECTORY)) {
            // Nobody opens it, and nobody could.
            Some(copy(&path, into, name)?)
        } else {
            let (database, source) = self.0.shared.files.with_bytes(&path)?;
            let failed = |error: redb::TransactionError| crate::file::redb_error("copying", &path, error.into());
            // Nobody commits while a write transaction is open, and this one writes nothing.
            let held = database.begin_write().map_err(failed)?;
            let entry = copy_from(source, &path, into, name)?;
            held.abort().map_err(|error| crate::file::redb_error("copying", &path, error.into()))?;
            Some(entry)
        };
        drop(upkeep);
        Ok(entry)
    }
}

/// Puts a copy, or one tenant of it, into a data folder that no server uses: an empty one, or for a tenant one without that tenant, which
/// may get another name. The copy is read through and compared with its list before anything is written.
///
/// # Errors
/// `Corrupt` when the copy is not whole, `TooMuch` when the data folder has something where this goes, `NoTenant`.
pub fn restore(from: &Path, into: &Path, only: Option<(&TenantId, &TenantId)>) -> Result<Copied, StoreError> {
    let mut manifest = Manifest::read(from)?;
    refuse_copy(into)?;
    let node = into.join(ACCOUNTS_FILE);
    // Open in one process only: while this is held no server begins to use the folder.
    let held = if node.exists() { Some(Accounts::open(&node)?) } else { None };
    if let Some((id, name)) = only {
        let below = |id: &TenantId| Path::new(TENANTS).join(id.as_str());
        manifest.entries.retain(|entry| entry.path.starts_with(below(id)));
        if manifest.entries.is_empty() {
            return Err(StoreError::NoTenant { tenant: id.to_string() });
        }
        std::fs::create_dir_all(into).map_err(|error| io_error("make", into, error))?;
        let place = into.join(below(name));
        if place.exists() {
            let message = format!("{} is there already; give the tenant another name", place.display());
            return Err(StoreError::TooMuch { message });
        }
    } else {
        make_empty(into)?;
    }
    compare(from, &manifest)?;
    check_room(into, manifest.entries.iter().map(|entry| entry.bytes).sum())?;
    for entry in &mut manifest.entries {
        let source = from.join(&entry.path);
        if let Some((id, name)) = only {
            let inside = entry.path.strip_prefix(Path::new(TENANTS).join(id.as_str())).unwrap_or(&entry.path);
            entry.path = Path::new(TENANTS).join(name.as_str()).join(inside);
        }
        copy(&source, into, entry.path.clone())?;
    }
    sync_dir(into)?;
    drop(held);
    Ok(manifest.copied())
}

/// Whether a folder is a copy of a store, which must stay as it was made: whoever opened it as a store would change its files.
pub fn is_copy(dir: &Path) -> bool {
    dir.join(MANIFEST).exists()
}

/// Reads a copy through and compares it with its list; returns when it was made (RFC 3339), and what is in it. Writes nothing.
///
/// # Errors
/// `Corrupt` when it is not whole.
pub fn check_copy(from: &Path) -> Result<(String, Copied), StoreError> {
    let manifest = Manifest::read(from)?;
    compare(from, &manifest)?;
    Ok((manifest.made().to_owned(), manifest.copied()))
}

/// That a folder is no copy, before anything in it is opened.
///
/// # Errors
/// `TooMuch`, with what to do instead.
pub fn refuse_copy(dir: &Path) -> Result<(), StoreError> {
    if !is_copy(dir) {
        return Ok(());
    }
    let dir = dir.display();
    let message = format!(
        "{dir} is a backup, and would be none any more if it were used as a data folder: make one of it with `binnacle restore {dir} --data <new folder>`, or remove its {MANIFEST}"
    );
    Err(StoreError::TooMuch { message })
}

fn compare(from: &Path, manifest: &Manifest) -> Result<(), StoreError> {
    for entry in &manifest.entries {
        let path = from.join(&entry.path);
        let file = File::open(&path).map_err(|error| io_error("open", &path, error))?;
        if pour(file, &path, None)? != (entry.bytes, entry.hash) {
            return Err(crate::file::corrupt(&path, "it is not what the list of the copy says".into()));
        }
    }
    Ok(())
}

/// Removes a tenant of a data folder that no server uses, with all its data, alert state and tokens.
///
/// # Errors
/// `InUse` when a server runs, `NoTenant`. After a failure on the way nothing of the tenant is served any more; what is left of its files
/// is in the folder that the error names.
pub fn erase(dir: &Path, id: &TenantId) -> Result<(), StoreError> {
    refuse_copy(dir)?;
    let accounts = Accounts::open(&dir.join(ACCOUNTS_FILE))?;
    let place = tenants_dir(dir).join(id.as_str());
    if !place.is_dir() {
        return Err(StoreError::NoTenant { tenant: id.to_string() });
    }
    for token in accounts.tokens()?.iter().filter(|token| token.tenant == *id) {
        accounts.revoke_token(&token.id)?;
    }
    // Beside the tenants, so that half of one is never taken for a whole one.
    let leaving = dir.join(format!("erasing-{id}"));
    std::fs::rename(&place, &leaving).map_err(|error| io_error("rename", &place, error))?;
    sync_dir(&tenants_dir(dir))?;
    std::fs::remove_dir_all(&leaving).map_err(|error| io_error("remove", &leaving, error))?;
    sync_dir(dir)
}

fn make_empty(dir: &Path) -> Result<(), StoreError> {
    std::fs::create_dir_all(dir).map_err(|error| io_error("make", dir, error))?;
    let mut entries = std::fs::read_dir(dir).map_err(|error| io_error("list", dir, error))?;
    // What file systems put into their root themselves.
    if entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "lost+found")) {
        let message = format!("{} is not empty; choose a folder that is empty or does not exist", dir.display());
        return Err(StoreError::TooMuch { message });
    }
    Ok(())
}

fn check_room(dir: &Path, bytes: u64) -> Result<(), StoreError> {
    match disk_space(dir) {
        Some((free, _)) if free < bytes => {
            let message = format!("{} has {free} bytes free, {bytes} are needed", dir.display());
            Err(StoreError::TooMuch { message })
        }
        _ => Ok(()),
    }
}

fn copy(source: &Path, into: &Path, name: PathBuf) -> Result<Entry, StoreError> {
    let file = File::open(source).map_err(|error| io_error("open", source, error))?;
    copy_from(file, source, into, name)
}

/// Durable when this returns, but for the names of the directories.
fn copy_from(file: File, source: &Path, into: &Path, name: PathBuf) -> Result<Entry, StoreError> {
    let path = into.join(&name);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| io_error("make", parent, error))?;
    }
    let mut made = File::create_new(&path).map_err(|error| io_error("make", &path, error))?;
    let (bytes, hash) = pour(file, source, Some((&mut made, &path)))?;
    made.sync_all().map_err(|error| io_error("sync", &path, error))?;
    Ok(Entry { path: name, bytes, hash })
}

/// Reads a file to its end, and writes it if asked to: its length and its xxh3-64.
fn pour(mut from: File, source: &Path, mut to: Option<(&mut File, &Path)>) -> Result<(u64, u64), StoreError> {
    let mut buffer = vec![0; COPY_BYTES];
    let (mut bytes, mut hash) = (0, Xxh3Default::new());
    loop {
        let read = from.read(&mut buffer).map_err(|error| io_error("read", source, error))?;
        if read == 0 {
            return Ok((bytes, hash.digest()));
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
        if let Some((file, path)) = &mut to {
            file.write_all(&buffer[..read]).map_err(|error| io_error("write", path, error))?;
        }
    }
}
