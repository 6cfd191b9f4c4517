//! The terms under which the index knows a block: words of bodies, `key=value` of attributes, trace ids.
//!
//! A search asks with the functions that the index was written with; both cut long values alike. So a term may stand for more
//! than was asked, never for less: the index narrows, the records decide.

use std::collections::HashSet;

use codec::block::{Block, BlockError, Body, ValueRef};
use codec::field;
use codec::words::{fold, number, words};

use foldhash::fast::RandomState;
use model::AnyValue;
use model::any::{double_text, hex};

/// Longest part of a term (a word, a key, a value), in bytes; longer ones are cut. tantivy drops terms above 64 KiB unseen.
const PART_BYTES_MAX: usize = 200;
/// Stands between key and value; no word has it.
const SEPARATOR: char = '\u{1f}';
/// Stands between terms; taken out of values.
pub(super) const END: char = '\0';

/// Fields that are not attributes have their terms under names that no attribute has.
pub const SEVERITY_TEXT: &str = "\u{1f}severity_text";
pub const EVENT_NAME: &str = "\u{1f}event_name";
pub const TRACE_ID: &str = "\u{1f}trace_id";

/// The term of a word of a body. `folded` is a whole word, or the start of one to be asked for as a prefix.
pub fn word(folded: &str) -> String {
    cut(folded).to_owned()
}

/// The term of a field's value, or of the start of one. `key` as sent, without `resource.` and the like.
pub fn value(key: &str, text: &str) -> String {
    let mut out = cut(key).replace(END, " ");
    out.push(SEPARATOR);
    // Folding shrinks a text to a third at most, so this leaves enough to cut.
    let folded = fold(floor(text, 4 * PART_BYTES_MAX)).replace(END, " ");
    out.push_str(cut(&folded));
    out
}

/// The term of a field whose value is this number, in whatever type or notation it was sent.
pub fn numeric(key: &str, value_of_field: f64) -> String {
    value(key, &canonical(value_of_field))
}

/// The term of a field that is there at all.
pub fn exists(key: &str) -> String {
    let mut out = cut(key).replace(END, " ");
    out.push(SEPARATOR);
    out.push(SEPARATOR);
    out
}

fn canonical(number: f64) -> String {
    // Minus zero equals zero.
    double_text(if number == 0.0 { 0.0 } else { number })
}

fn cut(text: &str) -> &str {
    floor(text, PART_BYTES_MAX)
}

fn floor(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// All terms of a block, each once, joined by [`END`].
pub(super) fn of_block(block: &Block) -> Result<String, BlockError> {
    let mut found = Found { all: String::new(), scratch: String::new() };
    for resource in block.resources()? {
        resource.attributes.iter().for_each(|(key, value)| found.field(key, value.into()));
    }
    for scope in block.scopes()? {
        found.one("scope.name", ValueRef::Str(&scope.name));
        found.one("scope.version", ValueRef::Str(&scope.version));
        scope.attributes.iter().for_each(|(key, value)| found.field(key, value.into()));
    }
    let attributes = block.attributes()?;
    let bodies = block.bodies()?;
    let ids = block.ids()?;
    for (record, (trace_id, _, _)) in ids.iter().enumerate() {
        match bodies.of(record) {
            Body::Text(text) => found.words(text),
            Body::Typed(value) => {
                texts(value, &mut |text| found.words(text));
                found.field("body", value.into());
            }
        }
        attributes.of(record).for_each(|(key, value)| found.field(key, value));
        let (_, severity_text) = block.severity_as_sent(record)?;
        found.one(SEVERITY_TEXT, ValueRef::Str(severity_text));
        found.one(EVENT_NAME, ValueRef::Str(block.event_name(record)?));
        if let Some(id) = trace_id {
            found.all.push_str(&value(TRACE_ID, &hex(id)));
            found.all.push(END);
        }
    }
    let mut seen: HashSet<&str, RandomState> = HashSet::default();
    let mut out = String::new();
    for term in found.all.split(END) {
        if !term.is_empty() && seen.insert(term) {
            out.push_str(term);
            out.push(END);
        }
    }
    Ok(out)
}

/// The texts in which a search looks for words and phrases when a body is not text: its compact JSON, and every string in it
/// as it was before JSON escaped it.
pub fn texts(body: &AnyValue, show: &mut dyn FnMut(&str)) {
    show(&body.to_text());
    if matches!(body, AnyValue::Array(_) | AnyValue::Map(_)) {
        field::visit(&mut String::new(), body.into(), &mut |_, value| {
            if let ValueRef::Str(text) = value {
                show(text);
            }
        });
    }
}

struct Found {
    all: String,
    scratch: String,
}

impl Found {
    fn words(&mut self, text: &str) {
        if text.is_ascii() {
            self.scratch.clear();
            self.scratch.push_str(text);
            self.scratch.make_ascii_lowercase();
        } else {
            self.scratch = fold(text);
        }
        for found in words(&self.scratch) {
            self.all.push_str(cut(found));
            self.all.push(END);
        }
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
        self.scratch.clear();
        field_value.write_text(&mut self.scratch);
        self.all.push_str(&value(key, &self.scratch));
        self.all.push(END);
        self.all.push_str(&exists(key));
        self.all.push(END);
        if let Some(number) = number(&self.scratch) {
            let canonical = canonical(number);
            if canonical != self.scratch {
                self.all.push_str(&value(key, &canonical));
                self.all.push(END);
            }
        }
    }
}
