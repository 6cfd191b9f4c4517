//! One evaluation of one alerting rule: of each instance TRUE, FALSE or UNKNOWN, and what that makes of its state.
//!
//! TRUE is what the expression returned. What it did not return is FALSE only if somebody could tell: the query worked, its
//! selectors touched fresh series, and the series that this instance came from is among them. Else it is UNKNOWN. A rule without
//! `x:` takes UNKNOWN as Prometheus does (an error holds, missing data is an end), and only says so.

use std::collections::{BTreeMap, BTreeSet};

use model::alert::{self, Evidence, reason};
use model::{AlertState, Instance, Labels, LabelsBuilder};
use query::promql::{self, Source};

use crate::condition::Condition;
use crate::evaluate::{Instances, PreparedRule, Run, number};
use crate::extension::{Extension, Hysteresis, Unsure};
use crate::file::{Rule, RuleKind};
use crate::ground::{Nothing, Point};
use crate::levels;
use crate::state::{self, Patience, Present, Timers};
use crate::template::{Data, Template, TemplateError};
use crate::touched::{Touched, Watched};
use crate::watch::Watch;

/// Until a rule was evaluated so often, nothing that fires resolves: after a start, data that senders still hold back must not
/// look like an end.
pub(crate) const STEADY_EVALUATIONS: u32 = 2;
/// After so long without data newer than the start, what fires may resolve all the same.
pub(crate) const START_PATIENCE_MS: i64 = 10 * 60_000;
/// Labels that name what a series comes from, narrowest meaning first.
const RESOURCE_LABELS: [&str; 6] =
    ["host_name", "instance", "service_instance_id", "k8s_pod_name", "container_id", "service_name"];

/// What one evaluation of a rule leads to.
pub(crate) struct Stepped {
    pub(crate) after: Instances,
    /// Why it failed, or what was left out.
    pub(crate) error: Option<String>,
    /// Whether the expression was evaluated, so that series may be written.
    pub(crate) is_judged: bool,
}

/// What is known of an instance that the expression did not return.
enum Absent {
    /// It is over; a word why that may be for want of data.
    False(&'static str),
    Unknown(&'static str),
    /// It fires on, and that is known: hysteresis.
    Holds(Option<f64>),
}

/// What the rule's queries said.
struct Answers {
    found: Vec<(Labels, Point)>,
    touched: Touched,
    hysteresis: Vec<(Labels, f64)>,
    /// Instances whose traffic is too little, told by the floor's own results.
    floor: Option<Vec<(Labels, f64)>>,
    /// Why the rule as a whole cannot be judged.
    unknown: Option<&'static str>,
}

impl Run<'_> {
    /// The rule's instances after this evaluation.
    pub(crate) fn alert(
        &mut self,
        rule: &Rule,
        ready: &PreparedRule,
        before: Option<&Instances>,
        watch: &mut Watch,
    ) -> Stepped {
        let answered = self.answers(rule, watch).and_then(|(source, answers)| {
            let found = self.found(rule, ready, &*source, &answers, before)?;
            Ok((source, answers, found))
        });
        match answered {
            Ok((source, answers, found)) => {
                watch.successes = (watch.successes + 1).min(STEADY_EVALUATIONS);
                watch.unknown = answers.unknown.unwrap_or_default();
                self.step(rule, ready, &*source, before, watch, (answers, found))
            }
            Err(error) => {
                watch.unknown = reason::QUERY_ERROR;
                let after = self.failed(rule, ready, before);
                Stepped { after, error: Some(error), is_judged: false }
            }
        }
    }

    /// What the rule's expression gives.
    pub(crate) fn ask(&self, source: &dyn Source, rule: &Rule) -> Result<Vec<(Labels, Point)>, String> {
        match &rule.condition {
            Condition::Metrics(expr) => self.answer_points(source, expr),
            Condition::Logs(metric) => {
                let found = self.ask_logs(metric)?;
                Ok(found.into_iter().map(|(labels, value)| (labels, Point::Float(value))).collect())
            }
            // Its records are handled one by one.
            Condition::Events(_) => Ok(Vec::new()),
        }
    }

    fn answers(&self, rule: &Rule, watch: &mut Watch) -> Result<(Box<dyn Source>, Answers), String> {
        let source = self.ground.source().map_err(|error| error.to_string())?;
        let watched = Watched::new(&*source);
        let mut found = self.ask(&watched, rule)?;
        let touched = watched.into_touched();
        watch.note(&touched, self.slot.at_ms);
        if let Some(expr) = rule.condition.promql() {
            watch.look_for_dead(&*source, expr, &rule.expr_text, self.slot.at_ms);
        }
        if let Some(metric) = &rule.extension.logs {
            let logs = self.ask_logs(metric)?;
            found.retain(|(labels, _)| logs.iter().any(|(of, _)| fits(of, labels, |_| false)));
        }
        if let Some(started_ms) = self.slot.started_ms {
            let is_fresh = touched.newest_ms().is_some_and(|newest_ms| newest_ms > started_ms);
            watch.has_fresh_data |= is_fresh || !touched.has_selectors();
        }
        let extension = &rule.extension;
        let mut unknown = touched.unknown(extension.freshness, self.settings.lookback_ms);
        for required in &extension.requires {
            let watched = Watched::new(&*source);
            let text = format!("count({})", selector(&required.matchers));
            let expr = promql::parse(&text).map_err(|error| format!("x.requires {:?}: {error}", required.text))?;
            self.answer(&watched, &expr)?;
            let missing = watched.into_touched().unknown(extension.freshness, self.settings.lookback_ms);
            unknown = unknown.or(missing);
        }
        let hysteresis = match &extension.hysteresis {
            Some(Hysteresis::Hold(expr) | Hysteresis::End(expr)) => self.answer(&*source, expr)?,
            None => Vec::new(),
        };
        let floor = match &extension.min_samples {
            Some(floor) => Some(self.answer(&*source, &floor.expr)?),
            None => None,
        };
        Ok((source, Answers { found, touched, hysteresis, floor, unknown }))
    }

    /// What the expression returned, by fingerprint, with its texts rendered. Two results with the same labels are an error.
    fn found(
        &self,
        rule: &Rule,
        ready: &PreparedRule,
        source: &dyn Source,
        answers: &Answers,
        before: Option<&Instances>,
    ) -> Result<BTreeMap<String, (Present, bool)>, String> {
        let mut found = BTreeMap::new();
        for (labels, point) in &answers.found {
            let Some((fingerprint, present, fires)) = self.rendered(rule, ready, source, before, labels, point) else {
                continue;
            };
            if found.insert(fingerprint, (present, fires)).is_some() {
                return Err("vector contains metrics with the same labelset after applying alert labels".into());
            }
        }
        if rule.extension.no_data == Unsure::Alert
            && found.is_empty()
            && let Some(why) = answers.unknown
        {
            let (fingerprint, present) = self.stand_in(rule, ready, source, why);
            found.insert(fingerprint, (present, true));
        }
        Ok(found)
    }

    fn step(
        &mut self,
        rule: &Rule,
        ready: &PreparedRule,
        source: &dyn Source,
        before: Option<&Instances>,
        watch: &Watch,
        (answers, found): (Answers, BTreeMap<String, (Present, bool)>),
    ) -> Stepped {
        let over = self.over_limit(found.len());
        let (for_ms, keep_firing_for_ms) = timers(rule);
        let at_ms = self.slot.at_ms;
        let is_shadow = rule.extension.is_shadow;
        let mut after = Instances::new();
        if over.is_err() && self.prepared.group.limit_clears {
            // Prometheus' way: all is forgotten, and what fired is told to be over.
            for (fingerprint, known) in before.into_iter().flatten() {
                let ended = (known.state == AlertState::Firing).then(|| state::resolved(known, at_ms));
                self.note(Some(known), ended.as_ref(), is_shadow);
                self.evaluation.upserts.retain(|upsert| upsert.fingerprint() != *fingerprint);
                self.evaluation.removals.push((ready.id.clone(), fingerprint.clone()));
            }
            return Stepped { after, error: over.err(), is_judged: false };
        }
        let known = |fingerprint: &str| before.and_then(|before| before.get(fingerprint));
        // What is known stays, then by fingerprint: the same ones from evaluation to evaluation.
        let mut found: Vec<(String, (Present, bool))> = found.into_iter().collect();
        found.sort_by_cached_key(|(fingerprint, _)| (known(fingerprint).is_none(), fingerprint.clone()));
        let mut seen = BTreeSet::new();
        for (fingerprint, (present, reached)) in found.into_iter().take(self.limit()) {
            let known = known(&fingerprint);
            seen.insert(fingerprint.clone());
            if answers.is_below_floor(&rule.extension, &present.labels) {
                // Neither begins nor ends on so little.
                let Some(known) = known else { continue };
                let held = self.unknown(rule, known, reason::TOO_FEW_SAMPLES);
                self.keep(ready, &mut after, known, held, is_shadow);
                continue;
            }
            let fires_now = known.is_some_and(|known| known.state == AlertState::Firing);
            let for_ms = match rule.extension.levels.is_empty() {
                true => for_ms,
                false if reached || fires_now => 0,
                false => i64::MAX,
            };
            let timers = Timers { for_ms, keep_firing_for_ms };
            let mut next = state::present(&ready.id, known, present, timers, self.slot.lost_ms, at_ms);
            let begins = known.is_none_or(|known| known.state != AlertState::Firing);
            if begins && next.state == AlertState::Firing {
                self.add_lines(rule, &mut next);
            }
            self.note(known, Some(&next), is_shadow);
            after.insert(fingerprint, next);
        }
        for (fingerprint, known) in before.into_iter().flatten() {
            if seen.contains(fingerprint) {
                continue;
            }
            let timers = Timers { for_ms, keep_firing_for_ms };
            let next = match self.absent(rule, source, known, watch, &answers) {
                Absent::False(why) => state::absent(known, timers, why, at_ms),
                Absent::Unknown(why) => self.unknown(rule, known, why),
                Absent::Holds(value) => {
                    let mut next = Instance { evaluated_at_ms: at_ms, keep_since_ms: None, ..known.clone() };
                    next.value = value.unwrap_or(next.value);
                    next.evidence.unknown_since_ms = None;
                    next.evidence.reason.clear();
                    Some(next)
                }
            };
            self.keep(ready, &mut after, known, next, is_shadow);
        }
        Stepped { after, error: over.err(), is_judged: true }
    }

    fn keep(
        &mut self,
        ready: &PreparedRule,
        after: &mut Instances,
        known: &Instance,
        next: Option<Instance>,
        is_shadow: bool,
    ) {
        self.note(Some(known), next.as_ref(), is_shadow);
        let fingerprint = known.fingerprint();
        match next {
            Some(next) => drop(after.insert(fingerprint, next)),
            None => self.evaluation.removals.push((ready.id.clone(), fingerprint)),
        }
    }

    /// What may be said of an instance that the expression did not return.
    fn absent(
        &mut self,
        rule: &Rule,
        source: &dyn Source,
        known: &Instance,
        watch: &Watch,
        answers: &Answers,
    ) -> Absent {
        let extension = &rule.extension;
        let is_firing = known.state == AlertState::Firing;
        let own = |name: &str| rule.labels.iter().any(|(own, _)| own == name) || name == "severity";
        if is_firing && !self.is_steady(watch) {
            return Absent::Unknown(reason::RESTART);
        }
        if known.labels.get("reason").is_some() && extension.no_data == Unsure::Alert && answers.unknown.is_none() {
            return Absent::False("");
        }
        if is_firing {
            let matching = answers.hysteresis.iter().find(|(labels, _)| fits(labels, &known.labels, own));
            match (&extension.hysteresis, matching) {
                (Some(Hysteresis::Hold(_)), Some((_, value))) => return Absent::Holds(Some(*value)),
                (Some(Hysteresis::End(_)), Some(_)) => return Absent::False(""),
                (Some(Hysteresis::End(_)), None) => {
                    let why = answers.unknown.filter(|_| extension.no_data != Unsure::Ok);
                    return why.map_or(Absent::Holds(None), Absent::Unknown);
                }
                _ => {}
            }
        }
        if let Some(why) = answers.unknown {
            return match extension.no_data {
                Unsure::Ok => Absent::False(why),
                Unsure::Keep | Unsure::Alert => Absent::Unknown(why),
            };
        }
        let lookback_ms = self.settings.lookback_ms;
        let Some(why) = answers.touched.unknown_instance(known, own, extension.freshness, lookback_ms) else {
            return Absent::False("");
        };
        if extension.is_plain {
            return Absent::False(why);
        }
        if why != reason::MISSING_SERIES {
            return Absent::Unknown(why);
        }
        if !self.is_alive(source, known) {
            return Absent::Unknown(reason::RESOURCE_GONE);
        }
        let wait_ms = extension.missing_series_for_ms.unwrap_or(2 * self.prepared.group.interval_ms);
        let since_ms = known.evidence.unknown_since_ms.unwrap_or(self.slot.at_ms);
        let is_over = self.slot.at_ms.saturating_sub(since_ms) >= wait_ms;
        match extension.missing_series {
            Unsure::Ok if is_over => Absent::False(reason::MISSING_SERIES),
            _ => Absent::Unknown(reason::MISSING_SERIES),
        }
    }

    /// The step of an instance of which nobody can tell.
    fn unknown(&self, rule: &Rule, known: &Instance, why: &'static str) -> Option<Instance> {
        let extension = &rule.extension;
        let then = match why {
            reason::QUERY_ERROR => extension.on_error,
            reason::MISSING_SERIES => extension.missing_series,
            reason::TOO_FEW_SAMPLES => Unsure::Ok,
            _ => extension.no_data,
        };
        // What a start holds back is decided by its own patience.
        let unknown_max_ms = extension.unknown_max_ms.filter(|_| why != reason::RESTART);
        let patience = Patience { unknown_max_ms, then_ends: then == Unsure::Ok || extension.unknown_ends };
        // Without `x:` time goes on while a query fails, as in Prometheus.
        let lost_ms = match extension.is_plain {
            true => self.slot.lost_ms,
            false => self.prepared.group.interval_ms.max(self.slot.since_last_ms),
        };
        state::unknown(known, why, patience, lost_ms, self.slot.at_ms)
    }

    /// A rule that cannot be evaluated.
    fn failed(&mut self, rule: &Rule, ready: &PreparedRule, before: Option<&Instances>) -> Instances {
        let is_shadow = rule.extension.is_shadow;
        let (for_ms, keep_firing_for_ms) = timers(rule);
        let timers = Timers { for_ms, keep_firing_for_ms };
        let mut after = Instances::new();
        let stand_in = (rule.extension.on_error == Unsure::Alert)
            .then(|| self.stand_in(rule, ready, &Nothing, reason::QUERY_ERROR));
        let is_stand_in = |known: &Instance| stand_in.as_ref().is_some_and(|(of, _)| *of == known.fingerprint());
        for known in before.into_iter().flat_map(|before| before.values()).filter(|known| !is_stand_in(known)) {
            let next = match rule.extension.on_error {
                Unsure::Ok => state::absent(known, timers, reason::QUERY_ERROR, self.slot.at_ms),
                Unsure::Keep | Unsure::Alert => self.unknown(rule, known, reason::QUERY_ERROR),
            };
            self.keep(ready, &mut after, known, next, is_shadow);
        }
        if let Some((fingerprint, present)) = stand_in {
            let known = before.and_then(|before| before.get(&fingerprint));
            let next = state::present(&ready.id, known, present, timers, self.slot.lost_ms, self.slot.at_ms);
            self.note(known, Some(&next), is_shadow);
            after.insert(fingerprint, next);
        }
        after
    }

    /// Whether what was held over a start may end.
    fn is_steady(&self, watch: &Watch) -> bool {
        let Some(started_ms) = self.slot.started_ms else { return true };
        let is_over = self.slot.at_ms.saturating_sub(started_ms) >= START_PATIENCE_MS;
        is_over || (watch.successes >= STEADY_EVALUATIONS && watch.has_fresh_data)
    }

    /// Whether the host or service that an instance is about sends anything at all.
    fn is_alive(&mut self, source: &dyn Source, instance: &Instance) -> bool {
        let named = RESOURCE_LABELS.iter().find_map(|name| Some((*name, instance.labels.get(name)?)));
        let Some((name, value)) = named else { return true };
        let key = (name.to_string(), value.to_string());
        if let Some(alive) = self.alive.get(&key) {
            return *alive;
        }
        // Series that rules write go on by themselves.
        let text = format!("count({{{name}={value:?},__name__!~\"ALERTS.*|.*:.*\"}})");
        let alive = match promql::parse(&text) {
            Ok(expr) => self.answer(source, &expr).is_ok_and(|found| !found.is_empty()),
            Err(_) => true,
        };
        self.alive.insert(key, alive);
        alive
    }

    /// The instance that says that the rule cannot be judged.
    fn stand_in(&self, rule: &Rule, ready: &PreparedRule, source: &dyn Source, why: &'static str) -> (String, Present) {
        let labels = Labels::from_pairs([("reason", why)]);
        let mut present = self.texts(rule, ready, source, &labels, &Point::Float(f64::NAN), None);
        present.evidence.reason = why.into();
        (alert::fingerprint(&ready.id, &present.labels), present)
    }

    /// Fingerprint and texts of one sample, and whether a level of it is reached; `None` below all levels.
    fn rendered(
        &self,
        rule: &Rule,
        ready: &PreparedRule,
        source: &dyn Source,
        before: Option<&Instances>,
        labels: &Labels,
        point: &Point,
    ) -> Option<(String, Present, bool)> {
        let levels = &rule.extension.levels;
        if levels.is_empty() {
            let present = self.texts(rule, ready, source, labels, point, None);
            return Some((alert::fingerprint(&ready.id, &present.labels), present, true));
        }
        let named = self.texts(rule, ready, source, labels, point, None);
        let fingerprint = alert::fingerprint(&ready.id, &named.labels.with("severity", ""));
        let known = before.and_then(|before| before.get(&fingerprint));
        let known = known.filter(|known| known.state != AlertState::Resolved).map(|known| &known.evidence);
        let standing = levels::advance(levels, known, number(point), self.slot.lost_ms, self.slot.at_ms);
        let level = standing.reached.or(standing.leading)?;
        let severity = levels.get(level as usize).map(|level| level.severity.as_str()).unwrap_or_default();
        let mut present = self.texts(rule, ready, source, labels, point, Some(severity));
        present.evidence.level = Some(level);
        present.evidence.levels_since_ms = standing.since_ms;
        Some((fingerprint, present, standing.reached.is_some()))
    }

    /// Labels and annotations of one sample; a template that fails leaves its error as the text.
    pub(crate) fn texts(
        &self,
        rule: &Rule,
        ready: &PreparedRule,
        source: &dyn Source,
        sample_labels: &Labels,
        point: &Point,
        severity: Option<&str>,
    ) -> Present {
        let external_labels = &self.settings.external_labels;
        let external_url = &self.settings.external_url;
        let data = Data { labels: sample_labels, value: point, external_labels, external_url };
        let mut query = |text: &str| match rule.condition {
            Condition::Metrics(_) => {
                let expr = promql::parse(text).map_err(|error| error.to_string())?;
                self.answer(source, &expr)
            }
            Condition::Logs(_) | Condition::Events(_) => self.ask_logs(&*crate::condition::metric_of_logs(text)?),
        };
        let mut text = |template: &Result<Template, TemplateError>| match template {
            Ok(template) => template.expand_or_error(&data, &mut query),
            Err(error) => format!("<error expanding template: {error}>"),
        };
        let mut labels = LabelsBuilder::from(&sample_labels.without_name());
        for (name, template) in &ready.labels {
            labels.push(name.as_str(), text(template));
        }
        if let Some(severity) = severity {
            labels.push("severity", severity);
        }
        labels.push("alertname", rule.name.as_str());
        let annotations = ready.annotations.iter().map(|(name, template)| (name.clone(), text(template))).collect();
        let evidence = Evidence { context: ready.context.clone(), ..Evidence::default() };
        Present { labels: labels.build(), annotations, value: number(point), evidence }
    }
}

impl Answers {
    /// Whether an instance's traffic is under the rule's floor. What the floor says nothing of has none.
    fn is_below_floor(&self, extension: &Extension, labels: &Labels) -> bool {
        let (Some(floor), Some(found)) = (&extension.min_samples, &self.floor) else { return false };
        let of_it = found.iter().filter(|(of, _)| fits(of, labels, |_| false));
        of_it.map(|(_, value)| *value).fold(0.0, f64::max) < floor.at_least
    }
}

fn timers(rule: &Rule) -> (i64, i64) {
    match rule.kind {
        RuleKind::Alerting { for_ms, keep_firing_for_ms } => (for_ms, keep_firing_for_ms),
        RuleKind::Recording => (0, 0),
    }
}

/// Whether a result speaks of an alert: they agree in every label that both have, but for those that the rule gave.
pub(crate) fn fits(result: &Labels, alert: &Labels, own: impl Fn(&str) -> bool) -> bool {
    result
        .iter()
        .filter(|(name, _)| *name != model::labels::METRIC_NAME && !own(name))
        .all(|(name, value)| alert.get(name).is_none_or(|has| has == value))
}

/// A selector as text.
pub(crate) fn selector(matchers: &[model::Matcher]) -> String {
    let all: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", all.join(","))
}
