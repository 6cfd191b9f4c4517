//! Selectors, and what may follow them.

use super::{Grammar, LABELS, METRICS, Metric, one_in, pick};
use crate::rng::Rng;

pub(super) const RANGES: [&str; 12] =
    ["1m", "2m", "90s", "5m", "10m", "1h", "17m30s", "31s", "60", "2m+30s", "3m*2", "(1h-10m)/5"];

impl Grammar {
    pub(super) fn matchers(&self, rng: &mut Rng, labels: &[&str]) -> String {
        let mut all = Vec::new();
        for _ in 0..*rng.pick(&[0, 0, 0, 1, 1, 2, 3]) {
            let label = if one_in(rng, 8) { "nothing" } else { labels[rng.below(labels.len())] };
            let op = pick(rng, &["=", "!=", "=~", "!~"]);
            let value = if op.contains('~') {
                pick(
                    rng,
                    &[
                        "a.*|b:1",
                        "api|web",
                        ".*",
                        ".+",
                        "",
                        "[a-b]:1",
                        "(?i)API",
                        "4..",
                        "[24]0[0-9]",
                        "w.b",
                        "^web$",
                        "h(all)?",
                        "api|",
                        "(a|b):[^0]",
                    ],
                )
            } else {
                pick(rng, &["api", "web", "a:1", "c:1", "200", "hall", "", "v1", "absent"])
            };
            all.push(format!("{label}{op}\"{value}\""));
        }
        if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
    }

    /// `offset` and `@`, in either order.
    pub(super) fn shift(&self, rng: &mut Rng) -> String {
        let mut parts = Vec::new();
        if one_in(rng, 6) {
            let offset = pick(rng, &["1m", "5m", "-2m", "30s", "1h", "-7s", "90"]);
            parts.push(format!("offset {offset}"));
        }
        if self.pins && one_in(rng, 10) {
            let within = rng.below(3_600) as i64 - 1_800;
            let at = (self.middle_s + within).to_string();
            let half = format!("{at}.5");
            parts.push(format!("@ {}", [at.as_str(), half.as_str(), "start()", "end()", "0", "-1"][rng.below(6)]));
        }
        if one_in(rng, 2) {
            parts.reverse();
        }
        parts.iter().map(|part| format!(" {part}")).collect()
    }

    pub(super) fn selector(&self, rng: &mut Rng, range: &str) -> String {
        let metric = rng.pick(&METRICS);
        self.selector_of(rng, metric, range)
    }

    pub(super) fn selector_of(&self, rng: &mut Rng, metric: &Metric, range: &str) -> String {
        let matchers = self.matchers(rng, metric.labels);
        let name = metric.name;
        let quoted = !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let inside = matchers.strip_prefix('{').unwrap_or("}");
        let named = match rng.below(12) {
            0 => format!("{{__name__=\"{name}\",{inside}"),
            1 => format!("{{__name__=~\"{}\",{inside}", name.replace('.', "[.]")),
            2 => format!("{{\"{name}\",{inside}"),
            _ if quoted => format!("{{\"{name}\",{inside}"),
            _ => format!("{name}{matchers}"),
        };
        let bracket = if range.is_empty() { String::new() } else { format!("[{range}]") };
        format!("{named}{bracket}{}", self.shift(rng))
    }

    pub(super) fn some_labels(&self, rng: &mut Rng) -> Vec<&'static str> {
        LABELS.into_iter().filter(|_| one_in(rng, 2)).collect()
    }

    pub(super) fn grouping(&self, rng: &mut Rng) -> String {
        match rng.below(5) {
            0 | 1 => format!(" by ({})", self.some_labels(rng).join(", ")),
            2 | 3 => format!(" without ({})", self.some_labels(rng).join(", ")),
            _ => String::new(),
        }
    }
}
