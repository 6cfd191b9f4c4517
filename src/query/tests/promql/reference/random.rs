//! Random series and random expressions, all from one seed.

use chance::Random;
use model::metric::stale_marker;

use super::evaluate::{Data, LabelSet};
use super::query::{At, Grouping, Matching, Query, Range, Selector, Shift};

fn some_of(random: &mut Random, choices: &[&'static str]) -> Vec<&'static str> {
    choices.iter().copied().filter(|_| random.one_in(2)).collect()
}

/// Where the samples lie, in seconds.
pub(crate) const START_S: i64 = 1_700_000_000;
pub(crate) const SPAN_S: i64 = 1_800;

const NAMES: [&str; 3] = ["a_total", "b_total", "g"];
const LABELS: [&str; 3] = ["job", "i", "extra"];

/// Counters that begin anew, gauges with gaps, even and uneven times, stale markers, NaN and the infinities.
pub(crate) fn data(random: &mut Random) -> Data {
    let mut data = Data::new();
    for name in NAMES {
        for job in ["x", "y"] {
            for i in ["1", "2", "3"] {
                if random.one_in(4) {
                    continue;
                }
                let mut labels: LabelSet =
                    [("__name__", name), ("job", job), ("i", i)].map(|(a, b)| (a.to_owned(), b.to_owned())).into();
                if random.one_in(3) {
                    labels.insert("extra".into(), random.pick(&["p", "q"]).into());
                }
                data.push((labels, samples(random, name != "g")));
            }
        }
    }
    data
}

fn samples(random: &mut Random, is_counter: bool) -> Vec<(i64, f64)> {
    let interval_ms = random.pick(&[5_000, 15_000, 15_000, 60_000]);
    let jitter_ms = random.pick(&[0, 0, 20, 3_000]);
    let odd = random.one_in(4);
    let shape = random.below(4);
    let mut value = random.below(1_000) as f64;
    let mut at_ms = START_S * 1000 + random.below(20_000) as i64;
    let mut samples: Vec<(i64, f64)> = Vec::new();
    while at_ms < (START_S + SPAN_S) * 1000 {
        value = match (is_counter, shape) {
            (true, _) if random.one_in(30) => random.below(5) as f64,
            (true, 0) => value,
            (true, 1) => value + random.unit() * 10.0,
            (true, _) => value + random.below(50) as f64,
            (false, 0) => random.below(5) as f64,
            (false, 1) => (random.unit() - 0.5) * 1e9,
            (false, _) => (random.unit() * 2e4 - 1e4).round() / 100.0,
        };
        let shown = match random.below(60) {
            0 | 1 => stale_marker(),
            2 if odd => f64::NAN,
            3 if odd => f64::INFINITY,
            4 if odd => f64::NEG_INFINITY,
            5 => -0.0,
            _ => value,
        };
        samples.push((at_ms, shown));
        let gap = if random.one_in(40) { random.below(600_000) as i64 } else { 0 };
        let jitter = if jitter_ms > 0 { random.below(jitter_ms) as i64 } else { 0 };
        let last_ms = at_ms;
        at_ms = (at_ms + interval_ms + gap + jitter).max(last_ms + 1);
    }
    samples
}

fn shift(random: &mut Random) -> Shift {
    let offset_s = if random.one_in(4) { random.pick(&[-120, 30, 60, 300]) } else { 0 };
    let at = if random.one_in(8) {
        Some(match random.below(4) {
            0 => At::Start,
            1 => At::End,
            _ => At::Seconds(START_S + random.below(SPAN_S as usize) as i64),
        })
    } else {
        None
    };
    Shift { offset_s, at }
}

fn selector(random: &mut Random) -> Selector {
    let name = (!random.one_in(12)).then(|| random.pick(&NAMES));
    let mut matchers = Vec::new();
    if name.is_none() {
        matchers.push(("__name__", random.pick(&["=~", "!="]), random.pick(&["a_total", "b.*"])));
        // The engine wants one matcher that does not accept the empty text.
        matchers.push(("job", "=~", random.pick(&["x", "x|y", ".+"])));
    }
    for _ in 0..random.pick(&[0, 0, 1, 1, 2]) {
        let label = random.pick(&LABELS);
        let op = random.pick(&["=", "!=", "=~", "!~"]);
        let plain = random.pick(&["x", "1", "2", "p", ""]);
        let pattern = random.pick(&["x|y", "1|3", "p.*", ".*", ".+", "[12]", "", "p|"]);
        matchers.push((label, op, if op.contains('~') { pattern } else { plain }));
    }
    Selector { name, matchers, shift: shift(random) }
}

fn range(random: &mut Random, depth: usize) -> Range {
    let range_s = random.pick(&[20, 60, 61, 150, 300, 600]);
    if depth > 0 && random.one_in(5) {
        let step_s = random.pick(&[Some(15), Some(30), Some(47), None]);
        // No shorter than the longest step of a query: the engine evaluates the inner expression between windows too, as
        // Prometheus does, and an error there is one.
        let range_s = range_s.max(150);
        let inner = Box::new(if random.one_in(6) { scalar_vector(random) } else { vector(random, depth - 1) });
        return Range::Subquery { inner, range_s, step_s, shift: shift(random) };
    }
    Range::Selector { selector: selector(random), range_s }
}

fn scalar_vector(random: &mut Random) -> Query {
    Query::Vector(Box::new(scalar(random, 0)))
}

const OVER: [&str; 23] = [
    "mad_over_time",
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "present_over_time",
    "last_over_time",
    "first_over_time",
    "ts_of_last_over_time",
    "ts_of_first_over_time",
    "stdvar_over_time",
    "stddev_over_time",
    "quantile_over_time",
    "changes",
    "resets",
    "deriv",
    "predict_linear",
];

fn over(random: &mut Random, depth: usize) -> Query {
    let function = if random.one_in(3) { "rate" } else { random.pick(&OVER) };
    let number = match function {
        "quantile_over_time" => Some(random.pick(&[0.0, 0.25, 0.5, 0.99, 1.0, -1.0, 2.0])),
        "predict_linear" => Some(random.pick(&[0.0, 60.0, 3600.0])),
        _ => None,
    };
    Query::Over { function, number, range: range(random, depth) }
}

fn number(random: &mut Random) -> f64 {
    random.pick(&[0.0, 1.0, 2.0, -1.0, 0.5, 10.0, 100.0, 1000.0])
}

fn scalar(random: &mut Random, depth: usize) -> Query {
    match random.below(6) {
        0 => Query::Time,
        1 if depth > 0 => Query::Scalar(Box::new(vector(random, depth - 1))),
        2 if depth > 0 => Query::Negate(Box::new(scalar(random, depth - 1))),
        3 if depth > 0 => {
            let op = random.pick(&["+", "-", "*", "/", "%", "^", "==", "<"]);
            let is_bool = matches!(op, "==" | "<");
            let (left, right) = (Box::new(scalar(random, depth - 1)), Box::new(scalar(random, depth - 1)));
            Query::Binary { op, is_bool, matching: None, left, right }
        }
        _ => Query::Number(number(random)),
    }
}

/// An expression of an instant vector.
pub(crate) fn vector(random: &mut Random, depth: usize) -> Query {
    if depth == 0 {
        return match random.below(5) {
            0 | 1 => Query::Select(selector(random)),
            2 => Query::Timestamp(selector(random)),
            _ => over(random, 0),
        };
    }
    match random.below(14) {
        0 => Query::Select(selector(random)),
        1..=3 => over(random, depth),
        4 => {
            let function =
                random.pick(&["abs", "ceil", "floor", "sqrt", "sgn", "clamp", "clamp_min", "clamp_max", "round"]);
            let numbers = match function {
                "clamp" => vec![number(random), number(random)],
                "clamp_min" | "clamp_max" => vec![number(random)],
                "round" if random.one_in(2) => vec![random.pick(&[0.5, 2.0, 10.0])],
                _ => vec![],
            };
            Query::Map { function, numbers, inner: Box::new(vector(random, depth - 1)) }
        }
        5 => Query::Negate(Box::new(vector(random, depth - 1))),
        6 if random.one_in(2) => Query::Absent(Box::new(vector(random, depth - 1))),
        6..=9 => {
            let ops = [
                "sum", "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile", "topk", "bottomk",
            ];
            let op = random.pick(&ops);
            let number = match op {
                "quantile" => Some(random.pick(&[0.0, 0.3, 0.9, 1.0, 1.5])),
                "topk" | "bottomk" => Some(random.pick(&[0.0, 1.0, 2.0, 5.0])),
                _ => None,
            };
            let grouping =
                (!random.one_in(3)).then(|| Grouping { without: random.one_in(2), labels: some_of(random, &LABELS) });
            // What stays of equal ones depends on the order of series, which only selectors have.
            let depth = if matches!(op, "topk" | "bottomk") { 0 } else { depth - 1 };
            Query::Aggregate { op, number, grouping, inner: Box::new(vector(random, depth)) }
        }
        10 | 11 => {
            let op = random.pick(&["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<="]);
            let is_bool = matches!(op, "==" | "!=" | ">" | "<" | ">=" | "<=") && random.one_in(2);
            let (vector, scalar) = (Box::new(vector(random, depth - 1)), Box::new(scalar(random, 1)));
            let (left, right) = if random.one_in(2) { (vector, scalar) } else { (scalar, vector) };
            Query::Binary { op, is_bool, matching: None, left, right }
        }
        _ => between(random, depth),
    }
}

/// An operator between two vectors.
fn between(random: &mut Random, depth: usize) -> Query {
    let ops = ["+", "-", "*", "/", "==", "!=", ">", "<=", "and", "or", "unless"];
    let op = random.pick(&ops);
    let is_set = matches!(op, "and" | "or" | "unless");
    let is_bool = matches!(op, "==" | "!=" | ">" | "<=") && random.one_in(2);
    let matching = (!random.one_in(3)).then(|| {
        let labels = some_of(random, &LABELS);
        let on = random.one_in(2);
        let group = (!is_set && random.one_in(2)).then(|| {
            let include = ["extra"].into_iter().filter(|label| random.one_in(3) && !(on && labels.contains(label)));
            let include = include.collect();
            (random.pick(&["group_left", "group_right"]), include)
        });
        Matching { on, labels, group }
    });
    let left = Box::new(vector(random, depth - 1));
    // Often the same one with another aggregation, so that there is something to match.
    let right = if random.one_in(2) { left.clone() } else { Box::new(vector(random, depth - 1)) };
    Query::Binary { op, is_bool, matching, left, right }
}
