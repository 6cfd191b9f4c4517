//! How large records are.

use codec::block::{BlockError, ValueRef};

use crate::logs::row::Rows;

impl Rows {
    /// What the record weighs beside others of its source, in bytes: its line and its own attributes.
    pub(crate) fn weight(&self, at: usize) -> Result<u64, BlockError> {
        if let Rows::Head(part) = self {
            return Ok(part.record(at).raw_bytes());
        }
        let mut bytes = self.line(at)?.len();
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
