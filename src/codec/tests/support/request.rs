//! Seeded requests: few names and values, so that they collide, and every corner that the receiver has an opinion about.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    exponential_histogram_data_point::Buckets, metric::Data, number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::Random;

const TEXTS: [&str; 7] = ["", "a", "api", "Grüße\n\"x\"\\", "\u{0}\u{1f}", "日本", "a;b"];
const DOUBLES: [f64; 12] = [
    0.0,
    -0.0,
    1.5,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    5e-324,
    f64::MAX,
    0.1,
    1e21,
    -1e-7,
    f64::from_bits(model::metric::STALE_NAN_BITS),
];
const INTEGERS: [i64; 7] = [0, 1, -1, i64::MIN, i64::MAX, (1 << 53) + 1, 1_795_226_400_123_456_789];

impl Random {
    fn many<T>(&mut self, end: usize, mut make: impl FnMut(&mut Random) -> T) -> Vec<T> {
        let count = self.below(end);
        (0..count).map(|_| make(self)).collect()
    }

    fn some<T>(&mut self, make: impl FnOnce(&mut Random) -> T) -> Option<T> {
        if self.one_in(5) { None } else { Some(make(self)) }
    }

    fn value(&mut self, depth: usize) -> AnyValue {
        let kinds = if depth < 3 { 9 } else { 6 };
        let value = match self.below(kinds) {
            0 => None,
            1 => Some(Value::BoolValue(self.one_in(2))),
            2 => Some(Value::IntValue(self.pick(&INTEGERS))),
            3 => Some(Value::DoubleValue(self.pick(&DOUBLES))),
            4 => Some(Value::BytesValue(self.many(6, |random| random.next() as u8))),
            5 | 6 => Some(Value::StringValue(self.pick(&TEXTS).into())),
            7 => Some(Value::ArrayValue(ArrayValue { values: self.many(4, |random| random.value(depth + 1)) })),
            _ => Some(Value::KvlistValue(KeyValueList { values: self.attributes(depth + 1) })),
        };
        AnyValue { value }
    }

    fn attributes(&mut self, depth: usize) -> Vec<KeyValue> {
        const KEYS: [&str; 12] =
            ["a.b", "a_b", "a-b", "le", "http.status", "job", "service.name", "__name__", "1st", "x", "y", "ü"];
        self.many(4, |random| KeyValue {
            key: if random.one_in(60) { String::new() } else { random.pick(&KEYS).into() },
            value: random.some(|random| random.value(depth)),
            ..KeyValue::default()
        })
    }

    fn resource(&mut self) -> Resource {
        let mut attributes = self.attributes(2);
        for key in ["service.name", "service.namespace", "service.instance.id", "process.pid", "k8s.pod.uid"] {
            if self.one_in(2) {
                let value = self.pick(&["api", "1", ""]);
                let value = Some(AnyValue { value: Some(Value::StringValue(value.into())) });
                attributes.push(KeyValue { key: key.into(), value, ..KeyValue::default() });
            }
        }
        let entity_refs = self.many(2, |random| EntityRef {
            r#type: random.pick(&TEXTS).into(),
            id_keys: vec!["a".into()],
            ..EntityRef::default()
        });
        Resource { attributes, dropped_attributes_count: self.below(3) as u32, entity_refs }
    }

    fn scope(&mut self) -> InstrumentationScope {
        InstrumentationScope {
            name: self.pick(&TEXTS).into(),
            version: self.pick(&TEXTS).into(),
            attributes: self.attributes(2),
            dropped_attributes_count: self.below(3) as u32,
        }
    }

    fn time_ns(&mut self) -> u64 {
        const NOW: u64 = 1_795_226_400_123_456_789;
        match self.below(30) {
            0 => 0,
            1 => u64::MAX,
            2 => 1,
            3 => 1_999_999_999_999_999_999,
            _ => NOW + self.below(4) as u64 * 400_000,
        }
    }

    fn flags(&mut self) -> u32 {
        u32::from(self.one_in(8)) | u32::from(self.one_in(8)) << 5
    }

    fn exemplars(&mut self) -> Vec<Exemplar> {
        let id = |random: &mut Random, length: usize| match random.below(5) {
            0 => vec![],
            1 => vec![0; length],
            2 => vec![7; length + 1],
            _ => vec![0xab; length],
        };
        self.many(3, |random| Exemplar {
            filtered_attributes: random.attributes(2),
            time_unix_nano: if random.one_in(3) { 0 } else { random.time_ns() },
            span_id: id(random, 8),
            trace_id: id(random, 16),
            value: random.some(|random| match random.below(2) {
                0 => exemplar::Value::AsInt(random.pick(&INTEGERS)),
                _ => exemplar::Value::AsDouble(random.pick(&DOUBLES)),
            }),
        })
    }

    fn number(&mut self) -> NumberDataPoint {
        let value = match self.below(9) {
            0 => None,
            1..5 => Some(number_data_point::Value::AsInt(self.pick(&INTEGERS))),
            _ => Some(number_data_point::Value::AsDouble(self.pick(&DOUBLES))),
        };
        NumberDataPoint {
            attributes: self.attributes(2),
            start_time_unix_nano: self.time_ns(),
            time_unix_nano: self.time_ns(),
            exemplars: self.exemplars(),
            flags: self.flags(),
            value,
        }
    }

    fn histogram(&mut self) -> HistogramDataPoint {
        let all = [-5.0, 0.0, 0.005, 0.1, 1.0, 1e21, f64::INFINITY];
        let mut explicit_bounds: Vec<f64> = all.into_iter().filter(|_| self.one_in(2)).collect();
        let mut bucket_counts: Vec<u64> = (0..=explicit_bounds.len()).map(|_| self.below(5) as u64).collect();
        let mut count = bucket_counts.iter().sum();
        match self.below(20) {
            0 => count += 1,
            1 => bucket_counts.push(0),
            2 => explicit_bounds.reverse(),
            3 | 4 => (explicit_bounds, bucket_counts) = (vec![], vec![]),
            _ => {}
        }
        HistogramDataPoint {
            attributes: self.attributes(2),
            start_time_unix_nano: self.time_ns(),
            exemplars: self.exemplars(),
            time_unix_nano: self.time_ns(),
            count,
            sum: self.some(|random| random.pick(&DOUBLES)),
            bucket_counts,
            explicit_bounds,
            flags: self.flags(),
            min: self.some(|random| random.pick(&DOUBLES)),
            ..HistogramDataPoint::default()
        }
    }

    fn exponential(&mut self) -> ExponentialHistogramDataPoint {
        let mut count = 0;
        let mut side = |random: &mut Random| {
            let offset = match random.below(12) {
                0 => random.pick(&[i32::MIN, -70_000, -1074, 70_000, i32::MAX]),
                _ => random.below(40) as i32 - 20,
            };
            let bucket_counts = random.many(12, |random| random.pick(&[0, 0, 1, 3, 300, 1 << 53]));
            count += bucket_counts.iter().sum::<u64>();
            Buckets { offset, bucket_counts }
        };
        let positive = self.some(&mut side);
        let negative = self.some(&mut side);
        let zero_count = self.pick(&[0, 0, 2, 1 << 40]);
        count += zero_count;
        if self.one_in(15) {
            count += 1;
        }
        ExponentialHistogramDataPoint {
            attributes: self.attributes(2),
            start_time_unix_nano: self.time_ns(),
            time_unix_nano: self.time_ns(),
            count,
            sum: if self.one_in(15) { None } else { Some(self.pick(&DOUBLES)) },
            scale: match self.below(12) {
                0 => self.pick(&[i32::MIN, -5, i32::MAX, 80]),
                _ => self.below(17) as i32 - 4,
            },
            zero_count,
            positive,
            negative,
            flags: self.flags(),
            min: self.some(|random| random.pick(&DOUBLES)),
            max: self.some(|random| random.pick(&DOUBLES)),
            zero_threshold: if self.one_in(2) { 0.0 } else { self.pick(&DOUBLES) },
            exemplars: self.exemplars(),
        }
    }

    fn summary(&mut self) -> SummaryDataPoint {
        let all = [0.0, 0.5, 0.99, 1.0];
        let mut quantile_values: Vec<ValueAtQuantile> = Vec::new();
        for quantile in all {
            if self.one_in(2) {
                quantile_values.push(ValueAtQuantile { quantile, value: self.pick(&DOUBLES) });
            }
        }
        match self.below(20) {
            0 => quantile_values.push(ValueAtQuantile { quantile: 1.5, value: 0.0 }),
            1 => quantile_values.reverse(),
            _ => {}
        }
        SummaryDataPoint {
            attributes: self.attributes(2),
            start_time_unix_nano: self.time_ns(),
            time_unix_nano: self.time_ns(),
            count: self.below(1000) as u64,
            sum: self.pick(&DOUBLES),
            quantile_values,
            flags: self.flags(),
        }
    }

    fn metric(&mut self) -> Metric {
        let aggregation_temporality = self.pick(&[0, 7, 1, 1, 1, 2, 2, 2, 2]);
        let data = match self.below(11) {
            0 => None,
            1 | 2 => Some(Data::Gauge(Gauge { data_points: self.many(5, Random::number) })),
            3 | 4 => {
                let is_monotonic = self.one_in(2);
                Some(Data::Sum(Sum {
                    data_points: self.many(5, Random::number),
                    aggregation_temporality,
                    is_monotonic,
                }))
            }
            5 | 6 => {
                let data_points = self.many(4, Random::histogram);
                Some(Data::Histogram(Histogram { data_points, aggregation_temporality }))
            }
            7 => Some(Data::Summary(Summary { data_points: self.many(4, Random::summary) })),
            _ => {
                let data_points = self.many(3, Random::exponential);
                Some(Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality }))
            }
        };
        let metadata = self.some(|random| KeyValue {
            key: "prometheus.type".into(),
            value: Some(AnyValue {
                value: Some(Value::StringValue(random.pick(&["info", "unknown", "gauge"]).into())),
            }),
            ..KeyValue::default()
        });
        Metric {
            name: self.pick(&["a.b", "a_b", "http.requests", "a.total", "", "@#"]).into(),
            description: self.pick(&TEXTS).into(),
            unit: self.pick(&["", "1", "s", "By/s", "{x}"]).into(),
            metadata: metadata.into_iter().collect(),
            data,
        }
    }

    pub(crate) fn metrics_request(&mut self) -> ExportMetricsServiceRequest {
        ExportMetricsServiceRequest {
            resource_metrics: self.many(4, |random| ResourceMetrics {
                resource: random.some(Random::resource),
                scope_metrics: random.many(3, |random| ScopeMetrics {
                    scope: random.some(Random::scope),
                    metrics: random.many(6, Random::metric),
                    schema_url: random.pick(&TEXTS).into(),
                }),
                schema_url: random.pick(&TEXTS).into(),
            }),
        }
    }

    fn log_record(&mut self) -> LogRecord {
        let id = |random: &mut Random, length: usize| match random.below(5) {
            0 => vec![],
            1 => vec![0; length],
            2 => vec![7; length + 1],
            _ => vec![0xab; length],
        };
        let long_text = "ü".repeat(self.below(60));
        let body = if self.one_in(6) { AnyValue { value: Some(Value::StringValue(long_text)) } } else { self.value(0) };
        LogRecord {
            time_unix_nano: self.time_ns(),
            observed_time_unix_nano: self.time_ns(),
            severity_number: self.pick(&[0, 1, 9, 24, 25, -1, i32::MAX]),
            severity_text: self.pick(&TEXTS).into(),
            body: if self.one_in(8) { None } else { Some(body) },
            attributes: self.many(3, |random| random.attributes(1)).concat(),
            dropped_attributes_count: self.below(3) as u32,
            flags: self.pick(&[0, 1, u32::MAX]),
            trace_id: id(self, 16),
            span_id: id(self, 8),
            event_name: self.pick(&TEXTS).into(),
        }
    }

    pub(crate) fn logs_request(&mut self) -> ExportLogsServiceRequest {
        ExportLogsServiceRequest {
            resource_logs: self.many(4, |random| ResourceLogs {
                resource: random.some(Random::resource),
                scope_logs: random.many(3, |random| ScopeLogs {
                    scope: random.some(Random::scope),
                    log_records: random.many(5, Random::log_record),
                    schema_url: random.pick(&TEXTS).into(),
                }),
                schema_url: random.pick(&TEXTS).into(),
            }),
        }
    }
}
