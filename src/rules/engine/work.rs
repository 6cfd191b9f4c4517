//! What a group goes on from: its states, its last slot, and what became of the clock since.

use super::catch_up::Gap;
use super::schedule::CLOCK_MIN_MS;
use crate::evaluate::Memory;
use crate::state;

/// Stored times further ahead of the start than this are another clock's.
const CLOCK_SLACK_MS: i64 = 60_000;

#[derive(Default)]
pub(super) struct Work {
    pub(super) memory: Memory,
    /// Last evaluated slot; an earlier or equal one is refused.
    pub(super) last_at_ms: Option<i64>,
    /// The slot that the store knows of.
    pub(super) noted_ms: Option<i64>,
    /// Nobody looked since the last slot: the process was down, or the clock jumped ahead. Only one interval of it counts.
    pub(super) has_gap: bool,
    /// Slots that were missed while the process was down, until they are caught up with.
    pub(super) gap: Option<Gap>,
    /// When the clock was last set ahead.
    pub(super) jumped_ms: Option<i64>,
}

impl Work {
    /// The clock was set ahead: what is stored looks old, so nothing ends before data of the new time is there, as after a start.
    /// The time it jumped is counted nowhere.
    pub(super) fn jumped_to(&mut self, at_ms: i64, interval_ms: i64) {
        self.has_gap = true;
        self.jumped_ms = Some(at_ms);
        let by_ms = self.last_at_ms.map_or(0, |last_at_ms| at_ms.saturating_sub(last_at_ms) - interval_ms).max(0);
        for instance in self.memory.instances.values_mut().flat_map(|instances| instances.values_mut()) {
            *instance = state::waited(instance, by_ms, at_ms);
        }
        for watch in self.memory.watch.values_mut() {
            watch.successes = 0;
            watch.has_fresh_data = false;
        }
    }

    /// Moves all timers, after the clock was set.
    pub(super) fn shift(&mut self, by_ms: i64) {
        for instance in self.memory.instances.values_mut().flat_map(|instances| instances.values_mut()) {
            *instance = state::shifted(instance, by_ms);
        }
    }
}

/// Whether a stored time that lies so far ahead of the start is from before the clock was set back: timers go on from here. A start
/// without the time tells nothing.
pub(super) fn was_set_back(ahead_ms: i64, started_ms: i64) -> bool {
    ahead_ms > CLOCK_SLACK_MS && started_ms >= CLOCK_MIN_MS
}
