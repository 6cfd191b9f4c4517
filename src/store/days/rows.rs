//! Chunks as rows: how day files were written before there were pages. They are read until their day is settled.

use std::sync::Arc;

use codec::wire::BadBytes;
use model::time::Day;
use model::{Histogram, MsRange};
use redb::{ReadOnlyTable, ReadTransaction, TableDefinition};

use crate::columns::Columns;
use crate::{ReadGuard, StoreError};

use super::runs::read_histograms;

/// Epoch of the day, series, order of writing → chunk.
pub(super) const CHUNKS: TableDefinition<'_, (u8, u32, u64), &[u8]> = TableDefinition::new("chunks");
/// As `chunks`, of native histograms.
pub(super) const HISTOGRAMS: TableDefinition<'_, (u8, u32, u64), &[u8]> = TableDefinition::new("histograms");

/// Six epochs a day.
const EPOCH_MS: i64 = 4 * 3_600_000;

/// Bits of a chunk's order below the intake number of its flush.
const ORDER_BITS: u32 = 16;

type Chunks = ReadOnlyTable<(u8, u32, u64), &'static [u8]>;

/// The two tables of a day file.
pub(super) struct Rows {
    floats: Option<Chunks>,
    histograms: Option<Chunks>,
}

impl Rows {
    /// `None` for a file that has no rows, as every newer one.
    pub(super) fn open(txn: &ReadTransaction) -> Result<Option<Rows>, redb::Error> {
        let rows = Rows { floats: table_of(txn, CHUNKS)?, histograms: table_of(txn, HISTOGRAMS)? };
        Ok((rows.floats.is_some() || rows.histograms.is_some()).then_some(rows))
    }

    /// Adds one series' samples within the range, in the order in which they were written. Chunks that cannot be read go to
    /// `damaged`.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn read(
        &self,
        day: Day,
        series: u32,
        range: MsRange,
        flushed_seq: u64,
        guard: &mut dyn ReadGuard,
        out: &mut Columns,
        damaged: &mut dyn FnMut(&mut dyn ReadGuard, BadBytes) -> Result<(), StoreError>,
        failed: &dyn Fn(redb::Error) -> StoreError,
    ) -> Result<(), StoreError> {
        let first_epoch = epoch_of(range.start_ms.max(day.start_ms()));
        let last_epoch = epoch_of(range.end_ms.min(day.start_ms() + model::time::MS_PER_DAY - 1));
        for epoch in first_epoch..=last_epoch {
            let keys = (epoch, series, 0)..=(epoch, series, u64::MAX);
            let mut waiting: Vec<(u64, i64, Arc<Histogram>)> = Vec::new();
            if let Some(table) = &self.histograms {
                for row in table.range(keys.clone()).map_err(|error| failed(error.into()))? {
                    let (key, chunk) = row.map_err(|error| failed(error.into()))?;
                    let seq = key.value().2 >> ORDER_BITS;
                    if seq <= flushed_seq {
                        match read_histograms(chunk.value(), range, guard)? {
                            Ok(rows) => waiting.extend(rows.into_iter().map(|(at_ms, one)| (seq, at_ms, one))),
                            Err(error) => damaged(guard, error)?,
                        }
                    }
                }
            }
            // A flush has a float or a histogram of a time, so only the order of flushes matters.
            let mut waiting = waiting.into_iter().peekable();
            if let Some(table) = &self.floats {
                for row in table.range(keys).map_err(|error| failed(error.into()))? {
                    let (key, chunk) = row.map_err(|error| failed(error.into()))?;
                    let seq = key.value().2 >> ORDER_BITS;
                    if seq <= flushed_seq {
                        while let Some((_, at_ms, histogram)) = waiting.next_if(|earlier| earlier.0 < seq) {
                            out.push(at_ms, histogram);
                        }
                        if let Err(error) = read_floats(chunk.value(), range, guard, out)? {
                            damaged(guard, error)?;
                        }
                    }
                }
            }
            waiting.for_each(|(_, at_ms, histogram)| out.push(at_ms, histogram));
        }
        Ok(())
    }
}

/// Appends a chunk's samples within the range. What a chunk cannot say is the inner error, what the guard refuses the outer one.
fn read_floats(
    bytes: &[u8],
    range: MsRange,
    guard: &mut dyn ReadGuard,
    out: &mut Columns,
) -> Result<Result<(), BadBytes>, StoreError> {
    let head = match codec::chunk::head(bytes) {
        Ok(head) => head,
        Err(error) => return Ok(Err(error)),
    };
    if head.last_ms < range.start_ms || head.first_ms > range.end_ms {
        return Ok(Ok(()));
    }
    guard.spend(head.samples as u64, bytes.len() as u64)?;
    let before = out.at_ms.len();
    let decoded = codec::chunk::decode(bytes, &mut out.at_ms, &mut out.values);
    super::runs::cut(out, before, range);
    Ok(decoded.map(drop))
}

/// `None` before its first chunk.
fn table_of(
    txn: &ReadTransaction,
    definition: TableDefinition<'_, (u8, u32, u64), &'static [u8]>,
) -> Result<Option<Chunks>, redb::Error> {
    match txn.open_table(definition) {
        Ok(table) => Ok(Some(table)),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Which part of its day an instant lies in.
fn epoch_of(at_ms: i64) -> u8 {
    (at_ms.rem_euclid(model::time::MS_PER_DAY) / EPOCH_MS) as u8
}
