//! Reading all of a tenant's data for the sake of knowing that it can be read.

use model::{MsRange, SeriesId};

use crate::snapshot::ReadGuard;
use crate::{StoreError, Tenant};

/// Series read at a time: bounds the memory of a look through everything.
const SERIES_AT_ONCE: usize = 1_000;

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    pub series: u64,
    pub samples: u64,
    pub log_records: u64,
    pub log_blocks: u64,
    pub log_segments: u64,
    /// Not damage: searches read them, and upkeep indexes them.
    pub log_blocks_outside_index: u64,
    /// Each in one line that names the file.
    pub damage: Vec<String>,
}

struct Counting<'a>(&'a mut Verified);

impl ReadGuard for Counting<'_> {
    fn spend(&mut self, samples: u64, _bytes: u64) -> Result<(), StoreError> {
        self.0.samples += samples;
        Ok(())
    }

    fn damaged(&mut self, error: StoreError) -> Result<(), StoreError> {
        self.0.damage.push(crate::error::describe(&error));
        Ok(())
    }
}

impl Tenant {
    /// Reads every sample and every log record, and checks every checksum on the way. With `rebuild_index` the log index is made anew
    /// first. Takes as long as the data is large; meant for a store that nothing else uses.
    ///
    /// # Errors
    /// A disk that fails. Damage is no error: it is told.
    pub fn verify(&self, rebuild_index: bool) -> Result<Verified, StoreError> {
        let mut found = Verified { damage: self.0.set_aside(), ..Verified::default() };
        let snapshot = self.snapshot()?;
        let ids: Vec<SeriesId> =
            snapshot.select(&[], MsRange::ALL, usize::MAX)?.iter().map(|series| series.id).collect();
        found.series = ids.len() as u64;
        for ids in ids.chunks(SERIES_AT_ONCE) {
            snapshot.read(ids, MsRange::ALL, &mut Counting(&mut found))?;
        }
        self.0.logs.verify(rebuild_index, &mut found)?;
        Ok(found)
    }
}
