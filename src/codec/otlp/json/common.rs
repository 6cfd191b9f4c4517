//! Attributes, values, resources and scopes in JSON. Names that are not OTLP's lowerCamelCase are unknown and ignored.

use model::any::DEPTH_MAX;
use model::log::Attributes;
use model::{AnyValue, Key, Resource, Scope};

use super::text::Cursor;
use crate::otlp::error::Read;
use crate::otlp::keys::Keys;
use crate::otlp::limits::LIST_MAX;

/// A list of KeyValue; of two lists of the same name the last one counts.
pub(super) fn attributes(cursor: &mut Cursor<'_>, keys: &mut Keys) -> Read<Attributes> {
    key_values(cursor, 0, keys)
}

fn key_values(cursor: &mut Cursor<'_>, depth: usize, keys: &mut Keys) -> Read<Attributes> {
    let mut out = Attributes::new();
    cursor.elements(|cursor| {
        check_length(out.len(), cursor)?;
        out.push(key_value(cursor, depth, keys)?);
        Ok(())
    })?;
    Ok(out)
}

fn check_length(length: usize, cursor: &Cursor<'_>) -> Read<()> {
    if length >= LIST_MAX {
        return cursor.error(format!("more than {LIST_MAX} entries in one list"));
    }
    Ok(())
}

fn key_value(cursor: &mut Cursor<'_>, depth: usize, keys: &mut Keys) -> Read<(Key, AnyValue)> {
    let mut key = None;
    let mut value = AnyValue::Empty;
    cursor.members(|cursor, name| {
        match name {
            "key" => key = cursor.text()?.map(|text| keys.intern(&text)),
            "value" => value = any_value(cursor, depth, keys)?,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    Ok((key.unwrap_or_else(|| keys.intern("")), value))
}

/// An AnyValue. Of several members the last one that is not `null` counts.
pub(super) fn any_value(cursor: &mut Cursor<'_>, depth: usize, keys: &mut Keys) -> Read<AnyValue> {
    let mut value = AnyValue::Empty;
    cursor.members(|cursor, name| {
        let found = match name {
            "stringValue" => cursor.string_owned()?.map(AnyValue::Str),
            "boolValue" => cursor.bool()?.map(AnyValue::Bool),
            "intValue" => cursor.integer()?.map(AnyValue::Int),
            "doubleValue" => cursor.double()?.map(AnyValue::Double),
            "bytesValue" => cursor.base64()?.map(AnyValue::Bytes),
            "arrayValue" => {
                let mut values = Vec::new();
                let found = nested(cursor, depth, |cursor| {
                    values.clear();
                    cursor.elements(|cursor| {
                        check_length(values.len(), cursor)?;
                        values.push(any_value(cursor, depth + 1, keys)?);
                        Ok(())
                    })
                })?;
                found.then_some(AnyValue::Array(values))
            }
            "kvlistValue" => {
                let mut entries = Vec::new();
                let found = nested(cursor, depth, |cursor| {
                    entries = key_values(cursor, depth + 1, keys)?;
                    Ok(())
                })?;
                found.then_some(AnyValue::Map(entries))
            }
            // Profiles' index into a table that a request of logs or metrics does not have.
            "stringValueStrindex" => cursor.integer::<i32>()?.map(|_| AnyValue::Empty),
            _ => {
                cursor.skip()?;
                None
            }
        };
        if let Some(found) = found {
            value = found;
        }
        Ok(())
    })?;
    Ok(value)
}

/// An ArrayValue or KeyValueList, `{"values": [...]}`; false for `null`.
fn nested<'a>(
    cursor: &mut Cursor<'a>,
    depth: usize,
    mut values: impl FnMut(&mut Cursor<'a>) -> Read<()>,
) -> Read<bool> {
    if depth >= DEPTH_MAX {
        return cursor.error(format!("values nested deeper than {DEPTH_MAX}"));
    }
    if cursor.eat_null()? {
        return Ok(false);
    }
    cursor.members(|cursor, name| match name {
        "values" => values(cursor),
        _ => cursor.skip(),
    })?;
    Ok(true)
}

pub(super) fn resource(cursor: &mut Cursor<'_>, keys: &mut Keys) -> Read<Resource> {
    let mut out = Resource::default();
    cursor.members(|cursor, name| match name {
        "attributes" => {
            out.attributes = attributes(cursor, keys)?;
            Ok(())
        }
        "droppedAttributesCount" => cursor.set(&mut out.dropped_attributes_count, Cursor::integer),
        _ => cursor.skip(),
    })?;
    Ok(out)
}

pub(super) fn scope(cursor: &mut Cursor<'_>, keys: &mut Keys) -> Read<Scope> {
    let mut out = Scope::default();
    cursor.members(|cursor, name| match name {
        "name" => cursor.set(&mut out.name, Cursor::string_owned),
        "version" => cursor.set(&mut out.version, Cursor::string_owned),
        "attributes" => {
            out.attributes = attributes(cursor, keys)?;
            Ok(())
        }
        "droppedAttributesCount" => cursor.set(&mut out.dropped_attributes_count, Cursor::integer),
        _ => cursor.skip(),
    })?;
    Ok(out)
}
