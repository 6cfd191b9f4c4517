//! Alerts that other programs push, as Prometheus pushes them to Alertmanager: taken in durably, then told as our own are.
//!
//! One alert is what has one set of labels. What is pushed of it again is merged as Alertmanager merges it (`provider/mem`, `Put`;
//! `alert/alert.go`, `Merge`), in its times; which episode it is of is ours: one that ended and fires is another.

use std::collections::BTreeMap;

use model::alert::label_fingerprint;
use model::{Labels, PushedAlert};
use store::{Alerts, StoreError};

/// Most pushed alerts kept at once.
const PUSHED_MAX: usize = 10_000;
/// Largest alert, in bytes of its texts.
const ALERT_BYTES_MAX: usize = 64 << 10;

/// One alert as it was pushed; times that were not named are `None`.
#[derive(Debug, Clone)]
pub struct PushDraft {
    pub labels: Labels,
    pub annotations: Vec<(String, String)>,
    pub starts_ms: Option<i64>,
    pub ends_ms: Option<i64>,
    pub generator_url: String,
}

/// Takes alerts in. Those that are no alerts are left out and named; the others are stored when this returns.
pub(crate) fn push(
    alerts: &Alerts,
    drafts: Vec<PushDraft>,
    resolve_timeout_ms: i64,
    now_ms: i64,
) -> Result<Vec<String>, StoreError> {
    let stored = alerts.pushed_alerts()?;
    let mut known: BTreeMap<String, PushedAlert> =
        stored.into_iter().map(|alert| (label_fingerprint(&alert.labels), alert)).collect();
    let mut changed: BTreeMap<String, PushedAlert> = BTreeMap::new();
    let mut refused = Vec::new();
    for draft in drafts {
        let alert = as_pushed(draft, resolve_timeout_ms, now_ms);
        if let Err(reason) = check(&alert) {
            refused.push(reason);
            continue;
        }
        let fingerprint = label_fingerprint(&alert.labels);
        let old = known.get(&fingerprint);
        if old.is_none() && known.len() >= PUSHED_MAX {
            refused.push(format!("{PUSHED_MAX} pushed alerts are kept at once; this one is not: {}", alert.labels));
            continue;
        }
        let alert = match old {
            Some(old) => after(old, alert, now_ms),
            None => alert,
        };
        known.insert(fingerprint.clone(), alert.clone());
        changed.insert(fingerprint, alert);
    }
    let changed: Vec<PushedAlert> = changed.into_values().collect();
    alerts.put_pushed(&changed, &[])?;
    Ok(refused)
}

/// An alert that nothing is known of, with the times that its sender left out.
fn as_pushed(draft: PushDraft, resolve_timeout_ms: i64, now_ms: i64) -> PushedAlert {
    PushedAlert {
        labels: draft.labels,
        annotations: draft.annotations,
        starts_ms: draft.starts_ms.or(draft.ends_ms).unwrap_or(now_ms),
        taken_ms: now_ms,
        ends_ms: draft.ends_ms.unwrap_or(now_ms + resolve_timeout_ms),
        updated_ms: now_ms,
        generator_url: draft.generator_url,
        timeout: draft.ends_ms.is_none(),
    }
}

fn check(alert: &PushedAlert) -> Result<(), String> {
    if alert.ends_ms < alert.starts_ms {
        return Err("start time must be before end time".into());
    }
    if alert.labels.is_empty() {
        return Err("at least one label pair required".into());
    }
    if alert.labels.iter().any(|(name, _)| name.is_empty()) {
        return Err("invalid label set: invalid name \"\"".into());
    }
    if alert.annotations.iter().any(|(name, _)| name.is_empty()) {
        return Err("invalid annotations: invalid name \"\"".into());
    }
    let pairs = alert.labels.iter().map(|(name, value)| name.len() + value.len());
    let texts = alert.annotations.iter().map(|(name, value)| name.len() + value.len());
    let bytes = pairs.chain(texts).sum::<usize>() + alert.generator_url.len();
    if bytes > ALERT_BYTES_MAX {
        return Err(format!("an alert has at most {ALERT_BYTES_MAX} bytes, this one has {bytes}"));
    }
    Ok(())
}

/// What an alert is after it was pushed again.
fn after(old: &PushedAlert, new: PushedAlert, now_ms: i64) -> PushedAlert {
    let is_within = |at_ms: i64| old.starts_ms < at_ms && at_ms < old.ends_ms;
    let mut alert = if is_within(new.ends_ms) || is_within(new.starts_ms) { merged(old, new, now_ms) } else { new };
    alert.taken_ms = match alert.fires(now_ms) && !old.fires(now_ms) {
        // Told by another name than the last episode, whatever the clock did in between.
        true => now_ms.max(old.taken_ms + 1),
        false => old.taken_ms,
    };
    alert
}

/// The two as one: the earlier beginning, and the end that was said last, but for one that comes before a later one that was named.
fn merged(old: &PushedAlert, new: PushedAlert, now_ms: i64) -> PushedAlert {
    let was_named = if new.fires(now_ms) { !old.timeout } else { !old.fires(now_ms) };
    let ends_ms = if was_named { new.ends_ms.max(old.ends_ms) } else { new.ends_ms };
    PushedAlert { starts_ms: new.starts_ms.min(old.starts_ms), ends_ms, ..new }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn draft(starts_ms: Option<i64>, ends_ms: Option<i64>) -> PushDraft {
        let labels = Labels::from_pairs([("alertname", "X")]);
        PushDraft { labels, annotations: Vec::new(), starts_ms, ends_ms, generator_url: String::new() }
    }

    #[test]
    fn repeats_are_one_alert_and_what_fires_again_is_another_episode() {
        let dir = tempfile::tempdir().unwrap();
        let alerts = Alerts::open(&dir.path().join("alerts.redb")).unwrap();
        let push_one = |starts_ms: Option<i64>, ends_ms: Option<i64>, now_ms: i64| {
            let refused = push(&alerts, vec![draft(starts_ms, ends_ms)], 300_000, now_ms).unwrap();
            assert!(refused.is_empty(), "{refused:?}");
            let all = alerts.pushed_alerts().unwrap();
            assert_eq!(all.len(), 1);
            (all[0].starts_ms, all[0].ends_ms, all[0].timeout, all[0].taken_ms)
        };
        assert_eq!(push_one(None, None, 1_000), (1_000, 301_000, true, 1_000));
        // Its sender counts from before: the beginning moves, the episode stays.
        assert_eq!(push_one(Some(500), Some(400_000), 2_000), (500, 400_000, false, 1_000));
        assert_eq!(push_one(Some(600), Some(3_000), 4_000), (500, 3_000, false, 1_000));
        assert_eq!(push_one(Some(500), Some(3_500), 4_000), (500, 3_500, false, 1_000), "it is over already");
        assert_eq!(push_one(Some(500), Some(500_000), 5_000), (500, 500_000, false, 5_000));
        // In one moment, and by a clock that was set back.
        assert_eq!(push_one(Some(5_000), Some(5_000), 5_000).3, 5_000);
        assert_eq!(push_one(Some(5_000), None, 5_000).3, 5_001);
        assert_eq!(push_one(Some(5_000), Some(5_000), 5_000).3, 5_001);
        assert_eq!(push_one(None, None, 4_000), (4_000, 304_000, true, 5_002));
    }

    /// Beginning and end in minutes from now, and whether the end is a time-out.
    type Said = (i64, i64, bool);

    #[test]
    fn what_is_pushed_again_is_merged_as_alertmanager_does() {
        const NOW: i64 = 1_000 * MINUTE;
        let alert = |(starts, ends, timeout): Said| {
            let mut alert = as_pushed(draft(Some(NOW + starts * MINUTE), Some(NOW + ends * MINUTE)), 0, NOW);
            alert.timeout = timeout;
            alert
        };
        let said = |alert: PushedAlert| -> Said {
            ((alert.starts_ms - NOW) / MINUTE, (alert.ends_ms - NOW) / MINUTE, alert.timeout)
        };
        // Cases of Alertmanager's own test (`TestAlertMerge`).
        let check = |old: Said, new: Said, expected: Said| {
            assert_eq!(said(merged(&alert(old), alert(new), NOW)), expected, "{old:?} {new:?}");
        };
        check((-2, 2, true), (-1, 3, true), (-2, 3, true));
        check((-1, 3, true), (0, 2, false), (-1, 2, false));
        check((-1, 3, false), (0, 2, true), (-1, 3, true));
        check((-1, 3, false), (0, 2, false), (-1, 3, false));
        check((-1, 3, false), (-1, 4, false), (-1, 4, false));
        check((-3, -1, false), (-2, 1, false), (-3, 1, false));
        check((-2, 3, false), (-2, 0, false), (-2, 0, false));
        check((-3, -1, false), (-4, -2, false), (-4, -1, false));
        // Only what overlaps is merged (`provider/mem`); else the new word holds alone. And which episode it is of: the first one, 1.
        let check = |old: Said, new: Said, expected: Said, episode: i64| {
            let old = PushedAlert { taken_ms: 1, ..alert(old) };
            let found = after(&old, alert(new), NOW);
            let number = if found.taken_ms == 1 { 1 } else { 2 };
            assert_eq!((said(found), number), (expected, episode), "{old:?} {new:?}");
        };
        check((-2, 2, true), (-1, 3, true), (-2, 3, true), 1);
        check((-1, 3, false), (-1, 2, false), (-1, 3, false), 1);
        // Neither its beginning nor its end is within what was known.
        check((-1, 3, false), (-2, 4, true), (-2, 4, true), 1);
        check((-1, 3, false), (-1, 5, true), (-1, 5, true), 1);
        // Over before it began, as it was known.
        check((-1, 3, true), (-5, -2, false), (-5, -2, false), 1);
        check((-5, -3, false), (-2, -1, false), (-2, -1, false), 1);
        check((-5, -3, false), (-4, -2, false), (-5, -2, false), 1);
        check((-5, -2, false), (-4, -3, false), (-5, -2, false), 1);
        // It fires again: merged with what is over, after it, and from the same beginning.
        check((-5, -2, false), (-4, 3, true), (-5, 3, true), 2);
        check((-5, -2, false), (-1, 3, true), (-1, 3, true), 2);
        check((-5, -2, false), (-5, 3, true), (-5, 3, true), 2);
    }

    #[test]
    fn what_is_no_alert_is_named_and_the_others_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let alerts = Alerts::open(&dir.path().join("alerts.redb")).unwrap();
        let draft = |name: &str, ends_ms| PushDraft {
            labels: Labels::from_pairs([("alertname", name)]),
            annotations: Vec::new(),
            starts_ms: Some(10),
            ends_ms,
            generator_url: String::new(),
        };
        let mut nameless = draft("d", None);
        nameless.annotations = vec![(String::new(), "x".into())];
        let all = vec![draft("", None), draft("a", None), draft("b", Some(9)), nameless];
        let refused = push(&alerts, all, 10, 0).unwrap();
        let (label, times) = ("at least one label pair required", "start time must be before end time");
        assert_eq!(refused, [label, times, "invalid annotations: invalid name \"\""]);
        // It would end by our time-out before it begins.
        assert_eq!(push(&alerts, vec![draft("c", None)], 9, 0).unwrap(), [times]);
        assert_eq!(alerts.pushed_alerts().unwrap().len(), 1);
    }
}
