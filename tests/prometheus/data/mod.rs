//! Seeded series, as remote write requests.
//!
//! No sample lies on a multiple of [`AWAY_FROM_MS`] and every query's time, range and offset is one, so that it makes no difference
//! that Prometheus 3 leaves the left end of a range out and Prometheus 2 did not. Values are multiples of 1/64 below 2^26, so that
//! their sums are exact in any order. Where a rate is cut off at zero has changed too, for
//! a window that begins well before its first sample: counters stay far from zero, and begin anew only where no window reaches
//! beyond the start of their samples.

use prost::Message as _;

use crate::prompb::{self, BucketSpan, v1};
use crate::rng::Rng;

pub(crate) const AWAY_FROM_MS: i64 = 250;
/// How long the series are.
pub(crate) const SPAN_S: i64 = 7_200;
/// Time in one request: Prometheus takes what is up to an hour older than its newest sample, so all series go forward together.
const REQUEST_MS: i64 = 600_000;
const STALE: u64 = 0x7ff0_0000_0000_0002;

pub(crate) struct Series {
    pub(crate) labels: Vec<(&'static str, String)>,
    points: Vec<(i64, Point)>,
}

#[derive(Clone)]
enum Point {
    Float(f64),
    Histogram(Box<prompb::Histogram>),
}

/// How a series' samples lie in time.
#[derive(Clone, Copy)]
enum Rhythm {
    Even,
    Jittered,
    /// Now and then nothing for up to eleven minutes, sometimes after a stale marker.
    Broken,
}

/// No counter begins anew before that many samples, ten seconds or more apart: the longest window and the longest offset are an hour.
const UNBROKEN_SAMPLES: usize = 400;

/// All series, from `start_ms` on for [`SPAN_S`].
pub(crate) fn series(seed: u64, start_ms: i64) -> Vec<Series> {
    let mut rng = Rng::new(seed);
    let mut all = Vec::new();
    for job in ["api", "web"] {
        for instance in ["a:1", "b:1", "c:1"] {
            let base =
                |name: &str| vec![("__name__", name.to_owned()), ("job", job.into()), ("instance", instance.into())];
            let with = |name: &str, label, value: &str| {
                let mut labels = base(name);
                labels.push((label, value.to_owned()));
                labels
            };
            for code in ["200", "404", "500"] {
                let points = floats(&mut rng, start_ms, Rhythm::Even, counter(17.0, true));
                all.push(Series { labels: with("requests_total", "code", code), points });
            }
            all.push(Series {
                labels: base("bytes_total"),
                points: floats(&mut rng, start_ms, Rhythm::Broken, counter(4096.0, false)),
            });
            for room in ["hall", "attic"] {
                let points = floats(&mut rng, start_ms, Rhythm::Broken, gauge(200.0));
                all.push(Series { labels: with("temperature", "room", room), points });
            }
            all.push(Series { labels: base("level"), points: floats(&mut rng, start_ms, Rhythm::Jittered, level) });
            all.push(Series { labels: base("odd"), points: floats(&mut rng, start_ms, Rhythm::Jittered, odd) });
            all.extend(classic_histogram(&mut rng, start_ms, &base));
            all.push(Series { labels: base("size"), points: native_histogram(&mut rng, start_ms) });
            if rng.below(4) > 0 {
                let version = format!("v{}", rng.below(3));
                let points = floats(&mut rng, start_ms, Rhythm::Even, |_, _| 1.0);
                all.push(Series { labels: with("build", "version", &version), points });
            }
        }
    }
    let odd_text = "say \"hi\" \\ to\n<é> & \u{1f600}\t".to_owned();
    let labels = vec![("__name__", "spoken".into()), ("text", odd_text)];
    all.push(Series { labels, points: floats(&mut rng, start_ms, Rhythm::Even, gauge(1.0)) });
    all
}

/// Rises by up to `most` a sample; if it `resets`, now and then from a value far from zero again.
fn counter(most: f64, resets: bool) -> impl FnMut(&mut Rng, f64) -> f64 {
    let mut samples = 0;
    move |rng, before| {
        samples += 1;
        let begins = samples == 1 || resets && samples > UNBROKEN_SAMPLES && rng.below(60) == 0;
        let from = if begins { 1e6 + sixtyfourths(rng, 1e5) } else { before };
        from + sixtyfourths(rng, most)
    }
}

fn gauge(most: f64) -> impl FnMut(&mut Rng, f64) -> f64 {
    move |rng, _| sixtyfourths(rng, 2.0 * most) - most
}

/// Few values, so that some are equal.
fn level(rng: &mut Rng, before: f64) -> f64 {
    if rng.below(3) == 0 { rng.below(6) as f64 } else { before }
}

fn odd(rng: &mut Rng, _: f64) -> f64 {
    *rng.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 1.0, -2.5, 1e300, 1e-300, 3.0])
}

fn sixtyfourths(rng: &mut Rng, most: f64) -> f64 {
    (rng.unit() * most * 64.0).floor() / 64.0
}

/// The times of a series' samples, and whether a stale marker stands there instead.
fn times(rng: &mut Rng, start_ms: i64, rhythm: Rhythm) -> Vec<(i64, bool)> {
    let interval_ms = *rng.pick(&[10_000, 15_000, 30_000]);
    let jitter_ms = if matches!(rhythm, Rhythm::Even) { 1 } else { 4_000 };
    let mut times = Vec::new();
    let mut at_ms = start_ms + rng.below(20_000) as i64;
    while at_ms < start_ms + SPAN_S * 1000 {
        let mut is_stale = false;
        let mut gap_ms = 0;
        if matches!(rhythm, Rhythm::Broken) && rng.below(40) == 0 {
            is_stale = rng.below(2) == 0;
            gap_ms = rng.below(660_000) as i64;
        }
        let on_the_line = at_ms % AWAY_FROM_MS == 0;
        times.push((at_ms + i64::from(on_the_line), is_stale));
        at_ms += interval_ms + gap_ms + rng.below(jitter_ms) as i64;
    }
    times
}

fn floats(
    rng: &mut Rng,
    start_ms: i64,
    rhythm: Rhythm,
    mut next: impl FnMut(&mut Rng, f64) -> f64,
) -> Vec<(i64, Point)> {
    let mut value = 0.0;
    let mut points = Vec::new();
    for (at_ms, is_stale) in times(rng, start_ms, rhythm) {
        value = next(rng, value);
        points.push((at_ms, Point::Float(if is_stale { f64::from_bits(STALE) } else { value })));
    }
    points
}

/// Buckets that rise together, as one exposition has them.
fn classic_histogram(rng: &mut Rng, start_ms: i64, base: &dyn Fn(&str) -> Vec<(&'static str, String)>) -> Vec<Series> {
    const BOUNDS: [&str; 6] = ["0.1", "0.25", "0.5", "1", "2.5", "+Inf"];
    let mut counts = [1_000_000.0; BOUNDS.len()];
    let mut sum = 1e6;
    let mut buckets = vec![Vec::new(); BOUNDS.len()];
    let mut sums = Vec::new();
    for (at_ms, _) in times(rng, start_ms, Rhythm::Jittered) {
        for _ in 0..rng.below(30) {
            let bucket = rng.below(BOUNDS.len());
            counts[bucket..].iter_mut().for_each(|count| *count += 1.0);
            sum += sixtyfourths(rng, 3.0);
        }
        for (points, count) in buckets.iter_mut().zip(counts) {
            points.push((at_ms, Point::Float(count)));
        }
        sums.push((at_ms, Point::Float(sum)));
    }
    let mut all = vec![
        Series { labels: base("latency_sum"), points: sums },
        Series { labels: base("latency_count"), points: buckets[BOUNDS.len() - 1].clone() },
    ];
    for (bound, points) in BOUNDS.into_iter().zip(buckets) {
        let mut labels = base("latency_bucket");
        labels.push(("le", bound.into()));
        all.push(Series { labels, points });
    }
    all
}

fn native_histogram(rng: &mut Rng, start_ms: i64) -> Vec<(i64, Point)> {
    let (mut positive, mut negative) = ([5_i64; 6], [3_i64; 2]);
    let mut zero = 2_u64;
    let mut sum = 1000.0;
    let mut points = Vec::new();
    for (at_ms, _) in times(rng, start_ms, Rhythm::Jittered) {
        if rng.below(50) == 0 {
            (positive, negative, zero, sum) = ([1; 6], [1; 2], 1, 10.0);
        }
        for count in positive.iter_mut().chain(&mut negative) {
            *count += rng.below(5) as i64;
        }
        zero += rng.below(2) as u64;
        sum += sixtyfourths(rng, 20.0);
        let count = positive.iter().chain(&negative).sum::<i64>() as u64 + zero;
        let deltas = |counts: &[i64]| {
            let before = std::iter::once(0).chain(counts.iter().copied());
            counts.iter().zip(before).map(|(count, before)| count - before).collect()
        };
        points.push((
            at_ms,
            Point::Histogram(Box::new(prompb::Histogram {
                count_int: Some(count),
                zero_count_int: Some(zero),
                zero_threshold: 0.001,
                schema: 1,
                sum,
                positive_spans: vec![BucketSpan { offset: -1, length: 4 }, BucketSpan { offset: 2, length: 2 }],
                positive_deltas: deltas(&positive),
                negative_spans: vec![BucketSpan { offset: 0, length: 2 }],
                negative_deltas: deltas(&negative),
                timestamp: at_ms,
                ..Default::default()
            })),
        ));
    }
    points
}

/// The bodies to send, in this order.
pub(crate) fn requests(series: &[Series]) -> Vec<Vec<u8>> {
    let first = series.iter().filter_map(|one| one.points.first()).map(|(at_ms, _)| *at_ms).min().unwrap_or_default();
    let mut from_ms = first;
    let mut bodies = Vec::new();
    while from_ms < first + SPAN_S * 1000 {
        let mut request = v1::WriteRequest::default();
        for one in series {
            let pairs: Vec<(&str, &str)> = one.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let mut labels = v1::labels(&pairs);
            labels.sort_by(|a, b| a.name.cmp(&b.name));
            let mut sent = v1::TimeSeries { labels, ..Default::default() };
            for (timestamp, point) in &one.points {
                if !(from_ms..from_ms + REQUEST_MS).contains(timestamp) {
                    continue;
                }
                match point {
                    Point::Float(value) => sent.samples.push(v1::Sample { value: *value, timestamp: *timestamp }),
                    Point::Histogram(histogram) => sent.histograms.push(prompb::Histogram::clone(histogram)),
                }
            }
            request.timeseries.push(sent);
        }
        if from_ms == first {
            request.metadata = metadata();
        }
        bodies.push(snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap());
        from_ms += REQUEST_MS;
    }
    bodies
}

/// As agents send it; Prometheus 2 reads past it.
fn metadata() -> Vec<v1::MetricMetadata> {
    let family = |name: &str, kind, help: &str| v1::MetricMetadata {
        r#type: kind,
        metric_family_name: name.into(),
        help: help.into(),
        unit: String::new(),
    };
    vec![family("requests_total", 1, "Requests."), family("temperature", 2, "Degrees.")]
}
