//! `detected_level`: how Loki guesses a record's level (`pkg/distributor/field_detection.go`, observed over its API).

use std::borrow::Cow;

use super::super::pipeline::LogfmtDecoder;

/// Names under which a stream label, structured metadata, or a field of the line tells the level; the first found counts.
pub const LEVEL_NAMES: [&str; 14] = [
    "level",
    "LEVEL",
    "Level",
    "log.level",
    "severity",
    "SEVERITY",
    "Severity",
    "SeverityText",
    "lvl",
    "LVL",
    "Lvl",
    "severity_text",
    "Severity_Text",
    "SEVERITY_TEXT",
];

pub(crate) const UNKNOWN: &str = "unknown";
/// How deep a JSON line is looked into for a level.
const JSON_DEPTH: usize = 2;

/// The level that a word means; `None` for a word that is none.
pub(crate) fn known(word: &str) -> Option<&'static str> {
    const WORDS: [(&str, &str); 14] = [
        ("trace", "trace"),
        ("trc", "trace"),
        ("debug", "debug"),
        ("dbg", "debug"),
        ("info", "info"),
        ("inf", "info"),
        ("information", "info"),
        ("warn", "warn"),
        ("wrn", "warn"),
        ("warning", "warn"),
        ("error", "error"),
        ("err", "error"),
        ("critical", "critical"),
        ("fatal", "fatal"),
    ];
    WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, level)| *level)
}

/// The level that a label's value tells: a known one in its short form, another as it is.
pub(crate) fn of_label(value: &str) -> Cow<'_, str> {
    known(value).map_or(Cow::Borrowed(value), Cow::Borrowed)
}

/// The level of an OpenTelemetry severity number that was sent.
pub(crate) fn of_number(number: i32) -> &'static str {
    match number {
        0 => UNKNOWN,
        ..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => UNKNOWN,
    }
}

/// The level that a line tells.
pub(crate) fn of_line(line: &str) -> &'static str {
    let trimmed = line.trim();
    let named = if trimmed.starts_with('{') && trimmed.ends_with('}') {
        let mut walk = Json { text: line.as_bytes(), at: 0 };
        walk.blank();
        walk.object(0).ok().flatten().map(Cow::Borrowed)
    } else if line.contains('=') {
        logfmt(line)
    } else {
        None
    };
    named.and_then(|value| known(&value)).unwrap_or_else(|| of_words(line))
}

/// The value of the `key=value` whose key comes first in the list of names, in any case; what follows a pair that is wrong is not read.
fn logfmt(line: &str) -> Option<Cow<'_, str>> {
    let mut best: Option<(usize, Cow<'_, str>)> = None;
    for pair in LogfmtDecoder::new(line, true) {
        let Some(place) = LEVEL_NAMES.iter().position(|name| name.eq_ignore_ascii_case(pair.key)) else { continue };
        if best.as_ref().is_none_or(|(before, _)| place < *before) {
            best = Some((place, pair.value));
        }
        if place == 0 {
            break;
        }
    }
    best.map(|(_, value)| value)
}

/// A walk over JSON that stops at what is none; what was found before counts.
struct Json<'a> {
    text: &'a [u8],
    at: usize,
}

struct Broken;

impl<'a> Json<'a> {
    fn blank(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> Result<(), Broken> {
        self.blank();
        if self.text.get(self.at) == Some(&byte) {
            self.at += 1;
            return Ok(());
        }
        Err(Broken)
    }

    fn string(&mut self) -> Result<&'a str, Broken> {
        self.eat(b'"')?;
        let from = self.at;
        loop {
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err(Broken),
            }
        }
        let text = std::str::from_utf8(self.text.get(from..self.at).ok_or(Broken)?).map_err(|_| Broken)?;
        self.at += 1;
        Ok(text)
    }

    /// The first level-named text in an object, in the order written.
    fn object(&mut self, depth: usize) -> Result<Option<&'a str>, Broken> {
        self.eat(b'{')?;
        self.blank();
        if self.text.get(self.at) == Some(&b'}') {
            self.at += 1;
            return Ok(None);
        }
        loop {
            self.blank();
            let key = self.string()?;
            self.eat(b':')?;
            self.blank();
            match self.text.get(self.at) {
                Some(b'"') => {
                    let value = self.string()?;
                    if LEVEL_NAMES.contains(&key) {
                        return Ok(Some(value));
                    }
                }
                Some(b'{') if depth + 1 < JSON_DEPTH => {
                    if let Some(found) = self.object(depth + 1)? {
                        return Ok(Some(found));
                    }
                }
                Some(_) => self.skip()?,
                None => return Err(Broken),
            }
            self.blank();
            match self.text.get(self.at) {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(None);
                }
                _ => return Err(Broken),
            }
        }
    }

    /// Past any value; brackets are counted, not checked.
    fn skip(&mut self) -> Result<(), Broken> {
        let mut open = 0usize;
        loop {
            match self.text.get(self.at) {
                None => return Err(Broken),
                Some(b'"') => {
                    self.string()?;
                    if open == 0 {
                        return Ok(());
                    }
                    continue;
                }
                Some(b'{' | b'[') => open += 1,
                Some(b'}' | b']') if open == 0 => return Ok(()),
                Some(b'}' | b']') => {
                    open -= 1;
                    if open == 0 {
                        self.at += 1;
                        return Ok(());
                    }
                }
                Some(b',') if open == 0 => return Ok(()),
                Some(_) => {}
            }
            self.at += 1;
        }
    }
}

/// The leftmost whole word that names a level.
fn of_words(line: &str) -> &'static str {
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let starts =
            at == 0 || matches!(bytes[at - 1], b' ' | b'\t' | b'\n' | b'\r' | b'[' | b'(' | b'{' | b'"' | b'=');
        if !starts {
            at += 1;
            continue;
        }
        let mut end = at;
        while end < bytes.len() && bytes[end].is_ascii_alphabetic() {
            end += 1;
        }
        let ends = end == bytes.len()
            || matches!(
                bytes[end],
                b' ' | b'\t'
                    | b'\n'
                    | b'\r'
                    | b'['
                    | b'('
                    | b'{'
                    | b'"'
                    | b'='
                    | b']'
                    | b')'
                    | b'}'
                    | b':'
                    | b','
                    | b'!'
            );
        if end > at && ends {
            const WORDS: [&str; 9] = ["trace", "debug", "info", "warn", "warning", "error", "err", "critical", "fatal"];
            let word = &line[at..end];
            if WORDS.iter().any(|known| known.eq_ignore_ascii_case(word)) {
                return known(word).unwrap_or(UNKNOWN);
            }
        }
        at = end.max(at + 1);
    }
    UNKNOWN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_their_level() {
        for (line, expected) in [
            ("all is well", "unknown"),
            ("", "unknown"),
            ("ERROR: disk gone", "error"),
            ("[WARNING] low", "warn"),
            ("misc:error", "unknown"),
            ("an error occurred", "error"),
            ("errors occurred", "unknown"),
            ("nothing critical!", "critical"),
            ("debug then error", "debug"),
            ("errno=5 err=6", "error"),
            (r#"{"level":"Warning","msg":"error"}"#, "warn"),
            (r#"{"a":{"lvl":"ERR"}}"#, "error"),
            (r#"{"a":{"b":{"lvl":"information"}}}"#, "unknown"),
            (r#"{"level":7,"msg":"x fatal"}"#, "fatal"),
            (r#"{"level":"notice","msg":"it was info"}"#, "info"),
            (r#"{"a":[{"level":"info"}],"severity":"dbg"}"#, "debug"),
            (r#"{"a":"\"","level":"info"}"#, "info"),
            (r#"{"level": oops}"#, "unknown"),
            ("ts=1 level=warn msg=\"an error\"", "warn"),
            ("msg=\"level=error x\" lvl=info", "info"),
            ("level=notice msg=\"so debug it\"", "debug"),
            ("lvl=info LEVEL=error", "error"),
            ("a=\"open", "unknown"),
            ("GET /a?x=1&y=2 msg=\"a warning\" level=error", "warn"),
            ("a \"b\" level=info: error", "info"),
            ("severity=error x lvl=debug", "error"),
            ("level=\"in\\u0066o\"", "info"),
            ("component=misc:error [info] processed", "info"),
            ("fooerror errorbar misc:error error_code", "unknown"),
            (r#"{"error": "something"}"#, "error"),
            ("2026-01-01T10:00:00Z\twarn\tads\tupdate: warning, error_rate=0.05", "warn"),
            ("2026-01-01 10:00:00.000  INFO 1 --- [main] com.example.ErrorController : /error-resource", "info"),
            ("größe error", "error"),
        ] {
            assert_eq!(of_line(line), expected, "{line}");
        }
    }

    #[test]
    fn labels_tell_a_level_of_their_own() {
        for (value, expected) in [("Information", "info"), ("wrn", "warn"), ("ERR", "error"), ("notice", "notice")] {
            assert_eq!(of_label(value), expected);
        }
        assert_eq!((of_number(24), of_number(25), of_number(17)), ("fatal", "unknown", "error"));
    }
}
