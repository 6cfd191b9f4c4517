//! `fmt.Sprintf`: a format and its arguments, and what Go says in the output of those that do not fit.

use crate::verb::{Flags, typed, verb_text};
use crate::{OUTPUT_BYTES_MAX, Value};

/// Widest field and longest precision of a verb; Go's own limit is a million, which would be output for nothing.
const SIZE_MAX: usize = 1_000;
/// Larger numbers Go takes for no width.
const GO_SIZE_MAX: i64 = 1_000_000;

/// A wrong verb or a missing argument is said in the output, as in Go; only a size is an error.
pub fn printf(format: &str, arguments: &[Value]) -> Result<String, String> {
    let mut printer = Printer { rest: format, arguments, next: 0, reordered: false, is_good: true, out: String::new() };
    while let Some(at) = printer.rest.find('%') {
        printer.out.push_str(&printer.rest[..at]);
        printer.rest = &printer.rest[at + 1..];
        printer.directive()?;
        if printer.out.len() > OUTPUT_BYTES_MAX {
            return Err(format!("the output is longer than {OUTPUT_BYTES_MAX} bytes"));
        }
    }
    let Printer { rest, next, reordered, mut out, .. } = printer;
    out.push_str(rest);
    if !reordered && next < arguments.len() {
        let extra: Vec<String> = arguments[next..].iter().map(|value| typed(value, &Flags::default())).collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(out)
}

struct Printer<'a> {
    /// Of the format.
    rest: &'a str,
    arguments: &'a [Value],
    next: usize,
    /// Whether an index has said which argument is meant.
    reordered: bool,
    /// Whether the directive's indexes are such.
    is_good: bool,
    out: String,
}

impl Printer<'_> {
    /// What stands behind a `%`.
    fn directive(&mut self) -> Result<(), String> {
        self.is_good = true;
        let mut flags = Flags::default();
        while let Some(flag) = self.rest.bytes().next() {
            match flag {
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                b'0' => flags.zero = true,
                b'#' => flags.sharp = true,
                _ => break,
            }
            self.rest = &self.rest[1..];
        }
        let mut is_behind_index = self.index();
        if self.take('*') {
            match self.size_argument()? {
                None => self.out.push_str("%!(BADWIDTH)"),
                Some(width) => {
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                    if width < 0 {
                        (flags.minus, flags.zero) = (true, false);
                    }
                }
            }
            is_behind_index = false;
        } else {
            flags.width = self.number()?;
            self.is_good &= !(is_behind_index && flags.width.is_some());
        }
        if self.take('.') {
            self.is_good &= !is_behind_index;
            is_behind_index = self.index();
            if self.take('*') {
                flags.precision = self.size_argument()?.and_then(|precision| usize::try_from(precision).ok());
                if flags.precision.is_none() {
                    self.out.push_str("%!(BADPREC)");
                }
                is_behind_index = false;
            } else {
                flags.precision = Some(self.number()?.unwrap_or(0));
            }
        }
        if !is_behind_index {
            self.index();
        }
        self.verb(flags);
        Ok(())
    }

    fn verb(&mut self, mut flags: Flags) {
        let Some(verb) = self.rest.chars().next() else {
            self.out.push_str("%!(NOVERB)");
            return;
        };
        self.rest = &self.rest[verb.len_utf8()..];
        if verb == '%' {
            self.out.push('%');
            return;
        }
        if !self.is_good {
            self.out.push_str(&format!("%!{verb}(BADINDEX)"));
            return;
        }
        match self.arguments.get(self.next) {
            None => self.out.push_str(&format!("%!{verb}(MISSING)")),
            Some(value) => {
                if verb == 'v' {
                    // Flags of structs alone.
                    flags.plus = false;
                    flags.go_syntax = std::mem::take(&mut flags.sharp);
                }
                self.out.push_str(&verb_text(verb, value, &flags));
                self.next += 1;
            }
        }
    }

    fn take(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// `[2]` says that the second argument comes next. Whether it does.
    fn index(&mut self) -> bool {
        if !self.rest.starts_with('[') {
            return false;
        }
        self.reordered = true;
        let end = if self.rest.len() < 3 { None } else { self.rest.find(']') };
        let Some(end) = end else {
            self.is_good = false;
            self.rest = &self.rest[1..];
            return false;
        };
        let text = &self.rest[1..end];
        self.rest = &self.rest[end + 1..];
        let number = text.parse::<usize>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        match number.map(|number| number.wrapping_sub(1)) {
            Some(index) if index < self.arguments.len() => self.next = index,
            _ => self.is_good = false,
        }
        number.is_some()
    }

    /// A width or precision that an argument says; `None` when it is none.
    fn size_argument(&mut self) -> Result<Option<i64>, String> {
        let Some(value) = self.arguments.get(self.next) else { return Ok(None) };
        self.next += 1;
        let size = match value {
            Value::Int(size) => Some(*size),
            Value::Object(object) => object.number(),
            _ => None,
        };
        let size = size.filter(|size| (-GO_SIZE_MAX..=GO_SIZE_MAX).contains(size));
        match size {
            Some(size) if size.unsigned_abs() > SIZE_MAX as u64 => Err(too_wide()),
            size => Ok(size),
        }
    }

    fn number(&mut self) -> Result<Option<usize>, String> {
        let count = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        if digits.is_empty() {
            return Ok(None);
        }
        match digits.parse() {
            Ok(size) if size <= SIZE_MAX => Ok(Some(size)),
            _ => Err(too_wide()),
        }
    }
}

fn too_wide() -> String {
    format!("a width or precision of printf is at most {SIZE_MAX}")
}
