//! What a query may cost: every limit is met, and names itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use model::{Histogram, Kind, Labels};
use query::Budget;
use query::promql::{self, Options};

use crate::memory::Memory;
use crate::notation::Value;

fn memory(series: usize, samples: i64) -> Memory {
    let mut memory = Memory::default();
    for i in 0..series {
        let labels = Labels::from_pairs([("__name__", "x_total".to_owned()), ("i", i.to_string())]);
        memory.add(labels, (0..samples).map(|n| (n * 1000, Value::Float(n as f64))));
    }
    memory
}

#[track_caller]
fn refused(text: &str, limit: impl FnOnce(&mut Budget), kind: Kind, named: &str) {
    let mut options = Options::new(300_000, Budget::starting_now(Duration::from_secs(60)));
    limit(&mut options.budget);
    let error = promql::range(&memory(20, 100), &promql::parse(text).unwrap(), 0, 99_000, 1000, &options).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(named), "{error}");
}

#[test]
fn every_limit_names_itself() {
    let sum = "sum(rate(x_total[30s]))";
    refused(sum, |budget| budget.series_max = 19, Kind::TooMuch, "query.series_max");
    refused("x_total + x_total", |budget| budget.series_max = 39, Kind::TooMuch, "query.series_max");
    refused(sum, |budget| budget.samples_max = 1999, Kind::TooMuch, "query.samples_max");
    refused(sum, |budget| budget.bytes_max = 10_000, Kind::TooMuch, "query.memory_max");
    refused("x_total", |budget| budget.bytes_max = 17_000, Kind::TooMuch, "query.memory_max");
    refused(sum, |budget| budget.deadline = Instant::now(), Kind::Timeout, "query.timeout");
    refused(sum, |budget| budget.cancelled.store(true, Ordering::Relaxed), Kind::Cancelled, "cancelled");
}

#[test]
fn histograms_count_with_all_their_buckets() {
    let histogram = Arc::new(Histogram { positive: (0..100).map(|i| (i, 1.0)).collect(), ..Histogram::default() });
    let mut memory = Memory::default();
    for i in 0..20 {
        let labels = Labels::from_pairs([("__name__", "x".to_owned()), ("i", i.to_string())]);
        // Each its own, as a store decodes them.
        let own = |n: i64| (n * 1000, Value::Histogram(Arc::new(Histogram::clone(&histogram))));
        memory.add(labels, (0..100).map(own));
    }
    let run = |text: &str, bytes_max: u64| {
        let mut options = Options::new(300_000, Budget::starting_now(Duration::from_secs(60)));
        options.budget.bytes_max = bytes_max;
        promql::range(&memory, &promql::parse(text).unwrap(), 0, 99_000, 1000, &options)
    };
    // 2000 histograms of 100 buckets are above 3 MB, as floats they would be 32 kB.
    for text in ["count_over_time(x[30s])", "x"] {
        let error = run(text, 2_000_000).unwrap_err();
        assert!(error.to_string().contains("query.memory_max"), "{error}");
        assert!(run(text, 10_000_000).is_ok(), "{text}");
    }
}

#[test]
fn endless_subqueries_are_refused_before_they_run() {
    let inner = "sum_over_time(vector(1)[100y:1ms])";
    refused(inner, |_| {}, Kind::TooMuch, "query.memory_max");
    refused("sum_over_time(vector(1)[290y:1s] offset 290y)", |_| {}, Kind::TooMuch, "query.memory_max");
}

#[test]
fn a_long_walk_ends_at_the_deadline() {
    let mut options = Options::new(300_000, Budget::starting_now(Duration::from_millis(200)));
    options.budget.samples_max = u64::MAX;
    let expr = promql::parse("mad_over_time(x_total[100d])").unwrap();
    let memory = memory(1, 50_000);
    let began = Instant::now();
    let error = promql::range(&memory, &expr, 0, 50_000_000, 1000, &options).unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout, "{error}");
    // In one piece it would take minutes.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn what_fits_exactly_is_answered_and_memory_is_given_back() {
    let mut options = Options::new(300_000, Budget::starting_now(Duration::from_secs(60)));
    options.budget.series_max = 80;
    options.budget.samples_max = 8000;
    // One selector's columns at a time: 20 series of 100 steps and little else.
    options.budget.bytes_max = 100_000;
    let expr = promql::parse("sum(x_total) + min(x_total) + max(x_total) + avg(x_total)").unwrap();
    let answer = promql::range(&memory(20, 100), &expr, 0, 99_000, 1000, &options).unwrap();
    assert_eq!((answer.series_read, answer.samples_read), (80, 8000));
}

#[test]
fn what_stands_twice_is_read_once() {
    let options = Options::new(300_000, Budget::starting_now(Duration::from_secs(60)));
    let run = |text: &str| {
        let answer = promql::range(&memory(20, 100), &promql::parse(text).unwrap(), 0, 99_000, 1000, &options).unwrap();
        (answer.samples_read, answer.stats.samples_queryable, answer.value)
    };
    let (once, queryable, _) = run("sum(rate(x_total[30s]))");
    let (twice, both, ratio) = run("sum(rate(x_total[30s])) / (sum(rate(x_total[30s])) + sum(rate(x_total[30s])))");
    // The statistics are those of the query as it is written.
    assert_eq!((twice, both), (once, 3 * queryable));
    let promql::Value::Matrix(rows) = ratio else { panic!("a range's answer is a matrix") };
    assert!(rows[0].1.iter().all(|sample| sample.value == 0.5));
    // Other steps, other values.
    let (samples, ..) = run("rate(x_total[30s]) > max_over_time(rate(x_total[30s])[20s:7s])");
    assert!(samples > 2 * once);
}

#[test]
fn times_at_the_ends_of_the_calendar_do_not_overflow() {
    let options = Options::new(300_000, Budget::starting_now(Duration::from_secs(60)));
    let memory = memory(1, 10);
    for text in [
        "x_total",
        "x_total offset 1000y",
        "rate(x_total[1000y] offset -1000y)",
        "x_total @ 9e15",
        "sum_over_time(x_total[5m:1s] @ -9e15)",
        "year() + day_of_year() + days_in_month()",
        "predict_linear(x_total[5m] @ 9, 1e300)",
        "month(vector(1e300)) + day_of_week(vector(-1e300)) + year(vector(NaN))",
        "rate(x_total[1e400])",
        "time() + start() + end() + range() + step()",
    ] {
        let Ok(expr) = promql::parse(text) else { continue };
        for at_ms in [i64::MIN, -(1 << 60), -1, 0, 1 << 60, i64::MAX] {
            _ = promql::instant(&memory, &expr, at_ms, &options);
            _ = promql::range(&memory, &expr, at_ms, at_ms.saturating_add(5000), 1000, &options);
        }
        _ = promql::range(&memory, &expr, i64::MIN, i64::MAX, 1, &options);
        _ = promql::range(&memory, &expr, i64::MIN, i64::MAX, i64::MAX, &options);
    }
}

#[test]
fn patterns_share_the_room_of_their_query() {
    for query in [r#"a{b=~"\\pL{100}"} or "#.repeat(3) + "a", format!("{{{}}}", r#"a!~"\\pL{100}","#.repeat(3))] {
        let told = promql::parse(&query).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(told.contains("with those before it, it compiles to more than 16777216 bytes"), "{query}: {told:?}");
    }
}
