//! Numbers as Prometheus' HTTP API prints them (util/jsonutil), so that clients see the same text from either server.

use std::fmt::Write as _;

/// Up to here every whole number is a float of its own: 2^53.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// A sample's value without its quotes: Go's shortest decimal, with an exponent below 1e-6 and from 1e21 on.
pub(crate) fn push_value(value: f64, out: &mut String) {
    let magnitude = value.abs();
    if value.is_finite() && magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        push_exponent(value, out);
    } else {
        push_fixed(value, out);
    }
}

/// Go's `FormatFloat(v, 'e', -1, 64)`: at least two digits of exponent, always signed.
pub(crate) fn push_exponent(value: f64, out: &mut String) {
    if !value.is_finite() {
        return push_fixed(value, out);
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').expect("LowerExp writes an e");
    let exponent: i32 = exponent.parse().expect("LowerExp writes a number after the e");
    let sign = if exponent < 0 { '-' } else { '+' };
    write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs()).expect("a String takes everything");
}

/// Go's `FormatFloat(v, 'g', -1, 64)`, as expositions have it: with an exponent below 1e-4 and from a million on.
pub(crate) fn push_general(value: f64, out: &mut String) {
    let magnitude = value.abs();
    if value.is_finite() && magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        push_exponent(value, out);
    } else {
        push_value(value, out);
    }
}

/// Go's `FormatFloat(v, 'f', -1, 64)`: never an exponent.
pub(crate) fn push_fixed(value: f64, out: &mut String) {
    let magnitude = value.abs();
    if magnitude != 0.0 && magnitude < WHOLE_MAX && value as i64 as f64 == value {
        // Counts and bytes: there is no shortest decimal to be looked for, which takes many times as long.
        out.push_str(itoa::Buffer::new().format(value as i64));
    } else if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        write!(out, "{value}").expect("a String takes everything");
    }
}

/// A JSON number. JSON has no word for NaN and the infinities; a duration or a count never is one but by a mistake.
pub(crate) fn push_finite(value: f64, out: &mut String) {
    if value.is_finite() {
        push_fixed(value, out);
    } else {
        out.push('0');
    }
}

/// Milliseconds as seconds: `1`, `1.500`, `-0.001`.
pub(crate) fn push_seconds(at_ms: i64, out: &mut String) {
    if at_ms < 0 {
        out.push('-');
    }
    let at_ms = at_ms.unsigned_abs();
    out.push_str(itoa::Buffer::new().format(at_ms / 1000));
    if !at_ms.is_multiple_of(1000) {
        write!(out, ".{:03}", at_ms % 1000).expect("a String takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(push: impl Fn(&mut String)) -> String {
        let mut out = String::new();
        push(&mut out);
        out
    }

    #[test]
    fn values_are_written_as_prometheus_does() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (-1.5, "-1.5"),
            (123_456_789.25, "123456789.25"),
            (-17.0, "-17"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (-9_007_199_254_740_992.0, "-9007199254740992"),
            (1_795_305_585.5, "1795305585.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (0.000_001, "0.000001"),
            (9.5e-7, "9.5e-07"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(written(|out| push_value(value, out)), expected);
        }
        for (value, expected) in [(0.0, "0e+00"), (1.0, "1e+00"), (-250.0, "-2.5e+02"), (f64::NAN, "NaN")] {
            assert_eq!(written(|out| push_exponent(value, out)), expected);
        }
        for (at_ms, expected) in [(0, "0"), (1_500, "1.500"), (1_007, "1.007"), (-1, "-0.001"), (-61_000, "-61")] {
            assert_eq!(written(|out| push_seconds(at_ms, out)), expected);
        }
    }
}
