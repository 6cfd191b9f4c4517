//! Reading all of a tenant's log data for the sake of knowing that it can be read, and making its index anew.

use std::sync::Arc;

use model::time::Day;

use super::{LogStore, index};
use crate::StoreError;
use crate::error::describe;
use crate::verify::Verified;

impl LogStore {
    /// Reads every block and checks every segment of the index, and adds to `found`. With `rebuild` the index is made anew before.
    ///
    /// # Errors
    /// A disk that fails. Damage is no error: it is told in `found`.
    pub(crate) fn verify(&self, rebuild: bool, found: &mut Verified) -> Result<(), StoreError> {
        let days: Vec<Day> = self.state.lock().days.keys().copied().collect();
        for number in days {
            if rebuild {
                self.rebuild(number)?;
            }
            let (file, blocks, segments) = {
                let state = self.state.lock();
                let Some(day) = state.days.get(&number) else { continue };
                found.log_records += day.head.iter().map(|part| part.len() as u64).sum::<u64>();
                (day.file.clone(), day.blocks.clone(), day.segments.clone())
            };
            for info in blocks.iter() {
                let read = file.block(info.id).and_then(|block| match block {
                    Some(block) => block
                        .batch()
                        .map_err(|error| super::corrupt(file.path(), format!("log block {}: {error}", info.id))),
                    None => Ok(model::LogBatch::default()),
                });
                match read {
                    Ok(batch) => {
                        found.log_blocks += 1;
                        found.log_records += batch.records.len() as u64;
                        if batch.records.len() as u64 != info.records {
                            let (path, id) = (file.path().display(), info.id);
                            found.damage.push(format!(
                                "{path}: block {id} has another number of records than its summary says"
                            ));
                        }
                    }
                    Err(error @ StoreError::Corrupt { .. }) => found.damage.push(describe(&error)),
                    Err(error) => return Err(error),
                }
            }
            let mut indexed = 0;
            for segment in segments.iter() {
                match segment.check() {
                    Ok(()) => indexed += segment.blocks.end - segment.blocks.start,
                    Err(error) => found
                        .damage
                        .push(format!("{}; binnacle verify --rebuild-index makes it anew", describe(&error))),
                }
            }
            found.log_segments += segments.len() as u64;
            found.log_blocks_outside_index += blocks.len() as u64 - indexed.min(blocks.len() as u64);
        }
        Ok(())
    }

    /// Removes a day's index and makes it anew, of the blocks that can be read.
    fn rebuild(&self, number: Day) -> Result<(), StoreError> {
        let indexing = self.indexing.lock();
        {
            let mut state = self.state.lock();
            let Some(day) = state.days.get_mut(&number) else { return Ok(()) };
            day.segments = Arc::default();
        }
        index::remove_dir(&self.index_dir(number))?;
        // Blocks that cannot be read are told of when all are read.
        let made = self.index(number);
        drop(indexing);
        made
    }
}
