//! JSON text read in place, value by value, strictly by RFC 8259.
//!
//! A [`Cursor`] is a place in the text; a copy of it comes back to the place later, which is how members are read in the
//! order that the reader needs. Nothing here recurses: nesting is bounded by the readers, and while skipping by [`DEPTH_MAX`].

use std::borrow::Cow;

use crate::otlp::error::{DecodeError, Read, Within, fail};

/// Deepest nesting that is skipped over: what OTLP nests at most (32 maps of 4 levels each, 13 around them), and some more.
const DEPTH_MAX: usize = 256;

#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// A value that is not an object or array.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    /// As written; it follows JSON's grammar.
    Number(&'a str),
    Text(Cow<'a, str>),
}

/// A value skipped for now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deferred<'a> {
    pub(super) cursor: Cursor<'a>,
    end: usize,
}

impl<'a> Deferred<'a> {
    pub(super) fn raw(&self) -> &'a [u8] {
        &self.cursor.text.as_bytes()[self.cursor.at..self.end]
    }
}

impl<'a> Cursor<'a> {
    pub(super) fn new(body: &'a [u8]) -> Read<Cursor<'a>> {
        match std::str::from_utf8(body) {
            // A byte order mark may be ignored (RFC 8259 section 8.1).
            Ok(text) => Ok(Cursor { text, at: if text.starts_with('\u{feff}') { 3 } else { 0 } }),
            Err(error) => fail("request", error.valid_up_to(), "not UTF-8"),
        }
    }

    pub(super) fn error<T>(&self, reason: impl Into<String>) -> Read<T> {
        fail("", self.at, reason)
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Read<()> {
        if self.eat(byte) { Ok(()) } else { self.unexpected(&format!("`{}`", char::from(byte))) }
    }

    #[cold]
    fn unexpected<T>(&mut self, wanted: &str) -> Read<T> {
        self.peek();
        match self.text[self.at..].chars().next() {
            Some(found) => self.error(format!("{wanted} expected, {found:?} found")),
            None => self.error(format!("{wanted} expected, the text ends")),
        }
    }

    /// Refuses anything after the document.
    pub(super) fn end(mut self) -> Read<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.error("text after the end of the document"),
        }
    }

    /// Consumes a `null` if one is next.
    pub(super) fn eat_null(&mut self) -> Read<bool> {
        match self.peek() {
            Some(b'n') => self.word("null").map(|()| true),
            _ => Ok(false),
        }
    }

    fn word(&mut self, word: &str) -> Read<()> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            self.unexpected(&format!("`{word}`"))
        }
    }

    /// Walks an object; `null` has no members. `member` must consume the value. Errors get the member's name.
    pub(super) fn members(&mut self, mut member: impl FnMut(&mut Cursor<'a>, &str) -> Read<()>) -> Read<()> {
        if self.eat_null()? {
            return Ok(());
        }
        if !self.eat(b'{') {
            return self.unexpected("an object");
        }
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return self.unexpected("a member's name");
            }
            let name = self.string()?;
            self.expect(b':')?;
            member(self, &name).within(&name)?;
            if self.eat(b'}') {
                return Ok(());
            }
            if !self.eat(b',') {
                return self.unexpected("`,` or `}`");
            }
        }
    }

    /// Walks an array; `null` has no elements. `element` must consume the value. Errors get the index.
    pub(super) fn elements(&mut self, mut element: impl FnMut(&mut Cursor<'a>) -> Read<()>) -> Read<()> {
        if self.eat_null()? {
            return Ok(());
        }
        if !self.eat(b'[') {
            return self.unexpected("an array");
        }
        if self.eat(b']') {
            return Ok(());
        }
        for index in 0.. {
            element(self).within_nth("", index)?;
            if self.eat(b']') {
                break;
            }
            if !self.eat(b',') {
                return self.unexpected("`,` or `]`");
            }
        }
        Ok(())
    }

    /// Skips a value and gives the place to come back to; `None` for `null`.
    pub(super) fn defer(&mut self) -> Read<Option<Deferred<'a>>> {
        if self.eat_null()? {
            return Ok(None);
        }
        let cursor = *self;
        self.skip()?;
        Ok(Some(Deferred { cursor, end: self.at }))
    }

    pub(super) fn scalar(&mut self) -> Read<Scalar<'a>> {
        match self.peek() {
            Some(b'"') => self.string().map(Scalar::Text),
            Some(b'n') => self.word("null").map(|()| Scalar::Null),
            Some(b't') => self.word("true").map(|()| Scalar::Bool(true)),
            Some(b'f') => self.word("false").map(|()| Scalar::Bool(false)),
            Some(b'-' | b'0'..=b'9') => self.number().map(Scalar::Number),
            _ => self.unexpected("a single value"),
        }
    }

    /// Skips a value of any kind, checking that it is JSON.
    pub(super) fn skip(&mut self) -> Read<()> {
        // What closes each open object or array.
        let mut open: Vec<u8> = Vec::new();
        loop {
            let opened = match self.peek() {
                Some(b'{') => Some(b'}'),
                Some(b'[') => Some(b']'),
                Some(b'"') => {
                    self.raw_string()?;
                    None
                }
                _ => {
                    self.scalar()?;
                    None
                }
            };
            if let Some(close) = opened {
                if open.len() >= DEPTH_MAX {
                    return self.error(format!("nested deeper than {DEPTH_MAX}"));
                }
                self.at += 1;
                if !self.eat(close) {
                    open.push(close);
                    self.skip_name(close)?;
                    continue;
                }
            }
            loop {
                let Some(close) = open.last().copied() else { return Ok(()) };
                if self.eat(close) {
                    open.pop();
                } else if self.eat(b',') {
                    self.skip_name(close)?;
                    break;
                } else {
                    return self.unexpected(&format!("`,` or `{}`", char::from(close)));
                }
            }
        }
    }

    fn skip_name(&mut self, close: u8) -> Read<()> {
        if close == b'}' {
            if self.peek() != Some(b'"') {
                return self.unexpected("a member's name");
            }
            self.raw_string()?;
            self.expect(b':')?;
        }
        Ok(())
    }

    /// The inside of a string as written, and whether it has escapes. Stands at the opening quote.
    fn raw_string(&mut self) -> Read<(&'a str, bool)> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            match bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok((&self.text[start..at], escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    at += match bytes.get(at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                        Some(b'u') if hex_unit(bytes, at + 2).is_some() => 6,
                        _ => return fail("", at, "no such escape"),
                    };
                }
                Some(0..=0x1f) => return fail("", at, "control character in a string"),
                Some(_) => at += 1,
                None => return fail("", bytes.len(), "string without an end"),
            }
        }
    }

    fn string(&mut self) -> Read<Cow<'a, str>> {
        let start = self.at + 1;
        let (raw, escaped) = self.raw_string()?;
        if escaped { Ok(Cow::Owned(unescaped(raw, start)?)) } else { Ok(Cow::Borrowed(raw)) }
    }

    fn number(&mut self) -> Read<&'a str> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let length = number_length(&bytes[start..]);
        match length {
            Some(length) => {
                self.at += length;
                Ok(&self.text[start..self.at])
            }
            None => self.error("not a number"),
        }
    }
}

/// Length of the number that the bytes begin with, by JSON's grammar.
pub(super) fn number_length(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes[from.min(bytes.len())..].iter().take_while(|c| c.is_ascii_digit()).count();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && bytes[at] == b'0') {
        return None;
    }
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return None;
        }
        at += 1 + sign + exponent;
    }
    Some(at)
}

/// The UTF-16 unit that four hex digits write.
fn hex_unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

fn unescaped(raw: &str, offset: usize) -> Read<String> {
    let wrong = |at: usize, reason: &str| -> Box<DecodeError> {
        Box::new(DecodeError { what: String::new(), offset: offset + at, reason: reason.into() })
    };
    let mut out = String::with_capacity(raw.len());
    let mut at = 0;
    while let Some(plain) = raw[at..].find('\\') {
        out.push_str(&raw[at..at + plain]);
        let escape = at + plain;
        at = escape + 2;
        match raw.as_bytes().get(escape + 1) {
            Some(b'"') => out.push('"'),
            Some(b'\\') => out.push('\\'),
            Some(b'/') => out.push('/'),
            Some(b'b') => out.push('\u{8}'),
            Some(b'f') => out.push('\u{c}'),
            Some(b'n') => out.push('\n'),
            Some(b'r') => out.push('\r'),
            Some(b't') => out.push('\t'),
            Some(b'u') => {
                let first = hex_unit(raw.as_bytes(), at).ok_or_else(|| wrong(escape, "no such escape"))?;
                at += 4;
                let code = if (0xd800..0xdc00).contains(&first) && raw[at..].starts_with("\\u") {
                    let second = hex_unit(raw.as_bytes(), at + 2).filter(|second| (0xdc00..0xe000).contains(second));
                    let second = second.ok_or_else(|| wrong(escape, "half of a surrogate pair"))?;
                    at += 6;
                    0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                } else {
                    first
                };
                out.push(char::from_u32(code).ok_or_else(|| wrong(escape, "half of a surrogate pair"))?);
            }
            _ => return Err(wrong(escape, "no such escape")),
        }
    }
    out.push_str(&raw[at..]);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// serde_json judges what JSON is.
    #[track_caller]
    fn check(text: &str) {
        let ours = Cursor::new(text.as_bytes()).and_then(|mut cursor| {
            cursor.skip()?;
            cursor.end()
        });
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(text);
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{text:?}: {ours:?}, serde_json: {theirs:?}");
        if theirs.is_ok() && text.trim_start().starts_with('"') {
            let ours = Cursor::new(text.as_bytes()).and_then(|mut cursor| cursor.scalar());
            match serde_json::from_str::<String>(text) {
                Ok(theirs) => assert_eq!(ours, Ok(Scalar::Text(theirs.into())), "{text}"),
                Err(_) => assert!(ours.is_err(), "{text}"),
            }
        }
    }

    #[test]
    fn skips_what_is_json_and_refuses_what_is_not() {
        for text in [
            "{}",
            "[]",
            " [1, 2 , {\"a\":null}] ",
            "true",
            "tru",
            "nul",
            "",
            " ",
            "{",
            "[",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "[1 2]",
            "]",
            "{]",
            "[}",
            "1 2",
            "{} x",
            "-",
            "-1",
            "01",
            "1.",
            ".5",
            "1.5e",
            "1e+5",
            "1E-5",
            "-0",
            "0.0",
            "1e999",
            "[[[[[[]]]]]]",
            "[{\"a\":[{}]}]",
            "\"",
            "\"a\nb\"",
            "\"\\\"\"",
            "\"a\\",
            "{\"a\":}",
            "[,1]",
            "{,}",
            "\u{a0}1",
            "\"\\u00e9\\n\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\ude00\"",
            "\"\\ud83dx\"",
            "\"\\ud83d\\u0041\"",
            "\"ü\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "\"\\uüü\"",
            "\"\\\u{1}\"",
            "\"\\ü\"",
            "+1",
            "NaN",
            "'a'",
        ] {
            check(text);
        }
    }

    #[test]
    fn depth_is_bounded_without_recursion() {
        let deep = |levels: usize| {
            let text = "[".repeat(levels) + &"]".repeat(levels);
            Cursor::new(text.as_bytes()).unwrap().skip().is_ok()
        };
        assert!(deep(256));
        assert!(!deep(257));
        assert!(!deep(1_000_000));
    }
}
