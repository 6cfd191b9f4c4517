//! Go's built-in functions (`text/template/funcs.go`).

use std::cmp::Ordering;

use crate::value::truth;
use crate::{Value, kind, printf, shown};

/// `and` and `or` are answered by the run, since they stop early.
const NAMES: [&str; 18] = [
    "and", "or", "not", "len", "index", "slice", "print", "printf", "println", "html", "js", "urlquery", "eq", "ne",
    "lt", "le", "gt", "ge",
];

pub(crate) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// `None` when there is no such function.
pub(crate) fn call(name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    exists(name).then(|| answer(name, arguments))
}

fn answer(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let text = |text: String| Ok(Value::Text(text));
    match (name, arguments) {
        ("not", [value]) => Ok(Value::Bool(!truth(value))),
        ("len", [value]) => length(value),
        ("index", [of, keys @ ..]) => keys.iter().try_fold(of.clone(), |of, key| index(&of, key)),
        ("slice", [of, bounds @ ..]) => slice(of, bounds),
        ("print", values) => text(print(values)),
        ("println", values) => text(values.iter().map(shown).collect::<Vec<_>>().join(" ") + "\n"),
        ("printf", [Value::Text(format), values @ ..]) => text(printf(format, values)?),
        ("html", values) => text(html(&print(values))),
        ("js", values) => text(js(&print(values))),
        ("urlquery", values) => text(query_escape(&print(values))),
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
        (_, values) => {
            let kinds: Vec<&str> = values.iter().map(kind).collect();
            Err(format!("wrong number or type of arguments ({})", kinds.join(", ")))
        }
    }
}

/// `None` when a NaN is among them. Unlike Go, an int and a float compare as numbers: `gt $value 10` is what people write.
fn order(left: &Value, right: &Value) -> Result<Option<Ordering>, String> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Ok(Some(left.cmp(right))),
        (Value::Float(left), Value::Float(right)) => Ok(left.partial_cmp(right)),
        (Value::Float(left), Value::Int(right)) => Ok(left.partial_cmp(&(*right as f64))),
        (Value::Int(left), Value::Float(right)) => Ok((*left as f64).partial_cmp(right)),
        (Value::Text(left), Value::Text(right)) => Ok(Some(left.cmp(right))),
        (Value::Bool(left), Value::Bool(right)) => Ok(Some(left.cmp(right))),
        (Value::Nil, Value::Nil) => Ok(Some(Ordering::Equal)),
        (left, right) => Err(format!("incompatible types for comparison: {} and {}", kind(left), kind(right))),
    }
}

fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Text(text) => Some(text.len()),
        Value::List(list) => Some(list.len()),
        Value::Map(map) => Some(map.len()),
        Value::Object(object) => object.items().map(|items| items.len()),
        _ => None,
    };
    let length = length.ok_or_else(|| format!("len of type {}", kind(value)))?;
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(of: &Value, key: &Value) -> Result<Value, String> {
    match (of, key) {
        (Value::Map(map), Value::Text(name)) => Ok(map.get(name).cloned().unwrap_or(Value::Nil)),
        (Value::List(list), Value::Int(at)) => {
            let found = usize::try_from(*at).ok().and_then(|at| list.get(at));
            found.cloned().ok_or_else(|| format!("index out of range: {at}"))
        }
        (Value::Text(text), Value::Int(at)) => {
            let found = usize::try_from(*at).ok().and_then(|at| text.as_bytes().get(at));
            found.map(|byte| Value::Int(i64::from(*byte))).ok_or_else(|| format!("index out of range: {at}"))
        }
        (Value::Object(object), key) => object.index(key),
        (of, _) => Err(format!("can't index item of type {}", kind(of))),
    }
}

/// `slice x 1 2` is `x[1:2]`, of a text by bytes.
fn slice(of: &Value, bounds: &[Value]) -> Result<Value, String> {
    let length = match of {
        Value::Text(text) => text.len(),
        Value::List(list) => list.len(),
        other => return Err(format!("can't slice item of type {}", kind(other))),
    };
    let bound = |at: usize, missing: usize| match bounds.get(at) {
        None => Ok(missing),
        Some(Value::Int(value)) => {
            let bound = usize::try_from(*value).ok().filter(|bound| *bound <= length);
            bound.ok_or_else(|| format!("index out of range: {value}"))
        }
        Some(other) => Err(format!("cannot index slice/array with type {}", kind(other))),
    };
    let (start, end) = (bound(0, 0)?, bound(1, length)?);
    if bounds.len() > 2 || start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    Ok(match of {
        Value::List(list) => Value::List(list[start..end].to_vec()),
        Value::Text(text) => Value::Text(String::from_utf8_lossy(&text.as_bytes()[start..end]).into_owned()),
        other => other.clone(),
    })
}

/// `fmt.Sprint`: a space between neighbours of which neither is a text.
fn print(values: &[Value]) -> String {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        let apart = |value: &Value| !matches!(value, Value::Text(_));
        if at > 0 && apart(value) && apart(&values[at - 1]) {
            out.push(' ');
        }
        out.push_str(&shown(value));
    }
    out
}

/// `template.HTMLEscapeString`.
pub fn html(text: &str) -> String {
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

/// `template.JSEscapeString`.
fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' => out.push_str("\\u003C"),
            '>' => out.push_str("\\u003E"),
            '&' => out.push_str("\\u0026"),
            '=' => out.push_str("\\u003D"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// `url.QueryEscape`.
pub fn query_escape(text: &str) -> String {
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
