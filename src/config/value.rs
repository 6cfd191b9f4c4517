//! Values of `binnacle.toml` that have a unit: durations (`90d`), sizes (`10GiB`), and the closed lists.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::fmt;

/// A duration in ms, written as Prometheus writes them: `30s`, `1h30m`, `90d`, `100y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duration {
    pub ms: i64,
}

impl Duration {
    pub const fn seconds(seconds: i64) -> Duration {
        Duration { ms: seconds * 1_000 }
    }

    pub const fn minutes(minutes: i64) -> Duration {
        Duration::seconds(minutes * 60)
    }

    pub const fn days(days: i64) -> Duration {
        Duration::minutes(days * 24 * 60)
    }

    pub fn std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.ms.unsigned_abs())
    }
}

/// For settings of which `0s` means never.
pub(super) fn duration_or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    if model::time::parse_duration_ms(&text) == Some(0) {
        return Ok(Duration { ms: 0 });
    }
    Duration::deserialize(de::value::StringDeserializer::new(text))
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match model::time::parse_duration_ms(&text) {
            Some(ms) if ms > 0 => Ok(Duration { ms }),
            _ => Err(de::Error::custom(format!(
                "{text:?} is no duration: write a number and a unit (ms, s, m, h, d, w, y), as in \"30s\" or \"1h30m\""
            ))),
        }
    }
}

/// A size in bytes, written with a unit (`64MiB`, `10GB`) or as a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl Bytes {
    /// For sizes that bound memory; what does not fit is as good as no limit.
    pub fn usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    fn parse(text: &str) -> Option<Bytes> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let count: u64 = text[..digits].parse().ok()?;
        let unit: u64 = match text[digits..].trim() {
            "" | "B" => 1,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return None,
        };
        count.checked_mul(unit).map(Bytes)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Size;
        impl Visitor<'_> for Size {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"64MiB\" or \"10GiB\"")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Bytes, E> {
                u64::try_from(value).map(Bytes).map_err(|_| E::custom("a size cannot be negative"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                Bytes::parse(text).ok_or_else(|| {
                    E::custom(format!(
                        "{text:?} is no size: write a number and a unit (KiB, MiB, GiB), as in \"64MiB\""
                    ))
                })
            }
        }
        deserializer.deserialize_any(Size)
    }
}

/// Which resource attributes become labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promote {
    All,
    None,
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for Promote {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Promote;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"all\", \"none\", or a list of attribute names")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Promote, E> {
                match word {
                    "all" => Ok(Promote::All),
                    "none" => Ok(Promote::None),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut names: A) -> Result<Promote, A::Error> {
                let mut list = Vec::new();
                while let Some(name) = names.next_element()? {
                    list.push(name);
                }
                Ok(Promote::List(list))
            }
        }
        deserializer.deserialize_any(Words)
    }
}

/// Prometheus' `otlp.translation_strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub enum Translation {
    UnderscoreEscapingWithSuffixes,
    UnderscoreEscapingWithoutSuffixes,
    NoUTF8EscapingWithSuffixes,
    NoTranslation,
}

/// What becomes of delta temporality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delta {
    Cumulative,
    AsIs,
    Refuse,
}

/// An address, or nothing when the text is empty.
pub(super) fn optional_addr<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<std::net::SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |_| serde::de::Error::custom(format!("{text:?} is no address such as 127.0.0.1:1514"));
    text.parse().map(Some).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("64MiB", Some(64 << 20)),
            ("10 GB", Some(10_000_000_000)),
            ("7", Some(7)),
            ("", None),
            ("MiB", None),
            ("1.5GiB", None),
            ("10 gigs", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(Bytes::parse(text).map(|size| size.0), bytes, "{text:?}");
        }
    }
}
