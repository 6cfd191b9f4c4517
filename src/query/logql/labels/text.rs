//! Values as text, as Loki's OTLP door writes them: Go's `pcommon.Value.AsString`, which is Go's `encoding/json` for arrays and maps.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use codec::block::ValueRef;
use model::AnyValue;
use model::any::base64;

/// Appends the text of a value.
pub(crate) fn write(value: ValueRef<'_>, out: &mut String) {
    match value {
        ValueRef::Str(text) => out.push_str(text),
        ValueRef::Int(value) => write!(out, "{value}").expect("a String takes everything"),
        ValueRef::Double(value) => double(value, out),
        ValueRef::Other(AnyValue::Empty) => {}
        ValueRef::Other(AnyValue::Bytes(bytes)) => base64(bytes, out),
        ValueRef::Other(value) => json(value, out),
    }
}

fn double(value: f64, out: &mut String) {
    if value.is_finite() {
        json_double(value, out);
    } else {
        out.push_str("json: unsupported value: ");
        out.push_str(if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        });
    }
}

/// Go writes exponents from 1e21 and below 1e-6, with a sign (`1e+21`, `1e-7`).
fn json_double(value: f64, out: &mut String) {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                out.push_str(digits);
                out.push_str("e+");
                out.push_str(exponent);
            }
            _ => out.push_str(&text),
        }
    } else {
        write!(out, "{value}").expect("a String takes everything");
    }
}

/// Compact JSON, keys sorted; of two entries of the same key the last one counts.
fn json(value: &AnyValue, out: &mut String) {
    match value {
        AnyValue::Empty => out.push_str("null"),
        AnyValue::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        AnyValue::Int(value) => write!(out, "{value}").expect("a String takes everything"),
        AnyValue::Double(value) if value.is_finite() => json_double(*value, out),
        // Go's encoder fails on these and leaves nothing at all; a null says more.
        AnyValue::Double(_) => out.push_str("null"),
        AnyValue::Str(text) => json_string(text, out),
        AnyValue::Bytes(bytes) => {
            out.push('"');
            base64(bytes, out);
            out.push('"');
        }
        AnyValue::Array(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                json(value, out);
            }
            out.push(']');
        }
        AnyValue::Map(entries) => {
            let sorted: BTreeMap<&str, &AnyValue> = entries.iter().map(|(key, value)| (&**key, value)).collect();
            out.push('{');
            for (at, (key, value)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                json_string(key, out);
                out.push(':');
                json(value, out);
            }
            out.push('}');
        }
    }
}

/// With Go's escapes, HTML's characters included.
fn json_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(out, "\\u{:04x}", c as u32).expect("a String takes everything");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_go_does() {
        let map = AnyValue::Map(vec![
            ("b".into(), AnyValue::Int(2)),
            ("a".into(), AnyValue::Str("<x>\n".into())),
            ("b".into(), AnyValue::Array(vec![AnyValue::Bool(true), AnyValue::Empty, AnyValue::Double(0.5)])),
        ]);
        for (value, expected) in [
            (AnyValue::Empty, ""),
            (AnyValue::Str("x".into()), "x"),
            (AnyValue::Int(i64::MAX), "9223372036854775807"),
            (AnyValue::Double(0.625), "0.625"),
            (AnyValue::Double(3.0), "3"),
            (AnyValue::Double(1e21), "1e+21"),
            (AnyValue::Double(1.5e-7), "1.5e-7"),
            (AnyValue::Double(f64::INFINITY), "json: unsupported value: +Inf"),
            (AnyValue::Bool(false), "false"),
            (AnyValue::Bytes(b"Man".to_vec()), "TWFu"),
            (AnyValue::Array(vec![AnyValue::Str("p".into()), AnyValue::Int(1)]), r#"["p",1]"#),
            (map, r#"{"a":"\u003cx\u003e\n","b":[true,null,0.5]}"#),
        ] {
            let mut out = String::new();
            write((&value).into(), &mut out);
            assert_eq!(out, expected);
        }
    }
}
