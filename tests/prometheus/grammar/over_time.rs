//! Functions of range vectors.

use super::select::RANGES;
use super::{Expr, Grammar, METRICS, exact, rounded};
use chance::Random;

const EXACT: [&str; 9] = ["sum", "min", "max", "count", "last", "present", "ts_of_min", "ts_of_max", "ts_of_last"];
const ROUND: [&str; 4] = ["avg", "stddev", "stdvar", "mad"];

impl Grammar {
    /// A range vector: of a selector, or a subquery.
    pub(super) fn range(&self, rng: &mut Random, depth: usize) -> Expr {
        let range = rng.pick(&RANGES);
        if depth > 0 && rng.one_in(4) {
            let inner = self.vector(rng, depth - 1);
            let step = rng.pick(&["30s", "1m", "17s", "", "5m", "15", "10s*3"]);
            let range = rng.pick(&["5m", "10m", "20m", "1h", "10m500ms", "2m*5"]);
            let text = format!("({})[{range}:{step}]{}", inner.text, self.shift(rng));
            return Expr { text, ..inner };
        }
        exact(self.selector(rng, range))
    }

    pub(super) fn over_time(&self, rng: &mut Random, depth: usize) -> Expr {
        let range = self.range(rng, depth);
        match rng.below(13) {
            0..=3 => {
                let metric = &METRICS[rng.below(3)];
                assert!(metric.counter);
                let function = rng.pick(&["rate", "rate", "increase", "irate"]);
                let range = rng.pick(&RANGES);
                rounded(format!("{function}({})", self.selector_of(rng, metric, range)))
            }
            4 => rounded(format!("{}({})", rng.pick(&["delta", "idelta", "deriv", "rate", "increase"]), range.text)),
            5 if range.exact => exact(format!("{}({})", rng.pick(&["changes", "resets"]), range.text)),
            6 => rounded(format!("{}_over_time({})", rng.pick(&ROUND), range.text)),
            7 => {
                let quantile = rng.pick(&["0", "0.25", "0.5", "0.9", "1", "-1", "2", "NaN"]);
                rounded(format!("quantile_over_time({quantile}, {})", range.text))
            }
            8 => {
                let ahead = rng.pick(&["0", "60", "3600", "-30", "1h", "time() % 100", "-1e9", "NaN", "Inf"]);
                rounded(format!("predict_linear({}, {ahead})", range.text))
            }
            9 => {
                let factors = rng.pick(&["0.5, 0.3", "0.1, 0.9", "0.99, 0.01"]);
                rounded(format!("double_exponential_smoothing({}, {factors})", range.text))
            }
            10 => exact(format!("absent_over_time({})", range.text)),
            _ => {
                let text = format!("{}_over_time({})", rng.pick(&EXACT), range.text);
                // The time of the least value jumps with its last bit.
                if range.exact { exact(text) } else { rounded(text.replace("ts_of_", "")) }
            }
        }
    }
}
