//! One turn after another: notices in, what is due out, and every step of it in the store before the next.
//!
//! The order is the promise: an attempt is on disk before its first byte is sent, and while the store takes nothing, nothing
//! is sent. A crash between the two leaves an attempt that is known to be ambiguous.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use model::alert::{AlertState, Attempt, Instance, Intent, PUSHED_RULE};
use store::{Alerts, StoreError};
use tokio::task::{Id, JoinSet};

use crate::delivery::{Clients, Report, Speaker};
use crate::exec::Hooks;
use crate::figures;
use crate::health::Health;
use crate::limits::Places;
use crate::notifier::NotifierOptions;
use crate::outbox::{FLAP_WINDOW_MS, Outbox, Sent, Undelivered, is_held, is_news, is_untried_test};
use crate::picture::Pictures;
use crate::rehearsal::Script;
use crate::{Config, PresentSource, ServiceLimits, Timing};

mod charts;
mod gather;
mod hold;
mod sending;
mod standing;
mod trial;

pub(crate) use hold::instance_of;
pub use trial::TEST_RULE;

use charts::Charts;
use hold::Hold;
use standing::{remembered, standing};

/// Notices taken into one commit.
const NOTICES_MAX: usize = 500;
/// Transitions read back at a start, to know which alerts flap.
const TRANSITIONS_MAX: usize = 20_000;
/// Newest attempts read back at a start, to know when channels last worked: weeks of a usual deployment.
const ATTEMPTS_MAX: usize = 5_000;
/// Wait after the store refused a write, in ms.
const STORE_RETRY_MS: i64 = 1_000;
/// What a clock is corrected by without a word, in ms.
const SET_BACK_MS: i64 = 2_000;

/// What the outside wants of the next turn.
#[derive(Default)]
pub(crate) struct Orders {
    pub(crate) config: Option<Config>,
    /// Receiver and test id.
    pub(crate) tests: Vec<(String, String)>,
}

pub(crate) struct Engine {
    alerts: Alerts,
    config: Arc<Config>,
    outbox: Outbox,
    health: BTreeMap<String, Health>,
    limits: ServiceLimits,
    /// Lines of the history that the store does not have yet.
    unwritten: VecDeque<Attempt>,
    /// Those about what was held back, which belong to no intent.
    unwritten_held: Vec<Attempt>,
    hold: Hold,
    present: Option<PresentSource>,
    /// By channel: what was wrong with the templates of its last message.
    template_problems: BTreeMap<String, String>,
    /// Whether acknowledgements are to be laid over the outbox.
    acks_changed: bool,
    /// The last notice taken; writing intents alone passes it again.
    last_seq: u64,
    /// Whether the store still has notices that the outbox has taken.
    notices_taken: bool,
    /// Whether firing alerts are to be compared with what was told: at the start, and after a reload.
    compare: bool,
    sends: JoinSet<Report>,
    sending: HashMap<Id, (Sent, Places)>,
    clients: Clients,
    charts: Charts,
    speaker: Speaker,
    timing: Timing,
    undelivered: Vec<Undelivered>,
    pub(crate) hooks: Hooks,
    /// Interval of the tests that nobody asks for, and the number of the one that was due last.
    own_test: Option<(i64, i64)>,
    /// When the last turn was.
    turned_ms: i64,
    /// Takes messages in place of the network.
    script: Option<Script>,
}

impl Engine {
    pub(crate) fn open(
        alerts: Alerts,
        tenant: &str,
        config: Config,
        options: NotifierOptions,
        now_ms: i64,
    ) -> Result<Engine, StoreError> {
        let mut outbox = Outbox::load(alerts.intents()?);
        let recent = alerts.transitions(i64::MAX, TRANSITIONS_MAX)?;
        let since_ms = now_ms - FLAP_WINDOW_MS;
        let recent: Vec<_> = recent.into_iter().take_while(|transition| transition.at_ms > since_ms).collect();
        outbox.set_back_within(config.x.back_within_ms);
        outbox.remember_fires(&recent);
        outbox.follow_start(now_ms);
        let unwritten = outbox.recover(now_ms).into();
        Ok(Engine {
            clients: Clients::new(&options.timing),
            charts: Charts::new(Pictures::new(options.charts)),
            health: remembered(&config, alerts.attempts(i64::MAX, ATTEMPTS_MAX)?),
            alerts,
            config: Arc::new(config),
            outbox,
            limits: options.limits,
            unwritten,
            unwritten_held: Vec::new(),
            hold: Hold::default(),
            present: options.present,
            template_problems: BTreeMap::new(),
            acks_changed: true,
            last_seq: 0,
            notices_taken: false,
            compare: true,
            sends: JoinSet::new(),
            sending: HashMap::new(),
            speaker: Speaker { tenant: tenant.into(), external_url: options.external_url },
            timing: options.timing,
            undelivered: Vec::new(),
            hooks: Hooks::default(),
            own_test: None,
            turned_ms: now_ms,
            script: None,
        })
    }

    /// From here on nothing is sent, and all is accepted.
    pub(crate) fn rehearse(&mut self) -> Script {
        self.script.get_or_insert_default().clone()
    }

    pub(crate) fn alerts(&self) -> Alerts {
        self.alerts.clone()
    }

    /// Does everything that is due by now; returns when the next turn is, at the latest.
    pub(crate) async fn turn(&mut self, orders: Orders, now_ms: i64) -> i64 {
        self.follow_clock(now_ms);
        if let Some(mut config) = orders.config {
            config.keep_leaving(&self.config, |channel| self.outbox.owes(channel));
            self.health.retain(|name, _| config.channel(name).is_some());
            self.health.values_mut().for_each(Health::reconsider);
            self.limits.forget_idle(now_ms);
            self.charts.reconsider();
            self.clients.forget();
            self.outbox.set_back_within(config.x.back_within_ms);
            self.config = Arc::new(config);
            self.outbox.retry_refused(None);
            self.compare = true;
        }
        for (receiver, id) in orders.tests {
            self.begin_test(&receiver, &id, now_ms);
        }
        self.begin_own_tests(now_ms);
        let done = match self.work(now_ms).await {
            Ok(()) => self.next_ms(now_ms).min(self.hold_next_ms(now_ms)).min(self.own_test_ms()),
            Err(error) => {
                tracing::error!(tenant = self.speaker.tenant, %error, "notifications wait: the store takes nothing");
                now_ms + STORE_RETRY_MS
            }
        };
        let late = self
            .outbox
            .iter()
            .filter(|(_, intent)| is_news(intent) && !is_held(intent))
            .map(|(_, intent)| intent.not_before_ms);
        let oldest_ms = late.min().map_or(0, |since| (now_ms - since).max(0));
        self.note_undelivered(now_ms);
        let figures = figures::OfTenant {
            intents: self.outbox.iter().count(),
            oldest_ms,
            undelivered: self.undelivered.len(),
            broken: self.broken(),
        };
        figures::set_tenant(&self.speaker.tenant, figures);
        done
    }

    /// A clock that was set back must keep nobody waiting for as long as it jumped: what waits comes as much earlier.
    fn follow_clock(&mut self, now_ms: i64) {
        let by_ms = now_ms.saturating_sub(self.turned_ms);
        if by_ms < -SET_BACK_MS {
            tracing::warn!(tenant = self.speaker.tenant, by_ms, "the clock was set back; messages go by its new time");
            self.outbox.shift(by_ms, now_ms);
            self.undelivered.iter_mut().for_each(|one| one.since_ms = one.since_ms.saturating_add(by_ms));
            self.health.values_mut().for_each(|health| health.shift(by_ms));
            self.reconsider_hold();
        }
        self.turned_ms = now_ms;
    }

    async fn work(&mut self, now_ms: i64) -> Result<(), StoreError> {
        // What came of attempts goes first: an intent's progress must not reach the store before the attempt that made it.
        self.write().await?;
        self.read_hold(now_ms).await?;
        if self.compare {
            let firing = self.firing().await?;
            self.reset_live(firing, now_ms);
        }
        self.take_notices(now_ms).await?;
        let pushed = self.sync_pushed(now_ms);
        let pushed = self.note_live(pushed.into_iter());
        self.apply(&pushed, now_ms);
        self.leave(now_ms);
        if self.compare || self.outbox.repeats(&self.config, now_ms, &self.timing) {
            self.compare_states(now_ms).await?;
            self.compare = false;
        }
        self.tidy(now_ms).await?;
        self.unwritten_held.extend(self.outbox.take_lines());
        self.write_held().await?;
        self.end_tests(now_ms);
        let (config, health, limits) = (self.config.clone(), &self.health, &self.limits);
        let health_of = |name: &str| standing(&config, health, limits, &self.timing, name);
        let given_up = self.outbox.sweep(&config, &health_of, now_ms, &self.timing);
        for attempt in given_up {
            tracing::error!(receiver = attempt.receiver, subject = attempt.subject, "{}", attempt.words);
            self.unwritten.push_back(attempt);
        }
        self.write().await?;
        self.begin_due(now_ms).await
    }

    async fn take_notices(&mut self, now_ms: i64) -> Result<(), StoreError> {
        loop {
            let alerts = self.alerts.clone();
            let notices = blocking(move || alerts.notices(NOTICES_MAX)).await?;
            let Some(last) = notices.last() else { return Ok(()) };
            self.last_seq = last.seq;
            self.notices_taken = true;
            let full = notices.len() == NOTICES_MAX;
            let changed = self.note_live(notices.into_iter().map(|notice| notice.instance));
            self.apply(&changed, now_ms);
            self.write_intents().await?;
            if !full {
                return Ok(());
            }
        }
    }

    /// Tells of firing alerts those who were not to be told when they began, as routes led elsewhere; of the others, a repeat is to
    /// say how they are now.
    async fn compare_states(&mut self, now_ms: i64) -> Result<(), StoreError> {
        let mut firing = self.firing().await?;
        firing.extend(self.live().into_iter().filter(|instance| instance.rule_id == PUSHED_RULE));
        let news: Vec<Instance> =
            firing.into_iter().filter(|instance| !self.outbox.refresh(instance, &self.config)).collect();
        self.apply(&news, now_ms);
        Ok(())
    }

    /// Gives what channels that are gone were not told to whom the routes lead now.
    fn leave(&mut self, now_ms: i64) {
        let left = self.outbox.leave(&self.config, now_ms);
        for line in &left.lines {
            tracing::error!(receiver = line.receiver, subject = line.subject, "{}", line.words);
        }
        self.compare |= !left.lines.is_empty();
        self.unwritten_held.extend(left.lines);
        let begun = |ended: &Instance| Instance { state: AlertState::Firing, resolved_at_ms: None, ..ended.clone() };
        let news: Vec<Instance> = left.untold.into_iter().flat_map(|ended| [begun(&ended), ended]).collect();
        self.apply(&news, now_ms);
    }

    /// What the rules say fires.
    async fn firing(&self) -> Result<Vec<Instance>, StoreError> {
        let alerts = self.alerts.clone();
        let mut instances = blocking(move || alerts.instances()).await?;
        instances.retain(|instance| instance.state == AlertState::Firing);
        Ok(instances)
    }

    /// Brings the store up to the outbox.
    async fn write(&mut self) -> Result<(), StoreError> {
        while let Some(attempt) = self.unwritten.front().cloned() {
            let key = (attempt.receiver.clone(), attempt.scope.clone());
            if let Some(intent) = self.outbox.get(&key).cloned() {
                let alerts = self.alerts.clone();
                blocking(move || alerts.put_intent(&intent, Some(&attempt))).await?;
                self.outbox.written_one(&key);
            }
            self.unwritten.pop_front();
        }
        self.write_intents().await
    }

    async fn write_intents(&mut self) -> Result<(), StoreError> {
        let (changed, gone) = self.outbox.unwritten();
        let (alerts, seq) = (self.alerts.clone(), self.last_seq);
        let routed = std::mem::take(&mut self.notices_taken);
        if !routed && changed.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let stored = blocking(move || {
            if routed || !changed.is_empty() {
                alerts.route_notices(seq, &changed)?;
            }
            if gone.is_empty() { Ok(()) } else { alerts.remove_intents(&gone) }
        });
        if let Err(error) = stored.await {
            self.notices_taken = routed;
            return Err(error);
        }
        self.outbox.written();
        Ok(())
    }

    fn next_ms(&self, now_ms: i64) -> i64 {
        // Once for all that wait at a channel: a place is named by hashing its keys.
        let known: RefCell<HashMap<(&str, bool), i64>> = RefCell::default();
        let opens_at_ms = |intent: &Intent| {
            let Some((_, channel)) = self.config.channel(&intent.receiver) else { return i64::MIN };
            let is_edit = intent.accepted.is_some();
            if is_untried_test(intent) {
                return self.limits.opens_at_ms(&Places::of(channel, is_edit, &self.timing).probing(), now_ms);
            }
            *known.borrow_mut().entry((&channel.name, is_edit)).or_insert_with(|| {
                let own_ms = self.health.get(&channel.name).map_or(i64::MIN, Health::opens_at_ms);
                own_ms.max(self.limits.opens_at_ms(&Places::of(channel, is_edit, &self.timing), now_ms))
            })
        };
        self.outbox.next_ms(&self.config, &opens_at_ms, &self.timing).unwrap_or(i64::MAX)
    }

    pub(crate) fn undelivered(&self) -> Vec<Undelivered> {
        self.undelivered.clone()
    }

    /// Says aloud what newly became undelivered, and runs the program that is to know of it.
    fn note_undelivered(&mut self, now_ms: i64) {
        let (config, health, limits) = (self.config.clone(), &self.health, &self.limits);
        let health_of = |name: &str| standing(&config, health, limits, &self.timing, name);
        let undelivered = self.outbox.undelivered(&health_of, now_ms);
        for new in &undelivered {
            if !self.undelivered.iter().any(|old| old.subject == new.subject && old.since_ms == new.since_ms) {
                tracing::error!(
                    tenant = self.speaker.tenant,
                    subject = new.subject,
                    channel = new.channel,
                    "UNDELIVERED: nobody could be told: {}",
                    new.reason
                );
                self.hooks.run(&self.config.x.undelivered_exec, &self.speaker.tenant, new);
            }
        }
        self.undelivered = undelivered;
    }
}

/// Off the runtime's threads: every call here may wait for a disk.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::Unavailable { reason: error.to_string() }),
    }
}

#[cfg(test)]
mod tests;
