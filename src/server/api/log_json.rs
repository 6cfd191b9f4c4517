//! One log record as a line of JSON, typed as it was sent: integers stay integers of 64 bits, doubles have a point, bytes are base64,
//! NaN and the infinities are strings. Resource, scope and record attributes stay apart.

use model::any::{hex, json_string};
use model::log::Attributes;
use model::time::rfc3339_ns;
use query::logs::Row;
use std::fmt::Write as _;

/// Appends the object, without a line's end. What was not sent is left out, but for the fields that every record has.
pub(crate) fn push_row(row: &Row, out: &mut String) {
    let record = &row.record;
    out.push_str("{\"time\":\"");
    out.push_str(&rfc3339_ns(record.time_ns));
    out.push('"');
    if record.observed_time_ns != 0 {
        out.push_str(",\"observed_time\":\"");
        out.push_str(&rfc3339_ns(record.observed_time_ns));
        out.push('"');
    }
    push_text("severity_text", &record.severity_text, out);
    push_count("severity_number", i64::from(record.severity_number), out);
    // What searches take it for where the sender gave no number.
    if record.severity_is_derived() {
        push_text("severity_derived", record.severity().as_str(), out);
    }
    out.push_str(",\"body\":");
    record.body.write_json(out);
    push_text("trace_id", &record.trace_id.map(|id| hex(&id)).unwrap_or_default(), out);
    push_text("span_id", &record.span_id.map(|id| hex(&id)).unwrap_or_default(), out);
    let flags = record.trace_flags();
    if flags != 0 {
        push_count("flags", i64::from(flags), out);
    }
    push_text("event_name", &record.event_name, out);

    out.push_str(",\"resource\":{\"attributes\":");
    push_attributes(&row.resource.attributes, out);
    push_origin(row.resource.dropped_attributes_count, &row.resource.schema_url, out);
    out.push_str("},\"scope\":{\"name\":");
    json_string(&row.scope.name, out);
    push_text("version", &row.scope.version, out);
    out.push_str(",\"attributes\":");
    push_attributes(&row.scope.attributes, out);
    push_origin(row.scope.dropped_attributes_count, &row.scope.schema_url, out);
    out.push_str("},\"attributes\":");
    push_attributes(&record.attributes, out);
    push_origin(record.dropped_attributes_count, "", out);
    push_text("cursor", &row.cursor, out);
    out.push('}');
}

/// Of two attributes of the same key the last one counts.
fn push_attributes(attributes: &Attributes, out: &mut String) {
    out.push('{');
    let mut first = true;
    for (at, (key, value)) in attributes.iter().enumerate() {
        if attributes[at + 1..].iter().any(|(later, _)| later == key) {
            continue;
        }
        if !first {
            out.push(',');
        }
        first = false;
        json_string(key, out);
        out.push(':');
        value.write_json(out);
    }
    out.push('}');
}

fn push_origin(dropped: u32, schema_url: &str, out: &mut String) {
    if dropped != 0 {
        push_count("dropped_attributes_count", i64::from(dropped), out);
    }
    if !schema_url.is_empty() {
        push_text("schema_url", schema_url, out);
    }
}

fn push_text(name: &str, value: &str, out: &mut String) {
    write!(out, ",\"{name}\":").expect("a String takes everything");
    json_string(value, out);
}

fn push_count(name: &str, value: i64, out: &mut String) {
    write!(out, ",\"{name}\":{value}").expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{AnyValue, LogRecord, Resource, Scope};
    use std::sync::Arc;

    #[test]
    fn a_row_keeps_its_types_and_its_levels_apart() {
        let row = Row {
            record: LogRecord {
                time_ns: 1_795_226_400_000_000_001,
                severity_number: 17,
                severity_text: "ERROR".into(),
                body: AnyValue::Str("a \"quoted\"\nline".into()),
                attributes: vec![
                    ("big".into(), AnyValue::Int(i64::MAX)),
                    ("twice".into(), AnyValue::Bool(false)),
                    ("nan".into(), AnyValue::Double(f64::NAN)),
                    ("whole".into(), AnyValue::Double(5.0)),
                    ("bytes".into(), AnyValue::Bytes(vec![0, 255])),
                    ("twice".into(), AnyValue::Bool(true)),
                ],
                trace_id: Some([0xab; 16]),
                flags: 0xffff_ff01,
                ..LogRecord::default()
            },
            resource: Arc::new(Resource {
                attributes: vec![("service.name".into(), AnyValue::Str("api".into()))],
                dropped_attributes_count: 2,
                schema_url: "https://x".into(),
            }),
            scope: Arc::new(Scope { name: "lib".into(), ..Scope::default() }),
            cursor: "c1".into(),
        };
        let mut out = String::new();
        push_row(&row, &mut out);
        assert_eq!(
            out,
            concat!(
                r#"{"time":"2026-11-21T02:00:00.000000001Z","severity_text":"ERROR","severity_number":17,"#,
                r#""body":"a \"quoted\"\nline","trace_id":"abababababababababababababababab","span_id":"","flags":1,"event_name":"","#,
                r#""resource":{"attributes":{"service.name":"api"},"dropped_attributes_count":2,"schema_url":"https://x"},"#,
                r#""scope":{"name":"lib","version":"","attributes":{}},"#,
                r#""attributes":{"big":9223372036854775807,"nan":"NaN","whole":5.0,"bytes":"AP8=","twice":true},"cursor":"c1"}"#,
            )
        );
        serde_json::from_str::<serde_json::Value>(&out).expect("it is JSON");
    }

    #[test]
    fn a_severity_that_text_or_body_tell_is_marked() {
        for (number, text, body, expected) in [
            (0, "", "level=warn disk is slow", Some("warn")),
            (0, "strange", "level=warn disk is slow", Some("warn")),
            (9, "", "level=warn disk is slow", None),
            (0, "INFO", "level=warn disk is slow", Some("info")),
            (99, "ERR", "disk is slow", Some("error")),
            (9, "ERR", "disk is slow", None),
            (0, "", "disk is slow", None),
        ] {
            let record = LogRecord {
                severity_number: number,
                severity_text: text.into(),
                body: AnyValue::Str(body.into()),
                ..LogRecord::default()
            };
            let row = Row { record, resource: Arc::default(), scope: Arc::default(), cursor: String::new() };
            let mut out = String::new();
            push_row(&row, &mut out);
            let read: serde_json::Value = serde_json::from_str(&out).unwrap();
            assert_eq!(read.get("severity_derived").and_then(|value| value.as_str()), expected, "{out}");
        }
    }
}
