//! Text to tokens, with the boundaries that Loki's lexer draws: it is Go's scanner, with durations, sizes and ranges put together from its
//! tokens. Whether `sum` is a function or a label's name is decided here, by what follows it.

use super::error::ParseError;
use super::units;
use crate::promql::literal::{Escape, escape};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Text(String),
    /// As written.
    Number(String),
    /// Nanoseconds.
    Duration(i64),
    Bytes(u64),
    /// `[5m]`, nanoseconds.
    Range(i64),
    /// `--strict`
    Flag(&'static str),
    /// A reserved word, in lower case.
    Word(&'static str),
    /// A word that is a function because a parenthesis follows, in lower case.
    Function(&'static str),
    Symbol(&'static str),
    End,
}

impl Token {
    /// As Loki's error messages name it.
    pub(super) fn describe(&self) -> String {
        match self {
            Token::Name(_) => "IDENTIFIER".into(),
            Token::Text(_) => "STRING".into(),
            Token::Number(_) => "NUMBER".into(),
            Token::Duration(_) => "DURATION".into(),
            Token::Bytes(_) => "BYTES".into(),
            Token::Range(_) => "RANGE".into(),
            Token::Flag(_) => "FUNCTION_FLAG".into(),
            Token::Function("bytes") => "BYTES_CONV".into(),
            Token::Function("duration") => "DURATION_CONV".into(),
            Token::Function("duration_seconds") => "DURATION_SECONDS_CONV".into(),
            Token::Function(name @ ("ip" | "label_replace")) => (*name).into(),
            Token::Function(name) => name.to_uppercase(),
            Token::Word(word) => (*word).into(),
            Token::Symbol(symbol) => (*symbol).into(),
            Token::End => "$end".into(),
        }
    }
}

/// Where a token starts. The line is 0 for tokens that Loki's lexer reads in two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    pub(super) fn error(self, message: impl Into<String>) -> ParseError {
        ParseError { line: self.line, column: self.column, message: message.into() }
    }
}

/// Never a label's name.
const WORDS: [&str; 24] = [
    "by",
    "without",
    "bool",
    "offset",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "or",
    "and",
    "unless",
    "json",
    "regexp",
    "logfmt",
    "unpack",
    "pattern",
    "label_format",
    "line_format",
    "decolorize",
    "drop",
    "keep",
    "unwrap",
    "variants",
    "of",
];

/// A function when a parenthesis follows, or a grouping that one follows; a name otherwise.
const FUNCTIONS: [&str; 33] = [
    "rate",
    "rate_counter",
    "count_over_time",
    "bytes_rate",
    "bytes_over_time",
    "avg_over_time",
    "sum_over_time",
    "min_over_time",
    "max_over_time",
    "stdvar_over_time",
    "stddev_over_time",
    "quantile_over_time",
    "first_over_time",
    "last_over_time",
    "absent_over_time",
    "vector",
    "sum",
    "avg",
    "max",
    "min",
    "count",
    "stddev",
    "stdvar",
    "bottomk",
    "topk",
    "sort",
    "sort_desc",
    "label_replace",
    "approx_topk",
    "bytes",
    "duration",
    "duration_seconds",
    "ip",
];

/// Longest first.
const SYMBOLS: [&str; 27] = [
    "!=", "=~", "!~", "!>", "|=", "|~", "|>", "==", ">=", "<=", ",", ".", "{", "}", "=", "|", "(", ")", "]", "+", "-",
    "*", "/", "%", "^", ">", "<",
];

/// Cost: one pass.
pub(super) fn lex(text: &str) -> Result<Vec<(Token, Place)>, ParseError> {
    let mut lexer = Lexer { text, at: 0, line: 1, column: 1 };
    let mut tokens = Vec::new();
    loop {
        let (token, place) = lexer.next()?;
        let end = token == Token::End;
        tokens.push((token, place));
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    /// In characters; counted on, since a query can be one long line.
    column: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn place(&self) -> Place {
        Place { line: self.line, column: self.column }
    }

    fn advance(&mut self, length: usize) {
        let passed = &self.text[self.at..self.at + length];
        match passed.rsplit_once('\n') {
            Some((before, last)) => {
                self.line += before.matches('\n').count() + 1;
                self.column = last.chars().count() + 1;
            }
            None => self.column += passed.chars().count(),
        }
        self.at += length;
    }

    /// White space and comments: `#` and Go's.
    fn skip(&mut self) -> Result<(), ParseError> {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            if blank > 0 {
                self.advance(blank);
            } else if rest.starts_with('#') || rest.starts_with("//") {
                self.advance(rest.find('\n').unwrap_or(rest.len()));
            } else if rest.starts_with("/*") {
                let end = rest.find("*/").ok_or_else(|| self.place().error("comment not terminated"))?;
                self.advance(end + 2);
            } else {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> Result<(Token, Place), ParseError> {
        self.skip()?;
        let place = self.place();
        let two_steps = Place { line: 0, ..place };
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok((Token::End, place)) };
        if first == '_' || first.is_alphabetic() {
            return Ok((self.name(), place));
        }
        if first.is_ascii_digit() || first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
            return self.number(place);
        }
        if first == '"' || first == '`' {
            let (text, length) = string(rest, place)?;
            self.advance(length);
            return Ok((Token::Text(text), place));
        }
        if first == '[' {
            let end = rest.find(']').ok_or_else(|| two_steps.error("missing closing ']' in duration"))?;
            let range = units::prometheus_duration(&rest[1..end]).map_err(|reason| two_steps.error(reason))?;
            self.advance(end + 1);
            return Ok((Token::Range(range), two_steps));
        }
        if first == '-' {
            let flags = [("--keep-empty", 12), ("--strict", 8)];
            let length = rest.find(|c: char| !(c == '-' || c.is_alphabetic())).unwrap_or(rest.len());
            if let Some((flag, length)) = flags.into_iter().find(|(flag, _)| &rest[..length] == *flag) {
                self.advance(length);
                return Ok((Token::Flag(flag), two_steps));
            }
            if let Some((duration, length)) = duration_after(rest, 1) {
                self.advance(length);
                return Ok((Token::Duration(duration), two_steps));
            }
        }
        let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
        let symbol = symbol.ok_or_else(|| place.error(format!("unexpected character {first:?}")))?;
        self.advance(symbol.len());
        Ok((Token::Symbol(symbol), if symbol.len() == 2 { two_steps } else { place }))
    }

    fn name(&mut self) -> Token {
        let rest = self.rest();
        let length = rest.find(|c: char| !(c == '_' || c.is_alphanumeric())).unwrap_or(rest.len());
        let written = &rest[..length];
        let after = &rest[length..];
        self.advance(length);
        let lower = written.to_lowercase();
        if let Some(function) = FUNCTIONS.iter().find(|function| **function == lower) {
            return if opens_call(after) { Token::Function(function) } else { Token::Name(written.into()) };
        }
        match WORDS.iter().find(|word| **word == lower) {
            Some(word) => Token::Word(word),
            None => Token::Name(written.into()),
        }
    }

    fn number(&mut self, place: Place) -> Result<(Token, Place), ParseError> {
        let rest = self.rest();
        let length = number_length(rest).map_err(|reason| place.error(reason))?;
        let two_steps = Place { line: 0, ..place };
        if let Some((duration, length)) = duration_after(rest, length) {
            self.advance(length);
            return Ok((Token::Duration(duration), two_steps));
        }
        let of_bytes = |c: char| c.is_numeric() || "BikKMGTP.".contains(c);
        let end = rest[length..].find(|c: char| !of_bytes(c)).map_or(rest.len(), |more| length + more);
        if end > length
            && let Ok(bytes) = units::bytes(&rest[..end])
        {
            self.advance(end);
            return Ok((Token::Bytes(bytes), two_steps));
        }
        self.advance(length);
        Ok((Token::Number(rest[..length].into()), place))
    }
}

/// Whether a call's parenthesis follows, perhaps behind `by` or `without`.
fn opens_call(after: &str) -> bool {
    let after = after.trim_start();
    if after.starts_with('(') {
        return true;
    }
    let grouping = ["by", "without"]
        .into_iter()
        .find(|word| after.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)));
    grouping.is_some_and(|word| after[word.len()..].trim_start().starts_with('('))
}

/// A duration that starts with the first `start` bytes of the text, and how long it is.
fn duration_after(rest: &str, start: usize) -> Option<(i64, usize)> {
    let of_duration = |c: char| c.is_numeric() || "nuµmshdwy.".contains(c);
    let end = rest[start..].find(|c: char| !of_duration(c)).map_or(rest.len(), |more| start + more);
    let written = &rest[..end];
    let duration = units::prometheus_duration(written).or_else(|_| units::go_duration(written)).ok()?;
    (end > start).then_some((duration, end))
}

/// The length of the number literal of Go that a text starts with.
fn number_length(text: &str) -> Result<usize, String> {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit() || **b == b'_').count();
    match bytes {
        [b'0', b'x' | b'X', ..] => return hexadecimal_length(bytes),
        [b'0', b'b' | b'B' | b'o' | b'O', ..] => return Err("no binary or octal numbers are read".into()),
        _ => {}
    }
    let mut length = digits(0);
    if bytes.get(length) == Some(&b'.') {
        length += 1 + digits(length + 1);
    }
    if bytes.get(length).is_some_and(|b| matches!(b, b'e' | b'E')) {
        let sign = usize::from(bytes.get(length + 1).is_some_and(|b| matches!(b, b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        if exponent == 0 {
            return Err("exponent has no digits".into());
        }
        length += 1 + sign + exponent;
    }
    if bytes.get(length).is_some_and(|b| matches!(b, b'p' | b'P')) {
        return Err(format!("{:?} exponent requires hexadecimal mantissa", char::from(bytes[length])));
    }
    Ok(length)
}

/// As [`number_length`], of a number that starts with `0x`.
fn hexadecimal_length(bytes: &[u8]) -> Result<usize, String> {
    let of_mantissa = |b: &&u8| b.is_ascii_hexdigit() || matches!(b, b'_' | b'.');
    let mut length = 2 + bytes[2..].iter().take_while(of_mantissa).count();
    let mantissa = &bytes[2..length];
    if !mantissa.iter().any(u8::is_ascii_hexdigit) {
        return Err("hexadecimal literal has no digits".into());
    }
    if !matches!(bytes.get(length), Some(b'p' | b'P')) {
        return if mantissa.contains(&b'.') {
            Err("hexadecimal mantissa requires a 'p' exponent".into())
        } else {
            Ok(length)
        };
    }
    length += 1 + usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
    let exponent = bytes[length..].iter().take_while(|b| b.is_ascii_digit() || **b == b'_').count();
    if exponent == 0 {
        return Err("exponent has no digits".into());
    }
    Ok(length + exponent)
}

/// A string literal of Go, and how long it is.
fn string(rest: &str, place: Place) -> Result<(String, usize), ParseError> {
    let open = || place.error("literal not terminated");
    if let Some(raw) = rest.strip_prefix('`') {
        let end = raw.find('`').ok_or_else(open)?;
        // Go drops carriage returns from raw strings.
        return Ok((raw[..end].replace('\r', ""), end + 2));
    }
    let bytes = rest.as_bytes();
    let mut out = Vec::new();
    let mut at = 1;
    loop {
        match bytes.get(at) {
            None | Some(b'\n') => return Err(open()),
            Some(b'"') => break,
            Some(b'\\') => {
                let unknown = || place.error("invalid char escape");
                let after = &bytes[at + 1..];
                let (value, length) =
                    escape(after).filter(|_| after[0] != b'\'').or_else(|| surrogate(after)).ok_or_else(unknown)?;
                match value {
                    Escape::Byte(byte) => out.push(byte),
                    Escape::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                }
                at += 1 + length;
            }
            Some(&byte) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    let text = String::from_utf8(out).map_err(|_| place.error("invalid UTF-8 rune"))?;
    Ok((text, at + 1))
}

/// Half of a surrogate pair is no character, and Loki reads it as the one that stands for such.
fn surrogate(after: &[u8]) -> Option<(Escape, usize)> {
    let digits = match after.first()? {
        b'u' => 4,
        b'U' => 8,
        _ => return None,
    };
    let code = std::str::from_utf8(after.get(1..=digits)?).ok()?;
    let half = matches!(u32::from_str_radix(code, 16).ok()?, 0xd800..0xe000);
    half.then_some((Escape::Char(char::REPLACEMENT_CHARACTER), 1 + digits))
}
