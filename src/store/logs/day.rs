//! The redb file of one day: blocks packed into extents, their summaries, and how far the intake log is contained.
//!
//! Blocks are only ever added, and gone only with the whole file; so a reader needs no transaction that lasts.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codec::block::{self, Block, Meta};
use codec::wire::{Reader, put_varint};
use foldhash::fast::RandomState;
use parking_lot::RwLock;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::seal::Sealed;
use super::summaries::{Summaries, Summary};
use crate::StoreError;
use crate::file::{Files, corrupt, io_error, redb_error};

/// Number of the block → where it lies, then its summary.
const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
const EXTENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("extents");
/// Number of a resource, from 0 without gaps → its bytes.
const RESOURCES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("resources");
const STATE: TableDefinition<'_, &str, u64> = TableDefinition::new("state");
const COVERED: &str = "covered";

/// Resources of a day that summaries may name; a day of more has summaries without.
const DAY_RESOURCES_MAX: usize = 10_000;
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
                let mut resources = Resources::read(&txn)?;
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
                    let mut meta = sealed.meta.clone();
                    resources.complete(&mut meta, &sealed.bytes);
                    table.insert(number, &*write_entry(place, &meta))?;
                    infos.push(Info::of(number, &sealed.meta, bytes));
                }
                if !pending.is_empty() {
                    extents.insert(extent, &*pending)?;
                }
                resources.write(&txn)?;
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

    fn place(&self, database: &Database, id: u64) -> Result<Place, StoreError> {
        let read = || -> Result<_, redb::Error> {
            let table = database.begin_read()?.open_table(BLOCKS)?;
            let value = table.get(id)?.ok_or_else(|| redb::Error::Corrupted("a log block is missing".into()))?;
            parse_place(&mut Reader(value.value())).map_err(redb::Error::Corrupted)
        };
        read().map_err(|error| redb_error("read a log block", &self.path, error))
    }

    /// The summary of a block; `None` when the day was dropped.
    pub(super) fn meta(&self, id: u64) -> Result<Option<Summary>, StoreError> {
        let exists = self.exists.read();
        if !*exists {
            return Ok(None);
        }
        let at = usize::try_from(id).unwrap_or(usize::MAX);
        let cache = &self.files.log_summaries;
        let summaries = match cache.get(&self.path).filter(|known| at < known.metas.len()) {
            Some(known) => known,
            None => {
                let read = Arc::new(self.summaries(&*self.open()?)?);
                cache.put(&self.path, &read);
                read
            }
        };
        if at >= summaries.metas.len() {
            return Err(corrupt(&self.path, "a log block is missing".into()));
        }
        Ok(Some(Summary { of_day: summaries, at }))
    }

    fn summaries(&self, database: &Database) -> Result<Summaries, StoreError> {
        let read = || -> Result<Summaries, redb::Error> {
            let txn = database.begin_read()?;
            let mut out = Summaries::default();
            for entry in txn.open_table(BLOCKS)?.iter()? {
                out.metas.push(parse(entry?.1.value()).map_err(redb::Error::Corrupted)?.1);
            }
            match txn.open_table(RESOURCES) {
                Ok(table) => {
                    for entry in table.iter()? {
                        let resource = block::decode_resource(entry?.1.value());
                        out.resources.push(resource.map_err(|error| redb::Error::Corrupted(error.to_string()))?);
                    }
                }
                // A day that an earlier release began.
                Err(redb::TableError::TableDoesNotExist(_)) => {}
                Err(other) => return Err(other.into()),
            }
            Ok(out)
        };
        read().map_err(|error| redb_error("read summaries of log blocks", &self.path, error))
    }

    /// A block; `None` when the day was dropped.
    pub(super) fn block(&self, id: u64) -> Result<Option<Block>, StoreError> {
        let exists = self.exists.read();
        if !*exists {
            return Ok(None);
        }
        let database = self.open()?;
        let place = self.place(&database, id)?;
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
        self.files.log_summaries.forget(&self.path);
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

fn parse_place(reader: &mut Reader<'_>) -> Result<Place, String> {
    let mut number = || reader.varint().map_err(|error| error.to_string());
    let place = Place { extent: number()?, offset: number()?, bytes: number()? };
    if place.offset >= EXTENT_BYTES as u64 {
        return Err("a log block starts outside its extent".into());
    }
    Ok(place)
}

fn parse(bytes: &[u8]) -> Result<(Place, Meta), String> {
    let mut reader = Reader(bytes);
    let place = parse_place(&mut reader)?;
    let meta = Meta::decode(reader.0).map_err(|error| error.to_string())?;
    Ok((place, meta))
}

fn keys_of(block: &Block) -> Option<Vec<u32>> {
    let attributes = block.attributes().ok()?.keys().iter();
    let scopes = block.scopes().ok()?.iter().flat_map(|scope| scope.attributes.iter().map(|(key, _)| key));
    let mut keys: Vec<u32> = attributes.chain(scopes).map(|key| Meta::key_hash(key)).collect();
    keys.sort_unstable();
    keys.dedup();
    (keys.len() <= block::KEYS_MAX).then_some(keys)
}

/// The numbers of a day's resources while blocks are added.
struct Resources {
    numbers: HashMap<Vec<u8>, u32, RandomState>,
    written: usize,
}

impl Resources {
    fn read(txn: &redb::WriteTransaction) -> Result<Resources, redb::Error> {
        let mut numbers = HashMap::default();
        for entry in txn.open_table(RESOURCES)?.iter()? {
            let (number, bytes) = entry?;
            numbers.insert(bytes.value().to_vec(), number.value());
        }
        Ok(Resources { written: numbers.len(), numbers })
    }

    /// Puts into a block's summary what is known only from the block and the day. What cannot be told is left out.
    fn complete(&mut self, meta: &mut Meta, bytes: &[u8]) {
        if let Ok(block) = Block::parse(bytes.to_vec()) {
            meta.resources = self.count(&block);
            meta.keys = keys_of(&block);
        }
    }

    /// Records of each resource of a block; `None` when those are too many.
    fn count(&mut self, block: &Block) -> Option<Vec<(u32, u64)>> {
        let resources = block.resources().ok()?;
        // Equal resources stand in a block once for each of their scopes.
        let mut number_of = Vec::with_capacity(resources.len());
        for resource in resources {
            let bytes = block::encode_resource(resource);
            let next = self.numbers.len();
            number_of.push(match self.numbers.get(&bytes) {
                Some(number) => *number,
                None if next >= DAY_RESOURCES_MAX => return None,
                None => *self.numbers.entry(bytes).or_insert(next as u32),
            });
        }
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        for record in 0..block.count() {
            *counts.entry(number_of[block.stream(record).ok()?.0]).or_default() += 1;
        }
        (counts.len() <= block::RESOURCES_MAX).then(|| counts.into_iter().collect())
    }

    fn write(self, txn: &redb::WriteTransaction) -> Result<(), redb::Error> {
        let mut table = txn.open_table(RESOURCES)?;
        for (bytes, number) in self.numbers.iter().filter(|(_, number)| **number as usize >= self.written) {
            table.insert(*number, &**bytes)?;
        }
        Ok(())
    }
}
