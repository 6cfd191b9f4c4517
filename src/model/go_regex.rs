//! Go's regular expressions (RE2) on the `regex` crate, whose syntax is nearly the same: what Prometheus, Loki and Alertmanager mean
//! by a pattern.
//!
//! Where the two differ, the pattern is translated: `\d`, `\w`, `\s` and `\b` are ASCII, `\<` is `<`, `\Q...\E` quotes, `\012` is an octal
//! number, a brace that is no repetition and a bracket inside a class stand for themselves. What RE2 refuses is refused.
//! Source: Go's documentation of `regexp/syntax`.

mod fault;
mod room;

use regex::{Regex, RegexBuilder};

pub use room::{TOGETHER_BYTES_MAX, build as build_within, together};

/// Largest compiled pattern, in bytes. A hostile `a{1000}{1000}` is refused instead of filling memory; the alternation of thousands of
/// names that a dashboard sends for "all" fits.
const PATTERN_BYTES_MAX: usize = 8 << 20;
/// In front of what is wrong, as Go has it.
pub(crate) const PREFIX: &str = "error parsing regexp: ";
/// Highest count of a repetition, as in RE2.
const REPEAT_MAX: u32 = 1000;

/// Compiles a pattern; a dot does not match a newline.
///
/// # Errors
/// What is wrong with it, in Go's words.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    build(&translate(pattern)?)
}

/// Compiles a pattern that has to match a whole text; a dot does not match a newline (Loki).
///
/// # Errors
/// As of [`compile`].
pub fn compile_anchored(pattern: &str) -> Result<Regex, String> {
    build(&format!("^(?:{})$", translate(pattern)?))
}

/// Compiles a pattern that has to match a whole text; a dot matches a newline too (Prometheus).
///
/// # Errors
/// As of [`compile`].
pub fn compile_whole(pattern: &str) -> Result<Regex, String> {
    build(&format!("^(?s:{})$", translate(pattern)?))
}

/// As [`compile`], with the bytes of memory that the pattern counts for: no less than it takes, and up to twice as many.
///
/// # Errors
/// As of [`compile`].
pub fn compile_measured(pattern: &str) -> Result<(Regex, usize), String> {
    room::measured(&mut RegexBuilder::new(&translate(pattern)?), PATTERN_BYTES_MAX).map_err(worded)
}

fn build(pattern: &str) -> Result<Regex, String> {
    build_within(&mut RegexBuilder::new(pattern), PATTERN_BYTES_MAX).map_err(worded)
}

fn worded(error: regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(TOGETHER_BYTES_MAX) => {
            format!(
                "{PREFIX}expression too large: with those before it, it compiles to more than {TOGETHER_BYTES_MAX} bytes"
            )
        }
        regex::Error::CompiledTooBig(limit) => {
            format!("{PREFIX}expression too large: it compiles to more than {limit} bytes")
        }
        // The last line says what is wrong, those before it show the place.
        error => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("{PREFIX}{reason}")
        }
    }
}

/// A pattern of RE2 as one of the `regex` crate.
///
/// # Errors
/// For what RE2 refuses, in Go's words.
pub fn translate(pattern: &str) -> Result<String, String> {
    if let Some(fault) = fault::find(pattern) {
        return Err(format!("{PREFIX}{fault}"));
    }
    let mut translation = Translation { rest: pattern, out: String::with_capacity(pattern.len() + 16) };
    translation.run();
    Ok(translation.out)
}

/// Of a pattern that is one of RE2.
struct Translation<'a> {
    rest: &'a str,
    out: String,
}

impl<'a> Translation<'a> {
    fn run(&mut self) {
        while let Some(c) = self.rest.chars().next() {
            match c {
                '\\' => self.escape(false),
                '[' => self.class(),
                '(' => self.group(),
                '{' => match counts(self.rest) {
                    Some((length, ..)) => self.copy(length),
                    None => {
                        self.out.push('\\');
                        self.copy(1);
                    }
                },
                c => self.copy(c.len_utf8()),
            }
        }
    }

    fn copy(&mut self, length: usize) {
        let (copied, rest) = self.rest.split_at(length);
        self.out.push_str(copied);
        self.rest = rest;
    }

    fn skip(&mut self, length: usize) {
        self.rest = &self.rest[length..];
    }

    /// What begins with a backslash.
    fn escape(&mut self, in_class: bool) {
        let Some(c) = self.rest.chars().nth(1) else { return self.copy(1) };
        let set = match c {
            'd' => "[0-9]",
            'D' => "[^0-9]",
            's' => r"[\t\n\f\r ]",
            'S' => r"[^\t\n\f\r ]",
            'w' => "[0-9A-Za-z_]",
            'W' => "[^0-9A-Za-z_]",
            'b' if !in_class => r"(?-u:\b)",
            'B' if !in_class => r"(?-u:\B)",
            '<' => "<",
            '>' => ">",
            _ => "",
        };
        if !set.is_empty() {
            self.out.push_str(set);
            self.skip(2);
            return;
        }
        match c {
            'Q' if !in_class => {
                let quoted = &self.rest[2..];
                let (text, length) = match quoted.find(r"\E") {
                    Some(end) => (&quoted[..end], end + 4),
                    None => (quoted, quoted.len() + 2),
                };
                self.out.push_str(&regex::escape(text));
                self.skip(length);
            }
            '0'..='7' => {
                let digits = self.rest[1..].bytes().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
                let code = u32::from_str_radix(&self.rest[1..=digits], 8).unwrap_or_default();
                self.out.push_str(&format!("\\x{{{code:x}}}"));
                self.skip(1 + digits);
            }
            'p' | 'P' | 'x' => {
                self.copy(2);
                if self.rest.starts_with('{') {
                    let length = self.rest.find('}').map_or(self.rest.len(), |end| end + 1);
                    self.copy(length);
                }
            }
            c => self.copy(1 + c.len_utf8()),
        }
    }

    /// A group's opening, up to where its content begins.
    fn group(&mut self) {
        let Some(flags) = self.rest.strip_prefix("(?") else { return self.copy(1) };
        if flags.starts_with("P<") || flags.starts_with('<') {
            let length = flags.find('>').map_or(self.rest.len(), |end| end + 3);
            return self.copy(length);
        }
        let length = flags.find([':', ')']).unwrap_or(flags.len());
        let after = (length + 3).min(self.rest.len());
        // The crate takes each flag once, and no group that changes none.
        let (on, off) = flags[..length].split_once('-').unwrap_or((&flags[..length], ""));
        let once = |flags: &str| "imsU".chars().filter(|flag| flags.contains(*flag)).collect::<String>();
        let off = once(off);
        // What is set and then cleared is cleared.
        let on = once(on).replace(|flag| off.contains(flag), "");
        let end = &self.rest[length + 2..after];
        if !(on.is_empty() && off.is_empty() && end == ")") {
            let minus = if off.is_empty() { "" } else { "-" };
            self.out.push_str(&format!("(?{on}{minus}{off}{end}"));
        }
        self.skip(after);
    }

    /// A bracketed class.
    fn class(&mut self) {
        self.copy(1);
        if self.rest.starts_with('^') {
            self.copy(1);
        }
        // A bracket that comes first is a member.
        if self.rest.starts_with(']') {
            self.out.push('\\');
            self.copy(1);
            self.range();
        }
        while let Some(c) = self.rest.chars().next() {
            match c {
                ']' => return self.copy(1),
                '\\' => {
                    let is_set = self.rest[1..].starts_with(|c| "dDsSwWpP".contains(c));
                    self.escape(true);
                    if !is_set {
                        self.range();
                    }
                }
                '[' if self.rest.starts_with("[:") && self.rest.contains(":]") => {
                    let length = self.rest.find(":]").map_or(1, |end| end + 2);
                    self.copy(length);
                }
                _ => {
                    self.member();
                    self.range();
                }
            }
        }
    }

    /// A character of a class that stands for itself; set operations are the crate's own.
    fn member(&mut self) {
        match self.rest.chars().next() {
            Some('\\') => self.escape(true),
            Some('[' | '&' | '~' | '-') => {
                self.out.push('\\');
                self.copy(1);
            }
            Some(c) => self.copy(c.len_utf8()),
            None => {}
        }
    }

    /// What makes a range of the character before, if anything does: a dash, and any character but the end of the class.
    fn range(&mut self) {
        if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
            self.copy(1);
            self.member();
        }
    }
}

/// The length of `{2}`, `{2,}` or `{2,5}`, its lower number and its upper one, if there is one. A number may not begin with a needless 0.
fn counts(text: &str) -> Option<(usize, u32, Option<u32>)> {
    let end = text.find('}')?;
    let inner = &text[1..end];
    let (least, most) = inner.split_once(',').map_or((inner, inner), |(least, most)| (least, most));
    let number = |digits: &str| {
        let is_number = digits.bytes().all(|b| b.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'));
        (is_number && !digits.is_empty()).then(|| digits.parse().unwrap_or(u32::MAX))
    };
    let most = if most.is_empty() && !least.is_empty() { None } else { Some(number(most)?) };
    Some((end + 1, number(least)?, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let regex = compile_whole(pattern).unwrap_or_else(|reason| panic!("{pattern}: {reason}"));
        matching.iter().for_each(|text| assert!(regex.is_match(text), "{pattern} {text:?}"));
        others.iter().for_each(|text| assert!(!regex.is_match(text), "{pattern} {text:?}"));
    }

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        check("[[a-b]:1", &["a:1", "[:1"], &["c:1"]);
        check("(?ii)API", &["api"], &["ap"]);
        check("(?)api", &["api"], &["API"]);
        check("(?i-i:a)b|(?-s).", &["ab", "x"], &["Ab", "\n"]);
        check(r"\d+", &["12"], &["\u{661}"]);
        check("a.b", &["a\nb", "axb"], &["ab"]);
        check("a{,2}", &["a{,2}"], &["aa"]);
        check("[+--]:1", &["+:1", ",:1", "-:1"], &["*:1", ".:1"]);
        check("[--/x]", &["-", ".", "/", "x"], &["0", "w"]);
        check(r"[\d-x&&~~-]", &["1", "-", "x", "&", "~"], &["e", "a"]);
        check(r"[\x41-\x43]", &["A", "C"], &["D", "-"]);
        for (pattern, reason) in [
            ("a)|(b", "unexpected ): `a)|(b`"),
            ("[a--b]", "invalid character class range: `a--`"),
            ("(?P<na[me>x)", "invalid named capture: `(?P<na[me>`"),
            ("a{1000}{1000}", "invalid nested repetition operator: `{1000}{1000}`"),
            (r"\E", r"invalid escape sequence: `\E`"),
        ] {
            let error = compile_whole(pattern).unwrap_err();
            assert!(error.starts_with(PREFIX) && error.contains(reason), "{pattern}: {error}");
        }
    }
}
