//! Primitives of the rows in `alerts.redb` and `node.redb`: varints, length-prefixed text, little-endian floats.
//!
//! Rows are short and read whole, so there is no offset table. Reading garbage is an error, never a panic: every length is
//! checked against what is left before anything is allocated.

/// A row that is not what this program writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("row ends early at byte {at}")]
    Short { at: usize },
    #[error("row has {left} bytes too many")]
    Long { left: usize },
    #[error("row has a bad {what} at byte {at}")]
    Bad { what: &'static str, at: usize },
    #[error("row was written in version {found}, this program reads up to {supported}")]
    Newer { found: u8, supported: u8 },
}

/// Builds a row that begins with its version.
pub struct RowWriter(Vec<u8>);

impl RowWriter {
    pub fn new(version: u8) -> RowWriter {
        RowWriter(vec![version])
    }

    pub fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    /// LEB128.
    pub fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Zigzag LEB128.
    pub fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)) as u64);
    }

    /// A byte 0, or a byte 1 and the value.
    pub fn optional_signed(&mut self, value: Option<i64>) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            self.signed(value);
        }
    }

    /// Eight bytes, so that a NaN keeps its payload.
    pub fn float(&mut self, value: f64) {
        self.0.extend_from_slice(&value.to_bits().to_le_bytes());
    }

    pub fn text(&mut self, value: &str) {
        self.unsigned(value.len() as u64);
        self.0.extend_from_slice(value.as_bytes());
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Takes a row apart in the order it was built.
pub struct RowReader<'a> {
    row: &'a [u8],
    at: usize,
    version: u8,
}

impl<'a> RowReader<'a> {
    /// Reads the version; a newer one than `supported` is an error.
    pub fn new(row: &'a [u8], supported: u8) -> Result<RowReader<'a>, RowError> {
        let mut reader = RowReader { row, at: 0, version: 0 };
        match reader.byte()? {
            0 => Err(RowError::Bad { what: "version", at: 0 }),
            found if found > supported => Err(RowError::Newer { found, supported }),
            found => Ok(RowReader { version: found, ..reader }),
        }
    }

    /// The version it was written in.
    pub fn version(&self) -> u8 {
        self.version
    }

    pub fn byte(&mut self) -> Result<u8, RowError> {
        let byte = *self.row.get(self.at).ok_or(RowError::Short { at: self.at })?;
        self.at += 1;
        Ok(byte)
    }

    pub fn unsigned(&mut self) -> Result<u64, RowError> {
        let start = self.at;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RowError::Bad { what: "number", at: start })
    }

    pub fn signed(&mut self) -> Result<i64, RowError> {
        let value = self.unsigned()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub fn optional_signed(&mut self) -> Result<Option<i64>, RowError> {
        Ok(if self.flag()? { Some(self.signed()?) } else { None })
    }

    pub fn flag(&mut self) -> Result<bool, RowError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.bad("flag")),
        }
    }

    /// A number that must fit a narrower type.
    pub fn narrow<T: TryFrom<u64>>(&mut self) -> Result<T, RowError> {
        let start = self.at;
        T::try_from(self.unsigned()?).map_err(|_| RowError::Bad { what: "number", at: start })
    }

    pub fn float(&mut self) -> Result<f64, RowError> {
        let bytes = self.take(8)?;
        Ok(f64::from_bits(u64::from_le_bytes(bytes.try_into().expect("took eight bytes"))))
    }

    pub fn text(&mut self) -> Result<&'a str, RowError> {
        let start = self.at;
        let length: usize = self.narrow()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| RowError::Bad { what: "text", at: start })
    }

    /// The count of a list whose items take at least one byte each, so that it can be trusted for an allocation.
    pub fn count(&mut self) -> Result<usize, RowError> {
        let count: usize = self.narrow()?;
        if count > self.row.len() - self.at {
            return Err(RowError::Short { at: self.row.len() });
        }
        Ok(count)
    }

    /// The error for a byte just read that means nothing.
    pub fn bad(&self, what: &'static str) -> RowError {
        RowError::Bad { what, at: self.at - 1 }
    }

    /// All must have been read.
    pub fn finish(self) -> Result<(), RowError> {
        match self.row.len() - self.at {
            0 => Ok(()),
            left => Err(RowError::Long { left }),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], RowError> {
        let end =
            self.at.checked_add(length).filter(|end| *end <= self.row.len()).ok_or(RowError::Short { at: self.at })?;
        let bytes = &self.row[self.at..end];
        self.at = end;
        Ok(bytes)
    }
}
