//! Numbers, durations and strings as they are written: what stands at the start of a text, and how long it is.

use model::time::parse_duration_ms;

use super::lexer::Token;
use super::scan;

/// What Go's durations hold, in seconds: 2^63 nanoseconds.
pub(super) const DURATION_S_MAX: f64 = 9_223_372_036.854_776;

/// A number or a duration. Underscores may stand between digits; `1e5`, `0x1F`, `.5`, `5.`, `1h30m`.
pub(super) fn number(rest: &str) -> Result<(Token, usize), String> {
    let bytes = rest.as_bytes();
    let mut length = 0;
    while let Some(&byte) = bytes.get(length) {
        let after_exponent = length > 0 && matches!(bytes[length - 1], b'e' | b'E') && !rest.starts_with("0x");
        let sign =
            matches!(byte, b'+' | b'-') && after_exponent && bytes.get(length + 1).is_some_and(u8::is_ascii_digit);
        if !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.' || sign) {
            break;
        }
        length += 1;
    }
    let written = &rest[..length];
    if let Some(duration_ms) = (written != "0").then(|| parse_duration_ms(written)).flatten() {
        if duration_ms as f64 / 1e3 > DURATION_S_MAX {
            return Err("duration out of range".into());
        }
        return Ok((Token::Duration(duration_ms), length));
    }
    let digits: String = written.chars().filter(|c| *c != '_').collect();
    let is_octal = digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16).ok().map(|value| value as f64),
        // As Go reads integers: a leading zero makes them octal, if all digits are.
        None if is_octal => {
            i64::from_str_radix(&digits, 8).ok().map(|value| value as f64).or_else(|| digits.parse().ok())
        }
        None if digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) => {
            digits.parse().ok()
        }
        None => None,
    };
    let value = value.filter(|_| scan::is_number(rest, written));
    let value = value.ok_or_else(|| scan::wrong_number(rest, written))?;
    // Infinity has a name; digits that come to it are a mistake.
    if value.is_infinite() {
        return Err(format!("error parsing number: strconv.ParseFloat: parsing {written:?}: value out of range"));
    }
    Ok((Token::Number(value), length))
}

/// Go's string literals: `"` and `'` with escapes, backticks raw.
pub(super) fn string(rest: &str) -> Result<(Token, usize), String> {
    let quote = rest.as_bytes()[0];
    if quote == b'`' {
        let end = rest[1..].find('`').ok_or("unterminated raw string")?;
        return Ok((Token::Text(rest[1..=end].into()), end + 2));
    }
    let bytes = rest.as_bytes();
    let mut out = Vec::new();
    let mut i = 1;
    loop {
        match bytes.get(i) {
            None | Some(b'\n') => return Err("unterminated quoted string".into()),
            Some(&b) if b == quote => break,
            // Of the quotes that one alone that the string ends with.
            Some(b'\\') if bytes.get(i + 1).is_some_and(|b| matches!(b, b'"' | b'\'') && *b != quote) => {
                return Err(wrong_escape(&rest[i + 1..]));
            }
            Some(b'\\') => {
                let (value, length) = escape(&bytes[i + 1..]).ok_or_else(|| wrong_escape(&rest[i + 1..]))?;
                match value {
                    Escape::Byte(byte) => out.push(byte),
                    Escape::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                }
                i += 1 + length;
            }
            Some(&b) => {
                out.push(b);
                i += 1;
            }
        }
    }
    let token = match String::from_utf8(out) {
        Ok(text) => Token::Text(text),
        Err(error) => Token::Bytes(error.into_bytes()),
    };
    Ok((token, i + 1))
}

fn wrong_escape(after: &str) -> String {
    let (from, count, radix) = match after.chars().next() {
        None => return "escape sequence not terminated".into(),
        Some('0'..='7') => (0, 3, 8),
        Some('x') => (1, 2, 16),
        Some('u') => (1, 4, 16),
        Some('U') => (1, 8, 16),
        // As Go writes it (`%#U`), which escapes nothing.
        Some('\'') => return "unknown escape sequence U+0027 '''".into(),
        Some(other) => return format!("unknown escape sequence U+{:04X} {other:?}", u32::from(other)),
    };
    let mut digits = after.chars().skip(from);
    for _ in 0..count {
        match digits.next() {
            None => return "escape sequence not terminated".into(),
            Some(c) if !c.is_digit(radix) => {
                return format!("illegal character U+{:04X} {c:?} in escape sequence", u32::from(c));
            }
            Some(_) => {}
        }
    }
    "escape sequence is an invalid Unicode code point".into()
}

pub(crate) enum Escape {
    Byte(u8),
    Char(char),
}

/// What follows a backslash, and how many bytes of it belong to the escape.
pub(crate) fn escape(bytes: &[u8]) -> Option<(Escape, usize)> {
    let digits = |from: usize, count: usize, radix: u32| {
        let text = std::str::from_utf8(bytes.get(from..from + count)?).ok()?;
        text.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(text, radix).ok()).flatten()
    };
    let byte = |b: u8| Some((Escape::Byte(b), 1));
    match bytes.first()? {
        b'a' => byte(7),
        b'b' => byte(8),
        b'f' => byte(12),
        b'n' => byte(b'\n'),
        b'r' => byte(b'\r'),
        b't' => byte(b'\t'),
        b'v' => byte(11),
        b'\\' => byte(b'\\'),
        b'\'' => byte(b'\''),
        b'"' => byte(b'"'),
        b'x' => Some((Escape::Byte(u8::try_from(digits(1, 2, 16)?).ok()?), 3)),
        b'u' => Some((Escape::Char(char::from_u32(digits(1, 4, 16)?)?), 5)),
        b'U' => Some((Escape::Char(char::from_u32(digits(1, 8, 16)?)?), 9)),
        b'0'..=b'7' => Some((Escape::Byte(u8::try_from(digits(0, 3, 8)?).ok()?), 3)),
        _ => None,
    }
}
