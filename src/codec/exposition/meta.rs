//! `HELP`, `TYPE` and `UNIT`: what is alike in both formats.

use std::borrow::Cow;

use model::MetricKind;

use super::cursor::{Cursor, Read, shown};
use super::series::unescaped;

/// A family's name after a keyword, quoted or not.
pub(super) fn family<'a>(cursor: &mut Cursor<'a>, keyword: &str) -> Read<Cow<'a, str>> {
    if cursor.peek() == Some(b'"') {
        return cursor.quoted(true, "a metric's name").map(unescaped);
    }
    let name = cursor.name(true);
    if name.is_empty() {
        return Err(format!("a metric's name expected after {keyword}, found {}", cursor.found()));
    }
    text(name, "name").map(Cow::Borrowed)
}

pub(super) fn text<'a>(bytes: &'a [u8], what: &str) -> Read<&'a str> {
    std::str::from_utf8(bytes).map_err(|_| format!("the {what} {:?} is not UTF-8", shown(bytes)))
}

/// The kind by the word after `TYPE`; `words` are those that only one of the formats has.
pub(super) fn kind(word: &[u8], words: &[(&str, MetricKind)]) -> Read<MetricKind> {
    let common = [
        ("counter", MetricKind::Counter),
        ("gauge", MetricKind::Gauge),
        ("histogram", MetricKind::Histogram),
        ("summary", MetricKind::Summary),
    ];
    let known = common.iter().chain(words).find(|(known, _)| known.as_bytes() == word);
    known.map(|(_, kind)| *kind).ok_or_else(|| format!("the metric type {:?} does not exist", shown(word)))
}
