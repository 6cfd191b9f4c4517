//! Series by name and by label, as the intake log and the day files keep them: groups of label sets, and blocks of a label's values
//! with the series that have them.
//!
//! Written for few bytes a series: columns, one dictionary a group or block, zstd around all. Layout: `src/store/FORMAT.md`.

mod group;
mod runs;
mod values;

pub use group::{Group, encode_group, hash};
pub use runs::{Runs, put_runs};
pub use values::{ValueBlock, encode_values};

use crate::wire::{BadBytes, Reader, put_varint};

/// Bytes of a group or block before compression; forged lengths above it are refused. Writers cut at a small part of it, and one
/// label set or posting list alone stays below by far.
const RAW_BYTES_MAX: usize = 64 << 20;

const VERSION: u8 = 1;
const ZSTD_LEVEL: i32 = 3;

/// Version, length before compression, zstd, and the low 32 bits of the xxh3-64 of all before.
fn seal(raw: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = vec![VERSION];
    put_varint(&mut out, raw.len() as u64);
    out.extend_from_slice(&zstd::bulk::compress(raw, ZSTD_LEVEL)?);
    let sum = xxhash_rust::xxh3::xxh3_64(&out) as u32;
    out.extend_from_slice(&sum.to_le_bytes());
    Ok(out)
}

fn unseal(bytes: &[u8]) -> Result<Vec<u8>, BadBytes> {
    let (body, sum) = bytes.split_last_chunk::<4>().ok_or(BadBytes("it ends too early"))?;
    if xxhash_rust::xxh3::xxh3_64(body) as u32 != u32::from_le_bytes(*sum) {
        return Err(BadBytes("its checksum is wrong"));
    }
    let mut reader = Reader(body);
    if reader.byte()? != VERSION {
        return Err(BadBytes("its version is unknown"));
    }
    let length = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
    if length > RAW_BYTES_MAX {
        return Err(BadBytes("it is larger than it may be"));
    }
    let raw = zstd::bulk::decompress(reader.0, length).map_err(|_| BadBytes("it cannot be decompressed"))?;
    if raw.len() == length { Ok(raw) } else { Err(BadBytes("its length is wrong")) }
}
