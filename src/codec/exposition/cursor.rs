//! A place in an exposition, moved forward by what fits.

pub(super) type Read<T> = Result<T, String>;

/// Longest piece of an exposition in a message of ours, in bytes.
const SHOWN_BYTES_MAX: usize = 60;

pub(super) struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(body: &'a [u8]) -> Cursor<'a> {
        Cursor { body, at: 0 }
    }

    /// The line that the next byte stands on, counted from 1.
    pub(super) fn line(&self) -> usize {
        self.body[..self.at].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.body.len()
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn go_back(&mut self, at: usize) {
        self.at = at.min(self.at);
    }

    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.body[start.min(self.at)..self.at]
    }

    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let fits = self.peek() == Some(byte);
        self.at += usize::from(fits);
        fits
    }

    pub(super) fn eat_text(&mut self, text: &[u8]) -> bool {
        let fits = self.body[self.at..].starts_with(text);
        self.at += if fits { text.len() } else { 0 };
        fits
    }

    #[inline]
    pub(super) fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.body[self.at..];
        let length = rest.iter().position(|byte| !fits(*byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Spaces and tabs; whether there were any.
    #[inline]
    pub(super) fn blanks(&mut self) -> bool {
        !self.take_while(|byte| byte == b' ' || byte == b'\t').is_empty()
    }

    /// The rest of the line without its end, which is passed over; whether it had one.
    pub(super) fn rest_of_line(&mut self) -> (&'a [u8], bool) {
        let rest = self.take_while(|byte| byte != b'\n');
        (rest, self.eat(b'\n'))
    }

    /// A letter, `_` or (in names of metrics) `:`, then those and digits; empty when there is none.
    pub(super) fn name(&mut self, of_metric: bool) -> &'a [u8] {
        let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || of_metric && byte == b':';
        if !self.peek().is_some_and(letter) {
            return &[];
        }
        self.take_while(|byte| letter(byte) || byte.is_ascii_digit())
    }

    /// What stands between the quotes that begin here, escapes as they are.
    pub(super) fn quoted(&mut self, newlines: bool, what: &str) -> Read<&'a str> {
        let start = self.at;
        if !self.eat(b'"') {
            return Err(format!("{what} expected, found {}", self.found()));
        }
        loop {
            let plain = |byte| byte != b'"' && byte != b'\\' && (newlines || byte != b'\n');
            self.take_while(plain);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    let inner = &self.body[start + 1..self.at - 1];
                    return std::str::from_utf8(inner).map_err(|_| format!("{what} {} is not UTF-8", shown(inner)));
                }
                Some(b'\\') if self.body.len() - self.at > 1 && (newlines || self.body[self.at + 1] != b'\n') => {
                    self.at += 2;
                }
                _ => {
                    let open = shown(&self.body[start..self.at]).into_owned();
                    // So that the line told is the one that began it.
                    self.at = start;
                    return Err(format!("{what} {open} is not closed"));
                }
            }
        }
    }

    /// What stands here, for a message.
    pub(super) fn found(&self) -> String {
        match self.peek() {
            None => "the end".into(),
            Some(b'\n') => "the end of the line".into(),
            Some(_) => {
                let rest = &self.body[self.at..];
                let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                format!("{:?}", shown(&rest[..length]))
            }
        }
    }
}

/// A piece of an exposition as a message may show it.
pub(super) fn shown(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES_MAX)])
}
