//! Small builders of OTLP messages, for what the appliance and its demo send themselves.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

/// Attributes as name and text.
pub type Pairs<'a> = &'a [(&'a str, &'a str)];

pub fn attributes(pairs: Pairs<'_>) -> Vec<KeyValue> {
    pairs.iter().map(|(key, value)| text_attribute(key, value)).collect()
}

pub fn text_attribute(key: &str, value: &str) -> KeyValue {
    key_value(key, any_value::Value::StringValue(value.into()))
}

pub fn int_attribute(key: &str, value: i64) -> KeyValue {
    key_value(key, any_value::Value::IntValue(value))
}

fn key_value(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

pub fn resource(pairs: Pairs<'_>) -> Resource {
    Resource { attributes: attributes(pairs), ..Resource::default() }
}

pub fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope {
        name: name.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..InstrumentationScope::default()
    }
}

/// One resource's metrics under one scope.
pub fn resource_metrics(from: Resource, scope_name: &str, metrics: Vec<Metric>) -> ResourceMetrics {
    ResourceMetrics {
        resource: Some(from),
        scope_metrics: vec![ScopeMetrics { scope: Some(scope(scope_name)), metrics, ..ScopeMetrics::default() }],
        ..ResourceMetrics::default()
    }
}

pub fn request(resource_metrics: Vec<ResourceMetrics>) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest { resource_metrics }
}

/// A number at a time (ns).
pub fn point(at_ns: u64, start_ns: u64, value: f64, pairs: Pairs<'_>) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(pairs),
        start_time_unix_nano: start_ns,
        time_unix_nano: at_ns,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

pub fn gauge(name: &str, unit: &str, description: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    metric(name, unit, description, metric::Data::Gauge(Gauge { data_points }))
}

/// A cumulative sum; monotonic ones are counters.
pub fn sum(name: &str, unit: &str, description: &str, is_monotonic: bool, data_points: Vec<NumberDataPoint>) -> Metric {
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    metric(name, unit, description, metric::Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic }))
}

/// A cumulative explicit-bucket histogram.
pub fn histogram(name: &str, unit: &str, description: &str, data_points: Vec<HistogramDataPoint>) -> Metric {
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    metric(name, unit, description, metric::Data::Histogram(Histogram { data_points, aggregation_temporality }))
}

fn metric(name: &str, unit: &str, description: &str, data: metric::Data) -> Metric {
    Metric {
        name: name.into(),
        unit: unit.into(),
        description: description.into(),
        data: Some(data),
        ..Metric::default()
    }
}
