//! Go's regular expressions (RE2) on the `regex` crate, whose syntax is nearly the same: what Prometheus, Loki and Alertmanager mean
//! by a pattern.
//!
//! Where the two differ, the pattern is translated: `\d`, `\w`, `\s` and `\b` are ASCII, `\<` is `<`, `\Q...\E` quotes, `\012` is an octal
//! number, a brace that is no repetition and a bracket inside a class stand for themselves. What RE2 refuses is refused.
//! Source: Go's documentation of `regexp/syntax`.

use regex::{Regex, RegexBuilder};

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
/// What is wrong with it, in words.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    build(&translate(pattern)?)
}

/// Compiles a pattern that has to match a whole text; a dot does not match a newline (Loki).
///
/// # Errors
/// As of [`compile`].
pub fn compile_anchored(pattern: &str) -> Result<Regex, String> {
    build(&format!("^(?:{})$", closed(pattern)?))
}

/// Compiles a pattern that has to match a whole text; a dot matches a newline too (Prometheus).
///
/// # Errors
/// As of [`compile`].
pub fn compile_whole(pattern: &str) -> Result<Regex, String> {
    build(&format!("^(?s:{})$", closed(pattern)?))
}

/// A translation that can stand in a group: `a)|(b` would close it.
fn closed(pattern: &str) -> Result<String, String> {
    let translated = translate(pattern)?;
    match regex_syntax::parse(&translated) {
        Ok(_) => Ok(translated),
        Err(regex_syntax::Error::Parse(error)) => Err(format!("{PREFIX}{}", error.kind())),
        Err(regex_syntax::Error::Translate(error)) => Err(format!("{PREFIX}{}", error.kind())),
        Err(other) => Err(format!("{PREFIX}{other}")),
    }
}

fn build(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("error parsing regexp: expression is too large: it compiles to more than {limit} bytes")
        }
        // The last line says what is wrong, those before it show the place.
        error => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("error parsing regexp: {reason}")
        }
    })
}

/// A pattern of RE2 as one of the `regex` crate.
///
/// # Errors
/// For what RE2 refuses and the crate would take: its flags beyond `imsU`, a repetition of a repetition, counts above 1,000.
pub fn translate(pattern: &str) -> Result<String, String> {
    let mut translation = Translation { rest: pattern, out: String::with_capacity(pattern.len() + 16) };
    translation.run()?;
    Ok(translation.out)
}

struct Translation<'a> {
    rest: &'a str,
    out: String,
}

impl<'a> Translation<'a> {
    fn run(&mut self) -> Result<(), String> {
        // Whether the last thing written was a repetition, and its text.
        let mut repeated: Option<&'a str> = None;
        while let Some(c) = self.rest.chars().next() {
            let before = self.rest;
            let mut repetition = false;
            match c {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '(' => self.group()?,
                '*' | '+' | '?' => {
                    self.copy(1);
                    repetition = true;
                }
                '{' => match counts(self.rest) {
                    Some((length, most)) => {
                        if most > REPEAT_MAX {
                            let shown = &self.rest[..length];
                            return Err(format!("error parsing regexp: invalid repeat count: `{shown}`"));
                        }
                        self.copy(length);
                        repetition = true;
                    }
                    None => {
                        self.out.push('\\');
                        self.copy(1);
                    }
                },
                c => self.copy(c.len_utf8()),
            }
            if repetition {
                // One `?` makes it lazy.
                if self.rest.starts_with('?') {
                    self.copy(1);
                }
                let written = &before[..before.len() - self.rest.len()];
                if let Some(earlier) = repeated {
                    let shown = format!("{earlier}{written}");
                    return Err(format!("error parsing regexp: invalid nested repetition operator: `{shown}`"));
                }
                repeated = Some(written);
            } else {
                repeated = None;
            }
        }
        Ok(())
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
    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let mut chars = self.rest.chars().skip(1);
        let Some(c) = chars.next() else {
            return Err("error parsing regexp: trailing backslash at end of expression: ``".into());
        };
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
            return Ok(());
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
            // RE2 drops an end without a start.
            'E' if !in_class => self.skip(2),
            '0'..='7' => {
                let digits = self.rest[1..].bytes().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
                // A single digit other than 0 would be a backreference.
                if c != '0' && digits == 1 {
                    return Err(format!("error parsing regexp: invalid escape sequence: `\\{c}`"));
                }
                let code = u32::from_str_radix(&self.rest[1..=digits], 8).unwrap_or_default();
                self.out.push_str(&format!("\\x{{{code:x}}}"));
                self.skip(1 + digits);
            }
            // The crate knows letters that RE2 does not.
            c if c.is_ascii_alphanumeric() && !"AzafnrtvxpPCQE".contains(c) => {
                return Err(format!("error parsing regexp: invalid escape sequence: `\\{c}`"));
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
        Ok(())
    }

    /// A group's opening, up to where its content begins.
    fn group(&mut self) -> Result<(), String> {
        let Some(flags) = self.rest.strip_prefix("(?") else {
            self.copy(1);
            return Ok(());
        };
        if flags.starts_with("P<") || flags.starts_with('<') {
            let length = flags.find('>').map_or(self.rest.len(), |end| end + 3);
            let shown = &self.rest[..length];
            let name = shown.trim_start_matches(['(', '?', 'P']).trim_start_matches('<').strip_suffix('>');
            let is_word = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !name.is_some_and(|name| !name.is_empty() && is_word(name)) {
                return Err(format!("{PREFIX}invalid named capture: `{shown}`"));
            }
            self.copy(length);
            return Ok(());
        }
        let length = flags.find([':', ')']).unwrap_or(flags.len());
        let after = (length + 3).min(self.rest.len());
        if !flags[..length].chars().all(|c| "imsU-".contains(c)) {
            let shown = &self.rest[..after];
            return Err(format!("error parsing regexp: invalid or unsupported Perl syntax: `{shown}`"));
        }
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
        Ok(())
    }

    /// A bracketed class.
    fn class(&mut self) -> Result<(), String> {
        self.copy(1);
        if self.rest.starts_with('^') {
            self.copy(1);
        }
        // A bracket that comes first is a member.
        if self.rest.starts_with(']') {
            self.out.push('\\');
            self.copy(1);
        }
        while let Some(c) = self.rest.chars().next() {
            match c {
                ']' => {
                    self.copy(1);
                    return Ok(());
                }
                '\\' => {
                    let is_set = self.rest[1..].starts_with(|c| "dDsSwWpP".contains(c));
                    self.escape(true)?;
                    if !is_set {
                        self.range()?;
                    }
                }
                '[' if self.rest.starts_with("[:") && self.rest.contains(":]") => {
                    let length = self.rest.find(":]").map_or(1, |end| end + 2);
                    self.copy(length);
                }
                _ => {
                    self.member()?;
                    self.range()?;
                }
            }
        }
        Err("error parsing regexp: missing closing ]".into())
    }

    /// A character of a class that stands for itself; set operations are the crate's own.
    fn member(&mut self) -> Result<(), String> {
        match self.rest.chars().next() {
            Some('\\') => return self.escape(true),
            Some('[' | '&' | '~' | '-') => {
                self.out.push('\\');
                self.copy(1);
            }
            Some(c) => self.copy(c.len_utf8()),
            None => {}
        }
        Ok(())
    }

    /// What makes a range of the character before, if anything does: a dash, and any character but the end of the class.
    fn range(&mut self) -> Result<(), String> {
        if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
            self.copy(1);
            self.member()?;
        }
        Ok(())
    }
}

/// The length of `{2}`, `{2,}` or `{2,5}` and its highest number.
fn counts(text: &str) -> Option<(usize, u32)> {
    let end = text.find('}')?;
    let inner = &text[1..end];
    let (least, most) = inner.split_once(',').map_or((inner, None), |(least, most)| (least, Some(most)));
    let number = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| digits.parse().unwrap_or(u32::MAX))
    };
    let least = number(least)?;
    let most = match most {
        None | Some("") => least,
        Some(most) => number(most)?,
    };
    Some((end + 1, least.max(most)))
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
            (".*+", "nested repetition"),
            ("a)|(b", "unopened group"),
            ("(", "unclosed group"),
            ("(?z)", "Perl syntax"),
            ("[a", "missing closing ]"),
            ("a{1000}{1000}", "repetition"),
            ("[a--b]", "invalid character class range"),
            ("(?P<na[me>x)", "invalid named capture"),
        ] {
            let error = compile_whole(pattern).unwrap_err();
            assert!(error.starts_with(PREFIX) && error.contains(reason), "{pattern}: {error}");
        }
    }
}
