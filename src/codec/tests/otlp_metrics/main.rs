//! What metrics become: series, values, refusals. Written in JSON, since the encodings are proven equal in `otlp_encodings`.

mod distributions;
mod layouts;
mod numbers;
mod requests;
#[path = "../support/mod.rs"]
mod support;

use codec::otlp::Encoding::Json;
use support::{Known, metrics_outcome};

const AT: &str = r#""timeUnixNano":"1795226400123999999""#;

/// One metric without a resource; `$AT` in the text stands for a time.
#[track_caller]
fn check(metric: &str, expected: &[&str]) {
    let body = format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#);
    let lines = metrics_outcome(body.replace("$AT", AT).as_bytes(), Json, &Known::default()).unwrap();
    let lines: Vec<&String> = lines.iter().filter(|line| !line.starts_with("MetricMeta")).collect();
    assert_eq!(lines, expected);
}
