//! The notation of series in tests of queries and rules: `name{label="value"} 0+10x5 _ stale NaN {{schema:1 count:2}}`
//! (promtool's and promqltest's).

use std::sync::Arc;

use super::{native, parse_selector};
use model::metric::stale_marker;
use model::{CounterReset, Histogram, Labels};

/// Most points of one series.
const POINTS_MAX: usize = 100_000;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Float(f64),
    Histogram(Arc<Histogram>),
}

/// A value at a step, or none there.
pub type Point = Option<Value>;

/// Labels at the start of a line, and the points after them.
pub fn series(line: &str) -> Result<(Labels, Vec<Point>), String> {
    let (labels, rest) = labels(line)?;
    Ok((labels, points(rest)?))
}

fn labels(line: &str) -> Result<(Labels, &str), String> {
    let space = line.find(char::is_whitespace).unwrap_or(line.len());
    let end = match line.find('{').filter(|brace| *brace <= space && !line[*brace..].starts_with("{{")) {
        Some(brace) => brace + closing(&line[brace..]).ok_or("no closing brace")? + 1,
        None => space,
    };
    let (written, rest) = line.split_at(end);
    if written == "{}" || written.is_empty() {
        return Ok((Labels::default(), rest));
    }
    let matchers = parse_selector(written).map_err(|error| format!("{written}: {error}"))?;
    Ok((Labels::from_pairs(matchers.into_iter().map(|matcher| (matcher.name, matcher.value))), rest))
}

fn closing(text: &str) -> Option<usize> {
    let (mut quote, mut escaped) = (None, false);
    for (i, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(q) if c == q => quote = None,
            Some('`') => {}
            Some(_) if c == '\\' => escaped = true,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if c == '}' => return Some(i),
            None => {}
        }
    }
    None
}

/// Points in order, one a step.
pub fn points(text: &str) -> Result<Vec<Point>, String> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if out.len() > POINTS_MAX {
            return Err(too_many());
        }
        if let Some(inside) = rest.strip_prefix("{{") {
            rest = histograms(inside, &mut out)?.trim_start();
            continue;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        word(&rest[..end], &mut out)?;
        rest = rest[end..].trim_start();
    }
    Ok(out)
}

fn too_many() -> String {
    format!("a series has at most {POINTS_MAX} points")
}

/// How often something is repeated.
fn count(times: &str) -> Result<usize, String> {
    let times = times.parse().map_err(|error| format!("{times:?}: {error}"))?;
    if times > POINTS_MAX { Err(too_many()) } else { Ok(times) }
}

/// What follows `{{`: one histogram, or a progression of them (`{{…}}+{{…}}x5`). Answers with what comes after.
fn histograms<'t>(text: &'t str, out: &mut Vec<Point>) -> Result<&'t str, String> {
    let (inside, mut rest) = text.split_once("}}").ok_or("no end of histogram")?;
    let first = histogram(inside)?;
    let mut change = None;
    for (sign, factor) in [("+{{", 1.0), ("-{{", -1.0)] {
        if let Some(after) = rest.strip_prefix(sign) {
            let (inside, after) = after.split_once("}}").ok_or("no end of histogram")?;
            change = Some((histogram(inside)?, factor));
            rest = after;
        }
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let times = match rest[..end].strip_prefix('x') {
        Some(times) => count(times)?,
        None => 0,
    };
    let mut next = Arc::new(first);
    for i in 0..=times {
        if let Some((change, sign)) = change.as_ref().filter(|_| i > 0) {
            let (sum, _) = native::plus(&next, change, *sign)
                .map_err(|_| "a histogram with custom buckets and one with exponential ones have no sum")?;
            next = Arc::new(sum);
        }
        out.push(Some(Value::Histogram(next.clone())));
    }
    Ok(&rest[end..])
}

/// `schema:1 sum:3 count:2 offset:1 buckets:[1 0 1] …`: an offset is the index of the first bucket.
pub fn histogram(text: &str) -> Result<Histogram, String> {
    let mut histogram = Histogram::default();
    let (mut offset, mut n_offset, mut rest) = (0, 0, text.trim());
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':').ok_or_else(|| format!("bad histogram {text:?}"))?;
        let (value, after) = match after.strip_prefix('[') {
            Some(list) => list.split_once(']').ok_or("no end of list")?,
            None => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
        };
        rest = after.trim_start();
        if key == "counter_reset_hint" {
            histogram.reset = match value {
                "gauge" => CounterReset::Gauge,
                "reset" => CounterReset::Yes,
                "not_reset" => CounterReset::No,
                _ => CounterReset::Unknown,
            };
            continue;
        }
        let numbers: Option<Vec<f64>> = value.split_whitespace().map(number).collect();
        let numbers = numbers.ok_or_else(|| format!("bad histogram {text:?}"))?;
        let one = numbers.first().copied().unwrap_or_default();
        let side = || numbers.iter().enumerate().map(|(i, count)| (i as i32, *count)).collect();
        match key {
            "schema" => histogram.schema = one as i32,
            "sum" => histogram.sum = one,
            "count" => histogram.count = one,
            "z_bucket" => histogram.zero_count = one,
            "z_bucket_w" => histogram.zero_threshold = one,
            "custom_values" => histogram.custom_bounds = numbers.clone().into(),
            "offset" => offset = one as i32,
            "n_offset" => n_offset = one as i32,
            "buckets" => histogram.positive = side(),
            "n_buckets" => histogram.negative = side(),
            _ => return Err(format!("histogram {key:?}?")),
        }
    }
    histogram.positive.iter_mut().for_each(|(index, _)| *index += offset);
    histogram.negative.iter_mut().for_each(|(index, _)| *index += n_offset);
    Ok(histogram)
}

fn word(word: &str, out: &mut Vec<Point>) -> Result<(), String> {
    let (what, times) = match word.rsplit_once('x') {
        Some((what, times)) if !what.is_empty() && times.bytes().all(|b| b.is_ascii_digit()) => {
            (what, Some(count(times)?))
        }
        _ => (word, None),
    };
    match what {
        "_" => out.extend(std::iter::repeat_n(None, times.unwrap_or(1))),
        "stale" => {
            // A series ends in the form it had.
            let marker = match out.iter().flatten().next_back() {
                Some(Value::Histogram(_)) => Value::Histogram(Arc::new(Histogram::stale())),
                _ => Value::Float(stale_marker()),
            };
            out.extend(std::iter::repeat_n(Some(marker), times.map_or(1, |times| times + 1)));
        }
        _ => {
            let (start, change) = progression(what).ok_or_else(|| format!("bad point {word:?}"))?;
            let mut value = start;
            for _ in 0..=times.unwrap_or(0) {
                out.push(Some(Value::Float(value)));
                value += change;
            }
        }
    }
    Ok(())
}

/// `5`, `0+10`, `100-2.5`: a start and a change.
fn progression(text: &str) -> Option<(f64, f64)> {
    if let Some(value) = number(text) {
        return Some((value, 0.0));
    }
    let split = |i: &usize| number(&text[..*i]).is_some() && number(&text[*i..]).is_some();
    let sign = text.char_indices().filter(|(_, c)| matches!(c, '+' | '-')).map(|(i, _)| i).filter(|i| *i > 0);
    let at = sign.into_iter().find(split)?;
    Some((number(&text[..at])?, number(&text[at..])?))
}

/// A number, `Inf` and `NaN` included, or a hex one.
pub fn number(text: &str) -> Option<f64> {
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok().map(|value| value as f64);
    }
    text.parse().ok()
}

/// `5m`, `10s53ms`, or a bare number of seconds; either sign.
pub fn duration_ms(text: &str) -> Result<i64, String> {
    let (sign, magnitude) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    if let Ok(seconds) = magnitude.parse::<f64>() {
        return Ok(sign * (seconds * 1e3) as i64);
    }
    model::time::parse_duration_ms(magnitude).map(|ms| sign * ms).ok_or_else(|| format!("bad duration {text:?}"))
}
