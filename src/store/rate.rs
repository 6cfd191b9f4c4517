//! How much a second a tenant may send: a bucket that fills at the limit and holds ten seconds of it.
//!
//! A request is taken whole while anything is in the bucket, and may overdraw it: else one larger than the bucket could never pass.

use std::time::{Duration, Instant};

use model::meter::Counter;

use crate::StoreError;
use crate::limits::RATE_BURST_S;

static REFUSED: Counter = Counter::new(
    "binnacle_store_refused_samples_total",
    "Metric samples whose request was told to retry later, by the limit it met.",
    &["limit"],
);

static REFUSED_LOG_BYTES: Counter = Counter::new(
    "binnacle_store_refused_log_bytes_total",
    "Bytes of log records whose request was told to retry later, by the limit it met.",
    &["limit"],
);

/// What a bucket holds.
pub(crate) struct Measure {
    what: &'static str,
    setting: &'static str,
    refused: &'static Counter,
}

pub(crate) static METRIC_SAMPLES: Measure =
    Measure { what: "samples", setting: "limits.samples_per_second", refused: &REFUSED };
pub(crate) static LOG_BYTES: Measure =
    Measure { what: "bytes of log records", setting: "limits.log_bytes_per_second", refused: &REFUSED_LOG_BYTES };

pub(crate) struct Rate {
    measure: &'static Measure,
    /// What may come at once, and as of when; below zero is debt.
    bucket: Option<(f64, Instant)>,
}

impl Rate {
    pub(crate) fn new(measure: &'static Measure) -> Rate {
        Rate { measure, bucket: None }
    }

    /// Takes an amount out, or says when to come again. A limit of 0 is none.
    pub(crate) fn take(&mut self, amount: usize, per_second_max: u64, now: Instant) -> Result<(), StoreError> {
        if per_second_max == 0 || amount == 0 {
            return Ok(());
        }
        let per_second = per_second_max as f64;
        let full = per_second * RATE_BURST_S;
        let (left, since) = self.bucket.unwrap_or((full, now));
        let left = (left + now.saturating_duration_since(since).as_secs_f64() * per_second).min(full);
        if left <= 0.0 {
            self.bucket = Some((left, now));
            let Measure { what, setting, refused } = self.measure;
            refused.add(&[setting], amount as u64);
            let retry_after = Duration::from_secs_f64((-left / per_second).max(0.0)) + Duration::from_millis(1);
            return Err(StoreError::TooFast { limit: per_second_max, what, setting, retry_after });
        }
        self.bucket = Some((left - amount as f64, now));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_holds_and_no_request_is_too_large_for_ever() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut rate = Rate::new(&METRIC_SAMPLES);
        let mut take = |samples, ms| match rate.take(samples, 100, at(ms)) {
            Ok(()) => None,
            Err(StoreError::TooFast { retry_after, .. }) => Some(retry_after.as_millis()),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(take(999, 0), None);
        // One is left, so one more request passes, however large: the debt is paid first.
        assert_eq!(take(5_000, 0), None);
        assert_eq!(take(1, 0), Some(49_991));
        assert_eq!(take(1, 49_000), Some(991));
        assert_eq!(take(0, 49_000), None);
        assert_eq!(take(1, 50_000), None);
        // An idle hour fills it to the brim and no further.
        assert_eq!(take(1_000, 3_600_000), None);
        assert_eq!(take(1, 3_600_000), Some(1));
        assert!(Rate::new(&METRIC_SAMPLES).take(usize::MAX, 0, begun).is_ok());
    }
}
