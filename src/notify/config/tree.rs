//! YAML as a tree that knows its lines, so that every complaint about a value names where it stands.
//!
//! Scalars keep the text they were written with: a key of digits stays a key of digits.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// Deepest nesting of lists and mappings. The reader recurses with frames of some 30 KB unoptimised, on stacks of 2 MB; a tree
/// of eleven routes one below the other fits.
const DEPTH_MAX: usize = 24;

/// A value that cannot be used: its line and why.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bad {
    pub(crate) line: usize,
    pub(crate) reason: String,
}

impl Bad {
    pub(crate) fn new(line: usize, reason: impl Into<String>) -> Bad {
        Bad { line, reason: reason.into() }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) node: Node,
}

/// Reads a document and puts the environment's values in place of `${NAME}` in scalars.
pub(crate) fn read(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Node, Bad> {
    if text.trim().is_empty() {
        return Ok(Node { line: 1, value: Value::Null });
    }
    let options = serde_saphyr::options! { budget: serde_saphyr::budget! { max_depth: DEPTH_MAX } };
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(1, |at| line_of(at.line()));
        let error = error.without_snippet();
        if let serde_saphyr::Error::Budget { breach: serde_saphyr::budget::BudgetBreach::Depth { .. }, .. } = error {
            return Bad::new(line, format!("lists and mappings stand deeper than {DEPTH_MAX} in each other"));
        }
        let reason = error.to_string();
        let reason = reason.lines().next().unwrap_or("not YAML");
        Bad::new(line, reason.rsplit_once(" at line ").map_or(reason, |(words, _)| words))
    })?;
    settle(raw, text, env)
}

fn line_of(line: u64) -> usize {
    usize::try_from(line).unwrap_or(usize::MAX).max(1)
}

/// What the YAML reader hands over, before scalars get their text back.
enum Raw {
    Null,
    Text(String),
    /// A boolean or a number, whose text is in the document.
    Typed,
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        struct AnyShape;
        impl<'de> Visitor<'de> for AnyShape {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping, a list or a scalar")
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_none<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
                Ok(Raw::Text(text.into()))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
                Ok(Raw::Typed)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Raw::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
                // A key that stands twice is the reader's error already.
                let mut map: Vec<(Spanned<String>, Spanned<Raw>)> = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    map.push(entry);
                }
                Ok(Raw::Map(map))
            }
        }
        deserializer.deserialize_any(AnyShape)
    }
}

fn settle(raw: Spanned<Raw>, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Node, Bad> {
    let line = line_of(raw.referenced.line());
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Text(written) => Value::Scalar(expand(&written, line, env)?),
        Raw::Typed => {
            let span = raw.defined.span();
            let from = span.byte_offset().and_then(|at| usize::try_from(at).ok());
            let bytes = span.byte_len().and_then(|len| usize::try_from(len).ok());
            let written = from.zip(bytes).and_then(|(from, bytes)| text.get(from..from.checked_add(bytes)?));
            let written = written.ok_or_else(|| Bad::new(line, "this value needs quotes"))?;
            Value::Scalar(written.trim().into())
        }
        Raw::List(items) => {
            Value::List(items.into_iter().map(|item| settle(item, text, env)).collect::<Result<_, _>>()?)
        }
        Raw::Map(entries) => {
            let mut map = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                let line = line_of(key.referenced.line());
                map.push(Entry { key: key.value, line, node: settle(value, text, env)? });
            }
            Value::Map(map)
        }
    };
    Ok(Node { line, value })
}

/// Puts values in place of `${NAME}`; anything else with a dollar stays as it is, regexes need it.
fn expand(written: &str, line: usize, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Bad> {
    let mut out = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        match inside.find('}').map(|end| (&inside[..end], &inside[end + 1..])) {
            Some((name, after)) if model::labels::is_label_name(name) => {
                let value = env(name)
                    .ok_or_else(|| Bad::new(line, format!("the environment variable {name} is not set; set it")))?;
                out.push_str(&value);
                rest = after;
            }
            _ => {
                out.push_str("${");
                rest = inside;
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_keep_their_text_and_their_line() {
        let env = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
        let text = "a: 0123\nb:\n  - 012e40\n  - yes\n  - '${TOKEN}-x${1}'\n  - ~\n";
        let node = read(text, &env).unwrap();
        let Value::Map(entries) = node.value else { panic!("not a map") };
        assert!(matches!(&entries[0].node.value, Value::Scalar(text) if text == "0123"));
        assert_eq!((entries[1].line, entries[1].key.as_str()), (2, "b"));
        let Value::List(items) = &entries[1].node.value else { panic!("not a list") };
        let texts: Vec<_> = items
            .iter()
            .map(|item| match &item.value {
                Value::Scalar(text) => (item.line, text.as_str()),
                _ => (item.line, "null"),
            })
            .collect();
        assert_eq!(texts, [(3, "012e40"), (4, "yes"), (5, "s3cret-x${1}"), (6, "null")]);
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        for (text, line, part) in
            [("a: 1\na: 2\n", 2, "a"), ("a: [1\nb: 2\n", 2, ""), ("a:\n  b: ${NOPE}\n", 2, "NOPE")]
        {
            let bad = read(text, &|_| None).unwrap_err();
            assert_eq!(bad.line, line, "{text:?}: {bad:?}");
            assert!(bad.reason.contains(part), "{bad:?}");
        }
    }
}
