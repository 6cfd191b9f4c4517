//! The functions of rule templates: Go's built-in ones, and Prometheus' (`template/template.go`).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use model::time;

use super::run::truth;
use super::{Value, number, printf};

/// Largest compiled pattern of `match` and `reReplaceAll`, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// All that a template may call; `query`, `externalURL` and `pathPrefix` are answered by the run.
pub(super) fn exists(name: &str) -> bool {
    const NAMES: [&str; 42] = [
        "and",
        "or",
        "not",
        "len",
        "index",
        "print",
        "printf",
        "println",
        "html",
        "urlquery",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
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
        "pathPrefix",
        "externalURL",
        "parseDuration",
        "urlQueryEscape",
    ];
    NAMES.contains(&name)
}

pub(super) fn call(name: &str, arguments: Vec<Value>) -> Result<Value, String> {
    let text = |text: String| Ok(Value::Text(text));
    match (name, arguments.as_slice()) {
        ("not", [value]) => Ok(Value::Bool(!truth(value))),
        ("len", [value]) => length(value),
        ("index", [of, keys @ ..]) => keys.iter().try_fold(of.clone(), |of, key| index(&of, key)),
        ("print", values) => text(print(values)),
        ("println", values) => text(values.iter().map(printf::shown).collect::<Vec<_>>().join(" ") + "\n"),
        ("printf", [Value::Text(format), values @ ..]) => text(printf::printf(format, values)?),
        ("html", values) => text(html(&print(values))),
        ("urlquery", values) => text(escape(&print(values))),
        ("urlQueryEscape", [Value::Text(word)]) => text(escape(word)),
        ("eq", [left, rest @ ..]) if !rest.is_empty() => {
            let mut equal = false;
            for right in rest {
                equal = equal || order(left, right)? == Some(Ordering::Equal);
            }
            Ok(Value::Bool(equal))
        }
        ("ne", [left, right]) => Ok(Value::Bool(order(left, right)? != Some(Ordering::Equal))),
        ("lt", [left, right]) => Ok(Value::Bool(order(left, right)?.is_some_and(Ordering::is_lt))),
        ("le", [left, right]) => Ok(Value::Bool(order(left, right)?.is_some_and(Ordering::is_le))),
        ("gt", [left, right]) => Ok(Value::Bool(order(left, right)?.is_some_and(Ordering::is_gt))),
        ("ge", [left, right]) => Ok(Value::Bool(order(left, right)?.is_some_and(Ordering::is_ge))),
        ("first", [Value::Samples(samples)]) => match samples.first() {
            Some((labels, value)) => Ok(Value::Sample(labels.clone(), *value)),
            None => Err("first() called on vector with no elements".into()),
        },
        ("label", [Value::Text(name), Value::Sample(labels, _)]) => text(labels.value(name).into()),
        ("value", [Value::Sample(_, value)]) => Ok(Value::Float(*value)),
        ("strvalue", [Value::Sample(labels, _)]) => text(labels.value("__value__").into()),
        ("sortByLabel", [Value::Text(name), Value::Samples(samples)]) => {
            let mut samples = samples.clone();
            samples.sort_by(|a, b| a.0.value(name).cmp(b.0.value(name)));
            Ok(Value::Samples(samples))
        }
        ("args", values) => {
            let named = values.iter().enumerate().map(|(at, value)| (format!("arg{at}"), value.clone()));
            Ok(Value::Map(named.collect::<BTreeMap<_, _>>()))
        }
        ("reReplaceAll", [Value::Text(pattern), Value::Text(with), Value::Text(of)]) => {
            text(compiled(pattern)?.replace_all(of, with.as_str()).into_owned())
        }
        ("match", [Value::Text(pattern), Value::Text(of)]) => Ok(Value::Bool(compiled(pattern)?.is_match(of))),
        ("safeHtml", [Value::Text(word)]) => text(word.clone()),
        ("title", [Value::Text(word)]) => text(title(word)),
        ("toUpper", [Value::Text(word)]) => text(word.to_uppercase()),
        ("toLower", [Value::Text(word)]) => text(word.to_lowercase()),
        ("graphLink", [Value::Text(expr)]) => text(format!("/explore?expr={}", escape(expr))),
        ("tableLink", [Value::Text(expr)]) => text(format!("/explore?expr={}&view=table", escape(expr))),
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
        (_, values) => {
            let kinds: Vec<&str> = values.iter().map(printf::kind).collect();
            Err(format!("wrong number or type of arguments ({})", kinds.join(", ")))
        }
    }
}

/// Prometheus' functions take numbers and texts that are numbers.
fn float(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(value) => Ok(*value),
        Value::Int(value) => Ok(*value as f64),
        Value::Text(text) => text.parse().map_err(|_| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax")),
        other => Err(format!("can't convert {} to float", printf::kind(other))),
    }
}

/// `None` when a NaN is among them. Unlike Go, an int and a float compare as numbers: `gt $value 10` is what people write.
fn order(left: &Value, right: &Value) -> Result<Option<Ordering>, String> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Ok(Some(left.cmp(right))),
        (Value::Float(_) | Value::Int(_), Value::Float(_) | Value::Int(_)) => {
            Ok(float(left)?.partial_cmp(&float(right)?))
        }
        (Value::Text(left), Value::Text(right)) => Ok(Some(left.cmp(right))),
        (Value::Bool(left), Value::Bool(right)) => Ok(Some(left.cmp(right))),
        (Value::Nil, Value::Nil) => Ok(Some(Ordering::Equal)),
        (left, right) => {
            Err(format!("incompatible types for comparison: {} and {}", printf::kind(left), printf::kind(right)))
        }
    }
}

fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::Labels(labels) => labels.len(),
        Value::Samples(samples) => samples.len(),
        Value::Map(map) => map.len(),
        other => return Err(format!("len of type {}", printf::kind(other))),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(of: &Value, key: &Value) -> Result<Value, String> {
    match (of, key) {
        (Value::Labels(labels), Value::Text(name)) => Ok(Value::Text(labels.value(name).into())),
        (Value::Map(map), Value::Text(name)) => Ok(map.get(name).cloned().unwrap_or(Value::Nil)),
        (Value::Samples(samples), Value::Int(at)) => {
            let found = usize::try_from(*at).ok().and_then(|at| samples.get(at));
            let (labels, value) = found.ok_or_else(|| format!("index out of range: {at}"))?;
            Ok(Value::Sample(labels.clone(), *value))
        }
        (of, _) => Err(format!("can't index item of type {}", printf::kind(of))),
    }
}

/// `fmt.Sprint`: a space between neighbours of which neither is a text.
fn print(values: &[Value]) -> String {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        let apart = |value: &Value| !matches!(value, Value::Text(_));
        if at > 0 && apart(value) && apart(&values[at - 1]) {
            out.push(' ');
        }
        out.push_str(&printf::shown(value));
    }
    out
}

fn compiled(pattern: &str) -> Result<regex::Regex, String> {
    let built = regex::RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
    built.map_err(|error| format!("bad regular expression {pattern:?}: {error}"))
}

fn four_digits(value: f64) -> String {
    number::format(value, 'g', Some(4))
}

fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four_digits(value);
    }
    if value.abs() >= 1.0 {
        return scaled(value, 1_000.0, ["", "k", "M", "G", "T", "P", "E", "Z", "Y"]);
    }
    below_one(value)
}

fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four_digits(value);
    }
    scaled(value, 1_024.0, ["", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"])
}

fn scaled(mut value: f64, step: f64, prefixes: [&str; 9]) -> String {
    let mut at = 0;
    while value.abs() >= step && at + 1 < prefixes.len() {
        value /= step;
        at += 1;
    }
    format!("{}{}", four_digits(value), prefixes[at])
}

fn below_one(mut value: f64) -> String {
    let mut prefix = "";
    for smaller in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = smaller;
        value *= 1_000.0;
    }
    format!("{}{prefix}", four_digits(value))
}

fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return four_digits(value);
    }
    if value == 0.0 {
        return format!("{}s", four_digits(value));
    }
    if value.abs() < 1.0 {
        return format!("{}s", below_one(value));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = value.abs() as u64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    // Whole seconds beside minutes and more, four digits alone.
    if days > 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours > 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", four_digits(value.abs()))
    }
}

/// Go's `Time.String` in UTC, from seconds.
fn humanize_timestamp(value: f64) -> Result<String, String> {
    if !value.is_finite() {
        return Ok(four_digits(value));
    }
    let ns = value * 1e9;
    if ns.abs() >= i64::MAX as f64 {
        let shown = number::shortest(value);
        return Err(format!("{shown} cannot be represented as a nanoseconds timestamp since it overflows int64"));
    }
    // Prometheus goes through milliseconds.
    let ms = (ns as i64).div_euclid(1_000_000);
    let text = time::rfc3339_ms(ms);
    let (date, clock) = text.trim_end_matches('Z').split_once('T').unwrap_or((&text, ""));
    let clock = clock.trim_end_matches('0').trim_end_matches('.');
    // A trimmed minute or second is put back.
    let missing = "00:00:00".get(clock.len()..).unwrap_or_default();
    Ok(format!("{date} {clock}{missing} +0000 UTC"))
}

/// `strings.Title`: the first letter of each word; words end at ASCII other than letters, digits and underscores, and at spaces.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        let begins = !(before.is_alphanumeric() || before == '_') && (before.is_ascii() || before.is_whitespace());
        match begins {
            true => out.extend(c.to_uppercase()),
            false => out.push(c),
        }
        before = c;
    }
    out
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

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// `url.QueryEscape`.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
