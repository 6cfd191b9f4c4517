//! What Go finds wrong with a pattern, in its words and with the part that it shows.
//!
//! A walk over the pattern as Go's parser makes it, without building anything. Source: Go's `regexp/syntax`.

use regex::Regex;

use super::{REPEAT_MAX, counts};

/// The fault that Go's parser meets first, without what stands before every one ([`PREFIX`](super::PREFIX)).
pub(super) fn find(pattern: &str) -> Option<String> {
    let mut walk = Walk { whole: pattern, rest: pattern, groups: vec![Group::default()] };
    walk.run().err()
}

/// What Go says of a set that there is not, and of a range that runs backwards.
const BAD_SET: &str = "invalid character class range";
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

struct Walk<'a> {
    whole: &'a str,
    rest: &'a str,
    /// Those that are open, the whole pattern first.
    groups: Vec<Group>,
}

#[derive(Default)]
struct Group {
    /// How often counted repetitions repeat the last operand; `None` where there is none, so nothing to repeat.
    last: Option<u64>,
    /// The most of all operands.
    most: u64,
}

/// Pairs of a set of characters, or the character that stands there.
enum Member {
    Set,
    One(char),
}

fn fault(code: &str, shown: &str) -> String {
    format!("{code}: `{shown}`")
}

/// What of `before` is not in `after`, its rest.
fn eaten<'a>(before: &'a str, after: &str) -> &'a str {
    &before[..before.len() - after.len()]
}

impl<'a> Walk<'a> {
    fn run(&mut self) -> Result<(), String> {
        // From the last repetition on, when that was the last thing read.
        let mut repeated: Option<&'a str> = None;
        while let Some(c) = self.rest.chars().next() {
            let before = self.rest;
            let counted = if c == '{' { counts(before) } else { None };
            match c {
                '*' | '+' | '?' => {
                    self.repeat(1, None, repeated)?;
                    repeated = Some(before);
                    continue;
                }
                '{' if counted.is_some() => {
                    let (length, least, most) = counted.unwrap_or_default();
                    if least > REPEAT_MAX || most.is_some_and(|most| most > REPEAT_MAX || most < least) {
                        return Err(fault("invalid repeat count", &before[..length]));
                    }
                    self.repeat(length, Some(most.unwrap_or(least)), repeated)?;
                    repeated = Some(before);
                    continue;
                }
                '(' if before.starts_with("(?") => self.flags()?,
                '(' => {
                    self.groups.push(Group::default());
                    self.rest = &before[1..];
                }
                ')' => {
                    let inner = self.groups.pop().unwrap_or_default();
                    if self.groups.is_empty() {
                        return Err(fault("unexpected )", self.whole));
                    }
                    self.rest = &before[1..];
                    self.operand(inner.most.max(1));
                }
                '|' => {
                    self.rest = &before[1..];
                    if let Some(group) = self.groups.last_mut() {
                        group.last = None;
                    }
                }
                '[' => {
                    self.class()?;
                    self.operand(1);
                }
                '\\' if before.starts_with(r"\Q") => {
                    let (quoted, rest) = before[2..].split_once(r"\E").unwrap_or((&before[2..], ""));
                    self.rest = rest;
                    if !quoted.is_empty() {
                        self.operand(1);
                    }
                }
                '\\' => {
                    if matches!(before.as_bytes().get(1), Some(b'A' | b'b' | b'B' | b'z')) {
                        self.rest = &before[2..];
                    } else {
                        self.member(before)?;
                    }
                    self.operand(1);
                }
                c => {
                    self.rest = &before[c.len_utf8()..];
                    self.operand(1);
                }
            }
            repeated = None;
        }
        if self.groups.len() > 1 {
            return Err(fault("missing closing )", self.whole));
        }
        Ok(())
    }

    /// Something that can be repeated.
    fn operand(&mut self, times: u64) {
        if let Some(group) = self.groups.last_mut() {
            group.last = Some(times);
            group.most = group.most.max(times);
        }
    }

    fn repeat(&mut self, length: usize, times: Option<u32>, repeated: Option<&'a str>) -> Result<(), String> {
        let before = self.rest;
        let after = &before[length..];
        // One `?` makes it lazy.
        self.rest = after.strip_prefix('?').unwrap_or(after);
        if let Some(earlier) = repeated {
            return Err(fault("invalid nested repetition operator", eaten(earlier, self.rest)));
        }
        let Some(last) = self.groups.last().and_then(|group| group.last) else {
            return Err(fault("missing argument to repetition operator", eaten(before, self.rest)));
        };
        let times = last.saturating_mul(u64::from(times.unwrap_or(1).max(1)));
        if times > u64::from(REPEAT_MAX) {
            return Err(fault("invalid repeat count", eaten(before, self.rest)));
        }
        self.operand(times);
        Ok(())
    }

    /// What begins with `(?`: a named group, flags, or a group with flags.
    fn flags(&mut self) -> Result<(), String> {
        let before = self.rest;
        let named = before.strip_prefix("(?P<").or_else(|| before.strip_prefix("(?<"));
        if let Some(name) = named {
            let Some((name, rest)) = name.split_once('>') else {
                return Err(fault("invalid named capture", before));
            };
            self.rest = rest;
            if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                return Err(fault("invalid named capture", eaten(before, rest)));
            }
            self.groups.push(Group::default());
            return Ok(());
        }
        let (mut is_off, mut has_flag) = (false, false);
        let mut rest = before[2..].chars();
        while let Some(c) = rest.next() {
            match c {
                'i' | 'm' | 's' | 'U' => has_flag = true,
                '-' if !is_off => (is_off, has_flag) = (true, false),
                ':' | ')' if !is_off || has_flag => {
                    self.rest = rest.as_str();
                    if c == ':' {
                        self.groups.push(Group::default());
                    }
                    return Ok(());
                }
                _ => break,
            }
        }
        Err(fault("invalid or unsupported Perl syntax", eaten(before, rest.as_str())))
    }

    /// A bracketed class.
    fn class(&mut self) -> Result<(), String> {
        let class = self.rest;
        self.rest = &class[1..];
        self.rest = self.rest.strip_prefix('^').unwrap_or(self.rest);
        let mut is_first = true;
        loop {
            let before = self.rest;
            match before.strip_prefix(']') {
                Some(rest) if !is_first => {
                    self.rest = rest;
                    return Ok(());
                }
                _ => is_first = false,
            }
            if let Some(end) = before.strip_prefix("[:").and_then(|named| named.find(":]")) {
                let (named, rest) = before.split_at(end + 4);
                let name = before[2..end + 2].trim_start_matches('^');
                if !POSIX.contains(&name) || named.starts_with("[:^^") {
                    return Err(fault(BAD_SET, named));
                }
                self.rest = rest;
                continue;
            }
            let Member::One(from) = self.member(class)? else { continue };
            // What stands last in the class is no range.
            let Some(rest) = self.rest.strip_prefix('-').filter(|rest| !rest.is_empty() && !rest.starts_with(']'))
            else {
                continue;
            };
            self.rest = rest;
            let sets = [r"\d", r"\D", r"\s", r"\S", r"\w", r"\W", r"\p", r"\P"];
            let to = match sets.iter().any(|set| rest.starts_with(set)) {
                // At the end of a range a set is no set.
                true => return Err(fault("invalid escape sequence", &rest[..2])),
                false => self.member(class)?,
            };
            if matches!(to, Member::One(to) if to < from) {
                return Err(fault(BAD_SET, eaten(before, self.rest)));
            }
        }
    }

    /// One character or set; `whole` is the class that it is in.
    fn member(&mut self, whole: &str) -> Result<Member, String> {
        let before = self.rest;
        let mut rest = before.chars();
        let Some(c) = rest.next() else { return Err(fault("missing closing ]", whole)) };
        self.rest = rest.as_str();
        if c != '\\' {
            return Ok(Member::One(c));
        }
        match rest.next() {
            Some('p' | 'P') => {
                let seq = match rest.next() {
                    Some('{') => match before.find('}') {
                        Some(end) => &before[..=end],
                        None => return Err(fault(BAD_SET, before)),
                    },
                    _ => eaten(before, rest.as_str()),
                };
                if !is_set(seq) {
                    return Err(fault(BAD_SET, seq));
                }
                self.rest = &before[seq.len()..];
                Ok(Member::Set)
            }
            Some('d' | 'D' | 's' | 'S' | 'w' | 'W') => {
                self.rest = rest.as_str();
                Ok(Member::Set)
            }
            _ => {
                let (c, rest) = escaped(before)?;
                self.rest = rest;
                Ok(Member::One(c))
            }
        }
    }
}

/// Whether RE2 has the set of a `\\p`: it knows general categories and scripts, no other properties.
fn is_set(seq: &str) -> bool {
    match seq.get(2..).and_then(|name| name.strip_prefix('{')?.strip_suffix('}')) {
        Some(name) => ["gc", "sc"].iter().any(|kind| Regex::new(&format!(r"\p{{{kind}={name}}}")).is_ok()),
        None => Regex::new(seq).is_ok(),
    }
}

/// The character that an escape stands for, and what follows it.
fn escaped(text: &str) -> Result<(char, &str), String> {
    let mut rest = text[1..].chars();
    let Some(c) = rest.next() else { return Err(fault("trailing backslash at end of expression", "")) };
    let digits = |most: usize| rest.as_str().bytes().take(most).take_while(|b| matches!(b, b'0'..=b'7')).count();
    match c {
        // A single digit other than 0 would be a backreference.
        '0'..='7' if c == '0' || digits(1) == 1 => {
            let (octal, rest) = text[1..].split_at(1 + digits(2));
            let code = u32::from_str_radix(octal, 8).ok().and_then(char::from_u32);
            return Ok((code.unwrap_or_default(), rest));
        }
        'x' => {
            let mut code: u32 = 0;
            let digits_max = if rest.as_str().starts_with('{') { usize::MAX } else { 2 };
            if digits_max > 2 {
                rest.next();
            }
            let mut digits = 0;
            while let Some(c) = rest.next() {
                match c.to_digit(16) {
                    Some(digit) => code = code.saturating_mul(16).saturating_add(digit),
                    None if c == '}' && digits_max > 2 && digits > 0 => {
                        return Ok((char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), rest.as_str()));
                    }
                    // Both of two digits are read before either is looked at.
                    None if digits_max == 2 && digits == 0 => {
                        rest.next();
                        break;
                    }
                    None => break,
                }
                digits += 1;
                if code > u32::from(char::MAX) {
                    break;
                }
                if digits == digits_max {
                    return Ok((char::from_u32(code).unwrap_or_default(), rest.as_str()));
                }
            }
        }
        'a' => return Ok(('\x07', rest.as_str())),
        'f' => return Ok(('\x0c', rest.as_str())),
        'n' => return Ok(('\n', rest.as_str())),
        'r' => return Ok(('\r', rest.as_str())),
        't' => return Ok(('\t', rest.as_str())),
        'v' => return Ok(('\x0b', rest.as_str())),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => return Ok((c, rest.as_str())),
        _ => {}
    }
    Err(fault("invalid escape sequence", eaten(text, rest.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_as_go_tells_them() {
        for (pattern, expected) in [
            ("(", "missing closing ): `(`"),
            ("a(b|c", "missing closing ): `a(b|c`"),
            (")", "unexpected ): `)`"),
            ("a)|(b", "unexpected ): `a)|(b`"),
            ("[a-z", "missing closing ]: `[a-z`"),
            ("x[^]", "missing closing ]: `[^]`"),
            ("[z-a]b", "invalid character class range: `z-a`"),
            ("[[:word:][:no:]]", "invalid character class range: `[:no:]`"),
            (r"[a-\d]", r"invalid escape sequence: `\d`"),
            ("*", "missing argument to repetition operator: `*`"),
            ("a|+?b", "missing argument to repetition operator: `+?`"),
            ("(?i)*", "missing argument to repetition operator: `*`"),
            ("(?:{2})", "missing argument to repetition operator: `{2}`"),
            (r"\Q\E*", "missing argument to repetition operator: `*`"),
            ("a**", "invalid nested repetition operator: `**`"),
            ("a*?+b", "invalid nested repetition operator: `*?+`"),
            ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
            ("a{1001}", "invalid repeat count: `{1001}`"),
            ("a{3,2}", "invalid repeat count: `{3,2}`"),
            ("(a{100}b){11}?", "invalid repeat count: `{11}?`"),
            ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
            ("(?i-)a", "invalid or unsupported Perl syntax: `(?i-)`"),
            ("(?z:a)", "invalid or unsupported Perl syntax: `(?z`"),
            ("(?i", "invalid or unsupported Perl syntax: `(?i`"),
            ("a(?<=b)c", "invalid named capture: `(?<=b)c`"),
            ("(?P<a b>c)", "invalid named capture: `(?P<a b>`"),
            ("(?<>c)", "invalid named capture: `(?<>`"),
            (r"a\", "trailing backslash at end of expression: ``"),
            (r"\8", r"invalid escape sequence: `\8`"),
            (r"\1a", r"invalid escape sequence: `\1`"),
            (r"\Z", r"invalid escape sequence: `\Z`"),
            (r"\C", r"invalid escape sequence: `\C`"),
            (r"\é", r"invalid escape sequence: `\é`"),
            (r"\x", r"invalid escape sequence: `\x`"),
            (r"\x4g", r"invalid escape sequence: `\x4g`"),
            (r"\x{110000}", r"invalid escape sequence: `\x{110000`"),
            (r"\pX", r"invalid character class range: `\pX`"),
            (r"\p{Nope}", r"invalid character class range: `\p{Nope}`"),
            (r"\p{Alphabetic}", r"invalid character class range: `\p{Alphabetic}`"),
            (r"[a\P{sc=Greek}]", r"invalid character class range: `\P{sc=Greek}`"),
            (r"[\p{L", r"invalid character class range: `\p{L`"),
        ] {
            assert_eq!(find(pattern).as_deref(), Some(expected), "{pattern}");
        }
    }

    #[test]
    fn and_nothing_is_wrong_with_others() {
        for pattern in [
            "",
            "a|",
            "|",
            "()",
            "^*",
            "$+",
            "a{,2}",
            "a{2",
            "a{02}",
            "[]a]",
            "[^]a]",
            "[a-]",
            "[-a]",
            "[a-z-9]",
            "[[a]",
            "[a&&b]",
            "(?i)(?-s:a)b",
            "(?)a",
            "(?P<a_1>b)(?<c>d)",
            r"\Qa(\Eb",
            r"\Qa(",
            r"[\d\-\]\pL]+\_\-",
            r"\p{Lu}\P{Greek}[\p{Any}]",
            r"\012\x41\x{263a}\a",
            r"\z\A\b",
            "(a{10}){100}",
            "(a{1000}|b)*",
            "[[:alpha:]-z]",
        ] {
            assert_eq!(find(pattern), None, "{pattern}");
        }
    }
}
