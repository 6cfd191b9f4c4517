//! Words and phrases in the bodies of a block, decided once a template: what is looked for stands in the template, or cannot stand in
//! its holes, or the records have to be looked at. A word of a body is in its template or is one hole as a whole (see
//! `codec::block::Templates`), so only the words at the ends of what is looked for can be parts of a hole.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use codec::block::{Block, BlockError, Body, HOLE, HoleTexts, Templates, can_be_hole};
use codec::words::{fold, in_word, words};
use foldhash::fast::RandomState;

use super::expr::{Phrase, Word};
use super::mask::Mask;
use crate::QueryError;

/// Stands for a hole while a template is looked at as text; what is looked for never has it.
pub(super) const STAND_IN: char = '\u{10ffff}';

/// What is looked for in bodies.
#[derive(Clone, Copy)]
pub(super) enum Needle<'a> {
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

/// One hole of a template's records.
struct Hole<'a> {
    texts: HoleTexts<'a>,
    /// What is known of texts that repeat.
    by_code: Vec<Option<bool>>,
}

impl Hole<'_> {
    /// Whether what is looked for is in the hole of the record at this place.
    fn has(&mut self, needle: &Needle<'_>, place: usize, scratch: &mut String) -> bool {
        let code = self.texts.code(place).map(usize::from);
        if let Some(known) = code.and_then(|code| *self.by_code.get(code)?) {
            return known;
        }
        scratch.clear();
        self.texts.write(place, scratch);
        let found = needle.is_in(scratch);
        if let Some(code) = code {
            if self.by_code.len() <= code {
                self.by_code.resize(code + 1, None);
            }
            self.by_code[code] = Some(found);
        }
        found
    }
}

pub(super) struct Looking<'a> {
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
    pub(super) fn new(block: &'a Block, templates: &'a Templates, needle: Needle<'a>) -> Looking<'a> {
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

    fn holes(&self, template: usize) -> Result<Vec<Hole<'a>>, BlockError> {
        let texts = |hole| self.block.hole_texts(self.templates, template, hole);
        (0..self.templates.holes(template)).map(|hole| Ok(Hole { texts: texts(hole)?, by_code: Vec::new() })).collect()
    }

    /// Leaves the records whose text body has it, and of those with another body what `of_other` leaves.
    pub(super) fn retain(
        &self,
        within: &mut Mask,
        of_other: impl Fn(usize) -> Result<bool, QueryError>,
    ) -> Result<(), QueryError> {
        let mut scratch = String::new();
        let mut verdicts: Vec<Option<Verdict>> = vec![None; self.templates.count()];
        let mut holes: HashMap<usize, Vec<Hole<'_>>, RandomState> = HashMap::default();
        within.retain(|at| {
            let Some(template) = self.templates.of_record(at) else { return of_other(at) };
            let verdict = match verdicts[template] {
                Some(known) => known,
                None => *verdicts[template].insert(self.verdict(template, &mut scratch)?),
            };
            match verdict {
                Verdict::All => Ok(true),
                Verdict::None => Ok(false),
                Verdict::Holes => {
                    let holes = match holes.entry(template) {
                        Entry::Occupied(known) => known.into_mut(),
                        Entry::Vacant(unknown) => unknown.insert(self.holes(template)?),
                    };
                    let place = self.templates.place(at);
                    Ok(holes.iter_mut().any(|hole| hole.has(&self.needle, place, &mut scratch)))
                }
                Verdict::Texts => match self.block.body(at, &mut scratch)? {
                    Body::Text(_) => Ok(self.needle.is_in(&mut scratch)),
                    Body::Typed(_) => Ok(false),
                },
            }
        })
    }
}
