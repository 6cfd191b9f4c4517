//! Classic histograms, and native ones with exponential and with custom buckets.

use super::{Point, Rhythm, STALE, Series, sixtyfourths, times};
use crate::prompb::{self, BucketSpan};
use chance::Random;

/// Of a bucket at first. After a reset it is a tenth, so that no window sees a rise as large as where it began from.
const COUNT_FIRST: i64 = 10_000_000;
/// Below which nothing is reset any more.
const COUNT_MIN: i64 = 1_000_000;
/// Of the reset hints of remote write.
const GAUGE: i32 = 3;
const BOUNDS: [f64; 4] = [0.5, 1.0, 2.5, 10.0];

/// Buckets that rise together, as one exposition has them.
pub(super) fn classic(
    rng: &mut Random,
    start_ms: i64,
    base: &dyn Fn(&str) -> Vec<(&'static str, String)>,
) -> Vec<Series> {
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

/// Buckets as they should not be: without the last one, one bound written twice, the last one alone, bounds that are none, and counts
/// that fall from one to the next.
pub(super) fn uneven(
    rng: &mut Random,
    start_ms: i64,
    kind: usize,
    base: &dyn Fn(&str) -> Vec<(&'static str, String)>,
) -> Vec<Series> {
    const BOUNDS: [&[&str]; 6] = [
        &["0.1", "1", "10"],
        &["0.5", "0.50", "1e0", "+Inf"],
        &["+Inf"],
        &["-2", "-1", "0", "Inf"],
        &["none", "0.25", "", "2", "+Inf"],
        &["1", "2", "4", "8", "+Inf"],
    ];
    let times = times(rng, start_ms, Rhythm::Even);
    let bounds = BOUNDS[kind % BOUNDS.len()].iter().enumerate();
    bounds
        .map(|(nth, bound)| {
            let mut labels = base("uneven_bucket");
            labels.push(("le", (*bound).to_owned()));
            // Counts of the last kind do not rise from bucket to bucket.
            let mut count = if kind % BOUNDS.len() == 5 { 100.0 - nth as f64 } else { 100.0 * nth as f64 };
            let points = times.iter().map(|(at_ms, _)| {
                count += rng.below(3) as f64;
                (*at_ms, Point::Float(count))
            });
            Series { labels, points: points.collect() }
        })
        .collect()
}

/// Counts that rise and fall, said to be a gauge's.
pub(super) fn gauged(rng: &mut Random, start_ms: i64) -> Vec<(i64, Point)> {
    native(rng, start_ms, |rng| {
        let counts: Vec<i64> = (0..4).map(|_| COUNT_MIN + rng.below(COUNT_MIN)).collect();
        prompb::Histogram {
            count_int: Some(counts.iter().sum::<i64>() as u64 + 7),
            zero_count_int: Some(7),
            zero_threshold: 0.001,
            sum: sixtyfourths(rng, 1e6),
            positive_spans: vec![BucketSpan { offset: -1, length: 2 }, BucketSpan { offset: 1, length: 2 }],
            positive_deltas: deltas(&counts),
            reset_hint: GAUGE,
            ..Default::default()
        }
    })
}

/// Counts that are no whole numbers, as recording rules write them.
pub(super) fn fractions(rng: &mut Random, start_ms: i64) -> Vec<(i64, Point)> {
    let mut counts = [COUNT_FIRST as f64; 3];
    native(rng, start_ms, |rng| {
        counts.iter_mut().for_each(|count| *count += sixtyfourths(rng, 4.0));
        prompb::Histogram {
            count_float: Some(counts.iter().sum()),
            zero_count_float: Some(0.0),
            zero_threshold: 0.001,
            schema: 1,
            sum: counts.iter().sum(),
            positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
            positive_counts: counts[..2].to_vec(),
            negative_spans: vec![BucketSpan { offset: 1, length: 1 }],
            negative_counts: counts[2..].to_vec(),
            ..Default::default()
        }
    })
}

/// Counts that rise, and now and then begin anew with another resolution and another zero bucket.
pub(super) fn exponential(rng: &mut Random, start_ms: i64) -> Vec<(i64, Point)> {
    let mut base = COUNT_FIRST;
    let (mut positive, mut negative) = ([base; 6], [base; 2]);
    let mut zero = base as u64;
    let (mut schema, mut zero_threshold) = (1, 0.001);
    let mut sum = 1e6;
    native(rng, start_ms, |rng| {
        if rng.below(50) == 0 && base >= COUNT_MIN {
            base /= 10;
            (positive, negative, zero, sum) = ([base; 6], [base; 2], base as u64, 1e6);
            schema = rng.pick(&[0, 1, 1, 2]);
            zero_threshold = rng.pick(&[0.001, 0.001, 0.0, 0.25]);
        }
        for count in positive.iter_mut().chain(&mut negative) {
            *count += rng.below(5);
        }
        zero += rng.below(2) as u64;
        sum += sixtyfourths(rng, 20.0);
        let count = positive.iter().chain(&negative).sum::<i64>() as u64 + zero;
        prompb::Histogram {
            count_int: Some(count),
            zero_count_int: Some(zero),
            zero_threshold,
            schema,
            sum,
            positive_spans: vec![BucketSpan { offset: 0, length: 4 }, BucketSpan { offset: 2, length: 2 }],
            positive_deltas: deltas(&positive),
            negative_spans: vec![BucketSpan { offset: 0, length: 2 }],
            negative_deltas: deltas(&negative),
            ..Default::default()
        }
    })
}

/// With bounds that stay: what becomes of other ones has changed since.
pub(super) fn custom(rng: &mut Random, start_ms: i64) -> Vec<(i64, Point)> {
    let mut base = COUNT_FIRST;
    let mut counts = [base; BOUNDS.len() + 1];
    let mut sum = 1e6;
    native(rng, start_ms, |rng| {
        if rng.below(60) == 0 && base >= COUNT_MIN {
            base /= 10;
            (counts, sum) = ([base; BOUNDS.len() + 1], 1e6);
        }
        counts.iter_mut().for_each(|count| *count += rng.below(5));
        sum += sixtyfourths(rng, 20.0);
        prompb::Histogram {
            count_int: Some(counts.iter().sum::<i64>() as u64),
            zero_count_int: Some(0),
            schema: -53,
            sum,
            positive_spans: vec![BucketSpan { offset: 0, length: counts.len() as u32 }],
            positive_deltas: deltas(&counts),
            custom_values: BOUNDS.to_vec(),
            ..Default::default()
        }
    })
}

/// Runs of histograms and of floats.
pub(super) fn mixed(rng: &mut Random, start_ms: i64) -> Vec<(i64, Point)> {
    let mut is_float = false;
    let swapped = |(at_ms, point)| {
        if rng.below(20) == 0 {
            is_float = !is_float;
        }
        (at_ms, if is_float { Point::Float(sixtyfourths(rng, 100.0)) } else { point })
    };
    let mut seeded = Random::new(start_ms as u64);
    exponential(&mut seeded, start_ms).into_iter().map(swapped).collect()
}

/// Samples with gaps, before some of which the series ends.
fn native(
    rng: &mut Random,
    start_ms: i64,
    mut next: impl FnMut(&mut Random) -> prompb::Histogram,
) -> Vec<(i64, Point)> {
    let ended = prompb::Histogram {
        count_int: Some(0),
        zero_count_int: Some(0),
        sum: f64::from_bits(STALE),
        ..Default::default()
    };
    let times = times(rng, start_ms, Rhythm::Broken);
    let points = times.into_iter().map(|(timestamp, is_stale)| {
        let histogram = if is_stale { ended.clone() } else { next(rng) };
        (timestamp, Point::Histogram(Box::new(prompb::Histogram { timestamp, ..histogram })))
    });
    points.collect()
}

fn deltas(counts: &[i64]) -> Vec<i64> {
    let before = std::iter::once(0).chain(counts.iter().copied());
    counts.iter().zip(before).map(|(count, before)| count - before).collect()
}
