//! Histograms: native ones with exponential and with custom buckets, among floats, and classic ones.

use super::select::RANGES;
use super::{Expr, Grammar, rounded};
use chance::Random;

/// `size` has exponential buckets whose resolution changes, `spread` custom ones, and `mixed` has floats at other times, and
/// `fractions` counts that are no whole numbers.
const NATIVE: [&str; 5] = ["size", "size", "spread", "mixed", "fractions"];
const LABELS: [&str; 2] = ["job", "instance"];

impl Grammar {
    fn native_selector(&self, rng: &mut Random, range: &str) -> String {
        let bracket = if range.is_empty() { String::new() } else { format!("[{range}]") };
        format!("{}{}{bracket}{}", rng.pick(&NATIVE), self.matchers(rng, &LABELS), self.shift(rng))
    }

    /// A vector with histograms in it.
    fn native_vector(&self, rng: &mut Random, depth: usize) -> String {
        let range = rng.pick(&RANGES);
        if depth == 0 {
            return self.native_selector(rng, "");
        }
        match rng.below(12) {
            0 => self.native_selector(rng, ""),
            1 | 2 => {
                format!("{}{} ({})", rng.pick(&["sum", "avg"]), self.grouping(rng), self.native_vector(rng, depth - 1))
            }
            3 | 4 => {
                let function = rng.pick(&["rate", "increase", "delta", "irate", "idelta"]);
                format!("{function}({})", self.native_selector(rng, range))
            }
            5 => format!(
                "{}_over_time({})",
                rng.pick(&["sum", "avg", "last", "min", "max", "first"][..5]),
                self.native_selector(rng, range)
            ),
            6 => format!("({}) {} {}", self.native_vector(rng, depth - 1), rng.pick(&["*", "/"]), self.number(rng)),
            7 => format!(
                "({}) {} ({})",
                self.native_vector(rng, depth - 1),
                rng.pick(&["+", "-", "==", "!=", "and", "or", "unless", "*", ">"]),
                self.native_vector(rng, depth - 1)
            ),
            8 => format!("-({})", self.native_vector(rng, depth - 1)),
            9 => format!("label_replace({}, \"new\", \"$1\", \"job\", \"(.).*\")", self.native_vector(rng, depth - 1)),
            10 => format!(
                "last_over_time(({})[{}:{}])",
                self.native_vector(rng, depth - 1),
                rng.pick(&["5m", "10m"]),
                rng.pick(&["30s", "1m", "77s"])
            ),
            _ => format!("limitk({}, {})", rng.pick(&["0", "100"]), self.native_vector(rng, depth - 1)),
        }
    }

    pub(super) fn native(&self, rng: &mut Random) -> Expr {
        let depth = rng.below(3);
        let vector = self.native_vector(rng, depth);
        let range = rng.pick(&RANGES);
        rounded(match rng.below(12) {
            0 | 1 => vector,
            2 => format!("histogram_{}({vector})", rng.pick(&["count", "sum", "avg"])),
            3 => format!("histogram_{}({vector})", rng.pick(&["stddev", "stdvar"])),
            4 | 5 => format!("histogram_quantile({}, {vector})", self.quantile(rng)),
            6 => {
                let bounds =
                    rng.pick(&["0, 1", "-Inf, Inf", "-1, 2.5", "1, 0", "0.5, 0.5", "NaN, 1", "-0.0005, 0.0005"]);
                format!("histogram_fraction({bounds}, {vector})")
            }
            7 => format!("{}({})", rng.pick(&["changes", "resets"]), self.native_selector(rng, range)),
            8 => format!(
                "{}_over_time({})",
                rng.pick(&["count", "present", "stddev", "quantile", "mad"][..2]),
                self.native_selector(rng, range)
            ),
            9 => format!("{}{} ({vector})", rng.pick(&["count", "group", "min", "max", "stddev"]), self.grouping(rng)),
            10 => format!("{}({vector})", rng.pick(&["timestamp", "absent", "scalar", "abs", "sgn", "minute"])),
            // Only what is exact to the last digit.
            _ => format!("count_values{} (\"value\", {})", self.grouping(rng), self.native_selector(rng, "")),
        })
    }

    fn quantile<'q>(&self, rng: &mut Random) -> &'q str {
        rng.pick(&["0", "0.1", "0.5", "0.9", "0.99", "1", "-1", "2", "NaN"])
    }

    /// Buckets that are not as they should be.
    pub(super) fn uneven(&self, rng: &mut Random) -> Expr {
        let matchers = self.matchers(rng, &LABELS);
        let (quantile, range) = (self.quantile(rng), rng.pick(&["2m", "5m", "20m"]));
        // No shares of them: that of the lowest bucket was none before 3.6.
        rounded(match rng.below(4) {
            0 => format!("histogram_quantile({quantile}, uneven_bucket{matchers})"),
            1 => format!("histogram_quantile({quantile}, rate(uneven_bucket{matchers}[{range}]))"),
            2 => format!("histogram_quantile({quantile}, sum by (job, le) (uneven_bucket{matchers}))"),
            _ => format!("sum by (le) (uneven_bucket{matchers})"),
        })
    }

    /// Of a gauge no rates: it falls often, and from near zero, where they are cut off since 3.5.
    fn gauged(&self, rng: &mut Random) -> Expr {
        let matchers = self.matchers(rng, &LABELS);
        let range = rng.pick(&["2m", "5m", "20m"]);
        rounded(match rng.below(4) {
            0 => format!("gauged{matchers}{}", self.shift(rng)),
            1 => format!("{}(gauged{matchers}[{range}])", rng.pick(&["delta", "idelta", "changes", "resets"])),
            2 => format!(
                "{}_over_time(gauged{matchers}[{range}])",
                rng.pick(&["sum", "avg", "last", "count", "present"])
            ),
            _ => format!("histogram_{}(gauged{matchers})", rng.pick(&["count", "sum", "avg", "stddev"])),
        })
    }

    pub(super) fn classic(&self, rng: &mut Random) -> Expr {
        match rng.below(6) {
            0 => return self.uneven(rng),
            1 => return self.gauged(rng),
            _ => {}
        }
        let matchers = self.matchers(rng, &LABELS);
        let quantile = self.quantile(rng);
        let range = rng.pick(&["2m", "5m", "20m"]);
        let rate = format!("rate(latency_bucket{matchers}[{range}]{})", self.shift(rng));
        // A share of the lowest bucket was none before 3.6.
        rounded(match rng.below(5) {
            0 => format!("histogram_quantile({quantile}, {rate})"),
            1 => format!(
                "histogram_quantile({quantile}, sum by (le, {}) ({rate}))",
                rng.pick(&["job", "instance", "nothing"])
            ),
            2 => format!("histogram_quantile({quantile}, latency_bucket{matchers})"),
            3 => format!("histogram_fraction({}, {rate})", rng.pick(&["0.1, 0.3", "0.2, 1", "-Inf, 2", "1, Inf"])),
            _ if rng.one_in(2) => {
                format!("rate(latency_sum{matchers}[{range}]) / rate(latency_count{matchers}[{range}])")
            }
            // A label that is no number, and buckets that do not rise.
            _ => format!(
                "histogram_quantile({quantile}, latency_bucket{{le!=\"0.5\"}} * {})",
                rng.pick(&["-1", "NaN", "0"])
            ),
        })
    }
}
