//! What changed in the last hour: alerts that began or ended, and services that came with another version. The first thing to ask when
//! something breaks.

use std::collections::BTreeMap;

use model::AlertState;
use model::alert::Transition;

use super::alert_view::rule_href;
use super::asked::Metrics;
use super::badge::Badge;
use super::entity::href;
use super::entity_panels::Subject;
use super::failure::Trouble;
use super::text::{Stamp, one_line, span};

/// Rows shown, the newest first.
const ROWS_MAX: usize = 12;
const HOUR_MS: i64 = 3_600_000;
/// A version that was there so early in the hour was there before it.
const SLACK_MS: i64 = 300_000;

const VERSIONS: &str = r#"min by (job, service_version) (ts_of_first_over_time(target_info{service_version!=""}[1h]))"#;

pub(crate) struct Change {
    pub(crate) at: Stamp,
    pub(crate) state: Option<Badge>,
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) words: String,
}

/// Of the transitions given, newest first, and the versions that senders name.
pub(crate) fn changes(
    metrics: &Metrics<'_>,
    transitions: &[Transition],
    now_ms: i64,
) -> (Vec<Change>, Option<Trouble>) {
    let mut all: Vec<(i64, Change)> = transitions
        .iter()
        .filter(|change| change.at_ms > now_ms - HOUR_MS)
        .filter_map(|change| of_alert(change, now_ms))
        .collect();
    let trouble = match metrics.vector(VERSIONS, now_ms) {
        Ok(found) => {
            let seen = found.iter().map(|(labels, first)| {
                (labels.value("job").to_owned(), labels.value("service_version").to_owned(), (first * 1_000.0) as i64)
            });
            all.extend(new_versions(seen, now_ms));
            None
        }
        Err(error) => Some(Trouble::new("Whether a version changed is not known", error.to_string())),
    };
    all.sort_by_key(|(at_ms, _)| std::cmp::Reverse(*at_ms));
    (all.into_iter().take(ROWS_MAX).map(|(_, change)| change).collect(), trouble)
}

/// What began to fire and what ended; that something is pending is no news yet.
fn of_alert(change: &Transition, now_ms: i64) -> Option<(i64, Change)> {
    let state = match (change.from, change.to) {
        (_, Some(AlertState::Firing)) => Badge::firing("firing"),
        (Some(AlertState::Firing), Some(AlertState::Resolved) | None) => Badge::ok("resolved"),
        _ => return None,
    };
    let labels = change.labels.filtered(|name| !matches!(name, "alertname" | "severity"));
    let row = Change {
        at: Stamp::of_ms(change.at_ms, now_ms),
        state: Some(state),
        name: one_line(change.labels.value("alertname"), 120),
        href: rule_href(&change.rule_id),
        words: if labels.is_empty() { String::new() } else { one_line(&labels.to_string(), 200) },
    };
    Some((change.at_ms, row))
}

/// Of jobs that had another version before. Each item is a job, a version, and when it was first seen in the hour.
fn new_versions(seen: impl Iterator<Item = (String, String, i64)>, now_ms: i64) -> Vec<(i64, Change)> {
    let mut by_job: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for (job, version, first_ms) in seen {
        by_job.entry(job).or_default().push((first_ms, version));
    }
    let mut out = Vec::new();
    for (job, mut versions) in by_job {
        versions.sort_unstable();
        let service = job.rsplit('/').next().unwrap_or_default();
        for pair in versions.windows(2) {
            let [(_, before), (first_ms, version)] = pair else { continue };
            if *first_ms < now_ms - HOUR_MS + SLACK_MS {
                continue;
            }
            let row = Change {
                at: Stamp::of_ms(*first_ms, now_ms),
                state: None,
                name: one_line(service, 120),
                href: href(Subject::Service, service),
                words: format!(
                    "version {} after {}, {} ago",
                    one_line(version, 60),
                    one_line(before, 60),
                    span(now_ms - first_ms)
                ),
            };
            out.push((*first_ms, row));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::super::memory::Memory;
    use super::*;

    #[test]
    fn news_are_what_began_or_ended_and_other_versions() {
        const NOW_MS: i64 = 100_000_000;
        let mut source = Memory::default();
        let mut runs = |job: &str, version: &str, from_ms: i64, to_ms: i64| {
            let samples = (from_ms / 30_000..to_ms / 30_000).map(|n| (n * 30_000, 1.0));
            source.put("target_info", &[("job", job), ("service_version", version)], samples);
        };
        runs("shop/api", "1.0", NOW_MS - 2 * HOUR_MS, NOW_MS - 1_200_000);
        runs("shop/api", "1.1", NOW_MS - 1_200_000, NOW_MS);
        runs("calm", "7", NOW_MS - 2 * HOUR_MS, NOW_MS);
        runs("new", "1", NOW_MS - 600_000, NOW_MS);
        let change = |ago_ms: i64, from, to| Transition {
            at_ms: NOW_MS - ago_ms,
            rule_id: "r".into(),
            labels: Labels::from_pairs([("alertname", "Slow"), ("host", "a")]),
            from,
            to,
            value: 1.0,
            note: String::new(),
        };
        use AlertState::{Firing, Pending, Resolved};
        let transitions = [
            change(60_000, Some(Firing), Some(Resolved)),
            change(900_000, Some(Pending), Some(Firing)),
            change(960_000, None, Some(Pending)),
            change(2 * HOUR_MS, None, Some(Firing)),
        ];
        let (rows, trouble) = changes(&source.metrics(), &transitions, NOW_MS);
        assert_eq!(trouble, None);
        let shown: Vec<(&str, &str)> = rows.iter().map(|row| (&*row.name, &*row.words)).collect();
        assert_eq!(
            shown,
            [("Slow", "{host=\"a\"}"), ("Slow", "{host=\"a\"}"), ("api", "version 1.1 after 1.0, 20 min ago")]
        );
        assert!(rows[0].state.as_ref().is_some_and(|state| state.class == "ok"));
    }
}
