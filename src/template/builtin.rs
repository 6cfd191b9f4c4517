//! Go's built-in functions (`text/template/funcs.go`).

use std::cmp::Ordering;

use crate::value::truth;
use crate::verb::printed;
use crate::{Value, kind, printf, shown};

/// `and` and `or` are answered by the run, since they stop early, and so is `call`, which names what it is given.
const NAMES: [&str; 19] = [
    "and", "or", "call", "not", "len", "index", "slice", "print", "printf", "println", "html", "js", "urlquery", "eq",
    "ne", "lt", "le", "gt", "ge",
];

pub(crate) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// `None` when there is no such function.
pub(crate) fn call(name: &str, arguments: &[Value], mixed_numbers: bool) -> Option<Result<Value, String>> {
    exists(name).then(|| answer(name, arguments, mixed_numbers))
}

fn answer(name: &str, arguments: &[Value], mixed: bool) -> Result<Value, String> {
    let order = |left, right| order(left, right, mixed);
    let text = |text: String| Ok(Value::Text(text));
    match (name, arguments) {
        ("not", [value]) => Ok(Value::Bool(!truth(value))),
        ("len", [value]) => length(value),
        ("index", [Value::Nil, ..]) => Err("index of untyped nil".into()),
        ("index", [of, keys @ ..]) => keys.iter().try_fold(of.clone(), |of, key| index(&of, &beneath(key))),
        ("slice", [of, bounds @ ..]) => slice(of, bounds),
        ("print", values) => text(print(values, printed)),
        ("println", values) => text(values.iter().map(printed).collect::<Vec<_>>().join(" ") + "\n"),
        ("printf", [Value::Text(format), values @ ..]) => text(printf(format, values)?),
        ("html", values) => text(html(&print(values, shown))),
        ("js", values) => text(js(&print(values, shown))),
        ("urlquery", values) => text(query_escape(&print(values, shown))),
        ("eq", [left, rest @ ..]) if !rest.is_empty() => {
            let mut equal = false;
            for right in rest {
                equal = equal || equals(left, right, mixed)?;
            }
            Ok(Value::Bool(equal))
        }
        ("ne", [left, right]) => Ok(Value::Bool(!equals(left, right, mixed)?)),
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

fn equals(left: &Value, right: &Value, mixed: bool) -> Result<bool, String> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        (Value::Nil, right) | (right, Value::Nil) => Ok(matches!(right, Value::Nil)),
        (Value::List(_), Value::List(_)) | (Value::Map(_), Value::Map(_)) => {
            Err(format!("non-comparable type {}: {}", printf("%s", std::slice::from_ref(right))?, kind(right)))
        }
        (left, right) => Ok(order(left, right, mixed)? == Some(Ordering::Equal)),
    }
}

/// `None` when a NaN is among them. `mixed` is whether an int and a float compare.
fn order(left: &Value, right: &Value, mixed: bool) -> Result<Option<Ordering>, String> {
    match (&beneath(left), &beneath(right)) {
        (Value::Int(left), Value::Int(right)) => Ok(Some(left.cmp(right))),
        (Value::Float(left), Value::Float(right)) => Ok(left.partial_cmp(right)),
        (Value::Float(left), Value::Int(right)) if mixed => Ok(left.partial_cmp(&(*right as f64))),
        (Value::Int(left), Value::Float(right)) if mixed => Ok((*left as f64).partial_cmp(right)),
        (Value::Text(left), Value::Text(right)) => Ok(Some(left.cmp(right))),
        (Value::Nil | Value::List(_) | Value::Map(_), _) | (_, Value::Nil | Value::List(_) | Value::Map(_)) => {
            Err("invalid type for comparison".into())
        }
        (Value::Bool(_), Value::Bool(_)) => Err("invalid type for comparison".into()),
        _ => Err(format!("incompatible types for comparison: {} and {}", kind(left), kind(right))),
    }
}

/// A number with a name compares as what it is beneath.
fn beneath(value: &Value) -> Value {
    match value {
        Value::Object(object) => object.number().map_or_else(|| value.clone(), Value::Int),
        value => value.clone(),
    }
}

fn length(value: &Value) -> Result<Value, String> {
    if let Value::Nil = value {
        return Err("reflect: call of reflect.Value.Type on zero Value".into());
    }
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
        (Value::Nil, _) => Err("index of nil pointer".into()),
        (Value::Map(_), Value::Nil) => Err("value is nil; should be of type string".into()),
        (Value::Map(_), key) => Err(format!("value has type {}; should be string", kind(key))),
        (Value::List(_) | Value::Text(_), Value::Nil) => Err("cannot index slice/array with nil".into()),
        (Value::List(_) | Value::Text(_), key) => Err(format!("cannot index slice/array with type {}", kind(key))),
        (of, _) => Err(format!("can't index item of type {}", kind(of))),
    }
}

/// `slice x 1 2` is `x[1:2]`, of a text by bytes; a third bound is that of the capacity, which no list shows.
fn slice(of: &Value, bounds: &[Value]) -> Result<Value, String> {
    let length = match of {
        Value::Text(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Nil => return Err("slice of untyped nil".into()),
        other => return Err(format!("can't slice item of type {}", kind(other))),
    };
    match (of, bounds.len()) {
        (_, 0..3) | (Value::List(_), 3) => {}
        (_, 3) => return Err("cannot 3-index slice a string".into()),
        (_, count) => return Err(format!("too many slice indexes: {count}")),
    }
    let bound = |at: usize, missing: usize| match bounds.get(at).map(beneath) {
        None => Ok(missing),
        Some(Value::Int(value)) => {
            let bound = usize::try_from(value).ok().filter(|bound| *bound <= length);
            bound.ok_or_else(|| format!("index out of range: {value}"))
        }
        Some(other) => Err(format!("cannot index slice/array with type {}", kind(&other))),
    };
    let (start, end, capacity) = (bound(0, 0)?, bound(1, length)?, bound(2, length)?);
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    if end > capacity {
        return Err(format!("invalid slice index: {end} > {capacity}"));
    }
    Ok(match of {
        Value::List(list) => Value::List(list[start..end].to_vec()),
        Value::Text(text) => Value::Text(String::from_utf8_lossy(&text.as_bytes()[start..end]).into_owned()),
        other => other.clone(),
    })
}

/// `fmt.Sprint`: a space between neighbours of which neither is a text.
fn print(values: &[Value], text: impl Fn(&Value) -> String) -> String {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        let apart = |value: &Value| !matches!(value, Value::Text(_));
        if at > 0 && apart(value) && apart(&values[at - 1]) {
            out.push(' ');
        }
        out.push_str(&text(value));
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
