//! The floats of an intake record, column by column: series numbers, times, values.
//!
//! A request mostly has the series of its neighbours in the order in which they were made, all at one time, so numbers and times are
//! a few runs. A value is a decimal where it is one. Quick above all: it is paid before every acknowledgement.

use model::Sample;

use crate::decimal::{POWERS, QUICK_EXPONENT_MAX, integer};
use crate::wire::{BadBytes, Reader, put_signed, put_varint};

/// In the tag's upper half, where powers of ten have room up to 14: the value's bits follow.
const BITS: u8 = 15;
/// A tag and at most eight bytes.
const VALUE_BYTES_MAX: usize = 9;
/// Most values that are not tried as a decimal of another power after some that were none.
const PAUSE_MAX: u32 = 64;

/// Writes the columns of `samples` rows.
pub(super) fn put<'a, I: Iterator<Item = &'a (u32, Sample)>>(out: &mut Vec<u8>, samples: usize, rows: impl Fn() -> I) {
    out.reserve(64 + samples * 5);
    let mut runs = Runs::new(1);
    rows().for_each(|(series, _)| runs.add(out, i64::from(*series)));
    runs.end(out);
    let mut runs = Runs::new(0);
    rows().for_each(|(_, sample)| runs.add(out, sample.at_ms));
    runs.end(out);
    let mut decimals = Decimals::default();
    rows().for_each(|(_, sample)| decimals.put(out, sample.value));
}

/// Reads as many rows.
pub(super) fn take(reader: &mut Reader<'_>, samples: u64) -> Result<Vec<(u32, Sample)>, BadBytes> {
    // Each value takes a byte at least.
    let contradicts = BadBytes("an intake record's columns contradict its counts");
    if samples > reader.0.len() as u64 {
        return Err(contradicts);
    }
    let mut rows = vec![(0, Sample { at_ms: 0, value: 0.0 }); samples as usize];
    take_runs(reader, 1, &mut rows, |row, number| {
        row.0 = u32::try_from(number).map_err(|_| BadBytes("a series number is too large"))?;
        Ok(())
    })?;
    take_runs(reader, 0, &mut rows, |row, at_ms| {
        row.1.at_ms = at_ms;
        Ok(())
    })?;
    for (_, sample) in &mut rows {
        sample.value = take_value(reader)?;
    }
    Ok(rows)
}

/// Numbers as runs in which each is the one before plus `step`: how far the first is from what would go on the run before (from
/// `step` at the start), signed, and the run's length, varint.
struct Runs {
    step: i64,
    next: i64,
    gap: i64,
    length: u64,
}

impl Runs {
    fn new(step: i64) -> Runs {
        Runs { step, next: step, gap: 0, length: 0 }
    }

    #[inline]
    fn add(&mut self, out: &mut Vec<u8>, number: i64) {
        if number != self.next || self.length == 0 {
            self.end(out);
            self.gap = number.wrapping_sub(self.next);
            self.length = 0;
        }
        self.length += 1;
        self.next = number.wrapping_add(self.step);
    }

    fn end(&self, out: &mut Vec<u8>) {
        if self.length > 0 {
            put_signed(out, self.gap);
            put_varint(out, self.length);
        }
    }
}

fn take_runs<T>(
    reader: &mut Reader<'_>,
    step: i64,
    rows: &mut [T],
    mut set: impl FnMut(&mut T, i64) -> Result<(), BadBytes>,
) -> Result<(), BadBytes> {
    let mut next = step;
    let mut left = rows;
    while !left.is_empty() {
        next = next.wrapping_add(reader.signed()?);
        let length = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
        if length == 0 || length > left.len() {
            return Err(BadBytes("an intake record's run is empty or too long"));
        }
        let (run, rest) = left.split_at_mut(length);
        for row in run {
            set(row, next)?;
            next = next.wrapping_add(step);
        }
        left = rest;
    }
    Ok(())
}

/// A value: a tag, u8, with a power of ten in its upper half and a count of bytes in the lower; so many bytes of the zigzag number
/// that the value times the power is, lowest first. Or, with 15 in the upper half, eight bytes of its bits.
struct Decimals {
    /// Of the decimal before: neighbours are mostly of one metric.
    exponent: usize,
    /// Values for which no other power is tried.
    pause: u32,
    /// How long the next pause is.
    pause_next: u32,
}

impl Default for Decimals {
    fn default() -> Self {
        Decimals { exponent: 0, pause: 0, pause_next: 1 }
    }
}

impl Decimals {
    #[inline]
    fn put(&mut self, out: &mut Vec<u8>, value: f64) {
        let (exponent, number) = match self.find(value) {
            Some((exponent, integer)) => (exponent as u8, crate::wire::zigzag(integer)),
            None => (BITS, value.to_bits()),
        };
        let bytes = if exponent == BITS { 8 } else { (64 - number.leading_zeros()).div_ceil(8) };
        let mut written = [0; VALUE_BYTES_MAX];
        written[0] = exponent << 4 | bytes as u8;
        written[1..].copy_from_slice(&number.to_le_bytes());
        // Always nine bytes, of which those beyond the number are taken back: quicker than a copy of a changing length.
        let end = out.len() + 1 + bytes as usize;
        out.extend_from_slice(&written);
        out.truncate(end);
    }

    #[inline]
    fn find(&mut self, value: f64) -> Option<(usize, i64)> {
        let whole = value as i64;
        if (whole as f64).to_bits() == value.to_bits() {
            return Some((0, whole));
        }
        if let Some(number) = integer(value, self.exponent) {
            return Some((self.exponent, number));
        }
        self.search(value)
    }

    fn search(&mut self, value: f64) -> Option<(usize, i64)> {
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        for exponent in 1..=QUICK_EXPONENT_MAX {
            if let Some(number) = integer(value, exponent) {
                (self.exponent, self.pause_next) = (exponent, 1);
                return Some((exponent, number));
            }
        }
        self.pause = self.pause_next;
        self.pause_next = (self.pause_next * 2).min(PAUSE_MAX);
        None
    }
}

#[inline]
fn take_value(reader: &mut Reader<'_>) -> Result<f64, BadBytes> {
    let tag = reader.byte()?;
    let (exponent, bytes) = (tag >> 4, usize::from(tag & 15));
    if bytes > 8 {
        return Err(BadBytes("a value has too many bytes"));
    }
    let mut number = [0; 8];
    number[..bytes].copy_from_slice(reader.take(bytes)?);
    let number = u64::from_le_bytes(number);
    if exponent == BITS {
        return Ok(f64::from_bits(number));
    }
    let power = POWERS[..=QUICK_EXPONENT_MAX]
        .get(usize::from(exponent))
        .ok_or(BadBytes("a value's power of ten is too large"))?;
    Ok(crate::wire::unzigzag(number) as f64 / power)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(rows: &[(u32, Sample)], bytes_max: usize) {
        let mut bytes = Vec::new();
        put(&mut bytes, rows.len(), || rows.iter());
        assert!(bytes.len() <= bytes_max, "{} bytes", bytes.len());
        let mut reader = Reader(&bytes);
        let bits = |(number, sample): &(u32, Sample)| (*number, sample.at_ms, sample.value.to_bits());
        let got: Vec<_> = take(&mut reader, rows.len() as u64).unwrap().iter().map(bits).collect();
        assert_eq!(got, rows.iter().map(bits).collect::<Vec<_>>());
        assert!(reader.is_empty());
        for length in 0..bytes.len().min(200) {
            assert!(take(&mut Reader(&bytes[..length]), rows.len() as u64).is_err(), "cut at {length}");
        }
    }

    fn rows(count: u32, value: impl Fn(u32) -> f64) -> Vec<(u32, Sample)> {
        (0..count).map(|n| (n + 7, Sample { at_ms: 1_700_000_000_000, value: value(n) })).collect()
    }

    #[test]
    fn values_come_back_in_few_bytes() {
        check(&[], 0);
        check(&rows(1_000, |n| f64::from(n % 100)), 2_020);
        check(&rows(1_000, |n| f64::from(n) / 1e4), 3_020);
        check(&rows(1_000, |n| f64::from(n + 2).sqrt()), 9_020);
        let odd = [
            0.0,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::MIN_POSITIVE,
            f64::MAX,
            i64::MAX as f64,
            i64::MIN as f64,
            0.1,
            -1e-9,
        ];
        check(&rows(odd.len() as u32, |n| odd[n as usize]), 100);
        let ends = [i64::MIN, i64::MAX, 0, 0, -5];
        let apart: Vec<_> = ends.iter().map(|at_ms| (u32::MAX, Sample { at_ms: *at_ms, value: 1.0 })).collect();
        check(&apart, 100);
    }

    proptest! {
        #[test]
        fn any_rows_come_back(
            rows in proptest::collection::vec((any::<u32>(), any::<i64>(), any::<u64>(), 0u8..3), 0..100)
        ) {
            let rows: Vec<(u32, Sample)> = rows
                .iter()
                .map(|(number, at_ms, bits, kind)| {
                    let value = match kind {
                        0 => f64::from_bits(*bits),
                        1 => (*bits % 1_000_000) as f64 / 1e3,
                        _ => *bits as i64 as f64,
                    };
                    (*number, Sample { at_ms: *at_ms, value })
                })
                .collect();
            check(&rows, rows.len() * 40);
        }

        #[test]
        fn forged_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), samples in 0u64..90) {
            if let Ok(rows) = take(&mut Reader(&bytes), samples) {
                prop_assert_eq!(rows.len() as u64, samples);
            }
        }
    }
}
