//! Blocks that cannot be read: what is known of them is kept with their day, so that searches go on without them and say so, and somebody is
//! told. A day file that cannot be read at all is set aside instead (`aside.rs`).

use std::collections::BTreeMap;

use model::NsRange;
use model::meter::Counter;

use super::day::DayFile;
use super::{LogStore, LogView};
use crate::StoreError;
use crate::error::describe;
use crate::file::corrupt;

static DAMAGED: Counter = Counter::new(
    "binnacle_store_damaged_log_blocks_total",
    "Log blocks met that cannot be read, each once a run of the program; searches go on without them.",
    &[],
);

/// By number, and why each cannot be read.
pub(super) type Damaged = BTreeMap<u64, String>;

impl DayFile {
    /// Remembers that a block cannot be read.
    pub(super) fn note_damage(&self, id: u64, reason: String) {
        if self.damaged.lock().insert(id, reason.clone()).is_none() {
            DAMAGED.add(&[], 1);
            tracing::error!(path = %self.path().display(), block = id, reason, "a log block is damaged; searches go on without it");
        }
    }

    /// Why a block cannot be read, if that is known.
    pub(super) fn damage(&self, id: u64) -> Option<StoreError> {
        let reason = self.damaged.lock().get(&id)?.clone();
        Some(corrupt(self.path(), format!("log block {id}: {reason}")))
    }

    pub(super) fn is_damaged(&self, id: u64) -> bool {
        self.damaged.lock().contains_key(&id)
    }

    /// Numbers of the blocks known to be damaged, in order.
    pub(super) fn damaged_blocks(&self) -> Vec<u64> {
        self.damaged.lock().keys().copied().collect()
    }

    /// What is wrong and what to do, in one line; `None` when nothing is.
    fn describe_damage(&self) -> Option<String> {
        let damaged = self.damaged.lock();
        let (first, reason) = damaged.first_key_value()?;
        let count = damaged.len();
        Some(format!(
            "{count} log blocks in {} cannot be read (the first is block {first}: {reason}); searches go on without them; restore the \
             day from a backup, or let its retention end",
            self.path().display()
        ))
    }
}

impl LogStore {
    /// Blocks known to be damaged, a line a day.
    pub(crate) fn damage(&self) -> Vec<String> {
        self.state.lock().days.values().filter_map(|day| day.file.describe_damage()).collect()
    }
}

impl LogView {
    /// Reads all blocks of a range whole and remembers those that cannot be, though their checksums hold; whether there are some that
    /// were not known. `look` is called before each; its error ends the call.
    ///
    /// # Errors
    /// `look`'s, and a disk that fails.
    pub fn find_damage<E: From<StoreError>>(
        &self,
        range: NsRange,
        mut look: impl FnMut() -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut found = false;
        for day in self.days.iter() {
            for info in day.blocks.iter().filter(|info| range.overlaps(info.min_ns, info.max_ns)) {
                if day.file.is_damaged(info.id) {
                    continue;
                }
                look()?;
                match day.file.block(info.id) {
                    Ok(Some(block)) => {
                        if let Err(error) = block.batch() {
                            day.file.note_damage(info.id, error.to_string());
                            found = true;
                        }
                    }
                    Ok(None) => {}
                    Err(error @ StoreError::Corrupt { .. }) => {
                        tracing::debug!(error = describe(&error), "found damage");
                        found = true;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(found)
    }
}
