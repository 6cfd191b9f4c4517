//! What keeps the writer from writing, and the way out of it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Writer;
use crate::StoreError;
use crate::error::describe;
use crate::file::sync_parent;
use crate::intake::Numbers;
use crate::limits::{HEAD_BYTES_MAX, RETRY_FIRST_MS, RETRY_LAST_MS};
use crate::tenant::Inner;

pub(super) struct Broken {
    reason: String,
    wait_ms: u64,
    retry_at: Instant,
}

impl Inner {
    /// Whether a commit can be tried now; if not, why.
    pub(super) fn writable(&self, writer: &mut Writer) -> Result<(), String> {
        if let Some(reason) = self.shared.disk_low() {
            return Err(reason);
        }
        if self.full.load(Ordering::Relaxed) {
            return Err(format!(
                "the newest day of tenant {} alone is over its share of the disk (retention.max_bytes = {}); raise it",
                self.id, self.shared.options.bytes_max
            ));
        }
        let held = self.heads_bytes();
        if held > 3 * HEAD_BYTES_MAX {
            return Err(format!(
                "tenant {} holds {held} bytes of samples that cannot be written to its day files",
                self.id
            ));
        }
        match &writer.broken {
            Some(broken) if Instant::now() < broken.retry_at => Err(broken.reason.clone()),
            Some(_) => self.recover(writer).map_err(|error| self.broke(writer, &error)),
            None => Ok(()),
        }
    }

    /// Opens the intake log anew after a failed commit. What reached the disk though nobody was told is applied now.
    fn recover(&self, writer: &mut Writer) -> Result<(), StoreError> {
        self.shared.files.forget(self.intake.path());
        // A replacement may have failed before its name was certain.
        sync_parent(self.intake.path())?;
        let numbers = self.intake.load(&self.catalogue)?;
        let applied = self.view.read().applied_seq;
        self.replay(applied, &numbers.renamed)?;
        // Numbers only grow, also when the failed record never came to the disk.
        writer.numbers = Numbers {
            next_seq: writer.numbers.next_seq.max(numbers.next_seq),
            next_series: writer.numbers.next_series.max(numbers.next_series),
        };
        self.view.write().applied_seq = writer.numbers.next_seq - 1;
        writer.broken = None;
        *self.trouble.lock() = None;
        tracing::info!(tenant = %self.id, "the intake log is writable again");
        Ok(())
    }

    /// Remembers a failure and when to try again; returns it in words.
    pub(super) fn broke(&self, writer: &mut Writer, error: &StoreError) -> String {
        // What they remember may not have come to the disk.
        writer.streams.clear();
        self.shared.files.forget(self.intake.path());
        let wait_ms = writer.broken.as_ref().map_or(RETRY_FIRST_MS, |broken| (broken.wait_ms * 2).min(RETRY_LAST_MS));
        let reason = describe(error);
        tracing::error!(tenant = %self.id, reason, retry_in_ms = wait_ms, "cannot write the intake log");
        let retry_at = Instant::now() + Duration::from_millis(wait_ms);
        *self.trouble.lock() = Some(reason.clone());
        writer.broken = Some(Broken { reason: reason.clone(), wait_ms, retry_at });
        reason
    }

    /// Tries again at once what failed; called by upkeep.
    pub(crate) fn retry(&self) {
        let mut writer = self.writer.lock();
        if writer.broken.is_some()
            && let Err(error) = self.recover(&mut writer)
        {
            self.broke(&mut writer, &error);
        }
    }

    /// Why the tenant cannot store now.
    pub(crate) fn trouble(&self) -> Option<String> {
        if self.full.load(Ordering::Relaxed) {
            return Some(format!("tenant {}: its newest day is over retention.max_bytes", self.id));
        }
        self.trouble.lock().as_ref().map(|reason| format!("tenant {}: {reason}", self.id))
    }
}
