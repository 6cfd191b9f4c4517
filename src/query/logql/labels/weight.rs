//! How large records are.

use codec::block::{BlockError, ValueRef};
use codec::packed::FLAT_BYTES;

use crate::logs::row::Rows;

impl Rows {
    /// What the record weighs beside others, in bytes: its line, its own attributes, and a flat part.
    pub(crate) fn weight(&self, at: usize) -> Result<u64, BlockError> {
        if let Rows::Head(part) = self {
            return Ok(part.record(at).raw_bytes());
        }
        let mut bytes = FLAT_BYTES + self.line(at)?.len();
        self.own_attributes(at, |key, value| {
            bytes += key.len()
                + match value {
                    ValueRef::Str(text) => text.len(),
                    ValueRef::Int(_) | ValueRef::Double(_) => size_of::<u64>(),
                    ValueRef::Other(value) => value.to_text().len(),
                };
        })?;
        Ok(bytes as u64)
    }
}
