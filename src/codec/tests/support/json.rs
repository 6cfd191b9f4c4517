//! OTLP/JSON of prost's messages, written as different senders write it: members in any order, defaults left out or not,
//! `null` for absent, integers as number, text or with an exponent, unknown members in between.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, exemplar, metric, number_data_point};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::Random;

pub(crate) struct Writer {
    pub(crate) random: Random,
    /// Every message in one form only, as a real sender writes.
    pub(crate) plain: bool,
}

type Members = Vec<(&'static str, String)>;

impl Writer {
    fn one_in(&mut self, n: usize) -> bool {
        !self.plain && self.random.one_in(n)
    }

    fn below(&mut self, end: usize) -> usize {
        if self.plain { end - 1 } else { self.random.below(end) }
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }

    fn object(&mut self, mut members: Members) -> String {
        let unknown = ["{\"a\":[{}]}", "null", "\"\\u0041\"", "-1.5e+3"];
        for name in ["unknown", "snake_case"] {
            if self.one_in(12) {
                members.push((name, self.pick(&unknown).into()));
            }
        }
        for at in (1..members.len()).rev() {
            let other = self.below(at + 1);
            members.swap(at, other);
        }
        let space = self.pick(&["", " ", "\n\t"]);
        let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{space}{value}")).collect();
        format!("{{{}}}", members.join(&format!(",{space}")))
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Writer, &T) -> String) -> String {
        let items: Vec<String> = items.iter().map(|item| write(self, item)).collect();
        format!("[{}]", items.join(","))
    }

    fn text(&mut self, text: &str) -> String {
        let plain = serde_json::to_string(text).unwrap();
        if self.one_in(4) { plain.replace('a', "\\u0061") } else { plain }
    }

    fn integer(&mut self, value: impl Into<i128>) -> String {
        let value = value.into();
        match self.below(4) {
            0 => format!("{value}"),
            1 => format!("{value}.0"),
            2 if value != 0 => format!("\"{value}0e-1\""),
            _ => format!("\"{value}\""),
        }
    }

    fn double(&mut self, value: f64) -> String {
        if value.is_nan() {
            "\"NaN\"".into()
        } else if value.is_infinite() {
            if value > 0.0 { "\"Infinity\"".into() } else { "\"-Infinity\"".into() }
        } else if self.one_in(2) {
            format!("{value:e}")
        } else {
            format!("\"{value}\"")
        }
    }

    /// A member, unless it is the default and this sender leaves defaults out.
    fn put(&mut self, members: &mut Members, name: &'static str, default: bool, value: String) {
        if !default || self.one_in(3) {
            members.push((name, if default && self.one_in(2) { "null".into() } else { value }));
        }
    }

    pub(crate) fn any_value(&mut self, value: &AnyValue) -> String {
        use any_value::Value;
        let member = match &value.value {
            None => return self.object(vec![]),
            Some(Value::StringValue(text)) => ("stringValue", self.text(text)),
            Some(Value::BoolValue(value)) => ("boolValue", value.to_string()),
            Some(Value::IntValue(value)) => ("intValue", self.integer(*value)),
            Some(Value::DoubleValue(value)) => ("doubleValue", self.double(*value)),
            Some(Value::BytesValue(bytes)) => ("bytesValue", self.base64(bytes)),
            Some(Value::StringValueStrindex(index)) => ("stringValueStrindex", self.integer(*index)),
            Some(Value::ArrayValue(array)) => {
                let values = self.list(&array.values, Writer::any_value);
                ("arrayValue", self.values(array.values.is_empty(), values))
            }
            Some(Value::KvlistValue(list)) => {
                let values = self.attributes(&list.values);
                ("kvlistValue", self.values(list.values.is_empty(), values))
            }
        };
        self.object(vec![member])
    }

    fn values(&mut self, empty: bool, values: String) -> String {
        let mut members = vec![];
        self.put(&mut members, "values", empty, values);
        self.object(members)
    }

    fn base64(&mut self, bytes: &[u8]) -> String {
        let mut text = String::new();
        model::any::base64(bytes, &mut text);
        if self.one_in(2) {
            text = text.replace('+', "-").replace('/', "_");
        }
        if self.one_in(2) {
            text = text.trim_end_matches('=').to_owned();
        }
        format!("\"{text}\"")
    }

    fn hex(&mut self, bytes: &[u8]) -> String {
        let text = model::any::hex(bytes);
        if self.one_in(2) { format!("\"{}\"", text.to_uppercase()) } else { format!("\"{text}\"") }
    }

    fn attributes(&mut self, attributes: &[KeyValue]) -> String {
        self.list(attributes, |writer, attribute| {
            let mut members = vec![];
            let key = writer.text(&attribute.key);
            writer.put(&mut members, "key", attribute.key.is_empty(), key);
            if let Some(value) = &attribute.value {
                let value = writer.any_value(value);
                members.push(("value", value));
            }
            writer.object(members)
        })
    }

    fn put_attributes(&mut self, members: &mut Members, attributes: &[KeyValue]) {
        let written = self.attributes(attributes);
        self.put(members, "attributes", attributes.is_empty(), written);
    }

    fn put_text(&mut self, members: &mut Members, name: &'static str, text: &str) {
        let written = self.text(text);
        self.put(members, name, text.is_empty(), written);
    }

    fn put_integer(&mut self, members: &mut Members, name: &'static str, value: impl Into<i128>) {
        let value = value.into();
        let written = self.integer(value);
        self.put(members, name, value == 0, written);
    }

    fn resource(&mut self, resource: &Resource) -> String {
        let mut members = vec![];
        self.put_attributes(&mut members, &resource.attributes);
        self.put_integer(&mut members, "droppedAttributesCount", resource.dropped_attributes_count);
        self.object(members)
    }

    fn scope(&mut self, scope: &InstrumentationScope) -> String {
        let mut members = vec![];
        self.put_text(&mut members, "name", &scope.name);
        self.put_text(&mut members, "version", &scope.version);
        self.put_attributes(&mut members, &scope.attributes);
        self.put_integer(&mut members, "droppedAttributesCount", scope.dropped_attributes_count);
        self.object(members)
    }

    /// ResourceMetrics, ScopeMetrics, ResourceLogs and ScopeLogs alike.
    fn envelope(
        &mut self,
        of: Option<(&'static str, String)>,
        rows: (&'static str, String),
        schema_url: &str,
    ) -> String {
        let mut members = vec![rows];
        members.extend(of);
        self.put_text(&mut members, "schemaUrl", schema_url);
        self.object(members)
    }

    pub(crate) fn metrics(&mut self, request: &ExportMetricsServiceRequest) -> String {
        let resources = self.list(&request.resource_metrics, |writer, of_resource| {
            let scopes = writer.list(&of_resource.scope_metrics, |writer, of_scope| {
                let metrics = writer.list(&of_scope.metrics, Writer::metric);
                let scope = of_scope.scope.as_ref().map(|scope| ("scope", writer.scope(scope)));
                writer.envelope(scope, ("metrics", metrics), &of_scope.schema_url)
            });
            let resource = of_resource.resource.as_ref().map(|resource| ("resource", writer.resource(resource)));
            writer.envelope(resource, ("scopeMetrics", scopes), &of_resource.schema_url)
        });
        self.object(vec![("resourceMetrics", resources)])
    }

    fn metric(&mut self, metric: &opentelemetry_proto::tonic::metrics::v1::Metric) -> String {
        let mut members = vec![];
        self.put_text(&mut members, "name", &metric.name);
        self.put_text(&mut members, "description", &metric.description);
        self.put_text(&mut members, "unit", &metric.unit);
        let metadata = self.attributes(&metric.metadata);
        self.put(&mut members, "metadata", metric.metadata.is_empty(), metadata);
        let mut data: Members = vec![];
        let name = match &metric.data {
            None => return self.object(members),
            Some(metric::Data::Gauge(gauge)) => {
                data.push(("dataPoints", self.list(&gauge.data_points, Writer::number_point)));
                "gauge"
            }
            Some(metric::Data::Sum(sum)) => {
                data.push(("dataPoints", self.list(&sum.data_points, Writer::number_point)));
                self.put_temporality(&mut data, sum.aggregation_temporality);
                self.put(&mut data, "isMonotonic", !sum.is_monotonic, sum.is_monotonic.to_string());
                "sum"
            }
            Some(metric::Data::Histogram(histogram)) => {
                data.push(("dataPoints", self.list(&histogram.data_points, Writer::histogram_point)));
                self.put_temporality(&mut data, histogram.aggregation_temporality);
                "histogram"
            }
            Some(metric::Data::ExponentialHistogram(histogram)) => {
                data.push(("dataPoints", self.list(&histogram.data_points, Writer::exponential_point)));
                self.put_temporality(&mut data, histogram.aggregation_temporality);
                "exponentialHistogram"
            }
            Some(metric::Data::Summary(summary)) => {
                data.push(("dataPoints", self.list(&summary.data_points, Writer::summary_point)));
                "summary"
            }
        };
        let data = self.object(data);
        members.push((name, data));
        self.object(members)
    }

    fn put_temporality(&mut self, members: &mut Members, temporality: i32) {
        let written = match temporality {
            1 if self.one_in(2) => "\"AGGREGATION_TEMPORALITY_DELTA\"".into(),
            2 if self.one_in(2) => "\"AGGREGATION_TEMPORALITY_CUMULATIVE\"".into(),
            other => self.integer(other),
        };
        self.put(members, "aggregationTemporality", temporality == 0, written);
    }

    fn exemplars(&mut self, exemplars: &[Exemplar]) -> String {
        self.list(exemplars, |writer, exemplar| {
            let mut members = vec![];
            let attributes = writer.attributes(&exemplar.filtered_attributes);
            writer.put(&mut members, "filteredAttributes", exemplar.filtered_attributes.is_empty(), attributes);
            writer.put_integer(&mut members, "timeUnixNano", exemplar.time_unix_nano);
            let trace_id = writer.hex(&exemplar.trace_id);
            writer.put(&mut members, "traceId", exemplar.trace_id.is_empty(), trace_id);
            let span_id = writer.hex(&exemplar.span_id);
            writer.put(&mut members, "spanId", exemplar.span_id.is_empty(), span_id);
            match exemplar.value {
                Some(exemplar::Value::AsDouble(value)) => members.push(("asDouble", writer.double(value))),
                Some(exemplar::Value::AsInt(value)) => members.push(("asInt", writer.integer(value))),
                None => {}
            }
            writer.object(members)
        })
    }

    fn number_point(&mut self, point: &opentelemetry_proto::tonic::metrics::v1::NumberDataPoint) -> String {
        let mut members = vec![];
        self.put_attributes(&mut members, &point.attributes);
        self.put_integer(&mut members, "startTimeUnixNano", point.start_time_unix_nano);
        let exemplars = self.exemplars(&point.exemplars);
        self.put(&mut members, "exemplars", point.exemplars.is_empty(), exemplars);
        self.put_integer(&mut members, "timeUnixNano", point.time_unix_nano);
        self.put_integer(&mut members, "flags", point.flags);
        match point.value {
            Some(number_data_point::Value::AsDouble(value)) => members.push(("asDouble", self.double(value))),
            Some(number_data_point::Value::AsInt(value)) => members.push(("asInt", self.integer(value))),
            None => {}
        }
        self.object(members)
    }

    fn histogram_point(&mut self, point: &opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint) -> String {
        let mut members = vec![];
        self.put_attributes(&mut members, &point.attributes);
        let exemplars = self.exemplars(&point.exemplars);
        self.put(&mut members, "exemplars", point.exemplars.is_empty(), exemplars);
        self.put_integer(&mut members, "startTimeUnixNano", point.start_time_unix_nano);
        self.put_integer(&mut members, "timeUnixNano", point.time_unix_nano);
        self.put_integer(&mut members, "flags", point.flags);
        self.put_integer(&mut members, "count", point.count);
        for (name, value) in [("sum", point.sum), ("min", point.min), ("max", point.max)] {
            if let Some(value) = value {
                members.push((name, self.double(value)));
            }
        }
        let counts = self.list(&point.bucket_counts, |writer, count| writer.integer(*count));
        self.put(&mut members, "bucketCounts", point.bucket_counts.is_empty(), counts);
        let bounds = self.list(&point.explicit_bounds, |writer, bound| writer.double(*bound));
        self.put(&mut members, "explicitBounds", point.explicit_bounds.is_empty(), bounds);
        self.object(members)
    }

    fn exponential_point(
        &mut self,
        point: &opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint,
    ) -> String {
        let mut members = vec![];
        self.put_attributes(&mut members, &point.attributes);
        self.put_integer(&mut members, "startTimeUnixNano", point.start_time_unix_nano);
        let exemplars = self.exemplars(&point.exemplars);
        self.put(&mut members, "exemplars", point.exemplars.is_empty(), exemplars);
        self.put_integer(&mut members, "timeUnixNano", point.time_unix_nano);
        self.put_integer(&mut members, "flags", point.flags);
        self.put_integer(&mut members, "count", point.count);
        self.put_integer(&mut members, "scale", point.scale);
        self.put_integer(&mut members, "zeroCount", point.zero_count);
        for (name, value) in [("sum", point.sum), ("min", point.min), ("max", point.max)] {
            if let Some(value) = value {
                members.push((name, self.double(value)));
            }
        }
        let threshold = self.double(point.zero_threshold);
        self.put(&mut members, "zeroThreshold", point.zero_threshold.to_bits() == 0, threshold);
        for (name, side) in [("positive", &point.positive), ("negative", &point.negative)] {
            if let Some(side) = side {
                let mut buckets = vec![];
                self.put_integer(&mut buckets, "offset", side.offset);
                let counts = self.list(&side.bucket_counts, |writer, count| writer.integer(*count));
                self.put(&mut buckets, "bucketCounts", side.bucket_counts.is_empty(), counts);
                members.push((name, self.object(buckets)));
            }
        }
        self.object(members)
    }

    fn summary_point(&mut self, point: &opentelemetry_proto::tonic::metrics::v1::SummaryDataPoint) -> String {
        let mut members = vec![];
        self.put_attributes(&mut members, &point.attributes);
        self.put_integer(&mut members, "startTimeUnixNano", point.start_time_unix_nano);
        self.put_integer(&mut members, "timeUnixNano", point.time_unix_nano);
        self.put_integer(&mut members, "flags", point.flags);
        self.put_integer(&mut members, "count", point.count);
        members.push(("sum", self.double(point.sum)));
        let quantiles = self.list(&point.quantile_values, |writer, at| {
            let members = vec![("quantile", writer.double(at.quantile)), ("value", writer.double(at.value))];
            writer.object(members)
        });
        self.put(&mut members, "quantileValues", point.quantile_values.is_empty(), quantiles);
        self.object(members)
    }

    pub(crate) fn logs(&mut self, request: &ExportLogsServiceRequest) -> String {
        let resources = self.list(&request.resource_logs, |writer, of_resource| {
            let scopes = writer.list(&of_resource.scope_logs, |writer, of_scope| {
                let records = writer.list(&of_scope.log_records, Writer::log_record);
                let scope = of_scope.scope.as_ref().map(|scope| ("scope", writer.scope(scope)));
                writer.envelope(scope, ("logRecords", records), &of_scope.schema_url)
            });
            let resource = of_resource.resource.as_ref().map(|resource| ("resource", writer.resource(resource)));
            writer.envelope(resource, ("scopeLogs", scopes), &of_resource.schema_url)
        });
        self.object(vec![("resourceLogs", resources)])
    }

    fn log_record(&mut self, record: &opentelemetry_proto::tonic::logs::v1::LogRecord) -> String {
        let mut members = vec![];
        self.put_integer(&mut members, "timeUnixNano", record.time_unix_nano);
        self.put_integer(&mut members, "observedTimeUnixNano", record.observed_time_unix_nano);
        if record.severity_number == 9 {
            members.push(("severityNumber", "\"SEVERITY_NUMBER_INFO\"".into()));
        } else {
            self.put_integer(&mut members, "severityNumber", record.severity_number);
        }
        self.put_text(&mut members, "severityText", &record.severity_text);
        self.put_text(&mut members, "eventName", &record.event_name);
        self.put_attributes(&mut members, &record.attributes);
        self.put_integer(&mut members, "droppedAttributesCount", record.dropped_attributes_count);
        self.put_integer(&mut members, "flags", record.flags);
        let trace_id = self.hex(&record.trace_id);
        self.put(&mut members, "traceId", record.trace_id.is_empty(), trace_id);
        let span_id = self.hex(&record.span_id);
        self.put(&mut members, "spanId", record.span_id.is_empty(), span_id);
        if let Some(body) = &record.body {
            members.push(("body", self.any_value(body)));
        }
        self.object(members)
    }
}
