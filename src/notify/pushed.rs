//! Alerts that other programs push, as Prometheus pushes them to Alertmanager: taken in durably, then told as our own are.
//!
//! The merging of repeats follows Alertmanager's `types.Alert.Merge`: one alert is what has one set of labels.

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
        if let Err(reason) = check(&draft) {
            refused.push(reason);
            continue;
        }
        let fingerprint = label_fingerprint(&draft.labels);
        let old = known.get(&fingerprint);
        if old.is_none() && known.len() >= PUSHED_MAX {
            refused.push(format!("{PUSHED_MAX} pushed alerts are kept at once; this one is not: {}", draft.labels));
            continue;
        }
        let alert = merged(old, draft, resolve_timeout_ms, now_ms);
        known.insert(fingerprint.clone(), alert.clone());
        changed.insert(fingerprint, alert);
    }
    let changed: Vec<PushedAlert> = changed.into_values().collect();
    alerts.put_pushed(&changed, &[])?;
    Ok(refused)
}

fn check(draft: &PushDraft) -> Result<(), String> {
    if draft.labels.is_empty() {
        return Err("at least one label pair required".into());
    }
    if let (Some(starts_ms), Some(ends_ms)) = (draft.starts_ms, draft.ends_ms)
        && ends_ms < starts_ms
    {
        return Err("start time must be before end time".into());
    }
    let pairs = draft.labels.iter().map(|(name, value)| name.len() + value.len());
    let texts = draft.annotations.iter().map(|(name, value)| name.len() + value.len());
    let bytes = pairs.chain(texts).sum::<usize>() + draft.generator_url.len();
    if bytes > ALERT_BYTES_MAX {
        return Err(format!("an alert has at most {ALERT_BYTES_MAX} bytes, this one has {bytes}"));
    }
    Ok(())
}

/// What an alert is after it was pushed again.
fn merged(old: Option<&PushedAlert>, draft: PushDraft, resolve_timeout_ms: i64, now_ms: i64) -> PushedAlert {
    let starts_ms = draft.starts_ms.or(draft.ends_ms).unwrap_or(now_ms);
    let mut alert = PushedAlert {
        labels: draft.labels,
        annotations: draft.annotations,
        starts_ms,
        ends_ms: draft.ends_ms.unwrap_or(now_ms + resolve_timeout_ms),
        updated_ms: now_ms,
        generator_url: draft.generator_url,
        timeout: draft.ends_ms.is_none(),
    };
    let Some(old) = old else { return alert };
    if old.ends_ms > now_ms {
        // It fires already: the same episode, whose beginning names it.
        alert.starts_ms = old.starts_ms;
        // An end that is over is now: the alert fired until a moment ago.
        if alert.ends_ms <= now_ms {
            alert.ends_ms = alert.ends_ms.max(alert.starts_ms);
        }
    } else if alert.ends_ms > now_ms {
        // It fires again after it ended, though its sender counts from before: another episode.
        alert.starts_ms = alert.starts_ms.max(old.ends_ms);
    } else {
        alert.starts_ms = old.starts_ms;
        alert.ends_ms = old.ends_ms;
    }
    alert
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_one_alert_and_a_new_start_is_another_episode() {
        let dir = tempfile::tempdir().unwrap();
        let alerts = Alerts::open(&dir.path().join("alerts.redb")).unwrap();
        let push_one = |starts_ms: Option<i64>, ends_ms: Option<i64>, now_ms: i64| {
            let labels = Labels::from_pairs([("alertname", "X")]);
            let draft = PushDraft { labels, annotations: Vec::new(), starts_ms, ends_ms, generator_url: String::new() };
            let refused = push(&alerts, vec![draft], 300_000, now_ms).unwrap();
            assert!(refused.is_empty(), "{refused:?}");
            let all = alerts.pushed_alerts().unwrap();
            assert_eq!(all.len(), 1);
            (all[0].starts_ms, all[0].ends_ms, all[0].timeout)
        };
        assert_eq!(push_one(None, None, 1_000), (1_000, 301_000, true));
        assert_eq!(push_one(Some(500), Some(400_000), 2_000), (1_000, 400_000, false));
        assert_eq!(push_one(Some(500), Some(3_000), 4_000), (1_000, 3_000, false));
        assert_eq!(push_one(Some(500), Some(3_500), 4_000), (1_000, 3_000, false), "it is over already");
        assert_eq!(push_one(Some(500), Some(500_000), 5_000), (3_000, 500_000, false));
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
        let refused = push(&alerts, vec![draft("", None), draft("a", None), draft("b", Some(9))], 1, 0).unwrap();
        assert_eq!(refused, ["at least one label pair required", "start time must be before end time"]);
        assert_eq!(alerts.pushed_alerts().unwrap().len(), 1);
    }
}
