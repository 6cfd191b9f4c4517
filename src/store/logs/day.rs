//! The redb file of one day: blocks packed into extents, their summaries, and how far the intake log is contained.
//!
//! Blocks are only ever added, and gone only with the whole file; so a reader needs no transaction that lasts. A block or a row that
//! cannot be read is one block less (`damage.rs`); the file goes on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use codec::block::{Block, BlockError, Meta};
use model::time::Day;
use parking_lot::{Mutex, RwLock};
use redb::{Database, ReadableDatabase, ReadableTable};

use super::damage::Damaged;
use super::day_resources::RESOURCES;
use super::day_rows::{parse_entry, parse_resource};
use super::day_tables::{BLOCKS, COVERED, SETTLED, STATE, append, stored, stored_bytes};
use super::seal::Sealed;
use super::summaries::{Summaries, Summary};
use crate::StoreError;
use crate::file::{Files, OpenFile, corrupt, guarded, io_error, redb_error};

/// Page cache of a day file, in bytes; the system's own cache stands behind it.
pub(super) const CACHE_BYTES: usize = 1 << 20;
/// Blocks whose rows may be missing one after the other; with more of them the file as a whole is no good.
const MISSING_MAX: u64 = 65_536;

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
    pub(super) fn of(id: u64, meta: &Meta, stored_bytes: u64) -> Info {
        let mut severities = 0;
        for (bit, count) in meta.severities.iter().enumerate() {
            // What may be of any severity has all.
            severities |= u8::from(*count > 0 || !meta.has_derived) << bit;
        }
        let Meta { records, raw_bytes, min_ns, max_ns, .. } = *meta;
        Info { id, records, raw_bytes, min_ns, max_ns, severities, stored_bytes }
    }

    /// Of a block whose row cannot be read: it may have been anything of its day.
    fn unknown(id: u64, day: Option<Day>) -> Info {
        let (min_ns, max_ns) = day.map_or((i64::MIN, i64::MAX), |day| {
            (day.start_ns(), Day(day.0.saturating_add(1)).start_ns().saturating_sub(1))
        });
        Info { id, records: 0, raw_bytes: 0, min_ns, max_ns, severities: u8::MAX, stored_bytes: 0 }
    }
}

/// What a file says of itself.
#[derive(Default)]
pub(super) struct Loaded {
    /// By number.
    pub(super) blocks: Vec<Info>,
    /// The sequence number up to which the intake log's records of this day are in the blocks.
    pub(super) covered_seq: Option<u64>,
    /// How many of the blocks were grouped anew; `None` when none ever was.
    pub(super) settled: Option<u64>,
}

/// What became of a file.
pub(super) enum Standing {
    There,
    /// Another one has its name; who still needs this one reads on in it.
    Replaced(Arc<OpenFile>),
    Gone,
}

pub(super) struct DayFile {
    pub(super) path: PathBuf,
    pub(super) files: Arc<Files>,
    /// Tells it from all others of this run, also from those of the same path.
    number: u64,
    /// Held for reading while the file is in use, since opening a removed file would make a new one.
    pub(super) standing: RwLock<Standing>,
    pub(super) damaged: Mutex<Damaged>,
}

impl DayFile {
    /// Does not touch the disk yet.
    pub(super) fn new(path: PathBuf, files: Arc<Files>) -> DayFile {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        DayFile { path, files, number, standing: RwLock::new(Standing::There), damaged: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, as long as it stands so; `None` when it is gone.
    pub(super) fn opened(&self, standing: &Standing) -> Result<Option<Arc<OpenFile>>, StoreError> {
        match standing {
            Standing::There => self.files.get(&self.path, CACHE_BYTES).map(Some),
            Standing::Replaced(file) => Ok(Some(file.clone())),
            Standing::Gone => Ok(None),
        }
    }

    /// The file under its own name.
    fn open(&self) -> Result<Arc<OpenFile>, StoreError> {
        match &*self.standing.read() {
            Standing::There => self.files.get(&self.path, CACHE_BYTES),
            Standing::Replaced(_) | Standing::Gone => {
                Err(StoreError::Unavailable { reason: format!("{} was replaced or removed", self.path.display()) })
            }
        }
    }

    /// The blocks and what is noted beside them. Of a block whose row is damaged or missing it is remembered that it cannot be read.
    ///
    /// # Errors
    /// `Corrupt` when the file as a whole cannot be read.
    pub(super) fn load(&self) -> Result<Loaded, StoreError> {
        let database = self.open()?;
        let day = self.path.file_stem().and_then(|stem| stem.to_str()).and_then(Day::parse);
        let read = || -> Result<_, redb::Error> {
            let txn = database.begin_read()?;
            let (covered_seq, settled) = match txn.open_table(STATE) {
                Ok(table) => {
                    let noted = |key| -> Result<_, redb::Error> { Ok(table.get(key)?.map(|value| value.value())) };
                    (noted(COVERED)?, noted(SETTLED)?)
                }
                // Made, and stopped before its first commit.
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Loaded::default()),
                Err(other) => return Err(other.into()),
            };
            let mut infos: Vec<Info> = Vec::new();
            for entry in txn.open_table(BLOCKS)?.iter()? {
                let (id, value) = entry?;
                let (id, next) = (id.value(), infos.len() as u64);
                if id.saturating_sub(next) > MISSING_MAX {
                    return Err(redb::Error::Corrupted(format!("log blocks {next} to {id} are missing")));
                }
                for missing in next..id {
                    self.note_damage(missing, "its row is missing".into());
                    infos.push(Info::unknown(missing, day));
                }
                infos.push(match parse_entry(value.value()) {
                    Ok((place, meta)) => Info::of(id, &meta, place.bytes),
                    Err(reason) => {
                        self.note_damage(id, reason);
                        Info::unknown(id, day)
                    }
                });
            }
            Ok(Loaded { blocks: infos, covered_seq, settled })
        };
        guarded(&self.path, || read().map_err(|error| redb_error("read a day of logs", &self.path, error)))
    }

    /// Adds blocks, the first under the number `first`, in one durable commit with the new `covered`.
    pub(super) fn append(&self, first: u64, blocks: &[Sealed], covered: u64) -> Result<Vec<Info>, StoreError> {
        let database = self.open()?;
        guarded(&self.path, || {
            append(&database, first, blocks, covered).map_err(|error| redb_error("store log blocks", &self.path, error))
        })
        .inspect_err(|_| self.files.forget(&self.path))
    }

    /// The summary of a block; `None` when the day was dropped, or the summary cannot be read: then the block tells.
    pub(super) fn meta(&self, id: u64) -> Result<Option<Summary>, StoreError> {
        let at = usize::try_from(id).unwrap_or(usize::MAX);
        Ok(self.summaries(at)?.and_then(|of_day| of_day.of(id)))
    }

    /// The summaries of all blocks up to `at`, and maybe later ones. Very many are read anew each time: who needs many asks once.
    pub(super) fn summaries(&self, at: usize) -> Result<Option<Arc<Summaries>>, StoreError> {
        let standing = self.standing.read();
        if matches!(*standing, Standing::Gone) {
            return Ok(None);
        }
        let cache = &self.files.log_summaries;
        if let Some(known) = cache.get(self.number).filter(|known| at < known.metas.len()) {
            return Ok(Some(known));
        }
        let Some(database) = self.opened(&standing)? else { return Ok(None) };
        let read = match guarded(&self.path, || self.read_summaries(&database)) {
            Ok(read) => Arc::new(read),
            Err(StoreError::Corrupt { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        cache.put(self.number, &read);
        Ok(Some(read))
    }

    fn read_summaries(&self, database: &Database) -> Result<Summaries, StoreError> {
        let read = || -> Result<Summaries, redb::Error> {
            let txn = database.begin_read()?;
            let mut out = Summaries::default();
            for entry in txn.open_table(BLOCKS)?.iter()? {
                let (id, row) = entry?;
                // The file was loaded, so what is missing is little.
                out.metas.resize_with((id.value() as usize).min(out.metas.len() + MISSING_MAX as usize), || None);
                out.metas.push(parse_entry(row.value()).ok().map(|(_, meta)| meta));
            }
            match txn.open_table(RESOURCES) {
                Ok(table) => {
                    for entry in table.iter()? {
                        out.resources.push(parse_resource(entry?.1.value()).ok());
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
    ///
    /// # Errors
    /// `Corrupt` for a block that is damaged; that is remembered, and it is not read again.
    pub(super) fn block(&self, id: u64) -> Result<Option<Block>, StoreError> {
        self.read(id, stored_bytes, Block::parse)
    }

    /// A block, and with what it was sealed.
    ///
    /// # Errors
    /// As [`DayFile::block`].
    pub(super) fn sealed(&self, id: u64) -> Result<Option<(Block, Sealed)>, StoreError> {
        self.read(id, stored, |(bytes, mut meta)| {
            let block = Block::parse(bytes.clone())?;
            if !meta.has_derived {
                let batch = block.batch()?;
                let counted = Meta::of(meta.raw_bytes, batch.records.iter().map(|(_, _, record)| record));
                meta = Meta { resources: meta.resources, keys: meta.keys, ..counted };
            }
            Ok((block, Sealed { bytes, meta }))
        })
    }

    fn read<S, T>(
        &self,
        id: u64,
        load: impl FnOnce(&Database, u64) -> Result<S, redb::Error>,
        parse: impl FnOnce(S) -> Result<T, BlockError>,
    ) -> Result<Option<T>, StoreError> {
        let standing = self.standing.read();
        if let Some(error) = self.damage(id) {
            return Err(error);
        }
        let Some(database) = self.opened(&standing)? else { return Ok(None) };
        let read = || {
            let loaded = load(&database, id).map_err(|error| redb_error("read a log block", &self.path, error))?;
            parse(loaded).map_err(|error| corrupt(&self.path, error.to_string()))
        };
        match guarded(&self.path, read) {
            Ok(block) => Ok(Some(block)),
            Err(StoreError::Corrupt { reason, .. }) => {
                self.note_damage(id, reason.clone());
                Err(corrupt(&self.path, format!("log block {id}: {reason}")))
            }
            Err(other) => Err(other),
        }
    }

    /// Removes the file; waits for reads under way, and later ones find nothing.
    pub(super) fn remove(&self) -> Result<(), StoreError> {
        let mut standing = self.standing.write();
        *standing = Standing::Gone;
        self.files.log_summaries.forget(self.number);
        self.files.forget(&self.path);
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", &self.path, error)),
            _ => Ok(()),
        }
    }
}
