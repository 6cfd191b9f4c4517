//! A request means the same in either encoding, in any order of its fields, whether its series are known or not; and what prost
//! reads we read alike. Random requests and random damage, from a fixed seed that a failure names.

mod support;

use codec::otlp::Encoding::{Json, Protobuf};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use prost::Message;
use support::json::Writer;
use support::{Known, Random, logs_outcome, metric_lines, metrics, metrics_outcome};

const REQUESTS: u64 = 400;
const MUTATIONS: u64 = 6_000;

#[test]
fn metrics_mean_the_same_in_both_encodings() {
    for seed in 0..REQUESTS {
        let request = Random(seed).metrics_request();
        let protobuf = request.encode_to_vec();
        // prost leaves out -0.0 as if it were the default: what was sent is what it reads back.
        let request = ExportMetricsServiceRequest::decode(&*protobuf).unwrap();
        let json = Writer { random: Random(seed), plain: false }.metrics(&request);
        let fresh = Known::default();
        let expected = metrics_outcome(&protobuf, Protobuf, &fresh);
        assert!(expected.is_ok(), "seed {seed}: {expected:?}");
        assert_eq!(metrics_outcome(json.as_bytes(), Json, &fresh), expected, "seed {seed}, JSON {json}");
        let backwards = backwards(&protobuf, REQUEST);
        assert_eq!(metrics_outcome(&backwards, Protobuf, &fresh), expected, "seed {seed}, fields backwards");
    }
}

#[test]
fn every_point_is_stored_or_counted() {
    let mut histograms = 0;
    for seed in 0..REQUESTS {
        let request = Random(seed).metrics_request();
        let sent: usize = request.resource_metrics.iter().map(points).sum();
        let (batch, rejected) = metrics(&request.encode_to_vec(), Protobuf, &Known::default()).unwrap();
        let stored = batch.points.len() + batch.histograms.len();
        histograms += batch.histograms.len();
        assert_eq!(stored as u64 + rejected.total(), sent as u64, "seed {seed}");
        let request = Random(seed).logs_request();
        let scopes = request.resource_logs.iter().flat_map(|of_resource| &of_resource.scope_logs);
        let sent: usize = scopes.map(|of_scope| of_scope.log_records.len()).sum();
        let (batch, rejected) = codec::otlp::decode_logs(
            &request.encode_to_vec(),
            Protobuf,
            &support::logs_settings(),
            support::RECEIVED_NS,
            support::ACCEPT,
        )
        .unwrap();
        assert_eq!(batch.len() as u64 + rejected.total(), sent as u64, "seed {seed}");
    }
    assert!(histograms > 50, "{histograms} native histograms");
}

/// What is stored is given back as it was sent.
#[test]
fn logs_come_back_as_otlp_json() {
    let settings = codec::otlp::LogsSettings {
        body_bytes_max: 1 << 20,
        attributes_max: 100,
        attribute_bytes_max: 1 << 20,
        record_bytes_max: 1 << 20,
        ..support::logs_settings()
    };
    let decode = |body: &[u8], encoding| {
        let (logs, _) =
            codec::otlp::decode_logs(body, encoding, &settings, support::RECEIVED_NS, support::ACCEPT).unwrap();
        let of = |record: codec::packed::PackedRecord<'_>| {
            (record.resource().clone(), record.scope().clone(), record.to_record())
        };
        logs.iter().map(of).collect::<Vec<_>>()
    };
    let mut records = 0;
    for seed in 0..REQUESTS {
        let sent = decode(&Random(seed).logs_request().encode_to_vec(), Protobuf);
        records += sent.len();
        let mut json = String::new();
        codec::otlp::write_logs(&sent, &mut json);
        // As text, in which all NaNs are equal.
        let back = decode(json.as_bytes(), Json);
        assert_eq!(format!("{back:#?}"), format!("{sent:#?}"), "seed {seed}, JSON {json}");
    }
    assert!(records > 500, "{records}");
}

/// What the random requests hold, so that "the same in both encodings" says something about each of these.
#[test]
fn random_requests_reach_deltas_starts_exemplars_and_ends() {
    let [mut deltas, mut starts, mut whole, mut exemplars, mut ended] = [0; 5];
    for seed in 0..REQUESTS {
        let (batch, _) = metrics(&Random(seed).metrics_request().encode_to_vec(), Protobuf, &Known::default()).unwrap();
        let is_delta = |span: &&model::Span| span.counts != model::Counts::Cumulative;
        deltas += batch.spans.iter().filter(is_delta).count();
        starts += batch.spans.len();
        whole += batch.histogram_spans.iter().filter(is_delta).count();
        exemplars += batch.exemplars.len();
        ended += batch.ended.len();
    }
    println!("{deltas} deltas among {starts} spans, {whole} native deltas, {exemplars} exemplars, {ended} ends");
    assert!(deltas > 50 && starts > deltas + 50 && whole > 20 && exemplars > 50 && ended > 20);
}

/// A request with few attributes, so that its series come again in other requests.
fn narrow(mut request: ExportMetricsServiceRequest) -> ExportMetricsServiceRequest {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    for of_resource in &mut request.resource_metrics {
        if let Some(resource) = &mut of_resource.resource {
            few(&mut resource.attributes);
            resource.entity_refs.clear();
            resource.dropped_attributes_count = 0;
        }
        let metrics = of_resource.scope_metrics.iter_mut().flat_map(|of_scope| &mut of_scope.metrics);
        for data in metrics.filter_map(|metric| metric.data.as_mut()) {
            match data {
                Data::Gauge(data) => data.data_points.iter_mut().for_each(|point| few(&mut point.attributes)),
                Data::Sum(data) => data.data_points.iter_mut().for_each(|point| few(&mut point.attributes)),
                Data::Histogram(data) => data.data_points.iter_mut().for_each(|point| few(&mut point.attributes)),
                Data::Summary(data) => data.data_points.iter_mut().for_each(|point| few(&mut point.attributes)),
                Data::ExponentialHistogram(data) => {
                    data.data_points.iter_mut().for_each(|point| few(&mut point.attributes));
                }
            }
        }
    }
    request
}

fn few(attributes: &mut Vec<KeyValue>) {
    attributes.truncate(1);
    for attribute in attributes {
        attribute.key = "service.name".into();
        attribute.value.take_if(|value| !matches!(value.value, Some(any_value::Value::BoolValue(_))));
    }
}

fn points(of_resource: &opentelemetry_proto::tonic::metrics::v1::ResourceMetrics) -> usize {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    let metrics = of_resource.scope_metrics.iter().flat_map(|of_scope| &of_scope.metrics);
    metrics
        .map(|metric| match &metric.data {
            None => 0,
            Some(Data::Gauge(data)) => data.data_points.len(),
            Some(Data::Sum(data)) => data.data_points.len(),
            Some(Data::Histogram(data)) => data.data_points.len(),
            Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
            Some(Data::Summary(data)) => data.data_points.len(),
        })
        .sum()
}

/// What a store remembers of other requests must not change what this one means: that would be a fingerprint that
/// leaves out something that the labels depend on.
#[test]
fn known_series_are_found_and_never_mistaken() {
    for encoding in [Protobuf, Json] {
        let mut known = Known::default();
        let mut found = 0;
        for seed in 0..REQUESTS {
            let request = narrow(Random(seed).metrics_request());
            let body = match encoding {
                Protobuf => request.encode_to_vec(),
                Json => Writer { random: Random(seed), plain: true }.metrics(&request).into_bytes(),
            };
            let (batch, rejected) = metrics(&body, encoding, &known).unwrap();
            found += batch.series.iter().filter(|entry| matches!(entry, model::SeriesEntry::Known(_))).count();
            let (mut fresh, fresh_rejected) = metrics(&body, encoding, &Known::default()).unwrap();
            fresh.metadata.retain(|meta| !known.metadata.contains(&codec::otlp::metadata_hash(meta)));
            assert_eq!(
                metric_lines(&batch, &rejected, &known),
                metric_lines(&fresh, &fresh_rejected, &known),
                "seed {seed}"
            );
            known.learn(&batch);
            let (again, _) = metrics(&body, encoding, &known).unwrap();
            assert!(again.metadata.is_empty(), "seed {seed}");
            let new = again.series.iter().filter(|entry| !matches!(entry, model::SeriesEntry::Known(_))).count();
            assert_eq!(new, 0, "seed {seed}");
        }
        println!("{encoding:?}: {found} series found again");
        assert!(found > 100);
    }
}

#[test]
fn logs_mean_the_same_in_both_encodings() {
    for seed in 0..REQUESTS {
        let request = Random(seed).logs_request();
        let protobuf = request.encode_to_vec();
        let json = Writer { random: Random(seed), plain: false }.logs(&request);
        let expected = logs_outcome(&protobuf, Protobuf);
        assert!(expected.is_ok(), "seed {seed}: {expected:?}");
        assert_eq!(logs_outcome(json.as_bytes(), Json), expected, "seed {seed}, JSON {json}");
        let backwards = backwards(&protobuf, LOGS_REQUEST);
        assert_eq!(logs_outcome(&backwards, Protobuf), expected, "seed {seed}, fields backwards");
    }
}

/// prost judges damaged bytes, and JSON of what it read (which the test above ties to our readers) judges what they mean.
#[test]
fn damaged_protobuf_is_read_as_prost_reads_it() {
    let mut accepted = 0;
    for seed in 0..MUTATIONS {
        let mut random = Random(seed);
        let request = Random(seed / 20).metrics_request();
        let bytes = damaged(request.encode_to_vec(), &mut random);
        let ours = metrics_outcome(&bytes, Protobuf, &Known::default());
        match ExportMetricsServiceRequest::decode(&*bytes) {
            Ok(theirs) => {
                let json = Writer { random, plain: false }.metrics(&theirs);
                assert_eq!(ours, metrics_outcome(json.as_bytes(), Json, &Known::default()), "seed {seed}");
                accepted += 1;
            }
            Err(error) => assert!(ours.is_err(), "seed {seed}: prost says {error}"),
        }

        let mut random = Random(seed);
        let request = Random(seed / 20).logs_request();
        let bytes = damaged(request.encode_to_vec(), &mut random);
        let ours = logs_outcome(&bytes, Protobuf);
        match ExportLogsServiceRequest::decode(&*bytes) {
            Ok(theirs) => {
                let json = Writer { random, plain: false }.logs(&theirs);
                assert_eq!(ours, logs_outcome(json.as_bytes(), Json), "seed {seed}");
                accepted += 1;
            }
            Err(error) => assert!(ours.is_err(), "seed {seed}: prost says {error}"),
        }
    }
    println!("{accepted} of {} damaged requests could be read", 2 * MUTATIONS);
    assert!(accepted > MUTATIONS / 10);
}

#[test]
fn damaged_json_is_read_or_refused() {
    for seed in 0..MUTATIONS {
        let mut random = Random(seed);
        let mut writer = Writer { random: Random(seed), plain: false };
        let body = writer.metrics(&Random(seed / 20).metrics_request());
        let bytes = damaged(body.into_bytes(), &mut random);
        let ours = metrics_outcome(&bytes, Json, &Known::default());
        let json = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
        assert!(json || ours.is_err(), "seed {seed}: accepted though it is no JSON");
        let body = writer.logs(&Random(seed / 20).logs_request());
        let bytes = damaged(body.into_bytes(), &mut random);
        let ours = logs_outcome(&bytes, Json);
        let json = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
        assert!(json || ours.is_err(), "seed {seed}: accepted though it is no JSON");
    }
}

fn damaged(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(3) {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = random.next() as u8,
            3 => drop(bytes.remove(at)),
            4 => bytes.insert(at, random.next() as u8),
            _ => {
                let end = (at + random.below(40)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes
}

/// Which fields of a message are messages to turn around too.
struct Shape(&'static [(u64, Shape)]);

const PLAIN: Shape = Shape(&[]);
const DATA: Shape = Shape(&[(1, PLAIN)]);
const METRIC: Shape = Shape(&[(5, DATA), (7, DATA), (9, DATA), (10, DATA), (11, DATA)]);
const REQUEST: Shape = Shape(&[(1, Shape(&[(1, PLAIN), (2, Shape(&[(1, PLAIN), (2, METRIC)]))]))]);
const LOGS_REQUEST: Shape = Shape(&[(1, Shape(&[(1, PLAIN), (2, Shape(&[(1, PLAIN), (2, PLAIN)]))]))]);

/// The same message with its fields in falling order of number, those of one number in their order.
fn backwards(bytes: &[u8], shape: Shape) -> Vec<u8> {
    turned(bytes, &shape)
}

fn turned(mut bytes: &[u8], shape: &Shape) -> Vec<u8> {
    use prost::encoding::{decode_varint, encode_varint};
    let mut fields: Vec<(u64, Vec<u8>)> = Vec::new();
    while !bytes.is_empty() {
        let tag = decode_varint(&mut bytes).unwrap();
        let mut out = Vec::new();
        encode_varint(tag, &mut out);
        match tag & 7 {
            0 => encode_varint(decode_varint(&mut bytes).unwrap(), &mut out),
            1 => out.extend(bytes.split_off(..8).unwrap()),
            5 => out.extend(bytes.split_off(..4).unwrap()),
            _ => {
                let length = decode_varint(&mut bytes).unwrap() as usize;
                let inner = bytes.split_off(..length).unwrap();
                let inner = match shape.0.iter().find(|(number, _)| *number == tag >> 3) {
                    Some((_, shape)) => turned(inner, shape),
                    None => inner.to_vec(),
                };
                encode_varint(inner.len() as u64, &mut out);
                out.extend(inner);
            }
        }
        fields.push((tag >> 3, out));
    }
    fields.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    fields.into_iter().flat_map(|(_, field)| field).collect()
}
