//! The part of a sample that names its series: `name{label="value",…}`, or `{"name",label="value",…}` for names that are no identifiers.

use std::borrow::Cow;

use model::labels::METRIC_NAME;

use super::cursor::{Cursor, Read};
use super::number::{float_text, parse_float};
use super::{Numbers, ParseError, wrong_line};

/// What the two formats do differently here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Grammar {
    /// The text format: blanks anywhere, newlines inside quotes, and a comma between labels may be left out.
    pub(super) loose: bool,
}

/// Reads name and labels; `take` gets each with its value, the metric's name as one without. Returns the bytes they stand in.
pub(super) fn scan<'a>(
    cursor: &mut Cursor<'a>,
    grammar: Grammar,
    mut take: impl FnMut(&'a str, Option<&'a str>),
) -> Read<&'a [u8]> {
    let start = cursor.at();
    let name = cursor.name(true);
    let mut is_named = !name.is_empty();
    if is_named {
        take(ascii(name), None);
        let end = cursor.at();
        if grammar.loose {
            cursor.blanks();
        }
        if cursor.peek() != Some(b'{') {
            cursor.go_back(end);
            return Ok(cursor.since(start));
        }
    }
    if !cursor.eat(b'{') {
        return Err(format!("a metric's name expected, found {}", cursor.found()));
    }
    labels(cursor, grammar, |name, value| {
        if value.is_none() {
            if is_named {
                return Err(format!("the metric's name stands twice, the second time as {name:?}"));
            }
            if name.is_empty() {
                return Err("the metric's name is empty".into());
            }
            is_named = true;
        }
        take(name, value);
        Ok(())
    })?;
    if !is_named {
        return Err("the metric has no name".into());
    }
    Ok(cursor.since(start))
}

/// Reads what stands after an opening brace, and the closing one.
pub(super) fn labels<'a>(
    cursor: &mut Cursor<'a>,
    grammar: Grammar,
    mut take: impl FnMut(&'a str, Option<&'a str>) -> Read<()>,
) -> Read<()> {
    let blanks = |cursor: &mut Cursor<'a>| {
        if grammar.loose {
            cursor.blanks();
        }
    };
    loop {
        blanks(cursor);
        if cursor.eat(b'}') {
            return Ok(());
        }
        let is_quoted = cursor.peek() == Some(b'"');
        let name = if is_quoted { cursor.quoted(grammar.loose, "a name")? } else { ascii(cursor.name(false)) };
        if !is_quoted && name.is_empty() {
            return Err(format!("a label's name expected, found {}", cursor.found()));
        }
        blanks(cursor);
        if is_quoted && matches!(cursor.peek(), Some(b',' | b'}')) {
            take(name, None)?;
            cursor.eat(b',');
            continue;
        }
        if !cursor.eat(b'=') {
            return Err(format!("= expected after the label's name {name:?}, found {}", cursor.found()));
        }
        if name.is_empty() {
            return Err("a label's name is empty".into());
        }
        blanks(cursor);
        let value = cursor.quoted(grammar.loose, "a label's value")?;
        take(name, Some(value))?;
        blanks(cursor);
        if !cursor.eat(b',') && !grammar.loose && cursor.peek() != Some(b'}') {
            return Err(format!("a comma or a closing brace expected, found {}", cursor.found()));
        }
    }
}

/// Names and values of a series that a parser handed out, in the order written, `__name__` being the metric's name. Values may be empty,
/// and names stand more than once: what that means is for whoever stores them.
///
/// # Errors
/// When the bytes are not those of a series.
pub fn series_labels(series: &[u8], numbers: Numbers) -> Result<Vec<(String, String)>, ParseError> {
    let mut out = Vec::new();
    let mut cursor = Cursor::new(series);
    let number_label = match numbers {
        Numbers::None => "",
        Numbers::Le => "le",
        Numbers::Quantile => "quantile",
    };
    let read = scan(&mut cursor, Grammar { loose: true }, |name, value| {
        out.push(match value {
            None => (METRIC_NAME.to_owned(), unescaped(name).into_owned()),
            Some(value) => {
                let (name, value) = (unescaped(name).into_owned(), unescaped(value).into_owned());
                let number = if name == number_label { parse_float(&value).ok() } else { None };
                (name, number.map_or(value, float_text))
            }
        });
    });
    match read {
        Ok(_) => Ok(out),
        Err(reason) => Err(wrong_line(&cursor, reason)),
    }
}

/// A series in the words that [`series_labels`] reads, every name in quotes.
pub(super) fn written<'a>(name: [&str; 2], labels: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut out = String::from("{\"");
    name.iter().for_each(|part| push_escaped(part, &mut out));
    out.push('"');
    for (name, value) in labels {
        out.push_str(",\"");
        push_escaped(name, &mut out);
        out.push_str("\"=\"");
        push_escaped(value, &mut out);
        out.push('"');
    }
    out.push('}');
    out.into_bytes()
}

fn push_escaped(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

/// `\"`, `\\` and `\n` as what they stand for; a backslash before anything else stands for itself.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    unescaped_but(text, true)
}

/// As [`unescaped`], with or without the quote among the escapes.
pub(super) fn unescaped_but(text: &str, quotes: bool) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (meant, length) = match rest.as_bytes().get(at + 1) {
            Some(b'\\') => ('\\', 2),
            Some(b'n') => ('\n', 2),
            Some(b'"') if quotes => ('"', 2),
            _ => ('\\', 1),
        };
        out.push(meant);
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Bytes that were matched as ASCII.
fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
