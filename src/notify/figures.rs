//! The room's own metrics. Tenants are many and labels must be few, so the gauges speak of all tenants together.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use model::TenantId;
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
static UNDELIVERED: Gauge = Gauge::new(
    "binnacle_notifications_undelivered",
    "Alerts that were tried to be told and that no receiver took, of all tenants.",
    &[],
);
static BROKEN: Gauge = Gauge::new(
    "binnacle_notification_channels_broken",
    "Channels that refuse what is sent, or fail so often that attempts are held back, of all tenants.",
    &[],
);
// Each tenant's are stored among its own series (`own_metrics` of the root package).
static HEARTBEAT_AGE: Gauge = Gauge::new(
    "binnacle_heartbeat_age_seconds",
    "How long ago an expected heartbeat came last.",
    &["heartbeat", "tenant"],
);
static HEARTBEAT_ALLOWED: Gauge = Gauge::new(
    "binnacle_heartbeat_allowed_seconds",
    "How long an expected heartbeat may stay away.",
    &["heartbeat", "tenant"],
);

/// How a tenant's outbox is.
#[derive(Debug, Clone, Default)]
pub(crate) struct OfTenant {
    pub(crate) intents: usize,
    /// The oldest news' wait, in ms.
    pub(crate) oldest_ms: i64,
    pub(crate) undelivered: usize,
    pub(crate) broken: Vec<String>,
}

static TENANTS: Mutex<BTreeMap<String, OfTenant>> = Mutex::new(BTreeMap::new());

pub(crate) fn count_attempt(kind: &str, outcome: Outcome) {
    NOTIFICATIONS.add(&[kind, outcome.as_str()], 1);
}

/// Name, age and longest absence (ms) of each heartbeat that is expected of a tenant; others of it are forgotten.
pub(crate) fn set_heartbeats(tenant: &TenantId, all: &[(String, i64, i64)]) {
    let tenant = tenant.figure_label();
    for gauge in [&HEARTBEAT_AGE, &HEARTBEAT_ALLOWED] {
        gauge.retain(|labels| match labels {
            [name, of] => of != tenant || all.iter().any(|(expected, _, _)| expected == name),
            _ => true,
        });
    }
    for (name, age_ms, allowed_ms) in all {
        HEARTBEAT_AGE.set(&[name, tenant], (*age_ms).max(0) as f64 / 1e3);
        HEARTBEAT_ALLOWED.set(&[name, tenant], *allowed_ms as f64 / 1e3);
    }
}

pub(crate) fn set_tenant(tenant: &str, of: OfTenant) {
    publish(|tenants| {
        tenants.insert(tenant.into(), of);
    });
}

/// A tenant whose notifier stopped has no outbox any more.
pub(crate) fn forget_tenant(tenant: &str) {
    publish(|tenants| {
        tenants.remove(tenant);
    });
}

fn publish(change: impl FnOnce(&mut BTreeMap<String, OfTenant>)) {
    let mut tenants = TENANTS.lock().unwrap_or_else(PoisonError::into_inner);
    change(&mut tenants);
    INTENTS.set(&[], tenants.values().map(|of| of.intents).sum::<usize>() as f64);
    OLDEST.set(&[], tenants.values().map(|of| of.oldest_ms).max().unwrap_or(0) as f64 / 1e3);
    UNDELIVERED.set(&[], tenants.values().map(|of| of.undelivered).sum::<usize>() as f64);
    BROKEN.set(&[], tenants.values().map(|of| of.broken.len()).sum::<usize>() as f64);
}
