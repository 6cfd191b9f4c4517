//! How many samples a second a tenant may send: a bucket that fills at the limit and holds ten seconds of it.
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

#[derive(Debug, Default)]
pub(crate) struct Rate {
    /// Samples that may come at once, and as of when; below zero is debt.
    bucket: Option<(f64, Instant)>,
}

impl Rate {
    /// Takes `samples` out, or says when to come again. A limit of 0 is none.
    pub(crate) fn take(&mut self, samples: usize, per_second_max: u64, now: Instant) -> Result<(), StoreError> {
        if per_second_max == 0 || samples == 0 {
            return Ok(());
        }
        let per_second = per_second_max as f64;
        let full = per_second * RATE_BURST_S;
        let (left, since) = self.bucket.unwrap_or((full, now));
        let left = (left + now.saturating_duration_since(since).as_secs_f64() * per_second).min(full);
        if left <= 0.0 {
            self.bucket = Some((left, now));
            REFUSED.add(&["limits.samples_per_second"], samples as u64);
            let retry_after = Duration::from_secs_f64((-left / per_second).max(0.0)) + Duration::from_millis(1);
            return Err(StoreError::TooFast {
                limit: per_second_max,
                setting: "limits.samples_per_second",
                retry_after,
            });
        }
        self.bucket = Some((left - samples as f64, now));
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
        let mut rate = Rate::default();
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
        assert!(Rate::default().take(usize::MAX, 0, begun).is_ok());
    }
}
