//! What is known of a block without reading it: times, counts, counts by minute and severity.

use model::{LogRecord, Severity};

use xxhash_rust::xxh3::xxh3_64;

use super::BlockError;
use crate::wire::{Reader, put_signed, put_varint};

/// Version 1 had no resources and no keys; behind version 3 stands a checksum of the row, which the store makes and checks.
const VERSION: u8 = 3;
/// Most (minute, severity) counts kept; a block of more (a backlog spread thinly over its day) keeps none and is read instead.
const MINUTE_COUNTS_MAX: usize = 512;
/// Most resources named; a block of more (many small streams) names none.
pub const RESOURCES_MAX: usize = 256;
/// Most keys named.
pub const KEYS_MAX: usize = 64;
const MINUTE_NS: i64 = 60_000_000_000;

/// Records of one severity within one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinuteCount {
    /// Start of the minute, a multiple of 60 s.
    pub start_ns: i64,
    pub severity: Severity,
    pub count: u64,
}

/// A block's summary. `min_ns` and `max_ns` are both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    pub records: u64,
    /// Size of the records before encoding, as the store counts it.
    pub raw_bytes: u64,
    pub min_ns: i64,
    pub max_ns: i64,
    /// In the order of `Severity::ALL`.
    pub severities: [u64; Severity::ALL.len()],
    /// Whether a record that was sent without a severity is counted with the one that it tells. The first release counted it as without
    /// one; then the counts by severity say too little. Not written: what is written now has them.
    pub has_derived: bool,
    /// In order of time; `None` when there would be more than 512.
    pub minutes: Option<Vec<MinuteCount>>,
    /// Records of each resource, by the numbers that the day has for them; `None` when they are not known, or more than
    /// [`RESOURCES_MAX`].
    pub resources: Option<Vec<(u32, u64)>>,
    /// [`Meta::key_hash`] of the keys of its records' and scopes' attributes, in order; `None` when they are not known, or more than
    /// [`KEYS_MAX`].
    pub keys: Option<Vec<u32>>,
}

impl Meta {
    /// The summary of records, which must be some and in order of time.
    pub fn of<'a>(raw_bytes: u64, records: impl Iterator<Item = &'a LogRecord>) -> Meta {
        let mut meta = Meta {
            records: 0,
            raw_bytes,
            min_ns: i64::MAX,
            max_ns: i64::MIN,
            severities: [0; 7],
            has_derived: true,
            minutes: None,
            resources: None,
            keys: None,
        };
        let mut minutes: Vec<(i64, [u64; 7])> = Vec::new();
        for record in records {
            let severity = record.severity() as usize;
            meta.records += 1;
            meta.min_ns = meta.min_ns.min(record.time_ns);
            meta.max_ns = meta.max_ns.max(record.time_ns);
            meta.severities[severity] += 1;
            let minute = record.time_ns.div_euclid(MINUTE_NS);
            match minutes.last_mut() {
                Some((last, counts)) if *last == minute => counts[severity] += 1,
                _ => {
                    let mut counts = [0; 7];
                    counts[severity] = 1;
                    minutes.push((minute, counts));
                }
            }
        }
        let counts = || {
            minutes.iter().flat_map(|(minute, counts)| {
                counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(severity, count)| MinuteCount {
                    start_ns: minute.saturating_mul(MINUTE_NS),
                    severity: Severity::ALL[severity],
                    count: *count,
                })
            })
        };
        if counts().count() <= MINUTE_COUNTS_MAX {
            meta.minutes = Some(counts().collect());
        }
        meta
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_varint(&mut out, self.records);
        put_varint(&mut out, self.raw_bytes);
        put_signed(&mut out, self.min_ns);
        put_varint(&mut out, self.max_ns.wrapping_sub(self.min_ns) as u64);
        self.severities.iter().for_each(|count| put_varint(&mut out, *count));
        match &self.minutes {
            None => out.push(0),
            Some(minutes) => {
                out.push(1);
                put_varint(&mut out, minutes.len() as u64);
                let mut before = 0;
                for entry in minutes {
                    let minute = entry.start_ns.div_euclid(MINUTE_NS);
                    put_signed(&mut out, minute - before);
                    before = minute;
                    out.push(entry.severity as u8);
                    put_varint(&mut out, entry.count);
                }
            }
        }
        match &self.resources {
            None => out.push(0),
            Some(resources) => {
                out.push(1);
                put_varint(&mut out, resources.len() as u64);
                for (number, count) in resources {
                    put_varint(&mut out, u64::from(*number));
                    put_varint(&mut out, *count);
                }
            }
        }
        match &self.keys {
            None => out.push(0),
            Some(keys) => {
                out.push(1);
                put_varint(&mut out, keys.len() as u64);
                keys.iter().for_each(|key| out.extend_from_slice(&key.to_le_bytes()));
            }
        }
        out
    }

    /// Stands for a key in [`Meta::keys`].
    pub fn key_hash(key: &str) -> u32 {
        xxh3_64(key.as_bytes()) as u32
    }

    /// Whether some record's or scope's attributes may have a path: its key, or one that leads to it; false is certain.
    pub fn may_have_key(&self, path: &str) -> bool {
        let Some(keys) = &self.keys else { return true };
        let known = |key: &str| keys.binary_search(&Meta::key_hash(key)).is_ok();
        known(path) || path.match_indices('.').any(|(at, _)| known(&path[..at]))
    }

    pub fn decode(bytes: &[u8]) -> Result<Meta, BlockError> {
        let mut reader = Reader(bytes);
        let version = reader.byte()?;
        if version == 0 || version > VERSION {
            return Err(BlockError::Version { found: version });
        }
        let records = reader.varint()?;
        let raw_bytes = reader.varint()?;
        let min_ns = reader.signed()?;
        let max_ns = min_ns.wrapping_add(reader.varint()? as i64);
        let mut severities = [0; 7];
        for count in &mut severities {
            *count = reader.varint()?;
        }
        let minutes = match reader.byte()? {
            0 => None,
            _ => {
                let mut minutes = Vec::new();
                let mut minute = 0i64;
                for _ in 0..reader.count(3)? {
                    minute = minute.wrapping_add(reader.signed()?);
                    let severity = *Severity::ALL
                        .get(usize::from(reader.byte()?))
                        .ok_or(BlockError::Damaged("its summary has an unknown severity"))?;
                    let start_ns = minute.saturating_mul(MINUTE_NS);
                    minutes.push(MinuteCount { start_ns, severity, count: reader.varint()? });
                }
                Some(minutes)
            }
        };
        let mut resources = None;
        if version > 1 && reader.byte()? != 0 {
            let count = reader.count(2)?;
            let mut known = Vec::with_capacity(count);
            for _ in 0..count {
                let number = u32::try_from(reader.varint()?)
                    .map_err(|_| BlockError::Damaged("its summary has a resource out of range"))?;
                known.push((number, reader.varint()?));
            }
            resources = Some(known);
        }
        let mut keys = None;
        if version > 1 && reader.byte()? != 0 {
            let count = reader.count(4)?;
            let bytes = reader.take(4 * count)?;
            let hash = |bytes: &[u8]| bytes.iter().rev().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
            keys = Some(bytes.chunks_exact(4).map(hash).collect());
        }
        if !reader.is_empty() || max_ns < min_ns {
            return Err(BlockError::Damaged("its summary contradicts itself"));
        }
        let has_derived = version > 1 || severities[Severity::Unspecified as usize] == 0;
        Ok(Meta { records, raw_bytes, min_ns, max_ns, severities, has_derived, minutes, resources, keys })
    }
}
