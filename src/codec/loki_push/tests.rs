use model::log::STREAM_LABELS;
use model::{AnyValue, LogBatch, MsRange, Reason};

use super::{Decoded, Written, decode};
use crate::otlp::LogsSettings;

const NOW_NS: i64 = 1_700_000_000_000_000_000;

fn settings() -> LogsSettings {
    LogsSettings {
        records_max: 100,
        body_bytes_max: 64,
        attributes_max: 8,
        attribute_bytes_max: 64,
        record_bytes_max: 300,
    }
}

fn decoded(body: &[u8], written: Written) -> Result<(LogBatch, model::Rejected), String> {
    counted(body, written).map(|Decoded { batch, rejected, .. }| (batch, rejected))
}

fn counted(body: &[u8], written: Written) -> Result<Decoded, String> {
    let accept = MsRange { start_ms: NOW_NS / 1_000_000 - 1000, end_ms: NOW_NS / 1_000_000 + 1000 };
    decode(body, written, &settings(), NOW_NS, accept).map_err(|error| error.to_string())
}

/// A record a line: time after `NOW_NS`, labels as stored, line, attributes.
fn shown(batch: &LogBatch) -> String {
    let pairs = |attributes: &model::log::Attributes| {
        attributes.iter().map(|(key, value)| format!("{key}={}", value.to_text())).collect::<Vec<_>>().join(",")
    };
    let line = |(resource, _, record): &(u32, u32, model::LogRecord)| {
        let resource = &batch.resources[*resource as usize];
        assert_eq!(resource.schema_url, STREAM_LABELS);
        let (time, line) = (record.time_ns - NOW_NS, record.body.to_text());
        format!("{time} {{{}}} {line} {{{}}}", pairs(&resource.attributes), pairs(&record.attributes))
    };
    batch.records.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    crate::wire::put_bytes(&mut out, bytes);
    out
}

fn entry(after_ns: i64, line: &str, metadata: &[(&str, &str)]) -> Vec<u8> {
    let at = NOW_NS + after_ns;
    let mut time = vec![0x08];
    crate::wire::put_varint(&mut time, (at / 1_000_000_000) as u64);
    time.push(0x10);
    crate::wire::put_varint(&mut time, (at % 1_000_000_000) as u64);
    let mut out = field(1, &time);
    out.extend(field(2, line.as_bytes()));
    for (name, value) in metadata {
        out.extend(field(3, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat()));
    }
    out
}

fn request(labels: &str, entries: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = field(1, labels.as_bytes());
    entries.iter().for_each(|entry| stream.extend(field(2, entry)));
    field(1, &stream)
}

#[test]
fn both_forms_say_the_same() {
    let json = br#"{"streams":[{"stream":{"service_name":"api","job":"x"},"values":[
        ["1700000000000000005","one \"line\"",{"trace_id":"1","empty":""}],["1700000000000000006",""]]}]}"#;
    let expected = "5 {job=x,service.name=api} one \"line\" {trace_id=1}\n6 {job=x,service.name=api}  {}";
    let (batch, rejected) = decoded(json, Written::Json).unwrap();
    assert_eq!((shown(&batch).as_str(), rejected.is_empty()), (expected, true));
    let entries = [entry(5, "one \"line\"", &[("trace_id", "1"), ("empty", "")]), entry(6, "", &[])];
    let bytes = request(r#"{service_name="api", job="x"}"#, &entries);
    let (batch, rejected) = decoded(&bytes, Written::Protobuf).unwrap();
    assert_eq!((shown(&batch).as_str(), rejected.is_empty()), (expected, true));
}

#[test]
fn labels_are_read_as_prometheus_writes_them() {
    for (text, expected) in [
        (r#"{a="b"}"#, Ok("a=b")),
        (r#" { a = "b" , c=`\d`, } "#, Ok("a=b,c=\\d")),
        (r#"{b="1",a="x\n\"\\\u00e9",e=""}"#, Ok("a=x\n\"\\é,b=1")),
        ("{}", Ok("")),
        (r#"{a=""}"#, Ok("")),
        ("", Err("1:1: parse error")),
        (r#"{a="b""#, Err("1:7: parse error: expected '}'")),
        (r#"{a="b"#, Err("unterminated")),
        (r#"{a="\q"}"#, Err("unknown escape")),
        (r#"{a="\xff"}"#, Err("bad escape")),
        (r#"{a="b",a="c"}"#, Err("duplicate label name: 'a'")),
        (r#"{a-b="c"}"#, Err("expected '='")),
        (r#"{"a b"="c"}"#, Err("no label name")),
        (r#"{a="b"} x"#, Err("nothing may follow")),
    ] {
        let found = super::labels::parse(text)
            .map(|pairs| pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(","));
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{text}: {found}"),
            (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn what_cannot_be_stored_is_counted_and_the_rest_is_stored() {
    let mut body = request(r#"{a="b"}"#, &[entry(0, "kept", &[]), entry(-2_000_000_000, "old", &[])]);
    body.extend(request("{", &[entry(1, "bad labels", &[])]));
    body.extend(request(r#"{a="c"}"#, &[entry(5_000_000_000, "new", &[]), entry(2, &"x".repeat(70), &[])]));
    let many: Vec<(String, &str)> = (0..9).map(|n| (format!("n{n}"), "v")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    body.extend(request(r#"{a="d"}"#, &[entry(0, "much metadata", &many)]));
    let long = "v".repeat(60);
    let large: Vec<(&str, &str)> = ["n1", "n2", "n3", "n4"].into_iter().map(|name| (name, long.as_str())).collect();
    body.extend(request(r#"{a="e"}"#, &[entry(0, &"x".repeat(60), &large)]));
    let (batch, rejected) = decoded(&body, Written::Protobuf).unwrap();
    assert_eq!(
        shown(&batch),
        format!("0 {{a=b}} kept {{}}\n2 {{a=c}} {} {{binnacle.truncated_bytes=6}}", "x".repeat(64))
    );
    let counts: Vec<(Reason, u64)> = rejected.by_reason.iter().map(|(reason, count, _)| (*reason, *count)).collect();
    assert_eq!(counts, [(Reason::TooOld, 1), (Reason::BadName, 1), (Reason::TooNew, 1), (Reason::RecordLimit, 2)]);
    let old = &rejected.by_reason[0].2;
    assert!(old.starts_with(r#"entry for stream '{a="b"}' has timestamp too old: 2023-11-14T22:13:18"#), "{old}");
}

#[test]
fn what_is_no_request_is_refused_whole() {
    for (body, written, expected) in [
        (&b"{"[..], Written::Json, "request at byte"),
        (br#"{"streams":[{"stream":{"a":"\ud800"},"values":[]}]}"#, Written::Json, "request at byte"),
        (br#"{"streams":[{"stream":null,"values":[]}]}"#, Written::Json, "an object of strings"),
        (br#"{"streams":[null]}"#, Written::Json, "an object with a stream"),
        (br#"{"streams":[{"stream":{"a":"b"},"values":[["1","x",null]]}]}"#, Written::Json, "an object of strings"),
        (br#"{"streams":[{"stream":{"a":"b"},"values":[["1","x",{"n":1}]]}]}"#, Written::Json, "a string"),
        (br#"{"streams":[{"stream":{"a":"b"},"values":[["soon","x"]]}]}"#, Written::Json, "no time in ns"),
        (br#"{"streams":[{"stream":{"a":"b"},"values":[[]]}]}"#, Written::Json, "invalid length"),
        (br#"{"streams":[{"stream":{"a":"b"},"values":[{}]}]}"#, Written::Json, "ns since 1970"),
        (br#"[]"#, Written::Json, "an object with streams"),
        (b"\xff\xff", Written::Json, "UTF-8"),
        (b"\x0a\x02\x12\x05", Written::Protobuf, "streams[0]"),
    ] {
        let error = decoded(body, written).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let plain = AnyValue::Str("x".into());
    let (batch, _) = decoded(&request(r#"{a="b"}"#, &[field(2, b"x")]), Written::Protobuf).unwrap();
    assert_eq!((batch.records[0].2.time_ns, &batch.records[0].2.body), (NOW_NS, &plain));
}

#[test]
fn json_is_read_as_loki_reads_it() {
    let check = |body: &str, streams: usize, expected: &str| {
        let found = counted(body.as_bytes(), Written::Json).unwrap_or_else(|error| panic!("{body}: {error}"));
        assert_eq!(
            (found.streams, shown(&found.batch).as_str(), found.rejected.is_empty()),
            (streams, expected, true),
            "{body}"
        );
    };
    let at = NOW_NS;
    let one = |labels: &str| format!(r#"{{"streams":[{{"stream":{labels},"values":[["{at}","x"]]}}]}}"#);
    check(&one(r#"{"a":1,"b":-2,"c":1.5,"d":true,"e":null}"#), 1, "0 {a=1,b=-2,c=1.5,d=true,e=null} x {}");
    // As they are written: a version is no number.
    check(
        &one(r#"{"a": 1.50 ,"b":1e3,"c":-0.0,"d":12345678901234567890123}"#),
        1,
        "0 {a=1.50,b=1e3,c=-0.0,d=12345678901234567890123} x {}",
    );
    check(&one(r#"{"a":["x", 1],"b":{"c": {}},"d":"\u00e9\n"}"#), 1, "0 {a=[\"x\", 1],b={\"c\": {}},d=é\n} x {}");
    check(&one(r#"{"a":"old","b":"c","a":"new"}"#), 1, "0 {a=new,b=c} x {}");
    let values = |values: &str| format!(r#"{{"streams":[{{"stream":{{"a":"b"}},"values":{values}}}]}}"#);
    check(&values(&format!(r#"[null,["{at}","x"],null]"#)), 1, "0 {a=b} x {}");
    check(&values(&format!(r#"[["{at}"],["{at}","y",{{"n":"v"}},4,"more"]]"#)), 1, "0 {a=b}  {}\n0 {a=b} y {n=v}");
    check(&values(&format!(r#"[["{at}","x"]],"values":null,"other":[{{}}]"#)), 1, "0 {a=b} x {}");
    check(&values(&format!(r#"[["{at}","x"]],"values":[["{at}","y"]]"#)), 1, "0 {a=b} y {}");
    // No entries, and no streams.
    check(&values("[]"), 1, "");
    check(&values("null"), 1, "");
    check(r#"{"streams":[]}"#, 0, "");
    check(r#"{"streams":null}"#, 0, "");
    check(r#"{"nope":[1e3]}"#, 0, "");
    check("{}", 0, "");
    check("null", 0, "");
    let twice = format!(r#"{{"Streams":[{{}}],"STREAMS":[{{"stream":{{"a":"b"}},"values":[["{at}","x"]]}}]}}"#);
    check(&twice, 1, "0 {a=b} x {}");
    assert_eq!(counted(&[], Written::Protobuf).unwrap().streams, 0);
    assert_eq!(counted(&request(r#"{a="b"}"#, &[]), Written::Protobuf).unwrap().streams, 1);
}
