//! The frame of a block: version, checksum, and sections that are compressed one by one.
//!
//! ```text
//! version u8 | xxh3-64 of all that follows, LE | varint records | varint sections
//! | per section: id u8, varint bytes plain, varint bytes stored | stored bytes, in the same order
//! ```
//! A section is stored plain when both counts are equal. Empty sections are left out: a reader takes them as all defaults.

use std::cell::RefCell;

use xxhash_rust::xxh3::xxh3_64;

use super::{BlockError, RECORDS_MAX, SECTION_BYTES_MAX, VERSION};
use crate::wire::{Reader, put_varint};

/// What a section holds. Ids are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Section {
    Times = 1,
    Severities = 2,
    Order = 3,
    Streams = 4,
    Observed = 5,
    Ids = 6,
    BodyLayout = 7,
    BodyText = 8,
    BodyTyped = 9,
    AttributeLayout = 10,
    AttributeText = 11,
    AttributeTyped = 12,
    Rest = 13,
    Resources = 14,
    Templates = 15,
    TemplateOf = 16,
    HoleHeads = 17,
    HoleIndices = 18,
    HoleText = 19,
    HoleNumbers = 20,
    HoleRaw = 21,
    CellHeads = 22,
    CellIndices = 23,
    CellText = 24,
    CellNumbers = 25,
    CellRaw = 26,
}

pub(super) const SECTIONS: usize = 26;

const HEADER_BYTES: usize = 9;
/// zstd's frame alone takes about a dozen bytes, and its start some microseconds.
const PLAIN_BELOW_BYTES: usize = 64;

/// How hard a block is compressed. Reading costs the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// For records that just came: level 3 gave nothing over 1 on logs, level 9 4 % for five times the CPU (measured, loghub lines).
    Quick,
    /// For records that are written anew once and then stay.
    Thorough,
}

impl Effort {
    fn zstd_level(self) -> i32 {
        match self {
            Effort::Quick => 1,
            Effort::Thorough => 9,
        }
    }
}

const NOT_ZSTD: BlockError = BlockError::Damaged("a section does not decompress");

thread_local! {
    /// Making zstd's state (160 KB) takes longer than decompressing a small section with it.
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A block of the version that is written, of its sections in plain bytes.
pub(super) fn frame(records: usize, sections: &[(Section, Vec<u8>)], effort: Effort) -> Vec<u8> {
    let sections: Vec<(u8, &[u8])> = sections.iter().map(|(id, plain)| (*id as u8, &**plain)).collect();
    frame_of(VERSION, records, &sections, effort)
}

fn frame_of(version: u8, records: usize, sections: &[(u8, &[u8])], effort: Effort) -> Vec<u8> {
    let mut out = vec![version];
    out.extend_from_slice(&[0; 8]);
    put_varint(&mut out, records as u64);
    let used: Vec<&(u8, &[u8])> = sections.iter().filter(|(_, plain)| !plain.is_empty()).collect();
    put_varint(&mut out, used.len() as u64);
    let mut compressor = zstd::bulk::Compressor::new(effort.zstd_level()).expect("zstd knows its levels");
    let mut stored: Vec<Option<Vec<u8>>> = Vec::with_capacity(used.len());
    for (id, plain) in &used {
        // Raw bytes are what looked random to begin with.
        let is_raw = [Section::HoleRaw as u8, Section::CellRaw as u8].contains(id);
        let packed = (plain.len() >= PLAIN_BELOW_BYTES && !is_raw)
            .then(|| compressor.compress(plain).expect("its buffer has room for what does not shrink"))
            .filter(|packed| packed.len() < plain.len());
        out.push(*id);
        put_varint(&mut out, plain.len() as u64);
        put_varint(&mut out, packed.as_ref().map_or(plain.len(), Vec::len) as u64);
        stored.push(packed);
    }
    for ((_, plain), packed) in used.iter().zip(&stored) {
        out.extend_from_slice(packed.as_deref().unwrap_or(plain));
    }
    let sum = xxh3_64(&out[HEADER_BYTES..]);
    out[1..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    out
}

/// Where each section stands in the block's bytes.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) version: u8,
    pub(super) records: usize,
    /// By id - 1: start, bytes stored, bytes plain. Zero bytes plain: not there.
    places: [(usize, usize, usize); SECTIONS],
}

impl Table {
    pub(super) fn read(bytes: &[u8]) -> Result<Table, BlockError> {
        let mut reader = Reader(bytes);
        let version = reader.byte()?;
        if version == 0 || version > VERSION {
            return Err(BlockError::Version { found: version });
        }
        let sum = reader.u64_le()?;
        if xxh3_64(reader.0) != sum {
            return Err(BlockError::Checksum);
        }
        let records = size(&mut reader, RECORDS_MAX)?;
        let count = reader.count(3)?;
        let mut listed = Vec::with_capacity(count.min(SECTIONS));
        for _ in 0..count {
            let id = usize::from(reader.byte()?);
            let plain = size(&mut reader, SECTION_BYTES_MAX)?;
            let stored = size(&mut reader, SECTION_BYTES_MAX)?;
            if !(1..=SECTIONS).contains(&id) || plain == 0 || stored > plain {
                return Err(BlockError::Damaged("its list of sections is wrong"));
            }
            listed.push((id, stored, plain));
        }
        let mut start = bytes.len() - reader.0.len();
        let mut places = [(0, 0, 0); SECTIONS];
        for (id, stored, plain) in listed {
            reader.take(stored)?;
            if places[id - 1].2 != 0 {
                return Err(BlockError::Damaged("a section stands in it twice"));
            }
            places[id - 1] = (start, stored, plain);
            start += stored;
        }
        if !reader.is_empty() {
            return Err(BlockError::Damaged("bytes follow its last section"));
        }
        Ok(Table { version, records, places })
    }

    pub(super) fn has(&self, section: Section) -> bool {
        self.places[section as usize - 1].2 > 0
    }

    /// The same block, compressed anew.
    pub(super) fn compressed(&self, bytes: &[u8], effort: Effort) -> Result<Vec<u8>, BlockError> {
        let mut sections = Vec::with_capacity(SECTIONS);
        for id in (1..=SECTIONS as u8).filter(|id| self.places[usize::from(*id) - 1].2 > 0) {
            sections.push((id, self.load_id(bytes, id)?));
        }
        let sections: Vec<(u8, &[u8])> = sections.iter().map(|(id, plain)| (*id, &**plain)).collect();
        Ok(frame_of(self.version, self.records, &sections, effort))
    }

    /// The plain bytes of a section; empty when it is not there.
    pub(super) fn load(&self, bytes: &[u8], section: Section) -> Result<Vec<u8>, BlockError> {
        self.load_id(bytes, section as u8)
    }

    fn load_id(&self, bytes: &[u8], id: u8) -> Result<Vec<u8>, BlockError> {
        let (start, stored, plain) = self.places[usize::from(id) - 1];
        let stored_bytes = &bytes[start..start + stored];
        if stored == plain {
            return Ok(stored_bytes.to_vec());
        }
        let out = DECOMPRESSOR.with_borrow_mut(|kept| {
            let decompressor = match kept {
                Some(known) => known,
                None => kept.insert(zstd::bulk::Decompressor::new().map_err(|_| NOT_ZSTD)?),
            };
            decompressor.decompress(stored_bytes, plain).map_err(|_| NOT_ZSTD)
        })?;
        if out.len() != plain {
            return Err(BlockError::Damaged("a section has another size than declared"));
        }
        Ok(out)
    }
}

fn size(reader: &mut Reader<'_>, max: usize) -> Result<usize, BlockError> {
    usize::try_from(reader.varint()?)
        .ok()
        .filter(|size| *size <= max)
        .ok_or(BlockError::Damaged("a size is over its limit"))
}
