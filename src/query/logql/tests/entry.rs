//! An entry to run pipelines over, and what came out, in a short notation.

use std::borrow::Cow;

use super::super::ast::{Expr, Metric};
use super::super::parse;
use super::super::pipeline::{Entry, Extractor, Pair, Pipeline, Scratch};

/// 2026-11-21T12:34:56.789Z
pub(super) const TS_NS: i64 = 1_795_264_496_789_000_000;
/// What `now` is: a day later.
pub(super) const NOW_NS: i64 = TS_NS + 86_400_000_000_000;

/// `a=1 b=2` as labels.
pub(super) fn labels(text: &str) -> Vec<Pair<'_>> {
    text.split_whitespace()
        .map(|one| {
            let (name, value) = one.split_once('=').expect("name=value");
            (Cow::Borrowed(name), Cow::Borrowed(value))
        })
        .collect()
}

/// The line and the labels that stages made of an entry with the stream label `app=x` and the metadata `pod=p1 size=12KB`, as
/// `line {name=value ...}`, sorted; labels that were there before only when they changed. `-` for an entry that was refused.
pub(super) fn run(stages: &str, line: &str) -> String {
    run_on("app=x", "pod=p1 size=12KB", stages, line)
}

pub(super) fn run_on(stream: &str, metadata: &str, stages: &str, line: &str) -> String {
    let query = format!("{{app=\"x\"}} {stages}");
    let Expr::Log(log) = parse(&query).unwrap_or_else(|error| panic!("{query}: {error}")) else {
        panic!("{query} is no log query")
    };
    let pipeline = Pipeline::new(&log).unwrap();
    let (stream, metadata) = (labels(stream), labels(metadata));
    let entry = Entry { ts_ns: TS_NS, line, stream: &stream, metadata: &metadata };
    let mut scratch = Scratch::new(NOW_NS);
    // Twice, since the memory of the first run must not show in the second.
    let mut shown = [String::new(), String::new()];
    for shown in &mut shown {
        *shown = match pipeline.run(&entry, &mut scratch) {
            None => "-".into(),
            Some(passed) => {
                let gone = |all: &[Pair<'_>], now: Vec<(&str, &str)>| {
                    let is_gone = |name: &str| !now.iter().any(|(known, _)| *known == name);
                    all.iter().map(|(name, _)| name.to_string()).filter(|name| is_gone(name)).collect::<Vec<_>>()
                };
                let mut parts: Vec<String> =
                    passed.labels.parsed().map(|(name, value)| format!("{name}={value}")).collect();
                let made: Vec<String> = passed.labels.parsed().map(|(name, _)| name.to_owned()).collect();
                let before = [
                    gone(&stream, passed.labels.stream().collect()),
                    gone(&metadata, passed.labels.metadata().collect()),
                ];
                parts.extend(
                    before.concat().into_iter().filter(|name| !made.contains(name)).map(|name| format!("!{name}")),
                );
                parts.sort();
                let shown = format!("{} {{{}}}", passed.line, parts.join(" "));
                scratch.recycle(passed.labels);
                shown
            }
        };
    }
    assert_eq!(shown[0], shown[1], "{query}");
    let [shown, _] = shown;
    shown
}

/// The labels that stages make of a line, without the line.
pub(super) fn made(stages: &str, line: &str) -> String {
    let shown = run(stages, line);
    match shown.strip_prefix(line) {
        Some(rest) => rest.trim_start().into(),
        None => shown,
    }
}

/// The sample that a range aggregation makes of an entry, as `value {name=value ...}`; a `sum` around it hands its grouping in. `-` for none.
pub(super) fn sample(query: &str, line: &str) -> String {
    let expr = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let Expr::Metric(metric) = &expr else { panic!("{query} is no metric query") };
    let extractor = match metric {
        Metric::Range(range) => Extractor::new(range, None),
        Metric::Vector(vector) => match &*vector.inner {
            Metric::Range(range) if Extractor::takes_outer(vector.op, range) => {
                Extractor::new(range, Some(&vector.grouping))
            }
            Metric::Range(range) => Extractor::new(range, None),
            _ => panic!("{query}: only one aggregation around a range"),
        },
        _ => panic!("{query}: no range aggregation"),
    }
    .unwrap();
    let (stream, metadata) = (labels("app=x"), labels("pod=p1 size=12KB"));
    let entry = Entry { ts_ns: TS_NS, line, stream: &stream, metadata: &metadata };
    match extractor.sample(&entry, &mut Scratch::new(NOW_NS)) {
        None => "-".into(),
        Some(sample) => {
            let labels: Vec<String> = sample.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {{{}}}", sample.value, labels.join(" "))
        }
    }
}

/// Runs each case, and tells all that differ.
pub(super) fn check_all<I: std::fmt::Display + Copy>(cases: &[(I, &str, &str)], run: impl Fn(I, &str) -> String) {
    let mut wrong = Vec::new();
    for (stages, line, expected) in cases {
        let found = run(*stages, line);
        if found != *expected {
            wrong.push(format!("{stages}\n  on       {line}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
