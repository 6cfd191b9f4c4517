//! The room's own metrics. Tenants are many and labels must be few, so the gauges speak of all tenants together.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use model::alert::Outcome;
use model::meter::{Counter, Gauge};

static NOTIFICATIONS: Counter = Counter::new(
    "binnacle_notifications_total",
    "Attempts to tell somebody, by kind of channel and outcome.",
    &["channel", "outcome"],
);
static OLDEST: Gauge = Gauge::new(
    "binnacle_outbox_oldest_undelivered_seconds",
    "How long the oldest news that is due waits to be taken by its receiver; 0 when none does.",
    &[],
);
static INTENTS: Gauge =
    Gauge::new("binnacle_outbox_intents", "What receivers should know, told and untold, of all tenants.", &[]);

/// Of each tenant: intents, and the oldest one's wait in ms.
static TENANTS: Mutex<BTreeMap<String, (usize, i64)>> = Mutex::new(BTreeMap::new());

pub(crate) fn count_attempt(kind: &str, outcome: Outcome) {
    NOTIFICATIONS.add(&[kind, outcome.as_str()], 1);
}

pub(crate) fn set_outbox(tenant: &str, intents: usize, oldest_ms: i64) {
    publish(|tenants| {
        tenants.insert(tenant.into(), (intents, oldest_ms));
    });
}

/// A tenant whose notifier stopped has no outbox any more.
pub(crate) fn forget_outbox(tenant: &str) {
    publish(|tenants| {
        tenants.remove(tenant);
    });
}

fn publish(change: impl FnOnce(&mut BTreeMap<String, (usize, i64)>)) {
    let mut tenants = TENANTS.lock().unwrap_or_else(PoisonError::into_inner);
    change(&mut tenants);
    INTENTS.set(&[], tenants.values().map(|(intents, _)| *intents).sum::<usize>() as f64);
    OLDEST.set(&[], tenants.values().map(|(_, oldest)| *oldest).max().unwrap_or(0) as f64 / 1e3);
}
