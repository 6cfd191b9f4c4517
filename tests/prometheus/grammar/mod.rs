//! Seeded random expressions over the series of [`data`](crate::data), as text.
//!
//! What is known of an expression goes with it, so that none is made whose answer may differ for a reason that is no fault: where a
//! value is rounded differently in its last bit, nothing may jump by it, so comparisons, `floor`, `topk` and the like see only exact
//! values. What Prometheus changed after the version that we compare with is left out.

mod histograms;
mod operators;
mod over_time;
mod select;

use crate::rng::Rng;

#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) text: String,
    /// Whether every value is what exact arithmetic gives.
    exact: bool,
}

fn exact(text: String) -> Expr {
    Expr { text, exact: true }
}

fn rounded(text: String) -> Expr {
    Expr { text, exact: false }
}

/// A metric: its name, its labels, and what its values are good for.
struct Metric {
    name: &'static str,
    labels: &'static [&'static str],
    counter: bool,
}

/// Counters first.
const METRICS: [Metric; 6] = [
    Metric { name: "requests_total", labels: &["job", "instance", "code"], counter: true },
    Metric { name: "bytes_total", labels: &["job", "instance"], counter: true },
    Metric { name: "joules.used", labels: &["job", "instance"], counter: true },
    Metric { name: "temperature", labels: &["job", "instance", "room"], counter: false },
    Metric { name: "level", labels: &["job", "instance"], counter: false },
    Metric { name: "build", labels: &["job", "instance", "version"], counter: false },
];
const LABELS: [&str; 6] = ["job", "instance", "code", "room", "version", "nothing"];
const CONTINUOUS: [&str; 22] = [
    "abs", "sqrt", "exp", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
    "asinh", "acosh", "atanh", "deg", "rad", "abs", "sqrt",
];
const DATES: [&str; 8] =
    ["day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"];
const GROUPED: [&str; 9] = ["sum", "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];

fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.below(from.len())]
}

fn one_in(rng: &mut Rng, of: usize) -> bool {
    rng.below(of) == 0
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
        match rng.below(16) {
            0 => self.scalar(rng, 2),
            1 => self.odd(rng),
            2..=4 => self.native(rng),
            5 => self.classic(rng),
            6 => exact(format!("sort{}({})", pick(rng, &["", "_desc"]), self.exact(rng, 2).text)),
            7 => {
                let labels: Vec<String> = self.some_labels(rng).iter().map(|label| format!(", \"{label}\"")).collect();
                let labels = if labels.is_empty() { ", \"job\"".into() } else { labels.concat() };
                exact(format!("sort_by_label{}({}{labels})", pick(rng, &["", "_desc"]), self.exact(rng, 2).text))
            }
            _ => {
                let depth = rng.below(4);
                self.vector(rng, depth)
            }
        }
    }

    /// An instant vector of exact values.
    fn exact(&self, rng: &mut Rng, depth: usize) -> Expr {
        for _ in 0..8 {
            let expr = self.vector(rng, depth);
            if expr.exact {
                return expr;
            }
        }
        exact(self.selector(rng, ""))
    }

    pub(crate) fn vector(&self, rng: &mut Rng, depth: usize) -> Expr {
        if depth == 0 {
            return if one_in(rng, 2) { exact(self.selector(rng, "")) } else { self.over_time(rng, 0) };
        }
        match rng.below(21) {
            0 => exact(self.selector(rng, "")),
            1..=4 => self.over_time(rng, depth),
            5 => rounded(format!("{}({})", pick(rng, &CONTINUOUS), self.vector(rng, depth - 1).text)),
            6 => self.stepped(rng, depth),
            7 => {
                let inner = self.vector(rng, depth - 1).text;
                rounded(match rng.below(4) {
                    0 => format!("clamp({inner}, -10, {})", self.number(rng)),
                    1 => format!("clamp_min({inner}, {})", self.scalar(rng, 1).text),
                    2 => format!("clamp_max({inner}, {})", self.scalar(rng, 1).text),
                    _ => format!("clamp({inner}, 5, 1)"),
                })
            }
            8 => {
                let inner = self.vector(rng, depth - 1);
                Expr { text: format!("{}({})", pick(rng, &["-", "+"]), inner.text), ..inner }
            }
            9 => self.labelled(rng, depth),
            10 => {
                let inner = self.vector(rng, depth - 1).text;
                match rng.below(3) {
                    0 => exact(format!("absent({inner})")),
                    1 => exact(format!("timestamp({inner})")),
                    _ => rounded(format!("vector({})", self.scalar(rng, 2).text)),
                }
            }
            11..=14 => self.aggregated(rng, depth),
            15 | 16 => self.with_scalar(rng, depth),
            _ => self.between(rng, depth),
        }
    }

    /// Functions that jump.
    fn stepped(&self, rng: &mut Rng, depth: usize) -> Expr {
        let inner = self.exact(rng, depth - 1).text;
        exact(match rng.below(7) {
            0 => format!("ceil({inner})"),
            1 => format!("floor({inner})"),
            2 => format!("round({inner})"),
            3 => format!("round({inner}, {})", pick(rng, &["0.5", "2", "10", "0.25", "-2", "0"])),
            4 => format!("sgn({inner})"),
            _ => format!("{}({inner})", pick(rng, &DATES)),
        })
    }

    /// Changed labels; the name is one of them.
    fn labelled(&self, rng: &mut Rng, depth: usize) -> Expr {
        let inner = self.vector(rng, depth - 1);
        let source = if one_in(rng, 8) { "__name__" } else { pick(rng, &LABELS) };
        let target = pick(rng, &["job", "new", "room", "instance", "dotted.label", "__name__"]);
        let text = if one_in(rng, 3) {
            let sources: Vec<String> = self.some_labels(rng).iter().map(|label| format!(", \"{label}\"")).collect();
            format!("label_join({}, \"{target}\", \"{}\"{})", inner.text, pick(rng, &["-", "", "/"]), sources.concat())
        } else {
            let replacement = pick(rng, &["$1", "x-$1", "${1}y", "", "$0", "$2$1", "$$1", "${name}"]);
            let pattern = pick(rng, &["(.*)", "(.).*", "a(.*):(.)", "(?P<name>[a-z]+).*", "", "no"]);
            format!("label_replace({}, \"{target}\", \"{replacement}\", \"{source}\", \"{pattern}\")", inner.text)
        };
        Expr { text, ..inner }
    }

    fn aggregated(&self, rng: &mut Rng, depth: usize) -> Expr {
        let grouping = self.grouping(rng);
        match rng.below(12) {
            0 => {
                let quantile = pick(rng, &["0", "0.3", "0.5", "0.99", "1", "-0.1", "1.1", "NaN"]);
                rounded(format!("quantile{grouping} ({quantile}, {})", self.vector(rng, depth - 1).text))
            }
            // Which of equal ones stays depends on the order that they come in.
            1 => {
                let inner = self.selector_of(rng, &METRICS[3], "");
                let op = pick(rng, &["topk", "bottomk"]);
                let count = pick(rng, &["0", "1", "2", "3", "100", "-1", "1.9"]);
                exact(format!("{op}{grouping} ({count}, {inner})"))
            }
            2 => {
                let label = pick(rng, &["value", "job", "dotted.value"]);
                let inner = self.selector_of(rng, &METRICS[4], "");
                exact(format!("count_values{grouping} (\"{label}\", {inner})"))
            }
            3 => {
                let ratio = pick(rng, &["0", "0.3", "0.5", "-0.5", "1", "-1", "2"]);
                let inner = self.vector(rng, depth - 1);
                Expr { text: format!("limit_ratio{grouping} ({ratio}, {})", inner.text), ..inner }
            }
            _ => {
                let inner = self.vector(rng, depth - 1);
                let op = pick(rng, &GROUPED);
                let is_exact = matches!(op, "count" | "group") || inner.exact && matches!(op, "sum" | "min" | "max");
                let text = if one_in(rng, 4) {
                    format!("{op}({}){grouping}", inner.text)
                } else {
                    format!("{op}{grouping} ({})", inner.text)
                };
                Expr { text, exact: is_exact }
            }
        }
    }

    /// NaN, the infinities, and numbers at both ends.
    fn odd(&self, rng: &mut Rng) -> Expr {
        let selector = format!("odd{}{}", self.matchers(rng, &["job", "instance"]), self.shift(rng));
        let range = format!("odd{}[{}]", self.matchers(rng, &["job", "instance"]), pick(rng, &select::RANGES));
        exact(match rng.below(13) {
            0 => selector,
            1 => format!("{}_over_time({range})", pick(rng, &["min", "max", "count", "last", "present", "sum", "avg"])),
            2 => format!("quantile_over_time({}, {range})", pick(rng, &["0", "0.5", "0.9", "1"])),
            3 => format!("{}({range})", pick(rng, &["changes", "resets", "idelta", "rate", "delta", "irate"])),
            4 => format!(
                "{}{} ({selector})",
                pick(rng, &["min", "max", "count", "group", "sum", "avg", "stddev"]),
                self.grouping(rng)
            ),
            5 => format!("quantile{} ({}, {selector})", self.grouping(rng), pick(rng, &["0", "0.5", "0.9", "1"])),
            6 => format!(
                "{}({selector})",
                pick(rng, &["abs", "ceil", "floor", "sqrt", "exp", "ln", "sgn", "round", "atan", "sinh"])
            ),
            7 => format!(
                "{selector} {} {}",
                pick(rng, &["+", "-", "*", "/", "%", "^", "==", "!=", ">", "<=", "atan2"]),
                self.number(rng)
            ),
            8 => format!("clamp({selector}, {}, {})", self.number(rng), self.number(rng)),
            9 => format!("sort{}({selector})", pick(rng, &["", "_desc"])),
            10 => format!("{}({selector})", pick(rng, &["-", "scalar", "absent", "timestamp"])),
            11 => format!("{}({selector})", pick(rng, &["hour", "month", "year", "minute"])),
            _ => format!("{selector} {} odd", pick(rng, &["+", "*", "/", "^", "%", "==", ">", "and"])),
        })
    }
}
