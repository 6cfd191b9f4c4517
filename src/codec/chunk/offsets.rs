//! Integers as pco numbers: their distances from the first, divided by their common divisor, in 32 bits where they fit, which
//! pco reads half as fast again.
//!
//! The delta order is found by ours, which costs a tenth of pco's own search; with it pco is both the smallest and the quickest
//! form of most columns (`benches/chunk_codec.rs`).

use std::ops::Range;

use pco::{ChunkConfig, DeltaSpec, ModeSpec};

use super::{ints, parts};
use crate::wire::{BadBytes, Reader, put_signed, put_varint};

/// Higher levels cost two to four times as much and save 2 % (measured).
const PCO_LEVEL: usize = 4;

const NARROW: u8 = 0;
const WIDE: u8 = 1;

/// Products and sums up to here are exact in a double.
const EXACT_MAX: u64 = 1 << 53;

/// Writes a column of at least one number, none beyond 2^53, in parts of `part`, to the end of a chunk; `false` and nothing when pco
/// refuses.
pub(super) fn put(out: &mut Vec<u8>, numbers: &[i64], part: usize) -> bool {
    let before = out.len();
    let base = numbers[0];
    let mut offsets: Vec<i64> = numbers.iter().map(|number| number.wrapping_sub(base)).collect();
    let order = best_order(&offsets);
    let farthest = offsets.iter().map(|offset| offset.unsigned_abs()).max().unwrap_or(0);
    let divisor = ints::common_divisor(&offsets);
    if divisor > 1 {
        offsets.iter_mut().for_each(|offset| *offset /= divisor as i64);
    }
    put_signed(out, base);
    put_varint(out, divisor);
    let narrow = if farthest > EXACT_MAX {
        None
    } else {
        offsets.iter().map(|offset| i32::try_from(*offset).ok()).collect::<Option<Vec<i32>>>()
    };
    let config = ChunkConfig::default()
        .with_compression_level(PCO_LEVEL)
        .with_mode_spec(ModeSpec::Classic)
        .with_delta_spec(DeltaSpec::TryConsecutive(order));
    let done = match narrow {
        Some(narrow) => {
            out.push(NARROW);
            parts::put(out, &narrow, part, config)
        }
        None => {
            out.push(WIDE);
            parts::put(out, &offsets, part, config)
        }
    };
    if done.is_err() {
        out.truncate(before);
    }
    done.is_ok()
}

/// How often to take differences (0, 1 or 2), by the bits of what results around its mean: pco's bins lie wherever the numbers do,
/// so a steady slope costs nothing at the first order already.
fn best_order(offsets: &[i64]) -> usize {
    let count = offsets.len() as i64;
    let bits = |number: i64| u64::from(64 - number.unsigned_abs().leading_zeros());
    let mean = (offsets.iter().map(|offset| i128::from(*offset)).sum::<i128>() / i128::from(count)) as i64;
    let slope = offsets.last().map_or(0, |last| last / (count - 1).max(1));
    let mut cost = [bits(offsets[0].wrapping_sub(mean)), 0, 0];
    let (mut previous, mut previous_delta) = (offsets[0], slope);
    for offset in &offsets[1..] {
        let delta = offset.wrapping_sub(previous);
        cost[0] += bits(offset.wrapping_sub(mean));
        cost[1] += bits(delta.wrapping_sub(slope));
        cost[2] += bits(delta.wrapping_sub(previous_delta));
        (previous, previous_delta) = (*offset, delta);
    }
    let best = if cost[1] < cost[0] { 1 } else { 0 };
    if cost[2] < cost[best] { 2 } else { best }
}

/// Appends those of `count` numbers in parts of `part` that stand at `places`, each divided by `power`, from the rest of a chunk.
pub(super) fn take(
    reader: &mut Reader<'_>,
    (count, part): (usize, usize),
    places: Range<usize>,
    power: f64,
    values: &mut Vec<f64>,
) -> Result<(), BadBytes> {
    let base = reader.signed()?;
    let divisor = reader.varint()?;
    match reader.byte()? {
        NARROW => {
            let (base, scale) = (base as f64, divisor as f64);
            parts::take(reader, (count, part), places, |offsets: &[i32]| {
                if power == 1.0 {
                    values.extend(offsets.iter().map(|offset| f64::from(*offset) * scale + base));
                } else {
                    values.extend(offsets.iter().map(|offset| (f64::from(*offset) * scale + base) / power));
                }
            })
        }
        WIDE => {
            let number = |offset: &i64| base.wrapping_add(offset.wrapping_mul(divisor as i64));
            parts::take(reader, (count, part), places, |offsets: &[i64]| {
                values.extend(offsets.iter().map(|offset| number(offset) as f64 / power));
            })
        }
        _ => Err(BadBytes("a chunk's offsets are of an unknown width")),
    }
}
