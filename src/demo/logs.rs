//! What the fleet said since the last moment as an OTLP logs request.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

use super::fleet::{Event, ROUTES, SERVICES, Seen, Tick};
use super::metrics::service_resource;
use crate::otlp_out::{self, int_attribute, text_attribute};

pub(super) fn request(tick: &Tick<'_>) -> ExportLogsServiceRequest {
    let resource_logs = (0..SERVICES.len())
        .filter_map(|service| {
            let accesses = tick.seen.iter().filter(|seen| ROUTES[seen.route].0 == service).flat_map(access_lines);
            let events = tick.events.iter().filter(|event| event.service == service).map(event_line);
            let mut log_records: Vec<LogRecord> = accesses.chain(events).collect();
            log_records.sort_by_key(|record| record.time_unix_nano);
            let scope = Some(otlp_out::scope(&format!("{}.log", SERVICES[service].0)));
            let scope_logs = vec![ScopeLogs { scope, log_records, ..ScopeLogs::default() }];
            (!scope_logs[0].log_records.is_empty()).then(|| ResourceLogs {
                resource: Some(service_resource(service)),
                scope_logs,
                ..ResourceLogs::default()
            })
        })
        .collect();
    ExportLogsServiceRequest { resource_logs }
}

fn access_lines(seen: &Seen) -> Vec<LogRecord> {
    let (_, method, path, _, _) = ROUTES[seen.route];
    let took_ms = seen.took_s * 1e3;
    let (severity, word) = if seen.status >= 500 { (17, "ERROR") } else { (9, "INFO") };
    let mut access = record(seen.at_ns, severity, word, &format!("{method} {path} {} {took_ms:.1} ms", seen.status));
    access.trace_id = seen.trace_id.to_vec();
    access.span_id = seen.span_id.to_vec();
    access.flags = 1;
    access.attributes = vec![
        text_attribute("http.request.method", method),
        text_attribute("http.route", path),
        int_attribute("http.response.status_code", i64::from(seen.status)),
        text_attribute("client.address", &format!("10.20.{}.{}", seen.trace_id[0] % 8, seen.trace_id[1])),
    ];
    let mut lines = vec![access];
    if seen.status >= 500 {
        let body = "upstream search refused the connection: dial tcp 10.20.0.12:9200: connection refused";
        let mut failure = record(seen.at_ns.saturating_sub(1_000_000), 17, "ERROR", body);
        failure.trace_id = seen.trace_id.to_vec();
        failure.span_id = seen.span_id.to_vec();
        failure.attributes = vec![
            text_attribute("exception.type", "ConnectionRefused"),
            text_attribute("exception.message", "dial tcp 10.20.0.12:9200: connection refused"),
            text_attribute(
                "exception.stacktrace",
                "ConnectionRefused: dial tcp 10.20.0.12:9200\n  at upstream::connect (upstream.rs:88)\n  at gateway::search (routes.rs:41)",
            ),
        ];
        lines.push(failure);
    }
    lines
}

fn event_line(event: &Event) -> LogRecord {
    let word = match event.severity {
        5 => "DEBUG",
        13 => "WARN",
        21 => "FATAL",
        _ => "INFO",
    };
    record(event.at_ns, event.severity, word, &event.body)
}

fn record(at_ns: u64, severity_number: i32, severity_text: &str, body: &str) -> LogRecord {
    LogRecord {
        time_unix_nano: at_ns,
        observed_time_unix_nano: at_ns,
        severity_number,
        severity_text: severity_text.into(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(body.into())) }),
        ..LogRecord::default()
    }
}
