//! What the engine has to say about an answer: warnings and infos, in Prometheus' words.
//!
//! Each text is said once, where it was meant last, as in Prometheus. One kind adds up what it saw: counts of classic histograms that
//! fell from bucket to bucket.

use model::time::rfc3339_ms;

use super::ast::Node;
use super::lexer::Span;
use super::number::{compact, short};

/// Most annotations of a kind; what comes after is counted.
const NOTES_MAX: usize = 10;
/// Most different texts of a kind that are told apart.
const TEXTS_MAX: usize = 10_000;

/// Where counts fell that must not, and by how much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fall {
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) least_bound: f64,
    pub(crate) greatest_bound: f64,
    pub(crate) most: f64,
    pub(crate) samples: u64,
}

impl Fall {
    fn add(&mut self, other: Fall) {
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
        self.least_bound = self.least_bound.min(other.least_bound);
        self.greatest_bound = self.greatest_bound.max(other.greatest_bound);
        self.most = self.most.max(other.most);
        self.samples += other.samples;
    }

    fn text(&self) -> String {
        let time = |at_ms: i64| rfc3339_ms(at_ms / 1000 * 1000).replace(".000Z", "Z");
        format!(
            ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            compact(self.least_bound),
            compact(self.greatest_bound),
            short(self.most),
            self.samples,
            time(self.first_ms),
            time(self.last_ms)
        )
    }
}

#[derive(Debug)]
struct Note {
    text: String,
    /// Offset in the query's text.
    place: usize,
    fall: Option<Fall>,
}

#[derive(Debug, Default)]
struct Kept {
    notes: Vec<Note>,
    places: std::collections::HashMap<String, usize>,
}

impl Kept {
    fn add(&mut self, text: String, place: usize, fall: Option<Fall>) {
        if let Some(known) = self.places.get(&text) {
            let known = &mut self.notes[*known];
            known.place = place;
            if let (Some(known), Some(fall)) = (&mut known.fall, fall) {
                known.add(fall);
            }
        } else if self.notes.len() < TEXTS_MAX {
            self.places.insert(text.clone(), self.notes.len());
            self.notes.push(Note { text, place, fall });
        }
    }

    fn join(&mut self, other: Kept) {
        other.notes.into_iter().for_each(|Note { text, place, fall }| self.add(text, place, fall));
    }

    fn finish(self, query: &str, kind: &str) -> Vec<String> {
        let omitted = self.notes.len().saturating_sub(NOTES_MAX);
        let mut texts: Vec<String> = Vec::with_capacity(self.notes.len().min(NOTES_MAX + 1));
        for Note { text, place, fall } in self.notes.into_iter().take(NOTES_MAX) {
            let (line, column) = line_and_column(query, place);
            let fall = fall.map_or_else(String::new, |fall| fall.text());
            texts.push(format!("PromQL {kind}: {text}{fall} ({line}:{column})"));
        }
        if omitted > 0 {
            texts.push(format!("{omitted} more {kind} annotations omitted"));
        }
        texts
    }
}

#[derive(Debug)]
pub(crate) struct Notes<'a> {
    text: &'a str,
    warnings: Kept,
    infos: Kept,
}

impl<'a> Notes<'a> {
    pub(crate) fn new(text: &'a str) -> Notes<'a> {
        Notes { text, warnings: Kept::default(), infos: Kept::default() }
    }

    /// Empty ones of the same query, for a thread of its own.
    pub(crate) fn fork(&self) -> Notes<'a> {
        Notes::new(self.text)
    }

    /// Those of a thread, after these.
    pub(crate) fn join(&mut self, other: Notes<'a>) {
        self.warnings.join(other.warnings);
        self.infos.join(other.infos);
    }

    /// Of an argument or a parameter: its place is inside the parentheses around it, as in Prometheus, which takes them off.
    pub(crate) fn warn(&mut self, node: &Node, text: &str) {
        self.warn_at(node.bare().span, text);
    }

    pub(crate) fn warn_at(&mut self, place: Span, text: &str) {
        self.warnings.add(text.to_owned(), place.start, None);
    }

    /// As [`Notes::warn`].
    pub(crate) fn info(&mut self, node: &Node, text: &str) {
        self.info_at(node.bare().span, text);
    }

    pub(crate) fn info_at(&mut self, place: Span, text: &str) {
        self.infos.add(text.to_owned(), place.start, None);
    }

    /// An info that adds up what it tells of.
    pub(crate) fn fall(&mut self, node: &Node, text: &str, fall: Fall) {
        self.infos.add(text.to_owned(), node.bare().span.start, Some(fall));
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.warnings.notes.len() + self.infos.notes.len()
    }

    /// Warnings and infos.
    pub(crate) fn finish(self) -> (Vec<String>, Vec<String>) {
        (self.warnings.finish(self.text, "warning"), self.infos.finish(self.text, "info"))
    }
}

/// Both from 1; columns count bytes, as Prometheus' do.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
    (line, column)
}
