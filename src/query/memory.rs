//! Memory that queries hold: each by itself, and all together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::QueryError;

/// What every query may hold without asking the pool, in bytes: small ones are answered beside a big one.
const FREE_BYTES: u64 = 2 << 20;

/// What the queries of one kind may hold together: people's (`query.memory_all_max`), rules' (`rules.memory_max`).
#[derive(Debug)]
pub struct Pool {
    bytes_max: u64,
    /// The key that says how many, for who meets the limit.
    setting: &'static str,
    held: AtomicU64,
}

impl Pool {
    pub fn new(bytes_max: u64, setting: &'static str) -> Arc<Pool> {
        Arc::new(Pool { bytes_max, setting, held: AtomicU64::new(0) })
    }

    /// Without a limit, for a query that is alone.
    pub fn endless() -> Arc<Pool> {
        Pool::new(u64::MAX, "")
    }
}

/// One query's memory. Of the pool it has as much as it ever held at once; that is free again when this is dropped.
#[derive(Debug)]
pub struct Share {
    pool: Arc<Pool>,
    /// Of the pool.
    taken: AtomicU64,
    held: AtomicU64,
}

impl Share {
    pub fn of(pool: &Arc<Pool>) -> Arc<Share> {
        Arc::new(Share { pool: pool.clone(), taken: AtomicU64::new(0), held: AtomicU64::new(0) })
    }

    /// Whether the query may hold so many bytes, of which `bytes_max` is its own limit. Those that count elsewhere come through here too.
    ///
    /// # Errors
    /// `TooMuch` when the pool has no room for them; the query's own limit is its asker's to name.
    pub(crate) fn reach(&self, bytes: u64) -> Result<(), QueryError> {
        let wanted = bytes.saturating_sub(FREE_BYTES);
        let before = self.taken.fetch_max(wanted, Ordering::Relaxed);
        let Some(more @ 1..) = wanted.checked_sub(before) else { return Ok(()) };
        let all = self.pool.held.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        if all <= self.pool.bytes_max {
            return Ok(());
        }
        // What is not had is not held: others need not fail for it.
        self.pool.held.fetch_sub(more, Ordering::Relaxed);
        self.taken.fetch_sub(more, Ordering::Relaxed);
        let Pool { bytes_max, setting, .. } = *self.pool;
        let mib = bytes_max >> 20;
        let message = format!(
            "the queries that run now need more than {mib} MiB of memory together ({setting}); try again later, or narrow \
             the time range or the search"
        );
        Err(QueryError::TooMuch { message })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pool.held.fetch_sub(self.taken.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// What one part of a query holds, shared by its threads; given back to the query when it ends.
#[derive(Debug)]
pub(crate) struct Account {
    of: Arc<Share>,
    held: AtomicU64,
}

impl Account {
    pub(crate) fn new(of: &Arc<Share>) -> Arc<Account> {
        Arc::new(Account { of: of.clone(), held: AtomicU64::new(0) })
    }

    /// Takes memory; how much the whole query holds with it.
    pub(crate) fn take(&self, bytes: u64) -> u64 {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        self.of.held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes)
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        self.of.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn reach(&self, bytes: u64) -> Result<(), QueryError> {
        self.of.reach(bytes)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.of.held.fetch_sub(self.held.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_shared_and_what_ends_makes_room() {
        let pool = Pool::new(10 << 20, "query.memory_all_max");
        let (first, second) = (Share::of(&pool), Share::of(&pool));
        first.reach(9 << 20).unwrap();
        // No more of the pool than before.
        first.reach(1).unwrap();
        second.reach(5 << 20).unwrap();
        let error = second.reach(6 << 20).unwrap_err().to_string();
        assert!(error.contains("query.memory_all_max") && error.contains("10 MiB"), "{error}");
        // The refused part is not held.
        second.reach(5 << 20).unwrap();
        drop(first);
        second.reach(12 << 20).unwrap();
        drop(second);
        assert_eq!(pool.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_a_part_of_a_query_held_is_free_when_it_ends() {
        let share = Share::of(&Pool::endless());
        let first = Account::new(&share);
        assert_eq!(first.take(100), 100);
        let second = Account::new(&share);
        assert_eq!(second.take(10), 110);
        first.give_back(30);
        assert_eq!(second.take(0), 80);
        drop(first);
        assert_eq!(second.take(0), 10);
    }
}
