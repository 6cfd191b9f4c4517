//! The single values of proto3 JSON (protobuf.dev/programming-guides/json): every number also as text, `null` for absent.

use std::borrow::Cow;

use super::number;
use super::text::{Cursor, Scalar};
use crate::otlp::error::Read;

impl<'a> Cursor<'a> {
    /// Reads a value into `out`; `null` leaves it as it is.
    pub(super) fn set<T>(&mut self, out: &mut T, read: impl FnOnce(&mut Cursor<'a>) -> Read<Option<T>>) -> Read<()> {
        if let Some(value) = read(self)? {
            *out = value;
        }
        Ok(())
    }

    pub(super) fn text(&mut self) -> Read<Option<Cow<'a, str>>> {
        let start = *self;
        match self.scalar()? {
            Scalar::Null => Ok(None),
            Scalar::Text(text) => Ok(Some(text)),
            _ => start.error("a string expected"),
        }
    }

    pub(super) fn string_owned(&mut self) -> Read<Option<String>> {
        Ok(self.text()?.map(Cow::into_owned))
    }

    pub(super) fn bool(&mut self) -> Read<Option<bool>> {
        let start = *self;
        match self.scalar()? {
            Scalar::Null => Ok(None),
            Scalar::Bool(value) => Ok(Some(value)),
            _ => start.error("true or false expected"),
        }
    }

    /// An integer of any width, exact.
    pub(super) fn integer<T: TryFrom<i128>>(&mut self) -> Read<Option<T>> {
        let start = *self;
        let found = match self.scalar()? {
            Scalar::Null => return Ok(None),
            Scalar::Number(text) => number::integer(text),
            Scalar::Text(text) => number::integer(&text),
            Scalar::Bool(_) => None,
        };
        match found.map(T::try_from) {
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(_)) => start.error(format!("integer out of range of {}", std::any::type_name::<T>())),
            None => start.error("an integer expected"),
        }
    }

    pub(super) fn double(&mut self) -> Read<Option<f64>> {
        let start = *self;
        let found = match self.scalar()? {
            Scalar::Null => return Ok(None),
            Scalar::Number(text) => number::double(text),
            Scalar::Text(text) => match &*text {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                text => number::double(text),
            },
            Scalar::Bool(_) => None,
        };
        match found {
            Some(value) => Ok(Some(value)),
            None => start.error("a number expected"),
        }
    }

    /// An enum: a number, or the name that OTLP forbids and senders use. `name` knows the names.
    pub(super) fn enumeration(&mut self, name: impl FnOnce(&str) -> Option<i32>) -> Read<Option<i32>> {
        let mut ahead = *self;
        if let Scalar::Text(text) = ahead.scalar()?
            && let Some(value) = name(&text)
        {
            *self = ahead;
            return Ok(Some(value));
        }
        self.integer()
    }

    /// Bytes in base64: either alphabet, with padding or without.
    pub(super) fn base64(&mut self) -> Read<Option<Vec<u8>>> {
        let start = *self;
        let Some(text) = self.text()? else { return Ok(None) };
        match base64(&text) {
            Some(bytes) => Ok(Some(bytes)),
            None => start.error("base64 expected"),
        }
    }

    /// An id in hex of either case; whatever is not the hex of N bytes is no id.
    pub(super) fn id<const N: usize>(&mut self) -> Read<Option<[u8; N]>> {
        Ok(self.text()?.and_then(|text| hex(&text)).and_then(|bytes| crate::otlp::record::id(&bytes)))
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some((digit(high)? << 4 | digit(low)?) as u8)).collect()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let padding = text.bytes().rev().take_while(|c| *c == b'=').count();
    let digits = &text.as_bytes()[..text.len() - padding];
    // Padding is left out or complete; one digit alone is no byte.
    if (padding > 0 && (padding > 2 || !text.len().is_multiple_of(4))) || digits.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let mut bits = 0u32;
        for digit in group {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - group.len());
        out.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_in_both_alphabets_with_or_without_padding() {
        for (text, expected) in [
            ("", Some(&b""[..])),
            ("TQ==", Some(b"M")),
            ("TQ", Some(b"M")),
            ("TWE", Some(b"Ma")),
            ("TWFu", Some(b"Man")),
            ("/+4=", Some(&[0xff, 0xee])),
            ("_-4", Some(&[0xff, 0xee])),
            ("T", None),
            ("TQ=", None),
            ("TWFu====", None),
            ("====", None),
            ("T=Q=", None),
            ("TWF!", None),
        ] {
            assert_eq!(base64(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn single_values_follow_proto3_json() {
        fn at(text: &str) -> Cursor<'_> {
            Cursor::new(text.as_bytes()).unwrap()
        }
        for (text, expected) in [("5", Ok(Some(5))), ("\"5\"", Ok(Some(5))), ("1e1", Ok(Some(10))), ("null", Ok(None))]
        {
            assert_eq!(at(text).integer::<u32>(), expected);
        }
        for wrong in ["-1", "4294967296", "\"\"", "true", "1.5", "[]", "\"NaN\""] {
            assert!(at(wrong).integer::<u32>().is_err(), "{wrong}");
        }
        for (text, bits) in [
            ("-0", (-0.0f64).to_bits()),
            ("\"-Infinity\"", f64::NEG_INFINITY.to_bits()),
            ("\"1.25\"", 1.25f64.to_bits()),
        ] {
            assert_eq!(at(text).double().map(|value| value.map(f64::to_bits)), Ok(Some(bits)));
        }
        for wrong in ["1e999", "\"inf\"", "\"nan\"", "\"+1\"", "\" 1\"", "false", "{}"] {
            assert!(at(wrong).double().is_err(), "{wrong}");
        }
        assert_eq!(at("\"5B8efff798038103\"").id::<8>(), Ok(Some([0x5b, 0x8e, 0xff, 0xf7, 0x98, 0x03, 0x81, 0x03])));
        for none in ["\"\"", "\"5b8e\"", "\"0000000000000000\"", "\"0x5b8efff7980381\"", "\"5b8efff79803810\"", "null"]
        {
            assert_eq!(at(none).id::<8>(), Ok(None), "{none}");
        }
        assert!(at("5").id::<8>().is_err());
    }
}
