//! Seeded series, as remote write requests.
//!
//! Values are multiples of 1/64 below 2^26, so that their sums are exact in any order. Native histograms stay far from zero, where rates
//! of them are cut off otherwise since Prometheus 3.5.

mod histograms;

use prost::Message as _;

use crate::prompb::{self, v1};
use chance::Random;

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

/// All series, from `start_ms` on for [`SPAN_S`].
pub(crate) fn series(seed: u64, start_ms: i64) -> Vec<Series> {
    let mut rng = Random::new(seed);
    let (mut all, mut kinds) = (Vec::new(), 0);
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
            all.push(Series {
                labels: with("joules.used", "dotted.label", if instance == "a:1" { "p" } else { "q" }),
                points: floats(&mut rng, start_ms, Rhythm::Jittered, counter(0.5, true)),
            });
            all.extend(histograms::classic(&mut rng, start_ms, &base));
            all.push(Series { labels: base("size"), points: histograms::exponential(&mut rng, start_ms) });
            all.push(Series { labels: base("spread"), points: histograms::custom(&mut rng, start_ms) });
            all.push(Series { labels: base("mixed"), points: histograms::mixed(&mut rng, start_ms) });
            all.push(Series { labels: base("gauged"), points: histograms::gauged(&mut rng, start_ms) });
            all.push(Series { labels: base("fractions"), points: histograms::fractions(&mut rng, start_ms) });
            all.extend(histograms::uneven(&mut rng, start_ms, kinds, &base));
            kinds += 1;
            let mut about = with("target_info", "zone", rng.pick(&["z2", "z10", "z1"]));
            about.push(("release", format!("v{}", rng.below(12))));
            // Without a gap: 3.5 takes that of another target where one is missing.
            all.push(Series { labels: about, points: floats(&mut rng, start_ms, Rhythm::Even, |_, _| 1.0) });
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

/// Rises by up to `most` a sample; if it `resets`, now and then from zero again, or from a value far from it.
fn counter(most: f64, resets: bool) -> impl FnMut(&mut Random, f64) -> f64 {
    let mut samples = 0;
    move |rng, before| {
        samples += 1;
        let begins = samples == 1 || resets && rng.below(60) == 0;
        let from = match (begins, rng.below(2)) {
            (false, _) => before,
            (true, 0) => 0.0,
            (true, _) => 1e6 + sixtyfourths(rng, 1e5),
        };
        from + sixtyfourths(rng, most)
    }
}

fn gauge(most: f64) -> impl FnMut(&mut Random, f64) -> f64 {
    move |rng, _| sixtyfourths(rng, 2.0 * most) - most
}

/// Few values, so that some are equal.
fn level(rng: &mut Random, before: f64) -> f64 {
    if rng.below(3) == 0 { rng.below(6) as f64 } else { before }
}

fn odd(rng: &mut Random, _: f64) -> f64 {
    // A NaN that is neither the ordinary one nor a stale marker is one all the same.
    let payload = f64::from_bits(0x7ff8_0000_0000_1234);
    rng.pick(&[f64::NAN, payload, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 1.0, -2.5, 1e300, 1e-300, 3.0])
}

fn sixtyfourths(rng: &mut Random, most: f64) -> f64 {
    (rng.unit() * most * 64.0).floor() / 64.0
}

/// The times of a series' samples, and whether a stale marker stands there instead.
fn times(rng: &mut Random, start_ms: i64, rhythm: Rhythm) -> Vec<(i64, bool)> {
    let interval_ms = rng.pick(&[10_000, 15_000, 30_000]);
    let jitter_ms = if matches!(rhythm, Rhythm::Even) { 1 } else { 4_000 };
    let mut times = Vec::new();
    // Often where windows and steps begin and end.
    let first_ms = rng.below(20_000);
    let mut at_ms = start_ms + if rng.below(2) == 0 { first_ms } else { first_ms / 5_000 * 5_000 };
    while at_ms < start_ms + SPAN_S * 1000 {
        let mut is_stale = false;
        let mut gap_ms = 0;
        if matches!(rhythm, Rhythm::Broken) && rng.below(40) == 0 {
            is_stale = rng.below(2) == 0;
            gap_ms = rng.below(660_000);
        }
        times.push((at_ms, is_stale));
        at_ms += interval_ms + gap_ms + rng.below(jitter_ms) as i64;
    }
    times
}

fn floats(
    rng: &mut Random,
    start_ms: i64,
    rhythm: Rhythm,
    mut next: impl FnMut(&mut Random, f64) -> f64,
) -> Vec<(i64, Point)> {
    let mut value = 0.0;
    let mut points = Vec::new();
    for (at_ms, is_stale) in times(rng, start_ms, rhythm) {
        value = next(rng, value);
        points.push((at_ms, Point::Float(if is_stale { f64::from_bits(STALE) } else { value })));
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

/// As agents send it; Prometheus reads past it.
fn metadata() -> Vec<v1::MetricMetadata> {
    let family = |name: &str, kind, help: &str| v1::MetricMetadata {
        r#type: kind,
        metric_family_name: name.into(),
        help: help.into(),
        unit: String::new(),
    };
    vec![family("requests_total", 1, "Requests."), family("temperature", 2, "Degrees.")]
}
