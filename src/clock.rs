//! The wall clock, read here and by loops only; everything below gets the time as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since the epoch; zero on a clock set before it.
pub fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Milliseconds since the epoch.
pub fn now_ms() -> i64 {
    i64::try_from(now_ns() / 1_000_000).unwrap_or(i64::MAX)
}
