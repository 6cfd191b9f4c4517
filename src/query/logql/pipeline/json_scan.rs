//! JSON as Loki reads it: values are found, not validated, and only what is walked through is looked at.
//!
//! Source of the rules and of the errors' wording: the `jsonparser` package that Loki uses.

use std::borrow::Cow;

use memchr::memchr2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Without its quotes, escapes not yet resolved.
    Text,
    Number,
    Object,
    Array,
    Bool,
    Null,
}

pub(super) const NO_OBJECT_END: &str = "Value looks like object, but can't find closing '}' symbol";
pub(super) const MALFORMED: &str = "Malformed JSON error";
const NO_TEXT_END: &str = "Value is string, but can't find closing '\"' symbol";
const NO_ARRAY_END: &str = "Value is array, but can't find closing ']' symbol";
const UNKNOWN_VALUE: &str = "Unknown value type";
const BAD_ESCAPE: &str = "Encountered an invalid escape sequence in a string";

/// The place of the next byte that is not blank.
pub(super) fn token(text: &str, from: usize) -> Option<usize> {
    let rest = text.as_bytes().get(from..)?;
    Some(from + rest.iter().position(|b| !matches!(b, b' ' | b'\n' | b'\r' | b'\t'))?)
}

/// Behind the quote that ends the string whose content begins at `from`.
pub(super) fn text_end(text: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr2(b'"', b'\\', text.as_bytes().get(at..)?)?;
        if text.as_bytes()[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Behind the bracket that closes the one at `from`. Strings are stepped over; brackets of the other kind are not looked at.
pub(super) fn block_end(text: &str, from: usize, open: u8, close: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut level) = (from, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        if byte == b'"' {
            at = text_end(text, at + 1)?;
            continue;
        }
        if byte == open {
            level += 1;
        } else if byte == close {
            level = level.saturating_sub(1);
            if level == 0 {
                return Some(at + 1);
            }
        }
        at += 1;
    }
    None
}

/// A value, and the place behind it.
pub(super) type Value<'t> = (&'t str, Kind, usize);

/// The next value at or behind `from`.
pub(super) fn value(text: &str, from: usize) -> Result<Value<'_>, &'static str> {
    let start = token(text, from).ok_or(MALFORMED)?;
    let bytes = text.as_bytes();
    let (kind, end) = match bytes[start] {
        b'"' => {
            let end = text_end(text, start + 1).ok_or(NO_TEXT_END)?;
            return Ok((&text[start + 1..end - 1], Kind::Text, end));
        }
        b'[' => (Kind::Array, block_end(text, start, b'[', b']').ok_or(NO_ARRAY_END)?),
        b'{' => (Kind::Object, block_end(text, start, b'{', b'}').ok_or(NO_OBJECT_END)?),
        first => {
            let ends = |b: &u8| matches!(b, b' ' | b'\n' | b'\r' | b'\t' | b',' | b'}' | b']');
            let end = bytes[start..].iter().position(ends).map_or(text.len(), |length| start + length);
            let kind = match (first, &bytes[start..end]) {
                (_, b"true" | b"false") => Kind::Bool,
                (_, b"null") => Kind::Null,
                (b'0'..=b'9' | b'-', _) => Kind::Number,
                _ => return Err(UNKNOWN_VALUE),
            };
            (kind, end)
        }
    };
    Ok((&text[start..end], kind, end))
}

/// Whether a walk goes on.
pub(super) enum Walk {
    On,
    /// Enough was seen, or the line is refused.
    Stop,
}

/// Shows each key, its escapes resolved, with its value, in order. As Loki's parser has it, a comma may stand before the object's end when
/// there are blanks between.
///
/// # Errors
/// Where it is no object, or none any more; what came before was shown. And those of `found`.
pub(super) fn each_pair<'t>(
    text: &'t str,
    found: &mut dyn FnMut(Cow<'t, str>, &'t str, Kind) -> Result<Walk, &'static str>,
) -> Result<Walk, &'static str> {
    let bytes = text.as_bytes();
    let start = token(text, 0).filter(|at| bytes[*at] == b'{').ok_or(NO_OBJECT_END)?;
    let mut at = token(text, start + 1).ok_or(MALFORMED)?;
    if bytes[at] == b'}' {
        return Ok(Walk::On);
    }
    loop {
        if bytes[at] != b'"' {
            return Err(NO_OBJECT_END);
        }
        let end = text_end(text, at + 1).ok_or(MALFORMED)?;
        let key = unescape(&text[at + 1..end - 1]).ok_or(BAD_ESCAPE)?;
        let colon = token(text, end).filter(|at| bytes[*at] == b':').ok_or(MALFORMED)?;
        let (value, kind, end) = value(text, colon + 1)?;
        if let Walk::Stop = found(key, value, kind)? {
            return Ok(Walk::Stop);
        }
        at = token(text, end).ok_or(NO_ARRAY_END)?;
        match bytes[at] {
            b'}' => return Ok(Walk::On),
            b',' => {
                let comma = at;
                at = token(text, comma + 1).ok_or(NO_ARRAY_END)?;
                if bytes[at] == b'}' && at > comma + 1 {
                    return Ok(Walk::On);
                }
            }
            _ => return Err(NO_OBJECT_END),
        }
    }
}

/// Shows the items of the array at `from`, with the place behind each. Gives the place of its end, or of where it went wrong.
pub(super) fn each_item<'t>(text: &'t str, from: usize, found: &mut dyn FnMut(&'t str, Kind)) -> usize {
    let bytes = text.as_bytes();
    let Some(mut at) = token(text, from + 1) else { return from + 1 };
    if bytes[at] == b']' {
        return at;
    }
    loop {
        let Ok((item, kind, end)) = value(text, at) else { return at };
        found(item, kind);
        match token(text, end) {
            Some(next) if bytes[next] == b',' => at = next + 1,
            Some(next) => return next,
            None => return end,
        }
    }
}

/// A string's content with its escapes resolved; `None` when one is wrong.
pub(super) fn unescape(text: &str) -> Option<Cow<'_, str>> {
    let Some(first) = memchr::memchr(b'\\', text.as_bytes()) else { return Some(Cow::Borrowed(text)) };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(escape) = rest.strip_prefix('\\') {
        let c = match escape.as_bytes().first()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (c, length) = unicode(rest)?;
                out.push(c);
                rest = &rest[length..];
                rest = up_to_escape(rest, &mut out);
                continue;
            }
            _ => return None,
        };
        out.push(c);
        rest = up_to_escape(&escape[1..], &mut out);
    }
    Some(Cow::Owned(out))
}

fn up_to_escape<'t>(rest: &'t str, out: &mut String) -> &'t str {
    let next = memchr::memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
    out.push_str(&rest[..next]);
    &rest[next..]
}

/// The character of `\u1234` or of a surrogate pair, and how many bytes it takes.
fn unicode(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    };
    let high = unit(0)?;
    if let Some(c) = char::from_u32(high) {
        return Some((c, 6));
    }
    let low = unit(6).filter(|low| *low >= 0xdc00)?;
    let code = 0x10000 + (high.wrapping_sub(0xd800) << 10) + low.wrapping_sub(0xdc00);
    Some((char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12))
}
