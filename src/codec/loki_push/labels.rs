//! The labels of a stream as text: `{job="x", host="a\"b"}`.

use std::borrow::Cow;

use model::labels::is_label_name;

/// Longest text of labels, in bytes: Loki's own limits (30 labels of at most 1 KiB and 2 KiB) stay below.
const TEXT_BYTES_MAX: usize = 128 << 10;

/// Name and value.
pub(super) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The labels of a text, sorted by name, those without value left out.
///
/// # Errors
/// A sentence that says where the text breaks off.
pub(super) fn parse(text: &str) -> Result<Vec<Pair<'_>>, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!(
            "couldn't parse labels: they have {} bytes, at most {TEXT_BYTES_MAX} are read",
            text.len()
        ));
    }
    let mut rest = Text { text, at: 0 };
    rest.blank();
    rest.eat('{')?;
    let mut pairs = Vec::new();
    loop {
        rest.blank();
        if rest.peek() == Some('}') {
            break;
        }
        let name = rest.name()?;
        rest.blank();
        rest.eat('=')?;
        rest.blank();
        let value = rest.value()?;
        pairs.push((name, value));
        rest.blank();
        match rest.peek() {
            Some(',') => rest.at += 1,
            _ => break,
        }
    }
    rest.eat('}')?;
    rest.blank();
    if rest.at < text.len() {
        return Err(rest.wrong("nothing may follow the closing brace"));
    }
    checked(text, pairs)
}

/// Sorted, each name once and a proper one; `shown` stands for the stream in the error.
pub(super) fn checked<'a>(shown: &str, mut pairs: Vec<Pair<'a>>) -> Result<Vec<Pair<'a>>, String> {
    if let Some((name, _)) = pairs.iter().find(|(name, _)| !is_label_name(name)) {
        return Err(format!("couldn't parse labels: {name:?} is no label name"));
    }
    pairs.sort_by(|left, right| left.0.cmp(&right.0));
    if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("stream '{shown}' has duplicate label name: '{}'", twice[0].0));
    }
    // A stream without labels is one of an unknown service, as in Loki.
    pairs.retain(|(_, value)| !value.is_empty());
    Ok(pairs)
}

struct Text<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Text<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn blank(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn wrong(&self, why: &str) -> String {
        format!("couldn't parse labels: 1:{}: parse error: {why}", self.at + 1)
    }

    fn eat(&mut self, wanted: char) -> Result<(), String> {
        if self.peek() != Some(wanted) {
            return Err(self.wrong(&format!("expected {wanted:?}")));
        }
        self.at += wanted.len_utf8();
        Ok(())
    }

    fn name(&mut self) -> Result<Cow<'a, str>, String> {
        if self.peek() == Some('"') {
            return self.value();
        }
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end == 0 {
            return Err(self.wrong("expected a label name"));
        }
        self.at += end;
        Ok(Cow::Borrowed(&rest[..end]))
    }

    /// A string in double quotes with Go's escapes, or in backticks without any.
    fn value(&mut self) -> Result<Cow<'a, str>, String> {
        if self.peek() == Some('`') {
            let from = self.at + 1;
            let length = self.text[from..].find('`').ok_or_else(|| self.wrong("unterminated raw string"))?;
            self.at = from + length + 1;
            return Ok(Cow::Borrowed(&self.text[from..from + length]));
        }
        self.eat('"')?;
        let from = self.at;
        let mut owned: Option<String> = None;
        loop {
            let c = self.peek().ok_or_else(|| self.wrong("unterminated quoted string"))?;
            let before = self.at;
            self.at += c.len_utf8();
            match c {
                '"' => {
                    return Ok(owned.map_or(Cow::Borrowed(&self.text[from..before]), Cow::Owned));
                }
                '\\' => {
                    let mut out = owned.take().unwrap_or_else(|| self.text[from..before].to_owned());
                    out.push(self.escape()?);
                    owned = Some(out);
                }
                c => {
                    if let Some(out) = &mut owned {
                        out.push(c);
                    }
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let c = self.peek().ok_or_else(|| self.wrong("unterminated quoted string"))?;
        self.at += c.len_utf8();
        let digits = match c {
            'a' => return Ok('\u{7}'),
            'b' => return Ok('\u{8}'),
            'f' => return Ok('\u{c}'),
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            'v' => return Ok('\u{b}'),
            '\\' | '"' | '\'' => return Ok(c),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return Err(self.wrong("unknown escape sequence")),
        };
        let hex = self.text.get(self.at..self.at + digits);
        let code = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        self.at += digits;
        // A byte above ASCII is a part of a character at best.
        code.filter(|c| digits > 2 || c.is_ascii()).ok_or_else(|| self.wrong("bad escape sequence"))
    }
}
