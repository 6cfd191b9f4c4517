//! The rules of one tenant: when they run, what they change, and how they are.

mod alerts;
mod catch_up;
mod meters;
mod orphans;
pub(crate) mod prepare;
mod reload;
mod schedule;
mod view;
mod work;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::alert::{RuleId, reason};
use model::{AlertState, Instance, Labels};
use store::{Evaluation, StoreError};
use tokio::runtime::Handle;
use tokio::sync::watch;

pub use alerts::{Evaluated, GroupAlerts};
use catch_up::Gap;
use meters::{DROPPED, DURATION, EVALUATIONS, FAILING, FAILURES, MISSED};
use orphans::Orphans;
pub use view::{GroupView, Health, RuleView};
use work::{Work, was_set_back};

use crate::condition::Condition;
use crate::dry_run::{DryRun, dry_run};
use crate::evaluate::{self, Prepared, Report, Settings, Slot};
use crate::event_rules::EventMemory;
use crate::ground::{Ground, TenantGround};
use crate::state;
use crate::{Group, Rule};

/// Slot key of the commit that says where new rules of log events begin.
const NEW_EVENT_RULES: &str = "(new event rules)";
/// How often the slot of a group in which nothing changes is written: one fsync a minute and group.
const SLOT_NOTED_MS: i64 = 60_000;
/// The same while a `for` runs, which goes on after a restart from what was written.
const SLOT_NOTED_WAITING_MS: i64 = 5_000;

#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// For `{{ $externalURL }}` and links.
    pub external_url: String,
    pub lookback_ms: i64,
    pub query_limits: query::SharedLimits,
    /// When the process started, in ms: what fires does not end before newer data is there.
    pub started_ms: i64,
}

/// A cheap handle to a tenant's running rules.
#[derive(Clone)]
pub struct Engine {
    tenant: store::Tenant,
    inner: Arc<Inner>,
}

/// All but where series are read and written.
struct Inner {
    alerts: store::Alerts,
    /// As figures name the tenant.
    tenant: String,
    settings: Settings,
    started_ms: i64,
    groups: Mutex<Vec<Arc<Member>>>,
    reloading: Mutex<()>,
    /// What removed rules left: resolved at the next evaluation, since only that has a time.
    orphans: Mutex<Orphans>,
    /// Tells the loop that there are other groups.
    reloaded: tokio::sync::Notify,
}

/// A group and what it remembers.
pub(crate) struct Member {
    pub(crate) prepared: Prepared,
    /// Held through an evaluation, on a blocking thread.
    work: Mutex<Work>,
    /// What pages see; never held for long.
    shown: Mutex<Shown>,
}

struct Shown {
    /// When its states were last brought up to date, or it was first to be; by a clock that nobody sets.
    looked: Instant,
    last_evaluation_ms: Option<i64>,
    took: Duration,
    missed_slots: u64,
    reports: Vec<Report>,
    instances: HashMap<RuleId, Vec<Instance>>,
}

impl Default for Shown {
    fn default() -> Shown {
        Shown {
            looked: Instant::now(),
            last_evaluation_ms: None,
            took: Duration::ZERO,
            missed_slots: 0,
            reports: Vec::new(),
            instances: HashMap::new(),
        }
    }
}

impl Engine {
    /// Takes the groups over the tenant's stored states. Reads the alert file: blocks for some milliseconds.
    pub fn new(tenant: store::Tenant, groups: Vec<Group>, options: EngineOptions) -> Result<Engine, StoreError> {
        let EngineOptions { external_url, lookback_ms, query_limits, started_ms } = options;
        let alerts = tenant.alerts()?;
        let settings = Settings { external_url, external_labels: Labels::default(), lookback_ms, query_limits };
        let mut inner = Inner::new(alerts, groups, settings, started_ms)?;
        inner.tenant = tenant.id().figure_label().into();
        inner.begin_events(tenant.snapshot()?.applied_seq())?;
        Ok(Engine { tenant, inner: Arc::new(inner) })
    }

    /// Replaces the groups; states of rules that stay are kept, firing alerts of rules that go are resolved.
    ///
    /// Rules are the same when group, name and static labels are. Waits for evaluations that are under way, so from async code
    /// it belongs on a blocking thread. What is resolved is written at the next evaluation.
    pub fn reload(&self, groups: Vec<Group>) {
        self.inner.reload(groups);
        let begun = self.tenant.snapshot().and_then(|snapshot| self.inner.begin_events(snapshot.applied_seq()));
        if let Err(error) = begun {
            tracing::error!(%error, "new rules of log events begin with what is stored already");
        }
    }

    /// Evaluates one group (by its place in the list) at one time and commits what changed. A time that is not after the
    /// group's last one changes nothing.
    pub async fn evaluate(&self, group: usize, at_ms: i64) -> Result<(), StoreError> {
        let Some(member) = lock(&self.inner.groups).get(group).cloned() else { return Ok(()) };
        self.evaluate_member(member, at_ms, false).await
    }

    /// Runs every group at its slots until told to stop, and then waits for evaluations under way.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        schedule::run(self, stop).await;
    }

    pub fn view(&self) -> Vec<GroupView> {
        self.inner.view()
    }

    /// How each of some alerts is by the newest evaluation of its rule; `None` where the rule or the alert is not known.
    pub fn present(&self, alerts: &[Instance]) -> Vec<Option<Instance>> {
        self.inner.present(alerts)
    }

    /// A rule as its file has it; `None` when no rule of this id is left.
    pub fn rule(&self, id: &str) -> Option<Rule> {
        let members = lock(&self.inner.groups).clone();
        members.iter().find_map(|member| {
            let at = member.prepared.rules.iter().position(|ready| ready.id == id)?;
            member.prepared.group.rules.get(at).cloned()
        })
    }

    /// What a rule's alerts would say at this time, whether its condition holds or not; `None` when no rule of this id is left. `value`
    /// is the query that stands in where the condition returns nothing. Reads the store; blocks.
    pub fn dry_run(&self, id: &str, value: Option<&str>, at_ms: i64) -> Option<Result<DryRun, String>> {
        let members = lock(&self.inner.groups).clone();
        members.iter().find_map(|member| {
            let at = member.prepared.rules.iter().position(|ready| ready.id == id)?;
            Some(dry_run(member, at, value, self.tenant.clone(), &self.inner.settings, at_ms))
        })
    }

    /// `jumped`: the clock was set ahead since the last evaluation.
    async fn evaluate_member(&self, member: Arc<Member>, at_ms: i64, jumped: bool) -> Result<(), StoreError> {
        let inner = self.inner.clone();
        let query_at_ms = at_ms - member.prepared.group.query_offset_ms;
        let ground = TenantGround { tenant: self.tenant.clone(), runtime: Handle::current(), at_ms: query_at_ms };
        let evaluated = tokio::task::spawn_blocking(move || {
            inner.resolve_orphans(at_ms, &ground)?;
            if jumped {
                lock(&member.work).jumped_to(at_ms, member.prepared.group.interval_ms);
            }
            inner.evaluate(&member, at_ms, &ground)
        });
        evaluated.await.unwrap_or_else(|error| {
            FAILURES.add(&[], 1);
            Err(StoreError::Unavailable { reason: format!("evaluating rules: {error}") })
        })
    }
}

impl Inner {
    fn new(
        alerts: store::Alerts,
        groups: Vec<Group>,
        settings: Settings,
        started_ms: i64,
    ) -> Result<Inner, StoreError> {
        // So that these are known, and their increase can be watched, before the first failure.
        for counter in [&EVALUATIONS, &FAILURES, &MISSED] {
            counter.add(&[], 0);
        }
        let mut stored: HashMap<RuleId, evaluate::Instances> = HashMap::new();
        for mut instance in alerts.instances()? {
            let ahead_ms = instance.evaluated_at_ms.max(instance.active_at_ms).saturating_sub(started_ms);
            if was_set_back(ahead_ms, started_ms) {
                instance = state::shifted(&instance, -ahead_ms);
            }
            if instance.state == AlertState::Firing && instance.evidence.unknown_since_ms.is_none() {
                instance.evidence.unknown_since_ms = Some(started_ms);
                instance.evidence.reason = reason::RESTART.into();
            }
            stored.entry(instance.rule_id.clone()).or_default().insert(instance.fingerprint(), instance);
        }
        let slots: HashMap<String, i64> = alerts.last_slots()?.into_iter().collect();
        let mut members = Vec::new();
        let mut cursors: HashMap<RuleId, u64> = alerts.cursors()?.into_iter().collect();
        for prepared in prepare::prepare(groups) {
            let last_at_ms = slots.get(&prepared.key).copied();
            let last_at_ms = last_at_ms.filter(|last_ms| !was_set_back(last_ms.saturating_sub(started_ms), started_ms));
            let gap = Gap::of(last_at_ms, started_ms, prepared.group.interval_ms);
            let mut work = Work { last_at_ms, noted_ms: last_at_ms, has_gap: true, gap, ..Work::default() };
            let mut shown = Shown::default();
            for rule in &prepared.rules {
                if let Some(seq) = cursors.remove(&rule.id) {
                    work.memory.events.insert(rule.id.clone(), EventMemory::after(seq));
                }
                let Some(instances) = stored.remove(&rule.id) else { continue };
                // These series were written before the restart; they are ended when their alert is.
                let series = instances.values().filter_map(evaluate::alert_labels).flatten().collect();
                work.memory.written.insert(rule.id.clone(), series);
                shown.instances.insert(rule.id.clone(), instances.values().cloned().collect());
                work.memory.instances.insert(rule.id.clone(), instances);
            }
            members.push(Arc::new(Member { prepared, work: Mutex::new(work), shown: Mutex::new(shown) }));
        }
        let mut orphans = Orphans::default();
        stored.into_values().for_each(|instances| orphans.take(instances));
        let gaps = members.iter().filter_map(|member: &Arc<Member>| lock(&member.work).gap);
        let shortest = gaps.min_by_key(|gap| gap.to_ms - gap.from_ms);
        let inner = Inner {
            alerts,
            tenant: String::new(),
            settings,
            started_ms,
            groups: Mutex::new(members),
            reloading: Mutex::new(()),
            orphans: Mutex::new(orphans),
            reloaded: tokio::sync::Notify::new(),
        };
        if let Some(gap) = shortest {
            inner.note_downtime(gap)?;
        }
        Ok(inner)
    }

    /// New rules of log events begin with what comes after `seq`, which is written at once: what comes before their first evaluation
    /// is theirs, also after a crash.
    fn begin_events(&self, seq: u64) -> Result<(), StoreError> {
        let mut evaluation =
            Evaluation { group: NEW_EVENT_RULES.into(), at_ms: self.started_ms, ..Evaluation::default() };
        for member in lock(&self.groups).iter() {
            let mut work = lock(&member.work);
            for (ready, rule) in member.prepared.rules.iter().zip(&member.prepared.group.rules) {
                if matches!(rule.condition, Condition::Events(_)) && !work.memory.events.contains_key(&ready.id) {
                    work.memory.events.insert(ready.id.clone(), EventMemory::after(seq));
                    evaluation.cursors.push((ready.id.clone(), seq));
                }
            }
        }
        self.alerts.commit_evaluation(&evaluation)
    }

    fn evaluate(&self, member: &Member, at_ms: i64, ground: &dyn Ground) -> Result<(), StoreError> {
        let mut work = lock(&member.work);
        if work.last_at_ms.is_some_and(|last_at_ms| at_ms <= last_at_ms) {
            return Ok(());
        }
        let started = Instant::now();
        let since_last_ms = work.last_at_ms.map_or(0, |last_at_ms| at_ms.saturating_sub(last_at_ms));
        let lost_ms = match work.has_gap {
            true => since_last_ms.saturating_sub(member.prepared.group.interval_ms).max(0),
            false => 0,
        };
        let started_ms = work.jumped_ms.map_or(self.started_ms, |jumped_ms| jumped_ms.max(self.started_ms));
        let slot = Slot { at_ms, lost_ms, since_last_ms, started_ms: Some(started_ms) };
        let outcome = evaluate::evaluate(&member.prepared, &mut work.memory, slot, &self.settings, ground);
        EVALUATIONS.add(&[], outcome.reports.len() as u64);
        FAILURES.add(&[], outcome.reports.iter().filter(|report| report.has_failed()).count() as u64);
        member.note_troubles(&outcome.reports, &self.tenant);
        let committed = self.commit(&outcome, member, &mut work, at_ms);
        // States go on from what the disk holds: after a failed commit the next slot finds the same change again.
        if committed.is_ok() {
            work.memory.instances = outcome.instances;
            work.memory.events.extend(outcome.events);
            work.last_at_ms = Some(at_ms);
            work.has_gap = false;
        }
        let committed = committed.and_then(|()| self.catch_up(member, &mut work, at_ms, ground));
        let took = started.elapsed();
        DURATION.observe(&[], took);
        let mut shown = lock(&member.shown);
        if committed.is_ok() {
            shown.looked = Instant::now();
        }
        shown.last_evaluation_ms = Some(at_ms);
        shown.took = took;
        shown.reports = outcome.reports;
        shown.instances = work
            .memory
            .instances
            .iter()
            .map(|(id, instances)| (id.clone(), instances.values().cloned().collect()))
            .collect();
        committed
    }

    /// Commits an evaluation. One that changed nothing is noted now and then, so that a start knows since when nobody looked.
    fn commit(
        &self,
        outcome: &evaluate::Outcome,
        member: &Member,
        work: &mut Work,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        if !outcome.evaluation.is_unchanged() {
            self.alerts.commit_evaluation(&outcome.evaluation)?;
        } else {
            let mut instances = outcome.instances.values().flat_map(|instances| instances.values());
            let waits = instances.any(|instance| instance.state == AlertState::Pending);
            let every_ms = if waits { SLOT_NOTED_WAITING_MS } else { SLOT_NOTED_MS };
            if work.noted_ms.is_some_and(|noted_ms| at_ms.saturating_sub(noted_ms) < every_ms) {
                return Ok(());
            }
            self.alerts.note_slots(&[(member.prepared.key.clone(), at_ms)])?;
        }
        work.noted_ms = Some(at_ms);
        Ok(())
    }
}

impl Member {
    /// Puts what is wrong with rules into the figures; into the log once when it begins, not at every slot.
    fn note_troubles(&self, reports: &[Report], tenant: &str) {
        let shown = lock(&self.shown);
        for (at, (report, rule)) in reports.iter().zip(&self.prepared.group.rules).enumerate() {
            let before = shown.reports.get(at);
            let (file, group) = (&self.prepared.group.file, &self.prepared.group.name);
            let labels: [&str; 3] = [&self.prepared.key, &rule.name, tenant];
            // A rule that was never in trouble has no series of it.
            if report.has_failed() || before.is_some_and(Report::has_failed) {
                FAILING.set(&labels, f64::from(u8::from(report.has_failed())));
            }
            if report.dropped > 0 || before.is_some_and(|before| before.dropped > 0) {
                DROPPED.set(&labels, report.dropped as f64);
            }
            if !report.error.is_empty() && before.is_none_or(|before| before.error.is_empty()) {
                tracing::warn!(file, group, rule = rule.name, error = report.error, "rule evaluation failed");
            }
        }
    }
}

/// States are replaced as a whole after an evaluation, so what a panic left behind is whole too.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
