//! Names of series as the migration from version 1 leaves them in a day file: rows, which become a segment of its index.

use std::collections::BTreeMap;

use model::Labels;
use redb::{Database, ReadableDatabase, ReadableTable as _, TableDefinition};

use crate::index;

/// As version 1 had them in the intake log.
const SERIES_V1: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("series");

/// Does nothing when there are none.
pub(super) fn pack(database: &Database) -> Result<(), redb::Error> {
    let txn = database.begin_read()?;
    let rows = match txn.open_table(SERIES_V1) {
        Ok(rows) => rows,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut names: BTreeMap<u32, Labels> = BTreeMap::new();
    for row in rows.iter()? {
        let (number, labels) = row?;
        let labels = codec::intake::decode_labels(labels.value(), |text| text.into())
            .map_err(|error| redb::Error::Corrupted(format!("series {}: {error}", number.value())))?;
        names.insert(number.value(), labels);
    }
    drop((rows, txn));
    let mut txn = database.begin_write()?;
    txn.set_quick_repair(true);
    let labels_of = |numbers: &[u32]| -> Vec<(u32, Labels)> {
        numbers.iter().filter_map(|number| Some((*number, names.get(number)?.clone()))).collect()
    };
    index::write::add(&txn, &names.keys().copied().collect(), &labels_of)?;
    txn.delete_table(SERIES_V1)?;
    txn.commit()?;
    Ok(())
}
