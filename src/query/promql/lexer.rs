//! Text to tokens. Keywords are plain names here: only the parser knows where `sum` or `by` is more than a name.
//!
//! Bounded by the length of the text, which the parser checks first. Never panics on any text.

use super::ast::Aggregator;
use super::format;
use super::literal::{number, string};

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
    /// A string that is not UTF-8.
    Bytes(Vec<u8>),
    Name(String),
    Symbol(&'static str),
    End,
    /// No token begins here, and why; the last of its text. Told once the parser comes to it, so that of two mistakes the first is told.
    Wrong(String),
}

impl Token {
    /// As an error message names it, with Prometheus' words.
    pub(crate) fn describe(&self, written: &str) -> String {
        match self {
            Token::Number(_) => format!("number {}", short(written)),
            Token::Duration(_) => format!("duration {}", short(written)),
            Token::Text(_) | Token::Bytes(_) => format!("string {}", short(written)),
            Token::Name(name) => describe_name(name),
            Token::Symbol(symbol) if OPERATORS.contains(symbol) => format!("<op:{symbol}>"),
            Token::Symbol(symbol) => format!("{symbol:?}"),
            Token::End => "end of input".into(),
            Token::Wrong(reason) => reason.clone(),
        }
    }
}

/// Symbols that Prometheus calls operators.
const OPERATORS: [&str; 17] =
    ["==", "!=", ">=", "<=", "</", ">/", "=~", "!~", "+", "-", "*", "/", "%", "^", ">", "<", "@"];
/// Words that mean something of their own, outside braces.
const KEYWORDS: [&str; 12] = [
    "offset",
    "smoothed",
    "anchored",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "fill_left",
    "fill_right",
];
/// Words of a query's times, which Prometheus counts for no keywords.
const PREPROCESSORS: [&str; 4] = ["start", "end", "step", "range"];
/// Written text of more characters than this is cut in messages.
const SHOWN_CHARS: usize = 10;

fn short(written: &str) -> String {
    match written.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{:?}...", &written[..end]),
        None => format!("{written:?}"),
    }
}

fn describe_name(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    if matches!(&*lower, "and" | "or" | "unless" | "atan2") {
        format!("<op:{name}>")
    } else if Aggregator::ALL.into_iter().any(|op| op.text() == lower) {
        format!("<aggr:{name}>")
    } else if KEYWORDS.contains(&&*lower) {
        format!("<{name}>")
    } else if matches!(&*lower, "inf" | "nan") {
        format!("number {name:?}")
    } else if PREPROCESSORS.contains(&&*lower) {
        format!("{name:?}")
    } else if name.contains(':') {
        format!("metric identifier {name:?}")
    } else {
        format!("identifier {name:?}")
    }
}

/// Longest first, so that `=~` is not `=`.
const SYMBOLS: [&str; 26] = [
    "==", "!=", ">=", "<=", "</", ">/", "=~", "!~", "+", "-", "*", "/", "%", "^", "=", ">", "<", "(", ")", "{", "}",
    "[", "]", ",", "@", ":",
];

/// What is open where the lexer stands.
#[derive(Default)]
struct Open {
    parentheses: usize,
    /// Inside brackets a colon stands alone (`[5m:step()]`), and inside braces it belongs to no label's name.
    bracket: bool,
    /// Inside brackets, before the first number: nothing but a duration may begin there.
    duration: bool,
    /// Inside brackets, after the colon.
    colon: bool,
    brace: bool,
}

/// All tokens, the last of them [`Token::End`] or [`Token::Wrong`].
pub(crate) fn lex(text: &str) -> Vec<(Token, Span)> {
    let mut tokens: Vec<(Token, Span)> = Vec::new();
    let mut open = Open::default();
    let mut at = 0;
    let last = loop {
        let rest = &text[at..];
        let Some(first) = rest.chars().next() else {
            break end(&open);
        };
        if first.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        if first == '#' {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let taken = match token(rest, first, &open) {
            Ok(taken) => taken,
            Err(reason) => break Token::Wrong(reason),
        };
        let (token, length) = taken;
        match token {
            Token::Symbol("(") => open.parentheses += 1,
            Token::Symbol(")") if open.parentheses == 0 => {
                at += 1;
                break Token::Wrong("unexpected right parenthesis ')'".into());
            }
            Token::Symbol(")") => open.parentheses -= 1,
            Token::Symbol("[") => (open.bracket, open.duration, open.colon) = (true, true, false),
            Token::Symbol("]") => (open.bracket, open.duration) = (false, false),
            Token::Symbol(":") if open.duration => {
                at += 1;
                break Token::Wrong("unexpected colon before duration in duration expression".into());
            }
            Token::Symbol(":") if open.bracket => open.colon = true,
            Token::Number(_) | Token::Duration(_) => open.duration = false,
            Token::Symbol("{") => open.brace = true,
            Token::Symbol("}") => open.brace = false,
            _ => {}
        }
        tokens.push((token, Span { start: at, end: at + length }));
        at += length;
    };
    tokens.push((last, Span { start: at, end: text.len() }));
    tokens
}

fn end(open: &Open) -> Token {
    let wrong = |reason: &str| Token::Wrong(reason.into());
    match open {
        Open { brace: true, .. } => wrong("unexpected end of input inside braces"),
        Open { duration: true, .. } => wrong("unexpected end of input in duration expression"),
        Open { parentheses: 1.., .. } => wrong("unclosed left parenthesis"),
        Open { bracket: true, .. } => wrong("unclosed left bracket"),
        _ => Token::End,
    }
}

/// The token at the start of `rest` and its length, or what is wrong there.
fn token(rest: &str, first: char, open: &Open) -> Result<(Token, usize), String> {
    if !open.brace && (first.is_ascii_digit() || first == '.' && starts_number(&rest[1..])) {
        return number(rest);
    }
    if open.duration && !"]:()+-*/%^,".contains(first) && !starts_duration_word(rest) {
        return Err(format!("unexpected character in duration expression: {}", quoted_char(first)));
    }
    if matches!(first, '"' | '\'' | '`') {
        return string(rest);
    }
    let colon = !open.bracket && !open.brace;
    if is_name_start(first) || first == ':' && colon {
        let length = rest.find(|c: char| !(is_name_start(c) || c.is_ascii_digit() || colon && c == ':'));
        let length = length.unwrap_or(rest.len());
        return Ok((Token::Name(rest[..length].into()), length));
    }
    let second = rest[first.len_utf8()..].chars().next();
    match (first, second) {
        ('{', _) if open.brace => return Err("unexpected left brace '{'".into()),
        ('!', second) if second != Some('=') && !(open.brace && second == Some('~')) => {
            let inside = if open.brace { " inside braces" } else { "" };
            return Err(match second {
                Some(second) => format!("unexpected character after '!'{inside}: {}", quoted_char(second)),
                // The end of the input is Go's character -1.
                None => format!("unexpected character after '!'{inside}: '\u{fffd}'"),
            });
        }
        ('=', Some('~')) if !open.brace => return Err("unexpected character after '=': '~'".into()),
        ('[', _) if open.bracket => return Err("unexpected left bracket '['".into()),
        (':', _) if open.colon => return Err("unexpected colon ':'".into()),
        (']', _) if !open.bracket && !open.brace => return Err("unexpected right bracket ']'".into()),
        ('=' | '!' | ',' | '}', _) if open.brace => {}
        (other, _) if open.brace => return Err(format!("unexpected character inside braces: {}", quoted_char(other))),
        ('}', _) => return Err("unexpected character: '}'".into()),
        _ => {}
    }
    // Inside braces `==` is `=` twice.
    let is_symbol = |symbol: &&&str| rest.starts_with(**symbol) && !(open.brace && **symbol == "==");
    let symbol =
        SYMBOLS.iter().find(is_symbol).ok_or_else(|| format!("unexpected character: {}", quoted_char(first)))?;
    Ok((Token::Symbol(symbol), symbol.len()))
}

/// Words that stand for a duration, or make one of two.
fn starts_duration_word(rest: &str) -> bool {
    let word = &rest[..rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len())];
    ["step", "range", "min_of", "max_of", "min", "max"].iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// As Go quotes a character (`%q`).
fn quoted_char(c: char) -> String {
    match c {
        '\'' => "'\\''".into(),
        '"' => "'\"'".into(),
        c if c.is_control() => format!("'{}'", format::quoted(c.encode_utf8(&mut [0; 4])).trim_matches('"')),
        c => format!("{c:?}"),
    }
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn starts_number(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Token, String> {
        let tokens = lex(text);
        if let Some((Token::Wrong(reason), _)) = tokens.last() {
            return Err(reason.clone());
        }
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
            (r#""a\xffb""#, Token::Bytes(b"a\xffb".into())),
            (r"'it\'s'", Token::Text("it's".into())),
            (r"`a\n`", Token::Text("a\\n".into())),
            ("a:b", Token::Name("a:b".into())),
        ] {
            assert_eq!(one(text), Ok(token), "{text}");
        }
        for wrong in ["1x", "5m5m", "1__", "\"abc", "`abc", r#""\q""#, "&", "é", "1e", "0x"] {
            assert!(one(wrong).is_err(), "{wrong}");
        }
    }
}
