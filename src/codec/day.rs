//! What a day file says of itself: how far it covers its day, and its runs. With a checksum, since what it leaves out nobody would
//! miss. Layout: `src/store/FORMAT.md`.

use crate::chunk::checksum;
use crate::wire::{BadBytes, Reader, put_signed, put_varint};

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// A run: what one flush wrote of a day, or the settled day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Up to which intake number it holds its day. Of two runs the one with the higher number is the later.
    pub seq: u64,
    pub first_ms: i64,
    pub last_ms: i64,
    /// Floats and histograms.
    pub samples: u64,
    /// Of its pages.
    pub bytes: u64,
    /// With which its first page begins.
    pub first_series: u32,
    pub settled: bool,
}

/// Encodes the runs of a file, oldest first; `present` is the file's list of series, which is thereby under the checksum too.
pub fn encode(covered_seq: u64, runs: &[Run], present: &[u8]) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_varint(&mut out, covered_seq);
    out.extend(checksum(present));
    put_varint(&mut out, runs.len() as u64);
    for run in runs {
        put_varint(&mut out, run.seq);
        put_signed(&mut out, run.first_ms);
        put_varint(&mut out, run.last_ms.wrapping_sub(run.first_ms) as u64);
        put_varint(&mut out, run.samples);
        put_varint(&mut out, run.bytes);
        put_varint(&mut out, u64::from(run.first_series));
        out.push(u8::from(run.settled));
    }
    let sum = checksum(&out);
    out.extend(sum);
    out
}

/// Reads what [`encode`] wrote: how far the file covers its day, and its runs.
pub fn decode(bytes: &[u8], present: &[u8]) -> Result<(u64, Vec<Run>), BadBytes> {
    let (body, sum) = bytes
        .len()
        .checked_sub(CHECKSUM_BYTES)
        .and_then(|at| bytes.split_at_checked(at))
        .ok_or(BadBytes("the list of runs ends too early"))?;
    if sum != checksum(body) {
        return Err(BadBytes("the checksum of the list of runs is wrong"));
    }
    let mut reader = Reader(body);
    if reader.byte()? != VERSION {
        return Err(BadBytes("the list of runs is of an unknown version"));
    }
    let covered_seq = reader.varint()?;
    if reader.take(CHECKSUM_BYTES)? != checksum(present) {
        return Err(BadBytes("the checksum of the list of series is wrong"));
    }
    let count = reader.count(7)?;
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        let (seq, first_ms, span) = (reader.varint()?, reader.signed()?, reader.varint()?);
        let last_ms = first_ms.checked_add_unsigned(span).ok_or(BadBytes("a run ends after the end of time"))?;
        let (samples, bytes) = (reader.varint()?, reader.varint()?);
        let first_series = u32::try_from(reader.varint()?).map_err(|_| BadBytes("a run's first series is none"))?;
        runs.push(Run { seq, first_ms, last_ms, samples, bytes, first_series, settled: reader.byte()? != 0 });
    }
    if reader.is_empty() { Ok((covered_seq, runs)) } else { Err(BadBytes("the list of runs goes on after its end")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_come_back_and_any_damage_is_found() {
        let run = Run {
            seq: 7,
            first_ms: -5,
            last_ms: i64::MAX,
            samples: 1 << 40,
            bytes: 3,
            first_series: u32::MAX,
            settled: true,
        };
        let runs = [run, Run { seq: u64::MAX, first_ms: 9, last_ms: 9, settled: false, ..run }];
        let bytes = encode(99, &runs, b"present");
        assert_eq!(decode(&bytes, b"present"), Ok((99, runs.to_vec())));
        assert_eq!(decode(&encode(0, &[], b""), b""), Ok((0, vec![])));
        assert!(decode(&bytes, b"presenT").is_err());
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(decode(&flipped, b"present").is_err(), "byte {at}");
            assert!(decode(&bytes[..at], b"present").is_err(), "cut at {at}");
        }
    }
}
