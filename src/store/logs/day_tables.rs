//! The tables of a day file: what a commit adds to them, and the bytes of one block.

use codec::block::Meta;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::day::Info;
use super::day_resources::Resources;
use super::day_rows::{EXTENT_BYTES, Place, parse_entry, parse_place, write_entry};
use super::seal::Sealed;

/// Number of the block → where it lies, then its summary.
pub(super) const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
const EXTENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("extents");
pub(super) const STATE: TableDefinition<'_, &str, u64> = TableDefinition::new("state");
/// The sequence number up to which the intake log's records of this day are in its blocks.
pub(super) const COVERED: &str = "covered";
/// The number of blocks that were grouped anew; later ones came since. Missing before the first time.
pub(super) const SETTLED: &str = "settled";

/// Adds blocks in one durable commit.
pub(super) fn append(
    database: &Database,
    first: u64,
    blocks: &[Sealed],
    covered: u64,
) -> Result<Vec<Info>, redb::Error> {
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
}

/// The bytes of a block, and its row.
fn stored_row(database: &Database, id: u64) -> Result<(Vec<u8>, Vec<u8>), redb::Error> {
    let txn = database.begin_read()?;
    let rows = txn.open_table(BLOCKS)?;
    let row = rows.get(id)?.ok_or_else(|| redb::Error::Corrupted("its row is missing".into()))?;
    let (place, _) = parse_place(row.value()).map_err(redb::Error::Corrupted)?;
    let table = txn.open_table(EXTENTS)?;
    // A block is some extents at most, whatever its row says.
    let mut out = Vec::with_capacity(place.bytes.min(4 * EXTENT_BYTES as u64) as usize);
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
    Ok((out, row.value().to_vec()))
}

/// The bytes of a block, which have a checksum of their own: that of its row, which is as long as a summary is, need not be looked at.
pub(super) fn stored_bytes(database: &Database, id: u64) -> Result<Vec<u8>, redb::Error> {
    Ok(stored_row(database, id)?.0)
}

/// The bytes of a block, and its summary.
pub(super) fn stored(database: &Database, id: u64) -> Result<(Vec<u8>, Meta), redb::Error> {
    let (bytes, row) = stored_row(database, id)?;
    let (_, meta) = parse_entry(&row).map_err(redb::Error::Corrupted)?;
    Ok((bytes, meta))
}

/// Marks the first blocks as grouped anew, in one durable commit.
pub(super) fn mark_settled(database: &Database, blocks: u64) -> Result<(), redb::Error> {
    let mut txn = database.begin_write()?;
    txn.set_quick_repair(true);
    txn.open_table(STATE)?.insert(SETTLED, blocks)?;
    txn.commit()?;
    Ok(())
}
