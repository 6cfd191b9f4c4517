//! What happened: transitions and attempts by time, bounded in number and trimmed by age.

use codec::alert;
use model::alert::{Attempt, Transition};
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};

use super::tables::{HISTORY_SEQ, META};

/// Most rows of each kind; beyond it the oldest go. At some 300 bytes a row this is 30 MB, and at a change a minute
/// more than two months.
pub(crate) const HISTORY_ROWS_MAX: u64 = 100_000;

/// Time in ms and a number that orders rows of one millisecond.
type HistoryTable = TableDefinition<'static, (i64, u64), &'static [u8]>;

pub(crate) const TRANSITIONS: HistoryTable = TableDefinition::new("transitions");
pub(crate) const ATTEMPTS: HistoryTable = TableDefinition::new("attempts");
/// Who did what. Trimmed by number alone: it is asked for when all else is gone.
pub(crate) const AUDIT: HistoryTable = TableDefinition::new("audit");

pub(crate) fn append_transitions(txn: &WriteTransaction, transitions: &[Transition]) -> Result<(), redb::Error> {
    let rows = transitions.iter().map(|transition| (transition.at_ms, alert::encode_transition(transition)));
    append(txn, TRANSITIONS, rows, HISTORY_ROWS_MAX)
}

pub(crate) fn append_attempt(txn: &WriteTransaction, attempt: &Attempt) -> Result<(), redb::Error> {
    append(txn, ATTEMPTS, [(attempt.at_ms, alert::encode_attempt(attempt))], HISTORY_ROWS_MAX)
}

/// Adds rows and drops the oldest beyond `rows_max`.
pub(crate) fn append(
    txn: &WriteTransaction,
    table: HistoryTable,
    rows: impl IntoIterator<Item = (i64, Vec<u8>)>,
    rows_max: u64,
) -> Result<(), redb::Error> {
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let mut meta = txn.open_table(META)?;
    let mut seq = meta.get(HISTORY_SEQ)?.map_or(0, |seq| seq.value());
    let mut table = txn.open_table(table)?;
    for (at_ms, row) in rows {
        seq += 1;
        table.insert((at_ms, seq), row.as_slice())?;
    }
    meta.insert(HISTORY_SEQ, seq)?;
    while table.len()? > rows_max {
        table.pop_first()?;
    }
    Ok(())
}

/// Rows of times before `before_ms`, newest first.
pub(crate) fn newest(
    txn: &ReadTransaction,
    table: HistoryTable,
    before_ms: i64,
    max: usize,
) -> Result<Vec<Vec<u8>>, redb::Error> {
    let table = txn.open_table(table)?;
    let mut out = Vec::new();
    for entry in table.range(..(before_ms, 0))?.rev().take(max) {
        out.push(entry?.1.value().to_vec());
    }
    Ok(out)
}

/// Whether anything is older.
pub(crate) fn has_before(txn: &ReadTransaction, before_ms: i64) -> Result<bool, redb::Error> {
    for table in [TRANSITIONS, ATTEMPTS] {
        if let Some((key, _)) = txn.open_table(table)?.first()?
            && key.value().0 < before_ms
        {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(crate) fn trim(txn: &WriteTransaction, before_ms: i64) -> Result<(), redb::Error> {
    for table in [TRANSITIONS, ATTEMPTS] {
        txn.open_table(table)?.retain_in(..(before_ms, 0), |_, _| false)?;
    }
    Ok(())
}
