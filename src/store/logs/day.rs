//! The redb file of one day: blocks packed into extents, their summaries, and how far the intake log is contained.
//!
//! Blocks are only ever added, and gone only with the whole file; so a reader needs no transaction that lasts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use codec::block::{Block, Meta};
use codec::wire::{Reader, put_varint};
use parking_lot::RwLock;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::seal::Sealed;
use crate::StoreError;
use crate::file::{Files, corrupt, io_error, redb_error};

/// Number of the block → where it lies, then its summary.
const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
const EXTENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("extents");
const STATE: TableDefinition<'_, &str, u64> = TableDefinition::new("state");
const COVERED: &str = "covered";

/// redb gives a large value a power of two of pages less its own 64 bytes: values of just that size waste nothing.
const EXTENT_BYTES: usize = (64 << 10) - 64;
/// Page cache of a day file, in bytes; the system's own cache stands behind it.
const CACHE_BYTES: usize = 1 << 20;

/// What is kept in memory of a block. `min_ns` and `max_ns` are both included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Info {
    pub(super) id: u64,
    pub(super) records: u64,
    pub(super) raw_bytes: u64,
    pub(super) min_ns: i64,
    pub(super) max_ns: i64,
    /// Bit n: it has records of `Severity::ALL[n]`.
    pub(super) severities: u8,
    pub(super) stored_bytes: u64,
}

impl Info {
    fn of(id: u64, meta: &Meta, stored_bytes: u64) -> Info {
        let mut severities = 0;
        for (bit, count) in meta.severities.iter().enumerate() {
            severities |= u8::from(*count > 0) << bit;
        }
        let Meta { records, raw_bytes, min_ns, max_ns, .. } = *meta;
        Info { id, records, raw_bytes, min_ns, max_ns, severities, stored_bytes }
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    extent: u64,
    offset: u64,
    bytes: u64,
}

pub(super) struct DayFile {
    path: PathBuf,
    files: Arc<Files>,
    /// Whether it still exists. Held for reading while the file is in use, since opening a removed file would make a new one.
    exists: RwLock<bool>,
}

impl DayFile {
    /// Does not touch the disk yet.
    pub(super) fn new(path: PathBuf, files: Arc<Files>) -> DayFile {
        DayFile { path, files, exists: RwLock::new(true) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self) -> Result<Arc<Database>, StoreError> {
        self.files.get(&self.path, CACHE_BYTES)
    }

    /// The blocks, by number, and the sequence number up to which the intake log's records of this day are in them.
    pub(super) fn load(&self) -> Result<(Vec<Info>, Option<u64>), StoreError> {
        let database = self.open()?;
        let read = || -> Result<_, redb::Error> {
            let txn = database.begin_read()?;
            let covered = match txn.open_table(STATE) {
                Ok(table) => table.get(COVERED)?.map(|seq| seq.value()),
                // Made, and stopped before its first commit.
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok((Vec::new(), None)),
                Err(other) => return Err(other.into()),
            };
            let mut infos = Vec::new();
            for entry in txn.open_table(BLOCKS)?.iter()? {
                let (id, value) = entry?;
                let (place, meta) = parse(value.value()).map_err(redb::Error::Corrupted)?;
                infos.push(Info::of(id.value(), &meta, place.bytes));
            }
            Ok((infos, covered))
        };
        let (infos, covered) = read().map_err(|error| redb_error("read a day of logs", &self.path, error))?;
        if infos.iter().enumerate().any(|(at, info)| info.id != at as u64) {
            return Err(corrupt(&self.path, "a log block is missing".into()));
        }
        Ok((infos, covered))
    }

    /// Adds blocks, the first under the number `first`, in one durable commit with the new `covered`.
    pub(super) fn append(&self, first: u64, blocks: &[Sealed], covered: u64) -> Result<Vec<Info>, StoreError> {
        let database = self.open()?;
        let write = || -> Result<_, redb::Error> {
            let mut txn = database.begin_write()?;
            // Without it redb reads the whole file when it opens it after a crash.
            txn.set_quick_repair(true);
            let mut infos = Vec::new();
            {
                let mut extents = txn.open_table(EXTENTS)?;
                let mut table = txn.open_table(BLOCKS)?;
                let mut extent = extents.last()?.map_or(0, |(id, _)| id.value() + 1);
                let mut pending: Vec<u8> = Vec::new();
                for (number, sealed) in (first..).zip(blocks) {
                    let bytes = sealed.bytes.len() as u64;
                    let place = Place { extent, offset: pending.len() as u64, bytes };
                    pending.extend_from_slice(&sealed.bytes);
                    while pending.len() >= EXTENT_BYTES {
                        extents.insert(extent, &pending[..EXTENT_BYTES])?;
                        pending.drain(..EXTENT_BYTES);
                        extent += 1;
                    }
                    table.insert(number, &*write_entry(place, &sealed.meta))?;
                    infos.push(Info::of(number, &sealed.meta, bytes));
                }
                if !pending.is_empty() {
                    extents.insert(extent, &*pending)?;
                }
                txn.open_table(STATE)?.insert(COVERED, covered)?;
            }
            txn.commit()?;
            Ok(infos)
        };
        write().map_err(|error| {
            self.files.forget(&self.path);
            redb_error("store log blocks", &self.path, error)
        })
    }

    fn entry(&self, database: &Database, id: u64) -> Result<(Place, Meta), StoreError> {
        let read = || -> Result<_, redb::Error> {
            let table = database.begin_read()?.open_table(BLOCKS)?;
            let value = table.get(id)?.ok_or_else(|| redb::Error::Corrupted("a log block is missing".into()))?;
            parse(value.value()).map_err(redb::Error::Corrupted)
        };
        read().map_err(|error| redb_error("read a log block", &self.path, error))
    }

    /// The summary of a block; `None` when the day was dropped.
    pub(super) fn meta(&self, id: u64) -> Result<Option<Meta>, StoreError> {
        let exists = self.exists.read();
        if !*exists {
            return Ok(None);
        }
        Ok(Some(self.entry(&*self.open()?, id)?.1))
    }

    /// A block; `None` when the day was dropped.
    pub(super) fn block(&self, id: u64) -> Result<Option<Block>, StoreError> {
        let exists = self.exists.read();
        if !*exists {
            return Ok(None);
        }
        let database = self.open()?;
        let (place, _) = self.entry(&database, id)?;
        let read = || -> Result<Vec<u8>, redb::Error> {
            let table = database.begin_read()?.open_table(EXTENTS)?;
            let mut out = Vec::new();
            let mut skip = place.offset as usize;
            let mut extent = place.extent;
            while (out.len() as u64) < place.bytes {
                let missing = || redb::Error::Corrupted(format!("extent {extent} is missing or too short"));
                let value = table.get(extent)?.ok_or_else(missing)?;
                let left = place.bytes as usize - out.len();
                let bytes = value.value().get(skip..).filter(|bytes| !bytes.is_empty()).ok_or_else(missing)?;
                out.extend_from_slice(&bytes[..bytes.len().min(left)]);
                (skip, extent) = (0, extent + 1);
            }
            Ok(out)
        };
        let bytes = read().map_err(|error| redb_error("read a log block", &self.path, error))?;
        Block::parse(bytes).map(Some).map_err(|error| corrupt(&self.path, format!("block {id}: {error}")))
    }

    /// Removes the file; waits for reads under way, and later ones find nothing.
    pub(super) fn remove(&self) -> Result<(), StoreError> {
        let mut exists = self.exists.write();
        *exists = false;
        self.files.forget(&self.path);
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", &self.path, error)),
            _ => Ok(()),
        }
    }
}

fn write_entry(place: Place, meta: &Meta) -> Vec<u8> {
    let mut out = Vec::new();
    for number in [place.extent, place.offset, place.bytes] {
        put_varint(&mut out, number);
    }
    out.extend_from_slice(&meta.encode());
    out
}

fn parse(bytes: &[u8]) -> Result<(Place, Meta), String> {
    let mut reader = Reader(bytes);
    let mut number = || reader.varint().map_err(|error| error.to_string());
    let place = Place { extent: number()?, offset: number()?, bytes: number()? };
    if place.offset >= EXTENT_BYTES as u64 {
        return Err("a log block starts outside its extent".into());
    }
    let meta = Meta::decode(reader.0).map_err(|error| error.to_string())?;
    Ok((place, meta))
}
