//! What a query has used of its budget, and the refusals. Shared by the threads of a query.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use store::{ReadGuard, StoreError};

use super::value::{Ledger, Reserved, Steps, bytes_of};
use crate::{Budget, QueryError};

/// Memory of a raw sample: its time and its value.
pub(crate) const SAMPLE_BYTES: u64 = 16;

pub(crate) struct Meter<'a> {
    budget: &'a Budget,
    samples: AtomicU64,
    series: AtomicU64,
    bytes: AtomicU64,
    chunks: AtomicU64,
    /// Bytes of samples in hand, decoded and not yet turned into columns.
    held: AtomicU64,
    peak: AtomicU64,
    ledger: Ledger,
    /// What the store could not read for damage, in words.
    damaged: Mutex<Vec<String>>,
    select_ns: AtomicU64,
}

/// Everything read so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    pub(crate) series: u64,
    pub(crate) samples: u64,
    pub(crate) bytes: u64,
    pub(crate) chunks: u64,
}

/// Damaged places that an answer names; their number is told beyond that.
const DAMAGED_NAMED_MAX: usize = 5;
/// Damaged places at which a query gives up.
const DAMAGED_MAX: usize = 1_000;

impl<'a> Meter<'a> {
    pub(crate) fn new(budget: &'a Budget) -> Meter<'a> {
        Meter {
            budget,
            samples: AtomicU64::new(0),
            series: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            chunks: AtomicU64::new(0),
            held: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            ledger: Ledger::default(),
            damaged: Mutex::default(),
            select_ns: AtomicU64::new(0),
        }
    }

    /// Warnings of samples that are missing from what was read.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut damaged = std::mem::take(&mut *self.lock_damaged());
        let more = damaged.len().saturating_sub(DAMAGED_NAMED_MAX);
        damaged.truncate(DAMAGED_NAMED_MAX);
        let mut warnings: Vec<String> =
            damaged.iter().map(|what| format!("stored samples are missing from the answer: {what}")).collect();
        if more > 0 {
            warnings.push(format!("stored samples are missing from the answer: {more} more places are damaged"));
        }
        warnings
    }

    fn lock_damaged(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        // A panic elsewhere leaves the list as good as it was.
        self.damaged.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn used(&self) -> Used {
        Used {
            series: self.series.load(Ordering::Relaxed),
            samples: self.samples.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            chunks: self.chunks.load(Ordering::Relaxed),
        }
    }

    /// Most bytes counted at once.
    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    pub(crate) fn select_time(&self) -> Duration {
        Duration::from_nanos(self.select_ns.load(Ordering::Relaxed))
    }

    pub(crate) fn add_select_time(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.select_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// Threads that may work at once, the asking one included.
    pub(crate) fn threads(&self) -> usize {
        self.budget.threads.max(1)
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
        let read = self.series.load(Ordering::Relaxed);
        usize::try_from(self.budget.series_max.saturating_sub(read)).unwrap_or(usize::MAX)
    }

    pub(crate) fn take_series(&self, count: usize) {
        self.series.fetch_add(count as u64, Ordering::Relaxed);
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
    pub(crate) fn steps(&self, count: usize) -> Result<Steps, QueryError> {
        self.room_for(bytes_of(count))?;
        Ok(Steps::absent(count, &self.ledger))
    }

    /// Memory for other things than columns, if there is.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<Reserved, QueryError> {
        self.room_for(bytes)?;
        Ok(self.ledger.reserve(bytes))
    }

    /// Whether this much more memory is within the budget.
    pub(crate) fn room_for(&self, bytes: u64) -> Result<(), QueryError> {
        let held = self.ledger.bytes().saturating_add(self.held.load(Ordering::Relaxed)).saturating_add(bytes);
        self.peak.fetch_max(held, Ordering::Relaxed);
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
        self.budget.memory.reach(bytes)
    }

    /// Takes memory for texts that stay with the labels of columns until the query ends.
    pub(crate) fn keep(&self, bytes: u64) -> Result<(), QueryError> {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        self.room_for(0)
    }

    /// Counts samples that no store was read for, as a subquery's.
    pub(crate) fn take_samples(&self, samples: u64) -> Result<(), QueryError> {
        let read = self.samples.fetch_add(samples, Ordering::Relaxed) + samples;
        let limit = self.budget.samples_max;
        if read > limit {
            let message = format!(
                "the query reads more than {limit} samples (query.samples_max); narrow the time range or add label \
                 matchers"
            );
            return Err(QueryError::TooMuch { message });
        }
        Ok(())
    }

    /// A read that is about to begin.
    pub(crate) fn reading(&self) -> Reading<'_, 'a> {
        Reading { meter: self, held: 0, stopped: None }
    }
}

/// One read of the store; what it gave counts as held until this goes away.
pub(crate) struct Reading<'m, 'a> {
    meter: &'m Meter<'a>,
    held: u64,
    /// Why the guard ended the read; the store only hands its own kind of error through.
    stopped: Option<QueryError>,
}

impl Reading<'_, '_> {
    /// Counts further bytes in hand, if memory allows.
    pub(crate) fn hold(&mut self, bytes: u64) -> Result<(), QueryError> {
        self.held += bytes;
        self.meter.held.fetch_add(bytes, Ordering::Relaxed);
        self.meter.room_for(0)
    }

    /// The error that ended the read: the guard's own, or the store's.
    pub(crate) fn error(&mut self, error: StoreError) -> QueryError {
        self.stopped.take().unwrap_or(QueryError::Store(error))
    }

    fn spend_all(&mut self, samples: u64, bytes: u64) -> Result<(), QueryError> {
        let meter = self.meter;
        meter.chunks.fetch_add(1, Ordering::Relaxed);
        let read = meter.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        meter.take_samples(samples)?;
        meter.within_memory(read)?;
        self.hold(samples.saturating_mul(SAMPLE_BYTES))?;
        meter.check()
    }
}

impl ReadGuard for Reading<'_, '_> {
    fn spend(&mut self, samples: u64, bytes: u64) -> Result<(), StoreError> {
        self.spend_all(samples, bytes).map_err(|error| {
            let stop = StoreError::Stopped { kind: error.kind(), message: error.to_string() };
            self.stopped = Some(error);
            stop
        })
    }

    fn damaged(&mut self, error: StoreError) -> Result<(), StoreError> {
        let what = error.to_string();
        let mut damaged = self.meter.lock_damaged();
        if !damaged.contains(&what) {
            damaged.push(what);
        }
        // A file has a bounded number of pages, but a broken disk may have many files.
        if damaged.len() > DAMAGED_MAX { Err(error) } else { Ok(()) }
    }
}

impl Drop for Reading<'_, '_> {
    fn drop(&mut self) {
        self.meter.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}
