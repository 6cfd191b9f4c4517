//! Hands out again what the log holds.

use codec::intake::{Item, decode_record};
use redb::{Database, ReadableDatabase, ReadableTable};

use super::{COUNTERS, DAMAGED, IntakeLog, LOG, SET_ASIDE, TRIMMED};
use crate::StoreError;
use crate::file::{guarded, redb_error};

impl IntakeLog {
    /// Hands out every batch numbered above `after`, in order. A record that cannot be read is set aside, logged and counted.
    pub(crate) fn replay(
        &self,
        after: u64,
        each: impl FnMut(u64, Item) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        guarded(&self.path, || self.replay_unguarded(after, each))
    }

    fn replay_unguarded(
        &self,
        after: u64,
        mut each: impl FnMut(u64, Item) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let database = self.database()?;
        let wrap = |error: redb::Error| redb_error("replaying an intake log", &self.path, error);
        let txn = database.begin_read().map_err(|error| wrap(error.into()))?;
        let table = match txn.open_table(LOG) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
            Err(error) => return Err(wrap(error.into())),
        };
        let mut damaged = Vec::new();
        let mut record: (u64, Vec<u8>) = (0, Vec::new());
        let mut take = |(last_seq, bytes): (u64, Vec<u8>),
                        each: &mut dyn FnMut(u64, Item) -> Result<(), StoreError>| {
            if bytes.is_empty() {
                return Ok(());
            }
            match decode_record(&bytes) {
                Ok((first_seq, items)) if first_seq.checked_add(items.len() as u64) == last_seq.checked_add(1) => {
                    for (seq, item) in (first_seq..).zip(items) {
                        if seq > after {
                            each(seq, item)?;
                        }
                    }
                }
                Ok(_) => damaged.push((last_seq, "its numbers contradict its key".to_string())),
                Err(error) => damaged.push((last_seq, error.to_string())),
            }
            Ok(())
        };
        for row in table.range((after.saturating_add(1), 0)..).map_err(|error| wrap(error.into()))? {
            let (key, piece) = row.map_err(|error| wrap(error.into()))?;
            let (last_seq, _) = key.value();
            if last_seq != record.0 {
                take(std::mem::replace(&mut record, (last_seq, Vec::new())), &mut each)?;
            }
            record.1.extend_from_slice(piece.value());
        }
        take(record, &mut each)?;
        drop((table, txn));
        for (last_seq, reason) in damaged {
            DAMAGED.add(&[], 1);
            tracing::error!(
                file = %self.path.display(), record = last_seq, reason,
                "a record of the intake log is damaged; it was set aside in the file's table set_aside"
            );
            self.note_damage(&format!(
                "record {last_seq} was acknowledged and cannot be read ({reason}); it is set aside there"
            ));
            self.set_aside(&database, last_seq).map_err(wrap)?;
        }
        Ok(())
    }

    fn set_aside(&self, database: &Database, last_seq: u64) -> Result<(), redb::Error> {
        let txn = database.begin_write()?;
        {
            let mut log = txn.open_table(LOG)?;
            let mut aside = txn.open_table(SET_ASIDE)?;
            for row in log.extract_from_if((last_seq, 0)..=(last_seq, u32::MAX), |_, _| true)? {
                let (key, piece) = row?;
                aside.insert(key.value(), piece.value())?;
            }
            // The number is used up even though its record is gone from the log.
            let mut counters = txn.open_table(COUNTERS)?;
            let trimmed = counters.get(TRIMMED)?.map_or(0, |value| value.value());
            if log.last()?.is_none_or(|(key, _)| key.value().0 < last_seq) && trimmed < last_seq {
                counters.insert(TRIMMED, last_seq)?;
            }
        }
        txn.commit()?;
        Ok(())
    }
}
