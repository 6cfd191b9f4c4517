//! The JSON form: `{"streams":[{"stream":{"job":"x"},"values":[["1700000000000000000","line",{"trace_id":"1"}]]}]}`.
//!
//! What Loki's reader lets pass is taken as it takes it (`pkg/loghttp/query.go` and `labels.go`), since senders that were tried with a Loki
//! alone rely on it: a number as a label's value, a key twice, `null` entries, keys that nobody knows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::labels;
use super::rows::{Entry, Rows};
use crate::otlp::DecodeError;

/// How many streams the request has.
pub(super) fn read(body: &[u8], rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
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
    let count = request.0.len();
    for stream in request.0 {
        let labels: BTreeMap<Cow<'_, str>, Cow<'_, str>> =
            stream.labels.0.into_iter().map(|(name, LabelValue(value))| (name, value)).collect();
        let shown = || {
            let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            format!("{{{}}}", pairs.join(", "))
        };
        rows.stream(labels::checked(&shown(), labels.clone().into_iter().collect()), shown);
        stream.values.into_iter().for_each(|entry| rows.push(entry));
    }
    Ok(count)
}

/// Of a line and column from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}

/// The streams. As in Loki the name of their key may be written in any case, and the last of several counts.
struct Request<'a>(Vec<Stream<'a>>);

/// As in Loki the last of several labels or values counts, but `null` is no values.
#[derive(Default)]
struct Stream<'a> {
    labels: Object<'a, LabelValue<'a>>,
    values: Vec<Entry<'a>>,
}

/// An object, in the order written.
struct Object<'a, V>(Vec<(Cow<'a, str>, V)>);

impl<V> Default for Object<'_, V> {
    fn default() -> Self {
        Object(Vec::new())
    }
}

/// A string that is borrowed where no escape stands in it; serde's own `Cow` copies always.
struct Text<'a>(Cow<'a, str>);

/// A label's value: a string, or else what is written there, as it is written: `1.50` stays so.
struct LabelValue<'a>(Cow<'a, str>);

/// `null` is no entry.
struct Value<'a>(Option<Entry<'a>>);

/// Reads whatever a visitor takes.
macro_rules! deserialize {
    ($type:ident<$life:lifetime>, $by:ident, $visitor:expr) => {
        impl<'de: $life, $life> Deserialize<'de> for $type<$life> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.$by($visitor)
            }
        }
    };
}

deserialize!(Request<'a>, deserialize_any, ReadRequest);
deserialize!(Stream<'a>, deserialize_map, ReadStream);
deserialize!(Text<'a>, deserialize_str, ReadText);
deserialize!(Value<'a>, deserialize_any, ReadValue);

impl<'de: 'a, 'a> Deserialize<'de> for LabelValue<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        if !text.starts_with('"') {
            return Ok(LabelValue(Cow::Borrowed(text)));
        }
        let Text(value) = serde_json::from_str(text).map_err(D::Error::custom)?;
        Ok(LabelValue(value))
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Object<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadObject(PhantomData))
    }
}

struct ReadRequest;

impl<'de> Visitor<'de> for ReadRequest {
    type Value = Request<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with streams")
    }

    fn visit_unit<E>(self) -> Result<Request<'de>, E> {
        Ok(Request(Vec::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Request<'de>, A::Error> {
        let mut streams = Vec::new();
        while let Some(Text(key)) = map.next_key()? {
            if key.eq_ignore_ascii_case("streams") {
                streams = map.next_value::<Option<Vec<Stream<'de>>>>()?.unwrap_or_default();
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Request(streams))
    }
}

struct ReadStream;

impl<'de> Visitor<'de> for ReadStream {
    type Value = Stream<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a stream and its values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Stream<'de>, A::Error> {
        let mut stream = Stream::default();
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "stream" => stream.labels = map.next_value()?,
                "values" => {
                    if let Some(values) = map.next_value::<Option<Vec<Value<'de>>>>()? {
                        stream.values = values.into_iter().filter_map(|value| value.0).collect();
                    }
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(stream)
    }
}

struct ReadObject<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for ReadObject<V> {
    type Value = Object<'de, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de, V>, A::Error> {
        let mut pairs = Vec::new();
        while let Some((Text(name), value)) = map.next_entry()? {
            pairs.push((name, value));
        }
        Ok(Object(pairs))
    }
}

struct ReadText;

impl<'de> Visitor<'de> for ReadText {
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

struct ReadValue;

impl<'de> Visitor<'de> for ReadValue {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[\"<ns since 1970>\", \"line\"] with an object of structured metadata after it or not")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        let Text(time) = list.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        // Loki takes an entry without a line for one with an empty line.
        let line = list.next_element()?.map_or(Cow::Borrowed(""), |Text(line)| line);
        let metadata = list.next_element::<Object<'de, Text<'de>>>()?.unwrap_or_default();
        let metadata = metadata.0.into_iter().map(|(name, Text(value))| (name, value)).collect();
        let time_ns = time.parse().map_err(|_| A::Error::custom(format!("{time:?} is no time in ns since 1970")))?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value(Some(Entry { time_ns: Some(time_ns), line, metadata })))
    }
}
