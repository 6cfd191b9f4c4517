//! OTLP requests for tests.

use binnacle::otlp_out;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;

/// A gauge's points, as time (ns) and value, all of one series.
pub(crate) fn gauge(service: &str, name: &str, points: &[(u64, f64)]) -> Vec<u8> {
    let points = points.iter().map(|(at_ns, value)| otlp_out::point(*at_ns, 0, *value, &[])).collect();
    let from = otlp_out::resource(&[("service.name", service)]);
    otlp_out::request(vec![otlp_out::resource_metrics(from, "it", vec![otlp_out::gauge(name, "", "", points)])])
        .encode_to_vec()
}

/// Records of one service, as time (ns) and body.
pub(crate) fn logs(service: &str, records: &[(u64, String)]) -> Vec<u8> {
    let log_records = records
        .iter()
        .map(|(at_ns, body)| LogRecord {
            time_unix_nano: *at_ns,
            severity_number: 9,
            body: Some(AnyValue { value: Some(any_value::Value::StringValue(body.clone())) }),
            ..LogRecord::default()
        })
        .collect();
    let scope_logs = vec![ScopeLogs { scope: Some(otlp_out::scope("it")), log_records, ..ScopeLogs::default() }];
    let resource = Some(otlp_out::resource(&[("service.name", service)]));
    let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}
