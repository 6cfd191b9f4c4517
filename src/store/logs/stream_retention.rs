//! How long the records of some streams are kept: for less than the others. After Loki's `retention_stream`: of the rules that match, the
//! one of the highest priority counts, of several such the shortest.

use std::collections::HashMap;

use codec::block::encode_resource;
use foldhash::fast::RandomState;
use model::time::Day;
use model::{AnyValue, Labels, Matcher, Resource, Severity};

/// The label of a record's severity (`debug`, `info`, …), beside those of its resource.
const SEVERITY: &str = "severity";
const SERVICE_NAME: &str = "service_name";
/// As Loki calls a service without a name.
const UNKNOWN_SERVICE: &str = "unknown_service";

/// One of `retention.logs_streams`.
#[derive(Debug, Clone)]
pub struct StreamRetention {
    /// On the attributes of a record's resource, named as labels (`service_name`, `host_name`), and on `severity`; all must hold.
    pub matchers: Vec<Matcher>,
    pub keep_ms: i64,
    pub priority: u32,
}

/// The attributes of a resource as labels, and a severity.
fn labels(resource: &Resource, severity: Severity) -> Labels {
    let name = |key: &str| -> String {
        key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
    };
    let mut pairs: HashMap<String, String, RandomState> = HashMap::default();
    pairs.insert(SERVICE_NAME.into(), UNKNOWN_SERVICE.into());
    pairs.extend(resource.attributes.iter().map(|(key, value)| (name(key), AnyValue::to_text(value))));
    pairs.insert(SEVERITY.into(), severity.as_str().into());
    Labels::from_pairs(pairs)
}

fn keep_ms(rules: &[StreamRetention], labels: &Labels) -> Option<i64> {
    let matching = rules.iter().filter(|rule| rule.matchers.iter().all(|matcher| matcher.matches_labels(labels)));
    matching.min_by_key(|rule| (std::cmp::Reverse(rule.priority), rule.keep_ms)).map(|rule| rule.keep_ms)
}

/// The first day that is kept for so long.
fn first_day(keep_ms: i64, now_ms: i64) -> Day {
    Day::of_ms(now_ms.saturating_sub(keep_ms))
}

/// Which rules have ended a day, a bit each: while that is the same, and nothing came, the day's records are what should be there.
pub(super) fn ended(rules: &[StreamRetention], day: Day, now_ms: i64) -> u64 {
    let is_over = |rule: &StreamRetention| day < first_day(rule.keep_ms, now_ms);
    rules.iter().zip(0..u64::BITS).fold(0, |bits, (rule, bit)| bits | u64::from(is_over(rule)) << bit)
}

/// Tells the records of a day whose time is over.
pub(super) struct Judge<'a> {
    rules: &'a [StreamRetention],
    day: Day,
    now_ms: i64,
    known: HashMap<Vec<u8>, u8, RandomState>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(rules: &'a [StreamRetention], day: Day, now_ms: i64) -> Judge<'a> {
        Judge { rules, day, now_ms, known: HashMap::default() }
    }

    /// The severities of a resource's records that go: bit n is of `Severity::ALL[n]`.
    pub(super) fn expired(&mut self, resource: &Resource) -> u8 {
        let Judge { rules, day, now_ms, .. } = *self;
        *self.known.entry(encode_resource(resource)).or_insert_with(|| {
            let is_over = |severity| {
                keep_ms(rules, &labels(resource, severity)).is_some_and(|keep_ms| day < first_day(keep_ms, now_ms))
            };
            Severity::ALL.into_iter().filter(|severity| is_over(*severity)).fold(0, |bits, one| bits | 1 << one as u8)
        })
    }
}

#[cfg(test)]
mod tests {
    use model::MatchOp;

    use super::*;

    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn the_highest_priority_counts_and_of_several_the_shortest() {
        let rule = |priority, days, matchers: &[(&str, MatchOp, &str)]| StreamRetention {
            matchers: matchers.iter().map(|(name, op, value)| Matcher::new(*name, *op, *value).unwrap()).collect(),
            keep_ms: days * DAY_MS,
            priority,
        };
        let rules = [
            rule(0, 9, &[("service_name", MatchOp::Regex, ".+")]),
            rule(1, 5, &[("service_name", MatchOp::Equal, "api")]),
            rule(1, 3, &[("host_name", MatchOp::Equal, "h1")]),
            rule(7, 1, &[("severity", MatchOp::Equal, "debug"), ("service_name", MatchOp::NotEqual, "audit")]),
        ];
        let resource = |pairs: &[(&str, &str)]| Resource {
            attributes: pairs.iter().map(|(key, value)| ((*key).into(), AnyValue::Str((*value).into()))).collect(),
            ..Resource::default()
        };
        let check = |pairs: &[(&str, &str)], severity, days: i64| {
            let found = keep_ms(&rules, &labels(&resource(pairs), severity));
            assert_eq!(found, Some(days * DAY_MS), "{pairs:?} {severity:?}");
        };
        check(&[], Severity::Info, 9);
        check(&[("service.name", "api")], Severity::Info, 5);
        check(&[("service.name", "api"), ("host.name", "h1")], Severity::Info, 3);
        check(&[("service.name", "api"), ("host.name", "h1")], Severity::Debug, 1);
        check(&[("service.name", "audit")], Severity::Debug, 9);
        let noon = 1_795_262_400_000;
        let mut judge = Judge::new(&rules, Day::of_ms(noon - 4 * DAY_MS), noon);
        let all_but = |severity: Severity| 0x7f & !(1 << severity as u8);
        assert_eq!(judge.expired(&resource(&[("host.name", "h1")])), 0x7f);
        assert_eq!(judge.expired(&resource(&[("service.name", "api")])), !all_but(Severity::Debug) & 0x7f);
        assert_eq!(judge.expired(&resource(&[("service.name", "audit")])), 0);
        assert_eq!(ended(&rules, Day::of_ms(noon - 4 * DAY_MS), noon), 0b1100);
        assert_eq!(ended(&rules, Day::of_ms(noon - 3 * DAY_MS), noon), 0b1000);
    }
}
