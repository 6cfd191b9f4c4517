//! Histogram chunks: native histograms of one series, times strictly growing; every bit of every number comes back.
//!
//! Each is written as its difference from the one before, and the whole is compressed. The layout is in `src/store/FORMAT.md`,
//! "Histogram chunks". Decoding never panics, and reserves no more than what is there could hold.

use std::cell::RefCell;
use std::sync::Arc;

use model::Histogram;

use crate::histogram::{bucket_count, is_storable, put, take};
use crate::wire::{BadBytes, Reader, put_bytes, put_signed, put_varint};

/// First byte of every chunk.
const VERSION: u8 = 1;
/// Most histograms of one chunk.
pub const CHUNK_HISTOGRAMS_MAX: usize = 240;
/// Bytes before compression at which a chunk takes no further histogram.
const CHUNK_PLAIN_BYTES: usize = 128 << 10;
/// Largest body before compression, in bytes. A full chunk and the largest histogram (twice [`crate::histogram::BUCKETS_MAX`]
/// buckets, each an index of at most 5 bytes and a count of at most 8) are 544 KiB.
const PLAIN_BYTES_MAX: u64 = 1 << 20;
/// Level 1: as for the intake log, higher ones save little.
const ZSTD_LEVEL: i32 = 1;
const CHECKSUM_BYTES: usize = 4;

thread_local! {
    // A fresh zstd context costs more than a chunk.
    static SQUEEZE: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
}

/// What a chunk says of itself without being decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistogramHead {
    pub histograms: usize,
    pub first_ms: i64,
    pub last_ms: i64,
    /// Of all its histograms together.
    pub buckets: u64,
}

/// Encodes the first histograms of a run, as many as a chunk takes, and tells how many those are: at least one.
///
/// # Panics
/// When there are none, one is not [storable](crate::histogram::is_storable), or times do not strictly grow: that is the caller's
/// mistake and must not reach the disk.
pub fn encode(rows: &[(i64, Arc<Histogram>)]) -> (usize, Vec<u8>) {
    assert!(!rows.is_empty(), "a chunk of no histograms");
    let mut plain = Vec::new();
    let mut taken = 0;
    let mut buckets = 0;
    let mut before = None;
    while taken < rows.len().min(CHUNK_HISTOGRAMS_MAX) && plain.len() < CHUNK_PLAIN_BYTES {
        let (at_ms, histogram) = &rows[taken];
        assert!(is_storable(histogram), "a histogram that cannot be stored");
        if taken > 0 {
            assert!(rows[taken - 1].0 < *at_ms, "chunk times must grow");
            put_varint(&mut plain, at_ms.wrapping_sub(rows[taken - 1].0) as u64);
        }
        put(&mut plain, histogram, before);
        before = Some(&**histogram);
        buckets += bucket_count(histogram);
        taken += 1;
    }
    let (first_ms, last_ms) = (rows[0].0, rows[taken - 1].0);
    let mut out = vec![VERSION];
    put_varint(&mut out, taken as u64);
    put_signed(&mut out, first_ms);
    put_varint(&mut out, last_ms.wrapping_sub(first_ms) as u64);
    put_varint(&mut out, buckets);
    put_varint(&mut out, plain.len() as u64);
    put_bytes(&mut out, &squeezed(&plain));
    out.extend(checksum(&out));
    (taken, out)
}

/// Reads a chunk's head. Does not look at the checksum.
pub fn head(bytes: &[u8]) -> Result<HistogramHead, BadBytes> {
    read_head(&mut Reader(bytes))
}

/// A chunk's histograms.
pub fn decode(bytes: &[u8]) -> Result<Vec<(i64, Arc<Histogram>)>, BadBytes> {
    let (body, sum) = bytes
        .len()
        .checked_sub(CHECKSUM_BYTES)
        .and_then(|at| bytes.split_at_checked(at))
        .ok_or(BadBytes("a histogram chunk ends too early"))?;
    if sum != checksum(body) {
        return Err(BadBytes("a histogram chunk's checksum is wrong"));
    }
    let mut reader = Reader(body);
    let head = read_head(&mut reader)?;
    let plain = unsqueezed(&mut reader)?;
    if !reader.is_empty() {
        return Err(BadBytes("a histogram chunk goes on after its end"));
    }
    let mut reader = Reader(&plain);
    let mut rows: Vec<(i64, Arc<Histogram>)> = Vec::with_capacity(head.histograms);
    let mut buckets = 0;
    for _ in 0..head.histograms {
        let before = rows.last().map(|(at_ms, histogram)| (*at_ms, histogram.clone()));
        let (at_ms, histogram) = match &before {
            None => (head.first_ms, take(&mut reader, None)?),
            Some((before_ms, before)) => {
                let at_ms = before_ms.checked_add_unsigned(reader.varint()?).filter(|at_ms| at_ms > before_ms);
                let at_ms = at_ms.ok_or(BadBytes("a histogram chunk's times do not grow"))?;
                (at_ms, take(&mut reader, Some(before))?)
            }
        };
        buckets += bucket_count(&histogram);
        rows.push((at_ms, Arc::new(histogram)));
    }
    let ends_right = rows.last().is_some_and(|(at_ms, _)| *at_ms == head.last_ms);
    if !reader.is_empty() || !ends_right || buckets != head.buckets {
        return Err(BadBytes("a histogram chunk contradicts its head"));
    }
    Ok(rows)
}

fn read_head(reader: &mut Reader<'_>) -> Result<HistogramHead, BadBytes> {
    if reader.byte()? != VERSION {
        return Err(BadBytes("a histogram chunk is of an unknown version"));
    }
    let histograms = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
    if histograms == 0 || histograms > CHUNK_HISTOGRAMS_MAX {
        return Err(BadBytes("a histogram chunk has no histograms or too many"));
    }
    let first_ms = reader.signed()?;
    let span = reader.varint()?;
    let last_ms =
        first_ms.checked_add_unsigned(span).ok_or(BadBytes("a histogram chunk ends after the end of time"))?;
    Ok(HistogramHead { histograms, first_ms, last_ms, buckets: reader.varint()? })
}

fn squeezed(plain: &[u8]) -> Vec<u8> {
    SQUEEZE.with_borrow_mut(|context| {
        let context = match context {
            Some(context) => context,
            None => context.insert(zstd::bulk::Compressor::new(ZSTD_LEVEL).expect("level 1 exists")),
        };
        context.compress(plain).expect("the buffer has the size that zstd asks for")
    })
}

fn unsqueezed(reader: &mut Reader<'_>) -> Result<Vec<u8>, BadBytes> {
    let length = reader.varint()?;
    if length > PLAIN_BYTES_MAX {
        return Err(BadBytes("a histogram chunk is too large"));
    }
    let plain = zstd::bulk::decompress(reader.bytes()?, length as usize)
        .map_err(|_| BadBytes("a histogram chunk does not decompress"))?;
    if plain.len() as u64 == length { Ok(plain) } else { Err(BadBytes("a histogram chunk's length is wrong")) }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    // The low half of the 64 bits is itself a good hash (xxHash's own advice for shorter sums).
    (xxhash_rust::xxh3::xxh3_64(body) as u32).to_le_bytes()
}

#[cfg(test)]
mod tests;
