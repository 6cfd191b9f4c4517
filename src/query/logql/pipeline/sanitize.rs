//! Names of labels as Loki makes them from keys.

use std::borrow::Cow;

/// A key as a label's name: blank ends are cut, a leading digit gets an underscore in front (when `first`: nothing stands before it), every
/// other character than ASCII letters, digits and underscores becomes one.
pub(super) fn label_name(key: &str, first: bool) -> Cow<'_, str> {
    let key = key.trim();
    let starts_with_digit = first && key.as_bytes().first().is_some_and(u8::is_ascii_digit);
    if !starts_with_digit && key.bytes().all(is_name_byte) {
        return Cow::Borrowed(key);
    }
    let mut name = String::with_capacity(key.len() + 1);
    if starts_with_digit {
        name.push('_');
    }
    append(&mut name, key);
    Cow::Owned(name)
}

/// The name of a nested key: its parts joined by underscores, blank ones left out.
pub(super) fn nested_name(name: &mut String, parts: &[Cow<'_, str>]) {
    name.clear();
    for part in parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()) {
        if !name.is_empty() || part.as_bytes()[0].is_ascii_digit() {
            name.push('_');
        }
        append(name, part);
    }
}

/// The name of the label that the JSON parser makes of what is found under these keys.
pub(crate) fn json_label(path: &[String]) -> String {
    let mut name = String::new();
    nested_name(&mut name, &path.iter().map(|key| Cow::Borrowed(key.as_str())).collect::<Vec<_>>());
    name
}

fn append(name: &mut String, key: &str) {
    name.extend(key.chars().map(|c| if c.is_ascii() && is_name_byte(c as u8) { c } else { '_' }));
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// Whether a name can be one of Prometheus' old label names.
pub(super) fn is_label_name(name: &str) -> bool {
    !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(is_name_byte)
}
