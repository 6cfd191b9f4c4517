//! Days of one tenant that go: past their age, or for the sake of its bytes or of the disk.

use std::sync::atomic::Ordering;

use model::meter::Counter;
use model::time::Day;

use crate::StoreError;
use crate::file::disk_bytes;
use crate::limits::LOOSE_BYTES;
use crate::tenant::Inner;

static DROPPED_DAYS: Counter =
    Counter::new("binnacle_store_dropped_days_total", "Days dropped, by why and of what.", &["why", "data"]);

impl Inner {
    /// Drops what is past its age, then the oldest days while the tenant is over its bytes.
    pub(crate) fn retain(&self, now_ms: i64) -> Result<(), StoreError> {
        let upkeep = self.upkeep.lock();
        self.days.look_aside();
        self.rollups.look_aside();
        let options = &self.shared.options;
        let metrics_day = Day::of_ms(now_ms.saturating_sub(options.metrics_retention_ms));
        let logs_day = Day::of_ms(now_ms.saturating_sub(options.logs_retention_ms));
        self.drop_metrics(metrics_day, "age")?;
        self.drop_logs(logs_day, "age")?;
        let today = Day::of_ms(now_ms);
        loop {
            let (bytes, oldest) = self.size_of_days();
            // The newest day stays: who is over with one day alone must hear of it instead of losing it again and again.
            let droppable = oldest.filter(|day| *day < today);
            self.full.store(bytes > options.bytes_max && droppable.is_none(), Ordering::Relaxed);
            // What waits in the intake log takes room as well, but is no reason to refuse: it is written out soon.
            let over = bytes.saturating_add(disk_bytes(self.intake.path())) > options.bytes_max;
            let Some(day) = droppable.filter(|_| over) else { break };
            self.drop_metrics(Day(day.0 + 1), "bytes")?;
            self.drop_logs(Day(day.0 + 1), "bytes")?;
        }
        drop(upkeep);
        Ok(())
    }

    /// Bytes of all days on the disk, and the oldest day.
    fn size_of_days(&self) -> (u64, Option<Day>) {
        let all = [self.days.sizes(), self.rollups.sizes(), self.logs.days()];
        let bytes = all.iter().flatten().map(|(_, bytes)| bytes).sum();
        (bytes, all.iter().filter_map(|days| days.first()).map(|(day, _)| *day).min())
    }

    /// Whether a day would have to go for the intake log's sake, and the log has something to give back.
    pub(crate) fn is_over_with_intake_log(&self, now_ms: i64) -> bool {
        let bytes_max = self.shared.options.bytes_max;
        let log = disk_bytes(self.intake.path());
        let (bytes, oldest) = self.size_of_days();
        let fits_without = bytes <= bytes_max && bytes.saturating_add(log) > bytes_max;
        fits_without && log > LOOSE_BYTES && oldest.is_some_and(|day| day < Day::of_ms(now_ms))
    }

    /// The oldest day before today that has files.
    pub(crate) fn oldest_day(&self, today: Day) -> Option<Day> {
        let logs = self.logs.days().first().map(|(day, _)| *day);
        let rollups = self.rollups.days().first().copied();
        self.days.days().first().copied().into_iter().chain(rollups).chain(logs).min().filter(|day| *day < today)
    }

    /// Drops one day for the sake of the disk.
    pub(crate) fn drop_day(&self, day: Day) -> Result<(), StoreError> {
        let upkeep = self.upkeep.lock();
        self.drop_logs(Day(day.0 + 1), "disk")?;
        self.drop_metrics(Day(day.0 + 1), "disk")?;
        drop(upkeep);
        Ok(())
    }

    fn drop_metrics(&self, before: Day, why: &'static str) -> Result<(), StoreError> {
        let mut dropped = self.days.drop_before(before)?;
        dropped.extend(self.rollups.drop_before(before)?);
        dropped.sort_unstable();
        dropped.dedup();
        if !dropped.is_empty() {
            DROPPED_DAYS.add(&[why, "metrics"], dropped.len() as u64);
            tracing::info!(tenant = %self.id, days = dropped.len(), before = %before, why, "dropped old days of metrics");
        }
        Ok(())
    }

    fn drop_logs(&self, before: Day, why: &'static str) -> Result<(), StoreError> {
        let old = self.logs.days().iter().filter(|(day, _)| *day < before).count();
        if old > 0 {
            self.logs.drop_before(before)?;
            DROPPED_DAYS.add(&[why, "logs"], old as u64);
            tracing::info!(tenant = %self.id, days = old, before = %before, why, "dropped old days of logs");
        }
        Ok(())
    }
}
