//! Seeded random expressions over the series of [`data`](crate::data), as text.
//!
//! What is known of an expression goes with it, so that none is made whose answer may differ for a reason that is no fault:
//! - the name of a series whose value changed goes at once in Prometheus, and at the end here (as with its
//!   `promql-delayed-name-removal`): the two agree as long as names alone never tell series apart;
//! - where a value is rounded differently in its last bit, nothing may jump by it: comparisons, `floor`, `topk` and the like see
//!   only exact values;
//! - what Prometheus 2 did otherwise and 3 repaired is left out: `predict_linear` with `@` (its window moved), a name kept by
//!   `atan2`, native histograms beyond the plainest.

use crate::rng::Rng;

#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) text: String,
    /// Whether its series still have names.
    named: bool,
    /// Whether every value is what exact arithmetic gives.
    exact: bool,
}

/// A metric: its name, its labels, and what its values are good for.
struct Metric {
    name: &'static str,
    labels: &'static [&'static str],
    counter: bool,
}

const METRICS: [Metric; 5] = [
    Metric { name: "requests_total", labels: &["job", "instance", "code"], counter: true },
    Metric { name: "bytes_total", labels: &["job", "instance"], counter: true },
    Metric { name: "temperature", labels: &["job", "instance", "room"], counter: false },
    Metric { name: "level", labels: &["job", "instance"], counter: false },
    Metric { name: "build", labels: &["job", "instance", "version"], counter: false },
];
const LABELS: [&str; 6] = ["job", "instance", "code", "room", "version", "nothing"];
const COMPARISONS: [&str; 6] = ["==", "!=", ">", "<", ">=", "<="];
const GROUPED: [&str; 7] = ["sum", "sum", "avg", "min", "max", "count", "group"];
const EXACT_OVER_TIME: [&str; 6] = ["sum", "min", "max", "count", "last", "present"];
const ROUND_OVER_TIME: [&str; 3] = ["avg", "stddev", "stdvar"];
const CONTINUOUS: [&str; 22] = [
    "abs", "sqrt", "exp", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
    "asinh", "acosh", "atanh", "deg", "rad", "abs", "sqrt",
];
const DATES: [&str; 8] =
    ["day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"];
const RANGES: [&str; 8] = ["1m", "2m", "90s", "5m", "10m", "1h", "17m30s", "31s"];

fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.below(from.len())]
}

fn one_in(rng: &mut Rng, of: usize) -> bool {
    rng.below(of) == 0
}

fn some_labels(rng: &mut Rng) -> Vec<&'static str> {
    LABELS.into_iter().filter(|_| one_in(rng, 2)).collect()
}

pub(crate) struct Grammar {
    /// Middle of the data in seconds, for `@`.
    pub(crate) middle_s: i64,
    /// Whether there is any `@`.
    pub(crate) pins: bool,
}

impl Grammar {
    /// Any expression that both servers should answer alike.
    pub(crate) fn query(&self, rng: &mut Rng) -> Expr {
        match rng.below(14) {
            0 => Expr { text: self.scalar(rng, 2).text, named: false, exact: false },
            1 => self.odd(rng),
            2 => self.native(rng),
            3 => self.classic(rng),
            4 => Expr {
                text: format!("sort{}({})", pick(rng, &["", "_desc"]), self.exact(rng, 2).text),
                named: true,
                exact: true,
            },
            // Only outermost, where it can be told that theirs is 0 of a single NaN.
            5 => {
                let (op, grouping) = (pick(rng, &["stddev", "stdvar"]), self.grouping(rng));
                Expr { text: format!("{op}{grouping} ({})", self.vector(rng, 2).text), named: false, exact: false }
            }
            _ => {
                let depth = rng.below(4);
                self.vector(rng, depth)
            }
        }
    }

    fn matchers(&self, rng: &mut Rng, labels: &[&str]) -> String {
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
    fn shift(&self, rng: &mut Rng) -> String {
        let mut parts = Vec::new();
        if one_in(rng, 6) {
            parts.push(format!("offset {}", pick(rng, &["1m", "5m", "-2m", "30s", "1h", "-7s"])));
        }
        if self.pins && one_in(rng, 10) {
            let within = rng.below(3_600) as i64 - 1_800;
            let at = (self.middle_s + within).to_string();
            parts.push(format!("@ {}", [at.as_str(), "start()", "end()"][rng.below(3)]));
        }
        if one_in(rng, 2) {
            parts.reverse();
        }
        parts.iter().map(|part| format!(" {part}")).collect()
    }

    fn selector(&self, rng: &mut Rng, range: &str) -> String {
        let metric = rng.pick(&METRICS);
        self.selector_of(rng, metric, range)
    }

    fn selector_of(&self, rng: &mut Rng, metric: &Metric, range: &str) -> String {
        let matchers = self.matchers(rng, metric.labels);
        let name = metric.name;
        let named = match (one_in(rng, 10), matchers.strip_prefix('{')) {
            (true, Some(rest)) => format!("{{__name__=\"{name}\",{rest}"),
            _ => format!("{name}{matchers}"),
        };
        let bracket = if range.is_empty() { String::new() } else { format!("[{range}]") };
        format!("{named}{bracket}{}", self.shift(rng))
    }

    /// A range vector: of a selector, or a subquery whose ends lie between its steps, so that which ends belong to it is the same.
    fn range(&self, rng: &mut Rng, depth: usize) -> Expr {
        let range = pick(rng, &RANGES);
        if depth > 0 && one_in(rng, 4) {
            let inner = self.vector(rng, depth - 1);
            let step = pick(rng, &["30s", "1m", "17s", "", "5m"]);
            let range = pick(rng, &["5m", "10m", "20m", "1h"]);
            let text = format!("({})[{range}500ms:{step}]{}", inner.text, self.shift(rng));
            return Expr { text, ..inner };
        }
        Expr { text: self.selector(rng, range), named: true, exact: true }
    }

    fn over_time(&self, rng: &mut Rng, depth: usize) -> Expr {
        let range = self.range(rng, depth);
        let (text, named, exact) = match rng.below(12) {
            0..=3 => {
                let metric = &METRICS[rng.below(2)];
                assert!(metric.counter);
                let function = pick(rng, &["rate", "rate", "increase", "irate"]);
                let range = pick(rng, &RANGES);
                (format!("{function}({})", self.selector_of(rng, metric, range)), false, false)
            }
            4 => (format!("{}({})", pick(rng, &["delta", "idelta", "deriv"]), range.text), false, false),
            5 if range.exact => (format!("{}({})", pick(rng, &["changes", "resets"]), range.text), false, true),
            6 => {
                let name = pick(rng, &ROUND_OVER_TIME);
                (format!("{name}_over_time({})", range.text), false, false)
            }
            7 => {
                let quantile = pick(rng, &["0", "0.25", "0.5", "0.9", "1", "-1", "2", "NaN"]);
                (format!("quantile_over_time({quantile}, {})", range.text), false, false)
            }
            8 => {
                let ahead = pick(rng, &["0", "60", "3600", "-30"]);
                let range = Grammar { pins: false, ..*self }.range(rng, 0);
                (format!("predict_linear({}, {ahead})", range.text), false, false)
            }
            9 => (format!("holt_winters({}, 0.5, 0.3)", range.text), false, false),
            10 => (format!("absent_over_time({})", range.text), false, true),
            _ => {
                let name = pick(rng, &EXACT_OVER_TIME);
                (format!("{name}_over_time({})", range.text), name == "last" && range.named, range.exact)
            }
        };
        Expr { text, named, exact }
    }

    /// An instant vector of exact values.
    fn exact(&self, rng: &mut Rng, depth: usize) -> Expr {
        for _ in 0..8 {
            let expr = self.vector(rng, depth);
            if expr.exact {
                return expr;
            }
        }
        Expr { text: self.selector(rng, ""), named: true, exact: true }
    }

    pub(crate) fn vector(&self, rng: &mut Rng, depth: usize) -> Expr {
        if depth == 0 {
            return if one_in(rng, 2) {
                Expr { text: self.selector(rng, ""), named: true, exact: true }
            } else {
                self.over_time(rng, 0)
            };
        }
        match rng.below(20) {
            0 => Expr { text: self.selector(rng, ""), named: true, exact: true },
            1..=4 => self.over_time(rng, depth),
            5 => {
                let inner = self.vector(rng, depth - 1);
                Expr { text: format!("{}({})", pick(rng, &CONTINUOUS), inner.text), named: false, exact: false }
            }
            6 => self.stepped(rng, depth),
            7 => {
                let inner = self.vector(rng, depth - 1);
                let text = match rng.below(4) {
                    0 => format!("clamp({}, -10, {})", inner.text, self.number(rng)),
                    1 => format!("clamp_min({}, {})", inner.text, self.scalar(rng, 1).text),
                    2 => format!("clamp_max({}, {})", inner.text, self.scalar(rng, 1).text),
                    _ => format!("clamp({}, 5, 1)", inner.text),
                };
                Expr { text, named: false, exact: false }
            }
            8 => {
                let inner = self.vector(rng, depth - 1);
                Expr { text: format!("-{}", self.operand(&inner)), named: false, exact: inner.exact }
            }
            9 => self.labelled(rng, depth),
            10 => {
                let inner = self.vector(rng, depth - 1);
                match rng.below(3) {
                    0 => Expr { text: format!("absent({})", inner.text), named: false, exact: true },
                    1 => Expr { text: format!("timestamp({})", inner.text), named: false, exact: true },
                    _ => Expr { text: format!("vector({})", self.scalar(rng, 2).text), named: false, exact: false },
                }
            }
            11..=13 => self.aggregated(rng, depth),
            14 | 15 => self.with_scalar(rng, depth),
            _ => self.between(rng, depth),
        }
    }

    fn operand(&self, expr: &Expr) -> String {
        format!("({})", expr.text)
    }

    /// Functions that jump.
    fn stepped(&self, rng: &mut Rng, depth: usize) -> Expr {
        let inner = self.exact(rng, depth - 1);
        let text = match rng.below(7) {
            0 => format!("ceil({})", inner.text),
            1 => format!("floor({})", inner.text),
            2 => format!("round({})", inner.text),
            3 => format!("round({}, {})", inner.text, pick(rng, &["0.5", "2", "10", "0.25"])),
            4 => format!("sgn({})", inner.text),
            _ => format!("{}({})", pick(rng, &DATES), inner.text),
        };
        Expr { text, named: false, exact: true }
    }

    /// Changed labels; the name stays as it was.
    fn labelled(&self, rng: &mut Rng, depth: usize) -> Expr {
        let inner = self.vector(rng, depth - 1);
        let (source, target) = (pick(rng, &LABELS), pick(rng, &["job", "new", "room", "instance"]));
        let text = if one_in(rng, 3) {
            let sources: Vec<String> = some_labels(rng).iter().map(|label| format!(", \"{label}\"")).collect();
            format!("label_join({}, \"{target}\", \"{}\"{})", inner.text, pick(rng, &["-", "", "/"]), sources.concat())
        } else {
            let replacement = pick(rng, &["$1", "x-$1", "${1}y", "", "$0", "$2$1", "$$1", "${name}"]);
            let pattern = pick(rng, &["(.*)", "(.).*", "a(.*):(.)", "(?P<name>[a-z]+).*", "", "no"]);
            format!("label_replace({}, \"{target}\", \"{replacement}\", \"{source}\", \"{pattern}\")", inner.text)
        };
        Expr { text, ..inner }
    }

    fn grouping(&self, rng: &mut Rng) -> String {
        match rng.below(5) {
            0 | 1 => format!(" by ({})", some_labels(rng).join(", ")),
            2 | 3 => format!(" without ({})", some_labels(rng).join(", ")),
            _ => String::new(),
        }
    }

    fn aggregated(&self, rng: &mut Rng, depth: usize) -> Expr {
        let grouping = self.grouping(rng);
        match rng.below(10) {
            0 => {
                let inner = self.vector(rng, depth - 1);
                let quantile = pick(rng, &["0", "0.3", "0.5", "0.99", "1", "-0.1", "1.1"]);
                Expr { text: format!("quantile{grouping} ({quantile}, {})", inner.text), named: false, exact: false }
            }
            // Which of equal ones stays depends on the order that they come in.
            1 => {
                let metric = &METRICS[2];
                let inner = self.selector_of(rng, metric, "");
                let op = pick(rng, &["topk", "bottomk"]);
                let count = pick(rng, &["0", "1", "2", "3", "100", "-1"]);
                Expr { text: format!("{op}{grouping} ({count}, {inner})"), named: true, exact: true }
            }
            2 => {
                let inner = self.selector_of(rng, &METRICS[3], "");
                Expr { text: format!("count_values{grouping} (\"value\", {inner})"), named: false, exact: true }
            }
            _ => {
                let inner = self.vector(rng, depth - 1);
                let op = pick(rng, &GROUPED);
                let exact = matches!(op, "count" | "group") || inner.exact && matches!(op, "sum" | "min" | "max");
                let text = if one_in(rng, 4) {
                    format!("{op}({}){grouping}", inner.text)
                } else {
                    format!("{op}{grouping} ({})", inner.text)
                };
                Expr { text, named: false, exact }
            }
        }
    }

    fn number(&self, rng: &mut Rng) -> &'static str {
        pick(rng, &["0", "1", "2", "-1", "0.5", "10", "100", "1e6", "Inf", "NaN", "-0.0", ".5", "0x10", "1e-3"])
    }

    /// Exact ones only where nothing but numbers and `time()` are in it.
    pub(crate) fn scalar(&self, rng: &mut Rng, depth: usize) -> Expr {
        let exact = |text: String| Expr { text, named: false, exact: true };
        match rng.below(8) {
            0 => exact("time()".into()),
            1 if depth > 0 => {
                let inner = self.vector(rng, depth - 1);
                Expr { text: format!("scalar({})", inner.text), named: false, exact: inner.exact }
            }
            2 if depth > 0 => {
                let inner = self.scalar(rng, depth - 1);
                Expr { text: format!("-({})", inner.text), ..inner }
            }
            3 if depth > 0 => {
                let (left, right) = (self.scalar(rng, depth - 1), self.scalar(rng, depth - 1));
                let op = pick(rng, &["+", "-", "*", "/", "^"]);
                Expr { text: format!("({}) {op} ({})", left.text, right.text), named: false, exact: false }
            }
            4 if depth > 0 => {
                let op = pick(rng, &COMPARISONS);
                exact(format!("({} {op} bool {})", self.number(rng), self.number(rng)))
            }
            5 => Expr { text: "pi()".into(), named: false, exact: false },
            _ => exact(self.number(rng).into()),
        }
    }

    fn with_scalar(&self, rng: &mut Rng, depth: usize) -> Expr {
        if one_in(rng, 2) {
            let op = pick(rng, &COMPARISONS);
            let bool = if one_in(rng, 2) { " bool" } else { "" };
            let vector = self.exact(rng, depth - 1);
            let scalar = self.number(rng);
            let named = vector.named && bool.is_empty();
            let (left, right) = (self.operand(&vector), scalar.to_owned());
            let (left, right) = if one_in(rng, 2) { (left, right) } else { (right, left) };
            return Expr { text: format!("{left} {op}{bool} {right}"), named, exact: true };
        }
        let vector = self.vector(rng, depth - 1);
        let scalar = self.scalar(rng, 1);
        let op = if vector.named { pick(rng, &["+", "-", "*", "/", "^"]) } else { "atan2" };
        let (left, right) = (self.operand(&vector), format!("({})", scalar.text));
        let (left, right) = if one_in(rng, 2) { (left, right) } else { (right, left) };
        Expr { text: format!("{left} {op} {right}"), named: false, exact: false }
    }

    /// An operator between two vectors.
    fn between(&self, rng: &mut Rng, depth: usize) -> Expr {
        let op = pick(rng, &["+", "-", "*", "/", "==", "!=", ">", "<=", "and", "or", "unless", "and", "or", "unless"]);
        let is_set = matches!(op, "and" | "or" | "unless");
        let compares = COMPARISONS.contains(&op);
        let operand = |rng: &mut Rng| if compares { self.exact(rng, depth - 1) } else { self.vector(rng, depth - 1) };
        let mut left = operand(rng);
        // Often the same one again, so that there is something to match.
        let mut right = if one_in(rng, 2) { left.clone() } else { operand(rng) };
        if op == "or" {
            for side in [&mut left, &mut right] {
                if side.named {
                    *side = Expr { text: format!("{} + 0", self.operand(side)), named: false, exact: side.exact };
                }
            }
        }
        let bool = if compares && one_in(rng, 2) { " bool" } else { "" };
        let mut matching = String::new();
        if one_in(rng, 2) {
            let word = pick(rng, &["on", "ignoring"]);
            let labels = some_labels(rng);
            matching = format!(" {word} ({})", labels.join(", "));
            if !is_set && one_in(rng, 2) {
                let include = if one_in(rng, 3) && !(word == "on" && labels.contains(&"room")) { "(room)" } else { "" };
                matching.push_str(&format!(" {}{include}", pick(rng, &["group_left", "group_right"])));
            }
        }
        let text = format!("{} {op}{bool}{matching} {}", self.operand(&left), self.operand(&right));
        let named = match op {
            "and" | "unless" => left.named,
            _ => compares && bool.is_empty() && (left.named || right.named),
        };
        Expr { text, named, exact: left.exact && right.exact && !matches!(op, "*" | "/") }
    }

    /// NaN and the infinities, where adding up is not in play: Prometheus 2 lost itself in infinite sums.
    fn odd(&self, rng: &mut Rng) -> Expr {
        let selector = format!("odd{}{}", self.matchers(rng, &["job", "instance"]), self.shift(rng));
        let range = format!("odd{}[{}]", self.matchers(rng, &["job", "instance"]), pick(rng, &RANGES));
        let text = match rng.below(12) {
            0 => selector,
            1 => format!("{}_over_time({range})", pick(rng, &["min", "max", "count", "last", "present"])),
            2 => format!("quantile_over_time({}, {range})", pick(rng, &["0", "0.5", "0.9", "1"])),
            3 => format!("{}({range})", pick(rng, &["changes", "resets", "idelta"])),
            4 => format!("{}{} ({selector})", pick(rng, &["min", "max", "count", "group"]), self.grouping(rng)),
            5 => format!("quantile{} ({}, {selector})", self.grouping(rng), pick(rng, &["0", "0.5", "0.9", "1"])),
            6 => format!(
                "{}({selector})",
                pick(rng, &["abs", "ceil", "floor", "sqrt", "exp", "ln", "sgn", "round", "atan", "sinh"])
            ),
            7 => format!(
                "{selector} {} {}",
                pick(rng, &["+", "-", "*", "/", "%", "^", "==", "!=", ">", "<="]),
                self.number(rng)
            ),
            8 => format!("clamp({selector}, {}, {})", self.number(rng), self.number(rng)),
            9 => format!("sort{}({selector})", pick(rng, &["", "_desc"])),
            10 => format!("{}({selector})", pick(rng, &["-", "scalar", "absent", "timestamp"])),
            _ => format!("{selector} {} odd", pick(rng, &["+", "*", "/", "^", "%", "==", ">", "and"])),
        };
        Expr { text, named: true, exact: true }
    }

    /// Native histograms, as far as Prometheus 2.42 had settled what they mean.
    fn native(&self, rng: &mut Rng) -> Expr {
        let matchers = self.matchers(rng, &["job", "instance"]);
        let shift = self.shift(rng);
        let range = pick(rng, &RANGES);
        let text = match rng.below(6) {
            0 => format!("size{matchers}{shift}"),
            1 => format!("histogram_{}(size{matchers}{shift})", pick(rng, &["count", "sum"])),
            2 => format!("sum{} (size{matchers}{shift})", self.grouping(rng)),
            3 => format!(
                "histogram_{}({}(size{matchers}[{range}]{shift}))",
                pick(rng, &["count", "sum"]),
                pick(rng, &["rate", "increase"])
            ),
            4 => format!("{}(size{matchers}[{range}]{shift})", pick(rng, &["count_over_time", "present_over_time"])),
            _ => format!("count{} (size{matchers}{shift})", self.grouping(rng)),
        };
        Expr { text, named: true, exact: false }
    }

    /// Classic histograms.
    fn classic(&self, rng: &mut Rng) -> Expr {
        let matchers = self.matchers(rng, &["job", "instance"]);
        let quantile = pick(rng, &["0", "0.1", "0.5", "0.9", "0.99", "1", "-1", "2"]);
        let range = pick(rng, &["2m", "5m", "20m"]);
        let rate = format!("rate(latency_bucket{matchers}[{range}]{})", self.shift(rng));
        let text = match rng.below(4) {
            0 => format!("histogram_quantile({quantile}, {rate})"),
            1 => format!(
                "histogram_quantile({quantile}, sum by (le, {}) ({rate}))",
                pick(rng, &["job", "instance", "nothing"])
            ),
            2 => format!("histogram_quantile({quantile}, latency_bucket{matchers})"),
            _ => format!("rate(latency_sum{matchers}[{range}]) / rate(latency_count{matchers}[{range}])"),
        };
        Expr { text, named: false, exact: false }
    }
}
