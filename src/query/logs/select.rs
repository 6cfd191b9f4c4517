//! Which records of a block satisfy a search, found a column at a time where that is possible; else [`judge`] looks at each.
//!
//! Text is decided once a template: what is looked for stands in the template, or cannot stand in its holes, or the records have to
//! be looked at. A word of a body is in its template or is one hole as a whole (see `codec::block::Templates`), so only the words at
//! the ends of what is looked for can be parts of a hole.

use codec::block::{Block, BlockError, Body, HOLE, Templates, can_be_hole};
use codec::words::{fold, in_word, words};
use regex::Regex;
use regex_syntax::hir::{Hir, HirKind};

use super::expr::{Expr, Phrase, Word};
use super::judge;
use super::mask::Mask;
use super::row::Rows;
use crate::QueryError;

/// Stands for a hole while a template is looked at as text; what is looked for never has it.
const STAND_IN: char = '\u{10ffff}';

/// The records among `within` that satisfy the search.
pub(crate) fn select(expr: &Expr, rows: &Rows, within: &Mask) -> Result<Mask, QueryError> {
    let each = || one_by_one(within, rows.count(), |at| judge::matches(expr, rows, at));
    let Rows::Block { block, .. } = rows else { return each() };
    match expr {
        Expr::And(all) => {
            let mut left = within.clone();
            // The cheap ones first.
            for wants_text in [false, true] {
                for inner in all.iter().filter(|inner| looks_at_text(inner) == wants_text) {
                    if left.is_empty() {
                        return Ok(left);
                    }
                    left = select(inner, rows, &left)?;
                }
            }
            Ok(left)
        }
        Expr::Or(any) => {
            let mut left = within.clone();
            let mut found = Mask::none(rows.count());
            for inner in any {
                let more = select(inner, rows, &left)?;
                left.remove(&more);
                found.add(&more);
            }
            Ok(found)
        }
        Expr::Not(inner) => {
            let mut left = within.clone();
            left.remove(&select(inner, rows, within)?);
            Ok(left)
        }
        Expr::Word(word) => match block.templates()? {
            Some(templates) if !word.folded.contains(STAND_IN) => {
                let looking = Looking::new(block, templates, Needle::Word(word));
                looking.select(rows, within, |at| judge::matches(expr, rows, at))
            }
            _ => each(),
        },
        Expr::Phrase(phrase) => match block.templates()? {
            Some(templates) if !phrase.text.contains(STAND_IN) => {
                let looking = Looking::new(block, templates, Needle::Phrase(phrase));
                looking.select(rows, within, |at| judge::matches(expr, rows, at))
            }
            _ => each(),
        },
        Expr::Regex(regex) => match block.templates()? {
            Some(templates) => by_regex(regex, block, templates, expr, rows, within),
            None => each(),
        },
        _ => each(),
    }
}

/// The records among `within` whose text body has all of these somewhere, and all whose body is no text.
pub(crate) fn with_texts(texts: &[String], rows: &Rows, within: &Mask) -> Result<Mask, QueryError> {
    let Rows::Block { block, .. } = rows else { return Ok(within.clone()) };
    let Some(templates) = block.templates()? else { return Ok(within.clone()) };
    let mut left = within.clone();
    for text in texts.iter().filter(|text| !text.contains(STAND_IN)) {
        let phrase = Phrase::new(text.clone());
        let looking = Looking::new(block, templates, Needle::Phrase(&phrase));
        left = looking.select(rows, &left, |_| Ok(true))?;
    }
    Ok(left)
}

/// Templates without holes are decided once, those that lack a text without which nothing matches too.
fn by_regex(
    regex: &Regex,
    block: &Block,
    templates: &Templates,
    expr: &Expr,
    rows: &Rows,
    within: &Mask,
) -> Result<Mask, QueryError> {
    let needed = needed_text(regex.as_str()).filter(|text| !text.contains(STAND_IN)).map(Phrase::new);
    let looking = needed.as_ref().map(|phrase| Looking::new(block, templates, Needle::Phrase(phrase)));
    let mut scratch = String::new();
    // Of each template whether all match, none do, or each is to be looked at.
    let mut known: Vec<Option<Option<bool>>> = vec![None; templates.count()];
    one_by_one(within, rows.count(), |at| {
        let Some(template) = templates.of_record(at) else { return judge::matches(expr, rows, at) };
        let verdict = match known[template] {
            Some(verdict) => verdict,
            None => {
                let verdict = match &looking {
                    Some(looking) if looking.verdict(template, &mut scratch)? == Verdict::None => Some(false),
                    _ if templates.holes(template) == 0 => {
                        let text = std::str::from_utf8(templates.text(template)).unwrap_or_default();
                        Some(regex.is_match(text))
                    }
                    _ => None,
                };
                *known[template].insert(verdict)
            }
        };
        match verdict {
            Some(all) => Ok(all),
            None => match block.body(at, &mut scratch)? {
                Body::Text(text) => Ok(regex.is_match(text)),
                Body::Typed(_) => Ok(false),
            },
        }
    })
}

/// The longest text that stands in whatever a pattern matches, if there is one.
pub(crate) fn needed_text(pattern: &str) -> Option<String> {
    fn longest(hir: &Hir) -> Option<String> {
        match hir.kind() {
            HirKind::Literal(literal) => String::from_utf8(literal.0.to_vec()).ok(),
            HirKind::Capture(capture) => longest(&capture.sub),
            HirKind::Repetition(repetition) if repetition.min > 0 => longest(&repetition.sub),
            HirKind::Concat(all) => all.iter().filter_map(longest).max_by_key(String::len),
            _ => None,
        }
    }
    longest(&regex_syntax::parse(pattern).ok()?).filter(|text| !text.is_empty())
}

fn one_by_one(
    within: &Mask,
    count: usize,
    mut holds: impl FnMut(usize) -> Result<bool, QueryError>,
) -> Result<Mask, QueryError> {
    let mut out = Mask::none(count);
    for at in within.iter() {
        if holds(at)? {
            out.insert(at);
        }
    }
    Ok(out)
}

fn looks_at_text(expr: &Expr) -> bool {
    match expr {
        Expr::And(all) | Expr::Or(all) => all.iter().any(looks_at_text),
        Expr::Not(inner) => looks_at_text(inner),
        Expr::Severity(_) | Expr::Time(..) => false,
        _ => true,
    }
}

/// What is looked for in bodies.
#[derive(Clone, Copy)]
enum Needle<'a> {
    /// In any case: the word is folded.
    Word(&'a Word),
    Phrase(&'a Phrase),
}

impl Needle<'_> {
    fn any_case(&self) -> bool {
        matches!(self, Needle::Word(_))
    }

    /// Whether it may begin, and end, inside a word.
    fn open(&self) -> (bool, bool) {
        match self {
            Needle::Word(word) => (word.open_start, word.open_end),
            Needle::Phrase(_) => (true, true),
        }
    }

    /// Whether it stands in a text, which is folded in place if need be.
    fn is_in(&self, text: &mut String) -> bool {
        match self {
            Needle::Phrase(phrase) => phrase.finder.find(text.as_bytes()).is_some(),
            Needle::Word(word) if text.is_ascii() => {
                text.make_ascii_lowercase();
                word.is_in(text)
            }
            Needle::Word(word) => word.is_in(&fold(text)),
        }
    }
}

/// What a template says of its records.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    All,
    None,
    /// It may be one hole or a part of one.
    Holes,
    /// It may stand across holes.
    Texts,
}

struct Looking<'a> {
    block: &'a Block,
    templates: &'a Templates,
    needle: Needle<'a>,
    /// Words that can only stand in the template; with one of them missing there, nothing of it matches.
    fixed: Vec<&'a str>,
    /// It is one word or a part of one.
    is_word: bool,
    /// Words that can be a hole, or a part of one at either end.
    loose: Vec<&'a str>,
}

impl<'a> Looking<'a> {
    fn new(block: &'a Block, templates: &'a Templates, needle: Needle<'a>) -> Looking<'a> {
        let text: &'a str = match needle {
            Needle::Word(word) => &word.folded,
            Needle::Phrase(phrase) => &phrase.text,
        };
        let (open_start, open_end) = needle.open();
        let all: Vec<&str> = words(text).collect();
        let last = all.len().saturating_sub(1);
        let is_open = |at: usize| {
            (at == 0 && open_start && text.starts_with(in_word)) || (at == last && open_end && text.ends_with(in_word))
        };
        let (mut fixed, mut loose) = (Vec::new(), Vec::new());
        for (at, word) in all.iter().enumerate() {
            match is_open(at) || can_be_hole(word) {
                true => loose.push(*word),
                false => fixed.push(*word),
            }
        }
        Looking { block, templates, needle, fixed, is_word: all.len() == 1 && all[0].len() == text.len(), loose }
    }

    fn verdict(&self, template: usize, scratch: &mut String) -> Result<Verdict, BlockError> {
        scratch.clear();
        for (at, piece) in self.templates.text(template).split(|byte| *byte == HOLE).enumerate() {
            if at > 0 {
                scratch.push(STAND_IN);
            }
            scratch.push_str(std::str::from_utf8(piece).unwrap_or_default());
        }
        if self.needle.is_in(scratch) {
            return Ok(Verdict::All);
        }
        if self.templates.holes(template) == 0 {
            return Ok(Verdict::None);
        }
        let any_case = self.needle.any_case();
        // What does not stand in the template has some word in a hole: holes are whole words.
        let mut may = false;
        for word in &self.loose {
            may = may || self.block.holes_may_contain(self.templates, template, word, any_case)?;
        }
        if !may {
            return Ok(Verdict::None);
        }
        if self.is_word {
            return Ok(Verdict::Holes);
        }
        if any_case {
            *scratch = fold(scratch);
        }
        Ok(if self.fixed.iter().all(|word| scratch.contains(word)) { Verdict::Texts } else { Verdict::None })
    }

    /// `of_other` judges records whose body is no text.
    fn select(
        &self,
        rows: &Rows,
        within: &Mask,
        of_other: impl Fn(usize) -> Result<bool, QueryError>,
    ) -> Result<Mask, QueryError> {
        let mut scratch = String::new();
        let mut verdicts: Vec<Option<Verdict>> = vec![None; self.templates.count()];
        one_by_one(within, rows.count(), |at| {
            let Some(template) = self.templates.of_record(at) else { return of_other(at) };
            let verdict = match verdicts[template] {
                Some(known) => known,
                None => {
                    let verdict = self.verdict(template, &mut scratch)?;
                    verdicts[template] = Some(verdict);
                    verdict
                }
            };
            match verdict {
                Verdict::All => Ok(true),
                Verdict::None => Ok(false),
                Verdict::Holes => {
                    for hole in 0..self.templates.holes(template) {
                        scratch.clear();
                        scratch.push_str(self.block.hole(self.templates, at, hole)?);
                        if self.needle.is_in(&mut scratch) {
                            return Ok(true);
                        }
                    }
                    Ok(false)
                }
                Verdict::Texts => match self.block.body(at, &mut scratch)? {
                    Body::Text(_) => Ok(self.needle.is_in(&mut scratch)),
                    Body::Typed(_) => Ok(false),
                },
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_tell_what_they_need() {
        for (pattern, expected) in [
            ("status: (4|5)\\d\\d", Some("status: ")),
            ("a.*bcd", Some("bcd")),
            ("(?:ab)+x?", Some("ab")),
            ("(?i)error", None),
            ("error|fail", None),
            ("(err)ors [0-9]", Some("ors ")),
            ("x*", None),
            ("^GET /", Some("GET /")),
            ("", None),
        ] {
            assert_eq!(needed_text(pattern).as_deref(), expected, "{pattern}");
        }
    }
}
