//! The handle to a tenant's notifier, and its loop.
//!
//! One task owns the outbox; attempts run beside it, so that a slow receiver delays no other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, watch};

use crate::engine::{Engine, Orders};
use crate::{Config, Timing};

/// Longest sleep, so that a moved wall clock is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(15);
/// Most test messages asked for and not yet begun.
const TESTS_MAX: usize = 8;

#[derive(Debug, Clone)]
pub struct NotifierOptions {
    /// Where links in messages lead.
    pub external_url: String,
    pub timing: Timing,
}

impl NotifierOptions {
    /// With the product's waits.
    pub fn new(external_url: impl Into<String>) -> NotifierOptions {
        NotifierOptions { external_url: external_url.into(), timing: Timing::default() }
    }
}

/// A test message that cannot be sent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NotifyError {
    #[error("there is no receiver {name:?} with a channel in notify.yml")]
    NoReceiver { name: String },
    #[error("{limit} test messages wait already; try again when they are sent")]
    TooManyTests { limit: usize },
}

impl NotifyError {
    pub fn kind(&self) -> model::Kind {
        match self {
            NotifyError::NoReceiver { .. } => model::Kind::NotFound,
            NotifyError::TooManyTests { .. } => model::Kind::Busy,
        }
    }
}

/// A receiver and how its channels are.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceiverView {
    pub name: String,
    pub channels: Vec<ChannelView>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ChannelView {
    /// `oncall/slack[0]`.
    pub name: String,
    /// `slack`, `pagerduty`, `email`.
    pub kind: &'static str,
    pub last_success_ms: Option<i64>,
    pub last_failure_ms: Option<i64>,
    /// Words of the last failure, also after a success; empty when there was none since the start.
    pub last_error: String,
    /// Whether attempts are held back after repeated failures, or were refused for good.
    pub broken: bool,
}

/// A cheap handle to a tenant's notifier.
#[derive(Clone)]
pub struct Notifier(Arc<Inner>);

struct Inner {
    /// Here while no loop runs.
    engine: Mutex<Option<Engine>>,
    orders: Mutex<Orders>,
    ordered: Notify,
    views: Mutex<Vec<ReceiverView>>,
}

impl Notifier {
    /// Reads the outbox back. Attempts that had begun before a crash are noted as ambiguous and made again.
    pub fn new(tenant: store::Tenant, config: Config, options: NotifierOptions) -> Result<Notifier, store::StoreError> {
        Notifier::of_alerts(tenant.alerts()?, tenant.id().as_str(), config, options)
    }

    /// As [`Notifier::new`], for the alert state alone.
    pub fn of_alerts(
        alerts: store::Alerts,
        tenant: &str,
        config: Config,
        options: NotifierOptions,
    ) -> Result<Notifier, store::StoreError> {
        let engine = Engine::open(alerts, tenant, config, options, now_ms())?;
        Ok(Notifier(Arc::new(Inner {
            views: Mutex::new(engine.views()),
            engine: Mutex::new(Some(engine)),
            orders: Mutex::new(Orders::default()),
            ordered: Notify::new(),
        })))
    }

    /// From the next turn of the loop on; what was refused before is tried again.
    pub fn reload(&self, config: Config) {
        locked(&self.0.orders).config = Some(config);
        self.0.ordered.notify_one();
    }

    /// Sends a synthetic firing and its end to a receiver, through everything that a real one passes. Returns the label
    /// `test_id` of the alert, by which its attempts are found in the history.
    pub fn send_test(&self, receiver: &str) -> Result<String, NotifyError> {
        let known = locked(&self.0.views).iter().any(|view| view.name == receiver && !view.channels.is_empty());
        if !known {
            return Err(NotifyError::NoReceiver { name: receiver.into() });
        }
        let mut orders = locked(&self.0.orders);
        if orders.tests.len() >= TESTS_MAX {
            return Err(NotifyError::TooManyTests { limit: TESTS_MAX });
        }
        let id = format!("{:x}", now_ms().wrapping_mul(16) + i64::try_from(orders.tests.len()).unwrap_or(0));
        orders.tests.push((receiver.into(), id.clone()));
        drop(orders);
        self.0.ordered.notify_one();
        Ok(id)
    }

    /// Delivers until told to stop; attempts under way are ended first. One loop a notifier: a second one returns at once.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        let Some(mut engine) = locked(&self.0.engine).take() else {
            tracing::error!("the notifier's loop runs already");
            return;
        };
        let alerts = engine.alerts();
        while !*stop.borrow_and_update() {
            let orders = std::mem::take(&mut *locked(&self.0.orders));
            let next_ms = engine.turn(orders, now_ms()).await;
            *locked(&self.0.views) = engine.views();
            let sleep = Duration::from_millis(u64::try_from(next_ms - now_ms()).unwrap_or(0)).min(SLEEP_MAX);
            tokio::select! {
                changed = stop.changed() => if changed.is_err() { break },
                () = alerts.noticed() => {}
                () = self.0.ordered.notified() => {}
                () = engine.finish_one(now_ms) => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
        engine.finish_all(now_ms).await;
        *locked(&self.0.views) = engine.views();
        *locked(&self.0.engine) = Some(engine);
    }

    /// Every receiver of the configuration, in its order.
    pub fn receivers(&self) -> Vec<ReceiverView> {
        locked(&self.0.views).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
