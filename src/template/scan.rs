//! A template's text to tokens: text between the actions, and what stands inside `{{ }}`.

use crate::{TEMPLATE_BYTES_MAX, TemplateError, closing, unquoted};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// Between actions.
    Text(String),
    Open,
    Close,
    Name(String),
    /// Without its `$`; the root is empty.
    Variable(String),
    /// `.name`; whether it follows the last token without a space, and so belongs to it.
    Field(String, bool),
    Dot,
    Integer(i64),
    /// Beyond Go's `int`, but not beyond its `uint64`.
    Overflow,
    Float(f64),
    Quoted(String),
    Pipe,
    LeftParen,
    /// Fields may follow it.
    RightParen,
    Declare,
    Assign,
    Comma,
}

/// Where a token stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    /// From 1.
    pub(crate) line: usize,
    /// Its first byte in the text, and the one behind it.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

pub(crate) fn scan(text: &str) -> Result<Vec<(Token, Spot)>, TemplateError> {
    let mut scanner = Scanner { length: text.len(), rest: text, line: 1, tokens: Vec::new() };
    if text.len() > TEMPLATE_BYTES_MAX {
        return Err(
            scanner.error(format!("a template has at most {TEMPLATE_BYTES_MAX} bytes, this one has {}", text.len()))
        );
    }
    let mut trim_next = false;
    loop {
        let (before, open) = match scanner.rest.find("{{") {
            Some(at) => (&scanner.rest[..at], true),
            None => (scanner.rest, false),
        };
        let opening = &scanner.rest[before.len()..];
        let trim_here = opening.strip_prefix("{{-").is_some_and(|rest| rest.starts_with(SPACE));
        let mut shown = before;
        if trim_next {
            shown = shown.trim_start_matches(SPACE);
        }
        if trim_here {
            shown = shown.trim_end_matches(SPACE);
        }
        if !shown.is_empty() {
            let start = text.len() - scanner.rest.len();
            let spot = Spot { line: scanner.line, start, end: start + before.len() };
            scanner.tokens.push((Token::Text(shown.into()), spot));
        }
        scanner.advance(before.len());
        if !open {
            return Ok(scanner.tokens);
        }
        scanner.advance(if trim_here { 3 } else { 2 });
        trim_next = scanner.action()?;
    }
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

struct Scanner<'a> {
    /// Of the whole text.
    length: usize,
    rest: &'a str,
    line: usize,
    tokens: Vec<(Token, Spot)>,
}

impl Scanner<'_> {
    /// One action after its opening braces. Whether it ended with ` -}}`.
    fn action(&mut self) -> Result<bool, TemplateError> {
        let opened = self.line;
        let body = self.rest.trim_start_matches(SPACE);
        if body.starts_with("/*") {
            return self.comment();
        }
        self.push(Token::Open, 0);
        loop {
            let spaces = self.rest.len() - self.rest.trim_start_matches(SPACE).len();
            self.advance(spaces);
            if spaces > 0 && self.rest.starts_with("-}}") {
                self.push(Token::Close, 3);
                return Ok(true);
            }
            if self.rest.starts_with("}}") {
                self.push(Token::Close, 2);
                return Ok(false);
            }
            if self.rest.is_empty() {
                return Err(TemplateError::new(opened, "unclosed action"));
            }
            self.token(spaces == 0)?;
        }
    }

    fn comment(&mut self) -> Result<bool, TemplateError> {
        let Some(end) = self.rest.find("*/") else { return Err(self.error("unclosed comment")) };
        self.advance(end + 2);
        let spaces = self.rest.len() - self.rest.trim_start_matches(SPACE).len();
        if spaces > 0 && self.rest[spaces..].starts_with("-}}") {
            self.advance(spaces + 3);
            return Ok(true);
        }
        if self.rest.starts_with("}}") {
            self.advance(2);
            return Ok(false);
        }
        Err(self.error("comment ends before closing delimiter"))
    }

    fn token(&mut self, joined: bool) -> Result<(), TemplateError> {
        let first = self.rest.chars().next().expect("the caller saw that something is left");
        let second = self.rest[first.len_utf8()..].chars().next();
        match first {
            '|' => self.push(Token::Pipe, 1),
            '(' => self.push(Token::LeftParen, 1),
            ')' => self.push(Token::RightParen, 1),
            ',' => self.push(Token::Comma, 1),
            ':' if second == Some('=') => self.push(Token::Declare, 2),
            '=' => self.push(Token::Assign, 1),
            '"' | '`' | '\'' => return self.quoted(first),
            '$' => {
                let name = name(&self.rest[1..]).to_string();
                let length = name.len() + 1;
                self.push(Token::Variable(name), length);
            }
            '.' if second.is_some_and(is_name_start) => {
                let name = name(&self.rest[1..]).to_string();
                let length = name.len() + 1;
                self.push(Token::Field(name, joined), length);
            }
            '.' if !second.is_some_and(|c| c.is_ascii_digit()) => self.push(Token::Dot, 1),
            c if c.is_ascii_digit() || matches!(c, '.' | '+' | '-') => return self.number(),
            c if is_name_start(c) => {
                let name = name(self.rest).to_string();
                let length = name.len();
                self.push(Token::Name(name), length);
            }
            c => return Err(self.error(format!("unexpected {c:?} in an action"))),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), TemplateError> {
        let mut length = 0;
        let mut last = ' ';
        for c in self.rest.chars() {
            let sign = matches!(c, '+' | '-') && (length == 0 || matches!(last, 'e' | 'E'));
            if !(sign || c.is_ascii_alphanumeric() || c == '.' || c == '_') {
                break;
            }
            length += c.len_utf8();
            last = c;
        }
        let text = &self.rest[..length];
        let plain = text.replace('_', "");
        // Words such as `inf` are numbers to the parser of floats, not to Go's templates.
        let float = plain.parse::<f64>().ok().filter(|_| plain.bytes().any(|c| c.is_ascii_digit()));
        let token = match (integer(&plain), float) {
            (Some(value), _) => match i64::try_from(value) {
                Ok(value) => Token::Integer(value),
                Err(_) if u64::try_from(value).is_ok() => Token::Overflow,
                Err(_) => return Err(self.error(format!("integer overflow: {text:?}"))),
            },
            (None, Some(value)) if plain.contains(['.', 'e', 'E']) => Token::Float(value),
            (None, Some(_)) => return Err(self.error(format!("integer overflow: {text:?}"))),
            (None, None) => return Err(self.error(format!("bad number syntax: {text:?}"))),
        };
        self.push(token, length);
        Ok(())
    }

    fn quoted(&mut self, quote: char) -> Result<(), TemplateError> {
        let inner = &self.rest[1..];
        let end = if quote == '`' { inner.find(quote) } else { closing(inner, quote) };
        let end = end.ok_or_else(|| self.error("unterminated quoted text"))?;
        let written = &inner[..end];
        let token = match quote {
            '`' => Token::Quoted(written.into()),
            _ if written.contains('\n') => return Err(self.error("unterminated quoted text")),
            _ => match (unquoted(written, quote), quote) {
                (None, _) => return Err(self.error("bad escape in a quoted text")),
                (Some(text), '\'') => {
                    let mut content = text.chars();
                    match (content.next(), content.next()) {
                        (Some(c), None) => Token::Integer(i64::from(u32::from(c))),
                        _ => return Err(self.error("a character constant holds one character")),
                    }
                }
                (Some(text), _) => Token::Quoted(text),
            },
        };
        self.push(token, end + 2);
        Ok(())
    }

    fn push(&mut self, token: Token, bytes: usize) {
        let start = self.length - self.rest.len();
        self.tokens.push((token, Spot { line: self.line, start, end: start + bytes }));
        self.advance(bytes);
    }

    fn advance(&mut self, bytes: usize) {
        self.line += self.rest[..bytes].bytes().filter(|byte| *byte == b'\n').count();
        self.rest = &self.rest[bytes..];
    }

    fn error(&self, reason: impl Into<String>) -> TemplateError {
        TemplateError::new(self.line, reason)
    }
}

/// Of base 10, or of another by its prefix: `0x`, `0o` or `0`, `0b` (strconv.ParseInt with base 0).
fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', ..] => (-1, &text[1..]),
        [b'+', ..] => (1, &text[1..]),
        _ => (1, text),
    };
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // A second sign would be taken too.
    let all_digits = digits.chars().all(|c| c.is_digit(base));
    i128::from_str_radix(digits, base).ok().filter(|_| all_digits).map(|value| sign * value)
}

fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn name(text: &str) -> &str {
    let end = text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len());
    &text[..end]
}
