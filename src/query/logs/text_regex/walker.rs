//! The automaton's states, and where texts lead among them.

use std::collections::HashMap;

use codec::block::HOLE;
use foldhash::fast::RandomState;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::{Anchored, Input};

/// Memory of the automaton's states on one thread, and of what it is made from, in bytes.
const STATES_BYTES_MAX: usize = 1 << 20;
const NFA_BYTES_MAX: usize = 1 << 20;
/// States that the text before a place can lead to; with more of them records are looked at one by one.
const SET_MAX: usize = 64;
/// Templates whose verdict is remembered from block to block, and their bytes.
const VERDICTS_MAX: usize = 4_096;
const VERDICT_BYTES_MAX: usize = 1_024;

/// What a template says of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    All,
    None,
    /// They differ. The last hole before which none has matched and all are in one state, and that state.
    Each(Option<(usize, LazyStateID)>),
}

/// Where a byte leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
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
pub(super) struct Walker {
    cache: Cache,
    start: LazyStateID,
    /// One byte of each class that a hole can have.
    in_hole: Vec<u8>,
    through_holes: HashMap<Vec<LazyStateID>, Reached, RandomState>,
    verdicts: HashMap<Box<[u8]>, Verdict, RandomState>,
    /// Its states did not fit.
    is_full: bool,
}

pub(super) fn build(pattern: &str) -> Option<DFA> {
    let config = DFA::config()
        .cache_capacity(STATES_BYTES_MAX)
        // Clearing would make the states that are remembered here mean others.
        .minimum_cache_clear_count(Some(0))
        // Gives up at bytes beyond ASCII, where such boundaries need more than a byte.
        .unicode_word_boundary(true);
    let nfa = thompson::Config::new().nfa_size_limit(Some(NFA_BYTES_MAX));
    DFA::builder().configure(config).thompson(nfa).build(pattern).ok()
}

impl Walker {
    pub(super) fn new(dfa: &DFA) -> Option<Walker> {
        let mut cache = dfa.create_cache();
        let start = dfa.start_state_forward(&mut cache, &Input::new("").anchored(Anchored::No)).ok()?;
        let mut in_hole: Vec<u8> = (0..=u8::MAX).filter(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').collect();
        in_hole.sort_by_key(|byte| dfa.byte_classes().get(*byte));
        in_hole.dedup_by_key(|byte| dfa.byte_classes().get(*byte));
        let (through_holes, verdicts) = (HashMap::default(), HashMap::default());
        Some(Walker { cache, start, in_hole, through_holes, verdicts, is_full: false })
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    fn step(&mut self, dfa: &DFA, from: LazyStateID, byte: u8) -> Step {
        let next = dfa.next_state(&mut self.cache, from, byte);
        self.is_full |= next.is_err();
        next.map_or(Step::Unknown, told)
    }

    /// Where the end of the text leads: no state is one to go on from.
    pub(super) fn end(&mut self, dfa: &DFA, from: LazyStateID) -> Step {
        let next = dfa.next_eoi_state(&mut self.cache, from);
        self.is_full |= next.is_err();
        match next.map_or(Step::Unknown, told) {
            Step::To(_) => Step::Never,
            other => other,
        }
    }

    pub(super) fn verdict(&mut self, dfa: &DFA, template: &[u8]) -> Verdict {
        if let Some(known) = self.verdicts.get(template) {
            return *known;
        }
        let mut all = Reached { states: vec![self.start], ..Reached::default() };
        let (mut hole, mut start) = (0, None);
        for byte in template {
            let next = match *byte {
                HOLE => {
                    if let ([state], false) = (&all.states[..], all.matched || all.never || all.unknown) {
                        start = Some((hole, *state));
                    }
                    hole += 1;
                    self.through_hole(dfa, &all.states)
                }
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
            _ if all.unknown => Verdict::Each(start),
            (true, false) => Verdict::All,
            (false, _) => Verdict::None,
            (true, true) => Verdict::Each(start),
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

    /// Where a text leads.
    pub(super) fn along(&mut self, dfa: &DFA, mut state: LazyStateID, text: &[u8]) -> Step {
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
