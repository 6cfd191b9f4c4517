//! From version 1 to 2: the names of series leave the intake log for the day files that hold their samples.
//!
//! Version 1, as far as this step reads it: `intake.redb` has the table `series`, series number u32 → labels, of all series; a day file of
//! metrics has the table `present`, () → a roaring bitmap (portable format) of the numbers that have samples in it. Version 2 takes
//! a table `series` of the same rows in a day file, and packs it at the first opening; in `intake.redb` the table may stay as long as
//! the log has records of version 1.

use redb::{Database, ReadOnlyTable, ReadableDatabase, TableDefinition};
use roaring::RoaringBitmap;

use crate::{FORMAT, META};

const SERIES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("series");
const PRESENT: TableDefinition<'_, (), &[u8]> = TableDefinition::new("present");

/// The names of all series of a tenant, from its intake log.
pub struct Names(Option<ReadOnlyTable<u32, &'static [u8]>>);

impl Names {
    pub fn read(intake: &Database) -> Result<Names, redb::Error> {
        match intake.begin_read()?.open_table(SERIES) {
            Ok(table) => Ok(Names(Some(table))),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(Names(None)),
            Err(error) => Err(error.into()),
        }
    }
}

fn present(database: &Database) -> Result<RoaringBitmap, redb::Error> {
    let table = match database.begin_read()?.open_table(PRESENT) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(RoaringBitmap::new()),
        Err(error) => return Err(error.into()),
    };
    let Some(row) = table.get(())? else { return Ok(RoaringBitmap::new()) };
    RoaringBitmap::deserialize_from(row.value())
        .map_err(|error| redb::Error::Corrupted(format!("its list of series cannot be read: {error}")))
}

/// Brings a day file of metrics to version 2, in one commit.
pub fn day(database: &Database, names: &Names) -> Result<(), redb::Error> {
    let present = present(database)?;
    let mut txn = database.begin_write()?;
    txn.set_quick_repair(true);
    if !present.is_empty() {
        let mut table = txn.open_table(SERIES)?;
        for number in present {
            let row = names.0.as_ref().map_or(Ok(None), |names| names.get(number))?;
            let row = row.ok_or_else(|| redb::Error::Corrupted(format!("nothing names its series {number}")))?;
            table.insert(number, row.value())?;
        }
    }
    txn.open_table(META)?.insert(FORMAT, 2)?;
    txn.commit()?;
    Ok(())
}

/// Brings any other file to version 2: nothing changes in them. A day of metrics is not migrated without its names.
pub(crate) fn other(database: &Database) -> Result<(), redb::Error> {
    if present(database)?.is_empty() {
        return Ok(());
    }
    Err(redb::Error::Corrupted(
        "it is a day of metrics of version 1, whose series are named in its intake.redb alone".into(),
    ))
}
