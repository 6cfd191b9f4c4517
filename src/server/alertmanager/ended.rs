//! Why somebody was told of an alert that is over, or was not: asked the morning after, and answered from the history alone.

use std::collections::BTreeMap;

use model::alert::{Attempt, Evidence, Outcome, Transition, fingerprint as instance_fingerprint, label_fingerprint};
use model::time::rfc3339_ms;
use model::{AlertState, Instance, IntentState};
use notify::{Board, RouteTaken};
use store::{Alerts, StoreError};

use super::trace::{ATTEMPTS_SEARCHED, ATTEMPTS_SHOWN, Trace};

/// Newest changes of all alerts among which it is looked for.
const CHANGES_SEARCHED: usize = 5_000;
/// Attempts to tell its group count until so long after its end, in ms: twice as long as the end of what flaps is held back.
const TOLD_AFTER_MS: i64 = 2 * 3_600_000;

impl Trace {
    /// Of the newest episode of this fingerprint that is over, of its labels or of the instance.
    pub(crate) fn read_ended(alerts: &Alerts, board: &Board, fingerprint: &str) -> Result<Option<Trace>, StoreError> {
        let changes = alerts.transitions(i64::MAX, CHANGES_SEARCHED)?;
        let Some(instance) = last_episode(&changes, fingerprint) else { return Ok(None) };
        let (begun_ms, ended_ms) = (instance.active_at_ms, instance.evaluated_at_ms);
        let episode = instance.episode().unwrap_or_default();
        let groups = board.scopes_of(&instance);
        // An episode that took the place of one before is told by that one's messages.
        let mut intents = alerts.intents()?;
        intents.retain(|intent| intent.instances.iter().any(|one| one.episode().is_some_and(|other| other == episode)));
        let mut attempts = alerts.attempts(ended_ms.saturating_add(TOLD_AFTER_MS), ATTEMPTS_SEARCHED)?;
        attempts.retain(|attempt| {
            let of_group = || groups.iter().any(|scope| attempt.scope.contains(scope.as_str()));
            let of_intent = || intents.iter().any(|one| one.receiver == attempt.receiver && one.scope == attempt.scope);
            attempt.scope == episode || attempt.at_ms >= begun_ms && of_group() || of_intent()
        });
        attempts.truncate(ATTEMPTS_SHOWN);
        let mut routes = board.routes(&instance.labels);
        // What holds back now says nothing about then.
        routes.iter_mut().for_each(|route| route.suppressors.clear());
        let words = sentences(&instance, &routes, &attempts);
        Ok(Some(Trace { status: board.ended(&instance), routes, intents: Vec::new(), attempts, words, is_over: true }))
    }
}

/// Of changes, the newest first, the last episode of an alert that fired and ended.
pub(crate) fn last_episode(changes: &[Transition], fingerprint: &str) -> Option<Instance> {
    let is_it = |change: &&Transition| {
        label_fingerprint(&change.labels) == fingerprint
            || instance_fingerprint(&change.rule_id, &change.labels) == fingerprint
    };
    let mut of_it = changes.iter().filter(is_it);
    let end = of_it.find(|change| change.from == Some(AlertState::Firing) && change.to != Some(AlertState::Firing))?;
    let fired = of_it.find(|change| change.to == Some(AlertState::Firing))?;
    let pending = of_it.next().filter(|change| change.to == Some(AlertState::Pending));
    Some(Instance {
        rule_id: end.rule_id.clone(),
        labels: end.labels.clone(),
        annotations: Vec::new(),
        state: AlertState::Resolved,
        active_at_ms: pending.map_or(fired.at_ms, |pending| pending.at_ms),
        fired_at_ms: Some(fired.at_ms),
        keep_since_ms: None,
        resolved_at_ms: Some(end.at_ms),
        evaluated_at_ms: end.at_ms,
        value: fired.value,
        evidence: Evidence::default(),
    })
}

/// One for each channel that was tried or held back, and for each receiver of which nothing is known.
fn sentences(instance: &Instance, routes: &[RouteTaken], attempts: &[Attempt]) -> Vec<String> {
    let at = |ms: Option<i64>| ms.map(rfc3339_ms).unwrap_or_default();
    let mut words = vec![format!("it fired from {} to {}", at(instance.fired_at_ms), at(instance.resolved_at_ms))];
    let mut channels: BTreeMap<&str, Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts.iter().rev() {
        channels.entry(&attempt.receiver).or_default().push(attempt);
    }
    for (channel, attempts) in &channels {
        let accepted = |want: IntentState| {
            let mut of_it = attempts.iter().filter(|one| one.outcome == Outcome::Accepted && one.want == want);
            of_it.next().map(|one| rfc3339_ms(one.at_ms))
        };
        let held = attempts.iter().rfind(|one| one.outcome == Outcome::Suppressed);
        words.push(match (accepted(IntentState::Firing), accepted(IntentState::Resolved), held, attempts.last()) {
            (Some(told), Some(end), ..) => format!("{channel} was told {told}, and of the end {end}"),
            (Some(told), None, Some(held), _) => {
                format!("{channel} was told {told}; no word of the end is noted: {}", held.words)
            }
            (Some(told), None, None, _) => format!("{channel} was told {told}; no word of the end is noted"),
            (None, Some(end), ..) => format!("{channel} was told {end} that it had fired and ended"),
            // An end that is held back of one that took another's place: that one's messages tell of it.
            (None, None, Some(held), _) if held.want == IntentState::Resolved => format!("{channel}: {}", held.words),
            (None, None, Some(held), _) => format!("{channel} was not told: {}", held.words),
            (None, None, None, Some(last)) => {
                format!("{channel} was not reached, {} tried, at last: {}", attempts.len(), last.words)
            }
            (None, None, None, None) => continue,
        });
    }
    for route in routes {
        let is_of =
            |channel: &&&str| channel.strip_prefix(route.receiver.as_str()).is_some_and(|rest| rest.starts_with('/'));
        if !channels.keys().any(|channel| is_of(&channel)) {
            words.push(format!("{}, whom the routes lead to now, was not tried", route.receiver));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::*;

    fn change(at_ms: i64, host: &str, from: Option<AlertState>, to: Option<AlertState>) -> Transition {
        let labels = Labels::from_pairs([("alertname", "Down"), ("host", host)]);
        Transition { at_ms, rule_id: "r".into(), labels, from, to, value: 2.0, note: String::new() }
    }

    #[test]
    fn the_last_episode_is_the_newest_that_ended() {
        use AlertState::{Firing, Pending, Resolved};
        let changes = [
            change(95, "a", None, Some(Pending)),
            change(90, "a", Some(Firing), Some(Resolved)),
            change(80, "b", Some(Firing), Some(Resolved)),
            change(70, "a", Some(Pending), Some(Firing)),
            change(60, "a", None, Some(Pending)),
            change(50, "a", Some(Firing), Some(Resolved)),
            change(40, "a", None, Some(Firing)),
        ];
        let of = |host: &str| label_fingerprint(&change(0, host, None, None).labels);
        let found = last_episode(&changes, &of("a")).expect("an episode");
        assert_eq!((found.active_at_ms, found.fired_at_ms, found.resolved_at_ms), (60, Some(70), Some(90)));
        assert_eq!(last_episode(&changes, &found.fingerprint()), Some(found));
        assert_eq!(last_episode(&changes, &of("b")), None, "its beginning is forgotten");
        assert_eq!(last_episode(&changes, &of("c")), None);
    }

    #[test]
    fn each_channel_has_its_sentence() {
        let attempt = |at_ms: i64, receiver: &str, want: IntentState, outcome: Outcome, words: &str| Attempt {
            at_ms,
            receiver: receiver.into(),
            scope: String::new(),
            rev: 1,
            want,
            subject: String::new(),
            number: 1,
            outcome,
            took_ms: 1,
            status: 0,
            words: words.into(),
        };
        use IntentState::{Firing, Resolved};
        let attempts = [
            attempt(9_500, "again/slack[0]", Resolved, Outcome::Suppressed, "its end is told later"),
            attempt(9_400, "third/slack[0]", Resolved, Outcome::Suppressed, "its end is told later"),
            attempt(9_000, "both/slack[0]", Resolved, Outcome::Accepted, "ok"),
            attempt(8_000, "late/email[0]", Resolved, Outcome::Accepted, "ok"),
            attempt(7_000, "never/webhook[0]", Firing, Outcome::Transient, "refused"),
            attempt(6_000, "never/webhook[0]", Firing, Outcome::Transient, "timeout"),
            attempt(5_000, "quiet/slack[0]", Firing, Outcome::Suppressed, "silence s1 by ann: swap"),
            attempt(4_000, "both/slack[0]", Firing, Outcome::Accepted, "ok"),
            attempt(3_000, "again/slack[0]", Firing, Outcome::Accepted, "ok"),
        ];
        let instance = Instance {
            resolved_at_ms: Some(8_000),
            ..last_episode(
                &[
                    change(8_000, "a", Some(AlertState::Firing), None),
                    change(1_000, "a", None, Some(AlertState::Firing)),
                ],
                &label_fingerprint(&change(0, "a", None, None).labels),
            )
            .expect("an episode")
        };
        assert_eq!(
            sentences(&instance, &[], &attempts),
            [
                "it fired from 1970-01-01T00:00:01.000Z to 1970-01-01T00:00:08.000Z",
                "again/slack[0] was told 1970-01-01T00:00:03.000Z; no word of the end is noted: its end is told later",
                "both/slack[0] was told 1970-01-01T00:00:04.000Z, and of the end 1970-01-01T00:00:09.000Z",
                "late/email[0] was told 1970-01-01T00:00:08.000Z that it had fired and ended",
                "never/webhook[0] was not reached, 2 tried, at last: refused",
                "quiet/slack[0] was not told: silence s1 by ann: swap",
                "third/slack[0]: its end is told later",
            ]
        );
    }
}
