//! What a query has used of its budget, and the refusals.

use std::sync::atomic::Ordering;
use std::time::Instant;

use store::{ReadGuard, StoreError};

use super::value::{Ledger, Steps, bytes_of};
use crate::{Budget, QueryError};

pub(crate) struct Meter<'a> {
    budget: &'a Budget,
    pub(crate) samples_read: u64,
    pub(crate) series_read: u64,
    bytes_read: u64,
    /// Samples in hand, decoded and not yet turned into columns.
    samples_held: u64,
    /// Of them, what histograms take beyond a float.
    histogram_bytes_held: u64,
    ledger: Ledger,
    /// Why the guard ended a read; the store only hands its own kind of error through.
    stopped: Option<QueryError>,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(budget: &'a Budget) -> Meter<'a> {
        Meter {
            budget,
            samples_read: 0,
            series_read: 0,
            bytes_read: 0,
            samples_held: 0,
            histogram_bytes_held: 0,
            ledger: Ledger::default(),
            stopped: None,
        }
    }

    /// Asks the clock and whoever waits. Called between series and between nodes.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        if self.budget.cancelled.load(Ordering::Relaxed) {
            return Err(QueryError::Cancelled);
        }
        if Instant::now() >= self.budget.deadline {
            return Err(QueryError::Timeout { seconds: self.budget.timeout.as_secs_f64() });
        }
        Ok(())
    }

    /// How many more series may be selected.
    pub(crate) fn series_left(&self) -> usize {
        usize::try_from(self.budget.series_max.saturating_sub(self.series_read)).unwrap_or(usize::MAX)
    }

    pub(crate) fn take_series(&mut self, count: usize) {
        self.series_read += count as u64;
    }

    /// The error of a selection. The source knows what was left of the limit, the asker knows the limit.
    pub(crate) fn select_error(&self, error: StoreError) -> QueryError {
        match error {
            StoreError::TooMuch { .. } => {
                let limit = self.budget.series_max;
                let message =
                    format!("the query selects more than {limit} series (query.series_max); add label matchers");
                QueryError::TooMuch { message }
            }
            other => QueryError::Store(other),
        }
    }

    /// A column without values, if memory allows.
    pub(crate) fn steps(&mut self, count: usize) -> Result<Steps, QueryError> {
        self.room_for(bytes_of(count))?;
        Ok(Steps::absent(count, &self.ledger))
    }

    /// Whether this much more memory is within the budget.
    pub(crate) fn room_for(&self, bytes: u64) -> Result<(), QueryError> {
        let held = self
            .ledger
            .bytes()
            .saturating_add(self.samples_held * 16 + self.histogram_bytes_held)
            .saturating_add(bytes);
        self.within_memory(held)
    }

    fn within_memory(&self, bytes: u64) -> Result<(), QueryError> {
        let limit = self.budget.bytes_max;
        if bytes > limit {
            let mib = limit >> 20;
            let message = format!(
                "the query needs more than {mib} MiB of memory (query.memory_max); narrow the time range, widen the \
                 step, or add label matchers"
            );
            return Err(QueryError::TooMuch { message });
        }
        Ok(())
    }

    /// Counts histograms of the last read, if memory allows.
    pub(crate) fn hold(&mut self, histogram_bytes: u64) -> Result<(), QueryError> {
        self.histogram_bytes_held += histogram_bytes;
        self.room_for(0)
    }

    /// Samples of the last read are no longer held.
    pub(crate) fn release_samples(&mut self) {
        self.samples_held = 0;
        self.histogram_bytes_held = 0;
    }

    /// The error that ended a read: the guard's own, or the store's.
    pub(crate) fn read_error(&mut self, error: StoreError) -> QueryError {
        self.stopped.take().unwrap_or(QueryError::Store(error))
    }

    /// Counts samples that no store was read for, as a subquery's.
    pub(crate) fn take_samples(&mut self, samples: u64) -> Result<(), QueryError> {
        self.samples_read += samples;
        let limit = self.budget.samples_max;
        if self.samples_read > limit {
            let message = format!(
                "the query reads more than {limit} samples (query.samples_max); narrow the time range or add label \
                 matchers"
            );
            return Err(QueryError::TooMuch { message });
        }
        Ok(())
    }

    fn spend_all(&mut self, samples: u64, bytes: u64) -> Result<(), QueryError> {
        self.samples_held += samples;
        self.bytes_read += bytes;
        self.take_samples(samples)?;
        self.within_memory(self.bytes_read)?;
        self.room_for(0)?;
        self.check()
    }
}

impl ReadGuard for Meter<'_> {
    fn spend(&mut self, samples: u64, bytes: u64) -> Result<(), StoreError> {
        self.spend_all(samples, bytes).map_err(|error| {
            let stop = StoreError::Stopped { kind: error.kind(), message: error.to_string() };
            self.stopped = Some(error);
            stop
        })
    }
}
