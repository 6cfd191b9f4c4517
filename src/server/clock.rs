//! The doors' clock: when a request came. Everything behind a door takes the time as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since the epoch; 0 for a clock set before 1970, the last instant for one beyond 2262.
pub(crate) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    now_ns() / model::time::NS_PER_MS
}
