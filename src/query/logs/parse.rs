//! The search box's language.
//!
//! ```text
//! search  = [ or ]
//! or      = and { "OR" and }
//! and     = not { ["AND"] not }
//! not     = ("-" | "NOT") not | "(" or ")" | field ":" value | regex | word | phrase
//! value   = "*" | phrase | regex | compare (number | name of a severity | time) | word
//! regex   = "/" pattern "/" [ "i" ]
//! ```
//! A word may have a `*` at its start, its end, or inside. `AND`, `OR`, `NOT` are words when not in capitals. A pattern ends at a
//! `/` (not `\\/`) with a space, a parenthesis or nothing behind it; so `/api/orders` is a word. Patterns match anywhere, in the
//! case that they are written in unless an `i` follows.

mod field;

use std::sync::Arc;

use codec::words::fold;
use regex::Regex;

use super::expr::{Expr, Phrase, Word};
use super::pattern::{self, Glob};
use super::text_regex::TextRegex;
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
        if let Some(regex) = self.regex()? {
            return Ok(Expr::Regex(Arc::new(TextRegex::new(regex))));
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
        self.word(word, start)
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

    /// Takes `/pattern/` or `/pattern/i`, if that is what stands here.
    fn regex(&mut self) -> Result<Option<Regex>, QueryError> {
        let start = self.at;
        let Some(inner) = self.rest().strip_prefix('/') else { return Ok(None) };
        let mut escaped = false;
        let end = inner.find(|c: char| {
            let ends = c == '/' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let Some(end) = end.filter(|end| *end > 0) else { return Ok(None) };
        let after = &inner[end + 1..];
        let (any_case, after) = after.strip_prefix('i').map_or((false, after), |rest| (true, rest));
        if !(after.is_empty() || after.starts_with(ends_word)) {
            return Ok(None);
        }
        self.at = self.text.len() - after.len();
        let written = inner[..end].replace("\\/", "/");
        let compiled = pattern::compile(&if any_case { format!("(?i){written}") } else { written });
        compiled.map(Some).map_err(|reason| self.error(start, self.at, reason))
    }

    fn word(&self, text: &str, start: usize) -> Result<Expr, QueryError> {
        let inner = text.trim_matches('*');
        if inner.contains('*') {
            let glob = Glob::of_body(&fold(text)).map_err(|reason| self.error(start, start + text.len(), reason))?;
            return Ok(Expr::Glob(Box::new(glob)));
        }
        Ok(Expr::Word(whole_word(text)))
    }
}

/// A word without a star inside.
fn whole_word(text: &str) -> Word {
    Word::new(fold(text.trim_matches('*')), text.starts_with('*'), text.ends_with('*'))
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')')
}

/// Whether the text before a colon names a field: `12:30:05` and `::1` are words.
fn is_field_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@'))
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '@'))
}
