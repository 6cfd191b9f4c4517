//! Samples as Prometheus' query statistics count them: all that a step sees, and what the step before did not.

use std::sync::Arc;
use std::time::Duration;

use model::{Histogram, Labels};
use query::Budget;
use query::promql::{self, Detail, Options, Seen, Stats};

use crate::memory::Memory;
use crate::notation::Value;

/// `one` with one series, `three` with three, `buckets` with a histogram; a sample every ten seconds from 0 on.
fn memory() -> Memory {
    let mut memory = Memory::default();
    let times = || (0..100).map(|n| n * 10_000);
    for (name, count) in [("one", 1), ("three", 3)] {
        for i in 0..count {
            let labels = Labels::from_pairs([("__name__", name.to_owned()), ("i", i.to_string())]);
            memory.add(labels, times().map(|at_ms| (at_ms, Value::Float(at_ms as f64))));
        }
    }
    let histogram = Arc::new(Histogram { positive: vec![(0, 1.0), (1, 2.0)], count: 3.0, ..Histogram::default() });
    let labels = Labels::from_pairs([("__name__", "buckets".to_owned())]);
    memory.add(labels, times().map(|at_ms| (at_ms, Value::Histogram(Arc::clone(&histogram)))));
    memory
}

fn options(per_step: bool) -> Options {
    let detail = Detail { explain: false, per_step };
    Options { detail, ..Options::new(300_000, Budget::starting_now(Duration::from_secs(60))) }
}

fn range(text: &str, start_s: i64, end_s: i64, step_s: i64, per_step: bool) -> Stats {
    let expr = promql::parse(text).unwrap();
    let (start_ms, end_ms, step_ms) = (start_s * 1000, end_s * 1000, step_s * 1000);
    promql::range(&memory(), &expr, start_ms, end_ms, step_ms, &options(per_step)).unwrap().stats
}

/// From 201 s to 220 s, by five seconds: by step all and what is new.
#[track_caller]
fn check(text: &str, all: [u64; 4], new: [u64; 4]) {
    check_at(text, (201, 220, 5), &all, &new);
}

#[track_caller]
fn check_at(text: &str, (start_s, end_s, step_s): (i64, i64, i64), all: &[u64], new: &[u64]) {
    let stats = range(text, start_s, end_s, step_s, true);
    let by_step = |of: fn(&Seen) -> u64| stats.per_step.iter().map(|(_, seen)| of(seen)).collect::<Vec<u64>>();
    assert_eq!(by_step(|seen| seen.all), all, "all of {text}");
    assert_eq!(by_step(|seen| seen.new), new, "new of {text}");
    let total = (all.iter().sum::<u64>(), new.iter().sum::<u64>());
    assert_eq!((stats.samples_queryable, stats.samples_new), total, "{text}");
    let untold = range(text, start_s, end_s, step_s, false);
    assert_eq!((untold.samples_queryable, untold.samples_new), total, "{text}, where nobody asks for the steps");
}

#[test]
fn a_sample_that_windows_share_is_read_once() {
    // An instant selector reads one at each step, be it the same.
    check("one", [1; 4], [1; 4]);
    check("three * 2", [3; 4], [3; 4]);
    check("timestamp(three)", [3; 4], [3; 4]);
    check("one + one", [2; 4], [2; 4]);
    check("max_over_time(one[60s])", [6; 4], [6, 0, 1, 0]);
    check("sum by (i) (rate(three[60s]))", [18; 4], [18, 0, 3, 0]);
    check("absent_over_time(one[60s])", [6; 4], [6, 0, 1, 0]);
    check("quantile_over_time(0.5, one[60s])", [6; 4], [6, 0, 1, 0]);
    check("rate(three[60s]) / rate(three[60s])", [36; 4], [36, 0, 6, 0]);
    check("max_over_time(one[60s] offset 5s)", [6; 4], [6, 1, 0, 1]);
    check("time() + 1", [0; 4], [0; 4]);
    check("nothing", [0; 4], [0; 4]);
}

#[test]
fn windows_that_share_nothing_are_read_whole() {
    check_at("max_over_time(one[20s])", (201, 321, 60), &[2; 3], &[2; 3]);
    check_at("max_over_time(one[60s])", (201, 321, 60), &[6; 3], &[6; 3]);
    // What lies between two windows is nobody's.
    check_at("max_over_time(one[20s:10s])", (201, 321, 60), &[4; 3], &[4; 3]);
    check_at("max_over_time(one[90s])", (201, 321, 60), &[9; 3], &[9, 6, 6]);
}

#[test]
fn what_is_the_same_at_every_step_is_read_at_the_first() {
    check("one @ 30", [1; 4], [1, 0, 0, 0]);
    check("max_over_time(three[60s] @ 100)", [18; 4], [18, 0, 0, 0]);
    // What changes is the function's other argument.
    check("predict_linear(one[60s] @ 30, time())", [4; 4], [4, 0, 0, 0]);
    check("max_over_time(one[60s:20s] @ 100) + one", [7; 4], [7, 1, 1, 1]);
}

#[test]
fn histograms_are_read_by_their_size() {
    let size = range("buckets", 201, 201, 1, false).samples_queryable;
    assert!(size > 1, "{size}");
    check("buckets", [size; 4], [size; 4]);
    check("sum_over_time(buckets[60s])", [6 * size; 4], [6 * size, 0, size, 0]);
}

#[test]
fn a_subquery_is_read_at_the_first_step_that_looks_at_it() {
    // Twelve values and the samples they were made of.
    check("max_over_time(one[60s:5s])", [24; 4], [24, 2, 2, 2]);
    check("max_over_time(one[60s:5s] offset 5s)", [24; 4], [24, 2, 2, 2]);
    // Six steps of six samples, of which the first is read whole and the others by one.
    check("max_over_time(max_over_time(one[60s])[60s:10s])", [42; 4], [17, 0, 2, 0]);
    check_at("max_over_time(three[60s:5s])", (201, 201, 5), &[72], &[72]);
    let answer = promql::instant(
        &memory(),
        &promql::parse("max_over_time(one[60s])[60s:10s]").unwrap(),
        201_000,
        &options(false),
    );
    let stats = answer.unwrap().stats;
    assert_eq!((stats.samples_queryable, stats.samples_new), (36, 11));
}
