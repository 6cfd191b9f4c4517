//! The JSON form: `{"streams":[{"stream":{"job":"x"},"values":[["1700000000000000000","line",{"trace_id":"1"}]]}]}`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::labels;
use super::rows::{Entry, Rows};
use crate::otlp::DecodeError;

pub(super) fn read(body: &[u8], rows: &mut Rows<'_>) -> Result<(), DecodeError> {
    let text = std::str::from_utf8(body).map_err(|error| DecodeError {
        what: "request".into(),
        offset: error.valid_up_to(),
        reason: "it is not UTF-8".into(),
    })?;
    let request: Request<'_> = serde_json::from_str(text).map_err(|error| DecodeError {
        what: "request".into(),
        offset: offset(text, error.line(), error.column()),
        reason: error.to_string(),
    })?;
    for stream in request.streams {
        let shown = || {
            let pairs: Vec<String> = stream.stream.0.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            format!("{{{}}}", pairs.join(", "))
        };
        rows.stream(labels::checked(&shown(), stream.stream.0.clone()), shown);
        stream.values.into_iter().for_each(|Value(entry)| rows.push(entry));
    }
    Ok(())
}

/// Of a line and column from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    streams: Vec<Stream<'a>>,
}

#[derive(Deserialize)]
struct Stream<'a> {
    #[serde(borrow, default)]
    stream: Pairs<'a>,
    #[serde(borrow, default)]
    values: Vec<Value<'a>>,
}

/// An object of strings, in the order written.
#[derive(Default)]
struct Pairs<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// A string that is borrowed where no escape stands in it; serde's own `Cow` copies always.
struct Text<'a>(Cow<'a, str>);

struct Value<'a>(Entry<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some((Text(name), Text(value))) = map.next_entry()? {
                    pairs.push((name, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Value<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[\"<ns since 1970>\", \"line\"] with an object of structured metadata after it or not")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
                let Text(time) = list.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
                let Text(line) = list.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
                let metadata = list.next_element::<Pairs<'de>>()?.map_or(Vec::new(), |pairs| pairs.0);
                let time_ns =
                    time.parse().map_err(|_| A::Error::custom(format!("{time:?} is no time in ns since 1970")))?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Value(Entry { time_ns: Some(time_ns), line, metadata }))
            }
        }
        deserializer.deserialize_seq(Read)
    }
}
