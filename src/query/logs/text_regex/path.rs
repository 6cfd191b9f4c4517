//! The records of one template in one block, walked hole by hole.

use codec::block::{Block, BlockError, HOLE, HoleTexts, Templates};
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::DFA;

use super::walker::{Step, Verdict, Walker};

/// States that a text between holes was walked from; from further ones it is walked each time.
const KNOWN_MAX: usize = 64;

/// Where a text leads from a state.
type Known = (LazyStateID, Step);

/// What is left to walk of each record, from the last place that all of them reach in one state.
pub(super) struct Path<'a> {
    /// `None` where there is no such place.
    start: Option<LazyStateID>,
    legs: Vec<Leg<'a>>,
}

/// A hole, and the text up to the next one or the end.
struct Leg<'a> {
    texts: HoleTexts<'a>,
    after: &'a [u8],
    is_last: bool,
    /// Where what follows the hole leads.
    after_known: Vec<Known>,
    /// Where the hole and what follows it lead, by the code of the hole's text: the last answer.
    by_code: Vec<Option<Known>>,
}

impl<'a> Path<'a> {
    pub(super) fn new(
        verdict: Verdict,
        block: &'a Block,
        templates: &'a Templates,
        template: usize,
    ) -> Result<Path<'a>, BlockError> {
        let Verdict::Each(Some((first, start))) = verdict else { return Ok(Path { start: None, legs: Vec::new() }) };
        let mut legs = Vec::new();
        // Before the first hole stands a piece too.
        let pieces = templates.text(template).split(|byte| *byte == HOLE).skip(1);
        for (hole, after) in pieces.enumerate().skip(first) {
            let texts = block.hole_texts(templates, template, hole)?;
            let is_last = hole + 1 == templates.holes(template);
            legs.push(Leg { texts, after, is_last, after_known: Vec::new(), by_code: Vec::new() });
        }
        Ok(Path { start: Some(start), legs })
    }

    /// Where the record at this place among those of its template leads in the end.
    pub(super) fn walk(&mut self, walker: &mut Walker, dfa: &DFA, place: usize, scratch: &mut String) -> Step {
        let Some(mut state) = self.start else { return Step::Unknown };
        for leg in &mut self.legs {
            match leg.walk(walker, dfa, state, place, scratch) {
                Step::To(next) => state = next,
                other => return other,
            }
        }
        Step::Unknown
    }
}

impl Leg<'_> {
    fn walk(&mut self, walker: &mut Walker, dfa: &DFA, from: LazyStateID, place: usize, scratch: &mut String) -> Step {
        let code = self.texts.code(place).map(usize::from);
        if let Some(code) = code
            && let Some(Some((known, step))) = self.by_code.get(code)
            && *known == from
        {
            return *step;
        }
        let step = match walker.along(dfa, from, self.texts.text(place, scratch).as_bytes()) {
            Step::To(state) => self.go_on(walker, dfa, state),
            other => other,
        };
        if let Some(code) = code {
            if self.by_code.len() <= code {
                self.by_code.resize(code + 1, None);
            }
            self.by_code[code] = Some((from, step));
        }
        step
    }

    /// What follows the hole.
    fn go_on(&mut self, walker: &mut Walker, dfa: &DFA, from: LazyStateID) -> Step {
        if let Some((_, step)) = self.after_known.iter().find(|(known, _)| *known == from) {
            return *step;
        }
        let step = match walker.along(dfa, from, self.after) {
            Step::To(state) if self.is_last => walker.end(dfa, state),
            other => other,
        };
        if self.after_known.len() < KNOWN_MAX {
            self.after_known.push((from, step));
        }
        step
    }
}
