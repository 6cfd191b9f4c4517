//! Which metrics somebody asked for since the start, so that those which nobody ever looks at can be found.
//!
//! Queries over the API and the pages count; a rule's expression is looked at when it is asked about, since it is there to see.
//! A selector that names no metric (`{job="api"}`) asks for none in particular and counts for none.

use std::collections::HashMap;

use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher, TenantId};
use parking_lot::Mutex;

/// Names remembered, of all tenants together. Beyond this and the two limits below a name is not noted, and the answer says so.
const NAMES_MAX: usize = 50_000;
/// Patterns remembered, of all tenants together: each is a compiled regular expression, and is tried on every metric asked about.
const PATTERNS_MAX: usize = 200;
/// Longest name or pattern remembered, in bytes; so names take 25 MB at most.
const TEXT_BYTES_MAX: usize = 512;

#[derive(Default)]
pub(crate) struct AskedMetrics(Mutex<Known>);

#[derive(Default)]
struct Known {
    tenants: HashMap<TenantId, Asked>,
    names: usize,
    patterns: usize,
    overflowed: bool,
}

/// What was asked of one tenant, with the time of the last question in ms.
#[derive(Default, Clone)]
pub(crate) struct Asked {
    names: HashMap<String, i64>,
    /// By the pattern's text.
    patterns: HashMap<String, (Matcher, i64)>,
}

impl AskedMetrics {
    /// Notes the metrics that these selectors name.
    pub(crate) fn note(&self, tenant: &TenantId, selectors: &[&[Matcher]], at_ms: i64) {
        let mut known = self.0.lock();
        let Known { tenants, names, patterns, overflowed } = &mut *known;
        for matchers in selectors {
            let Some(matcher) = matchers.iter().find(|matcher| names_a_metric(matcher)) else { continue };
            // Whoever is full still learns when what it knows was asked for.
            if tenants.get_mut(tenant).is_some_and(|asked| asked.update(matcher, at_ms)) {
                continue;
            }
            let (count, max) =
                if matcher.op == MatchOp::Equal { (&mut *names, NAMES_MAX) } else { (&mut *patterns, PATTERNS_MAX) };
            if *count >= max || matcher.value.len() > TEXT_BYTES_MAX {
                *overflowed = true;
                continue;
            }
            *count += 1;
            tenants.entry(tenant.clone()).or_default().add(matcher, at_ms);
        }
    }

    /// What was asked of a tenant, and whether that is all.
    pub(crate) fn of(&self, tenant: &TenantId) -> (Asked, bool) {
        let known = self.0.lock();
        (known.tenants.get(tenant).cloned().unwrap_or_default(), !known.overflowed)
    }
}

impl Asked {
    fn update(&mut self, matcher: &Matcher, at_ms: i64) -> bool {
        let last_ms = match matcher.op {
            MatchOp::Equal => self.names.get_mut(&matcher.value),
            _ => self.patterns.get_mut(&matcher.value).map(|(_, last_ms)| last_ms),
        };
        let Some(last_ms) = last_ms else { return false };
        *last_ms = at_ms.max(*last_ms);
        true
    }

    /// Notes one selector, with no limit: for what is bounded elsewhere.
    pub(crate) fn note(&mut self, matchers: &[Matcher], at_ms: i64) {
        if let Some(matcher) = matchers.iter().find(|matcher| names_a_metric(matcher))
            && !self.update(matcher, at_ms)
        {
            self.add(matcher, at_ms);
        }
    }

    fn add(&mut self, matcher: &Matcher, at_ms: i64) {
        if matcher.op == MatchOp::Equal {
            self.names.insert(matcher.value.clone(), at_ms);
        } else {
            self.patterns.insert(matcher.value.clone(), (matcher.clone(), at_ms));
        }
    }

    /// When a metric was last asked for, in ms.
    pub(crate) fn last_ms(&self, name: &str) -> Option<i64> {
        let by_pattern = self.patterns.values().filter(|(matcher, _)| matcher.matches(name)).map(|(_, at_ms)| *at_ms);
        by_pattern.chain(self.names.get(name).copied()).max()
    }
}

fn names_a_metric(matcher: &Matcher) -> bool {
    matcher.name == METRIC_NAME && matches!(matcher.op, MatchOp::Equal | MatchOp::Regex) && !matcher.matches_empty()
}

#[cfg(test)]
mod tests {
    use query::promql;

    use super::*;

    #[test]
    fn metrics_that_were_named_are_remembered_for_their_tenant() {
        let asked = AskedMetrics::default();
        let tenant = TenantId::default();
        for (text, at_ms) in [
            ("sum(rate(requests_total[5m])) / up", 10),
            ("up offset 1d", 30),
            ("up", 20),
            ("{__name__=~\"cpu_.+|mem\"}", 40),
            ("{job=\"api\"}", 50),
            ("{__name__!=\"disk\", job=\"x\"}", 60),
            ("{__name__=~\".*\", job=\"x\"}", 70),
        ] {
            let expr = promql::parse(text).unwrap();
            asked.note(&tenant, &promql::selectors(&expr), at_ms);
        }
        let (known, is_all) = asked.of(&tenant);
        assert!(is_all);
        for (name, expected) in [
            ("requests_total", Some(10)),
            ("up", Some(30)),
            ("cpu_seconds_total", Some(40)),
            ("mem", Some(40)),
            ("disk", None),
            ("job", None),
        ] {
            assert_eq!(known.last_ms(name), expected, "{name}");
        }
        assert_eq!(asked.of(&TenantId::new("other").unwrap()).0.last_ms("up"), None);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let asked = AskedMetrics::default();
        let tenant = TenantId::default();
        let matcher = |op, value: String| [Matcher::new(METRIC_NAME, op, value).unwrap()];
        let name = |n: usize| matcher(MatchOp::Equal, format!("m{n}"));
        for n in 0..NAMES_MAX {
            asked.note(&tenant, &[&name(n)], 1);
        }
        asked.note(&tenant, &[&matcher(MatchOp::Regex, "up|down".into())], 1);
        assert!(asked.of(&tenant).1);
        asked.note(&tenant, &[&name(NAMES_MAX), &name(7)], 2);
        asked.note(&TenantId::new("other").unwrap(), &[&name(1)], 2);
        let (known, is_all) = asked.of(&tenant);
        assert!(!is_all);
        assert_eq!((known.last_ms("m7"), known.last_ms(&format!("m{NAMES_MAX}"))), (Some(2), None));

        for (op, text) in
            [(MatchOp::Equal, "m".repeat(TEXT_BYTES_MAX + 1)), (MatchOp::Regex, "m?".repeat(TEXT_BYTES_MAX) + "x")]
        {
            let asked = AskedMetrics::default();
            asked.note(&tenant, &[&matcher(op, text)], 1);
            assert!(!asked.of(&tenant).1);
        }
        let asked = AskedMetrics::default();
        for n in 0..=PATTERNS_MAX {
            assert!(asked.of(&tenant).1, "{n}");
            asked.note(&tenant, &[&matcher(MatchOp::Regex, format!("m{n}.+"))], 1);
        }
        assert!(!asked.of(&tenant).1);
    }
}
