//! Rows of what happened: changes of alerts, and attempts to tell of them.

use std::collections::HashMap;

use model::AlertState;
use model::alert::{Attempt, Outcome, Transition};
use rules::GroupView;

use super::alert_view::{rule_href, value_unit, why_href};
use super::badge::Badge;
use super::text::{Stamp, one_line};
use crate::chart::Unit;

/// Rows of a page of history.
pub(crate) const ROWS_MAX: usize = 100;

pub(crate) struct TransitionRow {
    pub(crate) at: Stamp,
    pub(crate) state: Badge,
    pub(crate) name: String,
    pub(crate) labels: String,
    pub(crate) href: String,
    pub(crate) value: String,
    pub(crate) note: String,
}

pub(crate) struct AttemptRow {
    pub(crate) at: Stamp,
    pub(crate) receiver: String,
    pub(crate) class: &'static str,
    pub(crate) outcome: String,
    pub(crate) subject: String,
    pub(crate) number: u32,
    pub(crate) took: String,
    pub(crate) answer: String,
}

pub(crate) fn transition_rows(transitions: &[Transition], groups: &[GroupView], now_ms: i64) -> Vec<TransitionRow> {
    let units: HashMap<&str, Unit> =
        groups.iter().flat_map(|group| &group.rules).map(|rule| (rule.id.as_str(), value_unit(&rule.expr))).collect();
    transitions
        .iter()
        .map(|change| {
            let labels = change.labels.filtered(|name| !matches!(name, "alertname" | "severity"));
            TransitionRow {
                at: Stamp::of_ms(change.at_ms, now_ms),
                state: Badge::became(change.to),
                name: one_line(change.labels.value("alertname"), 200),
                labels: one_line(&labels.to_string(), 300),
                // An alert that fired has a page of its own, which tells who was told.
                href: match (change.from, change.to) {
                    (_, Some(AlertState::Firing)) | (Some(AlertState::Firing), _) => why_href(&change.labels),
                    _ => rule_href(&change.rule_id),
                },
                value: units.get(change.rule_id.as_str()).copied().unwrap_or(Unit::Number).text(change.value),
                note: one_line(&change.note, 300),
            }
        })
        .collect()
}

pub(crate) fn attempt_rows(attempts: &[Attempt], now_ms: i64) -> Vec<AttemptRow> {
    attempts
        .iter()
        .map(|attempt| {
            let words = one_line(&attempt.words, 400);
            AttemptRow {
                at: Stamp::of_ms(attempt.at_ms, now_ms),
                receiver: one_line(&attempt.receiver, 120),
                class: match attempt.outcome {
                    Outcome::Accepted => "yes",
                    Outcome::Throttled | Outcome::Transient | Outcome::Ambiguous | Outcome::Suppressed => "wait",
                    Outcome::Permanent | Outcome::Expired => "no",
                },
                outcome: match attempt.outcome {
                    Outcome::Accepted => "accepted".into(),
                    Outcome::Throttled => "told to wait".into(),
                    Outcome::Transient => "failed, will retry".into(),
                    Outcome::Permanent => "refused".into(),
                    Outcome::Ambiguous => "outcome unknown".into(),
                    Outcome::Suppressed => "held back".into(),
                    Outcome::Expired => "given up, too old".into(),
                },
                subject: one_line(&format!("{}: {}", attempt.want.as_str(), attempt.subject), 300),
                number: attempt.number,
                took: Unit::Seconds.text(f64::from(attempt.took_ms) / 1_000.0),
                answer: match attempt.status {
                    0 => words,
                    status => format!("{status} {words}"),
                },
            }
        })
        .collect()
}

/// Cuts a full page of history so that the next one, which holds what lies before a time, neither repeats nor misses a row.
///
/// Returns the time to go on before; `None` when this is the end.
pub(crate) fn cut_page<T>(rows: &mut Vec<T>, at_ms: impl Fn(&T) -> i64) -> Option<i64> {
    if rows.len() < ROWS_MAX {
        return None;
    }
    let last_ms = at_ms(rows.last()?);
    let whole = rows.iter().take_while(|row| at_ms(row) > last_ms).count();
    if whole == 0 {
        // More rows of one millisecond than fit: those past the page are not reachable, which is better than a loop.
        return Some(last_ms);
    }
    rows.truncate(whole);
    Some(last_ms + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_history_meet_without_loss() {
        let all: Vec<i64> = (0..250).map(|n| 1_000 - n / 7).collect();
        let (mut seen, mut before_ms) = (Vec::new(), i64::MAX);
        for _ in 0..10 {
            let mut page: Vec<i64> = all.iter().copied().filter(|at| *at < before_ms).take(ROWS_MAX).collect();
            let next = cut_page(&mut page, |at| *at);
            seen.extend(page);
            let Some(next) = next else { break };
            before_ms = next;
        }
        assert_eq!(seen, all);
    }
}
