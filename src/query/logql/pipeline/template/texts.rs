//! Functions over texts, with Go's and sprig's corners.

use base64::DecodeError;
use base64::prelude::{BASE64_STANDARD as STANDARD, Engine};
use template::{OUTPUT_BYTES_MAX, Value};

use super::super::super::units;

pub(super) fn bounded(text: String) -> Result<Value, String> {
    match text.len() > OUTPUT_BYTES_MAX {
        true => Err(too_long()),
        false => Ok(Value::Text(text)),
    }
}

fn too_long() -> String {
    format!("the text is longer than {OUTPUT_BYTES_MAX} bytes")
}

pub(super) fn replace(of: &str, old: &str, new: &str, count: i64) -> Result<String, String> {
    let replaced = match usize::try_from(count) {
        Ok(count) => of.replacen(old, new, count),
        Err(_) => of.replace(old, new),
    };
    if replaced.len() > OUTPUT_BYTES_MAX.max(of.len()) { Err(too_long()) } else { Ok(replaced) }
}

/// Go maps each character to one other: what has no single counterpart stays.
pub(super) fn one_by_one(of: &str, map: impl Fn(char) -> Option<char>) -> String {
    of.chars().map(|c| map(c).unwrap_or(c)).collect()
}

/// Bytes as text; each that is no UTF-8 becomes a replacement character, as when Go writes it as JSON.
fn lossy(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    out
}

/// The first so many bytes, or the last for a negative number.
pub(super) fn truncated(count: i64, of: &str) -> String {
    let length = i64::try_from(of.len()).unwrap_or(i64::MAX);
    let bytes = of.as_bytes();
    match usize::try_from(count) {
        Ok(count) => bytes.get(..count).map_or_else(|| of.to_owned(), lossy),
        Err(_) => {
            usize::try_from(length.saturating_add(count)).map_or_else(|_| of.to_owned(), |from| lossy(&bytes[from..]))
        }
    }
}

pub(super) fn substring(start: i64, end: i64, of: &str) -> Result<String, String> {
    let bytes = of.as_bytes();
    let out_of_range = || {
        let wrong = match (start, end) {
            (..0, ..0) => format!("[:{end}]"),
            (..0, _) => format!("[:{end}] with length {}", bytes.len()),
            _ => format!("[{start}:{}]", usize::try_from(end).map_or(bytes.len(), |end| end.min(bytes.len()))),
        };
        format!("runtime error: slice bounds out of range {wrong}")
    };
    let end = usize::try_from(end).ok();
    let found = match usize::try_from(start) {
        Err(_) => end.and_then(|end| bytes.get(..end)),
        Ok(start) => match end.filter(|end| *end <= bytes.len()) {
            None => bytes.get(start..),
            Some(end) => bytes.get(start..end),
        },
    };
    found.map(lossy).ok_or_else(out_of_range)
}

pub(super) fn repeat(count: i64, of: &str) -> Result<String, String> {
    let count = usize::try_from(count).map_err(|_| "strings: negative Repeat count".to_string())?;
    // Go counts in signed numbers.
    match of.len().checked_mul(count).filter(|length| isize::try_from(*length).is_ok()) {
        Some(0..=OUTPUT_BYTES_MAX) => Ok(of.repeat(count)),
        Some(_) => Err(too_long()),
        None => Err("strings: Repeat output length overflow".into()),
    }
}

pub(super) fn indent(spaces: i64, of: &str) -> Result<String, String> {
    let pad = repeat(spaces, " ")?;
    let lines = of.matches('\n').count() + 1;
    match pad.len().checked_mul(lines).filter(|more| more + of.len() <= OUTPUT_BYTES_MAX.max(of.len())) {
        Some(_) => Ok(format!("{pad}{}", of.replace('\n', &format!("\n{pad}")))),
        None => Err(too_long()),
    }
}

/// A text of exactly so many characters: filled with spaces, or cut at its end (at its start when it is aligned right).
pub(super) fn align(width: i64, of: &str, right: bool) -> Result<String, String> {
    let Ok(width) = usize::try_from(width) else { return Ok(of.to_owned()) };
    let length = of.chars().count();
    if width > length {
        let pad = repeat(i64::try_from(width - length).unwrap_or(i64::MAX), " ")?;
        return Ok(if right { format!("{pad}{of}") } else { format!("{of}{pad}") });
    }
    Ok(if right { of.chars().skip(length - width).collect() } else { of.chars().take(width).collect() })
}

/// `url.QueryUnescape`
pub(super) fn query_unescape(text: &str) -> Result<String, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = text.get(at..at + 2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
                let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let shown = &bytes[at - 1..(at + 2).min(bytes.len())];
                out.push(decoded.ok_or_else(|| format!("invalid URL escape {}", units::quote(&lossy(shown))))?);
                at += 2;
            }
            byte => out.push(byte),
        }
    }
    Ok(lossy(&out))
}

/// What is no Base64 becomes the reason for it, as in sprig.
pub(super) fn base64_decoded(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    match STANDARD.decode(&plain) {
        Ok(bytes) => lossy(&bytes),
        Err(DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _)) => illegal_base64(at),
        // Go tells where the last group of four begins, or the end when it lacks padding.
        Err(DecodeError::InvalidLength(_) | DecodeError::InvalidPadding) if plain.ends_with('=') => {
            illegal_base64(plain.len())
        }
        Err(DecodeError::InvalidLength(_) | DecodeError::InvalidPadding) => {
            illegal_base64(plain.len() - plain.len() % 4)
        }
    }
}

fn illegal_base64(at: usize) -> String {
    format!("illegal base64 data at input byte {at}")
}

pub(super) fn base64_encoded(text: &str) -> String {
    STANDARD.encode(text)
}
