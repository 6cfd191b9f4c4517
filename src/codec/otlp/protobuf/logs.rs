//! ExportLogsServiceRequest in protobuf (opentelemetry-proto logs.proto), field by field into the row builder.

use std::borrow::Cow;

use model::{AnyValue, Resource, Scope};

use super::common::{check_length, merge_resource, merge_scope, merge_value};
use crate::otlp::error::{Read, Within};
use crate::otlp::keys::Keys;
use crate::otlp::record::{Records, Times, id};
use crate::otlp::wire::{Field, Message};
use crate::packed::{Draft, DraftValue};

pub(crate) fn read(body: &[u8], records: &mut Records<'_>) -> Read<()> {
    let mut keys = Keys::default();
    let mut draft = Draft::default();
    let mut request = Message::new(body);
    let mut index = 0;
    while let Some(field) = request.field()? {
        if field.number == 1 {
            let read = field.message("").and_then(|message| resource_logs(message, records, &mut keys, &mut draft));
            read.within_nth("resource_logs", index)?;
            index += 1;
        }
    }
    Ok(())
}

fn resource_logs<'a>(
    message: Message<'a>,
    records: &mut Records<'_>,
    keys: &mut Keys,
    draft: &mut Draft<'a>,
) -> Read<()> {
    let mut resource = Resource::default();
    let mut fields = message;
    while let Some(field) = fields.field()? {
        match field.number {
            1 => {
                let piece = field.message("resource")?;
                merge_resource(&mut resource, piece, keys).within("resource")?;
            }
            3 => resource.schema_url = field.text("schema_url")?.to_owned(),
            _ => {}
        }
    }
    records.resource(resource);
    let mut fields = message;
    let mut index = 0;
    while let Some(field) = fields.field()? {
        if field.number == 2 {
            let read = field.message("").and_then(|message| scope_logs(message, records, keys, draft));
            read.within_nth("scope_logs", index)?;
            index += 1;
        }
    }
    Ok(())
}

fn scope_logs<'a>(message: Message<'a>, records: &mut Records<'_>, keys: &mut Keys, draft: &mut Draft<'a>) -> Read<()> {
    let mut scope = Scope::default();
    let mut fields = message;
    while let Some(field) = fields.field()? {
        match field.number {
            1 => {
                let piece = field.message("scope")?;
                merge_scope(&mut scope, piece, keys).within("scope")?;
            }
            3 => scope.schema_url = field.text("schema_url")?.to_owned(),
            _ => {}
        }
    }
    records.scope(scope);
    let mut fields = message;
    let mut index = 0;
    while let Some(field) = fields.field()? {
        if field.number == 2 {
            let read = field.message("").and_then(|message| log_record(message, records, keys, draft));
            records.push(read.within_nth("log_records", index)?, draft);
            index += 1;
        }
    }
    Ok(())
}

fn log_record<'a>(
    mut message: Message<'a>,
    records: &mut Records<'_>,
    keys: &mut Keys,
    draft: &mut Draft<'a>,
) -> Read<Times> {
    let mut times = Times::default();
    draft.clear();
    let mut field = Field::none(message);
    while message.next(&mut field)? {
        match field.number {
            1 => times.time_ns = field.fixed64("time_unix_nano")?,
            2 => draft.severity_number = field.int32("severity_number")?,
            3 => draft.severity_text = Cow::Borrowed(field.text("severity_text")?),
            5 => {
                let piece = field.message("body")?;
                merge(&mut draft.body, piece, keys).within("body")?;
            }
            6 => attribute(field, records, keys, draft)?,
            7 => draft.dropped_attributes_count = field.uint32("dropped_attributes_count")?,
            8 => draft.flags = field.fixed32("flags")?,
            9 => draft.trace_id = id(field.bytes("trace_id")?),
            10 => draft.span_id = id(field.bytes("span_id")?),
            11 => times.observed_time_ns = field.fixed64("observed_time_unix_nano")?,
            12 => draft.event_name = Cow::Borrowed(field.text("event_name")?),
            _ => {}
        }
    }
    Ok(times)
}

#[inline]
fn attribute<'a>(field: Field<'a>, records: &mut Records<'_>, keys: &mut Keys, draft: &mut Draft<'a>) -> Read<()> {
    let index = draft.attributes.len();
    check_length(index, "attributes", &field)?;
    let read = field.message("").and_then(|message| key_value(message, records, keys, draft));
    read.within_nth("attributes", index)
}

/// Appends one attribute.
#[inline]
fn key_value<'a>(
    mut message: Message<'a>,
    records: &mut Records<'_>,
    keys: &mut Keys,
    draft: &mut Draft<'a>,
) -> Read<()> {
    let place = draft.attributes.len();
    let mut key = None;
    let mut value = DraftValue::Empty;
    let mut field = Field::none(message);
    while message.next(&mut field)? {
        match field.number {
            1 => {
                // Most records have the keys of the one before: what equals a text is one.
                let expected = records.expected_key(field.bytes("key")?, place);
                key = Some(match expected {
                    Some(number) => number,
                    None => kept_key(records, field.text("key")?, place),
                });
            }
            2 => merge(&mut value, field.message("value")?, keys).within("value")?,
            // key_strindex is for profiles: as good as absent.
            3 => drop(field.varint("key_strindex")?),
            _ => {}
        }
    }
    let key = key.unwrap_or_else(|| kept_key(records, "", place));
    draft.attributes.push((key, value));
    Ok(())
}

/// The key's number, of a record that is not refused for its number of attributes.
fn kept_key(records: &mut Records<'_>, key: &str, place: usize) -> u32 {
    if records.has_too_many(place + 1) { 0 } else { records.key(key, place) }
}

/// Reads an AnyValue over what was read of it before. The usual one, a single text or number, is not copied.
#[inline]
fn merge<'a>(into: &mut DraftValue<'a>, message: Message<'a>, keys: &mut Keys) -> Read<()> {
    let mut rest = message;
    let mut field = Field::none(message);
    if rest.next(&mut field)? && rest.raw().is_empty() {
        match field.number {
            1 => *into = DraftValue::Str(field.text("string_value")?),
            3 => *into = DraftValue::Int(field.varint("int_value")? as i64),
            4 => *into = DraftValue::Double(field.double("double_value")?),
            _ => merge_any(into, message, keys)?,
        }
        return Ok(());
    }
    merge_any(into, message, keys)
}

fn merge_any(into: &mut DraftValue<'_>, message: Message<'_>, keys: &mut Keys) -> Read<()> {
    let mut value: AnyValue = std::mem::take(into).into_value();
    merge_value(&mut value, message, 0, keys)?;
    *into = DraftValue::Owned(value);
    Ok(())
}
