//! Numbers as Go's `strconv.ParseFloat` reads them.

use super::units::quote;

/// A power of two beyond any number there is, whatever the mantissa's length: queries and lines are shorter.
const FAR: i64 = 1 << 40;

/// What `strconv.ParseFloat` makes of a text: decimal or hexadecimal, digits perhaps apart by underscores, infinities, NaN.
///
/// # Errors
/// Go's own words.
pub fn float(text: &str) -> Result<f64, String> {
    let plain = text.parse().ok().filter(|value: &f64| !value.is_nan() || text.len() == "nan".len());
    let value = plain.or_else(|| odd(text));
    let value = value.ok_or_else(|| format!("strconv.ParseFloat: parsing {}: invalid syntax", quote(text)))?;
    // Rust reads what is too large as infinite, Go refuses it.
    if value.is_infinite() && text.bytes().any(|b| b.is_ascii_digit()) {
        return Err(format!("strconv.ParseFloat: parsing {}: value out of range", quote(text)));
    }
    Ok(value)
}

/// What Go reads and Rust does not.
fn odd(text: &str) -> Option<f64> {
    let (is_negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.contains('_') && !are_apart(digits) {
        return None;
    }
    let plain = digits.replace('_', "");
    let value = match plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        Some(hex) => hexadecimal(hex)?,
        None if digits.contains('_') && plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            plain.parse().ok()?
        }
        None => return None,
    };
    Some(if is_negative { -value } else { value })
}

/// Whether each underscore stands between two digits; the `0x` in front counts as one.
fn are_apart(text: &str) -> bool {
    let (is_hex, rest) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (true, &text[2..]),
        _ => (false, text),
    };
    let mut before = if is_hex { '0' } else { '!' };
    for c in rest.chars() {
        let is_digit = c.is_ascii_digit() || is_hex && c.is_ascii_hexdigit();
        match (before, c) {
            ('_', _) if !is_digit => return false,
            ('!', '_') => return false,
            _ => {}
        }
        before = if is_digit {
            '0'
        } else if c == '_' {
            '_'
        } else {
            '!'
        };
    }
    before != '_'
}

/// The digits behind `0x`, with the power of two that must follow them.
fn hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, power) = text.split_once(['p', 'P'])?;
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + part.len() == 0 {
        return None;
    }
    // 64 bits and whether any is lost behind them round as all of them would.
    let (mut bits, mut exponent) = (0u64, 0i32);
    for (at, c) in whole.chars().chain(part.chars()).enumerate() {
        let digit = u64::from(c.to_digit(16)?);
        let is_part = at >= whole.len();
        if bits >> 60 == 0 {
            bits = bits << 4 | digit;
            exponent -= if is_part { 4 } else { 0 };
        } else {
            bits |= u64::from(digit != 0);
            exponent += if is_part { 0 } else { 4 };
        }
    }
    let digits = power.strip_prefix(['+', '-']).unwrap_or(power);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let power = digits.parse::<i64>().unwrap_or(FAR).min(FAR) * if power.starts_with('-') { -1 } else { 1 };
    // In two steps, since one power of two may lie outside what a number can be.
    let exponent = (i64::from(exponent) + power).clamp(-2_000, 2_000) as i32;
    let half = exponent / 2;
    Some(bits as f64 * 2f64.powi(half) * 2f64.powi(exponent - half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("1.5", Some(1.5)),
            ("1e3", Some(1000.0)),
            ("+.5", Some(0.5)),
            ("1_000", Some(1000.0)),
            ("-1_2.5_0e1_0", Some(-12.5e10)),
            ("0x1p3", Some(8.0)),
            ("0X1.8P-1", Some(0.75)),
            ("-0x_1_0p0", Some(-16.0)),
            ("0x.8p+1", Some(1.0)),
            ("0x1fffffffffffffffp0", Some(2_305_843_009_213_693_952.0)),
            ("0x100000000000000000000p-80", Some(1.0)),
            ("0x1p-1100", Some(0.0)),
            ("Inf", Some(f64::INFINITY)),
            ("-infinity", Some(f64::NEG_INFINITY)),
            (".5_0", Some(0.5)),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("1_.5", None),
            ("1._5", None),
            ("1_e5", None),
            ("1e_5", None),
            ("0x10", None),
            ("0xp1", None),
            ("0x1p", None),
            ("0x1p+", None),
            ("0x1p1.5", None),
            ("0x1p+-1", None),
            ("0b1", None),
            ("-nan", None),
            ("in_f", None),
            ("", None),
            ("-", None),
        ] {
            let words = format!("strconv.ParseFloat: parsing {}: invalid syntax", quote(text));
            assert_eq!(float(text), expected.ok_or(words), "{text}");
        }
        assert!(float("nan").is_ok_and(f64::is_nan));
        for text in ["1e999", "0x1p1024", "1_0e9_99"] {
            assert_eq!(float(text), Err(format!("strconv.ParseFloat: parsing \"{text}\": value out of range")));
        }
    }
}
