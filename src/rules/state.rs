//! Alert state machine: one step of one instance at one evaluation time.
//!
//! Pure: no clock, no store. The engine passes the slot's time, so the same results give the same states. The steps are
//! Prometheus' (`rules/alerting.go`): an instance fires when the condition has held for `for`, ends when it has been gone for
//! `keep_firing_for`, and one that comes back after its end is a new episode.

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
}

/// Next state of an instance that the expression returned at `at_ms`; `before` is `None` for one not known.
pub fn present(rule_id: &str, before: Option<&Instance>, found: Present, timers: Timers, at_ms: i64) -> Instance {
    let Present { labels, annotations, value } = found;
    let mut next = match before {
        Some(before) if before.state != AlertState::Resolved => {
            Instance { annotations, value, evaluated_at_ms: at_ms, ..before.clone() }
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
        },
    };
    next.keep_since_ms = None;
    let held = at_ms.saturating_sub(next.active_at_ms) >= timers.for_ms;
    match next.state {
        AlertState::Pending if held => {
            next.state = AlertState::Firing;
            next.fired_at_ms = Some(at_ms);
        }
        // `for` was raised since it fired.
        AlertState::Firing if !held => {
            next.state = AlertState::Pending;
            next.fired_at_ms = None;
        }
        _ => {}
    }
    next
}

/// Next state of an instance that the expression did not return at `at_ms`; `None` when it is to be forgotten.
///
/// `may_resolve` holds back the end of what fires: right after a start, data that has not arrived yet must not look like an end.
pub fn absent(before: &Instance, timers: Timers, may_resolve: bool, at_ms: i64) -> Option<Instance> {
    match before.state {
        AlertState::Pending => None,
        AlertState::Resolved => {
            let since = before.resolved_at_ms.unwrap_or(before.evaluated_at_ms);
            (at_ms.saturating_sub(since) <= RESOLVED_RETENTION_MS).then(|| before.clone())
        }
        AlertState::Firing => {
            let mut next = Instance { evaluated_at_ms: at_ms, ..before.clone() };
            if timers.keep_firing_for_ms > 0 {
                let since = *next.keep_since_ms.get_or_insert(at_ms);
                if at_ms.saturating_sub(since) < timers.keep_firing_for_ms {
                    return Some(next);
                }
            }
            if may_resolve {
                next = resolved(before, at_ms);
            }
            Some(next)
        }
    }
}

/// The end of a firing instance.
pub fn resolved(before: &Instance, at_ms: i64) -> Instance {
    Instance {
        state: AlertState::Resolved,
        resolved_at_ms: Some(at_ms),
        keep_since_ms: None,
        evaluated_at_ms: at_ms,
        ..before.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a script of evaluations 60 s apart: `+` the condition holds, `-` it does not, `!` the query failed (nothing is
    /// stepped), `x` as `-` while ends are held back. Expects one letter each: `p`ending, `f`iring, `k`eeping, `r`esolved,
    /// `.` nothing.
    #[track_caller]
    fn check(for_s: i64, keep_s: i64, script: &str, expected: &str) -> Option<Instance> {
        let timers = Timers { for_ms: for_s * 1_000, keep_firing_for_ms: keep_s * 1_000 };
        let mut instance: Option<Instance> = None;
        let mut seen = String::new();
        for (at, step) in script.chars().enumerate() {
            let at_ms = at as i64 * 60_000;
            instance = match (step, instance) {
                ('+', before) => {
                    let found = Present { labels: Labels::default(), annotations: vec![], value: at as f64 };
                    Some(present("r", before.as_ref(), found, timers, at_ms))
                }
                ('-', Some(before)) => absent(&before, timers, true, at_ms),
                ('x', Some(before)) => absent(&before, timers, false, at_ms),
                (_, before) => before,
            };
            seen.push(match &instance {
                None => '.',
                Some(Instance { state: AlertState::Pending, .. }) => 'p',
                Some(Instance { state: AlertState::Firing, keep_since_ms: Some(_), .. }) => 'k',
                Some(Instance { state: AlertState::Firing, .. }) => 'f',
                Some(Instance { state: AlertState::Resolved, .. }) => 'r',
            });
        }
        assert_eq!(seen, expected, "for {for_s}s, keep {keep_s}s, {script}");
        instance
    }

    #[test]
    fn fires_at_once_without_for() {
        check(0, 0, "+-", "fr");
    }

    #[test]
    fn fires_when_the_condition_has_held_for_as_long() {
        check(120, 0, "+++", "ppf");
        // Below one interval: at the second evaluation, never between.
        check(1, 0, "++", "pf");
        check(121, 0, "++++", "pppf");
    }

    #[test]
    fn a_gap_starts_over() {
        check(120, 0, "++-+++", "pp.ppf");
    }

    #[test]
    fn a_failed_query_holds_the_state() {
        check(120, 0, "+!+", "ppf");
        check(0, 0, "+!!-", "fffr");
    }

    #[test]
    fn keeps_firing_for_a_while() {
        check(0, 120, "+---", "fkkr");
        check(0, 120, "+-+---", "fkfkkr");
    }

    #[test]
    fn an_end_is_held_back_after_a_start() {
        check(0, 0, "+xx-", "fffr");
        check(0, 60, "+xxx-", "fkkkr");
    }

    #[test]
    fn a_return_is_a_new_episode() {
        let last = check(60, 0, "++-++", "pfrpf").unwrap();
        assert_eq!((last.active_at_ms, last.fired_at_ms, last.resolved_at_ms), (180_000, Some(240_000), None));
    }

    #[test]
    fn an_ended_instance_is_kept_15_minutes() {
        check(0, 0, "+----------------", "frrrrrrrrrrrrrrrr");
        check(0, 0, "+-----------------", "frrrrrrrrrrrrrrrr.");
    }

    #[test]
    fn values_follow_and_a_raised_for_returns_to_pending() {
        let found = || Present { labels: Labels::default(), annotations: vec![], value: 7.0 };
        let zero = Timers { for_ms: 0, keep_firing_for_ms: 0 };
        let firing = present("r", None, found(), zero, 0);
        let same = present("r", Some(&firing), Present { value: 9.0, ..found() }, zero, 60_000);
        assert_eq!((same.value, same.fired_at_ms, same.evaluated_at_ms), (9.0, Some(0), 60_000));
        let raised = present("r", Some(&firing), found(), Timers { for_ms: 120_000, ..zero }, 60_000);
        assert_eq!((raised.state, raised.fired_at_ms, raised.active_at_ms), (AlertState::Pending, None, 0));
    }
}
