//! The small columns of a block, and its bodies, as they are read.

use std::sync::Arc;

use model::{AnyValue, Resource, Scope, Severity};

use super::attributes::step;
use super::{BlockError, value};
use crate::wire::Reader;

pub(super) fn times(records: usize, bytes: &[u8]) -> Result<Vec<i64>, BlockError> {
    let mut reader = Reader(bytes);
    let mut before = 0i64;
    let mut out = Vec::with_capacity(records.min(bytes.len()));
    for _ in 0..records {
        before = before.wrapping_add(reader.signed()?);
        out.push(before);
    }
    end(&reader)?;
    Ok(out)
}

/// Distinct severities, and which of them each record has.
#[derive(Debug, Default)]
pub(super) struct Severities {
    /// Number, text, and the range they say; without one the body may say it.
    pub(super) entries: Vec<(i32, String, Option<Severity>)>,
    pub(super) of_record: Vec<u32>,
}

impl Severities {
    pub(super) fn read(records: usize, bytes: &[u8]) -> Result<Severities, BlockError> {
        if bytes.is_empty() {
            let entries = vec![(0, String::new(), None)];
            return Ok(Severities { entries, of_record: vec![0; records] });
        }
        let mut reader = Reader(bytes);
        let mut entries = Vec::new();
        for _ in 0..reader.count(2)? {
            let number =
                i32::try_from(reader.signed()?).map_err(|_| BlockError::Damaged("a severity is out of range"))?;
            let text = reader.text()?.to_owned();
            let range = Severity::of_sent(number, &text);
            entries.push((number, text, range));
        }
        let mut of_record = Vec::with_capacity(records.min(bytes.len()));
        for _ in 0..records {
            let index = reader.varint()?;
            if index >= entries.len() as u64 {
                return Err(BlockError::Damaged("a severity points past its list"));
            }
            of_record.push(index as u32);
        }
        end(&reader)?;
        Ok(Severities { entries, of_record })
    }
}

pub(super) fn order(records: usize, bytes: &[u8]) -> Result<Vec<(u64, u32)>, BlockError> {
    if bytes.is_empty() {
        return Ok(vec![(0, 0); records]);
    }
    let mut reader = Reader(bytes);
    let mut seq = 0u64;
    let mut out = Vec::with_capacity(records.min(bytes.len()));
    for _ in 0..records {
        seq = seq.wrapping_add(reader.signed()? as u64);
        out.push((seq, 0));
    }
    let mut place = 0i64;
    for entry in &mut out {
        place = place.wrapping_add(reader.signed()?);
        entry.1 = u32::try_from(place).map_err(|_| BlockError::Damaged("a place in a request is out of range"))?;
    }
    end(&reader)?;
    Ok(out)
}

/// Resources and scopes, and which each record has.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pub(super) resources: Vec<Arc<Resource>>,
    pub(super) scopes: Vec<Arc<Scope>>,
    pub(super) of_record: Vec<(u32, u32)>,
}

impl Streams {
    pub(super) fn read(records: usize, streams: &[u8], around: &[u8]) -> Result<Streams, BlockError> {
        let mut reader = Reader(around);
        let mut resources = Vec::new();
        for _ in 0..reader.count(3)? {
            resources.push(Arc::new(Resource {
                attributes: value::get_attributes(&mut reader)?,
                dropped_attributes_count: narrow(&mut reader)?,
                schema_url: reader.text()?.to_owned(),
            }));
        }
        let mut scopes = Vec::new();
        for _ in 0..reader.count(5)? {
            scopes.push(Arc::new(Scope {
                name: reader.text()?.to_owned(),
                version: reader.text()?.to_owned(),
                attributes: value::get_attributes(&mut reader)?,
                dropped_attributes_count: narrow(&mut reader)?,
                schema_url: reader.text()?.to_owned(),
            }));
        }
        end(&reader)?;
        let mut of_record = vec![(0, 0); records];
        if !streams.is_empty() {
            let mut reader = Reader(streams);
            for entry in &mut of_record {
                entry.0 = narrow(&mut reader)?;
            }
            for entry in &mut of_record {
                entry.1 = narrow(&mut reader)?;
            }
            end(&reader)?;
        }
        let inside = |entry: &(u32, u32)| (entry.0 as usize) < resources.len() && (entry.1 as usize) < scopes.len();
        if !of_record.iter().all(inside) {
            return Err(BlockError::Damaged("a record's resource or scope is not in its list"));
        }
        Ok(Streams { resources, scopes, of_record })
    }
}

/// The observed time, and whether the event time is derived, of each record.
pub(super) fn observed(times: &[i64], bytes: &[u8]) -> Result<Vec<(i64, bool)>, BlockError> {
    let mut out = vec![(0, false); times.len()];
    if bytes.is_empty() {
        return Ok(out);
    }
    let mut reader = Reader(bytes);
    let sent = reader.take(times.len())?;
    for ((entry, bits), time_ns) in out.iter_mut().zip(sent).zip(times) {
        if bits & 1 != 0 {
            entry.0 = time_ns.wrapping_add(reader.signed()?);
        }
        entry.1 = bits & 2 != 0;
    }
    end(&reader)?;
    Ok(out)
}

/// Trace id, span id and flags of one record.
pub type Ids = (Option<[u8; 16]>, Option<[u8; 8]>, u32);

pub(super) fn ids(records: usize, bytes: &[u8]) -> Result<Vec<Ids>, BlockError> {
    let mut out = vec![(None, None, 0); records];
    if bytes.is_empty() {
        return Ok(out);
    }
    let mut reader = Reader(bytes);
    let bits = reader.take(records)?;
    for (entry, _) in out.iter_mut().zip(bits).filter(|(_, bits)| **bits & 1 != 0) {
        entry.0 = Some(reader.take(16)?.try_into().expect("sixteen bytes were taken"));
    }
    for (entry, _) in out.iter_mut().zip(bits).filter(|(_, bits)| **bits & 2 != 0) {
        entry.1 = Some(reader.take(8)?.try_into().expect("eight bytes were taken"));
    }
    for (entry, _) in out.iter_mut().zip(bits).filter(|(_, bits)| **bits & 4 != 0) {
        entry.2 = narrow(&mut reader)?;
    }
    end(&reader)?;
    Ok(out)
}

/// A body where it lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Body<'a> {
    Text(&'a str),
    /// Every other type.
    Typed(&'a AnyValue),
}

/// The bodies of a block's records.
#[derive(Debug, Default)]
pub struct Bodies {
    text: String,
    places: Vec<BodyPlace>,
    typed: Vec<AnyValue>,
}

#[derive(Debug, Clone, Copy)]
enum BodyPlace {
    Text(usize, usize),
    Typed(usize),
}

impl Bodies {
    pub(super) fn read(records: usize, layout: &[u8], text: Vec<u8>, typed: &[u8]) -> Result<Bodies, BlockError> {
        let text = String::from_utf8(text).map_err(|_| BlockError::Damaged("a body is not UTF-8"))?;
        let mut reader = Reader(layout);
        let empty = if layout.is_empty() { vec![value::EMPTY; records] } else { Vec::new() };
        let kinds = if layout.is_empty() { &empty[..] } else { reader.take(records)? };
        let mut typed_reader = Reader(typed);
        let mut typed = Vec::new();
        let mut places = Vec::new();
        let mut from = 0;
        for kind in kinds {
            if *kind == value::STR {
                let to = step(&mut reader, from, &text)?;
                places.push(BodyPlace::Text(from, to));
                from = to;
            } else {
                typed.push(value::get_payload(&mut typed_reader, *kind)?);
                places.push(BodyPlace::Typed(typed.len() - 1));
            }
        }
        end(&reader)?;
        end(&typed_reader)?;
        if from != text.len() {
            return Err(BlockError::Damaged("bytes follow its last body"));
        }
        Ok(Bodies { text, places, typed })
    }

    /// Texts already put together, with the end of each record's; the other bodies in order.
    pub(super) fn of_parts(text: String, ends: &[Option<usize>], typed: Vec<AnyValue>) -> Bodies {
        let (mut from, mut other) = (0, 0);
        let place = |end: &Option<usize>| match end {
            Some(end) => BodyPlace::Text(std::mem::replace(&mut from, *end), *end),
            None => {
                other += 1;
                BodyPlace::Typed(other - 1)
            }
        };
        Bodies { text, places: ends.iter().map(place).collect(), typed }
    }

    /// The body of a record. `record` is below the block's count.
    pub fn of(&self, record: usize) -> Body<'_> {
        match self.places[record] {
            BodyPlace::Text(from, to) => Body::Text(&self.text[from..to]),
            BodyPlace::Typed(at) => Body::Typed(&self.typed[at]),
        }
    }

    /// All text bodies one after the other.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where a record's text stands in [`Bodies::text`]; `None` for a body of another type.
    pub fn text_place(&self, record: usize) -> Option<std::ops::Range<usize>> {
        match self.places[record] {
            BodyPlace::Text(from, to) => Some(from..to),
            BodyPlace::Typed(_) => None,
        }
    }
}

/// Dropped attribute counts and event names.
pub(super) fn rest(records: usize, bytes: &[u8]) -> Result<Vec<(u32, String)>, BlockError> {
    let mut out = vec![(0, String::new()); records];
    if bytes.is_empty() {
        return Ok(out);
    }
    let mut reader = Reader(bytes);
    for entry in &mut out {
        entry.0 = narrow(&mut reader)?;
    }
    for entry in &mut out {
        entry.1 = reader.text()?.to_owned();
    }
    end(&reader)?;
    Ok(out)
}

/// Bodies that are no text, each with its type byte; `count` of them. No bytes stand for empty ones.
pub(super) fn typed_bodies(count: usize, bytes: &[u8]) -> Result<Vec<AnyValue>, BlockError> {
    if bytes.is_empty() {
        return Ok(vec![AnyValue::Empty; count]);
    }
    let mut reader = Reader(bytes);
    let mut out = Vec::new();
    for _ in 0..count {
        let kind = reader.byte()?;
        out.push(value::get_payload(&mut reader, kind)?);
    }
    end(&reader)?;
    Ok(out)
}

fn narrow(reader: &mut Reader<'_>) -> Result<u32, BlockError> {
    u32::try_from(reader.varint()?).map_err(|_| BlockError::Damaged("a number is out of range"))
}

fn end(reader: &Reader<'_>) -> Result<(), BlockError> {
    if reader.is_empty() { Ok(()) } else { Err(BlockError::Damaged("bytes follow the end of a section")) }
}
