//! Packed records as bytes of an intake record. Layout: `src/store/FORMAT-LOGS.md`, "Log part of an intake record".
//!
//! Written once an acknowledgement and read at a start only, so cheap to write comes before small.

use std::borrow::Cow;
use std::cell::RefCell;

use model::{AnyValue, Resource, Scope};

use super::{Draft, DraftValue, PackedLogs, Packer, Value};
use crate::block::value::{get_attributes, get_value, put, put_attributes};
use crate::block::{BlockError, Body};
use crate::wire::{Reader, put_bytes, put_signed, put_varint};

/// Far from the versions of blocks, which older intake records begin with.
const VERSION: u8 = 0x81;
/// Fastest level that still halves logs: level 1 takes twice the time for a third less.
const ZSTD_LEVEL: i32 = -5;
/// zstd's frame takes about a dozen bytes, and its start some microseconds.
const PLAIN_BELOW_BYTES: usize = 512;
/// Most bytes of one batch before compression; far above a request's limit.
const PLAIN_BYTES_MAX: u64 = 1 << 30;

/// Largest batch that is compressed with the state that its thread keeps: the state grows with it, and what making it costs is lost in
/// what a larger one takes.
const KEPT_STATE_BYTES_MAX: usize = 64 << 10;
const ROOMY: &str = "its buffer has room for what does not shrink";

thread_local! {
    /// Making zstd's state takes longer than compressing a few records with it.
    static SQUEEZE: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
}

const TRACE_ID: u8 = 1;
const SPAN_ID: u8 = 2;
const FLAGS: u8 = 4;
const OBSERVED: u8 = 8;
const EVENT_NAME: u8 = 16;
const DROPPED: u8 = 32;
const SAME_STREAM: u8 = 64;
const TIME_DERIVED: u8 = 128;

const STR: u8 = 0;
const INT: u8 = 1;
const DOUBLE: u8 = 2;
const OTHER: u8 = 3;

impl PackedLogs {
    /// Whether bytes are such, and not a block as earlier releases wrote.
    pub fn is_packed(bytes: &[u8]) -> bool {
        bytes.first() == Some(&VERSION)
    }

    /// The checksum is that of the record around.
    pub fn encode(&self) -> Vec<u8> {
        let plain = self.plain();
        let packed =
            (plain.len() >= PLAIN_BELOW_BYTES).then(|| squeeze(&plain)).filter(|packed| packed.len() < plain.len());
        let mut out = Vec::with_capacity(packed.as_ref().map_or(plain.len(), Vec::len) + 12);
        out.push(VERSION);
        put_varint(&mut out, packed.as_ref().map_or(0, |_| plain.len() as u64));
        out.extend_from_slice(packed.as_ref().unwrap_or(&plain));
        out
    }

    pub(super) fn plain(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len() + self.rows.len() * 24 + self.cells.len() * 4 + 256);
        put_varint(&mut out, self.resources.len() as u64);
        self.resources.iter().for_each(|resource| put_resource(&mut out, resource));
        put_varint(&mut out, self.scopes.len() as u64);
        self.scopes.iter().for_each(|scope| put_scope(&mut out, scope));
        put_varint(&mut out, self.keys.len() as u64);
        self.keys.iter().for_each(|key| put_bytes(&mut out, key.as_bytes()));
        put_varint(&mut out, self.severities.len() as u64);
        for (number, text) in &self.severities {
            put_signed(&mut out, i64::from(*number));
            put_bytes(&mut out, text.as_bytes());
        }
        put_varint(&mut out, self.rows.len() as u64);
        let (mut time_ns, mut stream, mut cells_start) = (0i64, (u32::MAX, u32::MAX), 0);
        for record in self.iter() {
            let row = record.row;
            let is = |bit: u8, yes: bool| if yes { bit } else { 0 };
            out.push(
                is(TRACE_ID, record.trace_id().is_some())
                    | is(SPAN_ID, record.span_id().is_some())
                    | is(FLAGS, row.flags != 0)
                    | is(OBSERVED, row.observed_time_ns != 0)
                    | is(EVENT_NAME, row.event_name.bytes != 0)
                    | is(DROPPED, row.dropped_attributes_count != 0)
                    | is(TIME_DERIVED, row.time_is_derived)
                    | is(SAME_STREAM, stream == (row.resource, row.scope)),
            );
            put_signed(&mut out, row.time_ns.wrapping_sub(time_ns));
            time_ns = row.time_ns;
            if row.observed_time_ns != 0 {
                put_signed(&mut out, row.observed_time_ns.wrapping_sub(row.time_ns));
            }
            if stream != (row.resource, row.scope) {
                stream = (row.resource, row.scope);
                put_varint(&mut out, u64::from(row.resource));
                put_varint(&mut out, u64::from(row.scope));
            }
            put_varint(&mut out, u64::from(row.severity));
            if row.flags != 0 {
                put_varint(&mut out, u64::from(row.flags));
            }
            if row.dropped_attributes_count != 0 {
                put_varint(&mut out, u64::from(row.dropped_attributes_count));
            }
            record.trace_id().inspect(|id| out.extend_from_slice(id));
            record.span_id().inspect(|id| out.extend_from_slice(id));
            if row.event_name.bytes != 0 {
                put_bytes(&mut out, record.event_name().as_bytes());
            }
            match record.body() {
                Body::Text(text) => {
                    out.push(STR);
                    put_bytes(&mut out, text.as_bytes());
                }
                Body::Typed(value) => {
                    out.push(OTHER);
                    put(&mut out, value);
                }
            }
            let cells = &self.cells[cells_start..row.cells_end as usize];
            cells_start = row.cells_end as usize;
            put_varint(&mut out, cells.len() as u64);
            for cell in cells {
                put_varint(&mut out, u64::from(cell.key));
                match cell.value {
                    Value::Str(place) => {
                        out.push(STR);
                        put_bytes(&mut out, self.text_at(place).as_bytes());
                    }
                    Value::Int(bytes) => {
                        out.push(INT);
                        put_signed(&mut out, i64::from_le_bytes(bytes));
                    }
                    Value::Double(bytes) => {
                        out.push(DOUBLE);
                        out.extend_from_slice(&bytes);
                    }
                    Value::Other(at) => {
                        out.push(OTHER);
                        put(&mut out, &self.others[at as usize]);
                    }
                }
            }
        }
        out
    }

    /// What [`PackedLogs::encode`] wrote. Never panics: no declared size is trusted before it is checked.
    pub fn decode(bytes: &[u8]) -> Result<PackedLogs, BlockError> {
        let mut reader = Reader(bytes);
        let found = reader.byte()?;
        if found != VERSION {
            return Err(BlockError::Version { found });
        }
        let plain = reader.varint()?;
        if plain > PLAIN_BYTES_MAX {
            return Err(BlockError::Damaged("a size is over its limit"));
        }
        if plain == 0 {
            return read(reader);
        }
        let unpacked = zstd::bulk::decompress(reader.0, plain as usize)
            .ok()
            .filter(|unpacked| unpacked.len() as u64 == plain)
            .ok_or(BlockError::Damaged("records do not decompress"))?;
        read(Reader(&unpacked))
    }
}

fn squeeze(plain: &[u8]) -> Vec<u8> {
    if plain.len() > KEPT_STATE_BYTES_MAX {
        return zstd::bulk::compress(plain, ZSTD_LEVEL).expect(ROOMY);
    }
    SQUEEZE.with_borrow_mut(|kept| {
        let compressor =
            kept.get_or_insert_with(|| zstd::bulk::Compressor::new(ZSTD_LEVEL).expect("zstd knows its levels"));
        compressor.compress(plain).expect(ROOMY)
    })
}

fn put_resource(out: &mut Vec<u8>, resource: &Resource) {
    let Resource { attributes, dropped_attributes_count, schema_url } = resource;
    put_attributes(out, attributes);
    put_varint(out, u64::from(*dropped_attributes_count));
    put_bytes(out, schema_url.as_bytes());
}

fn put_scope(out: &mut Vec<u8>, scope: &Scope) {
    let Scope { name, version, attributes, dropped_attributes_count, schema_url } = scope;
    put_bytes(out, name.as_bytes());
    put_bytes(out, version.as_bytes());
    put_attributes(out, attributes);
    put_varint(out, u64::from(*dropped_attributes_count));
    put_bytes(out, schema_url.as_bytes());
}

fn read(mut reader: Reader<'_>) -> Result<PackedLogs, BlockError> {
    let mut packer = Packer::default();
    for _ in 0..reader.count(3)? {
        packer.add_resource(Resource {
            attributes: get_attributes(&mut reader)?,
            dropped_attributes_count: narrow(&mut reader)?,
            schema_url: reader.text()?.to_owned(),
        });
    }
    for _ in 0..reader.count(5)? {
        packer.add_scope(Scope {
            name: reader.text()?.to_owned(),
            version: reader.text()?.to_owned(),
            attributes: get_attributes(&mut reader)?,
            dropped_attributes_count: narrow(&mut reader)?,
            schema_url: reader.text()?.to_owned(),
        });
    }
    let mut keys = Vec::new();
    for at in 0..reader.count(1)? {
        keys.push(packer.key(reader.text()?, at));
    }
    let mut severities = Vec::new();
    for _ in 0..reader.count(2)? {
        let number = i32::try_from(reader.signed()?).map_err(|_| BlockError::Damaged("a severity is out of range"))?;
        severities.push((number, reader.text()?));
    }
    let count = reader.count(5)?;
    let mut draft = Draft::default();
    let mut stream = (0, 0);
    for _ in 0..count {
        let bits = reader.byte()?;
        let is = |bit: u8| bits & bit != 0;
        draft.time_ns = draft.time_ns.wrapping_add(reader.signed()?);
        draft.time_is_derived = is(TIME_DERIVED);
        draft.observed_time_ns = if is(OBSERVED) { draft.time_ns.wrapping_add(reader.signed()?) } else { 0 };
        if !is(SAME_STREAM) {
            stream = (narrow(&mut reader)?, narrow(&mut reader)?);
        }
        let (number, text) = severities
            .get(narrow(&mut reader)? as usize)
            .ok_or(BlockError::Damaged("a severity points past its list"))?;
        draft.severity_number = *number;
        draft.severity_text = Cow::Borrowed(text);
        draft.flags = if is(FLAGS) { narrow(&mut reader)? } else { 0 };
        draft.dropped_attributes_count = if is(DROPPED) { narrow(&mut reader)? } else { 0 };
        draft.trace_id = if is(TRACE_ID) { reader.take(16)?.try_into().ok() } else { None };
        draft.span_id = if is(SPAN_ID) { reader.take(8)?.try_into().ok() } else { None };
        draft.event_name = Cow::Borrowed(if is(EVENT_NAME) { reader.text()? } else { "" });
        draft.body = value(&mut reader)?;
        draft.attributes.clear();
        for _ in 0..reader.count(2)? {
            let key = keys
                .get(narrow(&mut reader)? as usize)
                .ok_or(BlockError::Damaged("an attribute's key points past its list"))?;
            draft.attributes.push((*key, value(&mut reader)?));
        }
        if !packer.holds(stream.0, stream.1) {
            return Err(BlockError::Damaged("a record's resource or scope is not in its list"));
        }
        if !packer.push(stream.0, stream.1, &mut draft) {
            return Err(BlockError::Damaged("it has more text than a request may"));
        }
    }
    if reader.is_empty() { Ok(packer.finish()) } else { Err(BlockError::Damaged("bytes follow its last record")) }
}

fn value<'a>(reader: &mut Reader<'a>) -> Result<DraftValue<'a>, BlockError> {
    Ok(match reader.byte()? {
        STR => DraftValue::Str(reader.text()?),
        INT => DraftValue::Int(reader.signed()?),
        DOUBLE => DraftValue::Double(f64::from_bits(reader.u64_le()?)),
        OTHER => match get_value(reader)? {
            AnyValue::Empty => DraftValue::Empty,
            value => DraftValue::Owned(value),
        },
        _ => return Err(BlockError::Damaged("a value has an unknown type")),
    })
}

fn narrow(reader: &mut Reader<'_>) -> Result<u32, BlockError> {
    u32::try_from(reader.varint()?).map_err(|_| BlockError::Damaged("a number is out of range"))
}
