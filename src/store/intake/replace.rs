//! A fresh file in the place of one that was large and holds little now.

use std::sync::atomic::Ordering;

use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableHandle, WriteTransaction,
};

use super::{COUNTERS, IntakeLog, LOG, METADATA, NAMES, SERIES_V1, SET_ASIDE};
use crate::StoreError;
use crate::limits::{INTAKE_CACHE_BYTES, LOOSE_BYTES, REPLAY_BYTES_MAX};

impl IntakeLog {
    /// Whether the file may be much larger than what it holds, and that is little.
    pub(crate) fn is_loose(&self) -> bool {
        self.bytes() <= REPLAY_BYTES_MAX && self.written.load(Ordering::Relaxed) > LOOSE_BYTES
    }

    /// Puts a fresh file with the same content in the place of the file, which never shrinks by itself. Nobody may write meanwhile.
    ///
    /// # Errors
    /// As after a failed [`IntakeLog::commit`]; the content is whole in any case.
    pub(crate) fn replace(&self) -> Result<(), StoreError> {
        let old = self.database()?;
        self.files.replace(&self.path, INTAKE_CACHE_BYTES, |fresh| {
            self.guarded("copying an intake log", || copy(&old, fresh))
        })?;
        self.written.store(0, Ordering::Relaxed);
        Ok(())
    }
}

/// Every table; `meta` is in every file from the start.
const COPIED: [&str; 7] = ["log", "set_aside", "names", "series", "metadata", "counters", "meta"];

/// Copies every table in one commit.
fn copy(from: &Database, to: &Database) -> Result<(), redb::Error> {
    let (read, write) = (from.begin_read()?, to.begin_write()?);
    if read.list_tables()?.any(|table| !COPIED.contains(&table.name())) {
        return Err(redb::Error::Corrupted("an intake log has a table that is none of ours".into()));
    }
    copy_table(&read, &write, LOG)?;
    copy_table(&read, &write, SET_ASIDE)?;
    copy_table(&read, &write, NAMES)?;
    copy_table(&read, &write, SERIES_V1)?;
    copy_table(&read, &write, METADATA)?;
    copy_table(&read, &write, COUNTERS)?;
    write.commit()?;
    Ok(())
}

fn copy_table<K: redb::Key + 'static, V: redb::Value + 'static>(
    read: &ReadTransaction,
    write: &WriteTransaction,
    definition: TableDefinition<'_, K, V>,
) -> Result<(), redb::Error> {
    let from = match read.open_table(definition) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut to = write.open_table(definition)?;
    for row in from.iter()? {
        let (key, value) = row?;
        to.insert(key.value(), value.value())?;
    }
    Ok(())
}
