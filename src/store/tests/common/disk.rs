//! A disk in memory under redb: it forgets what was not synced when the power goes, and it can be full.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use chance::Random;
use store::Backend;

const BLOCK: u64 = 4096;

/// Cheap handle; all files of one machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<u64, File>,
    /// Operations that still succeed; after them the power is gone.
    fuse: Option<u64>,
    /// Blocks that can still be taken; `None` for no end of them.
    blocks_left: Option<u64>,
    /// Either was met.
    failed: bool,
    syncs: u64,
}

#[derive(Debug, Default, Clone)]
struct File {
    synced: Vec<u8>,
    now: Vec<u8>,
    /// Since the last sync, in order: a write, or a new length.
    pending: Vec<Change>,
    taken: BTreeSet<u64>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Disk {
    pub(crate) fn backend(&self) -> Backend {
        let disk = self.clone();
        Backend(Arc::new(move |builder, path| {
            // The store lists, renames and removes files itself, so each has an empty stand-in, by whose inode it is known.
            let new = !path.exists();
            let inode = std::fs::File::options().append(true).create(true).open(path)?.metadata()?.ino();
            if new {
                disk.lock().files.remove(&inode);
            }
            disk.lock().files.entry(inode).or_default();
            builder.create_with_backend(Handle { disk: disk.clone(), inode })
        }))
    }

    /// The power goes after `operations` more writes, syncs and changes of length.
    pub(crate) fn cut_after(&self, operations: u64) {
        let mut state = self.lock();
        (state.fuse, state.failed) = (Some(operations), false);
    }

    /// Operations until then; `None` when the power is not to go.
    pub(crate) fn operations_left(&self) -> Option<u64> {
        self.lock().fuse
    }

    /// At most `blocks` more of 4 KiB fit.
    pub(crate) fn fill_up_after(&self, blocks: Option<u64>) {
        let mut state = self.lock();
        (state.blocks_left, state.failed) = (blocks, false);
    }

    /// Whether the power went, or the disk was full, since it was told when to.
    pub(crate) fn has_failed(&self) -> bool {
        self.lock().failed
    }

    /// Puts a file of this content under the name of a path.
    pub(crate) fn put(&self, path: &Path, bytes: Vec<u8>) {
        std::fs::write(path, []).unwrap();
        let inode = std::fs::metadata(path).unwrap().ino();
        let file = File { synced: bytes.clone(), now: bytes, ..File::default() };
        self.lock().files.insert(inode, file);
    }

    /// Another machine, whose folder `to` has the same files as `from` has here.
    pub(crate) fn copy(&self, from: &Path, to: &Path) -> Disk {
        let copy = Disk::default();
        self.copy_into(&copy, from, to);
        copy
    }

    fn copy_into(&self, copy: &Disk, from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                self.copy_into(copy, &entry.path(), &to);
                continue;
            }
            std::fs::copy(entry.path(), &to).unwrap();
            let file = self.lock().files.get(&entry.metadata().unwrap().ino()).cloned();
            if let Some(file) = file {
                let inode = std::fs::metadata(&to).unwrap().ino();
                copy.lock().files.insert(inode, File { pending: Vec::new(), synced: file.now.clone(), ..file });
            }
        }
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// The disk after a kill: all that was written is there.
    pub(crate) fn after_kill(&self) -> Disk {
        let mut files = self.lock().files.clone();
        for file in files.values_mut() {
            file.pending.clear();
            file.synced.clone_from(&file.now);
        }
        Disk(Arc::new(Mutex::new(State { files, ..State::default() })))
    }

    /// The disk after a power cut: what was synced, and of the rest whatever made it there, in any combination.
    pub(crate) fn after_power_cut(&self, random: &mut Random) -> Disk {
        let mut files = self.lock().files.clone();
        for file in files.values_mut() {
            let mut bytes = std::mem::take(&mut file.synced);
            for change in std::mem::take(&mut file.pending) {
                if random.below(2) == 0 {
                    continue;
                }
                match change {
                    Change::Length(length) => bytes.resize(length as usize, 0),
                    Change::Write(at, data) => {
                        // Sectors of 512 bytes are written whole or not at all.
                        let whole = if random.below(4) == 0 {
                            random.below(data.len() as u64 / 512 + 1) * 512
                        } else {
                            u64::MAX
                        };
                        let data = &data[..(data.len() as u64).min(whole) as usize];
                        let end = at as usize + data.len();
                        if bytes.len() < end {
                            bytes.resize(end, 0);
                        }
                        bytes[at as usize..end].copy_from_slice(data);
                    }
                }
            }
            file.now = bytes.clone();
            file.synced = bytes;
        }
        Disk(Arc::new(Mutex::new(State { files, ..State::default() })))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn change<T>(
        &self,
        inode: u64,
        change: impl FnOnce(&mut File, &mut Option<u64>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.lock();
        let State { files, fuse, blocks_left, failed, .. } = &mut *state;
        let spent = fuse.as_mut().is_some_and(|left| {
            let spent = *left == 0;
            *left = left.saturating_sub(1);
            spent
        });
        let changed = if spent {
            Err(io::Error::other("the power is gone"))
        } else {
            change(files.get_mut(&inode).expect("a file is opened before it is used"), blocks_left)
        };
        *failed |= changed.is_err();
        changed
    }
}

#[derive(Debug)]
struct Handle {
    disk: Disk,
    inode: u64,
}

impl redb::StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().files[&self.inode].now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.disk.lock();
        let bytes = &state.files[&self.inode].now;
        let from = bytes.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.change(self.inode, |file, _| {
            file.now.resize(len as usize, 0);
            file.pending.push(Change::Length(len));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.change(self.inode, |file, _| {
            file.synced.clone_from(&file.now);
            file.pending.clear();
            Ok(())
        })?;
        self.disk.lock().syncs += 1;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.change(self.inode, |file, blocks_left| {
            for block in offset / BLOCK..=(offset + data.len() as u64 - 1) / BLOCK {
                if !file.taken.contains(&block) {
                    if let Some(left) = blocks_left {
                        *left = left.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
                    }
                    file.taken.insert(block);
                }
            }
            file.now[offset as usize..offset as usize + data.len()].copy_from_slice(data);
            file.pending.push(Change::Write(offset, data.to_vec()));
            Ok(())
        })
    }
}
