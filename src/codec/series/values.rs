//! A block of one label's values, in order, each with the series that have it.

use super::runs::{Runs, put_runs};
use super::{seal, unseal};
use crate::wire::{BadBytes, Reader, put_bytes, put_varint};

/// Writes values, ascending, each with its series, ascending.
///
/// # Errors
/// When zstd cannot compress, which means that memory is short.
pub fn encode_values<V: AsRef<str>, N: IntoIterator<Item = u32>>(
    values: impl IntoIterator<Item = (V, N)>,
) -> std::io::Result<Vec<u8>> {
    let (mut texts, mut postings, mut count) = (Vec::new(), Vec::new(), 0);
    let mut last = String::new();
    for (value, numbers) in values {
        let value = value.as_ref();
        let shared = last.bytes().zip(value.bytes()).take_while(|(a, b)| a == b).count();
        put_varint(&mut texts, shared as u64);
        put_bytes(&mut texts, &value.as_bytes()[shared..]);
        put_runs(&mut postings, numbers);
        count += 1;
        last.clear();
        last.push_str(value);
    }
    let mut raw = Vec::with_capacity(texts.len() + postings.len() + 5);
    put_varint(&mut raw, count);
    raw.extend_from_slice(&texts);
    raw.extend_from_slice(&postings);
    seal(&raw)
}

/// A block in memory.
#[derive(Debug)]
pub struct ValueBlock {
    values: Vec<(Box<str>, Runs)>,
    bytes: usize,
}

impl ValueBlock {
    /// What [`encode_values`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<ValueBlock, BadBytes> {
        let raw = unseal(bytes)?;
        let mut reader = Reader(&raw);
        let mut texts: Vec<Box<str>> = Vec::new();
        let mut last: Vec<u8> = Vec::new();
        let mut bytes = 0usize;
        for _ in 0..reader.count(3)? {
            let shared = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
            if shared > last.len() {
                return Err(BadBytes("a value shares more than there is"));
            }
            last.truncate(shared);
            last.extend_from_slice(reader.bytes()?);
            let text = std::str::from_utf8(&last).map_err(|_| BadBytes("a text is not UTF-8"))?;
            if texts.last().is_some_and(|before| &**before >= text) {
                return Err(BadBytes("values are out of order"));
            }
            bytes = bytes.saturating_add(text.len());
            // Shared beginnings could be forged into much more than was read.
            if bytes > super::RAW_BYTES_MAX {
                return Err(BadBytes("it is larger than it may be"));
            }
            texts.push(text.into());
        }
        let mut values = Vec::with_capacity(texts.len());
        for text in texts {
            let runs = Runs::read(&mut reader)?;
            bytes += runs.bytes() + size_of::<(Box<str>, Runs)>();
            values.push((text, runs));
        }
        if !reader.is_empty() {
            return Err(BadBytes("it goes on after its end"));
        }
        Ok(ValueBlock { values, bytes })
    }

    /// In order.
    pub fn values(&self) -> &[(Box<str>, Runs)] {
        &self.values
    }

    pub fn get(&self, value: &str) -> Option<&Runs> {
        let at = self.values.binary_search_by(|(known, _)| (**known).cmp(value)).ok()?;
        Some(&self.values[at].1)
    }

    /// Memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_and_forged_ones_never_panic() {
        let values =
            [("", vec![1]), ("a", vec![0, 1, 2]), ("api-1", vec![7]), ("api-ü", vec![8, u32::MAX]), ("b", vec![])];
        let bytes = encode_values(values.iter().map(|(value, numbers)| (value, numbers.iter().copied()))).unwrap();
        let block = ValueBlock::decode(&bytes).unwrap();
        let back: Vec<_> =
            block.values().iter().map(|(value, runs)| (&**value, runs.iter().flatten().collect())).collect();
        assert_eq!(back, values);
        assert_eq!(block.get("api-1").unwrap().len(), 1);
        assert!(block.get("api").is_none());
        let raw = unseal(&bytes).unwrap();
        for at in 0..raw.len() {
            assert!(ValueBlock::decode(&bytes[..at.min(bytes.len() - 1)]).is_err());
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut forged = raw.clone();
                forged[at] = byte;
                drop(ValueBlock::decode(&seal(&forged).unwrap()));
            }
        }
    }
}
