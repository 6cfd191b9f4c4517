//! ExportLogsServiceRequest in JSON, member by member into the row builder.

use model::{Resource, Scope};

use super::common::{any_value, attributes, resource, scope};
use super::text::Cursor;
use crate::otlp::error::{Read, Within};
use crate::otlp::keys::Keys;
use crate::otlp::record::{Records, Sent};

pub(crate) fn read(body: &[u8], records: &mut Records<'_>) -> Read<()> {
    let mut keys = Keys::default();
    let mut cursor = Cursor::new(body)?;
    let mut seen = false;
    cursor.members(|cursor, name| match name {
        "resourceLogs" if std::mem::replace(&mut seen, true) => cursor.error("given twice"),
        "resourceLogs" => cursor.elements(|cursor| resource_logs(cursor, records, &mut keys)),
        _ => cursor.skip(),
    })?;
    cursor.end()
}

fn resource_logs(cursor: &mut Cursor<'_>, records: &mut Records<'_>, keys: &mut Keys) -> Read<()> {
    let mut from = Resource::default();
    let mut schema_url = String::new();
    let mut scopes = None;
    cursor.members(|cursor, name| match name {
        "resource" => {
            from = resource(cursor, keys)?;
            Ok(())
        }
        "scopeLogs" => cursor.set(&mut scopes, |cursor| Ok(cursor.defer()?.map(Some))),
        "schemaUrl" => cursor.set(&mut schema_url, Cursor::string_owned),
        _ => cursor.skip(),
    })?;
    records.resource(Resource { schema_url, ..from });
    let Some(scopes) = scopes else { return Ok(()) };
    let mut cursor = scopes.cursor;
    cursor.elements(|cursor| scope_logs(cursor, records, keys)).within("scopeLogs")
}

fn scope_logs(cursor: &mut Cursor<'_>, records: &mut Records<'_>, keys: &mut Keys) -> Read<()> {
    let mut by = Scope::default();
    let mut schema_url = String::new();
    let mut logs = None;
    cursor.members(|cursor, name| match name {
        "scope" => {
            by = scope(cursor, keys)?;
            Ok(())
        }
        "logRecords" => cursor.set(&mut logs, |cursor| Ok(cursor.defer()?.map(Some))),
        "schemaUrl" => cursor.set(&mut schema_url, Cursor::string_owned),
        _ => cursor.skip(),
    })?;
    records.scope(Scope { schema_url, ..by });
    let Some(logs) = logs else { return Ok(()) };
    let mut cursor = logs.cursor;
    let read = cursor.elements(|cursor| {
        records.push_sent(&log_record(cursor, keys)?);
        Ok(())
    });
    read.within("logRecords")
}

fn log_record(cursor: &mut Cursor<'_>, keys: &mut Keys) -> Read<Sent> {
    let mut sent = Sent::default();
    cursor.members(|cursor, name| {
        let record = &mut sent.record;
        match name {
            "timeUnixNano" => cursor.set(&mut sent.times.time_ns, Cursor::integer),
            "observedTimeUnixNano" => cursor.set(&mut sent.times.observed_time_ns, Cursor::integer),
            "severityNumber" => cursor.set(&mut record.severity_number, |cursor| cursor.enumeration(severity)),
            "severityText" => cursor.set(&mut record.severity_text, Cursor::string_owned),
            "body" => {
                record.body = any_value(cursor, 0, keys)?;
                Ok(())
            }
            "attributes" => {
                record.attributes = attributes(cursor, keys)?;
                Ok(())
            }
            "droppedAttributesCount" => cursor.set(&mut record.dropped_attributes_count, Cursor::integer),
            "flags" => cursor.set(&mut record.flags, Cursor::integer),
            "traceId" => {
                record.trace_id = cursor.id()?;
                Ok(())
            }
            "spanId" => {
                record.span_id = cursor.id()?;
                Ok(())
            }
            "eventName" => cursor.set(&mut record.event_name, Cursor::string_owned),
            _ => cursor.skip(),
        }
    })?;
    Ok(sent)
}

/// `SEVERITY_NUMBER_WARN3` and its kin.
fn severity(name: &str) -> Option<i32> {
    let name = name.strip_prefix("SEVERITY_NUMBER_")?;
    if name == "UNSPECIFIED" {
        return Some(0);
    }
    let (level, step) = match name.as_bytes().last() {
        Some(digit @ b'2'..=b'4') => (&name[..name.len() - 1], i32::from(digit - b'1')),
        _ => (name, 0),
    };
    let levels = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    let index = levels.iter().position(|known| *known == level)?;
    Some(index as i32 * 4 + 1 + step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_may_be_named() {
        for (name, expected) in [
            ("SEVERITY_NUMBER_UNSPECIFIED", Some(0)),
            ("SEVERITY_NUMBER_TRACE", Some(1)),
            ("SEVERITY_NUMBER_INFO", Some(9)),
            ("SEVERITY_NUMBER_WARN3", Some(15)),
            ("SEVERITY_NUMBER_FATAL4", Some(24)),
            ("SEVERITY_NUMBER_INFO5", None),
            ("INFO", None),
        ] {
            assert_eq!(severity(name), expected, "{name}");
        }
    }
}
