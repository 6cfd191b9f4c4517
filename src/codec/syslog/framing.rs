//! Where messages end on a stream (RFC 6587): by a count of octets in front, or by a line's end. Each message chooses for itself.

/// Most digits of a count; with more it is taken for a line.
const COUNT_DIGITS_MAX: usize = 9;

/// One message's bytes, and how many more it had that were passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub bytes: Vec<u8>,
    pub cut_bytes: u64,
}

/// Cuts a stream into messages. Keeps no more than one message's limit and what was fed last.
#[derive(Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Bytes of the buffer that were handed out.
    taken: usize,
    /// Of a message over the limit: its beginning, what was passed over, and how it ends.
    cutting: Option<(Frame, Rest)>,
    bytes_max: usize,
}

#[derive(Debug, Clone, Copy)]
enum Rest {
    Octets(u64),
    Line,
}

impl Framer {
    /// Messages above `bytes_max` bytes are cut there.
    pub fn new(bytes_max: usize) -> Framer {
        Framer { buffer: Vec::new(), taken: 0, cutting: None, bytes_max }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        // Once a piece, not once a message.
        self.buffer.drain(..std::mem::take(&mut self.taken));
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that are kept until their message is whole.
    pub fn buffered(&self) -> usize {
        self.rest().len() + self.cutting.as_ref().map_or(0, |(frame, _)| frame.bytes.len())
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// The next whole message. Call it until `None` after each [`Framer::feed`]. Empty lines are no messages.
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            let frame = self.step()?;
            if !frame.bytes.trim_ascii().is_empty() || frame.cut_bytes > 0 {
                return Some(frame);
            }
        }
    }

    /// What is left when the stream ends: a message without an end is a message.
    pub fn finish(mut self) -> Option<Frame> {
        if let Some((frame, _)) = self.cutting.take() {
            return Some(frame);
        }
        let start = self.octets().map_or(0, |(start, _)| start);
        let bytes = self.rest()[start..].to_vec();
        (!bytes.trim_ascii().is_empty()).then_some(Frame { bytes, cut_bytes: 0 })
    }

    fn step(&mut self) -> Option<Frame> {
        if self.cutting.is_some() {
            return self.pass_over();
        }
        if let Some((start, count)) = self.octets() {
            let available = self.rest().len() - start;
            return if count > self.bytes_max && available >= self.bytes_max {
                self.cut(start, Rest::Octets((count - self.bytes_max) as u64))
            } else if available >= count {
                let bytes = self.rest()[start..start + count].to_vec();
                self.taken += start + count;
                Some(Frame { bytes, cut_bytes: 0 })
            } else {
                None
            };
        }
        match line_end(self.rest()) {
            Some(end) if end <= self.bytes_max => {
                let bytes = self.rest()[..end].to_vec();
                self.taken += end + 1;
                Some(Frame { bytes, cut_bytes: 0 })
            }
            None if self.rest().len() <= self.bytes_max => None,
            _ => self.cut(0, Rest::Line),
        }
    }

    /// Keeps the beginning of a message over the limit.
    fn cut(&mut self, start: usize, rest: Rest) -> Option<Frame> {
        let bytes = self.rest()[start..start + self.bytes_max].to_vec();
        self.taken += start + self.bytes_max;
        self.cutting = Some((Frame { bytes, cut_bytes: 0 }, rest));
        self.pass_over()
    }

    /// Goes on to the end of the message that is being cut; returns it there.
    fn pass_over(&mut self) -> Option<Frame> {
        let available = &self.buffer[self.taken..];
        let (frame, rest) = self.cutting.as_mut()?;
        let (gone, terminator, ended) = match rest {
            Rest::Octets(left) => {
                let gone = available.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= gone as u64;
                (gone, 0, *left == 0)
            }
            Rest::Line => match line_end(available) {
                Some(end) => (end, 1, true),
                None => (available.len(), 0, false),
            },
        };
        frame.cut_bytes += gone as u64;
        self.taken += gone + terminator;
        if ended { self.cutting.take().map(|(frame, _)| frame) } else { None }
    }

    /// Where a counted message starts, and its octets: `34 <165>1 ...`. A line of syslog begins with `<`, never with a digit.
    fn octets(&self) -> Option<(usize, usize)> {
        let rest = self.rest();
        let digits = rest.iter().take(COUNT_DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits > COUNT_DIGITS_MAX || rest.get(digits) != Some(&b' ') || rest[0] == b'0' {
            return None;
        }
        // What follows a count is a message with its priority; anything else is a line that begins with a number.
        if rest.get(digits + 1).is_some_and(|byte| *byte != b'<') {
            return None;
        }
        let count = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
        Some((digits + 1, count))
    }
}

fn line_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr2(b'\n', b'\0', bytes)
}
