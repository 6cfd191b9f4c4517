//! What a rule would have done over stored data: how often it would have fired, flapped, and paged.
//!
//! The expression is evaluated step by step over the past in one range query a stretch, and each series' steps go through the
//! timers of the state machine. Restarts, unknown states and limits are left out: this asks of the rule, not of the appliance.

mod events;
mod past;

use std::collections::BTreeMap;

use model::Labels;
use query::promql::Source;
use store::Snapshot;

use crate::condition::Condition;
use crate::extension::Hysteresis;
use crate::file::{Group, Rule, RuleKind};
use past::Past;

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
    /// Series whose condition holds at the end of the span, and since when without a break.
    pub(crate) holding: Vec<(Labels, i64)>,
    /// Why it could not be evaluated.
    pub error: String,
}

/// Replays every alerting rule of the groups; where there are no logs, rules over logs never fire.
pub fn replay(source: &dyn Source, logs: Option<&Snapshot>, groups: &[Group], span: &Span) -> Vec<Replay> {
    let past = Past { source, logs, span };
    let rules = groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
    let alerting = rules.filter(|(_, rule)| matches!(rule.kind, RuleKind::Alerting { .. }));
    alerting.map(|(group, rule)| one(&past, group, rule)).collect()
}

fn one(past: &Past<'_>, group: &Group, rule: &Rule) -> Replay {
    let span = past.span;
    let steps = (span.to_ms - span.from_ms) / group.interval_ms.max(1) + 1;
    let step_ms = group.interval_ms.max(1) * ((steps + STEPS_MAX - 1) / STEPS_MAX).max(1);
    let mut out = Replay { group: group.name.clone(), rule: rule.name.clone(), step_ms, ..Replay::default() };
    let done = match &rule.condition {
        Condition::Events(log) => events::run(past, rule, log, &mut out),
        _ => stretches(past, rule, step_ms, &mut out),
    };
    out.error = done.err().unwrap_or_default();
    out.episodes.sort_by(|a, b| (a.fired_ms, &a.labels).cmp(&(b.fired_ms, &b.labels)));
    out.episodes.truncate(EPISODES_MAX);
    out.pages_per_week = out.fired as f64 * WEEK_MS / (span.to_ms - span.from_ms).max(1) as f64;
    out
}

fn stretches(past: &Past<'_>, rule: &Rule, step_ms: i64, out: &mut Replay) -> Result<(), String> {
    let span = past.span;
    let mut known: BTreeMap<Labels, Timer> = BTreeMap::new();
    let mut start_ms = span.from_ms;
    let mut done = Ok(());
    while done.is_ok() && start_ms <= span.to_ms {
        let end_ms = span.to_ms.min(start_ms + (STRETCH_STEPS - 1) * step_ms);
        done = run(past, rule, Stretch { start_ms, end_ms, step_ms }, &mut known, out);
        start_ms += STRETCH_STEPS * step_ms;
    }
    for (labels, timer) in known {
        if let Some(since_ms) = timer.since_ms.filter(|_| timer.keep_since_ms.is_none()) {
            out.holding.push((labels.clone(), since_ms));
        }
        if let Some(fired_ms) = timer.fired_ms {
            out.end(Episode { labels, fired_ms, ended_ms: None }, span.to_ms);
        }
    }
    done
}

#[derive(Clone, Copy)]
struct Stretch {
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
}

impl Stretch {
    fn step_of(self, at_ms: i64) -> usize {
        usize::try_from((at_ms - self.start_ms) / self.step_ms).unwrap_or(usize::MAX)
    }
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
    past: &Past<'_>,
    rule: &Rule,
    stretch: Stretch,
    known: &mut BTreeMap<Labels, Timer>,
    out: &mut Replay,
) -> Result<(), String> {
    let RuleKind::Alerting { for_ms, keep_firing_for_ms } = rule.kind else { return Ok(()) };
    let mildest = rule.extension.levels.first();
    let for_ms = mildest.map_or(for_ms, |level| level.for_ms);
    let steps = usize::try_from((stretch.end_ms - stretch.start_ms) / stretch.step_ms + 1).unwrap_or(0);
    let mut flags: BTreeMap<Labels, Vec<u8>> = BTreeMap::new();
    past.mark_condition(rule, stretch, |labels, step, value| {
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
            past.mark(expr, stretch, |labels, step, _| put(&mut flags, steps, labels, step, HELD))?;
            false
        }
        Some(Hysteresis::End(expr)) => {
            past.mark(expr, stretch, |labels, step, _| put(&mut flags, steps, labels, step, ENDED))?;
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
                out.begin(at_ms, flapped);
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
    fn begin(&mut self, at_ms: i64, flapped: bool) {
        self.fired += 1;
        self.flapped += u64::from(flapped);
        self.first_ms = Some(self.first_ms.map_or(at_ms, |first_ms| first_ms.min(at_ms)));
        self.last_ms = Some(self.last_ms.map_or(at_ms, |last_ms| last_ms.max(at_ms)));
    }

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

#[cfg(test)]
mod tests;
