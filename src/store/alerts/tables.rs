//! Tables of `alerts.redb` and what opening the file checks. The layout is described in `FORMAT-ALERTS.md`.

use std::path::Path;

use codec::alert::RowError;
use redb::TableDefinition;

use super::database::SmallDatabase;
use super::{history, silences};
use crate::StoreError;
use crate::file::redb_error;

/// Version of the file as a whole: which tables there are and what their keys mean.
pub(crate) const FORMAT_VERSION: u64 = 1;

pub(crate) const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
/// Key in [`META`].
const FORMAT: &str = "format_version";
/// Key in [`META`]: the number of the last notice ever written.
pub(crate) const NOTICE_SEQ: &str = "notice_seq";
/// Key in [`META`]: the number of the last history row ever written.
pub(crate) const HISTORY_SEQ: &str = "history_seq";

/// Rule and fingerprint.
pub(crate) const INSTANCES: TableDefinition<'static, (&str, &str), &[u8]> = TableDefinition::new("instances");
/// Group to its last evaluated slot in ms.
pub(crate) const SLOTS: TableDefinition<'static, &str, i64> = TableDefinition::new("slots");
/// Rule to the intake sequence number up to which it has handled log records.
pub(crate) const CURSORS: TableDefinition<'static, &str, u64> = TableDefinition::new("cursors");
pub(crate) const NOTICES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("notices");
/// Name of a heartbeat to when it last came, in ms. Made by the first write, so files of before it lack it.
pub(crate) const HEARTBEATS: TableDefinition<'static, &str, i64> = TableDefinition::new("heartbeats");
/// Receiver and scope.
pub(crate) const INTENTS: TableDefinition<'static, (&str, &str), &[u8]> = TableDefinition::new("intents");

/// Makes missing tables, and refuses a file of a newer format without touching it.
pub(crate) fn prepare(db: &SmallDatabase, path: &str, supported: u64) -> Result<(), StoreError> {
    let failed = failed("preparing alert state", path);
    let known = db.read(|txn| match txn.open_table(META) {
        Ok(meta) => Ok(meta.get(FORMAT)?.map(|version| version.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    });
    match known.map_err(&failed)? {
        Some(found) if found > supported => return Err(newer(path, found, supported)),
        // A file of an earlier release lacks the tables that came later.
        Some(_) if has_latest(db).map_err(&failed)? => return Ok(()),
        Some(_) | None => {}
    }
    let made = db.write(|txn| {
        txn.open_table(META)?.insert(FORMAT, supported)?;
        txn.open_table(INSTANCES)?;
        txn.open_table(SLOTS)?;
        txn.open_table(CURSORS)?;
        txn.open_table(NOTICES)?;
        txn.open_table(INTENTS)?;
        txn.open_table(history::TRANSITIONS)?;
        txn.open_table(history::ATTEMPTS)?;
        txn.open_table(silences::SILENCES)?;
        txn.open_table(silences::ACKS)?;
        txn.open_table(silences::PUSHED)?;
        txn.open_table(history::AUDIT)?;
        Ok(())
    });
    made.map_err(failed)
}

/// Whether the tables are there that came last.
fn has_latest(db: &SmallDatabase) -> Result<bool, redb::Error> {
    db.read(|txn| match txn.open_table(CURSORS).and_then(|_| txn.open_table(history::AUDIT).map(|_| ())) {
        Ok(_) => Ok(true),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(false),
        Err(error) => Err(error.into()),
    })
}

pub(crate) fn newer(path: &str, found: u64, supported: u64) -> StoreError {
    let narrow = |version| u32::try_from(version).unwrap_or(u32::MAX);
    StoreError::NewerStore { path: path.into(), found: narrow(found), supported: narrow(supported) }
}

/// What an unreadable row means: a newer release's, or damage.
pub(crate) fn corrupt(path: &str, error: &RowError) -> StoreError {
    match error {
        RowError::Newer { found, supported } => newer(path, u64::from(*found), u64::from(*supported)),
        error => StoreError::Corrupt { path: path.into(), reason: error.to_string() },
    }
}

/// What a failed redb operation on the file means.
pub(crate) fn failed<E: Into<redb::Error>>(doing: &'static str, path: &str) -> impl Fn(E) -> StoreError {
    move |error| redb_error(doing, Path::new(path), error.into())
}
