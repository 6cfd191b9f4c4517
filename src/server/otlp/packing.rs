//! Compression of requests: which one it is, and unpacking under a limit.
//!
//! A bomb costs at most the limit: output grows step by step against the bytes in work, and zstd's window is bounded.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::error::Fault;
use crate::in_flight::Share;
use crate::otlp::body::too_large;
use crate::remote_write::snappy;

/// RFC 8878 asks decoders to take windows up to 8 MiB; senders that want more memory than that are refused.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// First guess of the unpacked size, as a multiple of the packed one.
const GUESS: usize = 4;
const STEP_BYTES_MIN: usize = 16 << 10;
/// What a framed snappy stream begins with (framing_format.txt, 4.1); no block of Snappy's does.
const SNAPPY_STREAM: &[u8] = b"\xff\x06\x00\x00sNaPpY";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Zstd,
    /// "deflate" means zlib's wrapping; some senders leave it out, so the first bytes decide.
    Deflate,
    /// Its block format or its framed one: senders give both this name, so the first bytes decide.
    Snappy,
}

impl Packing {
    /// Of a `Content-Encoding` or `grpc-encoding`; `None` for what we do not read, lists among it.
    pub(crate) fn of_name(name: &str) -> Option<Packing> {
        let name = name.trim().to_ascii_lowercase();
        Some(match name.as_str() {
            "" | "identity" | "none" => Packing::None,
            "gzip" | "x-gzip" => Packing::Gzip,
            "zstd" => Packing::Zstd,
            "deflate" | "zlib" => Packing::Deflate,
            "snappy" | "x-snappy-framed" => Packing::Snappy,
            _ => return None,
        })
    }

    fn as_str(self) -> &'static str {
        match self {
            Packing::None => "identity",
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
            Packing::Deflate => "deflate",
            Packing::Snappy => "snappy",
        }
    }

    /// The plain bytes, at most `bytes_max`; no bytes stay no bytes in every packing.
    ///
    /// # Errors
    /// 413 over the limit, `Invalid` for a stream that is cut, broken or followed by something else.
    pub(crate) fn unpack(self, packed: Bytes, bytes_max: usize, share: &mut Share) -> Result<Bytes, Fault> {
        if self == Packing::None || packed.is_empty() {
            return Ok(packed);
        }
        let broken = |error: io::Error| Fault::invalid(format!("the {} body is broken: {error}", self.as_str()));
        let mut left = packed.as_ref();
        let plain = match self {
            Packing::None => unreachable!("returned above"),
            Packing::Gzip => read_all(MultiGzDecoder::new(&mut left), &packed, bytes_max, share, broken)?,
            Packing::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(&mut left).map_err(broken)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(broken)?;
                read_all(decoder, &packed, bytes_max, share, broken)?
            }
            Packing::Deflate if is_zlib(&packed) => {
                read_all(ZlibDecoder::new(&mut left), &packed, bytes_max, share, broken)?
            }
            Packing::Deflate => read_all(DeflateDecoder::new(&mut left), &packed, bytes_max, share, broken)?,
            Packing::Snappy if packed.starts_with(SNAPPY_STREAM) => {
                read_all(snap::read::FrameDecoder::new(&mut left), &packed, bytes_max, share, broken)?
            }
            Packing::Snappy => snappy::unpack(std::mem::take(&mut left), bytes_max, share)?,
        };
        if !left.is_empty() {
            return Err(Fault::invalid(format!(
                "the {} body ends {} bytes before the request does",
                self.as_str(),
                left.len()
            )));
        }
        share.shrink(packed.len());
        Ok(plain.into())
    }
}

/// RFC 1950: method 8, and a header that is a multiple of 31.
fn is_zlib(packed: &[u8]) -> bool {
    matches!(packed, [cmf, flags, ..] if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flags)).is_multiple_of(31))
}

fn read_all(
    mut from: impl Read,
    packed: &[u8],
    bytes_max: usize,
    share: &mut Share,
    broken: impl Fn(io::Error) -> Fault,
) -> Result<Vec<u8>, Fault> {
    let mut plain = Vec::new();
    let mut step = (packed.len().saturating_mul(GUESS)).clamp(STEP_BYTES_MIN, bytes_max.max(STEP_BYTES_MIN));
    loop {
        share.grow(step)?;
        plain.reserve_exact(step);
        let wanted = step as u64;
        let read = (&mut from).take(wanted).read_to_end(&mut plain).map_err(&broken)?;
        if plain.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        if read < step {
            share.shrink(step - read);
            return Ok(plain);
        }
        step = plain.len().min(bytes_max + 1 - plain.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_flight::InFlight;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use std::io::Write as _;

    const LIMIT: usize = 1 << 20;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(plain: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(plain: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd_frame(plain: &[u8]) -> Vec<u8> {
        zstd::encode_all(plain, 3).unwrap()
    }

    fn snappy_block(plain: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(plain).unwrap()
    }

    fn snappy_frames(plain: &[u8]) -> Vec<u8> {
        let mut encoder = snap::write::FrameEncoder::new(Vec::new());
        encoder.write_all(plain).unwrap();
        encoder.into_inner().unwrap()
    }

    #[track_caller]
    fn check(packing: Packing, packed: &[u8], expected: Result<&[u8], u16>) {
        let all = InFlight::new(usize::MAX);
        let mut share = all.share();
        share.grow(packed.len()).unwrap();
        let got = packing.unpack(Bytes::copy_from_slice(packed), LIMIT, &mut share);
        match (&got, expected) {
            (Ok(plain), Ok(expected)) => {
                assert_eq!(plain.len(), expected.len());
                assert!(plain == expected);
                assert_eq!(all.used(), expected.len(), "bytes in work");
            }
            (Err(fault), Err(status)) => assert_eq!(fault.status().as_u16(), status, "{}", fault.message),
            _ => panic!("{packing:?}: {:?}, expected {expected:?}", got.map(|plain| plain.len())),
        }
        drop(share);
        assert_eq!(all.used(), 0);
    }

    #[test]
    fn every_packing_unpacks_up_to_the_limit_and_no_further() {
        type Pack = fn(&[u8]) -> Vec<u8>;
        let packers: [(Packing, Pack); 6] = [
            (Packing::Gzip, gzip),
            (Packing::Zstd, zstd_frame),
            (Packing::Deflate, zlib),
            (Packing::Deflate, deflate),
            (Packing::Snappy, snappy_block),
            (Packing::Snappy, snappy_frames),
        ];
        let exact = vec![7; LIMIT];
        let bomb = vec![0; 64 * LIMIT];
        for (packing, pack) in packers {
            for plain in [&b"x"[..], b"", &exact, &exact[..70_000]] {
                check(packing, &pack(plain), Ok(plain));
            }
            check(packing, &pack(&vec![7; LIMIT + 1]), Err(413));
            check(packing, &pack(&bomb), Err(413));
            let whole = pack(&exact);
            for cut in [1, 5, whole.len() / 2, whole.len() - 1] {
                check(packing, &whole[..cut], Err(400));
            }
            let mut tail = pack(b"hello");
            tail.extend_from_slice(b"garbage");
            check(packing, &tail, Err(400));
            check(packing, b"this was never packed", Err(400));
            check(packing, b"", Ok(b""));
        }
    }

    #[test]
    fn members_and_frames_follow_each_other() {
        check(Packing::Gzip, &[gzip(b"one "), gzip(b"two")].concat(), Ok(b"one two"));
        check(Packing::Zstd, &[zstd_frame(b"one "), zstd_frame(b"two")].concat(), Ok(b"one two"));
    }

    #[test]
    fn a_huge_zstd_window_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(&vec![1; 1000]).unwrap();
        check(Packing::Zstd, &encoder.finish().unwrap(), Err(400));
    }

    #[test]
    fn names() {
        for (name, expected) in [
            ("GZip", Some(Packing::Gzip)),
            ("x-gzip", Some(Packing::Gzip)),
            (" zstd ", Some(Packing::Zstd)),
            ("", Some(Packing::None)),
            ("x-snappy-framed", Some(Packing::Snappy)),
            ("gzip, zstd", None),
            ("br", None),
        ] {
            assert_eq!(Packing::of_name(name), expected, "{name}");
        }
    }
}
