//! The search box's language.
//!
//! ```text
//! search  = [ or ]
//! or      = and { "OR" and }
//! and     = not { ["AND"] not }
//! not     = ("-" | "NOT") not | "(" or ")" | field ":" value | word | phrase
//! value   = "*" | phrase | compare (number | name of a severity | time) | word
//! ```
//! A word may have a `*` at its start, its end, or both. `AND`, `OR`, `NOT` are words when not in capitals.

use codec::words::{fold, number};
use model::Severity;

use super::expr::{ALL_SEVERITIES, Compare, Expr, Field, Phrase, Test, Word, text_test};
use crate::QueryError;

/// Longest search, in bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// Deepest nesting of parentheses and negations; the parser and the walkers recurse.
const DEPTH_MAX: usize = 64;

pub(super) fn parse(text: &str) -> Result<Expr, QueryError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    if text.len() > TEXT_BYTES_MAX {
        let reason = format!("the search has {} bytes, at most {TEXT_BYTES_MAX} are read", text.len());
        return Err(parser.error(TEXT_BYTES_MAX, text.len(), reason));
    }
    parser.skip_space();
    if parser.at == text.len() {
        return Ok(Expr::And(Vec::new()));
    }
    let expr = parser.or()?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.error(parser.at, parser.at + 1, "this parenthesis closes nothing".into()));
    }
    Ok(expr)
}

struct Parser<'a> {
    text: &'a str,
    /// Byte offset; always at a character's start.
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn error(&self, start: usize, end: usize, reason: String) -> QueryError {
        let start = self.text.floor_char_boundary(start);
        let end = self.text.ceil_char_boundary(end);
        let before = &self.text[..start];
        let line = before.matches('\n').count() + 1;
        let column = before[before.rfind('\n').map_or(0, |at| at + 1)..].chars().count() + 1;
        QueryError::Parse { start, end, line, column, reason }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes a capital operator that stands alone.
    fn operator(&mut self, name: &str) -> bool {
        self.skip_space();
        let alone = self.rest().strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(ends_word));
        if alone {
            self.at += name.len();
        }
        alone
    }

    fn or(&mut self) -> Result<Expr, QueryError> {
        let mut any = vec![self.and()?];
        while self.operator("OR") {
            any.push(self.and()?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Expr::Or(any) })
    }

    fn and(&mut self) -> Result<Expr, QueryError> {
        let mut all = vec![self.not()?];
        loop {
            let explicit = self.operator("AND");
            self.skip_space();
            let before = self.at;
            let ends = self.rest().is_empty() || self.rest().starts_with(')') || self.operator("OR");
            self.at = before;
            if ends && !explicit {
                return Ok(if all.len() == 1 { all.remove(0) } else { Expr::And(all) });
            }
            all.push(self.not()?);
        }
    }

    fn not(&mut self) -> Result<Expr, QueryError> {
        self.skip_space();
        let start = self.at;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(start, start + 1, format!("the search nests deeper than {DEPTH_MAX}")));
        }
        let expr = self.not_at_depth(start);
        self.depth -= 1;
        expr
    }

    fn not_at_depth(&mut self, start: usize) -> Result<Expr, QueryError> {
        let dash = self.rest().strip_prefix('-').is_some_and(|rest| !rest.is_empty() && !rest.starts_with(ends_word))
            || self.rest().starts_with("-(");
        if dash {
            self.at += 1;
            return Ok(Expr::Not(Box::new(self.not()?)));
        }
        if self.operator("NOT") {
            return Ok(Expr::Not(Box::new(self.not()?)));
        }
        for name in ["OR", "AND"] {
            if self.operator(name) {
                return Err(self.error(
                    start,
                    self.at,
                    format!("{name} needs something on its left; quote it to find it"),
                ));
            }
        }
        if self.rest().starts_with('(') {
            self.at += 1;
            let inner = self.or()?;
            self.skip_space();
            if !self.rest().starts_with(')') {
                return Err(self.error(start, start + 1, "this parenthesis is never closed".into()));
            }
            self.at += 1;
            return Ok(inner);
        }
        if self.rest().starts_with('"') {
            let text = self.quoted()?;
            if self.rest().starts_with(':') {
                self.at += 1;
                return self.field(&text, start);
            }
            return Ok(Expr::Phrase(Phrase::new(text)));
        }
        let word = self.bare();
        if word.is_empty() {
            return Err(self.error(start, start + 1, "a word, a phrase or a field is missing here".into()));
        }
        if let Some((name, after)) = word.split_once(':')
            && is_field_name(name)
            && !after.starts_with("//")
        {
            self.at = start + name.len() + 1;
            return self.field(name, start);
        }
        self.word(word, start).map(Expr::Word)
    }

    /// A run of characters up to space or parenthesis; a quote inside belongs to it.
    fn bare(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(ends_word).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// A text in quotes; `\"` and `\\` are the only escapes.
    fn quoted(&mut self) -> Result<String, QueryError> {
        let start = self.at;
        let mut out = String::new();
        let mut chars = self.text[start + 1..].char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = start + 1 + at + 1;
                    return Ok(out);
                }
                '\\' if chars.peek().is_some_and(|(_, next)| matches!(next, '"' | '\\')) => {
                    out.extend(chars.next().map(|(_, escaped)| escaped));
                }
                other => out.push(other),
            }
        }
        Err(self.error(start, start + 1, "this quote is never closed".into()))
    }

    fn word(&self, text: &str, start: usize) -> Result<Word, QueryError> {
        let inner = text.trim_matches('*');
        if inner.contains('*') {
            let reason = "a * may stand at the start or the end of a word only; quote the text to find a star".into();
            return Err(self.error(start, start + text.len(), reason));
        }
        Ok(Word::new(fold(inner), text.starts_with('*'), text.ends_with('*')))
    }

    fn field(&mut self, name: &str, start: usize) -> Result<Expr, QueryError> {
        let field = Field::of_name(name);
        let value_start = self.at;
        if self.rest().starts_with('"') {
            let text = self.quoted()?;
            return match field {
                Field::Body => Ok(Expr::Phrase(Phrase::new(text))),
                Field::SeverityName => self.severity(Compare::Equal, &text, value_start),
                Field::Time => self.time(Compare::Equal, &text, value_start),
                field => Ok(Expr::Field(field, Test::Exact(text))),
            };
        }
        let compare = [
            (">=", Compare::GreaterOrEqual),
            ("<=", Compare::LessOrEqual),
            (">", Compare::Greater),
            ("<", Compare::Less),
            ("=", Compare::Equal),
        ];
        let compare = compare.into_iter().find(|(sign, _)| self.rest().starts_with(sign));
        self.at += compare.map_or(0, |(sign, _)| sign.len());
        let value_at = self.at;
        let quoted = compare.is_some() && self.rest().starts_with('"');
        let owned = if quoted { self.quoted()? } else { self.bare().to_owned() };
        if owned.is_empty() && !quoted {
            return Err(self.error(
                start,
                value_at.max(start + 1),
                format!("{name}: needs a value; {name}:* finds any"),
            ));
        }
        match (field, compare) {
            (Field::SeverityName | Field::SeverityNumber | Field::Time | Field::Body, None) if owned == "*" => {
                Ok(if name == "body" { Expr::Field(Field::Body, Test::Exists) } else { Expr::And(Vec::new()) })
            }
            (Field::SeverityName, compare) => {
                self.severity(compare.map_or(Compare::Equal, |(_, compare)| compare), &owned, value_at)
            }
            (Field::Time, compare) => {
                self.time(compare.map_or(Compare::Equal, |(_, compare)| compare), &owned, value_at)
            }
            (Field::Body, None) => self.word(&owned, value_at).map(Expr::Word),
            (field, None) if owned.chars().all(|c| c == '*') => Ok(Expr::Field(field, Test::Exists)),
            // An id of digits is no number.
            (field @ (Field::TraceId | Field::SpanId), None) => {
                Ok(Expr::Field(field, Test::Text(Box::new(self.word(&owned, value_at)?))))
            }
            (field, None) => Ok(Expr::Field(field, text_test(self.word(&owned, value_at)?))),
            (field, Some((sign, compare))) => match number(&owned) {
                Some(wanted) => Ok(Expr::Field(field, Test::Number(compare, wanted))),
                None => Err(self.error(
                    value_at,
                    self.at,
                    format!("{sign} compares numbers, and {owned:?} is none; use {name}:{owned}"),
                )),
            },
        }
    }

    /// `warn` and other names of a range, or a number.
    fn severity(&self, compare: Compare, text: &str, start: usize) -> Result<Expr, QueryError> {
        if let Some(wanted) = number(text) {
            return Ok(Expr::Field(Field::SeverityNumber, Test::Number(compare, wanted)));
        }
        let unspecified = text.eq_ignore_ascii_case(Severity::Unspecified.as_str()).then_some(Severity::Unspecified);
        let Some(wanted) = Severity::of_text(text).or(unspecified) else {
            let names: Vec<&str> = Severity::ALL.iter().map(|severity| severity.as_str()).collect();
            let reason = format!("no severity is called {text:?}; there are {} and numbers", names.join(", "));
            return Err(self.error(start, start + text.len().max(1), reason));
        };
        let mask = Severity::ALL.iter().filter(|severity| compare.holds(*severity, &wanted));
        let mask = mask.fold(0, |mask, severity| mask | 1 << *severity as u8);
        Ok(Expr::Severity(mask & ALL_SEVERITIES))
    }

    fn time(&self, compare: Compare, text: &str, start: usize) -> Result<Expr, QueryError> {
        let parsed: Option<i64> =
            text.parse::<jiff::Timestamp>().ok().and_then(|time| i64::try_from(time.as_nanosecond()).ok());
        match parsed {
            Some(time_ns) => Ok(Expr::Time(compare, time_ns)),
            None => Err(self.error(
                start,
                start + text.len().max(1),
                format!("{text:?} is no time; write 2026-11-21T02:00:00Z"),
            )),
        }
    }
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')')
}

/// Whether the text before a colon names a field: `12:30:05` and `::1` are words.
fn is_field_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@'))
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '@'))
}
