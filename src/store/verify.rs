//! Reading all of a tenant's data for the sake of knowing that it can be read.

use model::{MsRange, SeriesId};

use crate::columns::Columns;
use crate::days::OfRollup;
use crate::snapshot::ReadGuard;
use crate::{Rollup, StoreError, Tenant};

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
    /// Reads every sample, rollup and exemplar, the alert state and every log record, and checks every checksum on the way. With `rebuild_index` the log index is made anew
    /// first. Takes as long as the data is large; meant for a store that nothing else uses.
    ///
    /// # Errors
    /// A disk that fails. Damage is no error: it is told.
    pub fn verify(&self, rebuild_index: bool) -> Result<Verified, StoreError> {
        // Damaged alert state is set aside when it is opened.
        let alerts = self.existing_alerts()?;
        let mut found = Verified { damage: self.0.set_aside(), ..Verified::default() };
        found.damage.extend(self.0.intake.damage());
        let snapshot = self.snapshot()?;
        let ids: Vec<SeriesId> =
            snapshot.select(&[], MsRange::ALL, usize::MAX)?.iter().map(|series| series.id).collect();
        found.series = ids.len() as u64;
        for ids in ids.chunks(SERIES_AT_ONCE) {
            snapshot.read(ids, MsRange::ALL, &mut Counting(&mut found))?;
            found.note(snapshot.exemplars(ids, MsRange::ALL))?;
        }
        self.verify_rollups(&mut found)?;
        if let Some(alerts) = alerts {
            found.note(alerts.check_history())?;
        }
        self.0.logs.verify(rebuild_index, &mut found)?;
        Ok(found)
    }

    /// Reads every column of the days that are rolled up.
    fn verify_rollups(&self, found: &mut Verified) -> Result<(), StoreError> {
        let mut of_rollups = Verified::default();
        for day in self.0.rollups.days() {
            let numbers: Vec<u32> = self.0.rollups.summary(day)?.present.iter().collect();
            for series in numbers.chunks(SERIES_AT_ONCE) {
                for column in [Rollup::Samples, Rollup::Min, Rollup::Max, Rollup::Sum, Rollup::Count] {
                    let mut columns: Vec<Columns> =
                        std::iter::repeat_with(Columns::default).take(series.len()).collect();
                    let wanted = OfRollup { day, series, range: MsRange::ALL };
                    self.0.rollups.read_column(wanted, column, &mut Counting(&mut of_rollups), &mut columns)?;
                }
            }
        }
        // Samples that are gone are counted already, the others are their own.
        found.damage.extend(of_rollups.damage);
        Ok(())
    }
}

impl Verified {
    /// Damage is told, and the rest looked at.
    fn note<T>(&mut self, read: Result<T, StoreError>) -> Result<(), StoreError> {
        match read {
            Ok(_) => Ok(()),
            Err(error @ StoreError::Corrupt { .. }) => {
                self.damage.push(crate::error::describe(&error));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
