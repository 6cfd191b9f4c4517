//! Alert state machine: one step of one instance at one evaluation time.
//!
//! Pure: no clock, no store. The engine passes the slot's time, so the same results give the same states. A step has one of
//! three verdicts. TRUE and FALSE are Prometheus' (`rules/alerting.go`): an instance fires when the condition has held for
//! `for`, ends when it has been gone for `keep_firing_for`, and one that comes back after its end is a new episode. UNKNOWN
//! holds what is there: nobody could tell, so nothing begins and nothing ends.

use model::alert::Evidence;
use model::{AlertState, Instance, Labels};

/// How long an ended instance is kept, so that it can be shown and told (Prometheus' `resolvedRetention`).
pub const RESOLVED_RETENTION_MS: i64 = 15 * 60_000;

/// The rule's timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// How long the condition must hold before it fires; zero fires at once.
    pub for_ms: i64,
    /// How long the condition must be gone before it resolves; zero resolves at once.
    pub keep_firing_for_ms: i64,
}

/// An instance that the expression returned, with its texts rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct Present {
    pub labels: Labels,
    pub annotations: Vec<(String, String)>,
    pub value: f64,
    /// What it carries for messages; the step keeps the parts that are its own.
    pub evidence: Evidence,
}

/// What becomes of an instance that has been unknown for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long a state is held; `None` holds it for good.
    pub unknown_max_ms: Option<i64>,
    /// Whether what fires ends then; otherwise it fires on.
    pub then_ends: bool,
}

/// Next state of an instance that the expression returned at `at_ms`; `before` is `None` for one not known.
///
/// `lost_ms` is time since the last evaluation in which nobody looked (the process was down, the clock jumped): it does not count
/// towards `for`.
pub fn present(
    rule_id: &str,
    before: Option<&Instance>,
    found: Present,
    timers: Timers,
    lost_ms: i64,
    at_ms: i64,
) -> Instance {
    let Present { labels, annotations, value, mut evidence } = found;
    evidence.unknown_since_ms = None;
    let mut next = match before {
        Some(before) if before.state != AlertState::Resolved => {
            evidence.uncounted_ms = before.evidence.uncounted_ms;
            if evidence.log_lines.is_empty() {
                evidence.log_lines.clone_from(&before.evidence.log_lines);
                let of_logs = before.evidence.context.iter().filter(|(name, _)| name.starts_with("logs_"));
                evidence.context.extend(of_logs.cloned());
            }
            if before.state == AlertState::Pending {
                evidence.uncounted_ms = evidence.uncounted_ms.saturating_add(lost_ms);
            }
            Instance { labels, annotations, value, evidence, evaluated_at_ms: at_ms, ..before.clone() }
        }
        // Unknown, or back after its end: an episode of its own.
        _ => Instance {
            rule_id: rule_id.into(),
            labels,
            annotations,
            state: AlertState::Pending,
            active_at_ms: at_ms,
            fired_at_ms: None,
            keep_since_ms: None,
            resolved_at_ms: None,
            evaluated_at_ms: at_ms,
            value,
            evidence,
        },
    };
    next.keep_since_ms = None;
    let held_ms = at_ms.saturating_sub(next.active_at_ms).saturating_sub(next.evidence.uncounted_ms);
    let held = held_ms >= timers.for_ms;
    match next.state {
        AlertState::Pending if held => {
            next.state = AlertState::Firing;
            next.fired_at_ms = Some(at_ms);
        }
        // `for` was raised since it fired.
        AlertState::Firing if !held && at_ms >= next.active_at_ms => {
            next.state = AlertState::Pending;
            next.fired_at_ms = None;
        }
        _ => {}
    }
    next
}

/// Next state of an instance that the expression did not return at `at_ms`; `None` when it is to be forgotten.
///
/// `reason` is a word why that may be for want of data, kept with the end; empty where it is known to be over.
pub fn absent(before: &Instance, timers: Timers, reason: &str, at_ms: i64) -> Option<Instance> {
    match before.state {
        AlertState::Pending => None,
        AlertState::Resolved => retained(before, at_ms),
        AlertState::Firing => {
            let mut next = Instance { evaluated_at_ms: at_ms, ..before.clone() };
            next.evidence.unknown_since_ms = None;
            next.evidence.reason = reason.into();
            if timers.keep_firing_for_ms > 0 {
                let since = *next.keep_since_ms.get_or_insert(at_ms);
                if at_ms.saturating_sub(since) < timers.keep_firing_for_ms {
                    return Some(next);
                }
            }
            Some(resolved(&next, at_ms))
        }
    }
}

/// Next state of an instance of which nobody can tell at `at_ms`; `None` when it is to be forgotten.
///
/// A pending one waits, and `lost_ms` (the time since the last evaluation) does not count towards `for`.
pub fn unknown(before: &Instance, reason: &str, patience: Patience, lost_ms: i64, at_ms: i64) -> Option<Instance> {
    if before.state == AlertState::Resolved {
        return retained(before, at_ms);
    }
    let mut next = Instance { evaluated_at_ms: at_ms, ..before.clone() };
    let since_ms = *next.evidence.unknown_since_ms.get_or_insert(at_ms);
    next.evidence.reason = reason.into();
    let too_long = patience.unknown_max_ms.is_some_and(|max_ms| at_ms.saturating_sub(since_ms) >= max_ms);
    match before.state {
        AlertState::Pending if too_long => None,
        AlertState::Pending => {
            next.evidence.uncounted_ms = next.evidence.uncounted_ms.saturating_add(lost_ms);
            for since_ms in next.evidence.levels_since_ms.iter_mut().flatten() {
                *since_ms = since_ms.saturating_add(lost_ms);
            }
            Some(next)
        }
        _ if too_long && patience.then_ends => Some(resolved(&next, at_ms)),
        _ => Some(next),
    }
}

/// The end of a firing instance.
pub fn resolved(before: &Instance, at_ms: i64) -> Instance {
    Instance {
        state: AlertState::Resolved,
        resolved_at_ms: Some(at_ms),
        keep_since_ms: None,
        evaluated_at_ms: at_ms,
        evidence: Evidence { unknown_since_ms: None, ..before.evidence.clone() },
        ..before.clone()
    }
}

/// Moves an instance's timers by `by_ms`, after the clock itself was set: what has passed stays what has passed. The begin of a
/// firing is its episode's name and stays.
pub fn shifted(before: &Instance, by_ms: i64) -> Instance {
    let moved = |at_ms: Option<i64>| at_ms.map(|at_ms| at_ms.saturating_add(by_ms));
    let mut next = before.clone();
    next.active_at_ms = next.active_at_ms.saturating_add(by_ms);
    next.keep_since_ms = moved(next.keep_since_ms);
    next.resolved_at_ms = moved(next.resolved_at_ms);
    next.evidence.unknown_since_ms = moved(next.evidence.unknown_since_ms);
    next.evidence.levels_since_ms.iter_mut().for_each(|since_ms| *since_ms = moved(*since_ms));
    next
}

/// An instance after the clock was set ahead by `by_ms` to `at_ms`: what it waits for comes as much later. Its `for` is told of
/// lost time by its next step.
pub fn waited(before: &Instance, by_ms: i64, at_ms: i64) -> Instance {
    let mut next = before.clone();
    next.keep_since_ms = next.keep_since_ms.map(|since_ms| since_ms.saturating_add(by_ms));
    let since_start = next.evidence.reason == model::alert::reason::RESTART;
    next.evidence.unknown_since_ms =
        next.evidence.unknown_since_ms.map(|since_ms| if since_start { at_ms } else { since_ms.saturating_add(by_ms) });
    next
}

fn retained(before: &Instance, at_ms: i64) -> Option<Instance> {
    let since = before.resolved_at_ms.unwrap_or(before.evaluated_at_ms);
    (at_ms.saturating_sub(since) <= RESOLVED_RETENTION_MS).then(|| before.clone())
}

#[cfg(test)]
mod tests;
