//! Attributes, values, resources and scopes in protobuf (opentelemetry-proto common.proto, resource.proto).

use model::any::DEPTH_MAX;
use model::log::Attributes;
use model::{AnyValue, Resource, Scope};

use crate::otlp::error::{Read, Within, fail};
use crate::otlp::keys::Keys;
use crate::otlp::limits::LIST_MAX;
use crate::otlp::wire::{Field, Message};

/// Appends one KeyValue.
pub(super) fn attribute(field: &Field<'_>, keys: &mut Keys, into: &mut Attributes) -> Read<()> {
    let index = into.len();
    check_length(index, "attributes", field)?;
    let entry = field.message("attributes").and_then(|message| key_value(message, 0, keys));
    into.push(entry.within_nth("attributes", index)?);
    Ok(())
}

/// All attributes of a message whose field `number` they are.
pub(super) fn attributes(mut message: Message<'_>, number: u32, keys: &mut Keys) -> Read<Attributes> {
    let mut out = Attributes::new();
    while let Some(field) = message.field()? {
        if field.number == number {
            attribute(&field, keys, &mut out)?;
        }
    }
    Ok(out)
}

fn key_value(mut message: Message<'_>, depth: usize, keys: &mut Keys) -> Read<(model::Key, AnyValue)> {
    let mut key = "";
    let mut value = AnyValue::Empty;
    while let Some(field) = message.field()? {
        match field.number {
            1 => key = field.text("key")?,
            2 => merge_value(&mut value, field.message("value")?, depth, keys).within("value")?,
            // key_strindex is for profiles: as good as absent.
            3 => drop(field.varint("key_strindex")?),
            _ => {}
        }
    }
    Ok((keys.intern(key), value))
}

/// Reads an AnyValue over what was read of it before: a field sent in pieces is one value, and of a oneof the last counts.
pub(super) fn merge_value(into: &mut AnyValue, mut message: Message<'_>, depth: usize, keys: &mut Keys) -> Read<()> {
    while let Some(field) = message.field()? {
        match field.number {
            1 => *into = AnyValue::Str(field.text("string_value")?.to_owned()),
            2 => *into = AnyValue::Bool(field.varint("bool_value")? != 0),
            3 => *into = AnyValue::Int(field.varint("int_value")? as i64),
            4 => *into = AnyValue::Double(field.double("double_value")?),
            5 => {
                let message = field.message("array_value")?;
                check_depth(depth, "array_value", &field)?;
                if !matches!(into, AnyValue::Array(_)) {
                    *into = AnyValue::Array(Vec::new());
                }
                if let AnyValue::Array(values) = into {
                    array(values, message, depth + 1, keys).within("array_value")?;
                }
            }
            6 => {
                let message = field.message("kvlist_value")?;
                check_depth(depth, "kvlist_value", &field)?;
                if !matches!(into, AnyValue::Map(_)) {
                    *into = AnyValue::Map(Vec::new());
                }
                if let AnyValue::Map(entries) = into {
                    map(entries, message, depth + 1, keys).within("kvlist_value")?;
                }
            }
            7 => *into = AnyValue::Bytes(field.bytes("bytes_value")?.to_vec()),
            // string_value_strindex is for profiles: as good as absent, but it takes the oneof's place.
            8 => {
                field.varint("string_value_strindex")?;
                *into = AnyValue::Empty;
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_depth(depth: usize, name: &str, field: &Field<'_>) -> Read<()> {
    if depth >= DEPTH_MAX {
        return fail(name, field.start, format!("values nested deeper than {DEPTH_MAX}"));
    }
    Ok(())
}

pub(super) fn check_length(length: usize, name: &str, field: &Field<'_>) -> Read<()> {
    if length >= LIST_MAX {
        return fail(name, field.start, format!("more than {LIST_MAX} entries in one list"));
    }
    Ok(())
}

fn array(values: &mut Vec<AnyValue>, mut message: Message<'_>, depth: usize, keys: &mut Keys) -> Read<()> {
    while let Some(field) = message.field()? {
        if field.number == 1 {
            check_length(values.len(), "values", &field)?;
            let mut value = AnyValue::Empty;
            let read = field.message("").and_then(|message| merge_value(&mut value, message, depth, keys));
            read.within_nth("values", values.len())?;
            values.push(value);
        }
    }
    Ok(())
}

fn map(entries: &mut Attributes, mut message: Message<'_>, depth: usize, keys: &mut Keys) -> Read<()> {
    while let Some(field) = message.field()? {
        if field.number == 1 {
            check_length(entries.len(), "values", &field)?;
            let entry = field.message("").and_then(|message| key_value(message, depth, keys));
            entries.push(entry.within_nth("values", entries.len())?);
        }
    }
    Ok(())
}

/// Reads a Resource over what was read of it before.
pub(super) fn merge_resource(into: &mut Resource, mut message: Message<'_>, keys: &mut Keys) -> Read<()> {
    while let Some(field) = message.field()? {
        match field.number {
            1 => attribute(&field, keys, &mut into.attributes)?,
            2 => into.dropped_attributes_count = field.uint32("dropped_attributes_count")?,
            3 => field.message("").and_then(check_entity_ref).within("entity_refs")?,
            _ => {}
        }
    }
    Ok(())
}

fn check_entity_ref(mut message: Message<'_>) -> Read<()> {
    while let Some(field) = message.field()? {
        match field.number {
            1 => drop(field.text("schema_url")?),
            2 => drop(field.text("type")?),
            3 => drop(field.text("id_keys")?),
            4 => drop(field.text("description_keys")?),
            _ => {}
        }
    }
    Ok(())
}

/// Reads an InstrumentationScope over what was read of it before.
pub(super) fn merge_scope(into: &mut Scope, mut message: Message<'_>, keys: &mut Keys) -> Read<()> {
    while let Some(field) = message.field()? {
        match field.number {
            1 => into.name = field.text("name")?.to_owned(),
            2 => into.version = field.text("version")?.to_owned(),
            3 => attribute(&field, keys, &mut into.attributes)?,
            4 => into.dropped_attributes_count = field.uint32("dropped_attributes_count")?,
            _ => {}
        }
    }
    Ok(())
}
