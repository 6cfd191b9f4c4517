//! One evaluation of one alerting rule: of each instance TRUE, FALSE or UNKNOWN, and what that makes of its state.
//!
//! TRUE is what the expression returned. What it did not return is FALSE only if somebody could tell: the query worked, its
//! selectors touched fresh series, and the series that this instance came from is among them. Else it is UNKNOWN. A rule without
//! `x:` takes UNKNOWN as Prometheus does (an error holds, missing data is an end), and only says so.

mod absent;
mod texts;

use std::collections::{BTreeMap, BTreeSet};

use model::alert::reason;
use model::{AlertState, Instance, Labels};
use query::promql::{self, Source};

use absent::Absent;

use crate::condition::Condition;
use crate::evaluate::{Instances, PreparedRule, Run};
use crate::extension::{Extension, Hysteresis, Unsure};
use crate::file::{Rule, RuleKind};
use crate::ground::Point;
use crate::state::{self, Present, Timers};
use crate::touched::{Touched, Watched};
use crate::watch::Watch;

/// Until a rule was evaluated so often, nothing that fires resolves: after a start, data that senders still hold back must not
/// look like an end.
pub(crate) const STEADY_EVALUATIONS: u32 = 2;
/// After so long without data newer than the start, what fires may resolve all the same.
pub(crate) const START_PATIENCE_MS: i64 = 10 * 60_000;

/// What one evaluation of a rule leads to.
pub(crate) struct Stepped {
    pub(crate) after: Instances,
    /// Why it failed, or what was left out.
    pub(crate) error: Option<String>,
    /// Whether the expression was evaluated, so that series may be written.
    pub(crate) is_judged: bool,
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
            Condition::Logs(metric) => self.log_points_at(metric, self.query_at_ms),
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
        let (for_ms, keep_firing_for_ms) = timers(rule);
        let at_ms = self.slot.at_ms;
        let kept = match self.prepared.group.limit_clears {
            true => {
                let timers = Timers { for_ms, keep_firing_for_ms };
                let is_kept = |(fingerprint, known): &(&String, &Instance)| {
                    let next = || state::absent(known, timers, "", at_ms);
                    !found.contains_key(*fingerprint) && next().is_some_and(|next| next.state == AlertState::Firing)
                };
                before.into_iter().flatten().filter(is_kept).count()
            }
            // Whoever fires on beyond its condition takes nobody's place.
            false => 0,
        };
        let over = self.over_limit(found.len() + kept);
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
