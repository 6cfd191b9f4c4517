//! Seeded random expressions over the series of [`data`](crate::data), as text.
//!
//! What is known of an expression goes with it, so that none is made whose answer may differ for a reason that is no fault: where a
//! value is rounded differently in its last bit, nothing may jump by it, so comparisons, `floor`, `topk` and the like see only exact
//! values. What Prometheus changed after the version that we compare with is left out.

mod chains;
mod histograms;
mod operators;
mod over_time;
mod select;
mod spelling;

use chance::Random;

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
#[derive(Clone, Copy)]
struct Metric {
    name: &'static str,
    labels: &'static [&'static str],
    counter: bool,
}

/// Counters first.
const METRICS: [Metric; 6] = [
    Metric { name: "requests_total", labels: &["job", "instance", "code"], counter: true },
    Metric { name: "bytes_total", labels: &["job", "instance"], counter: true },
    Metric { name: "joules.used", labels: &["job", "instance", "dotted.label"], counter: true },
    Metric { name: "temperature", labels: &["job", "instance", "room"], counter: false },
    Metric { name: "level", labels: &["job", "instance"], counter: false },
    Metric { name: "build", labels: &["job", "instance", "version"], counter: false },
];
const LABELS: [&str; 7] = ["job", "instance", "code", "room", "version", "dotted.label", "nothing"];
/// In place of a parameter that is the same at every step.
const CHANGING: [&str; 3] = ["time() % 3", "(time() % 5) / 4", "1 - time() % 2"];
const CONTINUOUS: [&str; 22] = [
    "abs", "sqrt", "exp", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
    "asinh", "acosh", "atanh", "deg", "rad", "abs", "sqrt",
];
const DATES: [&str; 8] =
    ["day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"];
const GROUPED: [&str; 9] = ["sum", "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];

/// The parameter of an aggregation, now and then one that changes. Of what is pinned Prometheus takes that of the first step
/// for all, and an `@` in a parameter drifts with the steps: it seeks what is pinned in what is aggregated alone, and 3.16 still does. Here
/// each is taken as it is written (`tests/promql/aggregators.test`).
fn parameter(rng: &mut Random, number: &'static str, aggregated: &str) -> &'static str {
    if !aggregated.contains('@') && rng.one_in(4) { rng.pick(&CHANGING) } else { number }
}

pub(crate) struct Grammar {
    /// Middle of the data in seconds, for `@`.
    pub(crate) middle_s: i64,
    /// Whether there is any `@`.
    pub(crate) pins: bool,
}

impl Grammar {
    /// Any expression that both servers should answer alike.
    pub(crate) fn query(&self, rng: &mut Random) -> Expr {
        let expr = self.plain(rng);
        if rng.one_in(5) { Expr { text: spelling::anew(rng, &expr.text), ..expr } } else { expr }
    }

    fn plain(&self, rng: &mut Random) -> Expr {
        match rng.below(20) {
            0 => self.scalar(rng, 2),
            1 => self.odd(rng),
            2..=4 => self.native(rng),
            5 => self.classic(rng),
            6 => exact(format!("sort{}({})", rng.pick(&["", "_desc"]), self.exact(rng, 2).text)),
            7 => {
                let labels: Vec<String> = self.some_labels(rng).iter().map(|label| format!(", \"{label}\"")).collect();
                let labels = if labels.is_empty() { ", \"job\"".into() } else { labels.concat() };
                exact(format!("sort_by_label{}({}{labels})", rng.pick(&["", "_desc"]), self.exact(rng, 2).text))
            }
            8..=10 => self.chain(rng),
            _ => {
                let depth = rng.below(4);
                self.vector(rng, depth)
            }
        }
    }

    /// An instant vector of exact values.
    fn exact(&self, rng: &mut Random, depth: usize) -> Expr {
        for _ in 0..8 {
            let expr = self.vector(rng, depth);
            if expr.exact {
                return expr;
            }
        }
        exact(self.selector(rng, ""))
    }

    pub(crate) fn vector(&self, rng: &mut Random, depth: usize) -> Expr {
        if depth == 0 {
            return if rng.one_in(2) { exact(self.selector(rng, "")) } else { self.over_time(rng, 0) };
        }
        match rng.below(21) {
            0 => exact(self.selector(rng, "")),
            1..=4 => self.over_time(rng, depth),
            5 => rounded(format!("{}({})", rng.pick(&CONTINUOUS), self.vector(rng, depth - 1).text)),
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
                Expr { text: format!("{}({})", rng.pick(&["-", "+"]), inner.text), ..inner }
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
    fn stepped(&self, rng: &mut Random, depth: usize) -> Expr {
        let inner = self.exact(rng, depth - 1).text;
        exact(match rng.below(7) {
            0 => format!("ceil({inner})"),
            1 => format!("floor({inner})"),
            2 => format!("round({inner})"),
            3 => format!("round({inner}, {})", rng.pick(&["0.5", "2", "10", "0.25", "-2", "0"])),
            4 => format!("sgn({inner})"),
            _ => format!("{}({inner})", rng.pick(&DATES)),
        })
    }

    /// Changed labels; the name is one of them.
    fn labelled(&self, rng: &mut Random, depth: usize) -> Expr {
        let inner = self.vector(rng, depth - 1);
        let source = if rng.one_in(8) { "__name__" } else { rng.pick(&LABELS) };
        let target = rng.pick(&["job", "new", "room", "instance", "dotted.label", "__name__"]);
        let text = if rng.one_in(3) {
            let sources: Vec<String> = self.some_labels(rng).iter().map(|label| format!(", \"{label}\"")).collect();
            format!("label_join({}, \"{target}\", \"{}\"{})", inner.text, rng.pick(&["-", "", "/"]), sources.concat())
        } else {
            let replacement = rng.pick(&["$1", "x-$1", "${1}y", "", "$0", "$2$1", "$$1", "${name}"]);
            let pattern = rng.pick(&["(.*)", "(.).*", "a(.*):(.)", "(?P<name>[a-z]+).*", "", "no"]);
            format!("label_replace({}, \"{target}\", \"{replacement}\", \"{source}\", \"{pattern}\")", inner.text)
        };
        Expr { text, ..inner }
    }

    fn aggregated(&self, rng: &mut Random, depth: usize) -> Expr {
        let grouping = self.grouping(rng);
        match rng.below(12) {
            0 => {
                let inner = self.vector(rng, depth - 1).text;
                let quantile = rng.pick(&["0", "0.3", "0.5", "0.99", "1", "-0.1", "1.1", "NaN"]);
                rounded(format!("quantile{grouping} ({}, {inner})", parameter(rng, quantile, &inner)))
            }
            // Which of equal ones stays depends on the order that they come in.
            1 => {
                let inner = self.selector_of(rng, &METRICS[3], "");
                let op = rng.pick(&["topk", "bottomk"]);
                let count = rng.pick(&["0", "1", "2", "3", "100", "-1", "1.9"]);
                exact(format!("{op}{grouping} ({}, {inner})", parameter(rng, count, &inner)))
            }
            2 => {
                let label = rng.pick(&["value", "job", "dotted.value"]);
                let inner = self.selector_of(rng, &METRICS[4], "");
                exact(format!("count_values{grouping} (\"{label}\", {inner})"))
            }
            3 => {
                let ratio = rng.pick(&["0", "0.3", "0.5", "-0.5", "1", "-1", "2"]);
                let inner = self.vector(rng, depth - 1);
                Expr { text: format!("limit_ratio{grouping} ({ratio}, {})", inner.text), ..inner }
            }
            _ => {
                let inner = self.vector(rng, depth - 1);
                let op = rng.pick(&GROUPED);
                let is_exact = matches!(op, "count" | "group") || inner.exact && matches!(op, "sum" | "min" | "max");
                let text = if rng.one_in(4) {
                    format!("{op}({}){grouping}", inner.text)
                } else {
                    format!("{op}{grouping} ({})", inner.text)
                };
                Expr { text, exact: is_exact }
            }
        }
    }

    /// NaN, the infinities, and numbers at both ends.
    fn odd(&self, rng: &mut Random) -> Expr {
        let selector = format!("odd{}{}", self.matchers(rng, &["job", "instance"]), self.shift(rng));
        let range = format!("odd{}[{}]", self.matchers(rng, &["job", "instance"]), rng.pick(&select::RANGES));
        exact(match rng.below(13) {
            0 => selector,
            1 => format!("{}_over_time({range})", rng.pick(&["min", "max", "count", "last", "present", "sum", "avg"])),
            2 => format!("quantile_over_time({}, {range})", rng.pick(&["0", "0.5", "0.9", "1"])),
            3 => format!("{}({range})", rng.pick(&["changes", "resets", "idelta", "rate", "delta", "irate"])),
            4 => format!(
                "{}{} ({selector})",
                rng.pick(&["min", "max", "count", "group", "sum", "avg", "stddev"]),
                self.grouping(rng)
            ),
            5 => format!("quantile{} ({}, {selector})", self.grouping(rng), rng.pick(&["0", "0.5", "0.9", "1"])),
            6 => format!(
                "{}({selector})",
                rng.pick(&["abs", "ceil", "floor", "sqrt", "exp", "ln", "sgn", "round", "atan", "sinh"])
            ),
            7 => format!(
                "{selector} {} {}",
                rng.pick(&["+", "-", "*", "/", "%", "^", "==", "!=", ">", "<=", "atan2"]),
                self.number(rng)
            ),
            8 => format!("clamp({selector}, {}, {})", self.number(rng), self.number(rng)),
            9 => format!("sort{}({selector})", rng.pick(&["", "_desc"])),
            10 => format!("{}({selector})", rng.pick(&["-", "scalar", "absent", "timestamp"])),
            11 => format!("{}({selector})", rng.pick(&["hour", "month", "year", "minute"])),
            _ => format!("{selector} {} odd", rng.pick(&["+", "*", "/", "^", "%", "==", ">", "and"])),
        })
    }
}
