//! When the days of one tenant are settled (what settling is: `days/settle.rs`): when nothing has come for them for a while and no
//! head has samples of them, when they have very many flushes, and at a close in order.

use std::collections::BTreeMap;

use model::meter::Counter;
use model::time::Day;

use crate::StoreError;
use crate::days::Unsettled;
use crate::error::describe;
use crate::limits::{FLUSHES_MAX, SETTLE_AGAIN_MS, SETTLE_AGAIN_SHARE, SETTLE_AT_CLOSE_MIN_BYTES, SETTLE_QUIET_MS};
use crate::tenant::Inner;

static SETTLED: Counter = Counter::new("binnacle_store_settled_days_total", "Days of metrics settled.", &["result"]);
static SETTLED_SAMPLES: Counter =
    Counter::new("binnacle_store_settled_samples_total", "Samples written anew by settling their day.", &[]);

/// What settling remembers between two rounds; its lock is held while a day is settled.
#[derive(Default)]
pub(crate) struct Settling {
    /// Bytes of flushes of each day, and since when it has so many.
    quiet: BTreeMap<Day, (u64, i64)>,
    /// No attempt before, after a failed one.
    retry_at_ms: i64,
    /// The same for rolling up.
    pub(crate) roll_again_at_ms: i64,
}

impl Inner {
    /// Settles at most one day: another tenant's flush may be waiting for its turn.
    pub(crate) fn settle_due(&self, now_ms: i64) {
        let Some(mut settling) = self.settling.try_lock() else { return };
        if now_ms < settling.retry_at_ms {
            return;
        }
        let settled = self.due(&mut settling, now_ms).and_then(|day| day.map_or(Ok(()), |day| self.settle(day)));
        if let Err(error) = settled {
            settling.retry_at_ms = now_ms.saturating_add(SETTLE_QUIET_MS);
            SETTLED.add(&["failed"], 1);
            tracing::warn!(tenant = %self.id, reason = describe(&error), "settling a day failed; it is tried again");
        }
    }

    fn due(&self, settling: &mut Settling, now_ms: i64) -> Result<Option<Day>, StoreError> {
        let days = self.days.days();
        settling.quiet.retain(|day, _| days.contains(day));
        let mut found = None;
        for day in days {
            let Some(Unsettled { bytes, flushes, all_bytes }) = self.days.unsettled(day)? else {
                settling.quiet.remove(&day);
                continue;
            };
            let entry = settling.quiet.entry(day).or_insert((bytes, now_ms));
            if entry.0 != bytes || entry.1 > now_ms {
                *entry = (bytes, now_ms);
            }
            let quiet_ms = now_ms.saturating_sub(entry.1);
            let worth = bytes.saturating_mul(SETTLE_AGAIN_SHARE) >= all_bytes || quiet_ms >= SETTLE_AGAIN_MS;
            let due = quiet_ms >= SETTLE_QUIET_MS && (worth && !self.in_heads(day) || flushes >= FLUSHES_MAX);
            if due && found.is_none() && self.shared.has_room_for(all_bytes) {
                found = Some(day);
            }
        }
        Ok(found)
    }

    pub(crate) fn in_heads(&self, day: Day) -> bool {
        let view = self.view.read().clone();
        let spans = view.heads().filter_map(|head| head.span_ms());
        spans.into_iter().any(|(first, last)| Day::of_ms(first) <= day && day <= Day::of_ms(last))
    }

    fn settle(&self, day: Day) -> Result<(), StoreError> {
        let Some(settled) = self.days.settle(day)? else { return Ok(()) };
        let samples = settled.samples();
        // A flush that waits to be written again must find the file as it left it, and its readers are not ready for the new one.
        let upkeep = self.upkeep.lock();
        let waiting = self.view.read().frozen.is_some();
        let done = !waiting && self.days.put_in_place(settled)?;
        drop(upkeep);
        SETTLED.add(&[if done { "ok" } else { "put_off" }], 1);
        if done {
            SETTLED_SAMPLES.add(&[], samples);
            tracing::debug!(tenant = %self.id, day = %day, samples, "a day is settled");
        }
        Ok(())
    }

    /// Settles days with much to gain at a close in order, newest first, while `bytes` last.
    pub(crate) fn settle_at_close(&self, bytes: &mut u64) {
        let _settling = self.settling.lock();
        for day in self.days.days().into_iter().rev() {
            let settled = self.days.unsettled(day).and_then(|unsettled| {
                let worth = unsettled.filter(|day| {
                    // One flush alone is almost as small as it will be.
                    day.flushes > 1
                        && day.bytes >= SETTLE_AT_CLOSE_MIN_BYTES
                        && day.bytes.saturating_mul(SETTLE_AGAIN_SHARE) >= day.all_bytes
                        && day.all_bytes <= *bytes
                        && self.shared.has_room_for(day.all_bytes)
                });
                worth.map_or(Ok(0), |unsettled| self.settle(day).map(|()| unsettled.all_bytes))
            });
            match settled {
                Ok(written) => *bytes -= written,
                Err(error) => {
                    SETTLED.add(&["failed"], 1);
                    tracing::warn!(tenant = %self.id, reason = describe(&error), "settling a day at the close failed");
                }
            }
        }
    }
}
