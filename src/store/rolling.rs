//! When the days of one tenant are rolled up (what that is: `days/rollup.rs`), and when the samples themselves go.

use model::meter::Counter;
use model::time::{Day, MS_PER_DAY};
use model::{Labels, MetricKind};

use crate::StoreError;
use crate::error::describe;
use crate::limits::SETTLE_QUIET_MS;
use crate::tenant::Inner;

static ROLLED_UP: Counter =
    Counter::new("binnacle_store_rolled_up_days_total", "Days of metrics rolled up to five minutes.", &["result"]);
static RAW_DROPPED: Counter = Counter::new(
    "binnacle_store_raw_days_dropped_total",
    "Days of metrics whose samples went and whose rollup stayed.",
    &[],
);

impl Inner {
    /// Rolls at most one day up, and drops the samples of those past their age.
    pub(crate) fn roll_up_due(&self, now_ms: i64) {
        let options = &self.shared.options;
        let Some(after_ms) = options.downsample_after_ms else { return };
        let Some(mut settling) = self.settling.try_lock() else { return };
        if now_ms < settling.roll_again_at_ms {
            return;
        }
        let done = self.roll_one(now_ms.saturating_sub(after_ms));
        let done = done.and_then(|()| self.drop_raw(now_ms.saturating_sub(options.raw_retention_ms)));
        if let Err(error) = done {
            settling.roll_again_at_ms = now_ms.saturating_add(SETTLE_QUIET_MS);
            ROLLED_UP.add(&["failed"], 1);
            tracing::warn!(tenant = %self.id, reason = describe(&error), "rolling a day up failed; it is tried again");
        }
    }

    /// The newest day that is due, so that what is looked at most is quick first.
    fn roll_one(&self, ended_ms: i64) -> Result<(), StoreError> {
        for day in self.days.days().into_iter().rev().filter(|day| ended_by(*day, ended_ms)) {
            if self.rollup_covers(day)? || self.days.unsettled(day)?.is_some() || self.in_heads(day) {
                continue;
            }
            if self.rollups.summary(day)?.alone.is_some() {
                // Samples that came after theirs were dropped stay beside the rollup: it cannot be made again.
                continue;
            }
            let families: std::collections::HashMap<String, MetricKind> =
                self.catalogue.metadata().into_iter().map(|meta| (meta.family, meta.kind)).collect();
            let is_counter = |labels: &Labels| match families.get(labels.metric_name()) {
                Some(MetricKind::Gauge) => false,
                _ => {
                    counts_by_name(labels.metric_name())
                        || families.get(labels.metric_name()) == Some(&MetricKind::Counter)
                }
            };
            let Some(samples) = self.days.roll_up(day, &self.rollups, &is_counter)? else { continue };
            ROLLED_UP.add(&["ok"], 1);
            tracing::debug!(tenant = %self.id, day = %day, samples, "a day is rolled up");
            return Ok(());
        }
        Ok(())
    }

    /// Whether the day's rollup has all that the day has.
    pub(crate) fn rollup_covers(&self, day: Day) -> Result<bool, StoreError> {
        let rollup = self.rollups.summary(day)?;
        Ok(!rollup.runs.is_empty()
            && rollup.alone.is_none()
            && rollup.covered_seq >= self.days.summary(day)?.covered_seq)
    }

    fn drop_raw(&self, ended_ms: i64) -> Result<(), StoreError> {
        let upkeep = self.upkeep.lock();
        for day in self.days.days().into_iter().filter(|day| ended_by(*day, ended_ms)) {
            // What the intake log still has of it would be written again at a replay.
            let trimmed = self.intake.bytes() == 0 || upkeep.trimmed_seq >= self.days.summary(day)?.covered_seq;
            if !trimmed || self.view.read().frozen.is_some() || self.in_heads(day) || !self.rollup_covers(day)? {
                continue;
            }
            self.rollups.stand_alone(day)?;
            let bytes = self.days.drop_file(day)?;
            RAW_DROPPED.add(&[], 1);
            tracing::info!(tenant = %self.id, day = %day, bytes, "the samples of a day went, its five-minute values stay");
        }
        drop(upkeep);
        Ok(())
    }

    /// Ends what a crash cut short between a rollup's standing alone and the end of its samples.
    pub(crate) fn end_rolling_up(&self) -> Result<(), StoreError> {
        for day in self.rollups.days() {
            let alone = self.rollups.summary(day)?.alone;
            let raw = self.days.summary(day)?;
            if alone.is_some_and(|alone| !raw.runs.is_empty() && raw.covered_seq <= alone) {
                self.days.drop_file(day)?;
            }
        }
        Ok(())
    }
}

fn ended_by(day: Day, at_ms: i64) -> bool {
    day.start_ms().saturating_add(MS_PER_DAY) <= at_ms
}

/// Names as counters, histograms and summaries have them.
fn counts_by_name(name: &str) -> bool {
    ["_total", "_sum", "_count", "_bucket"].iter().any(|end| name.ends_with(end))
}
