//! What happened while the process was down, told from data that came later.
//!
//! Senders keep what they could not send and deliver it with its true times. Once data newer than the start is there, a group's
//! recording rules are evaluated for the slots that were missed, and its alerting rules are replayed over them. What fired and
//! ended in between goes into the history, and people get one digest: nobody is paged for what is over. Where the replay proves
//! that a pending alert's condition held through all of it, that time counts towards `for` after all.

use model::alert::{Evidence, Transition};
use model::time::rfc3339_ms;
use model::{AlertState, Instance, Labels};
use store::{Evaluation, StoreError};

use super::{Inner, Member, Work};
use crate::alerting::{START_PATIENCE_MS, STEADY_EVALUATIONS, fits};
use crate::condition::Condition;
use crate::evaluate;
use crate::file::{Rule, RuleKind};
use crate::ground::Ground;
use crate::replay::{self, Episode, Replay, Span};
use crate::state;
use crate::touched::FRESH_MS;

/// Furthest back that missed slots are caught up with, in ms.
const BACK_MAX_MS: i64 = 3_600_000;
/// Most missed slots that are caught up with.
const SLOTS_MAX: i64 = 240;
/// Most episodes that a digest lists.
const LISTED_MAX: usize = 20;
/// Rule id of digests and of the downtime itself.
const RULE_ID: &str = "binnacle_downtime";
/// Missed slots from which being down is worth a word.
const WORTH_SLOTS: i64 = 2;

/// Time in which a group was not evaluated since the process was down; both ends in ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gap {
    /// The last slot that was evaluated.
    pub(super) from_ms: i64,
    /// The start of the process.
    pub(super) to_ms: i64,
}

impl Gap {
    pub(super) fn of(last_ms: Option<i64>, started_ms: i64, interval_ms: i64) -> Option<Gap> {
        let from_ms = last_ms?;
        (started_ms - from_ms > WORTH_SLOTS * interval_ms.max(super::SLOT_NOTED_MS))
            .then_some(Gap { from_ms, to_ms: started_ms })
    }

    /// The slots to catch up with.
    fn slots(self, interval_ms: i64) -> impl Iterator<Item = i64> {
        let interval_ms = interval_ms.max(1);
        let back_ms = BACK_MAX_MS.min(SLOTS_MAX * interval_ms);
        let missed = (self.to_ms - self.from_ms) / interval_ms;
        let first = (missed - back_ms / interval_ms).max(0) + 1;
        (first..=missed).map(move |nth| self.from_ms + nth * interval_ms)
    }
}

impl Inner {
    /// Puts into the history that nobody looked.
    pub(super) fn note_downtime(&self, gap: Gap) -> Result<(), StoreError> {
        let (from, to) = (rfc3339_ms(gap.from_ms), rfc3339_ms(gap.to_ms));
        tracing::warn!(from, to, "rules were not evaluated while the process was down");
        let transition = Transition {
            at_ms: gap.to_ms,
            rule_id: RULE_ID.into(),
            labels: Labels::from_pairs([("alertname", RULE_ID), ("from", &from), ("to", &to)]),
            from: None,
            to: None,
            value: (gap.to_ms - gap.from_ms) as f64 / 1e3,
            note: format!("rules were not evaluated from {from} to {to}"),
        };
        let evaluation = Evaluation {
            group: RULE_ID.into(),
            at_ms: gap.to_ms,
            transitions: vec![transition],
            ..Evaluation::default()
        };
        self.alerts.commit_evaluation(&evaluation)
    }

    /// Catches up, if there is something to catch up with and the data for it is there.
    pub(super) fn catch_up(
        &self,
        member: &Member,
        work: &mut Work,
        at_ms: i64,
        ground: &dyn Ground,
    ) -> Result<(), StoreError> {
        let Some(gap) = work.gap else { return Ok(()) };
        let group = &member.prepared.group;
        let is_late = at_ms - self.started_ms >= START_PATIENCE_MS;
        let is_there = member.prepared.rules.iter().zip(&group.rules).all(|(ready, rule)| {
            let watch = work.memory.watch.get(&ready.id);
            rule.kind == RuleKind::Recording
                || watch.is_some_and(|watch| watch.successes >= STEADY_EVALUATIONS && watch.has_fresh_data)
        });
        if !is_there && !is_late {
            return Ok(());
        }
        work.gap = None;
        let slots: Vec<i64> = gap.slots(group.interval_ms).collect();
        let (Some(first_ms), Some(last_ms)) = (slots.first().copied(), slots.last().copied()) else { return Ok(()) };
        for slot_ms in &slots {
            evaluate::record_late(&member.prepared, *slot_ms, &self.settings, ground);
        }
        let source = ground.source()?;
        let span = Span {
            from_ms: first_ms,
            to_ms: last_ms,
            // Shorter than for live evaluation: the last sample before the gap must not stand for the gap.
            lookback_ms: self.settings.lookback_ms.min(FRESH_MS.max(group.interval_ms)),
            budget: self.settings.query_limits.start(),
        };
        // Rules of log events go on from their cursors and miss nothing.
        let is_missed =
            |rule: &Rule| rule.kind != RuleKind::Recording && !matches!(rule.condition, Condition::Events(_));
        let mut alerting = group.clone();
        alerting.rules.retain(is_missed);
        let logs = ground.logs()?;
        let replays = replay::replay(&*source, logs.as_ref(), &[alerting], &span);
        let mut over = Vec::new();
        let ready = member.prepared.rules.iter().zip(&group.rules);
        let alerts = ready.filter(|(_, rule)| is_missed(rule));
        for ((ready, rule), replay) in alerts.zip(&replays) {
            let known = work.memory.instances.get(&ready.id);
            for episode in &replay.episodes {
                let Some(ended_ms) = episode.ended_ms.filter(|_| !rule.extension.is_shadow) else { continue };
                // What fired before is told by its own end.
                let was_known = known.into_iter().flatten().any(|(_, instance)| {
                    instance.fired_at_ms.is_some_and(|fired_ms| fired_ms <= gap.from_ms)
                        && episode
                            .labels
                            .iter()
                            .all(|(name, value)| instance.labels.get(name).is_none_or(|has| has == value))
                });
                if !was_known {
                    over.push((ready.id.clone(), rule.name.clone(), episode, ended_ms));
                }
            }
        }
        let mut evaluation = Evaluation { group: member.prepared.key.clone(), at_ms, ..Evaluation::default() };
        let ready = member.prepared.rules.iter().zip(&group.rules);
        let alerts = ready.filter(|(_, rule)| is_missed(rule));
        for ((ready, rule), replay) in alerts.zip(&replays) {
            let known = work.memory.instances.get(&ready.id).into_iter().flat_map(|instances| instances.values());
            let proven_ms = last_ms - first_ms + group.interval_ms;
            evaluation.upserts.extend(known.filter_map(|instance| proven(rule, instance, replay, first_ms, proven_ms)));
        }
        if over.is_empty() && evaluation.upserts.is_empty() {
            return Ok(());
        }
        for (rule_id, name, episode, ended_ms) in &over {
            let change = |at_ms, from, to| Transition {
                at_ms,
                rule_id: rule_id.clone(),
                labels: episode.labels.with("alertname", name),
                from,
                to,
                value: f64::NAN,
                note: "while the process was down".into(),
            };
            evaluation.transitions.push(change(episode.fired_ms, None, Some(AlertState::Firing)));
            evaluation.transitions.push(change(*ended_ms, Some(AlertState::Firing), Some(AlertState::Resolved)));
        }
        let lines: Vec<(String, &Episode, i64)> =
            over.iter().map(|(_, name, episode, ended_ms)| (name.clone(), *episode, *ended_ms)).collect();
        if !lines.is_empty() {
            let fired = digest(&group.name, gap, &lines, at_ms);
            // A firing and its end at once: one message that says both.
            evaluation.notices.push(fired.clone());
            evaluation.notices.push(state::resolved(&fired, at_ms));
        }
        self.alerts.commit_evaluation(&evaluation)?;
        for proven in evaluation.upserts {
            if let Some(instances) = work.memory.instances.get_mut(&proven.rule_id) {
                instances.insert(proven.fingerprint(), proven);
            }
        }
        Ok(())
    }
}

/// A pending instance with the missed time counted, if the replay from `first_ms` on saw its condition hold all along.
fn proven(rule: &Rule, instance: &Instance, replay: &Replay, first_ms: i64, proven_ms: i64) -> Option<Instance> {
    if instance.state != AlertState::Pending || instance.evidence.uncounted_ms == 0 {
        return None;
    }
    let own = |name: &str| name == "alertname" || rule.labels.iter().any(|(own, _)| own == name);
    let mut holding = replay.holding.iter();
    holding.find(|(labels, since_ms)| *since_ms <= first_ms && fits(labels, &instance.labels, own))?;
    let mut next = instance.clone();
    next.evidence.uncounted_ms = (next.evidence.uncounted_ms - proven_ms).max(0);
    Some(next)
}

fn digest(group: &str, gap: Gap, over: &[(String, &Episode, i64)], at_ms: i64) -> Instance {
    let mut lines: Vec<String> = over
        .iter()
        .take(LISTED_MAX)
        .map(|(name, episode, ended_ms)| {
            let (fired, ended) = (rfc3339_ms(episode.fired_ms), rfc3339_ms(*ended_ms));
            format!("{name} {} fired {fired} to {ended}", episode.labels)
        })
        .collect();
    if over.len() > LISTED_MAX {
        lines.push(format!("and {} more", over.len() - LISTED_MAX));
    }
    let summary = format!("{} alerts fired and ended while rules were not evaluated", over.len());
    Instance {
        rule_id: RULE_ID.into(),
        labels: Labels::from_pairs([("alertname", "FiredDuringDowntime"), ("group", group), ("severity", "info")]),
        annotations: vec![("summary".into(), summary), ("description".into(), lines.join("\n"))],
        state: AlertState::Firing,
        active_at_ms: gap.from_ms,
        fired_at_ms: Some(at_ms),
        keep_since_ms: None,
        resolved_at_ms: None,
        evaluated_at_ms: at_ms,
        value: over.len() as f64,
        evidence: Evidence::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_gap_is_caught_up_with_in_part() {
        let gap = Gap { from_ms: 0, to_ms: 7_230_000 };
        let slots: Vec<i64> = gap.slots(60_000).collect();
        assert_eq!((slots.len(), slots.first(), slots.last()), (60, Some(&3_660_000), Some(&7_200_000)));
        let slots: Vec<i64> = gap.slots(1_000).collect();
        assert_eq!((slots.len(), slots.last()), (240, Some(&7_230_000)));
        assert_eq!(Gap::of(Some(0), 100_000, 10_000), None);
        assert_eq!(Gap::of(None, 100_000_000, 10_000), None);
        assert_eq!(Gap::of(Some(0), 300_000, 10_000), Some(Gap { from_ms: 0, to_ms: 300_000 }));
    }
}
