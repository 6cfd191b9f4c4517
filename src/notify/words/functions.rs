//! The functions that Alertmanager adds to Go's own (`DefaultFuncs`).

use template::{GoDuration, GoTime, Value, text};

const NAMES: [&str; 21] = [
    "toUpper",
    "toLower",
    "title",
    "trimSpace",
    "join",
    "match",
    "safeHtml",
    "safeUrl",
    "urlUnescape",
    "reReplaceAll",
    "stringSlice",
    "date",
    "tz",
    "since",
    "humanizeDuration",
    "toJson",
    "now",
    "list",
    "append",
    "dict",
    "contains",
];

pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

pub(super) fn call(name: &str, arguments: &[Value], now_ms: i64) -> Result<Value, String> {
    let time = |value: &Value| value.downcast::<GoTime>().cloned().ok_or_else(|| format!("{name} takes a time"));
    Ok(match (name, arguments) {
        ("toUpper", [Value::Text(given)]) => given.to_uppercase().into(),
        ("toLower", [Value::Text(given)]) => given.to_lowercase().into(),
        // Alertmanager's title case, unlike Go's, makes the rest of each word small.
        ("title", [Value::Text(given)]) => text::title(&given.to_lowercase()).into(),
        ("trimSpace", [Value::Text(given)]) => given.trim().into(),
        ("join", [Value::Text(between), Value::List(items)]) => {
            items.iter().map(template::shown).collect::<Vec<_>>().join(between).into()
        }
        ("match", [Value::Text(pattern), Value::Text(given)]) => Value::Bool(text::pattern(pattern)?.is_match(given)),
        ("contains", [Value::Text(part), Value::Text(given)]) => Value::Bool(given.contains(part.as_str())),
        ("safeHtml" | "safeUrl", [given]) => given.clone(),
        ("urlUnescape", [Value::Text(given)]) => unescape(given).into(),
        ("reReplaceAll", [Value::Text(pattern), Value::Text(by), Value::Text(given)]) => {
            text::pattern(pattern)?.replace_all(given, by.as_str()).into_owned().into()
        }
        ("stringSlice" | "list", items) => Value::List(items.to_vec()),
        ("append", [Value::List(items), more @ ..]) => Value::List(items.iter().chain(more).cloned().collect()),
        ("dict", pairs) if pairs.len() % 2 == 0 => {
            let pair = |pair: &[Value]| match pair {
                [Value::Text(key), value] => Ok((key.clone(), value.clone())),
                _ => Err("dict takes texts as keys"),
            };
            Value::Map(pairs.chunks(2).map(pair).collect::<Result<_, _>>()?)
        }
        ("date", [Value::Text(layout), at]) => time(at)?.format(layout).into(),
        ("tz", [Value::Text(zone), at]) => Value::object(time(at)?.within(zone)?),
        ("since", [at]) => Value::object(GoDuration(now_ms - time(at)?.ms())),
        ("now", []) => Value::object(GoTime::of_ms(Some(now_ms))),
        ("humanizeDuration", [value]) => {
            let seconds = match value {
                Value::Int(value) => *value as f64,
                Value::Float(value) => *value,
                Value::Text(text) => text.parse().map_err(|_| format!("{text:?} is no number"))?,
                other => match other.downcast::<GoDuration>() {
                    Some(duration) => duration.0 as f64 / 1e3,
                    None => return Err("humanizeDuration takes a number or a duration".into()),
                },
            };
            template::humanize::humanize_duration(seconds).into()
        }
        ("toJson", [value]) => json(value, 0)?.into(),
        _ => return Err(format!("wrong arguments for {name}")),
    })
}

fn unescape(given: &str) -> String {
    let plain = given.replace('+', "%20");
    let bytes = plain.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = plain.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn json(value: &Value, depth: usize) -> Result<String, String> {
    if depth > 10 {
        return Err("toJson: nested too deep".into());
    }
    let mut out = String::new();
    match value {
        Value::Nil | Value::Root => out.push_str("null"),
        Value::Bool(value) => out.push_str(&value.to_string()),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) if value.is_finite() => out.push_str(&template::number::shortest(*value)),
        Value::Float(_) => return Err("toJson: unsupported value".into()),
        Value::Text(text) => model::any::json_string(text, &mut out),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| json(item, depth + 1)).collect::<Result<_, _>>()?;
            out = format!("[{}]", items.join(","));
        }
        Value::Map(map) => out = object(map.iter().map(|(name, value)| (name.clone(), value.clone())), depth)?,
        Value::Object(inner) => match inner.items() {
            Some(items)
                if items.iter().all(|(key, _)| matches!(key, Value::Text(_))) && inner.kind() == "template.KV" =>
            {
                out = object(items.into_iter().map(|(key, value)| (template::shown(&key), value)), depth)?;
            }
            Some(items) => {
                let items: Vec<String> =
                    items.iter().map(|(_, item)| json(item, depth + 1)).collect::<Result<_, _>>()?;
                out = format!("[{}]", items.join(","));
            }
            None => {
                let names = [
                    ("status", "Status"),
                    ("labels", "Labels"),
                    ("annotations", "Annotations"),
                    ("startsAt", "StartsAt"),
                    ("endsAt", "EndsAt"),
                    ("generatorURL", "GeneratorURL"),
                    ("fingerprint", "Fingerprint"),
                ];
                if inner.kind() == "template.Alert" {
                    let fields = names.into_iter().map(|(name, field)| Ok((name.to_owned(), inner.field(field)?)));
                    out = object(fields.collect::<Result<Vec<_>, String>>()?.into_iter(), depth)?;
                } else if let Some(at) = value.downcast::<GoTime>() {
                    model::any::json_string(&at.format("2006-01-02T15:04:05.999999999Z07:00"), &mut out);
                } else {
                    model::any::json_string(&inner.show(), &mut out);
                }
            }
        },
    }
    Ok(out)
}

fn object(pairs: impl Iterator<Item = (String, Value)>, depth: usize) -> Result<String, String> {
    let mut parts = Vec::new();
    for (name, value) in pairs {
        let mut part = String::new();
        model::any::json_string(&name, &mut part);
        parts.push(format!("{part}:{}", json(&value, depth + 1)?));
    }
    Ok(format!("{{{}}}", parts.join(",")))
}
