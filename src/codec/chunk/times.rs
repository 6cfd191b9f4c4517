//! A chunk's times: nothing at all when they are evenly spaced, else their differences.

use std::ops::Range;

use model::MsRange;

use super::{ChunkHead, ints};
use crate::wire::{BadBytes, Reader};

pub(super) const EVEN: u8 = 0;
const DIFFERENCES: u8 = 1;

const CONTRADICTION: BadBytes = BadBytes("a chunk's times contradict its head");

/// Writes times and returns their encoding.
pub(super) fn put(out: &mut Vec<u8>, at_ms: &[i64]) -> u8 {
    let step = |pair: &[i64]| pair[1].wrapping_sub(pair[0]);
    if at_ms.windows(3).all(|three| step(&three[..2]) == step(&three[1..])) {
        return EVEN;
    }
    // The first and the last stand in the head, so the last difference is known too; it is kept for simplicity.
    let mut differences: Vec<i64> = at_ms.windows(2).map(step).collect();
    ints::put(out, &mut differences);
    DIFFERENCES
}

/// Appends the times; they strictly grow from the head's first to its last, or it is an error.
pub(super) fn take(
    reader: &mut Reader<'_>,
    encoding: u8,
    head: &ChunkHead,
    at_ms: &mut Vec<i64>,
) -> Result<(), BadBytes> {
    let gaps = head.samples - 1;
    let wrong = CONTRADICTION;
    match encoding {
        EVEN => put_even(head, even_step(head)?, 0..head.samples, at_ms),
        DIFFERENCES => {
            let differences = ints::take(reader, gaps)?;
            let mut at = head.first_ms;
            at_ms.push(at);
            for difference in differences {
                // A gap of more than 2^63 ms wrapped into a negative number; nothing else may be negative.
                let next = at.checked_add_unsigned(difference as u64).filter(|next| *next > at).ok_or(wrong.clone())?;
                at_ms.push(next);
                at = next;
            }
            if at != head.last_ms {
                return Err(wrong);
            }
        }
        _ => return Err(BadBytes("a chunk's times are in an unknown encoding")),
    }
    Ok(())
}

/// Appends those of a chunk's evenly spaced times that stand at `places`.
pub(super) fn put_even(head: &ChunkHead, step: u64, places: Range<usize>, at_ms: &mut Vec<i64>) {
    at_ms.extend(places.map(|place| head.first_ms.wrapping_add_unsigned(place as u64 * step)));
}

/// The distance of evenly spaced times, 0 of a single one.
pub(super) fn even_step(head: &ChunkHead) -> Result<u64, BadBytes> {
    let gaps = head.samples as u64 - 1;
    let span = head.last_ms.wrapping_sub(head.first_ms) as u64;
    let step = span.checked_div(gaps).unwrap_or(0);
    if step * gaps == span && (step == 0) == (gaps == 0) { Ok(step) } else { Err(CONTRADICTION) }
}

/// Where evenly spaced times lie within a range.
pub(super) fn even_places(head: &ChunkHead, step: u64, range: MsRange) -> Range<usize> {
    if head.last_ms < range.start_ms || range.end_ms < head.first_ms {
        return 0..0;
    }
    let from_first = |at_ms: i64| at_ms.wrapping_sub(head.first_ms) as u64;
    let start = if range.start_ms <= head.first_ms { 0 } else { from_first(range.start_ms).div_ceil(step) as usize };
    let last = if range.end_ms >= head.last_ms { head.samples - 1 } else { (from_first(range.end_ms) / step) as usize };
    start..(last + 1).max(start)
}
