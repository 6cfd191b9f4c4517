//! What is known of a block without reading it: times, counts, counts by minute and severity.

use model::{LogRecord, Severity};

use super::BlockError;
use crate::wire::{Reader, put_signed, put_varint};

const VERSION: u8 = 1;
/// Most (minute, severity) counts kept; a block of more (a backlog spread thinly over its day) keeps none and is read instead.
const MINUTE_COUNTS_MAX: usize = 512;
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
    /// In order of time; `None` when there would be more than 512.
    pub minutes: Option<Vec<MinuteCount>>,
}

impl Meta {
    /// The summary of records, which must be some and in order of time.
    pub fn of<'a>(raw_bytes: u64, records: impl Iterator<Item = &'a LogRecord>) -> Meta {
        let mut meta =
            Meta { records: 0, raw_bytes, min_ns: i64::MAX, max_ns: i64::MIN, severities: [0; 7], minutes: None };
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
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Meta, BlockError> {
        let mut reader = Reader(bytes);
        let version = reader.byte()?;
        if version != VERSION {
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
        if !reader.is_empty() || max_ns < min_ns {
            return Err(BlockError::Damaged("its summary contradicts itself"));
        }
        Ok(Meta { records, raw_bytes, min_ns, max_ns, severities, minutes })
    }
}
