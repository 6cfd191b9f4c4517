//! Attribute values in their typed form: a byte for the type, then the value. Used where a value is not plain text.

use model::AnyValue;
use model::any::DEPTH_MAX;
use model::log::Attributes;

use super::BlockError;
use crate::wire::{Reader, put_bytes, put_signed, put_varint};

pub(super) const EMPTY: u8 = 0;
pub(super) const BOOL: u8 = 1;
pub(super) const INT: u8 = 2;
pub(super) const DOUBLE: u8 = 3;
pub(super) const STR: u8 = 4;
pub(super) const BYTES: u8 = 5;
pub(super) const ARRAY: u8 = 6;
pub(super) const MAP: u8 = 7;

/// Room above the doors' own limit, so that what they let in can always be read.
const DEPTH_READ_MAX: usize = DEPTH_MAX + 8;

pub(super) fn kind(value: &AnyValue) -> u8 {
    match value {
        AnyValue::Empty => EMPTY,
        AnyValue::Bool(_) => BOOL,
        AnyValue::Int(_) => INT,
        AnyValue::Double(_) => DOUBLE,
        AnyValue::Str(_) => STR,
        AnyValue::Bytes(_) => BYTES,
        AnyValue::Array(_) => ARRAY,
        AnyValue::Map(_) => MAP,
    }
}

pub(crate) fn put(out: &mut Vec<u8>, value: &AnyValue) {
    out.push(kind(value));
    put_payload(out, value);
}

/// The value without its type.
pub(super) fn put_payload(out: &mut Vec<u8>, value: &AnyValue) {
    match value {
        AnyValue::Empty => {}
        AnyValue::Bool(value) => out.push(u8::from(*value)),
        AnyValue::Int(value) => put_signed(out, *value),
        AnyValue::Double(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
        AnyValue::Str(value) => put_bytes(out, value.as_bytes()),
        AnyValue::Bytes(value) => put_bytes(out, value),
        AnyValue::Array(values) => {
            put_varint(out, values.len() as u64);
            values.iter().for_each(|value| put(out, value));
        }
        AnyValue::Map(entries) => put_attributes(out, entries),
    }
}

pub(crate) fn put_attributes(out: &mut Vec<u8>, attributes: &Attributes) {
    put_varint(out, attributes.len() as u64);
    for (key, value) in attributes {
        put_bytes(out, key.as_bytes());
        put(out, value);
    }
}

pub(super) fn get_payload(reader: &mut Reader<'_>, kind: u8) -> Result<AnyValue, BlockError> {
    payload(reader, kind, 0)
}

/// What [`put`] wrote.
pub(crate) fn get_value(reader: &mut Reader<'_>) -> Result<AnyValue, BlockError> {
    let kind = reader.byte()?;
    payload(reader, kind, 0)
}

pub(crate) fn get_attributes(reader: &mut Reader<'_>) -> Result<Attributes, BlockError> {
    attributes(reader, 0)
}

fn payload(reader: &mut Reader<'_>, kind: u8, depth: usize) -> Result<AnyValue, BlockError> {
    if depth > DEPTH_READ_MAX {
        return Err(BlockError::Damaged("a value nests too deep"));
    }
    Ok(match kind {
        EMPTY => AnyValue::Empty,
        BOOL => AnyValue::Bool(reader.byte()? != 0),
        INT => AnyValue::Int(reader.signed()?),
        DOUBLE => AnyValue::Double(f64::from_bits(reader.u64_le()?)),
        STR => AnyValue::Str(reader.text()?.to_owned()),
        BYTES => AnyValue::Bytes(reader.bytes()?.to_vec()),
        ARRAY => {
            let count = reader.count(1)?;
            let mut values = Vec::new();
            for _ in 0..count {
                let kind = reader.byte()?;
                values.push(payload(reader, kind, depth + 1)?);
            }
            AnyValue::Array(values)
        }
        MAP => AnyValue::Map(attributes(reader, depth + 1)?),
        _ => return Err(BlockError::Damaged("a value has an unknown type")),
    })
}

fn attributes(reader: &mut Reader<'_>, depth: usize) -> Result<Attributes, BlockError> {
    let count = reader.count(2)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let key = reader.text()?.into();
        let kind = reader.byte()?;
        entries.push((key, payload(reader, kind, depth)?));
    }
    Ok(entries)
}
