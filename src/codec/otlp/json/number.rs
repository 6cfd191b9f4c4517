//! Numbers of proto3 JSON: integers stay exact to the last digit whatever form they take (`5`, `"5"`, `5.0`, `5e0`).

use super::text::number_length;

/// More digits than any 64-bit integer has.
const DIGITS_MAX: usize = 20;

/// An integer from JSON's number grammar; `None` if it has a fraction or does not fit 128 bits by far.
pub(super) fn integer(text: &str) -> Option<i128> {
    if number_length(text.as_bytes())? != text.len() {
        return None;
    }
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = whole.bytes().chain(fraction.bytes()).map(|digit| u128::from(digit - b'0'));
    let mut value = 0u128;
    let mut significant = 0;
    for digit in digits {
        significant += usize::from(significant > 0 || digit > 0);
        if significant > 2 * DIGITS_MAX - 2 {
            // 38 digits still fit: more can only be a whole number out of range or a fraction.
            return None;
        }
        value = value * 10 + digit;
    }
    if value == 0 {
        return Some(0);
    }
    // An exponent too long to parse puts the number out of range one way or the other.
    let exponent = exponent.parse::<i64>().ok()?.checked_sub(fraction.len() as i64)?;
    if exponent >= 0 {
        let power = 10u128.checked_pow(u32::try_from(exponent).ok()?)?;
        value = value.checked_mul(power)?;
    } else {
        let power = 10u128.checked_pow(u32::try_from(exponent.unsigned_abs()).ok()?)?;
        if !value.is_multiple_of(power) {
            return None;
        }
        value /= power;
    }
    let value = i128::try_from(value).ok()?;
    Some(if negative { -value } else { value })
}

/// A double from JSON's number grammar; `None` if it is out of range.
pub(super) fn double(text: &str) -> Option<f64> {
    if number_length(text.as_bytes())? != text.len() {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_in_every_form() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("0.00e7", Some(0)),
            ("1795226400123456789", Some(1_795_226_400_123_456_789)),
            ("1.795226400123456789e18", Some(1_795_226_400_123_456_789)),
            ("1e18", Some(1_000_000_000_000_000_000)),
            ("1.0", Some(1)),
            ("1200e-2", Some(12)),
            ("-9223372036854775808", Some(i128::from(i64::MIN))),
            ("18446744073709551615.000", Some(i128::from(u64::MAX))),
            ("1.5", None),
            ("12e-2", None),
            ("1e99", None),
            ("1e99999999999999999999", None),
            ("", None),
            ("+1", None),
            (" 1", None),
            ("1 ", None),
            ("0x1", None),
            ("NaN", None),
        ] {
            assert_eq!(integer(text), expected, "{text}");
        }
        assert_eq!(integer(&"9".repeat(1000)), None);
    }
}
