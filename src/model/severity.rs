//! The severity that a record's own words tell when its sender gave none: `level=warn`, `"level":"error"`, ` ERROR `.
//!
//! Derived anew wherever it is asked for, never stored in place of what was sent. What counts is written down in
//! `src/codec/otlp/DECISIONS.md`.

use crate::any::AnyValue;
use crate::log::Severity;

/// Bytes of a body that are looked at: loggers put the level in front.
const LOOKED_AT_BYTES: usize = 1_024;
/// Longest word that can name a level or be one.
const WORD_BYTES_MAX: usize = 16;
const ESCAPE: u8 = 0x1b;

/// The severity that a body tells. Cost: one pass over its first KiB.
pub fn of_body(body: &AnyValue) -> Option<Severity> {
    match body {
        AnyValue::Str(text) => of_line(text),
        AnyValue::Map(entries) => entries.iter().find_map(|(key, value)| match value {
            _ if !names_level(key.as_bytes()) => None,
            AnyValue::Str(text) => Severity::of_text(text),
            AnyValue::Int(number) => of_number(*number),
            _ => None,
        }),
        _ => None,
    }
}

/// The same for a body that is text: the first level that a field names or that stands by itself in capitals or brackets.
pub fn of_line(text: &str) -> Option<Severity> {
    let bytes = &text.as_bytes()[..text.len().min(LOOKED_AT_BYTES)];
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace())?;
    // In JSON only fields tell; a message may say anything.
    let is_json = bytes[start] == b'{';
    if let Some(severity) = of_klog(&bytes[start..]) {
        return Some(severity);
    }
    let mut in_quotes = false;
    let mut at = start;
    let mut opens = true;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte == ESCAPE {
            at = behind_escape(bytes, at);
            opens = true;
            continue;
        }
        if !is_word(byte) {
            opens = byte.is_ascii_whitespace() || b"[(<|:-,/".contains(&byte);
            in_quotes ^= byte == b'"' && (at == 0 || bytes[at - 1] != b'\\');
            at += 1;
            continue;
        }
        let end = at + bytes[at..].iter().position(|byte| !is_word(*byte)).unwrap_or(bytes.len() - at);
        let word = &bytes[at..end];
        // The letters that levels and their names begin with.
        if word.len() <= WORD_BYTES_MAX
            && matches!(byte | 0x20, b'a' | b'c'..=b'f' | b'i' | b'l' | b'n' | b'p' | b's'..=b't' | b'v'..=b'w')
        {
            if names_level(word)
                && let Some(severity) = of_field(&bytes[end..])
            {
                return Some(severity);
            }
            if !is_json && !in_quotes && opens && stands_alone(bytes, at, end, start) {
                // All of it is ASCII.
                let found = std::str::from_utf8(word).ok().and_then(Severity::of_text);
                if found.is_some() {
                    return found;
                }
            }
        }
        at = end;
        opens = false;
    }
    None
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.' || byte >= 0x80
}

fn names_level(key: &[u8]) -> bool {
    const NAMES: [&[u8]; 9] = [
        b"level",
        b"severity",
        b"lvl",
        b"loglevel",
        b"log_level",
        b"log.level",
        b"levelname",
        b"severity_text",
        b"log_severity",
    ];
    matches!(key.first(), Some(b'l' | b'L' | b's' | b'S')) && NAMES.iter().any(|name| key.eq_ignore_ascii_case(name))
}

/// The level behind a field's name: `=warn`, `="warn"`, `": "warn"`, `":40`.
fn of_field(rest: &[u8]) -> Option<Severity> {
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest).trim_ascii_start();
    let rest = rest.strip_prefix(b"=").or_else(|| rest.strip_prefix(b":"))?.trim_ascii_start();
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
    let end = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
    let value = std::str::from_utf8(&rest[..end]).ok()?;
    value.parse().map_or_else(|_| Severity::of_text(value), of_number)
}

/// Levels as numbers: bunyan and pino.
fn of_number(number: i64) -> Option<Severity> {
    Some(match number {
        10 => Severity::Trace,
        20 => Severity::Debug,
        30 => Severity::Info,
        40 => Severity::Warn,
        50 => Severity::Error,
        60 => Severity::Fatal,
        _ => return None,
    })
}

/// The end of a terminal's colour sequence (ECMA-48, CSI): levels are often coloured.
fn behind_escape(bytes: &[u8], at: usize) -> usize {
    if bytes.get(at + 1) != Some(&b'[') {
        return at + 1;
    }
    let last = bytes[at + 2..].iter().position(|byte| (0x40..=0x7e).contains(byte));
    last.map_or(bytes.len(), |last| at + 2 + last + 1)
}

/// Whether a word is set apart as levels are: in capitals, in brackets, or as the line's first word before a colon.
fn stands_alone(bytes: &[u8], at: usize, end: usize, start: usize) -> bool {
    let before = at.checked_sub(1).map(|before| bytes[before]);
    let after = bytes.get(end).copied();
    let closed = after.is_none_or(|byte| byte.is_ascii_whitespace() || byte == ESCAPE || b"])>|:-,/!".contains(&byte));
    // A letter alone is a level in a field only.
    if !closed || end - at < 3 {
        return false;
    }
    let capitals = bytes[at..end].iter().all(u8::is_ascii_uppercase);
    let bracketed = matches!((before, after), (Some(b'['), Some(b']')) | (Some(b'<'), Some(b'>')));
    capitals || bracketed || (at == start && after == Some(b':'))
}

/// `E0102 15:04:05.678 ...`, the header of glog and klog.
fn of_klog(line: &[u8]) -> Option<Severity> {
    let (letter, rest) = line.split_first()?;
    let date = rest.first_chunk::<5>()?;
    if !date[..4].iter().all(u8::is_ascii_digit) || date[4] != b' ' || !rest.get(5).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Some(match letter {
        b'I' => Severity::Info,
        b'W' => Severity::Warn,
        b'E' => Severity::Error,
        b'F' => Severity::Fatal,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_their_level() {
        use Severity::{Debug, Error, Fatal, Info, Trace, Warn};
        for (line, expected) in [
            ("ts=2026-11-21 level=warn msg=\"an ERROR happened\"", Some(Warn)),
            ("msg=\"an ERROR happened\" level=info", Some(Info)),
            (r#"{"msg":"ERROR in x","level":"debug"}"#, Some(Debug)),
            (r#"{"msg":"\"level\" ERROR","Severity" : "CRITICAL"}"#, Some(Fatal)),
            (r#"{"level":50,"msg":"pino"}"#, Some(Error)),
            (r#"{"levels":"error"}"#, None),
            (r#"{"msg":"no ERROR here"}"#, None),
            ("2026-11-21 12:00:00 ERROR [main] c.e.App - boom", Some(Error)),
            ("[error] 12#0: *1 open() failed", Some(Error)),
            ("2026/11/21 [warn] 7#7: conflicting", Some(Warn)),
            ("error: cannot open file", Some(Error)),
            ("Warning: Unrecognized attribute", Some(Warn)),
            ("  panic: runtime error", Some(Fatal)),
            ("E0102 15:04:05.678901 1 file.go:1] no", Some(Error)),
            ("E0102 no time", None),
            ("an error was found", None),
            ("ERRORS were found", None),
            ("<info> NetworkManager", Some(Info)),
            ("TRACE|x", Some(Trace)),
            ("lvl=eror x", Some(Error)),
            ("level=", None),
            ("level=unknown ERROR x", Some(Error)),
            ("a I b W c E", None),
            ("", None),
            ("接続 ERROR 拒否", Some(Error)),
            ("\u{1b}[31mERROR\u{1b}[0m x", Some(Error)),
            ("\u{1b}[", None),
        ] {
            assert_eq!(of_line(line), expected, "{line}");
        }
        let late = format!("{} ERROR", "x ".repeat(LOOKED_AT_BYTES));
        assert_eq!(of_line(&late), None, "only the beginning is looked at");
        let torn = format!("{}é ERROR", "x".repeat(LOOKED_AT_BYTES - 1));
        assert_eq!(of_line(&torn), None);
    }

    #[test]
    fn structured_bodies_tell_their_level_at_the_top() {
        let map =
            |key: &str, value| AnyValue::Map(vec![("msg".into(), AnyValue::Str("x".into())), (key.into(), value)]);
        for (body, expected) in [
            (map("level", AnyValue::Str("warning".into())), Some(Severity::Warn)),
            (map("LEVEL", AnyValue::Int(60)), Some(Severity::Fatal)),
            (map("level", AnyValue::Bool(true)), None),
            (map("inner", map("level", AnyValue::Str("error".into()))), None),
            (AnyValue::Int(50), None),
        ] {
            assert_eq!(of_body(&body), expected, "{body:?}");
        }
    }
}
