//! Snappy's block format, unpacked under a limit: the length that a block announces is checked before anything is reserved.

use crate::error::Fault;
use crate::in_flight::Share;
use crate::otlp::body::too_large;

/// The most that a block can unpack to, as a multiple of its own size: a copy of 64 bytes takes 3 (format_description.txt, 2.2).
const RATIO_MAX: usize = 22;

/// The plain bytes, at most `bytes_max`; they are counted in `share`.
///
/// # Errors
/// 413 over the limit, `Invalid` for a block that is cut, broken or not one.
pub(crate) fn unpack(packed: &[u8], bytes_max: usize, share: &mut Share) -> Result<Vec<u8>, Fault> {
    let broken = |why: String| Fault::invalid(format!("the snappy body is broken: {why}"));
    let announced = snap::raw::decompress_len(packed).map_err(|error| broken(error.to_string()))?;
    if announced > bytes_max {
        return Err(too_large(bytes_max));
    }
    if announced / RATIO_MAX > packed.len() {
        return Err(broken(format!("{} bytes cannot hold the {announced} they announce", packed.len())));
    }
    share.grow(announced)?;
    snap::raw::Decoder::new().decompress_vec(packed).map_err(|error| broken(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_flight::InFlight;

    const LIMIT: usize = 1 << 20;

    #[track_caller]
    fn check(packed: &[u8], expected: Result<&[u8], u16>) {
        let all = InFlight::new(usize::MAX);
        let mut share = all.share();
        let got = unpack(packed, LIMIT, &mut share);
        match (&got, expected) {
            (Ok(plain), Ok(expected)) => assert!(plain == expected),
            (Err(fault), Err(status)) => assert_eq!(fault.status().as_u16(), status, "{}", fault.message),
            _ => panic!("{:?}, expected {expected:?}", got.map(|plain| plain.len())),
        }
    }

    #[test]
    fn blocks_unpack_up_to_the_limit_and_no_further() {
        let pack = |plain: &[u8]| snap::raw::Encoder::new().compress_vec(plain).unwrap();
        let exact = vec![7; LIMIT];
        let mixed: Vec<u8> = (0..100_000u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
        for plain in [&b"x"[..], b"hello hello hello hello", &exact, &mixed] {
            check(&pack(plain), Ok(plain));
        }
        check(&pack(&vec![7; LIMIT + 1]), Err(413));
        check(&pack(&vec![0; 64 * LIMIT]), Err(413));
        let whole = pack(&mixed);
        for cut in [1, 5, whole.len() / 2, whole.len() - 1] {
            check(&whole[..cut], Err(400));
        }
        check(b"", Err(400));
        // A megabyte announced, by ten bytes.
        check(&[0x80, 0x80, 0x40, 0, 0, 0, 0, 0, 0, 0], Err(400));
        check(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Err(400));
    }
}
