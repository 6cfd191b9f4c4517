//! Exemplars in bytes: as a row of a day file, and as those of one batch in the intake log.
//!
//! Layout: `src/store/FORMAT.md`. Reading never panics and reserves nothing on a forged count.

use std::sync::Arc;

use model::Exemplar;

use crate::intake::{decode_labels, encode_labels};
use crate::wire::{BadBytes, Reader, put_bytes, put_signed, put_varint};

const ROW_VERSION: u8 = 1;

/// Value and labels; the time is in the row's key.
pub fn encode_row(exemplar: &Exemplar) -> Vec<u8> {
    let mut out = vec![ROW_VERSION];
    out.extend(exemplar.value.to_bits().to_le_bytes());
    out.extend(encode_labels(&exemplar.labels));
    out
}

/// Of a row: the same exemplar again has the same hash.
pub fn row_hash(row: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(row)
}

/// What [`encode_row`] wrote.
pub fn decode_row(at_ms: i64, bytes: &[u8]) -> Result<Exemplar, BadBytes> {
    let mut reader = Reader(bytes);
    if reader.byte()? != ROW_VERSION {
        return Err(BadBytes("an exemplar is of an unknown version"));
    }
    let value = f64::from_bits(reader.u64_le()?);
    Ok(Exemplar { at_ms, value, labels: decode_labels(reader.0, |text| Arc::from(text))? })
}

/// The exemplars of one batch, each with its series' number.
pub fn encode_batch(exemplars: &[(u32, Exemplar)]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, exemplars.len() as u64);
    for (series, exemplar) in exemplars {
        put_varint(&mut out, u64::from(*series));
        put_signed(&mut out, exemplar.at_ms);
        put_bytes(&mut out, &encode_row(exemplar));
    }
    out
}

/// What [`encode_batch`] wrote.
pub fn decode_batch(bytes: &[u8]) -> Result<Vec<(u32, Exemplar)>, BadBytes> {
    let mut reader = Reader(bytes);
    let count = reader.count(12)?;
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        let series = u32::try_from(reader.varint()?).map_err(|_| BadBytes("a series number is too large"))?;
        let at_ms = reader.signed()?;
        out.push((series, decode_row(at_ms, reader.bytes()?)?));
    }
    if reader.is_empty() { Ok(out) } else { Err(BadBytes("exemplars go on after their end")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Labels;

    #[test]
    fn exemplars_come_back_and_damage_is_an_error() {
        let exemplar = |at_ms, value, labels: &[(&str, &str)]| Exemplar {
            at_ms,
            value,
            labels: Labels::from_pairs(labels.iter().copied()),
        };
        let all = vec![
            (0, exemplar(i64::MIN, -0.0, &[])),
            (u32::MAX, exemplar(i64::MAX, f64::INFINITY, &[("trace_id", "5b8e"), ("ü", "\0")])),
        ];
        let bytes = encode_batch(&all);
        assert_eq!(decode_batch(&bytes), Ok(all));
        for at in 0..bytes.len() {
            assert!(decode_batch(&bytes[..at]).is_err(), "cut at {at}");
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut forged = bytes.clone();
                forged[at] = byte;
                if let Ok(read) = decode_batch(&forged) {
                    assert!(read.len() <= bytes.len());
                }
            }
        }
    }
}
