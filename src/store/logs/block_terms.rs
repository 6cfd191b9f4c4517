//! All terms of a block, each once: those of the dictionary, and the keys of those that only filters know.
//!
//! A term with a digit is rare as a rule (an id, a number), so it goes to the block's filter. What the dictionary then knows of it is
//! its head, up to the first digit, and for a word of a body every run of it that has no digit: enough to look for starts and parts.

use std::collections::HashSet;

use codec::block::{Block, BlockError, Body, HOLE, ValueRef};
use codec::field;
use codec::words::{fold, number, words};
use foldhash::fast::RandomState;
use model::AnyValue;
use model::any::hex;

use super::filter;
use super::terms::{self, EVENT_NAME, SEVERITY_TEXT, TRACE_ID, texts};

/// What a block is to be found under.
#[derive(Default)]
pub(super) struct BlockTerms {
    /// Terms without a digit, each ended by [`terms::END`].
    pub(super) dictionary: String,
    /// Keys of terms with a digit.
    pub(super) keys: Vec<u64>,
    seen: HashSet<u64, RandomState>,
    term: String,
    text: String,
}

impl BlockTerms {
    /// Puts the terms of a block in the place of what was there.
    pub(super) fn fill(&mut self, block: &Block) -> Result<(), BlockError> {
        self.dictionary.clear();
        self.keys.clear();
        self.seen.clear();
        for resource in block.resources()? {
            resource.attributes.iter().for_each(|(key, value)| self.field(key, value.into()));
        }
        for scope in block.scopes()? {
            self.one("scope.name", ValueRef::Str(&scope.name));
            self.one("scope.version", ValueRef::Str(&scope.version));
            scope.attributes.iter().for_each(|(key, value)| self.field(key, value.into()));
        }
        self.bodies(block)?;
        block.attributes()?.each(&mut |key, value| self.field(key, value));
        let mut before = "";
        for record in 0..block.count() {
            let (_, severity_text) = block.severity_as_sent(record)?;
            if record == 0 || severity_text != before {
                self.one(SEVERITY_TEXT, ValueRef::Str(severity_text));
                before = severity_text;
            }
            self.one(EVENT_NAME, ValueRef::Str(block.event_name(record)?));
        }
        for (trace_id, _, _) in block.ids()? {
            if let Some(id) = trace_id {
                self.value(TRACE_ID, &hex(id));
            }
        }
        Ok(())
    }

    fn bodies(&mut self, block: &Block) -> Result<(), BlockError> {
        let Some(templates) = block.templates()? else {
            let bodies = block.bodies()?;
            for record in 0..block.count() {
                match bodies.of(record) {
                    Body::Text(text) => self.words(text),
                    Body::Typed(value) => self.typed(value),
                }
            }
            return Ok(());
        };
        // A word stands between holes or is a hole.
        for template in 0..templates.count() {
            for piece in templates.text(template).split(|byte| *byte == HOLE) {
                self.words(std::str::from_utf8(piece).unwrap_or_default());
            }
        }
        block.each_hole(templates, &mut |hole| self.words(hole))?;
        let mut scratch = String::new();
        for record in (0..block.count()).filter(|record| templates.of_record(*record).is_none()) {
            if let Body::Typed(value) = block.body(record, &mut scratch)? {
                self.typed(value);
            }
        }
        Ok(())
    }

    fn typed(&mut self, value: &AnyValue) {
        texts(value, &mut |text| self.words(text));
        self.field("body", value.into());
    }

    fn words(&mut self, text: &str) {
        let mut folded = std::mem::take(&mut self.text);
        fold_into(text, &mut folded);
        for word in words(&folded) {
            if terms::cut(word).len() < word.len() {
                self.term.clear();
                self.term.push_str(terms::LONG);
                self.add();
            }
            self.term.clear();
            self.term.push_str(terms::cut(word));
            if self.add() {
                // New, and with a digit: its parts.
                for run in terms::cut(word).split(|c: char| c.is_ascii_digit()).filter(|run| !run.is_empty()) {
                    self.term.clear();
                    terms::push_part(run, &mut self.term);
                    self.add();
                }
            }
        }
        self.text = folded;
    }

    /// A value and what is nested in it.
    fn field(&mut self, key: &str, value: ValueRef<'_>) {
        if matches!(value, ValueRef::Other(_)) {
            field::visit(&mut key.to_owned(), value, &mut |path, value| self.one(path, value));
        } else {
            self.one(key, value);
        }
    }

    fn one(&mut self, key: &str, field_value: ValueRef<'_>) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        field_value.write_text(&mut text);
        self.value(key, &text);
        self.term.clear();
        self.term.push_str(&terms::exists(key));
        self.add();
        if let Some(number) = number(&text) {
            self.term.clear();
            self.term.push_str(&terms::numeric(key, number));
            self.add();
        }
        self.text = text;
    }

    fn value(&mut self, key: &str, text: &str) {
        self.term.clear();
        terms::push_value(key, text, &mut self.term);
        self.add();
    }

    /// Adds what is in `term`; whether it is new and has a digit.
    fn add(&mut self) -> bool {
        let key = filter::key(&self.term);
        if !self.seen.insert(key) {
            return false;
        }
        let Some(digit) = terms::digit(&self.term) else {
            self.dictionary.push_str(&self.term);
            self.dictionary.push(terms::END);
            return false;
        };
        self.keys.push(key);
        let head = terms::head(&self.term[..digit]);
        if self.seen.insert(filter::key(&head)) {
            self.dictionary.push_str(&head);
            self.dictionary.push(terms::END);
        }
        true
    }
}

fn fold_into(text: &str, out: &mut String) {
    out.clear();
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
    } else {
        out.push_str(&fold(text));
    }
}
