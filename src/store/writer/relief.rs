//! Writes the head out beside the writer when upkeep does not keep up.

use std::sync::Arc;

use crate::limits::{HEAD_BYTES_MAX, HEADS_BYTES_MAX, INTAKE_BYTES_MAX};
use crate::tenant::Inner;

impl Inner {
    /// Memory of the tenant's own heads.
    pub(super) fn heads_bytes(&self) -> usize {
        self.view.read().heads().map(|head| head.bytes()).sum()
    }

    /// Waits for a flush that [`relieve`] began.
    pub(crate) fn await_relief(&self) {
        if let Some(relief) = self.relief.lock().take()
            && relief.join().is_err()
        {
            tracing::error!(tenant = %self.id, "writing out the head panicked; it is tried again");
        }
    }
}

/// Has the head written out beside the writer when upkeep does not keep up; at twice the limits intake waits for it, and memory stays.
pub(super) fn relieve(tenant: &Arc<Inner>) {
    let (own, log) = (tenant.heads_bytes(), tenant.intake.bytes());
    let all = tenant.shared.heads_bytes();
    let over = |times: usize| {
        own > times * HEAD_BYTES_MAX
            || log > times as u64 * INTAKE_BYTES_MAX
            || all > times * HEADS_BYTES_MAX && own > HEADS_BYTES_MAX / 100
    };
    if !over(1) {
        return;
    }
    if over(2) {
        // Counted and logged where it failed; the next commit tries again.
        drop(tenant.flush(None, true));
        return;
    }
    let mut relief = tenant.relief.lock();
    if relief.as_ref().is_some_and(|relief| !relief.is_finished()) {
        return;
    }
    let inner = tenant.clone();
    let spawned = std::thread::Builder::new().name(format!("flush-{}", tenant.id)).spawn(move || {
        drop(inner.flush(None, true));
    });
    match spawned {
        Ok(thread) => *relief = Some(thread),
        Err(error) => {
            tracing::warn!(tenant = %tenant.id, %error, "no thread to write out the head; the writer does it");
            drop(relief);
            drop(tenant.flush(None, true));
        }
    }
}
