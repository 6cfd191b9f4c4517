//! Chunks: samples of one series, times strictly growing, in few bytes; every bit of every value comes back.
//!
//! Most values are short decimals, so a chunk first looks for the power of ten that makes its values integers, and packs
//! their differences; values without one (full mantissas) go to pco. The layout is in
//! `src/store/FORMAT.md`, "Chunks".
//! Decoding never panics and reserves nothing on a forged count.

mod bounds;
mod ints;
mod offsets;
mod parts;
mod times;
mod values;

use std::ops::Range;

use model::MsRange;

use crate::wire::{BadBytes, Reader, put_signed, put_varint};

/// First byte of every chunk: 2 since values have the form "offsets", 3 since long ones are in parts, which earlier readers do not know.
const VERSION: u8 = 3;
const VERSION_MIN: u8 = 1;

/// Most samples of one chunk; more are refused by both directions.
pub const CHUNK_SAMPLES_MAX: usize = 1 << 14;

const CHECKSUM_BYTES: usize = 4;

/// What a chunk says of itself without being decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkHead {
    pub samples: usize,
    pub first_ms: i64,
    pub last_ms: i64,
}

/// Encodes samples.
///
/// # Panics
/// When there are none or more than [`CHUNK_SAMPLES_MAX`], when the lengths differ, or when times do not strictly grow: that
/// is the caller's mistake and must not reach the disk.
pub fn encode(at_ms: &[i64], values: &[f64]) -> Vec<u8> {
    assert!(!at_ms.is_empty() && at_ms.len() <= CHUNK_SAMPLES_MAX && at_ms.len() == values.len(), "chunk length");
    assert!(at_ms.windows(2).all(|pair| pair[0] < pair[1]), "chunk times must grow");
    let mut out = Vec::with_capacity(32 + values.len() * 2);
    out.extend([VERSION, 0]);
    put_varint(&mut out, at_ms.len() as u64);
    let (first, last) = (at_ms[0], at_ms[at_ms.len() - 1]);
    put_signed(&mut out, first);
    put_varint(&mut out, last.wrapping_sub(first) as u64);
    let times = times::put(&mut out, at_ms);
    let values = values::put(&mut out, values);
    out[1] = times | values << 4;
    let sum = checksum(&out);
    out.extend(sum);
    out
}

/// Reads a chunk's head. Does not look at the checksum.
pub fn head(bytes: &[u8]) -> Result<ChunkHead, BadBytes> {
    Ok(read_head(&mut Reader(bytes))?.0)
}

/// Appends a chunk's samples to two columns; on an error the columns keep what they had.
pub fn decode(bytes: &[u8], at_ms: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<ChunkHead, BadBytes> {
    let body = without_checksum(bytes)?;
    let before = (at_ms.len(), values.len());
    let decoded = decode_body(body, at_ms, values);
    if decoded.is_err() {
        at_ms.truncate(before.0);
        values.truncate(before.1);
    }
    decoded
}

fn decode_body(body: &[u8], at_ms: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<ChunkHead, BadBytes> {
    let mut reader = Reader(body);
    let (head, encodings) = read_head(&mut reader)?;
    times::take(&mut reader, encodings & 15, &head, at_ms)?;
    values::take(&mut reader, encodings >> 4, head.samples, 0..head.samples, values)?;
    if !reader.is_empty() {
        return Err(BadBytes("a chunk goes on after its end"));
    }
    Ok(head)
}

fn read_head(reader: &mut Reader<'_>) -> Result<(ChunkHead, u8), BadBytes> {
    if !(VERSION_MIN..=VERSION).contains(&reader.byte()?) {
        return Err(BadBytes("a chunk is of an unknown version"));
    }
    let encodings = reader.byte()?;
    Ok((read_span(reader)?, encodings))
}

/// Count, first and last time.
pub(crate) fn read_span(reader: &mut Reader<'_>) -> Result<ChunkHead, BadBytes> {
    let samples = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
    if samples == 0 || samples > CHUNK_SAMPLES_MAX {
        return Err(BadBytes("a chunk has no samples or too many"));
    }
    let first_ms = reader.signed()?;
    let span = reader.varint()?;
    let last_ms = first_ms.checked_add_unsigned(span).ok_or(BadBytes("a chunk ends after the end of time"))?;
    Ok(ChunkHead { samples, first_ms, last_ms })
}

/// Bytes before their checksum, when it is right.
pub fn without_checksum(bytes: &[u8]) -> Result<&[u8], BadBytes> {
    let (body, sum) = bytes
        .len()
        .checked_sub(CHECKSUM_BYTES)
        .and_then(|at| bytes.split_at_checked(at))
        .ok_or(BadBytes("a chunk ends too early"))?;
    if sum == checksum(body) { Ok(body) } else { Err(BadBytes("a chunk's checksum is wrong")) }
}

/// Writes times as [`take_times`] reads them and returns their encoding.
pub(crate) fn put_times(out: &mut Vec<u8>, at_ms: &[i64]) -> u8 {
    times::put(out, at_ms)
}

/// Whether times in this encoding are evenly spaced, and their column has no bytes.
pub(crate) fn is_even(encoding: u8) -> bool {
    encoding == times::EVEN
}

/// Where the evenly spaced times of a column without bytes lie within a range.
pub(crate) fn even_places(head: &ChunkHead, range: MsRange) -> Result<Range<usize>, BadBytes> {
    Ok(times::even_places(head, times::even_step(head)?, range))
}

/// Appends those of the evenly spaced times of a column without bytes that stand at `places`.
pub(crate) fn take_even_times(head: &ChunkHead, places: Range<usize>, at_ms: &mut Vec<i64>) -> Result<(), BadBytes> {
    times::put_even(head, times::even_step(head)?, places, at_ms);
    Ok(())
}

/// Appends the times of a column that holds nothing else.
pub(crate) fn take_times(column: &[u8], encoding: u8, head: &ChunkHead, at_ms: &mut Vec<i64>) -> Result<(), BadBytes> {
    let mut reader = Reader(column);
    times::take(&mut reader, encoding, head, at_ms)?;
    if reader.is_empty() { Ok(()) } else { Err(BadBytes("a column of times goes on after its end")) }
}

/// Writes values as [`take_values`] reads them behind their encoding, which is returned.
pub(crate) fn put_values(out: &mut Vec<u8>, values: &[f64]) -> u8 {
    values::put(out, values)
}

/// Appends those of the `count` values of a body that stand at `places`. The body is the encoding, the values, and nothing else.
pub(crate) fn take_values(
    body: &[u8],
    count: usize,
    places: Range<usize>,
    values: &mut Vec<f64>,
) -> Result<(), BadBytes> {
    let mut reader = Reader(body);
    let encoding = reader.byte()?;
    values::take(&mut reader, encoding, count, places, values)?;
    if reader.is_empty() { Ok(()) } else { Err(BadBytes("a chunk goes on after its end")) }
}

/// As [`take_values`], with 0 in the place of values that are certainly no stale markers and take long to decode.
pub(crate) fn take_marks(
    body: &[u8],
    count: usize,
    places: Range<usize>,
    values: &mut Vec<f64>,
) -> Result<(), BadBytes> {
    let mut reader = Reader(body);
    let encoding = reader.byte()?;
    values::take_marks(&mut reader, encoding, count, places, values)
}

/// The low half of the xxh3-64 of some bytes.
pub fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    // The low half of the 64 bits is itself a good hash (xxHash's own advice for shorter sums).
    (xxhash_rust::xxh3::xxh3_64(body) as u32).to_le_bytes()
}

#[cfg(test)]
mod tests;
