//! How fast does a request become a batch? Metrics with all series known (the common request) and with none (the first one),
//! logs, both encodings; prost's decode alone beside them.
//!
//! Run: `cargo bench --profile profiling -p codec --bench otlp_decode`

use std::collections::HashMap;

use codec::otlp::{
    Encoding, KnownSeries, LogsSettings, MetricsSettings, Promote, Translation, decode_logs, decode_metrics,
};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use model::{MsRange, SeriesEntry, SeriesId};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

const NOW_NS: u64 = 1_795_226_400_123_456_789;
const POINTS: usize = 10_000;
const RECORDS: usize = 1_000;

fn main() {
    let metrics = metrics_request().encode_to_vec();
    let logs = logs_request().encode_to_vec();
    println!("metrics: {POINTS} points, {} bytes protobuf, {} JSON", metrics.len(), metrics_json().len());
    println!("logs: {RECORDS} records, {} bytes protobuf, {} JSON", logs.len(), logs_json().len());
    divan::main();
}

#[divan::bench]
fn metrics_protobuf_known(bencher: Bencher<'_, '_>) {
    metrics_known(bencher, metrics_request().encode_to_vec(), Encoding::Protobuf);
}

#[divan::bench]
fn metrics_protobuf_new(bencher: Bencher<'_, '_>) {
    metrics(bencher, &metrics_request().encode_to_vec(), Encoding::Protobuf, &Known::default());
}

#[divan::bench]
fn metrics_protobuf_prost_alone(bencher: Bencher<'_, '_>) {
    let body = metrics_request().encode_to_vec();
    let bencher = bencher.counter(ItemsCount::new(POINTS)).counter(BytesCount::new(body.len()));
    bencher.bench(|| ExportMetricsServiceRequest::decode(black_box(&*body)));
}

#[divan::bench]
fn metrics_json_known(bencher: Bencher<'_, '_>) {
    metrics_known(bencher, metrics_json(), Encoding::Json);
}

#[divan::bench]
fn logs_protobuf(bencher: Bencher<'_, '_>) {
    logs(bencher, &logs_request().encode_to_vec(), Encoding::Protobuf);
}

#[divan::bench]
fn logs_protobuf_prost_alone(bencher: Bencher<'_, '_>) {
    let body = logs_request().encode_to_vec();
    let bencher = bencher.counter(ItemsCount::new(RECORDS)).counter(BytesCount::new(body.len()));
    bencher.bench(|| ExportLogsServiceRequest::decode(black_box(&*body)));
}

#[divan::bench]
fn logs_json_encoded(bencher: Bencher<'_, '_>) {
    logs(bencher, &logs_json(), Encoding::Json);
}

#[derive(Default)]
struct Known(HashMap<u128, SeriesId, foldhash::fast::RandomState>);

impl KnownSeries for Known {
    fn lookup(&self, key: u128) -> Option<SeriesId> {
        self.0.get(&key).copied()
    }

    fn knows_metadata(&self, _: u64) -> bool {
        !self.0.is_empty()
    }
}

fn settings() -> MetricsSettings {
    MetricsSettings {
        promote: Promote::All,
        ignore: ["telemetry.*", "process.*", "os.*", "host.arch", "*.uid"].map(String::from).to_vec(),
        translation: Translation::UnderscoreEscapingWithSuffixes,
        delta: codec::otlp::Delta::Cumulative,
        promote_scope: false,
        keep_identifying: false,
        labels_max: 64,
        label_name_bytes_max: 256,
        label_value_bytes_max: 2048,
    }
}

fn metrics_known(bencher: Bencher<'_, '_>, body: Vec<u8>, encoding: Encoding) {
    let (batch, rejected) = decode_metrics(&body, encoding, &settings(), &Known::default(), MsRange::ALL).unwrap();
    assert_eq!((batch.points.len(), rejected.total()), (POINTS, 0));
    let mut known = Known::default();
    for entry in &batch.series {
        if let SeriesEntry::New { key, .. } = entry {
            known.0.insert(*key, SeriesId(known.0.len() as u64));
        }
    }
    metrics(bencher, &body, encoding, &known);
}

fn metrics(bencher: Bencher<'_, '_>, body: &[u8], encoding: Encoding, known: &Known) {
    let settings = settings();
    let bencher = bencher.counter(ItemsCount::new(POINTS)).counter(BytesCount::new(body.len()));
    bencher.bench(|| decode_metrics(black_box(body), encoding, &settings, known, MsRange::ALL));
}

fn logs(bencher: Bencher<'_, '_>, body: &[u8], encoding: Encoding) {
    let settings = LogsSettings {
        records_max: 200_000,
        body_bytes_max: 1 << 20,
        attributes_max: 256,
        attribute_bytes_max: 1 << 16,
        record_bytes_max: 1 << 20,
    };
    let bencher = bencher.counter(ItemsCount::new(RECORDS)).counter(BytesCount::new(body.len()));
    bencher.bench(|| decode_logs(black_box(body), encoding, &settings, NOW_NS as i64, MsRange::ALL));
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.into())) });
    KeyValue { key: key.into(), value, ..KeyValue::default() }
}

fn integer(key: &str, value: i64) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(Value::IntValue(value)) }), ..KeyValue::default() }
}

fn resource(host: usize) -> Resource {
    let attributes = vec![
        text("service.name", "search-api"),
        text("service.namespace", "shop"),
        text("service.instance.id", format!("search-api-7d9f{host:04}")),
        text("host.name", format!("node-{host:03}.eu-west-1.internal")),
        text("deployment.environment.name", "production"),
        integer("process.pid", 4000 + host as i64),
    ];
    Resource { attributes, ..Resource::default() }
}

/// 10 hosts, 50 metrics each, 20 points a metric: about 160 bytes a point.
fn metrics_request() -> ExportMetricsServiceRequest {
    let point = |host: usize, metric: usize, point: usize| NumberDataPoint {
        attributes: vec![
            text("http.request.method", ["GET", "POST"][point % 2]),
            text("http.route", format!("/api/v1/items/{}", point / 4)),
            text("url.scheme", "https"),
            integer("http.response.status_code", [200, 404, 500, 503][point / 2 % 4]),
        ],
        start_time_unix_nano: NOW_NS - 3_600_000_000_000,
        time_unix_nano: NOW_NS,
        value: Some(number_data_point::Value::AsDouble((host * 1000 + metric * 20 + point) as f64 * 0.37)),
        ..NumberDataPoint::default()
    };
    let metric = |host: usize, metric: usize| {
        let data_points = (0..20).map(|at| point(host, metric, at)).collect();
        let data = match metric % 2 {
            0 => Data::Gauge(Gauge { data_points }),
            _ => Data::Sum(Sum { data_points, aggregation_temporality: 2, is_monotonic: true }),
        };
        Metric {
            name: format!("http.server.request.measure_{metric}"),
            unit: "s".into(),
            description: "What the server measured of its requests.".into(),
            data: Some(data),
            ..Metric::default()
        }
    };
    let of_host = |host| ResourceMetrics {
        resource: Some(resource(host)),
        scope_metrics: vec![ScopeMetrics {
            scope: Some(InstrumentationScope { name: "search.http".into(), ..InstrumentationScope::default() }),
            metrics: (0..50).map(|at| metric(host, at)).collect(),
            ..ScopeMetrics::default()
        }],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: (0..10).map(of_host).collect() }
}

fn metrics_json() -> Vec<u8> {
    let request = metrics_request();
    let of_resource = |of: &ResourceMetrics| {
        let metrics = joined(&of.scope_metrics[0].metrics, |metric| {
            let (kind, points) = match metric.data.as_ref() {
                Some(Data::Gauge(gauge)) => ("\"gauge\":{", &gauge.data_points),
                Some(Data::Sum(sum)) => {
                    ("\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":true,", &sum.data_points)
                }
                _ => unreachable!("made above"),
            };
            let points = joined(points, |point| {
                let Some(number_data_point::Value::AsDouble(value)) = point.value else { unreachable!("made above") };
                format!(
                    r#"{{"attributes":[{}],"startTimeUnixNano":"{}","timeUnixNano":"{}","asDouble":{value}}}"#,
                    joined(&point.attributes, attribute_json),
                    point.start_time_unix_nano,
                    point.time_unix_nano
                )
            });
            format!(
                r#"{{"name":"{}","unit":"s","description":"{}",{kind}"dataPoints":[{points}]}}}}"#,
                metric.name, metric.description
            )
        });
        format!(
            r#"{{"resource":{{"attributes":[{}]}},"scopeMetrics":[{{"metrics":[{metrics}]}}]}}"#,
            joined(&of.resource.as_ref().unwrap().attributes, attribute_json)
        )
    };
    format!(r#"{{"resourceMetrics":[{}]}}"#, joined(&request.resource_metrics, of_resource)).into_bytes()
}

/// About 465 bytes a record, as an access log with a trace.
fn logs_request() -> ExportLogsServiceRequest {
    let record = |at: usize| LogRecord {
        time_unix_nano: NOW_NS + at as u64 * 1_000,
        observed_time_unix_nano: NOW_NS + at as u64 * 1_000 + 500,
        severity_number: [9, 9, 9, 13, 17][at % 5],
        severity_text: ["INFO", "INFO", "INFO", "WARN", "ERROR"][at % 5].into(),
        body: text(
            "",
            format!("request for item {at} finished with status 200 after {} ms, 3 rows from shard 12", at % 97),
        )
        .value,
        attributes: vec![
            text("http.request.method", "GET"),
            text("http.route", format!("/api/v1/items/{}", at % 50)),
            integer("http.response.status_code", 200),
            text("client.address", format!("10.3.{}.{}", at % 256, at * 7 % 256)),
            text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
            text("request.id", format!("{:016x}", at * 0x9e37_79b9)),
            text("thread.name", format!("worker-{:02}", at % 16)),
        ],
        flags: 1,
        trace_id: (at as u128 * 0x9e37_79b9_7f4a_7c15 + 1).to_be_bytes().to_vec(),
        span_id: (at as u64 + 1).to_be_bytes().to_vec(),
        ..LogRecord::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource(1)),
            scope_logs: vec![ScopeLogs { log_records: (0..RECORDS).map(record).collect(), ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        }],
    }
}

fn logs_json() -> Vec<u8> {
    let request = logs_request();
    let of = &request.resource_logs[0];
    let records = joined(&of.scope_logs[0].log_records, |record| {
        format!(
            r#"{{"timeUnixNano":"{}","observedTimeUnixNano":"{}","severityNumber":{},"severityText":"{}","body":{},"attributes":[{}],"flags":1,"traceId":"{}","spanId":"{}"}}"#,
            record.time_unix_nano,
            record.observed_time_unix_nano,
            record.severity_number,
            record.severity_text,
            value_json(record.body.as_ref().unwrap()),
            joined(&record.attributes, attribute_json),
            model::any::hex(&record.trace_id),
            model::any::hex(&record.span_id)
        )
    });
    let attributes = joined(&of.resource.as_ref().unwrap().attributes, attribute_json);
    format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{attributes}]}},"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#
    )
    .into_bytes()
}

fn joined<T>(items: &[T], write: impl Fn(&T) -> String) -> String {
    items.iter().map(write).collect::<Vec<_>>().join(",")
}

fn attribute_json(attribute: &KeyValue) -> String {
    format!(r#"{{"key":"{}","value":{}}}"#, attribute.key, value_json(attribute.value.as_ref().unwrap()))
}

fn value_json(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => format!(r#"{{"stringValue":"{text}"}}"#),
        Some(Value::IntValue(value)) => format!(r#"{{"intValue":"{value}"}}"#),
        _ => unreachable!("made above"),
    }
}
