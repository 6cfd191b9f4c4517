//! What to say of a number that is none.

/// What is wrong with a text that begins with a digit: it names as much of it as Prometheus' lexer reads before it gives up
/// (promql/parser/lex.go, scanNumber and acceptRemainingDuration).
pub(crate) fn wrong_number(rest: &str, written: &str) -> String {
    duration(written).unwrap_or_else(|| {
        let scanned = scanned(rest.as_bytes());
        let shown = if scanned == 0 { written } else { &rest[..scanned] };
        format!("bad number or duration syntax: {shown:?}")
    })
}

/// Whether all that is `written` at the start of `rest` is a number: an underscore stands between two digits.
pub(crate) fn is_number(rest: &str, written: &str) -> bool {
    let mut scan = Scan { bytes: rest.as_bytes(), at: 0 };
    scan.number() && scan.at == written.len() && !written.ends_with('_')
}

/// The same of what has the shape of a duration.
fn duration(written: &str) -> Option<String> {
    let mut rest = written;
    let mut unknown = None;
    loop {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let length = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let (name, after) = unit.split_at(length);
        let is_first = rest.len() == written.len();
        let units = if is_first { "smhdwy" } else { "smhdw" };
        let is_unit =
            name.len() <= 2 && name.strip_prefix(|c| units.contains(c)).is_some_and(|s| matches!(s, "" | "s"));
        if unit.len() == rest.len() || !is_unit {
            return None;
        }
        unknown = unknown.or((name.len() == 2 && name != "ms").then_some(name));
        if after.is_empty() {
            return Some(match unknown {
                Some(unit) => format!("unknown unit {unit:?} in duration {written:?}"),
                None => format!("not a valid duration string: {written:?}"),
            });
        }
        rest = after;
    }
}

/// How many bytes Prometheus' lexer has read when it finds that they are neither number nor duration.
fn scanned(bytes: &[u8]) -> usize {
    let mut scan = Scan { bytes, at: 0 };
    if !scan.number() {
        scan.duration();
    }
    scan.at
}

struct Scan<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Scan<'_> {
    fn is(&self, set: &[u8]) -> bool {
        self.bytes.get(self.at).is_some_and(|byte| set.contains(byte))
    }

    fn accept(&mut self, set: &[u8]) -> bool {
        let accepted = self.is(set);
        self.at += usize::from(accepted);
        accepted
    }

    fn is_at_word(&self) -> bool {
        self.bytes.get(self.at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    }

    fn number(&mut self) -> bool {
        let is_hex = self.accept(b"0") && self.accept(b"xX");
        let digits: &[u8] = if is_hex { b"0123456789abcdefABCDEF" } else { b"0123456789" };
        if is_hex {
            self.accept(b"_");
        }
        self.accept(b".");
        self.accept(digits);
        let (mut has_dot, mut has_exponent) = (false, false);
        loop {
            if self.is(b".") {
                self.at += 1;
                if has_dot || self.accept(b"_.") || is_hex {
                    return false;
                }
                has_dot = true;
            } else if self.is(b"eE") {
                self.at += 1;
                if has_exponent {
                    return false;
                }
                has_exponent = true;
                self.accept(b"+-");
                if self.accept(b"._eE") || self.at == self.bytes.len() {
                    return false;
                }
            } else if self.accept(b"_") {
                if self.accept(b"._eE") || self.at == self.bytes.len() {
                    return false;
                }
            } else if !self.accept(digits) {
                return !self.is_at_word();
            }
        }
    }

    fn duration(&mut self) {
        let mut units: &[u8] = b"smhdwy";
        loop {
            if !self.accept(units) {
                return;
            }
            self.accept(b"s");
            if !self.accept(b"0123456789") {
                break;
            }
            while self.accept(b"0123456789") {}
            // Years come first only.
            units = b"smhdw";
        }
        // What stands right behind is read before it is seen to be wrong.
        self.at += usize::from(self.at < self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_is_named_as_was_read() {
        for (rest, shown) in [
            ("100..4", "100.."),
            ("0deadbeef", "0de"),
            ("03T13:21", "03"),
            ("5mcode", "5mc"),
            ("1__2", "1__"),
            ("1e", "1e"),
            ("0x1.5", "0x1."),
        ] {
            let said = wrong_number(rest, rest);
            assert_eq!(said, format!("bad number or duration syntax: {shown:?}"), "{rest}");
        }
    }
}
