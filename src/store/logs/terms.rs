//! The terms under which the index knows a block: words of bodies, `key=value` of attributes, trace ids.
//!
//! Those with a digit stand in the block's filter, the others in the segment's dictionary; there too is the head of each with a digit,
//! up to the digit, and each part without digits of such a word of a body.
//!
//! A search asks with the functions that the index was written with; both cut long values alike. So a term may stand for more
//! than was asked, never for less: the index narrows, the records decide.

use codec::block::ValueRef;
use codec::field;
use codec::words::fold;
use model::AnyValue;
use model::any::double_text;

/// Longest part of a term (a word, a key, a value), in bytes; longer ones are cut. tantivy drops terms above 64 KiB unseen.
const PART_BYTES_MAX: usize = 200;
/// Stands between key and value; no word has it.
pub(super) const SEPARATOR: char = '\u{1f}';
/// Stands between terms; taken out of values.
pub(super) const END: char = '\0';

/// Fields that are not attributes have their terms under names that no attribute has.
pub const SEVERITY_TEXT: &str = "\u{1f}severity_text";
pub const EVENT_NAME: &str = "\u{1f}event_name";
pub const TRACE_ID: &str = "\u{1f}trace_id";

/// Before heads and parts of terms with a digit: no key or word begins so.
pub(super) const HEAD: &str = "\u{1f}\u{1f}head\u{1f}";
pub(super) const PART: &str = "\u{1f}\u{1f}part\u{1f}";
/// Of a block with a word that was cut: anything may stand in the rest.
pub(super) const LONG: &str = "\u{1f}\u{1f}long";

/// The term of a word of a body. `folded` is a whole word, or the start of one to be asked for as a prefix.
pub fn word(folded: &str) -> String {
    cut(folded).to_owned()
}

/// The term of a field's value, or of the start of one. `key` as sent, without `resource.` and the like.
pub fn value(key: &str, text: &str) -> String {
    let mut out = String::new();
    push_value(key, text, &mut out);
    out
}

/// Appends [`value`].
pub(super) fn push_value(key: &str, text: &str, out: &mut String) {
    push_part_of(cut(key), out);
    out.push(SEPARATOR);
    // Folding shrinks a text to a third at most, so this leaves enough to cut.
    let text = floor(text, 4 * PART_BYTES_MAX);
    if text.is_ascii() {
        let start = out.len();
        push_part_of(cut(text), out);
        out[start..].make_ascii_lowercase();
    } else {
        push_part_of(cut(&fold(text)), out);
    }
}

fn push_part_of(text: &str, out: &mut String) {
    match text.contains(END) {
        true => out.extend(text.chars().map(|c| if c == END { ' ' } else { c })),
        false => out.push_str(text),
    }
}

/// Where a term's first digit stands: a term that has one is in filters, not in a dictionary.
pub(super) fn digit(term: &str) -> Option<usize> {
    term.bytes().position(|byte| byte.is_ascii_digit())
}

/// The dictionary's term for terms that have a digit right after this.
pub(super) fn head(start: &str) -> String {
    format!("{HEAD}{start}")
}

/// Appends the dictionary's term for words of bodies that have a digit, and this between digits or their ends.
pub(super) fn push_part(run: &str, out: &mut String) {
    out.push_str(PART);
    out.push_str(run);
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

pub(super) fn cut(text: &str) -> &str {
    floor(text, PART_BYTES_MAX)
}

fn floor(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
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
