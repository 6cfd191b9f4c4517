//! What keeps an alert from being told: silences, inhibition, time intervals.
//!
//! Pure: built from what is stored and what fires, asked with a time. Decided at every flush and again before every attempt.

use std::collections::HashMap;

use model::alert::{Instance, label_fingerprint};
use model::{Labels, Silence, SilenceState};

use crate::config::{Config, Interval, Target};

/// Why an alert is not told now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suppressor {
    Silence {
        id: String,
        by: String,
        comment: String,
    },
    /// Another alert fires that says enough.
    Inhibition {
        /// Of `inhibit_rules`.
        rule: String,
        /// The source's labels' fingerprint.
        source: String,
        /// The source's name.
        name: String,
    },
    /// A `mute_time_intervals` holds.
    MuteTime {
        name: String,
    },
    /// None of the route's `active_time_intervals` holds.
    InactiveTime {
        names: String,
    },
}

impl Suppressor {
    /// `silence 0f1e by ann: disk swap`.
    pub fn words(&self) -> String {
        match self {
            Suppressor::Silence { id, by, comment } => format!("silence {id} by {by}: {comment}"),
            Suppressor::Inhibition { rule, name, source } => format!("inhibited by {name} ({source}), {rule}"),
            Suppressor::MuteTime { name } => format!("mute time {name}"),
            Suppressor::InactiveTime { names } => format!("outside the active times {names}"),
        }
    }

    /// Whether it ends on its own when something else does, and the alert itself may end just after.
    pub(crate) fn is_inhibition(&self) -> bool {
        matches!(self, Suppressor::Inhibition { .. })
    }
}

struct Source {
    fingerprint: String,
    name: String,
    /// It is a target of the same rule too, so it inhibits no alert of its own kind.
    also_target: bool,
}

/// Everything that suppresses, at one time.
#[derive(Default)]
pub(crate) struct Suppression {
    /// Those that are not over, each with its schedule.
    silences: Vec<(Silence, Option<Interval>)>,
    /// For each source of each inhibit rule: what fires, by the values of its `equal` labels.
    sources: Vec<Vec<HashMap<Vec<String>, Vec<Source>>>>,
}

impl Suppression {
    pub(crate) fn new<'a>(
        config: &Config,
        silences: &[Silence],
        firing: impl Iterator<Item = &'a Instance>,
        now_ms: i64,
    ) -> Suppression {
        let silences = silences
            .iter()
            .filter(|silence| silence.state(now_ms) != SilenceState::Expired)
            // A schedule that cannot be read any more holds all of the time: quieter than asked, never louder.
            .map(|silence| {
                (silence.clone(), Interval::parse(&silence.schedule).ok().filter(|_| !silence.schedule.is_empty()))
            })
            .collect();
        let mut sources: Vec<Vec<HashMap<Vec<String>, Vec<Source>>>> =
            config.inhibit_rules.iter().map(|rule| rule.sources.iter().map(|_| HashMap::new()).collect()).collect();
        if !sources.is_empty() {
            for instance in firing {
                let labels = &instance.labels;
                for (rule, sources) in config.inhibit_rules.iter().zip(&mut sources) {
                    for (side, sources) in rule.sources.iter().zip(sources).filter(|(side, _)| side.matches(labels)) {
                        let Some(key) = equal_key(labels, &side.equal, config.x.am_compat) else { continue };
                        sources.entry(key).or_default().push(Source {
                            fingerprint: label_fingerprint(labels),
                            name: labels.value("alertname").to_owned(),
                            also_target: rule.target.iter().all(|matcher| matcher.matches_labels(labels)),
                        });
                    }
                }
            }
        }
        Suppression { silences, sources }
    }

    /// Active silences that match.
    pub(crate) fn silences_of<'a>(&'a self, labels: &'a Labels, now_ms: i64) -> impl Iterator<Item = &'a Silence> {
        self.silences
            .iter()
            .filter(move |(silence, schedule)| {
                silence.state(now_ms) == SilenceState::Active
                    && schedule.as_ref().is_none_or(|schedule| schedule.contains(now_ms))
                    && silence.matches(labels)
            })
            .map(|(silence, _)| silence)
    }

    /// Rules that inhibit these labels now, and the source of each.
    pub(crate) fn inhibitions_of(&self, config: &Config, labels: &Labels) -> Vec<Suppressor> {
        let mut found = Vec::new();
        for (rule, sources) in config.inhibit_rules.iter().zip(&self.sources) {
            if sources.iter().any(HashMap::is_empty)
                || !rule.target.iter().all(|matcher| matcher.matches_labels(labels))
            {
                continue;
            }
            // An alert on both sides of a rule is inhibited by those alone that are not, so never by itself.
            let both = rule.sources.iter().any(|side| side.matches(labels));
            let by_each: Option<Vec<&Source>> = rule
                .sources
                .iter()
                .zip(sources)
                .map(|(side, sources)| {
                    let sources = sources.get(&equal_key(labels, &side.equal, config.x.am_compat)?)?;
                    sources.iter().find(|source| !(both && source.also_target))
                })
                .collect();
            found.extend(by_each.into_iter().flatten().map(|source| Suppressor::Inhibition {
                rule: rule.name.clone(),
                source: source.fingerprint.clone(),
                name: source.name.clone(),
            }));
        }
        found
    }

    /// Why a receiver is not told of an alert now; `None` when it may be. A receiver that no route leads to (a stand-in) has no
    /// time intervals.
    pub(crate) fn why(&self, config: &Config, labels: &Labels, receiver: &str, now_ms: i64) -> Option<Suppressor> {
        let silence = self.silences_of(labels, now_ms).next().map(|silence| Suppressor::Silence {
            id: silence.id.clone(),
            by: silence.created_by.clone(),
            comment: silence.comment.clone(),
        });
        silence.or_else(|| self.inhibitions_of(config, labels).into_iter().next()).or_else(|| {
            if config.intervals.is_empty() {
                return None;
            }
            let mut reason = None;
            for target in config.route.targets(labels).into_iter().filter(|target| target.receiver == receiver) {
                // One way that is open is enough.
                reason = Some(closed(config, target, now_ms)?);
            }
            reason
        })
    }

    /// When this changes by the clock alone, if it will. Intervals are of whole minutes.
    pub(crate) fn next_change_ms(&self, config: &Config, now_ms: i64) -> Option<i64> {
        let edges = self.silences.iter().flat_map(|(silence, _)| [silence.starts_ms, silence.ends_ms]);
        let clock = !config.intervals.is_empty() || self.silences.iter().any(|(_, schedule)| schedule.is_some());
        let minute = clock.then(|| (now_ms.div_euclid(60_000) + 1) * 60_000);
        edges.filter(|edge| *edge > now_ms).chain(minute).min()
    }
}

/// Why a route tells nothing at this time; `None` when it does.
pub(crate) fn closed(config: &Config, target: &Target, now_ms: i64) -> Option<Suppressor> {
    if !target.active.is_empty() && !target.active.iter().any(|name| config.interval_holds(name, now_ms)) {
        return Some(Suppressor::InactiveTime { names: target.active.join(", ") });
    }
    let name = target.mute.iter().find(|name| config.interval_holds(name, now_ms))?;
    Some(Suppressor::MuteTime { name: name.clone() })
}

/// Values of the labels that must be equal. `None` where one is missing: two alerts that both lack a label have nothing in common by
/// it, unless Alertmanager's reading is asked for.
fn equal_key(labels: &Labels, equal: &[String], am_compat: bool) -> Option<Vec<String>> {
    equal.iter().map(|name| labels.get(name).map(str::to_owned).or_else(|| am_compat.then(String::new))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use model::Matcher;

    use super::*;

    fn config(more: &str) -> Config {
        let text = format!(
            "route: {{receiver: a, routes: [{{receiver: b, matchers: [team=b], mute_time_intervals: [night]}}, {{receiver: c, matchers: [team=c], active_time_intervals: [night]}}]}}\nreceivers: [{{name: a}}, {{name: b}}, {{name: c}}]\ntime_intervals: [{{name: night, time_intervals: [{{times: [{{start_time: '00:00', end_time: '06:00'}}]}}]}}]\n{more}"
        );
        Config::parse(&text, "notify.yml", Path::new(".")).unwrap_or_else(|error| panic!("{error}"))
    }

    fn labels(text: &str) -> Labels {
        Labels::from_pairs(text.split(' ').filter_map(|pair| pair.split_once('=')))
    }

    fn firing(text: &str) -> Instance {
        crate::fixtures::firing(labels(text), 0)
    }

    #[test]
    fn a_source_inhibits_its_targets_and_never_its_like() {
        let rule = "inhibit_rules: [{name: down, source_matchers: ['severity=critical'], target_matchers: ['severity=~\"critical|warning\"'], equal: [host]}]";
        let check = |more: &str, firing_now: &[&str], asked: &str, expected: bool| {
            let config = config(&format!("{rule}\n{more}"));
            let firing: Vec<Instance> = firing_now.iter().map(|text| firing(text)).collect();
            let suppression = Suppression::new(&config, &[], firing.iter(), 0);
            let found = suppression.inhibitions_of(&config, &labels(asked));
            assert_eq!(!found.is_empty(), expected, "{asked} with {firing_now:?}");
        };
        let source = "alertname=Down severity=critical host=a";
        check("", &[source], "alertname=Disk severity=warning host=a", true);
        check("", &[source], "alertname=Disk severity=warning host=b", false);
        check("", &[source], "alertname=Disk severity=info host=a", false);
        check("", &[source], source, false);
        check("", &[source, "alertname=Other severity=critical host=a"], source, false);
        let bare = "alertname=Down severity=critical";
        check("", &[bare], "alertname=Disk severity=warning", false);
        check("x: {am_compat: true}", &[bare], "alertname=Disk severity=warning", true);
        check("x: {am_compat: true}", &[bare], "alertname=Disk severity=warning host=a", false);
    }

    #[test]
    fn all_sources_of_a_rule_inhibit_together() {
        let config = config(
            "inhibit_rules: [{sources: [{matchers: [s=a, on=y], equal: [e]}, {matchers: [s=b], equal: [f]}], target_matchers: [t=y]}]",
        );
        let check = |firing_now: &[&str], asked: &str, expected: &[&str]| {
            let firing: Vec<Instance> = firing_now.iter().map(|text| firing(text)).collect();
            let suppression = Suppression::new(&config, &[], firing.iter(), 0);
            let found = suppression.inhibitions_of(&config, &labels(asked));
            let names = found.iter().map(|why| match why {
                Suppressor::Inhibition { name, .. } => name.as_str(),
                other => panic!("{other:?}"),
            });
            let mut names: Vec<&str> = names.collect();
            names.sort_unstable();
            // Those of the built-in rules look at other names.
            assert_eq!(names, expected, "{asked} with {firing_now:?}");
        };
        let (a, b) = ("alertname=A s=a on=y e=1", "alertname=B s=b f=1");
        check(&[a], "t=y e=1 f=1", &[]);
        check(&[b], "t=y e=1 f=1", &[]);
        check(&[a, b], "t=y e=1 f=1", &["A", "B"]);
        check(&[a, b], "t=y e=1 f=1 s=c", &["A", "B"]);
        check(&[a, b], "t=n e=1 f=1", &[]);
        check(&[a, b], "t=y e=2 f=1", &[]);
        check(&[a, b], "t=y e=1 f=2", &[]);
        check(&[a, b], "t=y f=1", &[]);
        // One on both sides is no source for its like, whichever source it is.
        let both = "alertname=C s=b f=1 t=y";
        check(&[a, both], "t=y e=1 f=1", &["A", "C"]);
        check(&[a, both], "t=y e=1 f=1 s=b", &[]);
        check(&[a, both, b], "t=y e=1 f=1 s=b", &["A", "B"]);
    }

    #[test]
    fn times_close_a_route_and_not_a_stand_in() {
        let config = config("");
        let suppression = Suppression::default();
        let hour = 3_600_000;
        for (team, receiver, at_ms, expected) in [
            ("b", "b", hour, Some("mute time night")),
            ("b", "b", 7 * hour, None),
            ("c", "c", hour, None),
            ("c", "c", 7 * hour, Some("outside the active times night")),
            ("b", "a", hour, None),
        ] {
            let why = suppression.why(&config, &labels(&format!("team={team}")), receiver, at_ms);
            assert_eq!(why.map(|why| why.words()).as_deref(), expected, "{team} {receiver} {at_ms}");
        }
        assert_eq!(suppression.next_change_ms(&config, 61_000), Some(120_000));
    }

    #[test]
    fn a_silence_holds_in_its_time_and_by_its_schedule() {
        let config = config("");
        let silence = |schedule: &str| Silence {
            id: "s".into(),
            matchers: vec![Matcher::equal("host", "a")],
            starts_ms: 1_000,
            ends_ms: 10_000_000,
            updated_ms: 0,
            created_by: "ann".into(),
            comment: "swap".into(),
            annotations: Vec::new(),
            schedule: schedule.into(),
        };
        let check = |schedule: &str, asked: &str, at_ms: i64, expected: bool| {
            let suppression = Suppression::new(&config, &[silence(schedule)], std::iter::empty(), at_ms);
            let why = suppression.why(&config, &labels(asked), "a", at_ms);
            assert_eq!(why.is_some(), expected, "{schedule:?} {asked} {at_ms}");
        };
        check("", "host=a", 999, false);
        check("", "host=a", 1_000, true);
        check("", "host=b", 1_000, false);
        check("", "host=a", 10_000_000, false);
        let schedule = "times: [{start_time: '00:01', end_time: '00:02'}]";
        check(schedule, "host=a", 59_999, false);
        check(schedule, "host=a", 60_000, true);
        check(schedule, "host=a", 120_000, false);
        let suppression = Suppression::new(&config, &[silence("")], std::iter::empty(), 0);
        assert_eq!(suppression.next_change_ms(&Config::silent(), 0), Some(1_000));
    }
}
