//! Rows of a day file: where a block lies and its summary, and resources; each with a checksum of its own, since redb checks its pages
//! after a crash only.

use codec::block::{self, BlockError, Meta};
use codec::wire::{Reader, put_varint};
use model::Resource;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// redb gives a large value a power of two of pages less its own 64 bytes: values of just that size waste nothing.
pub(super) const EXTENT_BYTES: usize = (64 << 10) - 64;
/// Version of a summary from which on a checksum ends the row.
const CHECKED_SUMMARY: u8 = 3;
/// First byte of a resource with a checksum. Without one it is a count, which is always 1.
const CHECKED_RESOURCE: u8 = 2;
const CHECKSUM_BYTES: usize = 4;

/// Where the bytes of a block lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) extent: u64,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    (xxh3_64(bytes) as u32).to_le_bytes()
}

pub(super) fn write_entry(place: Place, meta: &Meta) -> Vec<u8> {
    let mut out = Vec::new();
    for number in [place.extent, place.offset, place.bytes] {
        put_varint(&mut out, number);
    }
    out.extend_from_slice(&meta.encode());
    let sum = checksum(&out);
    out.extend_from_slice(&sum);
    out
}

/// Where the block of a row lies, and the rest of the row; its checksum is not looked at.
pub(super) fn parse_place(bytes: &[u8]) -> Result<(Place, &[u8]), String> {
    let mut reader = Reader(bytes);
    let mut number = || reader.varint().map_err(|error| error.to_string());
    let place = Place { extent: number()?, offset: number()?, bytes: number()? };
    if place.offset >= EXTENT_BYTES as u64 {
        return Err("it starts outside its extent".into());
    }
    Ok((place, reader.0))
}

/// What [`write_entry`] wrote, this release's or an earlier one's.
pub(super) fn parse_entry(bytes: &[u8]) -> Result<(Place, Meta), String> {
    let (place, mut summary) = parse_place(bytes)?;
    if summary.first().is_some_and(|version| *version >= CHECKED_SUMMARY) {
        let (row, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or("its row ends early")?;
        if checksum(row) != *sum {
            return Err("its row fails its checksum".into());
        }
        summary = summary.get(..summary.len() - CHECKSUM_BYTES).ok_or("its row ends early")?;
    }
    let meta = Meta::decode(summary).map_err(|error| error.to_string())?;
    Ok((place, meta))
}

/// A resource's row, of the bytes that a block has of it.
pub(super) fn write_resource(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![CHECKED_RESOURCE];
    out.extend_from_slice(&checksum(bytes));
    out.extend_from_slice(bytes);
    out
}

/// The bytes of a resource's row; `None` when it is damaged.
pub(super) fn resource_bytes(row: &[u8]) -> Option<&[u8]> {
    let Some(rest) = row.strip_prefix(&[CHECKED_RESOURCE]) else { return Some(row) };
    let (sum, bytes) = rest.split_first_chunk::<CHECKSUM_BYTES>()?;
    (checksum(bytes) == *sum).then_some(bytes)
}

/// The resource of a row.
pub(super) fn parse_resource(row: &[u8]) -> Result<Arc<Resource>, BlockError> {
    block::decode_resource(resource_bytes(row).ok_or(BlockError::Checksum)?)
}

#[cfg(test)]
mod tests {
    use codec::block::encode_resource;
    use model::{AnyValue, LogRecord};

    use super::*;

    #[test]
    fn rows_come_back_and_no_changed_byte_goes_unnoticed() {
        let place = Place { extent: 7, offset: 300, bytes: 90_000 };
        let record = |at: i64| LogRecord { time_ns: 1_795_219_200_000_000_000 + at, ..LogRecord::default() };
        let records = [record(0), record(61_000_000_000)];
        let meta = Meta { keys: Some(vec![1, 2]), ..Meta::of(99, records.iter()) };
        let row = write_entry(place, &meta);
        let (at, read) = parse_entry(&row).unwrap();
        assert_eq!((at.extent, at.offset, at.bytes, read), (7, 300, 90_000, meta));
        let attributes = vec![("service.name".into(), AnyValue::Str("api".into()))];
        let resource = Resource { attributes, ..Resource::default() };
        let named = write_resource(&encode_resource(&resource));
        assert_eq!(*parse_resource(&named).unwrap(), resource);
        assert_eq!(*parse_resource(&encode_resource(&resource)).unwrap(), resource, "as earlier releases wrote it");
        for bit in 0..8 * row.len() {
            let mut bad = row.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse_entry(&bad).is_err(), "bit {bit}");
        }
        for bit in 0..8 * named.len() {
            let mut bad = named.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse_resource(&bad).is_err(), "bit {bit}");
        }
        for length in 0..row.len() {
            assert!(parse_entry(&row[..length]).is_err(), "{length} bytes");
        }
    }
}
