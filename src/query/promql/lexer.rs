//! Text to tokens. Keywords are plain names here: only the parser knows where `sum` or `by` is more than a name.
//!
//! Bounded by the length of the text, which the parser checks first. Never panics on any text.

use model::time::parse_duration_ms;

/// A half-open span of bytes in the query's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn to(self, end: Span) -> Span {
        Span { start: self.start, end: end.end }
    }
}

/// What is wrong, and where; becomes `QueryError::Parse` once the line and column are known.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) span: Span,
    pub(crate) reason: String,
}

impl Fault {
    pub(crate) fn new(span: Span, reason: impl Into<String>) -> Fault {
        Fault { span, reason: reason.into() }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Number(f64),
    /// A number written with units (`1h30m`), in milliseconds.
    Duration(i64),
    Text(String),
    Name(String),
    Symbol(&'static str),
    End,
}

impl Token {
    /// As an error message names it.
    pub(crate) fn describe(&self, written: &str) -> String {
        match self {
            Token::Number(_) => format!("number {written:?}"),
            Token::Duration(_) => format!("duration {written:?}"),
            Token::Text(_) => format!("string {written}"),
            Token::Name(_) => format!("identifier {written:?}"),
            Token::Symbol(symbol) => format!("{symbol:?}"),
            Token::End => "end of input".into(),
        }
    }
}

/// Longest first, so that `=~` is not `=`.
const SYMBOLS: [&str; 26] = [
    "==", "!=", ">=", "<=", "</", ">/", "=~", "!~", "+", "-", "*", "/", "%", "^", "=", ">", "<", "(", ")", "{", "}",
    "[", "]", ",", "@", ":",
];

pub(crate) fn lex(text: &str) -> Result<Vec<(Token, Span)>, Fault> {
    let mut tokens = Vec::new();
    let mut at = 0;
    // Inside brackets a colon stands alone (`[5m:step()]`), and inside braces it belongs to no label's name.
    let (mut brackets, mut braces) = (0_usize, 0_usize);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        if first == '#' {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (token, length) = if first.is_ascii_digit() || first == '.' && starts_number(&rest[1..]) {
            number(rest, at)?
        } else if matches!(first, '"' | '\'' | '`') {
            string(rest, at)?
        } else if is_name_start(first) || first == ':' && brackets == 0 && braces == 0 {
            let colon = brackets == 0 && braces == 0;
            let length = rest.find(|c: char| !(is_name_start(c) || c.is_ascii_digit() || colon && c == ':'));
            let length = length.unwrap_or(rest.len());
            (Token::Name(rest[..length].into()), length)
        } else {
            let found = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
            let symbol = found.ok_or_else(|| {
                Fault::new(Span { start: at, end: at + first.len_utf8() }, format!("unexpected character: {first:?}"))
            })?;
            match *symbol {
                "[" => brackets += 1,
                "]" => brackets = brackets.saturating_sub(1),
                "{" => braces += 1,
                "}" => braces = braces.saturating_sub(1),
                _ => {}
            }
            (Token::Symbol(symbol), symbol.len())
        };
        tokens.push((token, Span { start: at, end: at + length }));
        at += length;
    }
    tokens.push((Token::End, Span { start: text.len(), end: text.len() }));
    Ok(tokens)
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn starts_number(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_ascii_digit())
}

/// A number or a duration. Underscores may stand between digits; `1e5`, `0x1F`, `.5`, `5.`, `1h30m`.
fn number(rest: &str, at: usize) -> Result<(Token, usize), Fault> {
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
        return Ok((Token::Duration(duration_ms), length));
    }
    let digits: String = written.chars().filter(|c| *c != '_').collect();
    let is_octal = digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok().map(|value| value as f64),
        // As Go reads integers: a leading zero makes them octal, if all digits are.
        None if is_octal => {
            i64::from_str_radix(&digits, 8).ok().map(|value| value as f64).or_else(|| digits.parse().ok())
        }
        None if digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) => {
            digits.parse().ok()
        }
        None => None,
    };
    let value = value.filter(|_| !written.ends_with('_')).ok_or_else(|| {
        Fault::new(Span { start: at, end: at + length }, format!("bad number or duration syntax: {written:?}"))
    })?;
    Ok((Token::Number(value), length))
}

/// Go's string literals: `"` and `'` with escapes, backticks raw.
fn string(rest: &str, at: usize) -> Result<(Token, usize), Fault> {
    let quote = rest.as_bytes()[0];
    let fault = |from: usize, to: usize, reason: &str| Fault::new(Span { start: at + from, end: at + to }, reason);
    if quote == b'`' {
        let end = rest[1..].find('`').ok_or_else(|| fault(0, rest.len(), "unterminated raw string"))?;
        return Ok((Token::Text(rest[1..=end].into()), end + 2));
    }
    let bytes = rest.as_bytes();
    let mut out = Vec::new();
    let mut i = 1;
    loop {
        match bytes.get(i) {
            None | Some(b'\n') => return Err(fault(0, i.min(rest.len()), "unterminated quoted string")),
            Some(&b) if b == quote => break,
            Some(b'\\') => {
                let (value, length) =
                    escape(&bytes[i + 1..]).ok_or_else(|| fault(i, i + 1, "unknown escape sequence in a string"))?;
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
    let text = String::from_utf8(out).map_err(|_| fault(0, i + 1, "the string is not valid UTF-8"))?;
    Ok((Token::Text(text), i + 1))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Token, String> {
        let tokens = lex(text).map_err(|fault| fault.reason)?;
        assert_eq!(tokens.len(), 2, "{tokens:?}");
        Ok(tokens[0].0.clone())
    }

    #[test]
    fn numbers_durations_and_strings() {
        for (text, token) in [
            ("1", Token::Number(1.0)),
            ("0", Token::Number(0.0)),
            ("0x1F", Token::Number(31.0)),
            ("12.34e-6", Token::Number(12.34e-6)),
            ("1_000.5", Token::Number(1000.5)),
            ("0755", Token::Number(493.0)),
            ("089", Token::Number(89.0)),
            ("00.5", Token::Number(0.5)),
            ("2.", Token::Number(2.0)),
            (".5", Token::Number(0.5)),
            ("1h30m", Token::Duration(5_400_000)),
            (r#""a\n\x41\u00e9\101""#, Token::Text("a\nAéA".into())),
            (r"'it\'s'", Token::Text("it's".into())),
            (r"`a\n`", Token::Text("a\\n".into())),
            ("a:b", Token::Name("a:b".into())),
        ] {
            assert_eq!(one(text), Ok(token), "{text}");
        }
        for wrong in ["1x", "5m5m", "1__", r#""\xff""#, "\"abc", "`abc", r#""\q""#, "&", "é", "1e", "0x"] {
            assert!(lex(wrong).is_err(), "{wrong}");
        }
    }
}
