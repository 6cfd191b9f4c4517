//! Fingerprints: what a sender wrote, as 128 bits, so that a series seen before is found without building labels.
//!
//! xxh3, never stored: the keys live as long as the process. Everything that decides about the labels goes in
//! (resource, metric, point attributes, which series of the point), each under its own length or width.

use model::MetricMeta;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// Of raw bytes.
#[inline]
pub(crate) fn of(bytes: &[u8]) -> u128 {
    xxh3_128(bytes)
}

/// Of two fingerprints in this order.
#[inline]
pub(crate) fn pair(first: u128, second: u128) -> u128 {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&first.to_le_bytes());
    bytes[16..].copy_from_slice(&second.to_le_bytes());
    xxh3_128(&bytes)
}

/// Of several texts, none of which can run into the next.
pub(crate) fn of_texts(texts: &[&str]) -> u128 {
    xxh3_128(&delimited(texts))
}

fn delimited(texts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(texts.iter().map(|text| text.len() + 8).sum());
    for text in texts {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The hash that `KnownSeries::knows_metadata` is asked for. Stable: a store may keep it.
pub fn metadata_hash(meta: &MetricMeta) -> u64 {
    let MetricMeta { family, kind, unit, help } = meta;
    xxh3_64(&delimited(&[family, kind.as_str(), unit, help]))
}
