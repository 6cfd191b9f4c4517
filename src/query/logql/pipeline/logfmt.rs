//! `key=value key="a value" flag`, as Loki reads it.
//!
//! Source: Loki's `log/logfmt/decode.go`, which comes from `go-logfmt`.

use std::borrow::Cow;

/// Reads pairs one by one. The last fault is kept.
pub(crate) struct Decoder<'l> {
    line: &'l str,
    at: usize,
    /// A pair that is wrong ends the line; else it is passed over up to the next blank.
    strict: bool,
    fault: Option<String>,
}

pub(crate) struct Pair<'l> {
    pub(crate) key: &'l str,
    /// Empty when there is none.
    pub(crate) value: Cow<'l, str>,
}

impl<'l> Decoder<'l> {
    pub(crate) fn new(line: &'l str, strict: bool) -> Decoder<'l> {
        Decoder { line, at: 0, strict, fault: None }
    }

    /// What is wrong with the line; nothing is unless the reading is strict.
    pub(super) fn fault(self) -> Option<String> {
        self.fault.filter(|_| self.strict)
    }

    fn wrong(&mut self, what: &str) {
        self.fault = Some(format!("logfmt syntax error at pos {} : {what}", self.at + 1));
    }

    /// Notes an unexpected byte where the decoder stands, and goes to the next blank.
    fn unexpected(&mut self, byte: u8) {
        self.wrong(&format!("unexpected '{}'", byte as char));
        self.at = self.first(|b| b <= b' ');
    }

    /// The place of the first byte from here that fits, else of the end.
    fn first(&self, fits: impl Fn(u8) -> bool) -> usize {
        let rest = &self.line.as_bytes()[self.at..];
        rest.iter().position(|b| fits(*b)).map_or(self.line.len(), |length| self.at + length)
    }

    /// The pair that comes next; `None` where it is wrong, or only blanks are left.
    fn pair(&mut self) -> Option<Pair<'l>> {
        let bytes = self.line.as_bytes();
        self.at = self.first(|b| b > b' ');
        let start = self.at;
        if start == self.line.len() {
            return None;
        }
        self.at = self.first(|b| b <= b' ' || matches!(b, b'=' | b'"'));
        let key = &self.line[start..self.at];
        let ended_by = bytes.get(self.at).copied();
        match ended_by {
            Some(b'"') => {
                self.unexpected(b'"');
                return None;
            }
            Some(b'=') if key.is_empty() => {
                self.unexpected(b'=');
                return None;
            }
            _ => {}
        }
        if key.contains(char::REPLACEMENT_CHARACTER) {
            self.wrong("invalid key");
            if ended_by == Some(b'=') {
                self.at = self.first(|b| b <= b' ');
            }
            return None;
        }
        if ended_by != Some(b'=') {
            return Some(Pair { key, value: Cow::Borrowed("") });
        }
        self.at += 1;
        match bytes.get(self.at) {
            None | Some(0..=b' ') => Some(Pair { key, value: Cow::Borrowed("") }),
            Some(b'"') => self.quoted().map(|value| Pair { key, value }),
            Some(_) => {
                let start = self.at;
                self.at = self.first(|b| b <= b' ' || matches!(b, b'=' | b'"'));
                match bytes.get(self.at) {
                    Some(&byte @ (b'=' | b'"')) => {
                        self.unexpected(byte);
                        None
                    }
                    _ => Some(Pair { key, value: Cow::Borrowed(&self.line[start..self.at]) }),
                }
            }
        }
    }

    /// The value whose opening quote is here.
    fn quoted(&mut self) -> Option<Cow<'l, str>> {
        let start = self.at + 1;
        let Some(end) = super::json_scan::text_end(self.line, start) else {
            self.at = self.line.len();
            self.wrong("unterminated quoted value");
            return None;
        };
        self.at = end;
        let value = &self.line[start..end - 1];
        if !value.contains('\\') {
            return Some(Cow::Borrowed(value));
        }
        let unquoted = unquote(value);
        if unquoted.is_none() {
            self.wrong("invalid quoted value");
        }
        unquoted.map(Cow::Owned)
    }
}

impl<'l> Iterator for Decoder<'l> {
    type Item = Pair<'l>;

    fn next(&mut self) -> Option<Pair<'l>> {
        while self.at < self.line.len() {
            let pair = self.pair();
            if pair.is_some() || self.strict {
                return pair;
            }
        }
        None
    }
}

/// Resolves escapes; control characters stand for themselves.
fn unquote(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '"' {
            return None;
        }
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            out.push(c);
            continue;
        }
        let escape = *rest.as_bytes().first()?;
        rest = rest.get(1..)?;
        out.push(match escape {
            b'"' | b'\\' | b'/' | b'\'' => escape as char,
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = hex(rest)?;
                rest = &rest[4..];
                match char::from_u32(high) {
                    Some(c) => c,
                    // Half of a pair; without its other half it is a replacement character.
                    None => match rest.strip_prefix("\\u").and_then(hex).filter(|low| (0xdc00..0xe000).contains(low)) {
                        Some(low) if high < 0xdc00 => {
                            rest = &rest[6..];
                            char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?
                        }
                        _ => char::REPLACEMENT_CHARACTER,
                    },
                }
            }
            _ => return None,
        });
    }
    Some(out)
}

fn hex(text: &str) -> Option<u32> {
    let digits = text.get(..4)?;
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// Reads the path of `| logfmt name="path"`: a key, then any texts in quotes, joined with a blank. No line has a key of several parts.
///
/// # Errors
/// What is unexpected in it.
pub(super) fn path(text: &str) -> Result<String, String> {
    let is_key = |at: usize, c: char| c.is_ascii_alphabetic() || c == '_' || at > 0 && c.is_ascii_digit();
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = text.trim_start_matches(BLANKS);
    while let Some(c) = rest.chars().next() {
        let length = match c {
            // The end of a text may be left out.
            '"' => {
                let quoted = &rest[1..];
                let end = quoted.find(['"', ']']).unwrap_or(quoted.len());
                parts.push(&quoted[..end]);
                (end + 2).min(rest.len())
            }
            c if is_key(0, c) && parts.is_empty() => {
                let end = rest.char_indices().find(|(at, c)| !is_key(*at, *c)).map_or(rest.len(), |(at, _)| at);
                parts.push(&rest[..end]);
                end
            }
            c if is_key(0, c) => return Err("syntax error: unexpected KEY".into()),
            _ if parts.is_empty() => break,
            c => return Err(format!("unexpected char {c}")),
        };
        rest = rest[length..].trim_start_matches(BLANKS);
    }
    if parts.is_empty() { Err("syntax error: unexpected $end".into()) } else { Ok(parts.join(" ")) }
}

/// What may stand between the parts of a path.
const BLANKS: [char; 3] = [' ', '\t', '\n'];
