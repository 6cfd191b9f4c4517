//! OpenTelemetry's attribute value: typed, nested, and kept as it was sent.

use std::sync::Arc;

/// An attribute's key. Shared text: the same few keys stand in every record.
pub type Key = Arc<str>;

/// A value as OTLP carries it. `Int(5)`, `Double(5.0)` and `Str("5")` are three different values.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyValue {
    /// Sent without any value; not the same as an empty string, and not the same as an absent attribute.
    Empty,
    Bool(bool),
    Int(i64),
    Double(f64),
    Str(String),
    Bytes(Vec<u8>),
    Array(Vec<AnyValue>),
    /// In the order sent; of two entries of the same key the last one counts.
    Map(Vec<(Key, AnyValue)>),
}

/// Deepest nesting of arrays and maps that any door lets in. The walkers below recurse, so the doors check it first.
pub const DEPTH_MAX: usize = 32;

impl AnyValue {
    /// The value as text: strings as they are, numbers and booleans in their shortest form, bytes as base64,
    /// arrays and maps as compact JSON (OpenTelemetry specification, common/README, "attribute value to string").
    pub fn to_text(&self) -> String {
        match self {
            AnyValue::Str(text) => text.clone(),
            other => {
                let mut out = String::new();
                other.write_text(&mut out);
                out
            }
        }
    }

    /// Appends [`AnyValue::to_text`] without an allocation of its own.
    pub fn write_text(&self, out: &mut String) {
        match self {
            AnyValue::Empty => {}
            AnyValue::Str(text) => out.push_str(text),
            AnyValue::Bytes(bytes) => base64(bytes, out),
            AnyValue::Double(value) => out.push_str(&double_text(*value)),
            other => other.write_json_with(double_text, out),
        }
    }

    /// Appends the value as compact JSON that keeps the types of numbers: a double has a point or an exponent, an integer has neither. NaN
    /// and the infinities become strings, as JSON has no word for them.
    pub fn write_json(&self, out: &mut String) {
        self.write_json_with(typed_double_text, out);
    }

    fn write_json_with(&self, double: fn(f64) -> String, out: &mut String) {
        use std::fmt::Write as _;
        match self {
            AnyValue::Empty => out.push_str("null"),
            AnyValue::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            // Writing to a String cannot fail.
            AnyValue::Int(value) => write!(out, "{value}").expect("a String takes everything"),
            AnyValue::Double(value) if value.is_finite() => out.push_str(&double(*value)),
            AnyValue::Double(value) => {
                out.push('"');
                out.push_str(&double_text(*value));
                out.push('"');
            }
            AnyValue::Str(text) => json_string(text, out),
            AnyValue::Bytes(bytes) => {
                out.push('"');
                base64(bytes, out);
                out.push('"');
            }
            AnyValue::Array(values) => {
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    value.write_json_with(double, out);
                }
                out.push(']');
            }
            AnyValue::Map(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    json_string(key, out);
                    out.push(':');
                    value.write_json_with(double, out);
                }
                out.push('}');
            }
        }
    }
}

/// A double in its shortest text that reads back the same; `NaN`, `Infinity`, `-Infinity` as OTLP/JSON writes them.
pub fn double_text(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else if value != 0.0 && !(1e-6..1e21).contains(&value.abs()) {
        // JavaScript's and Go's switch to exponents, and their sign of it, which JSON readers everywhere take.
        let text = format!("{value:e}");
        if value.abs() < 1.0 { text } else { text.replace('e', "e+") }
    } else {
        format!("{value}")
    }
}

/// As [`double_text`], and never the text of an integer.
fn typed_double_text(value: f64) -> String {
    let text = double_text(value);
    if text.contains(['.', 'e']) { text } else { format!("{text}.0") }
}

/// Appends a JSON string, quotes included; control characters are escaped.
pub fn json_string(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    out.push('"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f | 0x7f => "",
            _ => continue,
        };
        out.push_str(&text[plain_from..at]);
        if escape.is_empty() {
            write!(out, "\\u{byte:04x}").expect("a String takes everything");
        } else {
            out.push_str(escape);
        }
        plain_from = at + 1;
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

/// Appends standard base64 with padding (RFC 4648 section 4).
pub fn base64(bytes: &[u8], out: &mut String) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            if place <= group.len() {
                out.push(char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]));
            } else {
                out.push('=');
            }
        }
    }
}

/// Lower-case hex, as trace and span ids are shown.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(digit), 16).expect("four bits are a hex digit"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_one_text() {
        let nested = AnyValue::Map(vec![
            ("a".into(), AnyValue::Array(vec![AnyValue::Int(1), AnyValue::Empty, AnyValue::Double(f64::NAN)])),
            ("q\"".into(), AnyValue::Str("x\ny\u{1}".into())),
        ]);
        for (value, text) in [
            (AnyValue::Empty, ""),
            (AnyValue::Bool(true), "true"),
            (AnyValue::Int(i64::MIN), "-9223372036854775808"),
            (AnyValue::Double(0.625), "0.625"),
            (AnyValue::Double(1e300), "1e+300"),
            (AnyValue::Double(-1.5e21), "-1.5e+21"),
            (AnyValue::Double(1.5e-7), "1.5e-7"),
            (AnyValue::Double(f64::NEG_INFINITY), "-Infinity"),
            (AnyValue::Bytes(vec![0xff, 0xee]), "/+4="),
            (AnyValue::Bytes(b"Man".to_vec()), "TWFu"),
            (AnyValue::Bytes(b"M".to_vec()), "TQ=="),
            (nested, r#"{"a":[1,null,"NaN"],"q\"":"x\ny\u0001"}"#),
        ] {
            assert_eq!(value.to_text(), text);
        }
        assert_eq!(hex(&[0, 0xab, 0x1f]), "00ab1f");
    }

    #[test]
    fn json_keeps_the_types_of_numbers_and_text_does_not() {
        for (value, json, text) in [
            (AnyValue::Int(5), "5", "5"),
            (AnyValue::Double(5.0), "5.0", "5"),
            (AnyValue::Double(-0.0), "-0.0", "-0"),
            (AnyValue::Double(0.5), "0.5", "0.5"),
            (AnyValue::Double(1e21), "1e+21", "1e+21"),
            (AnyValue::Double(f64::NAN), "\"NaN\"", "NaN"),
            (AnyValue::Array(vec![AnyValue::Double(1.0), AnyValue::Int(1)]), "[1.0,1]", "[1,1]"),
            (AnyValue::Map(vec![("a".into(), AnyValue::Double(2.0))]), r#"{"a":2.0}"#, r#"{"a":2}"#),
        ] {
            let mut out = String::new();
            value.write_json(&mut out);
            assert_eq!((out.as_str(), value.to_text().as_str()), (json, text));
        }
    }
}
