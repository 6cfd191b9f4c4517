//! A regular expression over the bodies of a block, without putting them together.
//!
//! What a template says is walked once, with sets of states where a hole may be anything that a hole can be: mostly all of its records
//! match then, or none. Of the others only the holes are walked, from the last one before which the state is the same for all; what
//! lies between them, and a text that repeats in a hole, lead from state to state the same way each time. The automaton is lazy and
//! bounded in memory; where it gives up, the expression itself is asked.

mod path;
mod walker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use codec::block::{Block, Body, Templates};
use regex::Regex;
use regex_automata::hybrid::dfa::DFA;

use super::mask::Mask;
use crate::QueryError;
use path::Path;
use walker::{Step, Verdict, Walker, build};

/// A compiled expression that is shared by the threads of a query.
#[derive(Debug)]
pub(crate) struct TextRegex {
    regex: Regex,
    /// `None` where it would be too large.
    automaton: OnceLock<Option<DFA>>,
    /// What threads left behind, for the next block.
    idle: Mutex<Vec<Walker>>,
    /// Its states did not fit.
    is_exhausted: AtomicBool,
}

impl TextRegex {
    pub(crate) fn new(regex: Regex) -> TextRegex {
        let (automaton, idle) = (OnceLock::new(), Mutex::new(Vec::new()));
        TextRegex { regex, automaton, idle, is_exhausted: AtomicBool::new(false) }
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    pub(crate) fn pattern(&self) -> &str {
        self.regex.as_str()
    }

    /// Leaves the records whose text body matches, and of those with another body what `of_other` leaves.
    pub(super) fn retain(
        &self,
        block: &Block,
        templates: &Templates,
        within: &mut Mask,
        of_other: impl Fn(usize) -> Result<bool, QueryError>,
    ) -> Result<(), QueryError> {
        let dfa = self.automaton.get_or_init(|| build(self.pattern())).as_ref();
        let dfa = dfa.filter(|_| !self.is_exhausted.load(Ordering::Relaxed));
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let known = idle().pop();
        let mut walker = dfa.and_then(|dfa| known.or_else(|| Walker::new(dfa)).map(|walker| (dfa, walker)));
        let mut paths: Vec<Option<(Verdict, Path<'_>)>> = (0..templates.count()).map(|_| None).collect();
        let mut scratch = String::new();
        within.retain(|at| {
            let Some(template) = templates.of_record(at) else { return of_other(at) };
            if let Some((dfa, walker)) = &mut walker {
                let (verdict, path) = match &mut paths[template] {
                    Some(known) => known,
                    unknown => {
                        let verdict = walker.verdict(dfa, templates.text(template));
                        let path = Path::new(verdict, block, templates, template)?;
                        unknown.insert((verdict, path))
                    }
                };
                match verdict {
                    Verdict::All => return Ok(true),
                    Verdict::None => return Ok(false),
                    Verdict::Each(_) => match path.walk(walker, dfa, templates.place(at), &mut scratch) {
                        Step::Matched => return Ok(true),
                        Step::Never => return Ok(false),
                        Step::To(_) | Step::Unknown => {}
                    },
                }
            }
            match block.body(at, &mut scratch)? {
                Body::Text(text) => Ok(self.regex.is_match(text)),
                Body::Typed(_) => Ok(false),
            }
        })?;
        if let Some((_, walker)) = walker {
            if walker.is_full() {
                self.is_exhausted.store(true, Ordering::Relaxed);
            }
            idle().push(walker);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
