//! What of pco's format is read: what is written. A few bits of a chunk's metadata can ask for far more memory than its numbers take, a
//! dictionary or a window to look back in, and pco makes room for it before it looks whether anything is there.

use pco::metadata::FormatVersion;

use crate::wire::BadBytes;

/// Since this version the metadata begins as below; what is older was never written.
const FORMAT_MAJOR_MIN: u8 = 4;
const MODE_BITS: usize = 4;
const MODE_CLASSIC: u64 = 0;
const MODE_INT_MULT: u64 = 1;
const MODE_FLOAT_MULT: u64 = 2;
const MODE_FLOAT_QUANT: u64 = 3;
const QUANTUM_BITS: usize = 8;
const DELTA_BITS: usize = 4;
const DELTA_LOOKBACK: u64 = 2;
const WINDOW_BITS: usize = 5;
/// The largest window that pco writes, as a power of two: a quarter of a megabyte of numbers.
const WINDOW_LOG_MAX: u64 = 15;

/// Whether the metadata of a chunk of numbers of so many bits asks for no more than what is written does.
pub(super) fn check(version: &FormatVersion, meta: &[u8], number_bits: usize) -> Result<(), BadBytes> {
    let unknown = BadBytes("a chunk's numbers are in a form that is never written");
    if version.major < FORMAT_MAJOR_MIN {
        return Err(unknown);
    }
    let mode = bits(meta, 0, MODE_BITS)?;
    let parameter = match mode {
        MODE_CLASSIC => 0,
        MODE_INT_MULT | MODE_FLOAT_MULT => number_bits,
        MODE_FLOAT_QUANT => QUANTUM_BITS,
        _ => return Err(unknown),
    };
    let delta = MODE_BITS + parameter;
    if bits(meta, delta, DELTA_BITS)? == DELTA_LOOKBACK
        && 1 + bits(meta, delta + DELTA_BITS, WINDOW_BITS)? > WINDOW_LOG_MAX
    {
        return Err(unknown);
    }
    Ok(())
}

/// `count` bits from bit `from` on, the lowest first.
fn bits(bytes: &[u8], from: usize, count: usize) -> Result<u64, BadBytes> {
    let mut found = 0;
    for at in from..from + count {
        let byte = bytes.get(at / 8).ok_or(BadBytes("a chunk's numbers end too early"))?;
        found |= u64::from(byte >> (at % 8) & 1) << (at - from);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_meta(meta: &[u8], number_bits: usize, fits: bool) {
        assert_eq!(check(&FormatVersion::max_supported(), meta, number_bits).is_ok(), fits, "{meta:?}");
    }

    #[test]
    fn what_is_never_written_is_not_read() {
        check_meta(&[0x00], 64, true);
        check_meta(&[0x04, 0xff, 0xff, 0xff], 64, false);
        check_meta(&[0x0f], 64, false);
        // A window of 2^15, and of 2^16.
        check_meta(&[0x20, 14], 64, true);
        check_meta(&[0x20, 15], 64, false);
        check_meta(&[0x20, 31], 64, false);
        check_meta(&[0x20], 64, false);
        // Behind the factor of a multiple, and behind a quantum.
        check_meta(&[0x02, 0, 0, 0, 0, 0, 0, 0, 0x20, 15], 64, false);
        check_meta(&[0x01, 0, 0, 0, 0x20, 14], 32, true);
        check_meta(&[0x01, 0, 0, 0, 0x20, 15], 32, false);
        check_meta(&[0x03, 0x20, 15], 64, false);
        check_meta(&[], 64, false);
    }
}
