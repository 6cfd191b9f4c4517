//! Conditions on a text: those of line filters on the line, those of string filters on a label's value.

use memchr::memmem::Finder;
use model::MatchOp;
use model::go_regex;
use regex::Regex;

use super::super::ast::{LineFilter, LineOp, LineText};
use super::ip::IpPattern;
use super::pattern::LinePattern;
use super::simple_regex;

/// A condition, compiled.
#[derive(Debug, Clone)]
pub(super) enum TextFilter {
    All,
    /// Has at least one character.
    Exists,
    Equal(String),
    /// In any case; as in Loki of equal length in bytes.
    EqualFolded(String, Box<TextFilter>),
    Contains(Box<Literal>),
    /// In any case; the text in lower case.
    ContainsFolded(String, Regex),
    Regex(Regex),
    Pattern(LinePattern),
    Ip(IpPattern),
    Not(Box<TextFilter>),
    Or(Box<TextFilter>, Box<TextFilter>),
}

#[derive(Debug, Clone)]
pub(super) struct Literal {
    pub(super) text: String,
    finder: Finder<'static>,
}

impl TextFilter {
    /// What a line filter asks.
    pub(super) fn of_line(filter: &LineFilter) -> Result<TextFilter, String> {
        let mut any: Option<TextFilter> = None;
        // In Loki only a filter that stands alone reads `ip()`; among alternatives its argument is a text like others.
        let alone = filter.any.len() == 1;
        for text in &filter.any {
            let next = match (text, filter.op) {
                (LineText::Ip(pattern), LineOp::Contains | LineOp::NotContains) if alone => {
                    TextFilter::Ip(IpPattern::new(pattern)?)
                }
                (LineText::Ip(_), _) if alone => return Err("ip: invalid operation".into()),
                (LineText::Ip(text) | LineText::Text(text), op) => match op {
                    LineOp::Contains | LineOp::NotContains => TextFilter::contains(text, false),
                    LineOp::Regex | LineOp::NotRegex => TextFilter::regex(text, false)?,
                    LineOp::Pattern | LineOp::NotPattern => TextFilter::Pattern(LinePattern::new(text)?),
                },
            };
            any = Some(match any {
                Some(any) => any.or(next),
                None => next,
            });
        }
        let any = any.unwrap_or(TextFilter::All);
        Ok(if filter.op.is_negative() { TextFilter::Not(Box::new(any)) } else { any })
    }

    /// What a string filter asks of a label's value.
    pub(super) fn of_label(op: MatchOp, text: &str) -> Result<TextFilter, String> {
        let filter = match op {
            MatchOp::Equal | MatchOp::NotEqual => TextFilter::equal(text, false),
            MatchOp::Regex | MatchOp::NotRegex => TextFilter::regex(text, true)?,
        };
        Ok(match op {
            MatchOp::Equal | MatchOp::Regex => filter,
            MatchOp::NotEqual | MatchOp::NotRegex => TextFilter::Not(Box::new(filter)),
        })
    }

    fn regex(pattern: &str, is_label: bool) -> Result<TextFilter, String> {
        // Compiled in any case, so that what is no expression is refused.
        let compile = if is_label { go_regex::compile_anchored } else { go_regex::compile };
        let regex = compile(pattern)?;
        Ok(simple_regex::simplify(pattern, is_label).unwrap_or(TextFilter::Regex(regex)))
    }

    pub(super) fn equal(text: &str, folded: bool) -> TextFilter {
        match folded {
            true => TextFilter::EqualFolded(text.to_lowercase(), Box::new(TextFilter::contains(text, true))),
            false => TextFilter::Equal(text.into()),
        }
    }

    pub(super) fn contains(text: &str, folded: bool) -> TextFilter {
        if text.is_empty() {
            return TextFilter::All;
        }
        // Upper case is what Loki and the index fold; expressions would also take the long s for an s.
        let folded_regex = || {
            let plain_s = |c: char| {
                if c.eq_ignore_ascii_case(&'s') {
                    "(?-i:[sS])".into()
                } else {
                    regex::escape(c.encode_utf8(&mut [0; 4]))
                }
            };
            Regex::new(&format!("(?i){}", text.chars().map(plain_s).collect::<String>())).ok()
        };
        match folded.then(folded_regex).flatten() {
            Some(regex) => TextFilter::ContainsFolded(text.to_lowercase(), regex),
            None => {
                let finder = Finder::new(text).into_owned();
                TextFilter::Contains(Box::new(Literal { text: text.into(), finder }))
            }
        }
    }

    /// Either. As in Loki a side that takes everything is forgotten: `|= "" or "a"` is `|= "a"`.
    pub(super) fn or(self, other: TextFilter) -> TextFilter {
        match (self, other) {
            (TextFilter::All, other) => other,
            (one, TextFilter::All) => one,
            (one, other) => TextFilter::Or(Box::new(one), Box::new(other)),
        }
    }

    pub(super) fn takes_all(&self) -> bool {
        matches!(self, TextFilter::All)
    }

    /// How slow it is beside the others; cheap ones go first.
    pub(super) fn cost(&self) -> u8 {
        match self {
            TextFilter::Regex(_) | TextFilter::Ip(_) => 2,
            TextFilter::ContainsFolded(..) | TextFilter::Pattern(_) => 1,
            TextFilter::Not(inner) => inner.cost(),
            TextFilter::Or(one, other) => one.cost().max(other.cost()),
            _ => 0,
        }
    }

    pub(super) fn accepts(&self, text: &str) -> bool {
        match self {
            TextFilter::All => true,
            TextFilter::Exists => !text.is_empty(),
            TextFilter::Equal(wanted) => text == wanted,
            TextFilter::EqualFolded(wanted, contains) => text.len() == wanted.len() && contains.accepts(text),
            TextFilter::Contains(literal) => literal.finder.find(text.as_bytes()).is_some(),
            TextFilter::ContainsFolded(_, regex) | TextFilter::Regex(regex) => regex.is_match(text),
            TextFilter::Pattern(pattern) => pattern.accepts(text),
            TextFilter::Ip(pattern) => pattern.is_in(text),
            TextFilter::Not(inner) => !inner.accepts(text),
            TextFilter::Or(one, other) => one.accepts(text) || other.accepts(text),
        }
    }
}
