//! A chunk's times: nothing at all when they are evenly spaced, else their differences.

use super::{ChunkHead, ints};
use crate::wire::{BadBytes, Reader};

const EVEN: u8 = 0;
const DIFFERENCES: u8 = 1;

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
    let wrong = BadBytes("a chunk's times contradict its head");
    match encoding {
        EVEN => {
            let span = head.last_ms.wrapping_sub(head.first_ms) as u64;
            let step = if gaps == 0 { 0 } else { span / gaps as u64 };
            if step * gaps as u64 != span || (step == 0) != (gaps == 0) {
                return Err(wrong);
            }
            at_ms.extend((0..head.samples as u64).map(|index| head.first_ms.wrapping_add_unsigned(index * step)));
        }
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
