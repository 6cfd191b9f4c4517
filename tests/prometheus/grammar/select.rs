//! Selectors, and what may follow them.

use super::{Grammar, LABELS, METRICS, Metric};
use chance::Random;

pub(super) const RANGES: [&str; 15] = [
    "1m",
    "2m",
    "90s",
    "5m",
    "10m",
    "1h",
    "17m30s",
    "31s",
    "60",
    "2m+30s",
    "3m*2",
    "(1h-10m)/5",
    "(1h)/7",
    "45s500ms",
    "1s",
];

/// A label where it stands as a name: in quotes if it is no identifier.
pub(super) fn named(label: &str) -> String {
    if label.contains('.') { format!("\"{label}\"") } else { label.into() }
}

/// With commas between.
pub(super) fn list(labels: &[&str]) -> String {
    labels.iter().map(|label| named(label)).collect::<Vec<_>>().join(", ")
}

impl Grammar {
    pub(super) fn matchers(&self, rng: &mut Random, labels: &[&str]) -> String {
        let mut all = Vec::new();
        for _ in 0..rng.pick(&[0, 0, 0, 1, 1, 2, 3]) {
            let label = if rng.one_in(8) { "nothing" } else { labels[rng.below(labels.len())] };
            let op = rng.pick(&["=", "!=", "=~", "!~"]);
            let value = if op.contains('~') {
                rng.pick(&[
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
                    "a:1|b:1|",
                    "(?i)W.B|none",
                    "w{1}eb",
                    "(?:p|q)?",
                    ".",
                    "x?",
                ])
            } else {
                rng.pick(&["api", "web", "a:1", "c:1", "200", "hall", "", "v1", "p", "absent"])
            };
            // Which of two of a label `absent` tells depends on whether an index was asked.
            let label = named(label);
            if !all.iter().any(|one: &String| one.starts_with(&label)) {
                all.push(format!("{label}{op}\"{value}\""));
            }
        }
        if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
    }

    /// `offset` and `@`, in either order.
    pub(super) fn shift(&self, rng: &mut Random) -> String {
        let mut parts = Vec::new();
        if rng.one_in(6) {
            let offset = rng.pick(&["1m", "5m", "-2m", "30s", "1h", "-7s", "90", "1ms", "1m30s500ms"]);
            parts.push(format!("offset {offset}"));
        }
        if self.pins && rng.one_in(10) {
            let within = rng.below(3_600) - 1_800;
            let at = (self.middle_s + within).to_string();
            let half = format!("{at}.5");
            parts.push(format!("@ {}", [at.as_str(), half.as_str(), "start()", "end()", "0", "-1"][rng.below(6)]));
        }
        if rng.one_in(2) {
            parts.reverse();
        }
        parts.iter().map(|part| format!(" {part}")).collect()
    }

    pub(super) fn selector(&self, rng: &mut Random, range: &str) -> String {
        let metric = rng.pick(&METRICS);
        self.selector_of(rng, &metric, range)
    }

    pub(super) fn selector_of(&self, rng: &mut Random, metric: &Metric, range: &str) -> String {
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

    pub(super) fn some_labels(&self, rng: &mut Random) -> Vec<&'static str> {
        LABELS.into_iter().filter(|_| rng.one_in(2)).collect()
    }

    pub(super) fn grouping(&self, rng: &mut Random) -> String {
        match rng.below(5) {
            0 | 1 => format!(" by ({})", list(&self.some_labels(rng))),
            2 | 3 => format!(" without ({})", list(&self.some_labels(rng))),
            _ => String::new(),
        }
    }
}
