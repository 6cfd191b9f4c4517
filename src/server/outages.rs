//! When components were down or impaired, by the alerts about them: for those who have no login.

use std::collections::HashMap;

use model::alert::{Instance, Transition};
use model::time::MS_PER_DAY;
use model::{AlertState, Matcher};

/// Days that are looked back upon.
pub(crate) const DAYS: usize = 90;

/// A part of what is watched over, as outsiders know it, and which alerts are about it.
#[derive(Debug, Clone)]
pub struct StatusComponent {
    pub name: String,
    /// All must match an alert's labels.
    pub alerts: Vec<Matcher>,
}

/// What `/status` shows, and to whom.
#[derive(Debug, Clone, Default)]
pub struct StatusSettings {
    /// Without a token too.
    pub public: bool,
    pub components: Vec<StatusComponent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    /// Nobody watched then.
    Unknown,
    Ok,
    /// An alert fires that is not critical.
    Impaired,
    /// A critical one does.
    Down,
}

impl Health {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Ok => "operational",
            Health::Impaired => "impaired",
            Health::Down => "down",
        }
    }
}

/// A component as it is and was.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Course {
    pub(crate) now: Health,
    /// Since when it is as it is, when it is not well.
    pub(crate) since_ms: Option<i64>,
    /// The worst of each day, the oldest first; the last is today.
    pub(crate) days: Vec<Health>,
    /// How long of these days it was watched over, and in which part of that it was not down.
    pub(crate) watched_for_ms: i64,
    pub(crate) up: f64,
}

/// A span in which one alert fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Firing {
    start_ms: i64,
    end_ms: i64,
    critical: bool,
}

impl Course {
    /// Of the component's alerts that fire, and of all transitions of the last [`DAYS`] days, newest first. Before `watched_ms` nobody watched.
    pub(crate) fn of<'a>(
        component: &StatusComponent,
        firing: impl Iterator<Item = &'a Instance>,
        transitions: &[Transition],
        watched_ms: i64,
        now_ms: i64,
    ) -> Course {
        let is_about = |labels: &model::Labels| component.alerts.iter().all(|of| of.matches(labels.value(&of.name)));
        let critical = |labels: &model::Labels| labels.value("severity") == "critical";
        let mut all: Vec<Firing> = firing
            .filter(|instance| instance.state == AlertState::Firing && is_about(&instance.labels))
            .map(|instance| Firing {
                start_ms: instance.began_ms(),
                end_ms: now_ms,
                critical: critical(&instance.labels),
            })
            .collect();
        let since = |critical: bool| all.iter().filter(|of| of.critical == critical).map(|of| of.start_ms).min();
        let (now, since_ms) = match (since(true), since(false)) {
            (Some(since_ms), _) => (Health::Down, Some(since_ms)),
            (None, Some(since_ms)) => (Health::Impaired, Some(since_ms)),
            (None, None) => (Health::Ok, None),
        };
        // Ends of episodes that are over, newest first; each meets its beginning further on.
        let mut ends: HashMap<(&str, &model::Labels), i64> = HashMap::new();
        for change in transitions.iter().filter(|change| is_about(&change.labels)) {
            let key = (change.rule_id.as_str(), &change.labels);
            if change.to == Some(AlertState::Firing) {
                if let Some(end_ms) = ends.remove(&key) {
                    let critical = critical(&change.labels);
                    all.push(Firing { start_ms: change.at_ms, end_ms, critical });
                }
            } else if change.from == Some(AlertState::Firing) {
                ends.insert(key, change.at_ms);
            }
        }
        let down = merged(all.iter().filter(|of| of.critical).map(|of| (of.start_ms, of.end_ms)).collect());
        let first_ms = (now_ms.div_euclid(MS_PER_DAY) - DAYS as i64 + 1) * MS_PER_DAY;
        let from_ms = first_ms.max(watched_ms);
        let down_ms: i64 = down.iter().map(|(start, end)| (end.min(&now_ms) - start.max(&from_ms)).max(0)).sum();
        let watched_for_ms = (now_ms - from_ms).max(1);
        let day = |at: usize| {
            let (start_ms, end_ms) = (first_ms + at as i64 * MS_PER_DAY, first_ms + (at as i64 + 1) * MS_PER_DAY);
            let worst = all
                .iter()
                .filter(|of| of.start_ms < end_ms && of.end_ms > start_ms)
                .map(|of| if of.critical { Health::Down } else { Health::Impaired })
                .max();
            worst.unwrap_or(if end_ms <= watched_ms { Health::Unknown } else { Health::Ok })
        };
        let up = 1.0 - down_ms as f64 / watched_for_ms as f64;
        Course { now, since_ms, days: (0..DAYS).map(day).collect(), watched_for_ms, up }
    }
}

/// Spans that meet or overlap made one.
fn merged(mut spans: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    spans.sort_unstable();
    let mut out: Vec<(i64, i64)> = Vec::new();
    for (start, end) in spans {
        match out.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => out.push((start, end)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::*;

    #[test]
    fn a_course_is_made_of_what_fires_and_what_fired() {
        const DAY: i64 = MS_PER_DAY;
        let now_ms = 200 * DAY + DAY / 2;
        let component = StatusComponent { name: "Shop".into(), alerts: vec![Matcher::equal("service_name", "shop")] };
        let change = |at_ms: i64, service: &str, severity: &str, fires: bool| Transition {
            at_ms,
            rule_id: "r".into(),
            labels: Labels::from_pairs([("service_name", service), ("severity", severity)]),
            from: if fires { Some(AlertState::Pending) } else { Some(AlertState::Firing) },
            to: if fires { Some(AlertState::Firing) } else { Some(AlertState::Resolved) },
            value: 1.0,
            note: String::new(),
        };
        let transitions = [
            change(199 * DAY + 3_000, "other", "critical", false),
            change(199 * DAY + 2_000, "other", "critical", true),
            change(198 * DAY + 3_600_000, "shop", "critical", false),
            change(198 * DAY, "shop", "critical", true),
            change(197 * DAY + 2_000, "shop", "warning", false),
            change(197 * DAY + 1_000, "shop", "warning", true),
        ];
        let course = Course::of(&component, [].into_iter(), &transitions, 196 * DAY, now_ms);
        assert_eq!((course.now, course.since_ms), (Health::Ok, None));
        let last: Vec<&str> = course.days[DAYS - 6..].iter().map(|day| day.as_str()).collect();
        assert_eq!(last, ["unknown", "operational", "impaired", "down", "operational", "operational"]);
        assert!((course.up - (1.0 - 1.0 / (4.5 * 24.0))).abs() < 1e-9, "{}", course.up);
        assert_eq!(merged(vec![(5, 9), (1, 3), (2, 6), (20, 21)]), [(1, 9), (20, 21)]);
    }
}
