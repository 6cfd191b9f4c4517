//! A chunk's values: constant, decimal integers in one of two forms, pco, or as they are.

use std::ops::Range;

use pco::standalone::{DecompressorItem, FileDecompressor};

use super::parts::{self, PART};
use super::{bounds, ints, offsets};
use crate::decimal::{POWERS, integer};
use crate::wire::{BadBytes, Reader, put_bytes, put_varint};

const CONSTANT: u8 = 0;
const DECIMAL: u8 = 1;
const PCO: u8 = 2;
const RAW: u8 = 3;
const OFFSETS: u8 = 4;
/// The same two of long chunks: see `parts.rs`.
const OFFSETS_IN_PARTS: u8 = 5;
const PCO_IN_PARTS: u8 = 6;

/// Below this many bits a sample, or for fewer samples than this, the plain column of integers is tried too: repetitions
/// compress better there, and it has less of a head.
const CHEAP_BITS: usize = 4;
const FEW_SAMPLES: usize = 64;

/// More samples than these are written in parts; fewer are quick to decode whole, and a part's ten bytes are more to them.
const WHOLE_SAMPLES: usize = 2 * PART;

/// Largest power of ten tried.
const EXPONENT_MAX: usize = POWERS.len() - 1;
/// Higher levels cost two to four times as much and save 2 % (measured).
const PCO_LEVEL: usize = 4;
/// Of a chunk in a file of pco's own: its numbers' type, a byte, and their count, three.
const CHUNK_HEAD_BYTES: usize = 4;
/// What ends such a file.
const END: u8 = 0;

/// Writes values and returns their encoding.
pub(super) fn put(out: &mut Vec<u8>, values: &[f64]) -> u8 {
    let first = values[0].to_bits();
    if values.iter().all(|value| value.to_bits() == first) {
        out.extend(first.to_le_bytes());
        return CONSTANT;
    }
    if let Some((exponent, mut integers, exceptions)) = to_decimal(values) {
        out.push(exponent as u8);
        put_varint(out, exceptions.len() as u64);
        let mut previous = 0;
        for (at, bits) in exceptions {
            put_varint(out, (at - previous) as u64);
            out.extend(bits.to_le_bytes());
            previous = at;
        }
        let before = out.len();
        let in_parts = values.len() > WHOLE_SAMPLES;
        let encoding = if in_parts { OFFSETS_IN_PARTS } else { OFFSETS };
        let done = offsets::put(out, &integers, if in_parts { PART } else { values.len() });
        let taken = out.len() - before;
        if done && values.len() >= FEW_SAMPLES && taken * 8 >= values.len() * CHEAP_BITS {
            return encoding;
        }
        ints::put(out, &mut integers);
        // A tenth more is worth the quicker reading.
        if done && (out.len() - before - taken) * 11 > taken * 10 {
            out.truncate(before + taken);
            return encoding;
        }
        out.drain(before..before + taken);
        return DECIMAL;
    }
    let config = pco::ChunkConfig::default().with_compression_level(PCO_LEVEL);
    if values.len() > WHOLE_SAMPLES {
        let before = out.len();
        if parts::put(out, values, PART, config.clone()).is_ok() && out.len() - before < values.len() * 8 {
            return PCO_IN_PARTS;
        }
        out.truncate(before);
    }
    // pco fails only on a bad configuration; the values as they are need nothing of it.
    match pco::standalone::simple_compress(values, &config) {
        Ok(bytes) if bytes.len() < values.len() * 8 => {
            put_bytes(out, &bytes);
            PCO
        }
        _ => {
            values.iter().for_each(|value| out.extend(value.to_bits().to_le_bytes()));
            RAW
        }
    }
}

/// Appends those of `count` values that stand at `places`. Uses up the reader if all is as it should be.
pub(super) fn take(
    reader: &mut Reader<'_>,
    encoding: u8,
    count: usize,
    places: Range<usize>,
    values: &mut Vec<f64>,
) -> Result<(), BadBytes> {
    match encoding {
        CONSTANT => {
            let value = f64::from_bits(reader.u64_le()?);
            values.resize(values.len() + places.len(), value);
        }
        DECIMAL | OFFSETS | OFFSETS_IN_PARTS => take_decimal(reader, encoding, count, places, values)?,
        PCO => {
            let bytes = reader.bytes()?;
            let before = values.len();
            values.resize(before + count, 0.0);
            take_standalone(bytes, &mut values[before..])?;
            values.truncate(before + places.end);
            values.drain(before..before + places.start);
        }
        PCO_IN_PARTS => {
            parts::take(reader, (count, PART), places, |numbers: &[f64]| values.extend_from_slice(numbers))?;
        }
        RAW => {
            let bits = reader.take(count * 8)?;
            let bits = bits[places.start * 8..places.end * 8].chunks_exact(8);
            values.extend(bits.map(|bits| f64::from_le_bytes(bits.try_into().expect("eight bytes"))));
        }
        _ => return Err(BadBytes("a chunk's values are in an unknown encoding")),
    }
    Ok(())
}

/// Fills `values` from a file of pco's own with one chunk, which has as many.
fn take_standalone(bytes: &[u8], values: &mut [f64]) -> Result<(), BadBytes> {
    let bad = |_| BadBytes("values do not decompress");
    let wrong = BadBytes("values are fewer or more than their chunk says");
    let (file, chunk) = FileDecompressor::new(bytes).map_err(bad)?;
    bounds::check(file.format_version(), chunk.get(CHUNK_HEAD_BYTES..).unwrap_or_default(), 64)?;
    let DecompressorItem::Chunk(mut chunk) = file.chunk_decompressor::<f64, _>(chunk).map_err(bad)? else {
        return Err(wrong);
    };
    if chunk.n() != values.len() || !chunk.read(values).map_err(bad)?.finished {
        return Err(wrong);
    }
    if chunk.into_src() == [END] { Ok(()) } else { Err(wrong) }
}

/// As [`take`], with 0 in the place of values that are certainly no stale markers and take long to decode. Uses up what it looks at.
pub(super) fn take_marks(
    reader: &mut Reader<'_>,
    encoding: u8,
    count: usize,
    places: Range<usize>,
    values: &mut Vec<f64>,
) -> Result<(), BadBytes> {
    if !matches!(encoding, DECIMAL | OFFSETS | OFFSETS_IN_PARTS) {
        return take(reader, encoding, count, places, values);
    }
    let (_, exceptions) = take_exceptions(reader, count)?;
    let before = values.len();
    values.resize(before + places.len(), 0.0);
    replace(&mut values[before..], places, exceptions);
    Ok(())
}

fn take_decimal(
    reader: &mut Reader<'_>,
    encoding: u8,
    count: usize,
    places: Range<usize>,
    values: &mut Vec<f64>,
) -> Result<(), BadBytes> {
    let (power, exceptions) = take_exceptions(reader, count)?;
    let before = values.len();
    match encoding {
        OFFSETS => offsets::take(reader, (count, count), places.clone(), power, values)?,
        OFFSETS_IN_PARTS => offsets::take(reader, (count, PART), places.clone(), power, values)?,
        _ => {
            let integers = ints::take(reader, count)?;
            values.extend(integers[places.clone()].iter().map(|integer| *integer as f64 / power));
        }
    }
    replace(&mut values[before..], places, exceptions);
    Ok(())
}

/// By what the integers of decimals are divided, and the few values that are none, by their places.
fn take_exceptions(reader: &mut Reader<'_>, count: usize) -> Result<(f64, Vec<(usize, f64)>), BadBytes> {
    let exponent = usize::from(reader.byte()?);
    let power = *POWERS.get(exponent).ok_or(BadBytes("a chunk's exponent is too large"))?;
    let exceptions = reader.count(9)?;
    let mut at = 0usize;
    let mut replaced = Vec::with_capacity(exceptions);
    for _ in 0..exceptions {
        let gap = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
        at = at.checked_add(gap).filter(|at| *at < count).ok_or(BadBytes("an exception lies outside its chunk"))?;
        replaced.push((at, f64::from_bits(reader.u64_le()?)));
    }
    Ok((power, replaced))
}

/// Puts exceptions in their places, as far as these are among those that `values` stand for.
fn replace(values: &mut [f64], places: Range<usize>, exceptions: Vec<(usize, f64)>) {
    for (at, value) in exceptions.into_iter().filter(|(at, _)| places.contains(at)) {
        values[at - places.start] = value;
    }
}

type Decimal = (usize, Vec<i64>, Vec<(usize, u64)>);

/// The power of ten that makes values integers, those integers, and the few values it does not fit (NaN, -0, the infinities).
/// `None` when too many do not fit.
fn to_decimal(values: &[f64]) -> Option<Decimal> {
    let exceptions_max = values.len() / 16 + 1;
    let mut exponent = 0;
    let mut odd = 0;
    for value in values {
        if integer(*value, exponent).is_some() {
            continue;
        }
        match (exponent + 1..=EXPONENT_MAX).find(|wider| integer(*value, *wider).is_some()) {
            Some(wider) => exponent = wider,
            None => odd += 1,
        }
        if odd > exceptions_max {
            return None;
        }
    }
    let mut exceptions = Vec::new();
    let mut integers: Vec<i64> = Vec::with_capacity(values.len());
    for (at, value) in values.iter().enumerate() {
        match integer(*value, exponent) {
            Some(integer) => integers.push(integer),
            None => {
                exceptions.push((at, value.to_bits()));
                if exceptions.len() > exceptions_max {
                    return None;
                }
                // Repeats its neighbour, which costs nothing.
                integers.push(integers.last().copied().unwrap_or(0));
            }
        }
    }
    Some((exponent, integers, exceptions))
}
