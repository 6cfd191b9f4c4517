//! What a rule would have done over stored data: how often it would have fired, flapped, and paged.
//!
//! The expression is evaluated step by step over the past in one range query a stretch, and each series' steps go through the
//! timers of the state machine. Restarts, unknown states and limits are left out: this asks of the rule, not of the appliance.

use std::collections::BTreeMap;

use model::Labels;
use query::promql::{self, Expr, Source, Value};

use crate::extension::Hysteresis;
use crate::file::{Group, Rule, RuleKind};

/// Most steps looked at, so that an answer comes in a second or two; over it the step is a multiple of the interval.
const STEPS_MAX: i64 = 20_160;
/// Steps of one range query: bounds the memory of a rule over many series.
const STRETCH_STEPS: i64 = 2_000;
/// Most episodes kept to be shown.
const EPISODES_MAX: usize = 1_000;
/// An episode that begins so soon after the last one of the same series is a flap.
const FLAP_MS: i64 = 3_600_000;
const WEEK_MS: f64 = 7.0 * 86_400_000.0;

/// The condition holds; it is between its clear threshold and its threshold; its end is stated.
const TRUE: u8 = 1;
const HELD: u8 = 2;
const ENDED: u8 = 4;

/// Where and how far to look.
#[derive(Debug, Clone)]
pub struct Span {
    pub from_ms: i64,
    pub to_ms: i64,
    pub lookback_ms: i64,
    /// Its time is for all rules together, its samples and memory are for one stretch of one rule.
    pub budget: query::Budget,
}

/// One firing of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    pub labels: Labels,
    pub fired_ms: i64,
    /// `None` while it still fires at the end of the span.
    pub ended_ms: Option<i64>,
}

/// What one rule would have done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replay {
    pub group: String,
    pub rule: String,
    pub step_ms: i64,
    /// Most series that the condition held for at once in one stretch.
    pub series: usize,
    pub fired: u64,
    /// Firings within an hour of the same series' last end.
    pub flapped: u64,
    pub first_ms: Option<i64>,
    pub last_ms: Option<i64>,
    /// Time of firing of all series together.
    pub firing_ms: i64,
    pub longest_ms: i64,
    pub pages_per_week: f64,
    /// In order of their begin, at most 1,000.
    pub episodes: Vec<Episode>,
    /// Why it could not be evaluated.
    pub error: String,
}

/// Replays every alerting rule of the groups.
pub fn replay(source: &dyn Source, groups: &[Group], span: &Span) -> Vec<Replay> {
    let rules = groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
    let alerting = rules.filter(|(_, rule)| matches!(rule.kind, RuleKind::Alerting { .. }));
    alerting.map(|(group, rule)| one(source, group, rule, span)).collect()
}

fn one(source: &dyn Source, group: &Group, rule: &Rule, span: &Span) -> Replay {
    let steps = (span.to_ms - span.from_ms) / group.interval_ms.max(1) + 1;
    let step_ms = group.interval_ms.max(1) * ((steps + STEPS_MAX - 1) / STEPS_MAX).max(1);
    let mut out = Replay { group: group.name.clone(), rule: rule.name.clone(), step_ms, ..Replay::default() };
    let mut known: BTreeMap<Labels, Timer> = BTreeMap::new();
    let mut start_ms = span.from_ms;
    while start_ms <= span.to_ms {
        let end_ms = span.to_ms.min(start_ms + (STRETCH_STEPS - 1) * step_ms);
        let stretch = Stretch { start_ms, end_ms, step_ms };
        if let Err(error) = run(source, rule, stretch, span, &mut known, &mut out) {
            out.error = error;
            break;
        }
        start_ms += STRETCH_STEPS * step_ms;
    }
    for (labels, timer) in known {
        if let Some(fired_ms) = timer.fired_ms {
            out.end(Episode { labels, fired_ms, ended_ms: None }, span.to_ms);
        }
    }
    out.episodes.sort_by(|a, b| (a.fired_ms, &a.labels).cmp(&(b.fired_ms, &b.labels)));
    out.episodes.truncate(EPISODES_MAX);
    out.pages_per_week = out.fired as f64 * WEEK_MS / (span.to_ms - span.from_ms).max(1) as f64;
    out
}

#[derive(Clone, Copy)]
struct Stretch {
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
}

/// One series' timers.
#[derive(Default)]
struct Timer {
    since_ms: Option<i64>,
    fired_ms: Option<i64>,
    keep_since_ms: Option<i64>,
    ended_ms: Option<i64>,
}

impl Timer {
    fn is_idle(&self) -> bool {
        self.since_ms.is_none() && self.fired_ms.is_none()
    }

    /// One step; the episode that it ends, if it ends one. Says whether a new one began, and whether that is a flap.
    fn step(&mut self, holds: bool, for_ms: i64, keep_ms: i64, at_ms: i64) -> (Option<i64>, bool, bool) {
        if holds {
            let since_ms = *self.since_ms.get_or_insert(at_ms);
            self.keep_since_ms = None;
            if self.fired_ms.is_none() && at_ms - since_ms >= for_ms {
                self.fired_ms = Some(at_ms);
                return (None, true, self.ended_ms.is_some_and(|ended_ms| at_ms - ended_ms <= FLAP_MS));
            }
            return (None, false, false);
        }
        let Some(fired_ms) = self.fired_ms else {
            self.since_ms = None;
            return (None, false, false);
        };
        let keep_since_ms = *self.keep_since_ms.get_or_insert(at_ms);
        if at_ms - keep_since_ms < keep_ms {
            return (None, false, false);
        }
        *self = Timer { ended_ms: Some(at_ms), ..Timer::default() };
        (Some(fired_ms), false, false)
    }
}

fn run(
    source: &dyn Source,
    rule: &Rule,
    stretch: Stretch,
    span: &Span,
    known: &mut BTreeMap<Labels, Timer>,
    out: &mut Replay,
) -> Result<(), String> {
    let RuleKind::Alerting { for_ms, keep_firing_for_ms } = rule.kind else { return Ok(()) };
    let mildest = rule.extension.levels.first();
    let for_ms = mildest.map_or(for_ms, |level| level.for_ms);
    let steps = usize::try_from((stretch.end_ms - stretch.start_ms) / stretch.step_ms + 1).unwrap_or(0);
    let mut flags: BTreeMap<Labels, Vec<u8>> = BTreeMap::new();
    let Some(expr) = rule.condition.promql() else {
        return Err("rules over logs cannot be replayed".into());
    };
    mark(source, expr, stretch, span, |labels, step, value| {
        let flag = match mildest {
            None => TRUE,
            Some(level) if level.holds(value, false) => TRUE | HELD,
            Some(level) if level.holds(value, true) => HELD,
            Some(_) => 0,
        };
        put(&mut flags, steps, labels, step, flag);
    })?;
    out.series = out.series.max(flags.len());
    let ends_by_statement = match &rule.extension.hysteresis {
        Some(Hysteresis::Hold(expr)) => {
            mark(source, expr, stretch, span, |labels, step, _| put(&mut flags, steps, labels, step, HELD))?;
            false
        }
        Some(Hysteresis::End(expr)) => {
            mark(source, expr, stretch, span, |labels, step, _| put(&mut flags, steps, labels, step, ENDED))?;
            true
        }
        None => false,
    };
    // What was known and is not seen in this stretch is over.
    for labels in known.keys() {
        if !flags.contains_key(labels) {
            flags.insert(labels.clone(), vec![0; steps]);
        }
    }
    for (labels, flags) in flags {
        let mut timer = known.remove(&labels).unwrap_or_default();
        for (flag, nth) in flags.iter().zip(0_i64..) {
            if *flag == 0 && timer.is_idle() {
                continue;
            }
            let at_ms = stretch.start_ms + nth * stretch.step_ms;
            let is_held = timer.fired_ms.is_some() && (flag & HELD != 0 || (ends_by_statement && flag & ENDED == 0));
            let (ended, began, flapped) = timer.step(flag & TRUE != 0 || is_held, for_ms, keep_firing_for_ms, at_ms);
            if began {
                out.fired += 1;
                out.flapped += u64::from(flapped);
                out.first_ms = Some(out.first_ms.map_or(at_ms, |first_ms| first_ms.min(at_ms)));
                out.last_ms = Some(out.last_ms.map_or(at_ms, |last_ms| last_ms.max(at_ms)));
            }
            if let Some(fired_ms) = ended {
                out.end(Episode { labels: labels.clone(), fired_ms, ended_ms: Some(at_ms) }, at_ms);
            }
        }
        if !timer.is_idle() || timer.ended_ms.is_some() {
            known.insert(labels, timer);
        }
    }
    Ok(())
}

impl Replay {
    fn end(&mut self, episode: Episode, until_ms: i64) {
        let lasted_ms = until_ms - episode.fired_ms;
        self.firing_ms += lasted_ms;
        self.longest_ms = self.longest_ms.max(lasted_ms);
        // Ten times what is shown, so that the earliest are among them whatever the order of series is.
        if self.episodes.len() < 10 * EPISODES_MAX {
            self.episodes.push(episode);
        }
    }
}

fn put(flags: &mut BTreeMap<Labels, Vec<u8>>, steps: usize, labels: &Labels, step: usize, flag: u8) {
    if let Some(known) = flags.get_mut(labels).and_then(|flags| flags.get_mut(step)) {
        *known |= flag;
    } else if step < steps && flag != 0 {
        let mut row = vec![0; steps];
        row[step] = flag;
        flags.insert(labels.clone(), row);
    }
}

/// Hands on every value of a stretch: labels without the name, number of the step, value.
fn mark(
    source: &dyn Source,
    expr: &Expr,
    stretch: Stretch,
    span: &Span,
    mut found: impl FnMut(&Labels, usize, f64),
) -> Result<(), String> {
    let options = promql::Options::new(span.lookback_ms, span.budget.clone());
    let Stretch { start_ms, end_ms, step_ms } = stretch;
    let answer = promql::range(source, expr, start_ms, end_ms, step_ms, &options).map_err(|error| error.to_string())?;
    let Value::Matrix(rows) = answer.value else { return Err("the expression gives no series".into()) };
    for (labels, samples) in rows {
        let labels = labels.without_name();
        for sample in samples {
            let step = usize::try_from((sample.at_ms - start_ms) / step_ms).unwrap_or(usize::MAX);
            found(&labels, step, sample.value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use model::Sample;

    use super::*;
    use crate::test_runner::memory::Memory;

    /// Values a minute apart from minute 0; what the rule would have done.
    fn replayed(rule: &str, values: &[f64]) -> Replay {
        let memory = Memory::default();
        let labels = Labels::from_pairs([("__name__", "used"), ("host", "a")]);
        for (value, at) in values.iter().zip(0..) {
            memory.add(&labels, Sample { at_ms: at * 60_000, value: *value });
        }
        let text = format!("groups: [{{name: g, interval: 1m, rules: [{{alert: A, {rule}}}]}}]");
        let groups = crate::file::parse(&text, "f.yml", 30_000).unwrap();
        let span = Span {
            from_ms: 0,
            to_ms: (values.len() as i64 - 1) * 60_000,
            lookback_ms: 300_000,
            budget: query::Limits::default().start(),
        };
        replay(&memory, &groups, &span).remove(0)
    }

    #[track_caller]
    fn check(rule: &str, values: &[f64], fired: u64, flapped: u64, minutes: &[(i64, Option<i64>)]) {
        let found = replayed(rule, values);
        let shown: Vec<(i64, Option<i64>)> = found
            .episodes
            .iter()
            .map(|e| (e.fired_ms / 60_000, e.ended_ms.map(|ended_ms| ended_ms / 60_000)))
            .collect();
        assert_eq!((found.fired, found.flapped, shown.as_slice()), (fired, flapped, minutes), "{rule}: {found:?}");
    }

    #[test]
    fn episodes_are_those_of_the_state_machine() {
        let values = [1.0, 9.0, 9.0, 1.0, 9.0, 9.0, 9.0, 1.0, 1.0, 9.0];
        check("expr: used > 5", &values, 3, 2, &[(1, Some(3)), (4, Some(7)), (9, None)]);
        check("expr: used > 5, for: 2m", &values, 1, 0, &[(6, Some(7))]);
        check("expr: used > 5, keep_firing_for: 1m", &values, 2, 1, &[(1, Some(8)), (9, None)]);
        check("expr: used > 5, keep_firing_for: 2m", &values, 1, 0, &[(1, None)]);
        let near = [9.0, 4.5, 9.0, 4.5, 3.0, 4.5];
        check("expr: used > 5, x: {clear: 4}", &near, 1, 0, &[(0, Some(4))]);
        check("expr: used > 5, x: {resolve_expr: used < 4}", &near, 1, 0, &[(0, Some(4))]);
        check("expr: used, x: {levels: [{severity: w, above: 5, clear: 4}]}", &near, 1, 0, &[(0, Some(4))]);
        let found = replayed("expr: used > 5", &values);
        assert_eq!((found.first_ms, found.last_ms, found.firing_ms), (Some(60_000), Some(540_000), 5 * 60_000));
    }

    /// Timers go on from stretch to stretch.
    #[test]
    fn long_spans_are_cut_without_a_seam() {
        let values: Vec<f64> = (0..4_500).map(|at| if (1_990..2_010).contains(&at) { 9.0 } else { 1.0 }).collect();
        check("expr: used > 5, for: 15m", &values, 1, 0, &[(2_005, Some(2_010))]);
        check("expr: used < 5", &values, 2, 1, &[(0, Some(1_990)), (2_010, None)]);
    }
}
