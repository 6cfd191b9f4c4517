//! Bytes of OTLP requests in work: counted as they arrive and as they are unpacked, so that memory has a ceiling.
//!
//! What is counted is what has come, never what a header promises: an idle sender cannot keep others out.
//! A request that is alone may always go on, since its own size is limited already; so no setting can lock intake up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::Kind;

use crate::error::Fault;

pub(crate) struct InFlight {
    bytes_max: usize,
    used: AtomicUsize,
}

/// One request's share; given back when dropped.
pub(crate) struct Share {
    of: Arc<InFlight>,
    bytes: usize,
}

impl InFlight {
    pub(crate) fn new(bytes_max: usize) -> Arc<InFlight> {
        Arc::new(InFlight { bytes_max, used: AtomicUsize::new(0) })
    }

    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share { of: self.clone(), bytes: 0 }
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Takes `bytes` more. Never waits: whoever gets no more is told to come back.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Fault> {
        let before = self.of.used.fetch_add(bytes, Ordering::Relaxed);
        if before > self.bytes && before + bytes > self.of.bytes_max {
            self.of.used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Fault::new(
                Kind::Busy,
                format!(
                    "requests in work hold {before} bytes, the limit is {} (limits.in_flight_bytes); retry",
                    self.of.bytes_max
                ),
            ));
        }
        self.bytes += bytes;
        Ok(())
    }

    pub(crate) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.of.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_refused_over_the_limit_and_given_back() {
        let all = InFlight::new(100);
        let mut first = all.share();
        first.grow(60).unwrap();
        let mut second = all.share();
        second.grow(40).unwrap();
        assert_eq!(second.grow(1).unwrap_err().kind, Kind::Busy);
        first.shrink(30);
        second.grow(30).unwrap();
        drop(first);
        assert_eq!(all.used(), 70);
        // Alone, a request may pass the limit: its own size has one.
        second.grow(500).unwrap();
        drop(second);
        assert_eq!(all.used(), 0);
    }
}
