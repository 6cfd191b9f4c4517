//! Every wait of the room, in one place. Tests hand in shorter ones; the product runs on the defaults.

/// Durations in ms.
#[derive(Debug, Clone, PartialEq)]
pub struct Timing {
    /// First wait after a failure that may pass; doubles with each further one.
    pub retry_base_ms: i64,
    /// Longest such wait where something critical is held back.
    pub retry_cap_critical_ms: i64,
    pub retry_cap_ms: i64,
    /// Wait after a 429 that names none; doubles too. PagerDuty advises "a few minutes".
    pub throttle_base_ms: i64,
    pub throttle_cap_ms: i64,
    /// A channel is held back after this many failures in a row, or after this long of nothing else.
    pub breaker_failures: u32,
    pub breaker_after_ms: i64,
    /// While it is held back, one attempt this often.
    pub probe_ms: i64,
    /// Between two messages to one Slack channel, when more than a few are due: "one per second" is Slack's limit.
    pub slack_gap_ms: i64,
    /// Between two edits by one Slack app, when more than a few are due: `chat.update` is of tier 3, 50 a minute.
    pub slack_edit_gap_ms: i64,
    /// What a service refuses (a wrong key, a missing channel) is tried again after this long, in case it was put right over there, and
    /// then after as long as it is late by then.
    pub refused_retry_ms: i64,
    /// Longest such wait where something critical is held back: as long as a dead man's switch waits.
    pub refused_retry_cap_critical_ms: i64,
    pub refused_retry_cap_ms: i64,
    /// Longest that something critical waits for company, whatever `group_wait` says.
    pub critical_wait_max_ms: i64,
    /// An end that nobody took for so long is given up.
    pub resolve_expires_ms: i64,
    /// What is told and over stays visible for so long.
    pub done_keep_ms: i64,
    /// Longest that a silence lasts.
    pub silence_max_ms: i64,
    /// To connect, over HTTP. A mail server has the whole attempt for each of its answers.
    pub connect_timeout_ms: u64,
    /// A whole attempt, from the name lookup to the last byte of the answer.
    pub attempt_timeout_ms: u64,
    /// Longest that a mail waits for its chart; it goes without one then.
    pub chart_wait_ms: u64,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            retry_base_ms: 1_000,
            retry_cap_critical_ms: 60_000,
            retry_cap_ms: 5 * 60_000,
            throttle_base_ms: 60_000,
            throttle_cap_ms: 5 * 60_000,
            breaker_failures: 5,
            breaker_after_ms: 60_000,
            probe_ms: 15_000,
            slack_gap_ms: 1_000,
            slack_edit_gap_ms: 1_200,
            refused_retry_ms: 60_000,
            refused_retry_cap_critical_ms: 5 * 60_000,
            refused_retry_cap_ms: 15 * 60_000,
            critical_wait_max_ms: 10_000,
            resolve_expires_ms: 24 * 3_600_000,
            done_keep_ms: 3_600_000,
            silence_max_ms: 30 * 86_400_000,
            connect_timeout_ms: 5_000,
            attempt_timeout_ms: 15_000,
            chart_wait_ms: 3_000,
        }
    }
}
