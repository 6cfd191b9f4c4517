//! Log records as an ExportLogsServiceRequest in OTLP's JSON: what was sent, given back.
//!
//! proto3 JSON with OTLP's deviations (opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding"): defaults are left out, 64-bit
//! integers are strings, ids hex, other bytes base64.

use std::fmt::Write as _;
use std::sync::Arc;

use model::any::{base64, double_text, hex, json_string};
use model::log::Attributes;
use model::{AnyValue, LogRecord, Resource, Scope};

/// Appends one request that holds these records: neighbours of one resource and scope share theirs, nothing else changes its place.
pub fn write_logs(records: &[(Arc<Resource>, Arc<Scope>, LogRecord)], out: &mut String) {
    out.push_str("{\"resourceLogs\":");
    array(out, records.chunk_by(|one, next| same(&one.0, &next.0)), |out, of_resource| {
        let resource = &of_resource[0].0;
        out.push('{');
        if !resource.attributes.is_empty() || resource.dropped_attributes_count != 0 {
            out.push_str("\"resource\":{");
            let mut first = true;
            write_attributes(out, &mut first, &resource.attributes);
            number(out, &mut first, "droppedAttributesCount", resource.dropped_attributes_count.into());
            out.push_str("},");
        }
        out.push_str("\"scopeLogs\":");
        array(out, of_resource.chunk_by(|one, next| same(&one.1, &next.1)), |out, of_scope| {
            let scope = &of_scope[0].1;
            out.push('{');
            if **scope != (Scope { schema_url: scope.schema_url.clone(), ..Scope::default() }) {
                out.push_str("\"scope\":{");
                let mut first = true;
                text(out, &mut first, "name", &scope.name);
                text(out, &mut first, "version", &scope.version);
                write_attributes(out, &mut first, &scope.attributes);
                number(out, &mut first, "droppedAttributesCount", scope.dropped_attributes_count.into());
                out.push_str("},");
            }
            out.push_str("\"logRecords\":");
            array(out, of_scope.iter(), |out, (_, _, record)| write_record(out, record));
            text(out, &mut false, "schemaUrl", &scope.schema_url);
            out.push('}');
        });
        text(out, &mut false, "schemaUrl", &resource.schema_url);
        out.push('}');
    });
    out.push('}');
}

/// Of one page mostly the same allocation.
fn same<T: PartialEq>(one: &Arc<T>, other: &Arc<T>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

fn write_record(out: &mut String, record: &LogRecord) {
    out.push('{');
    let mut first = true;
    if !record.time_is_derived {
        quoted_number(out, &mut first, "timeUnixNano", record.time_ns);
    }
    quoted_number(out, &mut first, "observedTimeUnixNano", record.observed_time_ns);
    number(out, &mut first, "severityNumber", record.severity_number.into());
    text(out, &mut first, "severityText", &record.severity_text);
    if record.body != AnyValue::Empty {
        key(out, &mut first, "body");
        write_value(out, &record.body);
    }
    write_attributes(out, &mut first, &record.attributes);
    number(out, &mut first, "droppedAttributesCount", record.dropped_attributes_count.into());
    number(out, &mut first, "flags", record.flags.into());
    text(out, &mut first, "traceId", &record.trace_id.map_or(String::new(), |id| hex(&id)));
    text(out, &mut first, "spanId", &record.span_id.map_or(String::new(), |id| hex(&id)));
    text(out, &mut first, "eventName", &record.event_name);
    out.push('}');
}

fn write_attributes(out: &mut String, first: &mut bool, attributes: &Attributes) {
    if !attributes.is_empty() {
        key(out, first, "attributes");
        entries(out, attributes);
    }
}

fn entries(out: &mut String, attributes: &Attributes) {
    array(out, attributes.iter(), |out, (name, value)| {
        out.push_str("{\"key\":");
        json_string(name, out);
        if *value != AnyValue::Empty {
            out.push_str(",\"value\":");
            write_value(out, value);
        }
        out.push('}');
    });
}

/// Nested at most as deep as the doors let in.
fn write_value(out: &mut String, value: &AnyValue) {
    match value {
        AnyValue::Empty => out.push_str("{}"),
        AnyValue::Bool(value) => write!(out, "{{\"boolValue\":{value}}}").expect("a String takes everything"),
        AnyValue::Int(value) => write!(out, "{{\"intValue\":\"{value}\"}}").expect("a String takes everything"),
        AnyValue::Double(value) if value.is_finite() => {
            write!(out, "{{\"doubleValue\":{}}}", double_text(*value)).expect("a String takes everything");
        }
        AnyValue::Double(value) => {
            write!(out, "{{\"doubleValue\":\"{}\"}}", double_text(*value)).expect("a String takes everything");
        }
        AnyValue::Str(text) => {
            out.push_str("{\"stringValue\":");
            json_string(text, out);
            out.push('}');
        }
        AnyValue::Bytes(bytes) => {
            out.push_str("{\"bytesValue\":\"");
            base64(bytes, out);
            out.push_str("\"}");
        }
        AnyValue::Array(values) => {
            out.push_str("{\"arrayValue\":{\"values\":");
            array(out, values.iter(), write_value);
            out.push_str("}}");
        }
        AnyValue::Map(map) => {
            out.push_str("{\"kvlistValue\":{\"values\":");
            entries(out, map);
            out.push_str("}}");
        }
    }
}

fn array<T>(out: &mut String, items: impl Iterator<Item = T>, mut write: impl FnMut(&mut String, T)) {
    out.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

fn key(out: &mut String, first: &mut bool, name: &str) {
    if !std::mem::replace(first, false) {
        out.push(',');
    }
    write!(out, "\"{name}\":").expect("a String takes everything");
}

fn text(out: &mut String, first: &mut bool, name: &str, value: &str) {
    if !value.is_empty() {
        key(out, first, name);
        json_string(value, out);
    }
}

fn number(out: &mut String, first: &mut bool, name: &str, value: i64) {
    if value != 0 {
        key(out, first, name);
        write!(out, "{value}").expect("a String takes everything");
    }
}

/// 64-bit integers are strings.
fn quoted_number(out: &mut String, first: &mut bool, name: &str, value: i64) {
    if value != 0 {
        key(out, first, name);
        write!(out, "\"{value}\"").expect("a String takes everything");
    }
}
