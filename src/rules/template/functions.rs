//! Prometheus' functions (`template/template.go`); Go's own are the template room's.

use std::collections::BTreeMap;

use model::time;
use template::humanize::{four_digits, humanize, humanize_1024, humanize_duration};
use template::text::{pattern, title};
use template::{GoDuration, GoTime, Value, kind, number, query_escape};

use super::values::Sample;

/// All that a rule's template may call beside Go's; `query`, `externalURL` and `pathPrefix` are answered by the run.
pub(super) fn exists(name: &str) -> bool {
    const NAMES: [&str; 28] = [
        "query",
        "first",
        "label",
        "value",
        "strvalue",
        "args",
        "reReplaceAll",
        "safeHtml",
        "match",
        "title",
        "toUpper",
        "toLower",
        "graphLink",
        "tableLink",
        "sortByLabel",
        "stripPort",
        "stripDomain",
        "humanize",
        "humanize1024",
        "humanizeDuration",
        "humanizePercentage",
        "humanizeTimestamp",
        "toTime",
        "toDuration",
        "pathPrefix",
        "externalURL",
        "parseDuration",
        "urlQueryEscape",
    ];
    NAMES.contains(&name)
}

pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let text = |text: String| Ok(Value::Text(text));
    match (name, arguments) {
        ("urlQueryEscape", [Value::Text(word)]) => text(query_escape(word)),
        ("first", [Value::List(samples)]) => {
            samples.first().cloned().ok_or_else(|| "first() called on vector with no elements".into())
        }
        ("label", [Value::Text(name), of]) => text(sample(of)?.labels.value(name).into()),
        ("value", [of]) => Ok(sample(of)?.value.clone()),
        ("strvalue", [of]) => text(sample(of)?.labels.value("__value__").into()),
        ("sortByLabel", [Value::Text(name), Value::List(samples)]) => {
            let mut samples = samples.clone();
            let key = |value: &Value| sample(value).map(|sample| sample.labels.value(name).to_owned());
            samples.sort_by_cached_key(|value| key(value).unwrap_or_default());
            Ok(Value::List(samples))
        }
        ("args", values) => {
            let named = values.iter().enumerate().map(|(at, value)| (format!("arg{at}"), value.clone()));
            Ok(Value::Map(named.collect::<BTreeMap<_, _>>()))
        }
        ("reReplaceAll", [Value::Text(of_what), Value::Text(with), Value::Text(of)]) => {
            text(pattern(of_what)?.replace_all(of, with.as_str()).into_owned())
        }
        ("match", [Value::Text(what), Value::Text(of)]) => Ok(Value::Bool(pattern(what)?.is_match(of))),
        ("safeHtml", [Value::Text(word)]) => text(word.clone()),
        ("title", [Value::Text(word)]) => text(title(word)),
        ("toUpper", [Value::Text(word)]) => text(word.to_uppercase()),
        ("toLower", [Value::Text(word)]) => text(word.to_lowercase()),
        ("graphLink", [Value::Text(expr)]) => text(format!("/explore?expr={}", query_escape(expr))),
        ("tableLink", [Value::Text(expr)]) => text(format!("/explore?expr={}&view=table", query_escape(expr))),
        ("stripPort", [Value::Text(address)]) => {
            text(split_port(address).map_or(address.clone(), |(host, _)| host.into()))
        }
        ("stripDomain", [Value::Text(address)]) => text(strip_domain(address)),
        ("parseDuration", [Value::Text(duration)]) => match time::parse_duration_ms(duration) {
            Some(ms) => Ok(Value::Float(ms as f64 / 1_000.0)),
            None => Err(format!("not a valid duration string: {duration:?}")),
        },
        ("humanize", [value]) => text(humanize(float(value)?)),
        ("humanize1024", [value]) => text(humanize_1024(float(value)?)),
        ("humanizeDuration", [value]) => text(humanize_duration(float(value)?)),
        ("humanizePercentage", [value]) => text(format!("{}%", four_digits(float(value)? * 100.0))),
        ("humanizeTimestamp", [value]) => text(humanize_timestamp(float(value)?)?),
        ("toTime", [value]) => Ok(Value::object(GoTime::of_ms(Some(milliseconds(float(value)?)?)))),
        ("toDuration", [value]) => Ok(Value::object(GoDuration(milliseconds(float(value)?)?))),
        (_, values) => {
            let kinds: Vec<&str> = values.iter().map(kind).collect();
            Err(format!("wrong number or type of arguments ({})", kinds.join(", ")))
        }
    }
}

fn sample(value: &Value) -> Result<&Sample, String> {
    value.downcast().ok_or_else(|| format!("wrong type for value; expected a sample; got {}", kind(value)))
}

/// Prometheus' functions take numbers and texts that are numbers.
fn float(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(value) => Ok(*value),
        Value::Int(value) => Ok(*value as f64),
        Value::Text(text) => text.parse().map_err(|_| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax")),
        other => Err(format!("can't convert {} to float", kind(other))),
    }
}

/// Of seconds that Go can hold in nanoseconds.
fn milliseconds(seconds: f64) -> Result<i64, String> {
    let ns = seconds * 1e9;
    if ns.is_nan() || ns.abs() >= i64::MAX as f64 {
        let shown = number::shortest(seconds);
        return Err(format!("{shown} cannot be represented as a nanoseconds timestamp since it overflows int64"));
    }
    Ok((ns as i64).div_euclid(1_000_000))
}

/// Go's `Time.String` in UTC, from seconds.
fn humanize_timestamp(value: f64) -> Result<String, String> {
    if !value.is_finite() {
        return Ok(four_digits(value));
    }
    // Prometheus goes through milliseconds.
    let text = time::rfc3339_ms(milliseconds(value)?);
    let (date, clock) = text.trim_end_matches('Z').split_once('T').unwrap_or((&text, ""));
    let clock = clock.trim_end_matches('0').trim_end_matches('.');
    // A trimmed minute or second is put back.
    let missing = "00:00:00".get(clock.len()..).unwrap_or_default();
    Ok(format!("{date} {clock}{missing} +0000 UTC"))
}

/// Host and port as `net.SplitHostPort` tells them apart; `None` where it fails.
fn split_port(address: &str) -> Option<(&str, &str)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => rest.split_once(']').and_then(|(host, port)| Some((host, port.strip_prefix(':')?)))?,
        None => address.rsplit_once(':')?,
    };
    let plain = !host.contains(['[', ']']) && !port.contains([':', '[', ']']);
    (plain && (address.starts_with('[') || !host.contains(':'))).then_some((host, port))
}

fn strip_domain(address: &str) -> String {
    let (host, port) = split_port(address).map_or((address, None), |(host, port)| (host, Some(port)));
    if host.parse::<std::net::IpAddr>().is_ok() {
        return address.into();
    }
    let short = host.split('.').next().unwrap_or_default();
    port.map_or(short.into(), |port| format!("{short}:{port}"))
}
