//! The handle to a tenant's notifier, and its loop.
//!
//! One task owns the outbox; attempts run beside it, so that a slow receiver delays no other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::TenantId;
use model::alert::{Attempt, Instance, Intent, IntentState, Progress};
use tokio::sync::{Notify, watch};

use crate::config::OfFile;
use crate::engine::{Engine, Orders};
use crate::outbox::Undelivered;
use crate::preview::{Preview, preview};
use crate::silences::{self, SilenceDraft, SilenceError};
use crate::{Board, ChartSource, Config, PresentSource, PushDraft, ServiceLimits, Timing, pushed};

/// Longest sleep, so that a moved wall clock is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(15);
/// Most test messages asked for and not yet begun.
const TESTS_MAX: usize = 8;
/// Newest attempts among which those of a test are looked for.
const TEST_ATTEMPTS_MAX: usize = 1_000;

#[derive(Debug, Clone)]
pub struct NotifierOptions {
    /// Where links in messages lead.
    pub external_url: String,
    pub timing: Timing,
    /// Who draws charts for messages; without one they have none.
    pub charts: Option<ChartSource>,
    /// Who knows how alerts of rules are by now; without one they are told as they were when they began.
    pub present: Option<PresentSource>,
    /// One for all notifiers of a process: they may speak to the same services.
    pub limits: ServiceLimits,
}

impl NotifierOptions {
    /// With the product's waits, and without charts.
    pub fn new(external_url: impl Into<String>) -> NotifierOptions {
        let (timing, limits) = (Timing::default(), ServiceLimits::default());
        NotifierOptions { external_url: external_url.into(), timing, charts: None, present: None, limits }
    }
}

/// A test message that cannot be sent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NotifyError {
    #[error("there is no receiver {name:?} with a channel in notify.yml")]
    NoReceiver { name: String },
    #[error("no heartbeat has this token; see x.heartbeats in notify.yml")]
    NoHeartbeat,
    #[error("the heartbeat is not noted: {reason}")]
    NotNoted { reason: String },
    #[error("{limit} test messages wait already; try again when they are sent")]
    TooManyTests { limit: usize },
}

impl NotifyError {
    pub fn kind(&self) -> model::Kind {
        match self {
            NotifyError::NoReceiver { .. } | NotifyError::NoHeartbeat => model::Kind::NotFound,
            NotifyError::TooManyTests { .. } => model::Kind::Busy,
            NotifyError::NotNoted { .. } => model::Kind::Unavailable,
        }
    }
}

/// A test message on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct TestSteps {
    pub attempts: Vec<Attempt>,
    /// The firing and the end were taken or refused, by every channel.
    pub done: bool,
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
    /// Words of the last failure, also after a success; empty when none is known.
    pub last_error: String,
    /// Whether attempts are held back after repeated failures, or were refused for good.
    pub broken: bool,
}

/// A cheap handle to a tenant's notifier.
#[derive(Clone)]
pub struct Notifier(Arc<Inner>);

struct Inner {
    tenant: TenantId,
    alerts: store::Alerts,
    /// As the next turn will use it.
    config: Mutex<Arc<Config>>,
    external_url: String,
    silence_max_ms: i64,
    /// Here while no loop runs.
    engine: Mutex<Option<Engine>>,
    orders: Mutex<Orders>,
    ordered: Notify,
    /// Held while stored rows are read and written again, so that of two changes none is lost.
    changing: Mutex<()>,
    views: Mutex<Vec<ReceiverView>>,
    undelivered: Mutex<Vec<Undelivered>>,
    extensions: Mutex<OfFile>,
    timing: Timing,
    /// When the outbox was last looked at.
    turned: Mutex<Instant>,
}

impl Notifier {
    /// Reads the outbox back. Attempts that had begun before a crash are noted as ambiguous and made again.
    pub fn new(tenant: store::Tenant, config: Config, options: NotifierOptions) -> Result<Notifier, store::StoreError> {
        Notifier::of_alerts(tenant.alerts()?, tenant.id(), config, options)
    }

    /// As [`Notifier::new`], for the alert state alone.
    pub fn of_alerts(
        alerts: store::Alerts,
        tenant: &TenantId,
        config: Config,
        options: NotifierOptions,
    ) -> Result<Notifier, store::StoreError> {
        let (extensions, timing) = (config.x.clone(), options.timing.clone());
        let external_url = options.external_url.clone();
        let silence_max_ms = options.timing.silence_max_ms;
        let engine = Engine::open(alerts.clone(), tenant.as_str(), config.clone(), options, now_ms())?;
        Ok(Notifier(Arc::new(Inner {
            tenant: tenant.clone(),
            turned: Mutex::new(Instant::now()),
            extensions: Mutex::new(extensions),
            alerts,
            timing,
            config: Mutex::new(Arc::new(config)),
            external_url,
            silence_max_ms,
            views: Mutex::new(engine.views()),
            undelivered: Mutex::default(),
            engine: Mutex::new(Some(engine)),
            orders: Mutex::new(Orders::default()),
            ordered: Notify::new(),
            changing: Mutex::new(()),
        })))
    }

    /// From the next turn of the loop on; what was refused before is tried again.
    pub fn reload(&self, config: Config) {
        *locked(&self.0.config) = Arc::new(config.clone());
        *locked(&self.0.extensions) = config.x.clone();
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

    /// The configuration in use.
    pub fn config(&self) -> Arc<Config> {
        locked(&self.0.config).clone()
    }

    /// What receivers would be told of these alerts. Nothing is sent, and nothing is held back.
    pub fn preview(&self, instances: &[Instance], now_ms: i64) -> Vec<Preview> {
        preview(&self.config(), &self.0.external_url, instances, now_ms)
    }

    /// What fires now, who is told, and what holds it back. Reads the store; blocks.
    pub fn board(&self, now_ms: i64) -> Result<Board, store::StoreError> {
        Board::read(&self.0.alerts, self.config(), &self.0.external_url, now_ms)
    }

    /// Makes a silence, or changes the one that the draft names; returns its id from now on. `who` is who asked, empty for the
    /// silence's own author. Durable when this returns, and looked at before the next message is sent. Blocks.
    pub fn set_silence(&self, draft: SilenceDraft, who: &str, now_ms: i64) -> Result<String, SilenceError> {
        let _one = locked(&self.0.changing);
        silences::set(&self.0.alerts, draft, self.0.silence_max_ms, who, now_ms)
    }

    /// Ends a silence. Blocks.
    pub fn expire_silence(&self, id: &str, who: &str, now_ms: i64) -> Result<(), SilenceError> {
        let _one = locked(&self.0.changing);
        silences::expire(&self.0.alerts, id, who, now_ms)
    }

    /// Longest that a silence lasts, in ms.
    pub fn silence_max_ms(&self) -> i64 {
        self.0.silence_max_ms
    }

    /// Notes that somebody looks after the firing alert of this fingerprint (of its labels, or of the instance): no repeats and no
    /// escalation until it ends or `until_ms`. Blocks.
    pub fn acknowledge(
        &self,
        fingerprint: &str,
        by: &str,
        comment: &str,
        until_ms: Option<i64>,
        now_ms: i64,
    ) -> Result<(), SilenceError> {
        let (episode, name) = self.episode_of(fingerprint, now_ms)?;
        let ack = model::Ack { episode, by: by.into(), comment: comment.into(), at_ms: now_ms, until_ms };
        silences::acknowledge(&self.0.alerts, ack, &name)
    }

    /// Takes an acknowledgement back. Blocks.
    pub fn unacknowledge(&self, fingerprint: &str, who: &str, now_ms: i64) -> Result<(), SilenceError> {
        let (episode, _) = self.episode_of(fingerprint, now_ms)?;
        silences::unacknowledge(&self.0.alerts, &episode, who, now_ms)
    }

    fn episode_of(&self, fingerprint: &str, now_ms: i64) -> Result<(String, String), SilenceError> {
        let statuses = self.board(now_ms)?.statuses();
        let found = statuses
            .iter()
            .find(|status| status.fingerprint == fingerprint || status.instance.fingerprint() == fingerprint);
        let instance = found.map(|status| &status.instance);
        instance
            .and_then(|instance| Some((instance.episode()?, instance.labels.value("alertname").to_owned())))
            .ok_or_else(|| SilenceError::NoAlert { fingerprint: fingerprint.into() })
    }

    /// Takes in alerts that another program pushes; returns why some were not taken. The others are durable when this returns.
    /// Blocks.
    pub fn push_alerts(&self, drafts: Vec<PushDraft>, now_ms: i64) -> Result<Vec<String>, store::StoreError> {
        let _one = locked(&self.0.changing);
        pushed::push(&self.0.alerts, drafts, self.config().resolve_timeout_ms, now_ms)
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
            self.show(&engine);
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
        self.show(&engine);
        *locked(&self.0.engine) = Some(engine);
    }

    /// What stands under `x:` of the file as it was read last.
    pub(crate) fn extensions(&self) -> OfFile {
        locked(&self.0.extensions).clone()
    }

    pub(crate) fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// How long nobody looked at the outbox; some seconds while all is well.
    pub(crate) fn still_for(&self) -> Duration {
        locked(&self.0.turned).elapsed()
    }

    pub(crate) fn alerts(&self) -> store::Alerts {
        self.0.alerts.clone()
    }

    pub(crate) fn timing(&self) -> &Timing {
        &self.0.timing
    }

    /// How a test goes: its attempts so far, oldest first, and whether both its parts are done with.
    ///
    /// # Errors
    /// Those of the store. Waits for the disk.
    pub fn test_steps(&self, test_id: &str) -> Result<TestSteps, store::StoreError> {
        let intents = self.0.alerts.intents()?;
        let of_test: Vec<&Intent> = intents
            .iter()
            .filter(|intent| intent.instances.iter().any(|instance| instance.labels.value("test_id") == test_id))
            .collect();
        let ours = |attempt: &Attempt| {
            of_test.iter().any(|intent| intent.receiver == attempt.receiver && intent.scope == attempt.scope)
        };
        let mut attempts: Vec<Attempt> =
            self.0.alerts.attempts(i64::MAX, TEST_ATTEMPTS_MAX)?.into_iter().filter(ours).collect();
        attempts.reverse();
        let over = |intent: &&Intent| {
            let ended = intent.want == IntentState::Resolved;
            ended && matches!(intent.progress, Progress::Accepted { .. } | Progress::Failed { .. })
        };
        Ok(TestSteps { attempts, done: !of_test.is_empty() && of_test.iter().all(over) })
    }

    fn show(&self, engine: &Engine) {
        *locked(&self.0.views) = engine.views();
        *locked(&self.0.undelivered) = engine.undelivered();
        *locked(&self.0.turned) = Instant::now();
    }

    /// Alerts that were tried to be told and that nobody took, the oldest first.
    pub fn undelivered(&self) -> Vec<Undelivered> {
        locked(&self.0.undelivered).clone()
    }

    /// Every receiver of the configuration, in its order.
    pub fn receivers(&self) -> Vec<ReceiverView> {
        locked(&self.0.views).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
