//! A chunk's values: constant, decimal integers in one of two forms, pco, or as they are.

use super::{ints, offsets};
use crate::decimal::{POWERS, integer};
use crate::wire::{BadBytes, Reader, put_bytes, put_varint};

const CONSTANT: u8 = 0;
const DECIMAL: u8 = 1;
const PCO: u8 = 2;
const RAW: u8 = 3;
const OFFSETS: u8 = 4;

/// Below this many bits a sample, or for fewer samples than this, the plain column of integers is tried too: repetitions
/// compress better there, and it has less of a head.
const CHEAP_BITS: usize = 4;
const FEW_SAMPLES: usize = 64;

/// Largest power of ten tried.
const EXPONENT_MAX: usize = POWERS.len() - 1;
/// Higher levels cost two to four times as much and save 2 % (measured).
const PCO_LEVEL: usize = 4;

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
        let done = offsets::put(out, &integers);
        let taken = out.len() - before;
        if done && values.len() >= FEW_SAMPLES && taken * 8 >= values.len() * CHEAP_BITS {
            return OFFSETS;
        }
        ints::put(out, &mut integers);
        // A tenth more is worth the quicker reading.
        if done && (out.len() - before - taken) * 11 > taken * 10 {
            out.truncate(before + taken);
            return OFFSETS;
        }
        out.drain(before..before + taken);
        return DECIMAL;
    }
    let config = pco::ChunkConfig::default().with_compression_level(PCO_LEVEL);
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

/// Appends `count` values.
pub(super) fn take(reader: &mut Reader<'_>, encoding: u8, count: usize, values: &mut Vec<f64>) -> Result<(), BadBytes> {
    match encoding {
        CONSTANT => {
            let value = f64::from_bits(reader.u64_le()?);
            values.resize(values.len() + count, value);
        }
        DECIMAL | OFFSETS => take_decimal(reader, encoding, count, values)?,
        PCO => {
            let bytes = reader.bytes()?;
            let before = values.len();
            values.resize(before + count, 0.0);
            let done = pco::standalone::simple_decompress_into(bytes, &mut values[before..])
                .map_err(|_| BadBytes("values do not decompress"))?;
            if !done.finished || done.n_processed != count {
                return Err(BadBytes("values are fewer or more than their chunk says"));
            }
        }
        RAW => {
            for _ in 0..count {
                values.push(f64::from_bits(reader.u64_le()?));
            }
        }
        _ => return Err(BadBytes("a chunk's values are in an unknown encoding")),
    }
    Ok(())
}

fn take_decimal(reader: &mut Reader<'_>, encoding: u8, count: usize, values: &mut Vec<f64>) -> Result<(), BadBytes> {
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
    let before = values.len();
    if encoding == OFFSETS {
        offsets::take(reader, count, power, values)?;
    } else {
        values.extend(ints::take(reader, count)?.into_iter().map(|integer| integer as f64 / power));
    }
    for (at, value) in replaced {
        values[before + at] = value;
    }
    Ok(())
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
