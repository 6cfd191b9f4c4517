//! How the last reading of the configuration went.

use std::sync::Arc;

use parking_lot::Mutex;

#[derive(Debug)]
struct Last {
    is_good: bool,
    at_ms: i64,
}

/// A cheap handle, told by whoever reads the configuration.
#[derive(Debug, Clone)]
pub struct Reloaded(Arc<Mutex<Last>>);

impl Reloaded {
    /// Of a start, which happens with a good configuration alone.
    pub(crate) fn new(at_ms: i64) -> Reloaded {
        Reloaded(Arc::new(Mutex::new(Last { is_good: true, at_ms })))
    }

    /// It was read again; what is not good is not used.
    pub fn tell(&self, is_good: bool, now_ms: i64) {
        let mut last = self.0.lock();
        last.is_good = is_good;
        if is_good {
            last.at_ms = now_ms;
        }
    }

    /// Whether the last reading was good, and when one was.
    pub(crate) fn last(&self) -> (bool, i64) {
        let last = self.0.lock();
        (last.is_good, last.at_ms)
    }
}
