//! A regular expression over the bodies of a block, without putting them together.
//!
//! What a template says is walked once, with sets of states where a hole may be anything that a hole can be: mostly all of its records
//! match then, or none. Of the others only the holes are walked; what lies between them leads from state to state the same way each
//! time. The automaton is lazy and bounded in memory; where it gives up, the expression itself is asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use codec::block::{Block, Body, HOLE, Templates};
use foldhash::fast::RandomState;
use regex::Regex;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::{Anchored, Input};

use super::mask::Mask;
use crate::QueryError;

/// Memory of the automaton's states on one thread, and of what it is made from, in bytes.
const STATES_BYTES_MAX: usize = 1 << 20;
const NFA_BYTES_MAX: usize = 1 << 20;
/// States that the text before a place can lead to; with more of them records are looked at one by one.
const SET_MAX: usize = 64;
/// Templates whose verdict is remembered from block to block, and their bytes.
const VERDICTS_MAX: usize = 4_096;
const VERDICT_BYTES_MAX: usize = 1_024;

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

/// What a template says of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    All,
    None,
    Each,
}

/// Where a byte leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    To(LazyStateID),
    Matched,
    Never,
    /// The automaton cannot tell.
    Unknown,
}

/// Where a text leads whose holes are not known.
#[derive(Debug, Clone, Default)]
struct Reached {
    states: Vec<LazyStateID>,
    matched: bool,
    never: bool,
    unknown: bool,
}

impl Reached {
    fn add(&mut self, step: Step) {
        match step {
            Step::To(state) => self.states.push(state),
            Step::Matched => self.matched = true,
            Step::Never => self.never = true,
            Step::Unknown => self.unknown = true,
        }
    }
}

/// The states of one thread.
#[derive(Debug)]
struct Walker {
    cache: Cache,
    start: LazyStateID,
    /// One byte of each class that a hole can have.
    in_hole: Vec<u8>,
    through_holes: HashMap<Vec<LazyStateID>, Reached, RandomState>,
    verdicts: HashMap<Box<[u8]>, Verdict, RandomState>,
    /// Its states did not fit.
    is_full: bool,
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
        let mut paths: Vec<Option<Path<'_>>> = (0..templates.count()).map(|_| None).collect();
        let mut scratch = String::new();
        within.retain(|at| {
            let Some(template) = templates.of_record(at) else { return of_other(at) };
            if let Some((dfa, walker)) = &mut walker {
                let path = paths[template].get_or_insert_with(|| {
                    let text = templates.text(template);
                    let pieces = text.split(|byte| *byte == HOLE).map(|piece| (piece, Vec::new())).collect();
                    Path { verdict: walker.verdict(dfa, text), pieces }
                });
                match path.verdict {
                    Verdict::All => return Ok(true),
                    Verdict::None => return Ok(false),
                    Verdict::Each => match walker.walk(dfa, path, |hole| Ok(block.hole(templates, at, hole)?))? {
                        Step::Matched => return Ok(true),
                        Step::Never => return Ok(false),
                        _ => {}
                    },
                }
            }
            match block.body(at, &mut scratch)? {
                Body::Text(text) => Ok(self.regex.is_match(text)),
                Body::Typed(_) => Ok(false),
            }
        })?;
        if let Some((_, walker)) = walker {
            if walker.is_full {
                self.is_exhausted.store(true, Ordering::Relaxed);
            }
            idle().push(walker);
        }
        Ok(())
    }
}

fn build(pattern: &str) -> Option<DFA> {
    let config = DFA::config()
        .cache_capacity(STATES_BYTES_MAX)
        // Clearing would make the states that are remembered here mean others.
        .minimum_cache_clear_count(Some(0))
        // Gives up at bytes beyond ASCII, where such boundaries need more than a byte.
        .unicode_word_boundary(true);
    let nfa = thompson::Config::new().nfa_size_limit(Some(NFA_BYTES_MAX));
    DFA::builder().configure(config).thompson(nfa).build(pattern).ok()
}

/// Text between holes, and where it led from which state.
type Piece<'a> = (&'a [u8], Vec<(LazyStateID, Step)>);

/// A template as records of it are walked.
struct Path<'a> {
    verdict: Verdict,
    /// What stands before each hole and after the last.
    pieces: Vec<Piece<'a>>,
}

impl Walker {
    fn new(dfa: &DFA) -> Option<Walker> {
        let mut cache = dfa.create_cache();
        let start = dfa.start_state_forward(&mut cache, &Input::new("").anchored(Anchored::No)).ok()?;
        let mut in_hole: Vec<u8> = (0..=u8::MAX).filter(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').collect();
        in_hole.sort_by_key(|byte| dfa.byte_classes().get(*byte));
        in_hole.dedup_by_key(|byte| dfa.byte_classes().get(*byte));
        let (through_holes, verdicts) = (HashMap::default(), HashMap::default());
        Some(Walker { cache, start, in_hole, through_holes, verdicts, is_full: false })
    }

    fn step(&mut self, dfa: &DFA, from: LazyStateID, byte: u8) -> Step {
        let next = dfa.next_state(&mut self.cache, from, byte);
        self.is_full |= next.is_err();
        next.map_or(Step::Unknown, told)
    }

    /// Where the end of the text leads: no state is one to go on from.
    fn end(&mut self, dfa: &DFA, from: LazyStateID) -> Step {
        let next = dfa.next_eoi_state(&mut self.cache, from);
        self.is_full |= next.is_err();
        match next.map_or(Step::Unknown, told) {
            Step::To(_) => Step::Never,
            other => other,
        }
    }

    fn verdict(&mut self, dfa: &DFA, template: &[u8]) -> Verdict {
        if let Some(known) = self.verdicts.get(template) {
            return *known;
        }
        let mut all = Reached { states: vec![self.start], ..Reached::default() };
        for byte in template {
            let next = match *byte {
                HOLE => self.through_hole(dfa, &all.states),
                byte => {
                    let mut next = Reached::default();
                    all.states.iter().for_each(|state| next.add(self.step(dfa, *state, byte)));
                    next
                }
            };
            all = Reached {
                states: next.states,
                matched: all.matched || next.matched,
                never: all.never || next.never,
                unknown: all.unknown || next.unknown,
            };
            if all.states.len() > 1 {
                all.states.sort_unstable();
                all.states.dedup();
            }
        }
        for state in std::mem::take(&mut all.states) {
            all.add(self.end(dfa, state));
        }
        let verdict = match (all.matched, all.never) {
            _ if all.unknown => Verdict::Each,
            (true, false) => Verdict::All,
            (false, _) => Verdict::None,
            (true, true) => Verdict::Each,
        };
        if template.len() <= VERDICT_BYTES_MAX {
            if self.verdicts.len() == VERDICTS_MAX {
                self.verdicts.clear();
            }
            self.verdicts.insert(template.into(), verdict);
        }
        verdict
    }

    /// Where one byte or more of a hole lead.
    fn through_hole(&mut self, dfa: &DFA, from: &[LazyStateID]) -> Reached {
        if let Some(known) = self.through_holes.get(from) {
            return known.clone();
        }
        let mut all = Reached::default();
        let mut edge = from.to_vec();
        while let Some(state) = edge.pop() {
            for at in 0..self.in_hole.len() {
                match self.step(dfa, state, self.in_hole[at]) {
                    Step::To(next) if all.states.contains(&next) => {}
                    Step::To(next) if all.states.len() < SET_MAX => {
                        all.states.push(next);
                        edge.push(next);
                    }
                    Step::To(_) => all.unknown = true,
                    other => all.add(other),
                }
            }
        }
        all.states.sort_unstable();
        if self.through_holes.len() < VERDICTS_MAX {
            self.through_holes.insert(from.to_vec(), all.clone());
        }
        all
    }

    /// Where the text of one record leads in the end.
    fn walk<'b>(
        &mut self,
        dfa: &DFA,
        path: &mut Path<'_>,
        hole: impl Fn(usize) -> Result<&'b str, QueryError>,
    ) -> Result<Step, QueryError> {
        let mut state = self.start;
        for at in 0..path.pieces.len() {
            if let Some(before) = at.checked_sub(1) {
                for byte in hole(before)?.bytes() {
                    match self.step(dfa, state, byte) {
                        Step::To(next) => state = next,
                        other => return Ok(other),
                    }
                }
            }
            let (piece, known) = &mut path.pieces[at];
            let step = match known.iter().find(|(from, _)| *from == state) {
                Some((_, step)) => *step,
                None => {
                    let step = self.along(dfa, state, piece);
                    if known.len() < SET_MAX {
                        known.push((state, step));
                    }
                    step
                }
            };
            match step {
                Step::To(next) => state = next,
                other => return Ok(other),
            }
        }
        Ok(self.end(dfa, state))
    }

    fn along(&mut self, dfa: &DFA, mut state: LazyStateID, text: &[u8]) -> Step {
        for byte in text {
            match self.step(dfa, state, *byte) {
                Step::To(next) => state = next,
                other => return other,
            }
        }
        Step::To(state)
    }
}

fn told(state: LazyStateID) -> Step {
    if !state.is_tagged() || state.is_start() {
        Step::To(state)
    } else if state.is_match() {
        Step::Matched
    } else if state.is_dead() {
        Step::Never
    } else {
        Step::Unknown
    }
}

#[cfg(test)]
mod tests {
    use codec::block::{Row, encode};
    use model::{AnyValue, LogRecord, Resource, Scope};

    use super::*;

    const BODIES: [&str; 14] = [
        "GET /a/17 status: 200 len: 5",
        "GET /b/18 status: 404 len: 77",
        "POST /a/x-3 status: 500 len: 0",
        "Received block blk_17 from /10.251.4.102",
        "Received block blk_9812 from /10.251.77.102",
        "größe 5 überall",
        "größe5 x5ü",
        "",
        "17",
        "a\nb 4\nc",
        "deadbeef-12 beef-cafe",
        "user_1=ann user_2=bob",
        "é7 7é",
        "Error at 7f",
    ];
    const PATTERNS: [&str; 31] = [
        "status: (4|5)\\d\\d",
        "blk_[0-9]+ from",
        "blk_[0-9]{3,}",
        "^GET .*len: \\d$",
        "^$",
        "^17$",
        "",
        "\\b7\\b",
        "\\bb\\b",
        "(?i)ERROR",
        "gr..e",
        "größe ?5",
        "5$",
        "(?m)^b",
        "[^a-z]4",
        "beef",
        "beef-c",
        "a.b",
        "(?s)a.b",
        "\\d{5}",
        "10\\.251\\.\\d+\\.102",
        "x|y|len",
        "user_\\d=b",
        "\\w+=\\w+ \\w",
        "7\\B",
        "[é7] ",
        "(a|b|c)+$",
        "[0-9]+\\s+[0-9]+",
        "\\p{L}5",
        ".*.*=.*",
        "zzz",
    ];

    fn block_of(texts: &[&str]) -> Block {
        let record = |text: &&str| LogRecord { body: AnyValue::Str((*text).into()), ..LogRecord::default() };
        let records: Vec<LogRecord> = texts.iter().map(record).collect();
        let row = |record| Row { resource: 0, scope: 0, record, seq: 0, place: 0 };
        let rows: Vec<Row<'_>> = records.iter().map(row).collect();
        Block::parse(encode(&[&Resource::default()], &[&Scope::default()], &rows)).unwrap()
    }

    #[test]
    fn templates_decide_as_the_expression_does() {
        let texts: Vec<&str> = (0..12).flat_map(|_| BODIES).collect();
        let block = block_of(&texts);
        let templates = block.templates().unwrap().unwrap();
        for pattern in PATTERNS {
            let regex = TextRegex::new(super::super::pattern::compile(pattern).unwrap());
            assert!(regex.automaton.get_or_init(|| build(pattern)).is_some(), "{pattern}");
            // The second time with what is remembered of the first.
            for _ in 0..2 {
                let mut found = Mask::all(texts.len());
                regex.retain(&block, templates, &mut found, |_| Ok(true)).unwrap();
                let wanted = |at: &usize| regex.is_match(texts[*at]);
                let wanted: Vec<usize> = (0..texts.len()).filter(wanted).collect();
                assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{pattern}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_asked_of_the_expression() {
        let texts: Vec<String> =
            (0..400u64).map(|n| format!("{:b} x", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let block = block_of(&texts);
        // An automaton of 2^24 states.
        let regex = TextRegex::new(super::super::pattern::compile("1[01]{24} x").unwrap());
        let mut found = Mask::all(texts.len());
        regex.retain(&block, block.templates().unwrap().unwrap(), &mut found, |_| Ok(true)).unwrap();
        let wanted: Vec<usize> = (0..texts.len()).filter(|at| regex.is_match(texts[*at])).collect();
        assert!(!wanted.is_empty() && wanted.len() < texts.len());
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted);
    }
}
