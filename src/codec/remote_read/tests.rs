//! What is asked, and what a reader of its own makes of the frames.

#[path = "../tests/support/prom_chunks.rs"]
mod prom_chunks;

use std::sync::Arc;

use super::frames::crc32c;
use super::*;
use prom_chunks::{floats, histograms};

#[test]
fn requests_are_read_or_refused_with_a_reason() {
    let matcher = |r#type, value: &str| wire::LabelMatcher { r#type, name: "job".into(), value: value.into() };
    let request = |matchers, accepted: &[i32]| {
        let query = wire::Query { start_timestamp_ms: -5, end_timestamp_ms: 7, matchers };
        wire::ReadRequest { queries: vec![query], accepted_response_types: accepted.to_vec() }.encode_to_vec()
    };
    let request_of = decode(&request(vec![matcher(0, "a"), matcher(3, "b.*")], &[1, 0])).unwrap();
    assert_eq!(request_of.answer, AnswerType::StreamedChunks);
    let read = request_of.queries;
    assert_eq!(read[0].range, MsRange { start_ms: -5, end_ms: 7 });
    let shown: Vec<String> = read[0].matchers.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["job=\"a\"", "job!~\"b.*\""]);
    assert!(decode(&[]).unwrap().queries.is_empty());
    for (accepted, expected) in
        [(&[][..], AnswerType::Samples), (&[0, 1], AnswerType::Samples), (&[7, 1, 0], AnswerType::StreamedChunks)]
    {
        assert_eq!(decode(&request(vec![], accepted)).unwrap().answer, expected, "{accepted:?}");
    }
    for (body, reason) in [
        (request(vec![], &[7]), "is [7]; SAMPLES"),
        (request(vec![matcher(2, "(")], &[]), "missing closing ): `(`"),
        (request(vec![matcher(9, "")], &[]), "type 9"),
        (request(vec![matcher(2, r"\pL{100}"); 3], &[]), "compiles to more than 16777216 bytes"),
        (vec![0xff; 3], "no ReadRequest"),
    ] {
        let error = decode(&body).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

/// The frames' messages; each must lie within its bounds.
fn messages(mut stream: &[u8]) -> Vec<wire::ChunkedReadResponse> {
    let mut messages = Vec::new();
    while !stream.is_empty() {
        let length = prost::encoding::decode_varint(&mut stream).unwrap() as usize;
        assert!(length <= 1 << 20, "{length}");
        let (sum, rest) = stream.split_at(4);
        let (body, rest) = rest.split_at(length);
        assert_eq!(sum, crc32c(body).to_be_bytes());
        messages.push(wire::ChunkedReadResponse::decode(body).unwrap());
        stream = rest;
    }
    messages
}

/// The chunks of a row: type, first and last time, number of samples.
type Shape = (i32, i64, i64, usize);

#[track_caller]
fn check(at_ms: &[i64], values: &[f64], given: &[(i64, Histogram)]) -> (usize, Vec<Shape>) {
    let labels = Labels::from_pairs([("__name__", "m"), ("a", "b")]);
    let kept: Vec<(i64, Arc<Histogram>)> = given.iter().map(|(at_ms, one)| (*at_ms, Arc::new(one.clone()))).collect();
    let mut stream = Vec::new();
    push_frames(3, Row { labels: &labels, at_ms, values, histograms: &kept }, &mut stream);
    let messages = messages(&stream);
    let (mut shapes, mut read, mut read_histograms) = (Vec::new(), Vec::new(), Vec::new());
    for message in &messages {
        assert_eq!(message.query_index, 3);
        let [series] = &message.chunked_series[..] else { panic!("one series a frame") };
        assert_eq!(series.labels.len(), 2);
        for chunk in &series.chunks {
            let times: Vec<i64> = if chunk.r#type == 1 {
                let samples = floats(&chunk.data);
                read.extend(samples.iter().copied());
                samples.iter().map(|(at_ms, _)| *at_ms).collect()
            } else {
                let samples = histograms(&chunk.data);
                let times = samples.iter().map(|(at_ms, _)| *at_ms).collect();
                read_histograms.extend(samples);
                times
            };
            let (first, last) = (*times.first().unwrap(), *times.last().unwrap());
            assert_eq!((chunk.min_time_ms, chunk.max_time_ms), (first, last));
            shapes.push((chunk.r#type, first, last, times.len()));
        }
    }
    let bits: Vec<(i64, u64)> = at_ms.iter().zip(values).map(|(at_ms, value)| (*at_ms, value.to_bits())).collect();
    assert_eq!(read, bits);
    assert_eq!(read_histograms.len(), given.len());
    for ((at_ms, read), (given_at, given)) in read_histograms.iter().zip(given) {
        assert_eq!((at_ms, read.sum.to_bits()), (given_at, given.sum.to_bits()));
        let even = |one: &Histogram| Histogram { sum: 0.0, reset: CounterReset::Unknown, ..one.clone() };
        assert_eq!(even(read), even(given));
        let expected = if given.reset == CounterReset::Unknown { read.reset } else { given.reset };
        assert_eq!(read.reset, expected);
    }
    (messages.len(), shapes)
}

#[test]
fn floats_come_back_bit_by_bit() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283, "the check value of CRC-32C");
    assert_eq!(check(&[], &[], &[]), (0, vec![]));
    check(&[-5], &[f64::NAN], &[]);
    let odd =
        [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::from_bits(1), f64::MAX, model::metric::stale_marker(), 1.5];
    // Changes of the distance at the edges of every length.
    let mut at_ms = vec![-1_000, 0];
    let mut distance = 1_000_000_000_i64;
    for edge in [8_191_i64, 8_192, 8_193, 65_535, 65_536, 65_537, 524_287, 524_288, 524_289, 1 << 28] {
        for change in [0, edge, -edge, 1 - edge] {
            distance += change;
            at_ms.push(at_ms.last().unwrap() + distance);
        }
    }
    let values: Vec<f64> =
        at_ms.iter().enumerate().map(|(nth, _)| odd[nth % odd.len()] * (1 + nth / 16) as f64).collect();
    check(&at_ms, &values, &[]);
    let times: Vec<i64> = (0..250).map(|nth| nth * 15_000).collect();
    let (frames, shapes) = check(&times, &times.iter().map(|at_ms| (*at_ms as f64).sqrt()).collect::<Vec<_>>(), &[]);
    let ends = |first: i64, count: i64| (1, first * 15_000, (first + count - 1) * 15_000, count as usize);
    assert_eq!((frames, shapes), (1, vec![ends(0, 120), ends(120, 120), ends(240, 10)]));
    // Larger than a frame.
    let times: Vec<i64> = (0..200_000).collect();
    let values: Vec<f64> =
        times.iter().map(|at_ms| f64::from_bits((*at_ms as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    assert!(check(&times, &values, &[]).0 > 1);
}

#[test]
fn histograms_come_back_with_their_shapes_and_resets() {
    let of = |count: f64, positive: &[(i32, f64)]| Histogram {
        schema: 1,
        zero_threshold: 1e-128,
        zero_count: 1.0,
        count,
        sum: count * 1.5,
        positive: positive.to_vec(),
        negative: vec![(-2, 1.0)],
        ..Histogram::default()
    };
    let grown = [
        (10, of(3.0, &[(0, 1.0)])),
        (20, of(5.0, &[(-3, 1.0), (0, 1.0), (7, 1.0)])),
        (35, of(6.0, &[(-3, 1.0), (0, 2.0), (7, 1.0), (8, 0.5)])),
    ];
    assert_eq!(check(&[], &[], &grown).1, [(3, 10, 35, 3)]);
    let with = |reset, one: Histogram| Histogram { reset, ..one };
    let stale = || Histogram { zero_threshold: 0.0, ..Histogram::stale() };
    let (shapes, floats) = (
        check(
            &[15, 16, 90],
            &[1.0, 2.0, 3.0],
            &[
                (10, of(3.0, &[(0, 1.0)])),
                // Floats between; then fewer than before, and a reset that its sender tells.
                (20, of(5.0, &[(0, 3.0)])),
                (30, of(4.0, &[(0, 2.0)])),
                (40, with(CounterReset::Yes, of(9.0, &[(0, 7.0)]))),
                (50, with(CounterReset::No, of(9.0, &[(0, 7.0)]))),
                (60, stale()),
                (70, with(CounterReset::Gauge, of(9.0, &[(0, 7.0)]))),
                (80, with(CounterReset::Gauge, of(1.0, &[]))),
                (100, with(CounterReset::Gauge, of(1.0, &[]))),
            ],
        )
        .1,
        0,
    );
    assert_eq!(floats, 0);
    assert_eq!(
        shapes,
        [
            (3, 10, 10, 1),
            (1, 15, 16, 2),
            (3, 20, 20, 1),
            (3, 30, 30, 1),
            (3, 40, 50, 2),
            (3, 60, 60, 1),
            (3, 70, 80, 2),
            (1, 90, 90, 1),
            (3, 100, 100, 1)
        ]
    );
    let custom = |bounds: &[f64]| Histogram {
        schema: -53,
        count: 2.0,
        positive: vec![(0, 1.0), (2, 1.0)],
        custom_bounds: bounds.to_vec().into(),
        ..Histogram::default()
    };
    let bounds = [-1.0, 0.0, 0.005, 0.1, 1.0 / 3.0, 33_554.43, 1e9];
    assert_eq!(check(&[], &[], &[(1, custom(&bounds)), (2, custom(&bounds)), (3, custom(&bounds[1..]))]).1.len(), 2);
    for zero_threshold in [0.0, 0.5, 2_f64.powi(10), 2_f64.powi(11), 2_f64.powi(-243), 2_f64.powi(-244), 0.3, 5e-324] {
        check(&[], &[], &[(1, Histogram { zero_threshold, count: 1.0, ..Histogram::default() })]);
    }
}
