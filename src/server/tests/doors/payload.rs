//! OTLP requests, and ways to pack them.

use std::io::Write as _;

use flate2::Compression;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.into())) };
    KeyValue { key: key.into(), value: Some(value), ..KeyValue::default() }
}

fn resource() -> Resource {
    Resource { attributes: vec![attribute("service.name", "api")], ..Resource::default() }
}

/// A point of a gauge: its time in ms, and its value or none.
pub(crate) fn gauge(name: &str, points: &[(i64, Option<f64>)]) -> ExportMetricsServiceRequest {
    let data_points = points
        .iter()
        .map(|(at_ms, value)| NumberDataPoint {
            time_unix_nano: u64::try_from(at_ms * 1_000_000).unwrap(),
            attributes: vec![attribute("zone", "a")],
            value: value.map(number_data_point::Value::AsDouble),
            ..NumberDataPoint::default()
        })
        .collect();
    let metric =
        Metric { name: name.into(), data: Some(metric::Data::Gauge(Gauge { data_points })), ..Metric::default() };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource()),
            scope_metrics: vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }],
    }
}

/// Records of a time in ns and a body.
pub(crate) fn logs(records: &[(i64, &str)]) -> ExportLogsServiceRequest {
    let log_records = records
        .iter()
        .map(|(at_ns, body)| LogRecord {
            time_unix_nano: u64::try_from(*at_ns).unwrap(),
            severity_number: 17,
            severity_text: "ERROR".into(),
            body: Some(AnyValue { value: Some(any_value::Value::StringValue((*body).into())) }),
            attributes: vec![attribute("http.route", "/pay")],
            trace_id: vec![0xab; 16],
            ..LogRecord::default()
        })
        .collect();
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource()),
            scope_logs: vec![ScopeLogs { log_records, ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        }],
    }
}

pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(plain: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(plain, 3).unwrap()
}
