//! How a channel is: whether attempts may be made on it now, and what its last ones came to.
//!
//! Pure: time and chance are arguments. Kept in memory only; a restart learns it anew.

use crate::timing::Timing;

/// Least wait between two attempts, as a share of the base: full jitter alone may draw zero.
const JITTER_FLOOR: f64 = 0.1;

/// Attempts that may be made at once before the gap between them counts: Slack lets short bursts pass.
const BURST: i64 = 3;

/// One channel's recent past.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Health {
    /// Failures that may pass, in a row.
    failures: u32,
    failing_since_ms: Option<i64>,
    /// When the next attempt may be made while the breaker is open.
    probe_at_ms: Option<i64>,
    throttles: u32,
    throttled_until_ms: Option<i64>,
    /// When the next attempt would be due if all so far had kept their gap (the virtual schedule of GCRA, ITU-T I.371).
    paced_ms: i64,
    /// From when the pace alone allows an attempt.
    pace_opens_ms: i64,
    pub(crate) in_flight: usize,
    pub(crate) last_success_ms: Option<i64>,
    pub(crate) last_failure_ms: Option<i64>,
    pub(crate) last_error: String,
    /// The provider says that the configuration is wrong.
    refused: bool,
}

impl Health {
    pub(crate) fn breaker_open(&self) -> bool {
        self.probe_at_ms.is_some()
    }

    /// Whether people should be told that this channel does not work.
    pub(crate) fn broken(&self) -> bool {
        self.breaker_open() || self.refused
    }

    /// From when an attempt may be made, and whether it must be the only one.
    pub(crate) fn opens_at_ms(&self) -> (i64, bool) {
        let throttled = self.throttled_until_ms.unwrap_or(i64::MIN).max(self.pace_opens_ms);
        match self.probe_at_ms {
            Some(probe) => (probe.max(throttled), true),
            None => (throttled, false),
        }
    }

    /// An attempt begins. `gap_ms` is what the channel wants between two; 0 for no wish.
    pub(crate) fn begin(&mut self, at_ms: i64, gap_ms: i64) {
        self.in_flight += 1;
        self.paced_ms = self.paced_ms.max(at_ms) + gap_ms;
        self.pace_opens_ms = self.paced_ms - (BURST - 1) * gap_ms;
    }

    pub(crate) fn accepted(&mut self, at_ms: i64) {
        *self = Health {
            in_flight: self.in_flight,
            paced_ms: self.paced_ms,
            pace_opens_ms: self.pace_opens_ms,
            last_success_ms: Some(at_ms),
            last_failure_ms: self.last_failure_ms,
            last_error: std::mem::take(&mut self.last_error),
            ..Health::default()
        };
    }

    /// Counts a failure that may pass; opens the breaker, or moves its next probe.
    pub(crate) fn failed(&mut self, at_ms: i64, error: &str, timing: &Timing) {
        self.failures += 1;
        self.note(at_ms, error);
        let since = *self.failing_since_ms.get_or_insert(at_ms);
        if self.failures >= timing.breaker_failures || at_ms - since >= timing.breaker_after_ms {
            self.probe_at_ms = Some(at_ms + timing.probe_ms);
        }
    }

    /// The provider asks for patience: nothing goes to this channel until then. Does not open the breaker. Returns until when.
    pub(crate) fn throttled(&mut self, at_ms: i64, error: &str, retry_after_ms: Option<i64>, timing: &Timing) -> i64 {
        self.note(at_ms, error);
        let doubled = timing.throttle_base_ms.saturating_mul(1 << self.throttles.min(20));
        self.throttles += 1;
        let until = at_ms + retry_after_ms.unwrap_or(doubled.min(timing.throttle_cap_ms));
        self.throttled_until_ms = self.throttled_until_ms.max(Some(until));
        until
    }

    pub(crate) fn refused(&mut self, at_ms: i64, error: &str) {
        self.note(at_ms, error);
        self.refused = true;
    }

    /// The configuration is another one: what was refused may pass.
    pub(crate) fn reconsider(&mut self) {
        self.refused = false;
    }

    fn note(&mut self, at_ms: i64, error: &str) {
        self.last_failure_ms = Some(at_ms);
        self.last_error = error.into();
    }
}

/// How long to wait after the `attempts`-th failure in a row: full jitter over a doubling bound. `chance` is in [0, 1).
pub(crate) fn backoff_ms(attempts: u32, critical: bool, chance: f64, timing: &Timing) -> i64 {
    let cap = if critical { timing.retry_cap_critical_ms } else { timing.retry_cap_ms };
    let bound = timing.retry_base_ms.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(cap);
    let floor = timing.retry_base_ms as f64 * JITTER_FLOOR;
    (bound as f64 * chance).max(floor) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_cap() {
        let timing = Timing::default();
        let check = |attempts, critical, chance, expected| {
            assert_eq!(backoff_ms(attempts, critical, chance, &timing), expected, "{attempts} {critical} {chance}");
        };
        check(1, true, 0.5, 500);
        check(1, true, 0.0, 100);
        check(4, true, 0.5, 4_000);
        check(7, true, 0.999_999, 59_999);
        check(99, true, 0.5, 30_000);
        check(8, false, 0.5, 64_000);
        check(u32::MAX, false, 0.5, 150_000);
    }

    #[test]
    fn a_channel_is_held_back_and_let_go() {
        let timing = Timing::default();
        let mut health = Health::default();
        for at in 0..4 {
            health.failed(at * 1_000, "down", &timing);
            assert!(!health.breaker_open());
        }
        health.failed(4_000, "down", &timing);
        assert_eq!(health.opens_at_ms(), (19_000, true));
        health.failed(19_000, "down", &timing);
        assert_eq!(health.opens_at_ms(), (34_000, true), "each failed probe moves the next");
        health.accepted(34_000);
        assert_eq!(health.opens_at_ms(), (0, false));
        assert!(!health.broken() && health.last_error == "down");

        health.failed(100_000, "slow", &timing);
        health.failed(160_000, "slow", &timing);
        assert!(health.breaker_open(), "a minute of nothing but failures opens it too");
    }

    #[test]
    fn a_burst_passes_and_the_rest_keeps_its_gap() {
        let mut health = Health::default();
        let mut sent_at = Vec::new();
        for now in (10_000..14_500).step_by(100) {
            while health.opens_at_ms().0 <= now {
                health.begin(now, 1_000);
                health.accepted(now);
                sent_at.push(now);
            }
        }
        assert_eq!(sent_at, [10_000, 10_000, 10_000, 11_000, 12_000, 13_000, 14_000]);
        let mut free = Health::default();
        for _ in 0..9 {
            free.begin(10_000, 0);
        }
        assert!(free.opens_at_ms().0 <= 10_000);
    }

    #[test]
    fn throttling_holds_the_channel_without_breaking_it() {
        let timing = Timing::default();
        let mut health = Health::default();
        assert_eq!(health.throttled(0, "429", Some(30_000), &timing), 30_000);
        assert_eq!(health.opens_at_ms(), (30_000, false));
        assert_eq!(health.throttled(30_000, "429", None, &timing), 150_000, "the second one waits twice the base");
        for _ in 0..9 {
            health.throttled(0, "429", None, &timing);
        }
        assert_eq!(health.throttled(0, "429", None, &timing), 300_000);
        assert!(!health.broken());
    }
}
