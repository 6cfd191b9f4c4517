//! ExportLogsServiceRequest in protobuf (opentelemetry-proto logs.proto), field by field into the row builder.

use model::{Resource, Scope};

use super::common::{attribute, merge_resource, merge_scope, merge_value};
use crate::otlp::error::{Read, Within};
use crate::otlp::keys::Keys;
use crate::otlp::record::{Records, Sent, id};
use crate::otlp::wire::Message;

pub(crate) fn read(body: &[u8], records: &mut Records<'_>) -> Read<()> {
    let mut keys = Keys::default();
    let mut request = Message::new(body);
    let mut index = 0;
    while let Some(field) = request.field()? {
        if field.number == 1 {
            let read = field.message("").and_then(|message| resource_logs(message, records, &mut keys));
            read.within_nth("resource_logs", index)?;
            index += 1;
        }
    }
    Ok(())
}

fn resource_logs(message: Message<'_>, records: &mut Records<'_>, keys: &mut Keys) -> Read<()> {
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
            let read = field.message("").and_then(|message| scope_logs(message, records, keys));
            read.within_nth("scope_logs", index)?;
            index += 1;
        }
    }
    Ok(())
}

fn scope_logs(message: Message<'_>, records: &mut Records<'_>, keys: &mut Keys) -> Read<()> {
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
            let sent = field.message("").and_then(|message| log_record(message, keys));
            records.push(sent.within_nth("log_records", index)?);
            index += 1;
        }
    }
    Ok(())
}

fn log_record(mut message: Message<'_>, keys: &mut Keys) -> Read<Sent> {
    let mut sent = Sent::default();
    let record = &mut sent.record;
    while let Some(field) = message.field()? {
        match field.number {
            1 => sent.time_ns = field.fixed64("time_unix_nano")?,
            2 => record.severity_number = field.int32("severity_number")?,
            3 => record.severity_text = field.text("severity_text")?.to_owned(),
            5 => {
                let piece = field.message("body")?;
                merge_value(&mut record.body, piece, 0, keys).within("body")?;
            }
            6 => attribute(&field, keys, &mut record.attributes)?,
            7 => record.dropped_attributes_count = field.uint32("dropped_attributes_count")?,
            8 => record.flags = field.fixed32("flags")?,
            9 => record.trace_id = id(field.bytes("trace_id")?),
            10 => record.span_id = id(field.bytes("span_id")?),
            11 => sent.observed_time_ns = field.fixed64("observed_time_unix_nano")?,
            12 => record.event_name = field.text("event_name")?.to_owned(),
            _ => {}
        }
    }
    Ok(sent)
}
