//! One evaluation of one group at one time: rules in order, their series written, their instances stepped.
//!
//! Reads no clock but to measure. Gives back what changed as one [`Evaluation`] for one commit, and touches the states it was
//! given only through that: when the commit fails, the next slot starts from the same states and tells what is still true.
//!
//! Series (recorded ones, `ALERTS`) are written rule by rule before that commit, so that later rules see them. A crash in
//! between is harmless: states and notices come from the instances alone, never from those series, and evaluating the slot
//! again writes the same samples at the same time, which the store drops as duplicates.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use model::alert::{self, RuleId, Transition};
use model::{AlertState, Instance, Labels, LabelsBuilder, Sample, labels, metric};
use query::promql::{self, Source, Value};
use store::Evaluation;

use crate::file::{Group, Rule, RuleKind};
use crate::ground::Ground;
use crate::state::{self, Present, Timers};
use crate::template::{Data, Template, TemplateError};

/// Most instances of one rule in a group without a `limit`; more are a mistake in the rule.
const INSTANCES_MAX: usize = 10_000;

/// Instances of one rule by fingerprint.
pub(crate) type Instances = BTreeMap<String, Instance>;

/// What every evaluation needs beside the group.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) external_url: String,
    pub(crate) lookback_ms: i64,
    pub(crate) query_limits: query::Limits,
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
    labels: Vec<(String, Result<Template, TemplateError>)>,
    annotations: Vec<(String, Result<Template, TemplateError>)>,
}

impl PreparedRule {
    pub(crate) fn new(id: RuleId, rule: &Rule) -> PreparedRule {
        let parsed = |pairs: &[(String, String)]| {
            pairs.iter().map(|(name, text)| (name.clone(), Template::parse(text))).collect()
        };
        PreparedRule { id, labels: parsed(&rule.labels), annotations: parsed(&rule.annotations) }
    }
}

/// What a group remembers between its evaluations.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) instances: HashMap<RuleId, Instances>,
    /// Series that each rule wrote last, to end those that are gone.
    pub(crate) written: HashMap<RuleId, HashSet<Labels>>,
    /// Successful evaluations of each rule since the start, up to [`STEADY_EVALUATIONS`].
    pub(crate) successes: HashMap<RuleId, u32>,
}

/// Until a rule was evaluated so often, nothing that fires resolves: after a start, data that senders still hold back must not
/// look like an end.
pub(crate) const STEADY_EVALUATIONS: u32 = 2;

/// How one rule went.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) took: Duration,
    /// Empty when all went well.
    pub(crate) error: String,
}

/// What an evaluation leads to, once its changes are committed.
pub(crate) struct Outcome {
    pub(crate) evaluation: Evaluation,
    pub(crate) instances: HashMap<RuleId, Instances>,
    /// In the order of the rules.
    pub(crate) reports: Vec<Report>,
}

/// Evaluates all rules of a group. `memory.written` and `memory.successes` are kept up to date; instances are given back.
pub(crate) fn evaluate(
    prepared: &Prepared,
    memory: &mut Memory,
    at_ms: i64,
    settings: &Settings,
    ground: &dyn Ground,
) -> Outcome {
    let evaluation = Evaluation { group: prepared.key.clone(), at_ms, ..Evaluation::default() };
    let mut run =
        Run { prepared, at_ms, query_at_ms: at_ms - prepared.group.query_offset_ms, settings, ground, evaluation };
    let mut instances = HashMap::new();
    let mut reports = Vec::new();
    for (rule, ready) in prepared.group.rules.iter().zip(&prepared.rules) {
        let started = Instant::now();
        let before = memory.instances.get(&ready.id);
        let result = match rule.kind {
            RuleKind::Recording => run.record(rule, ready, memory),
            RuleKind::Alerting { for_ms, keep_firing_for_ms } => {
                let successes = memory.successes.entry(ready.id.clone()).or_default();
                let may_resolve = *successes + 1 >= STEADY_EVALUATIONS;
                let timers = Timers { for_ms, keep_firing_for_ms };
                match run.alert(rule, ready, before, timers, may_resolve) {
                    Ok((after, degraded)) => {
                        *successes = (*successes + 1).min(STEADY_EVALUATIONS);
                        let written = run.write(ready, alert_series(&after, run.query_at_ms), memory);
                        instances.insert(ready.id.clone(), after);
                        degraded.and(written)
                    }
                    Err(error) => {
                        // A rule that cannot be evaluated holds its states.
                        instances.extend(before.map(|before| (ready.id.clone(), before.clone())));
                        Err(error)
                    }
                }
            }
        };
        reports.push(Report { took: started.elapsed(), error: result.err().unwrap_or_default() });
    }
    Outcome { evaluation: run.evaluation, instances, reports }
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

fn alert_series(instances: &Instances, at_ms: i64) -> Vec<(Labels, Sample)> {
    let mut series = Vec::new();
    for instance in instances.values() {
        if let Some([alerts, for_state]) = alert_labels(instance) {
            series.push((alerts, Sample { at_ms, value: 1.0 }));
            // Whole seconds, as Prometheus writes it.
            let since_s = instance.active_at_ms.div_euclid(1_000) as f64;
            series.push((for_state, Sample { at_ms, value: since_s }));
        }
    }
    series
}

struct Run<'a> {
    prepared: &'a Prepared,
    at_ms: i64,
    query_at_ms: i64,
    settings: &'a Settings,
    ground: &'a dyn Ground,
    evaluation: Evaluation,
}

impl Run<'_> {
    fn record(&mut self, rule: &Rule, ready: &PreparedRule, memory: &mut Memory) -> Result<(), String> {
        let source = self.ground.source().map_err(|error| error.to_string())?;
        let mut found = BTreeMap::new();
        for (labels, value) in self.answer(&*source, &rule.expr)? {
            let mut builder = LabelsBuilder::from(&labels);
            builder.push(labels::METRIC_NAME, rule.name.as_str());
            for (name, value) in &rule.labels {
                builder.push(name.as_str(), value.as_str());
            }
            if found.insert(builder.build(), value).is_some() {
                return Err("vector contains metrics with the same labelset after applying rule labels".into());
            }
        }
        let over = self.over_limit(found.len());
        let kept = found.into_iter().take(self.limit());
        let at_ms = self.query_at_ms;
        let series = kept.map(|(labels, value)| (labels, Sample { at_ms, value })).collect();
        self.write(ready, series, memory)?;
        over
    }

    /// The rule's instances after this evaluation, and whether some were left out.
    fn alert(
        &mut self,
        rule: &Rule,
        ready: &PreparedRule,
        before: Option<&Instances>,
        timers: Timers,
        may_resolve: bool,
    ) -> Result<(Instances, Result<(), String>), String> {
        let source = self.ground.source().map_err(|error| error.to_string())?;
        let mut found: BTreeMap<String, Present> = BTreeMap::new();
        for (labels, value) in self.answer(&*source, &rule.expr)? {
            let present = self.rendered(rule, ready, &*source, &labels, value);
            let fingerprint = alert::fingerprint(&ready.id, &present.labels);
            if found.insert(fingerprint, present).is_some() {
                return Err("vector contains metrics with the same labelset after applying alert labels".into());
            }
        }
        // By fingerprint, so that the same ones stay from evaluation to evaluation.
        let over = self.over_limit(found.len());
        let known = |fingerprint: &str| before.and_then(|before| before.get(fingerprint));
        let mut after = Instances::new();
        for (fingerprint, present) in found.into_iter().take(self.limit()) {
            let known = known(&fingerprint);
            let next = state::present(&ready.id, known, present, timers, self.at_ms);
            self.note(known, Some(&next));
            after.insert(fingerprint, next);
        }
        for (fingerprint, known) in before.into_iter().flatten() {
            if after.contains_key(fingerprint) {
                continue;
            }
            let next = state::absent(known, timers, may_resolve, self.at_ms);
            self.note(Some(known), next.as_ref());
            match next {
                Some(next) => drop(after.insert(fingerprint.clone(), next)),
                None => self.evaluation.removals.push((ready.id.clone(), fingerprint.clone())),
            }
        }
        Ok((after, over))
    }

    /// Labels and annotations of one sample; a template that fails leaves its error as the text.
    fn rendered(
        &self,
        rule: &Rule,
        ready: &PreparedRule,
        source: &dyn Source,
        sample_labels: &Labels,
        value: f64,
    ) -> Present {
        let external_labels = Labels::default();
        let external_url = &self.settings.external_url;
        let data = Data { labels: sample_labels, value, external_labels: &external_labels, external_url };
        let mut query = |text: &str| {
            let expr = promql::parse(text).map_err(|error| error.to_string())?;
            self.answer(source, &expr)
        };
        let mut text = |template: &Result<Template, TemplateError>| match template {
            Ok(template) => template.expand_or_error(&data, &mut query),
            Err(error) => format!("<error expanding template: {error}>"),
        };
        let mut labels = LabelsBuilder::from(&sample_labels.without_name());
        for (name, template) in &ready.labels {
            labels.push(name.as_str(), text(template));
        }
        labels.push("alertname", rule.name.as_str());
        let annotations = ready.annotations.iter().map(|(name, template)| (name.clone(), text(template))).collect();
        Present { labels: labels.build(), annotations, value }
    }

    fn answer(&self, source: &dyn Source, expr: &promql::Expr) -> Result<Vec<(Labels, f64)>, String> {
        let options = promql::Options::new(self.settings.lookback_ms, self.settings.query_limits.start());
        let answer = promql::instant(source, expr, self.query_at_ms, &options).map_err(|error| error.to_string())?;
        match answer.value {
            Value::Vector(samples) => Ok(samples.into_iter().map(|(labels, sample)| (labels, sample.value)).collect()),
            Value::Scalar(sample) => Ok(vec![(Labels::default(), sample.value)]),
            Value::String { .. } | Value::Matrix(_) => Err("rule result is not a vector or scalar".into()),
        }
    }

    fn limit(&self) -> usize {
        match self.prepared.group.limit {
            0 => INSTANCES_MAX,
            limit => limit.min(INSTANCES_MAX),
        }
    }

    /// Prometheus drops all results of a rule over its limit, and with them what fires; here the first ones stay.
    fn over_limit(&self, found: usize) -> Result<(), String> {
        let limit = self.limit();
        if found <= limit {
            return Ok(());
        }
        Err(format!("exceeded limit of {limit} with {found} results; kept the first {limit} (the group's \"limit\")"))
    }

    /// Writes a rule's series, and ends those that it wrote last time and not now.
    fn write(
        &self,
        ready: &PreparedRule,
        mut series: Vec<(Labels, Sample)>,
        memory: &mut Memory,
    ) -> Result<(), String> {
        let now: HashSet<Labels> = series.iter().map(|(labels, _)| labels.clone()).collect();
        let last = memory.written.entry(ready.id.clone()).or_default();
        for gone in last.difference(&now) {
            series.push((gone.clone(), Sample { at_ms: self.query_at_ms, value: metric::stale_marker() }));
        }
        if series.is_empty() {
            return Ok(());
        }
        self.ground.write(&series)?;
        *last = now;
        Ok(())
    }

    /// Takes down what one instance's step means for store, history and people.
    fn note(&mut self, before: Option<&Instance>, after: Option<&Instance>) {
        let (from, to) = (before.map(|before| before.state), after.map(|after| after.state));
        if let Some(after) = after
            && before.is_none_or(|before| !same_episode_state(before, after))
        {
            self.evaluation.upserts.push(after.clone());
        }
        if from == to || (from == Some(AlertState::Resolved) && to.is_none()) {
            return;
        }
        let Some(shown) = after.or(before) else { return };
        self.evaluation.transitions.push(Transition {
            at_ms: self.at_ms,
            rule_id: shown.rule_id.clone(),
            labels: shown.labels.clone(),
            from,
            to,
            value: shown.value,
            note: match (from, to) {
                (Some(AlertState::Firing), Some(AlertState::Pending)) => "\"for\" was raised".into(),
                _ => String::new(),
            },
        });
        match (before, after) {
            (_, Some(after)) if to == Some(AlertState::Firing) || to == Some(AlertState::Resolved) => {
                self.evaluation.notices.push(after.clone());
            }
            // Back to pending: whoever was told that it fires is told that it does not.
            (Some(before), _) if from == Some(AlertState::Firing) => {
                self.evaluation.notices.push(state::resolved(before, self.at_ms));
            }
            _ => {}
        }
    }
}

/// Whether nothing changed that must survive a restart. Value and annotations follow with the next evaluation anyway, and
/// writing them each time would be a commit each time.
fn same_episode_state(a: &Instance, b: &Instance) -> bool {
    (a.state, a.active_at_ms, a.fired_at_ms, a.keep_since_ms, a.resolved_at_ms)
        == (b.state, b.active_at_ms, b.fired_at_ms, b.keep_since_ms, b.resolved_at_ms)
}
