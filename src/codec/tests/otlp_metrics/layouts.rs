//! An export whose sender's layout is known means what it means without.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use codec::otlp::Encoding::Protobuf;
use codec::otlp::{KnownSeries, Layout, decode_metrics};
use model::SeriesId;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    metric::Data, number_data_point,
};
use prost::Message as _;

use super::support::{ACCEPT, Known, Random, metrics_settings};

const SENDERS: u64 = 120;
const EXPORTS: u64 = 8;
const STEP_NS: u64 = 15_000_000_000;

/// What a store knows, with layouts; counts the keys that are looked up.
#[derive(Default)]
struct Learning {
    known: Known,
    layouts: RefCell<HashMap<u128, Arc<Layout>>>,
    lookups: Cell<usize>,
}

impl KnownSeries for Learning {
    fn lookup(&self, key: u128) -> Option<SeriesId> {
        self.lookups.set(self.lookups.get() + 1);
        self.known.lookup(key)
    }

    fn knows_metadata(&self, hash: u64) -> bool {
        self.known.knows_metadata(hash)
    }

    fn layout(&self, key: u128) -> Option<Arc<Layout>> {
        self.layouts.borrow().get(&key).cloned()
    }

    fn learn_layout(&self, key: u128, layout: Arc<Layout>) {
        self.layouts.borrow_mut().insert(key, layout);
    }
}

impl Learning {
    /// Decodes an export with and without layouts, and learns its series; tells how many keys were looked up with them.
    #[track_caller]
    fn take(&mut self, request: &ExportMetricsServiceRequest, context: &str) -> usize {
        self.lookups.set(0);
        let body = request.encode_to_vec();
        let settings = metrics_settings();
        // As text, in which all NaNs are equal; keys are the same in both.
        let decode = |known: &dyn KnownSeries| decode_metrics(&body, Protobuf, &settings, known, ACCEPT);
        let expected = decode(&self.known);
        assert_eq!(format!("{:#?}", decode(self)), format!("{expected:#?}"), "{context}");
        if let Ok((batch, _)) = expected {
            self.known.learn(&batch);
        }
        self.lookups.get()
    }
}

fn metrics(request: &mut ExportMetricsServiceRequest) -> impl Iterator<Item = &mut Metric> {
    let scopes = request.resource_metrics.iter_mut().flat_map(|of_resource| &mut of_resource.scope_metrics);
    scopes.flat_map(|of_scope| &mut of_scope.metrics)
}

fn number(random: &mut Random, point: &mut NumberDataPoint, at_ns: u64) {
    point.time_unix_nano = at_ns;
    if let Some(value) = &mut point.value {
        *value = match value {
            number_data_point::Value::AsDouble(_) => number_data_point::Value::AsDouble(random.below(900) as f64 / 8.0),
            number_data_point::Value::AsInt(_) => number_data_point::Value::AsInt(random.below(900) as i64 - 9),
        };
    }
}

/// The same metrics at a later time.
fn advance(random: &mut Random, request: &mut ExportMetricsServiceRequest, at_ns: u64) {
    for metric in metrics(request) {
        match &mut metric.data {
            Some(Data::Gauge(gauge)) => gauge.data_points.iter_mut().for_each(|point| number(random, point, at_ns)),
            Some(Data::Sum(sum)) => sum.data_points.iter_mut().for_each(|point| number(random, point, at_ns)),
            Some(Data::Histogram(histogram)) => {
                for point in &mut histogram.data_points {
                    point.time_unix_nano = at_ns;
                    point.bucket_counts.iter_mut().for_each(|count| *count = random.below(30) as u64);
                    point.count = point.bucket_counts.iter().sum();
                    point.sum = point.sum.map(|_| random.below(900) as f64);
                }
            }
            _ => {}
        }
    }
}

/// Takes out what no layout is made of, as far as it is not the kind of metric.
fn plain(request: &mut ExportMetricsServiceRequest) {
    let number = |point: &mut NumberDataPoint| {
        (point.flags, point.exemplars) = (0, vec![]);
        point.value.get_or_insert(number_data_point::Value::AsInt(1));
    };
    for metric in metrics(request) {
        metric.name.insert(0, 'm');
        match &mut metric.data {
            Some(Data::Gauge(gauge)) => gauge.data_points.iter_mut().for_each(number),
            Some(Data::Sum(sum)) => {
                sum.aggregation_temporality = 1 + sum.aggregation_temporality % 2;
                sum.data_points.iter_mut().for_each(number);
            }
            Some(Data::Histogram(histogram)) => {
                histogram.aggregation_temporality = 2;
                for point in &mut histogram.data_points {
                    (point.flags, point.exemplars) = (0, vec![]);
                    (point.explicit_bounds, point.bucket_counts) = (vec![0.5, 8.0], vec![1, 2, 3]);
                }
            }
            _ => {}
        }
    }
}

/// What may change from one export to the next beside times and values.
fn disturb(random: &mut Random, request: &mut ExportMetricsServiceRequest) {
    let odd_times = [0, 1, u64::MAX, 1_000_000_000_000_000_000, 3_000_000_000_000_000_000];
    for metric in metrics(request) {
        if !random.one_in(3) {
            continue;
        }
        match &mut metric.data {
            Some(Data::Gauge(gauge)) if gauge.data_points.len() > 1 && random.one_in(2) => gauge.data_points.reverse(),
            Some(Data::Sum(sum)) if !sum.data_points.is_empty() && random.one_in(2) => drop(sum.data_points.pop()),
            Some(Data::Gauge(gauge)) => {
                for point in &mut gauge.data_points {
                    match random.below(8) {
                        0 => point.time_unix_nano = random.pick(&odd_times),
                        1 => point.flags = 1,
                        2 => point
                            .exemplars
                            .push(Exemplar { time_unix_nano: point.time_unix_nano, ..Exemplar::default() }),
                        3 => point.value = None,
                        4 => {
                            point.value =
                                Some(number_data_point::Value::AsDouble(f64::from_bits(model::metric::STALE_NAN_BITS)))
                        }
                        _ => {}
                    }
                }
            }
            Some(Data::Sum(sum)) => {
                for point in &mut sum.data_points {
                    match random.below(6) {
                        0 => point.value = Some(number_data_point::Value::AsDouble(-1.0)),
                        1 => point.value = Some(number_data_point::Value::AsDouble(f64::NAN)),
                        2 => {
                            point.start_time_unix_nano =
                                random.pick(&[0, point.time_unix_nano, point.time_unix_nano - 5])
                        }
                        3 => point.time_unix_nano = random.pick(&odd_times),
                        _ => {}
                    }
                }
            }
            Some(Data::Histogram(histogram)) => {
                for point in &mut histogram.data_points {
                    match random.below(6) {
                        0 => point.count += 1,
                        1 => point.bucket_counts.iter_mut().for_each(|count| *count = u64::MAX),
                        2 => point.explicit_bounds.iter_mut().for_each(|bound| *bound += 1.0),
                        3 => point.time_unix_nano = random.pick(&odd_times),
                        4 => (point.min, point.max) = (Some(random.below(9) as f64), Some(10.0)),
                        _ => {}
                    }
                }
            }
            _ => {
                metric.name.push('x');
            }
        }
    }
}

#[test]
fn an_export_means_the_same_whatever_was_learned_of_its_sender() {
    let mut learned = 0;
    for seed in 0..SENDERS {
        let mut random = Random(seed);
        let mut request = random.metrics_request();
        if seed % 4 > 0 {
            plain(&mut request);
        }
        let mut store = Learning::default();
        for export in 0..EXPORTS {
            let at_ns = 1_700_000_000_000_000_000 + export * STEP_NS;
            let mut sent = request.clone();
            advance(&mut random, &mut sent, at_ns);
            if random.one_in(3) {
                disturb(&mut random, &mut sent);
            }
            // Some changes stay.
            if random.one_in(6) {
                request = sent.clone();
            }
            store.take(&sent, &format!("seed {seed}, export {export}"));
        }
        learned += store.layouts.borrow().values().map(|layout| layout.series().count()).sum::<usize>();
    }
    assert!(learned > SENDERS as usize, "{learned} series in layouts");
}

#[test]
fn what_stays_the_same_is_not_looked_up() {
    let number = |value| NumberDataPoint { value: Some(value), ..NumberDataPoint::default() };
    let double = number(number_data_point::Value::AsDouble(0.5));
    let gauge = Gauge { data_points: vec![double.clone(), double] };
    let integer = number(number_data_point::Value::AsInt(5));
    let sum = Sum { data_points: vec![integer], aggregation_temporality: 2, is_monotonic: true };
    let explicit_bounds = vec![0.1, 1.0];
    let point = HistogramDataPoint { bucket_counts: vec![1, 2, 3], explicit_bounds, ..HistogramDataPoint::default() };
    let histogram = Histogram { data_points: vec![point], aggregation_temporality: 2 };
    let metric = |(name, data): (&str, Data)| Metric { name: name.into(), data: Some(data), ..Metric::default() };
    let all = [("g", Data::Gauge(gauge)), ("s", Data::Sum(sum)), ("h", Data::Histogram(histogram))];
    let of_scope = ScopeMetrics { metrics: all.into_iter().map(metric).collect(), ..ScopeMetrics::default() };
    let of_resource = ResourceMetrics { scope_metrics: vec![of_scope], ..ResourceMetrics::default() };
    let mut request = ExportMetricsServiceRequest { resource_metrics: vec![of_resource] };
    let mut store = Learning::default();
    let mut lookups = Vec::new();
    for export in 0..4 {
        advance(&mut Random(export), &mut request, 1_700_000_000_000_000_000 + export * STEP_NS);
        lookups.push(store.take(&request, "the same again"));
    }
    // Its series are learned with the first export, its layout with the second; then only the target is looked up.
    assert_eq!(lookups, [8, 8, 1, 1]);
}
