//! Runs: a few samples of one series packed for the head, in the order of their arrival and each with the number of its batch.
//!
//! Only ever in memory, so without version and checksum. Made to be quick rather than small: integers are packed to the bits that
//! the widest needs, values as decimals where they are. About 2 bytes a sample of short decimals at an even step, 10 with full
//! mantissas; 15 ns to pack and 5 ns to unpack.
//!
//! Layout: length of all that follows, u16; samples less one, u8; first time i64; how far the earliest lies before it and the latest
//! behind it, varints; then the times, batch numbers and values as their functions say.

use crate::decimal::{POWERS, QUICK_EXPONENT_MAX, integer};
use crate::wire::{BadBytes, Reader, put_signed, put_varint, unzigzag, zigzag};

/// Most samples of a run.
pub const RUN_SAMPLES_MAX: usize = 64;

const LENGTH_BYTES: usize = 2;

const CONSTANT: u8 = 0xff;
/// The bits of each value that are not the same in all, as differences from the first.
const BITS: u8 = 0xfe;

/// One sample as the head keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Row {
    pub at_ms: i64,
    pub value: f64,
    /// Number of its batch; of later rows never smaller.
    pub seq: u32,
}

/// Where a run is, and what it says of itself without being unpacked.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    pub samples: usize,
    /// Earliest and latest time.
    pub span_ms: (i64, i64),
    first_ms: i64,
    body: Reader<'a>,
}

/// Appends a run of `rows`.
///
/// # Panics
/// When there are none or more than [`RUN_SAMPLES_MAX`]: the caller's mistake.
pub fn put(out: &mut Vec<u8>, rows: &[Row]) {
    assert!(!rows.is_empty() && rows.len() <= RUN_SAMPLES_MAX, "run length");
    let begin = out.len();
    out.extend([0; LENGTH_BYTES]);
    out.push((rows.len() - 1) as u8);
    let first_ms = rows[0].at_ms;
    let (min, max) = rows.iter().fold((first_ms, first_ms), |(min, max), row| (min.min(row.at_ms), max.max(row.at_ms)));
    out.extend(first_ms.to_le_bytes());
    put_varint(out, first_ms.wrapping_sub(min) as u64);
    put_varint(out, max.wrapping_sub(first_ms) as u64);
    put_times(out, rows);
    put_seqs(out, rows);
    put_values(out, rows);
    // At most 64 rows of 27 bytes.
    let length = (out.len() - begin - LENGTH_BYTES) as u16;
    out[begin..begin + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
}

/// The first run of `bytes`, which it is taken from; `None` at their end.
pub fn next<'a>(bytes: &mut &'a [u8]) -> Result<Option<Run<'a>>, BadBytes> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = usize::from(u16::from_le_bytes(*length));
    let (run, rest) = rest.split_at_checked(length).ok_or(BadBytes("a run ends too early"))?;
    *bytes = rest;
    let mut body = Reader(run);
    let samples = usize::from(body.byte()?) + 1;
    let first_ms = body.u64_le()? as i64;
    let min = first_ms.wrapping_sub(body.varint()? as i64);
    let max = first_ms.wrapping_add(body.varint()? as i64);
    Ok(Some(Run { samples, span_ms: (min, max), first_ms, body }))
}

impl Run<'_> {
    /// Unpacks the rows into `buffer`, in their order.
    pub fn rows(mut self, buffer: &mut [Row; RUN_SAMPLES_MAX]) -> Result<&[Row], BadBytes> {
        let rows = buffer.get_mut(..self.samples).ok_or(BadBytes("a run is too long"))?;
        rows[0].at_ms = self.first_ms;
        take_times(&mut self.body, rows)?;
        take_seqs(&mut self.body, rows)?;
        take_values(&mut self.body, rows)?;
        Ok(rows)
    }
}

/// Times: the first difference, signed, then the differences of the differences as zigzag numbers, packed.
fn put_times(out: &mut Vec<u8>, rows: &[Row]) {
    let Some(second) = rows.get(1) else { return };
    let mut last = second.at_ms.wrapping_sub(rows[0].at_ms);
    put_signed(out, last);
    let mut numbers = [0; RUN_SAMPLES_MAX];
    for (pair, number) in rows[1..].windows(2).zip(&mut numbers) {
        let difference = pair[1].at_ms.wrapping_sub(pair[0].at_ms);
        *number = zigzag(difference.wrapping_sub(last));
        last = difference;
    }
    pack(out, &numbers[..rows.len() - 2]);
}

fn take_times(body: &mut Reader<'_>, rows: &mut [Row]) -> Result<(), BadBytes> {
    if rows.len() < 2 {
        return Ok(());
    }
    let mut difference = body.signed()?;
    let mut at_ms = rows[0].at_ms.wrapping_add(difference);
    rows[1].at_ms = at_ms;
    unpack(body, &mut rows[2..], |row, number| {
        difference = difference.wrapping_add(unzigzag(number));
        at_ms = at_ms.wrapping_add(difference);
        row.at_ms = at_ms;
    })
}

/// Batch numbers: the first and the smallest difference, varints, then what the differences are more than that, packed.
fn put_seqs(out: &mut Vec<u8>, rows: &[Row]) {
    put_varint(out, u64::from(rows[0].seq));
    let differences = || rows.windows(2).map(|pair| u64::from(pair[1].seq.saturating_sub(pair[0].seq)));
    let min = differences().min().unwrap_or(0);
    put_varint(out, min);
    let mut numbers = [0; RUN_SAMPLES_MAX];
    for (difference, number) in differences().zip(&mut numbers) {
        *number = difference - min;
    }
    pack(out, &numbers[..rows.len() - 1]);
}

fn take_seqs(body: &mut Reader<'_>, rows: &mut [Row]) -> Result<(), BadBytes> {
    let mut seq = body.varint()?;
    let min = body.varint()?;
    rows[0].seq = seq as u32;
    unpack(body, &mut rows[1..], |row, number| {
        seq = seq.wrapping_add(min).wrapping_add(number);
        row.seq = seq as u32;
    })
}

/// Values: `0xff` and the bits of all; or `0xfe`, the bits of the first, how far the others' differences from it are shifted, and these
/// packed; or a power of ten, the first as an integer and the smallest difference, signed, and what the differences are more, packed.
fn put_values(out: &mut Vec<u8>, rows: &[Row]) {
    let first = rows[0].value.to_bits();
    let differing = rows.iter().fold(0, |all, row| all | (row.value.to_bits() ^ first));
    if differing == 0 {
        out.push(CONSTANT);
        out.extend(first.to_le_bytes());
        return;
    }
    let mut integers = [0; RUN_SAMPLES_MAX];
    let integers = &mut integers[..rows.len()];
    let Some(exponent) = to_integers(rows, integers) else {
        let shift = differing.trailing_zeros();
        out.push(BITS);
        out.extend(first.to_le_bytes());
        out.push(shift as u8);
        let mut numbers = [0; RUN_SAMPLES_MAX];
        for (row, number) in rows[1..].iter().zip(&mut numbers) {
            *number = (row.value.to_bits() ^ first) >> shift;
        }
        pack(out, &numbers[..rows.len() - 1]);
        return;
    };
    out.push(exponent as u8);
    put_signed(out, integers[0]);
    // No overflow: integers stay below 2^53.
    let differences = || integers.windows(2).map(|pair| pair[1] - pair[0]);
    let min = differences().min().unwrap_or(0);
    put_signed(out, min);
    let mut numbers = [0; RUN_SAMPLES_MAX];
    for (difference, number) in differences().zip(&mut numbers) {
        *number = (difference - min) as u64;
    }
    pack(out, &numbers[..rows.len() - 1]);
}

fn take_values(body: &mut Reader<'_>, rows: &mut [Row]) -> Result<(), BadBytes> {
    match body.byte()? {
        CONSTANT => {
            let value = f64::from_bits(body.u64_le()?);
            rows.iter_mut().for_each(|row| row.value = value);
            Ok(())
        }
        BITS => {
            let first = body.u64_le()?;
            let shift = u32::from(body.byte()?);
            rows[0].value = f64::from_bits(first);
            unpack(body, &mut rows[1..], |row, number| {
                row.value = f64::from_bits(first ^ number.wrapping_shl(shift));
            })
        }
        exponent => {
            let power = *POWERS[..=QUICK_EXPONENT_MAX]
                .get(usize::from(exponent))
                .ok_or(BadBytes("a run's exponent is too large"))?;
            let mut integer = body.signed()?;
            let min = body.signed()?;
            rows[0].value = integer as f64 / power;
            unpack(body, &mut rows[1..], |row, number| {
                integer = integer.wrapping_add(min).wrapping_add(number as i64);
                row.value = integer as f64 / power;
            })
        }
    }
}

/// The power of ten that makes all values integers, which it writes; `None` when there is none.
fn to_integers(rows: &[Row], integers: &mut [i64]) -> Option<usize> {
    let mut exponent = 0;
    'wider: loop {
        for (row, out) in rows.iter().zip(integers.iter_mut()) {
            match integer(row.value, exponent) {
                Some(integer) => *out = integer,
                None => {
                    exponent =
                        (exponent + 1..=QUICK_EXPONENT_MAX).find(|wider| integer(row.value, *wider).is_some())?;
                    continue 'wider;
                }
            }
        }
        return Some(exponent);
    }
}

/// Writes the bits that the largest number needs, u8, and so many bits of each, lowest first.
fn pack(out: &mut Vec<u8>, numbers: &[u64]) {
    let width = 64 - numbers.iter().fold(0, |all, number| all | number).leading_zeros();
    out.push(width as u8);
    let (mut bits, mut held) = (0u128, 0);
    for number in numbers {
        bits |= u128::from(*number) << held;
        held += width;
        if held >= 64 {
            out.extend((bits as u64).to_le_bytes());
            bits >>= 64;
            held -= 64;
        }
    }
    out.extend_from_slice(&bits.to_le_bytes()[..held.div_ceil(8) as usize]);
}

/// Reads one number for each of `into`.
fn unpack<T>(body: &mut Reader<'_>, into: &mut [T], mut each: impl FnMut(&mut T, u64)) -> Result<(), BadBytes> {
    let width = u32::from(body.byte()?);
    if width > 64 {
        return Err(BadBytes("packed numbers are wider than 64 bits"));
    }
    let mut bytes = body.take((width as usize * into.len()).div_ceil(8))?;
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    let (mut bits, mut held) = (0u128, 0);
    for item in into {
        if held < width {
            let mut word = [0; 8];
            let taken = bytes.len().min(8);
            word[..taken].copy_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            bits |= u128::from(u64::from_le_bytes(word)) << held;
            held += 64;
        }
        each(item, bits as u64 & mask);
        bits >>= width;
        held -= width;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(rows: &[Row], bytes_max: usize) {
        let mut bytes = vec![];
        put(&mut bytes, rows);
        put(&mut bytes, &rows[..1]);
        let mut left = bytes.as_slice();
        for expected in [rows, &rows[..1]] {
            let run = next(&mut left).unwrap().unwrap();
            let times = || expected.iter().map(|row| row.at_ms);
            assert_eq!((run.samples, run.span_ms), (expected.len(), (times().min().unwrap(), times().max().unwrap())));
            let bits = |row: Row| (row.at_ms, row.value.to_bits(), row.seq);
            let mut buffer = [Row::default(); RUN_SAMPLES_MAX];
            let got: Vec<_> = run.rows(&mut buffer).unwrap().iter().copied().map(bits).collect();
            assert_eq!(got, expected.iter().copied().map(bits).collect::<Vec<_>>());
        }
        assert!(next(&mut left).unwrap().is_none());
        assert!(bytes.len() <= bytes_max, "{} bytes for {} rows", bytes.len(), rows.len());
    }

    fn rows(count: i64, at_ms: impl Fn(i64) -> i64, value: impl Fn(i64) -> f64, seq: impl Fn(i64) -> u32) -> Vec<Row> {
        (0..count).map(|n| Row { at_ms: at_ms(n), value: value(n), seq: seq(n) }).collect()
    }

    #[test]
    fn every_kind_of_run_comes_back_in_few_bytes() {
        let even = |n| 1_700_000_000_000 + n * 15_000;
        let fifth = |n| 5 * n as u32;
        check(&rows(64, even, |_| 0.25, fifth), 100);
        check(&rows(64, even, |n| (n * n % 7) as f64 / 10.0 + 1e6, fifth), 100);
        check(&rows(64, even, |n| (n * 1_000) as f64, |n| 7 + n as u32 / 3), 110);
        check(&rows(64, |n| even(n) + n % 3, |n| n as f64, fifth), 120);
        check(&rows(64, even, |n| (n as f64).sqrt(), fifth), 600);
        check(&rows(2, even, |n| n as f64, fifth), 100);
        let odd = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, f64::MAX, 9_007_199_254_740_993.0, -1e12];
        check(
            &rows(8, |n| [i64::MIN, i64::MAX][n as usize % 2], |n| odd[n as usize], |n| [0, u32::MAX][n as usize / 4]),
            300,
        );
    }

    proptest! {
        #[test]
        fn any_rows_come_back(
            rows in proptest::collection::vec((any::<i64>(), any::<u64>(), any::<u32>(), any::<bool>()), 1..=RUN_SAMPLES_MAX)
        ) {
            let mut seqs: Vec<u32> = rows.iter().map(|row| row.2).collect();
            seqs.sort();
            let rows: Vec<Row> = rows
                .iter()
                .zip(seqs)
                .map(|((at_ms, bits, _, short), seq)| {
                    let value = if *short { (*bits % 100_000) as f64 / 1e3 } else { f64::from_bits(*bits) };
                    Row { at_ms: *at_ms, value, seq }
                })
                .collect();
            check(&rows, 2 * 27 * (RUN_SAMPLES_MAX + 1));
        }

        #[test]
        fn forged_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut left = bytes.as_slice();
            while let Ok(Some(run)) = next(&mut left) {
                if let Ok(rows) = run.rows(&mut [Row::default(); RUN_SAMPLES_MAX]) {
                    prop_assert!(!rows.is_empty());
                }
            }
        }
    }
}
