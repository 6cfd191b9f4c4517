use codec::block::{Block, Row, encode};
use model::{AnyValue, LogRecord};

use super::name::DETECTED_LEVEL;
use super::*;
use crate::logs::row::Rows;

fn text(text: &str) -> AnyValue {
    AnyValue::Str(text.into())
}

fn resource(attributes: &[(&str, AnyValue)]) -> Resource {
    let attributes = attributes.iter().map(|(key, value)| ((*key).into(), value.clone())).collect();
    Resource { attributes, ..Resource::default() }
}

/// A record alone in a block.
fn rows(resource: &Resource, scope: &Scope, record: &LogRecord) -> Rows {
    let row = Row { resource: 0, scope: 0, seq: 1, place: 0, record };
    Rows::of_block(Block::parse(encode(&[resource], &[scope], &[row])).unwrap())
}

fn labels_of(pairs: &[PairRef<'_>]) -> Labels {
    Labels::from_pairs(pairs.iter().map(|(name, value)| (&**name, &**value)))
}

/// Stream labels and structured metadata of a record alone in the head, each as `{a="b"}`.
#[track_caller]
fn check(resource: Resource, scope: Scope, record: LogRecord, labels: &str, metadata: &str) {
    let stream = Stream::new(&resource, &scope);
    let rows = rows(&resource, &scope, &record);
    let names = Names::default();
    let mut out = Vec::new();
    rows.metadata(0, &stream, &Need::All, &names, &mut out).unwrap();
    assert_eq!(stream.labels.to_string(), labels);
    assert_eq!(labels_of(&out).to_string(), metadata);
    for (name, value) in labels_of(&out).iter() {
        let mut one = Vec::new();
        rows.metadata(0, &stream, &Need::Only(vec![name.into()]), &names, &mut one).unwrap();
        let one = labels_of(&one);
        assert_eq!((one.len(), one.get(name)), (1, Some(value)), "{name} asked for alone");
    }
}

#[test]
fn a_record_has_stream_labels_and_structured_metadata() {
    let plain = || Scope::default();
    check(
        resource(&[]),
        plain(),
        LogRecord::default(),
        r#"{service_name="unknown_service"}"#,
        r#"{detected_level="unknown"}"#,
    );
    check(
        resource(&[
            ("service.name", text("api")),
            ("k8s.pod.name", text("api-1")),
            ("host.name", text("db")),
            ("os", AnyValue::Map(vec![("version".into(), AnyValue::Map(vec![("major".into(), AnyValue::Int(7))]))])),
            ("app", text("x")),
            ("empty", text("")),
        ]),
        Scope {
            name: "lib".into(),
            version: "1.2".into(),
            attributes: vec![("a".into(), text("scope"))],
            dropped_attributes_count: 3,
            ..Scope::default()
        },
        LogRecord {
            time_ns: 5,
            observed_time_ns: 7,
            severity_number: 17,
            severity_text: "ERR".into(),
            body: text("x"),
            attributes: vec![
                ("http.status..code".into(), AnyValue::Int(500)),
                ("service_name".into(), text("own")),
                ("ratio".into(), AnyValue::Double(0.625)),
                ("tags".into(), AnyValue::Array(vec![text("p"), AnyValue::Int(1)])),
                ("a".into(), text("record")),
            ],
            dropped_attributes_count: 2,
            flags: 1,
            trace_id: Some([0xab; 16]),
            span_id: Some([1; 8]),
            ..LogRecord::default()
        },
        r#"{k8s_pod_name="api-1",service_name="api"}"#,
        concat!(
            r#"{a="scope",app="x",detected_level="error",dropped_attributes_count="2",flags="1",host_name="db","#,
            r#"http_status_code="500",observed_timestamp="7",os_version_major="7",ratio="0.625","#,
            r#"scope_dropped_attributes_count="3",scope_name="lib",scope_version="1.2",service_name_extracted="own",severity_number="17",severity_text="ERR","#,
            r#"span_id="0101010101010101",tags="[\"p\",1]",trace_id="abababababababababababababababab"}"#
        ),
    );
}

#[test]
fn a_service_without_name_is_named_by_another_stream_label() {
    let level = r#"{detected_level="unknown"}"#;
    check(
        resource(&[("k8s.container.name", text("c")), ("k8s.job.name", text("j"))]),
        Scope::default(),
        LogRecord::default(),
        r#"{k8s_container_name="c",k8s_job_name="j",service_name="c"}"#,
        level,
    );
    check(
        resource(&[("k8s.job.name", text("j"))]),
        Scope::default(),
        LogRecord::default(),
        r#"{k8s_job_name="j",service_name="j"}"#,
        level,
    );
    check(
        resource(&[("cloud.region", text("r")), ("k8s.job.name", text("j")), ("container.name", text("c"))]),
        Scope::default(),
        LogRecord::default(),
        r#"{cloud_region="r",container_name="c",k8s_job_name="j",service_name="j"}"#,
        level,
    );
    check(
        resource(&[("cloud.region", text("r"))]),
        Scope::default(),
        LogRecord::default(),
        r#"{cloud_region="r",service_name="unknown_service"}"#,
        level,
    );
    let pushed = Resource {
        schema_url: STREAM_LABELS.into(),
        ..resource(&[("job", text("j")), ("a__b", text("kept")), ("k8s.pod.name", text("p")), ("app", text("x"))])
    };
    check(
        pushed,
        Scope::default(),
        LogRecord::default(),
        r#"{a__b="kept",app="x",job="j",k8s_pod_name="p",service_name="x"}"#,
        level,
    );
}

#[test]
fn the_level_comes_from_the_first_that_tells_one() {
    let record = |attributes: &[(&str, &str)], number, severity: &str, body: &str| LogRecord {
        attributes: attributes.iter().map(|(key, value)| ((*key).into(), text(value))).collect(),
        severity_number: number,
        severity_text: severity.into(),
        body: text(body),
        ..LogRecord::default()
    };
    for (record, expected) in [
        (record(&[("level", "notice")], 17, "ERROR", "x"), "notice"),
        (record(&[("severity", "x"), ("level", "WRN")], 17, "ERROR", "x"), "warn"),
        (record(&[], 17, "Information", "x"), "info"),
        (record(&[], 99, "", "error"), "unknown"),
        (record(&[], 21, "", "info"), "fatal"),
        (record(&[], 0, "", "level=warn"), "warn"),
        (record(&[("detected_level", "ERR")], 9, "INFO", "x"), "error"),
    ] {
        let stream = Stream::new(&Resource::default(), &Scope::default());
        let mut out = Vec::new();
        let need = Need::Only(vec![DETECTED_LEVEL.into()]);
        let rows = rows(&Resource::default(), &Scope::default(), &record);
        let names = Names::default();
        rows.metadata(0, &stream, &need, &names, &mut out).unwrap();
        assert_eq!(out, [(DETECTED_LEVEL.into(), expected.into())], "{record:?}");
    }
}
