//! One evaluation of one group at one time: rules in order, their series written, their instances stepped.
//!
//! Reads no clock but to measure. Gives back what changed as one [`Evaluation`] for one commit, and touches the states it was
//! given only through that: when the commit fails, the next slot starts from the same states and tells what is still true.
//!
//! Series (recorded ones, `ALERTS`) are written before that commit, and before a later rule that may read them. A crash in
//! between is harmless: states and notices come from the instances alone, never from those series, and evaluating the slot
//! again writes the same samples at the same time, which the store drops as duplicates.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use model::alert::RuleId;
use model::{AlertState, Instance, Labels, LabelsBuilder, labels};
use query::promql::{self, Source, Value};
use store::Evaluation;

use crate::alerting;
use crate::condition::Condition;
use crate::event_rules::EventMemory;
use crate::file::{Group, Rule, RuleKind};
use crate::ground::{Ground, Point, Written};
use crate::template::{Template, TemplateError};
use crate::touched::Watched;
use crate::watch::Watch;
use crate::written::{Held, Reads};

/// Most instances of one rule in a group without a `limit`; more are a mistake in the rule.
const INSTANCES_MAX: usize = 10_000;

/// Instances of one rule by fingerprint.
pub(crate) type Instances = BTreeMap<String, Instance>;

/// What every evaluation needs beside the group.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) external_url: String,
    /// `$externalLabels` of templates.
    pub(crate) external_labels: Labels,
    pub(crate) lookback_ms: i64,
    pub(crate) query_limits: query::SharedLimits,
}

/// A group ready to be evaluated.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) group: Group,
    /// The group's name in the store: its own, or with the file where several files have one of that name.
    pub(crate) key: String,
    pub(crate) rules: Vec<PreparedRule>,
}

#[derive(Debug)]
pub(crate) struct PreparedRule {
    /// The rule's, made unique over all files.
    pub(crate) id: RuleId,
    pub(crate) labels: Vec<(String, Result<Template, TemplateError>)>,
    pub(crate) annotations: Vec<(String, Result<Template, TemplateError>)>,
    /// What its alerts carry for messages.
    pub(crate) context: Vec<(String, String)>,
    /// What of other rules' series it may read.
    pub(crate) reads: Reads,
}

impl PreparedRule {
    pub(crate) fn new(id: RuleId, rule: &Rule) -> PreparedRule {
        let parsed = |pairs: &[(String, String)]| {
            pairs.iter().map(|(name, text)| (name.clone(), Template::parse(text))).collect()
        };
        let context = rule.extension.context();
        let (labels, annotations) = (parsed(&rule.labels), parsed(&rule.annotations));
        PreparedRule { id, labels, annotations, context, reads: Reads::of(rule) }
    }
}

/// What a group remembers between its evaluations.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) instances: HashMap<RuleId, Instances>,
    /// Series that each rule wrote last, to end those that are gone.
    pub(crate) written: HashMap<RuleId, HashSet<Labels>>,
    /// How far each rule has come since the start.
    pub(crate) watch: HashMap<RuleId, Watch>,
    /// How far each rule of log events has come.
    pub(crate) events: HashMap<RuleId, EventMemory>,
}

/// When an evaluation takes place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) at_ms: i64,
    /// Time since the last evaluation in which nobody looked: it does not count towards `for`.
    pub(crate) lost_ms: i64,
    /// Time since the last evaluation, 0 for the first one.
    pub(crate) since_last_ms: i64,
    /// When the process started, in ms; what fires cannot end before data newer than that is there. `None` in tests of rules.
    pub(crate) started_ms: Option<i64>,
}

impl From<i64> for Slot {
    fn from(at_ms: i64) -> Slot {
        Slot { at_ms, lost_ms: 0, since_last_ms: 0, started_ms: None }
    }
}

/// How one rule went.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) took: Duration,
    /// Empty when all went well.
    pub(crate) error: String,
    /// Results beyond the limit.
    pub(crate) dropped: usize,
    /// What is within the limit was judged all the same.
    pub(crate) keeps_first: bool,
    /// Why the rule cannot be judged, in one word; empty when it can.
    pub(crate) unknown: &'static str,
    /// Since when its selectors find no series.
    pub(crate) empty_since_ms: Option<i64>,
    /// Selectors that found nothing for a day.
    pub(crate) dead: Vec<String>,
}

impl Report {
    /// Whether nobody can tell what the rule would say; one that keeps its first results goes on.
    pub(crate) fn has_failed(&self) -> bool {
        let goes_on = self.keeps_first && self.dropped > 0;
        !self.error.is_empty() && !goes_on
    }
}

/// What an evaluation leads to, once its changes are committed.
pub(crate) struct Outcome {
    pub(crate) evaluation: Evaluation,
    pub(crate) instances: HashMap<RuleId, Instances>,
    /// How far rules of log events are once it is committed.
    pub(crate) events: Vec<(RuleId, EventMemory)>,
    /// In the order of the rules.
    pub(crate) reports: Vec<Report>,
}

/// Evaluates all rules of a group. `memory.written` and `memory.watch` are kept up to date; instances are given back.
pub(crate) fn evaluate(
    prepared: &Prepared,
    memory: &mut Memory,
    slot: impl Into<Slot>,
    settings: &Settings,
    ground: &dyn Ground,
) -> Outcome {
    let mut run = Run::new(prepared, slot.into(), settings, ground);
    let mut instances = HashMap::new();
    let mut reports: Vec<Report> = Vec::new();
    let mut events = Vec::new();
    for (place, (rule, ready)) in prepared.group.rules.iter().zip(&prepared.rules).enumerate() {
        let started = Instant::now();
        if run.held.is_due(&ready.reads) {
            run.write_held(memory, &mut reports);
        }
        let mut watch = memory.watch.remove(&ready.id).unwrap_or_default();
        let result = match rule.kind {
            RuleKind::Recording => run.record(rule, ready, place, &mut watch, memory),
            RuleKind::Alerting { .. } => {
                let stepped = match &rule.condition {
                    Condition::Events(log) => run.events(rule, ready, log, memory, &mut events),
                    _ => run.alert(rule, ready, memory.instances.get(&ready.id), &mut watch),
                };
                let alerting::Stepped { after, error, is_judged } = stepped;
                // As in Prometheus, a rule that fails writes no series.
                if is_judged {
                    run.hold(ready, place, alert_series(&after, run.query_at_ms), memory);
                }
                instances.insert(ready.id.clone(), after);
                error.map_or(Ok(()), Err)
            }
        };
        let unknown = watch.unknown;
        let (empty_since_ms, dead) = (watch.empty_since_ms, watch.dead.clone());
        memory.watch.insert(ready.id.clone(), watch);
        let error = result.err().unwrap_or_default();
        let (dropped, keeps_first) = (run.dropped.take(), !prepared.group.limit_clears);
        let took = started.elapsed();
        reports.push(Report { took, error, dropped, keeps_first, unknown, empty_since_ms, dead });
    }
    run.write_held(memory, &mut reports);
    Outcome { evaluation: run.evaluation, instances, events, reports }
}

/// Evaluates the recording rules of a group at a slot that was missed, over data that came since. What fails stays missing.
pub(crate) fn record_late(prepared: &Prepared, at_ms: i64, settings: &Settings, ground: &dyn Ground) {
    let mut run = Run::new(prepared, Slot::from(at_ms), settings, ground);
    for (rule, ready) in prepared.group.rules.iter().zip(&prepared.rules) {
        if rule.kind == RuleKind::Recording {
            // A memory of its own: no series ends in the past.
            let mut memory = Memory::default();
            let recorded = run.record(rule, ready, 0, &mut Watch::default(), &mut memory);
            let failed = run.held.write(ground, &mut memory.written).pop();
            if let Err(error) = recorded.and(failed.map_or(Ok(()), |(_, error)| Err(error))) {
                tracing::debug!(rule = rule.name, at_ms, error, "a missed slot could not be recorded");
            }
        }
    }
}

/// The series that stand for alerts in PromQL.
pub(crate) fn alert_labels(instance: &Instance) -> Option<[Labels; 2]> {
    let state = match instance.state {
        AlertState::Pending | AlertState::Firing => instance.state.as_str(),
        AlertState::Resolved => return None,
    };
    let alerts = instance.labels.with(labels::METRIC_NAME, "ALERTS").with("alertstate", state);
    Some([alerts, instance.labels.with(labels::METRIC_NAME, "ALERTS_FOR_STATE")])
}

fn alert_series(instances: &Instances, at_ms: i64) -> Vec<Written> {
    let mut series = Vec::new();
    for instance in instances.values() {
        if let Some([alerts, for_state]) = alert_labels(instance) {
            series.push(Written::float(alerts, at_ms, 1.0));
            // Whole seconds, as Prometheus writes it.
            let since_s = instance.active_at_ms.div_euclid(1_000) as f64;
            series.push(Written::float(for_state, at_ms, since_s));
        }
    }
    series
}

/// A point as an alert's value.
pub(crate) fn number(point: &Point) -> f64 {
    match point {
        Point::Float(value) => *value,
        Point::Histogram(_) => 0.0,
    }
}

/// What an answer holds, as a rule takes it: numbers and histograms.
///
/// # Errors
/// That it is a text or a range.
pub(crate) fn points(answer: promql::Answer) -> Result<Vec<(Labels, Point)>, String> {
    let mut found: Vec<(Labels, Point)> = match answer.value {
        Value::Vector(samples) => {
            samples.into_iter().map(|(labels, sample)| (labels, Point::Float(sample.value))).collect()
        }
        Value::Scalar(sample) => vec![(Labels::default(), Point::Float(sample.value))],
        Value::String { .. } | Value::Matrix(_) => return Err("rule result is not a vector or scalar".into()),
    };
    for (labels, histograms) in answer.histograms {
        found.extend(histograms.into_iter().map(|(_, histogram)| (labels.clone(), Point::Histogram(histogram))));
    }
    Ok(found)
}

pub(crate) struct Run<'a> {
    pub(crate) prepared: &'a Prepared,
    pub(crate) slot: Slot,
    pub(crate) query_at_ms: i64,
    pub(crate) settings: &'a Settings,
    pub(crate) ground: &'a dyn Ground,
    pub(crate) evaluation: Evaluation,
    /// Whether a host or service sends anything, by its label and value; asked at most once.
    pub(crate) alive: HashMap<(String, String), bool>,
    /// Results of the present rule beyond its limit.
    pub(crate) dropped: Cell<usize>,
    held: Held,
}

impl<'a> Run<'a> {
    pub(crate) fn new(prepared: &'a Prepared, slot: Slot, settings: &'a Settings, ground: &'a dyn Ground) -> Run<'a> {
        Run {
            prepared,
            slot,
            query_at_ms: slot.at_ms - prepared.group.query_offset_ms,
            settings,
            ground,
            evaluation: Evaluation { group: prepared.key.clone(), at_ms: slot.at_ms, ..Evaluation::default() },
            alive: HashMap::new(),
            dropped: Cell::new(0),
            held: Held::default(),
        }
    }
}

impl Run<'_> {
    fn record(
        &mut self,
        rule: &Rule,
        ready: &PreparedRule,
        place: usize,
        watch: &mut Watch,
        memory: &mut Memory,
    ) -> Result<(), String> {
        let source = self.ground.source().map_err(|error| error.to_string())?;
        let watched = Watched::new(&*source);
        let mut found = BTreeMap::new();
        for (labels, point) in self.ask(&watched, rule)? {
            let mut builder = LabelsBuilder::from(&labels);
            builder.push(labels::METRIC_NAME, rule.name.as_str());
            for (name, value) in &rule.labels {
                builder.push(name.as_str(), value.as_str());
            }
            if found.insert(builder.build(), point).is_some() {
                return Err("vector contains metrics with the same labelset after applying rule labels".into());
            }
        }
        watch.note(&watched.into_touched(), self.slot.at_ms);
        if let Some(expr) = rule.condition.promql() {
            watch.look_for_dead(&*source, expr, &rule.expr_text, self.slot.at_ms);
        }
        let over = self.over_limit(found.len());
        if over.is_err() && self.prepared.group.limit_clears {
            return over;
        }
        let kept = found.into_iter().take(self.limit());
        let at_ms = self.query_at_ms;
        let series = kept.map(|(labels, point)| Written { labels, at_ms, point }).collect();
        self.hold(ready, place, series, memory);
        over
    }

    /// What an expression gives, as numbers: for a native histogram 0, as in Prometheus.
    pub(crate) fn answer(&self, source: &dyn Source, expr: &promql::Expr) -> Result<Vec<(Labels, f64)>, String> {
        let found = self.answer_points(source, expr)?;
        Ok(found.into_iter().map(|(labels, point)| (labels, number(&point))).collect())
    }

    pub(crate) fn answer_points(
        &self,
        source: &dyn Source,
        expr: &promql::Expr,
    ) -> Result<Vec<(Labels, Point)>, String> {
        self.points_at(source, expr, self.query_at_ms)
    }

    pub(crate) fn points_at(
        &self,
        source: &dyn Source,
        expr: &promql::Expr,
        at_ms: i64,
    ) -> Result<Vec<(Labels, Point)>, String> {
        let options = promql::Options::new(self.settings.lookback_ms, self.settings.query_limits.start());
        let answer = promql::instant(source, expr, at_ms, &options).map_err(|error| error.to_string())?;
        points(answer)
    }

    pub(crate) fn limit(&self) -> usize {
        match self.prepared.group.limit {
            0 => INSTANCES_MAX,
            limit => limit.min(INSTANCES_MAX),
        }
    }

    /// Prometheus drops all results of a rule over its limit, and with them what fires; here the first ones stay.
    pub(crate) fn over_limit(&self, found: usize) -> Result<(), String> {
        let limit = self.limit();
        if found <= limit {
            return Ok(());
        }
        self.dropped.set(found - limit);
        if self.prepared.group.limit_clears {
            return Err(format!("exceeded limit of {limit} with {found} results"));
        }
        Err(format!("exceeded limit of {limit} with {found} results; kept the first {limit} (the group's \"limit\")"))
    }

    /// Takes a rule's series to be written, and the ends of those that it wrote last time and not now.
    fn hold(&mut self, ready: &PreparedRule, place: usize, mut series: Vec<Written>, memory: &Memory) {
        let now: HashSet<Labels> = series.iter().map(|written| written.labels.clone()).collect();
        for gone in memory.written.get(&ready.id).into_iter().flatten().filter(|last| !now.contains(*last)) {
            series.push(Written::end(gone.clone(), self.query_at_ms));
        }
        if !series.is_empty() {
            self.held.push(&ready.id, place, series, now);
        }
    }

    /// Writes what is held; a rule whose series are refused has failed, whatever else it has to say.
    fn write_held(&mut self, memory: &mut Memory, reports: &mut [Report]) {
        for (place, error) in self.held.write(self.ground, &mut memory.written) {
            if let Some(report) = reports.get_mut(place) {
                report.error = error;
                report.dropped = 0;
            }
        }
    }
}
