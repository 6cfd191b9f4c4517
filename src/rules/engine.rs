//! The rules of one tenant: when they run, what they change, and how they are.

mod catch_up;
pub(crate) mod prepare;
mod schedule;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::alert::{RuleId, Transition, reason};
use model::meter::{Counter, Gauge, Timing};
use model::{AlertState, Instance, Labels, Sample, metric};
use store::{Evaluation, StoreError};
use tokio::runtime::Handle;
use tokio::sync::watch;

use catch_up::Gap;

use crate::condition::Condition;
use crate::evaluate::{self, Memory, Prepared, Report, Settings, Slot, Watch};
use crate::ground::{Ground, TenantGround};
use crate::log_rules::EventMemory;
use crate::state;
use crate::{Group, Rule, RuleKind};

static EVALUATIONS: Counter = Counter::new("binnacle_rule_evaluations_total", "Evaluations of single rules.", &[]);
static FAILURES: Counter =
    Counter::new("binnacle_rule_evaluation_failures_total", "Evaluations of single rules that failed.", &[]);
static MISSED: Counter = Counter::new(
    "binnacle_rule_group_missed_slots_total",
    "Slots at which a rule group was not evaluated, since it was still running or the process was held up.",
    &[],
);
static MISSED_IN_A_ROW: Gauge = Gauge::new(
    "binnacle_rule_group_missed_slots_in_a_row",
    "Slots passed over before a rule group's last evaluation.",
    &["group"],
);
static DURATION: Timing =
    Timing::new("binnacle_rule_group_duration_seconds", "How long evaluating a rule group takes.", &[]);

/// Slot key of the commit that says where new rules of log events begin.
const NEW_EVENT_RULES: &str = "(new event rules)";
/// Stored times further ahead of the start than this are another clock's.
const CLOCK_SLACK_MS: i64 = 60_000;
/// How often the slot of a group in which nothing changes is written: one fsync a minute and group.
const SLOT_NOTED_MS: i64 = 60_000;
/// The same while a `for` runs, which goes on after a restart from what was written.
const SLOT_NOTED_WAITING_MS: i64 = 5_000;
/// Slot key of the commit that resolves what removed rules left behind.
const REMOVED_RULES: &str = "(removed rules)";

#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// For `{{ $externalURL }}` and links.
    pub external_url: String,
    pub lookback_ms: i64,
    pub query_limits: query::Limits,
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
struct Member {
    prepared: Prepared,
    /// Held through an evaluation, on a blocking thread.
    work: Mutex<Work>,
    /// What pages see; never held for long.
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Work {
    memory: Memory,
    /// Last evaluated slot; an earlier or equal one is refused.
    last_at_ms: Option<i64>,
    /// The slot that the store knows of.
    noted_ms: Option<i64>,
    /// Nobody looked since the last slot: the process was down, or the clock jumped ahead. Only one interval of it counts.
    has_gap: bool,
    /// Slots that were missed while the process was down, until they are caught up with.
    gap: Option<Gap>,
}

impl Work {
    /// Moves all timers, after the clock was set.
    fn shift(&mut self, by_ms: i64) {
        for instance in self.memory.instances.values_mut().flat_map(|instances| instances.values_mut()) {
            *instance = state::shifted(instance, by_ms);
        }
    }
}

#[derive(Default)]
struct Shown {
    last_evaluation_ms: Option<i64>,
    took: Duration,
    missed_slots: u64,
    reports: Vec<Report>,
    instances: HashMap<RuleId, Vec<Instance>>,
}

#[derive(Default)]
struct Orphans {
    instances: Vec<Instance>,
    series: HashSet<Labels>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    Unknown,
    Ok,
    Err,
}

/// A group as the API and the pages show it.
#[derive(Debug, Clone)]
pub struct GroupView {
    pub file: String,
    pub name: String,
    pub interval_ms: i64,
    /// Most instances of one alerting rule, 0 for no limit.
    pub limit: usize,
    pub last_evaluation_ms: Option<i64>,
    pub evaluation_seconds: f64,
    pub missed_slots: u64,
    pub rules: Vec<RuleView>,
}

#[derive(Debug, Clone)]
pub struct RuleView {
    pub id: RuleId,
    pub name: String,
    pub kind: RuleKind,
    pub expr: String,
    pub labels: Vec<(String, String)>,
    pub annotations: Vec<(String, String)>,
    pub health: Health,
    pub last_error: String,
    pub last_evaluation_ms: Option<i64>,
    pub evaluation_seconds: f64,
    /// Why it cannot be judged at present, in one word of [`model::alert::reason`]; empty when it can.
    pub unknown: &'static str,
    /// Since when its selectors find no series at all.
    pub empty_since_ms: Option<i64>,
    /// Its selectors that found nothing for a day, of a rule that finds nothing at all: most likely misspelt.
    pub dead_selectors: Vec<String>,
    pub is_shadow: bool,
    pub owner: String,
    pub runbook: String,
    /// Pending, firing and recently resolved ones.
    pub instances: Vec<Instance>,
}

impl Engine {
    /// Takes the groups over the tenant's stored states. Reads the alert file: blocks for some milliseconds.
    pub fn new(tenant: store::Tenant, groups: Vec<Group>, options: EngineOptions) -> Result<Engine, StoreError> {
        let EngineOptions { external_url, lookback_ms, query_limits, started_ms } = options;
        let alerts = tenant.alerts()?;
        let settings = Settings { external_url, external_labels: Labels::default(), lookback_ms, query_limits };
        let inner = Inner::new(alerts, groups, settings, started_ms)?;
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

    /// A rule as its file has it; `None` when no rule of this id is left.
    pub fn rule(&self, id: &str) -> Option<Rule> {
        let members = lock(&self.inner.groups).clone();
        members.iter().find_map(|member| {
            let at = member.prepared.rules.iter().position(|ready| ready.id == id)?;
            member.prepared.group.rules.get(at).cloned()
        })
    }

    /// `jumped`: the clock was set ahead since the last evaluation.
    async fn evaluate_member(&self, member: Arc<Member>, at_ms: i64, jumped: bool) -> Result<(), StoreError> {
        let inner = self.inner.clone();
        let ground = TenantGround { tenant: self.tenant.clone(), runtime: Handle::current() };
        let evaluated = tokio::task::spawn_blocking(move || {
            inner.resolve_orphans(at_ms, &ground)?;
            if jumped {
                lock(&member.work).has_gap = true;
            }
            inner.evaluate(&member, at_ms, &ground)
        });
        evaluated.await.unwrap_or_else(|error| {
            FAILURES.add(&[], 1);
            Err(StoreError::Unavailable { reason: format!("evaluating rules: {error}") })
        })
    }

    /// Ends what removed rules left, where no group is there whose evaluation would.
    async fn finish_removed(&self, at_ms: i64) {
        let inner = self.inner.clone();
        let ground = TenantGround { tenant: self.tenant.clone(), runtime: Handle::current() };
        let finished = tokio::task::spawn_blocking(move || inner.resolve_orphans(at_ms, &ground));
        match finished.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "alerts of removed rules could not be resolved"),
            Err(error) => tracing::error!(%error, "alerts of removed rules could not be resolved"),
        }
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
            // From before the clock was set back.
            let ahead_ms = instance.evaluated_at_ms.max(instance.active_at_ms).saturating_sub(started_ms);
            if ahead_ms > CLOCK_SLACK_MS {
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

    fn reload(&self, groups: Vec<Group>) {
        // One reload at a time. The list itself is locked only to read and to replace it, since async code reads it too.
        let _one = lock(&self.reloading);
        let members = lock(&self.groups).clone();
        let mut kept: HashMap<RuleId, (Option<evaluate::Instances>, HashSet<Labels>, Watch)> = HashMap::new();
        let mut slots: HashMap<String, (Work, u64)> = HashMap::new();
        let mut events: HashMap<RuleId, EventMemory> = HashMap::new();
        for member in members.iter() {
            let mut work = lock(&member.work);
            let memory = std::mem::take(&mut work.memory);
            let times = Work { memory: Memory::default(), ..*work };
            slots.insert(member.prepared.key.clone(), (times, lock(&member.shown).missed_slots));
            // An evaluation that still holds the old group finds its time taken.
            work.last_at_ms = Some(i64::MAX);
            for (id, instances) in memory.instances {
                kept.entry(id).or_default().0 = Some(instances);
            }
            for (id, series) in memory.written {
                kept.entry(id).or_default().1 = series;
            }
            events.extend(memory.events);
            for (id, watch) in memory.watch {
                kept.entry(id).or_default().2 = watch;
            }
        }
        let mut next = Vec::new();
        for prepared in prepare::prepare(groups) {
            let (mut work, missed_slots) = slots.remove(&prepared.key).unwrap_or_default();
            let mut shown = Shown { missed_slots, ..Shown::default() };
            for rule in &prepared.rules {
                work.memory.events.extend(events.remove_entry(&rule.id));
                let Some((instances, series, watch)) = kept.remove(&rule.id) else { continue };
                work.memory.written.insert(rule.id.clone(), series);
                work.memory.watch.insert(rule.id.clone(), watch);
                if let Some(instances) = instances {
                    shown.instances.insert(rule.id.clone(), instances.values().cloned().collect());
                    work.memory.instances.insert(rule.id.clone(), instances);
                }
            }
            next.push(Arc::new(Member { prepared, work: Mutex::new(work), shown: Mutex::new(shown) }));
        }
        {
            let mut orphans = lock(&self.orphans);
            for (instances, series, _) in kept.into_values() {
                orphans.take(instances.unwrap_or_default());
                orphans.series.extend(series);
            }
        }
        *lock(&self.groups) = next;
        self.reloaded.notify_one();
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
        let slot = Slot { at_ms, lost_ms, started_ms: Some(self.started_ms) };
        let outcome = evaluate::evaluate(&member.prepared, &mut work.memory, slot, &self.settings, ground);
        EVALUATIONS.add(&[], outcome.reports.len() as u64);
        FAILURES.add(&[], outcome.reports.iter().filter(|report| !report.error.is_empty()).count() as u64);
        member.log_new_errors(&outcome.reports);
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

    fn view(&self) -> Vec<GroupView> {
        let members = lock(&self.groups).clone();
        members.iter().map(|member| member.view()).collect()
    }

    /// Ends what removed rules left: firing alerts are resolved and told, the rest is forgotten, their series end.
    fn resolve_orphans(&self, at_ms: i64, ground: &dyn Ground) -> Result<(), StoreError> {
        let mut orphans = lock(&self.orphans);
        if orphans.instances.is_empty() && orphans.series.is_empty() {
            return Ok(());
        }
        let mut evaluation = Evaluation { group: REMOVED_RULES.into(), at_ms, ..Evaluation::default() };
        for instance in &orphans.instances {
            evaluation.removals.push((instance.rule_id.clone(), instance.fingerprint()));
            let to = (instance.state == AlertState::Firing).then_some(AlertState::Resolved);
            if to.is_some() {
                evaluation.notices.push(state::resolved(instance, at_ms));
            }
            if instance.state != AlertState::Resolved {
                evaluation.transitions.push(Transition {
                    at_ms,
                    rule_id: instance.rule_id.clone(),
                    labels: instance.labels.clone(),
                    from: Some(instance.state),
                    to,
                    value: instance.value,
                    note: "rule removed".into(),
                });
            }
        }
        self.alerts.commit_evaluation(&evaluation)?;
        orphans.instances.clear();
        let value = metric::stale_marker();
        let ended: Vec<(Labels, Sample)> =
            orphans.series.drain().map(|labels| (labels, Sample { at_ms, value })).collect();
        if !ended.is_empty()
            && let Err(reason) = ground.write(&ended)
        {
            // They end by themselves after the lookback.
            tracing::warn!(reason, "series of removed rules are not marked as ended");
        }
        Ok(())
    }
}

impl Orphans {
    fn take(&mut self, instances: evaluate::Instances) {
        self.series.extend(instances.values().filter_map(evaluate::alert_labels).flatten());
        self.instances.extend(instances.into_values());
    }
}

impl Member {
    /// Once when a rule begins to fail, not at every slot.
    fn log_new_errors(&self, reports: &[Report]) {
        let shown = lock(&self.shown);
        for (at, (report, rule)) in reports.iter().zip(&self.prepared.group.rules).enumerate() {
            let known = shown.reports.get(at).is_some_and(|before| !before.error.is_empty());
            if !report.error.is_empty() && !known {
                let (group, file) = (&self.prepared.group.name, &self.prepared.group.file);
                tracing::warn!(file, group, rule = rule.name, error = report.error, "rule evaluation failed");
            }
        }
    }

    fn view(&self) -> GroupView {
        let shown = lock(&self.shown);
        let group = &self.prepared.group;
        let rules = group.rules.iter().zip(&self.prepared.rules).enumerate().map(|(at, (rule, ready))| {
            let report = shown.reports.get(at);
            let last_error = report.map(|report| report.error.clone()).unwrap_or_default();
            RuleView {
                id: ready.id.clone(),
                name: rule.name.clone(),
                kind: rule.kind,
                expr: rule.expr_text.trim().to_string(),
                labels: rule.labels.clone(),
                annotations: rule.annotations.clone(),
                health: match report {
                    None => Health::Unknown,
                    Some(_) if last_error.is_empty() => Health::Ok,
                    Some(_) => Health::Err,
                },
                last_error,
                last_evaluation_ms: shown.last_evaluation_ms,
                evaluation_seconds: report.map_or(0.0, |report| report.took.as_secs_f64()),
                unknown: report.map_or("", |report| report.unknown),
                empty_since_ms: report.and_then(|report| report.empty_since_ms),
                dead_selectors: report.map(|report| report.dead.clone()).unwrap_or_default(),
                is_shadow: rule.extension.is_shadow,
                owner: rule.extension.owner.clone(),
                runbook: rule.extension.runbook.clone(),
                instances: shown.instances.get(&ready.id).cloned().unwrap_or_default(),
            }
        });
        GroupView {
            file: group.file.clone(),
            name: group.name.clone(),
            interval_ms: group.interval_ms,
            limit: group.limit,
            last_evaluation_ms: shown.last_evaluation_ms,
            evaluation_seconds: shown.took.as_secs_f64(),
            missed_slots: shown.missed_slots,
            rules: rules.collect(),
        }
    }
}

/// States are replaced as a whole after an evaluation, so what a panic left behind is whole too.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
