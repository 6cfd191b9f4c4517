//! What one query may cost. The only place that says "too much".

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::QueryError;
use crate::memory::{Pool, Share};

/// Limits of one query; each error names the limit it hit and the way round it.
#[derive(Debug, Clone)]
pub struct Budget {
    pub deadline: Instant,
    /// The timeout that made the deadline, to be named in the error.
    pub timeout: Duration,
    pub series_max: u64,
    pub samples_max: u64,
    /// Memory for intermediate and final results; of metrics, bytes of chunks read too.
    pub bytes_max: u64,
    /// Threads that read and compute at once, the asking one included.
    pub threads: usize,
    /// Set by whoever asked and went away.
    pub cancelled: Arc<AtomicBool>,
    /// Told as the query goes on; whoever waits may look.
    pub progress: Arc<Progress>,
    /// What a log query had to leave out.
    pub damage: Arc<Damage>,
    /// What the query holds, and what is left for it beside others.
    pub memory: Arc<Share>,
}

/// Places of damage that one query's warnings name; of further ones they say that there are more.
const DAMAGE_NAMED_MAX: usize = 5;

/// Places of the disk that a log query met and could not read, each in words that name the file.
#[derive(Debug, Default)]
pub struct Damage {
    places: Mutex<BTreeSet<String>>,
}

impl Damage {
    pub(crate) fn note(&self, place: String) {
        self.lock().insert(place);
    }

    /// A line for each place, or few lines for many; none when all was read.
    pub fn warnings(&self) -> Vec<String> {
        let places = self.lock();
        let named = places.iter().take(DAMAGE_NAMED_MAX);
        let mut out: Vec<String> =
            named.map(|place| format!("stored log records are missing from the answer: {place}")).collect();
        if let Some(more @ 1..) = places.len().checked_sub(DAMAGE_NAMED_MAX) {
            out.push(format!("stored log records are missing from the answer: {more} more blocks are damaged"));
        }
        out
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        // A set of texts is whole after any panic.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a query is. Log queries tell it; what they sum up they may find to be less work than it seemed.
#[derive(Debug, Default)]
pub struct Progress {
    bytes_total: AtomicU64,
    bytes_scanned: AtomicU64,
    matches: AtomicU64,
}

impl Progress {
    /// So many bytes are to be read.
    pub(crate) fn expect(&self, bytes: u64) {
        self.bytes_total.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn scanned(&self, bytes: u64) {
        self.bytes_scanned.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn matched(&self, records: u64) {
        self.matches.fetch_add(records, Ordering::Relaxed);
    }

    /// Bytes that the query may have to read, as far as it knows; 0 before it knows.
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total.load(Ordering::Relaxed)
    }

    pub fn bytes_scanned(&self) -> u64 {
        self.bytes_scanned.load(Ordering::Relaxed)
    }

    /// Records found that match.
    pub fn matches(&self) -> u64 {
        self.matches.load(Ordering::Relaxed)
    }
}

/// What every query may cost, before one begins: `query.timeout`, `query.series_max`, `query.samples_max`, `query.memory_max`,
/// `query.threads`.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub timeout: Duration,
    pub series_max: u64,
    pub samples_max: u64,
    pub bytes_max: u64,
    pub threads: usize,
}

impl Default for Limits {
    /// The product's defaults: a dashboard over every series of a small deployment fits, and a few such queries at once stay
    /// within the memory of the smallest machine.
    fn default() -> Self {
        Limits {
            timeout: Duration::from_secs(30),
            series_max: 100_000,
            samples_max: 50_000_000,
            bytes_max: 48 << 20,
            threads: 2,
        }
    }
}

impl Limits {
    /// The budget of a query that begins now.
    pub fn start(&self) -> Budget {
        Budget {
            deadline: Instant::now() + self.timeout,
            timeout: self.timeout,
            series_max: self.series_max,
            samples_max: self.samples_max,
            bytes_max: self.bytes_max,
            threads: self.threads,
            cancelled: Arc::new(AtomicBool::new(false)),
            progress: Arc::default(),
            damage: Arc::default(),
            memory: Share::of(&Pool::endless()),
        }
    }
}

/// What queries may cost that share memory: each within `each`, and all that run at once within the pool.
#[derive(Debug, Clone)]
pub struct SharedLimits {
    pub each: Limits,
    pub pool: Arc<Pool>,
}

impl SharedLimits {
    /// The budget of a query that begins now.
    pub fn start(&self) -> Budget {
        Budget { memory: Share::of(&self.pool), ..self.each.start() }
    }
}

impl From<Limits> for SharedLimits {
    /// Of one query at a time.
    fn from(each: Limits) -> SharedLimits {
        SharedLimits { each, pool: Pool::endless() }
    }
}

impl Budget {
    /// The product's defaults with another timeout, from now on.
    pub fn starting_now(timeout: Duration) -> Budget {
        Limits { timeout, ..Limits::default() }.start()
    }

    /// Whether it is worth going on: asks the clock and whoever waits.
    ///
    /// # Errors
    /// `Timeout`, `Cancelled`.
    pub fn check(&self) -> Result<(), QueryError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(QueryError::Cancelled);
        }
        if Instant::now() >= self.deadline {
            return Err(QueryError::Timeout { seconds: self.timeout.as_secs_f64() });
        }
        Ok(())
    }
}
