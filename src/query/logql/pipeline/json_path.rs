//! `| json name="a.b[0]"`: paths into JSON.

use super::super::units::quote;
use super::json_scan::{self, Kind, block_end, each_item, text_end, token, unescape, value};

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

impl Step {
    fn is_key(&self, key: &str) -> bool {
        matches!(self, Step::Key(wanted) if wanted == key)
    }

    fn is_index(&self) -> bool {
        matches!(self, Step::Index(_))
    }
}

/// A token of a path, as Loki's `jsonexpr` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Dot,
    Open,
    Close,
    Text(String),
    Field(String),
    Index(usize),
    End,
}

impl Token {
    fn name(&self) -> &'static str {
        match self {
            Token::Dot => "DOT",
            Token::Open => "LSB",
            Token::Close => "RSB",
            Token::Text(_) => "STRING",
            Token::Field(_) => "FIELD",
            Token::Index(_) => "INDEX",
            Token::End => "$end",
        }
    }

    fn unexpected(&self, expected: &str) -> String {
        match expected {
            "" => format!("syntax error: unexpected {}", self.name()),
            expected => format!("syntax error: unexpected {}, expecting {expected}", self.name()),
        }
    }
}

/// The next token, and what is behind it. What is no token ends the path, with the reason.
fn next(text: &str) -> (Token, &str, Option<String>) {
    let rest = text.trim_start_matches([' ', '\t', '\n']);
    let Some(first) = rest.chars().next() else { return (Token::End, rest, None) };
    let behind = &rest[first.len_utf8()..];
    match first {
        '.' => (Token::Dot, behind, None),
        '[' => (Token::Open, behind, None),
        ']' => (Token::Close, behind, None),
        '"' => {
            // As in Loki a bracket ends the text too.
            let end = behind.find(['"', ']']).unwrap_or(behind.len());
            (Token::Text(behind[..end].into()), behind.get(end + 1..).unwrap_or_default(), None)
        }
        'a'..='z' | 'A'..='Z' | '_' => {
            let length = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
            (Token::Field(rest[..length].into()), &rest[length..], None)
        }
        '0'..='9' => {
            let length = rest.bytes().take_while(u8::is_ascii_digit).count();
            let wrong = match rest[length..].chars().next() {
                Some('.') => Some("cannot use float as array index".to_owned()),
                Some(c) if !matches!(c, ' ' | '\t' | '\n' | ']') => Some(format!("non-integer value: {c}")),
                _ => None,
            };
            // Go counts in signed numbers.
            let index = rest[..length].parse::<i64>().ok().and_then(|index| usize::try_from(index).ok());
            match (index, wrong) {
                (_, Some(wrong)) => (Token::End, rest, Some(wrong)),
                (Some(index), None) => (Token::Index(index), &rest[length..], None),
                (None, None) => {
                    let wrong = format!("strconv.Atoi: parsing {}: value out of range", quote(&rest[..length]));
                    (Token::End, rest, Some(wrong))
                }
            }
        }
        c => (Token::End, rest, Some(format!("unexpected char {c}"))),
    }
}

/// Reads `a.b["c d"][0]`.
///
/// # Errors
/// What is unexpected in it, in the words of Loki's parser.
pub(super) fn parse(text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let (mut token, mut rest, mut wrong) = next(text);
    loop {
        let dotted = token == Token::Dot && !steps.is_empty();
        if dotted {
            (token, rest, wrong) = next(rest);
        }
        let step = match token {
            Token::Field(name) if dotted || steps.is_empty() => Step::Key(name),
            Token::Open if !dotted => {
                let (inner, behind, _) = next(rest);
                let step = match inner {
                    Token::Text(key) => Step::Key(key),
                    Token::Index(index) => Step::Index(index),
                    other => return Err(other.unexpected("STRING or INDEX")),
                };
                let (close, behind, _) = next(behind);
                if close != Token::Close {
                    return Err(close.unexpected("RSB"));
                }
                rest = behind;
                step
            }
            Token::End if !dotted && !steps.is_empty() => return wrong.map_or(Ok(steps), Err),
            other if dotted => return Err(other.unexpected("FIELD")),
            other if steps.is_empty() => return Err(other.unexpected("LSB or FIELD")),
            other => return Err(other.unexpected("")),
        };
        steps.push(step);
        (token, rest, wrong) = next(rest);
    }
}

/// Shows what stands at each of the paths, each at most once, in the order of the text: which path, the value and its kind, or why it cannot
/// be read (where a key stands outside of any object, of a path beyond the last). One pass over the text, as the `jsonparser` package makes it; malformed text ends it without an error.
pub(super) fn each_match<'t>(
    text: &'t str,
    paths: &[Vec<Step>],
    found: &mut dyn FnMut(usize, Result<(&'t str, Kind), &'static str>),
) {
    let bytes = text.as_bytes();
    let longest = paths.iter().map(Vec::len).max().unwrap_or(0);
    let mut seen = vec![false; paths.len()];
    let mut matched = 0;
    // The keys and indexes that lead to where the walk is.
    let mut trail: Vec<Step> = vec![Step::Key(String::new()); longest];
    let mut level: usize = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let Some(end) = text_end(text, at + 1) else { return };
                let Some(behind) = token(text, end) else { return };
                if bytes[behind] != b':' {
                    // A text that is no key.
                    at = behind;
                    continue;
                }
                let Some(key) = unescape(&text[at + 1..end - 1]) else { return };
                at = behind;
                let mut any = false;
                if longest >= level {
                    if level < 1 {
                        found(paths.len(), Err(json_scan::MALFORMED));
                        return;
                    }
                    trail[level - 1] = Step::Key(key.clone().into_owned());
                    for (which, path) in paths.iter().enumerate() {
                        let here = path.len() == level && !seen[which] && path[level - 1].is_key(&key);
                        if !here || !same(path, &trail[..level]) {
                            continue;
                        }
                        any = true;
                        matched += 1;
                        seen[which] = true;
                        found(which, value(text, at + 1).map(|(value, kind, _)| (value, kind)));
                    }
                    if matched == paths.len() {
                        return;
                    }
                }
                at += 1;
                if !any {
                    // What no path leads into deeper is still walked through, save an object below the longest path.
                    match token(text, at) {
                        Some(next) if bytes[next] == b'{' && !leads_deeper(paths, &trail, level) => {
                            match block_end(text, next, b'{', b'}') {
                                Some(end) => at = end,
                                None => return,
                            }
                        }
                        Some(next) => at = next,
                        None => return,
                    }
                }
                continue;
            }
            b'{' => level += 1,
            b'}' => match level.checked_sub(1) {
                Some(less) => level = less,
                None => return,
            },
            b'[' => {
                let wanted: Vec<usize> = (0..paths.len())
                    .filter(|which| {
                        let path = &paths[*which];
                        path.len() > level
                            && !seen[*which]
                            && path[level].is_index()
                            && same(path, &trail[..level.min(longest)])
                    })
                    .collect();
                if wanted.is_empty() {
                    match block_end(text, at, b'[', b']') {
                        Some(end) => at = end,
                        None => return,
                    }
                    continue;
                }
                let mut index = 0;
                at = each_item(text, at, &mut |item, kind| {
                    for which in &wanted {
                        let path = &paths[*which];
                        if path[level] == Step::Index(index) {
                            matched += 1;
                            seen[*which] = true;
                            if let Some((value, kind)) = within(item, kind, &path[level + 1..]) {
                                found(*which, Ok((value, kind)));
                            }
                        }
                    }
                    index += 1;
                });
                if matched == paths.len() {
                    return;
                }
            }
            _ => {}
        }
        at += 1;
    }
}

fn same(path: &[Step], trail: &[Step]) -> bool {
    path.iter().zip(trail).all(|(step, at)| step == at)
}

/// Whether a path goes through the key at this level.
fn leads_deeper(paths: &[Vec<Step>], trail: &[Step], level: usize) -> bool {
    level >= 1 && paths.iter().any(|path| path.len() > level && level <= trail.len() && same(path, &trail[..level]))
}

/// What stands at a path within a value.
fn within<'t>(text: &'t str, kind: Kind, path: &[Step]) -> Option<(&'t str, Kind)> {
    let Some((step, rest)) = path.split_first() else { return Some((text, kind)) };
    let mut at_step = None;
    match (kind, step) {
        (Kind::Object, Step::Key(wanted)) => {
            let walked = json_scan::each_pair(text, &mut |key, value, kind| {
                if key != wanted.as_str() {
                    return Ok(json_scan::Walk::On);
                }
                at_step = Some((value, kind));
                Ok(json_scan::Walk::Stop)
            });
            // What was found before it went wrong counts.
            if walked.is_err() && at_step.is_none() {
                return None;
            }
        }
        (Kind::Array, Step::Index(wanted)) => {
            let mut index = 0;
            each_item(text, 0, &mut |item, kind| {
                if index == *wanted {
                    at_step = Some((item, kind));
                }
                index += 1;
            });
        }
        _ => {}
    }
    let (value, kind) = at_step?;
    within(value, kind, rest)
}
