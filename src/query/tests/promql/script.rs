//! Runs scripts in the language of Prometheus' own tests: `load`, `clear`, `eval`.
//!
//! Series with start times are left out, and with them every `eval` that could see them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::Labels;
use query::promql::{self, Answer, Expr, Options, Value};
use query::{Budget, QueryError};

use crate::classic::Classic;
use crate::memory::Memory;
use crate::notation::{self, Point, duration_ms, number, points, series};

/// How a script went. `failures` say line and reason.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) passed: usize,
    pub(crate) skipped: usize,
    pub(crate) failures: Vec<String>,
}

/// What a block of an `eval` expects.
#[derive(Default)]
struct Expected {
    fail: bool,
    ordered: bool,
    warn: Option<bool>,
    info: Option<bool>,
    /// Texts that the error, a warning or an info must contain.
    messages: Vec<String>,
    /// Whether they name every warning, and every info: so it is where they name any.
    all_named: [bool; 2],
    string: Option<String>,
    range_vector: Option<(i64, i64)>,
    rows: Vec<String>,
}

pub(crate) fn run(text: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut memory, mut dropped) = (Memory::default(), BTreeSet::new());
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut i = 0;
    while i < lines.len() {
        let (number, line) = (i + 1, lines[i]);
        i += 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut block = Vec::new();
        if line.starts_with("load") || line.starts_with("eval") {
            // A command without an empty line before it is one all the same.
            while i < lines.len() && !lines[i].is_empty() && !is_command(lines[i]) {
                if !lines[i].starts_with('#') {
                    block.push(lines[i]);
                }
                i += 1;
            }
        }
        let result = if line == "clear" {
            (memory, dropped) = (Memory::default(), BTreeSet::new());
            continue;
        } else if line.starts_with("load") {
            match load(&mut memory, &mut dropped, line, &block) {
                Ok(()) => continue,
                Err(error) => Err(error),
            }
        } else if sees(line, &dropped) {
            outcome.skipped += 1;
            continue;
        } else {
            evaluate(&memory, line, &block)
        };
        match result {
            Ok(()) => outcome.passed += 1,
            Err(reason) => outcome.failures.push(format!("{number}: {line}\n      {reason}")),
        }
    }
    outcome
}

/// Whether a line begins something, an empty line before it or not.
fn is_command(line: &str) -> bool {
    let word = line.split_whitespace().next().unwrap_or_default();
    matches!(
        word,
        "load" | "load_with_nhcb" | "clear" | "eval" | "eval_fail" | "eval_warn" | "eval_info" | "eval_ordered"
    )
}

/// Whether an `eval` may see series that were left out: by name, or by a selector without one.
fn sees(line: &str, dropped: &BTreeSet<String>) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let bytes: Vec<char> = line.chars().collect();
    let nameless = bytes
        .iter()
        .enumerate()
        .any(|(i, c)| *c == '{' && (i == 0 || bytes[i - 1].is_whitespace() || matches!(bytes[i - 1], '(' | ',')));
    !dropped.is_empty() && (nameless || line.split(|c| !is_word(c)).any(|word| dropped.contains(word)))
}

fn load(memory: &mut Memory, dropped: &mut BTreeSet<String>, line: &str, block: &[&str]) -> Result<(), String> {
    let (command, step) = line.split_once(char::is_whitespace).ok_or("load without a step")?;
    let step_ms = duration_ms(step.trim())?;
    let mut classic = Classic::default();
    for line in block {
        if line.split(' ').next().is_some_and(|word| word.contains("@st")) {
            dropped.insert(line.split('@').next().unwrap_or_default().split('{').next().unwrap_or_default().into());
            continue;
        }
        let (labels, points) = series(line)?;
        if command == "load_with_nhcb" {
            classic.add(&labels, &points);
        }
        memory.add(labels, at_steps(0, step_ms, &points));
    }
    for (labels, points) in classic.custom() {
        memory.add(labels, at_steps(0, step_ms, &points));
    }
    Ok(())
}

fn at_steps(start_ms: i64, step_ms: i64, points: &[Point]) -> Vec<(i64, notation::Value)> {
    let timed = points.iter().enumerate().map(|(i, point)| (start_ms + i as i64 * step_ms, point.clone()));
    timed.filter_map(|(at_ms, point)| Some((at_ms, point?))).collect()
}

fn expected(line: &str, block: &[&str]) -> Result<Expected, String> {
    let mut expected = Expected {
        fail: line.starts_with("eval_fail"),
        ordered: line.starts_with("eval_ordered"),
        ..Expected::default()
    };
    for line in block {
        if let Some(message) = line.strip_prefix("expected_fail_message ") {
            expected.fail = true;
            expected.messages.push(message.trim().into());
            continue;
        }
        let Some(directive) = line.strip_prefix("expect ") else {
            expected.rows.push((*line).into());
            continue;
        };
        if let Some(times) = directive.strip_prefix("range vector from ") {
            let words: Vec<&str> = times.split_whitespace().collect();
            let [from, "to", _, "step", step] = words[..] else { return Err(format!("bad directive {line:?}")) };
            expected.range_vector = Some((duration_ms(from)?, duration_ms(step)?));
            continue;
        }
        if let Some(text) = directive.strip_prefix("string ") {
            let text = text.trim();
            expected.string = Some(text.get(1..text.len() - 1).ok_or("bad string")?.into());
            continue;
        }
        let (what, message) = directive.split_once("msg:").unwrap_or((directive, ""));
        match what.trim() {
            "fail" => expected.fail = true,
            "ordered" => expected.ordered = true,
            "warn" => expected.warn = Some(true),
            "no_warn" => expected.warn = Some(false),
            "info" => expected.info = Some(true),
            "no_info" => expected.info = Some(false),
            _ => return Err(format!("bad directive {line:?}")),
        }
        if !message.is_empty() {
            expected.messages.push(message.trim().into());
            match what.trim() {
                "warn" => expected.all_named[0] = true,
                "info" => expected.all_named[1] = true,
                _ => {}
            }
        }
    }
    Ok(expected)
}

fn options() -> Options {
    Options::new(300_000, Budget::starting_now(Duration::from_secs(60)))
}

fn evaluate(memory: &Memory, line: &str, block: &[&str]) -> Result<(), String> {
    let expected = expected(line, block)?;
    let mut words = line.split_whitespace();
    let kind = words.nth(1).ok_or("eval what?")?;
    let mut take = |keyword: &str| {
        (words.next() == Some(keyword))
            .then(|| words.next())
            .flatten()
            .ok_or(format!("no {keyword}"))
            .map(str::to_owned)
    };
    let (answer, start_ms, step_ms) = match kind {
        "instant" => {
            let at = take("at")?;
            let expr = after(line, &at);
            let at_ms = duration_ms(&at)?;
            let answer = both_ways(expr, |expr| promql::instant(memory, expr, at_ms, &options()))?;
            (answer, at_ms, 0)
        }
        "range" => {
            let (from, to, step) = (take("from")?, take("to")?, take("step")?);
            let expr = after(after_from(line, "step"), &step);
            let (start_ms, end_ms, step_ms) = (duration_ms(&from)?, duration_ms(&to)?, duration_ms(&step)?);
            let answer = both_ways(expr, |expr| promql::range(memory, expr, start_ms, end_ms, step_ms, &options()))?;
            (answer, start_ms, step_ms)
        }
        _ => return Err(format!("eval {kind}?")),
    };
    let answer = match answer {
        Ok(_) if expected.fail => return Err("should have failed".into()),
        Ok(answer) => answer,
        Err(error) if expected.fail => return said(&[error.to_string()], &expected.messages),
        Err(error) => return Err(format!("error: {error}")),
    };
    let [warnings_named, infos_named] = expected.all_named;
    for (wanted, all_named, got, kind) in [
        (expected.warn, warnings_named, &answer.warnings, "warning"),
        (expected.info, infos_named, &answer.infos, "info"),
    ] {
        let is_named = |text: &&String| expected.messages.iter().any(|message| text.contains(message.as_str()));
        if let Some(other) = got.iter().find(|text| all_named && !is_named(text)) {
            return Err(format!("unexpected {kind}: {other:?}"));
        }
        match wanted {
            Some(true) if got.is_empty() => return Err(format!("expected a {kind}")),
            Some(false) if !got.is_empty() => return Err(format!("unexpected {kind}: {got:?}")),
            _ => {}
        }
    }
    let notes: Vec<String> = answer.warnings.iter().chain(&answer.infos).cloned().collect();
    said(&notes, &expected.messages)?;
    compare(answer, &expected, start_ms, step_ms)
}

/// Evaluates the text, and its canonical form, which must mean the same.
fn both_ways(
    text: &str,
    evaluate: impl Fn(&Expr) -> Result<Answer, QueryError>,
) -> Result<Result<Answer, QueryError>, String> {
    let expr = match promql::parse(text) {
        Ok(expr) => expr,
        Err(error) => return Ok(Err(error)),
    };
    let canonical = promql::format(&expr);
    let again = promql::parse(&canonical).map_err(|error| format!("canonical {canonical:?}: {error}"))?;
    if promql::format(&again) != canonical {
        return Err(format!("canonical {canonical:?} becomes {:?}", promql::format(&again)));
    }
    let answer = evaluate(&expr);
    let value = |answer: &Result<Answer, QueryError>| {
        format!("{:?}", answer.as_ref().map(|answer| (&answer.value, &answer.histograms)).ok())
    };
    if value(&answer) != value(&evaluate(&again)) {
        return Err(format!("{canonical:?} has another value"));
    }
    Ok(answer)
}

fn after<'l>(line: &'l str, word: &str) -> &'l str {
    line.find(word).map_or("", |at| line[at + word.len()..].trim())
}

fn after_from<'l>(line: &'l str, word: &str) -> &'l str {
    line.find(word).map_or("", |at| &line[at + word.len()..])
}

fn said(texts: &[String], wanted: &[String]) -> Result<(), String> {
    match wanted.iter().find(|message| !texts.iter().any(|text| text.contains(message.as_str()))) {
        Some(message) => Err(format!("expected {message:?} among {texts:?}")),
        None => Ok(()),
    }
}

fn compare(answer: Answer, expected: &Expected, start_ms: i64, step_ms: i64) -> Result<(), String> {
    if let Some(text) = &expected.string {
        return match answer.value {
            Value::String { text: got, .. } if got == *text => Ok(()),
            other => Err(format!("got {other:?}")),
        };
    }
    match answer.value {
        Value::Scalar(sample) => {
            let [row] = &expected.rows[..] else { return Err(format!("got the scalar {}", sample.value)) };
            let wanted = points(row)?.into_iter().next().flatten().ok_or("no value")?;
            let notation::Value::Float(wanted) = wanted else { return Err("got a scalar".into()) };
            if close(wanted, sample.value) { Ok(()) } else { Err(format!("want {wanted}, got {}", sample.value)) }
        }
        Value::Vector(rows) => {
            let mut wanted = Vec::new();
            for row in &expected.rows {
                if number(row).is_some() {
                    return Err("want a scalar, got a vector".into());
                }
                let (labels, points) = series(row)?;
                if let Some(Some(value)) = points.into_iter().next() {
                    wanted.push((labels, value));
                }
            }
            let mut got: Vec<(Labels, notation::Value)> = Vec::new();
            got.extend(rows.into_iter().map(|(labels, sample)| (labels, notation::Value::Float(sample.value))));
            for (labels, points) in answer.histograms {
                let [(_, histogram)] = &points[..] else { return Err("not one histogram".into()) };
                got.push((labels, notation::Value::Histogram(histogram.clone())));
            }
            if expected.ordered {
                for (w, g) in wanted.iter().zip(&got) {
                    if w.0 != g.0 || !alike(&w.1, &g.1) {
                        return Err(format!("order: want {w:?}, got {g:?}"));
                    }
                }
            }
            let keyed = |rows: Vec<(Labels, notation::Value)>| rows.into_iter().map(|(l, v)| (l, vec![(0, v)]));
            let count = got.len();
            same(keyed(wanted).collect(), keyed(got).collect(), count)
        }
        Value::Matrix(rows) => {
            let (start_ms, step_ms) = expected.range_vector.unwrap_or((start_ms, step_ms));
            let mut wanted = BTreeMap::new();
            for row in &expected.rows {
                let (labels, points) = series(row)?;
                let points = at_steps(start_ms, step_ms, &points);
                if !points.is_empty() {
                    wanted.insert(labels, points);
                }
            }
            let mut got = Rows::new();
            let mut count = 0;
            for (labels, samples) in rows {
                let floats = samples.into_iter().map(|sample| (sample.at_ms, notation::Value::Float(sample.value)));
                count += 1;
                got.insert(labels, floats.collect());
            }
            for (labels, points) in answer.histograms {
                let points = points.into_iter().map(|(at_ms, found)| (at_ms, notation::Value::Histogram(found)));
                let row = got.entry(labels).or_insert_with(|| {
                    count += 1;
                    Vec::new()
                });
                row.extend(points);
                row.sort_by_key(|(at_ms, _)| *at_ms);
            }
            same(wanted, got, count)
        }
        Value::String { text, .. } => Err(format!("got the string {text:?}")),
    }
}

type Rows = BTreeMap<Labels, Vec<(i64, notation::Value)>>;

fn same(wanted: Rows, got: Rows, count: usize) -> Result<(), String> {
    if got.len() != count {
        return Err("the same labels twice in the answer".into());
    }
    if wanted.keys().ne(got.keys()) {
        return Err(format!(
            "series differ: want {:?}, got {:?}",
            wanted.keys().collect::<Vec<_>>(),
            got.keys().collect::<Vec<_>>()
        ));
    }
    for (labels, points) in &wanted {
        let others = &got[labels];
        let equal =
            points.len() == others.len() && points.iter().zip(others).all(|(w, g)| w.0 == g.0 && alike(&w.1, &g.1));
        if !equal {
            return Err(format!("{labels}: want {points:?}, got {others:?}"));
        }
    }
    Ok(())
}

/// Count and sum; and if the wanted histogram says anything of buckets, all of it.
fn alike(wanted: &notation::Value, got: &notation::Value) -> bool {
    use notation::Value::{Float, Histogram};
    match (wanted, got) {
        (Float(wanted), Float(got)) => close(*wanted, *got),
        (Histogram(wanted), Histogram(got)) => {
            let silent = wanted.positive.is_empty() && wanted.negative.is_empty() && wanted.zero_count == 0.0;
            close(wanted.count, got.count)
                && close(wanted.sum, got.sum)
                && (silent || {
                    let (wanted, got) = (promql::buckets(wanted), promql::buckets(got));
                    let equal = |(w, g): (&promql::Bucket, &promql::Bucket)| {
                        close(w.lower, g.lower) && close(w.upper, g.upper) && close(w.count, g.count)
                    };
                    wanted.len() == got.len() && wanted.iter().zip(&got).all(equal)
                })
        }
        _ => false,
    }
}

/// Within a millionth, as the scripts are written.
fn close(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    a == b || a.is_finite() && b.is_finite() && (a - b).abs() <= 1e-12_f64.max(1e-6 * a.abs().max(b.abs()))
}
