//! How a channel is: whether attempts may be made on it now, and what its last ones came to.
//!
//! Pure: time and chance are arguments. Kept in memory only; a restart reads from the history when a channel last worked and last failed,
//! and learns the rest anew.

use crate::limits::throttle_ms;
use crate::timing::Timing;

/// Least wait between two attempts, as a share of the base: full jitter alone may draw zero.
const JITTER_FLOOR: f64 = 0.1;

/// Holds attempts back after failures that may pass.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Breaker {
    /// In a row.
    failures: u32,
    failing_since_ms: Option<i64>,
    /// When the next attempt may be made while it is open.
    probe_at_ms: Option<i64>,
}

impl Breaker {
    /// Counts a failure; opens, or moves the next probe.
    pub(crate) fn fail(&mut self, at_ms: i64, timing: &Timing) {
        self.failures += 1;
        let since = *self.failing_since_ms.get_or_insert(at_ms);
        if self.failures >= timing.breaker_failures || at_ms - since >= timing.breaker_after_ms {
            self.probe_at_ms = Some(at_ms + timing.probe_ms);
        }
    }

    /// Moves its times along with a clock that was set.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        for at_ms in [&mut self.failing_since_ms, &mut self.probe_at_ms] {
            *at_ms = at_ms.map(|at_ms| at_ms.saturating_add(by_ms));
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.probe_at_ms.is_some()
    }

    pub(crate) fn opens_at_ms(&self) -> i64 {
        self.probe_at_ms.unwrap_or(i64::MIN)
    }
}

/// One channel's recent past. What it shares with others is in [`crate::limits`].
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Health {
    /// Of failures that a service answered with: they may be this channel's alone.
    breaker: Breaker,
    throttles: u32,
    pub(crate) last_success_ms: Option<i64>,
    pub(crate) last_failure_ms: Option<i64>,
    pub(crate) last_error: String,
    /// The provider says that the configuration is wrong.
    refused: bool,
}

impl Health {
    pub(crate) fn breaker_open(&self) -> bool {
        self.breaker.is_open()
    }

    /// Whether people should be told that this channel does not work.
    pub(crate) fn broken(&self) -> bool {
        self.breaker_open() || self.refused
    }

    /// Whether its last answer was that the configuration is wrong.
    pub(crate) fn is_refusing(&self) -> bool {
        self.refused
    }

    /// Whether nothing was taken since the last failure.
    pub(crate) fn is_failing(&self) -> bool {
        self.broken()
            || self.last_failure_ms.is_some_and(|failed_ms| self.last_success_ms.is_none_or(|at_ms| at_ms < failed_ms))
    }

    /// From when an attempt may be made.
    pub(crate) fn opens_at_ms(&self) -> i64 {
        self.breaker.opens_at_ms()
    }

    /// As it is while its service fails, with the service's last words where it has none of its own.
    pub(crate) fn in_trouble(mut self, breaker: Breaker, error: &str) -> Health {
        self.breaker = breaker;
        if self.last_error.is_empty() {
            self.last_error = error.into();
        }
        self
    }

    pub(crate) fn accepted(&mut self, at_ms: i64) {
        *self = Health {
            last_success_ms: Some(at_ms),
            last_failure_ms: self.last_failure_ms,
            last_error: std::mem::take(&mut self.last_error),
            ..Health::default()
        };
    }

    /// Counts a failure that may pass.
    pub(crate) fn failed(&mut self, at_ms: i64, error: &str, timing: &Timing) {
        self.note(at_ms, error);
        self.breaker.fail(at_ms, timing);
    }

    /// The provider asks for patience, which is no failure. Returns until when.
    pub(crate) fn throttled(&mut self, at_ms: i64, error: &str, retry_after_ms: Option<i64>, timing: &Timing) -> i64 {
        self.note(at_ms, error);
        let until = at_ms + throttle_ms(retry_after_ms, self.throttles, timing);
        self.throttles += 1;
        until
    }

    pub(crate) fn refused(&mut self, at_ms: i64, error: &str) {
        self.note(at_ms, error);
        self.refused = true;
    }

    /// Moves what is waited for along with a clock that was set.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        self.breaker.shift(by_ms);
    }

    /// The configuration is another one: what was refused may pass.
    pub(crate) fn reconsider(&mut self) {
        self.refused = false;
    }

    /// Notes a failure that its service answers for.
    pub(crate) fn note(&mut self, at_ms: i64, error: &str) {
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
        assert_eq!(health.opens_at_ms(), 19_000);
        health.failed(19_000, "down", &timing);
        assert_eq!(health.opens_at_ms(), 34_000, "each failed probe moves the next");
        health.accepted(34_000);
        assert_eq!(health.opens_at_ms(), i64::MIN);
        assert!(!health.broken() && health.last_error == "down");

        health.failed(100_000, "slow", &timing);
        health.failed(160_000, "slow", &timing);
        assert!(health.breaker_open(), "a minute of nothing but failures opens it too");
    }

    #[test]
    fn patience_does_not_break_a_channel() {
        let timing = Timing::default();
        let mut health = Health::default();
        assert_eq!(health.throttled(0, "429", Some(30_000), &timing), 30_000);
        assert_eq!(health.throttled(30_000, "429", None, &timing), 150_000, "the second one waits twice the base");
        for _ in 0..9 {
            health.throttled(0, "429", None, &timing);
        }
        assert_eq!(health.throttled(0, "429", None, &timing), 300_000);
        assert!(!health.broken() && health.opens_at_ms() == i64::MIN);
    }

    #[test]
    fn a_wait_of_nothing_is_none_that_is_kept() {
        let timing = Timing::default();
        let mut health = Health::default();
        let waits: Vec<i64> = (0..8).map(|_| health.throttled(0, "429", Some(0), &timing) / 1_000).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(health.throttled(0, "429", Some(3_600_000), &timing), 3_600_000);
        health.accepted(0);
        assert_eq!(health.throttled(0, "429", Some(5_000), &timing), 5_000);
    }
}
