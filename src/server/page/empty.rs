//! What a server without any data shows: settings that work when copied, for this very server.

use crate::{AuthMode, ServerSettings};

pub(crate) struct Empty {
    pub(crate) curl: String,
    pub(crate) sdk: String,
    pub(crate) collector: String,
    pub(crate) needs_token: bool,
}

impl Empty {
    pub(crate) fn of(settings: &ServerSettings) -> Empty {
        Empty::new(&settings.otlp_http_addr, &settings.otlp_grpc_addr, settings.auth == AuthMode::Token)
    }

    /// Addresses as clients reach them: host:port.
    pub(crate) fn new(http: &str, grpc: &str, needs_token: bool) -> Empty {
        let pick = |text: &str| if needs_token { text.to_string() } else { String::new() };
        Empty {
            curl: format!(
                "curl -sS http://{http}/v1/logs -H 'Content-Type: application/json'{} \\\n  -d '{{\"resourceLogs\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"service.name\",\"value\":{{\"stringValue\":\"hello\"}}}}]}},\"scopeLogs\":[{{\"logRecords\":[{{\"severityNumber\":9,\"severityText\":\"INFO\",\"body\":{{\"stringValue\":\"hello from curl\"}}}}]}}]}}]}}'",
                pick(" -H 'Authorization: Bearer TOKEN'")
            ),
            sdk: format!(
                "export OTEL_EXPORTER_OTLP_ENDPOINT=http://{http}\nexport OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\nexport OTEL_METRICS_EXPORTER=otlp\nexport OTEL_LOGS_EXPORTER=otlp\nexport OTEL_TRACES_EXPORTER=none{}\nexport OTEL_SERVICE_NAME=my-service",
                pick("\nexport OTEL_EXPORTER_OTLP_HEADERS=\"Authorization=Bearer%20TOKEN\"")
            ),
            collector: format!(
                "receivers:\n  hostmetrics:\n    collection_interval: 15s\n    scrapers: {{cpu: {{}}, memory: {{}}, filesystem: {{}}, load: {{}}, network: {{}}}}\n  otlp:\n    protocols: {{grpc: {{}}, http: {{}}}}\nprocessors:\n  # Without it hosts have no names, and none is missed.\n  resourcedetection: {{detectors: [env, system], override: false}}\nexporters:\n  otlp/binnacle:\n    endpoint: {grpc}\n    tls: {{insecure: true}}{}\nservice:\n  pipelines:\n    metrics: {{receivers: [hostmetrics, otlp], processors: [resourcedetection], exporters: [otlp/binnacle]}}\n    logs: {{receivers: [otlp], processors: [resourcedetection], exporters: [otlp/binnacle]}}",
                pick("\n    headers: {authorization: \"Bearer TOKEN\"}")
            ),
            needs_token,
        }
    }
}
