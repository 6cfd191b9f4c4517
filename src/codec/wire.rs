//! Small integers and byte strings as our own formats write them: LEB128 varints, zigzag for signed ones, lengths before bytes.
//!
//! Reading never panics and never trusts a declared length further than the bytes at hand.

/// Bytes that are not what their format says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadBytes(pub &'static str);

pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// The rest of some bytes, eaten from the front.
#[derive(Debug, Clone)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> Result<u8, BadBytes> {
        let (first, rest) = self.0.split_first().ok_or(BadBytes("it ends too early"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], BadBytes> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(BadBytes("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn u64_le(&mut self) -> Result<u64, BadBytes> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("eight bytes were taken")))
    }

    #[inline]
    pub fn varint(&mut self) -> Result<u64, BadBytes> {
        match self.0 {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.0 = rest;
                Ok(u64::from(*byte))
            }
            bytes => match bytes.first_chunk::<8>() {
                Some(word) => self.short_varint(u64::from_le_bytes(*word)),
                None => self.any_varint(),
            },
        }
    }

    /// One of at most eight bytes, which `word` begins with; its length is known at once, and the groups of seven bits are put together
    /// in three steps.
    #[inline]
    fn short_varint(&mut self, word: u64) -> Result<u64, BadBytes> {
        const LAST: u64 = 0x8080_8080_8080_8080;
        let last = !word & LAST;
        if last == 0 {
            return self.any_varint();
        }
        let bits = last.trailing_zeros() + 1;
        let groups = word & (u64::MAX >> (u64::BITS - bits)) & !LAST;
        let pairs = groups & 0x007f_007f_007f_007f | (groups & 0x7f00_7f00_7f00_7f00) >> 1;
        let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
        self.0 = &self.0[(bits / 8) as usize..];
        Ok(fours & 0x0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4)
    }

    fn any_varint(&mut self) -> Result<u64, BadBytes> {
        let mut value = 0u64;
        for (index, byte) in self.0.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                if index == 9 && *byte > 1 {
                    break;
                }
                self.0 = &self.0[index + 1..];
                return Ok(value);
            }
        }
        Err(BadBytes("a number ends too early or is too long"))
    }

    #[inline]
    pub fn signed(&mut self) -> Result<i64, BadBytes> {
        Ok(unzigzag(self.varint()?))
    }

    /// A count of things that each take at least `bytes_each` of what is left, so that a forged count reserves nothing.
    pub fn count(&mut self, bytes_each: usize) -> Result<usize, BadBytes> {
        let count = usize::try_from(self.varint()?).map_err(|_| BadBytes("a count is too large"))?;
        if count > self.0.len() / bytes_each.max(1) {
            return Err(BadBytes("a count is larger than what follows"));
        }
        Ok(count)
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], BadBytes> {
        let count = self.count(1)?;
        self.take(count)
    }

    pub fn text(&mut self) -> Result<&'a str, BadBytes> {
        std::str::from_utf8(self.bytes()?).map_err(|_| BadBytes("a text is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_bad_ones_are_refused() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            put_signed(&mut out, unzigzag(value));
            let mut reader = Reader(&out);
            assert_eq!((reader.varint(), reader.signed()), (Ok(value), Ok(unzigzag(value))));
            assert!(reader.is_empty());
        }
        for bits in 0..u64::BITS {
            for value in [u64::MAX >> bits, 1 << bits, 0x9e37_79b9_7f4a_7c15 >> bits] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                // With nothing behind it, and with more.
                let end = out.len();
                out.extend_from_slice(&[0xff; 9]);
                for bytes in [&out[..end], &out] {
                    let mut reader = Reader(bytes);
                    assert_eq!(reader.varint(), Ok(value));
                    assert_eq!(reader.0.len(), bytes.len() - end, "{value:x}");
                }
            }
        }
        for bad in [&[][..], &[0x80], &[0xff; 10], &[0xff; 11]] {
            assert!(Reader(bad).varint().is_err(), "{bad:?}");
        }
        assert!(Reader(&[200, 1, 7]).bytes().is_err());
        assert!(Reader(&[2, 0xff, 0xff]).text().is_err());
    }
}
