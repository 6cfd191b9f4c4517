//! What log records become: times, ids, typed values, limits.

mod support;

use codec::otlp::Encoding::Json;
use codec::otlp::decode_logs;
use model::any::AnyValue;
use model::{LogBatch, LogRecord, Rejected};
use support::{ACCEPT, RECEIVED_NS, logs_settings};

fn decode(body: &str) -> Result<(LogBatch, Rejected), String> {
    decode_logs(body.as_bytes(), Json, &logs_settings(), RECEIVED_NS, ACCEPT)
        .map(|(logs, rejected)| (logs.to_batch(), rejected))
        .map_err(|error| error.to_string())
}

/// One record; `Err` is why it was refused, or why the request was.
fn record(members: &str) -> Result<LogRecord, String> {
    let (batch, rejected) =
        decode(&format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{members}}}]}}]}}]}}"#))?;
    match batch.records.into_iter().next() {
        Some((_, _, record)) => Ok(record),
        None => Err(rejected.message()),
    }
}

#[test]
fn times_are_the_sent_one_else_observed_else_received() {
    const T: i64 = 1_795_226_400_123_456_789;
    for (members, expected) in [
        (r#""timeUnixNano":"1795226400123456789","observedTimeUnixNano":"5""#, Ok((T, 5))),
        (r#""observedTimeUnixNano":1795226400123456789"#, Ok((T, T))),
        ("", Ok((RECEIVED_NS, 0))),
        (r#""timeUnixNano":"18446744073709551615""#, Err("1 bad_time: a time of the record is past the year 2262")),
        (r#""timeUnixNano":5"#, Err("1 too_old: 1970-01-01T00:00:00.000Z is older than the retention")),
        (
            r#""timeUnixNano":1950000000000000000"#,
            Err("1 too_new: 2031-10-17T10:40:00.000Z is too far in the future; check the sender's clock"),
        ),
    ] {
        let got = record(members).map(|record| (record.time_ns, record.observed_time_ns));
        assert_eq!(got, expected.map_err(String::from), "{members}");
    }
}

#[test]
fn values_keep_their_type() {
    use AnyValue::{Array, Bool, Bytes, Double, Empty, Int, Map, Str};
    for (value, expected) in [
        ("{}", Empty),
        ("null", Empty),
        (r#"{"stringValue":""}"#, Str(String::new())),
        (r#"{"stringValue":"5"}"#, Str("5".into())),
        (r#"{"intValue":"5"}"#, Int(5)),
        (r#"{"intValue":9007199254740993}"#, Int(9_007_199_254_740_993)),
        (r#"{"intValue":"9223372036854775807"}"#, Int(i64::MAX)),
        (r#"{"doubleValue":5}"#, Double(5.0)),
        (r#"{"doubleValue":"Infinity"}"#, Double(f64::INFINITY)),
        (r#"{"boolValue":false}"#, Bool(false)),
        (r#"{"bytesValue":"_-4"}"#, Bytes(vec![0xff, 0xee])),
        (r#"{"arrayValue":{}}"#, Array(vec![])),
        (r#"{"arrayValue":{"values":[{"intValue":1},{},{"x":[1]}]}}"#, Array(vec![Int(1), Empty, Empty])),
        (r#"{"kvlistValue":{}}"#, Map(vec![])),
        (
            r#"{"kvlistValue":{"values":[{"key":"a.b","value":{"boolValue":true}},{"value":null}]}}"#,
            Map(vec![("a.b".into(), Bool(true)), ("".into(), Empty)]),
        ),
        (r#"{"stringValueStrindex":3}"#, Empty),
        (r#"{"string_value":"x"}"#, Empty),
        (r#"{"stringValue":"x","intValue":null}"#, Str("x".into())),
        (r#"{"stringValue":"x","intValue":1}"#, Int(1)),
        (r#"{"stringValue":"\ud83d\ude00 \u00e9"}"#, Str("😀 é".into())),
    ] {
        assert_eq!(record(&format!(r#""body":{value}"#)).map(|record| record.body), Ok(expected.clone()), "{value}");
        let attribute = record(&format!(r#""attributes":[{{"key":"k","value":{value}}}]"#)).unwrap().attributes;
        assert_eq!(attribute, [("k".into(), expected)]);
    }
    for wrong in [
        r#"{"intValue":1.5}"#,
        r#"{"intValue":"9223372036854775808"}"#,
        r#"{"boolValue":1}"#,
        r#"{"stringValue":"\ud83d"}"#,
        r#"{"bytesValue":"!"}"#,
        r#"{"arrayValue":[]}"#,
        r#""text""#,
    ] {
        let error = record(&format!(r#""body":{wrong}"#)).unwrap_err();
        assert!(error.starts_with("resourceLogs[0].scopeLogs[0].logRecords[0].body"), "{wrong}: {error}");
    }
}

#[test]
fn ids_severities_and_flags() {
    let id = "5B8EFFF798038103D269B633813FC60C";
    for (members, trace) in [
        (format!(r#""traceId":"{id}""#), true),
        (format!(r#""traceId":"{}""#, id.to_lowercase()), true),
        (r#""traceId":"""#.into(), false),
        (r#""traceId":null"#.into(), false),
        (r#""traceId":"00000000000000000000000000000000""#.into(), false),
        (format!(r#""traceId":"0x{id}""#), false),
        (r#""traceId":"5B8""#.into(), false),
    ] {
        let record = record(&members).unwrap();
        assert_eq!(
            record.trace_id.map(|id| model::any::hex(&id).to_uppercase()),
            trace.then(|| id.to_owned()),
            "{members}"
        );
    }
    for (number, expected) in
        [("9", 9), ("\"9\"", 9), ("\"SEVERITY_NUMBER_WARN2\"", 14), ("99", 99), ("null", 0), ("-1", -1)]
    {
        assert_eq!(record(&format!(r#""severityNumber":{number}"#)).map(|record| record.severity_number), Ok(expected));
    }
    assert!(record(r#""severityNumber":"LOUD""#).is_err());
    let full = record(r#""flags":"257","severityText":"ERR","eventName":"e","droppedAttributesCount":"3","spanId":"eee19b7ec3c1b174""#).unwrap();
    assert_eq!((full.flags, full.severity_text.as_str(), full.event_name.as_str()), (257, "ERR", "e"));
    assert_eq!(
        (full.dropped_attributes_count, full.span_id),
        (3, Some([0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74]))
    );
}

#[test]
fn limits_cut_the_body_and_refuse_the_rest() {
    // 63 bytes and a two-byte character: the whole character goes.
    for (body, kept, mark) in
        [("x".repeat(64), 64, None), ("x".repeat(65), 64, Some(1)), ("x".repeat(63) + "ü", 63, Some(2))]
    {
        let record = record(&format!(r#""body":{{"stringValue":"{body}"}}"#)).unwrap();
        assert_eq!(record.body, AnyValue::Str("x".repeat(kept)));
        let marks: Vec<_> = record.attributes.iter().map(|(key, value)| (&**key, value.clone())).collect();
        let expected = mark.map(|bytes| ("binnacle.truncated_bytes", AnyValue::Int(bytes)));
        assert_eq!(marks, expected.into_iter().collect::<Vec<_>>());
    }
    let many = [r#"{"key":"k"}"#; 6].join(",");
    let long = "x".repeat(200);
    for (members, expected) in [
        (
            format!(r#""attributes":[{many}]"#),
            "1 record_limit: the record has 6 attributes, the limit is 5 (limits.log_attributes)".to_owned(),
        ),
        (
            format!(r#""attributes":[{{"key":"k","value":{{"stringValue":"{long}"}}}}]"#),
            r#"1 record_limit: attribute "k" of the record has 201 bytes, the limit is 200 (limits.log_attribute_bytes)"#
                .to_owned(),
        ),
        (
            format!(r#""severityText":"{long}x""#),
            "1 record_limit: severity_text has 201 bytes, the limit is 200 (limits.log_attribute_bytes)".to_owned(),
        ),
        (
            format!(r#""body":{{"arrayValue":{{"values":[{{"stringValue":"{long}"}}]}}}}"#),
            "1 record_limit: structured body of 201 bytes, the limit is 64 (limits.log_body_bytes)".to_owned(),
        ),
    ] {
        assert_eq!(record(&members), Err(expected));
    }
    let of_resource = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{}},{{}}]}}],"resource":{{"attributes":[{many}]}}}},{{"scopeLogs":[{{"logRecords":[{{}}]}}]}}]}}"#
    );
    let (batch, rejected) = decode(&of_resource).unwrap();
    assert_eq!((batch.records.len(), rejected.total()), (1, 2));
    assert_eq!(
        rejected.message(),
        "2 record_limit: the resource has 6 attributes, the limit is 5 (limits.log_attributes)"
    );
}

/// Rows after their resource and scope in the text; equal neighbours share an entry; equal keys of records share an allocation.
#[test]
fn resources_and_scopes_stand_beside_the_records() {
    let of = |resource: &str, scope: &str| {
        format!(
            r#"{{"scopeLogs":[{{"logRecords":[{{"attributes":[{{"key":"k"}}]}},{{}}],"schemaUrl":"s","scope":{scope}}}],"schemaUrl":"r","resource":{resource}}}"#
        )
    };
    let a =
        r#"{"attributes":[{"key":"k","value":{"intValue":1}}],"droppedAttributesCount":2,"entityRefs":[{"type":"x"}]}"#;
    let scope = r#"{"name":"n","version":"v","droppedAttributesCount":1}"#;
    let empty = r#"{"scopeLogs":[{"scope":{"name":"unused"}}],"resource":{}}"#;
    let body = format!(r#"{{"resourceLogs":[{},{},{},{empty}]}}"#, of(a, scope), of(a, scope), of("{}", scope));
    let (batch, rejected) = decode(&body).unwrap();
    assert!(rejected.is_empty());
    let places: Vec<(u32, u32)> = batch.records.iter().map(|(resource, scope, _)| (*resource, *scope)).collect();
    assert_eq!(places, [(0, 0), (0, 0), (0, 0), (0, 0), (1, 0), (1, 0)]);
    assert_eq!(batch.resources.len(), 2);
    let resource = &batch.resources[0];
    assert_eq!((resource.schema_url.as_str(), resource.dropped_attributes_count), ("r", 2));
    assert_eq!((batch.scopes.len(), batch.scopes[0].name.as_str(), batch.scopes[0].schema_url.as_str()), (1, "n", "s"));
    assert!(std::sync::Arc::ptr_eq(&batch.records[2].2.attributes[0].0, &batch.records[0].2.attributes[0].0));
}

#[test]
fn records_past_the_limit_are_refused_and_counted() {
    let many = vec!["{}"; 1_003].join(",");
    let (batch, rejected) =
        decode(&format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{many}]}}]}}]}}"#)).unwrap();
    assert_eq!(batch.records.len(), 1_000);
    assert_eq!(
        rejected.message(),
        "3 record_limit: a request holds at most 1000 records (limits.request_records); send smaller batches"
    );
}
