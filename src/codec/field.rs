//! Paths into nested attribute values: `a.b` is the key `a.b`, or the entry `b` of the map under the key `a`.
//!
//! The log index writes what [`visit`] shows, a search looks up what [`lookup`] finds: the second is always among the first.
//! An element of an array stands under the array's own path.

use model::any::DEPTH_MAX;
use model::{AnyValue, Key};

use crate::block::ValueRef;

/// Shows a value and all that is nested in it, each with its path. `path` is the value's own and is as before afterwards.
pub fn visit<'a>(path: &mut String, value: ValueRef<'a>, show: &mut dyn FnMut(&str, ValueRef<'a>)) {
    visit_to_depth(path, value, show, 0);
}

fn visit_to_depth<'a>(path: &mut String, value: ValueRef<'a>, show: &mut dyn FnMut(&str, ValueRef<'a>), depth: usize) {
    show(path, value);
    // Twice the doors' limit: deeper than anything that is let in, shallow enough for a thread's stack.
    if depth > 2 * DEPTH_MAX {
        return;
    }
    match value {
        ValueRef::Other(AnyValue::Map(entries)) => {
            for (key, inner) in entries {
                let length = path.len();
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
                visit_to_depth(path, inner.into(), show, depth + 1);
                path.truncate(length);
            }
        }
        ValueRef::Other(AnyValue::Array(values)) => {
            values.iter().for_each(|inner| visit_to_depth(path, inner.into(), show, depth + 1));
        }
        _ => {}
    }
}

/// Whether a value of this key can have the path in it, or is at its end.
pub fn leads_to(key: &str, path: &str) -> bool {
    path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Finds the values at a path among attributes: of two of the same key the last. Elements of an array are shown after the array.
pub fn lookup<'a>(
    attributes: impl DoubleEndedIterator<Item = (&'a Key, ValueRef<'a>)> + Clone,
    path: &str,
    found: &mut dyn FnMut(ValueRef<'a>),
) {
    if let Some((_, value)) = attributes.clone().rev().find(|(key, _)| &***key == path) {
        return with_elements(value, found, 0);
    }
    // The longest key that leads there wins: `a.b` before `a`.
    for (at, _) in path.rmatch_indices('.') {
        let (head, rest) = (&path[..at], &path[at + 1..]);
        if let Some((_, value)) = attributes.clone().rev().find(|(key, _)| &***key == head) {
            return within(value, rest, found, 0);
        }
    }
}

/// The values at a path inside a value; the empty path is the value itself.
pub fn within<'a>(value: ValueRef<'a>, path: &str, found: &mut dyn FnMut(ValueRef<'a>), depth: usize) {
    if depth > 2 * DEPTH_MAX {
        return;
    }
    match value {
        _ if path.is_empty() => with_elements(value, found, depth),
        ValueRef::Other(AnyValue::Map(entries)) => {
            let of_key = |key: &str| entries.iter().rev().find(|(name, _)| &**name == key).map(|(_, value)| value);
            if let Some(inner) = of_key(path) {
                return with_elements(inner.into(), found, depth + 1);
            }
            for (at, _) in path.rmatch_indices('.') {
                if let Some(inner) = of_key(&path[..at]) {
                    return within(inner.into(), &path[at + 1..], found, depth + 1);
                }
            }
        }
        ValueRef::Other(AnyValue::Array(values)) => {
            values.iter().for_each(|inner| within(inner.into(), path, found, depth + 1));
        }
        _ => {}
    }
}

fn with_elements<'a>(value: ValueRef<'a>, found: &mut dyn FnMut(ValueRef<'a>), depth: usize) {
    found(value);
    if let ValueRef::Other(AnyValue::Array(values)) = value
        && depth <= 2 * DEPTH_MAX
    {
        values.iter().for_each(|inner| with_elements(inner.into(), found, depth + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_up_was_visited() {
        let int = AnyValue::Int;
        let attributes: Vec<(Key, AnyValue)> = vec![
            ("a".into(), AnyValue::Map(vec![("b".into(), int(1)), ("c.d".into(), int(2))])),
            ("a.x".into(), int(3)),
            ("list".into(), AnyValue::Array(vec![int(4), AnyValue::Map(vec![("k".into(), int(5))])])),
            ("twice".into(), int(6)),
            ("twice".into(), int(7)),
        ];
        let pairs = || attributes.iter().map(|(key, value)| (key, ValueRef::from(value)));
        for (path, expected) in [
            ("a.b", "1"),
            ("a.c.d", "2"),
            ("a.x", "3"),
            ("list", "[4,{\"k\":5}] 4 {\"k\":5}"),
            ("list.k", "5"),
            ("twice", "7"),
            ("a.nothing", ""),
            ("b", ""),
        ] {
            let mut texts = Vec::new();
            lookup(pairs(), path, &mut |value| texts.push(value.to_value().to_text()));
            assert_eq!(texts.join(" "), expected, "{path}");
            let mut visited = Vec::new();
            for (key, value) in pairs() {
                visit(&mut key.to_string(), value, &mut |at, value| {
                    visited.push((at.to_owned(), value.to_value().to_text()));
                });
            }
            assert!(texts.iter().all(|text| visited.contains(&(path.into(), text.clone()))), "{path}: {visited:?}");
        }
    }
}
