//! Fields of a log body that is text: a JSON object, or `key=value` pairs as logfmt and people write them.
//!
//! The text is never rewritten; what is read here serves a search and is thrown away. Numbers count as numbers only in their plain
//! notation (`500`, `0.25`): so a search knows how the number that it looks for is written, and the index can rule blocks out by it.

use model::any::{DEPTH_MAX, double_text};
use model::{AnyValue, Key};

use crate::block::ValueRef;
use crate::field;
use crate::words::number;

/// Shows the values at a path (`status`, `http.status`) in a text; nothing when it has none.
pub fn lookup(text: &str, path: &str, found: &mut dyn FnMut(ValueRef<'_>)) {
    let last = path.rsplit('.').next().unwrap_or(path);
    // Most texts have not got most keys, and finding that out costs far less than reading the text.
    if last.is_empty() || !text.contains(last) {
        return;
    }
    match object(text) {
        Some(object) => field::within((&object).into(), path, &mut |value| show(value, found), 0),
        None => pairs(text, path, &mut |value| show(ValueRef::Str(value), found)),
    }
}

/// Shows every path of a text with its value, as [`lookup`] would find it; the elements of arrays under the array's own path.
pub fn visit(text: &str, found: &mut dyn FnMut(&str, ValueRef<'_>)) {
    match object(text) {
        Some(AnyValue::Map(entries)) => {
            for (key, value) in &entries {
                field::visit(&mut key.to_string(), value.into(), &mut |path, value| found(path, value));
            }
        }
        _ => each_pair(text, &mut |key, value| found(key, ValueRef::Str(value))),
    }
}

/// Text that is a number in another than its plain notation is shown as text alone.
fn show(value: ValueRef<'_>, found: &mut dyn FnMut(ValueRef<'_>)) {
    if let ValueRef::Str(text) = value
        && number(text).is_some_and(|number| !is_plain(text, number))
    {
        return found(ValueRef::Other(&AnyValue::Str(text.to_owned())));
    }
    found(value);
}

fn is_plain(text: &str, number: f64) -> bool {
    let plain = double_text(number);
    text.strip_prefix(&*plain).is_some_and(|rest| matches!(rest, "" | ".0"))
}

/// The JSON object that a text is, apart from space around it; `None` for anything else. Numbers in another than their plain
/// notation come as text.
pub fn object(text: &str) -> Option<AnyValue> {
    let text = text.trim();
    if !text.starts_with('{') || !text.ends_with('}') {
        return None;
    }
    let mut reader = Json { text, at: 0 };
    let object = reader.value(0)?;
    (reader.at == text.len()).then_some(object)
}

struct Json<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Json<'a> {
    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at = self.text.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn take(&mut self, wanted: &str) -> bool {
        let there = self.text[self.at..].starts_with(wanted);
        if there {
            self.at += wanted.len();
        }
        there
    }

    fn value(&mut self, depth: usize) -> Option<AnyValue> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.text.as_bytes().get(self.at)? {
            b'{' => self.map(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(AnyValue::Str),
            b't' => self.take("true").then_some(AnyValue::Bool(true)),
            b'f' => self.take("false").then_some(AnyValue::Bool(false)),
            b'n' => self.take("null").then_some(AnyValue::Empty),
            _ => self.number(),
        }
    }

    fn map(&mut self, depth: usize) -> Option<AnyValue> {
        self.at += 1;
        let mut entries: Vec<(Key, AnyValue)> = Vec::new();
        self.skip_space();
        if self.take("}") {
            return Some(AnyValue::Map(entries));
        }
        loop {
            self.skip_space();
            if !self.text[self.at..].starts_with('"') {
                return None;
            }
            let key = self.string()?;
            self.skip_space();
            if !self.take(":") {
                return None;
            }
            self.skip_space();
            entries.push((key.into(), self.value(depth + 1)?));
            self.skip_space();
            if self.take("}") {
                return Some(AnyValue::Map(entries));
            }
            if !self.take(",") {
                return None;
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<AnyValue> {
        self.at += 1;
        let mut values = Vec::new();
        self.skip_space();
        if self.take("]") {
            return Some(AnyValue::Array(values));
        }
        loop {
            self.skip_space();
            values.push(self.value(depth + 1)?);
            self.skip_space();
            if self.take("]") {
                return Some(AnyValue::Array(values));
            }
            if !self.take(",") {
                return None;
            }
        }
    }

    fn number(&mut self) -> Option<AnyValue> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).filter(|end| *end > 0)?;
        self.at += end;
        let written = &rest[..end];
        if let Ok(value) = written.parse::<i64>()
            && value.to_string() == written
        {
            return Some(AnyValue::Int(value));
        }
        let value: f64 = written.parse().ok()?;
        Some(if is_plain(written, value) { AnyValue::Double(value) } else { AnyValue::Str(written.to_owned()) })
    }

    fn string(&mut self) -> Option<String> {
        let (value, length) = unquoted(&self.text[self.at..])?;
        self.at += length;
        Some(value)
    }
}

/// A text in quotes with JSON's escapes, at the start of `text`: its value, and how many bytes it takes.
fn unquoted(text: &str) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut rest = text.strip_prefix('"')?;
    loop {
        let at = rest.find(['"', '\\'])?;
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix('"') {
            return Some((out, text.len() - after.len()));
        }
        let escape = rest[1..].chars().next()?;
        rest = &rest[1 + escape.len_utf8()..];
        match escape {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'u' => {
                let high = hex4(rest)?;
                rest = &rest[4..];
                let low = rest.strip_prefix("\\u").and_then(hex4).filter(|low| (0xdc00..0xe000).contains(low));
                match (high, low) {
                    (0xd800..0xdc00, Some(low)) => {
                        rest = &rest[6..];
                        out.push(char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))?);
                    }
                    _ => out.push(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER)),
                }
            }
            other => out.push(other),
        }
    }
}

fn hex4(text: &str) -> Option<u32> {
    let digits = text.get(..4)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

/// Whether a character belongs to a key.
fn in_key(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | '@')
}

/// Shows the value of each `key=value` of this key.
fn pairs(text: &str, key: &str, found: &mut dyn FnMut(&str)) {
    for (at, _) in text.match_indices(key) {
        let starts = !text[..at].chars().next_back().is_some_and(in_key);
        if let Some(value) = text[at + key.len()..].strip_prefix('=')
            && starts
        {
            pair_value(value, found);
        }
    }
}

fn each_pair(text: &str, found: &mut dyn FnMut(&str, &str)) {
    for (at, _) in text.match_indices('=') {
        let before = &text[..at];
        let key = &before[before.trim_end_matches(in_key).len()..];
        if key.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            pair_value(&text[at + 1..], &mut |value| found(key, value));
        }
    }
}

/// What follows an equals sign: a text in quotes, or all up to a space without the comma of a list.
fn pair_value(text: &str, found: &mut dyn FnMut(&str)) {
    match unquoted(text) {
        Some((value, _)) => found(&value),
        None => {
            let value = text.split(char::is_whitespace).next().unwrap_or_default();
            found(value.trim_end_matches([',', ';']));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_texts_are_found_by_path() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(40), "]".repeat(40));
        for (text, path, expected) in [
            (r#"{"status":500,"msg":"a \"b\"\n\u00fc\ud83d\ude00"}"#, "status", "500"),
            (r#" {"status":500,"msg":"a \"b\"\n\u00fc\ud83d\ude00"} "#, "msg", "a \"b\"\nü😀"),
            (r#"{"http":{"status":[500,501]}}"#, "http.status", "[500,501]|500|501"),
            (r#"{"http.status":5}"#, "http.status", "5"),
            (r#"{"n":5e2}"#, "n", "5e2"),
            (r#"{"n":-0.25,"m":9007199254740993}"#, "m", "9007199254740993"),
            (r#"{"a":{},"b":[],"n":null,"t":true}"#, "t", "true"),
            (r#"{"a":1"#, "a", ""),
            (r#"{"a":1} trailing"#, "a", ""),
            (r#"{"a":1,}"#, "a", ""),
            (r#"{"a":"\ud800x"}"#, "a", "\u{fffd}x"),
            (r#"{"a":"unclosed}"#, "a", ""),
            (deep.as_str(), "a", ""),
            ("{}", "a", ""),
            ("level=warn status=500, took=5ms; msg=\"a \\\"b\\\" c\" status=200", "status", "500|200"),
            ("level=warn took=5ms; msg=\"a \\\"b\\\" c\"", "took", "5ms"),
            ("level=warn took=5ms; msg=\"a \\\"b\\\" c\"", "msg", "a \"b\" c"),
            ("http_status=500 xstatus=1 status= end", "status", ""),
            ("a.b=1 b=2", "b", "2"),
            ("a.b=1 b=2", "a.b", "1"),
            ("id=\"unclosed x", "id", "\"unclosed"),
            ("status", "status", ""),
            ("ü=1 straße=ja", "straße", "ja"),
            ("x=1", "", ""),
        ] {
            let mut values = Vec::new();
            lookup(text, path, &mut |value| {
                let mut out = String::new();
                value.write_text(&mut out);
                values.push(out);
            });
            assert_eq!(values.join("|"), expected, "{text} {path}");
        }
    }

    #[test]
    fn numbers_count_in_their_plain_notation() {
        for (text, plain) in [
            ("n=500", true),
            ("n=5e2", false),
            ("n=007", false),
            ("n=0.25", true),
            (r#"{"n":5e2}"#, false),
            (r#"{"n":500.0}"#, true),
            (r#"{"n":"500"}"#, true),
            (r#"{"n":"+500"}"#, false),
        ] {
            let mut shown = Vec::new();
            lookup(text, "n", &mut |value| shown.push(!matches!(value, ValueRef::Other(_))));
            assert_eq!(shown, [plain], "{text}");
        }
    }

    #[test]
    fn what_is_visited_is_found() {
        for (text, expected) in [
            (r#"{"a":{"b":1,"c":[2]},"d":"x"}"#, "a={\"b\":1,\"c\":[2]} a.b=1 a.c=[2] a.c=2 d=x"),
            ("2026 level=info k=\"v w\" =x 1=2", "level=info k=v w"),
            ("plain", ""),
        ] {
            let mut all = Vec::new();
            visit(text, &mut |path, value| {
                let mut out = String::new();
                value.write_text(&mut out);
                all.push(format!("{path}={out}"));
            });
            assert_eq!(all.join(" "), expected, "{text}");
        }
    }
}
